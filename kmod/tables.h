/* SPDX-License-Identifier: GPL-2.0 */
/* tables.h - <debugfs>/faultline/pgtable/tables: PTE tables that no mm uses. */
#ifndef FAULTLINE_TABLES_H
#define FAULTLINE_TABLES_H

#include <linux/fs.h>
#include <linux/types.h>

#include "textfile.h"

struct fl_tables;

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
extern const struct fl_textfile fl_pgtable_tables;

/* May sleep. */
void fl_tables_init(void);

/*
 * Is @ip in the one function of this module whose calls of pte_free_defer()
 * sites and controls do apply to? Any context.
 */
bool fl_tables_calls_from(unsigned long ip);

/*
 * For a reader that is held (FL_IOC_ARRIVE_READING): prepare, begin, end. Between
 * begin and end the caller is in an RCU section: it must not sleep.
 */
struct fl_reading {
	struct fl_tables *tables;
	unsigned int table;
	bool begun;
	int freed; /* before it began */
};

/* May sleep. 0, -EBADF, -EINVAL, -EINTR; after 0 the other two must follow. */
int fl_reading_prepare(struct fl_reading *reading, struct file *file,
		       unsigned int table);
/* False if the table has been given away before: then there is no reader. */
bool fl_reading_begin(struct fl_reading *reading) __acquires(RCU);
/* True if the table ceased to be one in between. */
bool fl_reading_end(struct fl_reading *reading) __releases(RCU);

#endif /* FAULTLINE_TABLES_H */
