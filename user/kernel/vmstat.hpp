// SPDX-License-Identifier: GPL-2.0
// Counters of the whole machine, exact. Each CPU keeps small changes to itself for a while, which
// /proc/vmstat and /proc/meminfo leave out. The module's vmstat file adds them up; without the
// module a write to /proc/sys/vm/stat_refresh makes each CPU run a work item that tells them.
#ifndef FAULTLINE_KERNEL_VMSTAT_HPP
#define FAULTLINE_KERNEL_VMSTAT_HPP

#include "kernel/counters.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace faultline {

// Those that a State compares, of the text of each file.
Result<std::vector<Counter>> parse_meminfo(std::string_view text);
Result<std::vector<Counter>> parse_vmstat(std::string_view text);

struct MachineCounters {
    std::vector<Counter> meminfo; // kB, or huge pages
    std::vector<Counter> vmstat;
    std::string inexact; // why they are not exact; "" if they are
};
Result<MachineCounters> machine_counters();

// `exact`: the text of the module's file. Its values replace those of the same counter; `page_kb`
// is the size of a page.
Result<void> make_exact(MachineCounters& counters, std::string_view exact, std::uint64_t page_kb);

} // namespace faultline

#endif // FAULTLINE_KERNEL_VMSTAT_HPP
