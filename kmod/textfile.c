// SPDX-License-Identifier: GPL-2.0
/*
 * textfile.c - debugfs files that take a command a write and answer in lines.
 */
#include <linux/capability.h>
#include <linux/debugfs.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "textfile.h"

static const struct fl_textfile *fl_textfile_of(const struct file *file)
{
	return file_inode(file)->i_private;
}

static void *fl_textfile_state(const struct file *file)
{
	return ((struct seq_file *)file->private_data)->private;
}

static int fl_textfile_open(struct inode *inode, struct file *file)
{
	const struct fl_textfile *textfile = inode->i_private;
	void *state;
	int err;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (!current->mm)
		return -EINVAL;
	state = kvzalloc(textfile->size, GFP_KERNEL);
	if (!state)
		return -ENOMEM;
	err = textfile->open ? textfile->open(state, file) : 0;
	if (err)
		goto out_free_state;
	err = single_open(file, textfile->show, state);
	if (err)
		goto out_release_state;
	/* Else two tasks could not give commands at once. */
	file->f_mode &= ~FMODE_ATOMIC_POS;
	return 0;

out_release_state:
	if (textfile->release)
		textfile->release(state);
out_free_state:
	kvfree(state);
	return err;
}

static int fl_textfile_release(struct inode *inode, struct file *file)
{
	const struct fl_textfile *textfile = fl_textfile_of(file);
	void *state = fl_textfile_state(file);

	if (textfile->release)
		textfile->release(state);
	kvfree(state);
	return single_release(inode, file);
}

static ssize_t fl_textfile_write(struct file *file, const char __user *from,
				 size_t len, loff_t *pos)
{
	char *text;
	int err;

	if (len > PAGE_SIZE || !fl_textfile_of(file)->command)
		return -EINVAL;
	text = memdup_user_nul(from, len);
	if (IS_ERR(text))
		return PTR_ERR(text);
	err = fl_textfile_of(file)->command(fl_textfile_state(file), text);
	kfree(text);
	*pos = 0; /* the next read starts at the beginning */
	return err ?: len;
}

static ssize_t fl_textfile_read(struct file *file, char __user *to, size_t len,
				loff_t *pos)
{
	const struct fl_textfile *textfile = fl_textfile_of(file);

	return textfile->read ? textfile->read(fl_textfile_state(file), to, len,
					       pos) :
				seq_read(file, to, len, pos);
}

/* seq_lseek() calls show, which a file with a read of its own lacks. */
static loff_t fl_textfile_llseek(struct file *file, loff_t offset, int whence)
{
	return fl_textfile_of(file)->read ?
		       default_llseek(file, offset, whence) :
		       seq_lseek(file, offset, whence);
}

static const struct file_operations fl_textfile_fops = {
	.owner = THIS_MODULE,
	.open = fl_textfile_open,
	.read = fl_textfile_read,
	.write = fl_textfile_write,
	.llseek = fl_textfile_llseek,
	.release = fl_textfile_release,
};

void fl_textfile_create(const char *name, const struct fl_textfile *textfile,
			struct dentry *folder)
{
	debugfs_create_file(name, 0600, folder, (void *)textfile,
			    &fl_textfile_fops);
}
