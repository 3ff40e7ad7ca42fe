/* SPDX-License-Identifier: GPL-2.0 */
/* calls.h - <debugfs>/faultline/calls: which functions tasks call. */
#ifndef FAULTLINE_CALLS_H
#define FAULTLINE_CALLS_H

#include "instrument.h"

/*
 * From the first start on and until it is closed, an open file patches all
 * functions that can be traced, once: all of them are slower for that time, for
 * all tasks. Between a start and a stop it notes the calls of its tasks, in
 * order. Reading the calls before the stop is not allowed. calls_abi.h has the
 * formats.
 *
 * Errors: EINVAL (not a command, or too many tasks), ESRCH (no such task), EBUSY
 * (other tasks, while calls are noted), ENOMEM, EOVERFLOW (at a stop: calls were lost).
 */
extern const struct fl_instrument fl_calls;

#endif /* FAULTLINE_CALLS_H */
