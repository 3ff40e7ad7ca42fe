// SPDX-License-Identifier: GPL-2.0
/*
 * hooks.c - one ftrace_ops for each armed program, and what happens at a hit.
 *
 * The callback must not wait: it may run with preemption or interrupts off. So
 * it only notes the hit and, where a hold is due, redirects to a stub that
 * waits as if inside the function. A *frame* is one stay between such a
 * redirection and its end; it keeps the armed program and the module in place,
 * whatever happens to the session in that time.
 *
 * IPMODIFY makes a function belong to one program at a time: a second session,
 * or a live patch, gets EBUSY rather than half of the hits.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/bsearch.h>
#include <linux/module.h>
#include <linux/preempt.h>
#include <linux/sort.h>
#include <linux/tracepoint.h>

#include "compat.h"
#include "controls.h"
#include "engine.h"
#include "events.h"
#include "instrument.h"
#include "symbols.h"

#define FL_NR_FRAMES (4 * FL_MAX_ACTORS)

struct fl_frame {
	/* NULL: free. First, see fl_frame_new(). The rest is this task's alone. */
	struct task_struct *task;
	u64 serial; /* the newest frame of a task is its innermost */
	struct fl_armed *armed;
	int actor;
	u32 enter_sites; /* to hold at now */
	u32 return_sites; /* to note, and hold at, on return */
	u32 corruptions; /* controls to apply on return */
	unsigned long go_on; /* where the entry stub goes on */
	unsigned long caller; /* the return address taken away; 0 if none */
	unsigned long toc; /* r2 of the traced function, where there is one */
	bool skip;
	u64 value; /* for skip */
	bool late; /* the function has returned; the corruptions are still due */
	struct callback_head work; /* applies them */
};

static struct fl_frame fl_frames[FL_NR_FRAMES];
static atomic64_t fl_frames_serial = ATOMIC64_INIT(0);

/* Without a lock: a probe's int3 may come anywhere, as an NMI does. */
static struct fl_frame *fl_frame_claim(void)
{
	int i;

	for (i = 0; i < FL_NR_FRAMES; i++)
		/* A full barrier; pairs with fl_frame_free(). */
		if (!cmpxchg(&fl_frames[i].task, NULL, current))
			return &fl_frames[i];
	return NULL;
}

static struct fl_frame *fl_frame_new(struct fl_armed *armed, int actor)
{
	struct fl_frame *frame = fl_frame_claim();

	if (!frame) {
		pr_warn_once("no free frame: a hit is not held\n");
		return NULL;
	}
	memset_after(frame, 0, task);
	frame->serial = atomic64_inc_return(&fl_frames_serial);
	frame->armed = armed;
	frame->actor = actor;
	__module_get(THIS_MODULE);
	fl_armed_get(armed);
	atomic_inc(&armed->actors[actor].inside);
	return frame;
}

/* @task is the caller. */
static struct fl_frame *fl_frame_innermost_of(const struct task_struct *task)
{
	struct fl_frame *frame = NULL;
	int i;

	for (i = 0; i < FL_NR_FRAMES; i++)
		if (READ_ONCE(fl_frames[i].task) == task &&
		    !fl_frames[i].late &&
		    (!frame || fl_frames[i].serial > frame->serial))
			frame = &fl_frames[i];
	return frame;
}

static struct fl_frame *fl_frame_innermost(void)
{
	return fl_frame_innermost_of(current);
}

/*
 * After this the module may go away as soon as the task has left it, which
 * fl_exit() waits for with synchronize_rcu_tasks().
 */
static void fl_frame_free(struct fl_frame *frame)
{
	struct fl_armed *armed = frame->armed;

	atomic_dec(&armed->actors[frame->actor].inside);
	/* Pairs with fl_frame_claim(): the next one finds nothing of ours under way. */
	smp_store_release(&frame->task, NULL);
	fl_armed_put(armed);
	module_put(THIS_MODULE);
}

/* The task will not return from here: its frames would stay for ever. */
static void fl_task_exits(void *unused, struct task_struct *task)
{
	struct fl_frame *frame;

	while ((frame = fl_frame_innermost_of(task)))
		fl_frame_free(frame);
}

static struct tracepoint *fl_exit_point;

int fl_hooks_init(void)
{
	struct tracepoint *point = fl_tracepoint("sched_process_exit");
	int err;

	if (!point)
		return -ENODEV;
	err = tracepoint_probe_register(point, fl_task_exits, NULL);
	if (!err)
		fl_exit_point = point;
	return err;
}

void fl_hooks_exit(void)
{
	if (!fl_exit_point)
		return;
	tracepoint_probe_unregister(fl_exit_point, fl_task_exits, NULL);
	tracepoint_synchronize_unregister();
}

static void fl_hold_all(struct fl_armed *armed, u32 sites)
{
	for (; sites; sites &= sites - 1)
		fl_site_hold(armed, __ffs(sites), false);
}

static void fl_control_applied(struct fl_armed *armed, int actor, int control)
{
	atomic_inc(&armed->controls[control].applied);
	fl_event(armed, FL_EVENT_CONTROL, actor,
		 armed->program.controls[control].function, control);
}

/* Every byte that could be flipped is no longer due. */
static void fl_corrupt(struct fl_frame *frame, bool may_fault)
{
	const struct fl_control *controls = frame->armed->program.controls;
	u32 bits;

	for (bits = frame->corruptions; bits; bits &= bits - 1) {
		int i = __ffs(bits);

		if (!fl_corrupt_byte(controls[i].value, may_fault))
			continue;
		frame->corruptions &= ~BIT(i);
		fl_control_applied(frame->armed, frame->actor, i);
	}
}

static void fl_corrupt_now(struct callback_head *work)
{
	struct fl_frame *frame = container_of(work, struct fl_frame, work);

	fl_corrupt(frame, true);
	fl_frame_free(frame);
}

/*
 * A function may return with any lock held, mmap_lock, too: no page fault
 * there. On its way back to user space the task holds none. False if the task
 * does not return there.
 */
static bool fl_corrupt_later(struct fl_frame *frame)
{
	if (!fl_sym.task_work_add || !current->mm)
		return false;
	WRITE_ONCE(frame->late, true);
	init_task_work(&frame->work, fl_corrupt_now);
	if (!fl_sym.task_work_add(current, &frame->work, TWA_RESUME))
		return true;
	WRITE_ONCE(frame->late, false);
	return false;
}

struct fl_frame *fl_frame_for_at(struct fl_armed *armed, int actor, int site,
				 unsigned long go_on)
{
	struct fl_frame *frame = fl_frame_new(armed, actor);

	if (!frame)
		return NULL;
	frame->enter_sites = BIT(site);
	frame->go_on = go_on;
	return frame;
}

void fl_at(struct fl_at_regs *regs)
{
	struct fl_frame *frame = fl_frame_innermost();
	struct fl_actor *actor;

	regs->go_on = frame->go_on;
	fl_hold_all(frame->armed, frame->enter_sites);
	/*
	 * The task hits the probe again, which must let it through this time.
	 * Until then this hit belongs to the run in which it began, so no other
	 * run may begin.
	 */
	actor = &frame->armed->actors[frame->actor];
	atomic_inc(&actor->inside);
	actor->pass_at = __ffs(frame->enter_sites) + 1;
	fl_frame_free(frame);
}

void fl_enter(struct fl_enter_regs *regs)
{
	struct fl_frame *frame = fl_frame_innermost();

	regs->go_on = frame->go_on;
	frame->toc = fl_regs_toc(regs);
	if (frame->skip)
		regs->value = frame->value;
	fl_hold_all(frame->armed, frame->enter_sites);
	if (!frame->caller)
		fl_frame_free(frame);
}

void fl_return(struct fl_return_regs *regs)
{
	struct fl_frame *frame = fl_frame_innermost();
	struct fl_armed *armed = frame->armed;
	u32 bits, hold = 0;

	regs->go_on = frame->caller;
	fl_regs_set_toc(regs, frame->toc);
	fl_corrupt(frame, false);
	for (bits = frame->return_sites; bits; bits &= bits - 1)
		if (fl_site_reached(armed, __ffs(bits), regs->value))
			hold |= BIT(__ffs(bits));
	fl_hold_all(armed, hold);
	if (!frame->corruptions || !fl_corrupt_later(frame))
		fl_frame_free(frame);
}

static bool fl_called_from(unsigned long ip, unsigned long start,
			   unsigned long end)
{
	return !end || (ip >= start && ip < end);
}

static int fl_hook_compare(const void *a, const void *b)
{
	unsigned long x = ((const struct fl_hook *)a)->ip;
	unsigned long y = ((const struct fl_hook *)b)->ip;

	return x < y ? -1 : x > y;
}

static struct fl_hook *fl_hook_at(struct fl_armed *armed, unsigned long ip)
{
	const struct fl_hook wanted = { .ip = ip };

	return __inline_bsearch(&wanted, armed->hooks, armed->nr_hooks,
				sizeof(wanted), fl_hook_compare);
}

/* The actions for a hit of one actor on one hook. */
struct fl_demand {
	u32 enter_sites;
	u32 return_sites;
	u32 corruptions;
	int divert; /* control that skips or replaces, -1 if none */
};

static void fl_demand_controls(struct fl_armed *armed, u32 controls, int actor,
			       unsigned long caller, struct fl_demand *demand)
{
	for (; controls; controls &= controls - 1) {
		int i = __ffs(controls);
		const struct fl_control *control = &armed->program.controls[i];
		struct fl_control_state *state = &armed->controls[i];

		if (!(control->actors & BIT(actor)) ||
		    !fl_called_from(caller, state->caller_start,
				    state->caller_end) ||
		    atomic_inc_return(&state->calls) % control->every)
			continue;
		if (control->kind == FL_CONTROL_CORRUPT)
			demand->corruptions |= BIT(i);
		else
			demand->divert = i;
	}
}

static void fl_demand_sites(struct fl_armed *armed, u32 sites, int actor,
			    unsigned long caller, struct fl_demand *demand)
{
	for (; sites; sites &= sites - 1) {
		int i = __ffs(sites);
		const struct fl_place *place = &armed->sites[i].place;

		if (armed->program.sites[i].actor != actor ||
		    !fl_called_from(caller, place->caller_start,
				    place->caller_end))
			continue;
		if (armed->program.sites[i].kind == FL_SITE_RETURN)
			demand->return_sites |= BIT(i);
		else if (fl_site_reached(armed, i, 0))
			demand->enter_sites |= BIT(i);
	}
}

/* The address at which a skipped function goes on, else 0. */
static unsigned long fl_divert_to(struct fl_armed *armed, int control)
{
	if (control < 0)
		return 0;
	if (armed->program.controls[control].kind == FL_CONTROL_SKIP)
		return (unsigned long)fl_skip_stub;
	return armed->controls[control].replacement;
}

/*
 * The stay begins: note its sites and controls, and replace the return address
 * if needed.
 */
static struct fl_frame *fl_frame_begin(struct fl_armed *armed, int actor,
				       const struct fl_demand *demand,
				       bool returns, struct ftrace_regs *fregs)
{
	struct fl_frame *frame = fl_frame_new(armed, actor);
	u32 bits;

	if (!frame)
		return NULL;
	frame->enter_sites = demand->enter_sites;
	frame->return_sites = demand->return_sites;
	for (bits = demand->return_sites; bits; bits &= bits - 1)
		WRITE_ONCE(armed->sites[__ffs(bits)].entered, 1);
	frame->corruptions = demand->corruptions;
	frame->go_on = fl_divert_to(armed, demand->divert) ?:
		       fl_entry_ip(fregs);
	if (returns) {
		frame->caller = fl_entry_caller(fregs);
		fl_entry_set_caller(fregs, (unsigned long)fl_return_stub);
	}
	return frame;
}

static void fl_hook_act(struct fl_armed *armed, int actor,
			const struct fl_demand *demand,
			struct ftrace_regs *fregs)
{
	unsigned long divert = fl_divert_to(armed, demand->divert);
	bool skip = divert == (unsigned long)fl_skip_stub;
	bool replaced = divert && !skip;
	/* A replacement is module text, and may sleep: the frame keeps it. */
	bool returns = demand->return_sites || demand->corruptions || replaced;
	struct fl_frame *frame = NULL;

	if (demand->enter_sites || returns)
		frame = fl_frame_begin(armed, actor, demand, returns, fregs);
	if (replaced && !frame)
		return; /* the original runs, and the control has no hit */
	if (divert)
		fl_control_applied(armed, actor, demand->divert);
	if (skip) {
		u64 value = armed->program.controls[demand->divert].value;

		fl_entry_set_value(fregs, value);
		if (frame) {
			frame->skip = true;
			frame->value = value;
		}
	}
	if (frame && (demand->enter_sites || (FL_HAS_TOC && returns)))
		fl_entry_set_ip(fregs, (unsigned long)fl_enter_stub);
	else if (divert)
		fl_entry_set_ip(fregs, divert);
}

static void fl_actor_passes(struct fl_actor *actor, unsigned long ip,
			    unsigned long caller)
{
	WRITE_ONCE(actor->last_ip, ip);
	WRITE_ONCE(actor->last_caller, caller);
	WRITE_ONCE(actor->passed, actor->passed + 1);
}

static void fl_hook_hit(unsigned long ip, unsigned long parent_ip,
			struct ftrace_ops *ops, struct ftrace_regs *fregs)
{
	struct fl_armed *armed = container_of(ops, struct fl_armed, ops);
	struct fl_demand demand = { .divert = -1 };
	struct fl_hook *hook;
	int actor;

	/*
	 * An exiting actor no longer takes part: it frees its resources, and a
	 * control that breaks this would break the kernel for all.
	 */
	if (current->flags & PF_EXITING)
		return;
	if (!fl_entry_usable(fregs) || !in_task())
		return;
	actor = fl_actor_of(armed, current);
	if (actor < 0)
		return;
	/* A replacement that calls the original must get the original. */
	if (within_module(parent_ip, THIS_MODULE) &&
	    parent_ip != (unsigned long)fl_return_stub &&
	    !fl_instruments_call_from(parent_ip))
		return;
	fl_actor_passes(&armed->actors[actor], ip, parent_ip);
	hook = fl_hook_at(armed, ip);
	if (!hook || !fl_hit_begin(armed))
		return;
	if (!(armed->program.flags & FL_PROGRAM_NO_CONTROLS))
		fl_demand_controls(armed, hook->controls, actor, parent_ip,
				   &demand);
	fl_demand_sites(armed, hook->sites, actor, parent_ip, &demand);
	fl_hook_act(armed, actor, &demand, fregs);
	fl_hit_end(armed);
}

int fl_hooks_arm(struct fl_armed *armed)
{
	struct fl_program *p = &armed->program;
	int err;
	u32 i;

	err = fl_ats_arm(armed);
	if (err || !armed->nr_hooks)
		return err;
	armed->ops.func = fl_hook_hit;
	armed->ops.flags = FL_OPS_FLAGS | FTRACE_OPS_FL_IPMODIFY |
			   FTRACE_OPS_FL_PERMANENT;
	for (i = 0; i < armed->nr_hooks; i++)
		armed->hooks[i].ip =
			fl_sym.ftrace_location(armed->hooks[i].address);
	sort(armed->hooks, armed->nr_hooks, sizeof(*armed->hooks),
	     fl_hook_compare, NULL);
	for (i = 0; i < armed->nr_hooks; i++) {
		struct fl_hook *hook = &armed->hooks[i];

		err = ftrace_set_filter_ip(&armed->ops, hook->ip, 0, 0);
		if (err) {
			snprintf(p->why, sizeof(p->why),
				 "ftrace refuses %pS: %d", (void *)hook->ip,
				 err);
			goto out_free_filter;
		}
	}
	err = register_ftrace_function(&armed->ops);
	if (err) {
		snprintf(p->why, sizeof(p->why),
			 err == -EBUSY ?
				 "another session or a live patch has one of these functions, or kernel.ftrace_enabled is 0" :
				 "register_ftrace_function() failed");
		goto out_free_filter;
	}
	armed->hooked = true;
	return 0;

out_free_filter:
	ftrace_free_filter(&armed->ops);
	return err;
}

void fl_hooks_disarm(struct fl_armed *armed)
{
	fl_ats_disarm(armed);
	if (!armed->hooked)
		return;
	unregister_ftrace_function(&armed->ops);
	ftrace_free_filter(&armed->ops);
	armed->hooked = false;
}
