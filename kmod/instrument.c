// SPDX-License-Identifier: GPL-2.0
/*
 * instrument.c - the list of the instruments. To add one, write its file and a
 * struct fl_instrument in it, and give that a row in file_table.h.
 */
#include <linux/debugfs.h>
#include <linux/kernel.h>
#include <linux/string.h>

#include "calls.h"
#include "depth.h"
#include "file_table.h"
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

static const struct {
	const char *folder, *name;
	const struct fl_instrument *instrument;
} fl_rows[] = {
#define FL_ROW(_instrument, _folder, _name, _lines, _about)                 \
	{ .folder = _folder, .name = _name, .instrument = &(_instrument) },
	FL_INSTRUMENT_FILES(FL_ROW)
};

void fl_instruments_init(void)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(fl_rows); i++)
		if (fl_rows[i].instrument->init)
			fl_rows[i].instrument->init();
}

void fl_instruments_create(struct dentry *top)
{
	struct dentry *folder = top;
	const char *made = "";
	size_t i;

	for (i = 0; i < ARRAY_SIZE(fl_rows); i++) {
		if (fl_rows[i].folder[0] && strcmp(made, fl_rows[i].folder)) {
			made = fl_rows[i].folder;
			folder = debugfs_create_dir(made, top);
		}
		fl_textfile_create(fl_rows[i].name,
				   &fl_rows[i].instrument->file,
				   fl_rows[i].folder[0] ? folder : top);
	}
}

bool fl_instruments_call_from(unsigned long ip)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(fl_rows); i++)
		if (fl_rows[i].instrument->calls_from &&
		    fl_rows[i].instrument->calls_from(ip))
			return true;
	return false;
}

int fl_reading_prepare(struct fl_reading *reading, struct file *file,
		       unsigned int index)
{
	int err = -EBADF;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(fl_rows) && err == -EBADF; i++) {
		reading->ops = fl_rows[i].instrument->reading;
		if (reading->ops)
			err = reading->ops->prepare(reading, file, index);
	}
	return err;
}
