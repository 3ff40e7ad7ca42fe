// SPDX-License-Identifier: GPL-2.0
/*
 * ats.c - sites in front of an instruction: "FUNCTION/PATTERN".
 *
 * Some windows lie between two instructions of one function. The instruction is
 * found in the live text by what it is, and refused if the function has none or
 * several of the kind. A kprobe there does not hold the actor itself, as it runs
 * with interrupts off: it sends it to fl_at_stub, which holds it as the function
 * was, interrupts on, and goes back to the instruction. There the probe is hit
 * again and lets the actor through.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/kernel.h>
#include <linux/kprobes.h>
#include <linux/string.h>

#include "compat.h"
#include "sites.h"
#include "symbols.h"

#if FL_HAS_AT

/* f0, perhaps a REX prefix, 0f b1: of 16, 32 or 64 bits, not of a byte. */
static int fl_match_lock_cmpxchg(const u8 *text)
{
	int n = 1;

	if (text[0] != 0xf0)
		return 0;
	if ((text[n] & 0xf0) == 0x40)
		n++;
	return text[n] == 0x0f && text[n + 1] == 0xb1 ? n + 2 : 0;
}

static const struct fl_pattern {
	const char *name;
	/* How long the match at @text is, 0 if none; 16 bytes can be read. */
	int (*match)(const u8 *text);
} fl_patterns[] = {
	{ "lock-cmpxchg", fl_match_lock_cmpxchg },
};

static const struct fl_pattern *fl_pattern_named(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(fl_patterns); i++)
		if (!strcmp(fl_patterns[i].name, name))
			return &fl_patterns[i];
	return NULL;
}

/* How often the function has it; *@found is the last one's address. */
static int fl_pattern_count(const struct fl_pattern *pattern,
			    unsigned long start, unsigned long end,
			    unsigned long *found)
{
	unsigned long at;
	u8 text[16];
	int nr = 0;

	for (at = start; at < end; at++) {
		if (copy_from_kernel_nofault(text, (void *)at, sizeof(text)))
			break;
		if (pattern->match(text)) {
			*found = at;
			nr++;
		}
	}
	return nr;
}

/* Of a function, or of what a logical name leads to: the first that exists. */
static int fl_at_function(const char *name, unsigned long *start,
			  unsigned long *end)
{
	const struct fl_logical_site *site = fl_logical_site(name);
	const struct fl_candidate direct[] = { { .function = name }, {} };
	const struct fl_candidate *candidate = site ? site->candidates : direct;

	for (; candidate->function; candidate++) {
		*start = fl_symbol_address(candidate->function);
		if (*start && !fl_symbol_range(*start, start, end))
			return 0;
	}
	return -ENOENT;
}

int fl_at_resolve(const char *name, struct fl_place *place, char *why,
		  size_t why_len)
{
	const char *slash = strrchr(name, '/');
	const struct fl_pattern *pattern =
		slash ? fl_pattern_named(slash + 1) : NULL;
	char function[FL_NAME_LEN] = {};
	unsigned long start, end;
	int nr;

	if (!pattern) {
		snprintf(why, why_len, "%s: not FUNCTION/PATTERN", name);
		return -EINVAL;
	}
	memcpy(function, name, slash - name);
	if (fl_at_function(function, &start, &end)) {
		snprintf(why, why_len, "this kernel has no function %s()",
			 function);
		return -ENOENT;
	}
	nr = fl_pattern_count(pattern, start, end, &place->address);
	if (nr != 1) {
		snprintf(why, why_len, "%s() has %d instructions %s, not one",
			 function, nr, pattern->name);
		return -ENODEV;
	}
	place->context = FL_CONTEXT_SPIN;
	return 0;
}

static int fl_at_hit(struct kprobe *probe, struct pt_regs *regs)
{
	struct fl_at *at = container_of(probe, struct fl_at, probe);
	struct fl_armed *armed = at->armed;
	int actor = fl_actor_of(armed, current);

	if (current->flags & PF_EXITING || !READ_ONCE(armed->running) ||
	    actor < 0 || armed->program.sites[at->site].actor != actor)
		return 0;
	if (armed->actors[actor].pass_at == at->site + 1) {
		armed->actors[actor].pass_at = 0;
		return 0;
	}
	if (!(regs->flags & X86_EFLAGS_IF) ||
	    !fl_site_reached(armed, at->site, regs->ax) ||
	    !fl_frame_for_at(armed, actor, at->site,
			     (unsigned long)probe->addr))
		return 0;
	regs->ip = (unsigned long)fl_at_stub;
	return 1;
}

/* A probe that has this is not made a jump, which could not be redirected. */
static void fl_at_after(struct kprobe *probe, struct pt_regs *regs,
			unsigned long flags)
{
}

int fl_ats_arm(struct fl_armed *armed)
{
	struct fl_program *p = &armed->program;
	u32 i;
	int err;

	for (i = 0; i < armed->nr_ats; i++) {
		struct fl_at *at = &armed->ats[i];

		at->probe.addr = (void *)armed->sites[at->site].place.address;
		at->probe.pre_handler = fl_at_hit;
		at->probe.post_handler = fl_at_after;
		err = register_kprobe(&at->probe);
		if (err) {
			snprintf(p->why, sizeof(p->why),
				 "no probe at %s: %d", p->sites[at->site].name,
				 err);
			return err == -EINVAL ? -ENODEV : err;
		}
		at->registered = true;
	}
	return 0;
}

void fl_ats_disarm(struct fl_armed *armed)
{
	u32 i;

	for (i = 0; i < armed->nr_ats; i++) {
		if (armed->ats[i].registered)
			unregister_kprobe(&armed->ats[i].probe);
		armed->ats[i].registered = false;
	}
}

#else /* !FL_HAS_AT */

int fl_at_resolve(const char *name, struct fl_place *place, char *why,
		  size_t why_len)
{
	snprintf(why, why_len, "no sites in front of an instruction here: %s",
		 name);
	return -ENODEV;
}

int fl_ats_arm(struct fl_armed *armed)
{
	return 0;
}

void fl_ats_disarm(struct fl_armed *armed)
{
}

#endif /* FL_HAS_AT */
