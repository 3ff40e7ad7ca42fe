// SPDX-License-Identifier: GPL-2.0
/*
 * tasks_test - <debugfs>/faultline/tasks: a task that did not run has the same count of switches.
 */
#define _GNU_SOURCE
#include "kselftest_harness.h"

#include <sys/prctl.h>

#include "common.h"

#define TASKS FL_DIR "tasks"

struct row {
	int task, process, parent;
	unsigned long switches;
	char state[16], name[64];
};

/* The row of a task; its task is 0 if it has none. */
static struct row row_of(int task)
{
	FILE *file = fopen(TASKS, "r");
	struct row row = { 0 };
	char line[256];

	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line,
			   "task %d process %d parent %d switches %lu %15s %63[^\n]",
			   &row.task, &row.process, &row.parent, &row.switches,
			   row.state, row.name) == 6 &&
		    row.task == task)
			break;
		row.task = 0;
	}
	if (file)
		fclose(file);
	return row;
}

TEST(has_its_reader)
{
	struct row row = row_of(getpid());

	ASSERT_EQ(getpid(), row.task);
	EXPECT_EQ(getpid(), row.process);
	EXPECT_EQ(getppid(), row.parent);
	EXPECT_STREQ("running", row.state);
}

TEST(escapes_a_newline)
{
	prctl(PR_SET_NAME, "a\nb c");
	EXPECT_STREQ("a\\012b c", row_of(getpid()).name);
}

TEST(has_no_thread_of_the_kernel)
{
	EXPECT_EQ(1, row_of(1).task);
	EXPECT_EQ(0, row_of(2).task); /* kthreadd */
}

TEST(tells_whether_a_task_ran)
{
	int wake[2], ready[2];
	struct row first, second;
	char byte;
	pid_t child;

	ASSERT_EQ(0, pipe(wake));
	ASSERT_EQ(0, pipe(ready));
	child = fork();
	if (!child) {
		while (write(ready[1], "r", 1) == 1 &&
		       read(wake[0], &byte, 1) == 1)
			;
		_exit(0);
	}
	ASSERT_EQ(1, read(ready[0], &byte, 1));
	do { /* until it sleeps in read() */
		usleep(10000);
		first = row_of(child);
	} while (strcmp(first.state, "off"));
	usleep(100000);
	first = row_of(child);
	second = row_of(child);
	EXPECT_STREQ("off", second.state);
	EXPECT_EQ(first.switches, second.switches);
	ASSERT_EQ(1, write(wake[1], "w", 1));
	ASSERT_EQ(1, read(ready[0], &byte, 1));
	usleep(100000);
	second = row_of(child);
	EXPECT_TRUE(second.switches > first.switches ||
		    !strcmp(second.state, "running"));
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	EXPECT_EQ(0, row_of(child).task);
}

TEST_HARNESS_MAIN
