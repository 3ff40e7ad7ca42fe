// SPDX-License-Identifier: GPL-2.0
#include "kernel/folios.hpp"

#include <bit>
#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <fmt/format.h>
#include <sstream>
#include <unistd.h>

namespace faultline {

namespace {

// Documentation/admin-guide/mm/pagemap.rst
constexpr std::uint64_t is_present = std::uint64_t{1} << 63;
constexpr std::uint64_t is_swapped = std::uint64_t{1} << 62;
constexpr std::uint64_t frame = (std::uint64_t{1} << 55) - 1;
constexpr std::uint64_t compound_head = std::uint64_t{1} << 15;
constexpr std::uint64_t compound_tail = std::uint64_t{1} << 16;

bool is_tail_of(std::size_t page, std::size_t head, const std::vector<std::uint64_t>& entries,
                const std::vector<std::uint64_t>& flags) {
    return (entries[page] & is_present) != 0 && (flags[page] & compound_tail) != 0 &&
           (entries[page] & frame) == (entries[head] & frame) + (page - head);
}

} // namespace

MappedRange mapped_range(const std::vector<std::uint64_t>& entries,
                         const std::vector<std::uint64_t>& flags) {
    MappedRange range;
    for (const std::uint64_t entry : entries) {
        range.present.push_back((entry & is_present) != 0);
        range.swapped.push_back((entry & is_swapped) != 0);
    }
    for (std::size_t page = 0; page < entries.size();) {
        const std::size_t head = page++;
        if (!range.present[head] || (flags[head] & (compound_head | compound_tail)) == 0)
            continue;
        while (page < entries.size() && is_tail_of(page, head, entries, flags))
            ++page;
        const std::size_t pages = page - head;
        const bool whole =
            (flags[head] & compound_head) != 0 && std::has_single_bit(pages) && head % pages == 0;
        if (whole)
            range.folios.push_back(
                {static_cast<unsigned>(head), static_cast<unsigned>(std::countr_zero(pages))});
        else if (range.odd.empty())
            range.odd = fmt::format("{} pages of a folio from page {} on", pages, head);
    }
    return range;
}

Result<FolioReader> FolioReader::open() {
    Result<Fd> pagemap = Fd::open("/proc/self/pagemap", O_RDONLY);
    if (!pagemap)
        return pagemap.error();
    Result<Fd> flags = Fd::open("/proc/kpageflags", O_RDONLY);
    if (!flags)
        return flags.error();
    return FolioReader(std::move(*pagemap), std::move(*flags));
}

Result<std::vector<std::uint64_t>> FolioReader::words(const Fd& file, std::uint64_t first,
                                                      std::size_t count) const {
    std::vector<std::uint64_t> read(count);
    const auto bytes = static_cast<ssize_t>(count * sizeof(std::uint64_t));
    const ssize_t got = ::pread(file.get(), read.data(), static_cast<std::size_t>(bytes),
                                static_cast<off_t>(first * sizeof(std::uint64_t)));
    if (got < 0)
        return Error::last("read", "pagemap or kpageflags");
    if (got != bytes)
        return Error::make(EIO, "short", "pagemap or kpageflags");
    return read;
}

Result<std::uint64_t> FolioReader::frame_of(const void* page) const {
    const auto page_bytes = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
    const Result<std::vector<std::uint64_t>> entry =
        words(pagemap_, reinterpret_cast<std::uintptr_t>(page) / page_bytes, 1);
    if (!entry)
        return entry.error();
    if ((entry->front() & is_present) == 0)
        return Error::make(ENOENT, "no page is there");
    return entry->front() & frame;
}

Result<std::uint64_t> parse_resident(std::string_view smaps, std::uint64_t from, std::uint64_t to) {
    std::uint64_t sum = 0;
    bool counts = false;
    bool awaited = false; // a mapping has a line Rss
    std::istringstream lines{std::string(smaps)};
    for (std::string line; std::getline(lines, line);) {
        std::uint64_t start = 0;
        std::uint64_t kilobytes = 0;
        if (std::sscanf(line.c_str(), "%" SCNx64 "-%*x %*4s ", &start) == 1 &&
            line.find('-') < line.find(' ')) {
            if (awaited)
                break;
            counts = start >= from && start < to;
            awaited = true;
        } else if (std::sscanf(line.c_str(), "Rss: %" SCNu64 " kB", &kilobytes) == 1) {
            sum += counts ? kilobytes << 10 : 0;
            awaited = false;
        }
    }
    if (awaited)
        return Error::make(EPROTO, "a mapping without Rss", "/proc/self/smaps");
    return sum;
}

Result<std::uint64_t> resident_bytes(const void* start, std::size_t bytes) {
    const Result<std::string> smaps = read_text("/proc/self/smaps");
    const auto from = reinterpret_cast<std::uintptr_t>(start);
    return smaps ? parse_resident(*smaps, from, from + bytes) : smaps.error();
}

Result<MappedRange> FolioReader::read(const void* start, std::size_t pages) const {
    const auto page_bytes = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
    const std::uint64_t first = reinterpret_cast<std::uintptr_t>(start) / page_bytes;
    Result<std::vector<std::uint64_t>> entries = words(pagemap_, first, pages);
    if (!entries)
        return entries.error();
    std::vector<std::uint64_t> flags(pages);
    for (std::size_t page = 0; page < pages;) {
        // As many at once as lie behind each other.
        const std::size_t from = page++;
        if (((*entries)[from] & is_present) == 0)
            continue;
        while (page < pages && ((*entries)[page] & is_present) != 0 &&
               ((*entries)[page] & frame) == ((*entries)[from] & frame) + (page - from))
            ++page;
        const Result<std::vector<std::uint64_t>> run =
            words(flags_, (*entries)[from] & frame, page - from);
        if (!run)
            return run.error();
        std::copy(run->begin(), run->end(), flags.begin() + static_cast<std::ptrdiff_t>(from));
    }
    return mapped_range(*entries, flags);
}

} // namespace faultline
