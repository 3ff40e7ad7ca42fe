// SPDX-License-Identifier: GPL-2.0
/*
 * program.c - can this program run? Every refusal names the field in
 * program.why.
 */
#include <linux/bitops.h>
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/string.h>

#include "controls.h"
#include "engine.h"
#include "sites.h"
#include "symbols.h"

#define fl_refuse(_program, _err, ...)                                       \
	({                                                                   \
		snprintf((_program)->why, sizeof((_program)->why), __VA_ARGS__); \
		_err;                                                        \
	})

static bool fl_name_ok(const char *name, size_t len, bool may_be_empty)
{
	return strnlen(name, len) < len && (may_be_empty || name[0]);
}

static int fl_check_counts(struct fl_program *p)
{
	if ((p->flags & ~FL_PROGRAM_FLAGS) || p->reserved)
		return fl_refuse(p, -EINVAL,
				 "flags %#x: only those of %#x exist; reserved %u: must be 0",
				 p->flags, FL_PROGRAM_FLAGS, p->reserved);
	if (p->nr_actors < 1 || p->nr_actors > FL_MAX_ACTORS)
		return fl_refuse(p, -EINVAL, "%u actors: 1 to %d can take part",
				 p->nr_actors, FL_MAX_ACTORS);
	if (p->nr_sites > FL_MAX_SITES)
		return fl_refuse(p, -EINVAL, "%u sites: at most %d",
				 p->nr_sites, FL_MAX_SITES);
	if (p->nr_edges > FL_MAX_EDGES)
		return fl_refuse(p, -EINVAL, "%u edges: at most %d",
				 p->nr_edges, FL_MAX_EDGES);
	if (p->nr_controls > FL_MAX_CONTROLS)
		return fl_refuse(p, -EINVAL, "%u controls: at most %d",
				 p->nr_controls, FL_MAX_CONTROLS);
	if (p->wait_ms < 1 || p->wait_ms > FL_MAX_WAIT_MS)
		return fl_refuse(p, -EINVAL, "wait_ms %u: 1 to %d",
				 p->wait_ms, FL_MAX_WAIT_MS);
	if (p->excluded_ms > FL_MAX_WAIT_MS)
		return fl_refuse(p, -EINVAL, "excluded_ms %u: at most %d",
				 p->excluded_ms, FL_MAX_WAIT_MS);
	return 0;
}

static int fl_check_actors(struct fl_program *p)
{
	u32 i;

	for (i = 0; i < p->nr_actors; i++)
		if (!fl_name_ok(p->actors[i], FL_ACTOR_LEN, false))
			return fl_refuse(p, -EINVAL,
					 "actor %u: no name of 1 to %d bytes",
					 i, FL_ACTOR_LEN - 1);
	return 0;
}

static int fl_check_site(struct fl_program *p, u32 i)
{
	const struct fl_site *site = &p->sites[i];

	if (site->actor >= p->nr_actors)
		return fl_refuse(p, -EINVAL, "site %u: no actor %u", i,
				 site->actor);
	if (site->kind < FL_SITE_ENTER || site->kind > FL_SITE_AT)
		return fl_refuse(p, -EINVAL, "site %u: unknown kind %u", i,
				 site->kind);
	if (site->context < FL_CONTEXT_AUTO || site->context > FL_CONTEXT_SPIN)
		return fl_refuse(p, -EINVAL, "site %u: unknown context %u", i,
				 site->context);
	if (!site->hit)
		return fl_refuse(p, -EINVAL, "site %u: hits count from 1", i);
	if (!fl_name_ok(site->name, FL_NAME_LEN, false))
		return fl_refuse(p, -EINVAL,
				 "site %u: no name of 1 to %d bytes", i,
				 FL_NAME_LEN - 1);
	return 0;
}

static int fl_check_control(struct fl_program *p, u32 i)
{
	const struct fl_control *control = &p->controls[i];

	if (control->kind < FL_CONTROL_SKIP ||
	    control->kind > FL_CONTROL_CORRUPT)
		return fl_refuse(p, -EINVAL, "control %u: unknown kind %u", i,
				 control->kind);
	if (!control->actors || control->actors >> p->nr_actors)
		return fl_refuse(p, -EINVAL,
				 "control %u: actor mask %#x of %u actors", i,
				 control->actors, p->nr_actors);
	if (!control->every)
		return fl_refuse(p, -EINVAL, "control %u: every counts from 1",
				 i);
	if (control->reserved)
		return fl_refuse(p, -EINVAL, "control %u: reserved is not 0",
				 i);
	if (!fl_name_ok(control->function, FL_NAME_LEN, false) ||
	    !fl_name_ok(control->caller, FL_NAME_LEN, true) ||
	    !fl_name_ok(control->replacement, FL_NAME_LEN,
			control->kind != FL_CONTROL_REPLACE))
		return fl_refuse(p, -EINVAL,
				 "control %u: a name is empty or too long", i);
	return 0;
}

static int fl_check_edge(struct fl_program *p, u32 i)
{
	const struct fl_edge *edge = &p->edges[i];
	u32 k;

	if (edge->before >= p->nr_sites || edge->after >= p->nr_sites)
		return fl_refuse(p, -EINVAL, "edge %u: site %u -> %u of %u", i,
				 edge->before, edge->after, p->nr_sites);
	if (edge->before == edge->after)
		return fl_refuse(p, -EINVAL,
				 "edge %u: site %u waits for itself", i,
				 edge->before);
	for (k = 0; k < i; k++)
		if (p->edges[k].before == edge->after &&
		    p->edges[k].after == edge->before)
			return fl_refuse(p, -ELOOP,
					 "edges %u and %u: a cycle, each of the two sites waits for the other",
					 k, i);
	return 0;
}

/*
 * Two events a site: reached (2i) and left (2i + 1). A site is left after it is
 * reached, the next site of an actor is reached after the one before is left,
 * and an edge lets its second site be left after its first is reached. If these
 * have a cycle, no execution honours them all. Remove events without a
 * predecessor until none is left, or none can be removed.
 */
static int fl_check_cycles(struct fl_program *p)
{
	u64 before[2 * FL_MAX_SITES] = {};
	u64 left = p->nr_sites == 32 ? ~0ULL :
				       (1ULL << (2 * p->nr_sites)) - 1;
	bool moved = true;
	u32 i, k;

	BUILD_BUG_ON(2 * FL_MAX_SITES > 64);
	for (i = 0; i < p->nr_sites; i++) {
		before[2 * i + 1] |= BIT_ULL(2 * i);
		for (k = 0; k < i; k++)
			if (p->sites[k].actor == p->sites[i].actor)
				before[2 * i] |= BIT_ULL(2 * k + 1);
	}
	for (i = 0; i < p->nr_edges; i++)
		before[2 * p->edges[i].after + 1] |=
			BIT_ULL(2 * p->edges[i].before);
	while (moved) {
		moved = false;
		for (i = 0; i < 2 * p->nr_sites; i++)
			if ((left & BIT_ULL(i)) && !(before[i] & left)) {
				left &= ~BIT_ULL(i);
				moved = true;
			}
	}
	if (left)
		return fl_refuse(p, -ELOOP,
				 "a cycle: site %u (%s) can never be %s",
				 (u32)__ffs64(left) / 2,
				 p->sites[__ffs64(left) / 2].name,
				 __ffs64(left) & 1 ? "left" : "reached");
	return 0;
}

static int fl_check(struct fl_program *p)
{
	int err = fl_check_counts(p);
	u32 i;

	if (!err)
		err = fl_check_actors(p);
	for (i = 0; !err && i < p->nr_sites; i++)
		err = fl_check_site(p, i);
	for (i = 0; !err && i < p->nr_edges; i++)
		err = fl_check_edge(p, i);
	for (i = 0; !err && i < p->nr_controls; i++)
		err = fl_check_control(p, i);
	return err ?: fl_check_cycles(p);
}

static struct fl_hook *fl_hook_of(struct fl_armed *armed, unsigned long address)
{
	u32 i;

	for (i = 0; i < armed->nr_hooks; i++)
		if (armed->hooks[i].address == address)
			return &armed->hooks[i];
	return NULL;
}

/* There is room for as many as can be asked for: see fl_program_prepare(). */
static struct fl_hook *fl_hook_for(struct fl_armed *armed,
				   unsigned long address)
{
	struct fl_hook *hook = fl_hook_of(armed, address);

	if (hook)
		return hook;
	hook = &armed->hooks[armed->nr_hooks++];
	hook->address = address;
	return hook;
}

static int fl_resolve_site(struct fl_armed *armed, u32 i)
{
	struct fl_program *p = &armed->program;
	struct fl_site_state *state = &armed->sites[i];
	int err;

	if (p->sites[i].kind == FL_SITE_USER) {
		state->place.context = FL_CONTEXT_SLEEP;
		return 0;
	}
	if (p->sites[i].kind == FL_SITE_AT)
		return fl_at_resolve(armed, i, p->why, sizeof(p->why));
	err = fl_site_resolve(p->sites[i].name, &state->place, p->why,
			      sizeof(p->why));
	if (err)
		return err;
	if (p->sites[i].context != FL_CONTEXT_AUTO)
		state->place.context = p->sites[i].context;
	fl_hook_for(armed, state->place.address)->sites |= BIT(i);
	return 0;
}

static int fl_resolve_replacement(struct fl_armed *armed, u32 i)
{
	struct fl_program *p = &armed->program;
	const char *name = p->controls[i].replacement;
	const char *missing;
	int err;

	err = fl_replacement_find(name, &armed->controls[i].replacement,
				  &missing);
	if (err == -ENODEV)
		return fl_refuse(p, err,
				 "control %u: %s uses %s, which this kernel does not have",
				 i, name, missing);
	if (err)
		return fl_refuse(p, err, "control %u: no replacement %s here",
				 i, name);
	return 0;
}

static int fl_resolve_control(struct fl_armed *armed, u32 i)
{
	struct fl_program *p = &armed->program;
	const struct fl_control *control = &p->controls[i];
	struct fl_control_state *state = &armed->controls[i];
	unsigned long caller;
	int err;

	err = fl_site_resolve(control->function, &state->place, p->why,
			      sizeof(p->why));
	if (err)
		return err;
	state->caller_start = state->place.caller_start;
	state->caller_end = state->place.caller_end;
	if (control->caller[0]) {
		caller = fl_symbol_address(control->caller);
		if (!caller || fl_symbol_range(caller, &state->caller_start,
					       &state->caller_end))
			return fl_refuse(p, -ENOENT,
					 "this kernel has no function %s()",
					 control->caller);
	}
	if (control->kind == FL_CONTROL_REPLACE) {
		err = fl_resolve_replacement(armed, i);
		if (err)
			return err;
	}
	fl_hook_for(armed, state->place.address)->controls |= BIT(i);
	return 0;
}

static bool fl_diverts(const struct fl_control *control)
{
	return control->kind == FL_CONTROL_SKIP ||
	       control->kind == FL_CONTROL_REPLACE;
}

/* Can one call be meant by both? That of `every` is not looked at. */
static bool fl_controls_meet(const struct fl_armed *armed, u32 i, u32 k)
{
	const struct fl_control_state *a = &armed->controls[i];
	const struct fl_control_state *b = &armed->controls[k];

	if (a->place.address != b->place.address ||
	    !(armed->program.controls[i].actors &
	      armed->program.controls[k].actors))
		return false;
	return !a->caller_end || !b->caller_end ||
	       (a->caller_start < b->caller_end &&
		b->caller_start < a->caller_end);
}

/*
 * A call can be diverted once: the other control would look tried, but would
 * not be.
 */
static int fl_check_diversions(struct fl_armed *armed)
{
	struct fl_program *p = &armed->program;
	u32 i, k;

	for (i = 0; i < p->nr_controls; i++)
		for (k = 0; k < i; k++)
			if (fl_diverts(&p->controls[i]) &&
			    fl_diverts(&p->controls[k]) &&
			    fl_controls_meet(armed, i, k))
				return fl_refuse(p, -EINVAL,
						 "controls %u and %u: both divert %s() of one actor",
						 k, i,
						 armed->controls[i].place.function);
	return 0;
}

static void fl_program_await(struct fl_armed *armed)
{
	const struct fl_program *p = &armed->program;
	u32 i;

	for (i = 0; i < p->nr_edges; i++)
		armed->sites[p->edges[i].after].awaits |=
			BIT(p->edges[i].before);
}

int fl_program_prepare(struct fl_armed *armed)
{
	struct fl_program *p = &armed->program;
	int err;
	u32 i;

	p->why[0] = '\0';
	err = fl_check(p);
	if (err)
		return err;
	armed->hooks = kvcalloc(FL_MAX_SITES + FL_MAX_CONTROLS +
					armed->nr_patched,
				sizeof(*armed->hooks), GFP_KERNEL);
	if (!armed->hooks)
		return -ENOMEM;
	for (i = 0; i < armed->nr_patched; i++)
		fl_hook_for(armed, armed->patched[i].place.address);
	for (i = 0; !err && i < p->nr_sites; i++)
		err = fl_resolve_site(armed, i);
	for (i = 0; !err && i < p->nr_controls; i++)
		err = fl_resolve_control(armed, i);
	if (!err)
		err = fl_check_diversions(armed);
	if (!err)
		fl_program_await(armed);
	return err;
}

/* By the name that FL_IOC_PATCH gave, else by a look-up, which is slow. */
static int fl_place_patched(struct fl_armed *armed, const char *name,
			    struct fl_place *place, struct fl_program *p)
{
	u32 i;

	for (i = 0; i < armed->nr_patched; i++)
		if (!strcmp(armed->patched[i].name, name)) {
			*place = armed->patched[i].place;
			return 0;
		}
	return fl_site_resolve(name, place, p->why, sizeof(p->why));
}

static int fl_reschedule_site(struct fl_armed *armed, struct fl_program *p,
			      u32 i, struct fl_place *place)
{
	const struct fl_site *site = &p->sites[i];
	int err;

	if (site->kind == FL_SITE_AT)
		return fl_refuse(p, -EINVAL,
				 "site %u: in front of an instruction only as the program was armed",
				 i);
	if (site->kind == FL_SITE_USER) {
		place->context = FL_CONTEXT_SLEEP;
		return 0;
	}
	err = fl_place_patched(armed, site->name, place, p);
	if (err)
		return err;
	if (!fl_hook_of(armed, place->address))
		return fl_refuse(p, -ENOENT, "site %u: %s() is not patched", i,
				 place->function);
	if (site->context != FL_CONTEXT_AUTO)
		place->context = site->context;
	return 0;
}

int fl_program_check_next(struct fl_armed *armed, struct fl_program *next,
			  struct fl_place *places)
{
	int err;
	u32 i;

	next->why[0] = '\0';
	next->nr_controls = 0;
	err = fl_check(next);
	if (!err && next->nr_actors != armed->program.nr_actors)
		err = fl_refuse(next, -EINVAL, "%u actors: it was armed for %u",
				next->nr_actors, armed->program.nr_actors);
	for (i = 0; !err && i < next->nr_sites; i++)
		err = fl_reschedule_site(armed, next, i, &places[i]);
	return err;
}

void fl_program_take_next(struct fl_armed *armed, const struct fl_program *next,
			  const struct fl_place *places)
{
	struct fl_program *p = &armed->program;
	u32 i;

	p->flags = next->flags;
	p->nr_sites = next->nr_sites;
	p->nr_edges = next->nr_edges;
	p->wait_ms = next->wait_ms;
	p->excluded_ms = next->excluded_ms;
	memcpy(p->sites, next->sites, sizeof(p->sites));
	memcpy(p->edges, next->edges, sizeof(p->edges));
	memset(armed->sites, 0, sizeof(armed->sites));
	for (i = 0; i < armed->nr_hooks; i++)
		armed->hooks[i].sites = 0;
	for (i = 0; i < p->nr_sites; i++) {
		armed->sites[i].place = places[i];
		/*
		 * @next is freed later; keep the name of a function that was
		 * named directly.
		 */
		if (places[i].function == next->sites[i].name)
			armed->sites[i].place.function = p->sites[i].name;
		if (p->sites[i].kind != FL_SITE_USER)
			fl_hook_of(armed, places[i].address)->sites |= BIT(i);
	}
	fl_program_await(armed);
}
