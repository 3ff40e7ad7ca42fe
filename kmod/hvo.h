/* SPDX-License-Identifier: GPL-2.0 */
/* hvo.h - <debugfs>/faultline/hvo/block: the struct pages of one huge page. */
#ifndef FAULTLINE_HVO_H
#define FAULTLINE_HVO_H

#include "instrument.h"

/*
 * Each open file looks at one block of physical memory as large as a huge page
 * of one PMD, and at the virtual pages of vmemmap that hold its struct pages.
 * One command a write. hvo_lines.h has the formats.
 *
 * Errors of a write: EINVAL, EFAULT (no page there), EOPNOTSUPP (this machine
 * does not optimize vmemmap).
 */
extern const struct fl_instrument fl_hvo_block;

#endif /* FAULTLINE_HVO_H */
