// SPDX-License-Identifier: GPL-2.0
// The module's pgtable files, as recorded, and broken.
#include "kernel/page_tables.hpp"

#include <gtest/gtest.h>

namespace faultline {
namespace {

// From ppc64le-64k, 6.12.95: two tables of one page, the first deferred.
constexpr const char* two_tables =
    "0 pfn 0x826 offset 512 state given given 1200000345 refs 1 tables 1 flags table,active queued "
    "0 again 0 at 0 freed 0 active 0 at 0 early 0 cpu 0 reads 1 broken 0\n"
    "1 pfn 0x826 offset 768 state ours given 0 refs 1 tables 1 flags table,active queued 0 again 0 "
    "at 0 freed 0 active 0 at 0 early 0 cpu 0 reads 0 broken 0\n";
constexpr const char* freed_table =
    "0 pfn 0x1f3a offset 0 state given given 5000 refs 0 tables 1 flags - queued 1 again 2 at 5100 "
    "freed 1 active 1 at 9000 early 1 cpu 1 reads 0 broken 3\n";

TEST(PageTablesTest, ReadsTablesThatShareAPage) {
    const auto tables = parse_page_tables(two_tables);
    ASSERT_TRUE(tables.ok()) << tables.error().to_string();
    ASSERT_EQ(tables->size(), 2U);
    EXPECT_EQ((*tables)[0].pfn, 0x826U);
    EXPECT_EQ((*tables)[0].state, "given");
    EXPECT_EQ((*tables)[0].given_ns, 1200000345U);
    EXPECT_EQ((*tables)[0].freed, 0);
    EXPECT_EQ((*tables)[1].pfn, 0x826U);
    EXPECT_EQ((*tables)[1].state, "ours");
    EXPECT_EQ((*tables)[1].tables, 1);
}

TEST(PageTablesTest, ReadsWhatBecameOfAPage) {
    const auto tables = parse_page_tables(freed_table);
    ASSERT_TRUE(tables.ok());
    const PageTable& table = tables->front();
    EXPECT_EQ(table.queued, 1);
    EXPECT_EQ(table.again, 2);
    EXPECT_EQ(table.freed, 1);
    EXPECT_EQ(table.active, 1);
    EXPECT_EQ(table.freed_ns, 9000U);
    EXPECT_EQ(table.early, 1);
    EXPECT_EQ(table.broken, 3);
}

TEST(PageTablesTest, NoTableIsNoError) {
    const auto tables = parse_page_tables("");
    ASSERT_TRUE(tables.ok());
    EXPECT_TRUE(tables->empty());
}

TEST(PageTablesTest, RefusesWhatIsBroken) {
    const std::string good = freed_table;
    // Cut off anywhere: not one of them may pass for a line.
    for (std::size_t length = 1; length + 2 < good.size(); ++length)
        EXPECT_FALSE(parse_page_tables(good.substr(0, length)).ok()) << good.substr(0, length);
    EXPECT_FALSE(parse_page_tables("x\n").ok());
    EXPECT_FALSE(parse_page_tables("1" + good.substr(1)).ok()) << "the first is not number 1";
    EXPECT_FALSE(parse_page_tables(good.substr(0, good.size() - 1) + " more\n").ok());
}

// From x86-64, 6.12.95; the first offset as on ppc64.
constexpr const char* range =
    "0x7f0000000000 table pfn 0x1a2 offset 768 refs 1 tables 1 flags table folios 16+16/4,32+3/9\n"
    "0x7f0000200000 huge\n"
    "0x7f0000400000 none\n"
    "0x7f0000600000 table pfn 0x1a3 offset 0 refs 1 tables 1 flags - folios -\n"
    "mm pgtables_bytes 45056\n";

TEST(PageTableRangeTest, CountsTablesAndHugePages) {
    const auto counted = parse_page_table_range(range);
    ASSERT_TRUE(counted.ok()) << counted.error().to_string();
    EXPECT_EQ(counted->tables, 2U);
    EXPECT_EQ(counted->huge, 1U);
    EXPECT_EQ(counted->offsets, (std::vector<unsigned>{768, 0}));
    const std::vector<std::vector<TableFolio>> folios = {{{16, 16, 4}, {32, 3, 9}}, {}, {}, {}};
    EXPECT_EQ(counted->folios, folios);
    EXPECT_EQ(counted->pgtables_bytes, 45056);
}

TEST(PageTableRangeTest, RefusesWhatIsBroken) {
    const std::string good = range;
    EXPECT_FALSE(parse_page_table_range("").ok());
    EXPECT_FALSE(parse_page_table_range(good.substr(0, good.find("mm "))).ok()) << "no last line";
    EXPECT_FALSE(parse_page_table_range("0x7f0000000000 more\n" + good).ok());
    EXPECT_FALSE(parse_page_table_range("more\n" + good).ok()) << "something was left out";
    EXPECT_FALSE(parse_page_table_range(good + "0x7f0000600000 none\n").ok());
    const std::string table = "0x7f0000000000 table pfn 0x1a2 offset 0 refs 1 tables 1 flags table";
    const std::string end = "\nmm pgtables_bytes 45056\n";
    EXPECT_TRUE(parse_page_table_range(table + " folios 16+16/4" + end).ok());
    EXPECT_FALSE(parse_page_table_range(table + end).ok()) << "no folios";
    for (const char* bad : {"", "16", "16+16", "16+16/", "16+16/4,", ",16+16/4", "16+16/4 1", "x"})
        EXPECT_FALSE(parse_page_table_range(table + " folios " + bad + end).ok()) << bad;
    for (const char* bad : {"huge 1", "none 1", "hug", "tables", "table folios -",
                            "table pfn 0x1a2 refs 1 tables 1 flags table folios -",
                            "table pfn 0x1a2 offset 0 refs 1 tables x flags table folios -"})
        EXPECT_FALSE(parse_page_table_range(std::string("0x7f0000000000 ") + bad + end).ok())
            << bad;
}

TEST(InvalidationsTest, ReadsStartAndEnd) {
    const auto notes = parse_invalidations("start 0x7f0000000000 0x7f0000200000 at 12 event 1\n"
                                           "end 0x7f0000000000 0x7f0000200000 at 34 event 1\n");
    ASSERT_TRUE(notes.ok()) << notes.error().to_string();
    ASSERT_EQ(notes->size(), 2U);
    EXPECT_FALSE((*notes)[0].end);
    EXPECT_EQ((*notes)[0].from, 0x7f0000000000U);
    EXPECT_EQ((*notes)[0].to, 0x7f0000200000U);
    EXPECT_EQ((*notes)[0].at_ns, 12U);
    EXPECT_TRUE((*notes)[1].end);
}

TEST(InvalidationsTest, RefusesWhatIsBroken) {
    EXPECT_TRUE(parse_invalidations("").ok());
    EXPECT_FALSE(parse_invalidations("more\n").ok()) << "something was left out";
    EXPECT_FALSE(parse_invalidations("middle 0x1 0x2 at 12 event 1\n").ok());
    EXPECT_FALSE(parse_invalidations("start 0x1 0x2 at 12\n").ok());
    EXPECT_FALSE(parse_invalidations("start 0x1 at 12 event 1\n").ok());
}

TEST(InvalidationsTest, AreBeforeAMomentOrLate) {
    const Invalidation start{.end = false, .from = 0, .to = 1, .at_ns = 10};
    const Invalidation end{.end = true, .from = 0, .to = 1, .at_ns = 30};
    const Told inside = told_around({start, end}, 20);
    EXPECT_TRUE(inside.start && inside.before && inside.end);
    const Told late = told_around({start, end}, 5);
    EXPECT_TRUE(late.start && !late.before && late.end);
    const Told over = told_around({start, end}, 40);
    EXPECT_TRUE(over.start && over.before && !over.end) << "it ended too early";
    EXPECT_FALSE(told_around({end}, 5).end) << "of one that began before anybody listened";
    EXPECT_FALSE(told_around({}, 5).start);
}

TEST(PageLocksTest, ReadsALine) {
    const Result<PageLocks> locks =
        parse_page_locks("locks mmap write vma free anon_vma read:2 pmd none pte none\n");
    ASSERT_TRUE(locks.ok());
    EXPECT_EQ(locks->mmap, "write");
    EXPECT_EQ(locks->vma, "free");
    EXPECT_EQ(locks->anon_vma, "read:2");
    EXPECT_EQ(locks->pmd, "none");
    EXPECT_EQ(locks->pte, "none");
}

TEST(PageLocksTest, RefusesWhatIsBroken) {
    for (const char* text : {"", "locks", "locks mmap write vma free anon_vma free pmd none pte",
                             "locks vma free mmap write anon_vma free pmd none pte none",
                             "locks mmap write vma free anon_vma free pmd none pte none more",
                             "locks mmap write vma free anon_vma free pmd none pte none more\n",
                             "locks mmap write vma free anon_vma free pmd none pte none"})
        EXPECT_EQ(parse_page_locks(text).error().number, EPROTO) << text;
}

} // namespace
} // namespace faultline
