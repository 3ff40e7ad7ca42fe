/* SPDX-License-Identifier: GPL-2.0 */
/*
 * textfile.h - debugfs files that take a command a write and answer in lines, or by
 * read in a form of their own.
 */
#ifndef FAULTLINE_TEXTFILE_H
#define FAULTLINE_TEXTFILE_H

#include <linux/fs.h>
#include <linux/seq_file.h>
#include <linux/types.h>

/*
 * Each open of the file has a state of its own. Only root may open it, in a task
 * that has an mm. Commands and reads of one open file run at once: they lock for
 * themselves.
 */
struct fl_textfile {
	size_t size; /* of the state */
	/* All may sleep. The state comes zeroed. open and release may be NULL. */
	int (*open)(void *state, struct file *file);
	void (*release)(void *state); /* open succeeded; undo everything */
	/* May change the text. NULL: a write is -EINVAL. */
	int (*command)(void *state, char *text);
	int (*show)(struct seq_file *m, void *unused); /* m->private: the state */
	/* Instead of show. As in struct file_operations. */
	ssize_t (*read)(void *state, char __user *to, size_t len, loff_t *pos);
};

/* Gives debugfs a file; @textfile must live as long. */
void fl_textfile_create(const char *name, const struct fl_textfile *textfile,
			struct dentry *folder);

#endif /* FAULTLINE_TEXTFILE_H */
