// SPDX-License-Identifier: GPL-2.0
/*
 * vmstat.c - exact counters of zones and nodes: the global sum, and the changes that
 * each CPU has not added to it yet (mm/vmstat.c, struct per_cpu_nodestat).
 */
#include <linux/cpu.h>
#include <linux/mm.h>
#include <linux/string.h>
#include <linux/vmstat.h>

#include "symbols.h"
#include "vmstat.h"

/*
 * A CPU that folds its changes moves them: two equal reads contain no such
 * move.
 */
#define FL_VMSTAT_TRIES 100

struct fl_counts {
	long zones[NR_VM_ZONE_STAT_ITEMS];
	long nodes[NR_VM_NODE_STAT_ITEMS];
};

struct fl_vmstat_file {
	const char *const *names; /* of zones' counters, NUMA events, nodes' counters */
	struct fl_counts counts, before;
};

#define FL_FIRST_NODE_NAME (NR_VM_ZONE_STAT_ITEMS + NR_VM_NUMA_EVENT_ITEMS)

static int fl_vmstat_open(void *state, struct file *file)
{
	struct fl_vmstat_file *vmstat = state;
	const char *const *names = (void *)fl_symbol_address("vmstat_text");

	/* Do the enums of the headers match the lines of this kernel? */
	if (!names || strcmp(names[NR_FREE_PAGES], "nr_free_pages") ||
	    strcmp(names[FL_FIRST_NODE_NAME + NR_FILE_PAGES],
		   "nr_file_pages") ||
	    strcmp(names[FL_FIRST_NODE_NAME + NR_SHMEM], "nr_shmem"))
		return -EOPNOTSUPP;
	vmstat->names = names;
	return 0;
}

static void fl_add_zone(struct fl_counts *counts, struct zone *zone, int cpu)
{
	struct per_cpu_zonestat *of_cpu;
	int i;

	if (!populated_zone(zone))
		return;
	of_cpu = per_cpu_ptr(zone->per_cpu_zonestats, cpu);
	for (i = 0; i < NR_VM_ZONE_STAT_ITEMS; i++)
		counts->zones[i] += READ_ONCE(of_cpu->vm_stat_diff[i]);
}

static void fl_add_node(struct fl_counts *counts, pg_data_t *node, int cpu)
{
	struct per_cpu_nodestat *of_cpu;
	int i;

	of_cpu = per_cpu_ptr(node->per_cpu_nodestats, cpu);
	for (i = 0; i < NR_VM_NODE_STAT_ITEMS; i++)
		counts->nodes[i] += READ_ONCE(of_cpu->vm_node_stat_diff[i]);
	for (i = 0; i < MAX_NR_ZONES; i++)
		fl_add_zone(counts, &node->node_zones[i], cpu);
}

static void fl_count_all(struct fl_counts *counts)
{
	int i, nid, cpu;

	for (i = 0; i < NR_VM_ZONE_STAT_ITEMS; i++)
		counts->zones[i] = atomic_long_read(&vm_zone_stat[i]);
	for (i = 0; i < NR_VM_NODE_STAT_ITEMS; i++)
		counts->nodes[i] = atomic_long_read(&vm_node_stat[i]);
	for_each_online_node(nid)
		for_each_online_cpu(cpu)
			fl_add_node(counts, NODE_DATA(nid), cpu);
}

/* The same twice in a row, in vmstat->counts. */
static int fl_count_exactly(struct fl_vmstat_file *vmstat)
{
	int tries;

	fl_count_all(&vmstat->before);
	for (tries = 0; tries < FL_VMSTAT_TRIES; tries++) {
		fl_count_all(&vmstat->counts);
		if (!memcmp(&vmstat->counts, &vmstat->before,
			    sizeof(vmstat->counts)))
			return 0;
		vmstat->before = vmstat->counts;
	}
	return -EAGAIN;
}

static int fl_vmstat_show(struct seq_file *m, void *unused)
{
	struct fl_vmstat_file *vmstat = m->private;
	const char *const *names = vmstat->names;
	int i, err;

	cpus_read_lock();
	err = fl_count_exactly(vmstat);
	cpus_read_unlock();
	if (err)
		return err;
	for (i = 0; i < NR_VM_ZONE_STAT_ITEMS; i++)
		seq_printf(m, "%s %ld\n", names[i],
			   max(vmstat->counts.zones[i], 0L));
	for (i = 0; i < NR_VM_NODE_STAT_ITEMS; i++) {
		long count = max(vmstat->counts.nodes[i], 0L);

		if (vmstat_item_print_in_thp(i))
			count /= HPAGE_PMD_NR;
		seq_printf(m, "%s %ld\n", names[FL_FIRST_NODE_NAME + i],
			   count);
	}
	return 0;
}

const struct fl_instrument fl_vmstat = {
	.file = {
		.size = sizeof(struct fl_vmstat_file),
		.open = fl_vmstat_open,
		.show = fl_vmstat_show,
	},
};
