// SPDX-License-Identifier: GPL-2.0
/*
 * locks.c - the locks that an address depends on, observed and not taken.
 */
#include <linux/maple_tree.h>
#include <linux/mm.h>
#include <linux/pgtable.h>
#include <linux/rcupdate.h>
#include <linux/rmap.h>
#include <linux/rwsem.h>
#include <linux/seq_file.h>

#include "compat.h"
#include "locks.h"
#include "pgtable_lines.h"

#define FL_STATE_LEN 24

struct fl_locks_at {
	unsigned long address;
};

struct fl_locks {
	char mmap[FL_STATE_LEN];
	char vma[FL_STATE_LEN];
	char anon_vma[FL_STATE_LEN];
	char pte[FL_STATE_LEN];
	const char *pmd;
};

#ifdef CONFIG_PER_VMA_LOCK

/* VMAs and anon_vmas are freed by RCU; the caller is in a section. */
static void fl_vma_locks(struct mm_struct *mm, unsigned long address,
			 struct fl_locks *locks)
{
	struct vm_area_struct *vma = mtree_load(&mm->mm_mt, address);
	struct anon_vma *anon_vma = vma ? READ_ONCE(vma->anon_vma) : NULL;

	if (vma)
		snprintf(locks->vma, FL_STATE_LEN, "%s",
			 READ_ONCE(vma->vm_lock_seq) ==
					 READ_ONCE(mm->mm_lock_seq.sequence) ?
				 "write" :
				 "free");
	if (anon_vma)
		fl_rwsem_name(&READ_ONCE(anon_vma->root)->rwsem,
			      locks->anon_vma, FL_STATE_LEN);
}

#else

/* A VMA may be looked at under mmap_lock alone. */
static void fl_vma_locks(struct mm_struct *mm, unsigned long address,
			 struct fl_locks *locks)
{
	snprintf(locks->anon_vma, FL_STATE_LEN, "unknown");
}

#endif

/* Interrupts are off, which keeps page tables as it does for GUP-fast. */
static void fl_pte_lock(struct mm_struct *mm, unsigned long address,
			struct fl_locks *locks)
{
	pgd_t *pgd = pgd_offset(mm, address);
	p4d_t *p4d;
	pud_t *pud;
	pmd_t *pmdp, pmd;
	pte_t *table;

	if (pgd_none(*pgd) || pgd_bad(*pgd))
		return;
	p4d = p4d_offset(pgd, address);
	if (p4d_none(*p4d) || p4d_bad(*p4d))
		return;
	pud = pud_offset(p4d, address);
	if (pud_none(*pud) || pud_bad(*pud))
		return;
	pmdp = pmd_offset(pud, address);
	pmd = READ_ONCE(*pmdp);
	if (pmd_none(pmd))
		return;
	if (!pmd_present(pmd) || pmd_leaf(pmd)) {
		locks->pmd = "huge";
		return;
	}
	locks->pmd = "table";
	table = (pte_t *)pmd_page_vaddr(pmd);
	snprintf(locks->pte, FL_STATE_LEN, "%s",
		 raw_spin_is_locked(spinlock_check(fl_table_lock(mm, table))) ?
			 "write" :
			 "free");
}

static int fl_locks_show(struct seq_file *m, void *unused)
{
	const struct fl_locks_at *at = m->private;
	struct mm_struct *mm = current->mm;
	struct fl_locks locks = {
		.vma = "none",
		.anon_vma = "none",
		.pte = "none",
		.pmd = "none",
	};
	unsigned long flags;

	fl_rwsem_name(&mm->mmap_lock, locks.mmap, FL_STATE_LEN);
	rcu_read_lock();
	fl_vma_locks(mm, at->address, &locks);
	rcu_read_unlock();
	local_irq_save(flags);
	fl_pte_lock(mm, at->address, &locks);
	local_irq_restore(flags);
	seq_printf(m, FL_LOCKS_STATES("%s", "%s", "%s", "%s", "%s") "\n",
		   locks.mmap, locks.vma, locks.anon_vma, locks.pmd, locks.pte);
	return 0;
}

static int fl_locks_command(void *state, char *text)
{
	struct fl_locks_at *at = state;
	unsigned long address;

	if (kstrtoul(strim(text), 16, &address) || address >= TASK_SIZE)
		return -EINVAL;
	WRITE_ONCE(at->address, address);
	return 0;
}

const struct fl_instrument fl_pgtable_locks = {
	.file = {
		.size = sizeof(struct fl_locks_at),
		.command = fl_locks_command,
		.show = fl_locks_show,
	},
};
