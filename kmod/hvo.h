/* SPDX-License-Identifier: GPL-2.0 */
/* hvo.h - <debugfs>/faultline/hvo/block: the struct pages of one huge page. */
#ifndef FAULTLINE_HVO_H
#define FAULTLINE_HVO_H

#include "instrument.h"

/*
 * Each open file looks at one block of physical memory as large as a huge page
 * of one PMD, and at the virtual pages of vmemmap that hold its struct pages.
 * One command a write:
 *
 *	page ADDRESS	the block that this page of the writer is in (hexadecimal).
 *			No reference is kept: the page may be freed, and the block
 *			become another's. That is the point
 *	pfn PFN		the block of a page frame (hexadecimal)
 *	try I		get_page_unless_zero() of the block's struct page I, compiled
 *			into this module from this kernel's headers; what it got it
 *			gives back. Where the struct page is mapped read-only, a copy
 *			of its page of vmemmap is tried, and "fault" means that it
 *			would have written to the original
 *	late I		the same of a task that read the count as 1 some time ago:
 *			the compare-and-exchange alone
 *	unpoison	take the block's pages back into use that were soft-offlined
 *	drain		give back the pages that CPUs keep for themselves, so that
 *			free blocks can become whole
 *
 * "late" uses our own cmpxchg with an exception-table entry, so faults are counted
 * and the machine goes on.
 *
 * Reading gives
 *
 *	block pfn PFN index I head yes|no hugetlb yes|no refs N
 *	vmemmap N virtual ADDRESS pfn PFN rw|ro order N alias N|-
 *	cpu C refs N...
 *	cpu C flags X...
 *	cpu C sum X...
 *	counters then|now memmap N pool N free N reserved N surplus N
 *	tried kind try|late index I result got|zero|changed|fault before N after N
 *
 * with a line "vmemmap" for each page of vmemmap, which is mapped with the 2^order
 * others in one entry; "alias" is the first that has the same page. "refs" are the
 * counts of the first struct page of each, "flags" its first word, and "sum" is
 * over all their bytes, as each CPU reads them. "counters" are the pages that
 * hold struct pages (-1: not known; nr_memmap_pages and nr_memmap_boot_pages of
 * /proc/vmstat), and hugetlb's pool of this page size, when the block was chosen
 * and now. "before" and "after" are the head's count.
 *
 * Errors of a write: EINVAL, EFAULT (no page there), EOPNOTSUPP (this machine
 * does not optimize vmemmap).
 */
extern const struct fl_instrument fl_hvo_block;

#endif /* FAULTLINE_HVO_H */
