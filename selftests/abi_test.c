// SPDX-License-Identifier: GPL-2.0
/*
 * abi_test - wrong input to each ioctl and each debugfs file of the module: a clear errno, a word
 * why, and nothing armed.
 */
#include "kselftest_harness.h"

#include <sys/stat.h>

#include "common.h"
#include "depth_lines.h"
#include "file_table.h"
#include "hugetlb_lines.h"
#include "pgtable_lines.h"

FIXTURE(abi)
{
	int session;
	struct fl_program p;
};

FIXTURE_SETUP(abi)
{
	self->session = session_open();
	ASSERT_GE(self->session, 0)
		TH_LOG("cannot open the session: is the module loaded, are you root?");
	program_init(&self->p);
}

FIXTURE_TEARDOWN(abi)
{
	close(self->session);
}

/* Refused, with a word why, and nothing is armed. */
#define EXPECT_REFUSED(_errno)                                                    \
	do {                                                                      \
		EXPECT_EQ(-1, ioctl(self->session, FL_IOC_ARM, &self->p));         \
		EXPECT_EQ(_errno, errno);                                         \
		EXPECT_NE('\0', self->p.why[0]);                                  \
		EXPECT_EQ(NULL, strstr(read_file(FL_DIR "sessions"), "armed yes")); \
		EXPECT_EQ(-1, ioctl(self->session, FL_IOC_RUN));                   \
		EXPECT_EQ(ENOTCONN, errno);                                       \
	} while (0)

TEST_F(abi, size_and_version)
{
	self->p.size--;
	EXPECT_EQ(-1, ioctl(self->session, FL_IOC_ARM, &self->p));
	EXPECT_EQ(EMSGSIZE, errno);
	program_init(&self->p);
	self->p.version++;
	EXPECT_EQ(-1, ioctl(self->session, FL_IOC_ARM, &self->p));
	EXPECT_EQ(EMSGSIZE, errno);
}

/* The size is also part of an ioctl's number. */
TEST_F(abi, ioctls_of_another_abi)
{
	struct longer {
		char bytes[sizeof(struct fl_program) + 8];
	} longer = {};
	const unsigned long others[] = {
		_IOWR(FL_IOC_MAGIC, _IOC_NR(FL_IOC_ARM), struct longer),
		_IO(FL_IOC_MAGIC, _IOC_NR(FL_IOC_ARM)),
		_IOW(FL_IOC_MAGIC, _IOC_NR(FL_IOC_BIND), struct longer),
		_IOWR(FL_IOC_MAGIC, _IOC_NR(FL_IOC_RUN), struct longer),
		_IOWR(FL_IOC_MAGIC, _IOC_NR(FL_IOC_ARRIVE), struct longer),
		_IOR(FL_IOC_MAGIC, _IOC_NR(FL_IOC_RESULT), struct longer),
	};
	const size_t nr = sizeof(others) / sizeof(others[0]);
	size_t i;

	memcpy(&longer, &self->p, sizeof(self->p));
	for (i = 0; i < 2 * nr; i++) {
		if (i == nr)
			ASSERT_EQ(0, ioctl(self->session, FL_IOC_ARM, &self->p));
		EXPECT_EQ(-1, ioctl(self->session, others[i % nr], &longer));
		EXPECT_EQ(EMSGSIZE, errno) TH_LOG("number %zu", i);
	}
}

TEST_F(abi, flags)
{
	self->p.flags = FL_PROGRAM_FLAGS + 1;
	EXPECT_REFUSED(EINVAL);
	program_init(&self->p);
	self->p.reserved = 1;
	EXPECT_REFUSED(EINVAL);
}

TEST_F(abi, counts)
{
	self->p.nr_actors = FL_MAX_ACTORS + 1;
	EXPECT_REFUSED(EINVAL);
	program_init(&self->p);
	self->p.nr_actors = 0;
	EXPECT_REFUSED(EINVAL);
	program_init(&self->p);
	self->p.nr_sites = FL_MAX_SITES + 1;
	EXPECT_REFUSED(EINVAL);
	program_init(&self->p);
	self->p.nr_edges = FL_MAX_EDGES + 1;
	EXPECT_REFUSED(EINVAL);
	program_init(&self->p);
	self->p.nr_controls = FL_MAX_CONTROLS + 1;
	EXPECT_REFUSED(EINVAL);
}

TEST_F(abi, bounds)
{
	self->p.wait_ms = 0;
	EXPECT_REFUSED(EINVAL);
	program_init(&self->p);
	self->p.wait_ms = FL_MAX_WAIT_MS + 1;
	EXPECT_REFUSED(EINVAL);
	program_init(&self->p);
	self->p.excluded_ms = FL_MAX_WAIT_MS + 1;
	EXPECT_REFUSED(EINVAL);
}

TEST_F(abi, fields_of_a_site)
{
	const size_t offsets[] = {
		offsetof(struct fl_site, kind),
		offsetof(struct fl_site, context),
		offsetof(struct fl_site, hit),
	};
	size_t i;

	for (i = 0; i < sizeof(offsets) / sizeof(*offsets); i++) {
		program_init(&self->p);
		add_site(&self->p, 0, FL_SITE_USER, "here");
		*(__u32 *)((char *)&self->p.sites[0] + offsets[i]) = 0;
		EXPECT_REFUSED(EINVAL);
	}
	program_init(&self->p);
	add_site(&self->p, 2, FL_SITE_USER, "no-such-actor");
	EXPECT_REFUSED(EINVAL);
	program_init(&self->p);
	add_site(&self->p, 0, FL_SITE_USER, "");
	EXPECT_REFUSED(EINVAL);
	program_init(&self->p);
	add_site(&self->p, 0, FL_SITE_USER, "x");
	memset(self->p.sites[0].name, 'x', FL_NAME_LEN);
	EXPECT_REFUSED(EINVAL);
	program_init(&self->p);
	memset(self->p.actors[0], 'x', FL_ACTOR_LEN);
	EXPECT_REFUSED(EINVAL);
	program_init(&self->p);
	add_site(&self->p, 0, FL_SITE_USER, "x");
	self->p.sites[0].kind = 99;
	EXPECT_REFUSED(EINVAL);
}

TEST_F(abi, unknown_functions)
{
	add_site(&self->p, 0, FL_SITE_ENTER, "no_such_function_anywhere");
	EXPECT_REFUSED(ENOENT);
	program_init(&self->p);
	/* A function, but one that must never be traced. */
	add_site(&self->p, 0, FL_SITE_ENTER, "register_ftrace_function_nolock");
	EXPECT_EQ(-1, ioctl(self->session, FL_IOC_ARM, &self->p));
	EXPECT_TRUE(errno == ENODEV || errno == ENOENT);
	program_init(&self->p);
	add_site(&self->p, 0, FL_SITE_ENTER, "memset"); /* in assembly: no place to trace */
	EXPECT_REFUSED(ENODEV);
}

TEST_F(abi, cycles)
{
	int a, a2, b, b2;

	a = add_site(&self->p, 0, FL_SITE_USER, "a");
	add_edge(&self->p, a, a);
	EXPECT_REFUSED(EINVAL);

	program_init(&self->p);
	a = add_site(&self->p, 0, FL_SITE_USER, "a");
	b = add_site(&self->p, 1, FL_SITE_USER, "b");
	add_edge(&self->p, a, b);
	add_edge(&self->p, b, a);
	EXPECT_REFUSED(ELOOP);

	/* Through the order of the program: a waits for b2, b for a2. */
	program_init(&self->p);
	a = add_site(&self->p, 0, FL_SITE_USER, "a");
	a2 = add_site(&self->p, 0, FL_SITE_USER, "a2");
	b = add_site(&self->p, 1, FL_SITE_USER, "b");
	b2 = add_site(&self->p, 1, FL_SITE_USER, "b2");
	add_edge(&self->p, b2, a);
	add_edge(&self->p, a2, b);
	EXPECT_REFUSED(ELOOP);

	/* The hold that every scenario uses is no cycle. */
	program_init(&self->p);
	a = add_site(&self->p, 0, FL_SITE_USER, "a");
	b = add_site(&self->p, 1, FL_SITE_USER, "b");
	b2 = add_site(&self->p, 1, FL_SITE_USER, "b2");
	add_edge(&self->p, a, b);
	add_edge(&self->p, b2, a);
	EXPECT_EQ(0, ioctl(self->session, FL_IOC_ARM, &self->p));

	/* Sites that do not exist. */
	EXPECT_EQ(0, ioctl(self->session, FL_IOC_DISARM));
	program_init(&self->p);
	a = add_site(&self->p, 0, FL_SITE_USER, "a");
	add_edge(&self->p, a, 7);
	EXPECT_REFUSED(EINVAL);
}

TEST_F(abi, fields_of_a_control)
{
	add_control(&self->p, FL_CONTROL_SKIP, "collapse_file")->actors = 0;
	EXPECT_REFUSED(EINVAL);
	program_init(&self->p);
	add_control(&self->p, FL_CONTROL_SKIP, "collapse_file")->actors = 4;
	EXPECT_REFUSED(EINVAL);
	program_init(&self->p);
	add_control(&self->p, FL_CONTROL_SKIP, "collapse_file")->every = 0;
	EXPECT_REFUSED(EINVAL);
	program_init(&self->p);
	add_control(&self->p, FL_CONTROL_SKIP, "collapse_file")->reserved = 1;
	EXPECT_REFUSED(EINVAL);
	program_init(&self->p);
	add_control(&self->p, 0, "collapse_file");
	EXPECT_REFUSED(EINVAL);
	program_init(&self->p);
	add_control(&self->p, FL_CONTROL_SKIP, "");
	EXPECT_REFUSED(EINVAL);
	program_init(&self->p);
	strcpy(add_control(&self->p, FL_CONTROL_REPLACE, "collapse_file")->replacement, "nobody");
	EXPECT_REFUSED(ENOENT);
	program_init(&self->p);
	strcpy(add_control(&self->p, FL_CONTROL_SKIP, "collapse_file")->caller, "no_such_caller");
	EXPECT_REFUSED(ENOENT);
}

/* Only one of two could be applied, and both would be counted. */
TEST_F(abi, two_controls_that_divert_one_call)
{
	struct fl_control *skip, *replace;

	add_control(&self->p, FL_CONTROL_SKIP, "vfs_fallocate");
	add_control(&self->p, FL_CONTROL_SKIP, "vfs_fallocate");
	EXPECT_REFUSED(EINVAL);
	EXPECT_NE(NULL, strstr(self->p.why, "vfs_fallocate")) TH_LOG("%s", self->p.why);

	program_init(&self->p);
	skip = add_control(&self->p, FL_CONTROL_SKIP, "vfs_fallocate");
	replace = add_control(&self->p, FL_CONTROL_REPLACE, "vfs_fallocate");
	strcpy(replace->replacement, "selftest_answer");
	strcpy(replace->caller, "ksys_fallocate");
	EXPECT_REFUSED(EINVAL);

	/* Calls of two callers, or of two actors, are two. */
	strcpy(skip->caller, "vfs_truncate");
	EXPECT_EQ(0, ioctl(self->session, FL_IOC_ARM, &self->p)) TH_LOG("%s", self->p.why);
	EXPECT_EQ(0, ioctl(self->session, FL_IOC_DISARM));
	skip->caller[0] = '\0';
	replace->actors = 2;
	EXPECT_EQ(0, ioctl(self->session, FL_IOC_ARM, &self->p)) TH_LOG("%s", self->p.why);
	EXPECT_EQ(0, ioctl(self->session, FL_IOC_DISARM));

	/* A corruption diverts nothing. */
	program_init(&self->p);
	add_control(&self->p, FL_CONTROL_SKIP, "vfs_fallocate");
	add_control(&self->p, FL_CONTROL_CORRUPT, "vfs_fallocate");
	EXPECT_EQ(0, ioctl(self->session, FL_IOC_ARM, &self->p)) TH_LOG("%s", self->p.why);
}

TEST_F(abi, ioctls_and_pointers)
{
	struct fl_aim aim = {};

	EXPECT_EQ(-1, ioctl(self->session, _IO(FL_IOC_MAGIC, 99)));
	EXPECT_EQ(ENOTTY, errno);
	EXPECT_EQ(-1, ioctl(self->session, _IO('x', 1)));
	EXPECT_EQ(ENOTTY, errno);
	EXPECT_EQ(-1, ioctl(self->session, FL_IOC_ARM, (void *)8));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(-1, ioctl(self->session, FL_IOC_ARRIVE, (void *)8));
	EXPECT_EQ(EFAULT, errno);
	ASSERT_EQ(0, ioctl(self->session, FL_IOC_ARM, &self->p));
	EXPECT_EQ(-1, ioctl(self->session, _IO(FL_IOC_MAGIC, 99)));
	EXPECT_EQ(ENOTTY, errno);
	EXPECT_EQ(-1, ioctl(self->session, FL_IOC_BIND, (void *)8));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(-1, ioctl(self->session, FL_IOC_RESULT, (void *)8));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(-1, ioctl(self->session, FL_IOC_AIM, (void *)8));
	EXPECT_EQ(EFAULT, errno);
	aim.pfn = ~0ULL >> 12;
	EXPECT_EQ(-1, ioctl(self->session, FL_IOC_AIM, &aim));
	EXPECT_EQ(EINVAL, errno);
	aim.pfn = 0;
	EXPECT_EQ(0, ioctl(self->session, FL_IOC_AIM, &aim));
}

TEST_F(abi, order_of_calls)
{
	struct fl_result result;
	int other;

	EXPECT_EQ(-1, bind_actor(self->session, 0, 0));
	EXPECT_EQ(ENOTCONN, errno);
	EXPECT_EQ(-1, arrive(self->session, 0));
	EXPECT_EQ(ENOTCONN, errno);
	EXPECT_EQ(-1, ioctl(self->session, FL_IOC_RESULT, &result));
	EXPECT_EQ(ENOTCONN, errno);
	EXPECT_EQ(-1, ioctl(self->session, FL_IOC_STOP));
	EXPECT_EQ(ENOTCONN, errno);
	EXPECT_EQ(0, ioctl(self->session, FL_IOC_DISARM));

	add_site(&self->p, 0, FL_SITE_USER, "mine");
	add_site(&self->p, 1, FL_SITE_USER, "yours");
	add_site(&self->p, 0, FL_SITE_ENTER, "collapse_file");
	ASSERT_EQ(0, ioctl(self->session, FL_IOC_ARM, &self->p));
	EXPECT_EQ('\0', self->p.why[0]);
	EXPECT_EQ(-1, ioctl(self->session, FL_IOC_ARM, &self->p));
	EXPECT_EQ(EBUSY, errno);
	EXPECT_EQ(-1, bind_actor(self->session, 2, 0));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, bind_actor(self->session, 0, 0x3ffffff));
	EXPECT_EQ(ESRCH, errno);
	EXPECT_EQ(-1, arrive(self->session, 0));
	EXPECT_EQ(EPERM, errno);
	ASSERT_EQ(0, bind_actor(self->session, 0, 0));
	EXPECT_EQ(-1, arrive(self->session, 1));
	EXPECT_EQ(EPERM, errno);
	EXPECT_EQ(-1, arrive(self->session, 2));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, arrive(self->session, 3));
	EXPECT_EQ(EINVAL, errno);

	/* One function belongs to one session. */
	other = session_open();
	ASSERT_GE(other, 0);
	EXPECT_EQ(-1, ioctl(other, FL_IOC_ARM, &self->p));
	EXPECT_EQ(EBUSY, errno);
	EXPECT_NE('\0', self->p.why[0]);
	EXPECT_EQ(0, ioctl(self->session, FL_IOC_DISARM));
	EXPECT_EQ(0, ioctl(other, FL_IOC_ARM, &self->p));
	close(other);
}

/* FL_IOC_PATCH: a list of functions, of which those that cannot be patched say so. */
TEST_F(abi, functions_to_patch)
{
	struct fl_function functions[] = {
		{ .name = "collapse_file" }, { .name = "no_such_function" }, { .name = "" },
		{ .name = "vfs_fallocate", .reserved = 1 }, { .name = "vfs_fallocate" },
	};
	struct fl_patch patch = { .nr = 5, .functions = (unsigned long)functions };
	struct fl_function longest = {};

	EXPECT_EQ(-1, ioctl(self->session, FL_IOC_PATCH, (void *)8));
	EXPECT_EQ(EFAULT, errno);
	ASSERT_EQ(0, ioctl(self->session, FL_IOC_PATCH, &patch));
	EXPECT_EQ(0, functions[0].err);
	EXPECT_EQ(-ENOENT, functions[1].err);
	EXPECT_EQ(-EINVAL, functions[2].err);
	EXPECT_EQ(-EINVAL, functions[3].err);
	EXPECT_EQ(0, functions[4].err);
	memset(longest.name, 'x', sizeof(longest.name)); /* no end */
	patch.functions = (unsigned long)&longest;
	patch.nr = 1;
	ASSERT_EQ(0, ioctl(self->session, FL_IOC_PATCH, &patch));
	EXPECT_EQ(-EINVAL, longest.err);
	patch.reserved = 1;
	EXPECT_EQ(-1, ioctl(self->session, FL_IOC_PATCH, &patch));
	EXPECT_EQ(EINVAL, errno);
	patch.reserved = 0;
	patch.nr = FL_MAX_FUNCTIONS + 1;
	EXPECT_EQ(-1, ioctl(self->session, FL_IOC_PATCH, &patch));
	EXPECT_EQ(E2BIG, errno);
	patch.nr = 1;
	patch.functions = 8;
	EXPECT_EQ(-1, ioctl(self->session, FL_IOC_PATCH, &patch));
	EXPECT_EQ(EFAULT, errno);
	ASSERT_EQ(0, ioctl(self->session, FL_IOC_ARM, &self->p));
	patch.nr = 0;
	EXPECT_EQ(-1, ioctl(self->session, FL_IOC_PATCH, &patch));
	EXPECT_EQ(EBUSY, errno);
}

/* FL_IOC_SCHEDULE: what it takes, and that a refusal leaves all as it was. */
TEST_F(abi, another_schedule)
{
	struct fl_function function = { .name = "vfs_fallocate" };
	struct fl_patch patch = { .nr = 1, .functions = (unsigned long)&function };
	struct fl_program next;

	program_init(&next);
	EXPECT_EQ(-1, ioctl(self->session, FL_IOC_SCHEDULE, &next));
	EXPECT_EQ(ENOTCONN, errno);
	add_site(&self->p, 0, FL_SITE_USER, "mine");
	ASSERT_EQ(0, ioctl(self->session, FL_IOC_PATCH, &patch));
	ASSERT_EQ(0, ioctl(self->session, FL_IOC_ARM, &self->p));
	ASSERT_EQ(0, bind_actor(self->session, 0, 0));

	next.version++;
	EXPECT_EQ(-1, ioctl(self->session, FL_IOC_SCHEDULE, &next));
	EXPECT_EQ(EMSGSIZE, errno);
	program_init(&next);
	next.nr_actors = 1;
	EXPECT_EQ(-1, ioctl(self->session, FL_IOC_SCHEDULE, &next));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_NE(NULL, strstr(next.why, "2"));
	program_init(&next);
	add_site(&next, 0, FL_SITE_AT, "vfs_fallocate/lock-cmpxchg");
	EXPECT_EQ(-1, ioctl(self->session, FL_IOC_SCHEDULE, &next));
	EXPECT_EQ(EINVAL, errno);
	program_init(&next);
	add_site(&next, 0, FL_SITE_ENTER, "no_such_function");
	EXPECT_EQ(-1, ioctl(self->session, FL_IOC_SCHEDULE, &next));
	EXPECT_EQ(ENOENT, errno);
	program_init(&next);
	add_site(&next, 0, FL_SITE_ENTER, "collapse_file"); /* is there, but is not patched */
	EXPECT_EQ(-1, ioctl(self->session, FL_IOC_SCHEDULE, &next));
	EXPECT_EQ(ENOENT, errno);
	EXPECT_NE(NULL, strstr(next.why, "not patched"));
	program_init(&next);
	add_site(&next, 0, FL_SITE_USER, "x");
	add_site(&next, 1, FL_SITE_USER, "y");
	add_edge(&next, 0, 1);
	add_edge(&next, 1, 0);
	EXPECT_EQ(-1, ioctl(self->session, FL_IOC_SCHEDULE, &next));
	EXPECT_EQ(ELOOP, errno);
	EXPECT_EQ(-1, ioctl(self->session, FL_IOC_SCHEDULE, (void *)8));
	EXPECT_EQ(EFAULT, errno);
	ASSERT_EQ(0, ioctl(self->session, FL_IOC_RUN));
	EXPECT_EQ(FL_END_PASSED, arrive(self->session, 0)); /* "mine" */

	program_init(&next);
	add_site(&next, 0, FL_SITE_ENTER, "vfs_fallocate");
	ASSERT_EQ(0, ioctl(self->session, FL_IOC_SCHEDULE, &next));
	EXPECT_EQ(-1, arrive(self->session, 0)); /* no longer a USER site */
	EXPECT_EQ(EINVAL, errno);
}

static const char *const text_files[] = {
	"about", "capabilities", "sites", "tasks", "replacements", "sessions", "events",
};

/* Both ways: a kernel that clears all memory must not look poisoned, nor one that poisons look clear. */
TEST(memory_that_nobody_cleared_is_seen_as_such)
{
	bool pages = strstr(read_file("/proc/cmdline"), "page_poison=1");
	bool objects = strstr(read_file("/proc/cmdline"), "slub_debug=FZPU");

	EXPECT_EQ(pages, !!strstr(read_file(FL_DIR "capabilities"), "poisoned-pages yes"));
	EXPECT_EQ(objects, !!strstr(read_file(FL_DIR "capabilities"), "poisoned-objects yes"));
}

TEST(text_files_are_private_and_read_only)
{
	char path[64], byte;
	struct stat st;
	size_t i, n;
	int fd;

	for (i = 0; i < sizeof(text_files) / sizeof(*text_files); i++) {
		snprintf(path, sizeof(path), FL_DIR "%s", text_files[i]);
		ASSERT_EQ(0, stat(path, &st));
		EXPECT_EQ(S_IFREG | 0600, st.st_mode);
		EXPECT_EQ(0, st.st_uid);
		fd = open(path, O_RDWR);
		ASSERT_GE(fd, 0);
		EXPECT_EQ(-1, write(fd, "x", 1));
		for (n = 0; n < 20 && read(fd, &byte, 1) == 1; n++)
			;
		/* Nothing happened yet, and nobody is there. */
		if (strcmp(text_files[i], "events") &&
		    strcmp(text_files[i], "sessions"))
			EXPECT_GT(n, 0);
		EXPECT_GE(pread(fd, &byte, 1, 100000000), 0);
		close(fd);
	}
}

/* The calls have a form of their own, and no lines that seq_lseek() could go through. */
TEST(each_file_can_be_sought_in)
{
	static const char *const instruments[] = {
#define ROW(_instrument, _folder, _name, _header, _about) _folder "/" _name,
		FL_INSTRUMENT_FILES(ROW)
	};
	char path[64];
	size_t i;
	int fd;

	for (i = 0; i < sizeof(instruments) / sizeof(*instruments); i++) {
		snprintf(path, sizeof(path), FL_DIR "%s", instruments[i]);
		fd = open(path, O_RDWR);
		ASSERT_GE(fd, 0) TH_LOG("%s", path);
		EXPECT_EQ(1, lseek(fd, 1, SEEK_SET)) TH_LOG("%s", path);
		EXPECT_EQ(-1, lseek(fd, -2, SEEK_CUR)) TH_LOG("%s", path);
		close(fd);
	}
}

TEST(a_stall)
{
	static const char *const wrong[] = { "1", "hit", "x 1", "hit 1001", "hit -1" };
	size_t i;

	for (i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		EXPECT_EQ(EINVAL, write_file(FL_DIR "stall", wrong[i]))
			TH_LOG("\"%s\"", wrong[i]);
	EXPECT_EQ(0, write_file(FL_DIR "stall", "queued 7"));
	EXPECT_STREQ("hit 0\nqueued 7\n", read_file(FL_DIR "stall"));
	EXPECT_EQ(0, write_file(FL_DIR "stall", "queued 0"));
	EXPECT_STREQ("hit 0\nqueued 0\n", read_file(FL_DIR "stall"));
}

TEST(a_share_of_an_address)
{
	static const char *const wrong[] = { "", "1", "x 1000", "-1 1000" };
	char text[256] = "";
	size_t i;
	int fd;

	fd = open(FL_DIR "hugetlb/share", O_RDWR);
	ASSERT_GE(fd, 0);
	EXPECT_EQ(0, read(fd, text, sizeof(text))) TH_LOG("nothing was asked");
	for (i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		EXPECT_EQ(-1, write(fd, wrong[i], strlen(wrong[i]) + 1));
		EXPECT_EQ(EINVAL, errno);
	}
	EXPECT_EQ(-1, write(fd, "99999999 1000", 13));
	EXPECT_EQ(ESRCH, errno);
	ASSERT_EQ(6, write(fd, "0 1000", 6));
	ASSERT_GT(pread(fd, text, sizeof(text) - 1, 0), 0);
	EXPECT_EQ(0, strncmp(text, FL_HUGETLB_UNMAPPED "\n", 9)) TH_LOG("%s", text);
	close(fd);
}

TEST(locks_of_an_address)
{
	static int touched = 1;
	static const char *const wrong[] = { "", "x", "1000 1" };
	char text[256] = "", vma[8], anon_vma[8], pmd[8], pte[24];
	size_t i;
	int fd;

	fd = open(FL_DIR "pgtable/locks", O_RDWR);
	ASSERT_GE(fd, 0);
	for (i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		EXPECT_EQ(-1, write(fd, wrong[i], strlen(wrong[i]) + 1));
		EXPECT_EQ(EINVAL, errno);
	}
	touched++;
	snprintf(text, sizeof(text), "%lx", (unsigned long)&touched);
	ASSERT_EQ((ssize_t)strlen(text), write(fd, text, strlen(text)));
	memset(text, 0, sizeof(text));
	ASSERT_LT(0, read(fd, text, sizeof(text) - 1));
	ASSERT_EQ(4, sscanf(text, FL_LOCKS_STATES("free", "%7s", "%7s", "%7s", "%23s"), vma,
			    anon_vma, pmd, pte))
		TH_LOG("%s", text);
	/* Before 6.4 a VMA has no lock, and its anon_vma cannot be looked at. */
	EXPECT_STREQ(strcmp(vma, "none") ? "free" : "none", vma);
	EXPECT_STREQ(strcmp(vma, "none") ? "free" : "unknown", anon_vma);
	EXPECT_STREQ("table", pmd);
	EXPECT_STREQ("free", pte);
	close(fd);
}

TEST(depth_of_a_stack)
{
	static const char *const wrong[] = { "", "0", "-1", "x" };
	unsigned long bytes = 0, size = 0;
	char text[256] = "";
	int fd, pid = 0;
	size_t i;

	fd = open(FL_DIR "depth", O_RDWR);
	ASSERT_GE(fd, 0);
	EXPECT_EQ(0, read(fd, text, sizeof(text))) TH_LOG("nothing was asked");
	for (i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		EXPECT_EQ(-1, write(fd, wrong[i], strlen(wrong[i]) + 1));
		EXPECT_EQ(EINVAL, errno);
	}
	EXPECT_EQ(-1, write(fd, "99999999", 8));
	EXPECT_EQ(ESRCH, errno);
	snprintf(text, sizeof(text), "%d", getpid());
	ASSERT_EQ((ssize_t)strlen(text), write(fd, text, strlen(text)));
	EXPECT_EQ(-1, write(fd, text, strlen(text)));
	EXPECT_EQ(EBUSY, errno);
	memset(text, 0, sizeof(text));
	ASSERT_GT(pread(fd, text, sizeof(text) - 1, 0), 0);
	EXPECT_EQ(3, sscanf(text, FL_DEPTH_DEEPEST("%d", "%lu", "%lu", ""), &pid, &bytes, &size))
		TH_LOG("%s", text);
	EXPECT_EQ(getpid(), pid);
	EXPECT_LT(0, bytes);
	EXPECT_GT(size, bytes);
	close(fd);
}

TEST(not_for_other_users)
{
	char path[64];
	size_t i;

	ASSERT_EQ(0, setuid(65534));
	EXPECT_EQ(-1, session_open());
	EXPECT_EQ(EACCES, errno);
	for (i = 0; i < sizeof(text_files) / sizeof(*text_files); i++) {
		snprintf(path, sizeof(path), FL_DIR "%s", text_files[i]);
		EXPECT_EQ(-1, open(path, O_RDONLY));
		EXPECT_EQ(EACCES, errno);
	}
}

/* A file descriptor that was handed over does not help an unprivileged opener. */
TEST(the_session_wants_capability)
{
	int fd;

	ASSERT_EQ(0, syscall(SYS_setresuid, 0, 65534, 0));
	fd = session_open();
	EXPECT_EQ(-1, fd);
	EXPECT_TRUE(errno == EACCES || errno == EPERM);
}

TEST_HARNESS_MAIN
