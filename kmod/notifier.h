/* SPDX-License-Identifier: GPL-2.0 */
/* notifier.h - <debugfs>/faultline/pgtable/notifier: what a secondary MMU is told. */
#ifndef FAULTLINE_NOTIFIER_H
#define FAULTLINE_NOTIFIER_H

#include "instrument.h"

/*
 * Each open file is an MMU notifier once a range is written. What is written and what
 * is read: pgtable_lines.h. Errors of a write: EINVAL, EPERM (the file is another mm's
 * by now), EOPNOTSUPP (CONFIG_MMU_NOTIFIER is off).
 */
extern const struct fl_instrument fl_pgtable_notifier;

#endif /* FAULTLINE_NOTIFIER_H */
