// SPDX-License-Identifier: GPL-2.0
// Every interleaving of every case: the sound designs hold, the others and each slip are refuted.
#include "model/cases.hpp"
#include "model/explored_ops.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>

namespace faultline::model {
namespace {

using testing::HasSubstr;

std::string text(const Counterexample& example) {
    std::string all = example.violation + "\n";
    for (const std::string& step : example.steps)
        all += "  " + step + "\n";
    return all;
}

class Designs : public testing::TestWithParam<std::size_t> {};

TEST_P(Designs, AsExpected) {
    const ModelledDesign& design = designs().at(GetParam());
    std::uint64_t interleavings = 0;
    std::uint64_t states = 0;
    bool refuted = false;
    for (const Case& which : cases()) {
        const Exploration found = design.explore(which);
        interleavings += found.interleavings;
        states += found.states;
        refuted = refuted || found.shortest;
        if (!design.sound)
            continue;
        EXPECT_TRUE(found.complete) << which.name;
        EXPECT_FALSE(found.shortest) << which.name << ": " << text(*found.shortest);
    }
    EXPECT_NE(refuted, design.sound);
    fmt::print("{}{}{}: {} interleavings, {} states\n", design.name,
               design.slip.empty() ? "" : ", ", design.slip, interleavings, states);
}

INSTANTIATE_TEST_SUITE_P(All, Designs, testing::Range(std::size_t{0}, designs().size()));

const ModelledDesign& design_named(std::string_view name, std::string_view slip = "") {
    for (const ModelledDesign& design : designs())
        if (design.name.find(name) != std::string_view::npos &&
            design.slip.find(slip) != std::string_view::npos)
            return design;
    throw std::out_of_range("no such design");
}

const Case& case_named(std::string_view name) {
    for (const Case& which : cases())
        if (which.name == name)
            return which;
    throw std::out_of_range("no such case");
}

TEST(Counterexamples, WilcoxsObjectionIsTwoCallsForOneHead) {
    const Exploration found = design_named("one head").explore(case_named("two tables deferred"));
    ASSERT_TRUE(found.shortest);
    EXPECT_EQ(found.shortest->violation, "the rcu_head was queued while it was queued");
    EXPECT_THAT(found.shortest->steps,
                testing::ElementsAre("defer(0): unlink table 0", "defer(0): call_rcu",
                                     "defer(1): unlink table 1", "defer(1): call_rcu"));
}

TEST(Counterexamples, TheMergedDesignLeavesItsMarkAtExit) {
    const Exploration found =
        design_named("6.6 to 7.0").explore(case_named("one deferred, the mm exits"));
    ASSERT_TRUE(found.shortest);
    EXPECT_EQ(found.shortest->violation, "bad page: freed with PG_active set");
}

TEST(Counterexamples, AndDoesNotWaitForReadersThere) {
    const Exploration found =
        design_named("from 7.1").explore(case_named("one deferred, the mm exits, a reader"));
    ASSERT_TRUE(found.shortest);
    EXPECT_THAT(found.shortest->violation, HasSubstr("while a reader was at table 0"));
}

// The explorer itself: what it must see in programs that are known.
struct Toy {
    explicit Toy(Explorer::Run& run) : ops(run) {}
    ExploredOps ops;
    ExploredOps::Counter counter{0};
    ExploredOps::Head head;
    int last = 0; // that was written
};

Exploration explore_toys(int fibers, int steps) {
    return Explorer::explore(
        [=](Explorer::Run& run) {
            auto toy = std::make_shared<Toy>(run);
            for (int i = 0; i < fibers; ++i)
                run.add_fiber(fmt::format("{}", i), [toy = toy.get(), steps] {
                    for (int step = 0; step < steps; ++step)
                        toy->ops.add_return(toy->counter, 1);
                });
            run.shared_state = [toy = toy.get()] { return toy->ops.state(); };
            run.owner = toy;
        },
        most_interleavings);
}

TEST(Explorer, RunsEveryInterleavingOnce) {
    EXPECT_EQ(explore_toys(1, 5).interleavings, 1U);
    EXPECT_EQ(explore_toys(2, 1).interleavings, 2U);
    EXPECT_EQ(explore_toys(2, 3).interleavings, 20U);   // 6! / (3! 3!)
    EXPECT_EQ(explore_toys(3, 2).interleavings, 90U);   // 6! / (2! 2! 2!)
    EXPECT_EQ(explore_toys(3, 3).interleavings, 1680U); // 9! / (3! 3! 3!)
    EXPECT_TRUE(explore_toys(3, 3).complete);
}

TEST(Explorer, SaysWhenItWasNotAll) {
    const Exploration found = Explorer::explore(
        [](Explorer::Run& run) {
            for (int i = 0; i < 3; ++i)
                run.add_fiber(fmt::format("{}", i), [&run] {
                    run.step("a");
                    run.step("b");
                });
        },
        10);
    EXPECT_EQ(found.interleavings, 10U);
    EXPECT_FALSE(found.complete);
}

TEST(Explorer, FindsALostUpdate) {
    const Exploration found = Explorer::explore(
        [](Explorer::Run& run) {
            auto toy = std::make_shared<Toy>(run);
            for (int i = 0; i < 2; ++i)
                run.add_fiber(fmt::format("{}", i), [toy = toy.get()] {
                    const int value = toy->ops.load(toy->counter);
                    toy->ops.exchange(toy->counter, value + 1);
                    toy->last = value + 1;
                });
            run.at_end = [toy = toy.get()]() -> std::string {
                return toy->last == 2 ? "" : "an update was lost";
            };
            run.owner = toy;
        },
        most_interleavings);
    EXPECT_EQ(found.interleavings, 6U);
    EXPECT_EQ(found.violations, 4U);
}

TEST(Explorer, ACallbackWaitsForTheReadersBeforeIt) {
    const Exploration found = Explorer::explore(
        [](Explorer::Run& run) {
            auto toy = std::make_shared<Toy>(run);
            run.add_fiber("reader", [toy = toy.get()] { toy->ops.read(0, 2); });
            run.add_fiber("freer", [toy = toy.get()] {
                toy->ops.unlink(0);
                toy->ops.call_rcu(
                    toy->head, [](void* data, int) { static_cast<Toy*>(data)->ops.free_page(); },
                    toy, 0);
            });
            run.owner = toy;
        },
        most_interleavings);
    EXPECT_TRUE(found.complete);
    EXPECT_EQ(found.violations, 0U);
    EXPECT_GT(found.interleavings, 20U);
}

} // namespace
} // namespace faultline::model
