/* SPDX-License-Identifier: GPL-2.0 */
/*
 * site_table.h - the table of logical sites.
 *
 * Names of functions change between kernels, and some windows are reached
 * through different functions on different machines. A row gives the window a
 * name that stays; candidates are tried in order, and the first that exists and
 * can be traced is taken. Any other traceable function can be named directly.
 *
 * To add a site, add a row. Its context is that of all its candidates: write
 * FL_CONTEXT_SLEEP only where each of them may sleep.
 *
 * sites.c includes it (C), and the driver's kernel/sites.cpp (C++), which says on
 * the host which kernel has which site. No other file does: it defines the table.
 */
#ifndef FAULTLINE_SITE_TABLE_H
#define FAULTLINE_SITE_TABLE_H

#include "faultline_abi.h"

#define FL_MAX_CANDIDATES 4

/* As KERNEL_VERSION(), which a program in user space may lack. */
#define FL_RELEASE(major, minor) (((major) << 16) + ((minor) << 8))

struct fl_candidate {
	const char *function;
	const char *caller; /* only when called from here; NULL = anyone */
	unsigned int since, before; /* FL_RELEASE(); 0 = any */
};

struct fl_logical_site {
	const char *name;
	const char *about;
	enum fl_context context;
	struct fl_candidate candidates[FL_MAX_CANDIDATES + 1]; /* ends with {} */
};

static const struct fl_logical_site fl_logical_sites[] = {
	{
		.name = "collapse_file",
		.about = "one file extent becomes a huge page",
		.context = FL_CONTEXT_SLEEP,
		.candidates = { { "collapse_file" } },
	},
	{
		.name = "collapse_scan_file",
		.about = "decides whether to call collapse_file()",
		.context = FL_CONTEXT_SLEEP,
		.candidates = { { "hpage_collapse_scan_file" },
				{ "collapse_scan_file" },
				{ "khugepaged_scan_file" },
				/* 7.3: the former is inlined there. */
				{ "collapse_single_pmd" } },
	},
	{
		/* Takes a root up to 7.2, and from 7.3 on a mapping. */
		.name = "i_mmap_first",
		.about = "begins each walk over a file's mappings",
		.context = FL_CONTEXT_SPIN,
		.candidates = { { "vma_interval_tree_iter_first" },
				{ "mapping_rmap_tree_iter_first" } },
	},
	{
		.name = "collapse_file/allocate",
		.about = "nothing scanned yet, no folio locked",
		.context = FL_CONTEXT_SLEEP,
		.candidates = { { "alloc_charge_folio", "collapse_file" },
				{ "alloc_charge_hpage", "collapse_file" } },
	},
	{
		.name = "collapse/huge-page",
		.about = "a collapse allocates its huge page",
		.context = FL_CONTEXT_SLEEP,
		.candidates = { { "__folio_alloc_noprof", "alloc_charge_folio" },
				{ "__alloc_pages", "alloc_charge_hpage" } },
	},
	{
		/*
		 * Not all architectures batch TLB flushes. Without a flush, the
		 * site is the next call. That is the charge for the holes, with
		 * no lock held, since a2e17cc2efc7 ("mm/khugepaged: maintain
		 * page cache uptodate flag", v6.4). Before, the charge was made
		 * under the xarray's lock, and the huge page was in the page
		 * cache before the flush: there the site is the copy of the
		 * first folio, or its release if the copy is inlined.
		 */
		.name = "collapse_file/unmapped",
		.about = "old folios locked and unmapped, holes not yet re-checked",
		.context = FL_CONTEXT_SLEEP,
		.candidates = { { "try_to_unmap_flush", "collapse_file" },
				{ .function = "shmem_charge",
				  .caller = "collapse_file",
				  .since = FL_RELEASE(6, 4) },
				{ .function = "copy_highpage",
				  .caller = "collapse_file",
				  .before = FL_RELEASE(6, 4) },
				{ .function = "unlock_page",
				  .caller = "collapse_file",
				  .before = FL_RELEASE(6, 4) } },
	},
	{
		/* The lock of the page cache is held, interrupts are off. */
		.name = "collapse_file/retry",
		.about = "the holes have retry entries, userfaultfds are looked for",
		.context = FL_CONTEXT_SPIN,
		.candidates = { { .function = "vma_interval_tree_iter_first",
				  .caller = "collapse_file",
				  .since = FL_RELEASE(6, 4) },
				{ .function = "mapping_rmap_tree_iter_first",
				  .caller = "collapse_file",
				  .since = FL_RELEASE(6, 4) } },
	},
	{
		/* The same; called once, before the huge page is stored. */
		.name = "collapse_file/store",
		.about = "the holes have retry entries, there is no userfaultfd",
		.context = FL_CONTEXT_SPIN,
		.candidates = { { .function = "folio_add_lru",
				  .caller = "collapse_file",
				  .since = FL_RELEASE(6, 4) } },
	},
	{
		.name = "collapse_file/retract",
		.about = "the huge page is in the page cache, still locked",
		.context = FL_CONTEXT_SLEEP,
		.candidates = { { "retract_page_tables", "collapse_file" } },
	},
	{
		/* i_mmap_rwsem is held. Needs an MMU notifier: pgtable/notifier. */
		.name = "retract_page_tables/notify",
		.about = "a page table was found, no lock of it is held yet",
		.context = FL_CONTEXT_SLEEP,
		.candidates = { { "__mmu_notifier_invalidate_range_start",
				  "retract_page_tables" },
				/* Where that is inlined. */
				{ "__mmu_notifier_invalidate_range_start",
				  "collapse_file" } },
	},
	{
		.name = "collapse_pte_mapped_thp",
		.about = "the page is huge, a mapping of it has a page table",
		.context = FL_CONTEXT_SLEEP,
		.candidates = { { "try_collapse_pte_mapped_thp" },
				{ "collapse_pte_mapped_thp" } },
	},
	{
		/* Spinlocks are held. */
		.name = "pmdp_collapse_flush",
		.about = "a page table is about to be unlinked",
		.context = FL_CONTEXT_SPIN,
		.candidates = { { "pmdp_collapse_flush" },
				{ "radix__pmdp_collapse_flush" },
				{ "hash__pmdp_collapse_flush" },
				/* s390: the former is inline. */
				{ "pmdp_xchg_direct" } },
	},
	{
		/* Its return is inside an RCU section. */
		.name = "pte_offset_map",
		.about = "finds a page table; at its return it has one, by RCU",
		.context = FL_CONTEXT_SPIN,
		.candidates = { { "__pte_offset_map", "__pte_offset_map_lock" },
				{ "__pte_offset_map", "pte_offset_map_lock" } },
	},
	{
		/* For sites in front of an instruction of it, see instructions.c. */
		.name = "filemap_get_entry",
		.about = "looks a folio up and takes a reference to it, by RCU",
		.context = FL_CONTEXT_SPIN,
		.candidates = { { "filemap_get_entry" },
				{ "mapping_get_entry" },
				{ "__filemap_get_folio" } },
	},
	{
		/* The same: whichever has it inlined. Interrupts are off. */
		.name = "gup_fast",
		.about = "takes a reference to a page that a page table has",
		.context = FL_CONTEXT_SPIN,
		.candidates = { { "try_get_folio" },
				{ "try_grab_folio_fast" },
				{ "try_grab_folio" } },
	},
	{
		.name = "collapse_huge_page/allocate",
		.about = "the PTEs were scanned, nothing of them is locked",
		.context = FL_CONTEXT_SLEEP,
		.candidates = { { "alloc_charge_folio", "collapse_huge_page" },
				{ "alloc_charge_hpage", "collapse_huge_page" } },
	},
	{
		.name = "collapse_huge_page/detached",
		.about = "the PMD is away; GUP-fast is waited for",
		.context = FL_CONTEXT_SLEEP,
		.candidates = { { "tlb_remove_table_sync_one",
				  "collapse_huge_page" } },
	},
	{
		.name = "hugepage_vma_revalidate",
		.about = "is the VMA still one to collapse in? the lock was dropped",
		.context = FL_CONTEXT_SLEEP,
		.candidates = { { "hugepage_vma_revalidate" },
				{ "hugepage_vma_revalidate.isra.0" } },
	},
	{
		.name = "sys_mremap",
		.about = "the system call",
		.context = FL_CONTEXT_SLEEP,
		.candidates = { { "__x64_sys_mremap" },
				{ "__arm64_sys_mremap" } },
	},
	{
		/* Only where whole page tables are moved: CONFIG_HAVE_MOVE_PMD. */
		.name = "move_page_tables/lock",
		.about = "a page table was found, i_mmap_rwsem is not held yet",
		.context = FL_CONTEXT_SLEEP,
		.candidates = { { "take_rmap_locks" },
				{ "down_write", "move_pgt_entry" },
				{ "down_write", "move_page_tables" } },
	},
	{
		/* For controls. The compiler may have taken arguments away. */
		.name = "hugetlb_vma_maps",
		.about = "whether a mapping still has a page that is being removed",
		.context = FL_CONTEXT_AUTO,
		.candidates = { { "hugetlb_vma_maps_pfn" },
				{ "hugetlb_vma_maps_page" },
				{ "hugetlb_vma_maps_page.isra.0" },
				{ "hugetlb_vma_maps_pfn.isra.0" } },
	},
	{
		/* Up to 7.2 without the page table lock; 6.12.117 holds it. */
		.name = "hugetlb_no_page/unlock",
		.about = "a new huge page is mapped, and still locked",
		.context = FL_CONTEXT_AUTO,
		.candidates = { { "folio_unlock", "hugetlb_no_page" },
				/* Where that is inlined. */
				{ "folio_unlock", "hugetlb_fault" } },
	},
	{
		/* The end of i_mmap_unlock_read(), which is inlined. */
		.name = "split_huge_page/unlock",
		.about = "the file's i_mmap_rwsem is about to be unlocked",
		.context = FL_CONTEXT_SLEEP,
		.candidates = { { "up_read", "__folio_split" },
				{ "up_read", "split_huge_page_to_list_to_order" },
				{ "up_read", "split_huge_page_to_list" } },
	},
	{
		.name = "pagemap_scan_pmd_entry",
		.about = "PAGEMAP_SCAN is at a PMD and holds the mmap lock for reading",
		.context = FL_CONTEXT_SLEEP,
		.candidates = { { "pagemap_scan_pmd_entry" } },
	},
	{
		.name = "madvise_cold_or_pageout_pte_range",
		.about = "MADV_COLD is at a PMD and holds the mmap lock for reading",
		.context = FL_CONTEXT_SLEEP,
		.candidates = { { "madvise_cold_or_pageout_pte_range" } },
	},
	{
		.name = "free_pgtables",
		.about = "the pages were unmapped, the page tables are there",
		.context = FL_CONTEXT_SLEEP,
		.candidates = { { "free_pgtables" } },
	},
	{
		.name = "pte_free_defer",
		.about = "a page table was unlinked; RCU will free it",
		.context = FL_CONTEXT_SLEEP,
		.candidates = { { "pte_free_defer" } },
	},
	{
		.name = "pte_free_defer/drop",
		.about = "the table is marked, its reference not dropped yet",
		.context = FL_CONTEXT_SLEEP,
		/* No caller: both are tail calls on some machines. */
		.candidates = { { "pte_fragment_free" }, { "call_rcu" } },
	},
};

#endif /* FAULTLINE_SITE_TABLE_H */
