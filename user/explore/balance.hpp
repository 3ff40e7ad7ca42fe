// SPDX-License-Identifier: GPL-2.0
// Values that many runs together must not change, and that no single run can show: memory that is
// lost bit by bit, and counters of this process that go wrong, which the kernel reports only at its
// exit.
#ifndef FAULTLINE_EXPLORE_BALANCE_HPP
#define FAULTLINE_EXPLORE_BALANCE_HPP

#include "kernel/result.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace faultline {

// In kB.
struct Balance {
    std::int64_t counted = 0;   // VmRSS: what the kernel counts for this process
    std::int64_t mapped = 0;    // Rss of /proc/self/smaps_rollup: what its page tables map
    std::int64_t tables = 0;    // VmPTE
    std::int64_t available = 0; // of the machine's memory, without caches
    // Drops the machine's caches.
    static Result<Balance> take();
};

// A sentence for each that is off by more than noise: per-CPU counters are read inexactly, and
// other tasks use memory, too.
std::vector<std::string> losses(const Balance& before, const Balance& after, std::uint64_t runs);

} // namespace faultline

#endif // FAULTLINE_EXPLORE_BALANCE_HPP
