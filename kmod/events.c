// SPDX-License-Identifier: GPL-2.0
/*
 * events.c - the last FL_NR_EVENTS events of each CPU, readable as text.
 *
 * Written from any context, without a lock: a CPU writes its own ring alone, an
 * interrupt takes the next slot. A reader may read a record during its write:
 * the serial number before and after shows it, and the reader skips the record.
 */
#include <linux/mm.h>
#include <linux/percpu.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/string.h>
#include <linux/timekeeping.h>

#include "armed.h"
#include "events.h"

#define FL_NR_EVENTS 512 /* a power of two */

struct fl_event_record {
	u64 serial; /* 0 while it is written */
	u64 ns; /* CLOCK_MONOTONIC */
	u64 run;
	u64 value;
	u32 session;
	u32 cpu;
	u32 kind;
	char actor[FL_ACTOR_LEN];
	char what[FL_NAME_LEN];
};

struct fl_event_ring {
	unsigned long next;
	struct fl_event_record records[FL_NR_EVENTS];
};

static struct fl_event_ring **fl_event_rings;

int fl_events_init(void)
{
	int cpu;

	fl_event_rings = kcalloc(nr_cpu_ids, sizeof(*fl_event_rings),
				 GFP_KERNEL);
	if (!fl_event_rings)
		return -ENOMEM;
	for_each_possible_cpu(cpu) {
		fl_event_rings[cpu] =
			kvzalloc(sizeof(**fl_event_rings), GFP_KERNEL);
		if (!fl_event_rings[cpu])
			return -ENOMEM;
	}
	return 0;
}

void fl_events_exit(void)
{
	int cpu;

	if (!fl_event_rings)
		return;
	for_each_possible_cpu(cpu)
		kvfree(fl_event_rings[cpu]);
	kfree(fl_event_rings);
	fl_event_rings = NULL;
}

void fl_event(const struct fl_armed *armed, enum fl_event_kind kind, int actor,
	      const char *what, u64 value)
{
	struct fl_event_record *record;
	struct fl_event_ring *ring;
	unsigned long flags, serial;

	local_irq_save(flags);
	ring = fl_event_rings[raw_smp_processor_id()];
	serial = ++ring->next;
	record = &ring->records[serial % FL_NR_EVENTS];
	WRITE_ONCE(record->serial, 0);
	smp_wmb(); /* pairs with the first smp_rmb() of fl_event_copy() */
	record->ns = ktime_get_mono_fast_ns();
	record->run = armed->run;
	record->value = value;
	record->session = armed->session_id;
	record->cpu = raw_smp_processor_id();
	record->kind = kind;
	strscpy(record->actor, actor < 0 ? "-" : armed->program.actors[actor],
		sizeof(record->actor));
	strscpy(record->what, what, sizeof(record->what));
	smp_wmb(); /* pairs with the second smp_rmb() of fl_event_copy() */
	WRITE_ONCE(record->serial, serial);
	local_irq_restore(flags);
}

static bool fl_event_copy(const struct fl_event_record *from,
			  struct fl_event_record *to)
{
	u64 serial = READ_ONCE(from->serial);

	smp_rmb(); /* pairs with the second smp_wmb() of fl_event() */
	*to = *from;
	smp_rmb(); /* pairs with the first smp_wmb() of fl_event() */
	return serial && READ_ONCE(from->serial) == serial;
}

static int fl_event_compare(const void *a, const void *b)
{
	const struct fl_event_record *x = a, *y = b;

	return x->ns < y->ns ? -1 : x->ns > y->ns;
}

static void fl_event_print(struct seq_file *m,
			   const struct fl_event_record *record)
{
	static const char *const kinds[] = {
		[FL_EVENT_RUN] = "run",
		[FL_EVENT_REACHED] = "reached",
		[FL_EVENT_HELD] = "held",
		[FL_EVENT_LEFT] = "left",
		[FL_EVENT_CONTROL] = "control",
	};
	static const char *const ends[] = {
		[FL_END_NOT_REACHED] = "not-reached",
		[FL_END_PASSED] = "passed",
		[FL_END_WAITED] = "waited",
		[FL_END_TIMEOUT] = "timeout",
		[FL_END_EXCLUDED] = "excluded",
		[FL_END_KILLED] = "killed",
		[FL_END_MISSED] = "missed",
	};
	u64 seconds = record->ns;
	u32 ns = do_div(seconds, NSEC_PER_SEC);

	seq_printf(m, "%llu.%09u cpu%u session %u run %llu %s %s %s", seconds,
		   ns, record->cpu, record->session, record->run,
		   record->actor, kinds[record->kind], record->what);
	if (record->kind == FL_EVENT_LEFT)
		seq_printf(m, " %s", ends[record->value]);
	else if (record->kind == FL_EVENT_HELD)
		seq_puts(m, record->value == FL_CONTEXT_SLEEP ? " sleeping" :
								" spinning");
	seq_putc(m, '\n');
}

int fl_events_show(struct seq_file *m, void *unused)
{
	struct fl_event_record *all;
	size_t nr = 0, i;
	int cpu;

	all = kvcalloc(num_possible_cpus(), sizeof(*all) * FL_NR_EVENTS,
		       GFP_KERNEL);
	if (!all)
		return -ENOMEM;
	for_each_possible_cpu(cpu)
		for (i = 0; i < FL_NR_EVENTS; i++)
			nr += fl_event_copy(&fl_event_rings[cpu]->records[i],
					    &all[nr]);
	sort(all, nr, sizeof(*all), fl_event_compare, NULL);
	for (i = 0; i < nr; i++)
		fl_event_print(m, &all[i]);
	kvfree(all);
	return 0;
}
