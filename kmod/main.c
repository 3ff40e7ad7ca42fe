// SPDX-License-Identifier: GPL-2.0
/*
 * main.c - load, unload, and the files under <debugfs>/faultline/.
 *
 * faultline holds tasks at chosen places of the memory management code. It is
 * for test VMs only.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/debugfs.h>
#include <linux/module.h>
#include <linux/rcupdate.h>
#include <linux/seq_file.h>
#include <linux/utsname.h>

#include "controls.h"
#include "engine.h"
#include "events.h"
#include "file_table.h"
#include "guest.h"
#include "instrument.h"
#include "sites.h"
#include "symbols.h"
#include "task_list.h"

static struct dentry *fl_debugfs;

static int fl_about_show(struct seq_file *m, void *unused)
{
	seq_printf(m, "faultline abi %d kernel %s machine %s page-size %lu cpus %u\n",
		   FL_ABI_VERSION, init_utsname()->release,
		   init_utsname()->machine, PAGE_SIZE, num_online_cpus());
	seq_puts(m, "holds tasks inside memory management code: test VMs only\n");
	return 0;
}

/* DEFINE_SHOW_ATTRIBUTE() makes NAME_fops of NAME_show(). */
DEFINE_SHOW_ATTRIBUTE(fl_about);
DEFINE_SHOW_ATTRIBUTE(fl_capabilities);
DEFINE_SHOW_ATTRIBUTE(fl_sites);
DEFINE_SHOW_ATTRIBUTE(fl_replacements);
DEFINE_SHOW_ATTRIBUTE(fl_sessions);
DEFINE_SHOW_ATTRIBUTE(fl_events);
DEFINE_SHOW_ATTRIBUTE(fl_tasks);

static const struct {
	const char *name;
	const struct file_operations *fops;
} fl_files[] = {
#define FL_ROW(_show, _name, _about) { _name, &_show##_fops },
	FL_SHOWN_FILES(FL_ROW)
	{ FL_SESSION_FILE, &fl_session_fops },
};

static void fl_create_files(void)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(fl_files); i++)
		debugfs_create_file(fl_files[i].name, 0600, fl_debugfs, NULL,
				    fl_files[i].fops);
	fl_instruments_create(fl_debugfs);
}

/* Safe from every partial state of fl_init(). */
static void fl_teardown(void)
{
	debugfs_remove(fl_debugfs);
	fl_hooks_exit();
	/*
	 * A task that gave back its reference on the module may not have left
	 * the stub yet; once every task has been scheduled, all have.
	 */
	synchronize_rcu_tasks();
	/* And for callbacks that replacements queued. */
	rcu_barrier();
	fl_controls_exit();
	fl_events_exit();
}

static int __init fl_init(void)
{
	int err;

	err = fl_guest_check();
	if (err)
		return err;
	err = fl_symbols_init();
	if (err)
		return err;
	fl_instruments_init();
	err = fl_events_init();
	if (err)
		goto out_teardown;
	err = fl_hooks_init();
	if (err)
		goto out_teardown;
	fl_debugfs = debugfs_create_dir(KBUILD_MODNAME, NULL);
	if (IS_ERR(fl_debugfs)) {
		err = PTR_ERR(fl_debugfs);
		goto out_teardown;
	}
	fl_create_files();
	pr_info("loaded, abi %d: test VMs only\n", FL_ABI_VERSION);
	return 0;

out_teardown:
	fl_teardown();
	return err;
}

static void __exit fl_exit(void)
{
	fl_teardown();
}

module_init(fl_init);
module_exit(fl_exit);

MODULE_AUTHOR("The Faultline developers");
MODULE_DESCRIPTION("Holds tasks at chosen places of memory management code");
MODULE_LICENSE("GPL");
MODULE_INFO(test, "Y");
