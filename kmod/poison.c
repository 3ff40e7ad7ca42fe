// SPDX-License-Identifier: GPL-2.0
/*
 * poison.c - the bytes of memory that was not cleared.
 *
 * A kernel booted with init_on_alloc=0 page_poison=1 slub_debug=P fills free
 * memory with a pattern. Its log does not mention pages, so allocate a page and
 * an object and read them.
 */
#include <linux/compiler.h>
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/poison.h>
#include <linux/slab.h>

#include "poison.h"

#define FL_OBJECT_BYTES 64

/*
 * Bytes at @at that are @pattern. The compiler must not know that they were
 * never written.
 */
static size_t fl_count(const u8 *at, size_t bytes, u8 pattern)
{
	size_t i, found = 0;

	for (i = 0; i < bytes; i++)
		found += READ_ONCE(at[i]) == pattern;
	return found;
}

static void fl_show(struct seq_file *m, const char *name, size_t found,
		    size_t wanted, u8 pattern)
{
	seq_printf(m, "%s %s %zu of %zu bytes that nobody cleared are 0x%x\n",
		   name, found == wanted ? "yes" : "no", found, wanted, pattern);
}

void fl_poison_show(struct seq_file *m)
{
	struct page *page = alloc_page(GFP_KERNEL);
	u8 *object = kmalloc(FL_OBJECT_BYTES, GFP_KERNEL);

	if (page)
		fl_show(m, "poisoned-pages",
			fl_count(page_address(page), PAGE_SIZE, PAGE_POISON),
			PAGE_SIZE, PAGE_POISON);
	else
		seq_puts(m, "poisoned-pages no there was no page to look at\n");
	/* The last byte of an object is POISON_END. */
	if (object)
		fl_show(m, "poisoned-objects",
			fl_count(object, FL_OBJECT_BYTES - 1, POISON_FREE),
			FL_OBJECT_BYTES - 1, POISON_FREE);
	else
		seq_puts(m, "poisoned-objects no there was no object to look at\n");
	kfree(object);
	if (page)
		__free_page(page);
}
