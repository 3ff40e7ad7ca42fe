/* SPDX-License-Identifier: GPL-2.0 */
/* hugetlb.h - <debugfs>/faultline/hugetlb/share: who shares a table of PMDs. */
#ifndef FAULTLINE_HUGETLB_H
#define FAULTLINE_HUGETLB_H

#include "instrument.h"

/*
 * Each open file looks at one address of one process, in a mapping of hugetlb.
 * One command a write:
 *
 *	PID ADDRESS	the process, as the writer sees its number (0: the writer
 *			itself), and the address (hexadecimal)
 *
 * Reading gives
 *
 *	share pid PID address ADDRESS pud none|huge|table pfn PFN shared N lock LOCK mapped N
 *	user PID ADDRESS
 *	pool order N pages N free N reserved N surplus N
 *
 * "pfn" is of the table of PMDs that the PUD leads to, and "shared" its share
 * count: how many others use it, by the kernel's own reckoning (-1: this kernel
 * does not share); both are 0 without a table. LOCK is the VMA's hugetlb lock,
 * "none" if it has none, else "free", "write", or "read:N" for N readers. "mapped"
 * is what hugetlb maps in the mm, in pages of the smallest size. There is a line
 * "user" for each mapping of the same file whose PUD leads to the same table, the
 * one that was asked for, too; PID is 0 where the kernel does not know it. A line
 * "pool" is there for each size of huge pages.
 *
 * A reader gives up on a lock after 100 ms: a held actor may own it.
 * Then the first line is "busy mmap_lock" or "busy i_mmap_rwsem". It is "unmapped"
 * where no hugetlb mapping of a file is.
 *
 * Errors: EINVAL (a write that is none of the above), ESRCH (no such process, or it
 * has exited).
 */
extern const struct fl_instrument fl_hugetlb_share;

#endif /* FAULTLINE_HUGETLB_H */
