// SPDX-License-Identifier: GPL-2.0
// Which kernel has which site: lists of symbols, whole and broken, and the table over a file.
#include "kernel/symbols.hpp"
#include "language/kernels.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>

namespace faultline {
namespace {

using testing::HasSubstr;

// From a System.map, from a /proc/kallsyms that hides its addresses, and from a module in that.
constexpr std::string_view recorded = "ffffffff81000000 T _text\n"
                                      "ffffffff814237a0 t collapse_file\n"
                                      "ffffffff81423000 t alloc_charge_hpage\r\n"
                                      "0000000000000000 W unlock_page\n"
                                      "\n"
                                      "ffffffff82a00000 D a_variable\n"
                                      "0000000000000000 t kvm_init\t[kvm]";

KernelSymbols kernel(const std::string& name, std::string_view text) {
    Result<KernelSymbols> parsed = parse_symbols(name, text, "map");
    EXPECT_TRUE(parsed.ok());
    return parsed ? std::move(*parsed) : KernelSymbols{};
}
std::string why_not(std::string_view text) {
    const Result<KernelSymbols> parsed = parse_symbols("6.1", text, "map");
    return parsed ? "" : parsed.error().to_string();
}

TEST(Symbols, AreTheFunctionsOfAList) {
    EXPECT_THAT(kernel("6.1", recorded).functions,
                testing::UnorderedElementsAre("_text", "collapse_file", "alloc_charge_hpage",
                                              "unlock_page", "kvm_init"));
}

TEST(Symbols, OfABrokenListAreAnError) {
    // Debian's file in the place of System.map.
    EXPECT_THAT(why_not("ffffffffffffffff B The real System.map is in the "
                        "linux-image-<version>-dbg package\n"),
                HasSubstr("no function is listed"));
    EXPECT_THAT(why_not(""), HasSubstr("no function is listed"));
    EXPECT_THAT(why_not("ffffffff81000000 T _text\nffffffff81000000 T\n"), HasSubstr("line 2 is"));
    EXPECT_THAT(why_not("text T _text\n"), HasSubstr("line 1 is no \"ADDRESS TYPE NAME\""));
    EXPECT_THAT(why_not("ffffffff81000000 TT _text\n"), HasSubstr("line 1 is"));
    EXPECT_THAT(why_not(std::string_view("\x7f"
                                         "ELF\0\1\2",
                                         7)),
                HasSubstr("line 1 is"));
}

TEST(Symbols, HaveTheNameOfARelease) {
    for (const char* named : {"map", "latest=map", "6=map", ".1=map", "=map"})
        EXPECT_THAT(read_symbols(named).error().to_string(), HasSubstr("not VERSION"));
    EXPECT_THAT(read_symbols("6.1/arm64=/nowhere/map").error().to_string(),
                HasSubstr("/nowhere/map"));
}

TEST(SitesOfAKernel, AreTheFirstCandidateThatExists) {
    const KernelSymbols old = kernel("6.1.192/s390x", recorded);
    EXPECT_EQ(function_of_site("collapse_file", old), "collapse_file");
    EXPECT_EQ(function_of_site("collapse_file/allocate", old), "alloc_charge_hpage");
    EXPECT_EQ(function_of_site("kvm_init", old), "kvm_init");
    EXPECT_EQ(function_of_site("a_variable", old), std::nullopt);
    EXPECT_EQ(function_of_site("collapse_file/retract", old), std::nullopt);
    const KernelSymbols alone = kernel("6.1.192", "00 t alloc_charge_hpage\n");
    EXPECT_EQ(function_of_site("collapse_file/allocate", alone), std::nullopt) << "no caller";
}

TEST(SitesOfAKernel, DependOnItsRelease) {
    const std::string text = std::string(recorded) + "\n00 T shmem_charge\n";
    EXPECT_EQ(function_of_site("collapse_file/unmapped", kernel("6.3.9", text)), "unlock_page");
    EXPECT_EQ(function_of_site("collapse_file/unmapped", kernel("6.4", text)), "shmem_charge");
    EXPECT_EQ(function_of_site("collapse_file/unmapped", kernel("7.3-rc7/x86_64", recorded)),
              std::nullopt);
}

constexpr std::string_view file = R"flt(faultline = 1
name = "table"
claim = "c"
source = "s"
races = "r"
bad = "b"
outcome = "n"
[actors.a]
steps = "at x; n = random(1)"
[actors.b]
steps = "at y"
[variants.plain]
about = "p"
schedule = "a@enter:collapse_file/allocate -> b@user:y"
[variants.patterned]
about = "p"
schedule = "a@at:gone/lock-cmpxchg -> b@user:y"
[variants.free]
about = "names nothing in the kernel"
schedule = "a@user:x -> b@user:y"
[controls.called]
about = "c"
variant = "plain"
produces = "n=0"
actions = [{ skip = "collapse_file", caller = "caller" }]
[controls.either]
about = "c"
variant = "plain"
produces = "n=0"
releases = "!6.1"
actions = [{ skip = "up_read", optional = true }, { skip = "up_write", optional = true }]
)flt";

TEST(KernelTable, SaysWhichVariantsAndControlsLackWhat) {
    const LoadedFile loaded = load_scenario(std::string(file), "x.flt");
    ASSERT_NE(loaded.scenario, nullptr) << to_string("x.flt", loaded.complaints);
    const std::string text =
        kernel_table(loaded, {kernel("6.1.192/x86_64", recorded),
                              kernel("6.12.95", std::string(recorded) + "\n00 t gone\n00 t x\n")});
    EXPECT_THAT(text, HasSubstr("  site or function        6.1.192/x86_64      6.12.95\n"
                                "  collapse_file/allocate  alloc_charge_hpage  alloc_charge_hpage\n"
                                "  at:gone/lock-cmpxchg    no                  gone\n"
                                "  collapse_file           yes                 yes\n"
                                "  caller                  no                  no\n"
                                "  up_read                 no                  no\n"
                                "  up_write                no                  no\n"));
    EXPECT_THAT(text, HasSubstr("  no at:gone/lock-cmpxchg in 6.1.192/x86_64: variant patterned\n"
                                "  no caller in 6.1.192/x86_64, 6.12.95: control called\n"
                                "  no up_read or up_write in 6.12.95: control either\n"));
    EXPECT_THAT(text, HasSubstr("not be traceable"));
    const std::string more = std::string(recorded) + "\n00 t up_write\n";
    EXPECT_THAT(kernel_table(loaded, {kernel("6.12.95", more)}),
                testing::Not(HasSubstr("control either")));
}

TEST(KernelTable, IsWrappedWhereALineWouldBeTooLong) {
    const LoadedFile loaded = load_scenario(std::string(file), "x.flt");
    ASSERT_NE(loaded.scenario, nullptr);
    std::vector<KernelSymbols> kernels;
    for (unsigned i = 0; i < 9; ++i)
        kernels.push_back(kernel(fmt::format("6.{}.100/x86_64", i), recorded));
    const std::string text = kernel_table(loaded, kernels);
    EXPECT_THAT(text, HasSubstr("  site or function        6.0.100/x86_64"));
    EXPECT_THAT(text, HasSubstr("\n  site or function        6.4.100/x86_64"));
    EXPECT_THAT(text, HasSubstr("6.8.100/x86_64"));
}

TEST(KernelTable, OfNoKernelOrNoSiteIsEmpty) {
    std::string text(file);
    const LoadedFile loaded = load_scenario(text, "x.flt");
    EXPECT_EQ(kernel_table(loaded, {}), "");
    text.resize(text.find("[controls.called]"));
    for (const std::string_view site : {"a@enter:collapse_file/allocate", "a@at:gone/lock-cmpxchg"})
        text.replace(text.find(site), site.size(), "a@user:x");
    const LoadedFile none = load_scenario(text, "x.flt");
    ASSERT_NE(none.scenario, nullptr) << to_string("x.flt", none.complaints);
    EXPECT_EQ(kernel_table(none, {kernel("6.1", recorded)}), "");
}

} // namespace
} // namespace faultline
