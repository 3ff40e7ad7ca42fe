/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * calls_abi.h - the formats of <debugfs>/faultline/calls: commands are lines,
 * and a read returns an array of struct fl_call.
 */
#ifndef FAULTLINE_CALLS_ABI_H
#define FAULTLINE_CALLS_ABI_H

#include <linux/types.h>

/* Written: the tasks, as the writer sees their numbers; forgets those before. */
#define FL_CALLS_TASKS "tasks"
/* Written: forgets the calls so far; notes those to come. */
#define FL_CALLS_START "start"
/* Written: notes no more. Fails with EOVERFLOW if there was no room for all. */
#define FL_CALLS_STOP "stop"

#define FL_MAX_CALL_TASKS 8

#define FL_CALL_INTERRUPT 1 /* in an interrupt that came to this task */
#define FL_CALL_ATOMIC 2 /* preemption or interrupts are off */

/* A call of a function that can be traced. */
struct fl_call {
	__u64 time_ns; /* CLOCK_MONOTONIC */
	__u64 ip; /* an address in the function */
	__u64 caller; /* an address in the one that called it */
	__u32 task; /* index in the last "tasks" */
	__u32 flags; /* FL_CALL_... */
};

#endif /* FAULTLINE_CALLS_ABI_H */
