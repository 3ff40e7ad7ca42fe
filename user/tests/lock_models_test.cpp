// SPDX-License-Identifier: GPL-2.0
// Every interleaving of the two arguments about locks: the sound designs hold, the others and each
// slip are refuted, by the hazard that the e-mail names.
#include "model/lock_models.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <stdexcept>

namespace faultline::model {
namespace {

using testing::HasSubstr;

constexpr std::uint64_t bound = 2'000'000;

std::string text(const Counterexample& example) {
    std::string all = example.violation + "\n";
    for (const std::string& step : example.steps)
        all += "  " + step + "\n";
    return all;
}

TEST(LockModels, AsExpected) {
    for (const LockModel& model : lock_models())
        for (const LockDesign& design : model.designs) {
            bool refuted = false;
            for (std::size_t which = 0; which < model.cases.size(); ++which) {
                const Exploration found = design.explore(which, bound);
                EXPECT_TRUE(found.complete) << design.name << ", " << model.cases[which];
                EXPECT_GT(found.interleavings, 1U);
                refuted = refuted || found.shortest;
                EXPECT_FALSE(design.sound && found.shortest)
                    << design.name << ", " << model.cases[which] << ": " << text(*found.shortest);
            }
            EXPECT_NE(refuted, design.sound) << design.name << ", " << design.slip;
        }
}

Exploration explore(const LockModel& model, std::string_view design, std::string_view slip,
                    std::string_view which) {
    for (const LockDesign& one : model.designs)
        for (std::size_t i = 0; i < model.cases.size(); ++i)
            if (one.name == design && one.slip == slip && model.cases[i] == which)
                return one.explore(i, bound);
    throw std::out_of_range("no such design or case");
}

std::string violation(const LockModel& model, std::string_view design, std::string_view slip,
                      std::string_view which) {
    const Exploration found = explore(model, design, slip, which);
    return found.shortest ? found.shortest->violation : "";
}

TEST(LockModels, ThePmdsOrderMayUnlockEarlyAndASmallerOneMayNot) {
    const LockModel hold = collapse_hold();
    const std::string_view early = "until the pages are isolated";
    EXPECT_EQ(violation(hold, early, "", "the PMD's order"), "");
    EXPECT_EQ(violation(hold, early, "", "a smaller order, a page of it"), "");
    EXPECT_THAT(violation(hold, early, "", "a smaller order, a page beside"),
                HasSubstr("a migration entry stays"));
}

TEST(LockModels, TheSlipsOfTheHoldHaveTheirOwnHazards) {
    const LockModel hold = collapse_hold();
    const std::string_view back = "until the PMD is back";
    EXPECT_EQ(violation(hold, back, "waits for the lock of a page", "the PMD's order"),
              "the actors wait for each other");
    EXPECT_EQ(violation(hold, back, "a copy that fails goes past the unlock",
                        "a smaller order, a page beside, the copy fails"),
              "the actors wait for each other");
    EXPECT_THAT(violation(hold, back, "a failed isolation unlocks, and so does the end",
                          "a smaller order, a page of it"),
                HasSubstr("nobody had it"));
}

TEST(LockModels, TheLoopOfTheEmailMeetsAPageThatIsNoTable) {
    const LockModel sharing = pmd_unsharing();
    EXPECT_EQ(violation(sharing, "the e-mail's loop", "", "it is unshared twice"), "");
    EXPECT_EQ(
        violation(sharing, "the e-mail's loop", "", "it is unshared, and the other process exits"),
        "the fault took a lock in a page that is no table any more");
    EXPECT_EQ(violation(sharing, "no comparison", "", "the table is unshared"),
              "the fault set an entry of a table that its process has lost");
}

TEST(LockModels, OneComparisonIsNotEnough) {
    const LockModel sharing = pmd_unsharing();
    EXPECT_EQ(violation(sharing, "the same", "if in place of while", "the table is unshared"), "");
    EXPECT_THAT(violation(sharing, "the same", "if in place of while", "it is unshared twice"),
                HasSubstr("has lost"));
}

} // namespace
} // namespace faultline::model
