/* SPDX-License-Identifier: GPL-2.0 */
/*
 * compat.h - the only place with differences of kernel release or architecture.
 *
 * Each entry names its commit and release; if no form fits, the build fails
 * here.
 */
#ifndef FAULTLINE_COMPAT_H
#define FAULTLINE_COMPAT_H

#include <linux/ftrace.h>
#include <linux/mm.h>
#include <linux/pgtable.h>
#include <linux/ptrace.h>
#include <linux/rwsem.h>
#include <linux/version.h>

/* struct folio_batch: linux/pagevec.h is linux/folio_batch.h in 7.2. */
#ifdef __has_include
#if __has_include("linux/folio_batch.h")
#include <linux/folio_batch.h>
#else
#include <linux/pagevec.h>
#endif
#else /* sparse */
#include <linux/pagevec.h>
#endif

#include <asm/pgalloc.h>
#if defined(CONFIG_X86_64)
#include <asm/apic.h>
#include <asm/irq_vectors.h>
#endif

#if !defined(CONFIG_DYNAMIC_FTRACE) || !defined(CONFIG_KPROBES) || \
	!defined(CONFIG_KALLSYMS) || !defined(CONFIG_DEBUG_FS)
#error "faultline needs CONFIG_DYNAMIC_FTRACE, KPROBES, KALLSYMS and DEBUG_FS"
#endif

/*
 * Since a2e17cc2efc7 ("mm/khugepaged: maintain page cache uptodate flag", v6.4)
 * collapse_file() checks the holes again before it stores the huge page. The
 * controls of that use generic_error_remove_folio(), which is there since "fs:
 * convert error_remove_page to error_remove_folio" (v6.8).
 */
#define FL_COLLAPSE_RE_CHECKS (KERNEL_VERSION(6, 8, 0) <= LINUX_VERSION_CODE)

/*
 * Page tables of a page that are in use or were never handed out. Several share
 * a page on ppc64 alone; their count moved to struct ptdesc in v6.6
 * (32cc0b7c9d50 uses it there).
 */
static inline int fl_page_tables_of(struct page *page)
{
#if !defined(CONFIG_PPC64)
	return 1;
#elif KERNEL_VERSION(6, 6, 0) <= LINUX_VERSION_CODE
	return atomic_read(&page_ptdesc(page)->pt_frag_refcount);
#else
	return atomic_read(&page->pt_frag_refcount);
#endif
}

/*
 * The lock of a PTE table, by the table's address. Not pte_lockptr(): ppc64 does not
 * export pmd_page(). ptep_lockptr() is there since 5f75cfbd6bb0 (v6.11), and
 * ptlock_ptr() takes a struct ptdesc since 1865484af6b2 (v6.6).
 */
static inline spinlock_t *fl_table_lock(struct mm_struct *mm, pte_t *table)
{
#if KERNEL_VERSION(6, 11, 0) <= LINUX_VERSION_CODE
	return ptep_lockptr(mm, table);
#elif KERNEL_VERSION(6, 6, 0) <= LINUX_VERSION_CODE
	return ptlock_ptr(virt_to_ptdesc(table));
#else
	return ptlock_ptr(virt_to_page(table));
#endif
}

/*
 * How the kernel makes a PTE table for user space, and frees one at once:
 *
 *	FL_TABLE_ALLOC, FL_TABLE_FREE	names of the symbols that it takes
 *	fl_table_alloc(), fl_table_free()	given what these names resolve to
 *	fl_table_address(), fl_table_at()	of a pgtable_t
 *
 * pte_fragment_alloc() has this form since 4cf58924951e (v5.0), the others have
 * theirs in all of 6.1 to 7.3. s390 gives each table a page since d08d4e7cd6bf
 * ("s390/mm: use full 4KB page for 2KB PTE", v6.8), and has pte_free_defer()
 * on two tables a page in 6.6 and 6.7 alone.
 */
#if defined(CONFIG_PPC64)

#define FL_TABLE_ALLOC "pte_fragment_alloc"
#define FL_TABLE_FREE "pte_fragment_free"
#define FL_TABLES_PER_PAGE PTE_FRAG_NR

static inline pgtable_t fl_table_alloc(void *function, struct mm_struct *mm)
{
	return ((pte_t *(*)(struct mm_struct *, int))function)(mm, 0);
}

static inline void fl_table_free(void *function, struct mm_struct *mm,
				 pgtable_t table)
{
	((void (*)(unsigned long *, int))function)((unsigned long *)table, 0);
}

#elif defined(CONFIG_S390)

#define FL_TABLE_ALLOC "page_table_alloc"
#define FL_TABLE_FREE "page_table_free"
#define FL_TABLES_PER_PAGE 1

static inline pgtable_t fl_table_alloc(void *function, struct mm_struct *mm)
{
	return (pgtable_t)((unsigned long *(*)(struct mm_struct *))function)(mm);
}

static inline void fl_table_free(void *function, struct mm_struct *mm,
				 pgtable_t table)
{
	((void (*)(struct mm_struct *, unsigned long *))function)(
		mm, (unsigned long *)table);
}

#elif defined(CONFIG_X86_64) || defined(CONFIG_ARM64)

#ifdef CONFIG_X86_64
#define FL_TABLE_ALLOC "pte_alloc_one"

static inline pgtable_t fl_table_alloc(void *function, struct mm_struct *mm)
{
	return ((pgtable_t (*)(struct mm_struct *))function)(mm);
}
#else
/* pte_alloc_one() is inline, and its helper is in compat.c. */
#define FL_TABLE_ALLOC "init_mm"
#define FL_TABLE_ALLOC_INLINE 1
extern struct mm_struct *fl_init_mm;
pgtable_t fl_table_alloc(void *function, struct mm_struct *mm);
#endif

/* pte_free() is inline; this is what pte_free_defer() queues, and calls it. */
#define FL_TABLE_FREE "pte_free_now"
#define FL_TABLES_PER_PAGE 1

static inline void fl_table_free(void *function, struct mm_struct *mm,
				 pgtable_t table)
{
	((void (*)(struct rcu_head *))function)(&table->rcu_head);
}

#else
#error "faultline: how does this architecture allocate a PTE table?"
#endif

#if defined(CONFIG_PPC64) || defined(CONFIG_S390)
static inline unsigned long fl_table_address(pgtable_t table)
{
	return (unsigned long)table;
}

static inline pgtable_t fl_table_at(unsigned long address)
{
	return (pgtable_t)address;
}
#else
static inline unsigned long fl_table_address(pgtable_t table)
{
	return (unsigned long)page_address(table);
}

static inline pgtable_t fl_table_at(unsigned long address)
{
	return virt_to_page((void *)address);
}
#endif

/*
 * At a hooked entry: the registers of the traced function, as ftrace passes
 * them and restores them.
 *
 *	fl_entry_usable()	are they all there?
 *	fl_entry_ip()		where the traced function goes on, with a setter
 *	fl_entry_caller()	its return address, with a setter
 *	fl_entry_set_value()	what it returns, if it is not run
 *	fl_entry_argument()	its first or second argument, to read and to write
 *
 * arm64 has no pt_regs at function entries since 26299b3f6ba2 (v6.3). x86-64
 * and s390 have them all if asked with SAVE_REGS. ppc64 would, too, but must
 * not be asked: ftrace_regs_caller() also restores r13, the CPU's paca, and a
 * task that was preempted in there and goes on at another CPU gets the wrong
 * one (docs/findings/ppc64-ftrace-paca.md). Without SAVE_REGS it has the
 * registers of a call, and these are enough (40b035efe288, v5.17). struct
 * ftrace_regs became opaque with e4cf33ca4812 (v6.13).
 */
#ifndef arch_ftrace_regs
#define arch_ftrace_regs(fregs) (fregs)
#endif

#if defined(CONFIG_DYNAMIC_FTRACE_WITH_REGS)

#ifdef CONFIG_PPC64

#define FL_OPS_FLAGS 0

static inline struct pt_regs *fl_entry_regs(struct ftrace_regs *fregs)
{
	return &arch_ftrace_regs(fregs)->regs;
}

#else

#define FL_OPS_FLAGS FTRACE_OPS_FL_SAVE_REGS

static inline struct pt_regs *fl_entry_regs(struct ftrace_regs *fregs)
{
	return ftrace_get_regs(fregs);
}

#endif

static inline bool fl_entry_usable(struct ftrace_regs *fregs)
{
	return fl_entry_regs(fregs) != NULL;
}

static inline unsigned long fl_entry_ip(struct ftrace_regs *fregs)
{
	return instruction_pointer(fl_entry_regs(fregs));
}

static inline void fl_entry_set_ip(struct ftrace_regs *fregs, unsigned long ip)
{
	instruction_pointer_set(fl_entry_regs(fregs), ip);
}

static inline void fl_entry_set_value(struct ftrace_regs *fregs, u64 value)
{
	regs_set_return_value(fl_entry_regs(fregs), value);
}

static inline unsigned long *fl_entry_caller_slot(struct ftrace_regs *fregs)
{
	struct pt_regs *regs = fl_entry_regs(fregs);

#if defined(CONFIG_X86_64)
	/* On top of the stack; see ftrace_regs_caller. */
	return (unsigned long *)regs->sp;
#elif defined(CONFIG_ARM64)
	return (unsigned long *)&regs->regs[30];
#elif defined(CONFIG_PPC64)
	return &regs->link;
#elif defined(CONFIG_S390)
	return &regs->gprs[14];
#else
#error "faultline: where is the return address at a function's entry?"
#endif
}

static inline unsigned long fl_entry_sp(struct ftrace_regs *fregs)
{
	return kernel_stack_pointer(fl_entry_regs(fregs));
}
static inline unsigned long *fl_entry_argument(struct ftrace_regs *fregs, int n)
{
	struct pt_regs *regs = fl_entry_regs(fregs);

#if defined(CONFIG_X86_64)
	return n ? &regs->si : &regs->di;
#elif defined(CONFIG_ARM64)
	return (unsigned long *)&regs->regs[n];
#elif defined(CONFIG_PPC64)
	return &regs->gpr[3 + n];
#elif defined(CONFIG_S390)
	return &regs->gprs[2 + n];
#else
#error "faultline: where are a function's arguments?"
#endif
}

#elif defined(CONFIG_ARM64) && defined(CONFIG_DYNAMIC_FTRACE_WITH_ARGS)

#define FL_OPS_FLAGS 0

static inline bool fl_entry_usable(struct ftrace_regs *fregs)
{
	return true;
}

static inline unsigned long fl_entry_ip(struct ftrace_regs *fregs)
{
	return arch_ftrace_regs(fregs)->pc;
}

static inline void fl_entry_set_ip(struct ftrace_regs *fregs, unsigned long ip)
{
	arch_ftrace_regs(fregs)->pc = ip;
}

static inline void fl_entry_set_value(struct ftrace_regs *fregs, u64 value)
{
	arch_ftrace_regs(fregs)->regs[0] = value;
}

static inline unsigned long *fl_entry_caller_slot(struct ftrace_regs *fregs)
{
	return &arch_ftrace_regs(fregs)->lr;
}

static inline unsigned long fl_entry_sp(struct ftrace_regs *fregs)
{
	return arch_ftrace_regs(fregs)->sp;
}
static inline unsigned long *fl_entry_argument(struct ftrace_regs *fregs, int n)
{
	return (unsigned long *)&arch_ftrace_regs(fregs)->regs[n];
}

#else
#error "faultline: ftrace gives no registers here (DYNAMIC_FTRACE_WITH_REGS or _ARGS)"
#endif

static inline unsigned long fl_entry_caller(struct ftrace_regs *fregs)
{
	return *fl_entry_caller_slot(fregs);
}

static inline void fl_entry_set_caller(struct ftrace_regs *fregs,
				       unsigned long caller)
{
	*fl_entry_caller_slot(fregs) = caller;
}

/*
 * The registers that stubs_<arch>.S saved, lowest address first; it depends on
 * this order. `value` is the register that carries the return value.
 */
#if defined(CONFIG_X86_64)

struct fl_enter_regs {
	unsigned long bp, r11, r10, r9, r8, cx, dx, si, di;
	unsigned long value; /* rax */
	unsigned long go_on; /* where the stub goes on */
};

struct fl_return_regs {
	unsigned long dx;
	unsigned long value; /* rax */
	unsigned long go_on;
};

#elif defined(CONFIG_ARM64)

struct fl_enter_regs {
	unsigned long value; /* x0 */
	unsigned long x1_to_x8[8];
	unsigned long go_on;
};

struct fl_return_regs {
	unsigned long value; /* x0 */
	unsigned long x1;
	unsigned long go_on;
};

#elif defined(CONFIG_PPC64)

struct fl_enter_regs {
	unsigned long value; /* r3 */
	unsigned long r4_to_r10[7];
	unsigned long toc; /* r2 */
	unsigned long go_on;
};

struct fl_return_regs {
	unsigned long value; /* r3 */
	unsigned long r4;
	unsigned long toc; /* r2, for the caller */
	unsigned long go_on;
};

#elif defined(CONFIG_S390)

struct fl_enter_regs {
	unsigned long value; /* r2 */
	unsigned long r3_to_r6[4];
	unsigned long r14;
	unsigned long go_on;
};

struct fl_return_regs {
	unsigned long value; /* r2 */
	unsigned long r3;
	unsigned long go_on;
};

#else
#error "faultline: no stubs for this architecture; see CONTRIBUTING.md"
#endif

/*
 * How many others share a table of PMDs, as hugetlb counts; -1 where it does not
 * share. It counts in struct page, and since v6.13 (59d9094df3d7, also in 6.12.9)
 * in struct ptdesc; the option was renamed in v6.12 (188cac58a8bc).
 */
#if defined(CONFIG_HUGETLB_PMD_PAGE_TABLE_SHARING)
#define FL_SHARES_PMDS 1
#define fl_pmd_share_count(table) ptdesc_pmd_pts_count(page_ptdesc(table))
#elif defined(CONFIG_ARCH_WANT_HUGE_PMD_SHARE)
#define FL_SHARES_PMDS 1
#define fl_pmd_share_count(table) atomic_read(&(table)->pt_share_count)
#else
#define FL_SHARES_PMDS 0
#define fl_pmd_share_count(table) ((void)(table), -1)
#endif

static inline long fl_hugetlb_usage(struct mm_struct *mm)
{
#ifdef CONFIG_HUGETLB_PAGE
	return atomic_long_read(&mm->hugetlb_usage);
#else
	return 0;
#endif
}

/*
 * Sites in front of an instruction: on x86 alone so far. Such an architecture
 * has fl_at_stub and defines the registers that it saves.
 */
#if defined(CONFIG_X86_64)
#define FL_HAS_AT 1
struct fl_at_regs {
	unsigned long bp, r11, r10, r9, r8, cx, dx, si, di, ax, flags;
	unsigned long go_on; /* the instruction */
};
#else
#define FL_HAS_AT 0
struct fl_at_regs {
	unsigned long go_on;
};
#endif

/*
 * Has another CPU called this one, without an answer yet? Only where a hold can
 * delay a call: a TLB flush by IPI against GUP-fast, on x86. @apic->read is
 * there since long before 6.1.
 */
#if defined(CONFIG_X86_64)
static inline bool fl_vector_pending(unsigned int vector)
{
	return apic->read(APIC_IRR + vector / 32 * 0x10) & BIT(vector % 32);
}

static inline bool fl_call_pending(void)
{
	return fl_vector_pending(CALL_FUNCTION_VECTOR) ||
	       fl_vector_pending(CALL_FUNCTION_SINGLE_VECTOR);
}
#else
static inline bool fl_call_pending(void)
{
	return false;
}
#endif

/* "free", "write", or "read:N"; without waiting. */
static inline void fl_rwsem_name(const struct rw_semaphore *lock, char *name,
				 size_t len)
{
	long count = atomic_long_read(&lock->count);

	/* Bit 0 is the writer's, and readers count from bit 8 on: rwsem.c. */
	if (count & 1)
		snprintf(name, len, "write");
	else if (count >> 8 & INT_MAX)
		snprintf(name, len, "read:%d", (int)(count >> 8 & INT_MAX));
	else
		snprintf(name, len, "free");
}

/*
 * On ppc64 a module has its own table of contents (TOC, r2), and a call within
 * the kernel relies on an unchanged r2. So each path through module code must
 * enter and return by the stubs, which switch r2 and switch it back.
 */
#if defined(CONFIG_PPC64)
#define FL_HAS_TOC 1
#define fl_regs_toc(regs) ((regs)->toc)
#define fl_regs_set_toc(regs, value) ((regs)->toc = (value))
#else
#define FL_HAS_TOC 0
#define fl_regs_toc(regs) ((void)(regs), 0UL)
#define fl_regs_set_toc(regs, value) ((void)(regs), (void)(value))
#endif

/* hooks.c; called by stubs_<arch>.S alone. */
void fl_enter(struct fl_enter_regs *regs);
void fl_return(struct fl_return_regs *regs);
void fl_at(struct fl_at_regs *regs);

#endif /* FAULTLINE_COMPAT_H */
