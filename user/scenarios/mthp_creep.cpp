// SPDX-License-Identifier: GPL-2.0
// mthp-creep: memory does not grow by being scanned again.
//
// Claim (Nico Pache, linux-mm, September 2025, about max_ptes_none > HPAGE_PMD_NR/2): "a collapse
// will introduce at least 2x the number of pages, and on a future scan will satisfy the promotion
// condition once again", the "creep". As merged, orders below the PMD's are made where no PTE is
// none, or with the largest limit of anything, at once: no scan makes way for another. Before 7.2
// the PMD's order alone is made, and nothing is left to creep.
//
// Actor: khugepaged alone, scan after scan, over ranges in which two pages were touched, or any.
//     collapse_max_ptes_none(), alone
//
// A bad outcome: pages=other: the first scan left others than the model says. Or pages=crept: a
// later one did.
#include "scenarios/list.hpp"
#include "scenarios/mthp_experiment.hpp"

#include <algorithm>
#include <array>
#include <fmt/format.h>

namespace faultline {

namespace {

constexpr unsigned scans = 12;
constexpr std::size_t most_ranges = 16;

constexpr unsigned slot_scans = 0; // that there were

// The limit is (pages * halves) / 2 + more.
struct Row {
    std::string_view name;
    std::string_view about;
    unsigned halves;
    int more;
    bool any = false; // another limit in each run, and any number of pages
};

constexpr std::array rows = {
    Row{"none", "no PTE may be none", 0, 0},
    Row{"one", "one may be", 0, 1},
    Row{"half-less-one", "half of them but one", 1, -1},
    Row{"half", "half of them", 1, 0},
    Row{"all-less-two", "all but two", 2, -2},
    Row{"all-less-one", "all but one, the largest limit", 2, -1},
    Row{"any", "any limit, and any pages", 0, 0, true},
};

class MthpCreep final : public MthpExperiment {
  public:
    explicit MthpCreep(const Row& row) : MthpExperiment(most_ranges), row_(row) {}

    std::vector<Actor> actors() override {
        return {{.name = "looker",
                 .kind = Actor::Kind::thread,
                 .cpu = 0,
                 .body = [this](ActorContext& me) { me.check(scan(me)); }},
                khugepaged_actor()};
    }

    // Two pages side by side, anywhere, or few or many. In every second run the PMD's order is
    // made, too, if there is another.
    Result<void> begin(Run& run) override {
        crept_.clear();
        rules_.pmd_order = khugepaged().pmd_order();
        rules_.enabled = khugepaged().all();
        const Orders pmd = Orders{1} << rules_.pmd_order;
        if (run.number() % 2 == 1 && rules_.enabled != pmd)
            rules_.enabled &= ~pmd;
        rules_.max_ptes_none =
            row_.any
                ? static_cast<unsigned>(run.rng().below(pages()))
                : static_cast<unsigned>(static_cast<int>(pages() * row_.halves / 2) + row_.more);
        patterns_.assign(ranges(), model::Ptes(pages()));
        for (model::Ptes& pattern : patterns_)
            touch(pattern, run.rng());
        return khugepaged().allow(rules_.enabled, rules_.max_ptes_none);
    }

    Outcome judge(Run& run) override {
        Outcome outcome;
        outcome.add("pages", crept_.empty() ? "as-modelled" : in_scan_ == 1 ? "other" : "crept");
        outcome.require(crept_.empty(), crept_);
        outcome.require(run.slot("looker", slot_scans) == scans, "not all scans were seen");
        return outcome;
    }

    std::optional<bool> overlapped(const Run& run) override {
        return run.slot("looker", slot_scans) > 0;
    }

  private:
    void touch(model::Ptes& pattern, Rng& rng) const {
        const std::uint64_t pairs = row_.any ? rng.below(pages() / 2) + 1 : 1;
        for (std::uint64_t pair = 0; pair < pairs; ++pair) {
            const auto page = rng.below(pages() - 1);
            pattern[page] = pattern[page + 1] = model::Pte::page;
        }
    }

    Result<void> scan(ActorContext& me) {
        if (Result<void> laid = lay_out(patterns_); !laid)
            return laid;
        if (Result<void> offered = offer(patterns_.size()); !offered)
            return offered;
        for (unsigned scan = 1; scan <= scans && !me.stopping(); ++scan) {
            if (Result<void> scanned = khugepaged().wait_for_scans(1); !scanned)
                return scanned;
            resident_ = 0;
            for (std::size_t range = 0; range < patterns_.size(); ++range)
                if (Result<void> compared = compare(range, scan); !compared)
                    return compared;
            if (Result<void> compared = compare_rss(scan); !compared)
                return compared;
            me.report(slot_scans, scan);
        }
        return {};
    }

    Result<void> compare(std::size_t range, unsigned scan) {
        const Result<MappedRange> now = look(range);
        if (!now)
            return now.error();
        const model::Ptes& pattern = patterns_[range];
        const std::vector<bool> expected =
            present_of(model::merged_design().scan(pattern, rules_).left);
        const auto pages = std::count(expected.begin(), expected.end(), true);
        resident_ += static_cast<std::uint64_t>(pages) * page_bytes();
        if (now->present != expected)
            note(scan,
                 fmt::format("there are {} pages, not {}",
                             std::count(now->present.begin(), now->present.end(), true), pages));
        return {};
    }

    // As the kernel counts it itself.
    Result<void> compare_rss(unsigned scan) {
        const Result<std::uint64_t> rss =
            resident_bytes(address(0), patterns_.size() * huge_bytes());
        if (!rss)
            return rss.error();
        if (*rss != resident_)
            note(scan, fmt::format("Rss is {} bytes, not {}", *rss, resident_));
        return {};
    }

    // The first is what counts.
    void note(unsigned scan, const std::string& what) {
        if (!crept_.empty())
            return;
        in_scan_ = scan;
        crept_ = fmt::format("after scan {} {}", scan, what);
    }

    const Row& row_;
    model::CollapseRules rules_;
    std::vector<model::Ptes> patterns_;
    std::uint64_t resident_ = 0; // bytes that there should be
    std::string crept_;          // the looker's until it has ended
    unsigned in_scan_ = 0;       // that was seen
};

std::vector<Variant> variants() {
    std::vector<Variant> all;
    all.reserve(rows.size());
    for (const Row& row : rows)
        all.push_back({.name = row.name,
                       .about = row.about,
                       .expected = {{"pages=as-modelled"}},
                       .forced = false,
                       .runs_divisor = 25});
    return all;
}

} // namespace

const Scenario& mthp_creep() {
    static const Scenario scenario = {
        .name = "mthp-creep",
        .family = "mthp",
        .claim = "another scan changes nothing, for any max_ptes_none",
        .source = "Nico Pache, linux-mm, September 2025",
        .races = "collapse_max_ptes_none(), alone",
        .bad = "pages=other, pages=crept",
        .variants = variants(),
        .controls = {{.name = "scaled-limit",
                      .about =
                          "max_ptes_none is scaled to the order, as in version 10 of the series",
                      .variant = "half",
                      .produces = "pages=other|crept",
                      .actions = {{.kind = FL_CONTROL_REPLACE,
                                   .actor = "khugepaged",
                                   .function = "collapse_max_ptes_none",
                                   .replacement = "collapse_scaled_ptes_none"}}},
                     {.name = "never",
                      .about = "khugepaged rejects every range, although the limit allows it",
                      .variant = "all-less-one",
                      .produces = "pages=other",
                      .actions = {{.kind = FL_CONTROL_SKIP,
                                   .actor = "khugepaged",
                                   .function = "hugepage_vma_revalidate"}},
                      .kind = Control::Kind::comparison}},
        .needs = mthp_needs(),
        .make = [](const Variant& variant) -> std::unique_ptr<Experiment> {
            return std::make_unique<MthpCreep>(row_of(rows, variant));
        },
    };
    return scenario;
}

} // namespace faultline
