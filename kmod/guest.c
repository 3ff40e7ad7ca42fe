// SPDX-License-Identifier: GPL-2.0
/*
 * guest.c - the module is for virtual machines. It refuses a machine that is
 * certainly none, and accepts any other.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/dmi.h>
#include <linux/module.h>
#include <linux/of.h>
#include <linux/printk.h>

#if defined(CONFIG_X86)
#include <asm/cpufeature.h>
#elif defined(CONFIG_ARM64)
#include <asm/virt.h>
#endif

#include "guest.h"

static bool fl_i_know;
module_param_named(i_know, fl_i_know, bool, 0400);
MODULE_PARM_DESC(i_know, "load outside of a virtual machine, too");

static bool fl_assume_bare;
module_param_named(assume_bare, fl_assume_bare, bool, 0400);
MODULE_PARM_DESC(assume_bare, "test aid: take this machine for one that is not virtual");

/* Each returns the sign that the machine is no guest; NULL: no sign. */
#if defined(CONFIG_X86)
static const char *fl_bare_sign(void)
{
	return boot_cpu_has(X86_FEATURE_HYPERVISOR) ?
		       NULL :
		       "CPUID names no hypervisor";
}
#elif defined(CONFIG_ARM64)
/*
 * A guest rarely has EL2. If it does, its device tree or its DMI tables name
 * QEMU.
 */
static const char *fl_bare_sign(void)
{
	if (!is_kernel_in_hyp_mode() ||
	    of_machine_is_compatible("linux,dummy-virt") ||
	    dmi_name_in_vendors("QEMU"))
		return NULL;
	return "the kernel runs at EL2";
}
#elif defined(CONFIG_PPC64)
/* A partition of PowerVM looks like a guest of KVM: both are pseries. */
static const char *fl_bare_sign(void)
{
	static const char *const emulated[] = {
		"qemu,powernv", "qemu,powernv8", "qemu,powernv9",
		"qemu,powernv10", "qemu,powernv11",
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(emulated); i++)
		if (of_machine_is_compatible(emulated[i]))
			return NULL;
	return of_machine_is_compatible("ibm,powernv") ?
		       "the machine is PowerNV, without a hypervisor" :
		       NULL;
}
#elif defined(CONFIG_S390)
/* STSI says how many levels are below: 1 is the machine, 2 an LPAR, 3 a guest. */
static const char *fl_bare_sign(void)
{
	unsigned int level = 0;

	asm volatile("	lghi	0,0\n"
		     "	lghi	1,0\n"
		     "	stsi	0(0)\n"
		     "	lr	%[level],0\n"
		     : [level] "=d" (level)
		     :
		     : "cc", "0", "1", "memory");
	return level >> 28 >= 3 ? NULL :
				  "STSI names an LPAR, not a guest";
}
#else
static const char *fl_bare_sign(void)
{
	return NULL;
}
#endif

int fl_guest_check(void)
{
	const char *sign = fl_assume_bare ? "assume_bare=1 was given" :
					    fl_bare_sign();

	if (!sign || fl_i_know)
		return 0;
	pr_err("not loaded: this is no virtual machine, as %s. Faultline can crash it and damage its data. If nobody would miss it: modprobe faultline i_know=1\n",
	       sign);
	return -EACCES;
}
