// SPDX-License-Identifier: GPL-2.0
#include "explore/balance.hpp"

#include "kernel/counters.hpp"
#include "kernel/fd.hpp"

#include <array>
#include <cstdlib>
#include <fmt/format.h>

namespace faultline {

namespace {

constexpr std::int64_t counter_noise = 2048; // each CPU has up to 32 pages that it has not told
constexpr std::int64_t table_noise = 256;
constexpr std::int64_t memory_noise = 16384;

Result<std::int64_t> number_in(const char* path, std::string_view name) {
    const Result<std::string> text = read_text(path);
    if (!text)
        return text.error();
    const std::array names = {name};
    const Result<std::vector<Counter>> counters = parse_counters(*text, ':', names, path);
    if (!counters)
        return counters.error();
    return static_cast<std::int64_t>(counter_of(*counters, name).value_or(0));
}

} // namespace

Result<Balance> Balance::take() {
    if (Result<void> dropped = write_text("/proc/sys/vm/drop_caches", "3"); !dropped)
        return dropped.error();
    Balance balance;
    struct Row {
        const char* path;
        std::string_view name;
        std::int64_t* value;
    };
    for (const Row& row : {Row{"/proc/self/status", "VmRSS", &balance.counted},
                           Row{"/proc/self/smaps_rollup", "Rss", &balance.mapped},
                           Row{"/proc/self/status", "VmPTE", &balance.tables},
                           Row{"/proc/meminfo", "MemAvailable", &balance.available}}) {
        const Result<std::int64_t> number = number_in(row.path, row.name);
        if (!number)
            return number.error();
        *row.value = *number;
    }
    return balance;
}

std::vector<std::string> losses(const Balance& before, const Balance& after, std::uint64_t runs) {
    std::vector<std::string> all;
    const std::int64_t drift = (after.counted - after.mapped) - (before.counted - before.mapped);
    if (std::abs(drift) > counter_noise)
        all.push_back(
            fmt::format("the kernel counts {} kB {} for this process than its page tables "
                        "map, after {} runs",
                        std::abs(drift), drift > 0 ? "more" : "less", runs));
    if (after.tables - before.tables > table_noise)
        all.push_back(fmt::format("this process has {} kB more of page tables after {} runs",
                                  after.tables - before.tables, runs));
    const std::int64_t own = after.mapped - before.mapped;
    const std::int64_t lost = before.available - after.available - own;
    if (lost > memory_noise)
        all.push_back(
            fmt::format("the machine has {} kB less of free memory after {} runs", lost, runs));
    return all;
}

} // namespace faultline
