// SPDX-License-Identifier: GPL-2.0
/*
 * depth.c - the deepest that a task's kernel stack gets, by the stack pointer at
 * the entry of every function.
 */
#include <linux/ftrace.h>
#include <linux/kallsyms.h>
#include <linux/mutex.h>
#include <linux/pid.h>
#include <linux/sched/task.h>
#include <linux/sched/task_stack.h>
#include <linux/seq_file.h>

#include "compat.h"
#include "depth.h"
#include "depth_lines.h"

struct fl_depth_of {
	struct mutex lock; /* of the next two; commands come at once */
	struct task_struct *task; /* referenced; NULL: not yet */
	int nr;
	struct ftrace_ops ops; /* registered if there is a task */
	/* Written by the task alone, deeper ones last. */
	unsigned long bytes, ip, parent_ip;
};

static void fl_depth_hit(unsigned long ip, unsigned long parent_ip,
			 struct ftrace_ops *ops, struct ftrace_regs *fregs)
{
	struct fl_depth_of *depth = container_of(ops, struct fl_depth_of, ops);
	unsigned long bottom, bytes;

	/* Ignore tasks that enter schedule(): its frames are on the same stack. */
	if (current != READ_ONCE(depth->task) || !in_task() ||
	    !task_is_running(current) || !fl_entry_usable(fregs))
		return;
	bottom = (unsigned long)task_stack_page(current) + THREAD_SIZE;
	bytes = bottom - fl_entry_sp(fregs);
	if (bytes > THREAD_SIZE || bytes <= depth->bytes)
		return;
	WRITE_ONCE(depth->bytes, bytes);
	WRITE_ONCE(depth->ip, ip);
	WRITE_ONCE(depth->parent_ip, parent_ip);
}

static int fl_depth_open(void *state, struct file *file)
{
	struct fl_depth_of *depth = state;

	mutex_init(&depth->lock);
	return 0;
}

static void fl_depth_release(void *state)
{
	struct fl_depth_of *depth = state;

	if (!depth->task)
		return;
	/* Waits until no handler runs. */
	unregister_ftrace_function(&depth->ops);
	put_task_struct(depth->task);
}

static int fl_depth_begin(struct fl_depth_of *depth, struct task_struct *task,
			  int nr)
{
	int err;

	if (depth->task)
		return -EBUSY;
	depth->ops.func = fl_depth_hit;
	depth->ops.flags = FL_OPS_FLAGS;
	err = register_ftrace_function(&depth->ops);
	if (err)
		return err;
	depth->nr = nr;
	get_task_struct(task);
	WRITE_ONCE(depth->task, task);
	return 0;
}

static int fl_depth_command(void *state, char *text)
{
	struct fl_depth_of *depth = state;
	struct task_struct *task;
	struct pid *pid;
	int err, nr;

	if (kstrtoint(strim(text), 10, &nr) || nr <= 0)
		return -EINVAL;
	pid = find_get_pid(nr);
	task = get_pid_task(pid, PIDTYPE_PID);
	put_pid(pid);
	if (!task)
		return -ESRCH;
	mutex_lock(&depth->lock);
	err = fl_depth_begin(depth, task, nr);
	mutex_unlock(&depth->lock);
	put_task_struct(task);
	return err;
}

static int fl_depth_show(struct seq_file *m, void *unused)
{
	struct fl_depth_of *depth = m->private;

	if (!READ_ONCE(depth->task))
		return 0;
	seq_printf(m,
		   FL_DEPTH_DEEPEST("%d", "%lu", "%lu",
				    FL_DEPTH_AT("%ps", "%ps")) "\n",
		   depth->nr, READ_ONCE(depth->bytes),
		   (unsigned long)THREAD_SIZE, (void *)READ_ONCE(depth->ip),
		   (void *)READ_ONCE(depth->parent_ip));
	return 0;
}

const struct fl_instrument fl_depth = {
	.file = {
		.size = sizeof(struct fl_depth_of),
		.open = fl_depth_open,
		.release = fl_depth_release,
		.command = fl_depth_command,
		.show = fl_depth_show,
	},
};
