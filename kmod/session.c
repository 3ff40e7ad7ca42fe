// SPDX-License-Identifier: GPL-2.0
/*
 * session.c - <debugfs>/faultline/session: open makes a session, ioctls arm,
 * run and read it, release undoes everything. See faultline_abi.h for the
 * words.
 */
#include <linux/capability.h>
#include <linux/delay.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/list.h>
#include <linux/memory_hotplug.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/pid.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "engine.h"
#include "events.h"
#include "instrument.h"

struct fl_session {
	struct list_head list;
	struct mutex lock; /* armed, and all that an ioctl does to it */
	u32 id;
	pid_t opener;
	char comm[TASK_COMM_LEN];
	struct fl_armed *armed; /* NULL if not */
	struct fl_patched *patched; /* for the next FL_IOC_ARM */
	u32 nr_patched;
};

static LIST_HEAD(fl_sessions);
static DEFINE_MUTEX(fl_sessions_lock);
static u32 fl_last_session;

/* --- the armed program's life ------------------------------------------- */

static void fl_wake_waiters(struct irq_work *work)
{
	wake_up_all(&container_of(work, struct fl_armed, wake)->waiters);
}

static void fl_armed_free(struct work_struct *work)
{
	struct fl_armed *armed =
		container_of(work, struct fl_armed, free_work);
	int i;

	irq_work_sync(&armed->wake);
	for (i = 0; i < FL_MAX_ACTORS; i++)
		if (armed->actors[i].task)
			put_task_struct(armed->actors[i].task);
	kvfree(armed->hooks);
	kvfree(armed->patched);
	kfree(armed);
	module_put(THIS_MODULE);
}

static struct fl_armed *fl_armed_new(u32 session_id)
{
	struct fl_armed *armed = kzalloc(sizeof(*armed), GFP_KERNEL);
	int i;

	if (!armed)
		return NULL;
	/* Dropped by the work item that frees it, which is module text. */
	__module_get(THIS_MODULE);
	kref_init(&armed->kref);
	armed->session_id = session_id;
	raw_spin_lock_init(&armed->tasks_lock);
	init_waitqueue_head(&armed->waiters);
	init_irq_work(&armed->wake, fl_wake_waiters);
	INIT_WORK(&armed->free_work, fl_armed_free);
	for (i = 0; i < FL_MAX_ACTORS; i++)
		armed->actors[i].held_at = -1;
	return armed;
}

static void fl_armed_release(struct kref *kref)
{
	schedule_work(&container_of(kref, struct fl_armed, kref)->free_work);
}

void fl_armed_get(struct fl_armed *armed)
{
	kref_get(&armed->kref);
}

void fl_armed_put(struct fl_armed *armed)
{
	kref_put(&armed->kref, fl_armed_release);
}

static void fl_stop(struct fl_armed *armed)
{
	WRITE_ONCE(armed->running, 0);
	wake_up_all(&armed->waiters);
}

/* --- ioctls; the session's lock is held ---------------------------------- */

static void fl_disarm(struct fl_session *session)
{
	struct fl_armed *armed = session->armed;

	if (!armed)
		return;
	session->armed = NULL;
	fl_stop(armed);
	fl_hooks_disarm(armed);
	fl_armed_put(armed);
}

static int fl_copy_program(struct fl_program *p, struct fl_program __user *arg)
{
	if (copy_from_user(p, arg, offsetof(struct fl_program, nr_actors)))
		return -EFAULT;
	if (p->size != sizeof(*p) || p->version != FL_ABI_VERSION)
		return -EMSGSIZE;
	if (copy_from_user(p, arg, sizeof(*p)))
		return -EFAULT;
	/* It may have changed since the first look. */
	return p->size == sizeof(*p) && p->version == FL_ABI_VERSION ?
		       0 :
		       -EMSGSIZE;
}

static int fl_ioc_arm(struct fl_session *session,
		      struct fl_program __user *arg)
{
	struct fl_armed *armed;
	int err;

	if (session->armed)
		return -EBUSY;
	armed = fl_armed_new(session->id);
	if (!armed)
		return -ENOMEM;
	err = fl_copy_program(&armed->program, arg);
	if (err)
		goto out_put_armed;
	armed->patched = session->patched;
	armed->nr_patched = session->nr_patched;
	session->patched = NULL;
	session->nr_patched = 0;
	err = fl_program_prepare(armed);
	if (!err)
		err = fl_hooks_arm(armed);
	if (copy_to_user(arg->why, armed->program.why, FL_WHY_LEN) && !err)
		err = -EFAULT;
	if (err)
		goto out_disarm_hooks;
	session->armed = armed;
	return 0;

out_disarm_hooks:
	fl_hooks_disarm(armed);
out_put_armed:
	fl_armed_put(armed);
	return err;
}

static int fl_ioc_bind(struct fl_armed *armed, const struct fl_bind __user *arg)
{
	struct task_struct *task, *old;
	struct fl_actor *actor;
	struct fl_bind bind;
	struct pid *pid;

	if (copy_from_user(&bind, arg, sizeof(bind)))
		return -EFAULT;
	if (bind.actor >= armed->program.nr_actors)
		return -EINVAL;
	actor = &armed->actors[bind.actor];
	if (atomic_read(&actor->inside))
		return -EBUSY;
	pid = bind.tid ? find_get_pid(bind.tid) :
			 get_task_pid(current, PIDTYPE_PID);
	task = get_pid_task(pid, PIDTYPE_PID);
	put_pid(pid);
	if (!task)
		return -ESRCH;
	raw_spin_lock_irq(&armed->tasks_lock);
	old = actor->task;
	WRITE_ONCE(actor->task, task);
	raw_spin_unlock_irq(&armed->tasks_lock);
	if (old)
		put_task_struct(old);
	return 0;
}

static bool fl_inside(struct fl_armed *armed)
{
	u32 i;

	for (i = 0; i < armed->program.nr_actors; i++)
		if (atomic_read(&armed->actors[i].inside))
			return true;
	return false;
}

/*
 * After this no hit counts, and no earlier hit is still under way: it would
 * count for the next run.
 */
static int fl_run_end(struct fl_armed *armed)
{
	unsigned long deadline = jiffies + msecs_to_jiffies(FL_MAX_LATE_MS);

	fl_stop(armed);
	/* Pairs with the barrier in fl_hit_begin(). */
	smp_mb();
	while (atomic_read(&armed->hitting) || fl_inside(armed)) {
		if (time_after(jiffies, deadline) ||
		    fatal_signal_pending(current))
			return -EBUSY;
		usleep_range(50, 100);
	}
	/* The notes of those hits are visible, before they are cleared. */
	smp_mb();
	return 0;
}

static int fl_ioc_run(struct fl_armed *armed)
{
	u32 i;

	if (fl_inside(armed) || fl_run_end(armed))
		return -EBUSY;
	for (i = 0; i < armed->program.nr_sites; i++) {
		struct fl_site_state *state = &armed->sites[i];

		atomic_set(&state->hits, 0);
		WRITE_ONCE(state->entered, 0);
		WRITE_ONCE(state->reached, 0);
		memset(&state->result, 0, sizeof(state->result));
		state->result.end = FL_END_NOT_REACHED;
		state->result.context = FL_CONTEXT_AUTO;
	}
	for (i = 0; i < armed->program.nr_controls; i++) {
		atomic_set(&armed->controls[i].calls, 0);
		atomic_set(&armed->controls[i].applied, 0);
	}
	armed->excluded = 0;
	armed->blocked[0] = '\0';
	armed->run++;
	fl_event(armed, FL_EVENT_RUN, -1, "-", armed->run);
	/* The actors are let go by the driver after this, in user space. */
	WRITE_ONCE(armed->running, 1);
	return 0;
}

static int fl_patched_read(struct fl_patched *patched,
			   struct fl_function __user *arg)
{
	struct fl_function function;
	char why[FL_WHY_LEN];

	if (copy_from_user(&function, arg, sizeof(function)))
		return -EFAULT;
	if (function.reserved || !function.name[0] ||
	    strnlen(function.name, FL_NAME_LEN) == FL_NAME_LEN)
		function.err = -EINVAL;
	else {
		/* The place keeps the address of the name. */
		memcpy(patched->name, function.name, FL_NAME_LEN);
		function.err = fl_site_resolve(patched->name, &patched->place,
					       why, sizeof(why));
	}
	if (put_user(function.err, &arg->err))
		return -EFAULT;
	return function.err ? 0 : 1;
}

static int fl_ioc_patch(struct fl_session *session, struct fl_patch __user *arg)
{
	struct fl_function __user *functions;
	struct fl_patched *patched;
	struct fl_patch patch;
	u32 i, nr = 0;

	if (copy_from_user(&patch, arg, sizeof(patch)))
		return -EFAULT;
	if (patch.reserved)
		return -EINVAL;
	if (patch.nr > FL_MAX_FUNCTIONS)
		return -E2BIG;
	if (session->armed)
		return -EBUSY;
	functions = u64_to_user_ptr(patch.functions);
	patched = kvcalloc(max(patch.nr, 1U), sizeof(*patched), GFP_KERNEL);
	if (!patched)
		return -ENOMEM;
	for (i = 0; i < patch.nr; i++) {
		int taken = fl_patched_read(&patched[nr], &functions[i]);

		if (taken < 0 || fatal_signal_pending(current)) {
			kvfree(patched);
			return taken < 0 ? taken : -EINTR;
		}
		nr += taken;
	}
	kvfree(session->patched);
	session->patched = patched;
	session->nr_patched = nr;
	return 0;
}

static int fl_ioc_schedule(struct fl_armed *armed,
			   struct fl_program __user *arg)
{
	struct fl_program *next = kvzalloc(sizeof(*next), GFP_KERNEL);
	struct fl_place *places =
		kvcalloc(FL_MAX_SITES, sizeof(*places), GFP_KERNEL);
	int err = next && places ? fl_copy_program(next, arg) : -ENOMEM;

	if (!err) {
		err = fl_program_check_next(armed, next, places);
		if (copy_to_user(arg->why, next->why, FL_WHY_LEN) && !err)
			err = -EFAULT;
	}
	/* Nobody looks at the sites after this, until the next run. */
	if (!err)
		err = fl_run_end(armed);
	if (!err)
		fl_program_take_next(armed, next, places);
	kvfree(places);
	kvfree(next);
	return err;
}

static int fl_ioc_aim(struct fl_armed *armed, const struct fl_aim __user *arg)
{
	struct fl_aim aim;
	struct page *page;

	if (copy_from_user(&aim, arg, sizeof(aim)))
		return -EFAULT;
	page = aim.pfn ? pfn_to_online_page(aim.pfn) : NULL;
	if (aim.pfn && !page)
		return -EINVAL;
	WRITE_ONCE(armed->aim, page ? (unsigned long)&page->_refcount : 0);
	return 0;
}

static bool fl_edge_honoured(struct fl_armed *armed, const struct fl_edge *edge)
{
	const struct fl_site_result *after = &armed->sites[edge->after].result;

	return READ_ONCE(armed->sites[edge->before].reached) &&
	       (after->end == FL_END_PASSED || after->end == FL_END_WAITED);
}

static int fl_ioc_result(struct fl_armed *armed, struct fl_result __user *arg)
{
	const struct fl_program *p = &armed->program;
	struct fl_result *result;
	int err;
	u32 i;

	result = kzalloc(sizeof(*result), GFP_KERNEL);
	if (!result)
		return -ENOMEM;
	result->run = armed->run;
	result->overlapped = 1;
	for (i = 0; i < p->nr_edges; i++) {
		if (fl_edge_honoured(armed, &p->edges[i]))
			result->honoured |= BIT(i);
		else
			result->overlapped = 0;
	}
	result->excluded = armed->excluded;
	result->blocked_actor = armed->blocked_actor;
	strscpy(result->blocked, armed->blocked, sizeof(result->blocked));
	for (i = 0; i < p->nr_controls; i++)
		result->control_hits[i] =
			atomic_read(&armed->controls[i].applied);
	for (i = 0; i < p->nr_sites; i++) {
		result->sites[i] = armed->sites[i].result;
		result->sites[i].hits = atomic_read(&armed->sites[i].hits);
	}
	err = copy_to_user(arg, result, sizeof(*result)) ? -EFAULT : 0;
	kfree(result);
	return err;
}

static long fl_ioctl_armed(struct fl_armed *armed, unsigned int cmd,
			   void __user *arg)
{
	switch (cmd) {
	case FL_IOC_BIND:
		return fl_ioc_bind(armed, arg);
	case FL_IOC_RUN:
		return fl_ioc_run(armed);
	case FL_IOC_AIM:
		return fl_ioc_aim(armed, arg);
	case FL_IOC_SCHEDULE:
		return fl_ioc_schedule(armed, arg);
	case FL_IOC_RESULT:
		return fl_ioc_result(armed, arg);
	case FL_IOC_STOP:
		fl_stop(armed);
		return 0;
	default:
		return -ENOTTY;
	}
}

/*
 * The size of an ioctl's argument is part of its number: the other bits
 * identify a number of another ABI.
 */
static int fl_ioctl_check(unsigned int cmd)
{
	static const unsigned int ours[] = {
		FL_IOC_ARM,	FL_IOC_DISARM, FL_IOC_BIND,
		FL_IOC_RUN,	FL_IOC_ARRIVE, FL_IOC_RESULT,
		FL_IOC_STOP,	FL_IOC_ARRIVE_READING,
		FL_IOC_AIM,	FL_IOC_PATCH,  FL_IOC_SCHEDULE,
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(ours); i++) {
		if (cmd == ours[i])
			return 0;
		if (_IOC_TYPE(cmd) == FL_IOC_MAGIC &&
		    _IOC_NR(cmd) == _IOC_NR(ours[i]))
			return -EMSGSIZE;
	}
	return -ENOTTY;
}

static long fl_ioctl_locked(struct fl_session *session, unsigned int cmd,
			    void __user *arg)
{
	if (cmd == FL_IOC_ARM)
		return fl_ioc_arm(session, arg);
	if (cmd == FL_IOC_DISARM) {
		fl_disarm(session);
		return 0;
	}
	if (cmd == FL_IOC_PATCH)
		return fl_ioc_patch(session, arg);
	if (!session->armed)
		return -ENOTCONN;
	return fl_ioctl_armed(session->armed, cmd, arg);
}

/* --- the ioctls that wait, and so must not hold the lock ------------------ */

static struct fl_armed *fl_session_armed(struct fl_session *session)
{
	struct fl_armed *armed;

	mutex_lock(&session->lock);
	armed = session->armed;
	if (armed)
		fl_armed_get(armed);
	mutex_unlock(&session->lock);
	return armed;
}

/* The site's actor if the caller is that. */
static int fl_arriving(struct fl_armed *armed, u32 index,
		       struct fl_actor **actor)
{
	const struct fl_site *site;

	if (index >= armed->program.nr_sites)
		return -EINVAL;
	site = &armed->program.sites[index];
	if (site->kind != FL_SITE_USER)
		return -EINVAL;
	*actor = &armed->actors[site->actor];
	return READ_ONCE((*actor)->task) == current ? 0 : -EPERM;
}

static enum fl_end fl_arrive(struct fl_armed *armed, struct fl_actor *actor,
			     u32 site, bool atomic)
{
	enum fl_end end;
	bool held;

	if (!fl_hit_begin(armed))
		return FL_END_KILLED;
	atomic_inc(&actor->inside);
	held = fl_site_reached(armed, site, 0);
	fl_hit_end(armed);
	if (held)
		fl_site_hold(armed, site, atomic);
	end = armed->sites[site].result.end;
	atomic_dec(&actor->inside);
	return end;
}

static long fl_ioc_arrive(struct fl_session *session,
			  struct fl_arrive __user *arg)
{
	struct fl_arrive arrive;
	struct fl_actor *actor;
	struct fl_armed *armed;
	int err;

	if (copy_from_user(&arrive, arg, sizeof(arrive)))
		return -EFAULT;
	armed = fl_session_armed(session);
	if (!armed)
		return -ENOTCONN;
	err = fl_arriving(armed, arrive.site, &actor);
	if (!err)
		arrive.end = fl_arrive(armed, actor, arrive.site, false);
	fl_armed_put(armed);
	if (!err && copy_to_user(arg, &arrive, sizeof(arrive)))
		err = -EFAULT;
	return err;
}

static int fl_arrive_reading(struct fl_armed *armed,
			     struct fl_arrive_reading *arrive)
{
	struct fl_reading reading;
	struct fl_actor *actor;
	struct file *file;
	int err;

	err = fl_arriving(armed, arrive->site, &actor);
	if (err)
		return err;
	file = fget(arrive->tables);
	if (!file)
		return -EBADF;
	err = fl_reading_prepare(&reading, file, arrive->table);
	if (!err) {
		if (reading.ops->begin(&reading))
			/* Not every kernel can tell that a section must not sleep. */
			arrive->end = fl_arrive(armed, actor, arrive->site,
						true);
		else
			err = -ESTALE;
		arrive->broken = reading.ops->end(&reading);
	}
	fput(file);
	return err;
}

static long fl_ioc_arrive_reading(struct fl_session *session,
				  struct fl_arrive_reading __user *arg)
{
	struct fl_arrive_reading arrive;
	struct fl_armed *armed;
	int err;

	if (copy_from_user(&arrive, arg, sizeof(arrive)))
		return -EFAULT;
	armed = fl_session_armed(session);
	if (!armed)
		return -ENOTCONN;
	err = fl_arrive_reading(armed, &arrive);
	fl_armed_put(armed);
	if (!err && copy_to_user(arg, &arrive, sizeof(arrive)))
		err = -EFAULT;
	return err;
}

static long fl_session_ioctl(struct file *file, unsigned int cmd,
			     unsigned long arg)
{
	struct fl_session *session = file->private_data;
	long err = fl_ioctl_check(cmd);

	if (err)
		return err;
	if (cmd == FL_IOC_ARRIVE)
		return fl_ioc_arrive(session, (void __user *)arg);
	if (cmd == FL_IOC_ARRIVE_READING)
		return fl_ioc_arrive_reading(session, (void __user *)arg);
	if (mutex_lock_killable(&session->lock))
		return -EINTR;
	err = fl_ioctl_locked(session, cmd, (void __user *)arg);
	mutex_unlock(&session->lock);
	return err;
}

/* --- open and release ---------------------------------------------------- */

static int fl_session_open(struct inode *inode, struct file *file)
{
	struct fl_session *session;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	session = kzalloc(sizeof(*session), GFP_KERNEL);
	if (!session)
		return -ENOMEM;
	mutex_init(&session->lock);
	session->opener = task_pid_nr(current);
	get_task_comm(session->comm, current);
	mutex_lock(&fl_sessions_lock);
	session->id = ++fl_last_session;
	list_add_tail(&session->list, &fl_sessions);
	mutex_unlock(&fl_sessions_lock);
	file->private_data = session;
	return 0;
}

static int fl_session_release(struct inode *inode, struct file *file)
{
	struct fl_session *session = file->private_data;

	mutex_lock(&fl_sessions_lock);
	list_del(&session->list);
	mutex_unlock(&fl_sessions_lock);
	fl_disarm(session); /* the last user of the file: no lock needed */
	kvfree(session->patched);
	kfree(session);
	return 0;
}

const struct file_operations fl_session_fops = {
	.owner = THIS_MODULE,
	.open = fl_session_open,
	.release = fl_session_release,
	.unlocked_ioctl = fl_session_ioctl,
};

/* --- <debugfs>/sessions -------------------------------------------------- */

static void fl_actor_show(struct seq_file *m, struct fl_armed *armed, u32 i)
{
	struct fl_actor *actor = &armed->actors[i];
	int site = READ_ONCE(actor->held_at);
	const char *state = "idle";

	if (site >= 0)
		state = "held";
	else if (atomic_read(&actor->inside))
		state = "inside";
	seq_printf(m, "  actor %s tid %d state %s site %s\n",
		   armed->program.actors[i],
		   actor->task ? task_pid_nr(actor->task) : 0, state,
		   site >= 0 ? armed->program.sites[site].name : "-");
}

int fl_sessions_show(struct seq_file *m, void *unused)
{
	struct fl_session *session;
	u32 i;

	mutex_lock(&fl_sessions_lock);
	list_for_each_entry(session, &fl_sessions, list) {
		struct fl_armed *armed;

		mutex_lock(&session->lock);
		armed = session->armed;
		seq_printf(m, "session %u pid %d comm %s armed %s run %llu\n",
			   session->id, session->opener, session->comm,
			   armed ? "yes" : "no", armed ? armed->run : 0);
		for (i = 0; armed && i < armed->program.nr_actors; i++)
			fl_actor_show(m, armed, i);
		mutex_unlock(&session->lock);
	}
	mutex_unlock(&fl_sessions_lock);
	return 0;
}
