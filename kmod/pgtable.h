/* SPDX-License-Identifier: GPL-2.0 */
/* pgtable.h - <debugfs>/faultline/pgtable: page tables and the pages they are in. */
#ifndef FAULTLINE_PGTABLE_H
#define FAULTLINE_PGTABLE_H

#include <linux/mm_types.h>
#include <linux/seq_file.h>

#include "instrument.h"

/*
 * <debugfs>/pgtable/range. Write "PID START END" (decimal, hexadecimal), then
 * read through the same descriptor: a line for each PMD of the mapped part of
 * the range,
 *
 *	ADDRESS none | huge | table pfn PFN offset BYTES refs N tables N flags WORDS folios LIST
 *
 * "refs" is the page's reference count; "tables" is how many page tables of
 * the page are in use or were never handed out, where pages are shared (ppc64),
 * else 1; "flags" are those of "table" (it is marked as a page table) and
 * "active" that are set, or "-"; LIST has a "PTE+COUNT/ORDER" for each row of PTEs
 * that map a large folio or a part of it, in order, with commas, or is "-". After 4096 lines there is a last one, "more",
 * if something was left out. The last line of all is "mm pgtables_bytes N", what
 * the kernel counts for all page tables of the mm. Written wrongly: EINVAL; no such task: ESRCH.
 */
extern const struct fl_instrument fl_pgtable_range;

/*
 * The PTE table that maps @address, or 0. The caller holds mmap_lock and is in
 * an RCU section, which keeps the table.
 */
unsigned long fl_pgtable_at(struct mm_struct *mm, unsigned long address);

/* Writes "refs N tables N flags WORDS" of a page of page tables. */
void fl_pgtable_page_show(struct seq_file *m, struct page *page);

#endif /* FAULTLINE_PGTABLE_H */
