// SPDX-License-Identifier: GPL-2.0
// The two designs against a slow reference: every pattern of a small range, and many of a large
// one. The reference takes no rule from the designs. Its words are those of the e-mails: Nico
// Pache, August 2025, of version 10: "Each bit represents a utilized region of order
// KHUGEPAGED_MIN_MTHP_ORDER ptes"; "max_ptes_none will be scaled by the attempted collapse order to
// determine how 'full' an order must be before being considered for collapse". The merged one:
// below the PMD's order no PTE may be none, or all but one (docs/mthp.md, measured on 7.2).
#include "model/mthp_collapse.hpp"

#include "engine/rng.hpp"

#include <algorithm>
#include <gmock/gmock.h>
#include <string>

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

// A range becomes a folio if its order may be made and `fit` says so; else its halves are asked.
template <typename Fit>
void slow(const CollapseRules& rules, Collapse range, const Fit& fit, std::vector<Collapse>& made) {
    if (rules.may(range.order) && fit(range)) {
        made.push_back(range);
        return;
    }
    if (range.order == min_mthp_order)
        return;
    const unsigned half = (1U << range.order) / 2;
    for (const unsigned offset : {range.offset, range.offset + half})
        slow(rules, {offset, range.order - 1}, fit, made);
}

// In the PMD's range max_ptes_none PTEs may be none. In a smaller range no PTE may be none, or, if
// max_ptes_none allows all but one, all but one.
std::vector<Collapse> slow_merged(const PresentPtes& present, const CollapseRules& rules) {
    const auto fit = [&](Collapse range) {
        const unsigned number = 1U << range.order;
        const unsigned pages = there(present, range.offset, number);
        if (number == present.size())
            return pages + rules.max_ptes_none >= number;
        return pages == number || (pages > 0 && rules.max_ptes_none + 1 == present.size());
    };
    std::vector<Collapse> made;
    slow(rules, {0, rules.pmd_order}, fit, made);
    return made;
}

// Few enough are none if their share of these PTEs is no more than max_ptes_none's of them all.
bool scaled(const PresentPtes& present, unsigned offset, unsigned number, unsigned max_ptes_none) {
    const unsigned none = number - there(present, offset, number);
    return none * present.size() <= std::size_t{max_ptes_none} * number;
}

// In the same way for each chunk of four; and of a range's chunks more than a threshold must be
// full enough, of which an eager order, the PMD's alone, is free.
std::vector<Collapse> slow_chunks(const PresentPtes& present, const CollapseRules& rules) {
    const auto fit = [&](Collapse range) {
        const unsigned number = 1U << range.order;
        if (!scaled(present, range.offset, number, rules.max_ptes_none))
            return false;
        if (rules.enabled == 1U << rules.pmd_order)
            return true;
        unsigned chunks = 0;
        for (unsigned at = 0; at < number; at += 4)
            chunks += scaled(present, range.offset + at, 4, rules.max_ptes_none) ? 1 : 0;
        const unsigned parts = rules.pages() * 4 / number;
        return chunks > (rules.pages() - rules.max_ptes_none - 1) / parts;
    };
    std::vector<Collapse> made;
    slow(rules, {0, rules.pmd_order}, fit, made);
    return made;
}

using Reference = std::vector<Collapse> (*)(const PresentPtes&, const CollapseRules&);

PresentPtes bits(unsigned pattern, unsigned number) {
    PresentPtes present(number);
    for (unsigned i = 0; i < number; ++i)
        present[i] = (pattern >> i & 1U) != 0;
    return present;
}

std::string difference(const CollapseDesign& design, Reference reference,
                       const PresentPtes& present, const CollapseRules& rules) {
    if (design.choose(present, rules) == reference(present, rules))
        return {};
    return picture(present, 1) + " enabled " + std::to_string(rules.enabled) + " none " +
           std::to_string(rules.max_ptes_none);
}

// "" or the first pattern of sixteen PTEs for which they differ.
std::string small_difference(const CollapseDesign& design, Reference reference) {
    for (std::uint32_t enabled = 0; enabled < 32; enabled += 4)
        for (const unsigned none : {0U, 1U, 3U, 7U, 8U, 12U, 14U, 15U})
            for (unsigned pattern = 0; pattern < 1U << 16; ++pattern)
                if (std::string differ =
                        difference(design, reference, bits(pattern, 16), {4, enabled, none});
                    !differ.empty())
                    return differ;
    return {};
}

// The same for one pattern of each of many ranges, and of every set of orders.
std::string large_difference(const CollapseDesign& design, Reference reference) {
    Rng rng(1);
    for (const unsigned pmd_order : {5U, 8U, 9U, 11U})
        for (std::uint32_t enabled = 0; enabled < 1U << (pmd_order + 1); enabled += 4)
            for (const unsigned share : {0U, 1U, 2U, 3U}) {
                const unsigned pages = 1U << pmd_order;
                const unsigned none = share == 0 ? 0 : share == 1 ? 1 : pages / 2 * (share - 1) - 1;
                const auto density = rng.below(17);
                PresentPtes present(pages);
                for (unsigned i = 0; i < pages; ++i)
                    present[i] = rng.below(16) < density;
                if (std::string differ =
                        difference(design, reference, present, {pmd_order, enabled, none});
                    !differ.empty())
                    return differ;
            }
    return {};
}

TEST(MthpCollapseTest, AgreesWithTheReferenceForEveryPatternOfSixteenPtes) {
    EXPECT_EQ(small_difference(merged_design(), slow_merged), "");
    EXPECT_EQ(small_difference(chunk_design(), slow_chunks), "");
}

TEST(MthpCollapseTest, AgreesWithTheReferenceForManyPatternsOfEverySetOfOrders) {
    EXPECT_EQ(large_difference(merged_design(), slow_merged), "");
    EXPECT_EQ(large_difference(chunk_design(), slow_chunks), "");
}

// A design whose most_none() is wrong: the reference must notice, as it has a rule of its own.
using Limit = unsigned (*)(unsigned right, unsigned order, const CollapseRules& rules);

template <typename Design> class Wrong final : public Design {
  public:
    explicit Wrong(Limit limit) : limit_(limit) {}
    [[nodiscard]] unsigned most_none(unsigned order, const CollapseRules& rules) const override {
        return limit_(Design::most_none(order, rules), order, rules);
    }

  private:
    Limit limit_;
};

unsigned right(unsigned limit, unsigned /*order*/, const CollapseRules& /*rules*/) { return limit; }
unsigned one_more(unsigned limit, unsigned order, const CollapseRules& /*rules*/) {
    return std::min(limit + 1, (1U << order) - 1);
}
unsigned one_less(unsigned limit, unsigned /*order*/, const CollapseRules& /*rules*/) {
    return limit == 0 ? 0 : limit - 1;
}
unsigned not_scaled(unsigned /*limit*/, unsigned /*order*/, const CollapseRules& rules) {
    return rules.max_ptes_none;
}
unsigned scaled_twice(unsigned limit, unsigned order, const CollapseRules& rules) {
    return limit >> (rules.pmd_order - order);
}
unsigned none_at_all(unsigned /*limit*/, unsigned /*order*/, const CollapseRules& /*rules*/) {
    return 0;
}
unsigned always_the_largest(unsigned /*limit*/, unsigned order, const CollapseRules& /*rules*/) {
    return (1U << order) - 1;
}

TEST(MthpCollapseTest, TheReferenceNoticesAWrongLimitOfTheSeedsDesign) {
    EXPECT_EQ(small_difference(Wrong<ChunkDesign>(right), slow_chunks), "");
    for (const Limit wrong :
         {one_more, one_less, not_scaled, scaled_twice, none_at_all, always_the_largest})
        EXPECT_NE(small_difference(Wrong<ChunkDesign>(wrong), slow_chunks), "");
}

TEST(MthpCollapseTest, TheReferenceNoticesAWrongLimitOfTheMergedDesign) {
    EXPECT_EQ(small_difference(Wrong<MergedDesign>(right), slow_merged), "");
    for (const Limit wrong :
         {one_more, one_less, not_scaled, scaled_twice, none_at_all, always_the_largest})
        EXPECT_NE(small_difference(Wrong<MergedDesign>(wrong), slow_merged), "");
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
