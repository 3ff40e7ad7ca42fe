/* SPDX-License-Identifier: GPL-2.0 */
/* locks.h - <debugfs>/faultline/pgtable/locks: the owners of an address' locks. */
#ifndef FAULTLINE_LOCKS_H
#define FAULTLINE_LOCKS_H

#include "instrument.h"

/*
 * Each open file looks at one address of its reader's own memory. One command a
 * write:
 *
 *	ADDRESS		hexadecimal
 *
 * Reading takes none of the locks, waits for nobody, and gives
 *
 *	locks mmap STATE vma STATE anon_vma STATE pmd none|table|huge pte STATE
 *
 * STATE is "free", "write", "read:N" for N readers, or "none" if there is no such
 * lock: the VMA's before 6.4, the anon_vma's where nothing was ever touched, the
 * page table's where the PMD leads to none. That of the VMA is "write" or "free"
 * alone: its readers do not stay. A spinlock that is taken is "write". The anon_vma's
 * is "unknown" in a kernel without CONFIG_PER_VMA_LOCK: VMAs are not freed by RCU
 * there, so none is looked at.
 *
 * Errors: EINVAL (a write that is none of the above).
 */
extern const struct fl_instrument fl_pgtable_locks;

#endif /* FAULTLINE_LOCKS_H */
