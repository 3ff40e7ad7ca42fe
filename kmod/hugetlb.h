/* SPDX-License-Identifier: GPL-2.0 */
/*
 * hugetlb.h - <debugfs>/faultline/hugetlb/share: the sharers of a table of
 * PMDs.
 */
#ifndef FAULTLINE_HUGETLB_H
#define FAULTLINE_HUGETLB_H

#include "instrument.h"

/*
 * Each open file looks at one address of one process, in a mapping of hugetlb.
 * hugetlb_lines.h has the formats.
 *
 * A reader gives up on a lock after 100 ms: a held actor may own it. Then the
 * first line says which.
 *
 * Errors: EINVAL (a write that is none of the above), ESRCH (no such process, or it
 * has exited).
 */
extern const struct fl_instrument fl_hugetlb_share;

#endif /* FAULTLINE_HUGETLB_H */
