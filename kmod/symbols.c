// SPDX-License-Identifier: GPL-2.0
/*
 * symbols.c - one table of kernel symbols that are not exported, resolved
 * once at load. A missing one disables the capabilities that need it, with the
 * reason; it never keeps the module from loading.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/kallsyms.h>
#include <linux/kprobes.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/tracepoint.h>

#include "compat.h"
#include "symbols.h"

struct fl_symbols fl_sym;

struct fl_symbol_row {
	const char *name;
	const char *newer; /* its name in newer kernels, if that changed */
	void **slot;
	const char *capability;
	const char *use; /* what it is good for; completes "resolved: ..." */
};

#define FL_SYMBOL(_name, _capability, _use)                             \
	{                                                               \
		.name = #_name, .slot = (void **)&fl_sym._name,         \
		.capability = _capability, .use = _use                  \
	}

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
	FL_SYMBOL(nr_memmap_pages, "memmap-counter",
		  "hvo/block can say how many pages hold struct pages"),
	FL_SYMBOL(nr_memmap_boot_pages, "memmap-boot-counter",
		  "the same of those that were there at boot"),
	FL_SYMBOL(hstates, "hugetlb-pools",
		  "hvo/block can say what is in hugetlb's pool"),
	FL_SYMBOL(hugetlb_max_hstate, "hugetlb-pools-number",
		  "hvo/block can find the pool of a page size"),
	FL_SYMBOL(hugetlb_fault_mutex_table, "hugetlb-fault-mutexes",
		  "hugetlb_cut_after_faults can wait for faults"),
	FL_SYMBOL(num_fault_mutexes, "hugetlb-fault-mutexes-number",
		  "it knows how many mutexes there are"),
	FL_SYMBOL(__pmd_alloc, "huge_pmd_not_shared",
		  "this replacement can make tables of PMDs"),
	FL_SYMBOL(remove_inode_hugepages, "hugetlb_cut_after_faults",
		  "this replacement can call the original"),
	FL_SYMBOL(move_hugetlb_page_tables, "hugetlb_move_by_mask",
		  "this replacement can call the original"),
	FL_SYMBOL(khugepaged_max_ptes_none, "collapse_scaled_ptes_none",
		  "this replacement can scale the limit"),
	FL_SYMBOL(shmem_unuse_inode, "shmem_unuse_unprotected",
		  "this replacement and shmem_unuse_igrab can call the original"),
	FL_SYMBOL(drain_all_pages, "drain-pages",
		  "hvo/block can make CPUs give back free pages"),
	{
		.name = FL_TABLE_ALLOC,
		.newer = FL_TABLE_ALLOC "_noprof", /* 6.10 and later */
		.slot = &fl_sym.table_alloc,
		.capability = "allocate-tables",
		.use = "pgtable/tables can allocate PTE tables",
	},
	{
		.name = FL_TABLE_FREE,
		.slot = &fl_sym.table_free,
		.capability = "free-tables",
		.use = "pgtable/tables can free PTE tables at once",
	},
};

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
	if (sscanf(text, "kallsyms_lookup_name+%lx", &offset) == 1)
		fl_sym.kallsyms_lookup_name = (void *)(addr - offset);
	else
		err = -ENOENT;
out_free_text:
	kfree(text);
	return err;
}

int fl_symbols_init(void)
{
	int err = fl_find_kallsyms();
	size_t i;

	if (err) {
		pr_err("cannot find kallsyms_lookup_name(): %d\n", err);
		return err;
	}
	for (i = 0; i < ARRAY_SIZE(fl_symbol_rows); i++) {
		const struct fl_symbol_row *row = &fl_symbol_rows[i];
		unsigned long address = fl_symbol_address(row->name);

		if (!address && row->newer)
			address = fl_symbol_address(row->newer);
		*row->slot = (void *)address;
	}
#ifdef FL_TABLE_ALLOC_INLINE
	fl_init_mm = fl_sym.table_alloc;
#endif
	return 0;
}

unsigned long fl_symbol_address(const char *name)
{
	return fl_sym.kallsyms_lookup_name(name);
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
	return 0;
}
