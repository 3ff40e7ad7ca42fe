// SPDX-License-Identifier: GPL-2.0
/*
 * engine_test - the module by itself: each kind of site, hold, end and control, on functions that
 * every kernel has. vfs_fallocate() may sleep and returns what we ask it to; a hole punched into a
 * memfd calls __filemap_remove_folio() with a spinlock held and interrupts off.
 *
 * Times are compared with bounds that the module promises, never with a machine's speed.
 */
#define _GNU_SOURCE
#include "kselftest_harness.h"

#include <linux/falloc.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "common.h"

#define SLEEPABLE "vfs_fallocate"
#define UNDER_INODE_LOCK "unmap_mapping_range" /* of shmem_fallocate() for a hole */
#define ATOMIC "__filemap_remove_folio"

#define LONG_MS 20000 /* for holds that something else has to end */
#define SHORT_MS 50 /* for holds that the bound has to end */

FIXTURE(engine)
{
	int session;
	int file; /* a memfd of one page */
	struct fl_program p;
	struct fl_result r;
};

FIXTURE_SETUP(engine)
{
	self->session = session_open();
	ASSERT_GE(self->session, 0)
		TH_LOG("cannot open the session: is the module loaded, are you root?");
	self->file = memfd_create("faultline", MFD_CLOEXEC);
	ASSERT_GE(self->file, 0);
	ASSERT_EQ(1, write(self->file, "x", 1));
	program_init(&self->p);
	self->p.wait_ms = LONG_MS;
}

FIXTURE_TEARDOWN(engine)
{
	close(self->session);
	close(self->file);
}

/*
 * A place to be held in that may sleep. Said, for where CONFIG_PREEMPT_COUNT is off the module
 * cannot know, and spins.
 */
static int add_sleeping(struct fl_program *p, enum fl_site_kind kind, const char *function)
{
	int site = add_site(p, 0, kind, function);

	p->sites[site].context = FL_CONTEXT_SLEEP;
	return site;
}

/* One raw system call, so that any value a control returns is seen. */
static long grow(int file)
{
	return syscall(SYS_fallocate, file, 0, 0L, 4096L);
}

static long grow_wrongly(int file)
{
	return syscall(SYS_fallocate, file, 0x40000000, 0L, 4096L);
}

static long punch(int file)
{
	return syscall(SYS_fallocate, file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0L,
		       (long)getpagesize());
}

static long cut(int file)
{
	return ftruncate(file, 0);
}

/* An actor on a thread: bound, then waits for the run, then does one thing. */
struct actor {
	pthread_t thread;
	pthread_barrier_t bound, go;
	int session, file, number, err;
	long (*body)(int file);
	int site; /* USER site that it arrives at afterwards, or -1 */
	int end;
	long value;
};

static void *actor_main(void *arg)
{
	struct actor *a = arg;

	a->err = bind_actor(a->session, a->number, 0) ? errno : 0;
	pthread_barrier_wait(&a->bound);
	pthread_barrier_wait(&a->go);
	if (a->body)
		a->value = a->body(a->file);
	if (a->site >= 0)
		a->end = arrive(a->session, a->site);
	return NULL;
}

static int actor_start(struct actor *a, int session, int number, int file, long (*body)(int))
{
	*a = (struct actor){ .session = session, .number = number, .file = file, .body = body };
	a->site = -1;
	pthread_barrier_init(&a->bound, NULL, 2);
	pthread_barrier_init(&a->go, NULL, 2);
	if (pthread_create(&a->thread, NULL, actor_main, a))
		return -1;
	pthread_barrier_wait(&a->bound);
	return a->err;
}

static void actor_go(struct actor *a)
{
	pthread_barrier_wait(&a->go);
}

static long actor_end(struct actor *a)
{
	pthread_join(a->thread, NULL);
	return a->value;
}

#define ARM() ASSERT_EQ(0, ioctl(self->session, FL_IOC_ARM, &self->p)) TH_LOG("%s", self->p.why)
#define RUN() ASSERT_EQ(0, ioctl(self->session, FL_IOC_RUN))
#define READ_RESULT() ASSERT_EQ(0, ioctl(self->session, FL_IOC_RESULT, &self->r))

static long long stay_ns(const struct fl_site_result *site)
{
	return site->left_ns - site->reached_ns;
}

/* --- sites and edges ------------------------------------------------------ */

TEST_F(engine, eight_actors_in_the_order_of_the_edges)
{
	struct actor actors[FL_MAX_ACTORS];
	int i;

	/* The last first: i waits for i + 1. */
	self->p.nr_actors = FL_MAX_ACTORS;
	for (i = 0; i < FL_MAX_ACTORS; i++) {
		sprintf(self->p.actors[i], "a%d", i);
		add_site(&self->p, i, FL_SITE_USER, "here");
	}
	for (i = 0; i + 1 < FL_MAX_ACTORS; i++)
		add_edge(&self->p, i + 1, i);
	ARM();
	for (i = 0; i < FL_MAX_ACTORS; i++) {
		ASSERT_EQ(0, actor_start(&actors[i], self->session, i, -1, NULL));
		actors[i].site = i;
	}
	RUN();
	for (i = 0; i < FL_MAX_ACTORS; i++)
		actor_go(&actors[i]);
	for (i = 0; i < FL_MAX_ACTORS; i++)
		actor_end(&actors[i]);
	READ_RESULT();
	EXPECT_EQ(1, self->r.overlapped);
	EXPECT_EQ((1u << (FL_MAX_ACTORS - 1)) - 1, self->r.honoured);
	for (i = 0; i < FL_MAX_ACTORS; i++)
		EXPECT_TRUE(actors[i].end == FL_END_WAITED || actors[i].end == FL_END_PASSED);
	for (i = 0; i + 1 < FL_MAX_ACTORS; i++)
		EXPECT_GE(self->r.sites[i].left_ns, self->r.sites[i + 1].reached_ns);
}

/* Grace periods and IPIs go on while an actor is held where it may sleep. */
TEST_F(engine, a_sleeping_hold_blocks_no_grace_period)
{
	struct actor a;
	int held, go;

	held = add_sleeping(&self->p, FL_SITE_ENTER, SLEEPABLE);
	go = add_site(&self->p, 1, FL_SITE_USER, "go");
	add_edge(&self->p, go, held);
	ARM();
	ASSERT_EQ(0, bind_actor(self->session, 1, 0));
	ASSERT_EQ(0, actor_start(&a, self->session, 0, self->file, grow));
	RUN();
	actor_go(&a);
	ASSERT_TRUE(wait_for_held(SLEEPABLE, LONG_MS));
	/* synchronize_rcu() */
	EXPECT_EQ(0, syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0));
	/* An IPI to each CPU that runs a thread of ours. */
	EXPECT_EQ(0, syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0));
	EXPECT_EQ(0, syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0));
	EXPECT_TRUE(wait_for_held(SLEEPABLE, 0)); /* and it is still there */
	EXPECT_EQ(FL_END_PASSED, arrive(self->session, go));
	EXPECT_EQ(0, actor_end(&a));
	READ_RESULT();
	EXPECT_EQ(1, self->r.overlapped);
	EXPECT_EQ(FL_END_WAITED, self->r.sites[held].end);
	EXPECT_EQ(FL_CONTEXT_SLEEP, self->r.sites[held].context);
	EXPECT_LE(self->r.sites[go].reached_ns, self->r.sites[held].left_ns);
}

TEST_F(engine, a_return_site_knows_the_value)
{
	int site = add_site(&self->p, 0, FL_SITE_RETURN, SLEEPABLE);

	ARM();
	ASSERT_EQ(0, bind_actor(self->session, 0, 0));
	RUN();
	EXPECT_EQ(-1, grow_wrongly(self->file));
	EXPECT_EQ(EOPNOTSUPP, errno);
	READ_RESULT();
	EXPECT_EQ(-EOPNOTSUPP, (int)self->r.sites[site].value);
	EXPECT_EQ(FL_END_PASSED, self->r.sites[site].end);
	EXPECT_EQ(1, self->r.sites[site].hits);
}

TEST_F(engine, held_at_a_return)
{
	struct actor a;
	int held, go;

	held = add_sleeping(&self->p, FL_SITE_RETURN, SLEEPABLE);
	go = add_site(&self->p, 1, FL_SITE_USER, "go");
	add_edge(&self->p, go, held);
	ARM();
	ASSERT_EQ(0, bind_actor(self->session, 1, 0));
	ASSERT_EQ(0, actor_start(&a, self->session, 0, self->file, punch));
	RUN();
	actor_go(&a);
	ASSERT_TRUE(wait_for_held(SLEEPABLE, LONG_MS));
	EXPECT_EQ(FL_END_PASSED, arrive(self->session, go));
	EXPECT_EQ(0, actor_end(&a));
	READ_RESULT();
	EXPECT_EQ(FL_END_WAITED, self->r.sites[held].end);
	EXPECT_EQ(1, self->r.overlapped);
}

/* Sites of one function and of one it calls; entries come before returns, inner ones between. */
TEST_F(engine, nested_sites)
{
	int enter, inner, inner_return, outer_return;

	enter = add_site(&self->p, 0, FL_SITE_ENTER, SLEEPABLE);
	inner = add_site(&self->p, 0, FL_SITE_ENTER, UNDER_INODE_LOCK);
	inner_return = add_site(&self->p, 0, FL_SITE_RETURN, UNDER_INODE_LOCK);
	outer_return = add_site(&self->p, 0, FL_SITE_RETURN, SLEEPABLE);
	ARM();
	ASSERT_EQ(0, bind_actor(self->session, 0, 0));
	RUN();
	EXPECT_EQ(0, punch(self->file));
	READ_RESULT();
	ASSERT_NE(0, self->r.sites[enter].reached_ns);
	EXPECT_LE(self->r.sites[enter].left_ns, self->r.sites[inner].reached_ns);
	EXPECT_LE(self->r.sites[inner].left_ns, self->r.sites[inner_return].reached_ns);
	EXPECT_LE(self->r.sites[inner_return].left_ns, self->r.sites[outer_return].reached_ns);
	ASSERT_NE(0, self->r.sites[outer_return].reached_ns);
}

#define INSTRUCTION "filemap_get_entry/lock-cmpxchg"

static long look_up(int file)
{
	char byte;

	return pread(file, &byte, 1, 0) == 1 ? byte : -errno;
}

/* The page frame that a page of ours is in; 0 if it is not known. */
static unsigned long long pfn_of(const void *page)
{
	int file = open("/proc/self/pagemap", O_RDONLY);
	unsigned long long entry = 0;

	if (pread(file, &entry, sizeof(entry), (unsigned long)page / getpagesize() * sizeof(entry)) !=
	    sizeof(entry))
		entry = 0;
	close(file);
	return entry & ((1ULL << 55) - 1);
}

/* Between two instructions, interrupts on: an IPI gets through, and all registers are kept. */
TEST_F(engine, held_in_front_of_an_instruction)
{
	struct actor a;
	int held, go;

	held = add_site(&self->p, 0, FL_SITE_AT, INSTRUCTION);
	go = add_site(&self->p, 1, FL_SITE_USER, "go");
	add_edge(&self->p, go, held);
	if (ioctl(self->session, FL_IOC_ARM, &self->p)) {
		ASSERT_TRUE(errno == ENODEV || errno == ENOENT);
		ASSERT_NE('\0', self->p.why[0]);
		SKIP(return, "%s", self->p.why);
	}
	ASSERT_EQ(0, bind_actor(self->session, 1, 0));
	ASSERT_EQ(0, actor_start(&a, self->session, 0, self->file, look_up));
	EXPECT_EQ(0, syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0));
	RUN();
	actor_go(&a);
	ASSERT_TRUE(wait_for_held(INSTRUCTION, LONG_MS));
	EXPECT_EQ(0, syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0));
	EXPECT_EQ(FL_END_PASSED, arrive(self->session, go));
	EXPECT_EQ('x', actor_end(&a));
	READ_RESULT();
	EXPECT_EQ(FL_END_WAITED, self->r.sites[held].end);
	EXPECT_EQ(FL_CONTEXT_SPIN, self->r.sites[held].context);
	EXPECT_EQ(1, self->r.sites[held].hits);
	EXPECT_EQ(1, self->r.overlapped);
}

/* The probe goes while the actor is in front of the instruction: it finds the plain one. */
TEST_F(engine, an_instruction_is_left_when_the_session_closes)
{
	struct actor a;
	int held, never;

	held = add_site(&self->p, 0, FL_SITE_AT, INSTRUCTION);
	never = add_site(&self->p, 1, FL_SITE_USER, "never");
	add_edge(&self->p, never, held);
	if (ioctl(self->session, FL_IOC_ARM, &self->p))
		SKIP(return, "%s", self->p.why);
	ASSERT_EQ(0, actor_start(&a, self->session, 0, self->file, look_up));
	RUN();
	actor_go(&a);
	ASSERT_TRUE(wait_for_held(INSTRUCTION, LONG_MS));
	close(self->session);
	EXPECT_EQ('x', actor_end(&a));
	EXPECT_EQ('x', look_up(self->file));
	self->session = session_open();
}

/* The same function's, but only for one page: the driver's libc is in the page cache, too. */
TEST_F(engine, an_aimed_site_is_about_one_page)
{
	struct fl_aim aim = {};
	char *page;
	int site;

	site = add_site(&self->p, 0, FL_SITE_AT, "filemap_get_entry/page-ref");
	if (ioctl(self->session, FL_IOC_ARM, &self->p)) {
		ASSERT_TRUE(errno == ENODEV || errno == ENOENT);
		SKIP(return, "%s", self->p.why);
	}
	ASSERT_EQ(0, bind_actor(self->session, 0, 0));
	page = mmap(NULL, 4096, PROT_READ, MAP_SHARED, self->file, 0);
	ASSERT_NE(MAP_FAILED, page);
	ASSERT_EQ('x', *(volatile char *)page);

	RUN();
	EXPECT_EQ('x', look_up(self->file));
	READ_RESULT();
	EXPECT_EQ(0, self->r.sites[site].hits) TH_LOG("aimed at none");

	aim.pfn = pfn_of(page);
	ASSERT_NE(0, aim.pfn);
	ASSERT_EQ(0, ioctl(self->session, FL_IOC_AIM, &aim));
	RUN();
	EXPECT_EQ('x', look_up(self->file));
	READ_RESULT();
	EXPECT_EQ(1, self->r.sites[site].hits);
	EXPECT_EQ(FL_END_PASSED, self->r.sites[site].end);

	aim.pfn++;
	ASSERT_EQ(0, ioctl(self->session, FL_IOC_AIM, &aim));
	RUN();
	EXPECT_EQ('x', look_up(self->file));
	READ_RESULT();
	EXPECT_EQ(0, self->r.sites[site].hits);
	munmap(page, 4096);
}

TEST_F(engine, an_instruction_that_is_not_one_is_refused)
{
	struct {
		const char *name;
		int err;
	} wrong[] = {
		{ "vfs_fallocate", EINVAL },
		{ "vfs_fallocate/no-such-pattern", EINVAL },
		{ "no_such_function/lock-cmpxchg", ENOENT },
		{ "ksys_sync/lock-cmpxchg", ENODEV },
		{ "ksys_sync/page-ref", ENODEV },
	};
	int i;

	for (i = 0; i < (int)(sizeof(wrong) / sizeof(wrong[0])); i++) {
		program_init(&self->p);
		add_site(&self->p, 0, FL_SITE_AT, wrong[i].name);
		EXPECT_EQ(-1, ioctl(self->session, FL_IOC_ARM, &self->p));
#ifdef __x86_64__
		EXPECT_EQ(wrong[i].err, errno)
			TH_LOG("%s: %s", wrong[i].name, self->p.why);
#else
		EXPECT_EQ(ENODEV, errno);
#endif
		EXPECT_NE('\0', self->p.why[0]);
	}
}

TEST_F(engine, the_hit_that_counts)
{
	int site = add_site(&self->p, 0, FL_SITE_RETURN, SLEEPABLE);

	self->p.sites[site].hit = 2;
	ARM();
	ASSERT_EQ(0, bind_actor(self->session, 0, 0));
	RUN();
	grow(self->file);
	grow_wrongly(self->file);
	grow(self->file);
	READ_RESULT();
	EXPECT_EQ(3, self->r.sites[site].hits);
	EXPECT_EQ(-EOPNOTSUPP, (int)self->r.sites[site].value);
}

/* One text patching, many schedules: each run has the sites, hits and edges of the last one. */
TEST_F(engine, another_schedule_without_arming)
{
	struct fl_function functions[] = { { .name = SLEEPABLE }, { .name = UNDER_INODE_LOCK } };
	struct fl_patch patch = { .nr = 2, .functions = (unsigned long)functions };
	struct fl_program next;
	int first, second;

	ASSERT_EQ(0, ioctl(self->session, FL_IOC_PATCH, &patch));
	ASSERT_EQ(0, functions[0].err);
	ASSERT_EQ(0, functions[1].err);
	ARM();
	ASSERT_EQ(0, bind_actor(self->session, 0, 0));
	RUN();
	grow(self->file); /* patched, but no site is there */
	READ_RESULT();
	EXPECT_EQ(0, self->r.sites[0].hits);

	program_init(&next);
	first = add_site(&next, 0, FL_SITE_RETURN, SLEEPABLE);
	next.sites[first].hit = 2;
	second = add_site(&next, 0, FL_SITE_ENTER, UNDER_INODE_LOCK);
	ASSERT_EQ(0, ioctl(self->session, FL_IOC_SCHEDULE, &next)) TH_LOG("%s", next.why);
	RUN();
	grow(self->file);
	punch(self->file);
	READ_RESULT();
	EXPECT_EQ(2, self->r.sites[first].hits);
	EXPECT_NE(0, self->r.sites[first].reached_ns);
	EXPECT_EQ(1, self->r.sites[second].hits);

	/* The sites change places, and one is held to its bound. */
	program_init(&next);
	next.wait_ms = SHORT_MS;
	first = add_sleeping(&next, FL_SITE_ENTER, SLEEPABLE);
	second = add_site(&next, 1, FL_SITE_USER, "never");
	add_edge(&next, second, first);
	ASSERT_EQ(0, ioctl(self->session, FL_IOC_SCHEDULE, &next)) TH_LOG("%s", next.why);
	RUN();
	punch(self->file);
	READ_RESULT();
	EXPECT_EQ(1, self->r.sites[first].hits);
	EXPECT_EQ(FL_END_TIMEOUT, self->r.sites[first].end);
	EXPECT_EQ(FL_END_NOT_REACHED, self->r.sites[second].end);
	EXPECT_EQ(0, self->r.overlapped);
}

/* A hold for a site that the awaited actor has gone past ends long before its bound. */
TEST_F(engine, a_missed_site_is_not_waited_for)
{
	int missed = add_site(&self->p, 0, FL_SITE_ENTER, SLEEPABLE);
	int later = add_site(&self->p, 0, FL_SITE_USER, "later");
	int waits = add_site(&self->p, 1, FL_SITE_USER, "waits");
	struct actor other;
	long long began;

	self->p.flags = FL_PROGRAM_IN_ORDER;
	add_edge(&self->p, missed, waits);
	ARM();
	ASSERT_EQ(0, bind_actor(self->session, 0, 0));
	ASSERT_EQ(0, actor_start(&other, self->session, 1, self->file, NULL));
	other.site = waits;
	RUN();
	began = now_ms();
	actor_go(&other);
	ASSERT_TRUE(wait_for_held("waits", LONG_MS / 2));
	EXPECT_EQ(FL_END_PASSED, arrive(self->session, later));
	actor_end(&other);
	EXPECT_EQ(FL_END_MISSED, other.end);
	EXPECT_LT(now_ms() - began, LONG_MS);
	READ_RESULT();
	EXPECT_EQ(0, self->r.overlapped);
	EXPECT_EQ(FL_END_NOT_REACHED, self->r.sites[missed].end);
	EXPECT_NE(NULL, strstr(read_file(FL_DIR "events"), " left waits missed\n"));
}

TEST_F(engine, others_are_not_seen_and_each_run_starts_anew)
{
	int site = add_site(&self->p, 0, FL_SITE_ENTER, SLEEPABLE);
	__u64 first;

	ARM();
	RUN();
	grow(self->file); /* nobody is bound */
	READ_RESULT();
	first = self->r.run;
	EXPECT_EQ(0, self->r.sites[site].hits);
	EXPECT_EQ(FL_END_NOT_REACHED, self->r.sites[site].end);
	ASSERT_EQ(0, bind_actor(self->session, 0, 0));
	grow(self->file);
	READ_RESULT();
	EXPECT_EQ(1, self->r.sites[site].hits);
	RUN();
	READ_RESULT();
	EXPECT_EQ(first + 1, self->r.run);
	EXPECT_EQ(0, self->r.sites[site].hits);
	EXPECT_EQ(0, self->r.sites[site].reached_ns);
	ASSERT_EQ(0, ioctl(self->session, FL_IOC_STOP));
	grow(self->file); /* between runs nothing is counted */
	READ_RESULT();
	EXPECT_EQ(0, self->r.sites[site].hits);
}

/* --- how holds end -------------------------------------------------------- */

TEST_F(engine, a_hold_ends_at_its_bound)
{
	int held, never;

	self->p.wait_ms = SHORT_MS;
	held = add_sleeping(&self->p, FL_SITE_ENTER, SLEEPABLE);
	never = add_site(&self->p, 1, FL_SITE_USER, "never");
	add_edge(&self->p, never, held);
	ARM();
	ASSERT_EQ(0, bind_actor(self->session, 0, 0));
	RUN();
	EXPECT_EQ(0, grow(self->file)); /* the function still runs */
	READ_RESULT();
	EXPECT_EQ(FL_END_TIMEOUT, self->r.sites[held].end);
	EXPECT_EQ(FL_END_NOT_REACHED, self->r.sites[never].end);
	EXPECT_GE(stay_ns(&self->r.sites[held]), SHORT_MS * 1000000LL);
	EXPECT_EQ(0, self->r.honoured);
	EXPECT_EQ(0, self->r.overlapped);
}

TEST_F(engine, a_spinning_hold_has_a_bound_of_its_own)
{
	int held, never;

	held = add_site(&self->p, 0, FL_SITE_ENTER, ATOMIC);
	never = add_site(&self->p, 1, FL_SITE_USER, "never");
	add_edge(&self->p, never, held);
	ARM();
	ASSERT_EQ(0, bind_actor(self->session, 0, 0));
	RUN();
	EXPECT_EQ(0, punch(self->file));
	READ_RESULT();
	ASSERT_NE(0, self->r.sites[held].hits);
	EXPECT_EQ(FL_CONTEXT_SPIN, self->r.sites[held].context);
	EXPECT_EQ(FL_END_TIMEOUT, self->r.sites[held].end);
	EXPECT_GE(stay_ns(&self->r.sites[held]), FL_MAX_SPIN_MS * 1000000LL);
	EXPECT_LT(stay_ns(&self->r.sites[held]), LONG_MS * 1000000LL);
}

/* SLEEP is asked for and not given: the hit has a spinlock and interrupts off. */
TEST_F(engine, an_atomic_hold_spins_and_is_released)
{
	struct actor a;
	int held, go, run;

	held = add_site(&self->p, 0, FL_SITE_ENTER, ATOMIC);
	go = add_site(&self->p, 1, FL_SITE_USER, "go");
	self->p.sites[held].context = FL_CONTEXT_SLEEP;
	add_edge(&self->p, go, held);
	ARM();
	ASSERT_EQ(0, bind_actor(self->session, 1, 0));
	/* A run in which a vCPU of ours stood still, so that we came late, tells nothing. */
	for (run = 0; run < 5; run++) {
		ASSERT_EQ(0, actor_start(&a, self->session, 0, self->file, punch));
		RUN();
		actor_go(&a);
		/* No look at debugfs: on one CPU we would see it only after the spin. */
		EXPECT_EQ(FL_END_PASSED, arrive(self->session, go));
		EXPECT_EQ(0, actor_end(&a));
		READ_RESULT();
		ASSERT_NE(0, self->r.sites[held].hits);
		if ((long long)(self->r.sites[go].reached_ns - self->r.sites[held].reached_ns) <
		    FL_MAX_SPIN_MS * 1000000LL / 2)
			break;
		EXPECT_EQ(0, grow(self->file)); /* a page to punch out again */
	}
	if (self->r.sites[held].end != FL_END_PASSED)
		EXPECT_EQ(FL_CONTEXT_SPIN, self->r.sites[held].context);
	EXPECT_EQ(1, self->r.overlapped);
}

TEST_F(engine, exclusion_names_the_lock)
{
	struct actor a, b;
	int held, done;

	self->p.excluded_ms = 100;
	held = add_sleeping(&self->p, FL_SITE_ENTER, UNDER_INODE_LOCK);
	done = add_site(&self->p, 1, FL_SITE_USER, "done");
	add_edge(&self->p, done, held);
	ARM();
	ASSERT_EQ(0, actor_start(&a, self->session, 0, self->file, punch));
	ASSERT_EQ(0, actor_start(&b, self->session, 1, self->file, cut));
	b.site = done;
	RUN();
	actor_go(&a);
	ASSERT_TRUE(wait_for_held(UNDER_INODE_LOCK, LONG_MS));
	actor_go(&b); /* wants the inode lock, which a holds */
	EXPECT_EQ(0, actor_end(&a));
	EXPECT_EQ(0, actor_end(&b));
	READ_RESULT();
	EXPECT_EQ(FL_END_EXCLUDED, self->r.sites[held].end);
	EXPECT_EQ(1, self->r.excluded);
	EXPECT_EQ(1, self->r.blocked_actor);
	EXPECT_NE(NULL, strstr(self->r.blocked, "down_write")) TH_LOG("blocked: %s", self->r.blocked);
	EXPECT_EQ(0, self->r.overlapped);
}

static void stay_on(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

static long punch_on_cpu_0(int file)
{
	stay_on(0);
	return punch(file);
}

/* schedule_on_each_cpu(), which waits for a worker of each CPU. */
static long refresh(int unused)
{
	return write_file("/proc/sys/vm/stat_refresh", "1");
}

/* A CPU that is held with interrupts off runs no worker. */
TEST_F(engine, exclusion_names_functions_that_sound_like_the_scheduler)
{
	struct actor a, b;
	int held, done;
	cpu_set_t before;

	ASSERT_EQ(0, sched_getaffinity(0, sizeof(before), &before));
	if (!CPU_ISSET(0, &before) || !CPU_ISSET(1, &before))
		SKIP(return, "two CPUs");
	if (access("/proc/sys/vm/stat_refresh", W_OK))
		SKIP(return, "/proc/sys/vm/stat_refresh");
	self->p.excluded_ms = 50;
	held = add_site(&self->p, 0, FL_SITE_ENTER, ATOMIC);
	done = add_site(&self->p, 1, FL_SITE_USER, "done");
	add_edge(&self->p, done, held);
	ARM();
	stay_on(1); /* and so does b */
	ASSERT_EQ(0, actor_start(&a, self->session, 0, self->file, punch_on_cpu_0));
	ASSERT_EQ(0, actor_start(&b, self->session, 1, -1, refresh));
	b.site = done;
	RUN();
	actor_go(&a);
	EXPECT_TRUE(wait_for_held(ATOMIC, LONG_MS));
	actor_go(&b);
	EXPECT_EQ(0, actor_end(&a));
	EXPECT_EQ(0, actor_end(&b));
	sched_setaffinity(0, sizeof(before), &before);
	READ_RESULT();
	EXPECT_EQ(FL_END_EXCLUDED, self->r.sites[held].end);
	EXPECT_NE(NULL, strstr(self->r.blocked, "schedule_on_each_cpu"))
		TH_LOG("blocked: %s", self->r.blocked);
	EXPECT_NE(0, strncmp(self->r.blocked, "schedule", 8));
	EXPECT_NE(0, strncmp(self->r.blocked, "__schedule", 10));
	EXPECT_EQ(NULL, strstr(self->r.blocked, "schedule_timeout"))
		TH_LOG("blocked: %s", self->r.blocked);
}

TEST_F(engine, stop_ends_a_hold)
{
	struct actor a;
	int held, never;

	held = add_sleeping(&self->p, FL_SITE_ENTER, SLEEPABLE);
	never = add_site(&self->p, 1, FL_SITE_USER, "never");
	add_edge(&self->p, never, held);
	ARM();
	ASSERT_EQ(0, actor_start(&a, self->session, 0, self->file, grow));
	RUN();
	actor_go(&a);
	ASSERT_TRUE(wait_for_held(SLEEPABLE, LONG_MS));
	EXPECT_EQ(-1, ioctl(self->session, FL_IOC_RUN)); /* it is inside */
	EXPECT_EQ(EBUSY, errno);
	EXPECT_EQ(-1, bind_actor(self->session, 0, 0));
	EXPECT_EQ(EBUSY, errno);
	EXPECT_EQ(0, ioctl(self->session, FL_IOC_STOP));
	EXPECT_EQ(0, actor_end(&a));
	READ_RESULT();
	EXPECT_EQ(FL_END_KILLED, self->r.sites[held].end);
	EXPECT_EQ(0, self->r.overlapped);
}

/*
 * The CPU of an actor stands still between the look at whether a run is on and the hit, and the
 * next run is begun: the hit is not one of that run, which nobody took part in.
 */
TEST_F(engine, a_late_hit_does_not_count_in_the_next_run)
{
	struct actor a;
	int site = add_site(&self->p, 0, FL_SITE_ENTER, SLEEPABLE);

	ARM();
	ASSERT_EQ(0, actor_start(&a, self->session, 0, self->file, grow));
	RUN();
	ASSERT_EQ(0, write_file(FL_DIR "stall", "hit 1000"));
	actor_go(&a);
	ASSERT_TRUE(wait_for_text(FL_DIR "stall", "hit 0\n", LONG_MS));
	RUN();
	EXPECT_EQ(0, actor_end(&a));
	READ_RESULT();
	EXPECT_EQ(2, self->r.run);
	EXPECT_EQ(0, self->r.sites[site].hits);
	EXPECT_EQ(0, self->r.sites[site].reached_ns);
	EXPECT_EQ(FL_END_NOT_REACHED, self->r.sites[site].end);
}

/* Its hold would be one of the next run: it ends, and that run begins after it. */
TEST_F(engine, a_late_hit_is_not_held_in_the_next_run)
{
	struct actor a;
	int held, never;

	held = add_sleeping(&self->p, FL_SITE_ENTER, SLEEPABLE);
	never = add_site(&self->p, 1, FL_SITE_USER, "never");
	add_edge(&self->p, never, held);
	ARM();
	ASSERT_EQ(0, actor_start(&a, self->session, 0, self->file, grow));
	RUN();
	ASSERT_EQ(0, write_file(FL_DIR "stall", "hit 1000"));
	actor_go(&a);
	ASSERT_TRUE(wait_for_text(FL_DIR "stall", "hit 0\n", LONG_MS));
	RUN();
	EXPECT_EQ(0, actor_end(&a));
	READ_RESULT();
	EXPECT_EQ(2, self->r.run);
	EXPECT_EQ(0, self->r.sites[held].hits);
	EXPECT_EQ(FL_END_NOT_REACHED, self->r.sites[held].end);
}

/* A child that does not have the session, so that closing ours is the last close. */
static pid_t child_start(struct __test_metadata *_metadata, int session, int file,
			 long (*body)(int), int *go)
{
	int pipes[2];
	pid_t child;
	char byte;

	ASSERT_EQ(0, pipe(pipes));
	child = fork();
	ASSERT_GE(child, 0);
	if (!child) {
		close(session);
		close(pipes[1]);
		if (read(pipes[0], &byte, 1) != 1)
			_exit(100);
		_exit(body(file) ? 1 : 0);
	}
	close(pipes[0]);
	*go = pipes[1];
	return child;
}

static int child_status(pid_t child, int ms)
{
	long long end = now_ms() + ms;
	int status;

	while (waitpid(child, &status, WNOHANG) == 0) {
		if (now_ms() > end)
			return -1;
		sleep_ms(5);
	}
	return status;
}

TEST_F(engine, a_killed_actor_leaves_its_hold)
{
	const int kinds[] = { FL_SITE_ENTER, FL_SITE_RETURN };
	int held, never, go, status, i;
	pid_t child;

	for (i = 0; i < 2; i++) {
		program_init(&self->p);
		self->p.wait_ms = FL_MAX_WAIT_MS;
		held = add_sleeping(&self->p, kinds[i], SLEEPABLE);
		never = add_site(&self->p, 1, FL_SITE_USER, "never");
		add_edge(&self->p, never, held);
		ARM();
		child = child_start(_metadata, self->session, self->file, grow, &go);
		ASSERT_EQ(0, bind_actor(self->session, 0, child));
		RUN();
		ASSERT_EQ(1, write(go, "x", 1));
		ASSERT_TRUE(wait_for_held(SLEEPABLE, LONG_MS));
		ASSERT_EQ(0, kill(child, SIGKILL));
		status = child_status(child, LONG_MS);
		ASSERT_NE(-1, status) TH_LOG("the killed actor is still there");
		EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
		READ_RESULT();
		EXPECT_EQ(FL_END_KILLED, self->r.sites[held].end);
		EXPECT_EQ(0, ioctl(self->session, FL_IOC_DISARM));
		close(go);
	}
}

/* Its freeing is not skipped, replaced or held. */
TEST_F(engine, an_actor_that_exits_takes_part_no_more)
{
	int site, go, status;
	pid_t child;

	site = add_site(&self->p, 0, FL_SITE_ENTER, "exit_files");
	add_control(&self->p, FL_CONTROL_SKIP, "exit_files");
	ARM();
	child = child_start(_metadata, self->session, self->file, grow, &go);
	ASSERT_EQ(0, bind_actor(self->session, 0, child));
	RUN();
	ASSERT_EQ(1, write(go, "x", 1));
	status = child_status(child, LONG_MS);
	EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	READ_RESULT();
	EXPECT_EQ(0, self->r.sites[site].hits);
	EXPECT_EQ(0, self->r.control_hits[0]);
	close(go);
}

/* The rude way out: nobody disarms. The module stays until the actor has left it, then goes. */
TEST_F(engine, closing_the_session_undoes_everything)
{
	const char *module = getenv("FAULTLINE_MODULE");
	int held, never, go, status;
	pid_t child;

	self->p.wait_ms = FL_MAX_WAIT_MS;
	held = add_sleeping(&self->p, FL_SITE_ENTER, SLEEPABLE);
	never = add_site(&self->p, 1, FL_SITE_USER, "never");
	add_edge(&self->p, never, held);
	ARM();
	child = child_start(_metadata, self->session, self->file, grow, &go);
	ASSERT_EQ(0, bind_actor(self->session, 0, child));
	RUN();
	ASSERT_EQ(1, write(go, "x", 1));
	ASSERT_TRUE(wait_for_held(SLEEPABLE, LONG_MS));
	EXPECT_EQ(-1, syscall(SYS_delete_module, "faultline", O_NONBLOCK));
	EXPECT_TRUE(errno == EWOULDBLOCK || errno == EBUSY);

	close(self->session);
	status = child_status(child, LONG_MS);
	ASSERT_NE(-1, status) TH_LOG("the actor is still held");
	EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	EXPECT_STREQ("", read_file(FL_DIR "sessions"));

	if (!module)
		SKIP(return, "FAULTLINE_MODULE does not name faultline.ko: not unloaded");
	ASSERT_EQ(0, module_unload(LONG_MS)) TH_LOG("errno %d", errno);
	EXPECT_EQ(-1, access(FL_DIR, F_OK));
	EXPECT_EQ(0, grow(self->file)); /* kernel text is as it was */
	ASSERT_EQ(0, module_load(module)) TH_LOG("errno %d", errno);
	self->session = session_open();
	EXPECT_GE(self->session, 0);
}

/* Nor does its frame stay, where it exits inside of a function whose return is a site. */
TEST_F(engine, an_exit_leaves_no_frame)
{
	const char *module = getenv("FAULTLINE_MODULE");
	int site, go, status;
	pid_t child;

	if (!module)
		SKIP(return, "FAULTLINE_MODULE does not name faultline.ko: not unloaded");
	site = add_site(&self->p, 0, FL_SITE_RETURN, "do_exit");
	ARM();
	child = child_start(_metadata, self->session, self->file, grow, &go);
	ASSERT_EQ(0, bind_actor(self->session, 0, child));
	RUN();
	ASSERT_EQ(1, write(go, "x", 1));
	status = child_status(child, LONG_MS);
	EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) TH_LOG("%#x", status);
	READ_RESULT();
	EXPECT_EQ(0, self->r.sites[site].hits);
	EXPECT_EQ(FL_END_NOT_REACHED, self->r.sites[site].end);
	RUN();
	close(self->session);
	close(go);
	ASSERT_EQ(0, module_unload(LONG_MS)) TH_LOG("errno %d", errno);
	ASSERT_EQ(0, module_load(module)) TH_LOG("errno %d", errno);
	self->session = session_open();
	EXPECT_GE(self->session, 0);
}

/* --- controls ------------------------------------------------------------- */

TEST_F(engine, skip_returns_the_value_instead)
{
	struct stat before, after;

	add_control(&self->p, FL_CONTROL_SKIP, SLEEPABLE)->value = 7;
	ARM();
	ASSERT_EQ(0, fstat(self->file, &before));
	RUN();
	EXPECT_EQ(0, grow(self->file)); /* not the actor's */
	ASSERT_EQ(0, bind_actor(self->session, 0, 0));
	EXPECT_EQ(7, grow(self->file));
	EXPECT_EQ(7, syscall(SYS_fallocate, self->file, 0, 0L, 1L << 20));
	ASSERT_EQ(0, fstat(self->file, &after));
	EXPECT_GT(1 << 20, after.st_size); /* it was not run */
	READ_RESULT();
	EXPECT_EQ(2, self->r.control_hits[0]);
	EXPECT_EQ(0, ioctl(self->session, FL_IOC_DISARM));
	EXPECT_EQ(0, grow(self->file));
}

/* Explore asks so what an order does without its control. */
TEST_F(engine, a_schedule_turns_the_controls_off_and_on_again)
{
	struct fl_program next;

	add_control(&self->p, FL_CONTROL_SKIP, SLEEPABLE)->value = 7;
	ARM();
	ASSERT_EQ(0, bind_actor(self->session, 0, 0));
	program_init(&next);
	next.flags = FL_PROGRAM_NO_CONTROLS;
	ASSERT_EQ(0, ioctl(self->session, FL_IOC_SCHEDULE, &next)) TH_LOG("%s", next.why);
	RUN();
	EXPECT_EQ(0, grow(self->file));
	READ_RESULT();
	EXPECT_EQ(0, self->r.control_hits[0]);
	next.flags = 0;
	ASSERT_EQ(0, ioctl(self->session, FL_IOC_SCHEDULE, &next)) TH_LOG("%s", next.why);
	RUN();
	EXPECT_EQ(7, grow(self->file));
	READ_RESULT();
	EXPECT_EQ(1, self->r.control_hits[0]);
}

TEST_F(engine, skip_at_a_return_site)
{
	int site = add_site(&self->p, 0, FL_SITE_RETURN, SLEEPABLE);

	add_control(&self->p, FL_CONTROL_SKIP, SLEEPABLE)->value = 9;
	ARM();
	ASSERT_EQ(0, bind_actor(self->session, 0, 0));
	RUN();
	EXPECT_EQ(9, grow(self->file));
	READ_RESULT();
	EXPECT_EQ(9, self->r.sites[site].value);
}

TEST_F(engine, skip_every_second_call)
{
	const long expected[] = { 0, 7, 0, 7, 0 };
	struct fl_control *control = add_control(&self->p, FL_CONTROL_SKIP, SLEEPABLE);
	int i;

	control->value = 7;
	control->every = 2;
	ARM();
	ASSERT_EQ(0, bind_actor(self->session, 0, 0));
	RUN();
	for (i = 0; i < 5; i++)
		EXPECT_EQ(expected[i], grow(self->file));
	READ_RESULT();
	EXPECT_EQ(2, self->r.control_hits[0]);
}

TEST_F(engine, skip_only_for_one_caller)
{
	struct fl_control *control = add_control(&self->p, FL_CONTROL_SKIP, UNDER_INODE_LOCK);

	strcpy(control->caller, SLEEPABLE); /* which does not call it itself */
	ARM();
	ASSERT_EQ(0, bind_actor(self->session, 0, 0));
	RUN();
	EXPECT_EQ(0, punch(self->file));
	READ_RESULT();
	EXPECT_EQ(0, self->r.control_hits[0]);
	ASSERT_EQ(0, ioctl(self->session, FL_IOC_DISARM));
	strcpy(control->caller, "shmem_fallocate");
	ARM();
	ASSERT_EQ(0, bind_actor(self->session, 0, 0));
	RUN();
	EXPECT_EQ(0, punch(self->file));
	READ_RESULT();
	EXPECT_EQ(1, self->r.control_hits[0]);
}

TEST_F(engine, replace_runs_the_module_function)
{
	strcpy(add_control(&self->p, FL_CONTROL_REPLACE, SLEEPABLE)->replacement, "selftest_answer");
	ARM();
	ASSERT_EQ(0, bind_actor(self->session, 0, 0));
	RUN();
	EXPECT_EQ(42, grow(self->file));
	READ_RESULT();
	EXPECT_EQ(1, self->r.control_hits[0]);
}

/*
 * It sleeps in module text: the module stays until the task has left it, also
 * without a session.
 */
TEST_F(engine, a_sleeping_replacement_keeps_the_module)
{
	const char *module = getenv("FAULTLINE_MODULE");
	long long end = now_ms() + LONG_MS;
	int go, status;
	pid_t child;

	if (!module)
		SKIP(return, "FAULTLINE_MODULE does not name faultline.ko: not unloaded");
	strcpy(add_control(&self->p, FL_CONTROL_REPLACE, SLEEPABLE)->replacement, "selftest_sleep");
	ARM();
	child = child_start(_metadata, self->session, self->file, grow, &go);
	ASSERT_EQ(0, bind_actor(self->session, 0, child));
	RUN();
	ASSERT_EQ(1, write(go, "x", 1));
	do {
		sleep_ms(1);
		READ_RESULT();
	} while (!self->r.control_hits[0] && now_ms() < end);
	ASSERT_EQ(1, self->r.control_hits[0]);
	close(self->session);
	/* Tried until the session's own references have gone; it sleeps for 1000 ms. */
	EXPECT_EQ(-1, module_unload(500));
	EXPECT_TRUE(errno == EWOULDBLOCK || errno == EBUSY);
	EXPECT_EQ(0, waitpid(child, &status, WNOHANG)) TH_LOG("it did not sleep");
	status = child_status(child, LONG_MS);
	EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) TH_LOG("%#x", status);
	ASSERT_EQ(0, module_unload(LONG_MS)) TH_LOG("errno %d", errno);
	ASSERT_EQ(0, module_load(module)) TH_LOG("errno %d", errno);
	self->session = session_open();
	EXPECT_GE(self->session, 0);
}

TEST_F(engine, corrupt_flips_the_byte_at_the_return)
{
	unsigned char byte = 0x5a;

	add_control(&self->p, FL_CONTROL_CORRUPT, SLEEPABLE)->value = (uintptr_t)&byte;
	ARM();
	ASSERT_EQ(0, bind_actor(self->session, 0, 0));
	RUN();
	EXPECT_EQ(0, grow(self->file));
	EXPECT_EQ(0xa5, *(volatile unsigned char *)&byte);
	READ_RESULT();
	EXPECT_EQ(1, self->r.control_hits[0]);
}

#define MOST_FRAMES (4 * FL_MAX_ACTORS) /* FL_NR_FRAMES of hooks.c */

/* By way of msync(2): fsync(2) is in the same file as vfs_fsync_range(), and may inline it. */
static long sync_file(int file)
{
	void *map = mmap(NULL, 4096, PROT_READ, MAP_SHARED, file, 0);
	int answer = map == MAP_FAILED ? -1 : msync(map, 4096, MS_SYNC);

	if (map != MAP_FAILED)
		munmap(map, 4096);
	return answer;
}

static long stat_file(int file)
{
	struct stat st;

	return fstat(file, &st);
}

/* Four functions, for IPMODIFY gives each to one session. */
static const struct {
	const char *function;
	long (*body)(int file);
} frame_eaters[4] = {
	{ "do_truncate", cut },
	{ "vfs_fsync_range", sync_file },
	{ "vfs_getattr_nosec", stat_file },
	{ "vfs_read", look_up },
};

/* A session all of whose actors are held: one frame each. */
struct eaters {
	int session;
	struct fl_program p;
	struct actor actors[FL_MAX_ACTORS];
	int files[FL_MAX_ACTORS];
};

static int eaters_start(struct eaters *e, const char *function, long (*body)(int file))
{
	int never[2], i, site;

	e->session = session_open();
	program_init(&e->p);
	e->p.wait_ms = LONG_MS;
	e->p.nr_actors = FL_MAX_ACTORS;
	/* No actor arrives at these: each waits for that of another. */
	never[0] = add_site(&e->p, 0, FL_SITE_USER, "never");
	never[1] = add_site(&e->p, 1, FL_SITE_USER, "never");
	for (i = 0; i < FL_MAX_ACTORS; i++) {
		sprintf(e->p.actors[i], "a%d", i);
		site = add_site(&e->p, i, FL_SITE_ENTER, function);
		e->p.sites[site].context = FL_CONTEXT_SLEEP;
		add_edge(&e->p, never[!i], site);
	}
	if (ioctl(e->session, FL_IOC_ARM, &e->p))
		return -1;
	for (i = 0; i < FL_MAX_ACTORS; i++) {
		e->files[i] = memfd_create("faultline", MFD_CLOEXEC);
		if (actor_start(&e->actors[i], e->session, i, e->files[i], body))
			return -1;
	}
	if (ioctl(e->session, FL_IOC_RUN))
		return -1;
	for (i = 0; i < FL_MAX_ACTORS; i++)
		actor_go(&e->actors[i]);
	return 0;
}

static void eaters_end(struct eaters *e)
{
	int i;

	close(e->session);
	for (i = 0; i < FL_MAX_ACTORS; i++) {
		actor_end(&e->actors[i]);
		close(e->files[i]);
	}
}

static int actors_held(void)
{
	const char *text = read_file(FL_DIR "sessions");
	int held = 0;

	while ((text = strstr(text, " state held "))) {
		text++;
		held++;
	}
	return held;
}

/* With every frame in use it is not, and is not counted; later it is both. */
TEST_F(engine, a_control_that_could_not_be_applied_has_no_hit)
{
	static struct eaters eaters[4];
	unsigned char byte = 0x5a;
	long long end;
	int i;

	add_control(&self->p, FL_CONTROL_CORRUPT, SLEEPABLE)->value = (uintptr_t)&byte;
	ARM();
	ASSERT_EQ(0, bind_actor(self->session, 0, 0));
	for (i = 0; i < 4; i++)
		ASSERT_EQ(0, eaters_start(&eaters[i], frame_eaters[i].function,
					  frame_eaters[i].body))
			TH_LOG("%s: %s", frame_eaters[i].function, eaters[i].p.why);
	for (end = now_ms() + LONG_MS; actors_held() < MOST_FRAMES && now_ms() < end;)
		sleep_ms(5);
	EXPECT_EQ(MOST_FRAMES, actors_held());
	RUN();
	EXPECT_EQ(0, grow(self->file));
	READ_RESULT();
	for (i = 0; i < 4; i++)
		eaters_end(&eaters[i]);
	EXPECT_EQ(0, self->r.control_hits[0]);
	EXPECT_EQ(0x5a, *(volatile unsigned char *)&byte);
	RUN();
	EXPECT_EQ(0, grow(self->file));
	READ_RESULT();
	EXPECT_EQ(1, self->r.control_hits[0]);
	EXPECT_EQ(0xa5, *(volatile unsigned char *)&byte);
}

/* There is no such byte. */
TEST_F(engine, a_corruption_of_nothing_has_no_hit)
{
	add_control(&self->p, FL_CONTROL_CORRUPT, SLEEPABLE)->value = 8;
	ARM();
	ASSERT_EQ(0, bind_actor(self->session, 0, 0));
	RUN();
	EXPECT_EQ(0, grow(self->file));
	READ_RESULT();
	EXPECT_EQ(0, self->r.control_hits[0]);
}

/*
 * At the return of do_mmap() mmap_lock is held for writing, and the byte's page was never touched:
 * a page fault there would wait for the actor itself.
 */
TEST_F(engine, corrupt_takes_no_page_fault_under_a_lock)
{
	unsigned char *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	char byte;
	int go[2], status;
	pid_t child;

	ASSERT_NE(MAP_FAILED, shared);
	add_control(&self->p, FL_CONTROL_CORRUPT, "do_mmap")->value = (uintptr_t)shared;
	ARM();
	ASSERT_EQ(0, pipe(go));
	child = fork();
	ASSERT_GE(child, 0);
	if (!child) {
		if (read(go[0], &byte, 1) != 1)
			_exit(100);
		if (mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED)
			_exit(101);
		_exit(*(volatile unsigned char *)shared == 0xff ? 0 : 102);
	}
	ASSERT_EQ(0, bind_actor(self->session, 0, child));
	RUN();
	ASSERT_EQ(1, write(go[1], "x", 1));
	status = child_status(child, LONG_MS / 2);
	EXPECT_NE(-1, status) TH_LOG("the actor does not come back");
	if (status == -1) {
		kill(child, SIGKILL);
		status = child_status(child, LONG_MS / 2);
	}
	EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) TH_LOG("%#x", status);
	READ_RESULT();
	EXPECT_EQ(1, self->r.control_hits[0]);
	close(go[0]);
	close(go[1]);
	munmap(shared, 4096);
}

/* --- the event log -------------------------------------------------------- */

TEST_F(engine, events_are_in_the_order_of_time)
{
	unsigned long long s, ns, last = 0;
	const char *line;
	int lines = 0;

	self->p.wait_ms = SHORT_MS;
	add_edge(&self->p, add_site(&self->p, 1, FL_SITE_USER, "never"),
		 add_sleeping(&self->p, FL_SITE_ENTER, SLEEPABLE));
	ARM();
	ASSERT_EQ(0, bind_actor(self->session, 0, 0));
	RUN();
	grow(self->file);
	for (line = read_file(FL_DIR "events"); line && *line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (!*line)
			break;
		ASSERT_EQ(2, sscanf(line, "%llu.%llu cpu", &s, &ns)) TH_LOG("%.80s", line);
		EXPECT_LE(last, s * 1000000000ULL + ns);
		last = s * 1000000000ULL + ns;
		lines++;
	}
	EXPECT_LE(4, lines);
	EXPECT_NE(NULL, strstr(read_file(FL_DIR "events"), " a reached " SLEEPABLE "\n"));
	EXPECT_NE(NULL, strstr(read_file(FL_DIR "events"), " a held " SLEEPABLE " sleeping\n"));
	EXPECT_NE(NULL, strstr(read_file(FL_DIR "events"), " a left " SLEEPABLE " timeout\n"));
}

TEST_HARNESS_MAIN
