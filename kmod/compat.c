// SPDX-License-Identifier: GPL-2.0
/*
 * compat.c - the part of compat.h that cannot be in a header.
 *
 * An inline pte_alloc_one() compares the mm with init_mm in 7.2, and init_mm is
 * not exported. So a macro of that name stands for the symbol resolved at load.
 * It must be defined before linux/mm.h is included.
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
