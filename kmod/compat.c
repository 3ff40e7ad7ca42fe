// SPDX-License-Identifier: GPL-2.0
/*
 * compat.c - what compat.h cannot do in a header.
 *
 * Where pte_alloc_one() is inline it asks, in 7.2, whether the mm is
 * init_mm, which is not exported. So that name is made to mean what was
 * resolved at load, and must be so before linux/mm.h is read.
 */
#include <linux/mm_types.h>

#ifdef CONFIG_ARM64
struct mm_struct *fl_init_mm;
#define init_mm (*fl_init_mm)
#endif

#include "compat.h"

#ifdef FL_TABLE_ALLOC_INLINE
pgtable_t fl_table_alloc(void *function, struct mm_struct *mm)
{
	return pte_alloc_one(mm);
}
#endif
