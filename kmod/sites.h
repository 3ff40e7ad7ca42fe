/* SPDX-License-Identifier: GPL-2.0 */
/*
 * sites.h - what the files of the engine share: the table of logical sites,
 * an armed program, and the few calls between its parts.
 *
 *   session.c  open, ioctl, release; owns at most one armed program
 *   program.c  checks a program, finds its functions
 *   hooks.c    one ftrace_ops for each armed program; what happens at a hit
 *   ats.c      sites in front of an instruction
 *   holds.c    how an actor is held, and how each hold ends
 *   controls.c replacement functions
 *   events.c   per-CPU log
 */
#ifndef FAULTLINE_SITES_H
#define FAULTLINE_SITES_H

#include <linux/ftrace.h>
#include <linux/irq_work.h>
#include <linux/kprobes.h>
#include <linux/kref.h>
#include <linux/sched.h>
#include <linux/seq_file.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "faultline_abi.h"

/* --- sites.c: logical names ------------------------------------------- */

#define FL_MAX_CANDIDATES 4

struct fl_candidate {
	const char *function;
	const char *caller; /* only when called from here; NULL = anyone */
};

struct fl_logical_site {
	const char *name;
	const char *about;
	enum fl_context context;
	struct fl_candidate candidates[FL_MAX_CANDIDATES + 1]; /* ends with {} */
};

/* Where a name leads in this kernel. */
struct fl_place {
	unsigned long address; /* start of the function */
	unsigned long caller_start, caller_end; /* 0, 0: any caller */
	enum fl_context context;
	const char *function; /* its symbol */
};

/*
 * Resolve a logical name, or else a function name. May sleep. 0, -ENOENT (no
 * such function here), -ENODEV (not traceable); @why gets a sentence.
 */
int fl_site_resolve(const char *name, struct fl_place *place, char *why,
		    size_t why_len);

/* A row of the table, NULL if there is none of that name. */
const struct fl_logical_site *fl_logical_site(const char *name);

/* <debugfs>/sites: "NAME SYMBOL|- sleeps|spins|auto yes|no why". */
int fl_sites_show(struct seq_file *m, void *unused);

/* --- an armed program ------------------------------------------------- */

struct fl_hook { /* one patched function */
	unsigned long address;
	unsigned long ip; /* what ftrace calls it: its patched instruction */
	u32 sites; /* bit mask: sites on this function */
	u32 controls; /* bit mask */
};

struct fl_at { /* one probed instruction */
	struct kprobe probe;
	struct fl_armed *armed;
	u32 site;
	bool aimed; /* counts only if its operand is armed->aim */
	u8 base; /* its operand: number of a register, */
	s8 offset; /* and what is added to it */
	bool registered;
};

struct fl_site_state {
	struct fl_place place; /* not for USER */
	u32 awaits; /* bit mask of the sites that its edges wait for */
	atomic_t hits; /* in this run */
	int entered; /* for RETURN, in this run: its function was */
	int reached; /* release by the actor, acquire by those who wait */
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

	struct fl_hook hooks[FL_MAX_SITES + FL_MAX_CONTROLS];
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

/* --- program.c -------------------------------------------------------- */

/* Checks and resolves; may sleep. 0 or -errno with program.why filled. */
int fl_program_prepare(struct fl_armed *armed);

/* --- session.c -------------------------------------------------------- */

extern const struct file_operations fl_session_fops;
int fl_sessions_show(struct seq_file *m, void *unused);
void fl_armed_get(struct fl_armed *armed);
void fl_armed_put(struct fl_armed *armed); /* any context */

/* --- hooks.c ---------------------------------------------------------- */

int fl_hooks_init(void);
void fl_hooks_exit(void); /* no program is armed any more; may sleep */
int fl_hooks_arm(struct fl_armed *armed); /* may sleep, long */
void fl_hooks_disarm(struct fl_armed *armed); /* may sleep, long */

/* A stay of the current task between a redirection and its end; see hooks.c. */
struct fl_frame *fl_frame_for_at(struct fl_armed *armed, int actor, int site,
				 unsigned long go_on);

/* --- ats.c ------------------------------------------------------------ */

/*
 * Resolve "FUNCTION/PATTERN", site @site, to the one instruction of that
 * function, or for a pattern that is aimed to several, and add them to
 * armed->ats; may sleep. 0, -EINVAL (the name), -ENOENT, or -ENODEV (no or too
 * many such instructions, or no such sites on this machine); @why gets a
 * sentence.
 */
int fl_at_resolve(struct fl_armed *armed, u32 site, char *why, size_t why_len);
int fl_ats_arm(struct fl_armed *armed); /* may sleep; undone by disarm */
void fl_ats_disarm(struct fl_armed *armed); /* may sleep */

/* --- holds.c ---------------------------------------------------------- */

int fl_actor_of(struct fl_armed *armed, const struct task_struct *task);

/*
 * A hit, from the test that a run is on until all is noted: false if none is. The
 * next run does not begin in between, however long the CPU stands still. Any
 * context; after true fl_hit_end() must follow.
 */
bool fl_hit_begin(struct fl_armed *armed);
void fl_hit_end(struct fl_armed *armed);

/*
 * The actor that runs now reached a site, in a hit or in a frame: count it, and if
 * it is the hit that counts, note it. True if it must be held. Any context.
 */
bool fl_site_reached(struct fl_armed *armed, int site, u64 value);

/*
 * Hold the current task at a site until its edges allow it to go on or a bound
 * is hit. Sleeps if the context allows it, else spins; @atomic: must not sleep,
 * whatever the context looks like.
 */
void fl_site_hold(struct fl_armed *armed, int site, bool atomic);

/* --- controls.c ------------------------------------------------------- */

/*
 * A replacement function by name: 0 with its address, -ENOENT, or -ENODEV if it uses
 * a symbol that this kernel does not have, and then @missing is its name.
 */
int fl_replacement_find(const char *name, unsigned long *address,
			const char **missing);
int fl_replacements_show(struct seq_file *m, void *unused);
void fl_controls_exit(void); /* undoes what they left to be undone; sleeps */

/*
 * Flip the byte at a user address of the current task. False if there is none; or,
 * not @may_fault, if that would take a page fault. Any context if not @may_fault.
 */
bool fl_corrupt_byte(unsigned long address, bool may_fault);

/* --- events.c --------------------------------------------------------- */

enum fl_event_kind {
	FL_EVENT_RUN = 1,
	FL_EVENT_REACHED,
	FL_EVENT_HELD,
	FL_EVENT_LEFT,
	FL_EVENT_CONTROL,
};

int fl_events_init(void);
void fl_events_exit(void);
/* Any context. @what is a name of the program, copied. */
void fl_event(const struct fl_armed *armed, enum fl_event_kind kind, int actor,
	      const char *what, u64 value);
int fl_events_show(struct seq_file *m, void *unused);

/* --- stubs_<arch>.S --------------------------------------------------- */

void fl_enter_stub(void);
void fl_return_stub(void);
void fl_skip_stub(void);
void fl_at_stub(void); /* x86 */

#endif /* FAULTLINE_SITES_H */
