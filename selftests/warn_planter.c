// SPDX-License-Identifier: GPL-2.0
/*
 * warn_planter - the control of the judge of kernel logs: makes the kernel
 * WARN, and passes. A judge that calls a run with this program clean is blind.
 * `make test` runs it in a VM of its own.
 */
#define _GNU_SOURCE
#include "kselftest_harness.h"

#include <sys/mman.h>

#include "common.h"

TEST(plant_a_warning)
{
	int session = session_open();
	int file = memfd_create("faultline", MFD_CLOEXEC);
	struct fl_program p;

	ASSERT_GE(session, 0)
		TH_LOG("cannot open the session: is the module loaded, are you root?");
	ASSERT_GE(file, 0);
	program_init(&p);
	strcpy(add_control(&p, FL_CONTROL_REPLACE, "vfs_fallocate")->replacement, "selftest_warn");
	ASSERT_EQ(0, ioctl(session, FL_IOC_ARM, &p)) TH_LOG("%s", p.why);
	ASSERT_EQ(0, bind_actor(session, 0, 0));
	ASSERT_EQ(0, ioctl(session, FL_IOC_RUN));
	EXPECT_EQ(0, syscall(SYS_fallocate, file, 0, 0L, 4096L));
}

TEST_HARNESS_MAIN
