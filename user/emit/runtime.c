// SPDX-License-Identifier: GPL-2.0
/*
 * The pieces of emitted programs: emit/c_program.cpp takes the pieces that a program uses. A blank
 * line ends a piece, so there is none inside of one. The texts of user/operations (Operation::c)
 * call these functions.
 */

#define EXIT_SHOWN 0 /* the forbidden outcome was seen */
#define EXIT_NOT_SHOWN 1
#define EXIT_NOT_WIDENED 2 /* this kernel lacks the patch: nothing was tried */
#define EXIT_BROKEN 3 /* the program could not do its part */

/* An object with a name in the scenario: a file, memory, a userfaultfd. */
struct object {
	int fd;
	char *start; /* of memory */
	size_t page; /* bytes of one */
	long pages;
	long offset; /* in the content */
	struct content *content;
	long counts[4];
};

/*
 * The word that fill() writes: a different one for each page. Pages beyond the last are the first
 * again.
 */
struct content {
	uint64_t word;
	long pages;
	char has[];
};

/* The words that the actors share. */
struct sync {
	atomic_int go;
	atomic_int reached[MAX_SITES];
	atomic_int entered[MAX_SITES]; /* a part in which an actor is slow, or is seen in the kernel */
	atomic_int begun[MAX_ACTORS];
	atomic_int ended[MAX_ACTORS];
	atomic_int not_widened;
	atomic_int late; /* the others had not come so far when the delay was over */
	atomic_int timed_out;
	atomic_uint nr_texts;
	char texts[64][24]; /* of numbers, for a while */
};

static struct sync *sync_;

static void die(const char *what)
{
	perror(what);
	exit(EXIT_BROKEN);
}

static const char *error_word(int number)
{
	const char *name = number ? strerrorname_np(number) : "ok";
	return name ? name : "E?";
}

static int failed(long result)
{
	return result < 0 ? errno : 0;
}

static int failed_map(const void *result)
{
	return result == MAP_FAILED ? errno : 0;
}

static void must(int number, const char *step)
{
	if (number) {
		errno = number;
		die(step);
	}
}

static const char *number_word(long number)
{
	char *text = sync_->texts[sync_->nr_texts++ % 64];
	if (number == NO_NUMBER)
		return "-";
	snprintf(text, sizeof(sync_->texts[0]), "%ld", number);
	return text;
}

/* Pairs of words: the first is called the second; "*" is any. */
static const char *renamed(const char *word, const char *const *pairs)
{
	for (; pairs[0]; pairs += 2)
		if (!strcmp(pairs[0], word) || !strcmp(pairs[0], "*"))
			return pairs[1];
	return word;
}

/* "ok|EAGAIN" */
static bool is(const char *word, const char *words)
{
	size_t length = strlen(word);
	for (const char *at = words; at; at = strchr(at, '|') ? strchr(at, '|') + 1 : NULL)
		if (strcspn(at, "|") == length && !strncmp(at, word, length))
			return true;
	return false;
}

static bool is_number(const char *word)
{
	return *word && strspn(word, "-0123456789") == strlen(word) && strcmp(word, "-");
}

static bool less(const char *a, const char *b)
{
	return is_number(a) && is_number(b) && atol(a) < atol(b);
}

static bool at_most(const char *a, const char *b)
{
	return is_number(a) && is_number(b) && atol(a) <= atol(b);
}

static long random_below(long end)
{
	if (end < 1)
		die("random_below");
	return random() % end;
}

static size_t small_page(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

/* The number behind `name` in a file; -1: it has none. */
static long long number_in(const char *path, const char *name)
{
	char line[256];
	long long number = -1;
	FILE *file = fopen(path, "r");
	if (!file)
		die(path);
	while (fgets(line, sizeof(line), file))
		if (!strncmp(line, name, strlen(name)))
			number = (long long)strtoull(line + strlen(name), NULL, 10);
	fclose(file);
	return number;
}

static size_t hugetlb_bytes(void)
{
	long long kilobytes = number_in("/proc/meminfo", "Hugepagesize:");
	if (kilobytes <= 0)
		die("Hugepagesize");
	return (size_t)kilobytes << 10;
}

/* The bytes of a huge page of one PMD. */
static size_t huge_bytes(void)
{
	return (size_t)number_in("/sys/kernel/mm/transparent_hugepage/hpage_pmd_size", "");
}

static int write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int number = fd < 0 || write(fd, text, strlen(text)) < 0 ? errno : 0;
	if (fd >= 0)
		close(fd);
	return number;
}

/* A setting, until the program ends. */
static struct {
	char path[128], text[128];
	pid_t owner;
} settings[8];

static void restore_settings(void)
{
	for (int i = 7; i >= 0; i--)
		if (settings[i].path[0] && settings[i].owner == getpid())
			write_text(settings[i].path, settings[i].text);
}

static struct object setting(const char *path, const char *text)
{
	static int count;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? -1 : read(fd, settings[count].text, sizeof(settings[0].text) - 1);
	char *chosen, *end;
	if (got < 0 || count == 7)
		die(path);
	close(fd);
	if (!count)
		atexit(restore_settings);
	settings[count].text[strcspn(settings[count].text, "\n")] = 0;
	chosen = strchr(settings[count].text, '['); /* always [madvise] never */
	end = chosen ? strchr(chosen, ']') : NULL;
	if (end) {
		*end = 0;
		memmove(settings[count].text, chosen + 1, strlen(chosen + 1) + 1);
	}
	snprintf(settings[count].path, sizeof(settings[0].path), "%s", path);
	settings[count++].owner = getpid();
	must(write_text(path, text), path);
	return (struct object){ .fd = -1 };
}

static struct content *new_content(long pages)
{
	static uint64_t generation = 1;
	struct content *content = calloc(1, sizeof(*content) + (size_t)pages);
	if (!content)
		die("calloc");
	content->word = generation++ << 32;
	content->pages = pages;
	return content;
}

static uint64_t data_of(struct object o, long page)
{
	return o.content->word | (uint64_t)((o.offset + page) % o.content->pages + 1);
}

static uint64_t stored_of(struct object o, long page)
{
	return data_of(o, page) | (uint64_t)1 << 63;
}

static char *filled(struct object o, long page)
{
	return &o.content->has[(o.offset + page) % o.content->pages];
}

static struct object file_of(int fd, long pages, size_t page)
{
	if (fd < 0 || ftruncate(fd, (off_t)(pages * page)))
		die("a new file");
	return (struct object){ .fd = fd, .page = page, .pages = pages, .content = new_content(pages) };
}

static struct object memfd(long pages)
{
	return file_of(memfd_create("repro", MFD_CLOEXEC), pages, small_page());
}

static struct object hugetlb_file(long pages)
{
	return file_of(memfd_create("repro", MFD_CLOEXEC | MFD_HUGETLB), pages, hugetlb_bytes());
}

/* Mounted nowhere. */
static struct object tmpfs(long pages)
{
	int context = fsopen("tmpfs", FSOPEN_CLOEXEC);
	char size[24];
	struct object mount = { .fd = -1 };
	snprintf(size, sizeof(size), "%zu", pages * small_page());
	if (context < 0 || (pages && fsconfig(context, FSCONFIG_SET_STRING, "size", size, 0)) ||
	    fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0))
		die("tmpfs");
	mount.fd = fsmount(context, FSMOUNT_CLOEXEC, 0);
	if (mount.fd < 0)
		die("fsmount");
	close(context);
	return mount;
}

static struct object tmpfs_file(long pages, struct object mount, const char *name)
{
	if (!mount.fd)
		mount = tmpfs(pages + 2 * (long)(huge_bytes() / small_page()));
	return file_of(*name ? openat(mount.fd, name, O_RDWR | O_CREAT | O_CLOEXEC, 0600)
			     : openat(mount.fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600),
		       pages, small_page());
}

/* Addresses where nothing is, with a gap behind them. */
static char *place(size_t bytes, size_t alignment)
{
	char *start = mmap(NULL, bytes + 2 * alignment, PROT_NONE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (start == MAP_FAILED)
		die("mmap");
	return start + (alignment - (uintptr_t)start % alignment) % alignment;
}

static size_t alignment_of(size_t page, size_t bytes)
{
	size_t pud = page * (small_page() / sizeof(void *));
	if (page != small_page())
		return bytes >= pud ? pud : page;
	return bytes >= huge_bytes() ? huge_bytes() : 16 * page;
}

static struct object map(struct object o, long pages, int protection, int flags, long times)
{
	size_t bytes = (size_t)pages * o.page;
	o.start = place((size_t)times * bytes, alignment_of(o.page, bytes));
	o.pages = times * pages;
	for (long i = 0; i < times; i++)
		if (mmap(o.start + i * bytes, bytes, protection, flags | MAP_FIXED, o.fd,
			 (off_t)(o.offset * o.page)) == MAP_FAILED)
			die("mmap");
	o.fd = -1;
	return o;
}

static struct object map_file(struct object file, long first, long pages, int protection, int flags,
			      long times)
{
	file.offset = first;
	return map(file, pages, protection, flags, times < 1 ? 1 : times);
}

static struct object map_anon(long pages, int protection, int flags)
{
	struct object o = { .fd = -1, .page = small_page(), .content = new_content(pages) };
	return map(o, pages, protection, MAP_ANONYMOUS | MAP_NORESERVE | flags, 1);
}

static struct object reserve(long pages, struct object like, long first)
{
	struct object o = { .fd = -1, .page = like.page ? like.page : small_page() };
	o = map(o, pages, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, 1);
	o.content = like.page ? like.content : new_content(pages);
	o.offset = like.page ? like.offset + first : 0;
	return o;
}

static struct object hugetlb_reserve(long pages)
{
	size_t page = hugetlb_bytes();
	struct object o = { .fd = -1, .page = page, .pages = pages, .content = new_content(pages) };
	o.start = place((size_t)pages * page, page * (small_page() / sizeof(void *)));
	return o;
}

static struct object map_there(struct object where, long first, long pages, int flags,
			       struct object file)
{
	char *start = where.start + first * where.page;
	if (mmap(start, pages * where.page, PROT_READ | PROT_WRITE,
		 flags | MAP_NORESERVE | MAP_FIXED, file.page ? file.fd : -1, 0) == MAP_FAILED)
		die("mmap");
	return (struct object){ .fd = -1, .start = start, .page = where.page, .pages = pages,
				.content = file.page ? file.content : new_content(pages) };
}

static struct object part(struct object memory, long first, long pages, struct object like, long from)
{
	memory.start += first * memory.page;
	memory.pages = pages;
	memory.content = like.content;
	memory.offset = like.offset + from;
	return memory;
}

/* Where a load or a store raises a signal, that is its result. */
static __thread sigjmp_buf *volatile landing;

static void land(int number)
{
	if (landing)
		siglongjmp(*landing, number);
	signal(number, SIG_DFL);
}

/* One load, or one store if `word` is not 0: the signal that it raised, or 0. */
static int touch(char *at, uint64_t word, uint64_t *loaded)
{
	volatile uint64_t *to = (volatile uint64_t *)(void *)at;
	struct sigaction action = { .sa_handler = land, .sa_flags = SA_NODEFER };
	sigjmp_buf here;
	int number;
	sigaction(SIGBUS, &action, NULL);
	sigaction(SIGSEGV, &action, NULL);
	number = sigsetjmp(here, 1);
	if (!number) {
		landing = &here;
		if (word)
			*to = word;
		else
			*loaded = *to;
	}
	landing = NULL;
	return number;
}

static const char *signal_word(int number)
{
	return number == SIGBUS ? "SIGBUS" : "SIGSEGV";
}

static const char *first_word(struct object o, long page, uint64_t word)
{
	return !word ? "zero" : word == data_of(o, page) ? "data" : word == stored_of(o, page) ? "stored" : "other";
}

/* All words of a page are one, but that a store to the first of them leaves the others as they were. */
static const char *page_word(struct object o, long page, const uint64_t *words)
{
	const char *first = first_word(o, page, words[0]);
	bool stored = words[0] == stored_of(o, page);
	for (size_t i = 1; i < o.page / sizeof(*words); i++)
		if (words[i] != words[1] ||
		    (words[i] != words[0] && !(stored && (!words[i] || words[i] == data_of(o, page)))))
			return "other";
	return first;
}

static uint64_t *page_buffer(struct object o)
{
	uint64_t *words = malloc(o.page);
	if (!words)
		die("malloc");
	return words;
}

static void fill_words(uint64_t *words, size_t bytes, uint64_t word)
{
	for (size_t i = 0; i < bytes / sizeof(*words); i++)
		words[i] = word;
}

static const char *load(struct object o, long page, bool whole)
{
	uint64_t *words = page_buffer(o);
	const char *word = NULL;
	for (size_t i = 0; i < (whole ? o.page / sizeof(*words) : 1) && !word; i++) {
		int number = touch(o.start + page * o.page + i * sizeof(*words), 0, &words[i]);
		word = number ? signal_word(number) : NULL;
	}
	if (!word)
		word = whole ? page_word(o, page, words) : first_word(o, page, words[0]);
	free(words);
	return word;
}

static const char *store(struct object o, long first, long pages)
{
	for (long page = first; page < first + pages; page++) {
		int number = touch(o.start + page * o.page, stored_of(o, page), NULL);
		if (number)
			return signal_word(number);
	}
	return "ok";
}

static const char *look(struct object o, long first, long pages)
{
	bool intact = true;
	for (long page = first; page < first + pages; page++) {
		const char *word = load(o, page, true);
		if (!strncmp(word, "SIG", 3))
			return word;
		intact = intact && !strcmp(word, *filled(o, page) ? "data" : "zero");
	}
	return intact ? "intact" : "changed";
}

/* By the kernel: no signal. */
static int peek_words(struct object o, long page, uint64_t *words)
{
	struct iovec local = { words, o.page }, remote = { o.start + page * o.page, o.page };
	ssize_t got = process_vm_readv(getpid(), &local, 1, &remote, 1, 0);
	return got < 0 ? errno : (size_t)got != o.page ? EFAULT : 0;
}

static const char *peek(struct object o, long page)
{
	uint64_t *words = page_buffer(o);
	int number = peek_words(o, page, words);
	const char *word = number ? error_word(number) : page_word(o, page, words);
	free(words);
	return word;
}

static const char *peek_all(struct object o, long first, long pages)
{
	const char *all = NULL;
	for (long page = first; page < first + pages; page++) {
		const char *word = peek(o, page);
		if (word[0] == 'E')
			word = "none";
		if (all && strcmp(all, word))
			return "mixed";
		all = word;
	}
	return all;
}

static int poke(struct object o, long first, long pages)
{
	uint64_t *words = page_buffer(o);
	int number = 0;
	for (long page = first; page < first + pages && !number; page++) {
		struct iovec local = { words, o.page }, remote = { o.start + page * o.page, o.page };
		ssize_t put;
		fill_words(words, o.page, stored_of(o, page));
		put = process_vm_writev(getpid(), &local, 1, &remote, 1, 0);
		number = put < 0 ? errno : (size_t)put != o.page ? EFAULT : 0;
	}
	free(words);
	return number;
}

static int read_page(struct object file, long page, uint64_t *words)
{
	ssize_t got = pread(file.fd, words, file.page, (off_t)(page * file.page));
	return got < 0 ? errno : (size_t)got != file.page ? EIO : 0;
}

static const char *pread_page(struct object file, long page)
{
	uint64_t *words = page_buffer(file);
	int number = read_page(file, page, words);
	const char *word = number ? error_word(number) : page_word(file, page, words);
	free(words);
	return word;
}

static int pwrite_pages(struct object file, long first, long pages, bool whole)
{
	uint64_t *words = page_buffer(file);
	size_t bytes = whole ? file.page : sizeof(*words);
	int number = 0;
	for (long page = first; page < first + pages && !number; page++) {
		ssize_t put;
		fill_words(words, bytes, stored_of(file, page));
		put = pwrite(file.fd, words, bytes, (off_t)(page * file.page));
		number = put < 0 ? errno : (size_t)put != bytes ? EIO : 0;
	}
	free(words);
	return number;
}

static const char *size_word(int fd, off_t bytes)
{
	struct stat status;
	if (fstat(fd, &status))
		die("fstat");
	return status.st_size == bytes ? "exact" : "wrong";
}

static const char *zeroes(struct object file, long first, long pages)
{
	uint64_t *words = page_buffer(file);
	const char *all = "yes";
	for (long page = first; page < first + pages && !strcmp(all, "yes"); page++) {
		int number = read_page(file, page, words);
		for (size_t i = 0; i < file.page / sizeof(*words) && !number; i++)
			if (words[i])
				all = "no";
		if (number)
			all = error_word(number);
	}
	free(words);
	return all;
}

static const char *seek(struct object file, long page, int whence)
{
	off_t at = (off_t)(page * file.page), found = lseek(file.fd, whence == SEEK_END ? 0 : at, whence);
	if (found < 0)
		return errno == ENXIO ? "hole" : error_word(errno);
	return (whence == SEEK_DATA ? found == at : found > at) ? "data" : "hole";
}

/* Which pages fill() leaves out: none; the first, the last, one, every other, or all but one; one. */
static bool leaves_out(int how, int shape, long drawn, long page, long pages)
{
	if (how != 1)
		return how == 2 && page == drawn;
	return shape == 0   ? page == 0
	       : shape == 1 ? page == pages - 1
	       : shape == 2 ? page == drawn
	       : shape == 3 ? page % 2 == drawn % 2
			    : page != drawn;
}

static void fill(struct object o, long first, long pages, int holes)
{
	uint64_t *words = page_buffer(o);
	int shape = (int)random_below(5);
	long drawn = random_below(pages);
	for (long i = 0; i < pages; i++) {
		long page = first + i;
		if (leaves_out(holes, shape, drawn, i, pages))
			continue;
		fill_words(words, o.page, data_of(o, page));
		if (o.start) {
			if (touch(o.start + page * o.page, data_of(o, page), NULL))
				die("fill");
			memcpy(o.start + page * o.page, words, o.page);
		} else if (pwrite(o.fd, words, o.page, (off_t)(page * o.page)) != (ssize_t)o.page) {
			die("fill");
		}
		*filled(o, page) = 1;
	}
	free(words);
}

static long random_filled(struct object o, long first, long pages, bool yes)
{
	long start = random_below(pages);
	for (long i = 0; i < pages; i++) {
		long page = first + (start + i) % pages;
		if (*filled(o, page) == yes)
			return page;
	}
	errno = ENOENT;
	die("random_page");
	return 0;
}

static const char *mincore_word(char *at)
{
	unsigned char resident = 0;
	if (mincore(at, small_page(), &resident))
		return error_word(errno);
	return resident & 1 ? "page" : "hole";
}

/* The bytes of fill(), except in the page `stored` and in skipped pages. */
static const char *contents(struct object o, long first, long pages, long stored, long without,
			    long nr_without)
{
	uint64_t *words = page_buffer(o);
	const char *all = "intact";
	for (long page = first; page < first + pages; page++) {
		const char *expected;
		if (page >= without && page < without + nr_without)
			continue;
		expected = page == stored ? "stored" : *filled(o, page) ? "data" : "zero";
		if (o.start ? peek_words(o, page, words) : read_page(o, page, words))
			all = "unreadable";
		else if (strcmp(page_word(o, page, words), expected))
			all = "changed";
		if (strcmp(all, "intact"))
			break;
	}
	free(words);
	return all;
}

static int fork_once(void)
{
	pid_t child = fork();
	if (child < 0)
		return errno;
	if (!child)
		_exit(0);
	while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
		;
	return 0;
}

static int fork_touch(char *start, size_t bytes)
{
	int status = 0;
	pid_t child = fork();
	if (child < 0)
		return errno;
	if (!child)
		_exit(madvise(start, bytes, MADV_POPULATE_READ) ? errno : 0);
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : EINTR;
}

static int pageout_file(struct object file, long first, long pages, long *out)
{
	size_t bytes = pages * file.page;
	char *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file.fd, (off_t)(first * file.page));
	unsigned char *resident = calloc(1, pages);
	int number = at == MAP_FAILED || !resident || madvise(at, bytes, MADV_POPULATE_READ) ||
				     madvise(at, bytes, MADV_PAGEOUT) || mincore(at, bytes, resident)
			     ? errno
			     : 0;
	for (long page = 0; page < pages && !number; page++)
		*out += !(resident[page] & 1);
	if (at != MAP_FAILED)
		munmap(at, bytes);
	free(resident);
	return number;
}

static long swap_out(struct object file, long first, long pages)
{
	long out = 0;
	must(pageout_file(file, first, pages, &out), "swap_out");
	return out;
}

/* total, free, reserved, surplus */
static struct object pool_now(void)
{
	struct object pool = { .fd = -1 };
	pool.counts[0] = (long)number_in("/proc/meminfo", "HugePages_Total:");
	pool.counts[1] = (long)number_in("/proc/meminfo", "HugePages_Free:");
	pool.counts[2] = (long)number_in("/proc/meminfo", "HugePages_Rsvd:");
	pool.counts[3] = (long)number_in("/proc/meminfo", "HugePages_Surp:");
	return pool;
}

static struct object hugetlb_pool(long pages)
{
	struct object pool;
	setting("/proc/sys/vm/nr_hugepages", number_word(pages));
	pool = pool_now();
	if (pool.counts[0] != pages) {
		errno = ENOMEM;
		die("a pool of huge pages");
	}
	return pool;
}

static const char *pool_books(struct object before, struct object file, long reserved)
{
	struct object now = pool_now();
	struct stat status;
	if (fstat(file.fd, &status))
		die("fstat");
	return now.counts[0] == before.counts[0] && now.counts[3] == before.counts[3] &&
			       now.counts[2] == before.counts[2] + reserved &&
			       before.counts[1] - now.counts[1] == (long)((size_t)status.st_blocks * 512 / file.page)
		       ? "exact"
		       : "wrong";
}

static long hugetlb_counted(void)
{
	return (long)(number_in("/proc/self/status", "HugetlbPages:") / (long long)(hugetlb_bytes() >> 10));
}

static const char *hugetlb_usage(long pages)
{
	long used = hugetlb_counted();
	return used == pages ? "exact" : used > pages ? "over" : "under";
}

/* A child that maps the file, moves the mapping, and says whether the stored page is there. */
static struct object mremap_in_child(struct object file, char *from, size_t bytes, char *to)
{
	struct object child = { .fd = -1 };
	uint64_t word = 0;
	pid_t pid = fork();
	if (pid < 0)
		die("fork");
	child.counts[0] = pid;
	if (pid)
		return child;
	if (mmap(from, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE | MAP_FIXED, file.fd, 0) ==
		    MAP_FAILED ||
	    touch(from, 0, &word) || word != stored_of(file, 0) ||
	    mremap(from, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, to) == MAP_FAILED)
		_exit(2);
	_exit(touch(to, 0, &word) || word != stored_of(file, 0));
}

static const char *child_ends(struct object *child, long milliseconds)
{
	int status = 0;
	for (long waited = 0; waited < milliseconds; waited++) {
		if (waitpid((pid_t)child->counts[0], &status, WNOHANG) == child->counts[0]) {
			child->counts[1] = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
			return "ended";
		}
		usleep(1000);
	}
	kill((pid_t)child->counts[0], SIGKILL); /* no effect while it is stuck */
	return "stuck";
}

static struct object userfaultfd(void)
{
	struct object uffd = { .fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK) };
	struct uffdio_api api = { .api = UFFD_API };
	if (uffd.fd < 0 || ioctl(uffd.fd, UFFDIO_API, &api))
		die("userfaultfd");
	return uffd;
}

static struct uffdio_range range_at(char *start, size_t bytes)
{
	return (struct uffdio_range){ (uintptr_t)start, bytes };
}

static int uffd_register(int fd, char *start, size_t bytes, int mode)
{
	struct uffdio_register request = { .range = range_at(start, bytes), .mode = mode };
	return failed(ioctl(fd, UFFDIO_REGISTER, &request));
}

static int uffd_unregister(int fd, char *start, size_t bytes)
{
	struct uffdio_range range = range_at(start, bytes);
	return failed(ioctl(fd, UFFDIO_UNREGISTER, &range));
}

static int uffd_copy(int fd, struct object o, long page)
{
	uint64_t *words = page_buffer(o);
	struct uffdio_copy request = { .dst = (uintptr_t)(o.start + page * o.page), .src = (uintptr_t)words,
				       .len = o.page };
	int number;
	fill_words(words, o.page, stored_of(o, page));
	number = failed(ioctl(fd, UFFDIO_COPY, &request));
	free(words);
	return number;
}

static int uffd_zeropage(int fd, char *start, size_t bytes)
{
	struct uffdio_zeropage request = { .range = range_at(start, bytes) };
	return failed(ioctl(fd, UFFDIO_ZEROPAGE, &request));
}

static int uffd_continue(int fd, char *start, size_t bytes)
{
	struct uffdio_continue request = { .range = range_at(start, bytes) };
	return failed(ioctl(fd, UFFDIO_CONTINUE, &request));
}

static int uffd_writeprotect(int fd, char *start, size_t bytes, bool on)
{
	struct uffdio_writeprotect request = { .range = range_at(start, bytes),
					       .mode = on ? UFFDIO_WRITEPROTECT_MODE_WP : 0 };
	return failed(ioctl(fd, UFFDIO_WRITEPROTECT, &request));
}

/* Linux 6.6 and 6.8: a header may lack them. */
struct poison_request {
	struct uffdio_range range;
	uint64_t mode;
	int64_t updated;
};

struct move_request {
	uint64_t to, from, bytes, mode;
	int64_t moved;
};

static int uffd_poison(int fd, char *start, size_t bytes)
{
	struct poison_request request = { .range = range_at(start, bytes) };
	return failed(ioctl(fd, _IOWR(UFFDIO, 0x08, struct poison_request), &request));
}

static int uffd_move(int fd, char *to, char *from, size_t bytes)
{
	struct move_request request = { (uintptr_t)to, (uintptr_t)from, bytes, 0, 0 };
	return failed(ioctl(fd, _IOWR(UFFDIO, 0x05, struct move_request), &request));
}

static int uffd_wake(int fd, char *start, size_t bytes)
{
	struct uffdio_range range = range_at(start, bytes);
	return failed(ioctl(fd, UFFDIO_WAKE, &range));
}

static const char *uffd_event(int fd, int milliseconds)
{
	struct pollfd waits = { .fd = fd, .events = POLLIN };
	struct uffd_msg message;
	if (poll(&waits, 1, milliseconds) <= 0)
		return "no";
	if (read(fd, &message, sizeof(message)) == (ssize_t)sizeof(message))
		return "yes";
	return errno == EAGAIN ? "no" : error_word(errno);
}

/* Gives a zero page for each event until an actor has ended. */
static const char *uffd_handle(int fd, struct object o, long page, atomic_int *ended)
{
	int events = 0;
	bool elsewhere = false;
	for (bool last = false; !last;) {
		struct pollfd waits = { .fd = fd, .events = POLLIN };
		struct uffd_msg message;
		char *at;
		last = *ended;
		if (poll(&waits, 1, last ? 0 : 2) <= 0 ||
		    read(fd, &message, sizeof(message)) != (ssize_t)sizeof(message))
			continue;
		last = false;
		events++;
		at = (char *)(uintptr_t)(message.arg.pagefault.address & ~(uint64_t)(o.page - 1));
		elsewhere = elsewhere || at != o.start + page * o.page;
		if (uffd_zeropage(fd, at, o.page) == EEXIST)
			uffd_wake(fd, at, o.page);
	}
	return elsewhere ? "elsewhere" : !events ? "no" : events == 1 ? "yes" : "many";
}

static struct object kernel_log(void)
{
	struct object log = { .fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC) };
	if (log.fd < 0 || lseek(log.fd, 0, SEEK_END) < 0)
		die("/dev/kmsg");
	return log;
}

static bool matches(const char *line, const char *expression)
{
	regex_t compiled;
	bool found;
	if (regcomp(&compiled, expression, REG_EXTENDED | REG_NOSUB))
		die(expression);
	found = !regexec(&compiled, line, 0, NULL, 0);
	regfree(&compiled);
	return found;
}

/* The kind of the first row that matches a line of the kernel's log; NULL if the line is no complaint. */
static const char *complaint_kind(const char *line)
{
	static const char *const rows[][2] = {
		/* The rows of kernel/complaints.txt: see emit/c_program.cpp. */
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (matches(line, rows[i][1]))
			return strcmp(rows[i][0], "harmless") ? rows[i][0] : NULL;
	return NULL;
}

/* Has the kernel complained since the last time? Prints the first such line. */
static const char *complaints(struct object log)
{
	const char *word = "clean";
	char record[8192];
	for (;;) {
		ssize_t got = read(log.fd, record, sizeof(record) - 1);
		char *text;
		if (got < 0 && errno == EPIPE)
			continue;
		if (got <= 0)
			return word;
		record[got] = 0;
		text = strchr(record, ';');
		if (!text)
			continue;
		text++;
		text[strcspn(text, "\n")] = 0; /* what follows is a dictionary */
		if (!complaint_kind(text))
			continue;
		if (!strcmp(word, "clean"))
			printf("  kernel: %s\n", text);
		word = "complaint";
	}
}

static long long now_ms(clockid_t clock)
{
	struct timespec now;
	clock_gettime(clock, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

static void sleep_ms(long milliseconds)
{
	struct timespec time = { milliseconds / 1000, milliseconds % 1000 * 1000000 };
	while (nanosleep(&time, &time) && errno == EINTR)
		;
}

static void wait_for_flag(atomic_int *flag)
{
	long long end = now_ms(CLOCK_MONOTONIC) + WAIT_MS;
	while (!*flag && now_ms(CLOCK_MONOTONIC) < end)
		usleep(100);
	if (!*flag)
		sync_->timed_out = 1;
}

/* The part of another actor that comes to a kernel function has begun: by now it is there. */
static void wait_in_kernel(int number, long milliseconds)
{
	wait_for_flag(&sync_->entered[number]);
	sleep_ms(milliseconds);
}

/*
 * The patched kernel delays a task of this name. mdelay() spins: so the time that passed and the time that
 * this thread was running both tell.
 */
static __thread long long slow_since, slow_cpu;

static void slow_begin(const char *name)
{
	slow_since = now_ms(CLOCK_MONOTONIC);
	slow_cpu = now_ms(CLOCK_THREAD_CPUTIME_ID);
	prctl(PR_SET_NAME, name);
}

static void slow_end(const char *function, long milliseconds)
{
	long long took, ran;
	prctl(PR_SET_NAME, "repro");
	took = now_ms(CLOCK_MONOTONIC) - slow_since;
	ran = now_ms(CLOCK_THREAD_CPUTIME_ID) - slow_cpu;
	if (took >= milliseconds && ran >= milliseconds / 2)
		return;
	printf("  window not widened: with %s() it took %lld ms (%lld ms running), not %ld\n", function, took,
	       ran, milliseconds);
	sync_->not_widened = 1;
}

/* When the delay was over, the other actor had to be there. */
static void had_reached(int site)
{
	if (!sync_->reached[site])
		sync_->late = 1;
}

static void pin(int cpu)
{
	cpu_set_t set;
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof(set), &set); /* a machine of one CPU has no other */
}

static void begin_actor(int actor)
{
	prctl(PR_SET_NAME, "repro");
	while (!sync_->go)
		usleep(50);
	sync_->begun[actor] = 1;
}
