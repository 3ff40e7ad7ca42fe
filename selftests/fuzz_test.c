// SPDX-License-Identifier: GPL-2.0
/*
 * fuzz_test - calls that are wrong in every way that a program can be: each ioctl and each file of
 * the module, by several threads of two processes that share their files and close them while others
 * call. Afterwards the machine is as it was before (machine.h), and a good schedule still works.
 *
 *   CALLS      how many (20000); a tenth more comes first, before memory is noted
 *   FUZZ_SEED  repeats a barrage, each thread by itself (the clock)
 *   PROGRESS   a file that gets a line every ten seconds
 *
 * Only what would harm the machine by itself is left out: see harmless().
 */
#define _GNU_SOURCE
#include "kselftest_harness.h"

#include <linux/falloc.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "machine.h"

#include "calls_abi.h"
#include "file_table.h"
#include "hugetlb_lines.h"
#include "hvo_lines.h"
#include "pgtable_lines.h"

#define BOUND_MS 60000 /* for what must happen at all; a machine may be slow */
#define NR_PROCESSES 2
#define NR_THREADS 2 /* of each process */
#define NR_LANES (NR_PROCESSES * NR_THREADS)
#define NR_OPEN 2 /* of each file, in each process */
/* Skipped and replaced at will: nobody else calls it here. */
#define FUNCTION "vfs_fallocate"

/* --- the counts, and the state of each thread ---------------------------------------------- */

struct counted {
	unsigned long accepted, refused, ms;
};

struct lane { /* a thread, or the first of a process */
	unsigned long done;
	long long since_ms; /* the call under way; 0: none */
	char what[64];
};

enum { ARM, DISARM, BIND, RUN, ARRIVE, RESULT, STOP, ARRIVE_READING, AIM, PATCH, SCHEDULE, NR_IOCTLS };

static const struct {
	const char *name;
	unsigned int number;
	size_t size;
} ioctls[NR_IOCTLS] = {
#define IOCTL(_name, _size) [_name] = { #_name, FL_IOC_##_name, _size }
	IOCTL(ARM, sizeof(struct fl_program)),
	IOCTL(DISARM, 0),
	IOCTL(BIND, sizeof(struct fl_bind)),
	IOCTL(RUN, 0),
	IOCTL(ARRIVE, sizeof(struct fl_arrive)),
	IOCTL(RESULT, sizeof(struct fl_result)),
	IOCTL(STOP, 0),
	IOCTL(ARRIVE_READING, sizeof(struct fl_arrive_reading)),
	IOCTL(AIM, sizeof(struct fl_aim)),
	IOCTL(PATCH, sizeof(struct fl_patch)),
	IOCTL(SCHEDULE, sizeof(struct fl_program)),
};

static const char *const files[] = {
#define SHOWN(_show, _name, _about) _name,
#define INSTRUMENT(_instrument, _folder, _name, _header, _about) _folder "/" _name,
	FL_SESSION_FILE, FL_SHOWN_FILES(SHOWN) FL_INSTRUMENT_FILES(INSTRUMENT)
};

#define NR_FILES (sizeof(files) / sizeof(files[0]))
#define FIRST_INSTRUMENT (1 + sizeof((const char *[]){ FL_SHOWN_FILES(SHOWN) }) / sizeof(char *))

/*
 * The commands of each file: # is a number, $ an address, @ a task. One in `rarely` is sent, and always
 * the first: to patch every function takes seconds.
 */
#define DEPTH "/depth"
#define SECONDS 3000 /* so rarely, and the file is closed at once */

static const struct {
	const char *file, *text;
	unsigned int rarely;
} texts[] = {
	{ DEPTH, "@", SECONDS },
	{ DEPTH, "-@", 1 },
	{ DEPTH, "99999#", 1 },
	{ "/calls", FL_CALLS_TASKS " @ @", 1 },
	{ "/calls", FL_CALLS_START, SECONDS },
	{ "/calls", FL_CALLS_STOP, 1 },
	{ "/stall", "hit 1", 1 },
	{ "/stall", "queued 1", 1 },
	{ "/ibt", FUNCTION "+#", 1 },
	{ "/ibt", FUNCTION, 1 },
	{ "pgtable/range", FL_RANGE_ASK("@", "0", "ffffffffffff"), 1 },
	{ "pgtable/range", FL_RANGE_ASK("@", "$", "$"), 1 },
	{ "pgtable/tables", FL_TABLES_NEW("2"), 5 },
	{ "pgtable/tables", FL_TABLES_NEW("#"), 10 },
	{ "pgtable/tables", FL_TABLES_DEFER("# 1"), 1 },
	{ "pgtable/tables", FL_TABLES_FREE("0 #"), 1 },
	{ "pgtable/tables", FL_TABLES_READ(FL_TABLES_READING("#", "1")), 1 },
	{ "pgtable/tables", FL_TABLES_WATCH("$"), 1 },
	{ "pgtable/tables", FL_TABLES_BARRIER, 200 },
	{ "pgtable/notifier", FL_NOTIFIER_ASK("$", "7fffffffffff"), 10 },
	{ "pgtable/locks", FL_LOCKS_ASK("$"), 1 },
	{ "hvo/block", FL_HVO_PAGE("$"), 1 },
	{ "hvo/block", FL_HVO_PFN("#"), 1 },
	{ "hvo/block", FL_HVO_TRY("#"), 1 },
	{ "hvo/block", FL_HVO_LATE("#"), 1 },
	{ "hvo/block", FL_HVO_COMPILED("#"), 1 },
	{ "hvo/block", FL_HVO_UNPOISON, 1 },
	{ "hvo/block", FL_HVO_DRAIN, 50 },
	{ "hugetlb/share", FL_HUGETLB_ASK("0", "$"), 1 },
	{ "hugetlb/share", FL_HUGETLB_ASK("@", "$"), 1 },
};

#define NR_TEXTS (sizeof(texts) / sizeof(texts[0]))

static struct shared {
	unsigned long calls; /* of each lane */
	unsigned long long seed;
	struct lane lanes[NR_LANES];
	struct counted ioctls[NR_IOCTLS + 1]; /* the last: none of ours */
	struct counted files[NR_FILES]; /* writes */
	struct counted others, closes;
	unsigned long texts[NR_TEXTS];
	struct fl_program torn; /* changed by all while others hand it over */
	int mapped; /* files that let themselves be mapped: none must */
} *shared;

/* --- this thread ------------------------------------------------------------------------- */

static int open_files[NR_FILES][NR_OPEN]; /* of this process; -1: none */
static char *addresses;			  /* an area that is mapped and unmapped all the time */
#define ADDRESSES_SIZE (64UL << 20)
static char *arenas;
#define ARENA_PAGES 4 /* of each lane: read and write; none; read alone; none */

static __thread struct lane *lane;
static __thread unsigned long long random_state;
static __thread char *arena;
static __thread int memfd;

static unsigned long long any(void)
{
	unsigned long long x = random_state += 0x9e3779b97f4a7c15ULL; /* splitmix64 */

	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
	return x ^ (x >> 31);
}

static unsigned int below(unsigned int n)
{
	return any() % n;
}

static bool one_in(unsigned int n)
{
	return !below(n);
}

static size_t page(void)
{
	return getpagesize();
}

static unsigned long long odd_number(void)
{
	static const unsigned long long odd[] = {
		0, 1, 2, 3, 7, 8, 31, 32, 33, 64, 65, 511, 512, 513, 4095, 4096, 4097, 60000, 0x7fff,
		0xffff, 0x7fffffff, 0x80000000, 0xffffffff, 0x100000000, 0x7fffffffffffffff,
		0x8000000000000000, -1ULL, -2ULL, -4096ULL,
	};

	return one_in(4) ? any() >> below(64) : odd[below(sizeof(odd) / sizeof(odd[0]))];
}

/* Where this many bytes are, as they should be handed over or not at all. */
static void *odd_pointer(const void *bytes, size_t size)
{
	size_t fits = size < page() ? size : page();

	switch (below(16)) {
	case 0:
		return (void *)(unsigned long)odd_number();
	case 1: /* nothing is there */
		return arena + page();
	case 2: /* the kernel's */
		return (void *)(-1UL << 47 | (any() & 0xffffffff));
	case 3: /* may be read alone */
		return arena + 2 * page();
	case 4: /* the last byte is missing */
		memcpy(arena + page() - fits, bytes, fits);
		return arena + page() - fits + 1;
	case 5: /* not aligned */
		if (fits == page())
			break;
		memcpy(arena + 1, bytes, fits);
		return arena + 1;
	}
	return (void *)bytes;
}

static unsigned long odd_address(void)
{
	switch (below(8)) {
	case 0:
		return odd_number();
	case 1:
		return (unsigned long)arena + below(4) * page();
	case 2:
		return (unsigned long)&shared->torn;
	case 3:
		return -1UL << 47 | (any() & 0xffffffff);
	}
	return (unsigned long)addresses + below(ADDRESSES_SIZE);
}

static int odd_task(void)
{
	switch (below(6)) {
	case 0:
		return (int)odd_number();
	case 1:
		return 1;
	case 2:
		return getppid();
	case 3:
		return getpid();
	}
	return one_in(2) ? 0 : gettid();
}

/* --- programs ---------------------------------------------------------------------------- */

/* The first actor, at its site 0, waits for the second, at site 1. */
static void program_of_hold(struct fl_program *p, enum fl_site_kind kind)
{
	program_init(p);
	add_site(p, 0, kind, FUNCTION);
	add_site(p, 1, FL_SITE_USER, "there");
	add_edge(p, 1, 0);
	p->sites[0].context = FL_CONTEXT_SLEEP;
}

static void random_sites(struct fl_program *p)
{
	static const char *const functions[] = {
		FUNCTION,
		FUNCTION,
		"do_madvise",
		"__filemap_remove_folio",
		"collapse_file",
		"no_such_function",
		FUNCTION "/lock-cmpxchg",
		"filemap_get_entry/lock-cmpxchg",
	};
	bool hooks = one_in(300); /* to patch functions takes long */
	unsigned int i, n = 1 + below(6);

	for (i = 0; i < n; i++) {
		const char *name = functions[below(hooks ? 8 : 1)];
		int kind = !hooks || one_in(2) ? FL_SITE_USER :
			   strchr(name, '/')   ? FL_SITE_AT :
						 FL_SITE_ENTER + below(2);

		add_site(p, below(p->nr_actors), kind, kind == FL_SITE_USER ? "here" : name);
		p->sites[i].context = FL_CONTEXT_AUTO + below(3);
		p->sites[i].hit = 1 + !below(4);
	}
}

static void random_controls(struct fl_program *p)
{
	static const char *const replacements[] = {
		"selftest_answer", "selftest_answer", "nobody", "pte_free_never", "huge_pmd_not_shared",
	};
	struct fl_control *control = add_control(p, FL_CONTROL_SKIP + below(3), FUNCTION);

	control->value = one_in(2) ? odd_address() : odd_number();
	control->every = 1 + below(2);
	if (control->kind == FL_CONTROL_REPLACE)
		strcpy(control->replacement, replacements[below(5)]);
	if (one_in(4))
		strcpy(control->caller, "ksys_fallocate");
}

static void random_program(struct fl_program *p)
{
	unsigned int i;

	program_init(p);
	p->wait_ms = 1 + below(4);
	p->excluded_ms = below(2);
	p->flags = below(FL_PROGRAM_FLAGS + 1);
	random_sites(p);
	for (i = below(4); i && p->nr_sites > 1; i--)
		add_edge(p, below(p->nr_sites), below(p->nr_sites));
	if (one_in(300))
		random_controls(p);
}

/*
 * The module does what it is asked to. Without this it would be asked for long waits, to flip a byte
 * that this program needs, and to replace a function by one that is for another.
 */
static void harmless(struct fl_program *p)
{
	unsigned int i;

	if (p->wait_ms <= FL_MAX_WAIT_MS)
		p->wait_ms %= 5;
	if (p->excluded_ms <= FL_MAX_WAIT_MS)
		p->excluded_ms %= 5;
	for (i = 0; i < FL_MAX_CONTROLS; i++) {
		struct fl_control *control = &p->controls[i];

		if (control->kind == FL_CONTROL_CORRUPT && !(control->value >> 56))
			control->value = (unsigned long)arena + control->value % (4 * page());
		if (control->kind == FL_CONTROL_REPLACE &&
		    strncmp(control->replacement, "selftest_answer", FL_NAME_LEN))
			control->every = -1; /* armed, and never due */
		if (strncmp(control->function, FUNCTION, FL_NAME_LEN))
			control->function[0] = '\0';
	}
}

static void mutate(void *bytes, size_t size)
{
	unsigned char *at = bytes;
	/* The first bytes count most. */
	size_t within = one_in(2) && size > 40 ? 40 : size, offset;
	unsigned long long number;

	switch (below(4)) {
	case 0:
		at[below(within)] ^= 1 << below(8);
		break;
	case 1: /* a field */
		number = odd_number();
		offset = below(within) & ~3;
		memcpy(at + offset, &number, size - offset < 4 ? size - offset : 4);
		break;
	case 2: /* no end of a string, or one too early */
		offset = below(within);
		memset(at + offset, one_in(2) ? 'x' : 0, below(size - offset + 1));
		break;
	case 3:
		for (offset = below(within), number = below(64); offset < size && number; number--)
			at[offset++] = any();
		break;
	}
}

/* All do this to one program, which others hand to the kernel at the same time. */
static void tear(void)
{
	unsigned int *fields[] = { &shared->torn.size, &shared->torn.version,
				   &shared->torn.nr_actors, &shared->torn.nr_sites,
				   &shared->torn.nr_edges };
	static const unsigned int good[] = { sizeof(struct fl_program), FL_ABI_VERSION, 2, 2, 1 };
	unsigned int i = below(5);

	*(volatile unsigned int *)fields[i] = one_in(2) ? good[i] : odd_number();
}

/* --- ioctls ------------------------------------------------------------------------------ */

static int open_one(unsigned int file)
{
	if (one_in(40)) /* none, or another one's */
		return one_in(2) ? (int)odd_number() : open_files[below(NR_FILES)][0];
	return open_files[file][below(NR_OPEN)];
}

static int file_named(const char *name)
{
	unsigned int i;

	for (i = 0; i < NR_FILES; i++)
		if (!strcmp(files[i], name))
			return i;
	return -1;
}

static void begin(const char *what, const char *which)
{
	snprintf(lane->what, sizeof(lane->what), "%s %s", what, which);
	__atomic_store_n(&lane->since_ms, now_ms(), __ATOMIC_RELEASE);
}

static void end(struct counted *counted, bool accepted)
{
	unsigned long ms = now_ms() - lane->since_ms;

	__atomic_store_n(&lane->since_ms, 0, __ATOMIC_RELEASE);
	__atomic_fetch_add(accepted ? &counted->accepted : &counted->refused, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&counted->ms, ms, __ATOMIC_RELAXED);
	lane->done++;
}

union argument {
	struct fl_program program;
	struct fl_bind bind;
	struct fl_arrive arrive;
	struct fl_result result;
	struct fl_arrive_reading reading;
	struct fl_aim aim;
	struct fl_patch patch;
};

static void random_patch(struct fl_patch *patch, struct fl_function *functions)
{
	unsigned int i;

	memset(functions, 0, 4 * sizeof(*functions));
	for (i = 0; i < 4; i++)
		strcpy(functions[i].name, one_in(2) ? FUNCTION : "no_such_function");
	if (one_in(2))
		mutate(functions, 4 * sizeof(*functions));
	*patch = (struct fl_patch){ .nr = below(5) };
	patch->functions = (unsigned long)odd_pointer(functions, 4 * sizeof(*functions));
}

/* A good argument with odd pointers. */
static void random_argument(unsigned int which, union argument *argument,
			    struct fl_function *functions)
{
	memset(argument, 0, ioctls[which].size);
	if (which == ARM || which == SCHEDULE)
		random_program(&argument->program);
	else if (which == BIND)
		argument->bind = (struct fl_bind){ .actor = below(3), .tid = odd_task() };
	else if (which == ARRIVE)
		argument->arrive.site = below(4);
	else if (which == ARRIVE_READING)
		argument->reading = (struct fl_arrive_reading){
			.site = below(4),
			.tables = open_one(file_named("pgtable/tables")),
			.table = below(3),
		};
	else if (which == AIM)
		argument->aim.pfn = one_in(2) ? below(1 << 20) : odd_number();
	else if (which == PATCH)
		random_patch(&argument->patch, functions);
}

static void call_ioctl(void)
{
	static __thread union argument argument;
	static __thread struct fl_function functions[FL_MAX_FUNCTIONS];
	unsigned int which = below(NR_IOCTLS);
	unsigned int number = ioctls[which].number;
	struct counted *counted = &shared->ioctls[which];
	void *pointer;

	random_argument(which, &argument, functions);
	if (ioctls[which].size && one_in(2)) /* the module writes where a patch points to */
		mutate(&argument, which == PATCH ? offsetof(struct fl_patch, functions) :
						    ioctls[which].size);
	if (which == ARM || which == SCHEDULE)
		harmless(&argument.program);
	pointer = odd_pointer(&argument, ioctls[which].size);
	if ((which == ARM || which == SCHEDULE) && one_in(8))
		pointer = &shared->torn;
	if (one_in(10)) { /* another number, or another size in it */
		number = one_in(2) ? any() : number ^ (1 << below(32));
		if (number != FL_IOC_ARM && number != FL_IOC_SCHEDULE)
			counted = &shared->ioctls[NR_IOCTLS];
	}
	/* harmless() has not seen this argument. */
	if ((number == FL_IOC_ARM || number == FL_IOC_SCHEDULE) && which != ARM && which != SCHEDULE)
		return;
	begin("ioctl", ioctls[which].name);
	end(counted, !ioctl(open_one(0), number, pointer));
}

/* One after the other as a driver calls them, among what the others do to the same session. */
static void call_in_order(void)
{
	struct fl_program p;
	struct fl_result result;
	struct fl_bind bind = {};
	struct fl_arrive arrive = {};
	struct fl_aim aim = {};
	const struct {
		unsigned int which;
		void *argument;
	} steps[] = {
		{ DISARM, NULL },    { ARM, &p },      { BIND, &bind }, { RUN, NULL },
		{ AIM, &aim },	     { SCHEDULE, &p }, { RUN, NULL },	{ ARRIVE, &arrive },
		{ RESULT, &result }, { STOP, NULL },
	};
	int session = open_one(0);
	unsigned int i;

	program_of_hold(&p, FL_SITE_USER);
	p.wait_ms = 4;
	for (i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		begin("ioctl", ioctls[steps[i].which].name);
		end(&shared->ioctls[steps[i].which],
		    !ioctl(session, ioctls[steps[i].which].number, steps[i].argument));
	}
}

/* --- files ------------------------------------------------------------------------------- */

static void reopen(unsigned int file, unsigned int which)
{
	char path[128];
	int old;

	snprintf(path, sizeof(path), FL_DIR "%s", files[file]);
	begin("open", files[file]);
	old = __atomic_exchange_n(&open_files[file][which], open(path, O_RDWR | O_CLOEXEC),
				  __ATOMIC_ACQ_REL);
	begin("close", files[file]);
	if (old >= 0)
		close(old);
	end(&shared->closes, true);
}

/* With its numbers, addresses and tasks: good ones, or any. */
static size_t text_filled(const char *text, bool good, char *out, size_t size)
{
	size_t len = 0;

	for (; *text && len + 24 < size; text++) {
		if (*text == '#')
			len += sprintf(out + len, "%llu", good	   ? 1 :
							  one_in(2) ? below(4) :
								      odd_number());
		else if (*text == '$')
			len += sprintf(out + len, "%lx", good ? (unsigned long)shared : odd_address());
		else if (*text == '@')
			len += sprintf(out + len, "%d", good || one_in(2) ? getpid() : odd_task());
		else
			out[len++] = *text;
	}
	return len;
}

static size_t text_garbage(char *out, size_t size)
{
	size_t len = one_in(50) ? size : below(40), i;

	for (i = 0; i < len; i++)
		out[i] = one_in(4) ? (char)any() : "0123456789abcdef -+\n"[below(20)];
	return len;
}

/* A text that the file takes, or any; which one it was, or -1. */
static int text_for(unsigned int file, char *out, size_t size, size_t *len)
{
	unsigned int i, first = below(NR_TEXTS);

	for (i = 0; i < NR_TEXTS; i++) {
		unsigned int k = (first + i) % NR_TEXTS;

		if (strcmp(texts[k].file, files[file]))
			continue;
		if (__atomic_fetch_add(&shared->texts[k], 1, __ATOMIC_RELAXED) % texts[k].rarely)
			break;
		*len = text_filled(texts[k].text, false, out, size);
		return k;
	}
	*len = text_garbage(out, size);
	return -1;
}

static void call_write(unsigned int file, unsigned int which)
{
	static __thread char text[5000]; /* more than a page */
	bool rare;
	size_t len;
	ssize_t n;
	int k;

	k = text_for(file, text, sizeof(text), &len);
	rare = k >= 0 && texts[k].rarely == SECONDS;
	if (!rare && len && one_in(2))
		mutate(text, len);
	if (!rare && one_in(20))
		len = odd_number();
	if (!rare && !strcmp(files[file], DEPTH) && k < 0)
		text[0] = 'x'; /* a number would be that of a task, and take seconds */
	begin("write", files[file]);
	n = one_in(8) && !rare ? pwrite(open_files[file][which], odd_pointer(text, sizeof(text)),
					len, odd_number()) :
				 write(open_files[file][which],
				       rare ? text : odd_pointer(text, sizeof(text)), len);
	end(&shared->files[file], n > 0);
	if (rare)
		reopen(file, which);
}

/* Each good command once. One lane sends those that take seconds. */
static void call_good_writes(void)
{
	char text[200];
	unsigned int k;

	for (k = 0; k < NR_TEXTS; k++) {
		int file = file_named(texts[k].file);
		size_t len = text_filled(texts[k].text, true, text, sizeof(text));

		if (texts[k].rarely == SECONDS &&
		    __atomic_fetch_add(&shared->texts[k], 1, __ATOMIC_RELAXED) % SECONDS)
			continue;
		begin("write", files[file]);
		end(&shared->files[file], write(open_files[file][NR_OPEN - 1], text, len) > 0);
		if (texts[k].rarely == SECONDS)
			reopen(file, NR_OPEN - 1);
	}
}

static void call_other(unsigned int file, int fd)
{
	static __thread char text[2000]; /* a file may have more: see odd lengths below */
	struct pollfd polled = { .fd = fd, .events = POLLIN };
	void *map;

	begin("read", files[file]);
	switch (below(10)) {
	case 0:
		lseek(fd, odd_number(), below(5));
		break;
	case 1:
		map = mmap(NULL, page(), PROT_READ | PROT_WRITE,
			   one_in(2) ? MAP_SHARED : MAP_PRIVATE, fd, 0);
		if (map != MAP_FAILED)
			shared->mapped++;
		break;
	case 2:
		ioctl(fd, any(), odd_address());
		break;
	case 3:
		poll(&polled, 1, 0);
		break;
	case 4:
		if (ftruncate(fd, odd_number()) || fsync(fd))
			break;
		break;
	case 5:
		if (pread(fd, text, below(sizeof(text)), odd_number()))
			break;
		break;
	case 6: /* there is room for all that a file has */
		if (read(fd, addresses, odd_number()))
			break;
		break;
	default:
		if (read(fd, odd_pointer(text, sizeof(text)), below(sizeof(text))))
			break;
	}
	end(&shared->others, true);
}

static void call_file(void)
{
	unsigned int file = below(NR_FILES), which = below(NR_OPEN);

	if (one_in(200))
		reopen(file, which);
	else if (one_in(2))
		call_write(file, which);
	else if (file)
		call_other(file, open_files[file][which]);
}

/* The work that the module is armed for and looks at. */
static void live(void)
{
	switch (below(3)) {
	case 0:
		if (fallocate(memfd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, page()) ||
		    fallocate(memfd, 0, 0, page()))
			break;
		break;
	case 1:
		madvise(addresses, ADDRESSES_SIZE, MADV_DONTNEED);
		break;
	case 2:
		mmap(addresses, ADDRESSES_SIZE, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
		addresses[below(ADDRESSES_SIZE)] = 1;
		break;
	}
}

/* --- a barrage --------------------------------------------------------------------------- */

/* Before the fork: a byte that a control flips in one process must not be in use in the other. */
static void areas_begin(void)
{
	unsigned int i;

	addresses = mmap(NULL, ADDRESSES_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			 -1, 0);
	arenas = mmap(NULL, NR_LANES * ARENA_PAGES * page(), PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (i = 0; i < NR_LANES; i++) {
		char *at = arenas + i * ARENA_PAGES * page();

		program_of_hold((struct fl_program *)(at + 2 * page()), FL_SITE_USER);
		mprotect(at + page(), page(), PROT_NONE);
		mprotect(at + 2 * page(), page(), PROT_READ);
		mprotect(at + 3 * page(), page(), PROT_NONE);
	}
}

static void areas_end(void)
{
	munmap(addresses, ADDRESSES_SIZE);
	munmap(arenas, NR_LANES * ARENA_PAGES * page());
}

static void lane_begin(struct lane *mine, unsigned long long seed)
{
	lane = mine;
	random_state = seed;
	arena = arenas + (mine - shared->lanes) * ARENA_PAGES * page();
	memfd = memfd_create("faultline", MFD_CLOEXEC);
}

static void *barrage(void *arg)
{
	struct lane *mine = arg;

	lane_begin(mine, shared->seed * NR_LANES + (mine - shared->lanes));
	call_good_writes();
	while (lane->done < shared->calls) {
		if (one_in(8))
			live();
		if (one_in(4))
			tear();
		if (one_in(100))
			call_in_order();
		else if (below(5) < 3)
			call_ioctl();
		else
			call_file();
	}
	return NULL;
}

/* A control: the first lane is held, and nobody lets it go. */
static void *hang(void *arg)
{
	int session = open_files[0][0];
	struct fl_program p;

	if (arg != shared->lanes)
		return NULL;
	lane_begin(arg, 1);
	program_of_hold(&p, FL_SITE_USER);
	p.wait_ms = FL_MAX_WAIT_MS;
	begin("ioctl", "ARRIVE");
	if (ioctl(session, FL_IOC_ARM, &p) || bind_actor(session, 0, 0) ||
	    ioctl(session, FL_IOC_RUN))
		return NULL;
	arrive(session, 0);
	return NULL;
}

static void open_all(void)
{
	char path[128];
	unsigned int i, k;

	for (i = 0; i < NR_FILES; i++)
		for (k = 0; k < NR_OPEN; k++) {
			snprintf(path, sizeof(path), FL_DIR "%s", files[i]);
			open_files[i][k] = open(path, O_RDWR | O_CLOEXEC);
		}
}

static void process_main(unsigned int first, void *(*body)(void *))
{
	pthread_t thread[NR_THREADS];
	char path[128];
	unsigned int i;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	addresses = mmap(NULL, ADDRESSES_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			 -1, 0);
	for (i = 0; i < NR_FILES; i++) { /* the last of each is of this process */
		snprintf(path, sizeof(path), FL_DIR "%s", files[i]);
		open_files[i][NR_OPEN - 1] = open(path, O_RDWR | O_CLOEXEC);
	}
	for (i = 0; i < NR_THREADS; i++)
		if (pthread_create(&thread[i], NULL, body, &shared->lanes[first + i]))
			_exit(1);
	for (i = 0; i < NR_THREADS; i++)
		pthread_join(thread[i], NULL);
	_exit(0);
}

/* The lane that is in one call for longer than the bound; NULL: none. */
static struct lane *blocked(int bound_ms)
{
	unsigned int i;

	for (i = 0; i < NR_LANES; i++) {
		long long since = __atomic_load_n(&shared->lanes[i].since_ms, __ATOMIC_ACQUIRE);

		if (since && now_ms() - since > bound_ms)
			return &shared->lanes[i];
	}
	return NULL;
}

static unsigned long calls_done(void)
{
	unsigned long done = 0;
	unsigned int i;

	for (i = 0; i < NR_LANES; i++)
		done += shared->lanes[i].done;
	return done;
}

static int processes_left(const pid_t *children, int *bad)
{
	int left = 0, i, status;

	for (i = 0; i < NR_PROCESSES; i++) {
		if (children[i] > 0 && waitpid(children[i], &status, WNOHANG) == children[i] &&
		    status)
			*bad = status;
		left += children[i] > 0 && !kill(children[i], 0);
	}
	return left;
}

/* "", or the reason: a call that took longer than the bound, a process that died. */
static const char *fire(unsigned long calls, void *(*body)(void *), int bound_ms)
{
	static char why[128];
	pid_t children[NR_PROCESSES];
	long long told = now_ms(), began = told, end_ms;
	struct lane *late = NULL;
	int i, bad = 0;

	memset(shared->lanes, 0, sizeof(shared->lanes));
	shared->calls = calls / NR_LANES;
	why[0] = '\0';
	areas_begin();
	open_all(); /* all processes have these, until they open others */
	for (i = 0; i < NR_PROCESSES; i++) {
		children[i] = fork();
		if (!children[i])
			process_main(i * NR_THREADS, body);
	}
	for (i = 0; i < (int)NR_FILES * NR_OPEN; i++)
		close(open_files[i / NR_OPEN][i % NR_OPEN]);
	areas_end();
	while (processes_left(children, &bad) && !late) {
		sleep_ms(20);
		late = blocked(bound_ms);
		if (now_ms() - told < 10000)
			continue;
		told = now_ms();
		note_progress("fuzz_test: seed %llu, %lu of %lu calls in %lld s\n", shared->seed,
			      calls_done(), calls, (told - began) / 1000);
	}
	if (late)
		snprintf(why, sizeof(why), "%s took longer than %d ms", late->what, bound_ms);
	for (i = 0; i < NR_PROCESSES; i++)
		kill(children[i], SIGKILL);
	end_ms = now_ms() + BOUND_MS;
	while (processes_left(children, &bad) && now_ms() < end_ms)
		sleep_ms(20);
	if (processes_left(children, &bad))
		snprintf(why, sizeof(why), "a process does not end: %s", late ? late->what : "?");
	else if (!late && bad)
		snprintf(why, sizeof(why), "a process ended with wait status %#x", bad);
	return why;
}

/* --- the tests --------------------------------------------------------------------------- */

FIXTURE(fuzz)
{
	const char *module;
	struct machine machine;
	int file;
};

FIXTURE_SETUP(fuzz)
{
	self->module = getenv("FAULTLINE_MODULE");
	if (!self->module || access(self->module, R_OK))
		SKIP(return, "FAULTLINE_MODULE must name faultline.ko");
	ASSERT_EQ(0, access(FL_DIR, F_OK))
	TH_LOG("is the module loaded, are you root?");
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	ASSERT_NE(MAP_FAILED, shared);
	program_of_hold(&shared->torn, FL_SITE_USER);
	shared->torn.wait_ms = 2;
	shared->seed = getenv("FUZZ_SEED") ? strtoull(getenv("FUZZ_SEED"), NULL, 0) : now_ms();
	self->file = memfd_create("faultline", MFD_CLOEXEC);
	ASSERT_GE(self->file, 0);
}

FIXTURE_TEARDOWN(fuzz)
{
	close(self->file);
}

static unsigned long nr_calls(void)
{
	return getenv("CALLS") ? strtoul(getenv("CALLS"), NULL, 10) : 20000;
}

struct held {
	int session, file, err;
};

static void *held_main(void *arg)
{
	struct held *held = arg;

	held->err = bind_actor(held->session, 0, 0) || ioctl(held->session, FL_IOC_RUN) ||
		    syscall(SYS_fallocate, held->file, 0, 0L, 4096L);
	return NULL;
}

/* One is held in the kernel until the other arrives; "", or the reason why not. */
static const char *good_schedule(int file)
{
	struct held held = { .session = session_open(), .file = file };
	const char *why = "";
	struct fl_result result;
	struct fl_program p;
	pthread_t thread;

	program_of_hold(&p, FL_SITE_ENTER);
	p.wait_ms = BOUND_MS;
	if (held.session < 0 || ioctl(held.session, FL_IOC_ARM, &p) ||
	    bind_actor(held.session, 1, 0))
		why = "it cannot be armed";
	else if (pthread_create(&thread, NULL, held_main, &held))
		why = "no thread";
	else {
		if (!wait_for_held(FUNCTION, BOUND_MS))
			why = "nobody is held";
		if (arrive(held.session, 1) != FL_END_PASSED)
			why = "the other does not pass";
		pthread_join(thread, NULL);
		if (held.err || ioctl(held.session, FL_IOC_RESULT, &result) || !result.overlapped)
			why = "no overlap";
	}
	close(held.session);
	return why;
}

/* Each was refused, and taken, too: else the barrage went past it. */
static void expect_tried(struct __test_metadata *_metadata, const char *name,
			 struct counted counted, bool can_be_taken)
{
	TH_LOG("%-20s %8lu taken %8lu refused %8lu ms", name, counted.accepted, counted.refused,
	       counted.ms);
	EXPECT_LT(0, counted.refused) TH_LOG("%s", name);
	if (can_be_taken)
		EXPECT_LT(0, counted.accepted)
	TH_LOG("%s: does texts[] lack what it takes?", name);
}

/* false: this machine has no such thing, and each command is refused with EOPNOTSUPP. */
static bool is_supported(const char *file)
{
	bool supported = true;
	unsigned int i;
	char path[96];
	int fd;

	snprintf(path, sizeof(path), FL_DIR "%s", file);
	fd = open(path, O_RDWR | O_CLOEXEC);
	for (i = 0; i < NR_TEXTS; i++) {
		if (strcmp(texts[i].file, file))
			continue;
		supported = write(fd, texts[i].text, strlen(texts[i].text)) >= 0 ||
			    errno != EOPNOTSUPP;
		if (supported)
			break;
	}
	close(fd);
	return supported;
}

static void expect_all_tried(struct __test_metadata *_metadata)
{
	unsigned int i;

	for (i = 0; i < NR_IOCTLS; i++)
		expect_tried(_metadata, ioctls[i].name, shared->ioctls[i], i != ARRIVE_READING);
	expect_tried(_metadata, "no ioctl of ours", shared->ioctls[NR_IOCTLS], false);
	EXPECT_EQ(0, shared->ioctls[NR_IOCTLS].accepted);
	for (i = 0; i < NR_FILES; i++)
		expect_tried(_metadata, files[i], shared->files[i],
			     i >= FIRST_INSTRUMENT && strcmp(files[i], "/vmstat") &&
				     is_supported(files[i]));
	TH_LOG("other calls %lu ms, closes %lu: %lu ms", shared->others.ms,
	       shared->closes.accepted, shared->closes.ms);
	EXPECT_EQ(0, shared->mapped) TH_LOG("a file of debugfs could be mapped");
}

TEST_F_TIMEOUT(fuzz, the_machine_is_as_before, 7200)
{
	unsigned long calls = nr_calls();
	long long began, ms;

	ASSERT_LT(0, calls);
	TH_LOG("FUZZ_SEED=%llu CALLS=%lu", shared->seed, calls);
	ASSERT_STREQ("", good_schedule(self->file));
	/* The first barrage makes the allocations and the slow calls that come only once. */
	ASSERT_STREQ("", fire(calls / 10, barrage, BOUND_MS))
	TH_LOG("FUZZ_SEED=%llu", shared->seed);
	ASSERT_EQ(0, module_unload(BOUND_MS));
	ASSERT_EQ(0, module_load(self->module));
	ASSERT_EQ(0, machine_note(&self->machine));
	began = now_ms();
	shared->seed++;
	EXPECT_STREQ("", fire(calls, barrage, BOUND_MS))
	TH_LOG("FUZZ_SEED=%llu", shared->seed - 1);
	ms = now_ms() - began + 1;
	TH_LOG("%lu calls in %lld ms: a million takes %lld minutes", calls_done(), ms,
	       ms * 1000000 / (calls_done() + 1) / 60000);
	machine_compare_all(&self->machine, self->module, BOUND_MS);
	EXPECT_STREQ("", self->machine.left)
	TH_LOG("FUZZ_SEED=%llu", shared->seed - 1);
	EXPECT_STREQ("", good_schedule(self->file));
	expect_all_tried(_metadata);
	machine_forget(&self->machine);
}

/* Controls: the comparison names each leftover. */

#define EXPECT_LEFT(_words)                                                    \
	do {                                                                   \
		machine_compare(&self->machine);                               \
		EXPECT_NE(NULL, strstr(self->machine.left, _words))            \
		TH_LOG("\"%s\" is not in \"%s\"", _words, self->machine.left); \
	} while (0)

TEST_F(fuzz, a_session_that_is_armed_is_seen)
{
	struct fl_program p;
	int session;

	ASSERT_EQ(0, machine_note(&self->machine));
	machine_compare(&self->machine);
	ASSERT_STREQ("", self->machine.left);
	session = session_open();
	EXPECT_LEFT("1 users of the module");
	EXPECT_LEFT("a session");
	program_init(&p);
	add_site(&p, 0, FL_SITE_ENTER, FUNCTION);
	ASSERT_EQ(0, ioctl(session, FL_IOC_ARM, &p));
	EXPECT_LEFT("+1 functions that are traced");
	EXPECT_EQ(-1, module_unload(0));
	close(session);
}

TEST_F(fuzz, a_probe_is_seen)
{
	struct fl_program p;
	int session = session_open();

	ASSERT_EQ(0, machine_note(&self->machine));
	program_init(&p);
	add_site(&p, 0, FL_SITE_AT, "filemap_get_entry/lock-cmpxchg");
	if (ioctl(session, FL_IOC_ARM, &p))
		SKIP(return, "%s", p.why);
	EXPECT_LEFT("+1 probes");
	close(session);
}

TEST_F(fuzz, a_held_task_is_seen)
{
	struct held held = { .session = session_open(), .file = self->file };
	struct fl_program p;
	pthread_t thread;

	ASSERT_EQ(0, machine_note(&self->machine));
	program_of_hold(&p, FL_SITE_ENTER);
	p.wait_ms = BOUND_MS;
	ASSERT_EQ(0, ioctl(held.session, FL_IOC_ARM, &p));
	ASSERT_EQ(0, pthread_create(&thread, NULL, held_main, &held));
	ASSERT_TRUE(wait_for_held(FUNCTION, BOUND_MS));
	EXPECT_LEFT("a held task");
	EXPECT_EQ(0, ioctl(held.session, FL_IOC_DISARM));
	pthread_join(thread, NULL);
	close(held.session);
}

/* Each open file of tables has a state of some KB. */
TEST_F(fuzz, memory_that_is_kept_is_seen)
{
	int fds[800], nr;

	ASSERT_EQ(0, machine_note(&self->machine));
	for (nr = 0; nr < 800; nr++) {
		fds[nr] = open(FL_DIR "pgtable/tables", O_RDWR | O_CLOEXEC);
		ASSERT_LE(0, fds[nr]);
	}
	machine_compare_memory(&self->machine);
	EXPECT_NE(NULL, strstr(self->machine.left, "kB of memory that the kernel counts"))
	TH_LOG("%s", self->machine.left);
	while (nr)
		close(fds[--nr]);
}

TEST_F(fuzz, a_complaint_is_told_from_what_is_none)
{
	EXPECT_EQ(1, is_complaint("WARNING: CPU: 1 PID: 77 at mm/memory.c:1 do_fault+0x1/0x2"));
	EXPECT_EQ(1, is_complaint("BUG: KASAN: slab-use-after-free in fl_armed_put+0x1/0x2"));
	EXPECT_EQ(1, is_complaint("WARNING: possible circular locking dependency detected"));
	EXPECT_EQ(1, is_complaint("BUG kmalloc-64 (Not tainted): Poison overwritten"));
	EXPECT_EQ(0, is_complaint("faultline: loaded, abi 3: test VMs only"));
	EXPECT_EQ(0, is_complaint("Please report a bug: WARNING: CPU: 1"));
}

TEST_F(fuzz, a_call_that_does_not_end_is_seen)
{
	ASSERT_STREQ("ioctl ARRIVE took longer than 1000 ms", fire(NR_LANES, hang, 1000));
	EXPECT_TRUE(wait_for_text("/sys/module/faultline/refcnt", "0", BOUND_MS));
}

TEST_HARNESS_MAIN
