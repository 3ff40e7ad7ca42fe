/* SPDX-License-Identifier: GPL-2.0 */
/* sites.h - logical names of the places where an actor can be seen or held. */
#ifndef FAULTLINE_SITES_H
#define FAULTLINE_SITES_H

#include <linux/seq_file.h>
#include <linux/types.h>

#include "faultline_abi.h"

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

/*
 * The text of a function, or of the first candidate of a logical name that exists
 * here, traceable or not. 0, -ENOENT.
 */
int fl_site_function(const char *name, unsigned long *start,
		     unsigned long *end);

/* <debugfs>/sites: "NAME SYMBOL|- sleeps|spins|auto yes|no why". */
int fl_sites_show(struct seq_file *m, void *unused);

#endif /* FAULTLINE_SITES_H */
