// SPDX-License-Identifier: GPL-2.0
/*
 * pgtable.c - the page tables of a range of addresses, and their pages: shared
 * or not, reference counts, flags.
 */
#include <linux/mm.h>
#include <linux/mm_types.h>
#include <linux/pgtable.h>
#include <linux/pid.h>
#include <linux/sched/mm.h>
#include <linux/seq_file.h>
#include <linux/spinlock.h>

#include "compat.h"
#include "pgtable.h"
#include "pgtable_lines.h"

#define FL_MAX_ROWS 4096 /* of one reading */

/* The last command of an open file. */
struct fl_range {
	pid_t pid; /* 0: nothing yet */
	unsigned long start, end;
};

struct fl_ranges {
	spinlock_t lock; /* writes and reads of one open file come at once */
	struct fl_range last;
};

/*
 * NULL where no PMD is. The caller holds mmap_lock, which keeps all tables
 * above the PTEs in place.
 */
static pmd_t *fl_pmd_of(struct mm_struct *mm, unsigned long address)
{
	pgd_t *pgd = pgd_offset(mm, address);
	p4d_t *p4d;
	pud_t *pud;

	if (pgd_none(*pgd) || pgd_bad(*pgd))
		return NULL;
	p4d = p4d_offset(pgd, address);
	if (p4d_none(*p4d) || p4d_bad(*p4d))
		return NULL;
	pud = pud_offset(p4d, address);
	if (pud_none(*pud) || pud_bad(*pud))
		return NULL;
	return pmd_offset(pud, address);
}

unsigned long fl_pgtable_at(struct mm_struct *mm, unsigned long address)
{
	pmd_t *pmdp = fl_pmd_of(mm, address);
	pmd_t pmd = pmdp ? READ_ONCE(*pmdp) : __pmd(0);

	if (!pmdp || pmd_none(pmd) || !pmd_present(pmd) || pmd_leaf(pmd))
		return 0;
	return (unsigned long)pmd_page_vaddr(pmd);
}

const char *fl_pgtable_flags(struct page *page)
{
	if (folio_test_active(page_folio(page)))
		return PageTable(page) ? "table,active" : "active";
	return PageTable(page) ? "table" : "-";
}

/* PTEs in a row that map pages in a row of one large folio. */
struct fl_folio_run {
	struct folio *folio; /* NULL: none */
	unsigned long pfn; /* of its first PTE */
	unsigned int page, pages;
};

/*
 * No reference is held: a folio that is freed and reused is reported instead.
 * Its struct page stays.
 */
static struct folio *fl_large_folio(pte_t pte)
{
	struct folio *folio;

	if (!pte_present(pte) || pte_special(pte) || !pfn_valid(pte_pfn(pte)))
		return NULL;
	folio = page_folio(pfn_to_page(pte_pfn(pte)));
	return folio_test_large(folio) ? folio : NULL;
}

static void fl_folios_show(struct seq_file *m, unsigned long table)
{
	const pte_t *ptes = (const pte_t *)table;
	struct fl_folio_run run = {};
	const char *before = "";
	unsigned int i;

	for (i = 0; i <= PTRS_PER_PTE; i++) {
		pte_t pte = i < PTRS_PER_PTE ? READ_ONCE(ptes[i]) : __pte(0);
		struct folio *folio = fl_large_folio(pte);

		if (folio && folio == run.folio &&
		    pte_pfn(pte) == run.pfn + run.pages) {
			run.pages++;
			continue;
		}
		if (run.folio) {
			seq_printf(m, "%s" FL_RANGE_FOLIO("%u", "%u", "%u"),
				   before, run.page, run.pages,
				   folio_order(run.folio));
			before = ",";
		}
		run = (struct fl_folio_run){ folio, pte_pfn(pte), i, 1 };
	}
	if (!*before)
		seq_puts(m, "-");
}

/*
 * Since 6.6 a PTE table can go without mmap_lock, an RCU grace period after it
 * was unlinked: look at its page inside a section.
 */
static void fl_pmd_show(struct seq_file *m, struct mm_struct *mm,
			unsigned long address)
{
	unsigned long table;
	struct page *page;
	pmd_t *pmdp;

	rcu_read_lock();
	table = fl_pgtable_at(mm, address);
	if (table) {
		page = virt_to_page((void *)table);
		seq_printf(m,
			   FL_RANGE_TABLE("%#lx", "%#lx", "%lu",
					  FL_PGTABLE_PAGE("%d", "%d", "%s"), ""),
			   address, page_to_pfn(page), table & ~PAGE_MASK,
			   page_count(page), fl_page_tables_of(page),
			   fl_pgtable_flags(page));
		fl_folios_show(m, table);
		seq_puts(m, "\n");
	} else {
		pmdp = fl_pmd_of(mm, address);
		if (!pmdp || pmd_none(READ_ONCE(*pmdp)))
			seq_printf(m, FL_RANGE_NONE("%#lx") "\n", address);
		else
			seq_printf(m, FL_RANGE_HUGE("%#lx") "\n", address);
	}
	rcu_read_unlock();
}

static int fl_mm_show(struct seq_file *m, struct mm_struct *mm,
		      unsigned long start, unsigned long end)
{
	struct vm_area_struct *vma;
	unsigned long address;
	int rows = 0;
	int err;

	err = mmap_read_lock_killable(mm);
	if (err)
		return err;
	for (address = start & PMD_MASK; address < end; address += PMD_SIZE) {
		vma = find_vma(mm, address);
		if (!vma || vma->vm_start >= end)
			break;
		if (rows++ == FL_MAX_ROWS) {
			seq_puts(m, FL_RANGE_MORE "\n");
			break;
		}
		if (vma->vm_start > address)
			address = vma->vm_start & PMD_MASK;
		fl_pmd_show(m, mm, address);
	}
	mmap_read_unlock(mm);
	seq_printf(m, FL_RANGE_BYTES("%ld") "\n",
		   atomic_long_read(&mm->pgtables_bytes));
	return 0;
}

static int fl_range_show(struct seq_file *m, void *unused)
{
	struct fl_ranges *ranges = m->private;
	struct task_struct *task;
	struct fl_range range;
	struct mm_struct *mm;
	struct pid *pid;
	int err;

	spin_lock(&ranges->lock);
	range = ranges->last;
	spin_unlock(&ranges->lock);
	if (!range.pid)
		return 0;
	pid = find_get_pid(range.pid);
	task = get_pid_task(pid, PIDTYPE_PID);
	put_pid(pid);
	if (!task)
		return -ESRCH;
	mm = get_task_mm(task);
	put_task_struct(task);
	if (!mm)
		return -ESRCH;
	err = fl_mm_show(m, mm, range.start,
			 min(range.end, mm->task_size));
	mmput(mm);
	return err;
}

static int fl_range_open(void *state, struct file *file)
{
	struct fl_ranges *ranges = state;

	spin_lock_init(&ranges->lock);
	return 0;
}

static int fl_range_command(void *state, char *text)
{
	struct fl_ranges *ranges = state;
	struct fl_range written = {};

	if (sscanf(text, FL_RANGE_ASK("%d", "%lx", "%lx"), &written.pid,
		   &written.start, &written.end) != 3 ||
	    written.pid <= 0 || written.start >= written.end)
		return -EINVAL;
	spin_lock(&ranges->lock);
	ranges->last = written;
	spin_unlock(&ranges->lock);
	return 0;
}

const struct fl_instrument fl_pgtable_range = {
	.file = {
		.size = sizeof(struct fl_ranges),
		.open = fl_range_open,
		.command = fl_range_command,
		.show = fl_range_show,
	},
};
