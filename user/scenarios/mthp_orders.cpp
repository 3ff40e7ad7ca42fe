// SPDX-License-Identifier: GPL-2.0
// mthp-orders: khugepaged makes of a pattern of present PTEs what the model says.
//
// Claim (Nico Pache and Lorenzo Stoakes, linux-mm, September 2025, as it was merged for 7.2): the
// largest enabled order first, by natural alignment, wherever few enough PTEs are none: of the
// PMD's order max_ptes_none, of a smaller one none, or with the largest limit all but one. Before
// 7.2 the PMD's order alone is made. MADV_COLLAPSE makes no other order in any kernel.
//
// Actor: khugepaged alone. Each run lays out many ranges of one PMD each, at random and by system,
// for one set of orders and one limit, has them scanned, and looks at every page.
//     mthp_collapse(), alone
//
// The stack, which is "a super finite resource" (the same e-mail), is measured meanwhile by one
// variant: at the entry of every function that khugepaged calls.
//
// A bad outcome: orders=differ. The pattern is then reduced to what still differs, and drawn: a
// character for some PTEs, the kernel's folios and the model's as digits. Or data=lost, or
// stack=deep: more than half of it.
#include "scenarios/list.hpp"
#include "scenarios/mthp_experiment.hpp"

#include "kernel/kernel_thread.hpp"
#include "kernel/page_tables.hpp"
#include "kernel/stack_depth.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <chrono>
#include <fmt/format.h>
#include <set>
#include <unistd.h>

namespace faultline {

namespace {

using model::CollapseRules;
using model::PresentPtes;

constexpr std::size_t most_patterns = 64; // a run
constexpr std::chrono::seconds shortening{8};
constexpr unsigned most_tries = 10; // of one MADV_COLLAPSE

constexpr unsigned slot_patterns = 0; // that were compared

struct Row {
    std::string_view name;
    std::string_view about;
    unsigned divisor;
    bool by_madvise = false;
    bool measures_stack = false;
};

constexpr std::array rows = {
    // make run: 333 runs, more than there are sets of orders
    Row{"patterns", "64 patterns a run (less where huge pages are larger)", 3},
    Row{"madvise", "the same by MADV_COLLAPSE, which asks for no setting", 50, true},
    Row{"stack", "patterns, and how deep khugepaged's kernel stack gets", 25, false, true},
};

class MthpOrders final : public MthpExperiment {
  public:
    MthpOrders(bool by_madvise, bool measures_stack)
        : MthpExperiment(most_patterns), by_madvise_(by_madvise), measures_stack_(measures_stack) {}

    std::vector<Actor> actors() override {
        return {{.name = "looker",
                 .kind = Actor::Kind::thread,
                 .cpu = 0,
                 .body = [this](ActorContext& me) { me.check(compare(me)); }},
                khugepaged_actor()};
    }

    // Every set of orders in turn, with one limit after the other.
    Result<void> begin(Run& run) override {
        difference_.clear();
        lost_.clear();
        rules_.pmd_order = khugepaged().pmd_order();
        std::vector<unsigned> orders;
        for (unsigned order = 0; order <= rules_.pmd_order; ++order)
            if ((khugepaged().all() >> order & 1U) != 0)
                orders.push_back(order);
        all_sets_ = (std::uint64_t{1} << orders.size()) - 1; // but the empty one
        // A step that has no divisor in common with 2^n - 1 here goes through all of them.
        const std::uint64_t set = 1 + run.number() * 101 % all_sets_;
        sets_.insert(set);
        rules_.enabled = 0;
        for (std::size_t i = 0; i < orders.size(); ++i)
            if ((set >> i & 1U) != 0)
                rules_.enabled |= Orders{1} << orders[i];
        const std::array limits = {0U, 1U, pages() / 2 - 1, pages() - 1};
        rules_.max_ptes_none = limits.at(run.rng().below(limits.size()));
        patterns_.clear();
        // By lot and by system in turn: a piece at every place, of every length.
        for (std::size_t i = 0; i < ranges(); ++i)
            patterns_.push_back(run.number() % 2 == 0 ? draw(run.rng())
                                                      : piece(run.number() / 2 * ranges() + i));
        if (Result<void> allowed = khugepaged().allow(rules_.enabled, rules_.max_ptes_none);
            !allowed)
            return allowed;
        return measures_stack_ ? watch_stack() : Result<void>();
    }

    Outcome judge(Run& run) override {
        compared_ +=
            static_cast<std::size_t>(std::max<std::int64_t>(run.slot("looker", slot_patterns), 0));
        Outcome outcome;
        outcome.add("orders", difference_.empty() ? "as-modelled" : "differ");
        outcome.require(difference_.empty(), difference_);
        outcome.add("data", lost_.empty() ? "kept" : "lost");
        outcome.require(lost_.empty(), lost_);
        if (measures_stack_)
            judge_stack(outcome);
        return outcome;
    }

    [[nodiscard]] std::vector<Measure> measured(double seconds) const override {
        const auto compared = static_cast<double>(compared_);
        std::vector<Measure> measures = {
            {compared, "patterns"},
            {static_cast<double>(sets_.size()), "sets of orders", fmt::format("of {}", all_sets_)},
            {compared / seconds, "patterns/s"}};
        if (by_madvise_)
            measures.push_back({static_cast<double>(again_), "times asked again", "EAGAIN"});
        if (deepest_.bytes > 0)
            measures.push_back({static_cast<double>(deepest_.bytes), "bytes of khugepaged's stack",
                                fmt::format("of {}, in {}() from {}()", deepest_.of,
                                            deepest_.function, deepest_.caller)});
        return measures;
    }

    std::optional<bool> overlapped(const Run& run) override {
        return run.slot("looker", slot_patterns) > 0;
    }

  private:
    [[nodiscard]] PresentPtes piece(std::size_t number) const {
        PresentPtes present(pages());
        const std::size_t from = number % pages();
        const std::size_t length = 1 + number * 37 % (pages() - from);
        std::fill_n(present.begin() + static_cast<std::ptrdiff_t>(from), length, true);
        return present;
    }

    // Patterns of every density, length and alignment, with holes and islands.
    [[nodiscard]] PresentPtes draw(Rng& rng) const {
        PresentPtes present(pages());
        const auto from = rng.below(pages());
        const auto to = from + rng.below(pages() - from) + 1;
        const auto block = std::uint64_t{1} << rng.below(rules_.pmd_order + 1);
        switch (rng.below(6)) {
        case 0: { // each at random, sparse ones more often: they are scanned faster
            const auto density = rng.below(rng.below(pages() + 1) + 1);
            for (std::size_t page = 0; page < pages(); ++page)
                present[page] = rng.below(pages()) < density;
            break;
        }
        case 1: // one piece
            for (std::size_t page = from; page < to; ++page)
                present[page] = true;
            break;
        case 2: // all but one piece
            for (std::size_t page = 0; page < pages(); ++page)
                present[page] = page < from || page >= to;
            break;
        case 3: { // blocks of one size, all there or not, and some that lack a page
            for (std::size_t at = 0; at < pages(); at += block)
                if (rng.below(2) == 0)
                    std::fill_n(present.begin() + static_cast<std::ptrdiff_t>(at), block, true);
            for (std::uint64_t holes = rng.below(4); holes > 0; --holes)
                present[rng.below(pages())] = false;
            break;
        }
        default: // a few
            for (std::uint64_t few = rng.below(32) + 1; few > 0; --few)
                present[rng.below(pages())] = true;
        }
        return present;
    }

    // It may be another thread than in the last run.
    Result<void> watch_stack() {
        const Result<pid_t> pid = kernel_thread("khugepaged");
        if (!pid)
            return pid.error();
        if (stack_ && watched_ == *pid)
            return {};
        Result<StackDepth> stack = StackDepth::of(*pid);
        if (!stack)
            return stack.error();
        stack_ = std::move(*stack);
        watched_ = *pid;
        return {};
    }

    void judge_stack(Outcome& outcome) {
        const Result<Depth> now = stack_->deepest();
        const bool seen = now && now->bytes > 0;
        if (seen && now->bytes > deepest_.bytes)
            deepest_ = *now;
        const bool deep = deepest_.bytes > deepest_.of / 2;
        outcome.add("stack", !seen ? "unseen" : deep ? "deep" : "half-free");
        outcome.require(seen, now ? "khugepaged was not seen to call a function"
                                  : now.error().to_string());
        outcome.require(!deep, "more than half of khugepaged's stack was in use");
    }

    // MADV_COLLAPSE makes the PMD's order of whatever there is, and no other.
    [[nodiscard]] std::vector<model::Collapse> modelled(const PresentPtes& pattern) const {
        if (!by_madvise_)
            return model::merged_design().choose(pattern, rules_);
        const bool any = std::find(pattern.begin(), pattern.end(), true) != pattern.end();
        return any ? std::vector<model::Collapse>{{0, rules_.pmd_order}}
                   : std::vector<model::Collapse>();
    }

    [[nodiscard]] Result<void> collapse(std::size_t ranges) {
        if (!by_madvise_) {
            if (Result<void> offered = offer(ranges); !offered)
                return offered;
            return khugepaged().wait_for_scans(1);
        }
        for (std::size_t range = 0; range < ranges; ++range)
            if (Result<void> asked = ask_for(range); !asked)
                return asked;
        return {};
    }

    // Checks the result. EAGAIN means: try again, as a page was not in the lists just then.
    // khugepaged retries by itself.
    [[nodiscard]] Result<void> ask_for(std::size_t range) {
        int number = EAGAIN;
        for (unsigned tries = 0; number == EAGAIN && tries < most_tries; ++tries) {
            number = madvise_collapse(address(range), huge_bytes());
            again_ += tries > 0 ? 1 : 0;
        }
        return number == ENOMEM ? Result<void>(Error::make(number, "madvise(MADV_COLLAPSE)"))
                                : Result<void>();
    }

    // The results of these, one for each range.
    [[nodiscard]] Result<std::vector<MappedRange>> scan(const std::vector<PresentPtes>& patterns) {
        if (Result<void> laid = lay_out(patterns); !laid)
            return laid.error();
        if (Result<void> collapsed = collapse(patterns.size()); !collapsed)
            return collapsed.error();
        std::vector<MappedRange> seen;
        for (std::size_t range = 0; range < patterns.size(); ++range) {
            Result<MappedRange> now = look(range);
            if (!now)
                return now.error();
            if (lost_.empty())
                lost_ = wrong_word(range, patterns[range], *now);
            seen.push_back(std::move(*now));
        }
        return seen;
    }

    [[nodiscard]] bool differs(const PresentPtes& pattern, const MappedRange& seen) const {
        const std::vector<model::Collapse> made = modelled(pattern);
        return !seen.odd.empty() || seen.folios != folios_of(made) ||
               seen.present != model::after(pattern, made);
    }

    Result<void> compare(ActorContext& me) {
        const Result<std::vector<MappedRange>> seen = scan(patterns_);
        if (!seen)
            return seen.error();
        for (std::size_t i = 0; i < patterns_.size(); ++i)
            if (differs(patterns_[i], (*seen)[i])) {
                difference_ = describe(patterns_[i], (*seen)[i]);
                if (Result<void> shortened = shorten(me, patterns_[i]); !shortened)
                    return shortened;
                break;
            }
        if (Result<void> asked = ask_module(*seen); !asked)
            return asked;
        me.report(slot_patterns, static_cast<std::int64_t>(patterns_.size()));
        return {};
    }

    // It walks the page tables: the same folios are there as in /proc.
    Result<void> ask_module(const std::vector<MappedRange>& seen) {
        if (!difference_.empty()) // a shortened pattern has been laid out anew
            return {};
        const Result<PageTableRange> told =
            page_table_range(::getpid(), address(0), seen.size() * huge_bytes());
        if (!told)
            return told.error();
        unsigned huge = 0;
        for (std::size_t range = 0; range < seen.size(); ++range) {
            std::vector<TableFolio> folios;
            for (const MappedFolio& folio : seen[range].folios)
                if (folio.order < rules_.pmd_order)
                    folios.push_back({folio.page, 1U << folio.order, folio.order});
                else
                    ++huge; // it has no table
            if (range >= told->folios.size() || told->folios[range] != folios)
                difference_ = fmt::format("the module and /proc differ about range {}", range);
        }
        if (difference_.empty() && told->huge != huge)
            difference_ = fmt::format("{} huge PMDs, and {} huge pages", told->huge, huge);
        return {};
    }

    // Takes away ever smaller blocks of PTEs for as long as it still differs, as many tries at once
    // as there are ranges.
    Result<void> shorten(ActorContext& me, PresentPtes pattern) {
        const auto end = std::chrono::steady_clock::now() + shortening;
        for (std::size_t block = pages() / 2; block > 0 && !me.stopping();) {
            std::vector<PresentPtes> tries;
            for (std::size_t at = 0; at < pages() && tries.size() < ranges(); at += block) {
                PresentPtes less = pattern;
                std::fill_n(less.begin() + static_cast<std::ptrdiff_t>(at), block, false);
                if (less != pattern)
                    tries.push_back(std::move(less));
            }
            if (tries.empty() || std::chrono::steady_clock::now() > end)
                break;
            const Result<std::vector<MappedRange>> seen = scan(tries);
            if (!seen)
                return seen.error();
            bool found = false;
            for (std::size_t i = 0; i < tries.size() && !found; ++i)
                if (differs(tries[i], (*seen)[i])) {
                    pattern = tries[i];
                    difference_ = describe(pattern, (*seen)[i]);
                    found = true;
                }
            if (!found)
                block /= 2;
        }
        return {};
    }

    [[nodiscard]] std::string describe(const PresentPtes& pattern, const MappedRange& seen) const {
        const std::size_t per = std::min<std::size_t>(std::max<std::size_t>(pages() / 64, 1), 4);
        std::vector<model::Collapse> kernel;
        for (const MappedFolio& folio : seen.folios)
            kernel.push_back({folio.page, folio.order});
        const auto drawn = [&](const std::vector<model::Collapse>& made) {
            return model::picture(made, pages(), per);
        };
        const std::vector<model::Collapse> made = modelled(pattern);
        return fmt::format("enabled {:#x}, max_ptes_none {}{}\n"
                           "        present {}\n        kernel  {}\n        model   {}",
                           rules_.enabled, rules_.max_ptes_none,
                           seen.odd.empty() ? "" : ", " + seen.odd, model::picture(pattern, per),
                           drawn(kernel), drawn(made));
    }

    bool by_madvise_;
    bool measures_stack_;
    std::optional<StackDepth> stack_; // of the thread
    pid_t watched_ = 0;
    Depth deepest_;
    std::size_t compared_ = 0; // patterns, in all runs
    unsigned again_ = 0;       // MADV_COLLAPSE, the same
    CollapseRules rules_;
    std::uint64_t all_sets_ = 0;   // of orders to enable
    std::set<std::uint64_t> sets_; // that were
    std::vector<PresentPtes> patterns_;
    std::string difference_; // the looker's until it has ended
    std::string lost_;
};

std::vector<Variant> variants() {
    std::vector<Variant> all;
    all.reserve(rows.size());
    for (const Row& row : rows)
        all.push_back(
            {.name = row.name,
             .about = row.about,
             .expected = {{row.measures_stack ? "orders=as-modelled data=kept stack=half-free"
                                              : "orders=as-modelled data=kept"}},
             .forced = false,
             .runs_divisor = row.divisor});
    return all;
}

} // namespace

const Scenario& mthp_orders() {
    static const Scenario scenario = {
        .name = "mthp-orders",
        .family = "mthp",
        .claim = "khugepaged makes the orders that the model says, and no page is lost",
        .source = "Nico Pache and Lorenzo Stoakes, linux-mm, 11 September 2025",
        .races = "mthp_collapse(), alone",
        .bad = "orders=differ, data=lost, stack=deep",
        .variants = variants(),
        .controls = {{.name = "scaled-limit",
                      .about =
                          "max_ptes_none is scaled to the order, as in version 10 of the series",
                      .variant = "patterns",
                      .produces = "orders=differ",
                      .actions = {{.kind = FL_CONTROL_REPLACE,
                                   .actor = "khugepaged",
                                   .function = "collapse_max_ptes_none",
                                   .replacement = "collapse_scaled_ptes_none"}}},
                     {.name = "never",
                      .about = "khugepaged rejects every range",
                      .variant = "patterns",
                      .produces = "orders=differ",
                      .actions = {{.kind = FL_CONTROL_SKIP,
                                   .actor = "khugepaged",
                                   .function = "hugepage_vma_revalidate"}},
                      .kind = Control::Kind::comparison}},
        .needs = mthp_needs(),
        .make = [](const Variant& variant) -> std::unique_ptr<Experiment> {
            const Row& row = row_of(rows, variant);
            return std::make_unique<MthpOrders>(row.by_madvise, row.measures_stack);
        },
    };
    return scenario;
}

} // namespace faultline
