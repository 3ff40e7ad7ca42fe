/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * hugetlb_lines.h - the formats of <debugfs>/faultline/hugetlb/share, a line
 * each. Given the conversion of each value, in this order, a line is the format
 * that the module prints with and that the driver and the selftests scan with.
 */
#ifndef FAULTLINE_HUGETLB_LINES_H
#define FAULTLINE_HUGETLB_LINES_H

/* Written: the process, as the writer sees its number (0: the writer); hexadecimal. */
#define FL_HUGETLB_ASK(pid, address) pid " " address

/*
 * The first line, or one of the two words. @pud: none, huge, or table; @pfn: of
 * the table of PMDs that the PUD leads to; @shared: the kernel's share count,
 * the number of other users (-1: this kernel does not share); both are 0
 * without a table. @lock: the VMA's hugetlb lock, none if it has none, else
 * free, write, or read:N for N readers. @mapped: the hugetlb memory of the mm,
 * in pages of the smallest size.
 */
#define FL_HUGETLB_SHARE(pid, address, pud, pfn, shared, lock, mapped)      \
	"share pid " pid " address " address " pud " pud " pfn " pfn        \
	" shared " shared " lock " lock " mapped " mapped

/* @lock: mmap_lock or i_mmap_rwsem, which another task held. */
#define FL_HUGETLB_BUSY(lock) "busy " lock

/* No hugetlb mapping of a file is there. */
#define FL_HUGETLB_UNMAPPED "unmapped"

/*
 * For each mapping of the same file whose PUD leads to the same table, the one that
 * was asked for, too. @pid: 0 where the kernel does not know it.
 */
#define FL_HUGETLB_USER(pid, address) "user " pid " " address

/* For each size of huge pages. */
#define FL_HUGETLB_POOL(order, pages, free, reserved, surplus)              \
	"pool order " order " pages " pages " free " free                   \
	" reserved " reserved " surplus " surplus

#endif /* FAULTLINE_HUGETLB_LINES_H */
