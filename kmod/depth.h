/* SPDX-License-Identifier: GPL-2.0 */
/* depth.h - <debugfs>/faultline/depth: how deep a task's kernel stack gets. */
#ifndef FAULTLINE_DEPTH_H
#define FAULTLINE_DEPTH_H

#include "instrument.h"

/*
 * Each open file measures one task, from the write on and until it is closed:
 * the greatest depth of its stack at the entry of any traceable function.
 * depth_lines.h has the formats.
 *
 * It does not see a greater depth inside of such a function, or in a function
 * that cannot be traced. It does not see interrupts, which have their own
 * stack, nor the scheduler, if the task goes to sleep by itself. All functions
 * are slower for that time, for all tasks.
 *
 * Errors: EINVAL (no number of a task was written), ESRCH (no such task), EBUSY (this
 * file measures already).
 */
extern const struct fl_instrument fl_depth;

#endif /* FAULTLINE_DEPTH_H */
