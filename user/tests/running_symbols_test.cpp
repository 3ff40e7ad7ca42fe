// SPDX-License-Identifier: GPL-2.0
// /proc/kallsyms as x86-64, 6.12.95, has it, shortened, and broken; and a small kernel with two
// folders.
#include "kernel/running_symbols.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>

namespace faultline {
namespace {

using testing::HasSubstr;

constexpr std::string_view recorded = "0000000000000000 A fixed_percpu_data\n"
                                      "ffffffff81000000 T _stext\n"
                                      "ffffffff81000000 T _text\n"
                                      "ffffffff8143a2c0 t collapse_file\n"
                                      "ffffffff81437f60 T khugepaged_enter_vma\n"
                                      "ffffffff81440000 W arch_weak\n"
                                      "ffffffff81440040 w arch_weaker\n"
                                      "ffffffff82a00000 D jiffies\n"
                                      "ffffffff83000000 b zero_pfn\n"
                                      "ffffffffc0a01000 t collapse_file\t[other]\n"
                                      "ffffffffc0a01080 t fl_hold\t[faultline]\n";

RunningSymbols parsed(std::string_view text) {
    Result<RunningSymbols> symbols = RunningSymbols::parse(text);
    EXPECT_TRUE(symbols.ok()) << symbols.error().to_string();
    return std::move(*symbols);
}

std::string name_at(const RunningSymbols& symbols, std::uint64_t address) {
    const RunningSymbol* symbol = symbols.at(address);
    return symbol == nullptr ? "none" : symbol->name;
}

TEST(RunningSymbols, AreTheFunctionsAlone) {
    const RunningSymbols symbols = parsed(recorded);
    EXPECT_EQ(symbols.size(), 8U);
    for (const char* name : {"fixed_percpu_data", "jiffies", "zero_pfn"})
        EXPECT_EQ(symbols.find(name), nullptr) << name;
    for (const char* name : {"_stext", "_text", "arch_weak", "arch_weaker", "collapse_file"})
        EXPECT_NE(symbols.find(name), nullptr) << name;
}

TEST(RunningSymbols, AnAddressIsInTheFunctionThatBeginsBeforeIt) {
    const RunningSymbols symbols = parsed(recorded);
    EXPECT_EQ(symbols.at(0xffffffff80ffffff), nullptr) << "before all of them";
    EXPECT_EQ(symbols.at(0), nullptr);
    EXPECT_EQ(name_at(symbols, 0xffffffff81437f5f), "_stext");
    EXPECT_EQ(name_at(symbols, 0xffffffff81437f60), "khugepaged_enter_vma");
    EXPECT_EQ(name_at(symbols, 0xffffffff8143a2bf), "khugepaged_enter_vma");
    EXPECT_EQ(name_at(symbols, 0xffffffff8143a2c0), "collapse_file");
    EXPECT_EQ(name_at(symbols, 0xffffffff8143a2c4), "collapse_file");
    EXPECT_EQ(name_at(symbols, ~std::uint64_t{0}), "fl_hold") << "the last one has no end";
}

TEST(RunningSymbols, OfSeveralNamesOfOneAddressTheFirstCounts) {
    const RunningSymbols symbols = parsed("ffffffff81000040 T b\n"
                                          "ffffffff81000040 T a\n"
                                          "ffffffff81000040 T c\n"
                                          "ffffffff81000000 T d\n");
    EXPECT_EQ(name_at(symbols, 0xffffffff81000040), "b");
    EXPECT_EQ(name_at(symbols, 0xffffffff81000041), "b");
    for (const char* name : {"a", "b", "c"})
        EXPECT_EQ(symbols.find(name)->address, 0xffffffff81000040) << name;
}

TEST(RunningSymbols, KnowTheirModule) {
    const RunningSymbols symbols = parsed(recorded);
    EXPECT_EQ(*symbols.at(0xffffffffc0a01084),
              (RunningSymbol{0xffffffffc0a01080, "fl_hold", "faultline"}));
    EXPECT_EQ(symbols.at(0xffffffffc0a01000)->module, "other");
    EXPECT_EQ(symbols.at(0xffffffff8143a2c0)->module, "");
    // By name, only the kernel's own: a module may have a function of the same name.
    EXPECT_EQ(symbols.find("collapse_file")->address, 0xffffffff8143a2c0);
    EXPECT_EQ(symbols.find("fl_hold"), nullptr);
    EXPECT_EQ(symbols.find("collapse_fil"), nullptr);
    EXPECT_EQ(symbols.find("collapse_file2"), nullptr);
    EXPECT_EQ(symbols.find(""), nullptr);
}

TEST(RunningSymbols, RefuseLinesThatAreNone) {
    const std::string good = "ffffffff81000000 T _stext\n";
    for (const char* bad :
         {"\n", "ffffffff81000040\n", "ffffffff81000040 \n", "ffffffff81000040 T\n",
          "ffffffff81000040 T \n", "ffffffff81000040 Tf\n", "ffffffff81000040 TT f\n",
          "ffffffff81000040  T f\n", " ffffffff81000040 T f\n", "0xffffffff81000040 T f\n", "T f\n",
          "fffffffff81000040 T f\n", "ffffffff8100g040 T f\n", "ffffffff81000040 t f\tmodule\n",
          "ffffffff81000040 t f\t[]\n", "ffffffff81000040 t f\t[module\n",
          "ffffffff81000040 t f\t\n"}) {
        const Result<RunningSymbols> symbols = RunningSymbols::parse(good + bad + good);
        ASSERT_FALSE(symbols.ok()) << bad;
        EXPECT_EQ(symbols.error().number, EPROTO) << bad;
        EXPECT_EQ(symbols.error().path, "/proc/kallsyms");
        EXPECT_THAT(symbols.error().message, HasSubstr("line 2: no ")) << bad;
    }
}

// Wherever the text is cut: it is an error, or the cut line has a shorter name.
TEST(RunningSymbols, BearACutText) {
    for (std::size_t length = 0; length < recorded.size(); ++length) {
        const Result<RunningSymbols> symbols = RunningSymbols::parse(recorded.substr(0, length));
        if (symbols) {
            EXPECT_LE(symbols->size(), 8U);
        } else {
            EXPECT_EQ(symbols.error().number,
                      symbols.error().message == "all addresses are 0" ? EACCES : EPROTO);
        }
    }
    EXPECT_EQ(RunningSymbols::parse("").error().number, EPROTO);
    EXPECT_EQ(RunningSymbols::parse("ffffffff82a00000 D jiffies\n").error().number, EPROTO)
        << "no functions";
}

// As they are for other users than root.
TEST(RunningSymbols, RefuseAddressesThatAreAllZero) {
    const Result<RunningSymbols> hidden = RunningSymbols::parse("0000000000000000 A fixed\n"
                                                                "0000000000000000 T _stext\n"
                                                                "0000000000000000 t f\t[module]\n");
    ASSERT_FALSE(hidden.ok());
    EXPECT_EQ(hidden.error().number, EACCES);
    EXPECT_TRUE(RunningSymbols::parse("0000000000000000 T _stext\n0000000000000040 T f\n").ok());
}

// mm/ from filemap_add_folio() to usercopy_abort(), fs/ from do_truncate() to
// do_iter_readv_writev(), as a linker lays them out.
constexpr std::string_view small_kernel = "1000 T start_kernel\n"
                                          "2000 T filemap_add_folio\n"
                                          "2400 t collapse_file\n"
                                          "2600 T of_mm\n"
                                          "2800 T usercopy_abort\n"
                                          "3000 T do_truncate\n"
                                          "3400 t of_fs\n"
                                          "3800 T do_iter_readv_writev\n"
                                          "4000 T blk_start\n"
                                          "9000 t vfs_read\t[module]\n";

TEST(SourceRanges, AreBetweenTheOutermostFunctionsOfAFolder) {
    const SourceRanges ranges(parsed(small_kernel));
    EXPECT_EQ(ranges.part_of(0x1000), "");
    EXPECT_EQ(ranges.part_of(0x1fff), "");
    EXPECT_EQ(ranges.part_of(0x2000), "mm");
    EXPECT_EQ(ranges.part_of(0x2604), "mm") << "a function that no list has";
    EXPECT_EQ(ranges.part_of(0x2800), "mm");
    EXPECT_EQ(ranges.part_of(0x3000), "fs");
    EXPECT_EQ(ranges.part_of(0x3404), "fs");
    EXPECT_EQ(ranges.part_of(0x4000), "");
    EXPECT_EQ(ranges.part_of(0x9000), "") << "a module's function of that name is no sign";
    EXPECT_EQ(ranges.part_of(0), "");
}

TEST(SourceRanges, OfAKernelWithoutSuchFunctionsAreNone) {
    const SourceRanges ranges(parsed("1000 T start_kernel\n2000 T other\n"));
    for (const std::uint64_t address : {0x0, 0x1000, 0x2000, 0x3000})
        EXPECT_EQ(ranges.part_of(address), "") << address;
}

} // namespace
} // namespace faultline
