// SPDX-License-Identifier: GPL-2.0
/*
 * holds.c - how an actor is held, and how each hold ends.
 *
 * Every hold has a bound. It ends WAITED (its edges are satisfied), TIMEOUT,
 * KILLED (a fatal signal, or the run was stopped), MISSED (the awaited actor is
 * past that site), or EXCLUDED. Then the awaited actor has been asleep for
 * excluded_ms, uninterruptibly and without being switched in once: it cannot
 * come, as it waits for the held actor's lock. Its stack names the lock. A hold
 * with interrupts off also ends EXCLUDED if the awaited actor waits for this
 * CPU to answer its call: the call is pending (x86), or the actor runs in the
 * function whose return we wait for. A hold that may not sleep also ends
 * EXCLUDED if the awaited actor spins: it runs, and the last patched function
 * that it reached takes a lock. That applies only where FL_IOC_PATCH has
 * patched functions: the sites alone would not show it.
 */
#include <linux/delay.h>
#include <linux/kallsyms.h>
#include <linux/sched/signal.h>
#include <linux/sched/task_stack.h>
#include <linux/timekeeping.h>

#include "compat.h"
#include "engine.h"
#include "events.h"
#include "stall.h"
#include "symbols.h"

#define FL_POLL_MS 4 /* between checks of the awaited actor */
/*
 * A spinning actor shows no event, and neither does a stalled virtual CPU. So
 * spinning takes this many times excluded_ms.
 */
#define FL_SPIN_FACTOR 3
#define FL_STACK_DEPTH 24

int fl_actor_of(struct fl_armed *armed, const struct task_struct *task)
{
	u32 i;

	for (i = 0; i < armed->program.nr_actors; i++)
		if (READ_ONCE(armed->actors[i].task) == task)
			return i;
	return -1;
}

bool fl_hit_begin(struct fl_armed *armed)
{
	atomic_inc(&armed->hitting);
	/*
	 * Pairs with the barrier in fl_run_end(): either this sees that the run
	 * has ended, or that sees this hit and waits for it.
	 */
	smp_mb__after_atomic();
	if (!READ_ONCE(armed->running)) {
		fl_hit_end(armed);
		return false;
	}
	fl_stall(FL_STALL_HIT);
	return true;
}

void fl_hit_end(struct fl_armed *armed)
{
	/* The notes are visible before fl_run_end() may go on. */
	smp_mb__before_atomic();
	atomic_dec(&armed->hitting);
}

static bool fl_site_is_reached(const struct fl_armed *armed, u32 site)
{
	/* Pairs with the release in fl_site_reached(). */
	return smp_load_acquire(&armed->sites[site].reached);
}

/* Sites that this one still waits for, as a bit mask. */
static u32 fl_site_awaits(struct fl_armed *armed, int site)
{
	u32 missing = 0;
	u32 bits;

	for (bits = armed->sites[site].awaits; bits; bits &= bits - 1)
		if (!fl_site_is_reached(armed, __ffs(bits)))
			missing |= BIT(__ffs(bits));
	return missing;
}

/* An actor has passed one of the sites that this one still waits for. */
static bool fl_site_missed(struct fl_armed *armed, int site)
{
	const struct fl_program *p = &armed->program;
	u32 bits, i;

	if (!(p->flags & FL_PROGRAM_IN_ORDER))
		return false;
	for (bits = fl_site_awaits(armed, site); bits; bits &= bits - 1)
		for (i = __ffs(bits) + 1; i < p->nr_sites; i++)
			if (p->sites[i].actor == p->sites[__ffs(bits)].actor &&
			    fl_site_is_reached(armed, i))
				return true;
	return false;
}

static void fl_site_left(struct fl_armed *armed, int site, enum fl_end end)
{
	struct fl_site_result *result = &armed->sites[site].result;

	result->end = end;
	result->left_ns = ktime_get_mono_fast_ns();
}

/* Does a hit count yet? Not before the actor's own mark, if the sites are in order. */
static bool fl_site_counts(const struct fl_armed *armed, int site)
{
	const struct fl_site *sites = armed->program.sites;
	int before;

	if (!(armed->program.flags & FL_PROGRAM_IN_ORDER) ||
	    sites[site].kind == FL_SITE_USER)
		return true;
	for (before = site - 1; before >= 0; before--)
		if (sites[before].actor == sites[site].actor &&
		    sites[before].kind == FL_SITE_USER)
			return fl_site_is_reached(armed, before);
	return true;
}

bool fl_site_reached(struct fl_armed *armed, int site, u64 value)
{
	struct fl_site_state *state = &armed->sites[site];
	const struct fl_site *in = &armed->program.sites[site];

	if (!fl_site_counts(armed, site))
		return false;
	if (atomic_inc_return(&state->hits) != in->hit)
		return false;
	state->result.cpu = raw_smp_processor_id();
	state->result.value = value;
	state->result.context = FL_CONTEXT_AUTO;
	state->result.reached_ns = ktime_get_mono_fast_ns();
	fl_event(armed, FL_EVENT_REACHED, in->actor, in->name, value);
	/*
	 * The actors that this releases see all earlier writes of this actor.
	 * Pairs with the acquire in fl_site_awaits().
	 */
	smp_store_release(&state->reached, 1);
	irq_work_queue(&armed->wake);
	if (fl_site_awaits(armed, site))
		return true;
	fl_site_left(armed, site, FL_END_PASSED);
	return false;
}

static bool fl_may_sleep(enum fl_context context)
{
	if (irqs_disabled() || preempt_count())
		return false;
#ifdef CONFIG_PREEMPT_RCU
	if (rcu_preempt_depth())
		return false;
#endif
	return context == FL_CONTEXT_SLEEP ||
	       (context == FL_CONTEXT_AUTO &&
		IS_ENABLED(CONFIG_PREEMPT_COUNT));
}

static bool fl_hold_over(struct fl_armed *armed, int site)
{
	return !READ_ONCE(armed->running) || !fl_site_awaits(armed, site) ||
	       fl_site_missed(armed, site);
}

/* The actor that a hold waits for, and since when it has slept unswitched. */
struct fl_sleeper {
	struct fl_actor *actor;
	unsigned long progress; /* that it had made then */
	u64 since_ns;
};

enum fl_waiting {
	FL_WAITS_NOT,
	FL_SLEEPS,
	FL_CALLS, /* this CPU, which does not answer */
	FL_SPINS,
};

static struct task_struct *fl_task_get(struct fl_armed *armed,
				       struct fl_actor *actor)
{
	struct task_struct *task;
	unsigned long flags;

	raw_spin_lock_irqsave(&armed->tasks_lock, flags);
	task = actor->task;
	if (task)
		get_task_struct(task);
	raw_spin_unlock_irqrestore(&armed->tasks_lock, flags);
	return task;
}

/* Asleep on a lock, not in one of our own holds. */
static bool fl_task_blocked(const struct fl_actor *actor,
			    const struct task_struct *task)
{
	return READ_ONCE(actor->held_at) < 0 && !READ_ONCE(task->on_cpu) &&
	       (READ_ONCE(task->__state) & TASK_UNINTERRUPTIBLE);
}

/*
 * The awaited actor runs, and this CPU has not answered a call that may be its
 * own; or it does not return from the function whose return is awaited.
 */
static bool fl_task_calls(struct fl_armed *armed,
			  const struct task_struct *task, u32 missing)
{
	u32 bits;

	if (!irqs_disabled() || !READ_ONCE(task->on_cpu))
		return false;
	for (bits = missing; bits; bits &= bits - 1)
		if (READ_ONCE(armed->sites[__ffs(bits)].entered))
			return true;
	return fl_call_pending();
}

/*
 * The awaited actor runs on another CPU while we may not sleep: it may wait for
 * a lock of ours.
 */
static bool fl_task_spins(const struct fl_armed *armed,
			  const struct fl_actor *actor,
			  const struct task_struct *task)
{
	return armed->nr_patched &&
	       (irqs_disabled() || preempt_count()) &&
	       READ_ONCE(actor->held_at) < 0 && READ_ONCE(task->on_cpu);
}

static enum fl_waiting fl_task_waits(struct fl_armed *armed,
				     const struct fl_actor *actor,
				     const struct task_struct *task,
				     u32 missing)
{
	if (fl_task_calls(armed, task, missing))
		return FL_CALLS;
	if (fl_task_blocked(actor, task))
		return FL_SLEEPS;
	return fl_task_spins(armed, actor, task) ? FL_SPINS : FL_WAITS_NOT;
}

/* The innermost function of a text like "f < g" takes a lock, by its name. */
static bool fl_is_lock(const char *name)
{
	static const char *const takes[] = { "down_read", "down_write",
					     "mutex" };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(takes); i++)
		if (strstr(name, takes[i])) /* they spin before they sleep */
			return !strstr(name, "unlock");
	return strstr(name, "lock") && !strstr(name, "unlock") &&
	       !strstr(name, "rcu_read");
}

/* Long enough to say that it waits? */
static bool fl_waits_on(struct fl_armed *armed, struct fl_sleeper *sleeper,
			const struct task_struct *task, enum fl_waiting how)
{
	u64 bound_ns = armed->program.excluded_ms * (u64)NSEC_PER_MSEC;
	unsigned long progress = task->nvcsw + task->nivcsw;
	u64 now = ktime_get_mono_fast_ns();

	if (how == FL_SPINS) {
		progress += READ_ONCE(sleeper->actor->passed);
		bound_ns *= FL_SPIN_FACTOR;
	}
	if (!sleeper->since_ns || sleeper->progress != progress) {
		sleeper->progress = progress;
		sleeper->since_ns = now;
		return false;
	}
	return now - sleeper->since_ns >= bound_ns;
}

struct fl_stack {
	unsigned long entries[FL_STACK_DEPTH];
	unsigned int nr;
};

static bool fl_stack_add(void *cookie, unsigned long address)
{
	struct fl_stack *stack = cookie;

	stack->entries[stack->nr++] = address;
	return stack->nr < FL_STACK_DEPTH;
}

/*
 * Not stack_trace_save_tsk(): it leaves out the functions of .sched.text, and
 * we need names there, such as down_write() and mutex_lock().
 */
static void fl_stack_read(struct task_struct *task, struct fl_stack *stack)
{
	if (!fl_sym.arch_stack_walk || !fl_sym.put_task_stack ||
	    !try_get_task_stack(task))
		return;
	fl_sym.arch_stack_walk(fl_stack_add, stack, task, NULL);
	fl_sym.put_task_stack(task);
}

/* The scheduler's own functions, by which a task gives the CPU away. */
static bool fl_is_scheduler(const char *name)
{
	static const char *const functions[] = {
		"__schedule", "schedule", "io_schedule", "io_schedule_timeout",
		"schedule_idle", "schedule_preempt_disabled", "schedule_rtlock",
		"rt_mutex_schedule", "schedule_timeout",
		"schedule_timeout_interruptible", "schedule_timeout_killable",
		"schedule_timeout_uninterruptible", "schedule_timeout_idle",
		"schedule_hrtimeout", "schedule_hrtimeout_range",
		"schedule_hrtimeout_range_clock", "preempt_schedule",
		"preempt_schedule_common", "preempt_schedule_notrace",
		"preempt_schedule_irq", "preempt_schedule_thunk",
		"preempt_schedule_notrace_thunk", "__switch_to",
		"__switch_to_asm", "cpu_switch_to", "_switch",
	};
	size_t len = strcspn(name, "."); /* a compiler's .isra.0 is the same */
	size_t i;

	for (i = 0; i < ARRAY_SIZE(functions); i++)
		if (strlen(functions[i]) == len &&
		    !strncmp(functions[i], name, len))
			return true;
	return false;
}

/* The last function that a spinning actor reached. False if that takes no lock. */
static bool fl_spin_stack(const struct fl_actor *actor, struct fl_stack *stack)
{
	char name[KSYM_SYMBOL_LEN];

	stack->entries[0] = READ_ONCE(actor->last_ip);
	stack->entries[1] = READ_ONCE(actor->last_caller);
	stack->nr = 2;
	sprint_symbol_no_offset(name, stack->entries[0]);
	return fl_is_lock(name);
}

/*
 * The functions that the actor is in, innermost first, without the scheduler's.
 * If @stack is NULL, the actor does not sleep but waits for this CPU.
 */
static void fl_note_blocked(struct fl_armed *armed, struct fl_actor *actor,
			    const struct fl_stack *stack)
{
	static char name[KSYM_SYMBOL_LEN]; /* under name_lock */
	static DEFINE_RAW_SPINLOCK(name_lock);
	unsigned long flags;
	bool asleep = false; /* the scheduler's own functions are past */
	unsigned int i;
	size_t len = 0;

	raw_spin_lock_irqsave(&name_lock, flags);
	armed->excluded = 1;
	armed->blocked_actor = actor - armed->actors;
	armed->blocked[0] = '\0';
	if (!stack)
		snprintf(armed->blocked, sizeof(armed->blocked),
			 "for CPU %d to answer a call, which has interrupts off",
			 raw_smp_processor_id());
	for (i = 0; stack && i < stack->nr; i++) {
		sprint_symbol_no_offset(name, stack->entries[i]);
		/* ppc64 may begin with a return address that is stale. */
		if (!asleep && (fl_is_scheduler(name) ||
				!strncmp(name, "0x", 2)))
			continue;
		asleep = true;
		if (len + strlen(name) + 4 > sizeof(armed->blocked))
			break;
		len += scnprintf(armed->blocked + len,
				 sizeof(armed->blocked) - len, "%s%s",
				 len ? " < " : "", name);
	}
	raw_spin_unlock_irqrestore(&name_lock, flags);
}

static bool fl_excluded(struct fl_armed *armed, int site,
			struct fl_sleeper *sleeper)
{
	u32 missing = fl_site_awaits(armed, site);
	struct fl_stack stack = {};
	struct task_struct *task;
	struct fl_actor *actor;
	enum fl_waiting how;
	bool excluded;

	if (!armed->program.excluded_ms || !missing)
		return false;
	actor = &armed->actors[armed->program.sites[__ffs(missing)].actor];
	if (sleeper->actor != actor)
		*sleeper = (struct fl_sleeper){ .actor = actor };
	task = fl_task_get(armed, actor);
	if (!task)
		return false;
	how = fl_task_waits(armed, actor, task, missing);
	if (how == FL_WAITS_NOT)
		sleeper->since_ns = 0;
	excluded = how != FL_WAITS_NOT &&
		   fl_waits_on(armed, sleeper, task, how);
	if (excluded && how == FL_SLEEPS)
		fl_stack_read(task, &stack);
	if (excluded && how == FL_SPINS)
		excluded = fl_spin_stack(actor, &stack);
	if (excluded)
		fl_note_blocked(armed, actor,
				how == FL_CALLS ? NULL : &stack);
	put_task_struct(task);
	return excluded;
}

/* One step of a hold: FL_END_NOT_REACHED means go on waiting. */
static enum fl_end fl_hold_look(struct fl_armed *armed, int site,
				u64 deadline_ns, struct fl_sleeper *sleeper)
{
	if (!fl_site_awaits(armed, site))
		return FL_END_WAITED;
	if (!READ_ONCE(armed->running) || fatal_signal_pending(current))
		return FL_END_KILLED;
	if (ktime_get_mono_fast_ns() >= deadline_ns)
		return FL_END_TIMEOUT;
	if (fl_site_missed(armed, site))
		return FL_END_MISSED;
	if (fl_excluded(armed, site, sleeper))
		return FL_END_EXCLUDED;
	return FL_END_NOT_REACHED;
}

static void fl_hold_pause(struct fl_armed *armed, int site, bool sleep)
{
	if (sleep)
		wait_event_killable_timeout(armed->waiters,
					    fl_hold_over(armed, site),
					    msecs_to_jiffies(FL_POLL_MS));
	else
		udelay(1);
}

void fl_site_hold(struct fl_armed *armed, int site, bool atomic)
{
	const struct fl_site *in = &armed->program.sites[site];
	struct fl_site_state *state = &armed->sites[site];
	struct fl_actor *actor = &armed->actors[in->actor];
	bool sleep = !atomic && fl_may_sleep(state->place.context) &&
		     in->context != FL_CONTEXT_SPIN;
	struct fl_sleeper sleeper = {};
	u32 bound_ms = armed->program.wait_ms;
	enum fl_end end;
	u64 deadline;

	if (!sleep)
		bound_ms = min_t(u32, bound_ms,
				 in->kind == FL_SITE_AT && !irqs_disabled() ?
					 FL_MAX_AT_MS :
					 FL_MAX_SPIN_MS);
	deadline = ktime_get_mono_fast_ns() + bound_ms * (u64)NSEC_PER_MSEC;
	state->result.context = sleep ? FL_CONTEXT_SLEEP : FL_CONTEXT_SPIN;
	WRITE_ONCE(actor->held_at, site);
	fl_event(armed, FL_EVENT_HELD, in->actor, in->name,
		 state->result.context);
	for (;;) {
		end = fl_hold_look(armed, site, deadline, &sleeper);
		if (end != FL_END_NOT_REACHED)
			break;
		fl_hold_pause(armed, site, sleep);
	}
	WRITE_ONCE(actor->held_at, -1);
	fl_site_left(armed, site, end);
	fl_event(armed, FL_EVENT_LEFT, in->actor, in->name, end);
}
