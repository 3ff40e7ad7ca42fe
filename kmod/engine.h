/* SPDX-License-Identifier: GPL-2.0 */
/*
 * engine.h - the few calls between the parts of the engine.
 *
 *   session.c       open, ioctl, release
 *   program.c       checks a program, finds its functions
 *   hooks.c         one ftrace_ops for each armed program; what happens at a hit
 *   instructions.c  sites in front of an instruction
 *   holds.c         how an actor is held, and how each hold ends
 */
#ifndef FAULTLINE_ENGINE_H
#define FAULTLINE_ENGINE_H

#include <linux/fs.h>
#include <linux/seq_file.h>
#include <linux/types.h>

#include "armed.h"

/* --- program.c -------------------------------------------------------- */

/* Checks and resolves; may sleep. 0 or -errno with program.why filled. */
int fl_program_prepare(struct fl_armed *armed);

/*
 * Can the sites of @next replace the armed ones? Fills @places, one for each of
 * its sites; may sleep. 0 or -errno with next->why filled.
 */
int fl_program_check_next(struct fl_armed *armed, struct fl_program *next,
			  struct fl_place *places);
/* After a check that was good; no run is on, and no hit under way. */
void fl_program_take_next(struct fl_armed *armed, const struct fl_program *next,
			  const struct fl_place *places);

/* --- session.c -------------------------------------------------------- */

extern const struct file_operations fl_session_fops;
int fl_sessions_show(struct seq_file *m, void *unused);

/* --- hooks.c ---------------------------------------------------------- */

int fl_hooks_init(void);
void fl_hooks_exit(void); /* no program is armed any more; may sleep */
int fl_hooks_arm(struct fl_armed *armed); /* may sleep, long */
void fl_hooks_disarm(struct fl_armed *armed); /* may sleep, long */

/* A stay of the current task between a redirection and its end; see hooks.c. */
struct fl_frame *fl_frame_for_at(struct fl_armed *armed, int actor, int site,
				 unsigned long go_on);

/* --- instructions.c --------------------------------------------------- */

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

/* --- stubs_<arch>.S --------------------------------------------------- */

void fl_enter_stub(void);
void fl_return_stub(void);
void fl_skip_stub(void);
void fl_at_stub(void); /* x86 */

#endif /* FAULTLINE_ENGINE_H */
