// SPDX-License-Identifier: GPL-2.0
#include "kernel/page_pattern.hpp"

#include <algorithm>

namespace faultline {

namespace {

constexpr std::uint64_t step = 0x9e3779b97f4a7c15; // 2^64 / golden ratio
constexpr std::size_t at_once = 512;               // words that are compared without a branch

std::uint64_t step_of(std::uint64_t first_word) { return first_word == 0 ? 0 : step; }

} // namespace

void write_pattern(std::span<std::uint64_t> piece, std::uint64_t first_word, std::size_t at) {
    const std::uint64_t more = step_of(first_word);
    std::uint64_t word = first_word + at * more;
    for (std::uint64_t& to : piece) {
        to = word;
        word += more;
    }
}

PatternFault compare_pattern(std::span<const std::uint64_t> piece, std::uint64_t first_word,
                             std::size_t at) {
    const std::uint64_t more = step_of(first_word);
    std::uint64_t word = first_word + at * more;
    while (!piece.empty()) {
        const auto now = piece.first(std::min(piece.size(), at_once));
        std::uint64_t differs = 0;
        std::uint64_t expected = word;
        for (const std::uint64_t found : now) {
            differs |= found ^ expected;
            expected += more;
        }
        if (differs != 0)
            break;
        word = expected;
        piece = piece.subspan(now.size());
    }
    for (const std::uint64_t found : piece) { // there is one
        if (found != word)
            return {true, found};
        word += more;
    }
    return {};
}

void PageReading::take(std::span<const std::uint64_t> piece) {
    if (piece.empty())
        return;
    if (taken_ == 0)
        first_ = piece.front();
    if (!fault_.found)
        fault_ = compare_pattern(piece, first_, taken_);
    taken_ += piece.size();
}

std::uint64_t PageReading::word() const {
    if (!fault_.found)
        return first_;
    // The word of the page says more than "other"; but a wrong word must not count as the page's.
    return fault_.word != 0 && fault_.word != first_ ? fault_.word : ~first_;
}

std::uint64_t page_word(std::span<const std::uint64_t> page) {
    PageReading reading;
    reading.take(page);
    return reading.word();
}

} // namespace faultline
