// SPDX-License-Identifier: GPL-2.0
/*
 * vmstat_test - <debugfs>/faultline/vmstat: what each CPU keeps to itself is in it.
 */
#define _GNU_SOURCE
#include "kselftest_harness.h"

#include <sched.h>
#include <sys/mman.h>

#include "common.h"

#define EXACT FL_DIR "vmstat"
#define ROUGH "/proc/vmstat"
#define PAGES 3 /* fewer than a CPU tells at once */

/* nr_shmem of a file, or -1. */
static long shmem_pages(const char *path)
{
	FILE *file = fopen(path, "r");
	char line[128];
	long pages = -1;

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "nr_shmem %ld", &pages) == 1)
			break;
	if (file)
		fclose(file);
	return pages;
}

static int refresh(void)
{
	int file = open("/proc/sys/vm/stat_refresh", O_WRONLY);
	int err = file < 0 || write(file, "1", 1) != 1 ? errno : 0;

	if (file >= 0)
		close(file);
	return err;
}

/* PAGES new pages of a memfd, on this CPU. */
static int add_pages(void)
{
	char page[65536] = { 1 };
	long size = sysconf(_SC_PAGESIZE);
	int file = memfd_create("vmstat_test", 0), i;

	for (i = 0; i < PAGES; i++)
		if (write(file, page, size) != size)
			return -1;
	return file;
}

static int stay_on(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return sched_setaffinity(0, sizeof(set), &set);
}

TEST(has_what_each_cpu_keeps)
{
	int tries, stale = 0;

	for (tries = 0; tries < 20; tries++) {
		long before = shmem_pages(EXACT), rough;
		int file;

		if (stay_on(tries % sysconf(_SC_NPROCESSORS_ONLN)))
			continue;
		ASSERT_LE(0, before);
		file = add_pages();
		ASSERT_LE(0, file);
		rough = shmem_pages(ROUGH);
		ASSERT_EQ(before + PAGES, shmem_pages(EXACT));
		stale += rough != before + PAGES;
		ASSERT_EQ(0, refresh());
		ASSERT_EQ(before + PAGES, shmem_pages(ROUGH));
		close(file);
		ASSERT_EQ(before, shmem_pages(EXACT));
	}
	/* Else the file would have nothing to add. */
	EXPECT_LT(0, stale);
}

TEST(takes_no_command)
{
	int file = open(EXACT, O_RDWR);

	ASSERT_LE(0, file);
	ASSERT_EQ(-1, write(file, "1", 1));
	ASSERT_EQ(EINVAL, errno);
	close(file);
}

TEST_HARNESS_MAIN
