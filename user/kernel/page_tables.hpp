// SPDX-License-Identifier: GPL-2.0
// The module's files <debugfs>/faultline/pgtable/: PTE tables that no mm uses, the tables of a
// range, the calls of MMU notifiers, and the locks of an address. Lines: kmod/pgtable_lines.h.
#ifndef FAULTLINE_KERNEL_PAGE_TABLES_HPP
#define FAULTLINE_KERNEL_PAGE_TABLES_HPP

#include "kernel/debugfs.hpp"
#include "kernel/result.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

namespace faultline {

// A line of pgtable/tables. All but the first three fields are of the table's page. Times are
// CLOCK_MONOTONIC in nanoseconds, 0 = never.
struct PageTable {
    std::uint64_t pfn = 0;
    std::string state; // "ours", "given", "watched"
    std::uint64_t given_ns = 0;
    int tables = 0; // in use in this page, or never handed out
    int queued = 0; // times an rcu_head in this page was queued
    int again = 0;  // of those, while it had been queued before
    int freed = 0;  // times the page was freed
    int active = 0; // of those, with PG_active set
    std::uint64_t freed_ns = 0;
    int early = 0;  // freed before a grace period since the last defer was over
    int broken = 0; // readers of this table during which the page was freed
};
Result<std::vector<PageTable>> parse_page_tables(std::string_view text);

// A set of PTE tables of this process. Children inherit the file, but the tables are the opener's.
class PageTables {
  public:
    static Result<PageTables> open();

    // As kmod/pgtable_lines.h says: "tables 4", "defer 0 2", "free 1", "watch 7f0000000000",
    // "barrier".
    [[nodiscard]] Result<void> send(const std::string& command) const;
    [[nodiscard]] Result<void> watch(const void* address) const;
    [[nodiscard]] Result<std::vector<PageTable>> tables() const;
    // The same when all that was deferred so far is done.
    [[nodiscard]] Result<std::vector<PageTable>> settled() const;
    [[nodiscard]] int file() const { return file_.get(); } // for ActorContext::at_reading()

  private:
    explicit PageTables(ModuleFile file) : file_(std::move(file)) {}
    ModuleFile file_;
};

// PTEs in a row that map pages in a row of a large folio.
struct TableFolio {
    unsigned page = 0; // the first, in its table
    unsigned pages = 0;
    unsigned order = 0; // of the folio
    friend bool operator==(const TableFolio&, const TableFolio&) = default;
};

struct PageTableRange {
    unsigned tables = 0;           // PTE tables in the range
    unsigned huge = 0;             // PMDs that map a huge page
    std::vector<unsigned> offsets; // of each table in its page, in bytes
    // By PMD of the range that is mapped. Nothing of one that has no PTE table.
    std::vector<std::vector<TableFolio>> folios;
    std::int64_t pgtables_bytes = 0; // of the whole mm, as the kernel counts
};
Result<PageTableRange> parse_page_table_range(std::string_view text);
Result<PageTableRange> page_table_range(pid_t pid, const void* start, std::size_t bytes);

// The locks that an address of this process depends on, as they are now: the words of
// FL_LOCKS_STATES() in kmod/pgtable_lines.h.
struct PageLocks {
    std::string mmap;
    std::string vma;
    std::string anon_vma;
    std::string pmd; // no lock: "none", "table", "huge"
    std::string pte;
};
Result<PageLocks> parse_page_locks(std::string_view text);
Result<PageLocks> page_locks(const void* address);

// One call of an MMU notifier, about all of the range that is listened to, or more.
struct Invalidation {
    bool end = false; // else its start
    std::uint64_t from = 0;
    std::uint64_t to = 0;
    std::uint64_t at_ns = 0;
};
Result<std::vector<Invalidation>> parse_invalidations(std::string_view text);

// The first invalidation, and a moment.
struct Told {
    bool start = false;
    bool before = false; // the start
    bool end = false;    // one after the moment
};
Told told_around(const std::vector<Invalidation>& notes, std::uint64_t moment_ns);

class MmuListener {
  public:
    static Result<MmuListener> open();
    // Listens in this process, from now on; drops earlier notes. EOPNOTSUPP without
    // CONFIG_MMU_NOTIFIER.
    [[nodiscard]] Result<void> listen(const void* start, std::size_t bytes) const;
    [[nodiscard]] Result<std::vector<Invalidation>> invalidations() const;

  private:
    explicit MmuListener(ModuleFile file) : file_(std::move(file)) {}
    ModuleFile file_;
};

// For a scenario's needs, by the module's own file of capabilities.
std::optional<std::string> missing_pte_free_defer();
std::optional<std::string> missing_own_tables(); // that, and PageTables can have tables
// Are two tables of this process in one page, where they can be? nullopt: there can be none.
std::optional<bool> tables_share_a_page();
std::optional<std::string> missing_mmu_notifier(); // for MmuListener

} // namespace faultline

#endif // FAULTLINE_KERNEL_PAGE_TABLES_HPP
