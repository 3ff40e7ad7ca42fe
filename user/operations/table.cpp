// SPDX-License-Identifier: GPL-2.0
#include "kernel/debugfs.hpp"
#include "kernel/hvo.hpp"
#include "kernel/ksm.hpp"
#include "kernel/page_tables.hpp"
#include "kernel/series.hpp"
#include "operations/objects.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <fmt/format.h>
#include <unistd.h>

namespace faultline {

std::string_view to_string(Type type) {
    switch (type) {
    case Type::nothing:
        return "nothing";
    case Type::number:
        return "a number";
    case Type::word:
        return "a word";
    case Type::error:
        return "an errno";
    case Type::text:
        return "a text";
    case Type::actor:
        return "an actor";
    case Type::file:
        return "a file";
    case Type::memory:
        return "memory";
    case Type::pages:
        return "a file or memory";
    case Type::userfaultfd:
        return "a userfaultfd";
    case Type::pipe:
        return "a pipe";
    case Type::mount:
        return "a tmpfs";
    case Type::swap:
        return "swap space";
    case Type::khugepaged:
        return "khugepaged";
    case Type::pool:
        return "a pool of huge pages";
    case Type::cgroup:
        return "a cgroup";
    case Type::trace:
        return "a trace of collapses";
    case Type::log:
        return "the kernel's log";
    case Type::counts:
        return "counts";
    case Type::state:
        return "a state";
    case Type::frames:
        return "page frames";
    case Type::frame:
        return "a page frame";
    case Type::notifier:
        return "an MMU notifier";
    case Type::child:
        return "a child process";
    case Type::tables:
        return "page tables of our own";
    case Type::lives:
        return "lives of page tables";
    case Type::clock:
        return "a clock";
    case Type::meeting:
        return "a meeting";
    case Type::vmemmap:
        return "the struct pages of a block";
    case Type::site:
        return "a site of the schedule";
    case Type::other:
        break;
    }
    return "an object";
}

std::string to_string(const Value& value) {
    if (value.type == Type::error) {
        if (value.number == 0)
            return "ok";
        const char* name = strerrorname_np(static_cast<int>(value.number));
        return name != nullptr ? name : std::to_string(value.number);
    }
    if (value.type == Type::number)
        return std::to_string(value.number);
    return value.text;
}

std::optional<int> errno_of(std::string_view name) {
    constexpr int most = 134;
    for (int number = 1; number < most; ++number)
        if (const char* known = strerrorname_np(number); known != nullptr && name == known)
            return number;
    return std::nullopt;
}

const std::vector<Operation>& all_operations() {
    static const std::vector<Operation> all = [] {
        std::vector<Operation> rows;
        add_file_operations(rows);
        add_memory_operations(rows);
        add_userfaultfd_operations(rows);
        add_machine_operations(rows);
        add_judging_operations(rows);
        add_state_operations(rows);
        add_collapse_operations(rows);
        add_mthp_operations(rows);
        add_hugetlb_operations(rows);
        add_timing_operations(rows);
        add_pgtable_operations(rows);
        add_notifier_operations(rows);
        add_offline_operations(rows);
        add_hvo_operations(rows);
        add_child_operations(rows);
        return rows;
    }();
    return all;
}

const Operation* find_operation(std::string_view name) {
    for (const Operation& operation : all_operations())
        if (operation.name == name)
            return &operation;
    return nullptr;
}

std::string signature(const Operation& operation) {
    std::string text = std::string(operation.name) + "(";
    for (const Argument& argument : operation.arguments) {
        if (&argument != &operation.arguments.front())
            text += ", ";
        const bool optional = argument.otherwise.has_value();
        text += optional ? "[" : "";
        text += argument.name;
        if (!argument.constants.empty()) {
            text += "=";
            for (const Constant& constant : argument.constants)
                text += (&constant == &argument.constants.front() ? "" : "|") +
                        std::string(constant.name);
        }
        text += optional ? "]" : "";
    }
    text += ")";
    if (!operation.words.empty())
        text += fmt::format(" -> {}", fmt::join(operation.words, "|"));
    else if (operation.result != Type::nothing)
        text += fmt::format(" -> {}", to_string(operation.result));
    return text;
}

namespace {

std::optional<std::string> missing_cgroups() {
    if (::access("/sys/fs/cgroup/cgroup.procs", W_OK) == 0)
        return std::nullopt;
    return "no hierarchy of cgroups (version 2) is mounted";
}

std::optional<std::string> missing_cleared_tables() {
#ifdef __s390x__
    if (in_series(running_release(), "6.1"))
        return "6.1 on s390x gives page tables out again with their old entries, which ruins the "
               "machine: docs/findings/s390x-recycled-page-table.md";
#endif
    return std::nullopt;
}

std::optional<std::string> missing_moves() {
#ifdef __s390x__
    return "s390x has no CONFIG_HAVE_MOVE_PMD";
#else
    return std::nullopt;
#endif
}

std::optional<std::string> missing_sharing(bool shared) {
    const std::optional<bool> share = tables_share_a_page();
    if (!share)
        return "the module could make no two page tables";
    if (*share == shared)
        return std::nullopt;
    return *share ? "two tables of this process share a page here"
                  : "two tables of this process have a page each here";
}
std::optional<std::string> missing_shared_tables() { return missing_sharing(true); }
std::optional<std::string> missing_tables_apart() { return missing_sharing(false); }

std::optional<std::string> missing_free_tables() { return missing_capability("free-tables"); }

std::optional<std::string> missing_file(const char* path) {
    return ::access(path, F_OK) == 0
               ? std::nullopt
               : std::optional<std::string>(Error::last("no", path).to_string());
}
std::optional<std::string> missing_page_idle() {
    return missing_file("/sys/kernel/mm/page_idle/bitmap");
}

struct NeedRow {
    std::string_view name;
    std::string_view about;
    std::optional<std::string> (*missing)();
};
constexpr std::array needs = {
    NeedRow{"huge-pages", "transparent huge pages", missing_huge_pages},
    NeedRow{"userfaultfd", "userfaultfd(2)", missing_userfaultfd},
    NeedRow{"write-protect", "userfaultfd write protection", missing_write_protect},
    NeedRow{"hugetlb", "huge pages", missing_hugetlb},
    NeedRow{"pmd-sharing", "PMD sharing", missing_pmd_sharing},
    NeedRow{"mmu-notifier", "pgtable/notifier", missing_mmu_notifier},
    NeedRow{"ram-disk", "a RAM disk to swap to", missing_ram_disk},
    NeedRow{"ksm", "KSM", missing_ksm},
    NeedRow{"mthp-collapse", "collapse into orders below the PMD's", missing_mthp_collapse},
    NeedRow{"shmem-2M", "a setting of shared memory for huge pages of 2 MiB", missing_shmem_2m},
    NeedRow{"cgroup", "cgroups", missing_cgroups},
    NeedRow{"defer-tables", "pte_free_defer()", missing_pte_free_defer},
    NeedRow{"own-tables", "page tables of our own", missing_own_tables},
    NeedRow{"free-tables", "tables freed at once", missing_free_tables},
    NeedRow{"tables-share-a-page", "page tables that share a page", missing_shared_tables},
    NeedRow{"tables-apart", "page tables with a page each", missing_tables_apart},
    NeedRow{"cleared-tables", "a cleared page table", missing_cleared_tables},
    NeedRow{"moved-tables", "moves of whole page tables", missing_moves},
    NeedRow{"hvo", "vm.hugetlb_optimize_vmemmap", missing_hvo},
    NeedRow{"soft-offline", "soft offlining", missing_soft_offline},
    NeedRow{"page-idle", "page_idle", missing_page_idle},
};
constexpr std::string_view machine_prefix = "machine ";
constexpr std::string_view capability_prefix = "capability ";
constexpr std::string_view release_prefix = "release ";

// A machine that is in the list, "x86_64 aarch64".
std::optional<std::string> missing_machine(const std::string& list) {
    const std::string padded = " " + list + " ";
    if (padded.find(" " + running_machine() + " ") != std::string::npos)
        return std::nullopt;
    return running_machine() + " is none";
}

// A kernel that is in the list, "6.12 < 6.12.117, 7.2".
std::optional<std::string> missing_release(const std::string& list) {
    if (in_releases(running_version(), list))
        return std::nullopt;
    return running_version() + " is none";
}

} // namespace

std::optional<Need> find_need(std::string_view name) {
    for (const NeedRow& row : needs)
        if (row.name == name)
            return Need{row.about, row.missing};
    if (name.starts_with(machine_prefix))
        return Need{name, [list = std::string(name.substr(machine_prefix.size()))] {
                        return missing_machine(list);
                    }};
    if (name.starts_with(capability_prefix))
        return Need{name, [one = std::string(name.substr(capability_prefix.size()))] {
                        return missing_capability(one);
                    }};
    if (name.starts_with(release_prefix))
        return Need{name, [list = std::string(name.substr(release_prefix.size()))] {
                        return missing_release(list);
                    }};
    return std::nullopt;
}

std::vector<std::string_view> need_names() {
    std::vector<std::string_view> names;
    names.reserve(needs.size());
    for (const NeedRow& row : needs)
        names.push_back(row.name);
    return names;
}

const std::vector<NamedNumber>& named_numbers() {
    static const std::vector<NamedNumber> all = {
        {"PMD", "the number of pages that a PMD maps",
         [] {
             const Result<Geometry> found = geometry();
             return found ? static_cast<std::int64_t>(found->pages()) : std::int64_t{0};
         },
         "(long)(huge_bytes() / small_page())"},
        {"HALF", "half of PMD",
         [] {
             const Result<Geometry> found = geometry();
             return found ? static_cast<std::int64_t>(found->pages() / 2) : std::int64_t{0};
         },
         "(long)(huge_bytes() / small_page() / 2)"},
        {"HALF_PUD", "half of PUD",
         [] {
             return static_cast<std::int64_t>(static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)) /
                                              sizeof(void*) / 2);
         },
         "(long)(small_page() / sizeof(void *) / 2)"},
        {"PUD", "the number of huge pages (of hugetlb's default size) that a PUD maps",
         [] {
             return static_cast<std::int64_t>(static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)) /
                                              sizeof(void*));
         },
         "(long)(small_page() / sizeof(void *))"},
    };
    return all;
}

std::string nearest(std::string_view name, const std::vector<std::string>& candidates) {
    const auto distance = [name](std::string_view other) {
        std::vector<std::size_t> row(other.size() + 1);
        for (std::size_t j = 0; j < row.size(); ++j)
            row[j] = j;
        for (std::size_t i = 1; i <= name.size(); ++i) {
            std::size_t diagonal = row[0];
            row[0] = i;
            for (std::size_t j = 1; j <= other.size(); ++j) {
                const std::size_t above = row[j];
                const bool same = std::tolower(name[i - 1]) == std::tolower(other[j - 1]);
                row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (same ? 0 : 1)});
                diagonal = above;
            }
        }
        return row.back();
    };
    std::string best;
    std::size_t least = std::max<std::size_t>(2, name.size() / 2) + 1;
    for (const std::string& candidate : candidates)
        if (const std::size_t now = distance(candidate); now < least) {
            least = now;
            best = candidate;
        }
    return best;
}

} // namespace faultline
