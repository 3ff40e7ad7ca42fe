/* SPDX-License-Identifier: GPL-2.0 */
/* task_list.h - <debugfs>/faultline/tasks: the tasks of user space, and how often each ran. */
#ifndef FAULTLINE_TASK_LIST_H
#define FAULTLINE_TASK_LIST_H

#include <linux/seq_file.h>

/*
 * A line for each task that is no thread of the kernel:
 *
 *	task 812 process 810 parent 1 switches 55 off systemd-udevd
 *
 * "running" instead of "off": it is on a CPU. A task that is "off" in two reads, with
 * the same count of context switches, did not run between them. Numbers are those of
 * the reader's PID namespace; a newline in the name is \012, a backslash \134.
 */
int fl_tasks_show(struct seq_file *m, void *unused);

#endif /* FAULTLINE_TASK_LIST_H */
