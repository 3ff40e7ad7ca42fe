/* SPDX-License-Identifier: GPL-2.0 */
/*
 * instrument.h - the interface of an instrument: a part of the module that
 * shows or changes the kernel on demand.
 */
#ifndef FAULTLINE_INSTRUMENT_H
#define FAULTLINE_INSTRUMENT_H

#include <linux/fs.h>
#include <linux/types.h>

#include "textfile.h"

/*
 * For a reader that is held (FL_IOC_ARRIVE_READING): prepare, begin, end. Between
 * begin and end the caller is in an RCU section: it must not sleep.
 */
struct fl_reading {
	const struct fl_reading_ops *ops;
	void *set; /* the instrument's, as are the next three */
	unsigned int index; /* of the table that is read */
	bool begun;
	int freed; /* before it began */
};

struct fl_reading_ops {
	/*
	 * May sleep. -EBADF if @file is not the instrument's, -EINVAL if it has no
	 * such @index, -EINTR; after 0 the other two must follow.
	 */
	int (*prepare)(struct fl_reading *reading, struct file *file,
		       unsigned int index);
	/* False if it is too late: then there is no reader. */
	bool (*begin)(struct fl_reading *reading);
	/* True if the table was freed in between. */
	bool (*end)(struct fl_reading *reading);
};

struct fl_instrument {
	struct fl_textfile file;
	/* Each of these may be NULL. */
	void (*init)(void); /* at load, after the symbols; may sleep */
	/*
	 * Sites and controls do not apply to calls from this module, but to those
	 * from @ip if this says so. Any context.
	 */
	bool (*calls_from)(unsigned long ip);
	const struct fl_reading_ops *reading;
};

/* At load; may sleep. */
void fl_instruments_init(void);

/* Gives debugfs the file of each instrument. */
void fl_instruments_create(struct dentry *folder);

/* Do sites and controls apply to a call from this module at @ip? Any context. */
bool fl_instruments_call_from(unsigned long ip);

/* The operations of the instrument of @file; as in struct fl_reading_ops. */
int fl_reading_prepare(struct fl_reading *reading, struct file *file,
		       unsigned int index);

#endif /* FAULTLINE_INSTRUMENT_H */
