// SPDX-License-Identifier: GPL-2.0
/*
 * controls.c - functions that stand in for kernel functions, for the actors of
 * a control alone, to bring a hazard back in a stock kernel.
 *
 * A replacement has the prototype of what it replaces and runs in its context.
 * It may call the original: hooks ignore calls from this module.
 */
#include <linux/delay.h>
#include <linux/fs.h>
#include <linux/irqflags.h>
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/pagemap.h>
#include <linux/pagewalk.h>
#include <linux/rcupdate.h>
#include <linux/sched/mm.h>
#include <linux/shmem_fs.h>
#include <linux/spinlock.h>
#include <linux/uaccess.h>
#include <linux/workqueue.h>

#include "compat.h"
#include "controls.h"
#include "symbols.h"

/*
 * For i_mmap_first, which is vma_interval_tree_iter_first(root, first, last) or
 * mapping_rmap_tree_iter_first(mapping, first, last): it finds nothing in a
 * range, but still finds a point. collapse_file() looks for userfaultfds in the
 * range of the extent, and retract_page_tables() for mappings of its first
 * page; the control must blind only the first.
 */
static struct vm_area_struct *iter_first_point_only(void *tree,
						    unsigned long first,
						    unsigned long last)
{
	if (first != last)
		return NULL;
	return fl_sym.i_mmap_first(tree, first, last);
}

/* --- for pte_free_defer(mm, table) --- */

/* The hazard that the deferral avoids. */
static void pte_free_at_once(struct mm_struct *mm, pgtable_t table)
{
	fl_table_free(fl_sym.table_free, mm, table);
}

/* A leak. Only for tables of pgtable/tables, which takes them back. */
static void pte_free_never(struct mm_struct *mm, pgtable_t table)
{
}

/*
 * A retraction that is not counted. Its callers have just subtracted the table
 * from the count of the mm: add it again, and free the table as usual. Not for
 * the caller's own mm: the driver's count would be wrong until its exit.
 */
static void pte_free_uncounted(struct mm_struct *mm, pgtable_t table)
{
	if (mm != current->mm)
		mm_inc_nr_ptes(mm);
	fl_sym.pte_free_defer(mm, table);
}

static DEFINE_SPINLOCK(fl_shared_lock);
static struct fl_shared_head {
	struct mm_struct *mm;
	pgtable_t table; /* whose page has the head */
	bool pending;
} fl_shared; /* under fl_shared_lock */

static void pte_free_shared_now(struct rcu_head *head)
{
	struct fl_shared_head shared;
	unsigned long flags;

	spin_lock_irqsave(&fl_shared_lock, flags);
	shared = fl_shared;
	fl_shared.pending = false;
	spin_unlock_irqrestore(&fl_shared_lock, flags);
	fl_table_free(fl_sym.table_free, shared.mm, shared.table);
}

/*
 * Matthew Wilcox's hazard: tables that share one rcu_head, which is queued for
 * each of them. Where no two tables share a page, all use the head of the
 * first. The other tables are lost; pgtable/tables frees them, and makes a
 * second queueing of a head harmless.
 */
static void pte_free_queue_each(struct mm_struct *mm, pgtable_t table)
{
	struct page *page;
	unsigned long flags;

	spin_lock_irqsave(&fl_shared_lock, flags);
	if (!fl_shared.pending)
		fl_shared = (struct fl_shared_head){ mm, table, true };
	page = virt_to_page((void *)fl_table_address(fl_shared.table));
	spin_unlock_irqrestore(&fl_shared_lock, flags);
	call_rcu(&page->rcu_head, pte_free_shared_now);
}

/* --- for pmd_install(mm, pmd, table) --- */

static DEFINE_SPINLOCK(fl_miscounted_lock);
static struct mm_struct *fl_miscounted; /* counts one too many; grabbed */

static void fl_miscount(struct mm_struct *mm)
{
	struct mm_struct *wrong;
	unsigned long flags;

	spin_lock_irqsave(&fl_miscounted_lock, flags);
	wrong = fl_miscounted;
	fl_miscounted = wrong ? NULL : mm;
	if (fl_miscounted) {
		mmgrab(mm);
		mm_inc_nr_ptes(mm);
	} else if (wrong) {
		mm_dec_nr_ptes(wrong);
	}
	spin_unlock_irqrestore(&fl_miscounted_lock, flags);
	if (wrong)
		mmdrop(wrong);
}

static void fl_count_right(struct work_struct *work)
{
	fl_miscount(NULL);
}

static DECLARE_DELAYED_WORK(fl_miscounted_work, fl_count_right);

/*
 * Counts one page table twice, and the next not at all. If there is no next
 * one, a work item corrects the count a second later. Until then the reference
 * keeps the kernel from checking the count of an mm that has exited.
 */
static void pmd_install_miscounted(struct mm_struct *mm, pmd_t *pmd,
				   pgtable_t *table)
{
	fl_sym.pmd_install(mm, pmd, table);
	fl_miscount(mm);
	schedule_delayed_work(&fl_miscounted_work, HZ);
}

/* --- for hugetlb_vmemmap.c, and Dirty bits of PMDs: x86 alone --- */

#ifdef CONFIG_X86_64

/* For vmemmap_remap_pte(pte, address, walk): no page becomes read-only. */
static void vmemmap_remap_writable(pte_t *pte, unsigned long address,
				   void *walk)
{
	fl_sym.vmemmap_remap_pte(pte, address, walk);
	set_pte(pte, __pte(pte_val(*pte) | _PAGE_RW | _PAGE_DIRTY));
}

/*
 * For flush_tlb_all(): the other CPUs keep their TLBs. This one must flush: it
 * uses the remapped struct pages next.
 */
static void flush_tlb_here(void)
{
	preempt_disable();
	fl_sym.__flush_tlb_all();
	preempt_enable();
}

/*
 * For hugetlb_vmemmap_optimize_folios(hstate, folios): no hazard, but a
 * candidate fix. All earlier RCU readers, which may have found a page, have
 * finished by then.
 */
static void hvo_after_grace_period(void *hstate, struct list_head *folios)
{
	synchronize_rcu();
	fl_sym.hugetlb_vmemmap_optimize_folios(hstate, folios);
}

#ifdef CONFIG_TRANSPARENT_HUGEPAGE

/*
 * For change_huge_pmd(tlb, vma, pmd, address, protection, flags): the new entry has
 * lost its Dirty bit. On x86 pmd_modify() did that up to 6.12.110 and 7.2.6.
 */
static int change_huge_pmd_clean(struct mmu_gather *tlb,
				 struct vm_area_struct *vma, pmd_t *pmd,
				 unsigned long address, pgprot_t protection,
				 unsigned long flags)
{
	int changed = fl_sym.change_huge_pmd(tlb, vma, pmd, address, protection,
					     flags);
	spinlock_t *lock = pmd_lock(vma->vm_mm, pmd);

	if (changed > 0 && pmd_present(*pmd) && pmd_trans_huge(*pmd))
		set_pmd(pmd, pmd_mkclean(*pmd));
	spin_unlock(lock);
	return changed;
}

/* For pmdp_huge_clear_flush(vma, address, pmd): drops the Dirty bit. */
static pmd_t pmdp_huge_clear_flush_clean(struct vm_area_struct *vma,
					 unsigned long address, pmd_t *pmd)
{
	return pmd_mkclean(fl_sym.pmdp_huge_clear_flush(vma, address, pmd));
}

#endif

#endif

/*
 * For pagemap_scan_pte_hole(start, end, depth, walk): each second call leaves
 * an "again" in the walk, which the level above obeys. The next call must not,
 * or the walk has no end.
 */
static int pagemap_scan_hole_again(unsigned long start, unsigned long end,
				   int depth, struct mm_walk *walk)
{
	static atomic_t calls;
	int err = fl_sym.pagemap_scan_pte_hole(start, end, depth, walk);

	if (atomic_inc_return(&calls) % 2)
		walk->action = ACTION_AGAIN;
	return err;
}

/* For huge_pmd_share(mm, vma, address, pud): never shares a table. */
static pte_t *huge_pmd_not_shared(struct mm_struct *mm,
				  struct vm_area_struct *vma,
				  unsigned long address, pud_t *pud)
{
	if (pud_none(*pud) && fl_sym.__pmd_alloc(mm, pud, address))
		return NULL;
	return (pte_t *)pmd_offset(pud, address);
}

/*
 * For remove_inode_hugepages(inode, start, end): no hazard, but a candidate
 * fix. A fault that did not see the new size has put its page into the page
 * cache by then; a later fault sees the new size.
 */
static void hugetlb_cut_after_faults(struct inode *inode, loff_t start,
				     loff_t end)
{
	int i;

	for (i = 0; i < *fl_sym.num_fault_mutexes; i++) {
		mutex_lock(&(*fl_sym.hugetlb_fault_mutex_table)[i]);
		mutex_unlock(&(*fl_sym.hugetlb_fault_mutex_table)[i]);
	}
	fl_sym.remove_inode_hugepages(inode, start, end);
}

/*
 * For move_hugetlb_page_tables(), where the first huge page is absent with its
 * table: 6.12.95 skips the rest of the table's range by setting bits of both
 * addresses, so the next page goes to the end of the new range of a PUD.
 * Returns the same as the original: all was moved.
 */
static int hugetlb_move_by_mask(struct vm_area_struct *vma,
				struct vm_area_struct *new_vma,
				unsigned long old_addr, unsigned long new_addr,
				unsigned long len)
{
	unsigned long skipped = ALIGN(old_addr + 1, PUD_SIZE) - old_addr;

	if (skipped >= len)
		return fl_sym.move_hugetlb_page_tables(vma, new_vma, old_addr,
						       new_addr, len);
	return skipped + fl_sym.move_hugetlb_page_tables(
				 vma, new_vma, old_addr + skipped,
				 ALIGN(new_addr + 1, PUD_SIZE), len - skipped);
}

#ifdef CONFIG_TRANSPARENT_HUGEPAGE

/*
 * For collapse_max_ptes_none(cc, vma, order): the limit of the seed, version 10,
 * in proportion to the order. Memory creeps with it.
 */
static unsigned int collapse_scaled_ptes_none(void *cc,
					      struct vm_area_struct *vma,
					      unsigned int order)
{
	return READ_ONCE(*fl_sym.khugepaged_max_ptes_none) >>
	       (HPAGE_PMD_ORDER - order);
}

/*
 * For pmdp_collapse_flush: clears the PMD and flushes no TLB. On s390 that is
 * pmdp_xchg_direct(), and the kernel flushes each PTE later, after the copy of
 * its page: no task reaches a freed page, but a write in between is lost.
 */
#ifdef CONFIG_S390
static pmd_t collapse_xchg_unflushed(struct mm_struct *mm,
				     unsigned long address, pmd_t *pmdp,
				     pmd_t new)
{
	pmd_t old = READ_ONCE(*pmdp);

	set_pmd(pmdp, new);
	return old;
}
#else
static pmd_t collapse_unflushed(struct vm_area_struct *vma,
				unsigned long address, pmd_t *pmdp)
{
	pmd_t old = READ_ONCE(*pmdp);

	pmd_clear(pmdp);
	return old;
}
#endif

#endif

/* --- for shmem_unuse_inode(inode, type), by swapoff --- */

#ifdef CONFIG_SHMEM

/*
 * The inode may be freed already. Only its place in the list is read. The
 * caller would follow that list for ever, so an error ends it.
 */
static int fl_unused(struct shmem_inode_info *info, int err)
{
	return list_empty(&info->swaplist) ? -ESTALE : err;
}

/* Nothing delays the eviction of the inode. */
static int shmem_unuse_unprotected(struct inode *inode, unsigned int type)
{
	struct shmem_inode_info *info = SHMEM_I(inode);
	int err;

	atomic_dec(&info->stop_eviction);
	err = fl_sym.shmem_unuse_inode(inode, type);
	atomic_inc(&info->stop_eviction);
	return fl_unused(info, err);
}

/* A reference, which looks like the right protection. */
static int shmem_unuse_igrab(struct inode *inode, unsigned int type)
{
	struct inode *held = igrab(inode);
	int err = shmem_unuse_unprotected(inode, type);

	iput(held);
	return err;
}

/*
 * For shmem_uncharge(), by a split that has dropped pages beyond the end of the
 * file, before it unlocks i_mmap_rwsem: it unlocks its pages too early. The
 * pages have references until the split unlocks them again.
 */
static void shmem_uncharge_unlocked(struct inode *inode, long pages)
{
	struct folio *folio;
	unsigned long index;

	fl_sym.shmem_uncharge(inode, pages);
	xa_for_each(&inode->i_mapping->i_pages, index, folio) {
		if (!xa_is_value(folio) && folio_test_locked(folio))
			folio_unlock(folio);
	}
}

#endif

/* --- for collapse_file() and its windows, as they are since 6.4 --- */

#if FL_COLLAPSE_RE_CHECKS

/*
 * For down_read(&mapping->i_mmap_rwsem), after which collapse_file() checks the
 * holes again. Removes a page that filled a hole in between: the huge page
 * replaces it, as without a second check. The collapse has locked the old
 * folios, and they stay.
 */
static void i_mmap_lock_forget_filled(struct rw_semaphore *sem)
{
	struct address_space *mapping =
		container_of(sem, struct address_space, i_mmap_rwsem);
	struct folio_batch batch;
	pgoff_t index = 0;
	unsigned int i;

	folio_batch_init(&batch);
	while (filemap_get_folios(mapping, &index, ULONG_MAX, &batch)) {
		for (i = 0; i < folio_batch_count(&batch); i++) {
			struct folio *folio = batch.folios[i];

			if (!folio_trylock(folio))
				continue;
			generic_error_remove_folio(mapping, folio);
			folio_unlock(folio);
		}
		folio_batch_release(&batch);
	}
	down_read(sem);
}

/*
 * For up_read(&mapping->i_mmap_rwsem), when collapse_file() has looked for
 * userfaultfds: the holes lose their retry entries before the huge page is
 * stored. The caller holds the lock of the page cache.
 */
static void i_mmap_unlock_no_retry(struct rw_semaphore *sem)
{
	struct address_space *mapping =
		container_of(sem, struct address_space, i_mmap_rwsem);
	XA_STATE(xas, &mapping->i_pages, 0);
	void *entry;

	xas_for_each(&xas, entry, ULONG_MAX) {
		if (entry == XA_RETRY_ENTRY)
			xas_store(&xas, NULL);
	}
	up_read(sem);
}

/*
 * For folio_add_lru(folio), just before the huge page goes to the page cache:
 * it is not up to date yet, as before 6.4. folio_unlock_uptodate() corrects
 * that.
 */
static void folio_add_lru_not_uptodate(struct folio *folio)
{
	folio_add_lru(folio);
	folio_clear_uptodate(folio);
}

/* For folio_unlock(folio), of the huge page as of the old folios. */
static void folio_unlock_uptodate(struct folio *folio)
{
	if (folio_test_large(folio) && !folio_test_uptodate(folio))
		folio_mark_uptodate(folio);
	folio_unlock(folio);
}

/*
 * For __folio_lock(folio), by a truncation: treats a tmpfs folio that another
 * task has locked as locked by this one. The removal will subtract a reference
 * and a page from counts that the lock's owner relies on. Both are added first,
 * so that the data is wrong but the kernel goes on.
 */
static void shmem_folio_lock_passed(struct folio *folio)
{
	struct address_space *mapping = folio->mapping;

	if (folio_test_anon(folio) || !folio_test_swapbacked(folio) || !mapping) {
		__folio_lock(folio);
		return;
	}
	folio_get(folio);
	xa_lock_irq(&mapping->i_pages);
	mapping->nrpages += folio_nr_pages(folio);
	xa_unlock_irq(&mapping->i_pages);
	lruvec_stat_mod_folio(folio, NR_FILE_PAGES, folio_nr_pages(folio));
	lruvec_stat_mod_folio(folio, NR_SHMEM, folio_nr_pages(folio));
}

#endif

/* --- for the selftests --- */

/* For any function: shows the selftests that it ran instead. */
static unsigned long selftest_answer(void)
{
	return 42;
}

/* For any function: shows the selftests that a replacement may sleep. */
static unsigned long selftest_sleep(void)
{
	msleep(1000);
	return 0;
}

/* For any function: a WARN that a judge of kernel logs must not miss. */
static unsigned long selftest_warn(void)
{
	WARN(1, "faultline: planted by a control\n");
	return 0;
}

/* For any function: shows that the host survives the end of a machine. */
static void selftest_panic(void)
{
	panic("faultline: planted by a control\n");
}

/* The same for a CPU that no longer answers. */
static void selftest_spin(void)
{
	local_irq_disable();
	for (;;)
		cpu_relax();
}

#define FL_MAX_NEEDS 3

static const struct fl_replacement {
	const char *name;
	void *address;
	void **needs[FL_MAX_NEEDS + 1]; /* all of fl_sym that it uses; ends with NULL */
	const char *about;
} fl_replacements[] = {
	{
		.name = "iter_first_point_only",
		.address = iter_first_point_only,
		.needs = { FL_SYM(i_mmap_first) },
		.about = "for i_mmap_first: no VMA in any range",
	},
	{
		.name = "pte_free_at_once",
		.address = pte_free_at_once,
		.needs = { FL_SYM(table_free) },
		.about = "for pte_free_defer: no grace period",
	},
	{
		.name = "pte_free_never",
		.address = pte_free_never,
		.about = "for pte_free_defer: a leak",
	},
	{
		.name = "pte_free_queue_each",
		.address = pte_free_queue_each,
		.needs = { FL_SYM(table_free) },
		.about = "for pte_free_defer: one rcu_head, queued for every table",
	},
	{
		.name = "pte_free_uncounted",
		.address = pte_free_uncounted,
		.needs = { FL_SYM(pte_free_defer) },
		.about = "for pte_free_defer: the mm's count of page tables keeps it",
	},
	{
		.name = "pmd_install_miscounted",
		.address = pmd_install_miscounted,
		.needs = { FL_SYM(pmd_install) },
		.about = "for pmd_install: one table counted twice, the next not",
	},
#ifdef CONFIG_X86_64
	{
		.name = "vmemmap_remap_writable",
		.address = vmemmap_remap_writable,
		.needs = { FL_SYM(vmemmap_remap_pte) },
		.about = "for vmemmap_remap_pte: all pages of vmemmap are writable",
	},
	{
		.name = "flush_tlb_here",
		.address = flush_tlb_here,
		.needs = { FL_SYM(__flush_tlb_all) },
		.about = "for flush_tlb_all: on this CPU alone",
	},
#ifdef CONFIG_TRANSPARENT_HUGEPAGE
	{
		.name = "change_huge_pmd_clean",
		.address = change_huge_pmd_clean,
		.needs = { FL_SYM(change_huge_pmd) },
		.about = "for change_huge_pmd: the new entry is clean",
	},
	{
		.name = "pmdp_huge_clear_flush_clean",
		.address = pmdp_huge_clear_flush_clean,
		.needs = { FL_SYM(pmdp_huge_clear_flush) },
		.about = "for pmdp_huge_clear_flush: returns a clean entry",
	},
#endif
	{
		.name = "hvo_after_grace_period",
		.address = hvo_after_grace_period,
		.needs = { FL_SYM(hugetlb_vmemmap_optimize_folios) },
		.about = "for hugetlb_vmemmap_optimize_folios: after a grace period",
	},
#endif
	{
		.name = "huge_pmd_not_shared",
		.address = huge_pmd_not_shared,
		.needs = { FL_SYM(__pmd_alloc) },
		.about = "for huge_pmd_share: a table of PMDs that is not shared",
	},
	{
		.name = "hugetlb_cut_after_faults",
		.address = hugetlb_cut_after_faults,
		.needs = { FL_SYM(num_fault_mutexes),
			   FL_SYM(hugetlb_fault_mutex_table),
			   FL_SYM(remove_inode_hugepages) },
		.about = "for remove_inode_hugepages: after all faults under way",
	},
#ifdef CONFIG_TRANSPARENT_HUGEPAGE
	{
		.name = "collapse_scaled_ptes_none",
		.address = collapse_scaled_ptes_none,
		.needs = { FL_SYM(khugepaged_max_ptes_none) },
		.about = "for collapse_max_ptes_none: in proportion to the order",
	},
#ifdef CONFIG_S390
	{
		.name = "collapse_xchg_unflushed",
		.address = collapse_xchg_unflushed,
		.about = "for pmdp_collapse_flush: no TLB is flushed until the PTEs go",
	},
#else
	{
		.name = "collapse_unflushed",
		.address = collapse_unflushed,
		.about = "for pmdp_collapse_flush: no TLB is flushed",
	},
#endif
#endif
#ifdef CONFIG_SHMEM
	{
		.name = "shmem_unuse_unprotected",
		.address = shmem_unuse_unprotected,
		.needs = { FL_SYM(shmem_unuse_inode) },
		.about = "for shmem_unuse_inode: eviction is not held off",
	},
	{
		.name = "shmem_unuse_igrab",
		.address = shmem_unuse_igrab,
		.needs = { FL_SYM(shmem_unuse_inode) },
		.about = "for shmem_unuse_inode: igrab() instead of stop_eviction",
	},
	{
		.name = "shmem_uncharge_unlocked",
		.address = shmem_uncharge_unlocked,
		.needs = { FL_SYM(shmem_uncharge) },
		.about = "for shmem_uncharge: a split unlocks its pages too early",
	},
#endif
#if FL_COLLAPSE_RE_CHECKS
	{
		.name = "i_mmap_lock_forget_filled",
		.address = i_mmap_lock_forget_filled,
		.about = "for down_read: pages that filled a hole are forgotten",
	},
	{
		.name = "i_mmap_unlock_no_retry",
		.address = i_mmap_unlock_no_retry,
		.about = "for up_read: the holes lose their retry entries",
	},
	{
		.name = "folio_add_lru_not_uptodate",
		.address = folio_add_lru_not_uptodate,
		.about = "for folio_add_lru: the folio is not up to date yet",
	},
	{
		.name = "folio_unlock_uptodate",
		.address = folio_unlock_uptodate,
		.about = "for folio_unlock: the folio is up to date only now",
	},
	{
		.name = "shmem_folio_lock_passed",
		.address = shmem_folio_lock_passed,
		.about = "for __folio_lock: goes on without the lock",
	},
#endif
	{
		.name = "pagemap_scan_hole_again",
		.address = pagemap_scan_hole_again,
		.needs = { FL_SYM(pagemap_scan_pte_hole) },
		.about = "for pagemap_scan_pte_hole: the walk begins again",
	},
	{
		.name = "hugetlb_move_by_mask",
		.address = hugetlb_move_by_mask,
		.needs = { FL_SYM(move_hugetlb_page_tables) },
		.about = "for move_hugetlb_page_tables: loses the offset",
	},
	{
		.name = "selftest_answer",
		.address = selftest_answer,
		.about = "for any function: returns 42",
	},
	{
		.name = "selftest_sleep",
		.address = selftest_sleep,
		.about = "for any function that may sleep: sleeps for a second, returns 0",
	},
	{
		.name = "selftest_panic",
		.address = selftest_panic,
		.about = "for any function: a panic, for tests of the host",
	},
	{
		.name = "selftest_spin",
		.address = selftest_spin,
		.about = "for any function: a CPU hangs with interrupts off, for tests of the host",
	},
	{
		.name = "selftest_warn",
		.address = selftest_warn,
		.about = "for any function: a WARN in the kernel log, returns 0",
	},
};

void fl_controls_exit(void)
{
	flush_delayed_work(&fl_miscounted_work);
}

int fl_replacement_find(const char *name, unsigned long *address,
			const char **missing)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(fl_replacements); i++) {
		const struct fl_replacement *r = &fl_replacements[i];

		if (strcmp(name, r->name))
			continue;
		*missing = fl_symbols_missing(r->needs);
		*address = (unsigned long)r->address;
		return *missing ? -ENODEV : 0;
	}
	return -ENOENT;
}

int fl_replacements_show(struct seq_file *m, void *unused)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(fl_replacements); i++)
		if (!fl_symbols_missing(fl_replacements[i].needs))
			seq_printf(m, "%s %s\n", fl_replacements[i].name,
				   fl_replacements[i].about);
	return 0;
}

bool fl_corrupt_byte(unsigned long address, bool may_fault)
{
	u8 __user *at = (u8 __user *)address;
	u8 byte;

	if (!current->mm)
		return false;
	if (may_fault ? copy_from_user(&byte, at, 1) :
			copy_from_user_nofault(&byte, at, 1))
		return false;
	byte = ~byte;
	return !(may_fault ? copy_to_user(at, &byte, 1) :
			     copy_to_user_nofault(at, &byte, 1));
}
