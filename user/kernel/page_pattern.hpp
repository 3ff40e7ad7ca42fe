// SPDX-License-Identifier: GPL-2.0
// Pages of which every byte is known by the first word, so that a page is written and compared
// whole, in one pass, and a scenario names its content by one number.
//
// Word number i is the first word plus i times an odd constant: no two words of a page are the
// same, and none is that of another page's at its place. First word 0: all bytes are 0.
#ifndef FAULTLINE_KERNEL_PAGE_PATTERN_HPP
#define FAULTLINE_KERNEL_PAGE_PATTERN_HPP

#include <cstddef>
#include <cstdint>
#include <span>

namespace faultline {

// A piece of a page, `at` words from its beginning.
void write_pattern(std::span<std::uint64_t> piece, std::uint64_t first_word, std::size_t at = 0);

// The same piece compared: the first word that is not as it must be, if there is one.
struct PatternFault {
    bool found = false;
    std::uint64_t word = 0;
};
PatternFault compare_pattern(std::span<const std::uint64_t> piece, std::uint64_t first_word,
                             std::size_t at = 0);

// A page, in pieces of any size, in their order: its first word if every byte follows from it, else
// a word that is neither that nor 0.
class PageReading {
  public:
    void take(std::span<const std::uint64_t> piece);
    [[nodiscard]] std::uint64_t word() const;

  private:
    std::size_t taken_ = 0; // words
    std::uint64_t first_ = 0;
    PatternFault fault_;
};

// The same of a page in one piece.
std::uint64_t page_word(std::span<const std::uint64_t> page);

} // namespace faultline

#endif // FAULTLINE_KERNEL_PAGE_PATTERN_HPP
