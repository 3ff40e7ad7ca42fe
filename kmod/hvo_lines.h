/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * hvo_lines.h - the formats of <debugfs>/faultline/hvo/block, a line each.
 * Given the conversion of each value, in this order, a line is the format that
 * the module prints with and that the driver scans with.
 */
#ifndef FAULTLINE_HVO_LINES_H
#define FAULTLINE_HVO_LINES_H

/*
 * Written: the block that this page of the writer is in (hexadecimal). No
 * reference is kept, on purpose: the page may be freed, and the block reused.
 */
#define FL_HVO_PAGE(address) "page " address

/* Written: the block of a page frame (hexadecimal). */
#define FL_HVO_PFN(pfn) "pfn " pfn

/*
 * Written: get_page_unless_zero() of the block's struct page @index, compiled
 * into the module from this kernel's headers; the module drops the reference
 * again. Where the struct page is mapped read-only, it tries a copy of its page
 * of vmemmap, and "fault" means that it would have written to the original.
 */
#define FL_HVO_TRY(index) "try " index

/*
 * Written: the same of a task that read the count as 1 some time ago: the
 * compare-and-exchange alone. It is our own, with an exception-table entry, so faults
 * are counted and the machine goes on.
 */
#define FL_HVO_LATE(index) "late " index

/*
 * Written: the get_page_unless_zero() that this kernel's compiler made, in
 * isolate_movable_page(), which does nothing else to a page that gives no
 * reference. Only for a struct page that is mapped read-only, where a write would
 * oops ("fault": so "try" says, and the function is not called); EPERM for others.
 */
#define FL_HVO_COMPILED(index) "compiled " index

/* Written: take the block's pages back into use that were soft-offlined. */
#define FL_HVO_UNPOISON "unpoison"

/*
 * Written: drain the pages that each CPU keeps, so that free blocks can become
 * whole.
 */
#define FL_HVO_DRAIN "drain"

/*
 * The first line. @pfn: of the block's first page; @index: of the page in the
 * command; @head, @hugetlb: yes or no; @refs: of the first page.
 */
#define FL_HVO_BLOCK(pfn, index, head, hugetlb, refs)                       \
	"block pfn " pfn " index " index " head " head                      \
	" hugetlb " hugetlb " refs " refs

/*
 * For each page of vmemmap that holds struct pages of the block. @address: where it
 * is mapped; @protection: rw or ro; @order: one entry maps it and 2^order - 1 others;
 * @alias: the first that has the same page, or "-".
 */
#define FL_HVO_VMEMMAP(number, address, pfn, protection, order, alias)      \
	"vmemmap " number " virtual " address " pfn " pfn " " protection    \
	" order " order " alias " alias

/* Instead of it, where nothing is mapped. */
#define FL_HVO_NOT_MAPPED(number) "vmemmap " number " not mapped"

/*
 * Three for each CPU, as that CPU reads the pages of vmemmap, with a value for each.
 * @kind: refs (the count of the first struct page), flags (its first word,
 * hexadecimal), or sum (over all bytes, hexadecimal), in this order.
 */
#define FL_HVO_CPU(cpu, kind, values) "cpu " cpu " " kind values
#define FL_HVO_VALUE(value) " " value

/*
 * @when: then (the block was chosen) or now. @memmap: pages that hold struct pages
 * (-1: not known; nr_memmap_pages and nr_memmap_boot_pages of /proc/vmstat). The rest
 * is hugetlb's pool of this page size, in huge pages.
 */
#define FL_HVO_COUNTERS(when, memmap, pool, free, reserved, surplus)        \
	"counters " when " memmap " memmap " pool " pool " free " free      \
	" reserved " reserved " surplus " surplus

/*
 * The last line, once something was tried. @kind: try or late; @result: got,
 * zero (the count was 0), changed (the count differed from the value read
 * before), or fault; @before and @after: the head's count.
 */
#define FL_HVO_TRIED(kind, index, result, before, after)                    \
	"tried kind " kind " index " index " result " result                \
	" before " before " after " after

#endif /* FAULTLINE_HVO_LINES_H */
