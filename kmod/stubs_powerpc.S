/* SPDX-License-Identifier: GPL-2.0 */
/*
 * stubs_powerpc.S - the targets of a hooked entry and of a watched return; the
 * contract is that of stubs_x86.S. ELF ABI v2 (ppc64le).
 *
 * fl_enter_stub: ftrace lands here with r3-r10 (arguments), r2 (the traced
 * function's TOC) and r0 (its return address) as at its entry; so does
 * fl_skip_stub. LR is the same before 6.13 and this stub's own address from
 * then on (CONFIG_PPC_FTRACE_OUT_OF_LINE). The stub finds this
 * module's TOC relative to itself, since r12 is not its address, and gives r2
 * back before it goes on. r12 is set to the address it goes on at: the entry
 * of a replacement finds its own TOC by it.
 *
 * fl_return_stub: r3 and r4 carry the value. The return address may belong to a
 * call within the kernel, which counts on r2 to be as before: fl_return() gives
 * the r2 that fl_enter_stub saw.
 */
#include <linux/linkage.h>
#include <asm/ppc_asm.h>

#define FRAME 32 /* what a callee may use */

.macro load_toc
	bcl	20, 31, .Lhere\@
.Lhere\@:
	mflr	r2
	addis	r2, r2, (.TOC. - .Lhere\@)@ha
	addi	r2, r2, (.TOC. - .Lhere\@)@l
.endm

	.text

SYM_FUNC_START(fl_enter_stub)
	std	r0, 16(r1)
	stdu	r1, -(FRAME + 80)(r1)
	std	r3, FRAME(r1)		/* fl_enter_regs */
	std	r4, FRAME + 8(r1)
	std	r5, FRAME + 16(r1)
	std	r6, FRAME + 24(r1)
	std	r7, FRAME + 32(r1)
	std	r8, FRAME + 40(r1)
	std	r9, FRAME + 48(r1)
	std	r10, FRAME + 56(r1)
	std	r2, FRAME + 64(r1)
	load_toc
	addi	r3, r1, FRAME
	bl	fl_enter
	nop
	ld	r3, FRAME(r1)
	ld	r4, FRAME + 8(r1)
	ld	r5, FRAME + 16(r1)
	ld	r6, FRAME + 24(r1)
	ld	r7, FRAME + 32(r1)
	ld	r8, FRAME + 40(r1)
	ld	r9, FRAME + 48(r1)
	ld	r10, FRAME + 56(r1)
	ld	r2, FRAME + 64(r1)
	ld	r12, FRAME + 72(r1)	/* fl_enter_regs.go_on */
	addi	r1, r1, FRAME + 80
	ld	r0, 16(r1)
	mtlr	r0
	mtctr	r12
	bctr
SYM_FUNC_END(fl_enter_stub)

SYM_FUNC_START(fl_return_stub)
	stdu	r1, -(FRAME + 32)(r1)
	std	r3, FRAME(r1)		/* fl_return_regs */
	std	r4, FRAME + 8(r1)
	load_toc
	addi	r3, r1, FRAME
	bl	fl_return
	nop
	ld	r3, FRAME(r1)
	ld	r4, FRAME + 8(r1)
	ld	r2, FRAME + 16(r1)
	ld	r0, FRAME + 24(r1)	/* fl_return_regs.go_on */
	addi	r1, r1, FRAME + 32
	mtlr	r0
	blr
SYM_FUNC_END(fl_return_stub)

SYM_FUNC_START(fl_skip_stub)
	mtlr	r0
	blr
SYM_FUNC_END(fl_skip_stub)
