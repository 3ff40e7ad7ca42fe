// SPDX-License-Identifier: GPL-2.0
#include "kernel/memory_stat.hpp"

#include "kernel/fd.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <fmt/format.h>
#include <optional>
#include <sstream>
#include <sys/mman.h>
#include <unistd.h>

namespace faultline {

namespace {

constexpr std::array rows = {
    MemoryStatRow{"anon", "", "Pss_Anon"},
    MemoryStatRow{"anon_thp", "", "AnonHugePages"},
    MemoryStatRow{"file", "machine vmstat nr_file_pages"},
    MemoryStatRow{"shmem", "machine meminfo Shmem"},
    MemoryStatRow{"file_thp", "machine meminfo FileHugePages"},
    MemoryStatRow{"shmem_thp", "machine meminfo ShmemHugePages"},
    MemoryStatRow{"swapcached", "machine vmstat nr_swapcached"},
};

constexpr std::string_view lists = "pages wait in lists of each CPU before they are counted";
constexpr std::string_view events = "it counts events";
constexpr std::string_view objects = "freed by RCU, or kept by CPUs for the next one";
constexpr std::string_view no_disk = "it changes by itself, and no file here is on a disk";
constexpr std::array left_out = {
    MemoryStatLeftOut{"kernel", objects},
    MemoryStatLeftOut{"kernel_stack", objects},
    MemoryStatLeftOut{"pagetables", objects},
    MemoryStatLeftOut{"sec_pagetables", objects},
    MemoryStatLeftOut{"percpu", objects},
    MemoryStatLeftOut{"vmalloc", objects},
    MemoryStatLeftOut{"slab*", objects},
    MemoryStatLeftOut{"sock", "of the network"},
    MemoryStatLeftOut{"zswap*", "it changes by itself"},
    MemoryStatLeftOut{"zswpin", events},
    MemoryStatLeftOut{"zswpout", events},
    MemoryStatLeftOut{"zswpwb", events},
    MemoryStatLeftOut{"file_mapped", "programs' pages are mapped, too, and charged to others"},
    MemoryStatLeftOut{"file_dirty", no_disk},
    MemoryStatLeftOut{"file_writeback", no_disk},
    MemoryStatLeftOut{"inactive_*", lists},
    MemoryStatLeftOut{"active_*", lists},
    MemoryStatLeftOut{"unevictable", lists},
    MemoryStatLeftOut{"hugetlb", "only a mount option has huge pages counted there"},
    MemoryStatLeftOut{"workingset_*", events},
    MemoryStatLeftOut{"pg*", events},
    MemoryStatLeftOut{"swpin_zero", events},
    MemoryStatLeftOut{"swpout_zero", events},
    MemoryStatLeftOut{"thp_*", events},
    MemoryStatLeftOut{"numa_*", events},
};

// Enough of them on one CPU, and for what others have not told yet.
constexpr std::size_t updates_per_cpu = 128;
constexpr unsigned most_tries = 10;
// A first sum may be one that the kernel had begun before.
constexpr unsigned sums = 2;

// Anonymous memory in pages of the smallest size.
class Faults {
  public:
    Faults()
        : pages_(updates_per_cpu * (static_cast<std::size_t>(::sysconf(_SC_NPROCESSORS_ONLN)) + 1)),
          bytes_(pages_ * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE))),
          memory_(::mmap(nullptr, bytes_, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                         -1, 0)) {
        // EINVAL: there are no huge pages.
        if (memory_ != MAP_FAILED)
            (void)::madvise(memory_, bytes_, MADV_NOHUGEPAGE);
    }
    Faults(const Faults&) = delete;
    Faults& operator=(const Faults&) = delete;
    ~Faults() {
        if (memory_ != MAP_FAILED)
            ::munmap(memory_, bytes_);
    }
    [[nodiscard]] std::size_t pages() const { return pages_; }
    Result<void> make() {
        if (memory_ == MAP_FAILED || ::madvise(memory_, bytes_, MADV_POPULATE_READ) != 0 ||
            ::madvise(memory_, bytes_, MADV_DONTNEED) != 0)
            return Error::last("page faults");
        return {};
    }

  private:
    std::size_t pages_;
    std::size_t bytes_;
    void* memory_;
};

Result<std::uint64_t> count_faults(const std::string& path) {
    const Result<std::string> text = read_text(path);
    if (!text)
        return text.error();
    constexpr std::array<std::string_view, 1> name = {"pgfault"};
    const Result<std::vector<Counter>> counters = parse_counters(*text, ' ', name, path);
    if (!counters)
        return counters.error();
    return counters->front().second;
}

// "4:memory:/a" is version 1, "0::/a" version 2.
Result<std::string> path_of_task(std::string_view cgroup) {
    std::optional<std::string> found;
    while (const std::optional<std::string_view> line = next_line(cgroup)) {
        const auto [number, rest] = split_line(*line, ':');
        const auto [controllers, path] = split_line(rest, ':');
        if (fmt::format(",{},", controllers).find(",memory,") != std::string::npos)
            return Error::make(ENOENT, "the memory controller is of version 1", "memory.stat");
        if (number == "0" && controllers.empty())
            found = path;
    }
    return found ? Result<std::string>(*found)
                 : Error::make(ENOENT, "no cgroup of version 2", "memory.stat");
}

} // namespace

std::span<const MemoryStatRow> memory_stat_rows() { return rows; }
std::span<const MemoryStatLeftOut> memory_stat_left_out() { return left_out; }

Result<std::vector<Counter>> parse_memory_stat(std::string_view text) {
    std::array<std::string_view, rows.size()> names;
    std::transform(rows.begin(), rows.end(), names.begin(),
                   [](const MemoryStatRow& row) { return row.name; });
    return parse_counters(text, ' ', names, "memory.stat");
}

Result<CgroupPlace> find_cgroup(std::string_view cgroup, std::string_view mountinfo) {
    const Result<std::string> of_task = path_of_task(cgroup);
    if (!of_task)
        return of_task.error();
    while (const std::optional<std::string_view> line = next_line(mountinfo)) {
        const std::size_t dash = line->find(" - ");
        if (dash == std::string_view::npos)
            return Error::make(EPROTO, "not understood: " + std::string(*line), "mountinfo");
        std::istringstream front{std::string(line->substr(0, dash))};
        std::istringstream back{std::string(line->substr(dash + 3))};
        std::string word;
        std::string root;
        std::string mount;
        std::string type;
        front >> word >> word >> word >> root >> mount;
        back >> type;
        if (!front || !back)
            return Error::make(EPROTO, "not understood: " + std::string(*line), "mountinfo");
        if (type != "cgroup2")
            continue;
        std::string path = *of_task;
        if (root != "/" && path.starts_with(root)) // a part of the hierarchy is mounted
            path.erase(0, root.size());
        return CgroupPlace{mount, mount + (path == "/" ? "" : path)};
    }
    return Error::make(ENOENT, "cgroups of version 2 are not mounted", "memory.stat");
}

Result<void> fold_memory_stat(const std::string& root) {
    const std::string path = root + "/memory.stat";
    Faults faults;
    Result<std::uint64_t> known = count_faults(path);
    if (!known)
        return known.error();
    unsigned done = 0;
    for (unsigned tries = 0; tries < most_tries; ++tries) {
        if (Result<void> made = faults.make(); !made)
            return made;
        const Result<std::uint64_t> now = count_faults(path);
        if (!now)
            return now.error();
        if (*now - *known < faults.pages())
            continue;
        known = now;
        if (++done == sums)
            return {};
    }
    return Error::make(ETIMEDOUT, "the kernel does not add up what its CPUs have counted", path);
}

Result<std::vector<Counter>> parse_rollup(std::string_view text) {
    constexpr std::string_view path = "smaps_rollup";
    const std::optional<std::string_view> head = next_line(text);
    if (!head || !head->ends_with("[rollup]"))
        return Error::make(EPROTO, "the first line has no [rollup]", path);
    std::vector<std::string_view> names;
    for (const MemoryStatRow& row : rows)
        if (!row.of_processes.empty())
            names.push_back(row.of_processes);
    return parse_counters(text, ':', names, path);
}

Result<std::vector<Counter>> anonymous_of(const std::string& folder) {
    const Result<std::string> processes = read_text(folder + "/cgroup.procs");
    if (!processes)
        return processes.error();
    std::vector<Counter> sums_of_all;
    for (const MemoryStatRow& row : rows)
        if (!row.of_processes.empty())
            sums_of_all.emplace_back(row.of_processes, 0);
    std::string_view rest = *processes;
    while (const std::optional<std::string_view> pid = next_line(rest)) {
        const Result<std::string> text = read_text(fmt::format("/proc/{}/smaps_rollup", *pid));
        // A process that has ended meanwhile, or one without memory: a thread of the kernel.
        if (!text && (text.error().number == ESRCH || text.error().number == ENOENT))
            continue;
        const Result<std::vector<Counter>> counters =
            text ? parse_rollup(*text) : Result<std::vector<Counter>>(text.error());
        if (!counters)
            return counters.error();
        for (const auto& [name, value] : *counters)
            find_counter(sums_of_all, name)->second += value;
    }
    return sums_of_all;
}

} // namespace faultline
