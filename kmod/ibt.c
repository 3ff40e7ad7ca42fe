// SPDX-License-Identifier: GPL-2.0
/*
 * ibt.c - does the target of a call by a pointer have an ENDBR?
 *
 * The kernel itself uses cpu_feature_enabled(X86_FEATURE_IBT): it clears the
 * feature for ibt=off, and if its own test of IBT fails. Under FineIBT a call
 * goes to a preamble in front of the function, whose own ENDBR is sealed; this
 * module does not make such calls safe, and so refuses them, too.
 */
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/seq_file.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#ifdef CONFIG_X86_KERNEL_IBT
#include <asm/cpufeature.h>
#include <asm/ibt.h>
#endif

#include "ibt.h"
#include "symbols.h"

#define FL_MAX_IBT_NAME 64 /* with the final NUL */
#define FL_MAX_IBT_OFFSET 4096

static bool fl_assume_ibt;
module_param_named(assume_ibt, fl_assume_ibt, bool, 0400);
MODULE_PARM_DESC(assume_ibt, "test aid: heed IBT as if this CPU had it on");

enum fl_endbr {
	FL_ENDBR_NONE,
	FL_ENDBR_SEALED, /* there was one */
	FL_ENDBR_LIVE,
};

#ifdef CONFIG_X86_KERNEL_IBT

static enum fl_endbr fl_endbr_at(unsigned long address)
{
	u32 word;

	if (copy_from_kernel_nofault(&word, (void *)address, sizeof(word)))
		return FL_ENDBR_NONE;
	if (word == gen_endbr())
		return FL_ENDBR_LIVE;
	return word == gen_endbr_poison() ? FL_ENDBR_SEALED : FL_ENDBR_NONE;
}

static bool fl_ibt_on(void)
{
	return cpu_feature_enabled(X86_FEATURE_IBT);
}

static bool fl_ibt_heeded(void)
{
	return fl_assume_ibt || fl_ibt_on();
}

static const char *fl_ibt_state(void)
{
	if (fl_ibt_on())
		return "on";
	return fl_assume_ibt ? "assumed" : "off";
}

#else

static enum fl_endbr fl_endbr_at(unsigned long address)
{
	return FL_ENDBR_NONE;
}

static bool fl_ibt_heeded(void)
{
	return false;
}

static const char *fl_ibt_state(void)
{
	return "absent";
}

#endif

bool fl_ibt_callable(unsigned long address)
{
	return !fl_ibt_heeded() || fl_endbr_at(address) == FL_ENDBR_LIVE;
}

/* The last command of an open file. */
struct fl_ibt_asked {
	struct mutex lock;
	char name[FL_MAX_IBT_NAME]; /* "": nothing yet */
	unsigned int offset;
	enum fl_endbr endbr;
};

static int fl_ibt_open(void *state, struct file *file)
{
	struct fl_ibt_asked *asked = state;

	mutex_init(&asked->lock);
	return 0;
}

static int fl_ibt_command(void *state, char *text)
{
	struct fl_ibt_asked *asked = state;
	const char *name = strim(text);
	char *plus = strchr(name, '+');
	unsigned int offset = 0;
	unsigned long address;

	if (plus) {
		*plus = '\0';
		if (kstrtouint(plus + 1, 10, &offset) ||
		    offset > FL_MAX_IBT_OFFSET)
			return -EINVAL;
	}
	if (!*name || strlen(name) >= sizeof(asked->name))
		return -EINVAL;
	address = fl_symbol_address(name);
	if (!address)
		return -ENOENT;
	mutex_lock(&asked->lock);
	strscpy(asked->name, name, sizeof(asked->name));
	asked->offset = offset;
	asked->endbr = fl_endbr_at(address + offset);
	mutex_unlock(&asked->lock);
	return 0;
}

static int fl_ibt_show(struct seq_file *m, void *unused)
{
	static const char *const words[] = {
		[FL_ENDBR_NONE] = "none",
		[FL_ENDBR_SEALED] = "sealed",
		[FL_ENDBR_LIVE] = "endbr",
	};
	struct fl_ibt_asked *asked = m->private;

	seq_printf(m, "ibt %s\n", fl_ibt_state());
	mutex_lock(&asked->lock);
	if (asked->name[0])
		seq_printf(m, "%s+%u %s\n", asked->name, asked->offset,
			   words[asked->endbr]);
	mutex_unlock(&asked->lock);
	return 0;
}

const struct fl_instrument fl_ibt_file = {
	.file = {
		.size = sizeof(struct fl_ibt_asked),
		.open = fl_ibt_open,
		.command = fl_ibt_command,
		.show = fl_ibt_show,
	},
};
