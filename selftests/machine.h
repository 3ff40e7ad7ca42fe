/* SPDX-License-Identifier: GPL-2.0 */
/*
 * machine.h - what a machine had before a test, and what of it is not so
 * afterwards: hooks, probes, sessions, held tasks, the module's users, memory,
 * complaints of the kernel.
 */
#ifndef FAULTLINE_SELFTESTS_MACHINE_H
#define FAULTLINE_SELFTESTS_MACHINE_H

#include <dirent.h>
#include <linux/membarrier.h>
#include <regex.h>
#include <stdbool.h>

#include "common.h"

#define HOOKS "/sys/kernel/tracing/enabled_functions"
#define PROBES "/sys/kernel/debug/kprobes/list"

/*
 * The bounds for the growth of memory. The kernel counts slabs, stacks, page tables, vmalloc and
 * per-CPU memory. Other memory is missing from the total, as are the free pages that each CPU keeps.
 */
#define MAX_COUNTED_KB 2048
#define MAX_UNCOUNTED_KB 16384

struct machine {
	int log;	   /* /dev/kmsg, from this moment on */
	int hooks, probes; /* lines; -1: cannot be read */
	long counted_kb, uncounted_kb;
	int nr_left;
	char left[1024]; /* the leftovers, in words */
};

static inline void machine_leaves(struct machine *m, const char *format, ...)
{
	size_t len = strlen(m->left);
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(m->left + len, sizeof(m->left) - len, format, arguments);
	va_end(arguments);
	len = strlen(m->left);
	snprintf(m->left + len, sizeof(m->left) - len, "; ");
	m->nr_left++;
}

static inline int lines_of(const char *path)
{
	FILE *file = fopen(path, "re");
	int lines = 0, c;

	if (!file)
		return -1;
	while ((c = fgetc(file)) != EOF)
		lines += c == '\n';
	fclose(file);
	return lines;
}

/* --- memory ------------------------------------------------------------------
 */

static inline long meminfo_kb(const char *name)
{
	char line[64];
	const char *at;

	snprintf(line, sizeof(line), "\n%s:", name);
	at = strstr(read_file("/proc/meminfo"), line);
	return at ? atol(at + strlen(line)) : 0;
}

static inline long counted_kb(void)
{
	return meminfo_kb("Slab") + meminfo_kb("KernelStack") + meminfo_kb("PageTables") +
	       meminfo_kb("VmallocUsed") + meminfo_kb("Percpu");
}

static inline long uncounted_kb(void)
{
	char first[32];
	long total;

	/* The first line has no newline in front of it. */
	if (sscanf(read_file("/proc/meminfo"), "%31s %ld", first, &total) != 2)
		return 0;
	return total - meminfo_kb("MemFree") - meminfo_kb("Buffers") - meminfo_kb("Cached") -
	       meminfo_kb("SwapCached") - meminfo_kb("AnonPages") - counted_kb();
}

/* Each cache gives back its free slabs, and KASAN its quarantine. */
static inline void shrink_slabs(void)
{
	char path[300];
	struct dirent *entry;
	DIR *caches = opendir("/sys/kernel/slab");

	while (caches && (entry = readdir(caches))) {
		snprintf(path, sizeof(path), "/sys/kernel/slab/%s/shrink", entry->d_name);
		if (entry->d_name[0] != '.')
			write_file(path, "1");
	}
	if (caches)
		closedir(caches);
}

/* Memory that is freed after a grace period, or by a worker, is free. */
static inline void memory_settle(void)
{
	int i;

	for (i = 0; i < 3; i++) {
		syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0); /* a grace period */
		sleep_ms(100);
	}
	write_file("/proc/sys/vm/drop_caches", "3");
	shrink_slabs();
	write_file("/proc/sys/vm/compact_memory", "1"); /* drains what each CPU keeps */
	sleep_ms(100);
}

/* --- the kernel log
 * ------------------------------------------------------------ */

/* The table of the driver and of the scripts: KIND = REGULAR EXPRESSION. */
extern const char complaints_text[], complaints_end[];
__asm__(".pushsection .rodata\n"
	".globl complaints_text, complaints_end\n"
	"complaints_text:\n"
	".incbin \"" COMPLAINTS "\"\n"
	"complaints_end: .byte 0\n"
	".popsection\n");

/* -1: the table has a pattern that this library does not know. */
static inline int matches(const char *pattern, const char *text)
{
	regex_t compiled;
	int found;

	if (regcomp(&compiled, pattern, REG_EXTENDED | REG_NOSUB))
		return -1;
	found = !regexec(&compiled, text, 0, NULL, 0);
	regfree(&compiled);
	return found;
}

/* Does a clean log have no such line? Without its time stamp. -1 as above. */
static inline int is_complaint(const char *line)
{
	const char *row = complaints_text, *end;
	int complaint = 0, found;
	char text[512];
	char *pattern;

	for (; row < complaints_end && *row; row = end + 1) {
		end = strchrnul(row, '\n');
		snprintf(text, sizeof(text), "%.*s", (int)(end - row), row);
		pattern = strstr(text, " = ");
		if (text[0] == '#' || !pattern)
			continue;
		*pattern = '\0';
		found = matches(pattern + 3, line);
		if (found < 0)
			return -1;
		if (found && !strcmp(text, "harmless"))
			return 0;
		complaint |= found;
	}
	return complaint;
}

/* A record of /dev/kmsg is "priority,number,time,flags;text". */
static inline void machine_read_log(struct machine *m)
{
	char record[8192];
	char *text;
	ssize_t n;

	while ((n = read(m->log, record, sizeof(record) - 1)) > 0 || (n < 0 && errno == EPIPE)) {
		if (n < 0) {
			machine_leaves(m, "the kernel log overran what was read of it");
			continue;
		}
		record[n] = '\0';
		text = strchr(record, ';');
		if (!text)
			continue;
		text[1 + strcspn(text + 1, "\n")] = '\0';
		if (is_complaint(text + 1))
			machine_leaves(m, "the kernel log: %s", text + 1);
	}
}

/* --- before and after
 * ------------------------------------------------------------ */

/* Not in the middle of anything: the module may be loaded, and nobody uses it.
 * 0, or -1. */
static inline int machine_note(struct machine *m)
{
	memset(m, 0, sizeof(*m));
	m->log = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (m->log < 0 || lseek(m->log, 0, SEEK_END) < 0)
		return -1;
	memory_settle();
	m->hooks = lines_of(HOOKS);
	m->probes = lines_of(PROBES);
	m->counted_kb = counted_kb();
	m->uncounted_kb = uncounted_kb();
	return m->hooks < 0 || m->probes < 0 ? -1 : 0;
}

static inline void machine_compare_memory(struct machine *m)
{
	long counted, uncounted;

	memory_settle();
	counted = counted_kb() - m->counted_kb;
	uncounted = uncounted_kb() - m->uncounted_kb;
	printf("# memory: %+ld kB counted (at most %d), %+ld kB uncounted (at most "
	       "%d)\n",
	       counted, MAX_COUNTED_KB, uncounted, MAX_UNCOUNTED_KB);
	if (counted > MAX_COUNTED_KB)
		machine_leaves(m, "%ld kB of memory that the kernel counts", counted);
	if (uncounted > MAX_UNCOUNTED_KB)
		machine_leaves(m, "%ld kB of memory that nobody counts", uncounted);
}

static inline void machine_compare_users(struct machine *m)
{
	const char *users = read_file("/sys/module/faultline/refcnt");
	const char *sessions;

	if (atoi(users))
		machine_leaves(m, "%d users of the module", atoi(users));
	sessions = read_file(FL_DIR "sessions");
	if (*sessions)
		machine_leaves(m, "a session");
	if (strstr(sessions, "state held"))
		machine_leaves(m, "a held task");
}

static inline void machine_compare(struct machine *m)
{
	int hooks = lines_of(HOOKS) - m->hooks;
	int probes = lines_of(PROBES) - m->probes;

	m->nr_left = 0;
	m->left[0] = '\0';
	if (hooks)
		machine_leaves(m, "%+d functions that are traced", hooks);
	if (probes)
		machine_leaves(m, "%+d probes", probes);
	machine_compare_users(m);
	machine_read_log(m);
}

static inline bool machine_is_idle(const struct machine *m)
{
	return lines_of(HOOKS) == m->hooks && lines_of(PROBES) == m->probes &&
	       !atoi(read_file("/sys/module/faultline/refcnt"));
}

/*
 * The same, with a bound for users that are about to leave, and the module
 * unloads. Loads it again, for memory to be compared.
 */
static inline void machine_compare_all(struct machine *m, const char *module, int bound_ms)
{
	long long end = now_ms() + bound_ms;

	while (!machine_is_idle(m) && now_ms() < end)
		sleep_ms(20);
	machine_compare(m);
	if (module_unload(bound_ms))
		machine_leaves(m, "the module, which does not unload: errno %d", errno);
	else if (!access(FL_DIR, F_OK))
		machine_leaves(m, "%s", FL_DIR);
	else if (module_load(module))
		machine_leaves(m, "no module: it does not load again: errno %d", errno);
	machine_compare_memory(m);
}

static inline void machine_forget(struct machine *m)
{
	close(m->log);
}

#endif /* FAULTLINE_SELFTESTS_MACHINE_H */
