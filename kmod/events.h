/* SPDX-License-Identifier: GPL-2.0 */
/* events.h - the log of what happened at sites and controls, for each CPU. */
#ifndef FAULTLINE_EVENTS_H
#define FAULTLINE_EVENTS_H

#include <linux/seq_file.h>
#include <linux/types.h>

struct fl_armed;

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

#endif /* FAULTLINE_EVENTS_H */
