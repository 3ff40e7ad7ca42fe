// SPDX-License-Identifier: GPL-2.0
/*
 * load_test - the module in a kernel that lacks something, or does not let it be called: each test
 * loads the module with the parameter that makes this kernel such a one. And loaded, used and
 * unloaded again and again, CYCLES times (5), while memory is faulted in, collapsed and unmapped.
 * FAULTLINE_MODULE names faultline.ko.
 */
#define _GNU_SOURCE
#include "kselftest_harness.h"

#include <linux/falloc.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "machine.h"

#define IBT FL_DIR "ibt"
#define BOUND_MS 60000 /* for what must happen at all; a machine may be slow */

FIXTURE(load)
{
	const char *module;
};

FIXTURE_SETUP(load)
{
	self->module = getenv("FAULTLINE_MODULE");
	if (!self->module || access(self->module, R_OK))
		SKIP(return, "FAULTLINE_MODULE must name faultline.ko");
	ASSERT_EQ(0, access(FL_DIR, F_OK)) TH_LOG("is the module loaded, are you root?");
}

FIXTURE_TEARDOWN(load)
{
	/* The next test finds it as this one did. */
	module_unload(BOUND_MS);
	EXPECT_EQ(0, module_load(self->module));
}

/* The module anew: 0, or the errno. */
static int load_again(const char *module, const char *parameters)
{
	if (module_unload(BOUND_MS))
		return EBUSY;
	return module_load_with(module, parameters) ? errno : 0;
}

/* The file's words for a place: "endbr", "sealed", "none", or why not. */
static const char *endbr_at(const char *place)
{
	static char text[256];
	char *last;
	ssize_t n;
	int file = open(IBT, O_RDWR | O_CLOEXEC);

	if (file < 0)
		return "no file";
	if (write(file, place, strlen(place)) < 0) {
		close(file);
		return "refused";
	}
	n = pread(file, text, sizeof(text) - 1, 0);
	close(file);
	text[n < 0 ? 0 : n] = '\0';
	text[strcspn(text, "\n")] = ' '; /* of the two lines, the second's last word */
	text[strcspn(text, "\n")] = '\0';
	last = strrchr(text, ' ');
	return last ? last + 1 : text;
}

static int ibt_is(const char *state)
{
	const char *text = read_file(IBT);

	return !strncmp(text, "ibt ", 4) && !strncmp(text + 4, state, strlen(state));
}

TEST_F(load, an_endbr_is_told_from_what_is_none)
{
	EXPECT_STREQ("refused", endbr_at("there_is_no_such_function"));
	EXPECT_STREQ("refused", endbr_at("vfs_fallocate+one"));
	EXPECT_STREQ("refused", endbr_at("vfs_fallocate+4097"));
	if (ibt_is("absent")) {
		EXPECT_STREQ("none", endbr_at("vfs_fallocate"));
		return;
	}
	/* An export takes its address. */
	EXPECT_STREQ("endbr", endbr_at("vfs_fallocate"));
	EXPECT_STREQ("none", endbr_at("vfs_fallocate+1"));
	EXPECT_STREQ("none", endbr_at("linux_banner"));
}

TEST_F(load, a_function_without_endbr_is_not_called)
{
	char found[16];

	if (ibt_is("absent"))
		SKIP(return, "a kernel with CONFIG_X86_KERNEL_IBT");
	snprintf(found, sizeof(found), "%s", endbr_at("kallsyms_lookup_name"));
	if (!strcmp(found, "endbr")) {
		ASSERT_EQ(0, load_again(self->module, "assume_ibt=1"));
		EXPECT_TRUE(ibt_is("assumed") || ibt_is("on"));
		return;
	}
	ASSERT_STREQ("sealed", found);
	ASSERT_EQ(EOPNOTSUPP, load_again(self->module, "assume_ibt=1"));
	EXPECT_NE(0, access(FL_DIR, F_OK));
	ASSERT_EQ(0, module_load(self->module));
	EXPECT_TRUE(ibt_is("off"));
}

/* This machine is virtual: a parameter makes it one that is not. */
TEST_F(load, outside_of_a_virtual_machine_it_is_refused_until_told)
{
	ASSERT_EQ(EACCES, load_again(self->module, "assume_bare=1"));
	EXPECT_NE(0, access(FL_DIR, F_OK));
	ASSERT_EQ(0, module_load_with(self->module, "assume_bare=1 i_know=1"));
	EXPECT_EQ(0, access(FL_DIR, F_OK));
}

/* Where tables of others share a page with ours, theirs are freed at once. */
static int shares_pages(void)
{
#if defined(__powerpc64__)
	return getpagesize() == 65536;
#else
	return 0;
#endif
}

#if defined(__powerpc64__)
#define TABLE_FREE "pte_fragment_free"
#elif defined(__s390x__)
#define TABLE_FREE "page_table_free"
#else
#define TABLE_FREE "pte_free_now"
#endif

/* Each symbol that a replacement uses. */
static const struct {
	const char *replacement, *symbol;
} needs[] = {
	{ "iter_first_point_only", "vma_interval_tree_iter_first" },
	{ "pte_free_at_once", TABLE_FREE },
	{ "pte_free_queue_each", TABLE_FREE },
	{ "pte_free_uncounted", "pte_free_defer" },
	{ "pmd_install_miscounted", "pmd_install" },
	{ "vmemmap_remap_writable", "vmemmap_remap_pte" },
	{ "flush_tlb_here", "__flush_tlb_all" },
	{ "hvo_after_grace_period", "hugetlb_vmemmap_optimize_folios" },
	{ "huge_pmd_not_shared", "__pmd_alloc" },
	{ "hugetlb_cut_after_faults", "num_fault_mutexes" },
	{ "hugetlb_cut_after_faults", "hugetlb_fault_mutex_table" },
	{ "hugetlb_cut_after_faults", "remove_inode_hugepages" },
	{ "hugetlb_move_by_mask", "move_hugetlb_page_tables" },
	{ "change_huge_pmd_clean", "change_huge_pmd" },
	{ "pmdp_huge_clear_flush_clean", "pmdp_huge_clear_flush" },
	{ "collapse_scaled_ptes_none", "khugepaged_max_ptes_none" },
	{ "shmem_unuse_unprotected", "shmem_unuse_inode" },
	{ "shmem_unuse_igrab", "shmem_unuse_inode" },
	{ "shmem_uncharge_unlocked", "shmem_uncharge" },
};

#define NR_NEEDS (sizeof(needs) / sizeof(needs[0]))

/*
 * Arms it on a function that every kernel has, without a run: it replaces
 * nothing. 0, or the errno.
 */
static int arm_replacement(const char *replacement, char why[FL_WHY_LEN])
{
	struct fl_program p;
	int session = session_open();
	int err;

	if (session < 0)
		return errno;
	program_init(&p);
	strcpy(add_control(&p, FL_CONTROL_REPLACE, "vfs_fallocate")->replacement, replacement);
	err = ioctl(session, FL_IOC_ARM, &p) ? errno : 0;
	snprintf(why, FL_WHY_LEN, "%s", p.why);
	close(session);
	return err;
}

static int is_listed(const char *replacement)
{
	char line[128];

	snprintf(line, sizeof(line), "\n%s ", replacement);
	return strstr(read_file(FL_DIR "replacements"), line) ||
	       !strncmp(read_file(FL_DIR "replacements"), line + 1, strlen(line) - 1);
}

TEST_F(load, a_control_is_refused_by_the_name_of_what_it_lacks)
{
	char parameters[256], why[FL_WHY_LEN];
	int there[NR_NEEDS], nr = 0;
	size_t i;

	for (i = 0; i < NR_NEEDS; i++) {
		there[i] = is_listed(needs[i].replacement);
		if (!there[i])
			continue;
		EXPECT_EQ(0, arm_replacement(needs[i].replacement, why)) TH_LOG("%s", why);
		nr++;
	}
	ASSERT_LT(0, nr);
	for (i = 0; i < NR_NEEDS; i++) {
		if (!there[i])
			continue;
		snprintf(parameters, sizeof(parameters), "without=no_such_symbol,%s", needs[i].symbol);
		ASSERT_EQ(0, load_again(self->module, parameters));
		EXPECT_FALSE(is_listed(needs[i].replacement)) TH_LOG("%s", parameters);
		EXPECT_TRUE(is_listed("selftest_answer"));
		EXPECT_EQ(ENODEV, arm_replacement(needs[i].replacement, why))
			TH_LOG("%s %s", needs[i].replacement, parameters);
		EXPECT_TRUE(strstr(why, needs[i].replacement) && strstr(why, needs[i].symbol))
			TH_LOG("%s %s: %s", needs[i].replacement, parameters, why);
	}
	TH_LOG("%d of %d", nr, (int)NR_NEEDS);
}

/* 0, or the errno, of one command. */
static int order(int file, const char *command)
{
	return write(file, command, strlen(command)) < 0 ? errno : 0;
}

/* Only the control, and the command "free", need the function that frees a table at once. */
TEST_F(load, tables_do_without_what_a_control_alone_needs)
{
	char why[FL_WHY_LEN];
	int file;

	if (strstr(read_file(FL_DIR "capabilities"), "defer-tables no"))
		SKIP(return, "pte_free_defer()");
	ASSERT_EQ(0, load_again(self->module, "without=" TABLE_FREE));
	file = open(FL_DIR "pgtable/tables", O_RDWR | O_CLOEXEC);
	ASSERT_GE(file, 0);
	if (shares_pages()) {
		EXPECT_EQ(EOPNOTSUPP, order(file, "tables 2"));
	} else {
		EXPECT_EQ(0, order(file, "tables 2"));
		EXPECT_EQ(0, order(file, "defer 0"));
		EXPECT_EQ(EOPNOTSUPP, order(file, "free 1"));
		EXPECT_EQ(0, order(file, "defer 1"));
		EXPECT_EQ(0, order(file, "barrier"));
	}
	close(file);
	EXPECT_EQ(0, arm_replacement("pte_free_never", why)) TH_LOG("%s", why);
	EXPECT_EQ(ENODEV, arm_replacement("pte_free_at_once", why));
	EXPECT_EQ(ENODEV, arm_replacement("pte_free_queue_each", why));
}

/* An instrument: the capability names what it lacks, and the file refuses. */
TEST_F(load, tables_are_refused_without_their_own_symbols)
{
	int file;

	if (strstr(read_file(FL_DIR "capabilities"), "defer-tables no"))
		SKIP(return, "pte_free_defer()");
	ASSERT_EQ(0, load_again(self->module, "without=pte_free_defer"));
	EXPECT_NE(NULL, strstr(read_file(FL_DIR "capabilities"),
			       "defer-tables no this kernel has no pte_free_defer\n"));
	file = open(FL_DIR "pgtable/tables", O_RDWR | O_CLOEXEC);
	ASSERT_GE(file, 0);
	EXPECT_EQ(EOPNOTSUPP, order(file, "tables 1"));
	close(file);
}

/* --- cycles under load ------------------------------------------------------------------- */

#define NR_BUSY 2 /* each is an actor */
#define BUSY_SIZE (4UL << 20) /* more than a huge page */
#define BUSY_FUNCTION "vfs_fallocate"
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

static struct {
	pid_t tids[NR_BUSY];
	unsigned long rounds[NR_BUSY];
} *busy; /* of a process that is killed when it is not needed */

/* A call that fails under memory pressure is tried again in the next round. */
static void busy_round(int file)
{
	char *area = mmap(NULL, BUSY_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *mapped = mmap(NULL, BUSY_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	size_t i;

	for (i = 0; i < BUSY_SIZE && area != MAP_FAILED && mapped != MAP_FAILED; i += 4 * getpagesize())
		area[i] = mapped[i] = 1;
	madvise(area, BUSY_SIZE, MADV_COLLAPSE);
	madvise(mapped, BUSY_SIZE, MADV_COLLAPSE);
	if (fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, BUSY_SIZE / 2))
		sleep_ms(1);
	munmap(area, BUSY_SIZE);
	munmap(mapped, BUSY_SIZE);
}

static void *busy_main(void *arg)
{
	long i = (long)arg;
	int file = memfd_create("faultline", MFD_CLOEXEC);

	if (file < 0 || ftruncate(file, BUSY_SIZE))
		_exit(1);
	for (busy->tids[i] = gettid();; busy->rounds[i]++)
		busy_round(file);
	return NULL;
}

static pid_t busy_start(void)
{
	pid_t child = fork();
	pthread_t thread;
	long i;

	if (child)
		return child;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (i = 0; i < NR_BUSY; i++)
		if (pthread_create(&thread, NULL, busy_main, (void *)i))
			_exit(1);
	for (;;)
		pause();
}

static void busy_stop(pid_t child)
{
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
}

/* Until each goes round, or the bound. */
static bool busy_goes_round(void)
{
	unsigned long before[NR_BUSY] = { busy->rounds[0], busy->rounds[1] };
	long long end = now_ms() + BOUND_MS;

	while (busy->rounds[0] == before[0] || busy->rounds[1] == before[1]) {
		if (now_ms() > end)
			return false;
		sleep_ms(1);
	}
	return true;
}

/* The busy tasks are the actors, and are held now and then: how often they came by. -1: not armed. */
static int use_module(void)
{
	struct fl_result result = {};
	struct fl_program p;
	int session = session_open(), hits = -1;

	program_init(&p);
	p.wait_ms = 2;
	add_site(&p, 0, FL_SITE_ENTER, BUSY_FUNCTION);
	add_site(&p, 1, FL_SITE_RETURN, BUSY_FUNCTION);
	add_edge(&p, 1, 0);
	if (session >= 0 && !ioctl(session, FL_IOC_ARM, &p) && !bind_actor(session, 0, busy->tids[0]) &&
	    !bind_actor(session, 1, busy->tids[1]) && !ioctl(session, FL_IOC_RUN) && busy_goes_round() &&
	    !ioctl(session, FL_IOC_RESULT, &result))
		hits = result.sites[0].hits + result.sites[1].hits;
	if (session >= 0)
		close(session);
	return hits;
}

/* "", or the reason. Adds the hits. */
static const char *load_cycle(const char *module, int *hits)
{
	int came;

	if (module_load(module))
		return "it does not load";
	came = use_module();
	if (came < 0)
		return "it cannot be used";
	*hits += came;
	if (module_unload(BOUND_MS))
		return "it does not unload";
	return access(FL_DIR, F_OK) ? "" : "its files are still there";
}

static int nr_cycles(void)
{
	return getenv("CYCLES") ? atoi(getenv("CYCLES")) : 5;
}

TEST_F_TIMEOUT(load, cycles_under_load, 7200)
{
	struct machine machine;
	long long began, told;
	const char *why;
	int i, hits = 0;
	pid_t child;

	ASSERT_LT(0, nr_cycles());
	busy = mmap(NULL, sizeof(*busy), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, busy);
	ASSERT_EQ(0, module_unload(BOUND_MS));
	/* The first cycle makes the allocations that come only once. */
	child = busy_start();
	EXPECT_TRUE(busy_goes_round());
	EXPECT_STREQ("", load_cycle(self->module, &hits));
	busy_stop(child);
	ASSERT_EQ(0, machine_note(&machine));
	child = busy_start();
	began = told = now_ms();
	for (i = 0; i < nr_cycles(); i++) {
		why = load_cycle(self->module, &hits);
		EXPECT_STREQ("", why) TH_LOG("cycle %d", i);
		machine_compare(&machine);
		EXPECT_STREQ("", machine.left) TH_LOG("cycle %d", i);
		if (*why || machine.nr_left)
			break;
		if (now_ms() - told < 10000)
			continue;
		told = now_ms();
		note_progress("load_test: %d of %d cycles in %lld s\n", i, nr_cycles(), (told - began) / 1000);
	}
	TH_LOG("%d cycles in %lld ms, %d hits, %lu rounds of the load: a thousand takes %lld minutes", i,
	       now_ms() - began, hits, busy->rounds[0] + busy->rounds[1], (now_ms() - began) / (i + 1) / 60);
	busy_stop(child);
	EXPECT_LE(i, hits) TH_LOG("the module was loaded, and nobody came by");
	machine.left[0] = '\0';
	machine_compare_memory(&machine);
	EXPECT_STREQ("", machine.left);
	machine_forget(&machine);
}

TEST_HARNESS_MAIN
