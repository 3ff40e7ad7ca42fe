// SPDX-License-Identifier: GPL-2.0
#include "kernel/state_comparison.hpp"

#include "kernel/memory_stat.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>
#include <utility>

namespace faultline {

namespace {

// Counters of all tasks: the comparison uses the part of the driver's cgroup.
constexpr std::string_view of_all_tasks = "the driver's own part is compared by its cgroup";

// Pages of struct pages: from the page allocator, and from boot.
constexpr std::array memmap_counters = {
    std::pair<std::string_view, std::string_view>{"machine vmstat nr_memmap_pages",
                                                  "machine vmstat nr_memmap_boot_pages"},
    std::pair<std::string_view, std::string_view>{"machine vmstat nr_memmap",
                                                  "machine vmstat nr_memmap_boot"}};

std::int64_t unit_of(std::string_view name) {
    return name.starts_with("machine vmstat ") ? ::sysconf(_SC_PAGESIZE) : 1024;
}

} // namespace

Result<TableMemory> TableMemory::take() {
    const Result<State> now = State::take({.machine = false, .cgroup = false});
    if (!now)
        return now.error();
    return TableMemory{now->value("process status VmPTE").value_or(0),
                       reinterpret_cast<std::uintptr_t>(::sbrk(0))};
}

std::string more_tables(const TableMemory& first, const TableMemory& now) {
    // The smallest table is s390's: it maps 256 pages. It has half a page; a page is what others
    // have.
    constexpr std::uintptr_t least_pages = 256;
    const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
    const std::uintptr_t grown = now.heap_end > first.heap_end ? now.heap_end - first.heap_end : 0;
    const std::uintptr_t of_heap = (grown + least_pages * page - 1) / (least_pages * page);
    if (now.kilobytes <= first.kilobytes + of_heap * page / 1024)
        return {};
    return fmt::format("VmPTE was {} kB at the first look and is {} kB, and the heap grew by {} kB",
                       first.kilobytes, now.kilobytes, grown / 1024);
}

void StateComparison::begin(State before) {
    before_ = std::move(before);
    after_.reset();
    allowed_.clear();
    word_.clear();
    why_.clear();
    assumes_quiet_ = false;
    others_.clear();
    not_compared_.clear();
}

// Where it fails, begun() is false.
Result<void> StateComparison::begin(const StateScope& scope) {
    before_.reset();
    Result<State> state = State::take(scope);
    if (!state)
        return state.error();
    begin(std::move(*state));
    return {};
}

Result<void> StateComparison::end(const StateScope& scope) {
    Result<State> state = State::take(scope);
    if (!state)
        return state.error();
    end(std::move(*state));
    return {};
}

void StateComparison::allow(const Allowed& more) {
    allowed_.insert(allowed_.end(), more.begin(), more.end());
}

void StateComparison::compare_all(const Allowed& counted) {
    if (!assumes_quiet_)
        others_ = fmt::to_string(fmt::join(after_->others_since(*before_), ", "));
    Allowed allowed = allowed_;
    allowed.insert(allowed.end(), counted.begin(), counted.end());
    for (const char* name :
         {"meminfo AnonHugePages", "vmstat nr_file_pages", "vmstat nr_swapcached"})
        allowed.push_back({fmt::format("machine {}", name), std::string(of_all_tasks)});
    for (const auto& [buddy, boot] : memmap_counters)
        for (const std::string_view name : {buddy, boot})
            allowed.push_back({std::string(name), "compare_memmap()"});
    allowed.push_back({"cgroup * processes", "compare_cgroups()"});
    allowed.push_back({"cgroup * memory.stat", "compare_cgroups()"});
    std::vector<Difference> differences = compare(*before_, *after_, allowed);
    std::erase_if(differences, [](const Difference& one) {
        return one.name.starts_with("mapping ") && one.name.ends_with(" bytes") &&
               (!one.before || !one.after);
    });
    std::erase_if(differences, [this](const Difference& one) { return left_out(one.name); });
    if (!differences.empty())
        require(false, differences.front().name, to_string(differences));
    compare_memmap();
    compare_cgroups();
}

// The optimization of a huge page frees memory from boot, and a restoration takes other memory: the
// sum must be the same.
void StateComparison::compare_memmap() {
    for (const auto& [buddy, boot] : memmap_counters)
        require(
            growth(buddy) + growth(boot) == 0, buddy,
            fmt::format("{} grew by {}, and {} by {}", buddy, growth(buddy), boot, growth(boot)));
}

// Pages may be another cgroup's after the run: the sums over all count. A process's sum is cut to
// kB: a page less than a whole one is none.
void StateComparison::compare_cgroups() {
    for (const MemoryStatRow& row : memory_stat_rows()) {
        const std::string name = fmt::format("cgroup * memory.stat {}", row.name);
        const std::string other = row.of_processes.empty()
                                      ? std::string(row.grows_as)
                                      : fmt::format("cgroup * processes {}", row.of_processes);
        if (!before_->sum(name) || !after_->sum(name) || !before_->sum(other) ||
            !after_->sum(other))
            continue; // this kernel or this run does not have it
        const auto growth_of = [this](const std::string& one) {
            return static_cast<std::int64_t>(*after_->sum(one) - *before_->sum(one));
        };
        const std::int64_t grew = growth_of(name);
        const std::int64_t should = growth_of(other) * unit_of(other);
        const std::int64_t cut = row.of_processes.empty() ? 1 : ::sysconf(_SC_PAGESIZE);
        if (std::abs(grew - should) < cut || allows(allowed_, name) || left_out(other))
            continue;
        require(false, name,
                fmt::format("{} grew by {} bytes, and {} by {}", name, grew, other, should));
    }
}

std::int64_t StateComparison::growth(std::string_view name) const {
    return static_cast<std::int64_t>(after_->value(name).value_or(0) -
                                     before_->value(name).value_or(0));
}

void StateComparison::require_growth(std::string_view name, std::int64_t by) {
    if (before_->value(name) && after_->value(name))
        require(growth(name) == by, name,
                fmt::format("{} grew by {}, and should by {}", name, growth(name), by));
}

// True if others may have changed this counter, which differs; notes it then.
bool StateComparison::left_out(std::string_view name) {
    if (quiet() || !name.starts_with("machine "))
        return false;
    if (std::none_of(not_compared_.begin(), not_compared_.end(),
                     [name](const NotCompared& one) { return one.counter == name; }))
        not_compared_.push_back({std::string(name), others_});
    return true;
}

void StateComparison::require_shmem_pages(std::int64_t by) {
    require_growth("machine vmstat nr_shmem", by);
    constexpr std::string_view own = "cgroup * memory.stat shmem";
    if (quiet() || !before_->sum(own) || !after_->sum(own))
        return; // else compare_cgroups() has seen to it
    const auto grew = static_cast<std::int64_t>(*after_->sum(own) - *before_->sum(own));
    const std::int64_t should = by * ::sysconf(_SC_PAGESIZE);
    require(grew == should, own, fmt::format("{} grew by {}, and should by {}", own, grew, should));
}

void StateComparison::require(bool condition, std::string_view name, const std::string& otherwise) {
    if (condition || !word_.empty() || allows(allowed_, name) || left_out(name))
        return;
    word_ = name.substr(name.rfind(' ') + 1);
    why_ = otherwise;
}

} // namespace faultline
