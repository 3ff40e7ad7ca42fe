/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * faultline_abi.h - the words that the module and the driver share.
 *
 * One header, included by kmod/ (C) and user/ (C++). All fields have a fixed
 * width, each is marked in (driver to module) or out (module to driver), and
 * enums start at 1 so that a forgotten field is caught.
 *
 * A *program* is a schedule made ready for the module: up to FL_MAX_ACTORS
 * actors, the sites where they are seen or held, edges between sites, and
 * controls. Opening <debugfs>/faultline/session makes a session; FL_IOC_ARM
 * patches kernel text for one program; FL_IOC_RUN starts one run of it;
 * closing the session undoes everything.
 *
 * An edge "before -> after" reads: the actor that reached the site `after` goes
 * on only when the site `before` has been reached in this run. To hold an actor
 * at a site S means: an edge ends in S.
 *
 * The sites of one actor are listed in program order. FL_IOC_ARM refuses, with
 * ELOOP, a set of edges that no execution can honour.
 */
#ifndef FAULTLINE_ABI_H
#define FAULTLINE_ABI_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define FL_ABI_VERSION 3

#define FL_MAX_ACTORS 8
#define FL_MAX_SITES 32
#define FL_MAX_EDGES 32
#define FL_MAX_CONTROLS 4
#define FL_MAX_FUNCTIONS 512 /* of one FL_IOC_PATCH */
#define FL_MAX_AT_SITES 4
#define FL_MAX_AT_MATCHES 4 /* instructions of one such site */
#define FL_NAME_LEN 56 /* with the final NUL */
#define FL_ACTOR_LEN 16
#define FL_WHY_LEN 192
#define FL_STACK_LEN 512
#define FL_MAX_WAIT_MS 60000
#define FL_MAX_LATE_MS 5000

enum fl_site_kind {
	FL_SITE_ENTER = 1, /* entry of a traceable function */
	/*
	 * Its return, with the return value. A function that does not return,
	 * such as do_exit(), does not reach it.
	 */
	FL_SITE_RETURN = 2,
	FL_SITE_USER = 3, /* FL_IOC_ARRIVE by the actor itself */
	FL_SITE_AT = 4, /* in front of an instruction: "FUNCTION/PATTERN" */
};

/*
 * How a held actor waits. AUTO: as the site table says, else as the context of the
 * hit allows. fl_site_result.context returns the actual way.
 */
enum fl_context {
	FL_CONTEXT_AUTO = 1,
	FL_CONTEXT_SLEEP = 2,
	FL_CONTEXT_SPIN = 3, /* bounded by FL_MAX_SPIN_MS whatever wait_ms says */
};

#define FL_MAX_SPIN_MS 200
#define FL_MAX_AT_MS 2000 /* the same for FL_SITE_AT, if interrupts are on there */

/* How a stay at a site ended. */
enum fl_end {
	FL_END_NOT_REACHED = 1,
	FL_END_PASSED = 2, /* reached; nothing to wait for (any more) */
	FL_END_WAITED = 3, /* reached, held, and released by its edges */
	FL_END_TIMEOUT = 4, /* held until wait_ms was over */
	FL_END_EXCLUDED = 5, /* the awaited actor sleeps on a lock: see blocked */
	FL_END_KILLED = 6, /* a fatal signal, or the session was disarmed */
	/*
	 * An awaited actor has reached a later site of its own: it will not
	 * reach this one any more. Only with FL_PROGRAM_IN_ORDER.
	 */
	FL_END_MISSED = 7,
};

enum fl_control_kind {
	FL_CONTROL_SKIP = 1, /* return `value` instead of running the function */
	FL_CONTROL_REPLACE = 2, /* run the module function `replacement` */
	/*
	 * At its return, flip the byte at `value`; if that would take a page
	 * fault, when the actor goes back to user space.
	 */
	FL_CONTROL_CORRUPT = 3,
};

/* SKIP and REPLACE divert a call: at most one of them may apply to it. */

struct fl_site {
	__u32 actor; /* in: index of the actor */
	__u32 kind; /* in: enum fl_site_kind */
	/*
	 * in: enum fl_context. The driver always writes AUTO: a schedule has no
	 * word for it. The others are for the selftests, on functions of which
	 * the site table says nothing.
	 */
	__u32 context;
	__u32 hit; /* in: which hit of a run counts, from 1 */
	char name[FL_NAME_LEN]; /* in: logical name or function; any, for USER */
};

struct fl_edge {
	__u16 before; /* in: index of a site */
	__u16 after; /* in: index of a site */
};

struct fl_control {
	__u32 kind; /* in: enum fl_control_kind */
	__u32 actors; /* in: bit mask of the actors it applies to, not 0 */
	__u64 value; /* in: return value, or user address of the byte */
	__u32 every; /* in: apply at each every-th call, from 1 */
	__u32 reserved; /* in: 0 */
	char function[FL_NAME_LEN]; /* in: logical name or function */
	char caller[FL_NAME_LEN]; /* in: only if called from here; "" = any */
	char replacement[FL_NAME_LEN]; /* in: for REPLACE, see <debugfs>/replacements */
};

/*
 * The sites of an actor are listed in the order in which it reaches them: a
 * hold for a site that an actor has passed ends at once, and the hits of a site
 * count from the actor's USER site before it in the list.
 */
#define FL_PROGRAM_IN_ORDER 1
/*
 * The controls stay armed, but none applies: FL_IOC_SCHEDULE so runs the same order
 * with and without them.
 */
#define FL_PROGRAM_NO_CONTROLS 2
#define FL_PROGRAM_FLAGS (FL_PROGRAM_IN_ORDER | FL_PROGRAM_NO_CONTROLS)

/* FL_IOC_ARM. Fails with: EINVAL (a field; why says which), ENOENT (no such
 * function in this kernel), ENODEV (it exists but cannot be traced; or a
 * replacement uses a symbol that is not there: why names it), ELOOP (a cycle),
 * EBUSY (armed already, or another session patches the same function), EMSGSIZE
 * (size or version of another ABI).
 */
struct fl_program {
	__u32 size; /* in: sizeof(struct fl_program) */
	__u32 version; /* in: FL_ABI_VERSION */
	__u32 flags; /* in: FL_PROGRAM_... */
	__u32 reserved; /* in: 0 */
	__u32 nr_actors; /* in: 1..FL_MAX_ACTORS */
	__u32 nr_sites; /* in */
	__u32 nr_edges; /* in */
	__u32 nr_controls; /* in */
	__u32 wait_ms; /* in: bound of each hold, 1..FL_MAX_WAIT_MS */
	__u32 excluded_ms; /* in: asleep on a lock that long = excluded; 0 = never */
	char actors[FL_MAX_ACTORS][FL_ACTOR_LEN]; /* in: names, for the event log */
	struct fl_site sites[FL_MAX_SITES]; /* in */
	struct fl_edge edges[FL_MAX_EDGES]; /* in */
	struct fl_control controls[FL_MAX_CONTROLS]; /* in */
	char why[FL_WHY_LEN]; /* out: the error, in words; "" if none */
};

/* FL_IOC_PATCH: functions that the next FL_IOC_ARM patches beside those of its
 * program, so that FL_IOC_SCHEDULE can put sites there. Replaces the list of an
 * earlier call. A function that cannot be patched is left out, and says why by its
 * err. EBUSY: armed; E2BIG: more than FL_MAX_FUNCTIONS.
 */
struct fl_function {
	char name[FL_NAME_LEN]; /* in: logical name or function */
	__s32 err; /* out: 0, -EINVAL (the name), -ENOENT or -ENODEV as for FL_IOC_ARM */
	__u32 reserved; /* in: 0 */
};

struct fl_patch {
	__u32 nr; /* in: 0 = none */
	__u32 reserved; /* in: 0 */
	__u64 functions; /* in: address of nr struct fl_function */
};

/*
 * FL_IOC_SCHEDULE: other sites, edges and bounds for the runs to come, without
 * patching anything: takes a struct fl_program, whose controls are not looked at.
 * Ends the run before, and fails as FL_IOC_RUN does. Also EINVAL: other actors, or a
 * site of kind AT; ENOENT: a site on a function that is not patched.
 */

/* FL_IOC_BIND: this task is that actor, until bound again or disarmed.
 * ESRCH: no such task; EINVAL: no such actor; EBUSY: the actor's old task is
 * inside a site; ENOTCONN: not armed.
 */
struct fl_bind {
	__u32 actor; /* in */
	__s32 tid; /* in: as the caller sees it; 0 = the caller */
};

/* FL_IOC_ARRIVE: the caller reached a USER site of its own; waits its edges.
 * EINVAL: not a USER site; EPERM: not this caller's; ENOTCONN: not armed.
 * An unhonoured wait is no error: see end.
 */
struct fl_arrive {
	__u32 site; /* in */
	__u32 end; /* out: enum fl_end */
};

/* FL_IOC_ARRIVE_READING: as FL_IOC_ARRIVE, but inside an RCU read-side section at
 * a PTE table of pgtable/tables, and so without sleeping: at most FL_MAX_SPIN_MS.
 * Also EBADF: `tables` is not such a file; EINVAL: no such table; ESTALE: the
 * table has been given away before.
 */
struct fl_arrive_reading {
	__u32 site; /* in */
	__s32 tables; /* in: descriptor of <debugfs>/pgtable/tables */
	__u32 table; /* in: index */
	__u32 end; /* out: enum fl_end */
	__u32 broken; /* out: 1 if the table ceased to be one meanwhile */
};

/* FL_IOC_AIM: the sites FUNCTION/page-ref count only hits at the reference count of
 * this page's struct page, until aimed again or disarmed; aimed at none, none.
 * EINVAL: no such page frame; ENOTCONN: not armed.
 */
struct fl_aim {
	__u64 pfn; /* in: page frame number; 0 = none */
};

struct fl_site_result {
	__u32 hits; /* out: all hits in this run */
	__u32 end; /* out: enum fl_end, of the hit that counts */
	__u32 context; /* out: SLEEP or SPIN if held, else AUTO */
	__u32 cpu; /* out: where it was reached */
	__u64 reached_ns; /* out: CLOCK_MONOTONIC; 0 = not reached */
	__u64 left_ns; /* out: CLOCK_MONOTONIC; 0 = not left */
	__u64 value; /* out: for RETURN, the value returned */
};

/* FL_IOC_RESULT: of the run that FL_IOC_RUN began last. */
struct fl_result {
	__u64 run; /* out: number of the run, from 1 */
	__u32 honoured; /* out: bit mask of the edges honoured */
	__u32 overlapped; /* out: 1 if all edges were, no wait ended otherwise */
	__u32 excluded; /* out: 1 if a hold ended EXCLUDED */
	__u32 blocked_actor; /* out: then the actor that slept */
	char blocked[FL_STACK_LEN]; /* out: and where: functions, innermost first */
	/* out: how often each control was applied */
	__u32 control_hits[FL_MAX_CONTROLS];
	struct fl_site_result sites[FL_MAX_SITES]; /* out */
};

/*
 * Each also fails with EMSGSIZE if the size that is part of its number is that of
 * another ABI. A number that is none of these: ENOTTY.
 */
#define FL_IOC_MAGIC 0xFA
#define FL_IOC_ARM _IOWR(FL_IOC_MAGIC, 1, struct fl_program)
#define FL_IOC_DISARM _IO(FL_IOC_MAGIC, 2) /* ends all holds; 0 if not armed */
#define FL_IOC_BIND _IOW(FL_IOC_MAGIC, 3, struct fl_bind)
/*
 * Begins a run, and ends the one before it. EBUSY: an actor is inside a site, or
 * a hit of the run before is still under way after FL_MAX_LATE_MS; that run has
 * then ended, and no other has begun.
 */
#define FL_IOC_RUN _IO(FL_IOC_MAGIC, 4)
#define FL_IOC_ARRIVE _IOWR(FL_IOC_MAGIC, 5, struct fl_arrive)
#define FL_IOC_RESULT _IOR(FL_IOC_MAGIC, 6, struct fl_result)
#define FL_IOC_STOP _IO(FL_IOC_MAGIC, 7) /* ends all holds and the run */
#define FL_IOC_ARRIVE_READING _IOWR(FL_IOC_MAGIC, 8, struct fl_arrive_reading)
#define FL_IOC_AIM _IOW(FL_IOC_MAGIC, 9, struct fl_aim)
#define FL_IOC_PATCH _IOWR(FL_IOC_MAGIC, 10, struct fl_patch)
#define FL_IOC_SCHEDULE _IOWR(FL_IOC_MAGIC, 11, struct fl_program)

#endif /* FAULTLINE_ABI_H */
