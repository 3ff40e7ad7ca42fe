/* SPDX-License-Identifier: GPL-2.0 */
/* tables.h - <debugfs>/faultline/pgtable/tables: PTE tables that no mm uses. */
#ifndef FAULTLINE_TABLES_H
#define FAULTLINE_TABLES_H

#include "instrument.h"

/*
 * Each open file has a set of PTE tables, made by the kernel's own allocator
 * for the mm of the task that opened it. One command a write:
 *
 *	tables N	N new tables in as few pages as can be, where no other
 *			tables are; what the set had before is given back.
 *			With 0 it has none
 *	defer I [J...]	give these, in this order, to pte_free_defer(), here and
 *			now: by this task, on its CPU
 *	free I [J...]	free them at once, as a munmap() would
 *	read I MS	an RCU reader at table I for so long, at most 200
 *	watch ADDRESS	also show the page of the table that maps ADDRESS
 *	barrier		wait until all that was deferred so far is done
 *
 * and reading gives a line for each table:
 *
 *	I pfn PFN offset BYTES state ours|given|watched given NS refs N tables N
 *	flags WORDS queued N again N at NS freed N active N at NS early N cpu N
 *	reads N broken N
 *
 * "refs", "tables" and "flags" are of its page, as in pgtable/range. "queued":
 * how often an rcu_head in that page was queued; "again": of those, how often
 * while it had been before, which would have lost the list (a spare was queued
 * instead). "freed": how often the page was freed, "active": with PG_active set. "early": 1 if it was
 * freed before a grace period that began when the last of its tables was deferred,
 * or when the rcu_head was queued, was over.
 * "broken": readers during which the page was freed. A 0 time means never.
 *
 * Errors of a write: EINVAL, EALREADY (given before), ESTALE (read: given
 * before), EPERM (from another mm), EOPNOTSUPP (this kernel has no
 * pte_free_defer(), or for "free" no function that frees a table), EAGAIN (others use the pages, too: again), ENOENT (watch:
 * no table there).
 * Closing gives back everything that was not freed.
 */
extern const struct fl_instrument fl_pgtable_tables;

#endif /* FAULTLINE_TABLES_H */
