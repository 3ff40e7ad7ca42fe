/* SPDX-License-Identifier: GPL-2.0 */
/* depth.h - <debugfs>/faultline/depth: how deep a task's kernel stack gets. */
#ifndef FAULTLINE_DEPTH_H
#define FAULTLINE_DEPTH_H

#include "instrument.h"

/*
 * Each open file measures one task, from the write on and until it is closed: the
 * deepest that the task was at the entry of any function that can be traced. What is
 * written and what is read: depth_lines.h.
 *
 * What is deeper inside of such a function, or in one that cannot be traced, is not
 * seen; nor are interrupts, which have a stack of their own, nor the scheduler, if
 * the task goes to sleep by itself. All functions are slower meanwhile, for all tasks.
 *
 * Errors: EINVAL (no number of a task was written), ESRCH (no such task), EBUSY (this
 * file measures already).
 */
extern const struct fl_instrument fl_depth;

#endif /* FAULTLINE_DEPTH_H */
