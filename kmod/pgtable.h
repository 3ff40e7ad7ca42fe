/* SPDX-License-Identifier: GPL-2.0 */
/* pgtable.h - <debugfs>/faultline/pgtable: page tables and the pages they are in. */
#ifndef FAULTLINE_PGTABLE_H
#define FAULTLINE_PGTABLE_H

#include <linux/mm_types.h>

#include "instrument.h"

/*
 * <debugfs>/faultline/pgtable/range: write a range, then read through the same
 * descriptor. pgtable_lines.h has the formats. A wrong command: EINVAL; no such
 * task, at a read: ESRCH.
 */
extern const struct fl_instrument fl_pgtable_range;

/*
 * The PTE table that maps @address, or 0. The caller holds mmap_lock and is in
 * an RCU section, which keeps the table.
 */
unsigned long fl_pgtable_at(struct mm_struct *mm, unsigned long address);

/* The flags of FL_PGTABLE_PAGE(). */
const char *fl_pgtable_flags(struct page *page);

#endif /* FAULTLINE_PGTABLE_H */
