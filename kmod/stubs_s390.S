/* SPDX-License-Identifier: GPL-2.0 */
/*
 * stubs_s390.S - the targets of a hooked entry and of a watched return; the
 * contract is that of stubs_x86.S.
 *
 * fl_enter_stub: ftrace lands here with r2-r6 (arguments) and r14 (return
 * address) as at the entry of the traced function; r0 and r1 are free. Both
 * stubs make an ordinary frame: 160 bytes for the callee, with a back chain.
 *
 * fl_return_stub: r2 and r3 carry the value; r14 was our own address.
 */
#include <linux/linkage.h>

#define FRAME 160

	.text

SYM_FUNC_START(fl_enter_stub)
	lgr	%r1,%r15
	aghi	%r15,-(FRAME+56)
	stg	%r1,0(%r15)
	stmg	%r2,%r6,FRAME(%r15)	/* fl_enter_regs */
	stg	%r14,FRAME+40(%r15)
	la	%r2,FRAME(%r15)
	brasl	%r14,fl_enter
	lmg	%r2,%r6,FRAME(%r15)
	lg	%r14,FRAME+40(%r15)
	lg	%r1,FRAME+48(%r15)	/* fl_enter_regs.go_on */
	aghi	%r15,FRAME+56
	br	%r1
SYM_FUNC_END(fl_enter_stub)

SYM_FUNC_START(fl_return_stub)
	lgr	%r1,%r15
	aghi	%r15,-(FRAME+24)
	stg	%r1,0(%r15)
	stmg	%r2,%r3,FRAME(%r15)	/* fl_return_regs */
	la	%r2,FRAME(%r15)
	brasl	%r14,fl_return
	lmg	%r2,%r3,FRAME(%r15)
	lg	%r14,FRAME+16(%r15)	/* fl_return_regs.go_on */
	aghi	%r15,FRAME+24
	br	%r14
SYM_FUNC_END(fl_return_stub)

SYM_FUNC_START(fl_skip_stub)
	br	%r14
SYM_FUNC_END(fl_skip_stub)
