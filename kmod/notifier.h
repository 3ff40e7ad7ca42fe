/* SPDX-License-Identifier: GPL-2.0 */
/*
 * notifier.h - <debugfs>/faultline/pgtable/notifier: the calls to a secondary
 * MMU.
 */
#ifndef FAULTLINE_NOTIFIER_H
#define FAULTLINE_NOTIFIER_H

#include "instrument.h"

/*
 * Each open file is an MMU notifier once a range is written. pgtable_lines.h
 * has the formats. Errors of a write: EINVAL, EPERM (the file is another mm's
 * by now), EOPNOTSUPP (CONFIG_MMU_NOTIFIER is off).
 */
extern const struct fl_instrument fl_pgtable_notifier;

#endif /* FAULTLINE_NOTIFIER_H */
