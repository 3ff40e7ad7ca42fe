// SPDX-License-Identifier: GPL-2.0
// Page tables: what the module shows of them.
#include "kernel/page_tables.hpp"
#include "operations/objects.hpp"

#include <algorithm>
#include <cerrno>
#include <fmt/format.h>
#include <limits>
#include <unistd.h>

namespace faultline {

namespace {

struct TablesObject final : Object {
    explicit TablesObject(PageTables opened) : tables(std::move(opened)) {}
    PageTables tables;
};

struct LivesObject final : Object {
    std::vector<PageTable> tables;
};

Result<Value> make_tables(Doing& /*doing*/, const Given& /*given*/) {
    Result<PageTables> tables = PageTables::open();
    if (!tables)
        return tables.error();
    return Value::of_object(Type::tables, std::make_shared<TablesObject>(std::move(*tables)));
}

Result<Value> send(const Given& given, const std::string& command) {
    const Result<void> sent = given.object<TablesObject>(0).tables.send(command);
    return sent ? Result<Value>(Value{}) : sent.error();
}
Result<Value> do_make(Doing& /*doing*/, const Given& given) {
    return send(given, fmt::format("tables {}", given.number(1)));
}
Result<Value> do_defer(Doing& /*doing*/, const Given& given) {
    return send(given, fmt::format("defer {}", given.number(1)));
}
Result<Value> do_free(Doing& /*doing*/, const Given& given) {
    return send(given, fmt::format("free {}", given.number(1)));
}
Result<Value> do_watch(Doing& /*doing*/, const Given& given) {
    const Result<void> watched =
        given.object<TablesObject>(0).tables.watch(range_of(given.at(1)).start);
    return watched ? Result<Value>(Value{}) : watched.error();
}

Result<Value> do_read(Doing& doing, const Given& given) {
    const Result<bool> broken =
        doing.at_reading(given.text(2), given.object<TablesObject>(0).tables.file(),
                         static_cast<unsigned>(given.number(1)));
    if (!broken)
        return broken.error();
    return Value::of_word(*broken ? "broken" : "kept");
}

Result<PageTable> table_of(const std::vector<PageTable>& tables, std::int64_t number) {
    if (number < 0 || number >= static_cast<std::int64_t>(tables.size()))
        return Error::make(ERANGE, fmt::format("there is no table {}", number));
    return tables[static_cast<std::size_t>(number)];
}

Result<Value> do_beside(Doing& /*doing*/, const Given& given) {
    const Result<std::vector<PageTable>> now = given.object<TablesObject>(0).tables.tables();
    if (!now)
        return now.error();
    const Result<PageTable> table = table_of(*now, given.number(1));
    if (!table)
        return table.error();
    return Value::of(table->tables);
}

Result<Value> do_lost(Doing& doing, const Given& given) {
    const Result<Value> now = do_beside(doing, given);
    return now ? Result<Value>(Value::of(given.number(2) - now->number)) : now.error();
}

Result<Value> make_lives(Doing& /*doing*/, const Given& given) {
    Result<std::vector<PageTable>> tables = given.object<TablesObject>(0).tables.settled();
    if (!tables)
        return tables.error();
    if (tables->empty())
        return Error::make(ENOENT, "no page table is looked at");
    auto made = std::make_shared<LivesObject>();
    made->tables = std::move(*tables);
    return Value::of_object(Type::lives, std::move(made));
}

std::string_view times(int least, int most) {
    return least == 0 ? "never" : most == 1 ? "once" : "again";
}

// The least and the most of a column.
template <typename Column>
std::pair<int, int> bounds(const std::vector<PageTable>& all, Column column) {
    int least = std::numeric_limits<int>::max();
    int most = 0;
    for (const PageTable& table : all) {
        least = std::min(least, table.*column);
        most = std::max(most, table.*column);
    }
    return {least, most};
}

Result<Value> do_queued(Doing& /*doing*/, const Given& given) {
    const std::vector<PageTable>& all = given.object<LivesObject>(0).tables;
    const auto [least, most] = bounds(all, &PageTable::queued);
    const bool again =
        std::any_of(all.begin(), all.end(), [](const PageTable& table) { return table.again > 0; });
    return Value::of_word(again ? "again" : times(least, most));
}

Result<Value> do_freed(Doing& doing, const Given& given) {
    const std::vector<PageTable>& all = given.object<LivesObject>(0).tables;
    std::uint64_t left_ns = 0; // when the reader left the table
    if (given.has(1)) {
        const fl_site_result* site = doing.run->site(given.text(1));
        if (site == nullptr)
            return Error::make(EINVAL, "the schedule has no site " + given.text(1));
        left_ns = site->left_ns;
    }
    const Result<PageTable> read = table_of(all, given.number(2));
    if (!read)
        return read.error();
    const bool early = std::any_of(all.begin(), all.end(), [&](const PageTable& table) {
        const bool under_reader =
            left_ns != 0 && table.pfn == read->pfn && table.freed != 0 && table.freed_ns < left_ns;
        return table.early > 0 || table.broken > 0 || under_reader;
    });
    const auto [least, most] = bounds(all, &PageTable::freed);
    return Value::of_word(early ? "early" : times(least, most));
}

Result<Value> do_marked(Doing& /*doing*/, const Given& given) {
    const std::vector<PageTable>& all = given.object<LivesObject>(0).tables;
    return Value::of_word(bounds(all, &PageTable::active).second > 0 ? "yes" : "no");
}

Result<Value> do_page(Doing& /*doing*/, const Given& given) {
    const std::vector<PageTable>& all = given.object<LivesObject>(0).tables;
    const bool shared = std::any_of(all.begin() + 1, all.end(), [&all](const PageTable& table) {
        return table.pfn == all.front().pfn;
    });
    return Value::of_word(shared ? "shared" : "own");
}

enum Counted : std::size_t { whole_tables, whole_bytes, tables_there, counted_size };

Result<Value> make_page_tables(Doing& /*doing*/, const Given& given) {
    const Range range = range_of(given.at(0));
    const Result<PageTableRange> there = page_table_range(::getpid(), range.start, range.bytes);
    if (!there)
        return there.error();
    const Result<PageTableRange> whole =
        page_table_range(::getpid(), nullptr, std::numeric_limits<std::size_t>::max() / 2);
    if (!whole)
        return whole.error();
    auto made = std::make_shared<CountsObject>();
    made->counts = {whole->tables, static_cast<std::uint64_t>(whole->pgtables_bytes),
                    there->tables};
    return Value::of_object(Type::counts, std::move(made));
}

// By how much a count has grown.
Result<std::int64_t> growth(const Given& given, Counted which) {
    const std::vector<std::uint64_t>& before = given.object<CountsObject>(0).counts;
    const std::vector<std::uint64_t>& after = given.object<CountsObject>(1).counts;
    if (before.size() != counted_size || after.size() != counted_size)
        return Error::make(EINVAL, "these are no counts of page_tables()");
    return static_cast<std::int64_t>(after[which]) - static_cast<std::int64_t>(before[which]);
}

Result<Value> do_counted(Doing& /*doing*/, const Given& given) {
    const Result<Geometry> found = geometry();
    const Result<std::int64_t> tables = growth(given, whole_tables);
    const Result<std::int64_t> bytes = growth(given, whole_bytes);
    if (!found || !tables || !bytes)
        return !found ? found.error() : !tables ? tables.error() : bytes.error();
    const auto table_bytes = static_cast<std::int64_t>(found->pages() * sizeof(std::uint64_t));
    return Value::of_word(*bytes == *tables * table_bytes ? "exact" : "wrong");
}

// Bytes of a page that has page tables.
std::size_t table_page() { return static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)); }

Result<Value> do_fill_page(Doing& /*doing*/, const Given& given) {
    const Result<Geometry> found = geometry();
    if (!found)
        return found.error();
    const Range range = range_of(given.at(0));
    const std::size_t table_bytes = found->pages() * sizeof(std::uint64_t);
    std::int64_t made = 0;
    for (std::size_t at = 0; at + found->huge_bytes <= range.bytes; at += found->huge_bytes) {
        char* here = range.start + at;
        *static_cast<volatile char*>(here) = 1;
        ++made;
        const Result<PageTableRange> there = page_table_range(::getpid(), here, found->huge_bytes);
        if (!there)
            return there.error();
        if (there->offsets.size() != 1)
            return Error::make(EINVAL, "no page table is here, but a huge page");
        if (there->offsets.front() + table_bytes == table_page())
            return Value::of(made);
    }
    return Error::make(ENOSPC, "the memory is too small to fill a page with its page tables");
}

Result<Value> do_gone(Doing& /*doing*/, const Given& given) {
    const Result<std::int64_t> tables = growth(given, tables_there);
    if (!tables)
        return tables.error();
    return Value::of(-*tables);
}

} // namespace

// NOLINTNEXTLINE(readability-function-size): a table
void add_pgtable_operations(std::vector<Operation>& rows) {
    const Argument tables{"tables", Type::tables};
    const Argument table{"table", Type::number};
    const Argument memory{"memory", Type::memory};
    const Argument lives{"lives", Type::lives};
    rows.insert(
        rows.end(),
        {{.name = "pte_tables",
          .result = Type::tables,
          .about = "a set of PTE tables that the kernel makes for this process and no mm uses; "
                   "none yet",
          .needs = "defer-tables",
          .where = before,
          .act = make_tables},
         {.name = "pte_alloc",
          .arguments = {tables, {"count", Type::number}},
          .about = "gives the set this number of new tables, in as few pages as possible",
          .where = before,
          .act = do_make},
         {.name = "pte_free_defer",
          .arguments = {tables, table},
          .about = "gives table N of the set to the kernel's pte_free_defer(), on this CPU",
          .act = do_defer},
         {.name = "pte_free",
          .arguments = {tables, table},
          .about = "frees table N at once, as an munmap() would",
          .needs = "free-tables",
          .act = do_free},
         {.name = "pte_watch",
          .arguments = {tables, memory},
          .about = "adds to the set the table that maps memory[N] of the calling process; it still "
                   "belongs to the mm",
          .act = do_watch},
         {.name = "pte_read",
          .arguments = {tables, table, {"at", Type::site}},
          .result = Type::word,
          .words = {"kept", "broken"},
          .about = "reaches this site inside of an RCU section, at table N; it spins. broken: the "
                   "table was freed in that time",
          .where = in_actor,
          .act = do_read},
         {.name = "pte_beside",
          .arguments = {tables, table},
          .result = Type::number,
          .about = "the number of tables in the page of table N that are in use or were never "
                   "handed out",
          .act = do_beside},
         {.name = "pte_beside_less",
          .arguments = {tables, table, {"than", Type::number}},
          .result = Type::number,
          .about = "by how much that number has fallen",
          .act = do_lost},
         {.name = "pte_lives",
          .arguments = {tables},
          .result = Type::lives,
          .about = "the fate of the set's tables, after all deferrals are done",
          .where = in_judge,
          .act = make_lives},
         {.name = "pte_queued",
          .arguments = {lives},
          .result = Type::word,
          .words = {"never", "once", "again"},
          .about = "how often a page's rcu_head was queued; again: also while it was queued",
          .where = in_judge,
          .act = do_queued},
         {.name = "pte_freed",
          .arguments = {lives,
                        {.name = "until", .type = Type::text, .otherwise = ""},
                        {.name = "reader_at", .type = Type::number, .otherwise = "0"}},
          .result = Type::word,
          .words = {"never", "once", "again", "early"},
          .about = "how often a page was freed. early: before a grace period since the last defer "
                   "was over, or while a reader was at one of its tables; `until`: the site at "
                   "which that reader leaves it",
          .where = in_judge,
          .act = do_freed},
         {.name = "pte_marked",
          .arguments = {lives},
          .result = Type::word,
          .words = {"yes", "no"},
          .about = "was a page freed with PG_active set?",
          .where = in_judge,
          .act = do_marked},
         {.name = "pte_page",
          .arguments = {lives},
          .result = Type::word,
          .words = {"shared", "own"},
          .about = "is another table in the page of the first?",
          .where = in_judge,
          .act = do_page},
         {.name = "page_tables",
          .arguments = {memory},
          .result = Type::counts,
          .about = "PTE tables of this process, of all of it and of the memory, and the kernel's "
                   "count of their bytes (VmPTE)",
          .act = make_page_tables},
         {.name = "page_tables_counted",
          .arguments = {{"before", Type::counts}, {"after", Type::counts}},
          .result = Type::word,
          .words = {"exact", "wrong"},
          .about = "has the count changed by as much as the tables of the whole process?",
          .act = do_counted},
         {.name = "page_tables_fill_page",
          .arguments = {memory},
          .result = Type::number,
          .about = "touches a page for each PMD until the page of the page tables is full: the "
                   "next table begins another page. The number of touches",
          .needs = "tables-share-a-page",
          .act = do_fill_page},
         {.name = "page_tables_gone",
          .arguments = {{"before", Type::counts}, {"after", Type::counts}},
          .result = Type::number,
          .about = "the number of the memory's tables that were freed",
          .act = do_gone}});
}

} // namespace faultline
