// SPDX-License-Identifier: GPL-2.0
/*
 * controls.c - functions that stand in for kernel functions, for the actors of
 * a control alone, to bring a hazard back in a stock kernel.
 *
 * A replacement has the prototype of what it replaces and runs in its context.
 * It may call the original: hooks ignore calls from this module.
 */
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/uaccess.h>

#include "sites.h"
#include "symbols.h"

/*
 * For i_mmap_first, which is vma_interval_tree_iter_first(root, first, last) or
 * mapping_rmap_tree_iter_first(mapping, first, last): blind to ranges, not to
 * points.
 * collapse_file() looks for userfaultfds in the range of the extent, and
 * retract_page_tables() for mappings of its first page; only the first is
 * to be taken away.
 */
static struct vm_area_struct *iter_first_point_only(void *tree,
						    unsigned long first,
						    unsigned long last)
{
	if (first != last)
		return NULL;
	return fl_sym.i_mmap_first(tree, first, last);
}

/* For any function: lets the selftests see that it was run instead. */
static unsigned long selftest_answer(void)
{
	return 42;
}

/* For any function: what a judge of kernel logs must not overlook. */
static unsigned long selftest_warn(void)
{
	WARN(1, "faultline: planted by a control\n");
	return 0;
}

static const struct fl_replacement {
	const char *name;
	void *address;
	void **needs; /* the original it calls, or NULL */
	const char *about;
} fl_replacements[] = {
	{
		.name = "iter_first_point_only",
		.address = iter_first_point_only,
		.needs = (void **)&fl_sym.i_mmap_first,
		.about = "for i_mmap_first: no VMA in any range",
	},
	{
		.name = "selftest_answer",
		.address = selftest_answer,
		.about = "for any function: returns 42",
	},
	{
		.name = "selftest_warn",
		.address = selftest_warn,
		.about = "for any function: a WARN in the kernel log, returns 0",
	},
};

unsigned long fl_replacement_address(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(fl_replacements); i++) {
		const struct fl_replacement *r = &fl_replacements[i];

		if (!strcmp(name, r->name))
			return r->needs && !*r->needs ?
				       0 :
				       (unsigned long)r->address;
	}
	return 0;
}

int fl_replacements_show(struct seq_file *m, void *unused)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(fl_replacements); i++)
		if (fl_replacement_address(fl_replacements[i].name))
			seq_printf(m, "%s %s\n", fl_replacements[i].name,
				   fl_replacements[i].about);
	return 0;
}

void fl_corrupt_byte(unsigned long address)
{
	u8 __user *at = (u8 __user *)address;
	u8 byte;

	/* A control that could not be applied is not caught, and so is seen. */
	if (current->mm && !copy_from_user(&byte, at, 1)) {
		byte = ~byte;
		if (copy_to_user(at, &byte, 1))
			pr_warn_once("faultline: nothing to corrupt at %lx\n",
				     address);
	}
}
