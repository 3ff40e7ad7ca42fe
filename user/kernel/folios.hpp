// SPDX-License-Identifier: GPL-2.0
// Which folios a range of this process has, as /proc/self/pagemap and /proc/kpageflags tell.
#ifndef FAULTLINE_KERNEL_FOLIOS_HPP
#define FAULTLINE_KERNEL_FOLIOS_HPP

#include "kernel/fd.hpp"
#include "kernel/result.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace faultline {

// A large folio that is mapped whole, its first page at this page of the range.
struct MappedFolio {
    unsigned page = 0;
    unsigned order = 0;
    friend bool operator==(const MappedFolio&, const MappedFolio&) = default;
};

struct MappedRange {
    std::vector<bool> present;       // by page: there in memory
    std::vector<bool> swapped;       // swapped out, or a migration entry
    std::vector<MappedFolio> folios; // by page
    std::string odd;                 // what no folio that is mapped whole explains, or empty
};

// From entries of pagemap and, by page of the range, flags (0 where nothing is present).
MappedRange mapped_range(const std::vector<std::uint64_t>& entries,
                         const std::vector<std::uint64_t>& flags);

// The Rss that /proc/self/smaps has for the mappings that begin in this range.
Result<std::uint64_t> resident_bytes(const void* start, std::size_t bytes);
Result<std::uint64_t> parse_resident(std::string_view smaps, std::uint64_t from, std::uint64_t to);

class FolioReader {
  public:
    static Result<FolioReader> open();
    // The page frame of a page that is present; ENOENT.
    [[nodiscard]] Result<std::uint64_t> frame_of(const void* page) const;
    [[nodiscard]] Result<MappedRange> read(const void* start, std::size_t pages) const;

  private:
    FolioReader(Fd pagemap, Fd flags) : pagemap_(std::move(pagemap)), flags_(std::move(flags)) {}
    [[nodiscard]] Result<std::vector<std::uint64_t>> words(const Fd& file, std::uint64_t first,
                                                           std::size_t count) const;
    Fd pagemap_;
    Fd flags_;
};

} // namespace faultline

#endif // FAULTLINE_KERNEL_FOLIOS_HPP
