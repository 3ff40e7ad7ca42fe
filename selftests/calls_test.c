// SPDX-License-Identifier: GPL-2.0
/*
 * calls_test - <debugfs>/faultline/calls: the functions that tasks call, between a start and a stop.
 */
#define _GNU_SOURCE
#include "kselftest_harness.h"

#include <sys/mman.h>

#include "calls_abi.h"
#include "common.h"

#define CALLS FL_DIR "calls"
#define MAX 65536

FIXTURE(calls)
{
	int file;
	struct fl_call *calls;
};

/* 0, or the errno. */
static int order(int file, const char *command)
{
	size_t len = strlen(command);

	return write(file, command, len) == (ssize_t)len ? 0 : errno;
}

static int order_tasks(int file, pid_t task)
{
	char command[64];

	snprintf(command, sizeof(command), FL_CALLS_TASKS " %d\n", task);
	return order(file, command);
}

/* The number of calls, or -1: the bytes are no array of calls. */
static int answer(int file, struct fl_call *calls)
{
	ssize_t bytes = 0, n;

	while ((n = pread(file, (char *)calls + bytes, MAX * sizeof(*calls) - bytes, bytes)) > 0)
		bytes += n;
	return n < 0 || bytes % sizeof(*calls) ? -1 : (int)(bytes / sizeof(*calls));
}

/* Enters memory management. */
static void work(void)
{
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	*(volatile char *)page = 1;
	munmap(page, 4096);
}

FIXTURE_SETUP(calls)
{
	self->file = open(CALLS, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->file);
	self->calls = calloc(MAX, sizeof(*self->calls));
	ASSERT_NE(NULL, self->calls);
}

FIXTURE_TEARDOWN(calls)
{
	free(self->calls);
	close(self->file);
}

TEST_F(calls, refuse_what_is_no_command)
{
	static const char *const bad[] = {
		"begin", "tasks x", "tasks -1", "tasks 0",
		"tasks 1 1 1 1 1 1 1 1 1",
	};
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		EXPECT_EQ(EINVAL, order(self->file, bad[i]));
	EXPECT_EQ(ESRCH, order(self->file, "tasks 999999999"));
	EXPECT_EQ(0, answer(self->file, self->calls));
}

TEST_F_TIMEOUT(calls, are_those_between_start_and_stop, 120)
{
	int first, again, i;

	ASSERT_EQ(0, order_tasks(self->file, getpid()));
	ASSERT_EQ(0, order(self->file, FL_CALLS_START));
	EXPECT_EQ(EBUSY, order_tasks(self->file, getpid()));
	work();
	ASSERT_EQ(0, order(self->file, FL_CALLS_STOP));
	first = answer(self->file, self->calls);
	EXPECT_LT(10, first);
	for (i = 0; i < first; i++) {
		ASSERT_EQ(0, self->calls[i].task);
		ASSERT_EQ(0, self->calls[i].flags & ~(FL_CALL_INTERRUPT | FL_CALL_ATOMIC));
		ASSERT_NE(0, self->calls[i].ip);
		ASSERT_NE(0, self->calls[i].time_ns);
	}
	work();
	EXPECT_EQ(first, answer(self->file, self->calls));
	ASSERT_EQ(0, order(self->file, FL_CALLS_START));
	ASSERT_EQ(0, order(self->file, FL_CALLS_STOP));
	again = answer(self->file, self->calls);
	EXPECT_LT(again, first);
}

/* kthreadd sleeps, and what this task does is not its. */
TEST_F_TIMEOUT(calls, of_another_task_are_not_ours, 120)
{
	int nr, i;

	ASSERT_EQ(0, order(self->file, FL_CALLS_TASKS " 2"));
	ASSERT_EQ(0, order(self->file, FL_CALLS_START));
	work();
	ASSERT_EQ(0, order(self->file, FL_CALLS_STOP));
	nr = answer(self->file, self->calls);
	EXPECT_GE(nr, 0);
	for (i = 0; i < nr; i++)
		EXPECT_EQ(0, self->calls[i].task);
	EXPECT_LT(nr, 1000);
}

TEST_HARNESS_MAIN
