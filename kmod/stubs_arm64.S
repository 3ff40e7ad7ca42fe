/* SPDX-License-Identifier: GPL-2.0 */
/*
 * stubs_arm64.S - the targets of a hooked entry and of a watched return; the
 * contract is that of stubs_x86.S.
 *
 * fl_enter_stub: ftrace lands here with x0-x8 and x30 as at the entry of the
 * traced function, before any paciasp, so that the return address is unsigned;
 * x9-x17 are free. It goes on by `ret x10`, which needs no landing pad.
 *
 * fl_return_stub: x0 and x1 carry the value; x30 was our own address.
 */
#include <linux/linkage.h>

	.text

SYM_FUNC_START(fl_enter_stub)
	stp	x29, x30, [sp, #-96]!
	mov	x29, sp
	stp	x0, x1, [sp, #16]	/* fl_enter_regs */
	stp	x2, x3, [sp, #32]
	stp	x4, x5, [sp, #48]
	stp	x6, x7, [sp, #64]
	str	x8, [sp, #80]
	add	x0, sp, #16
	bl	fl_enter
	ldp	x0, x1, [sp, #16]
	ldp	x2, x3, [sp, #32]
	ldp	x4, x5, [sp, #48]
	ldp	x6, x7, [sp, #64]
	ldp	x8, x10, [sp, #80]	/* x10: fl_enter_regs.go_on */
	ldp	x29, x30, [sp], #96
	ret	x10
SYM_FUNC_END(fl_enter_stub)

SYM_FUNC_START(fl_return_stub)
	stp	x29, x30, [sp, #-48]!
	mov	x29, sp
	stp	x0, x1, [sp, #16]	/* fl_return_regs */
	add	x0, sp, #16
	bl	fl_return
	ldp	x0, x1, [sp, #16]
	ldr	x10, [sp, #32]		/* fl_return_regs.go_on */
	ldp	x29, x30, [sp], #48
	mov	x30, x10
	ret
SYM_FUNC_END(fl_return_stub)

SYM_FUNC_START(fl_skip_stub)
	ret
SYM_FUNC_END(fl_skip_stub)
