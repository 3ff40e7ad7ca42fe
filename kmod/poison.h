/* SPDX-License-Identifier: GPL-2.0 */
/* poison.h - the bytes of memory that was not cleared. */
#ifndef FAULTLINE_POISON_H
#define FAULTLINE_POISON_H

#include <linux/seq_file.h>

/* Two lines of <debugfs>/capabilities: poisoned-pages, poisoned-objects. May sleep. */
void fl_poison_show(struct seq_file *m);

#endif /* FAULTLINE_POISON_H */
