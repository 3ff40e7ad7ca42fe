/* SPDX-License-Identifier: GPL-2.0 */
/*
 * guest.h - is this a virtual machine?
 */
#ifndef FAULTLINE_GUEST_H
#define FAULTLINE_GUEST_H

/*
 * 0, or -EACCES and a line in the log with the reason: this is no virtual
 * machine, and i_know=1 was not given. 0 if there is no sign of that.
 */
int fl_guest_check(void);

#endif /* FAULTLINE_GUEST_H */
