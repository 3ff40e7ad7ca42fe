/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * depth_lines.h - the formats of <debugfs>/faultline/depth, a line each. Given
 * the conversion of each value, in this order, a line is the format that the
 * module prints with and that the driver and the selftests scan with.
 */
#ifndef FAULTLINE_DEPTH_LINES_H
#define FAULTLINE_DEPTH_LINES_H

/* Written: the task, as the writer sees its number. */
#define FL_DEPTH_ASK(pid) pid

/*
 * The function at whose entry the task was deepest, and its caller. The name of a
 * module's function has two words, "fl_hit [faultline]".
 */
#define FL_DEPTH_AT(function, caller) function " from " caller

/*
 * The only line. @bytes: the deepest so far; @of: the size of the stack; @at: as
 * above.
 */
#define FL_DEPTH_DEEPEST(pid, bytes, of, at)                                \
	"depth pid " pid " bytes " bytes " of " of " in " at

#endif /* FAULTLINE_DEPTH_LINES_H */
