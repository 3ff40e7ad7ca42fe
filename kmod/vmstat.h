/* SPDX-License-Identifier: GPL-2.0 */
/* vmstat.h - <debugfs>/faultline/vmstat: the counters of /proc/vmstat, exact. */
#ifndef FAULTLINE_VMSTAT_H
#define FAULTLINE_VMSTAT_H

#include "instrument.h"

/*
 * The lines of /proc/vmstat that count something in zones and nodes, in its units.
 * Each CPU keeps small changes to itself; /proc/vmstat leaves them out, and this file
 * adds them. Unlike a write to /proc/sys/vm/stat_refresh it runs nothing on other CPUs.
 *
 * Errors of open: EOPNOTSUPP (this kernel has no vmstat_text, or it begins with
 * other names); of read: EAGAIN (the counters changed at each try).
 */
extern const struct fl_instrument fl_vmstat;

#endif /* FAULTLINE_VMSTAT_H */
