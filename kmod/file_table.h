/* SPDX-License-Identifier: GPL-2.0 */
/*
 * file_table.h - the files below <debugfs>/faultline/.
 *
 * main.c and instrument.c create the files from it. The driver generates
 * faultline-debugfs(5) from it and from the headers that its rows name.
 */
#ifndef FAULTLINE_FILE_TABLE_H
#define FAULTLINE_FILE_TABLE_H

/* Files that are only read. _ROW(show, name, about) */
#define FL_SHOWN_FILES(_ROW)                                                \
	_ROW(fl_about, "about",                                             \
	     "the version of the interface, the kernel and the machine")    \
	_ROW(fl_capabilities, "capabilities",                               \
	     "the capabilities of the module in this kernel: a name, yes or no, and the reason") \
	_ROW(fl_sites, "sites",                                             \
	     "the sites that have a name, and the function of each in this kernel") \
	_ROW(fl_replacements, "replacements",                               \
	     "the functions that a control can put in the place of another") \
	_ROW(fl_sessions, "sessions",                                       \
	     "the open sessions: the opener of each, and the armed program")   \
	_ROW(fl_events, "events",                                           \
	     "the last holds, releases and runs of all sessions, with their times") \
	_ROW(fl_tasks, "tasks",                                             \
	     "the tasks of user space, and how often each ran: did another one run meanwhile?")

/* Read and written by ioctl() alone: see faultline_abi.h. */
#define FL_SESSION_FILE "session"
#define FL_SESSION_ABOUT                                                    \
	"for programs: each open is a session. An ioctl arms a schedule, runs it " \
	"and reads the result; close() undoes everything. See faultline_abi.h"

/*
 * A command is a write, and the answer is read. Those of one folder stand together.
 * _ROW(instrument, folder, name, header, about); "" is the top.
 */
#define FL_INSTRUMENT_FILES(_ROW)                                           \
	_ROW(fl_depth, "", "depth", "depth_lines.h",                        \
	     "the greatest depth of a task's kernel stack")        \
	_ROW(fl_calls, "", "calls", "calls_abi.h",                          \
	     "the functions that some tasks call")                          \
	_ROW(fl_stall_file, "", "stall", "",                                \
	     "a test aid: a CPU that stands still once. Written: hit or queued, and milliseconds")      \
	_ROW(fl_ibt_file, "", "ibt", "",                                    \
	     "does the target of a call by a pointer have an ENDBR? Written: FUNCTION or FUNCTION+BYTES")       \
	_ROW(fl_vmstat, "", "vmstat", "",                                   \
	     "only read: the counters of zones and nodes of /proc/vmstat, exact") \
	_ROW(fl_pgtable_range, "pgtable", "range", "pgtable_lines.h",       \
	     "the page tables of a range of addresses, and their pages")    \
	_ROW(fl_pgtable_tables, "pgtable", "tables", "pgtable_lines.h",     \
	     "PTE tables that no mm uses, for pte_free_defer()")            \
	_ROW(fl_pgtable_notifier, "pgtable", "notifier", "pgtable_lines.h", \
	     "the invalidations that a secondary MMU receives")             \
	_ROW(fl_pgtable_locks, "pgtable", "locks", "pgtable_lines.h",       \
	     "the locks that an address depends on, observed and not taken") \
	_ROW(fl_hvo_block, "hvo", "block", "hvo_lines.h",                   \
	     "the page frames of a huge page's struct pages, and tries to take references") \
	_ROW(fl_hugetlb_share, "hugetlb", "share", "hugetlb_lines.h",       \
	     "the table of PMDs of a hugetlb address, and its sharers")

#endif /* FAULTLINE_FILE_TABLE_H */
