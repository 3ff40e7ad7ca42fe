// SPDX-License-Identifier: GPL-2.0
/*
 * page_watch.c - the fate of a page: queued with call_rcu(), freed, reused.
 *
 * The allocator's own tracepoints tell when a page is really freed, whichever
 * task does it. A hook on call_rcu() sees an rcu_head that lies in a watched
 * struct page. A second queueing would destroy the list of callbacks: the hook
 * counts it and gives call_rcu() a spare instead.
 *
 * Not a kprobe: on s390 a kprobe on ftrace overwrites the address at which a
 * session's hook on the same function continues.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/ftrace.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/page-flags.h>
#include <linux/rculist.h>
#include <linux/rcupdate.h>
#include <linux/spinlock.h>
#include <linux/timekeeping.h>
#include <linux/tracepoint.h>

#include "compat.h"
#include "page_watch.h"
#include "stall.h"
#include "symbols.h"

#define FL_NR_SPARES 256

/*
 * Read under RCU. Each walker takes the lock for itself: a hook is called directly,
 * perhaps preemptible, and probes of newer kernels run under SRCU.
 */
static LIST_HEAD(fl_watches);
static DEFINE_SPINLOCK(fl_watches_lock);
static DEFINE_MUTEX(fl_users_lock);
static int fl_users;

static struct rcu_head fl_spares[FL_NR_SPARES];
static atomic_t fl_spares_used;

/* The caller is in an RCU section. */
static struct fl_watch *fl_watch_of(const void *in_page)
{
	struct fl_watch *watch;

	list_for_each_entry_rcu(watch, &fl_watches, list)
		if (in_page >= (void *)watch->page &&
		    in_page < (void *)(watch->page + 1))
			return watch;
	return NULL;
}

/* --- grace periods ----------------------------------------------------------- */

void fl_watch_since(struct fl_watch *watch)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&watch->lock, flags);
	get_state_synchronize_rcu_full(&watch->since);
	watch->waits = true;
	raw_spin_unlock_irqrestore(&watch->lock, flags);
}

/* Readers that fl_watch_since() spoke of may still be at the page. */
static bool fl_watch_read(struct fl_watch *watch)
{
	unsigned long flags;
	bool read;

	raw_spin_lock_irqsave(&watch->lock, flags);
	read = watch->waits && !poll_state_synchronize_rcu_full(&watch->since);
	raw_spin_unlock_irqrestore(&watch->lock, flags);
	return read;
}

/* --- the tracepoints kmem:mm_page_free and kmem:mm_page_alloc -------------- */

static void fl_freed(void *unused, struct page *page, unsigned int order)
{
	struct fl_watch *watch;

	rcu_read_lock();
	list_for_each_entry_rcu(watch, &fl_watches, list) {
		if (watch->page < page || watch->page >= page + (1UL << order) ||
		    READ_ONCE(watch->reused))
			continue;
		if (folio_test_active(page_folio(watch->page)))
			watch->active++;
		if (watch->freed++)
			continue;
		if (fl_watch_read(watch))
			watch->early++;
		watch->cpu = raw_smp_processor_id();
		watch->freed_ns = ktime_get_mono_fast_ns();
	}
	rcu_read_unlock();
}

static void fl_allocated(void *unused, struct page *page, unsigned int order,
			 gfp_t gfp, int migratetype)
{
	struct fl_watch *watch;

	if (!page)
		return;
	rcu_read_lock();
	list_for_each_entry_rcu(watch, &fl_watches, list)
		if (watch->page >= page && watch->page < page + (1UL << order) &&
		    READ_ONCE(watch->freed))
			WRITE_ONCE(watch->reused, 1);
	rcu_read_unlock();
}

static struct fl_point {
	const char *name;
	void *probe;
	struct tracepoint *point; /* NULL: not found */
	bool registered;
} fl_points[] = {
	{ .name = "mm_page_free", .probe = fl_freed },
	{ .name = "mm_page_alloc", .probe = fl_allocated },
};

static int fl_points_register(void)
{
	size_t i;
	int err;

	for (i = 0; i < ARRAY_SIZE(fl_points); i++) {
		fl_points[i].point = fl_tracepoint(fl_points[i].name);
		if (!fl_points[i].point)
			return -ENODEV;
		err = tracepoint_probe_register(fl_points[i].point,
						fl_points[i].probe, NULL);
		if (err)
			return err;
		fl_points[i].registered = true;
	}
	return 0;
}

static void fl_points_unregister(void)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(fl_points); i++) {
		if (fl_points[i].registered)
			tracepoint_probe_unregister(fl_points[i].point,
						    fl_points[i].probe, NULL);
		fl_points[i].registered = false;
	}
	tracepoint_synchronize_unregister();
}

/* --- call_rcu(head, function) ---------------------------------------------- */

static void fl_spare_done(struct rcu_head *head)
{
}

/* True if it lies in a watched page and has been queued before. */
static bool fl_queued_again(const void *head)
{
	struct fl_watch *watch;
	bool again = false;

	rcu_read_lock();
	watch = fl_watch_of(head);
	if (watch)
		fl_stall(FL_STALL_QUEUED);
	if (watch && !READ_ONCE(watch->freed)) {
		again = atomic_inc_return(&watch->queued) > 1;
		if (again) {
			watch->again++;
		} else {
			watch->queued_ns = ktime_get_mono_fast_ns();
			fl_watch_since(watch);
		}
	}
	rcu_read_unlock();
	return again;
}

static void fl_queued(unsigned long ip, unsigned long parent_ip,
		      struct ftrace_ops *ops, struct ftrace_regs *fregs)
{
	unsigned long *head;
	int spare;

	if (!fl_entry_usable(fregs))
		return;
	head = fl_entry_argument(fregs, 0);
	if (!fl_queued_again((void *)*head))
		return;
	spare = atomic_inc_return(&fl_spares_used) - 1;
	if (spare >= FL_NR_SPARES) {
		pr_warn_once("an rcu_head is queued twice, and no spare is left\n");
		return;
	}
	*head = (unsigned long)&fl_spares[spare];
	*fl_entry_argument(fregs, 1) = (unsigned long)fl_spare_done;
}

static struct ftrace_ops fl_call_rcu;

static void fl_call_rcu_unregister(void)
{
	unregister_ftrace_function(&fl_call_rcu);
	ftrace_free_filter(&fl_call_rcu);
}

static int fl_call_rcu_register(void)
{
	unsigned long ip = fl_sym.ftrace_location ?
				   fl_sym.ftrace_location(fl_symbol_address("call_rcu")) :
				   0;
	int err;

	if (!ip)
		return -ENODEV;
	/* Anew each time: ftrace_free_filter() leaves pointers behind. */
	fl_call_rcu = (struct ftrace_ops){
		.func = fl_queued,
		.flags = FL_OPS_FLAGS | FTRACE_OPS_FL_PERMANENT,
	};
	err = ftrace_set_filter_ip(&fl_call_rcu, ip, 0, 0) ?:
		      register_ftrace_function(&fl_call_rcu);
	if (err)
		ftrace_free_filter(&fl_call_rcu);
	return err;
}

/* --- life ------------------------------------------------------------------- */

int fl_watch_get(void)
{
	int err = 0;

	mutex_lock(&fl_users_lock);
	if (!fl_users) {
		err = fl_call_rcu_register();
		if (!err) {
			err = fl_points_register();
			if (err) {
				fl_points_unregister();
				fl_call_rcu_unregister();
			}
		}
	}
	if (!err)
		fl_users++;
	mutex_unlock(&fl_users_lock);
	return err;
}

void fl_watch_put(void)
{
	mutex_lock(&fl_users_lock);
	synchronize_rcu();
	if (!--fl_users) {
		fl_call_rcu_unregister();
		fl_points_unregister();
		/* The spares, and their callback, which is module text. */
		rcu_barrier();
		atomic_set(&fl_spares_used, 0);
	}
	mutex_unlock(&fl_users_lock);
}

void fl_watch_add(struct fl_watch *watch, struct page *page)
{
	unsigned long flags;

	*watch = (struct fl_watch){ .page = page };
	raw_spin_lock_init(&watch->lock);
	spin_lock_irqsave(&fl_watches_lock, flags);
	list_add_tail_rcu(&watch->list, &fl_watches);
	spin_unlock_irqrestore(&fl_watches_lock, flags);
}

void fl_watch_del(struct fl_watch *watch)
{
	unsigned long flags;

	spin_lock_irqsave(&fl_watches_lock, flags);
	list_del_rcu(&watch->list);
	spin_unlock_irqrestore(&fl_watches_lock, flags);
}
