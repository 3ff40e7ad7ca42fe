// SPDX-License-Identifier: GPL-2.0
/*
 * tables_test - <debugfs>/faultline/pgtable/tables: PTE tables of the test,
 * given to the real pte_free_defer(), and pgtable/notifier.
 */
#define _GNU_SOURCE
#include "kselftest_harness.h"

#include <pthread.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "common.h"
#include "pgtable_lines.h"

#define TABLES FL_DIR "pgtable/tables"
#define NOTIFIER FL_DIR "pgtable/notifier"
#define MAX 64

struct row {
	unsigned long pfn, offset;
	char state[16], flags[32];
	unsigned long long given, queued_at, freed_at;
	int refs, tables, queued, again, freed, active, early, cpu, reads, broken;
};

FIXTURE(tables)
{
	int file;
	struct row rows[MAX];
};

/* 0, or the errno. */
static int order(int file, const char *command)
{
	size_t len = strlen(command);

	return write(file, command, len) == (ssize_t)len ? 0 : errno;
}

/* How many rows, or -1. */
static int answer(int file, struct row *rows)
{
	static char text[65536];
	char *line, *rest = text;
	ssize_t n = pread(file, text, sizeof(text) - 1, 0);
	int nr = 0, index;

	if (n < 0)
		return -1;
	text[n] = '\0';
	while (nr < MAX && (line = strsep(&rest, "\n")) && *line) {
		struct row *r = &rows[nr];

		memset(r, 0, sizeof(*r));
		if (sscanf(line,
			   FL_TABLES_TABLE("%d", "%lx", "%lu", "%15s", "%llu",
					   FL_PGTABLE_PAGE("%d", "%d", "%31s"), "%d", "%d", "%llu",
					   "%d", "%d", "%llu", "%d", "%d", "%d", "%d"),
			   &index, &r->pfn, &r->offset, r->state, &r->given, &r->refs, &r->tables,
			   r->flags, &r->queued, &r->again, &r->queued_at, &r->freed, &r->active,
			   &r->freed_at, &r->early, &r->cpu, &r->reads, &r->broken) != 18 ||
		    index != nr)
			return -1;
		nr++;
	}
	return nr;
}

static bool no_pte_free_defer(void)
{
	const char *line = strstr(read_file(FL_DIR "capabilities"), "defer-tables ");

	return line && !strncmp(line, "defer-tables no", 15);
}

FIXTURE_SETUP(tables)
{
	if (no_pte_free_defer())
		SKIP(return, "this kernel has no pte_free_defer()");
	self->file = open(TABLES, O_RDWR | O_CLOEXEC);
	ASSERT_GE(self->file, 0)
		TH_LOG("cannot open " TABLES ": is the module loaded, are you root?");
}

FIXTURE_TEARDOWN(tables)
{
	close(self->file);
}

TEST_F(tables, new_tables_are_page_tables_and_ours)
{
	struct row *rows = self->rows;
	int i;

	ASSERT_EQ(0, order(self->file, "tables 3"));
	ASSERT_EQ(3, answer(self->file, rows));
	for (i = 0; i < 3; i++) {
		EXPECT_STREQ("ours", rows[i].state);
		EXPECT_TRUE(strstr(rows[i].flags, "table"));
		EXPECT_EQ(1, rows[i].refs);
		EXPECT_EQ(0, rows[i].queued);
		EXPECT_EQ(0, rows[i].freed);
	}
#if defined(__powerpc64__)
	if (getpagesize() == 65536) {
		EXPECT_EQ(rows[0].pfn, rows[2].pfn);
		EXPECT_EQ(3, rows[0].tables);
		EXPECT_NE(rows[0].offset, rows[1].offset);
	}
#else
	EXPECT_NE(rows[0].pfn, rows[1].pfn);
	EXPECT_EQ(1, rows[0].tables);
#endif
}

TEST_F(tables, a_deferred_table_is_queued_once_and_freed_once)
{
	struct row *rows = self->rows;
	int i;

	ASSERT_EQ(0, order(self->file, "tables 2"));
	ASSERT_EQ(0, order(self->file, "defer 1 0"));
	ASSERT_EQ(0, order(self->file, "barrier"));
	ASSERT_EQ(2, answer(self->file, rows));
	for (i = 0; i < 2; i++) {
		EXPECT_STREQ("given", rows[i].state);
		EXPECT_EQ(1, rows[i].queued);
		EXPECT_EQ(0, rows[i].again);
		EXPECT_EQ(1, rows[i].freed);
		EXPECT_EQ(0, rows[i].active);
		EXPECT_LT(0, rows[i].given);
		EXPECT_LT(rows[i].given, rows[i].queued_at);
		EXPECT_LT(rows[i].queued_at, rows[i].freed_at);
	}
	EXPECT_LT(rows[1].given, rows[0].given);
}

TEST_F(tables, a_freed_table_is_freed_at_once)
{
	ASSERT_EQ(0, order(self->file, "tables 1"));
	ASSERT_EQ(0, order(self->file, "free 0"));
	ASSERT_EQ(1, answer(self->file, self->rows));
	EXPECT_EQ(0, self->rows[0].queued);
	EXPECT_EQ(1, self->rows[0].freed);
}

/* As long as one table of a page is in use, the page is not freed. */
TEST_F(tables, the_last_table_of_a_page_frees_it)
{
	struct row *rows = self->rows;

	ASSERT_EQ(0, order(self->file, "tables 2"));
	ASSERT_EQ(2, answer(self->file, rows));
	if (rows[0].pfn != rows[1].pfn)
		SKIP(return, "no two page tables share a page here");
	ASSERT_EQ(0, order(self->file, "defer 0"));
	ASSERT_EQ(0, order(self->file, "barrier"));
	ASSERT_EQ(2, answer(self->file, rows));
	EXPECT_EQ(0, rows[0].freed);
	EXPECT_EQ(1, rows[0].tables);
	/* Freed at once, but its neighbour was deferred: so the page waits. */
	ASSERT_EQ(0, order(self->file, "free 1"));
	ASSERT_EQ(0, order(self->file, "barrier"));
	ASSERT_EQ(2, answer(self->file, rows));
	EXPECT_EQ(1, rows[0].freed);
	EXPECT_EQ(1, rows[0].queued);
}

static void *defer_table_0(void *file)
{
	usleep(20000);
	order(*(int *)file, "defer 0");
	return NULL;
}

TEST_F(tables, a_reader_keeps_its_table)
{
	pthread_t thread;

	ASSERT_EQ(0, order(self->file, "tables 1"));
	ASSERT_EQ(0, pthread_create(&thread, NULL, defer_table_0, &self->file));
	ASSERT_EQ(0, order(self->file, "read 0 200"));
	pthread_join(thread, NULL);
	ASSERT_EQ(0, order(self->file, "barrier"));
	ASSERT_EQ(1, answer(self->file, self->rows));
	EXPECT_EQ(1, self->rows[0].reads);
	EXPECT_EQ(0, self->rows[0].broken);
	EXPECT_EQ(1, self->rows[0].freed);
	EXPECT_EQ(0, self->rows[0].early);
	EXPECT_EQ(ESTALE, order(self->file, "read 0 1"));
}

/* Whenever that is, and though no reader is there to see it. */
TEST_F(tables, a_free_before_a_grace_period_is_early)
{
	struct fl_program p;
	int session = session_open();

	ASSERT_GE(session, 0);
	program_init(&p);
	add_site(&p, 0, FL_SITE_USER, "here");
	strcpy(add_control(&p, FL_CONTROL_REPLACE, "pte_free_defer")->replacement,
	       "pte_free_at_once");
	ASSERT_EQ(0, ioctl(session, FL_IOC_ARM, &p)) TH_LOG("%s", p.why);
	ASSERT_EQ(0, bind_actor(session, 0, 0));
	ASSERT_EQ(0, ioctl(session, FL_IOC_RUN));
	ASSERT_EQ(0, order(self->file, "tables 1"));
	ASSERT_EQ(0, order(self->file, "defer 0"));
	ASSERT_EQ(1, answer(self->file, self->rows));
	EXPECT_EQ(1, self->rows[0].freed);
	EXPECT_EQ(1, self->rows[0].early);
	close(session);
}

static void *free_table_0(void *file)
{
	usleep(20000);
	order(*(int *)file, "free 0");
	return NULL;
}

TEST_F(tables, a_reader_whose_table_is_freed_at_once_is_broken)
{
	pthread_t thread;

	ASSERT_EQ(0, order(self->file, "tables 1"));
	ASSERT_EQ(0, pthread_create(&thread, NULL, free_table_0, &self->file));
	EXPECT_EQ(EIO, order(self->file, "read 0 200"));
	pthread_join(thread, NULL);
	ASSERT_EQ(1, answer(self->file, self->rows));
	EXPECT_EQ(1, self->rows[0].broken);
}

/* 0 and the answer, or the errno. */
static int arrive_reading(int session, unsigned int site, int tables, unsigned int table,
			  struct fl_arrive_reading *at)
{
	*at = (struct fl_arrive_reading){ .site = site, .tables = tables, .table = table };
	return ioctl(session, FL_IOC_ARRIVE_READING, at) ? errno : 0;
}

TEST_F(tables, a_reader_can_be_held_at_a_site)
{
	struct fl_arrive_reading at;
	struct fl_result result;
	struct fl_program p;
	int session = session_open();
	long long begun;

	ASSERT_GE(session, 0);
	ASSERT_EQ(0, order(self->file, "tables 1"));
	EXPECT_EQ(ENOTCONN, arrive_reading(session, 0, self->file, 0, &at));
	program_init(&p);
	add_site(&p, 0, FL_SITE_USER, "reading");
	add_site(&p, 1, FL_SITE_USER, "never");
	add_edge(&p, 1, 0);
	ASSERT_EQ(0, ioctl(session, FL_IOC_ARM, &p));
	ASSERT_EQ(0, bind_actor(session, 0, 0));
	ASSERT_EQ(0, ioctl(session, FL_IOC_RUN));
	EXPECT_EQ(EINVAL, arrive_reading(session, 2, self->file, 0, &at));
	EXPECT_EQ(EPERM, arrive_reading(session, 1, self->file, 0, &at));
	EXPECT_EQ(EBADF, arrive_reading(session, 0, -1, 0, &at));
	EXPECT_EQ(EBADF, arrive_reading(session, 0, session, 0, &at));
	EXPECT_EQ(EINVAL, arrive_reading(session, 0, self->file, 1, &at));
	/* It spins, and so its bound is not the 2000 ms of the program. */
	begun = now_ms();
	ASSERT_EQ(0, arrive_reading(session, 0, self->file, 0, &at));
	EXPECT_EQ(FL_END_TIMEOUT, at.end);
	EXPECT_EQ(0, at.broken);
	EXPECT_LE(FL_MAX_SPIN_MS, now_ms() - begun);
	ASSERT_EQ(0, ioctl(session, FL_IOC_RESULT, &result));
	EXPECT_EQ(FL_CONTEXT_SPIN, result.sites[0].context);
	ASSERT_EQ(0, order(self->file, "free 0"));
	EXPECT_EQ(ESTALE, arrive_reading(session, 0, self->file, 0, &at));
	ASSERT_EQ(1, answer(self->file, self->rows));
	EXPECT_EQ(1, self->rows[0].reads);
	/* Without a section it sleeps again, for the 2000 ms. */
	ASSERT_EQ(0, ioctl(session, FL_IOC_RUN));
	EXPECT_EQ(FL_END_TIMEOUT, arrive(session, 0));
	ASSERT_EQ(0, ioctl(session, FL_IOC_RESULT, &result));
	EXPECT_EQ(FL_CONTEXT_SLEEP, result.sites[0].context);
	close(session);
}

/*
 * The hook on call_rcu() has found a watch of one set and stands still with it, while the other set
 * drops its own: that one must wait, or the hook would go on in a list that is gone.
 */
TEST_F(tables, a_set_goes_when_no_hook_is_at_its_watches)
{
	struct row *rows = self->rows;
	int other = open(TABLES, O_RDWR | O_CLOEXEC);
	long long begun;
	pthread_t thread;

	ASSERT_GE(other, 0);
	ASSERT_EQ(0, order(self->file, "tables 1"));
	ASSERT_EQ(0, order(other, "tables 1"));
	ASSERT_EQ(0, write_file(FL_DIR "stall", "queued 1000"));
	ASSERT_EQ(0, pthread_create(&thread, NULL, defer_table_0, &self->file));
	ASSERT_TRUE(wait_for_text(FL_DIR "stall", "queued 0\n", 20000));
	begun = now_ms();
	EXPECT_EQ(0, order(other, "tables 0"));
	EXPECT_LE(500, now_ms() - begun);
	pthread_join(thread, NULL);
	ASSERT_EQ(1, answer(self->file, rows));
	EXPECT_EQ(1, rows[0].queued);
	close(other);
}

TEST_F(tables, a_table_of_the_program_can_be_watched)
{
	size_t pmd = (size_t)getpagesize() / 8 * getpagesize();
	char command[64];
	char *memory = mmap(NULL, 2 * pmd, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	ASSERT_NE(MAP_FAILED, memory);
	madvise(memory, 2 * pmd, MADV_NOHUGEPAGE);
	snprintf(command, sizeof(command), FL_TABLES_WATCH("%lx"), (unsigned long)memory);
	EXPECT_EQ(ENOENT, order(self->file, command));
	memory[0] = 1;
	ASSERT_EQ(0, order(self->file, command));
	ASSERT_EQ(1, answer(self->file, self->rows));
	EXPECT_STREQ("watched", self->rows[0].state);
	EXPECT_EQ(EINVAL, order(self->file, "defer 0"));
	EXPECT_EQ(EINVAL, order(self->file, "free 0"));
	EXPECT_EQ(ESTALE, order(self->file, "read 0 1"));
}

/* A child's table is one more, in a page of its own: its mm is another. */
TEST_F(tables, a_table_of_a_child_can_be_watched)
{
	char command[64];
	int status;
	pid_t child;
	int *word = mmap(NULL, getpagesize(), PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ASSERT_NE(MAP_FAILED, word);
	*word = 1;
	snprintf(command, sizeof(command), FL_TABLES_WATCH("%lx"), (unsigned long)word);
	ASSERT_EQ(0, order(self->file, command));
	child = fork();
	ASSERT_GE(child, 0);
	if (!child) {
		*word = 2;
		_exit(order(self->file, command));
	}
	ASSERT_EQ(child, waitpid(child, &status, 0));
	EXPECT_EQ(0, status);
	ASSERT_EQ(2, answer(self->file, self->rows));
	EXPECT_STREQ("watched", self->rows[1].state);
	EXPECT_NE(self->rows[0].pfn, self->rows[1].pfn);
}

TEST_F(tables, wrong_input_is_refused)
{
	EXPECT_EQ(EINVAL, order(self->file, "x"));
	EXPECT_EQ(EINVAL, order(self->file, "tables"));
	EXPECT_EQ(0, order(self->file, "tables 0"));
	EXPECT_EQ(EINVAL, order(self->file, "tables 65"));
	EXPECT_EQ(EINVAL, order(self->file, "defer 0"));
	ASSERT_EQ(0, order(self->file, "tables 1\n"));
	EXPECT_EQ(EINVAL, order(self->file, "defer"));
	EXPECT_EQ(EINVAL, order(self->file, "defer x"));
	EXPECT_EQ(EINVAL, order(self->file, "defer 1"));
	EXPECT_EQ(EINVAL, order(self->file, "read 0 201"));
	EXPECT_EQ(EINVAL, order(self->file, "read 1 1"));
	ASSERT_EQ(0, order(self->file, "free 0"));
	EXPECT_EQ(EALREADY, order(self->file, "free 0"));
	EXPECT_EQ(EALREADY, order(self->file, "defer 0"));
}

/* The child's mm is another. */
TEST_F(tables, tables_are_made_for_the_opener_alone)
{
	int status;
	pid_t child = fork();

	ASSERT_GE(child, 0);
	if (!child)
		_exit(order(self->file, "tables 1") == EPERM ? 0 : 1);
	ASSERT_EQ(child, waitpid(child, &status, 0));
	EXPECT_EQ(0, status);
}

/*
 * Closing frees the tables that were not given away: 200 sets do not use up the
 * memory.
 */
TEST_F(tables, closing_gives_back)
{
	long before, after;
	int i, file;

	sscanf(strstr(read_file("/proc/meminfo"), "PageTables:"), "PageTables: %ld", &before);
	for (i = 0; i < 200; i++) {
		file = open(TABLES, O_RDWR | O_CLOEXEC);
		ASSERT_GE(file, 0);
		ASSERT_EQ(0, order(file, "tables 16"));
		ASSERT_EQ(0, order(file, i % 2 ? "defer 1" : "free 2 3"));
		close(file);
	}
	sscanf(strstr(read_file("/proc/meminfo"), "PageTables:"), "PageTables: %ld", &after);
	/* 3200 tables would be 3200 pages, or 13 of 64K; and per-CPU counts are batched. */
	EXPECT_GT(before + (getpagesize() == 65536 ? 640 : 2000), after);
}

/* --- notifier ------------------------------------------------------------------- */

TEST(the_notifier_sees_an_munmap)
{
	size_t page = getpagesize();
	char text[256], ask[64], *second;
	unsigned long start, end;
	int file = open(NOTIFIER, O_RDWR | O_CLOEXEC);
	char *memory = mmap(NULL, 4 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			    0);

	ASSERT_GE(file, 0);
	ASSERT_NE(MAP_FAILED, memory);
	memory[page] = 1;
	snprintf(ask, sizeof(ask), FL_NOTIFIER_ASK("%lx", "%lx"), (unsigned long)memory + page,
		 (unsigned long)memory + 2 * page);
	if (write(file, ask, strlen(ask)) < 0 && errno == EOPNOTSUPP)
		SKIP(return, "CONFIG_MMU_NOTIFIER is off");
	ASSERT_EQ(0, pread(file, text, sizeof(text), 0));
	munmap(memory + page, page);
	memset(text, 0, sizeof(text));
	ASSERT_LT(0, pread(file, text, sizeof(text) - 1, 0));
	ASSERT_EQ(2, sscanf(text, FL_NOTIFIER_NOTE("start", "%lx", "%lx", "%*u", "%*u"), &start,
			    &end));
	EXPECT_GE((unsigned long)memory + page, start);
	EXPECT_LE((unsigned long)memory + 2 * page, end);
	second = strchr(text, '\n');
	ASSERT_NE(NULL, second) TH_LOG("%s", text);
	EXPECT_EQ(2, sscanf(second, "\n" FL_NOTIFIER_NOTE("end", "%lx", "%lx", "%*u", "%*u"),
			    &start, &end))
		TH_LOG("%s", text);
	/* Elsewhere: nothing. */
	ASSERT_LT(0, write(file, ask, strlen(ask)));
	munmap(memory + 2 * page, page);
	EXPECT_EQ(0, pread(file, text, sizeof(text), 0));
	EXPECT_EQ(-1, write(file, "x", 1));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, write(file, "2 1", 3));
	EXPECT_EQ(EINVAL, errno);
	close(file);
}

TEST_HARNESS_MAIN
