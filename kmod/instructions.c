// SPDX-License-Identifier: GPL-2.0
/*
 * instructions.c - sites in front of an instruction: "FUNCTION/PATTERN".
 *
 * Some windows lie between two instructions of one function. The module
 * searches the live text for the instruction, and refuses the site if the
 * function has none or several. If the site is aimed at one page, the module
 * probes all of them, and their operand decides. A kprobe there does not hold
 * the actor itself, as it runs with interrupts off: it redirects the actor to
 * fl_at_stub, which holds it with the function's interrupt state and returns to
 * the instruction. The actor hits the probe again, which lets it through.
 *
 * The kernel's decoder (asm/insn.h) is not exported, and by a pointer it would
 * be one more function that a kernel may lack or not let us call. A pattern is
 * a few bytes, so it is compared at every address. Bytes that only look like
 * it, in the middle of another instruction, count as one more match, or
 * register_kprobe() refuses them, as it decodes the function from its
 * beginning.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/kernel.h>
#include <linux/kprobes.h>
#include <linux/mm_types.h>
#include <linux/stacktrace.h>
#include <linux/string.h>

#include "compat.h"
#include "engine.h"
#include "sites.h"
#include "symbols.h"

#if FL_HAS_AT

/* Offsets of the registers, in the order in which instructions number them. */
static const u8 fl_register_offsets[] = {
	offsetof(struct pt_regs, ax),  offsetof(struct pt_regs, cx),
	offsetof(struct pt_regs, dx),  offsetof(struct pt_regs, bx),
	offsetof(struct pt_regs, sp),  offsetof(struct pt_regs, bp),
	offsetof(struct pt_regs, si),  offsetof(struct pt_regs, di),
	offsetof(struct pt_regs, r8),  offsetof(struct pt_regs, r9),
	offsetof(struct pt_regs, r10), offsetof(struct pt_regs, r11),
	offsetof(struct pt_regs, r12), offsetof(struct pt_regs, r13),
	offsetof(struct pt_regs, r14), offsetof(struct pt_regs, r15),
};

/* f0, perhaps a REX prefix, 0f b1: of 16, 32 or 64 bits, not of a byte. */
static bool fl_match_lock_cmpxchg(const u8 *text, struct fl_at *at)
{
	int n = 1;

	if (text[0] != 0xf0)
		return false;
	if ((text[n] & 0xf0) == 0x40)
		n++;
	return text[n] == 0x0f && text[n + 1] == 0xb1;
}

/* The same of 32 bits, at a register, perhaps plus one byte. */
static bool fl_match_based(const u8 *text, struct fl_at *at)
{
	u8 rex = (text[1] & 0xf0) == 0x40 ? text[1] : 0;
	const u8 *modrm = text + (rex ? 4 : 3);
	u8 mod = *modrm >> 6;

	if (!fl_match_lock_cmpxchg(text, at) || rex & 8 || mod > 1)
		return false;
	at->base = *modrm & 7;
	if (at->base == 4) { /* there is one byte more: of a base alone? */
		modrm++;
		if ((*modrm >> 3 & 7) != 4 || rex & 2)
			return false;
		at->base = *modrm & 7;
	}
	if (!mod && at->base == 5) /* no register */
		return false;
	at->base |= rex & 1 ? 8 : 0;
	at->offset = mod ? modrm[1] : 0;
	return true;
}

/* The same, at a register plus the offset of page->_refcount. */
static bool fl_match_page_ref(const u8 *text, struct fl_at *at)
{
	return fl_match_based(text, at) &&
	       at->offset == offsetof(struct page, _refcount);
}

static const struct fl_pattern {
	const char *name;
	/* 16 bytes of @text can be read. May note the operand in @at. */
	bool (*match)(const u8 *text, struct fl_at *at);
	/* If there is none: KASAN has the address of the operand computed before. */
	bool (*computed)(const u8 *text, struct fl_at *at);
	bool aimed; /* the operand decides: there may be several */
} fl_patterns[] = {
	{ "lock-cmpxchg", fl_match_lock_cmpxchg },
	{ "page-ref", fl_match_page_ref, fl_match_based, .aimed = true },
};

/*
 * The function that takes a reference to a page, where the compiler does not inline it,
 * as with KASAN: one copy serves a whole file.
 */
#define FL_OUT_OF_LINE "page_ref_add_unless"

static const struct fl_pattern *fl_pattern_named(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(fl_patterns); i++)
		if (!strcmp(fl_patterns[i].name, name))
			return &fl_patterns[i];
	return NULL;
}

/* How often the function has it; the first few are put into @found. */
static int fl_matches(bool (*match)(const u8 *text, struct fl_at *at),
		      bool aimed, unsigned long start, unsigned long end,
		      struct fl_at found[FL_MAX_AT_MATCHES])
{
	struct fl_at at = { .aimed = aimed };
	unsigned long address;
	u8 text[16];
	int nr = 0;

	for (address = start; address < end; address++) {
		if (copy_from_kernel_nofault(text, (void *)address,
					     sizeof(text)))
			break;
		if (!match(text, &at))
			continue;
		at.probe.addr = (void *)address;
		if (nr < FL_MAX_AT_MATCHES)
			found[nr] = at;
		nr++;
	}
	return nr;
}

static int fl_pattern_find(const struct fl_pattern *pattern,
			   unsigned long start, unsigned long end,
			   struct fl_at found[FL_MAX_AT_MATCHES])
{
	int nr = fl_matches(pattern->match, pattern->aimed, start, end, found);

	if (!nr && pattern->computed)
		nr = fl_matches(pattern->computed, pattern->aimed, start, end,
				found);
	return nr;
}

/* The range of FL_OUT_OF_LINE that a function calls: true if it does. */
static bool fl_out_of_line(unsigned long from, unsigned long to,
			   unsigned long *start, unsigned long *end)
{
	char name[sizeof(FL_OUT_OF_LINE)];
	unsigned long address, target;
	u8 text[5]; /* e8 and a distance: a call */
	s32 distance;

	for (address = from; address < to; address++) {
		if (copy_from_kernel_nofault(text, (void *)address,
					     sizeof(text)))
			break;
		memcpy(&distance, text + 1, sizeof(distance));
		target = address + sizeof(text) + distance;
		if (text[0] != 0xe8 || fl_symbol_range(target, start, end) ||
		    target != *start)
			continue;
		snprintf(name, sizeof(name), "%ps", (void *)target);
		if (!strcmp(name, FL_OUT_OF_LINE))
			return true;
	}
	return false;
}

static int fl_at_find_called(const struct fl_pattern *pattern,
			     unsigned long from, unsigned long to,
			     struct fl_at *found)
{
	unsigned long start, end;
	int nr, i;

	if (!fl_out_of_line(from, to, &start, &end))
		return 0;
	nr = fl_pattern_find(pattern, start, end, found);
	for (i = 0; i < nr && i < FL_MAX_AT_MATCHES; i++) {
		found[i].caller_start = from;
		found[i].caller_end = to;
	}
	return nr;
}

static int fl_at_find(const struct fl_pattern *pattern, const char *function,
		      struct fl_at *found, char *why, size_t why_len)
{
	int most = pattern->aimed ? FL_MAX_AT_MATCHES : 1;
	unsigned long start, end;
	int nr;

	if (fl_site_function(function, &start, &end)) {
		snprintf(why, why_len, "this kernel has no function %s()",
			 function);
		return -ENOENT;
	}
	nr = fl_pattern_find(pattern, start, end, found) ?:
		     fl_at_find_called(pattern, start, end, found);
	if (nr >= 1 && nr <= most)
		return nr;
	snprintf(why, why_len, "%s() has %d instructions %s, not one%s",
		 function, nr, pattern->name, most > 1 ? " to four" : "");
	return -ENODEV;
}

int fl_at_resolve(struct fl_armed *armed, u32 site, char *why, size_t why_len)
{
	const char *name = armed->program.sites[site].name;
	const char *slash = strrchr(name, '/');
	const struct fl_pattern *pattern =
		slash ? fl_pattern_named(slash + 1) : NULL;
	struct fl_at *found = &armed->ats[armed->nr_ats];
	char function[FL_NAME_LEN] = {};
	int nr;

	if (!pattern) {
		snprintf(why, why_len, "%s: not FUNCTION/PATTERN", name);
		return -EINVAL;
	}
	if (armed->nr_ats + FL_MAX_AT_MATCHES > ARRAY_SIZE(armed->ats)) {
		snprintf(why, why_len, "site %u: too many instructions", site);
		return -EINVAL;
	}
	memcpy(function, name, slash - name);
	nr = fl_at_find(pattern, function, found, why, why_len);
	if (nr < 0)
		return nr;
	armed->sites[site].place.context = FL_CONTEXT_SPIN;
	for (armed->nr_ats += nr; nr--; found++) {
		found->armed = armed;
		found->site = site;
	}
	return 0;
}

static bool fl_at_aimed_at(const struct fl_at *at, const struct pt_regs *regs)
{
	unsigned long base;

	if (!at->aimed)
		return true;
	base = *(const unsigned long *)((const u8 *)regs +
					fl_register_offsets[at->base]);
	return base + at->offset == READ_ONCE(at->armed->aim);
}

/* A copy serves a whole file: only the calls from the named function count. */
static bool fl_at_called_from(const struct fl_at *at)
{
	unsigned long here = (unsigned long)at->probe.addr;
	unsigned long entries[32];
	unsigned int nr, i;

	if (!at->caller_end)
		return true;
	nr = stack_trace_save(entries, ARRAY_SIZE(entries), 0);
	for (i = 0; i + 1 < nr; i++)
		/* Where the probe is, or behind its int3. */
		if (entries[i] == here || entries[i] == here + 1)
			return entries[i + 1] > at->caller_start &&
			       entries[i + 1] <= at->caller_end;
	return false;
}

/* True if this is the actor's second hit, after its hold. */
static bool fl_at_passes(const struct fl_at *at, struct fl_actor *actor)
{
	if (actor->pass_at != at->site + 1)
		return false;
	actor->pass_at = 0;
	atomic_dec(&actor->inside);
	return true;
}

/* True if the stub must hold the actor. */
static bool fl_at_act(const struct fl_at *at, int actor, struct pt_regs *regs)
{
	struct fl_armed *armed = at->armed;
	bool held;

	if (!fl_at_aimed_at(at, regs) || !fl_at_called_from(at) ||
	    !fl_hit_begin(armed))
		return false;
	held = fl_site_reached(armed, at->site, regs->ax) &&
	       fl_frame_for_at(armed, actor, at->site,
			       (unsigned long)at->probe.addr);
	fl_hit_end(armed);
	return held;
}

static int fl_at_hit(struct kprobe *probe, struct pt_regs *regs)
{
	struct fl_at *at = container_of(probe, struct fl_at, probe);
	struct fl_armed *armed = at->armed;
	int actor = fl_actor_of(armed, current);

	if (actor < 0 || armed->program.sites[at->site].actor != actor)
		return 0;
	if (fl_at_passes(at, &armed->actors[actor]) ||
	    current->flags & PF_EXITING || !fl_at_act(at, actor, regs))
		return 0;
	regs->ip = (unsigned long)fl_at_stub;
	return 1;
}

/*
 * A probe with this is not optimized into a jump, which could not be
 * redirected.
 */
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

int fl_at_resolve(struct fl_armed *armed, u32 site, char *why, size_t why_len)
{
	snprintf(why, why_len, "no sites in front of an instruction here: %s",
		 armed->program.sites[site].name);
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
