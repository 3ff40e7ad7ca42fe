// SPDX-License-Identifier: GPL-2.0
/*
 * hvo.c - the struct pages of one huge page: their real page frames, their
 * protection, and the result of taking a reference by an old pointer.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/cpumask.h>
#include <linux/gfp.h>
#include <linux/hugetlb.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/seq_file.h>
#include <linux/smp.h>

#include "compat.h"
#include "hvo.h"
#include "hvo_lines.h"
#include "symbols.h"

#define FL_HVO_MAX_PAGES 8 /* of vmemmap, for a block */

enum fl_try_result {
	FL_TRY_GOT = 1,
	FL_TRY_ZERO, /* the count was 0 */
	FL_TRY_CHANGED, /* it differed from the value read before */
	FL_TRY_FAULT,
};

struct fl_try {
	const char *kind;
	unsigned int index;
	enum fl_try_result result; /* 0: nothing was tried */
	int before, after;
};

struct fl_counters {
	long memmap; /* pages that hold struct pages; -1: not known */
	long pool, free, reserved, surplus; /* huge pages of this size */
};

struct fl_block {
	struct mutex lock;
	unsigned long pfn; /* of its first page; 0: none yet */
	unsigned int index; /* of the page that was asked for */
	struct fl_counters then; /* when it was chosen */
	struct fl_try tried;
};

static struct page *fl_block_page(const struct fl_block *block, unsigned int i)
{
	return pfn_to_page(block->pfn) + i;
}

/* --- looking ------------------------------------------------------------------ */

#ifdef CONFIG_X86_64

static unsigned int fl_block_vmemmap_pages(void)
{
	return min_t(unsigned long, FL_HVO_MAX_PAGES,
		     PTRS_PER_PTE * sizeof(struct page) / PAGE_SIZE);
}

static void *fl_block_vmemmap(const struct fl_block *block, unsigned int i)
{
	return (void *)fl_block_page(block, 0) + i * PAGE_SIZE;
}

struct fl_mapping {
	unsigned long pfn;
	bool writable;
	unsigned int order;
};

static bool fl_mapping_of(void *address, struct fl_mapping *mapping)
{
	unsigned int level;
	pte_t *pte = lookup_address((unsigned long)address, &level);
	unsigned long within;

	if (!pte || !pte_present(*pte))
		return false;
	mapping->order = level == PG_LEVEL_2M ? PMD_SHIFT - PAGE_SHIFT :
			 level == PG_LEVEL_1G ? PUD_SHIFT - PAGE_SHIFT :
						0;
	within = (unsigned long)address >> PAGE_SHIFT;
	within &= (1UL << mapping->order) - 1;
	mapping->pfn = pte_pfn(*pte);
	/* A large entry has the PAT bit where a small one has its lowest pfn bit. */
	mapping->pfn &= ~((1UL << mapping->order) - 1);
	mapping->pfn += within;
	mapping->writable = pte_write(*pte);
	return true;
}

static void fl_vmemmap_show(struct seq_file *m, const struct fl_block *block)
{
	struct fl_mapping mappings[FL_HVO_MAX_PAGES] = {};
	char alias[12];
	unsigned int i, k;

	for (i = 0; i < fl_block_vmemmap_pages(); i++) {
		void *address = fl_block_vmemmap(block, i);

		if (!fl_mapping_of(address, &mappings[i])) {
			seq_printf(m, FL_HVO_NOT_MAPPED("%u") "\n", i);
			continue;
		}
		for (k = 0; k < i && mappings[k].pfn != mappings[i].pfn; k++)
			;
		strscpy(alias, "-", sizeof(alias));
		if (k < i)
			snprintf(alias, sizeof(alias), "%u", k);
		seq_printf(m,
			   FL_HVO_VMEMMAP("%u", "%#lx", "%#lx", "%s", "%u", "%s") "\n",
			   i, (unsigned long)address, mappings[i].pfn,
			   mappings[i].writable ? "rw" : "ro",
			   mappings[i].order, alias);
	}
}

struct fl_view { /* of one CPU */
	const struct fl_block *block;
	int refs[FL_HVO_MAX_PAGES];
	unsigned long flags[FL_HVO_MAX_PAGES];
	u32 sums[FL_HVO_MAX_PAGES];
};

/* On the CPU itself, interrupts off. */
static void fl_view_take(void *data)
{
	struct fl_view *view = data;
	unsigned int i, k;

	for (i = 0; i < fl_block_vmemmap_pages(); i++) {
		const u32 *words = fl_block_vmemmap(view->block, i);

		view->refs[i] = page_ref_count((const struct page *)words);
		/* The first word, by whatever name. */
		view->flags[i] = READ_ONCE(*(const unsigned long *)words);
		view->sums[i] = 0;
		for (k = 0; k < PAGE_SIZE / sizeof(*words); k++)
			view->sums[i] = view->sums[i] * 31 +
					READ_ONCE(words[k]);
	}
}

static void fl_views_show(struct seq_file *m, const struct fl_block *block)
{
	struct fl_view view = { .block = block };
	unsigned int cpu, i;

	for_each_online_cpu(cpu) {
		if (smp_call_function_single(cpu, fl_view_take, &view, 1))
			continue;
		seq_printf(m, FL_HVO_CPU("%u", "refs", ""), cpu);
		for (i = 0; i < fl_block_vmemmap_pages(); i++)
			seq_printf(m, FL_HVO_VALUE("%d"), view.refs[i]);
		seq_printf(m, "\n" FL_HVO_CPU("%u", "flags", ""), cpu);
		for (i = 0; i < fl_block_vmemmap_pages(); i++)
			seq_printf(m, FL_HVO_VALUE("%lx"), view.flags[i]);
		seq_printf(m, "\n" FL_HVO_CPU("%u", "sum", ""), cpu);
		for (i = 0; i < fl_block_vmemmap_pages(); i++)
			seq_printf(m, FL_HVO_VALUE("%08x"), view.sums[i]);
		seq_puts(m, "\n");
	}
}

/* --- counting ------------------------------------------------------------------- */

/* Without a lock: the numbers are inexact while they change. */
static struct fl_counters fl_count(void)
{
	struct fl_counters counters = { .memmap = -1 };
	int i, nr = 0;

	if (fl_sym.nr_memmap_pages && fl_sym.nr_memmap_boot_pages)
		counters.memmap =
			atomic_long_read(fl_sym.nr_memmap_pages) +
			atomic_long_read(fl_sym.nr_memmap_boot_pages);
	if (fl_sym.hstates && fl_sym.hugetlb_max_hstate)
		nr = READ_ONCE(*fl_sym.hugetlb_max_hstate);
	for (i = 0; i < nr; i++) {
		const struct hstate *h = &fl_sym.hstates[i];

		if (h->order != PMD_SHIFT - PAGE_SHIFT)
			continue;
		counters.pool = READ_ONCE(h->nr_huge_pages);
		counters.free = READ_ONCE(h->free_huge_pages);
		counters.reserved = READ_ONCE(h->resv_huge_pages);
		counters.surplus = READ_ONCE(h->surplus_huge_pages);
	}
	return counters;
}

static void fl_counters_show(struct seq_file *m, const char *when,
			     struct fl_counters counters)
{
	seq_printf(m,
		   FL_HVO_COUNTERS("%s", "%ld", "%ld", "%ld", "%ld", "%ld") "\n",
		   when, counters.memmap, counters.pool, counters.free,
		   counters.reserved, counters.surplus);
}

static void fl_block_look(struct seq_file *m, const struct fl_block *block)
{
	fl_vmemmap_show(m, block);
	fl_views_show(m, block);
	fl_counters_show(m, "then", block->then);
	fl_counters_show(m, "now", fl_count());
}

/* --- trying -------------------------------------------------------------------- */

/* One "lock cmpxchg" that may fault. *@old is the old value. False: it faulted. */
static bool fl_cmpxchg_may_fault(int *at, int *old, int new)
{
	bool done = true;

	asm volatile("1:	lock cmpxchgl %[new], %[at]\n"
		     "	jmp 3f\n"
		     "2:	movb $0, %[done]\n"
		     "3:\n"
		     _ASM_EXTABLE(1b, 2b)
		     : [at] "+m"(*at), "+a"(*old), [done] "+qm"(done)
		     : [new] "r"(new)
		     : "memory");
	return done;
}

/*
 * get_page_unless_zero() of this kernel's headers, compiled into the module. It
 * may write. Where the struct page is mapped read-only a write would oops, so
 * the module tries a copy of its page of vmemmap. The copy has the same offset
 * as the original, so that a header that recognizes aliases of heads by their
 * place and their neighbour finds the same.
 */
static enum fl_try_result fl_try_get(struct page *page, void *copy)
{
	struct fl_mapping mapping;
	void *original = (void *)((unsigned long)page & PAGE_MASK);
	struct page *tried = page;

	if (!fl_mapping_of(original, &mapping))
		return FL_TRY_FAULT;
	if (!mapping.writable) {
		memcpy(copy, original, PAGE_SIZE);
		tried = copy + offset_in_page(page);
	}
	if (!get_page_unless_zero(tried))
		return FL_TRY_ZERO;
	if (!mapping.writable)
		return FL_TRY_FAULT;
	put_page(page);
	return FL_TRY_GOT;
}

static enum fl_try_result fl_try_late(struct page *page)
{
	int old = 1;

	if (!fl_cmpxchg_may_fault(&page->_refcount.counter, &old, 2))
		return FL_TRY_FAULT;
	if (old != 1)
		return FL_TRY_CHANGED;
	put_page(page);
	return FL_TRY_GOT;
}

/* 0: the struct page is mapped writable. */
static enum fl_try_result fl_try_compiled(struct page *page, void *copy)
{
	struct fl_mapping mapping;
	enum fl_try_result result;

	if (!fl_mapping_of(page, &mapping))
		return FL_TRY_FAULT;
	if (mapping.writable)
		return 0;
	result = fl_try_get(page, copy);
	if (result == FL_TRY_ZERO)
		fl_sym.isolate_movable_page(page, 0);
	return result;
}

enum fl_try_kind { FL_TRY, FL_TRY_LATE, FL_TRY_COMPILED };

static enum fl_try_result fl_try_page(struct page *page, void *copy,
				      enum fl_try_kind kind)
{
	switch (kind) {
	case FL_TRY_LATE:
		return fl_try_late(page);
	case FL_TRY_COMPILED:
		return fl_try_compiled(page, copy);
	default:
		return fl_try_get(page, copy);
	}
}

static int fl_block_try(struct fl_block *block, unsigned int index,
			enum fl_try_kind kind)
{
	static const char *const kinds[] = { "try", "late", "compiled" };
	struct page *head = fl_block_page(block, 0);
	struct fl_try *tried = &block->tried;
	void *copy;

	if (!block->pfn || index >= PTRS_PER_PTE)
		return -EINVAL;
	if (kind == FL_TRY_COMPILED && !fl_sym.isolate_movable_page)
		return -EOPNOTSUPP;
	copy = (void *)__get_free_page(GFP_KERNEL);
	if (!copy)
		return -ENOMEM;
	tried->kind = kinds[kind];
	tried->index = index;
	tried->before = page_ref_count(head);
	tried->result = fl_try_page(fl_block_page(block, index), copy, kind);
	tried->after = page_ref_count(head);
	free_page((unsigned long)copy);
	return tried->result ? 0 : -EPERM;
}

static int fl_block_of_pfn(struct fl_block *block, unsigned long pfn)
{
	if (!pfn || !pfn_valid(pfn) ||
	    !pfn_to_online_page(pfn & ~(PTRS_PER_PTE - 1UL)))
		return -EINVAL;
	block->pfn = pfn & ~(PTRS_PER_PTE - 1UL);
	block->index = pfn & (PTRS_PER_PTE - 1);
	block->then = fl_count();
	return 0;
}

static int fl_block_of_address(struct fl_block *block, unsigned long address)
{
	struct page *page;
	unsigned long pfn;

	if (get_user_pages_fast(address, 1, 0, &page) != 1)
		return -EFAULT;
	pfn = page_to_pfn(page);
	put_page(page);
	return fl_block_of_pfn(block, pfn);
}

/* The pages of the block that were soft-offlined. */
static int fl_block_unpoison(struct fl_block *block)
{
	unsigned int i;
	int err;

	if (!block->pfn)
		return -EINVAL;
	for (i = 0; i < PTRS_PER_PTE; i++) {
		err = PageHWPoison(fl_block_page(block, i)) ?
			      unpoison_memory(block->pfn + i) :
			      0;
		if (err)
			return err;
	}
	return 0;
}

static int fl_block_drain(void)
{
	if (!fl_sym.drain_all_pages)
		return -EOPNOTSUPP;
	fl_sym.drain_all_pages(NULL);
	return 0;
}

static int fl_block_command(struct fl_block *block, const char *text)
{
	unsigned long value;
	unsigned int index;

	if (strstarts(text, FL_HVO_DRAIN))
		return fl_block_drain();
	if (strstarts(text, FL_HVO_UNPOISON))
		return fl_block_unpoison(block);
	if (sscanf(text, FL_HVO_PAGE("%lx"), &value) == 1)
		return fl_block_of_address(block, value);
	if (sscanf(text, FL_HVO_PFN("%lx"), &value) == 1)
		return fl_block_of_pfn(block, value);
	if (sscanf(text, FL_HVO_TRY("%u"), &index) == 1)
		return fl_block_try(block, index, FL_TRY);
	if (sscanf(text, FL_HVO_LATE("%u"), &index) == 1)
		return fl_block_try(block, index, FL_TRY_LATE);
	if (sscanf(text, FL_HVO_COMPILED("%u"), &index) == 1)
		return fl_block_try(block, index, FL_TRY_COMPILED);
	return -EINVAL;
}

#else /* !CONFIG_X86_64 */

static void fl_block_look(struct seq_file *m, const struct fl_block *block)
{
}

static int fl_block_command(struct fl_block *block, const char *text)
{
	return -EOPNOTSUPP;
}

#endif

/* --- the file -------------------------------------------------------------------- */

static void fl_tried_show(struct seq_file *m, const struct fl_try *tried)
{
	static const char *const results[] = { "-", "got", "zero", "changed",
					       "fault" };

	if (tried->result)
		seq_printf(m,
			   FL_HVO_TRIED("%s", "%u", "%s", "%d", "%d") "\n",
			   tried->kind, tried->index, results[tried->result],
			   tried->before, tried->after);
}

static int fl_block_show(struct seq_file *m, void *unused)
{
	struct fl_block *block = m->private;
	struct page *head;

	if (mutex_lock_killable(&block->lock))
		return -EINTR;
	if (block->pfn) {
		head = fl_block_page(block, 0);
		seq_printf(m,
			   FL_HVO_BLOCK("%#lx", "%u", "%s", "%s", "%d") "\n",
			   block->pfn, block->index,
			   PageHead(head) ? "yes" : "no",
			   PageHuge(head) ? "yes" : "no", page_ref_count(head));
		fl_block_look(m, block);
		fl_tried_show(m, &block->tried);
	}
	mutex_unlock(&block->lock);
	return 0;
}

static int fl_hvo_open(void *state, struct file *file)
{
	struct fl_block *block = state;

	mutex_init(&block->lock);
	return 0;
}

static int fl_hvo_command(void *state, char *text)
{
	struct fl_block *block = state;
	int err;

	if (mutex_lock_killable(&block->lock))
		return -EINTR;
	err = fl_block_command(block, text);
	mutex_unlock(&block->lock);
	return err;
}

const struct fl_instrument fl_hvo_block = {
	.file = {
		.size = sizeof(struct fl_block),
		.open = fl_hvo_open,
		.command = fl_hvo_command,
		.show = fl_block_show,
	},
};
