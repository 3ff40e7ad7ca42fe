// SPDX-License-Identifier: GPL-2.0
/*
 * tables.c - PTE tables that no mm uses, for the real pte_free_defer()
 * in a chosen order, with RCU readers at them and their pages watched.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/delay.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/rwsem.h>
#include <linux/sched/mm.h>
#include <linux/seq_file.h>
#include <linux/timekeeping.h>

#include "compat.h"
#include "faultline_abi.h"
#include "page_watch.h"
#include "pgtable.h"
#include "pgtable_lines.h"
#include "symbols.h"
#include "tables.h"

#define FL_MAX_TABLES 64
#define FL_MAX_TRIES 4 /* to get pages that no one else has tables in */

enum fl_table_state {
	FL_TABLE_OURS = 1,
	FL_TABLE_GIVEN, /* to pte_free_defer(), or freed */
	FL_TABLE_WATCHED, /* the mm's, not ours to give */
};

struct fl_table {
	unsigned long address;
	struct fl_watch *watch; /* of its page */
	int state; /* enum fl_table_state; OURS to GIVEN by cmpxchg */
	u64 given_ns; /* before it was; 0 = not yet */
	atomic_t reads, broken;
};

struct fl_tables {
	struct list_head list;
	struct file *file; /* that it is, for finding */
	struct rw_semaphore lock; /* for write: to change which there are */
	struct mm_struct *mm; /* grabbed; may have exited */
	unsigned int nr, nr_watches;
	struct fl_table table[FL_MAX_TABLES];
	struct fl_watch watch[FL_MAX_TABLES];
};

static LIST_HEAD(fl_all_tables);
static DEFINE_MUTEX(fl_all_tables_lock);

static unsigned long fl_calls_start, fl_calls_end;

/*
 * The one call that sites and controls see: fl_tables_calls_from() knows it.
 * It must not become a tail call, see Kbuild.
 */
static noinline void fl_defer_seen(struct mm_struct *mm, pgtable_t table)
{
	fl_sym.pte_free_defer(mm, table);
}

static void fl_tables_init(void)
{
	if (fl_symbol_range((unsigned long)fl_defer_seen, &fl_calls_start,
			    &fl_calls_end))
		fl_calls_end = 0;
}

static bool fl_tables_calls_from(unsigned long ip)
{
	return ip >= fl_calls_start && ip < fl_calls_end;
}

/* --- to have tables ---------------------------------------------------------- */

static bool fl_tables_supported(void)
{
	/* We free a table at once only in a page with tables of others. */
	return fl_sym.table_alloc && fl_sym.pte_free_defer &&
	       (fl_sym.table_free || FL_TABLES_PER_PAGE == 1);
}

static struct page *fl_page_of(unsigned long address)
{
	return virt_to_page((void *)address);
}

/* The watch of the page at @address, begun if there is none. */
static struct fl_watch *fl_tables_watch(struct fl_tables *tables,
					unsigned long address)
{
	struct fl_watch *watch;
	unsigned int i;

	for (i = 0; i < tables->nr_watches; i++)
		if (tables->watch[i].page == fl_page_of(address))
			return &tables->watch[i];
	watch = &tables->watch[tables->nr_watches++];
	fl_watch_add(watch, fl_page_of(address));
	return watch;
}

static void fl_tables_add(struct fl_tables *tables, unsigned long address,
			  enum fl_table_state state)
{
	struct fl_table *table = &tables->table[tables->nr];

	*table = (struct fl_table){ .address = address, .state = state };
	table->watch = fl_tables_watch(tables, address);
	tables->nr++;
}

static bool fl_watch_is_ours(const struct fl_tables *tables,
			     const struct fl_watch *watch)
{
	unsigned int i;

	for (i = 0; i < tables->nr; i++)
		if (tables->table[i].watch == watch)
			return tables->table[i].state != FL_TABLE_WATCHED;
	return false;
}

/*
 * After any use of our tables, and after any control: a page that was not freed
 * still has this many tables of ours.
 */
static void fl_watch_give_back(struct fl_tables *tables, struct fl_watch *watch)
{
	int left = watch->freed ? 0 : fl_page_tables_of(watch->page);

	atomic_set(&watch->queued, 0); /* it has ended, see the barrier before */
	while (left-- > 0)
		fl_sym.pte_free_defer(
			tables->mm,
			fl_table_at((unsigned long)page_address(watch->page)));
}

static void fl_tables_drop(struct fl_tables *tables)
{
	unsigned int i;

	if (tables->nr)
		rcu_barrier();
	for (i = 0; i < tables->nr_watches; i++)
		if (fl_watch_is_ours(tables, &tables->watch[i]))
			fl_watch_give_back(tables, &tables->watch[i]);
	for (i = 0; i < tables->nr_watches; i++)
		fl_watch_del(&tables->watch[i]);
	if (tables->nr_watches)
		synchronize_rcu(); /* their memory is used again */
	tables->nr = 0;
	tables->nr_watches = 0;
}

static void fl_free(struct mm_struct *mm, unsigned long address)
{
	fl_table_free(fl_sym.table_free, mm, fl_table_at(address));
}

/*
 * One more page of tables, of which the first @want are kept and the rest
 * freed. The allocator hands out a page from its beginning, so a table from the
 * middle belongs to a page with tables of others: skip it. Returns how many
 * were kept.
 */
static int fl_tables_page(struct fl_tables *tables, unsigned int want)
{
	unsigned int taken = 0, kept = 0;
	unsigned long first = 0;
	pgtable_t table;

	while (taken < FL_TABLES_PER_PAGE) {
		unsigned long address;

		table = fl_table_alloc(fl_sym.table_alloc, tables->mm);
		if (!table)
			return -ENOMEM;
		address = fl_table_address(table);
		if (!taken && address & ~PAGE_MASK) {
			fl_free(tables->mm, address);
			continue;
		}
		if (!taken)
			first = address;
		taken++;
		if (kept < want && fl_page_of(address) == fl_page_of(first)) {
			fl_tables_add(tables, address, FL_TABLE_OURS);
			kept++;
		} else {
			fl_free(tables->mm, address);
		}
	}
	return fl_page_tables_of(fl_page_of(first)) == kept ? kept : -EAGAIN;
}

static int fl_tables_try(struct fl_tables *tables, unsigned int nr)
{
	int got;

	while (tables->nr < nr) {
		got = fl_tables_page(tables, nr - tables->nr);
		if (got < 0)
			return got;
	}
	return 0;
}

static int fl_tables_new(struct fl_tables *tables, unsigned int nr)
{
	int tries, err = -EAGAIN;

	if (nr && !fl_tables_supported())
		return -EOPNOTSUPP;
	if (current->mm != tables->mm)
		return -EPERM;
	for (tries = 0; err == -EAGAIN && tries < FL_MAX_TRIES; tries++) {
		fl_tables_drop(tables);
		err = fl_tables_try(tables, nr);
	}
	if (err)
		fl_tables_drop(tables);
	return err;
}

static int fl_tables_add_mapped(struct fl_tables *tables, unsigned long address)
{
	struct mm_struct *mm = current->mm; /* or of a child of the opener's */
	unsigned long table;

	if (tables->nr == FL_MAX_TABLES)
		return -ENOSPC;
	if (mmap_read_lock_killable(mm))
		return -EINTR;
	rcu_read_lock();
	table = address < mm->task_size ? fl_pgtable_at(mm, address) : 0;
	if (table)
		fl_tables_add(tables, table, FL_TABLE_WATCHED);
	rcu_read_unlock();
	mmap_read_unlock(mm);
	return table ? 0 : -ENOENT;
}

/* --- to give them away -------------------------------------------------------- */

static int fl_table_give(struct fl_tables *tables, unsigned int i, bool defer)
{
	struct fl_table *table = &tables->table[i];

	if (i >= tables->nr || READ_ONCE(table->state) == FL_TABLE_WATCHED)
		return -EINVAL;
	if (!defer && !fl_sym.table_free)
		return -EOPNOTSUPP;
	/* Full barriers; pairs with the reading of state in a reader's section. */
	if (cmpxchg(&table->state, FL_TABLE_OURS, FL_TABLE_GIVEN) !=
	    FL_TABLE_OURS)
		return -EALREADY;
	table->given_ns = ktime_get_mono_fast_ns();
	if (defer) {
		fl_watch_since(table->watch);
		fl_defer_seen(tables->mm, fl_table_at(table->address));
	} else {
		fl_free(tables->mm, table->address);
	}
	return 0;
}

static int fl_tables_give(struct fl_tables *tables, char *list, bool defer)
{
	unsigned int i;
	char *word;
	int err;

	while ((word = strsep(&list, "\n "))) {
		if (!*word)
			continue;
		err = kstrtouint(word, 10, &i) ?:
			      fl_table_give(tables, i, defer);
		if (err)
			return err;
	}
	return 0;
}

/* --- readers ------------------------------------------------------------------- */

static bool fl_tables_reading_begin(struct fl_reading *reading)
	__acquires(RCU)
{
	struct fl_tables *tables = reading->set;
	struct fl_table *table = &tables->table[reading->index];

	rcu_read_lock();
	/*
	 * The table is not given yet. It will be given after this, and a grace
	 * period that begins then waits for us.
	 */
	reading->begun = READ_ONCE(table->state) == FL_TABLE_OURS;
	reading->freed = READ_ONCE(table->watch->freed);
	return reading->begun;
}

static bool fl_tables_reading_end(struct fl_reading *reading)
	__releases(RCU)
{
	struct fl_tables *tables = reading->set;
	struct fl_table *table = &tables->table[reading->index];
	bool broken = READ_ONCE(table->watch->freed) != reading->freed ||
		      !PageTable(table->watch->page);

	rcu_read_unlock();
	broken = broken && reading->begun;
	if (reading->begun)
		atomic_inc(&table->reads);
	if (broken)
		atomic_inc(&table->broken);
	up_read(&tables->lock);
	return broken;
}

/* Not by file->f_op, which is debugfs's own. The caller has the file open. */
static struct fl_tables *fl_tables_of(const struct file *file)
{
	struct fl_tables *tables, *found = NULL;

	mutex_lock(&fl_all_tables_lock);
	list_for_each_entry(tables, &fl_all_tables, list)
		if (tables->file == file)
			found = tables;
	mutex_unlock(&fl_all_tables_lock);
	return found;
}

static int fl_tables_reading_prepare(struct fl_reading *reading,
				     struct file *file, unsigned int table)
{
	struct fl_tables *tables = fl_tables_of(file);

	if (!tables)
		return -EBADF;
	if (down_read_killable(&tables->lock))
		return -EINTR;
	if (table >= tables->nr) {
		up_read(&tables->lock);
		return -EINVAL;
	}
	reading->set = tables;
	reading->index = table;
	return 0;
}

static const struct fl_reading_ops fl_tables_reading = {
	.prepare = fl_tables_reading_prepare,
	.begin = fl_tables_reading_begin,
	.end = fl_tables_reading_end,
};

static int fl_tables_read(struct fl_tables *tables, const char *asked)
{
	struct fl_reading reading;
	unsigned int table, ms;
	int err;

	if (sscanf(asked, FL_TABLES_READING("%u", "%u"), &table, &ms) != 2 ||
	    ms > FL_MAX_SPIN_MS)
		return -EINVAL;
	err = fl_tables_reading_prepare(&reading, tables->file, table);
	if (err)
		return err;
	if (fl_tables_reading_begin(&reading))
		mdelay(ms);
	else
		err = -ESTALE;
	return fl_tables_reading_end(&reading) ? -EIO : err;
}

/* --- the file -------------------------------------------------------------------- */

static void fl_table_show(struct seq_file *m, const struct fl_tables *tables,
			  unsigned int i)
{
	static const char *const states[] = { "-", "ours", "given", "watched" };
	const struct fl_table *table = &tables->table[i];
	const struct fl_watch *watch = table->watch;

	seq_printf(m,
		   FL_TABLES_TABLE("%u", "%#lx", "%lu", "%s", "%llu",
				   FL_PGTABLE_PAGE("%d", "%d", "%s"), "%d",
				   "%d", "%llu", "%d", "%d", "%llu", "%d",
				   "%d", "%d", "%d") "\n",
		   i, page_to_pfn(watch->page), table->address & ~PAGE_MASK,
		   states[table->state], table->given_ns,
		   page_count(watch->page), fl_page_tables_of(watch->page),
		   fl_pgtable_flags(watch->page), atomic_read(&watch->queued),
		   watch->again, watch->queued_ns, watch->freed, watch->active,
		   watch->freed_ns, watch->early, watch->cpu,
		   atomic_read(&table->reads), atomic_read(&table->broken));
}

static int fl_tables_show(struct seq_file *m, void *unused)
{
	struct fl_tables *tables = m->private;
	unsigned int i;

	if (down_read_killable(&tables->lock))
		return -EINTR;
	for (i = 0; i < tables->nr; i++)
		fl_table_show(m, tables, i);
	up_read(&tables->lock);
	return 0;
}

/* The text after the words of a command, or NULL if @text is another command. */
static char *fl_after(char *text, const char *words)
{
	size_t len = str_has_prefix(text, words);

	return len ? text + len : NULL;
}

/* Commands that change which tables there are. */
static int fl_tables_change(struct fl_tables *tables, char *text)
{
	char *number = fl_after(text, FL_TABLES_NEW(""));
	char *mapped = fl_after(text, FL_TABLES_WATCH(""));
	unsigned long address;
	unsigned int nr;
	int err = -EINVAL;

	if (down_write_killable(&tables->lock))
		return -EINTR;
	if (number && !kstrtouint(strim(number), 10, &nr) &&
	    nr <= FL_MAX_TABLES)
		err = fl_tables_new(tables, nr);
	else if (mapped && !kstrtoul(strim(mapped), 16, &address))
		err = fl_tables_add_mapped(tables, address);
	up_write(&tables->lock);
	return err;
}

static int fl_tables_command(void *state, char *text)
{
	struct fl_tables *tables = state;
	char *deferred = fl_after(text, FL_TABLES_DEFER(""));
	char *freed = fl_after(text, FL_TABLES_FREE(""));
	char *reading = fl_after(text, FL_TABLES_READ(""));
	int err;

	if (reading)
		return fl_tables_read(tables, reading);
	if (sysfs_streq(text, FL_TABLES_BARRIER)) {
		rcu_barrier();
		return 0;
	}
	if (!deferred && !freed)
		return fl_tables_change(tables, text);
	if (down_read_killable(&tables->lock))
		return -EINTR;
	err = fl_tables_give(tables, deferred ?: freed, deferred);
	up_read(&tables->lock);
	return err;
}

static int fl_tables_open(void *state, struct file *file)
{
	struct fl_tables *tables = state;
	int err;

	err = fl_watch_get();
	if (err)
		return err;
	init_rwsem(&tables->lock);
	tables->mm = current->mm;
	mmgrab(tables->mm);
	tables->file = file;
	mutex_lock(&fl_all_tables_lock);
	list_add(&tables->list, &fl_all_tables);
	mutex_unlock(&fl_all_tables_lock);
	return 0;
}

static void fl_tables_release(void *state)
{
	struct fl_tables *tables = state;

	mutex_lock(&fl_all_tables_lock);
	list_del(&tables->list);
	mutex_unlock(&fl_all_tables_lock);
	fl_tables_drop(tables);
	fl_watch_put();
	mmdrop(tables->mm);
}

const struct fl_instrument fl_pgtable_tables = {
	.file = {
		.size = sizeof(struct fl_tables),
		.open = fl_tables_open,
		.release = fl_tables_release,
		.command = fl_tables_command,
		.show = fl_tables_show,
	},
	.init = fl_tables_init,
	.calls_from = fl_tables_calls_from,
	.reading = &fl_tables_reading,
};
