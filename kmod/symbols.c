// SPDX-License-Identifier: GPL-2.0
/*
 * symbols.c - one table of kernel symbols that are not exported, resolved once
 * at load. A missing one disables the capabilities that need it, with the
 * reason; only a missing kallsyms_lookup_name() keeps the module from loading.
 * A function that must not be called by a pointer, see ibt.h, counts as
 * missing.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/kallsyms.h>
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/tracepoint.h>

#include "compat.h"
#include "ibt.h"
#include "poison.h"
#include "symbols.h"

struct fl_symbols fl_sym;

static char *fl_without = "";
module_param_named(without, fl_without, charp, 0400);
MODULE_PARM_DESC(without, "test aid: symbols, with commas, that this kernel is taken not to have");

struct fl_symbol_row {
	const char *name;
	const char *newer; /* its name in newer kernels, if that changed */
	void **slot;
	const char *capability;
	const char *use; /* its use; completes "resolved: ..." */
	bool data; /* it is not called */
};

#define FL_ROW(_name, _capability, _use, _data)                         \
	{                                                               \
		.name = #_name, .slot = (void **)&fl_sym._name,         \
		.capability = _capability, .use = _use, .data = _data   \
	}
#define FL_SYMBOL(_name, _capability, _use) FL_ROW(_name, _capability, _use, false)
#define FL_DATA(_name, _capability, _use) FL_ROW(_name, _capability, _use, true)

static const struct fl_symbol_row fl_symbol_rows[] = {
	FL_SYMBOL(kallsyms_lookup_size_offset, "caller-filter",
		  "controls and sites can be limited to one calling function"),
	FL_SYMBOL(ftrace_location, "function-sites",
		  "enter and return sites on traceable functions"),
	FL_SYMBOL(arch_stack_walk, "blocked-stack",
		  "an excluded order names the lock function"),
	FL_SYMBOL(put_task_stack, "blocked-stack-pin",
		  "the sleeper's stack stays while it is read"),
	FL_SYMBOL(task_work_add, "late-corruption",
		  "a byte that cannot be flipped without a page fault is flipped later"),
	{
		.name = "vma_interval_tree_iter_first",
		.newer = "mapping_rmap_tree_iter_first",
		.slot = (void **)&fl_sym.i_mmap_first,
		.capability = "iter_first_point_only",
		.use = "this replacement can call the original",
	},
	FL_SYMBOL(pmd_install, "pmd_install_miscounted",
		  "this replacement can call the original"),
	FL_SYMBOL(pte_free_defer, "defer-tables",
		  "pgtable/tables can give PTE tables to pte_free_defer()"),
	FL_SYMBOL(vmemmap_remap_pte, "vmemmap_remap_writable",
		  "this replacement can call the original"),
	FL_SYMBOL(hugetlb_vmemmap_optimize_folios, "hvo_after_grace_period",
		  "this replacement can call the original"),
	FL_SYMBOL(__flush_tlb_all, "flush_tlb_here",
		  "this replacement can flush this CPU's TLB"),
	FL_DATA(nr_memmap_pages, "memmap-counter",
		"hvo/block can say how many pages hold struct pages"),
	FL_DATA(nr_memmap_boot_pages, "memmap-boot-counter",
		"the same of those that were there at boot"),
	FL_DATA(hstates, "hugetlb-pools",
		"hvo/block can say what is in hugetlb's pool"),
	FL_DATA(hugetlb_max_hstate, "hugetlb-pools-number",
		"hvo/block can find the pool of a page size"),
	FL_DATA(hugetlb_fault_mutex_table, "hugetlb-fault-mutexes",
		"hugetlb_cut_after_faults can wait for faults"),
	FL_DATA(num_fault_mutexes, "hugetlb-fault-mutexes-number",
		"it knows how many mutexes there are"),
	FL_SYMBOL(__pmd_alloc, "huge_pmd_not_shared",
		  "this replacement can make tables of PMDs"),
	FL_SYMBOL(remove_inode_hugepages, "hugetlb_cut_after_faults",
		  "this replacement can call the original"),
	FL_SYMBOL(move_hugetlb_page_tables, "hugetlb_move_by_mask",
		  "this replacement can call the original"),
	FL_SYMBOL(pagemap_scan_pte_hole, "pagemap_scan_hole_again",
		  "this replacement can call the original"),
#if defined(CONFIG_X86_64) && defined(CONFIG_TRANSPARENT_HUGEPAGE)
	FL_SYMBOL(change_huge_pmd, "change_huge_pmd_clean",
		  "this replacement can call the original"),
	FL_SYMBOL(pmdp_huge_clear_flush, "pmdp_huge_clear_flush_clean",
		  "this replacement can call the original"),
#endif
	FL_DATA(khugepaged_max_ptes_none, "collapse_scaled_ptes_none",
		"this replacement can scale the limit"),
	FL_SYMBOL(shmem_unuse_inode, "shmem_unuse_unprotected",
		  "this replacement and shmem_unuse_igrab can call the original"),
	FL_SYMBOL(shmem_uncharge, "shmem_uncharge_unlocked",
		  "this replacement can call the original"),
	FL_SYMBOL(drain_all_pages, "drain-pages",
		  "hvo/block can make CPUs give back free pages"),
	{
		.name = "isolate_movable_page",
		.newer = "isolate_movable_ops_page", /* 6.17 and later */
		.slot = (void **)&fl_sym.isolate_movable_page,
		.capability = "compiled-try-get",
		.use = "hvo/block can try a compiled get_page_unless_zero()",
	},
	{
		.name = FL_TABLE_ALLOC,
		.newer = FL_TABLE_ALLOC "_noprof", /* 6.10 and later */
		.slot = &fl_sym.table_alloc,
		.capability = "allocate-tables",
		.use = "pgtable/tables can allocate PTE tables",
#ifdef FL_TABLE_ALLOC_INLINE
		.data = true,
#endif
	},
	{
		.name = FL_TABLE_FREE,
		.slot = &fl_sym.table_free,
		.capability = "free-tables",
		.use = "pgtable/tables can free PTE tables at once",
	},
};

/* Is it one of those that we have to do without? */
static bool fl_is_without(const char *name)
{
	const char *at = fl_without;
	size_t len = strlen(name);

	for (; *at; at += strcspn(at, ","), at += *at == ',')
		if (strcspn(at, ",") == len && !strncmp(at, name, len))
			return true;
	return false;
}

/* The rows whose function exists, but must not be called. */
static bool fl_symbol_uncallable[ARRAY_SIZE(fl_symbol_rows)];

/*
 * kallsyms_lookup_name() lost its export in 5.7 (0bd476e6c671): take its
 * address from a kprobe. The probe may sit behind an endbr or an mcount
 * sequence, so subtract the offset that sprint_symbol() prints.
 */
static int fl_find_kallsyms(void)
{
	struct kprobe probe = { .symbol_name = "kallsyms_lookup_name" };
	unsigned long addr, offset;
	char *text;
	int err;

	text = kmalloc(KSYM_SYMBOL_LEN, GFP_KERNEL);
	if (!text)
		return -ENOMEM;
	err = register_kprobe(&probe);
	if (err)
		goto out_free_text;
	addr = (unsigned long)probe.addr;
	unregister_kprobe(&probe);

	sprint_symbol(text, addr);
	if (sscanf(text, "kallsyms_lookup_name+%lx", &offset) != 1)
		err = -ENOENT;
	else if (!fl_ibt_callable(addr - offset))
		err = -EOPNOTSUPP;
	else
		fl_sym.kallsyms_lookup_name = (void *)(addr - offset);
out_free_text:
	kfree(text);
	return err;
}

static void *fl_row_resolve(size_t i)
{
	const struct fl_symbol_row *row = &fl_symbol_rows[i];
	unsigned long address = fl_symbol_address(row->name);

	if (!address && row->newer && !fl_is_without(row->name))
		address = fl_symbol_address(row->newer);
	fl_symbol_uncallable[i] = address && !row->data &&
				  !fl_ibt_callable(address);
	return fl_symbol_uncallable[i] ? NULL : (void *)address;
}

int fl_symbols_init(void)
{
	int err = fl_find_kallsyms();
	size_t i;

	if (err == -EOPNOTSUPP) {
		pr_err("not loaded: IBT is on, and kallsyms_lookup_name() has no ENDBR, so a call of it would be fatal: boot with ibt=off\n");
		return err;
	}
	if (err) {
		pr_err("cannot find kallsyms_lookup_name(): %d\n", err);
		return err;
	}
	for (i = 0; i < ARRAY_SIZE(fl_symbol_rows); i++)
		*fl_symbol_rows[i].slot = fl_row_resolve(i);
#ifdef FL_TABLE_ALLOC_INLINE
	fl_init_mm = fl_sym.table_alloc;
#endif
	return 0;
}

unsigned long fl_symbol_address(const char *name)
{
	return fl_is_without(name) ? 0 : fl_sym.kallsyms_lookup_name(name);
}

static const char *fl_symbol_name(void **slot)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(fl_symbol_rows); i++)
		if (fl_symbol_rows[i].slot == slot)
			return fl_symbol_rows[i].name;
	return "a symbol that is not looked up";
}

const char *fl_symbols_missing(void **const *needs)
{
	for (; *needs; needs++)
		if (!**needs)
			return fl_symbol_name(*needs);
	return NULL;
}

int fl_symbol_range(unsigned long addr, unsigned long *start,
		    unsigned long *end)
{
	unsigned long size, offset;

	if (!fl_sym.kallsyms_lookup_size_offset ||
	    !fl_sym.kallsyms_lookup_size_offset(addr, &size, &offset))
		return -ENOENT;
	*start = addr - offset;
	*end = *start + size;
	return 0;
}

struct fl_point_search {
	const char *name;
	struct tracepoint *found;
};

static void fl_point_match(struct tracepoint *point, void *search)
{
	struct fl_point_search *wanted = search;

	if (!strcmp(point->name, wanted->name))
		wanted->found = point;
}

struct tracepoint *fl_tracepoint(const char *name)
{
	struct fl_point_search search = { .name = name };

	for_each_kernel_tracepoint(fl_point_match, &search);
	return search.found;
}

int fl_capabilities_show(struct seq_file *m, void *unused)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(fl_symbol_rows); i++) {
		const struct fl_symbol_row *row = &fl_symbol_rows[i];

		if (*row->slot)
			seq_printf(m, "%s yes %s\n", row->capability, row->use);
		else if (fl_symbol_uncallable[i])
			seq_printf(m, "%s no %s() has no ENDBR, and IBT is on: boot with ibt=off\n",
				   row->capability, row->name);
		else
			seq_printf(m, "%s no this kernel has no %s\n",
				   row->capability, row->name);
	}
	seq_printf(m, "pmd-sharing %s\n",
		   FL_SHARES_PMDS ?
			   "yes processes share tables of PMDs of hugetlb" :
			   "no this kernel does not share tables of PMDs");
	seq_printf(m, "sleep-detection %s\n",
		   IS_ENABLED(CONFIG_PREEMPT_COUNT) ?
			   "yes CONFIG_PREEMPT_COUNT tells whether a hold may sleep" :
			   "no CONFIG_PREEMPT_COUNT is off: sites of unknown context spin");
	fl_poison_show(m);
	return 0;
}
