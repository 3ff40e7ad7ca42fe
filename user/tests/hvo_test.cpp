// SPDX-License-Identifier: GPL-2.0
// The module's hvo/block, as recorded, and broken; and its picture.
#include "kernel/hvo.hpp"
#include "report/vmemmap.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace faultline {
namespace {

using testing::HasSubstr;

// From x86-64, shortened to three of eight pages of vmemmap: on 6.12 the aliases are the head's.
constexpr const char* optimized =
    "block pfn 0x1800 index 0 head yes hugetlb yes refs 1\n"
    "vmemmap 0 virtual 0xffea000000060000 pfn 0x7a10 rw order 0 alias -\n"
    "vmemmap 1 virtual 0xffea000000061000 pfn 0x7a10 ro order 0 alias 0\n"
    "vmemmap 2 virtual 0xffea000000062000 pfn 0x7a10 ro order 0 alias 0\n"
    "cpu 0 refs 1 1 1\n"
    "cpu 0 flags 17ffffc0000040 17ffffc0000040 0\n"
    "cpu 0 sum 0a0b0c0d 00000000 ffffffff\n"
    "cpu 1 refs 1 1 0\n"
    "cpu 1 flags 17ffffc0000040 17ffffc0000040 0\n"
    "cpu 1 sum 0a0b0c0d 00000000 ffffffff\n"
    "counters then memmap 15000 pool 1 free 0 reserved 0 surplus 0\n"
    "counters now memmap 14993 pool 2 free 1 reserved 0 surplus 0\n"
    "tried kind late index 300 result fault before 1 after 1\n";

TEST(HvoLayoutTest, ReadsAnOptimizedBlock) {
    const Result<HvoLayout> layout = parse_hvo_layout(optimized);
    ASSERT_TRUE(layout.ok()) << layout.error().to_string();
    EXPECT_EQ(layout->pfn, 0x1800U);
    EXPECT_TRUE(layout->head);
    EXPECT_TRUE(layout->hugetlb);
    EXPECT_TRUE(layout->optimized());
    ASSERT_EQ(layout->vmemmap.size(), 3U);
    EXPECT_TRUE(layout->vmemmap[0].writable);
    EXPECT_FALSE(layout->vmemmap[0].alias);
    EXPECT_EQ(layout->vmemmap[2].alias, 0U);
    ASSERT_EQ(layout->cpus.size(), 2U);
    EXPECT_EQ(layout->cpus[1].refs, (std::vector<std::int64_t>{1, 1, 0}));
    EXPECT_FALSE(layout->cpus[0] == layout->cpus[1]) << "CPU 1 sees another count";
    EXPECT_EQ(layout->cpus[1].flags[2], "0");
    EXPECT_EQ(layout->then.memmap, 15000);
    EXPECT_EQ(layout->now, (HvoCounters{14993, 2, 1, 0, 0}));
    ASSERT_TRUE(layout->tried);
    EXPECT_EQ(layout->tried->index, 300U);
    EXPECT_EQ(layout->tried->result, "fault");
}

TEST(HvoLayoutTest, ReadsATryOfTheKernelsOwnCode) {
    std::string text = optimized;
    text.replace(text.find("kind late"), 9, "kind compiled");
    const Result<HvoLayout> layout = parse_hvo_layout(text);
    ASSERT_TRUE(layout.ok());
    EXPECT_EQ(layout->tried->kind, "compiled");
    EXPECT_EQ(layout->tried->index, 300U);
}

TEST(HvoLayoutTest, ATailThatCanBeWrittenIsNotOptimized) {
    std::string text = optimized;
    text.replace(text.find("ro order"), 2, "rw");
    const Result<HvoLayout> layout = parse_hvo_layout(text);
    ASSERT_TRUE(layout.ok());
    EXPECT_FALSE(layout->optimized());
}

TEST(HvoLayoutTest, RefusesWhatIsBroken) {
    const std::string good = optimized;
    const auto without = [&](std::string_view start) {
        std::string text = good;
        const std::size_t at = text.find(start);
        return text.erase(at, text.find('\n', at) + 1 - at);
    };
    EXPECT_FALSE(parse_hvo_layout("").ok()) << "no block was chosen";
    EXPECT_FALSE(parse_hvo_layout(without("block")).ok());
    EXPECT_FALSE(parse_hvo_layout(without("vmemmap 1")).ok());
    EXPECT_FALSE(parse_hvo_layout(without("cpu 0 refs")).ok());
    EXPECT_FALSE(parse_hvo_layout(without("cpu 1 sum")).ok());
    EXPECT_FALSE(parse_hvo_layout(good + "cpu 1 flags 1 2 3\n").ok()) << "a second time";
    EXPECT_FALSE(parse_hvo_layout(good + "cpu 2 refs\n").ok()) << "no value";
    EXPECT_FALSE(parse_hvo_layout(good + "cpu 2 refs1 1 1\n").ok());
    EXPECT_FALSE(parse_hvo_layout(good + "cpu 2\n").ok());
    EXPECT_FALSE(
        parse_hvo_layout(good + "counters soon memmap 1 pool 1 free 1 reserved 1 surplus 1\n")
            .ok());
    EXPECT_FALSE(parse_hvo_layout(good + "counters now memmap 1 pool 1\n").ok());
    EXPECT_TRUE(parse_hvo_layout(without("tried")).ok()) << "nothing was tried yet";
    EXPECT_FALSE(parse_hvo_layout(good + "vmemmap 3 not mapped\n").ok());
    EXPECT_FALSE(parse_hvo_layout(good + "more\n").ok());
    std::string word = good;
    word.replace(word.find("ro order"), 2, "xx");
    EXPECT_FALSE(parse_hvo_layout(word).ok());
    std::string count = good;
    count.replace(count.find("refs 1 1 1"), 10, "refs 1 1 x");
    EXPECT_FALSE(parse_hvo_layout(count).ok());
}

TEST(VmemmapTest, TheDrawingHasALineForEachMappingAndABoxForEachFrame) {
    const Result<HvoLayout> layout = parse_hvo_layout(optimized);
    ASSERT_TRUE(layout.ok());
    const std::string svg = vmemmap_svg({{"one", *layout}, {"two", *layout}});
    const auto count = [&svg](std::string_view what) {
        std::size_t number = 0;
        for (std::size_t at = svg.find(what); at != std::string::npos; at = svg.find(what, at + 1))
            ++number;
        return number;
    };
    EXPECT_EQ(count("<line class='map rw'"), 2U);
    EXPECT_EQ(count("<line class='map ro'"), 4U);
    EXPECT_EQ(count("pfn 0x7a10, mapped 6x"), 1U);
    EXPECT_THAT(svg, HasSubstr(">two</text>"));
    EXPECT_THAT(vmemmap_text("one", *layout),
                HasSubstr("struct page 128 to 191  frame   0x7a10  ro  the same as 0"));
    EXPECT_THAT(vmemmap_text("one", *layout),
                HasSubstr("pages of vmemmap: 14993; pool: 2 huge pages, 1 free"));
    EXPECT_THAT(counters_text({}), HasSubstr("pages of vmemmap: not counted"));
}

} // namespace
} // namespace faultline
