// SPDX-License-Identifier: GPL-2.0
// Places out of traces that are made by hand, of a kernel of a few functions.
#include "explore/profile.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>

namespace faultline {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// Each function has 0x100 bytes; those of mm/ and fs/ lie between the outermost of SourceRanges.
constexpr std::string_view kernel = "1000 T entry\n" // as noinstr code: it is never traced itself
                                    "1100 T sys_a\n"
                                    "1200 T sys_b\n"
                                    "1300 T put_user\n"
                                    "2000 T filemap_add_folio\n"
                                    "2100 t collapse_file.isra.0\n"
                                    "2200 t of_mm\n"
                                    "2300 T usercopy_abort\n"
                                    "3000 T do_truncate\n"
                                    "3100 t of_fs\n"
                                    "3200 T do_iter_readv_writev\n"
                                    "9000 t fl_hold\t[faultline]\n"
                                    "9100 t of_module\t[other]\n";

const RunningSymbols& symbols() {
    static const Result<RunningSymbols> all = RunningSymbols::parse(kernel);
    return *all;
}

// A trace, call by call: each 10 ns after the one before it.
class Trace {
  public:
    Trace& call(std::string_view function, std::string_view caller) {
        time_ += 10;
        calls_.push_back({.time_ns = time_,
                          .function = address_of(function) + 4,
                          .caller = address_of(caller) + 0x20});
        return *this;
    }
    Trace& in_interrupt() {
        calls_.back().interrupt = true;
        return *this;
    }
    Trace& atomic() {
        calls_.back().atomic = true;
        return *this;
    }
    [[nodiscard]] std::vector<Visit> visits(std::uint64_t from_ns = 0,
                                            std::uint64_t to_ns = ~std::uint64_t{0}) const {
        return visits_of(calls_, symbols(), SourceRanges(symbols()), from_ns, to_ns);
    }
    // "of_mm 2": with its depth.
    [[nodiscard]] std::vector<std::string> depths() const {
        std::vector<std::string> all;
        for (const Visit& visit : visits())
            all.push_back(fmt::format("{} {}", visit.function, visit.depth));
        return all;
    }

  private:
    static std::uint64_t address_of(std::string_view function) {
        const std::size_t name = kernel.find(fmt::format(" {}", function));
        EXPECT_NE(name, std::string_view::npos) << function;
        const std::size_t line = kernel.rfind('\n', name);
        const std::size_t start = line == std::string_view::npos ? 0 : line + 1;
        return std::stoull(std::string(kernel.substr(start, 4)), nullptr, 16);
    }

    std::uint64_t time_ = 0;
    std::vector<FunctionCall> calls_;
};

TEST(Visits, HaveTheDepthOfTheTreeOfCalls) {
    EXPECT_THAT(
        Trace()
            .call("sys_a", "entry")
            .call("do_truncate", "sys_a")
            .call("of_fs", "do_truncate")
            .call("of_mm", "of_fs")
            .call("of_mm", "do_truncate") // of_fs() has returned
            .call("of_fs", "sys_a")
            .depths(),
        ElementsAre("sys_a 1", "do_truncate 2", "of_fs 3", "of_mm 4", "of_mm 3", "of_fs 2"));
}

TEST(Visits, ARecursionIsOfTheInnermostCall) {
    EXPECT_THAT(Trace()
                    .call("sys_a", "entry")
                    .call("of_mm", "sys_a")
                    .call("of_mm", "of_mm")
                    .call("of_mm", "of_mm")
                    .call("of_fs", "of_mm")
                    .depths(),
                ElementsAre("sys_a 1", "of_mm 2", "of_mm 3", "of_mm 4", "of_fs 5"));
}

// entry() is never traced: the second system call begins anew, and so does a second page fault in
// one system call.
TEST(Visits, CallsOfACallerThatIsNotTracedAreEquals) {
    EXPECT_THAT(
        Trace()
            .call("sys_a", "entry")
            .call("of_mm", "sys_a")
            .call("sys_b", "entry")
            .call("of_fs", "sys_b")
            .call("sys_b", "put_user")
            .call("of_mm", "sys_b")
            .call("sys_b", "put_user")
            .depths(),
        ElementsAre("sys_a 1", "of_mm 2", "sys_b 1", "of_fs 2", "sys_b 3", "of_mm 4", "sys_b 3"));
}

TEST(Visits, KnowTheirPartAndThatOfTheirCaller) {
    const std::vector<Visit> visits = Trace()
                                          .call("do_truncate", "entry")
                                          .call("of_mm", "do_truncate")
                                          .call("put_user", "of_mm")
                                          .call("of_module", "put_user")
                                          .atomic()
                                          .visits();
    ASSERT_EQ(visits.size(), 4U);
    EXPECT_EQ(visits[0].part, "fs");
    EXPECT_EQ(visits[0].caller, "entry");
    EXPECT_EQ(visits[0].caller_part, "");
    EXPECT_EQ(visits[1].part, "mm");
    EXPECT_EQ(visits[1].caller_part, "fs");
    EXPECT_EQ(visits[2].part, "");
    EXPECT_EQ(visits[2].caller, "of_mm");
    EXPECT_EQ(visits[2].caller_part, "mm");
    EXPECT_EQ(visits[3].module, "other");
    EXPECT_FALSE(visits[2].atomic);
    EXPECT_TRUE(visits[3].atomic);
}

TEST(Visits, InterruptsAreNoneOfThem) {
    EXPECT_THAT(Trace()
                    .call("sys_a", "entry")
                    .call("sys_b", "of_mm")
                    .in_interrupt()
                    .call("of_fs", "sys_b")
                    .in_interrupt()
                    .call("of_mm", "sys_a")
                    .depths(),
                ElementsAre("sys_a 1", "of_mm 2"));
}

TEST(Visits, OurModuleAndWhatItCallsAreNoneOfThem) {
    EXPECT_THAT(Trace()
                    .call("sys_a", "entry")
                    .call("fl_hold", "sys_a")
                    .call("put_user", "fl_hold")
                    .call("of_mm", "put_user") // for it, though not by it
                    .call("of_fs", "of_mm")
                    .call("of_mm", "sys_a")
                    .call("of_module", "of_mm")
                    .depths(),
                ElementsAre("sys_a 1", "of_mm 2", "of_module 3"));
}

TEST(Visits, AreThoseOfTheWindow) {
    const Trace trace = Trace()
                            .call("sys_a", "entry")  // at 10
                            .call("sys_b", "entry")  // at 20
                            .call("of_mm", "sys_b")  // at 30
                            .call("of_fs", "sys_b"); // at 40
    const auto count = [&trace](std::uint64_t from, std::uint64_t to) {
        return trace.visits(from, to).size();
    };
    EXPECT_EQ(count(20, 30), 2U) << "its ends are in it";
    EXPECT_EQ(count(21, 29), 0U);
    EXPECT_EQ(count(0, 9), 0U);
    EXPECT_EQ(count(41, 1000), 0U);
    EXPECT_EQ(trace.visits(20, 30).front().function, "sys_b");
}

TEST(Visits, AddressesOfNoFunctionAreNone) {
    const std::vector<FunctionCall> calls = {{.time_ns = 1, .function = 0x10, .caller = 0x1020},
                                             {.time_ns = 2, .function = 0x2204, .caller = 0x10}};
    const std::vector<Visit> visits = visits_of(calls, symbols(), SourceRanges(symbols()), 0, 100);
    ASSERT_EQ(visits.size(), 1U);
    EXPECT_EQ(visits[0].function, "of_mm");
    EXPECT_EQ(visits[0].caller, "");
}

Visit visit(std::string_view function, std::string_view part, unsigned depth = 1,
            std::string_view caller_part = "") {
    return {.function = function,
            .module = "",
            .caller = "",
            .part = part,
            .caller_part = caller_part,
            .depth = depth};
}

const Place* place_of(const Profile& profile, std::string_view function) {
    for (const Place& place : profile.places)
        if (place.function == function)
            return &place;
    return nullptr;
}

std::vector<std::string> functions_of(const Profile& profile) {
    std::vector<std::string> all;
    for (const Place& place : profile.places)
        all.push_back(place.function);
    return all;
}

TEST(ProfileOfRuns, HasTheFewestHitsOfAllRuns) {
    const Visit a = visit("a", "mm");
    const Visit b = visit("b", "mm");
    const Profile profile = profile_of("x", {{a, b, a, a, b}, {b, a, a}}, {});
    EXPECT_EQ(profile.actor, "x");
    ASSERT_EQ(profile.places.size(), 2U);
    EXPECT_EQ(place_of(profile, "a")->hits, 2U);
    EXPECT_EQ(place_of(profile, "b")->hits, 1U);
    EXPECT_THAT(place_of(profile, "a")->positions, ElementsAre(0, 2, 3)) << "of the first run";
    EXPECT_THAT(place_of(profile, "b")->positions, ElementsAre(1, 4));
}

TEST(ProfileOfRuns, APlaceIsInEachRun) {
    const Visit a = visit("a", "mm");
    const Visit b = visit("b", "mm");
    EXPECT_THAT(functions_of(profile_of("x", {{a, b}, {a}}, {})), ElementsAre("a"));
    EXPECT_THAT(functions_of(profile_of("x", {{a}, {a, b}}, {})), ElementsAre("a"));
    EXPECT_THAT(functions_of(profile_of("x", {{a}, {}}, {})), IsEmpty());
    EXPECT_THAT(functions_of(profile_of("x", {}, {})), IsEmpty());
}

TEST(ProfileOfRuns, IsOfTheWantedPartsAndOfWhatTheyCall) {
    const std::vector<Visit> run = {visit("in_mm", "mm"), visit("in_fs", "fs"),
                                    visit("of_mm", "", 2, "mm"), visit("of_other", "", 2, ""),
                                    visit("listed.isra.0", "", 3, "")};
    EXPECT_THAT(functions_of(profile_of("x", {run}, {})), ElementsAre("in_fs", "in_mm", "of_mm"));
    EXPECT_THAT(functions_of(profile_of("x", {run}, {.parts = {"fs"}})), ElementsAre("in_fs"));
    EXPECT_THAT(functions_of(profile_of("x", {run}, {.parts = {"fs"}, .first = {"listed"}})),
                ElementsAre("in_fs", "listed.isra.0"));
    EXPECT_THAT(functions_of(profile_of("x", {run}, {.parts = {}})), IsEmpty());
}

TEST(ProfileOfRuns, IsNoDeeperThanAsked) {
    Visit deep = visit("a", "mm", 5);
    deep.atomic = true;
    const Visit flat = visit("a", "mm", 3);
    const Visit deepest = visit("b", "mm", 6);
    const std::vector<std::vector<Visit>> runs = {{deep, flat, deepest}};
    const Profile all = profile_of("x", runs, {});
    EXPECT_EQ(place_of(all, "a")->depth, 3U) << "its call that is least deep";
    EXPECT_TRUE(place_of(all, "a")->atomic) << "its first call";
    EXPECT_EQ(place_of(all, "b")->depth, 6U);
    const Profile three = profile_of("x", runs, {.depth = 3});
    EXPECT_THAT(functions_of(three), ElementsAre("a"));
    // The deep call is a hit, too: the module counts all of them.
    EXPECT_EQ(place_of(three, "a")->hits, 2U);
    EXPECT_THAT(functions_of(profile_of("x", runs, {.depth = 2})), IsEmpty());
    EXPECT_THAT(functions_of(profile_of("x", runs, {.depth = 6})), ElementsAre("a", "b"));
}

Profile profile_with(std::string actor, const std::vector<std::string>& functions) {
    Profile profile{std::move(actor), {}};
    for (const std::string& function : functions)
        profile.places.push_back({.function = function, .part = "mm", .hits = 1});
    return profile;
}

// One of each rank, from worst to best, and the same of another actor.
TEST(Rank, GoesByListThenByActorsAndThemes) {
    std::vector<Profile> profiles = {
        profile_with("x", {"nothing", "folio_of_x", "put_page_of_x", "rmap_of_x", "filemap_of_x",
                           "pte_of_x", "lock_of_x", "with_all", "folio_of_all", "put_page_of_all",
                           "rmap_of_all", "filemap_of_all", "pte_of_all", "lock_of_all",
                           "second.part.0", "first"}),
        profile_with("y", {"with_all", "folio_of_all", "put_page_of_all", "rmap_of_all",
                           "filemap_of_all", "pte_of_all", "lock_of_all"})};
    rank(profiles, {.first = {"first", "not_there", "second"}});
    EXPECT_THAT(functions_of(profiles[0]),
                ElementsAre("first", "second.part.0", "lock_of_all", "pte_of_all", "filemap_of_all",
                            "rmap_of_all", "put_page_of_all", "folio_of_all", "with_all",
                            "lock_of_x", "pte_of_x", "filemap_of_x", "rmap_of_x", "put_page_of_x",
                            "folio_of_x", "nothing"));
    std::vector<unsigned> ranks;
    for (const Place& place : profiles[0].places)
        ranks.push_back(place.rank);
    EXPECT_TRUE(std::adjacent_find(ranks.begin(), ranks.end(), std::greater_equal<>()) ==
                ranks.end())
        << "each has a rank of its own";
    const auto why = [&profiles](std::string_view function) {
        return place_of(profiles[0], function)->why;
    };
    EXPECT_EQ(why("first"), "listed");
    EXPECT_EQ(why("second.part.0"), "listed");
    EXPECT_EQ(why("lock_of_all"), "2 actors pass it, takes or drops a lock");
    EXPECT_EQ(why("lock_of_x"), "takes or drops a lock");
    EXPECT_EQ(why("pte_of_x"), "changes page tables");
    EXPECT_EQ(why("filemap_of_x"), "changes the page cache");
    EXPECT_EQ(why("rmap_of_x"), "changes reverse mappings");
    EXPECT_EQ(why("put_page_of_x"), "changes counters or references");
    EXPECT_EQ(why("folio_of_x"), "changes a folio or a VMA");
    EXPECT_EQ(why("with_all"), "2 actors pass it");
    EXPECT_EQ(why("nothing"), "the rest");
    for (const Place& place : profiles[1].places)
        EXPECT_EQ(place.rank, place_of(profiles[0], place.function)->rank) << place.function;
}

TEST(Rank, OfEqualsTheLessDeepIsFirst) {
    std::vector<Profile> profiles = {profile_with("x", {"a_pte", "b_pte", "c_pte"})};
    profiles[0].places[0].depth = 3;
    profiles[0].places[1].depth = 2;
    profiles[0].places[2].depth = 3;
    rank(profiles, {});
    EXPECT_THAT(functions_of(profiles[0]), ElementsAre("b_pte", "a_pte", "c_pte"));
}

TEST(Rank, TheFunctionsOfThisTreesArgumentsHaveAThemeEach) {
    std::vector<Profile> profiles = {
        profile_with("x", {"down_write", "zap_pte_range", "xas_store", "page_remove_rmap",
                           "folio_put", "vma_merge", "do_madvise"})};
    rank(profiles, {});
    EXPECT_THAT(functions_of(profiles[0]),
                ElementsAre("down_write", "zap_pte_range", "xas_store", "page_remove_rmap",
                            "folio_put", "vma_merge", "do_madvise"));
    EXPECT_EQ(profiles[0].places.back().why, "the rest");
}

TEST(IsFunction, WithoutTheCompilersAdditions) {
    EXPECT_TRUE(is_function("f", "f"));
    EXPECT_TRUE(is_function("f.isra.0", "f"));
    EXPECT_TRUE(is_function("f.constprop.0.isra.0", "f"));
    EXPECT_TRUE(is_function("f.isra.0", "f.isra.0"));
    EXPECT_FALSE(is_function("f", "f.isra.0"));
    EXPECT_FALSE(is_function("ff", "f"));
    EXPECT_FALSE(is_function("f", "ff"));
}

TEST(FunctionsOfPatch, AreThoseOfTheHunksOfADiff) {
    EXPECT_THAT(
        functions_of_patch("diff --git a/mm/khugepaged.c b/mm/khugepaged.c\n"
                           "--- a/mm/khugepaged.c\n"
                           "+++ b/mm/khugepaged.c\n"
                           "@@ -1893,6 +1893,7 @@ static int collapse_file(struct mm_struct "
                           "*mm, unsigned long addr,\n"
                           " \tfoo(bar);\n"
                           "+\tadded(call);\n"
                           "@@ -10 +11 @@ out:\n"
                           "@@ -20,3 +21,3 @@\n"
                           " context(x);\n"
                           "@@ -30,3 +31,3 @@ struct folio *filemap_get_folio(struct x *y)\n"
                           "@@ -40,3 +41,3 @@ static int collapse_file(struct mm_struct\n"
                           "@@ -50,3 +51,3 @@ (odd\n"),
        ElementsAre("collapse_file", "filemap_get_folio"));
    EXPECT_THAT(functions_of_patch("@@ -1 +1 @@ void first_line(void)"), ElementsAre("first_line"));
    EXPECT_THAT(functions_of_patch("--- a\n+++ b\n@@ -1 +1 @@\n-a\n+b\n"), IsEmpty());
    EXPECT_THAT(functions_of_patch("@@ "), IsEmpty());
}

// The header of a hunk names the function before it; a system call has other names in the kernel.
TEST(FunctionsOfPatch, AreThoseThatBeginInAHunkAndChange) {
    EXPECT_THAT(functions_of_patch("@@ -1,9 +1,9 @@ static int before(int x)\n"
                                   " }\n"
                                   " \n"
                                   " static void unchanged(void)\n"
                                   " {\n"
                                   " }\n"
                                   " static void changed(struct page *page,\n"
                                   "+\tcall(page);\n"
                                   "-static void gone(void)\n"
                                   "+int declared(void);\n"),
                ElementsAre("before", "changed"));
    EXPECT_THAT(functions_of_patch("@@ -1 +1 @@ SYSCALL_DEFINE3(madvise, unsigned long, start,\n"),
                ElementsAre("__do_sys_madvise", "__x64_sys_madvise", "__arm64_sys_madvise",
                            "__s390x_sys_madvise", "sys_madvise"));
}

TEST(FunctionsOfPatch, AreTheLinesOfAList) {
    EXPECT_THAT(functions_of_patch("# those of the argument\n"
                                   "\n"
                                   "collapse_file\n"
                                   "  zap_pte_range()  # twice below\n"
                                   "zap_pte_range\n"
                                   "__do_fault.isra.0\n"
                                   " # folio_put\n"
                                   "last"),
                ElementsAre("collapse_file", "zap_pte_range", "__do_fault", "last"));
    EXPECT_THAT(functions_of_patch(""), IsEmpty());
    EXPECT_THAT(functions_of_patch("\n\n#\n()\n"), IsEmpty());
}

} // namespace
} // namespace faultline
