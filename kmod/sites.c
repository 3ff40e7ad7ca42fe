// SPDX-License-Identifier: GPL-2.0
/*
 * sites.c - the table of logical sites.
 *
 * Names of functions change between kernels, and some windows are reached
 * through different functions on different machines. A row gives the window a
 * name that stays; candidates are tried in order, and the first that exists and
 * can be traced is taken. Any other traceable function can be named directly.
 *
 * To add a site, add a row. Its context is that of all its candidates: write
 * FL_CONTEXT_SLEEP only where each of them may sleep.
 */
#include <linux/kernel.h>
#include <linux/seq_file.h>

#include "compat.h"
#include "sites.h"
#include "symbols.h"

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
		/*
		 * Not all architectures batch TLB flushes. Where there is none,
		 * the next call is taken; before 6.4 that is the copying of
		 * the first folio, or where it is inlined its release.
		 */
		.name = "collapse_file/unmapped",
		.about = "old folios locked and unmapped, holes not yet re-checked",
		.context = FL_CONTEXT_SLEEP,
		.candidates = { { "try_to_unmap_flush", "collapse_file" },
#if FL_COLLAPSE_CHARGES_UNLOCKED
				{ "shmem_charge", "collapse_file" } },
#else
				{ "copy_highpage", "collapse_file" },
				{ "unlock_page", "collapse_file" } },
#endif
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

const struct fl_logical_site *fl_logical_site(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(fl_logical_sites); i++)
		if (!strcmp(fl_logical_sites[i].name, name))
			return &fl_logical_sites[i];
	return NULL;
}

static bool fl_traceable(unsigned long address)
{
	return fl_sym.ftrace_location && fl_sym.ftrace_location(address);
}

static int fl_candidate_resolve(const struct fl_candidate *candidate,
				struct fl_place *place, char *why,
				size_t why_len)
{
	unsigned long caller;

	place->function = candidate->function;
	place->address = fl_symbol_address(candidate->function);
	if (!place->address) {
		snprintf(why, why_len, "this kernel has no function %s()",
			 candidate->function);
		return -ENOENT;
	}
	if (!fl_traceable(place->address)) {
		snprintf(why, why_len, "%s() cannot be traced in this kernel",
			 candidate->function);
		return -ENODEV;
	}
	place->caller_start = 0;
	place->caller_end = 0;
	if (!candidate->caller)
		return 0;
	caller = fl_symbol_address(candidate->caller);
	if (!caller || fl_symbol_range(caller, &place->caller_start,
				       &place->caller_end)) {
		snprintf(why, why_len, "this kernel has no function %s()",
			 candidate->caller);
		return -ENOENT;
	}
	return 0;
}

static int fl_logical_resolve(const struct fl_logical_site *site,
			      struct fl_place *place, char *why, size_t why_len)
{
	int err = -ENOENT;
	int i;

	place->context = site->context;
	for (i = 0; i < FL_MAX_CANDIDATES && site->candidates[i].function; i++) {
		err = fl_candidate_resolve(&site->candidates[i], place, why,
					   why_len);
		if (!err)
			return 0;
	}
	return err;
}

int fl_site_resolve(const char *name, struct fl_place *place, char *why,
		    size_t why_len)
{
	const struct fl_logical_site *site = fl_logical_site(name);
	const struct fl_candidate direct = { .function = name };

	if (site)
		return fl_logical_resolve(site, place, why, why_len);
	place->context = FL_CONTEXT_AUTO;
	return fl_candidate_resolve(&direct, place, why, why_len);
}

int fl_sites_show(struct seq_file *m, void *unused)
{
	static const char *const contexts[] = {
		[FL_CONTEXT_AUTO] = "auto",
		[FL_CONTEXT_SLEEP] = "sleeps",
		[FL_CONTEXT_SPIN] = "spins",
	};
	char why[FL_WHY_LEN];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(fl_logical_sites); i++) {
		const struct fl_logical_site *site = &fl_logical_sites[i];
		struct fl_place place;
		int err = fl_logical_resolve(site, &place, why, sizeof(why));

		seq_printf(m, "%s %s %s %s %s\n", site->name,
			   err ? "-" : place.function, contexts[site->context],
			   err ? "no" : "yes", err ? why : site->about);
	}
	return 0;
}
