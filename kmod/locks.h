/* SPDX-License-Identifier: GPL-2.0 */
/* locks.h - <debugfs>/faultline/pgtable/locks: the owners of an address' locks. */
#ifndef FAULTLINE_LOCKS_H
#define FAULTLINE_LOCKS_H

#include "instrument.h"

/*
 * Each open file looks at one address of its reader's own memory. Reading takes
 * none of the locks and waits for nobody. pgtable_lines.h has the formats.
 *
 * Errors: EINVAL (no address was written).
 */
extern const struct fl_instrument fl_pgtable_locks;

#endif /* FAULTLINE_LOCKS_H */
