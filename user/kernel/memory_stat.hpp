// SPDX-License-Identifier: GPL-2.0
// memory.stat of cgroups (version 2), exact.
//
// Each CPU keeps changes of its own, and the kernel adds them up late: every 2 seconds, and when
// memory.stat is read after enough updates (64 for each CPU; mm/memcontrol.c,
// memcg_vmstats_needs_flush()). Before 6.16 a read of cpu.stat adds up, too. So updates are made
// here that change no counter of the table below: read faults of anonymous memory, which are
// counted (pgfault) and get the page of zeroes. When the sum includes them, it includes all earlier
// changes.
#ifndef FAULTLINE_KERNEL_MEMORY_STAT_HPP
#define FAULTLINE_KERNEL_MEMORY_STAT_HPP

#include "kernel/counters.hpp"
#include "kernel/result.hpp"

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace faultline {

// A counter of memory.stat, and what else must have grown by as much as it has in all cgroups of a
// scenario together.
struct MemoryStatRow {
    std::string_view name;
    std::string_view grows_as;          // "machine meminfo Shmem"; "": of the cgroups' processes
    std::string_view of_processes = {}; // of smaps_rollup, in kB
};
std::span<const MemoryStatRow> memory_stat_rows();

// A counter that is not compared. A name that ends with "*" is all that begin so.
struct MemoryStatLeftOut {
    std::string_view name;
    std::string_view why;
};
std::span<const MemoryStatLeftOut> memory_stat_left_out();

// The counters of the rows.
Result<std::vector<Counter>> parse_memory_stat(std::string_view text);

// Folders of the mounted hierarchy.
struct CgroupPlace {
    std::string root;
    std::string own; // of the task
};
// By /proc/PID/cgroup and mountinfo; ENOENT if version 2 is not mounted or has no memory
// controller.
Result<CgroupPlace> find_cgroup(std::string_view cgroup, std::string_view mountinfo);

// Adds up what CPUs keep, in all cgroups below this one, of which this task is one. ETIMEDOUT if
// the kernel does not do so.
Result<void> fold_memory_stat(const std::string& root);

// The values of smaps_rollup that the rows need, as sums over all processes in the cgroup. Shared
// pages are counted once (Pss_Anon).
Result<std::vector<Counter>> anonymous_of(const std::string& folder);
// Parses one text of smaps_rollup.
Result<std::vector<Counter>> parse_rollup(std::string_view text);

} // namespace faultline

#endif // FAULTLINE_KERNEL_MEMORY_STAT_HPP
