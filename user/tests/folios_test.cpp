// SPDX-License-Identifier: GPL-2.0
#include "kernel/folios.hpp"

#include <gmock/gmock.h>

namespace faultline {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr std::uint64_t here = std::uint64_t{1} << 63;
constexpr std::uint64_t swap_bit = std::uint64_t{1} << 62;
constexpr std::uint64_t head = 1 << 15;
constexpr std::uint64_t tail = 1 << 16;
constexpr std::uint64_t anon = 1 << 12;

TEST(FoliosTest, FindsWholeFoliosAmongSmallPages) {
    const MappedRange range = mapped_range(
        {here | 100, 0, swap_bit | 5, here | 7, here | 64, here | 65, here | 66, here | 67},
        {anon, 0, 0, anon, anon | head, anon | tail, anon | tail, anon | tail});
    EXPECT_THAT(range.present, ElementsAre(true, false, false, true, true, true, true, true));
    EXPECT_TRUE(range.swapped[2]);
    EXPECT_THAT(range.folios, ElementsAre(MappedFolio{4, 2}));
    EXPECT_EQ(range.odd, "");
}

TEST(FoliosTest, TellsTwoFoliosThatLieBehindEachOther) {
    const MappedRange range =
        mapped_range({here | 64, here | 65, here | 66, here | 67}, {head, tail, head, tail});
    EXPECT_THAT(range.folios, ElementsAre(MappedFolio{0, 1}, MappedFolio{2, 1}));
}

TEST(FoliosTest, SaysWhatIsNotMappedWhole) {
    // The head is not there; a page in the middle is not; it is not aligned.
    EXPECT_EQ(mapped_range({here | 65, here | 66}, {tail, tail}).odd,
              "2 pages of a folio from page 0 on");
    const MappedRange hole =
        mapped_range({here | 64, here | 65, 0, here | 67}, {head, tail, 0, tail});
    EXPECT_EQ(hole.odd, "1 pages of a folio from page 3 on");
    const MappedRange shifted = mapped_range({0, here | 64, here | 65}, {0, head, tail});
    EXPECT_THAT(shifted.folios, IsEmpty());
    EXPECT_EQ(shifted.odd, "2 pages of a folio from page 1 on");
}

// From x86-64, 6.12.95, shortened.
constexpr const char* smaps =
    "55d0c0a00000-55d0c0a21000 rw-p 00000000 00:00 0                          [heap]\n"
    "Size:                132 kB\nRss:                  40 kB\nPss:                  40 kB\n"
    "7f0000000000-7f0000200000 rw-p 00000000 00:00 0 \n"
    "Size:               2048 kB\nRss:                2048 kB\nVmFlags: rd wr mr mw me ac hg\n"
    "7f0000200000-7f0000600000 rw-p 00000000 00:00 0 \n"
    "Size:               4096 kB\nRss:                   8 kB\nAnonHugePages:         0 kB\n";

TEST(ResidentTest, AddsUpTheMappingsOfARange) {
    EXPECT_EQ(parse_resident(smaps, 0x7f0000000000, 0x7f0000600000).value_or(0), 2056U << 10);
    EXPECT_EQ(parse_resident(smaps, 0x7f0000200000, 0x7f0000600000).value_or(0), 8U << 10);
    EXPECT_EQ(parse_resident(smaps, 0x1000, 0x2000).value_or(1), 0U);
}

TEST(ResidentTest, RefusesWhatIsCut) {
    const std::string good = smaps;
    EXPECT_FALSE(parse_resident(good.substr(0, good.rfind("Rss:")), 0, 1).ok());
    EXPECT_FALSE(
        parse_resident("7f0000000000-7f0000200000 rw-p 00000000 00:00 0\n" + good, 0, 1).ok());
}

} // namespace
} // namespace faultline
