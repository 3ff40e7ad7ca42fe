/* SPDX-License-Identifier: GPL-2.0 */
/*
 * stubs_x86.S - the targets of a hooked entry and of a watched return.
 *
 * fl_enter_stub: ftrace lands here instead of behind the fentry call, with the
 * registers and the stack as at the entry of the traced function. All registers
 * that may carry an argument are saved, fl_enter() holds the task in a context
 * that is the function's own (so it may sleep where the function may), and the
 * stub goes on where fl_enter() says. It goes there by a return, not a jump:
 * after an fentry call there is no endbr.
 *
 * fl_return_stub: the traced function returns to here instead of to its caller.
 * The stack pointer is as after that return, rax and rdx carry the value. The
 * slot made first gets the caller's address early in fl_return(), so that it is
 * this frame's return address for the unwinder, too.
 *
 * fl_at_stub: a probe sends a task here from in front of an instruction. All is
 * saved that fl_at() may change, the flags, too; the stack is aligned by hand.
 *
 * fl_skip_stub: the traced function is not run at all; rax was set by the hook.
 *
 * Each is entered by a return, never by a call or jump through a pointer: with
 * IBT on, none needs an endbr, and the SYM_FUNC_START() of 7.2 gives none.
 */
#include <linux/linkage.h>
#include <linux/objtool.h>
#include <asm/nospec-branch.h>
#include <asm/unwind_hints.h>

	.text

SYM_FUNC_START(fl_enter_stub)
	ANNOTATE_NOENDBR
	sub	$8, %rsp		/* fl_enter_regs.go_on */
	push	%rax
	push	%rdi
	push	%rsi
	push	%rdx
	push	%rcx
	push	%r8
	push	%r9
	push	%r10
	push	%r11
	push	%rbp
	mov	%rsp, %rdi
	call	fl_enter
	pop	%rbp
	pop	%r11
	pop	%r10
	pop	%r9
	pop	%r8
	pop	%rcx
	pop	%rdx
	pop	%rsi
	pop	%rdi
	pop	%rax
	UNWIND_HINT_FUNC
	RET
SYM_FUNC_END(fl_enter_stub)

SYM_FUNC_START(fl_return_stub)
	ANNOTATE_NOENDBR
	sub	$8, %rsp		/* fl_return_regs.go_on */
	UNWIND_HINT_FUNC
	push	%rax
	push	%rdx
	mov	%rsp, %rdi
	/* The caller's frame was aligned; one slot and two words are not. */
	sub	$8, %rsp
	call	fl_return
	add	$8, %rsp
	pop	%rdx
	pop	%rax
	RET
SYM_FUNC_END(fl_return_stub)

SYM_FUNC_START(fl_skip_stub)
	ANNOTATE_NOENDBR
	RET
SYM_FUNC_END(fl_skip_stub)

SYM_FUNC_START(fl_at_stub)
	ANNOTATE_NOENDBR
	lea	-8(%rsp), %rsp		/* fl_at_regs.go_on; leaves the flags */
	pushfq
	push	%rax
	push	%rdi
	push	%rsi
	push	%rdx
	push	%rcx
	push	%r8
	push	%r9
	push	%r10
	push	%r11
	push	%rbp
	mov	%rsp, %rdi
	mov	%rsp, %rbp
	and	$-16, %rsp
	call	fl_at
	mov	%rbp, %rsp
	pop	%rbp
	pop	%r11
	pop	%r10
	pop	%r9
	pop	%r8
	pop	%rcx
	pop	%rdx
	pop	%rsi
	pop	%rdi
	pop	%rax
	popfq
	UNWIND_HINT_FUNC
	RET
SYM_FUNC_END(fl_at_stub)
