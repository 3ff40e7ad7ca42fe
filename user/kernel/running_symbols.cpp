// SPDX-License-Identifier: GPL-2.0
#include "kernel/running_symbols.hpp"

#include "kernel/fd.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <fmt/format.h>

namespace faultline {

namespace {

// Functions all over a folder, of files that the linker puts first, last and in between. A kernel
// that lacks some has the others.
struct Folder {
    std::string_view name;
    std::array<std::string_view, 24> functions;
};
constexpr std::array folders = {
    Folder{"mm", {"filemap_add_folio",    "mempool_alloc",        "oom_badness",
                  "shmem_fault",          "handle_mm_fault",      "mincore_page",
                  "vm_mmap_pgoff",        "move_page_tables",     "change_protection",
                  "page_vma_mapped_walk", "try_to_unmap",         "vmalloc_to_page",
                  "hugetlb_fault",        "madvise_walk_vmas",    "swap_writepage",
                  "ksm_madvise",          "migrate_pages",        "khugepaged",
                  "collapse_file",        "mem_cgroup_from_task", "soft_offline_page",
                  "memfd_fcntl",          "mfill_atomic_copy",    "usercopy_abort"}},
    Folder{"fs",
           {"do_truncate",
            "vfs_fallocate",
            "vfs_read",
            "vfs_write",
            "alloc_super",
            "cdev_add",
            "vfs_statx",
            "path_openat",
            "do_fcntl",
            "dput",
            "evict",
            "alloc_fd",
            "seq_read_iter",
            "simple_statfs",
            "vfs_fsync_range",
            "pipe_read",
            "proc_pid_status",
            "pagemap_read",
            "handle_userfault",
            "userfaultfd_ioctl",
            "hugetlbfs_fallocate",
            "kernfs_fop_open",
            "sysfs_create_dir_ns",
            "do_iter_readv_writev"}},
};

constexpr bool is_text(char kind) {
    return kind == 't' || kind == 'T' || kind == 'w' || kind == 'W';
}

} // namespace

Result<RunningSymbols> RunningSymbols::parse(std::string_view text) {
    RunningSymbols made;
    bool any_address = false;
    for (std::size_t from = 0, line_number = 1; from < text.size(); ++line_number) {
        const std::size_t end = std::min(text.find('\n', from), text.size());
        const std::string_view line = text.substr(from, end - from);
        from = end + 1;
        const std::size_t kind = line.find(' ') + 1;
        RunningSymbol symbol;
        const auto [rest, error] =
            std::from_chars(line.data(), line.data() + line.size(), symbol.address, 16);
        if (error != std::errc() || rest != line.data() + kind - 1 || kind + 2 >= line.size() ||
            line[kind + 1] != ' ')
            return Error::make(EPROTO, fmt::format("line {}: no symbol: {}", line_number, line),
                               "/proc/kallsyms");
        if (!is_text(line[kind]))
            continue;
        any_address = any_address || symbol.address != 0;
        std::string_view name = line.substr(kind + 2);
        if (const std::size_t tab = name.find('\t'); tab != std::string_view::npos) {
            std::string_view module = name.substr(tab + 1);
            if (module.size() < 3 || module.front() != '[' || module.back() != ']')
                return Error::make(EPROTO, fmt::format("line {}: no module: {}", line_number, line),
                                   "/proc/kallsyms");
            symbol.module = module.substr(1, module.size() - 2);
            name = name.substr(0, tab);
        }
        symbol.name = name;
        made.symbols_.push_back(std::move(symbol));
    }
    if (made.symbols_.empty())
        return Error::make(EPROTO, "no functions", "/proc/kallsyms");
    if (!any_address)
        return Error::make(EACCES, "all addresses are 0", "/proc/kallsyms");
    std::stable_sort(
        made.symbols_.begin(), made.symbols_.end(),
        [](const RunningSymbol& a, const RunningSymbol& b) { return a.address < b.address; });
    for (std::uint32_t i = 0; i < made.symbols_.size(); ++i)
        if (made.symbols_[i].module.empty())
            made.by_name_.push_back(i);
    std::stable_sort(made.by_name_.begin(), made.by_name_.end(),
                     [&made](std::uint32_t a, std::uint32_t b) {
                         return made.symbols_[a].name < made.symbols_[b].name;
                     });
    return made;
}

Result<RunningSymbols> RunningSymbols::read() {
    const Result<std::string> text = read_text("/proc/kallsyms");
    if (!text)
        return text.error();
    return parse(*text);
}

const RunningSymbol* RunningSymbols::at(std::uint64_t address) const {
    const auto after = std::upper_bound(
        symbols_.begin(), symbols_.end(), address,
        [](std::uint64_t one, const RunningSymbol& symbol) { return one < symbol.address; });
    if (after == symbols_.begin())
        return nullptr;
    // If one address has several names, always take the first.
    const std::uint64_t start = std::prev(after)->address;
    return &*std::lower_bound(
        symbols_.begin(), symbols_.end(), start,
        [](const RunningSymbol& symbol, std::uint64_t one) { return symbol.address < one; });
}

const RunningSymbol* RunningSymbols::find(std::string_view name) const {
    const auto found = std::lower_bound(
        by_name_.begin(), by_name_.end(), name,
        [this](std::uint32_t i, std::string_view one) { return symbols_[i].name < one; });
    return found == by_name_.end() || symbols_[*found].name != name ? nullptr : &symbols_[*found];
}

SourceRanges::SourceRanges(const RunningSymbols& symbols) {
    for (const Folder& folder : folders) {
        Range range{.name = folder.name};
        for (const std::string_view function : folder.functions)
            if (const RunningSymbol* symbol = symbols.find(function)) {
                range.from =
                    range.to == 0 ? symbol->address : std::min(range.from, symbol->address);
                range.to = std::max(range.to, symbol->address);
            }
        if (range.to != 0)
            ranges_.push_back(range);
    }
}

std::string_view SourceRanges::part_of(std::uint64_t address) const {
    for (const Range& range : ranges_)
        if (address >= range.from && address <= range.to)
            return range.name;
    return "";
}

} // namespace faultline
