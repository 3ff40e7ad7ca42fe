// SPDX-License-Identifier: GPL-2.0
/*
 * instrument.c - the one list of instruments. To add one, write its file and a
 * struct fl_instrument in it, and name that here.
 */
#include <linux/debugfs.h>
#include <linux/kernel.h>
#include <linux/string.h>

#include "calls.h"
#include "depth.h"
#include "hugetlb.h"
#include "hvo.h"
#include "ibt.h"
#include "instrument.h"
#include "locks.h"
#include "notifier.h"
#include "pgtable.h"
#include "stall.h"
#include "tables.h"
#include "vmstat.h"

/* Those of one folder stand together. */
static const struct fl_instrument *const fl_instruments[] = {
	&fl_depth,
	&fl_calls,
	&fl_stall_file,
	&fl_ibt_file,
	&fl_vmstat,
	&fl_pgtable_range,
	&fl_pgtable_tables,
	&fl_pgtable_notifier,
	&fl_pgtable_locks,
	&fl_hvo_block,
	&fl_hugetlb_share,
};

void fl_instruments_init(void)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(fl_instruments); i++)
		if (fl_instruments[i]->init)
			fl_instruments[i]->init();
}

void fl_instruments_create(struct dentry *top)
{
	struct dentry *folder = top;
	const char *name = NULL;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(fl_instruments); i++) {
		const struct fl_instrument *instrument = fl_instruments[i];

		if (instrument->folder &&
		    (!name || strcmp(name, instrument->folder))) {
			name = instrument->folder;
			folder = debugfs_create_dir(name, top);
		}
		fl_textfile_create(&instrument->file,
				   instrument->folder ? folder : top);
	}
}

bool fl_instruments_call_from(unsigned long ip)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(fl_instruments); i++)
		if (fl_instruments[i]->calls_from &&
		    fl_instruments[i]->calls_from(ip))
			return true;
	return false;
}

int fl_reading_prepare(struct fl_reading *reading, struct file *file,
		       unsigned int index)
{
	int err = -EBADF;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(fl_instruments) && err == -EBADF; i++) {
		reading->ops = fl_instruments[i]->reading;
		if (reading->ops)
			err = reading->ops->prepare(reading, file, index);
	}
	return err;
}
