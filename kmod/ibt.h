/* SPDX-License-Identifier: GPL-2.0 */
/*
 * ibt.h - the functions that may be called by a pointer;
 * <debugfs>/faultline/ibt.
 */
#ifndef FAULTLINE_IBT_H
#define FAULTLINE_IBT_H

#include <linux/types.h>

#include "instrument.h"

/*
 * Where indirect branch tracking (IBT, x86) is on, a call by a pointer must
 * meet an ENDBR instruction. The kernel overwrites ("seals") the ENDBR of each
 * function whose address neither it nor an export takes. True if @address, a
 * function that was looked up by name, can be called; always true where IBT is
 * off. May sleep.
 */
bool fl_ibt_callable(unsigned long address);

/*
 * A test aid. One command a write:
 *
 *	NAME[+OFFSET]	look there (OFFSET in bytes, decimal, at most 4096)
 *
 * Reading gives
 *
 *	ibt on|off|assumed|absent
 *	NAME+OFFSET endbr|sealed|none
 *
 * "absent": this kernel is not built with it, and nothing has an ENDBR; "assumed":
 * it is off, but the module was loaded with assume_ibt=1 and heeds it. "none" is
 * also what cannot be read. The second line is there after a write.
 *
 * Errors: EINVAL (a write that is none of the above), ENOENT (no such symbol).
 */
extern const struct fl_instrument fl_ibt_file;

#endif /* FAULTLINE_IBT_H */
