// SPDX-License-Identifier: GPL-2.0
#include "kernel/vmstat.hpp"

#include "kernel/debugfs.hpp"
#include "kernel/fd.hpp"

#include <array>
#include <unistd.h>

namespace faultline {

namespace {

// The values that a State compares.
constexpr std::array<std::string_view, 13> meminfo_names = {
    "Shmem",          "AnonHugePages",     "ShmemHugePages",  "ShmemPmdMapped", "FileHugePages",
    "FilePmdMapped",  "HardwareCorrupted", "HugePages_Total", "HugePages_Free", "HugePages_Rsvd",
    "HugePages_Surp", "Hugetlb",           "Mlocked"};
constexpr std::array<std::string_view, 12> vmstat_names = {
    "nr_memmap_pages",    "nr_memmap_boot_pages", "nr_memmap",
    "nr_memmap_boot",     "nr_hugetlb",           "nr_shmem",
    "nr_shmem_hugepages", "nr_shmem_pmdmapped",   "nr_file_hugepages",
    "nr_file_pmdmapped",  "nr_file_pages",        "nr_swapcached"};

// Lines of /proc/meminfo that are a counter of /proc/vmstat. Those of huge pages are not here: a
// change by a huge page is too large for a CPU to keep.
struct Twin {
    std::string_view meminfo;
    std::string_view vmstat;
};
constexpr std::array twins = {Twin{"Shmem", "nr_shmem"}, Twin{"Mlocked", "nr_mlock"}};

Result<std::string> exact_text() {
    const Result<std::string> path = faultline_file("vmstat");
    return path ? read_text(*path) : path;
}

} // namespace

Result<std::vector<Counter>> parse_meminfo(std::string_view text) {
    return parse_counters(text, ':', meminfo_names, "/proc/meminfo");
}

Result<std::vector<Counter>> parse_vmstat(std::string_view text) {
    return parse_counters(text, ' ', vmstat_names, "/proc/vmstat");
}

Result<void> make_exact(MachineCounters& counters, std::string_view exact, std::uint64_t page_kb) {
    std::vector<std::string_view> names(vmstat_names.begin(), vmstat_names.end());
    for (const Twin& twin : twins)
        if (!among(names, twin.vmstat))
            names.push_back(twin.vmstat);
    const Result<std::vector<Counter>> sums = parse_counters(exact, ' ', names, "faultline/vmstat");
    if (!sums)
        return sums.error();
    for (auto& [name, value] : counters.vmstat)
        value = counter_of(*sums, name).value_or(value);
    for (const Twin& twin : twins) {
        const std::optional<std::uint64_t> pages = counter_of(*sums, twin.vmstat);
        const auto line = find_counter(counters.meminfo, twin.meminfo);
        if (pages && line != counters.meminfo.end())
            line->second = *pages * page_kb;
    }
    return {};
}

Result<MachineCounters> machine_counters() {
    MachineCounters counters;
    const Result<std::string> exact = exact_text();
    if (!exact)
        if (const Result<void> folded = write_text("/proc/sys/vm/stat_refresh", "1"); !folded)
            counters.inexact = folded.error().to_string();
    const Result<std::string> meminfo_text = read_text("/proc/meminfo");
    if (!meminfo_text)
        return meminfo_text.error();
    const Result<std::string> vmstat_text = read_text("/proc/vmstat");
    if (!vmstat_text)
        return vmstat_text.error();
    Result<std::vector<Counter>> meminfo = parse_meminfo(*meminfo_text);
    Result<std::vector<Counter>> vmstat = parse_vmstat(*vmstat_text);
    if (!meminfo || !vmstat)
        return meminfo ? vmstat.error() : meminfo.error();
    counters.meminfo = std::move(*meminfo);
    counters.vmstat = std::move(*vmstat);
    const auto page_kb = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE)) / 1024;
    if (Result<void> made = exact ? make_exact(counters, *exact, page_kb) : Result<void>(); !made)
        return made.error();
    return counters;
}

} // namespace faultline
