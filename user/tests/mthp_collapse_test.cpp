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

unsigned number_of(const Ptes& ptes, unsigned offset, unsigned number, Pte pte) {
    unsigned sum = 0;
    for (unsigned i = 0; i < number; ++i)
        sum += ptes[offset + i] == pte ? 1 : 0;
    return sum;
}

// The numbers of PTEs of each kind in a range. The zero page is as good as none.
struct Has {
    unsigned none, own, shared, swapped;
};

Has has(const Ptes& ptes, unsigned offset, unsigned number) {
    const auto of = [&](Pte pte) { return number_of(ptes, offset, number, pte); };
    return {of(Pte::none) + of(Pte::zero), of(Pte::page), of(Pte::shared), of(Pte::swapped)};
}

// The look at the whole range, as khugepaged had it before: each kind has its limit, some page is
// young, and half of them are if others will be read back from the swap space.
bool worth_it(const Ptes& ptes, const CollapseRules& rules) {
    const auto pages = static_cast<unsigned>(ptes.size());
    const Has all = has(ptes, 0, pages);
    if (all.own + all.shared == 0 || (rules.wants_page_of_own && all.own == 0))
        return false;
    if (all.swapped != 0 && 2 * (all.own + all.shared) < pages)
        return false;
    if (rules.enabled == 1U << rules.pmd_order && all.none > rules.max_ptes_none)
        return false;
    return all.swapped <= rules.max_ptes_swap && all.shared <= rules.max_ptes_shared;
}

// A range becomes a folio if its order may be made and `fit` says so; else its halves are asked.
template <typename Fit>
void slow(const CollapseRules& rules, Collapse range, const Fit& fit, Scan& scan) {
    const unsigned number = 1U << range.order;
    if (rules.may(range.order) && fit(range)) {
        for (unsigned i = 0; i < number; ++i)
            scan.left[range.offset + i] = Pte::page;
        scan.made.push_back(range);
        return;
    }
    if (range.order == min_mthp_order)
        return;
    for (const unsigned offset : {range.offset, range.offset + number / 2})
        slow(rules, {offset, range.order - 1}, fit, scan);
}

// In the PMD's range max_ptes_none PTEs may be none. In a smaller range no PTE may be none, or, if
// max_ptes_none allows all but one, all but one; "contains swapped out, or shared pages, we don't
// perform the collapse".
Scan slow_merged(const Ptes& ptes, const CollapseRules& rules) {
    Scan scan{.made = {}, .left = ptes};
    const auto fit = [&](Collapse range) {
        const unsigned number = 1U << range.order;
        const Has there = has(ptes, range.offset, number);
        if (number == ptes.size())
            return there.none <= rules.max_ptes_none;
        return there.shared == 0 && there.swapped == 0 &&
               (there.none == 0 || (there.own > 0 && rules.max_ptes_none + 1 == ptes.size()));
    };
    if (worth_it(ptes, rules))
        slow(rules, {0, rules.pmd_order}, fit, scan);
    return scan;
}

// Few enough are none if their share of these PTEs is no more than max_ptes_none's of them all.
bool scaled(const Ptes& ptes, unsigned offset, unsigned number, unsigned max_ptes_none) {
    return has(ptes, offset, number).none * ptes.size() <= std::size_t{max_ptes_none} * number;
}

// In the same way for each chunk of four; and of a range's chunks more than a threshold must be
// full enough, of which an eager order is free: the PMD's alone, or one that is always enabled
// ("greedy collapsing to that order without considering bit density"). The bits are those of the
// first look. Pages come back from the swap space before the rest of the PMD's range is looked at.
Scan slow_chunks(const Ptes& ptes, const CollapseRules& rules) {
    Scan scan{.made = {}, .left = ptes};
    const auto dense = [&](Collapse range) {
        unsigned chunks = 0;
        for (unsigned at = 0; at < 1U << range.order; at += 4)
            chunks += scaled(ptes, range.offset + at, 4, rules.max_ptes_none) ? 1 : 0;
        const unsigned parts = rules.pages() * 4 >> range.order;
        return chunks > (rules.pages() - rules.max_ptes_none - 1) / parts;
    };
    const auto fit = [&](Collapse range) {
        const unsigned number = 1U << range.order;
        const bool eager = rules.enabled == 1U << rules.pmd_order || (rules.always & number) != 0;
        if (!eager && !dense(range))
            return false;
        if (number == ptes.size())
            for (Pte& pte : scan.left)
                pte = pte == Pte::swapped ? Pte::page : pte;
        const Has there = has(scan.left, range.offset, number);
        return there.swapped == 0 && (number == ptes.size() || there.shared == 0) &&
               there.none < number && scaled(scan.left, range.offset, number, rules.max_ptes_none);
    };
    if (worth_it(ptes, rules))
        slow(rules, {0, rules.pmd_order}, fit, scan);
    return scan;
}

using Reference = Scan (*)(const Ptes&, const CollapseRules&);

Ptes bits(unsigned pattern, unsigned number) {
    Ptes ptes(number);
    for (unsigned i = 0; i < number; ++i)
        ptes[i] = (pattern >> i & 1U) != 0 ? Pte::page : Pte::none;
    return ptes;
}

// A pattern of all kinds: a digit to the base 5 for each PTE.
Ptes kinds(unsigned pattern, unsigned number) {
    Ptes ptes;
    for (unsigned i = 0; i < number; ++i, pattern /= 5)
        ptes.push_back(static_cast<Pte>(pattern % 5));
    return ptes;
}

std::string difference(const CollapseDesign& design, Reference reference, const Ptes& ptes,
                       const CollapseRules& rules) {
    const Scan here = design.scan(ptes, rules);
    const Scan there = reference(ptes, rules);
    if (here.made == there.made && here.left == there.left)
        return {};
    return picture(ptes, 1) + " enabled " + std::to_string(rules.enabled) + " always " +
           std::to_string(rules.always) + " none " + std::to_string(rules.max_ptes_none) +
           " shared " + std::to_string(rules.max_ptes_shared) + " swap " +
           std::to_string(rules.max_ptes_swap);
}

// "" or the first pattern of sixteen PTEs, of pages and holes, for which they differ.
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

// The same for every pattern of eight PTEs of every kind, with limits by lot.
std::string kinds_difference(const CollapseDesign& design, Reference reference) {
    Rng rng(1);
    constexpr unsigned patterns = 5 * 5 * 5 * 5 * 5 * 5 * 5 * 5;
    for (unsigned pattern = 0; pattern < patterns; ++pattern)
        for (std::uint32_t enabled = 4; enabled < 16; enabled += 4) {
            const auto limit = [&rng] { return static_cast<unsigned>(rng.below(9)); };
            CollapseRules rules{3, enabled, std::min(limit(), 7U), limit(), limit()};
            rules.always = enabled & static_cast<std::uint32_t>(rng.below(16));
            rules.wants_page_of_own = rng.below(2) == 0;
            if (std::string differ = difference(design, reference, kinds(pattern, 8), rules);
                !differ.empty())
                return differ;
        }
    return {};
}

// A range of one kind, with others here and there.
Ptes mixed(Rng& rng, unsigned pages) {
    const auto most = rng.below(5);
    const auto density = rng.below(9);
    Ptes ptes;
    for (unsigned i = 0; i < pages; ++i)
        ptes.push_back(static_cast<Pte>(rng.below(8) < density ? most : rng.below(5)));
    return ptes;
}

// The same for patterns of each of many ranges, and of every set of orders.
std::string large_difference(const CollapseDesign& design, Reference reference) {
    Rng rng(1);
    for (const unsigned pmd_order : {5U, 8U, 9U, 11U})
        for (std::uint32_t enabled = 0; enabled < 1U << (pmd_order + 1); enabled += 4)
            for (const unsigned share : {0U, 1U, 2U, 3U}) {
                const unsigned pages = 1U << pmd_order;
                const unsigned none = share == 0 ? 0 : share == 1 ? 1 : pages / 2 * (share - 1) - 1;
                const auto density = rng.below(17);
                Ptes ptes(pages);
                for (unsigned i = 0; i < pages; ++i)
                    ptes[i] = rng.below(16) < density ? Pte::page : Pte::none;
                CollapseRules rules{pmd_order, enabled, none, pages / 2, pages / 8};
                std::string differ = difference(design, reference, ptes, rules);
                rules.always =
                    enabled & static_cast<std::uint32_t>(rng.below(1U << (pmd_order + 1)));
                if (differ.empty())
                    differ = difference(design, reference, mixed(rng, pages), rules);
                if (!differ.empty())
                    return differ;
            }
    return {};
}

TEST(MthpCollapseTest, AgreesWithTheReferenceForEveryPatternOfSixteenPtes) {
    EXPECT_EQ(small_difference(merged_design(), slow_merged), "");
    EXPECT_EQ(small_difference(chunk_design(), slow_chunks), "");
}

TEST(MthpCollapseTest, AgreesWithTheReferenceForEveryPatternOfEightPtesOfEveryKind) {
    EXPECT_EQ(kinds_difference(merged_design(), slow_merged), "");
    EXPECT_EQ(kinds_difference(chunk_design(), slow_chunks), "");
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

// A design with one wrong rule about zero, shared or swapped PTEs, or about "always".
enum class Mistake {
    none,
    zero_is_a_page,
    swapped_is_none,
    shared_anywhere, // below the PMD's order, too
    shared_nowhere,
    swapped_anywhere,
    swapped_nowhere,
};

template <typename Design> class Mistaken : public Design {
  public:
    explicit Mistaken(Mistake mistake) : mistake_(mistake) {}
    [[nodiscard]] bool is_none(Pte pte) const override {
        return (Design::is_none(pte) &&
                !(mistake_ == Mistake::zero_is_a_page && pte == Pte::zero)) ||
               (mistake_ == Mistake::swapped_is_none && pte == Pte::swapped);
    }
    [[nodiscard]] unsigned most_shared(unsigned order, const CollapseRules& rules) const override {
        return mistake_ == Mistake::shared_anywhere  ? rules.max_ptes_shared
               : mistake_ == Mistake::shared_nowhere ? 0
                                                     : Design::most_shared(order, rules);
    }
    [[nodiscard]] unsigned most_swapped(unsigned order, const CollapseRules& rules) const override {
        return mistake_ == Mistake::swapped_anywhere  ? rules.max_ptes_swap
               : mistake_ == Mistake::swapped_nowhere ? 0
                                                      : Design::most_swapped(order, rules);
    }

  private:
    Mistake mistake_;
};

class NeverGreedy final : public ChunkDesign {
  protected:
    [[nodiscard]] bool is_greedy(unsigned /*order*/, const CollapseRules& rules) const override {
        return rules.pmd_alone();
    }
};

class AlwaysGreedy final : public ChunkDesign {
  protected:
    [[nodiscard]] bool is_greedy(unsigned order, const CollapseRules& rules) const override {
        return ChunkDesign::is_greedy(order, rules) || rules.always != 0;
    }
};

template <typename Design> void expect_noticed(Reference reference) {
    EXPECT_EQ(kinds_difference(Mistaken<Design>(Mistake::none), reference), "");
    for (const Mistake mistake :
         {Mistake::zero_is_a_page, Mistake::shared_anywhere, Mistake::shared_nowhere,
          Mistake::swapped_anywhere, Mistake::swapped_nowhere, Mistake::swapped_is_none})
        EXPECT_NE(kinds_difference(Mistaken<Design>(mistake), reference), "")
            << static_cast<int>(mistake);
}

TEST(MthpCollapseTest, TheReferenceNoticesAWrongRuleAboutAKindOfPte) {
    expect_noticed<ChunkDesign>(slow_chunks);
    expect_noticed<MergedDesign>(slow_merged);
}

TEST(MthpCollapseTest, TheReferenceNoticesAWrongGreedOfTheSeedsDesign) {
    EXPECT_NE(kinds_difference(NeverGreedy(), slow_chunks), "");
    EXPECT_NE(kinds_difference(AlwaysGreedy(), slow_chunks), "");
}

// A range of 512 PTEs, all pages but these.
Ptes all_but(Pte pte, std::initializer_list<unsigned> at) {
    Ptes ptes(512, Pte::page);
    for (const unsigned page : at)
        ptes[page] = pte;
    return ptes;
}

constexpr CollapseRules all_orders(unsigned max_ptes_none) {
    return {9, 0x3fc, max_ptes_none, 256, 64};
}

// "contains swapped out, or shared pages, we don't perform the collapse" is about the orders below
// the PMD's: in its own, they are copied and read back.
TEST(MthpCollapseTest, BelowThePmdsOrderNoPageIsSharedOrSwapped) {
    for (const Pte pte : {Pte::shared, Pte::swapped}) {
        const Ptes ptes = all_but(pte, {100});
        for (const CollapseDesign* design : {&chunk_design(), &merged_design()}) {
            EXPECT_THAT(design->scan(ptes, all_orders(0)).made, ElementsAre(Collapse{0, 9}));
            CollapseRules small = all_orders(0);
            small.enabled = 0x1fc;
            EXPECT_THAT(design->scan(ptes, small).made,
                        ElementsAre(Collapse{0, 6}, Collapse{64, 5}, Collapse{96, 2},
                                    Collapse{104, 3}, Collapse{112, 4}, Collapse{128, 7},
                                    Collapse{256, 8}));
        }
    }
}

// In both designs a PTE of the zero page is none, and a collapse replaces it by a page of zeroes.
TEST(MthpCollapseTest, AZeroPageIsNone) {
    for (const Pte pte : {Pte::none, Pte::zero}) {
        const Ptes ptes = all_but(pte, {100, 300});
        EXPECT_THAT(merged_design().scan(ptes, all_orders(1)).made.size(), testing::Gt(2U));
        EXPECT_THAT(merged_design().scan(ptes, all_orders(2)).made, ElementsAre(Collapse{0, 9}));
        EXPECT_EQ(merged_design().scan(ptes, all_orders(2)).left, Ptes(512, Pte::page));
    }
}

// Version 10 reads pages back for a collapse that then fails, as it counts no PTE as none for them,
// but more than max_ptes_none are none. The PTEs are denser now, and the next order is made
// of them. The merged design counts before it begins.
TEST(MthpCollapseTest, TheSeedsDesignReadsPagesBackForNothing) {
    Ptes ptes(512);
    for (unsigned page = 0; page < 360; ++page) // three of each four: 90 chunks are full enough
        ptes[page] = page % 4 == 3 ? Pte::none : Pte::page;
    ptes[0] = Pte::swapped;
    const Scan seed = chunk_design().scan(ptes, all_orders(200));
    EXPECT_EQ(number_of(seed.left, 0, 512, Pte::swapped), 0U);
    EXPECT_THAT(seed.made, testing::Contains(Collapse{0, 8}));
    const Scan merged = merged_design().scan(ptes, all_orders(200));
    EXPECT_EQ(number_of(merged.left, 0, 512, Pte::swapped), 1U);
    EXPECT_THAT(merged.made, testing::Not(testing::Contains(Collapse{0, 8})));
}

TEST(MthpCollapseTest, AlwaysIsGreedyInTheSeedsDesignOnly) {
    Ptes ptes(512);
    for (const unsigned page : {0U, 1U, 2U, 3U, 4U}) // a chunk that is full, and one that is not
        ptes[page] = Pte::page;
    CollapseRules rules{9, 1U << 3, 255, 256, 64};
    EXPECT_THAT(chunk_design().scan(ptes, rules).made, IsEmpty());
    rules.always = rules.enabled;
    EXPECT_THAT(chunk_design().scan(ptes, rules).made, ElementsAre(Collapse{0, 3}));
    EXPECT_THAT(merged_design().scan(ptes, rules).made, IsEmpty());
}

// Documentation/admin-guide/mm/transhuge.rst, order by order: the word of the order, or the global
// one if that is "inherit"; "madvise" is for mappings that asked.
bool may_make(const std::string& word, const std::string& global, bool advised) {
    const std::string& counts = word == "inherit" ? global : word;
    return counts == "always" || (counts == "madvise" && advised);
}

using Enabled = std::uint32_t (*)(const ThpSettings&, bool);

// "" or the settings of three orders for which they differ.
std::string settings_difference(Enabled enabled) {
    const std::vector<std::string> words = {"never", "madvise", "always", "inherit"};
    for (unsigned global = 0; global < 3; ++global)
        for (unsigned number = 0; number < 64; ++number)
            for (const bool advised : {false, true}) {
                ThpSettings settings{.global = static_cast<ThpSettings::Global>(global)};
                std::uint32_t expected = 0;
                std::string names = words[global] + ":";
                for (unsigned order = 2; order < 5; ++order) {
                    const std::string& word = words[number >> (order - 2) * 2 & 3U];
                    const std::uint32_t bit = 1U << order;
                    settings.always |= word == "always" ? bit : 0;
                    settings.madvise |= word == "madvise" ? bit : 0;
                    settings.inherit |= word == "inherit" ? bit : 0;
                    expected |= may_make(word, words[global], advised) ? bit : 0;
                    names += " " + word;
                }
                if (enabled(settings, advised) != expected)
                    return names + (advised ? ", advised" : "");
            }
    return {};
}

TEST(MthpCollapseTest, SettingsSayWhichOrdersMayBeMade) {
    EXPECT_EQ(settings_difference(enabled_orders), "");
    EXPECT_NE(settings_difference([](const ThpSettings& settings, bool /*advised*/) {
                  return enabled_orders(settings, true);
              }),
              "");
    EXPECT_NE(settings_difference([](const ThpSettings& settings, bool advised) {
                  return settings.always | (advised ? settings.madvise : 0);
              }),
              "");
    EXPECT_NE(settings_difference([](const ThpSettings& settings, bool advised) {
                  return enabled_orders(settings, advised) | settings.inherit;
              }),
              "");
}

// An order that is "always" beside one that is "madvise": a mapping that did not ask gets the
// first alone.
TEST(MthpCollapseTest, AlwaysBesideMadvise) {
    const ThpSettings settings{.always = 1U << 4, .madvise = 1U << 9};
    const Ptes full(512, Pte::page);
    const auto orders = [&](bool advised) {
        CollapseRules rules = all_orders(0);
        rules.enabled = enabled_orders(settings, advised);
        return merged_design().scan(full, rules).made;
    };
    EXPECT_THAT(orders(true), ElementsAre(Collapse{0, 9}));
    EXPECT_EQ(orders(false).size(), 32U);
    EXPECT_THAT(orders(false), testing::Each(testing::Field(&Collapse::order, 4U)));
}

// The seed: "a collapse will introduce at least 2x the number of pages, and on a future scan will
// satisfy the promotion condition once again".
TEST(MthpCollapseTest, TheSeedsDesignCreepsAndTheMergedOneDoesNot) {
    const CollapseRules rules{9, 0x1fc, 256}; // 16K to 1M
    Ptes seed(512);
    seed[0] = seed[1] = Pte::page;
    Ptes merged = seed;
    std::vector<unsigned> pages;
    for (int scan = 0; scan < 9; ++scan) {
        seed = chunk_design().scan(seed, rules).left;
        merged = merged_design().scan(merged, rules).left;
        pages.push_back(number_of(seed, 0, 512, Pte::page));
        EXPECT_EQ(number_of(merged, 0, 512, Pte::page), 2U);
    }
    EXPECT_THAT(pages, ElementsAre(4, 8, 16, 32, 64, 128, 256, 256, 256));
}

TEST(MthpCollapseTest, TheMergedDesignIsGreedyWithTheLargestLimit) {
    Ptes ptes(512);
    ptes[200] = Pte::page;
    const auto made = [&ptes](const CollapseRules& rules) {
        return merged_design().scan(ptes, rules).made;
    };
    EXPECT_THAT(made({9, 0x3fc, 511}), ElementsAre(Collapse{0, 9}));
    EXPECT_THAT(made({9, 0x1c, 511}), ElementsAre(Collapse{192, 4}));
    EXPECT_THAT(made({9, 0x1c, 510}), IsEmpty());
}

TEST(MthpCollapseTest, SizesAreThoseOfTheEmail) {
    EXPECT_EQ(pmd_only_control_bytes(64), 272U);
    EXPECT_EQ(chunk_design().control_bytes(64, 512), 816U);
    EXPECT_EQ(merged_design().control_bytes(64, 512), 336U);
}

TEST(MthpCollapseTest, Draws) {
    Ptes ptes(28);
    for (const unsigned page : {0U, 1U, 2U, 3U, 5U})
        ptes[page] = Pte::page;
    std::fill_n(ptes.begin() + 16, 4, Pte::zero);
    std::fill_n(ptes.begin() + 20, 4, Pte::shared);
    std::fill_n(ptes.begin() + 24, 4, Pte::swapped);
    EXPECT_EQ(picture(ptes, 4), "#+..zs-");
    EXPECT_EQ(picture({{0, 2}, {8, 3}}, 16, 4), "2.33");
    EXPECT_EQ(picture({{0, 11}}, 2048, 512), "bbbb");
}

} // namespace
} // namespace faultline::model
