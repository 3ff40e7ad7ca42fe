// SPDX-License-Identifier: GPL-2.0
/*
 * hugetlb.c - the table of PMDs of a hugetlb address: its sharers, the kernel's
 * count of them, and the pools.
 */
#include <linux/delay.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/hugetlb.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/pgtable.h>
#include <linux/pid.h>
#include <linux/rwsem.h>
#include <linux/sched/mm.h>
#include <linux/seq_file.h>

#include "compat.h"
#include "hugetlb.h"
#include "hugetlb_lines.h"
#include "symbols.h"

#define FL_TRIES 100 /* a millisecond apart */

/* The last command of an open file. */
struct fl_place_in {
	struct mutex lock;
	struct pid *pid; /* NULL: nothing yet; referenced */
	unsigned long address;
};

/* The mapping at the address, without its lock. */
struct fl_mapping_at {
	struct file *file; /* referenced */
	pgoff_t offset; /* in the file, of the address; pages of the smallest size */
	char lock[24];
};

/*
 * The page frame of the table that the address' PUD leads to, 0 if there is
 * none. The caller holds i_mmap_rwsem of a file that is mapped there, which
 * keeps the tables above.
 */
static unsigned long fl_pmd_table_pfn(struct mm_struct *mm,
				      unsigned long address, bool *huge)
{
	pgd_t *pgd = pgd_offset(mm, address);
	p4d_t *p4d;
	pud_t *pudp, pud;

	*huge = false;
	if (pgd_none(*pgd) || pgd_bad(*pgd))
		return 0;
	p4d = p4d_offset(pgd, address);
	if (p4d_none(*p4d) || p4d_bad(*p4d))
		return 0;
	pudp = pud_offset(p4d, address);
	pud = READ_ONCE(*pudp);
	*huge = pud_present(pud) && pud_leaf(pud);
	if (!pud_present(pud) || *huge)
		return 0;
	return page_to_pfn(virt_to_page(pmd_offset(pudp, address & PUD_MASK)));
}

static void fl_lock_name(const struct vm_area_struct *vma, char *name,
			 size_t len)
{
	const struct hugetlb_vma_lock *lock = vma->vm_private_data;

	if (!(vma->vm_flags & VM_MAYSHARE) || !lock)
		snprintf(name, len, "none");
	else
		fl_rwsem_name(&lock->rw_sema, name, len);
}

/* 0, -EBUSY, or -ENOENT if no file's hugetlb is mapped there. */
static int fl_mapping_find(struct mm_struct *mm, unsigned long address,
			   struct fl_mapping_at *at)
{
	struct vm_area_struct *vma;
	int tries = FL_TRIES;
	int err = -ENOENT;

	while (!mmap_read_trylock(mm)) {
		if (!--tries)
			return -EBUSY;
		usleep_range(1000, 1100);
	}
	vma = find_vma(mm, address);
	if (vma && vma->vm_start <= address && vma->vm_file &&
	    is_vm_hugetlb_page(vma)) {
		at->file = get_file(vma->vm_file);
		at->offset = vma->vm_pgoff +
			     ((address - vma->vm_start) >> PAGE_SHIFT);
		fl_lock_name(vma, at->lock, sizeof(at->lock));
		err = 0;
	}
	mmap_read_unlock(mm);
	return err;
}

static bool fl_i_mmap_trylock(struct address_space *mapping)
{
	int tries = FL_TRIES;

	while (!down_read_trylock(&mapping->i_mmap_rwsem)) {
		if (!--tries)
			return false;
		usleep_range(1000, 1100);
	}
	return true;
}

static pid_t fl_pid_of(const struct mm_struct *mm)
{
	pid_t pid = 0;
#ifdef CONFIG_MEMCG
	struct task_struct *owner;

	rcu_read_lock();
	owner = rcu_dereference(mm->owner);
	if (owner)
		pid = task_tgid_vnr(owner);
	rcu_read_unlock();
#endif
	return pid;
}

static void fl_users_show(struct seq_file *m, struct address_space *mapping,
			  pgoff_t offset, unsigned long table)
{
	struct rb_node *node;

	for (node = rb_first_cached(&mapping->i_mmap); node;
	     node = rb_next(node)) {
		struct vm_area_struct *vma =
			rb_entry(node, struct vm_area_struct, shared.rb);
		unsigned long address;
		bool huge;

		if (offset < vma->vm_pgoff ||
		    offset >= vma->vm_pgoff + vma_pages(vma))
			continue;
		address = vma->vm_start +
			  ((offset - vma->vm_pgoff) << PAGE_SHIFT);
		if (fl_pmd_table_pfn(vma->vm_mm, address, &huge) == table)
			seq_printf(m, FL_HUGETLB_USER("%d", "%#lx") "\n",
				   fl_pid_of(vma->vm_mm), address);
	}
}

static void fl_share_show_at(struct seq_file *m, struct mm_struct *mm,
			     unsigned long address,
			     const struct fl_mapping_at *at)
{
	struct address_space *mapping = at->file->f_mapping;
	unsigned long table;
	bool huge;

	if (!fl_i_mmap_trylock(mapping)) {
		seq_puts(m, FL_HUGETLB_BUSY("i_mmap_rwsem") "\n");
		return;
	}
	table = fl_pmd_table_pfn(mm, address, &huge);
	seq_printf(m,
		   FL_HUGETLB_SHARE("%d", "%#lx", "%s", "%#lx", "%d", "%s", "%ld") "\n",
		   fl_pid_of(mm), address,
		   table ? "table" :
		   huge	 ? "huge" :
			   "none",
		   table, table ? fl_pmd_share_count(pfn_to_page(table)) : 0,
		   at->lock, fl_hugetlb_usage(mm));
	if (table)
		fl_users_show(m, mapping, at->offset, table);
	up_read(&mapping->i_mmap_rwsem);
}

static void fl_mm_share_show(struct seq_file *m, struct mm_struct *mm,
			     unsigned long address)
{
	struct fl_mapping_at at = {};
	int err = fl_mapping_find(mm, address, &at);

	if (err) {
		seq_puts(m, err == -EBUSY ?
				    FL_HUGETLB_BUSY("mmap_lock") "\n" :
				    FL_HUGETLB_UNMAPPED "\n");
		return;
	}
	fl_share_show_at(m, mm, address, &at);
	fput(at.file);
}

static void fl_pools_show(struct seq_file *m)
{
#ifdef CONFIG_HUGETLB_PAGE
	int i, nr = 0;

	if (fl_sym.hstates && fl_sym.hugetlb_max_hstate)
		nr = READ_ONCE(*fl_sym.hugetlb_max_hstate);
	for (i = 0; i < nr; i++) {
		const struct hstate *h = &fl_sym.hstates[i];

		seq_printf(m,
			   FL_HUGETLB_POOL("%u", "%lu", "%lu", "%lu", "%lu") "\n",
			   h->order, READ_ONCE(h->nr_huge_pages),
			   READ_ONCE(h->free_huge_pages),
			   READ_ONCE(h->resv_huge_pages),
			   READ_ONCE(h->surplus_huge_pages));
	}
#endif
}

static int fl_share_show(struct seq_file *m, void *unused)
{
	struct fl_place_in *place = m->private;
	struct task_struct *task;
	struct mm_struct *mm;
	unsigned long address;
	struct pid *pid;

	mutex_lock(&place->lock);
	pid = get_pid(place->pid);
	address = place->address;
	mutex_unlock(&place->lock);
	if (!pid)
		return 0;
	task = get_pid_task(pid, PIDTYPE_PID);
	put_pid(pid);
	if (!task)
		return -ESRCH;
	mm = get_task_mm(task);
	put_task_struct(task);
	if (!mm)
		return -ESRCH;
	fl_mm_share_show(m, mm, address);
	mmput(mm);
	fl_pools_show(m);
	return 0;
}

static int fl_share_open(void *state, struct file *file)
{
	struct fl_place_in *place = state;

	mutex_init(&place->lock);
	return 0;
}

static void fl_share_release(void *state)
{
	struct fl_place_in *place = state;

	put_pid(place->pid);
}

static int fl_share_command(void *state, char *text)
{
	struct fl_place_in *place = state;
	unsigned long address;
	struct pid *pid;
	int nr;

	if (sscanf(text, FL_HUGETLB_ASK("%d", "%lx"), &nr, &address) != 2 || nr < 0)
		return -EINVAL;
	pid = nr ? find_get_pid(nr) : get_task_pid(current, PIDTYPE_TGID);
	if (!pid)
		return -ESRCH;
	mutex_lock(&place->lock);
	swap(place->pid, pid);
	place->address = address;
	mutex_unlock(&place->lock);
	put_pid(pid);
	return 0;
}

const struct fl_instrument fl_hugetlb_share = {
	.file = {
		.size = sizeof(struct fl_place_in),
		.open = fl_share_open,
		.release = fl_share_release,
		.command = fl_share_command,
		.show = fl_share_show,
	},
};
