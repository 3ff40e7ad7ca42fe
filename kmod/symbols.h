/* SPDX-License-Identifier: GPL-2.0 */
/* symbols.h - kernel functions that are not exported, resolved once by name. */
#ifndef FAULTLINE_SYMBOLS_H
#define FAULTLINE_SYMBOLS_H

#include <linux/mm_types.h>
#include <linux/sched.h>
#include <linux/seq_file.h>
#include <linux/stacktrace.h>
#include <linux/task_work.h>
#include <linux/types.h>

struct hstate;
struct inode;
struct mm_walk;
struct mmu_gather;
struct tracepoint;
struct rb_root_cached;
struct vm_area_struct;

/*
 * Members are NULL where this kernel has no such function. Fixed from load to
 * unload, so no lock.
 */
struct fl_symbols {
	unsigned long (*kallsyms_lookup_name)(const char *name);
	int (*kallsyms_lookup_size_offset)(unsigned long addr,
					   unsigned long *size,
					   unsigned long *offset);
	unsigned long (*ftrace_location)(unsigned long ip);
	void (*arch_stack_walk)(stack_trace_consume_fn consume, void *cookie,
				struct task_struct *task, struct pt_regs *regs);
	void (*put_task_stack)(struct task_struct *task);
	int (*task_work_add)(struct task_struct *task,
			     struct callback_head *work,
			     enum task_work_notify_mode notify);
	struct vm_area_struct *(*i_mmap_first)(void *tree, unsigned long first,
					       unsigned long last);
	void (*pte_free_defer)(struct mm_struct *mm, pgtable_t table);
	void (*pmd_install)(struct mm_struct *mm, pmd_t *pmd, pgtable_t *table);
	void (*drain_all_pages)(struct zone *zone);
	/* Its result is of another type in each series: not used. */
	void (*isolate_movable_page)(struct page *page, unsigned int mode);
	void (*vmemmap_remap_pte)(pte_t *pte, unsigned long address, void *walk);
	void (*hugetlb_vmemmap_optimize_folios)(void *hstate,
						struct list_head *folios);
	void (*__flush_tlb_all)(void); /* of this CPU; not preemptible */
	atomic_long_t *nr_memmap_pages, *nr_memmap_boot_pages;
	struct hstate *hstates; /* hugetlb's pools, */
	int *hugetlb_max_hstate; /* and their number */
	struct mutex **hugetlb_fault_mutex_table;
	int *num_fault_mutexes;
	int (*__pmd_alloc)(struct mm_struct *mm, pud_t *pud,
			   unsigned long address);
	void (*remove_inode_hugepages)(struct inode *inode, loff_t start,
				       loff_t end);
	int (*move_hugetlb_page_tables)(struct vm_area_struct *vma,
					struct vm_area_struct *new_vma,
					unsigned long old_addr,
					unsigned long new_addr,
					unsigned long len);
	int (*change_huge_pmd)(struct mmu_gather *tlb,
			       struct vm_area_struct *vma, pmd_t *pmd,
			       unsigned long address, pgprot_t protection,
			       unsigned long flags);
	pmd_t (*pmdp_huge_clear_flush)(struct vm_area_struct *vma,
				       unsigned long address, pmd_t *pmd);
	int (*pagemap_scan_pte_hole)(unsigned long start, unsigned long end,
				     int depth, struct mm_walk *walk);
	unsigned int *khugepaged_max_ptes_none;
	int (*shmem_unuse_inode)(struct inode *inode, unsigned int type);
	void (*shmem_uncharge)(struct inode *inode, long pages);
	void *table_alloc; /* see fl_table_alloc() in compat.h */
	void *table_free;
};

extern struct fl_symbols fl_sym;

/* A member, for fl_symbols_missing(). */
#define FL_SYM(member) ((void **)&fl_sym.member)

/*
 * The name of the first of these members, a list that ends with NULL, that this
 * kernel does not have; NULL if it has all.
 */
const char *fl_symbols_missing(void **const *needs);

/*
 * May sleep. 0, or -errno if not even kallsyms_lookup_name() was found; -EOPNOTSUPP if
 * it must not be called.
 */
int fl_symbols_init(void);

/* Address of a symbol, 0 if there is none or without= names it; may sleep. */
unsigned long fl_symbol_address(const char *name);

/* The text range [*start, *end) of the function at @addr; -ENOENT if unknown. */
int fl_symbol_range(unsigned long addr, unsigned long *start,
		    unsigned long *end);

/* NULL if there is none of that name. May sleep. */
struct tracepoint *fl_tracepoint(const char *name);

/* <debugfs>/capabilities: a line each, "NAME yes|no why". */
int fl_capabilities_show(struct seq_file *m, void *unused);

#endif /* FAULTLINE_SYMBOLS_H */
