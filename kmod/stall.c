// SPDX-License-Identifier: GPL-2.0
/*
 * stall.c - a test aid: a CPU that stands still at one place, once.
 */
#include <linux/delay.h>
#include <linux/kernel.h>
#include <linux/seq_file.h>
#include <linux/string.h>

#include "stall.h"

#define FL_MAX_STALL_MS 1000

static const char *const fl_stall_names[FL_NR_STALLS] = {
	[FL_STALL_HIT] = "hit",
	[FL_STALL_QUEUED] = "queued",
};

static unsigned int fl_stall_ms[FL_NR_STALLS];

void fl_stall(enum fl_stall_place place)
{
	if (unlikely(READ_ONCE(fl_stall_ms[place])))
		mdelay(xchg(&fl_stall_ms[place], 0));
}

static int fl_stall_command(void *state, char *text)
{
	unsigned int ms;
	char name[8];
	int i;

	if (sscanf(text, "%7s %u", name, &ms) != 2 || ms > FL_MAX_STALL_MS)
		return -EINVAL;
	for (i = 0; i < FL_NR_STALLS; i++) {
		if (strcmp(name, fl_stall_names[i]))
			continue;
		WRITE_ONCE(fl_stall_ms[i], ms);
		return 0;
	}
	return -EINVAL;
}

static int fl_stall_show(struct seq_file *m, void *unused)
{
	int i;

	for (i = 0; i < FL_NR_STALLS; i++)
		seq_printf(m, "%s %u\n", fl_stall_names[i],
			   READ_ONCE(fl_stall_ms[i]));
	return 0;
}

const struct fl_instrument fl_stall_file = {
	.file = {
		.size = sizeof(int), /* no state */
		.command = fl_stall_command,
		.show = fl_stall_show,
	},
};
