// SPDX-License-Identifier: GPL-2.0
// The two designs against what they are to do, written down slowly: every pattern of a small range,
// and many of a large one.
#include "model/mthp_collapse.hpp"

#include "engine/rng.hpp"

#include <gmock/gmock.h>

namespace faultline::model {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

unsigned there(const PresentPtes& present, unsigned offset, unsigned number) {
    unsigned sum = 0;
    for (unsigned i = 0; i < number; ++i)
        sum += present[offset + i] ? 1 : 0;
    return sum;
}

// A range becomes a folio if its order may be made and few enough are none; else its halves are
// asked. `also` is what a design asks for beside that.
template <typename Also>
void slow(const CollapseDesign& design, const PresentPtes& present, const CollapseRules& rules,
          Collapse range, const Also& also, std::vector<Collapse>& made) {
    const unsigned number = 1U << range.order;
    const unsigned none = number - there(present, range.offset, number);
    if (rules.may(range.order) && none <= design.most_none(range.order, rules) && also(range)) {
        made.push_back(range);
        return;
    }
    if (range.order == min_mthp_order)
        return;
    for (const unsigned offset : {range.offset, range.offset + number / 2})
        slow(design, present, rules, {offset, range.order - 1}, also, made);
}

std::vector<Collapse> slow_merged(const PresentPtes& present, const CollapseRules& rules) {
    std::vector<Collapse> made;
    slow(
        merged_design(), present, rules, {0, rules.pmd_order}, [](Collapse) { return true; }, made);
    return made;
}

// How many chunks of four have enough, as a share of the range, against the share that must be.
std::vector<Collapse> slow_chunks(const PresentPtes& present, const CollapseRules& rules) {
    const auto enough = [&](Collapse range) {
        if (rules.enabled == 1U << rules.pmd_order)
            return true;
        unsigned chunks = 0;
        for (unsigned at = 0; at < 1U << range.order; at += 4)
            if (4 - there(present, range.offset + at, 4) <=
                rules.max_ptes_none / (rules.pages() / 4))
                ++chunks;
        const unsigned parts = rules.pages() * 4 / (1U << range.order);
        return chunks > (rules.pages() - rules.max_ptes_none - 1) / parts;
    };
    std::vector<Collapse> made;
    slow(chunk_design(), present, rules, {0, rules.pmd_order}, enough, made);
    return made;
}

PresentPtes bits(unsigned pattern, unsigned number) {
    PresentPtes present(number);
    for (unsigned i = 0; i < number; ++i)
        present[i] = (pattern >> i & 1U) != 0;
    return present;
}

TEST(MthpCollapseTest, AgreesWithTheSlowOnesForEveryPatternOfSixteenPtes) {
    for (std::uint32_t enabled = 0; enabled < 32; enabled += 4)
        for (const unsigned none : {0U, 1U, 3U, 7U, 8U, 12U, 14U, 15U})
            for (unsigned pattern = 0; pattern < 1U << 16; ++pattern) {
                const CollapseRules rules{4, enabled, none};
                const PresentPtes present = bits(pattern, 16);
                ASSERT_EQ(merged_design().choose(present, rules), slow_merged(present, rules))
                    << pattern << " enabled " << enabled << " none " << none;
                ASSERT_EQ(chunk_design().choose(present, rules), slow_chunks(present, rules))
                    << pattern << " enabled " << enabled << " none " << none;
            }
}

TEST(MthpCollapseTest, AgreesWithTheSlowOnesForManyPatternsOfEverySetOfOrders) {
    Rng rng(1);
    for (const unsigned pmd_order : {5U, 8U, 9U, 11U})
        for (std::uint32_t enabled = 0; enabled < 1U << (pmd_order + 1); enabled += 4)
            for (const unsigned share : {0U, 1U, 2U, 3U}) {
                const unsigned pages = 1U << pmd_order;
                const unsigned none = share == 0 ? 0 : share == 1 ? 1 : pages / 2 * (share - 1) - 1;
                const CollapseRules rules{pmd_order, enabled, none};
                const auto density = rng.below(17);
                PresentPtes present(pages);
                for (unsigned i = 0; i < pages; ++i)
                    present[i] = rng.below(16) < density;
                ASSERT_EQ(merged_design().choose(present, rules), slow_merged(present, rules));
                ASSERT_EQ(chunk_design().choose(present, rules), slow_chunks(present, rules));
            }
}

// The seed: "a collapse will introduce at least 2x the number of pages, and on a future scan will
// satisfy the promotion condition once again".
TEST(MthpCollapseTest, TheSeedsDesignCreepsAndTheMergedOneDoesNot) {
    const CollapseRules rules{9, 0x1fc, 256}; // 16K to 1M
    PresentPtes seed(512);
    seed[0] = seed[1] = true;
    PresentPtes merged = seed;
    std::vector<unsigned> pages;
    for (int scan = 0; scan < 9; ++scan) {
        seed = after(seed, chunk_design().choose(seed, rules));
        merged = after(merged, merged_design().choose(merged, rules));
        pages.push_back(there(seed, 0, 512));
        EXPECT_EQ(there(merged, 0, 512), 2U);
    }
    EXPECT_THAT(pages, ElementsAre(4, 8, 16, 32, 64, 128, 256, 256, 256));
}

TEST(MthpCollapseTest, TheMergedDesignIsGreedyWithTheLargestLimit) {
    PresentPtes present(512);
    present[200] = true;
    EXPECT_THAT(merged_design().choose(present, {9, 0x3fc, 511}), ElementsAre(Collapse{0, 9}));
    EXPECT_THAT(merged_design().choose(present, {9, 0x1c, 511}), ElementsAre(Collapse{192, 4}));
    EXPECT_THAT(merged_design().choose(present, {9, 0x1c, 510}), IsEmpty());
}

TEST(MthpCollapseTest, SizesAreThoseOfTheEmail) {
    EXPECT_EQ(pmd_only_control_bytes(), 272U);
    EXPECT_EQ(chunk_design().control_bytes(), 816U);
    EXPECT_EQ(merged_design().control_bytes(), 336U);
}

TEST(MthpCollapseTest, Draws) {
    PresentPtes present(16);
    for (const unsigned page : {0U, 1U, 2U, 3U, 5U})
        present[page] = true;
    EXPECT_EQ(picture(present, 4), "#+..");
    EXPECT_EQ(picture({{0, 2}, {8, 3}}, 16, 4), "2.33");
    EXPECT_EQ(picture({{0, 11}}, 2048, 512), "bbbb");
}

} // namespace
} // namespace faultline::model
