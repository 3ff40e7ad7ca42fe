// SPDX-License-Identifier: GPL-2.0
/*
 * task_list.c - <debugfs>/faultline/tasks: did a task run between two reads of the file?
 */
#include <linux/pid_namespace.h>
#include <linux/sched/signal.h>
#include <linux/seq_file.h>

#include "task_list.h"

/* A task adds to its count of switches only when it leaves its CPU. */
static bool fl_on_cpu(struct task_struct *task)
{
#ifdef CONFIG_SMP
	return READ_ONCE(task->on_cpu);
#else
	return task == current;
#endif
}

static void fl_show_task(struct seq_file *m, struct task_struct *task,
			 struct pid_namespace *ns)
{
	struct task_struct *parent = rcu_dereference(task->real_parent);
	bool on_cpu = fl_on_cpu(task);
	char name[TASK_COMM_LEN];

	smp_rmb(); /* pairs with finish_task(): first on_cpu, then the count */
	memcpy(name, task->comm, sizeof(name)); /* exec may be changing it */
	name[sizeof(name) - 1] = '\0';
	seq_printf(m, "task %d process %d parent %d switches %lu %s ",
		   task_pid_nr_ns(task, ns), task_tgid_nr_ns(task, ns),
		   task_tgid_nr_ns(parent, ns),
		   READ_ONCE(task->nvcsw) + READ_ONCE(task->nivcsw),
		   on_cpu ? "running" : "off");
	seq_escape(m, name, "\n\\");
	seq_putc(m, '\n');
}

int fl_tasks_show(struct seq_file *m, void *unused)
{
	struct pid_namespace *ns = task_active_pid_ns(current);
	struct task_struct *process, *task;

	rcu_read_lock();
	for_each_process_thread(process, task)
		if (!(task->flags & PF_KTHREAD) && task_pid_nr_ns(task, ns))
			fl_show_task(m, task, ns);
	rcu_read_unlock();
	return 0;
}
