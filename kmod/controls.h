/* SPDX-License-Identifier: GPL-2.0 */
/*
 * controls.h - the parts of the kernel that a control breaks: functions, and a
 * byte.
 */
#ifndef FAULTLINE_CONTROLS_H
#define FAULTLINE_CONTROLS_H

#include <linux/seq_file.h>
#include <linux/types.h>

/*
 * A replacement function by name: 0 with its address, -ENOENT, or -ENODEV if it uses
 * a symbol that this kernel does not have, and then @missing is its name.
 */
int fl_replacement_find(const char *name, unsigned long *address,
			const char **missing);
int fl_replacements_show(struct seq_file *m, void *unused);
void fl_controls_exit(void); /* undoes their leftovers; sleeps */

/*
 * Flip the byte at a user address of the current task. False if there is none; or,
 * not @may_fault, if that would take a page fault. Any context if not @may_fault.
 */
bool fl_corrupt_byte(unsigned long address, bool may_fault);

#endif /* FAULTLINE_CONTROLS_H */
