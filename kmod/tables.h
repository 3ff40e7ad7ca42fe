/* SPDX-License-Identifier: GPL-2.0 */
/* tables.h - <debugfs>/faultline/pgtable/tables: PTE tables that no mm uses. */
#ifndef FAULTLINE_TABLES_H
#define FAULTLINE_TABLES_H

#include "instrument.h"

/*
 * Each open file has a set of PTE tables, made by the kernel's own allocator
 * for the mm of the task that opened it. One command a write. pgtable_lines.h
 * has the formats.
 *
 * Errors of a write: EINVAL, EALREADY (given before), ESTALE (read: given
 * before), EIO (read: the page was freed meanwhile), EPERM (new tables: from another mm),
 * EOPNOTSUPP (this kernel has no pte_free_defer(), or for "free" no function that
 * frees a table), EAGAIN (others use the pages, too: again), ENOSPC (watch: as many
 * tables as a set can have), ENOENT (watch: no table there).
 * Closing gives back everything that was not freed.
 */
extern const struct fl_instrument fl_pgtable_tables;

#endif /* FAULTLINE_TABLES_H */
