/* SPDX-License-Identifier: GPL-2.0 */
/* notifier.h - <debugfs>/faultline/pgtable/notifier: what a secondary MMU is told. */
#ifndef FAULTLINE_NOTIFIER_H
#define FAULTLINE_NOTIFIER_H

#include "instrument.h"

/*
 * Write "START END" (hexadecimal): from now on the file is an MMU notifier of
 * the writer's mm for that range, and what was noted before is forgotten.
 * Reading gives a line for each invalidation that covers all of it, oldest first:
 *
 *	start|end START END at NS event N
 *
 * with times of CLOCK_MONOTONIC and the kernel's enum mmu_notifier_event. After
 * 256 lines there is a last one, "more". Errors of a write: EINVAL, EPERM (the
 * file is another mm's by now), EOPNOTSUPP (CONFIG_MMU_NOTIFIER is off).
 */
extern const struct fl_instrument fl_pgtable_notifier;

#endif /* FAULTLINE_NOTIFIER_H */
