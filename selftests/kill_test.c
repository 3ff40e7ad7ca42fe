// SPDX-License-Identifier: GPL-2.0
/*
 * kill_test - SIGKILL of the driver in the middle of a held run, again and again: no task stays
 * held or stuck, no process of the driver stays, the setting it had changed is restored, and the
 * module unloads, which gives every patched function back.
 *
 * FAULTLINE and FAULTLINE_MODULE name the driver and faultline.ko; KILLS says how often.
 */
#include "kselftest_harness.h"

#include <ctype.h>
#include <dirent.h>
#include <limits.h>
#include <signal.h>
#include <sys/wait.h>

#include "common.h"

#define BOUND_MS 60000 /* for what must happen at all; a machine may be slow */
#define SETTING "/sys/kernel/mm/transparent_hugepage/shmem_enabled"

static char *const holds[] = { /* its collapser inside collapse_file(), run after run */
	"faultline", "run", "collapse-register/inside", "--runs", "1000000", NULL,
};
static char *const sets[] = { /* SETTING, for as long as it runs */
	"faultline", "run", "collapse-errno/shmem-denied", "--runs", "1000000", NULL,
};
static char *const swaps[] = { /* to a RAM disk, and is held on the way back */
	"faultline", "run", "shmem-eviction/truncate", "--runs", "1000000", NULL,
};

FIXTURE(kill)
{
	const char *module;
	char driver[PATH_MAX], setting[256];
};

FIXTURE_SETUP(kill)
{
	self->module = getenv("FAULTLINE_MODULE");
	if (!getenv("FAULTLINE") || !self->module)
		SKIP(return, "FAULTLINE and FAULTLINE_MODULE must name the driver and faultline.ko");
	ASSERT_NE(NULL, realpath(getenv("FAULTLINE"), self->driver));
	snprintf(self->setting, sizeof(self->setting), "%s", read_file(SETTING));
	ASSERT_NE('\0', self->setting[0]);
	ASSERT_EQ(0, access(FL_DIR, F_OK)) TH_LOG("is the module loaded, are you root?");
}

FIXTURE_TEARDOWN(kill)
{
}

static pid_t start(const char *driver, char *const *command)
{
	pid_t child = fork();

	if (child)
		return child;
	if (!freopen("/dev/null", "w", stdout))
		_exit(127);
	execv(driver, command);
	_exit(127);
}

/* How many processes run this program: the driver, its actors, its guardian. */
static int processes(const char *program)
{
	char link[300], exe[512];
	struct dirent *entry;
	DIR *proc = opendir("/proc");
	int found = 0;
	ssize_t len;

	while (proc && (entry = readdir(proc))) {
		if (!isdigit(entry->d_name[0]))
			continue;
		snprintf(link, sizeof(link), "/proc/%s/exe", entry->d_name);
		len = readlink(link, exe, sizeof(exe) - 1);
		if (len < 0)
			continue;
		exe[len] = '\0';
		found += !strcmp(exe, program);
	}
	if (proc)
		closedir(proc);
	return found;
}

/* Until nothing of the driver is left, or the bound. */
static int all_gone(const char *driver)
{
	long long end = now_ms() + BOUND_MS;

	while (processes(driver) || *read_file(FL_DIR "sessions")) {
		if (now_ms() > end)
			return 0;
		sleep_ms(5);
	}
	return 1;
}

static int nr_kills(void)
{
	return getenv("KILLS") ? atoi(getenv("KILLS")) : 100;
}

/* Kill the driver and see that it leaves nothing. */
static void kill_driver(struct __test_metadata *_metadata, FIXTURE_DATA(kill) *self, pid_t child,
			int i)
{
	int status;

	ASSERT_EQ(0, kill(child, SIGKILL));
	ASSERT_EQ(child, waitpid(child, &status, 0));
	ASSERT_TRUE(WIFSIGNALED(status))
		TH_LOG("kill %d: the driver had ended with %d", i, WEXITSTATUS(status));
	ASSERT_TRUE(all_gone(self->driver))
		TH_LOG("kill %d: %s", i, read_file(FL_DIR "sessions"));
	ASSERT_STREQ(self->setting, read_file(SETTING)) TH_LOG("kill %d", i);
	ASSERT_EQ(0, module_unload(BOUND_MS)) TH_LOG("kill %d: errno %d", i, errno);
	ASSERT_EQ(0, module_load(self->module)) TH_LOG("kill %d: errno %d", i, errno);
	if (i % 10 == 0) /* a kernel with debugging takes seconds for each */
		note_progress("kill_test: kill %d of %d\n", i, nr_kills());
}

TEST_F_TIMEOUT(kill, in_a_held_run, 1800)
{
	pid_t child;
	int i;

	ASSERT_LT(0, nr_kills());
	for (i = 0; i < nr_kills(); i++) {
		child = start(self->driver, holds);
		ASSERT_LT(0, child);
		ASSERT_TRUE(wait_for_text(FL_DIR "sessions", "state held", BOUND_MS))
			TH_LOG("kill %d: nobody was held", i);
		kill_driver(_metadata, self, child, i);
	}
	TH_LOG("%d kills of a held run", i);
}

/* Until the setting is another one than before the test, or the bound. */
static int setting_changed(const char *before)
{
	long long end = now_ms() + BOUND_MS;

	while (!strcmp(before, read_file(SETTING))) {
		if (now_ms() > end)
			return 0;
		sleep_ms(1);
	}
	return 1;
}

TEST_F_TIMEOUT(kill, with_a_changed_setting, 1800)
{
	pid_t child;
	int i;

	for (i = 0; i < nr_kills(); i++) {
		child = start(self->driver, sets);
		ASSERT_LT(0, child);
		ASSERT_TRUE(setting_changed(self->setting))
			TH_LOG("kill %d: the setting was not changed", i);
		kill_driver(_metadata, self, child, i);
	}
	TH_LOG("%d kills with a changed setting", i);
}

/* Its guardian ends the swapping, too. */
TEST_F_TIMEOUT(kill, with_a_disk_that_is_swapped_to, 1800)
{
	char before[sizeof(self->setting)];
	pid_t child;
	int i;

	if (access("/dev/ram0", R_OK | W_OK))
		SKIP(return, "/dev/ram0 (modprobe brd)");
	snprintf(before, sizeof(before), "%s", read_file("/proc/swaps"));
	for (i = 0; i < nr_kills() / 5; i++) {
		child = start(self->driver, swaps);
		ASSERT_LT(0, child);
		ASSERT_TRUE(wait_for_text(FL_DIR "sessions", "state held", BOUND_MS))
			TH_LOG("kill %d: nobody was held", i);
		ASSERT_STRNE(before, read_file("/proc/swaps")) TH_LOG("kill %d", i);
		kill_driver(_metadata, self, child, i);
		ASSERT_STREQ(before, read_file("/proc/swaps")) TH_LOG("kill %d", i);
	}
	TH_LOG("%d kills with a disk that is swapped to", i);
}

/* The signals that end the driver the ordinary way. */
TEST_F_TIMEOUT(kill, signals_end_it_in_order, 300)
{
	const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	int status, i;
	pid_t child;

	for (i = 0; i < 4; i++) {
		child = start(self->driver, sets);
		ASSERT_LT(0, child);
		ASSERT_TRUE(setting_changed(self->setting));
		ASSERT_EQ(0, kill(child, signals[i]));
		ASSERT_EQ(child, waitpid(child, &status, 0));
		EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) != 0)
			TH_LOG("signal %d: wait status %#x", signals[i], status);
		EXPECT_TRUE(all_gone(self->driver));
		EXPECT_STREQ(self->setting, read_file(SETTING));
	}
}

TEST_HARNESS_MAIN
