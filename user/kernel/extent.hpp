// SPDX-License-Identifier: GPL-2.0
// One PMD-sized extent of a tmpfs file, mapped where it can be collapsed into a huge page.
//
// Page size and PMD size are asked from the kernel. The addresses are reserved once and stay for
// the extent's life; fresh() puts a new file there for each run. The file lies in a tmpfs mount of
// its own that has no name, so that statfs() counts this file alone and nothing is left behind.
#ifndef FAULTLINE_KERNEL_EXTENT_HPP
#define FAULTLINE_KERNEL_EXTENT_HPP

#include "kernel/fd.hpp"
#include "kernel/result.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace faultline {

struct Geometry {
    std::size_t page_bytes;
    std::size_t huge_bytes; // what one PMD maps
    [[nodiscard]] std::size_t pages() const { return huge_bytes / page_bytes; }
};
Result<Geometry> geometry();

// For a scenario's needs: no transparent huge pages on this machine.
std::optional<std::string> missing_huge_pages();

// madvise(MADV_COLLAPSE) of any memory: 0, or the errno.
int madvise_collapse(const char* start, std::size_t bytes);

class Extent {
  public:
    // How many extents the file has; collapse works on the first.
    static Result<std::unique_ptr<Extent>> make(std::size_t extents = 1);
    Extent(const Extent&) = delete;
    Extent& operator=(const Extent&) = delete;
    ~Extent();

    // A new, empty file of full size at the same addresses. The old one is gone.
    Result<void> fresh();
    // Fill each page with the pattern of its word (see word()), except where `hole` is set.
    // `mapped`: through the mapping, so that the page table has entries; else by pwrite.
    Result<void> fill(const std::vector<bool>& hole, bool mapped = true) const;
    void unmap(); // the file stays, and the addresses stay reserved
    void drop();  // unmap and close the file

    [[nodiscard]] std::size_t pages() const { return geometry_.pages(); }
    [[nodiscard]] std::size_t page_bytes() const { return geometry_.page_bytes; }
    [[nodiscard]] std::size_t bytes() const { return geometry_.huge_bytes; }
    [[nodiscard]] int file() const { return file_.get(); }

    // Two mappings of the file. The second can be given up and made again.
    [[nodiscard]] char* address(std::size_t page = 0) const { return base_ + page * page_bytes(); }
    [[nodiscard]] char* other(std::size_t page = 0) const { return other_ + page * page_bytes(); }

    // The first word of a page as fill() wrote it in this file: never 0, differs between files. All
    // other bytes follow from it: kernel/page_pattern.hpp.
    [[nodiscard]] std::uint64_t word(std::size_t page) const;
    // The content of the file by pread, with every byte checked: the page's word if all its bytes
    // follow from it, 0 if all are 0 (as a hole reads), else a word that is neither.
    [[nodiscard]] Result<std::uint64_t> read_word(std::size_t page) const;
    // How many pages are not as fill(hole) left them, every byte looked at. At `alone`, another
    // page is expected: with this word alone, and 0 after it.
    [[nodiscard]] Result<std::size_t> wrong_pages(const std::vector<bool>& hole,
                                                  std::optional<std::size_t> alone,
                                                  std::uint64_t alone_word) const;
    // The first word of a page and no other byte.
    Result<void> write_word(std::size_t page, std::uint64_t value) const;

    // Map one page of a mapping, as a load would; nothing if the file has been truncated.
    void populate(const char* page) const;
    // Collapses the extent, through a mapping.
    [[nodiscard]] int collapse() const;

  private:
    Extent(Geometry geometry, std::size_t extents) : geometry_(geometry), extents_(extents) {}
    Result<void> map(char* at);
    [[nodiscard]] std::size_t file_bytes() const { return extents_ * geometry_.huge_bytes; }
    // A page of words, as the file has it.
    Result<void> read_page(std::size_t page, std::vector<std::uint64_t>& words) const;

    Geometry geometry_;
    std::size_t extents_;
    Fd mount_;
    Fd file_;
    char* reserved_ = nullptr;
    std::size_t reserved_bytes_ = 0;
    char* base_ = nullptr;
    char* other_ = nullptr;
    std::uint64_t generation_ = 0;
};

} // namespace faultline

#endif // FAULTLINE_KERNEL_EXTENT_HPP
