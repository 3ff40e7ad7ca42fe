/* SPDX-License-Identifier: GPL-2.0 */
/* page_watch.h - the fate of a page: queued with call_rcu(), freed, reused. */
#ifndef FAULTLINE_PAGE_WATCH_H
#define FAULTLINE_PAGE_WATCH_H

#include <linux/list.h>
#include <linux/mm_types.h>
#include <linux/rcupdate.h>
#include <linux/spinlock_types.h>
#include <linux/types.h>

/*
 * One page, from fl_watch_add() to fl_watch_del(). Written by probes in any
 * context, read at any time. Its memory must live until fl_watch_put().
 */
struct fl_watch {
	struct list_head list;
	struct page *page;
	atomic_t queued; /* times an rcu_head in its struct page was queued */
	int again; /* of those, how many while it had been queued before */
	int freed; /* times it went back to the page allocator */
	int active; /* of those, how many with PG_active set */
	int reused; /* it was allocated after that: later counts are another owner's */
	int early; /* freed before a grace period that fl_watch_since() began was over */
	int cpu; /* that freed it first */
	u64 queued_ns; /* CLOCK_MONOTONIC, of the first time; 0 = never */
	u64 freed_ns;
	raw_spinlock_t lock;
	bool waits; /* under lock, as is this: */
	struct rcu_gp_oldstate since;
};

/*
 * Between get and put, watches are kept up to date. May sleep. -ENODEV if this
 * kernel has no such place to look at.
 */
int fl_watch_get(void);
/* Also waits until no probe looks at a watch that was deleted. May sleep. */
void fl_watch_put(void);

/* From zero. The page must not be free. */
void fl_watch_add(struct fl_watch *watch, struct page *page);
void fl_watch_del(struct fl_watch *watch);

/*
 * Readers may have found a table of this page up to now: the page must not be
 * freed before a grace period that begins now is over. Any context.
 */
void fl_watch_since(struct fl_watch *watch);

#endif /* FAULTLINE_PAGE_WATCH_H */
