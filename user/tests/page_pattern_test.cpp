// SPDX-License-Identifier: GPL-2.0
// A page's pattern: every byte that is another one is seen.
#include "kernel/page_pattern.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstring>

namespace faultline {
namespace {

using Page = std::array<std::uint64_t, 512>;

Page page_of(std::uint64_t word) {
    Page page{};
    write_pattern(page, word);
    return page;
}

TEST(PagePatternTest, FindsAChangeOfAnyByte) {
    constexpr std::uint64_t word = 0x300000007;
    const Page good = page_of(word);
    ASSERT_EQ(page_word(good), word);
    for (std::size_t at = 0; at < sizeof(Page); ++at) {
        Page page = good;
        auto* bytes = reinterpret_cast<unsigned char*>(page.data());
        bytes[at] = static_cast<unsigned char>(bytes[at] ^ 1U);
        EXPECT_TRUE(compare_pattern(page, word).found) << at;
        EXPECT_NE(page_word(page), word) << at;
        EXPECT_NE(page_word(page), 0U) << at;
    }
}

TEST(PagePatternTest, FindsAByteInAPageOfZeroes) {
    Page page = page_of(0);
    EXPECT_EQ(page_word(page), 0U);
    for (const std::uint64_t word : page)
        ASSERT_EQ(word, 0U);
    reinterpret_cast<unsigned char*>(page.data())[sizeof(Page) - 1] = 0x80;
    EXPECT_NE(page_word(page), 0U);
    EXPECT_TRUE(compare_pattern(page, 0).found);
}

TEST(PagePatternTest, FindsZeroesAndOtherPagesInAPage) {
    constexpr std::uint64_t word = 0x100000001;
    const Page good = page_of(word);
    const Page other = page_of(word + 1);
    const Page later = page_of(word + (std::uint64_t{1} << 32));
    for (std::size_t at = 0; at < good.size(); ++at) {
        ASSERT_NE(good.at(at), other.at(at)) << at;
        ASSERT_NE(good.at(at), later.at(at)) << at;
        for (const Page* from : {&other, &later}) {
            Page page = good;
            page.at(at) = from->at(at);
            EXPECT_NE(page_word(page), word) << at;
        }
    }
    Page half = good;
    std::memset(half.data() + half.size() / 2, 0, sizeof(half) / 2);
    EXPECT_NE(page_word(half), word);
    EXPECT_NE(page_word(half), 0U);
}

// Its place has the page's own word, or 0: neither may count as the page's content.
TEST(PagePatternTest, AWrongPageNeverHasTheWordOfARightOne) {
    constexpr std::uint64_t word = 5;
    for (const std::uint64_t stray : {word, std::uint64_t{0}}) {
        Page page = page_of(word);
        page.at(100) = stray;
        EXPECT_NE(page_word(page), word);
        EXPECT_NE(page_word(page), 0U);
    }
}

TEST(PagePatternTest, APageInPiecesIsThePage) {
    constexpr std::uint64_t word = 0x200000003;
    Page page{};
    const std::span<std::uint64_t> all(page);
    for (std::size_t at = 0; at < page.size(); at += 128)
        write_pattern(all.subspan(at, 128), word, at);
    EXPECT_EQ(page, page_of(word));
    for (const bool broken : {false, true}) {
        page.at(300) += broken ? 1 : 0;
        PageReading reading;
        for (std::size_t at = 0; at < page.size(); at += 64)
            reading.take(all.subspan(at, 64));
        EXPECT_EQ(reading.word() == word, !broken);
    }
}

} // namespace
} // namespace faultline
