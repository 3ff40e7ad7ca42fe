/* SPDX-License-Identifier: GPL-2.0 */
/*
 * compat.h - the only place with differences of kernel release or architecture.
 *
 * Each entry names the commit and the release it speaks of; where no form fits,
 * the build fails here.
 */
#ifndef FAULTLINE_COMPAT_H
#define FAULTLINE_COMPAT_H

#include <linux/ftrace.h>
#include <linux/ptrace.h>

#if !defined(CONFIG_DYNAMIC_FTRACE) || !defined(CONFIG_KPROBES) || \
	!defined(CONFIG_KALLSYMS) || !defined(CONFIG_DEBUG_FS)
#error "faultline needs CONFIG_DYNAMIC_FTRACE, KPROBES, KALLSYMS and DEBUG_FS"
#endif

#if defined(CONFIG_X86_64) && defined(CONFIG_DYNAMIC_FTRACE_WITH_REGS)

/*
 * At a hooked entry: where the caller goes on. On x86-64 the return address is
 * on top of the stack, and ftrace hands out the stack pointer as it was there
 * (ftrace_regs_caller in arch/x86/kernel/ftrace_64.S).
 */
static inline unsigned long *fl_return_slot(struct pt_regs *regs)
{
	return (unsigned long *)regs->sp;
}

/* What stubs_x86.S pushed, lowest address first; it depends on this order. */
struct fl_enter_regs {
	unsigned long bp, r11, r10, r9, r8, cx, dx, si, di, ax;
	unsigned long go_on; /* where the stub returns to */
};

struct fl_return_regs {
	unsigned long dx, ax;
	unsigned long go_on;
};

static inline void fl_enter_set_value(struct fl_enter_regs *regs, u64 value)
{
	regs->ax = value;
}

static inline u64 fl_return_value(const struct fl_return_regs *regs)
{
	return regs->ax;
}

/* hooks.c; called by stubs_x86.S alone. */
void fl_enter(struct fl_enter_regs *regs);
void fl_return(struct fl_return_regs *regs);

#else
#error "faultline: no hook and stub for this architecture; see CONTRIBUTING.md"
#endif

#endif /* FAULTLINE_COMPAT_H */
