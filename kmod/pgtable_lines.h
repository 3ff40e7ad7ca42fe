/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * pgtable_lines.h - the formats of the files of <debugfs>/faultline/pgtable, a
 * line each. Given the conversion of each value, in this order, a line is the
 * format that the module prints with and that the driver and the selftests scan
 * with. Addresses and page frames are hexadecimal.
 */
#ifndef FAULTLINE_PGTABLE_LINES_H
#define FAULTLINE_PGTABLE_LINES_H

/*
 * A page of page tables, as range and tables have it. @refs: its reference count;
 * @tables: how many of its page tables are in use or were never handed out, where
 * pages are shared (ppc64), else 1; @flags: table (it is marked as a page table),
 * active, both with a comma between, or "-".
 */
#define FL_PGTABLE_PAGE(refs, tables, flags)                                \
	"refs " refs " tables " tables " flags " flags

/* --- range -------------------------------------------------------------------- */

/* Written: the process, as the writer sees its number, and a range of its memory. */
#define FL_RANGE_ASK(pid, start, end) pid " " start " " end

/* For each PMD of the mapped part of the range one of these three. */
#define FL_RANGE_NONE(address) address " none"
#define FL_RANGE_HUGE(address) address " huge"

/*
 * @offset: of the table in its page, in bytes; @page: FL_PGTABLE_PAGE(); @folios: "-",
 * or with commas between, for each row of PTEs that map a large folio or a part of it,
 * in order, FL_RANGE_FOLIO().
 */
#define FL_RANGE_TABLE(address, pfn, offset, page, folios)                  \
	address " table pfn " pfn " offset " offset " " page " folios " folios

/* @pte: the first in its table; @pages: how many; @order: of the folio. */
#define FL_RANGE_FOLIO(pte, pages, order) pte "+" pages "/" order

/* After the PMDs, if there were too many and some were left out. */
#define FL_RANGE_MORE "more"

/* The last line: the kernel's count for all page tables of the mm. */
#define FL_RANGE_BYTES(bytes) "mm pgtables_bytes " bytes

/* --- tables ------------------------------------------------------------------- */

/*
 * Written: allocate this number of new tables in as few pages as possible,
 * without other tables; the old tables of the set are freed. With 0 the set is
 * empty.
 */
#define FL_TABLES_NEW(number) "tables " number

/*
 * Written: pass these, "I" or "I J ...", in this order, to pte_free_defer() at
 * once, from this task, on its CPU.
 */
#define FL_TABLES_DEFER(list) "defer " list

/* Written: free them at once, as a munmap() would. */
#define FL_TABLES_FREE(list) "free " list

/* Written: an RCU reader at table @index for @ms milliseconds, at most 200. */
#define FL_TABLES_READ(reading) "read " reading
#define FL_TABLES_READING(index, ms) index " " ms

/* Written: also show the page of the table that maps the writer's address. */
#define FL_TABLES_WATCH(address) "watch " address

/* Written: wait until all earlier deferrals are done. */
#define FL_TABLES_BARRIER "barrier"

/*
 * For each table. @offset: in its page, in bytes; @state: ours, given, or watched;
 * @given: when it was; @page: FL_PGTABLE_PAGE(). The rest but @reads and @broken is of
 * the page, too. @queued: how often an rcu_head in it was queued, @queued_at: when
 * first; @again: of those, how often while it had been before, which would have lost
 * the list (a spare was queued instead). @freed: how often the page was freed,
 * @freed_at: when first, @cpu: there; @active: of those, with PG_active set.
 * @early: 1 if it was freed before a grace period was over that began when the last of
 * its tables was deferred, or when the rcu_head was queued. @reads: readers of this
 * table; @broken: of those, during which the page was freed. Times are
 * CLOCK_MONOTONIC in nanoseconds, 0 means never.
 */
#define FL_TABLES_TABLE(index, pfn, offset, state, given, page, queued,     \
			again, queued_at, freed, active, freed_at, early,   \
			cpu, reads, broken)                                 \
	index " pfn " pfn " offset " offset " state " state                 \
	" given " given " " page " queued " queued " again " again          \
	" at " queued_at " freed " freed " active " active " at " freed_at  \
	" early " early " cpu " cpu " reads " reads " broken " broken

/* --- notifier ----------------------------------------------------------------- */

/*
 * Written: from now on the file is an MMU notifier of the writer's mm for that
 * range, and earlier notes are dropped.
 */
#define FL_NOTIFIER_ASK(start, end) start " " end

/*
 * For each invalidation that covers all of the range, oldest first. @edge: start or
 * end; @start, @end: of the range that is invalidated; @at: CLOCK_MONOTONIC in
 * nanoseconds; @event: the kernel's enum mmu_notifier_event.
 */
#define FL_NOTIFIER_NOTE(edge, start, end, at, event)                       \
	edge " " start " " end " at " at " event " event

/* The last line, if there were too many to note them all. */
#define FL_NOTIFIER_MORE "more"

/* --- locks -------------------------------------------------------------------- */

/* Written: an address of the reader's own memory. */
#define FL_LOCKS_ASK(address) address

/*
 * The only line. @pmd: none, table, or huge. The others are free, write, read:N
 * for N readers, or none if there is no such lock: the VMA's before 6.4, the
 * anon_vma's where no page was ever touched, the page table's where the PMD
 * leads to none. @vma is write or free alone: its readers do not stay. A taken
 * spinlock is write. @anon_vma is unknown in a kernel without
 * CONFIG_PER_VMA_LOCK: such a kernel does not free VMAs by RCU, so the module
 * reads none.
 */
#define FL_LOCKS_STATES(mmap, vma, anon_vma, pmd, pte)                      \
	"locks mmap " mmap " vma " vma " anon_vma " anon_vma                \
	" pmd " pmd " pte " pte

#endif /* FAULTLINE_PGTABLE_LINES_H */
