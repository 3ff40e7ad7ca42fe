/* SPDX-License-Identifier: GPL-2.0 */
/* stall.h - <debugfs>/faultline/stall: a test aid, a CPU that stands still once. */
#ifndef FAULTLINE_STALL_H
#define FAULTLINE_STALL_H

#include "instrument.h"

enum fl_stall_place {
	FL_STALL_HIT, /* a hit of an actor: the run was seen to be on, nothing is counted */
	FL_STALL_QUEUED, /* the hook on call_rcu(): a watch was found, not yet used */
	FL_NR_STALLS
};

/*
 * For the selftests: a host may take a virtual CPU away at any instruction, and
 * this does so at a chosen one. One command a write:
 *
 *	hit MS		the next hit of any actor stands still for MS
 *	queued MS	the same of the next watched rcu_head that is queued
 *
 * at most 1000 ms, and 0 to take it back. Reading gives
 *
 *	hit MS
 *	queued MS
 *
 * where a stall that has begun is 0. Both are the module's, not the file's.
 *
 * Errors: EINVAL (a write that is none of the above).
 */
extern const struct fl_instrument fl_stall_file;

/* Stands still here if that was asked for. Any context. */
void fl_stall(enum fl_stall_place place);

#endif /* FAULTLINE_STALL_H */
