/* SPDX-License-Identifier: GPL-2.0 */
/*
 * armed.h - an armed program: its sites, their functions in this kernel, and
 * the state of its run. session.c owns it, at most one for each open session.
 */
#ifndef FAULTLINE_ARMED_H
#define FAULTLINE_ARMED_H

#include <linux/ftrace.h>
#include <linux/irq_work.h>
#include <linux/kprobes.h>
#include <linux/kref.h>
#include <linux/sched.h>
#include <linux/spinlock_types.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "faultline_abi.h"
#include "sites.h"

struct fl_hook { /* one patched function */
	unsigned long address;
	unsigned long ip; /* what ftrace calls it: its patched instruction */
	u32 sites; /* bit mask: sites on this function */
	u32 controls; /* bit mask */
};

struct fl_patched { /* a function that FL_IOC_PATCH names */
	char name[FL_NAME_LEN];
	struct fl_place place;
};

struct fl_at { /* one probed instruction */
	struct kprobe probe;
	struct fl_armed *armed;
	u32 site;
	bool aimed; /* counts only if its operand is armed->aim */
	u8 base; /* its operand: number of a register, */
	s8 offset; /* and the offset from it */
	/* Out of line: only a call from this range counts; end 0: in line. */
	unsigned long caller_start, caller_end;
	bool registered;
};

struct fl_site_state {
	struct fl_place place; /* not for USER */
	u32 awaits; /* bit mask of the sites that its edges wait for */
	atomic_t hits; /* in this run */
	int entered; /* for RETURN, in this run: its function was */
	int reached; /* release by the actor, acquire by its waiters */
	struct fl_site_result result;
};

struct fl_control_state {
	struct fl_place place;
	unsigned long caller_start, caller_end;
	unsigned long replacement;
	atomic_t calls; /* in this run */
	atomic_t applied; /* in this run */
};

struct fl_actor {
	struct task_struct *task; /* referenced; NULL until bound */
	atomic_t inside; /* frames, arrivals and passes under way */
	int held_at; /* site, or -1 */
	/* Written by the task alone, read by those who wait for it. */
	unsigned long passed; /* patched functions, so far */
	unsigned long last_ip; /* the last of them, */
	unsigned long last_caller; /* and from where */
	int pass_at; /* site + 1 whose instruction it goes on with, inside; 0 */
};

/*
 * Lives from FL_IOC_ARM until disarmed and until the last task has left its
 * stubs: each frame holds a reference, and one on the module.
 */
struct fl_armed {
	struct kref kref;
	u32 session_id;
	struct fl_program program;
	struct ftrace_ops ops;
	bool hooked;

	struct fl_patched *patched; /* for sites that come later */
	u32 nr_patched;
	struct fl_hook *hooks; /* once armed, by ip */
	u32 nr_hooks;
	struct fl_at ats[FL_MAX_AT_SITES * FL_MAX_AT_MATCHES];
	u32 nr_ats;
	unsigned long aim; /* address of a reference count; 0: none */
	struct fl_site_state sites[FL_MAX_SITES];
	struct fl_control_state controls[FL_MAX_CONTROLS];
	struct fl_actor actors[FL_MAX_ACTORS];

	u64 run;
	int running; /* hits count only then; cleared by stop */
	atomic_t hitting; /* hits under way: no run begins meanwhile */
	wait_queue_head_t waiters;
	struct irq_work wake; /* a hit may come under any lock: wake from here */
	struct work_struct free_work; /* the last put may come from anywhere */

	raw_spinlock_t tasks_lock; /* actors[].task against FL_IOC_BIND */
	u32 excluded;
	u32 blocked_actor;
	char blocked[FL_STACK_LEN];
};

void fl_armed_get(struct fl_armed *armed);
void fl_armed_put(struct fl_armed *armed); /* any context */

#endif /* FAULTLINE_ARMED_H */
