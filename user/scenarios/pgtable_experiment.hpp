// SPDX-License-Identifier: GPL-2.0
// What the scenarios about page tables have in common: how the life of a table's page is judged,
// and a page table over a file whose page is huge already.
#ifndef FAULTLINE_SCENARIOS_PGTABLE_EXPERIMENT_HPP
#define FAULTLINE_SCENARIOS_PGTABLE_EXPERIMENT_HPP

#include "engine/scenario.hpp"
#include "kernel/extent.hpp"
#include "kernel/page_tables.hpp"

#include <cstdint>
#include <vector>

namespace faultline {

// After all tables were given away and a barrier: each page was queued at most once, and freed
// once, not marked, not before a grace period since the last defer was over, and not while the
// reader (until `reader_left_ns`; 0 for none) was at a table of it. `reader_table`: which table
// that was.
void judge_pages(Outcome& outcome, const std::vector<PageTable>& tables, std::size_t reader_table,
                 std::uint64_t reader_left_ns);

// When the site of a schedule was left, 0 if it was not.
std::uint64_t left_ns(const Run& run, std::string_view site);

// Begins with a file that has no huge page: makes one, and gives the mapping at `at` (of one
// extent) a page table again, whose entries are pages of it.
Result<void> map_huge_page_by_ptes(const Extent& extent, char* at);

Need freed_by_rcu();            // the kernel has pte_free_defer()
Need own_tables();              // and the module can give it tables of our own
Need freed_at_once();           // "free I" of PageTables
Need shared_pages(bool shared); // two tables of a process are in one page, or are not
Need huge_pages();
// For what runs collapse_pte_mapped_thp() on purpose: a kernel that survives it.
Need cleared_entries();

} // namespace faultline

#endif // FAULTLINE_SCENARIOS_PGTABLE_EXPERIMENT_HPP
