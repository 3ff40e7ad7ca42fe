// SPDX-License-Identifier: GPL-2.0
#include "scenarios/pgtable_experiment.hpp"

#include "kernel/debugfs.hpp"
#include "kernel/series.hpp"

#include <algorithm>
#include <limits>
#include <map>
#include <sys/mman.h>

namespace faultline {

namespace {

std::string times(int number) {
    return number == 0 ? "never" : number == 1 ? "once" : std::to_string(number) + "x";
}

} // namespace

void judge_pages(Outcome& outcome, const std::vector<PageTable>& tables, std::size_t reader_table,
                 std::uint64_t reader_left_ns) {
    int queued_most = 0;
    int queued_least = std::numeric_limits<int>::max();
    int again = 0;
    int freed_most = 0;
    int freed_least = std::numeric_limits<int>::max();
    int active = 0;
    bool early = false;
    const std::uint64_t read_pfn =
        reader_table < tables.size() ? tables[reader_table].pfn : ~std::uint64_t{0};
    for (const PageTable& table : tables) {
        queued_most = std::max(queued_most, table.queued);
        queued_least = std::min(queued_least, table.queued);
        again += table.again;
        freed_most = std::max(freed_most, table.freed);
        freed_least = std::min(freed_least, table.freed);
        active += table.active;
        const bool under_reader = reader_left_ns != 0 && table.pfn == read_pfn &&
                                  table.freed != 0 && table.freed_ns < reader_left_ns;
        early = early || table.early > 0 || table.broken > 0 || under_reader;
    }
    outcome.add("queued", again > 0 ? "again" : times(queued_least == 0 ? 0 : queued_most))
        .add("freed", early ? "early" : times(freed_least == 0 ? 0 : freed_most));
    if (active > 0)
        outcome.add("marked", "yes");
    outcome.require(again == 0, "an rcu_head was queued while it was queued")
        .require(!early, "a page was freed before a grace period since the last defer was over")
        .require(freed_least > 0, "a page was not freed after the last of its tables")
        .require(freed_most <= 1, "a page was freed twice")
        .require(active == 0, "a page was freed with PG_active set");
}

std::uint64_t left_ns(const Run& run, std::string_view site) {
    const fl_site_result* result = run.site(site);
    return result == nullptr ? 0 : result->left_ns;
}

Result<void> map_huge_page_by_ptes(const Extent& extent, char* at) {
    if (const int number = extent.collapse(at); number != 0)
        return Error::make(number, "the first collapse");
    // In a VMA that is too small for it a huge page is mapped by PTEs. The split unmaps it.
    if (::mprotect(at, extent.page_bytes(), PROT_READ) != 0)
        return Error::last("mprotect");
    for (std::size_t page = 0; page < extent.pages(); ++page)
        extent.populate(at + page * extent.page_bytes());
    if (::mprotect(at, extent.page_bytes(), PROT_READ | PROT_WRITE) != 0)
        return Error::last("mprotect");
    return {};
}

Need cleared_entries() {
    return {"a cleared page table", []() -> std::optional<std::string> {
#ifdef __s390x__
                if (in_series(running_release(), "6.1"))
                    return "6.1 on s390x gives page tables out again with their old entries, which "
                           "ruins the machine: docs/findings/s390x-recycled-page-table.md";
#endif
                return std::nullopt;
            }};
}

Need freed_by_rcu() { return {"pte_free_defer()", missing_pte_free_defer}; }

Need own_tables() { return {"page tables of our own", missing_own_tables}; }

Need freed_at_once() {
    return {"tables freed at once", [] { return missing_capability("free-tables"); }};
}

Need shared_pages(bool shared) {
    return {shared ? "page tables that share a page" : "page tables with a page each",
            [shared]() -> std::optional<std::string> {
                const std::optional<bool> share = tables_share_a_page();
                if (!share)
                    return "the module could make no two page tables";
                if (*share == shared)
                    return std::nullopt;
                return *share ? "two tables of this process share a page here"
                              : "two tables of this process have a page each here";
            }};
}

Need huge_pages() { return {"transparent huge pages", missing_huge_pages}; }

} // namespace faultline
