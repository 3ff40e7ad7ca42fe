// SPDX-License-Identifier: GPL-2.0
/*
 * calls.c - the functions that some tasks call, noted at the entry of each
 * function of the kernel. There is one ftrace_ops for all tasks: patching every
 * function takes seconds on an emulated machine.
 */
#include <linux/ftrace.h>
#include <linux/mutex.h>
#include <linux/pid.h>
#include <linux/preempt.h>
#include <linux/timekeeping.h>
#include <linux/trace_recursion.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>

#include "calls.h"
#include "calls_abi.h"
#include "compat.h"

#define FL_MAX_CALLS (1 << 20) /* 32 MiB */
/* ftrace_test_recursion_trylock() turns preemption off. */
#define FL_HANDLER_DEPTH (IS_ENABLED(CONFIG_PREEMPT_COUNT) ? 1 : 0)

struct fl_calls_of {
	struct mutex lock; /* commands and reads come at once */
	pid_t tasks[FL_MAX_CALL_TASKS]; /* changed while nothing is noted */
	u32 nr_tasks;
	struct fl_call *calls;
	atomic_t nr; /* may be beyond FL_MAX_CALLS: the rest was lost */
	int noting; /* release by start, acquire by the handler */
	bool registered;
	struct ftrace_ops ops;
};

static int fl_calls_task(const struct fl_calls_of *of)
{
	pid_t nr = task_pid_nr(current);
	u32 i;

	for (i = 0; i < of->nr_tasks; i++)
		if (of->tasks[i] == nr)
			return i;
	return -1;
}

static void fl_calls_note(struct fl_calls_of *of, unsigned long ip,
			  unsigned long parent_ip)
{
	int task = fl_calls_task(of);
	struct fl_call *call;
	unsigned int at;

	if (task < 0)
		return;
	at = atomic_fetch_inc(&of->nr);
	if (at >= FL_MAX_CALLS)
		return;
	call = &of->calls[at];
	call->time_ns = ktime_get_mono_fast_ns();
	call->ip = ip;
	call->caller = parent_ip;
	call->task = task;
	call->flags = in_task() ? 0 : FL_CALL_INTERRUPT;
	if (irqs_disabled() || preempt_count() > FL_HANDLER_DEPTH)
		call->flags |= FL_CALL_ATOMIC;
}

static void fl_calls_hit(unsigned long ip, unsigned long parent_ip,
			 struct ftrace_ops *ops, struct ftrace_regs *fregs)
{
	struct fl_calls_of *of = container_of(ops, struct fl_calls_of, ops);
	int bit;

	/* Pairs with the release in fl_calls_start(). */
	if (!smp_load_acquire(&of->noting))
		return;
	/* arm64 reads the clock by functions that are patched, too. */
	bit = ftrace_test_recursion_trylock(ip, parent_ip);
	if (bit < 0)
		return;
	fl_calls_note(of, ip, parent_ip);
	ftrace_test_recursion_unlock(bit);
}

static int fl_calls_open(void *state, struct file *file)
{
	struct fl_calls_of *of = state;

	mutex_init(&of->lock);
	return 0;
}

static void fl_calls_release(void *state)
{
	struct fl_calls_of *of = state;

	/* Waits until no handler runs. */
	if (of->registered)
		unregister_ftrace_function(&of->ops);
	vfree(of->calls);
}

static int fl_calls_tasks(struct fl_calls_of *of, char *text)
{
	pid_t tasks[FL_MAX_CALL_TASKS];
	u32 nr_tasks = 0;
	struct pid *pid;
	char *word;
	int nr;

	while ((word = strsep(&text, "\n "))) {
		if (!*word)
			continue;
		if (nr_tasks == FL_MAX_CALL_TASKS || kstrtoint(word, 10, &nr) ||
		    nr <= 0)
			return -EINVAL;
		pid = find_get_pid(nr);
		tasks[nr_tasks] = pid_nr(pid);
		put_pid(pid);
		if (!tasks[nr_tasks++])
			return -ESRCH;
	}
	if (READ_ONCE(of->noting))
		return -EBUSY;
	memcpy(of->tasks, tasks, nr_tasks * sizeof(*tasks));
	of->nr_tasks = nr_tasks;
	return 0;
}

static int fl_calls_register(struct fl_calls_of *of)
{
	int err;

	if (of->registered)
		return 0;
	of->calls = vzalloc(array_size(FL_MAX_CALLS, sizeof(*of->calls)));
	if (!of->calls)
		return -ENOMEM;
	of->ops.func = fl_calls_hit;
	of->ops.flags = FL_OPS_FLAGS;
	err = register_ftrace_function(&of->ops);
	if (err) {
		vfree(of->calls);
		of->calls = NULL;
		return err;
	}
	of->registered = true;
	return 0;
}

static int fl_calls_start(struct fl_calls_of *of)
{
	int err = fl_calls_register(of);

	if (err)
		return err;
	atomic_set(&of->nr, 0);
	/* The handler that notes sees the tasks. Pairs with fl_calls_hit(). */
	smp_store_release(&of->noting, 1);
	return 0;
}

static int fl_calls_stop(struct fl_calls_of *of)
{
	WRITE_ONCE(of->noting, 0);
	return atomic_read(&of->nr) > FL_MAX_CALLS ? -EOVERFLOW : 0;
}

static int fl_calls_command(void *state, char *text)
{
	struct fl_calls_of *of = state;
	char *word = strsep(&text, "\n ");
	int err = -EINVAL;

	mutex_lock(&of->lock);
	if (!strcmp(word, FL_CALLS_TASKS))
		err = fl_calls_tasks(of, text);
	else if (!strcmp(word, FL_CALLS_START))
		err = fl_calls_start(of);
	else if (!strcmp(word, FL_CALLS_STOP))
		err = fl_calls_stop(of);
	mutex_unlock(&of->lock);
	return err;
}

static ssize_t fl_calls_read(void *state, char __user *to, size_t len,
			     loff_t *pos)
{
	struct fl_calls_of *of = state;
	ssize_t copied = 0;
	size_t bytes;

	mutex_lock(&of->lock);
	bytes = min_t(size_t, atomic_read(&of->nr), FL_MAX_CALLS) *
		sizeof(*of->calls);
	if (of->calls)
		copied = simple_read_from_buffer(to, len, pos, of->calls,
						 bytes);
	mutex_unlock(&of->lock);
	return copied;
}

const struct fl_instrument fl_calls = {
	.file = {
		.size = sizeof(struct fl_calls_of),
		.open = fl_calls_open,
		.release = fl_calls_release,
		.command = fl_calls_command,
		.read = fl_calls_read,
	},
};
