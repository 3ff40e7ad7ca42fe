// SPDX-License-Identifier: GPL-2.0
/*
 * pgtable_test - <debugfs>/faultline/pgtable against what a program knows of itself: which of its
 * PMDs have a page table, which are huge, and which tables share a page.
 */
#define _GNU_SOURCE
#include "kselftest_harness.h"

#include <sys/mman.h>

#include "common.h"
#include "pgtable_lines.h"

#define RANGE FL_DIR "pgtable/range"
#define PMDS 4

struct row {
	unsigned long address, pfn, offset;
	int refs, tables;
	const char *kind;
	char flags[32];
};

FIXTURE(range)
{
	int file;
	size_t pmd; /* bytes that a PTE table maps */
	char *memory; /* PMDS of them, aligned */
};

/* As many PTEs as fit: 8 bytes each, in a page, but 256 on s390 and 32 on ppc64 with 64K pages. */
static size_t pmd_bytes(void)
{
	size_t huge = strtoul(read_file("/sys/kernel/mm/transparent_hugepage/hpage_pmd_size"), NULL, 10);

	if (huge)
		return huge;
#ifdef __s390x__
	return 1UL << 20;
#else
	return (size_t)getpagesize() / 8 * getpagesize();
#endif
}

FIXTURE_SETUP(range)
{
	char *at;

	self->file = open(RANGE, O_RDWR | O_CLOEXEC);
	ASSERT_GE(self->file, 0)
		TH_LOG("cannot open " RANGE ": is the module loaded, are you root?");
	self->pmd = pmd_bytes();
	at = mmap(NULL, (PMDS + 1) * self->pmd, PROT_READ | PROT_WRITE,
		  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	ASSERT_NE(MAP_FAILED, at);
	self->memory = (char *)(((uintptr_t)at + self->pmd - 1) / self->pmd * self->pmd);
	madvise(self->memory, PMDS * self->pmd, MADV_NOHUGEPAGE);
}

FIXTURE_TEARDOWN(range)
{
	close(self->file);
}

static int ask(int file, int pid, const void *start, size_t bytes)
{
	char text[80];
	int len = snprintf(text, sizeof(text), FL_RANGE_ASK("%d", "%lx", "%lx") "\n", pid, (unsigned long)start,
			   (unsigned long)start + bytes);

	return write(file, text, len) == len ? 0 : -1;
}

/* The kind of a row of the range, or NULL. A scan that does not match to its end leaves @end 0. */
static const char *scan_row(const char *line, struct row *row)
{
	int end = 0;

	sscanf(line, FL_RANGE_NONE("%lx") "%n", &row->address, &end);
	if (end)
		return "none";
	sscanf(line, FL_RANGE_HUGE("%lx") "%n", &row->address, &end);
	if (end)
		return "huge";
	sscanf(line,
	       FL_RANGE_TABLE("%lx", "%lx", "%lu", FL_PGTABLE_PAGE("%d", "%d", "%31s"), "%n"),
	       &row->address, &row->pfn, &row->offset, &row->refs, &row->tables, row->flags, &end);
	return end ? "table" : NULL;
}

/* How many rows, or -1. */
static int answer(int file, struct row *rows, int max)
{
	char text[8192], *line, *rest = text;
	ssize_t n = pread(file, text, sizeof(text) - 1, 0);
	int nr = 0;
	long bytes;

	if (n < 0)
		return -1;
	text[n] = '\0';
	while (nr < max && (line = strsep(&rest, "\n")) && *line) {
		struct row *row = &rows[nr];

		if (sscanf(line, FL_RANGE_BYTES("%ld"), &bytes) == 1)
			break;
		memset(row, 0, sizeof(*row));
		row->kind = scan_row(line, row);
		if (!row->kind)
			return -1;
		nr++;
	}
	return nr;
}

TEST_F(range, a_touched_pmd_has_a_table_and_others_have_none)
{
	struct row rows[PMDS];

	self->memory[0] = 1;
	self->memory[2 * self->pmd] = 1;
	ASSERT_EQ(0, ask(self->file, getpid(), self->memory, PMDS * self->pmd));
	ASSERT_EQ(PMDS, answer(self->file, rows, PMDS));
	EXPECT_EQ((unsigned long)self->memory, rows[0].address);
	EXPECT_EQ((unsigned long)self->memory + self->pmd, rows[1].address);
	EXPECT_STREQ("table", rows[0].kind);
	EXPECT_STREQ("none", rows[1].kind);
	EXPECT_STREQ("table", rows[2].kind);
	EXPECT_STREQ("none", rows[3].kind);
	EXPECT_LT(0, rows[0].refs);
	EXPECT_LT(0, rows[0].tables);
	EXPECT_TRUE(strstr(rows[0].flags, "table"));
}

/* A table is its own: two of them differ in page or in offset. */
TEST_F(range, tables_do_not_overlap)
{
	struct row rows[PMDS];
	int i, j;

	for (i = 0; i < PMDS; i++)
		self->memory[i * self->pmd] = 1;
	ASSERT_EQ(0, ask(self->file, getpid(), self->memory, PMDS * self->pmd));
	ASSERT_EQ(PMDS, answer(self->file, rows, PMDS));
	for (i = 0; i < PMDS; i++)
		for (j = 0; j < i; j++)
			EXPECT_TRUE(rows[i].pfn != rows[j].pfn || rows[i].offset != rows[j].offset);
}

TEST_F(range, several_tables_share_a_page_on_ppc64_alone)
{
	struct row rows[PMDS];
	int i, shared = 0;

	for (i = 0; i < PMDS; i++)
		self->memory[i * self->pmd] = 1;
	ASSERT_EQ(0, ask(self->file, getpid(), self->memory, PMDS * self->pmd));
	ASSERT_EQ(PMDS, answer(self->file, rows, PMDS));
	for (i = 1; i < PMDS; i++)
		shared += rows[i].pfn == rows[i - 1].pfn;
#if defined(__powerpc64__)
	if (getpagesize() == 65536) {
		EXPECT_LT(0, shared);
		EXPECT_LT(1, rows[PMDS - 1].tables);
	}
#elif !defined(__s390x__) /* where it is so before 6.8 */
	EXPECT_EQ(0, shared);
	EXPECT_EQ(0, rows[0].offset);
	EXPECT_EQ(1, rows[0].tables);
#endif
}

TEST_F(range, a_huge_page_is_called_so)
{
	struct row row;

	madvise(self->memory, self->pmd, MADV_HUGEPAGE);
	self->memory[0] = 1;
	if (madvise(self->memory, self->pmd, 25 /* MADV_COLLAPSE */))
		SKIP(return, "no huge page to be had: MADV_COLLAPSE says %s", strerror(errno));
	ASSERT_EQ(0, ask(self->file, getpid(), self->memory, self->pmd));
	ASSERT_EQ(1, answer(self->file, &row, 1));
	EXPECT_STREQ("huge", row.kind);
}

/* A huge page of whose PMD a table was made, and a hole in it. */
TEST_F(range, folios_are_told_with_the_part_that_is_mapped)
{
	size_t pages = self->pmd / getpagesize();
	char expected[64], line[256];
	int folios = 0;
	ssize_t got;

	madvise(self->memory, self->pmd, MADV_HUGEPAGE);
	self->memory[0] = 1;
	if (madvise(self->memory, self->pmd, 25 /* MADV_COLLAPSE */))
		SKIP(return, "no huge page to be had: MADV_COLLAPSE says %s", strerror(errno));
	ASSERT_EQ(0, munmap(self->memory + 4 * getpagesize(), getpagesize()));
	ASSERT_EQ(0, ask(self->file, getpid(), self->memory, getpagesize()));
	got = pread(self->file, line, sizeof(line) - 1, 0);
	ASSERT_LT(0, got);
	line[got] = 0;
	sscanf(line, FL_RANGE_TABLE("%*x", "%*x", "%*u", FL_PGTABLE_PAGE("%*d", "%*d", "%*s"), "%n"),
	       &folios);
	ASSERT_LT(0, folios) TH_LOG("%s", line);
	snprintf(expected, sizeof(expected),
		 FL_RANGE_FOLIO("0", "4", "%d") "," FL_RANGE_FOLIO("5", "%zu", "%d") "\n",
		 __builtin_ctzl(pages), pages - 5, __builtin_ctzl(pages));
	EXPECT_EQ(0, strncmp(expected, line + folios, strlen(expected))) TH_LOG("%s", line);
}

TEST_F(range, wrong_input_is_refused)
{
	struct row row;

	EXPECT_EQ(-1, write(self->file, "x", 1));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, write(self->file, "1 2", 3));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, ask(self->file, getpid(), self->memory, 0));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, ask(self->file, -1, self->memory, self->pmd));
	EXPECT_EQ(EINVAL, errno);
	/* Nothing was kept of it. */
	EXPECT_EQ(0, answer(self->file, &row, 1));
	ASSERT_EQ(0, ask(self->file, 0x7ffffffe, self->memory, self->pmd));
	EXPECT_EQ(-1, answer(self->file, &row, 1));
	EXPECT_EQ(ESRCH, errno);
	/* A kernel thread has no page tables of its own. */
	ASSERT_EQ(0, ask(self->file, 2, self->memory, self->pmd));
	EXPECT_EQ(-1, answer(self->file, &row, 1));
	EXPECT_EQ(ESRCH, errno);
}

TEST_HARNESS_MAIN
