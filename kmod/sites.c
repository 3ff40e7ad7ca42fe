// SPDX-License-Identifier: GPL-2.0
/* sites.c - the function of a logical site in this kernel. */
#include <linux/kernel.h>
#include <linux/seq_file.h>
#include <linux/version.h>

#include "compat.h"
#include "site_table.h"
#include "sites.h"
#include "symbols.h"

static const struct fl_logical_site *fl_logical_site(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(fl_logical_sites); i++)
		if (!strcmp(fl_logical_sites[i].name, name))
			return &fl_logical_sites[i];
	return NULL;
}

static bool fl_traceable(unsigned long address)
{
	return fl_sym.ftrace_location && fl_sym.ftrace_location(address);
}

/* A call that other releases make in front of the window is no candidate. */
static bool fl_of_this_release(const struct fl_candidate *candidate)
{
	return candidate->since <= LINUX_VERSION_CODE &&
	       (!candidate->before || LINUX_VERSION_CODE < candidate->before);
}

static int fl_candidate_resolve(const struct fl_candidate *candidate,
				struct fl_place *place, char *why,
				size_t why_len)
{
	unsigned long caller;

	place->function = candidate->function;
	place->address = fl_symbol_address(candidate->function);
	if (!place->address) {
		snprintf(why, why_len, "this kernel has no function %s()",
			 candidate->function);
		return -ENOENT;
	}
	if (!fl_traceable(place->address)) {
		snprintf(why, why_len, "%s() cannot be traced in this kernel",
			 candidate->function);
		return -ENODEV;
	}
	place->caller_start = 0;
	place->caller_end = 0;
	if (!candidate->caller)
		return 0;
	caller = fl_symbol_address(candidate->caller);
	if (!caller || fl_symbol_range(caller, &place->caller_start,
				       &place->caller_end)) {
		snprintf(why, why_len, "this kernel has no function %s()",
			 candidate->caller);
		return -ENOENT;
	}
	return 0;
}

static int fl_logical_resolve(const struct fl_logical_site *site,
			      struct fl_place *place, char *why, size_t why_len)
{
	int err = -ENOENT;
	int i;

	place->context = site->context;
	for (i = 0; i < FL_MAX_CANDIDATES && site->candidates[i].function; i++) {
		if (!fl_of_this_release(&site->candidates[i]))
			continue;
		err = fl_candidate_resolve(&site->candidates[i], place, why,
					   why_len);
		if (!err)
			return 0;
	}
	return err;
}

int fl_site_resolve(const char *name, struct fl_place *place, char *why,
		    size_t why_len)
{
	const struct fl_logical_site *site = fl_logical_site(name);
	const struct fl_candidate direct = { .function = name };

	if (site)
		return fl_logical_resolve(site, place, why, why_len);
	place->context = FL_CONTEXT_AUTO;
	return fl_candidate_resolve(&direct, place, why, why_len);
}

int fl_site_function(const char *name, unsigned long *start,
		     unsigned long *end)
{
	const struct fl_logical_site *site = fl_logical_site(name);
	const struct fl_candidate direct[] = { { .function = name }, {} };
	const struct fl_candidate *candidate = site ? site->candidates : direct;

	for (; candidate->function; candidate++) {
		if (!fl_of_this_release(candidate))
			continue;
		*start = fl_symbol_address(candidate->function);
		if (*start && !fl_symbol_range(*start, start, end))
			return 0;
	}
	return -ENOENT;
}

int fl_sites_show(struct seq_file *m, void *unused)
{
	static const char *const contexts[] = {
		[FL_CONTEXT_AUTO] = "auto",
		[FL_CONTEXT_SLEEP] = "sleeps",
		[FL_CONTEXT_SPIN] = "spins",
	};
	char why[FL_WHY_LEN];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(fl_logical_sites); i++) {
		const struct fl_logical_site *site = &fl_logical_sites[i];
		struct fl_place place;
		int err = fl_logical_resolve(site, &place, why, sizeof(why));

		seq_printf(m, "%s %s %s %s %s\n", site->name,
			   err ? "-" : place.function, contexts[site->context],
			   err ? "no" : "yes", err ? why : site->about);
	}
	return 0;
}
