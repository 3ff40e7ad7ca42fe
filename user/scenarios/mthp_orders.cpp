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
// Zero pages count as none; swapped and shared PTEs have limits of their own, and below the PMD's
// order there may be none ("contains swapped out, or shared pages, we don't perform the collapse").
// An order that is "always" is made of memory that did not ask for huge pages; "madvise" is not.
//
// The stack, which is "a super finite resource" (the same e-mail), is measured meanwhile by one
// variant: at the entry of every function that khugepaged calls.
//
// 7.2 has a gap, orders=fewer: after a larger order was tried in vain (a shared page was among its
// pages), the same scan makes no smaller one of the pages before that page.
//
// The size of khugepaged's own state, which the e-mail compares, is read from the kernel's type
// information beside the model's.
//
// A bad outcome: orders=differ. The pattern is then reduced to what still differs, and drawn: a
// character for some PTEs, the kernel's folios and the model's as digits. Or data=lost, or
// stack=deep: more than half of it; or control=other.
#include "scenarios/list.hpp"
#include "scenarios/mthp_experiment.hpp"

#include "kernel/btf.hpp"
#include "kernel/kernel_thread.hpp"
#include "kernel/page_tables.hpp"
#include "kernel/stack_depth.hpp"
#include "kernel/swap.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <chrono>
#include <fmt/format.h>
#include <set>
#include <sys/prctl.h>
#include <unistd.h>

namespace faultline {

namespace {

using model::CollapseRules;
using model::Pte;
using model::Ptes;

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
    bool kinds = false;    // zero and shared pages, too
    bool swapped = false;  // and pages that are swapped out
    bool settings = false; // each order has a setting of its own, and memory may not have asked
};

constexpr std::array rows = {
    // make run: 333 runs, more than there are sets of orders
    Row{"patterns", "64 patterns a run (less where huge pages are larger)", 3},
    Row{"madvise", "the same by MADV_COLLAPSE, which asks for no setting", 50, true},
    Row{"stack", "patterns, and how deep khugepaged's kernel stack gets", 25, false, true},
    Row{.name = "kinds",
        .about = "patterns of pages, zero pages, and pages that a child shares",
        .divisor = 5,
        .kinds = true},
    Row{.name = "swapped",
        .about = "the same, and pages that are swapped out, to a RAM disk",
        .divisor = 5,
        .kinds = true,
        .swapped = true},
    Row{.name = "settings",
        .about =
            "each order is \"always\", \"madvise\", \"inherit\" or \"never\"; the memory asked "
            "for huge pages, or did not",
        .divisor = 5,
        .settings = true},
};

constexpr std::array setting_words = {"never", "madvise", "always", "inherit"};

class MthpOrders final : public MthpExperiment {
  public:
    explicit MthpOrders(const Row& row) : MthpExperiment(most_patterns), row_(row) {}

    ~MthpOrders() override { (void)forbid_huge_pages(false); }
    MthpOrders(const MthpOrders&) = delete;
    MthpOrders& operator=(const MthpOrders&) = delete;

    Result<void> prepare() override {
        if (Result<void> prepared = MthpExperiment::prepare(); !prepared || !row_.swapped)
            return prepared;
        Result<SwapArea> made = SwapArea::make();
        if (!made)
            return made.error();
        swap_ = std::move(*made);
        return swap_.on();
    }

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
        fewer_ = false;
        lost_.clear();
        rules_ = {.pmd_order = khugepaged().pmd_order()};
        words_.clear();
        advised_ = true;
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
        if (row_.kinds) {
            rules_.max_ptes_shared = limits.at(run.rng().below(limits.size()));
            rules_.max_ptes_swap = limits.at(run.rng().below(limits.size()));
        }
        patterns_.clear();
        // By lot and by system in turn: a piece at every place, of every length.
        for (std::size_t i = 0; i < ranges(); ++i)
            patterns_.push_back(run.number() % 2 == 0 ? draw(run.rng())
                                                      : piece(run.number() / 2 * ranges() + i));
        for (Ptes& pattern : patterns_)
            if (row_.kinds)
                mix_kinds(pattern, run.rng());
        if (row_.settings)
            draw_settings(run.rng());
        // With no order khugepaged would end; compare() sets the words.
        const Orders allow = row_.settings ? khugepaged().all() : rules_.enabled;
        if (Result<void> allowed = khugepaged().allow(allow, rules_.max_ptes_none); !allowed)
            return allowed;
        if (Result<void> limited =
                row_.kinds ? khugepaged().limit(rules_.max_ptes_shared, rules_.max_ptes_swap)
                           : Result<void>();
            !limited)
            return limited;
        return row_.measures_stack ? watch_stack() : Result<void>();
    }

    Outcome judge(Run& run) override {
        compared_ +=
            static_cast<std::size_t>(std::max<std::int64_t>(run.slot("looker", slot_patterns), 0));
        Outcome outcome;
        outcome.add("orders", !difference_.empty() ? "differ" : fewer_ ? "fewer" : "as-modelled");
        outcome.require(difference_.empty(), difference_);
        outcome.add("data", lost_.empty() ? "kept" : "lost");
        outcome.require(lost_.empty(), lost_);
        if (row_.measures_stack)
            judge_stack(outcome);
        return outcome;
    }

    [[nodiscard]] std::vector<Measure> measured(double seconds) const override {
        const auto compared = static_cast<double>(compared_);
        std::vector<Measure> measures = {
            {compared, "patterns"},
            {static_cast<double>(sets_.size()), "sets of orders", fmt::format("of {}", all_sets_)},
            {compared / seconds, "patterns/s"}};
        if (row_.by_madvise)
            measures.push_back({static_cast<double>(again_), "times asked again", "EAGAIN"});
        if (deepest_.bytes > 0)
            measures.push_back({static_cast<double>(deepest_.bytes), "bytes of khugepaged's stack",
                                fmt::format("of {}, in {}() from {}()", deepest_.of,
                                            deepest_.function, deepest_.caller)});
        if (control_)
            measures.push_back({static_cast<double>(control_->bytes),
                                "bytes of struct collapse_control",
                                fmt::format("{} by the model", modelled_bytes())});
        return measures;
    }

    std::optional<bool> overlapped(const Run& run) override {
        return run.slot("looker", slot_patterns) > 0;
    }

  private:
    [[nodiscard]] Ptes piece(std::size_t number) const {
        Ptes present(pages());
        const std::size_t from = number % pages();
        const std::size_t length = 1 + number * 37 % (pages() - from);
        std::fill_n(present.begin() + static_cast<std::ptrdiff_t>(from), length, Pte::page);
        return present;
    }

    // Patterns of every density, length and alignment, with holes and islands.
    [[nodiscard]] Ptes draw(Rng& rng) const {
        Ptes present(pages());
        const auto from = rng.below(pages());
        const auto to = from + rng.below(pages() - from) + 1;
        const auto block = std::uint64_t{1} << rng.below(rules_.pmd_order + 1);
        switch (rng.below(6)) {
        case 0: { // each at random, sparse ones more often: they are scanned faster
            const auto density = rng.below(rng.below(pages() + 1) + 1);
            for (std::size_t page = 0; page < pages(); ++page)
                present[page] = some(rng.below(pages()) < density);
            break;
        }
        case 1: // one piece
            for (std::size_t page = from; page < to; ++page)
                present[page] = Pte::page;
            break;
        case 2: // all but one piece
            for (std::size_t page = 0; page < pages(); ++page)
                present[page] = some(page < from || page >= to);
            break;
        case 3: { // blocks of one size, all there or not, and some that lack a page
            for (std::size_t at = 0; at < pages(); at += block)
                if (rng.below(2) == 0)
                    std::fill_n(present.begin() + static_cast<std::ptrdiff_t>(at), block,
                                Pte::page);
            for (std::uint64_t holes = rng.below(4); holes > 0; --holes)
                present[rng.below(pages())] = Pte::none;
            break;
        }
        default: // a few
            for (std::uint64_t few = rng.below(32) + 1; few > 0; --few)
                present[rng.below(pages())] = Pte::page;
        }
        return present;
    }

    static Pte some(bool there) { return there ? Pte::page : Pte::none; }

    // Some of the pages become shared or swapped, some of the holes zero pages: few or many, one by
    // one or in blocks. One page at least stays of this process alone: 6.12 wants one that it can
    // write to.
    void mix_kinds(Ptes& pattern, Rng& rng) const {
        const auto share = rng.below(rng.below(pages()) + 1);
        const auto block = std::size_t{1} << rng.below(rules_.pmd_order);
        for (std::size_t at = 0; at < pages(); at += block) {
            if (rng.below(pages()) >= share)
                continue;
            const Pte page = row_.swapped && rng.below(2) == 0 ? Pte::swapped : Pte::shared;
            for (std::size_t i = at; i < at + block; ++i)
                pattern[i] = pattern[i] == Pte::page ? page : Pte::zero;
        }
        if (std::find(pattern.begin(), pattern.end(), Pte::page) == pattern.end())
            pattern[rng.below(pages())] = Pte::page;
    }

    // Each order that this kernel makes has one of four words, and the global one is "madvise". One
    // order at least is not "never": else khugepaged would end.
    void draw_settings(Rng& rng) {
        model::ThpSettings settings{.global = model::ThpSettings::Global::madvise};
        advised_ = rng.below(2) == 0;
        while (words_.empty() || std::all_of(words_.begin(), words_.end(), [](const auto& word) {
                   return word.second == setting_words.front();
               })) {
            words_.clear();
            for (unsigned order = 0; order <= rules_.pmd_order; ++order)
                if ((khugepaged().all() >> order & 1U) != 0)
                    words_.emplace_back(order, setting_words.at(rng.below(setting_words.size())));
        }
        for (const auto& [order, word] : words_) {
            const Orders bit = Orders{1} << order;
            settings.madvise |= word == "madvise" ? bit : 0;
            settings.always |= word == "always" ? bit : 0;
            settings.inherit |= word == "inherit" ? bit : 0;
        }
        rules_.always = settings.always;
        rules_.enabled = model::enabled_orders(settings, advised_);
    }

    // Nothing of this process is collapsed meanwhile, or an order would be made before the next one
    // is allowed.
    Result<void> apply_settings() const {
        for (const auto& [order, word] : words_)
            if (Result<void> set = khugepaged().set_order(order, std::string(word)); !set)
                return set;
        return {};
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
        const std::string control = control_word();
        outcome.add("control", control);
        outcome.require(control != "other",
                        fmt::format("struct collapse_control has {} bytes, not {}", control_->bytes,
                                    modelled_bytes()));
    }

    // By the type information of the running kernel. Some have none, or none for it.
    [[nodiscard]] std::string control_word() {
        if (!control_)
            if (const Result<BtfStruct> read = btf_struct("collapse_control"); read)
                control_ = *read;
        if (!control_ || modelled_bytes() == 0)
            return "unread";
        return control_->bytes == modelled_bytes() ? "as-modelled" : "other";
    }

    // The model's size, for the same numbers of nodes and PTEs; 0: the structure has other members.
    [[nodiscard]] std::size_t modelled_bytes() const {
        const BtfMember* nodes = control_->member("node_load");
        const BtfMember* bits = control_->member("mthp_present_ptes");
        if (nodes == nullptr || control_->member("alloc_nmask") == nullptr)
            return 0;
        if (bits != nullptr)
            return model::merged_design().control_bytes(nodes->elements, bits->elements * 64);
        return control_->member("progress") == nullptr
                   ? model::pmd_only_control_bytes(nodes->elements)
                   : 0;
    }

    // MADV_COLLAPSE makes the PMD's order of whatever there is, and no other.
    [[nodiscard]] model::Scan modelled(const Ptes& pattern) const {
        if (!row_.by_madvise)
            return model::merged_design().scan(pattern, rules_);
        const bool any = std::find(pattern.begin(), pattern.end(), Pte::page) != pattern.end();
        return any ? model::Scan{{{0, rules_.pmd_order}}, Ptes(pages(), Pte::page)}
                   : model::Scan{{}, pattern};
    }

    [[nodiscard]] Result<void> collapse(std::size_t ranges) {
        if (!row_.by_madvise) {
            if (Result<void> applied = apply_settings(); !applied)
                return applied;
            if (Result<void> offered = advised_ ? offer(ranges) : Result<void>(); !offered)
                return offered;
            if (Result<void> free = forbid_huge_pages(false); !free)
                return free;
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
    [[nodiscard]] Result<std::vector<MappedRange>> scan(const std::vector<Ptes>& patterns) {
        if (Result<void> forbidden = forbid_huge_pages(row_.settings); !forbidden)
            return forbidden.error();
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

    enum class Comparison { same, fewer, different };

    [[nodiscard]] Comparison compared(const Ptes& pattern, const MappedRange& seen) const {
        const model::Scan scan = modelled(pattern);
        if (!seen.odd.empty())
            return Comparison::different;
        if (seen.folios == folios_of(scan.made))
            return as_left(scan.left, seen) ? Comparison::same : Comparison::different;
        return others_in_vain(pattern, scan, seen) ? Comparison::fewer : Comparison::different;
    }

    [[nodiscard]] bool differs(const Ptes& pattern, const MappedRange& seen) const {
        return compared(pattern, seen) == Comparison::different;
    }

    [[nodiscard]] static bool as_left(const Ptes& left, const MappedRange& seen) {
        std::vector<bool> swapped;
        for (const Pte pte : left)
            swapped.push_back(pte == Pte::swapped);
        return seen.present == present_of(left) && seen.swapped == swapped;
    }

    // After a range was tried in vain, its pages wait in a batch of a CPU until they are put back
    // into the LRU lists, and 7.2 makes no smaller order of them: there may be fewer folios than
    // the model has, in such a range alone, and only such as may be made.
    [[nodiscard]] bool others_in_vain(const Ptes& pattern, const model::Scan& scan,
                                      const MappedRange& seen) const {
        const auto tried = [&scan](const model::Collapse& folio) {
            return std::any_of(scan.in_vain.begin(), scan.in_vain.end(), [&](const auto& range) {
                return folio.order < range.order &&
                       folio.offset >> range.order == range.offset >> range.order;
            });
        };
        Ptes left = pattern;
        for (const MappedFolio& folio : seen.folios) {
            const model::Collapse made{folio.page, folio.order};
            const bool modelled =
                std::find(scan.made.begin(), scan.made.end(), made) != scan.made.end();
            if (!modelled && !(tried(made) && rules_.may(made.order) &&
                               model::merged_design().fits(pattern, made, rules_)))
                return false;
            std::fill_n(left.begin() + static_cast<std::ptrdiff_t>(folio.page),
                        std::size_t{1} << folio.order, Pte::page);
        }
        const std::vector<MappedFolio>& folios = seen.folios;
        return as_left(left, seen) &&
               std::all_of(scan.made.begin(), scan.made.end(), [&](const model::Collapse& made) {
                   const MappedFolio folio{made.offset, made.order};
                   return tried(made) ||
                          std::find(folios.begin(), folios.end(), folio) != folios.end();
               });
    }

    // All memory of this process.
    static Result<void> forbid_huge_pages(bool forbid) {
        if (::prctl(PR_SET_THP_DISABLE, forbid ? 1 : 0, 0, 0, 0) != 0)
            return Error::last("prctl(PR_SET_THP_DISABLE)");
        return {};
    }

    Result<void> compare(ActorContext& me) {
        const Result<std::vector<MappedRange>> seen = scan(patterns_);
        if (!seen)
            return seen.error();
        for (std::size_t i = 0; i < patterns_.size(); ++i) {
            fewer_ = fewer_ || compared(patterns_[i], (*seen)[i]) == Comparison::fewer;
            if (differs(patterns_[i], (*seen)[i])) {
                difference_ = describe(patterns_[i], (*seen)[i]);
                if (Result<void> shortened = shorten(me, patterns_[i]); !shortened)
                    return shortened;
                break;
            }
        }
        if (Result<void> asked = ask_module(*seen); !asked)
            return asked;
        me.report(slot_patterns, static_cast<std::int64_t>(patterns_.size()));
        return {};
    }

    // It walks the page tables: the same folios are there as in /proc.
    Result<void> ask_module(const std::vector<MappedRange>& seen) {
        // A shortened pattern has been laid out anew; a later scan makes folios that one before did
        // not; and the look at the bytes reads pages back from the swap space.
        if (!difference_.empty() || fewer_ || row_.swapped)
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
    Result<void> shorten(ActorContext& me, Ptes pattern) {
        const auto end = std::chrono::steady_clock::now() + shortening;
        for (std::size_t block = pages() / 2; block > 0 && !me.stopping();) {
            std::vector<Ptes> tries;
            for (std::size_t at = 0; at < pages() && tries.size() < ranges(); at += block) {
                Ptes less = pattern;
                std::fill_n(less.begin() + static_cast<std::ptrdiff_t>(at), block, Pte::none);
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

    [[nodiscard]] std::string named_settings() const {
        std::string names = advised_ ? "" : ", not advised";
        for (const auto& [order, word] : words_)
            names += fmt::format(", order {} {}", order, word);
        return names;
    }

    [[nodiscard]] std::string describe(const Ptes& pattern, const MappedRange& seen) const {
        const std::size_t per = std::min<std::size_t>(std::max<std::size_t>(pages() / 64, 1), 4);
        std::vector<model::Collapse> kernel;
        for (const MappedFolio& folio : seen.folios)
            kernel.push_back({folio.page, folio.order});
        const auto drawn = [&](const std::vector<model::Collapse>& made) {
            return model::picture(made, pages(), per);
        };
        const std::vector<model::Collapse> made = modelled(pattern).made;
        return fmt::format(
            "enabled {:#x}, max_ptes_none {}, max_ptes_shared {}, max_ptes_swap {}{}{}\n"
            "        present {}\n        kernel  {}\n        model   {}",
            rules_.enabled, rules_.max_ptes_none, rules_.max_ptes_shared, rules_.max_ptes_swap,
            named_settings(), seen.odd.empty() ? "" : ", " + seen.odd, model::picture(pattern, per),
            drawn(kernel), drawn(made));
    }

    const Row& row_;
    SwapArea swap_;
    std::optional<StackDepth> stack_; // of the thread
    pid_t watched_ = 0;
    Depth deepest_;
    std::optional<BtfStruct> control_; // struct collapse_control
    std::size_t compared_ = 0;         // patterns, in all runs
    unsigned again_ = 0;               // MADV_COLLAPSE, the same
    CollapseRules rules_;
    std::vector<std::pair<unsigned, std::string_view>> words_; // of the orders' settings
    bool advised_ = true;                                      // by madvise()
    std::uint64_t all_sets_ = 0;                               // of orders to enable
    std::set<std::uint64_t> sets_;                             // that were
    std::vector<Ptes> patterns_;
    bool fewer_ = false;     // the looker's, too
    std::string difference_; // the looker's until it has ended
    std::string lost_;
};

std::vector<Need> needs_of(const Row& row) {
    if (row.swapped)
        return {{"a RAM disk to swap to", missing_ram_disk}};
    return row.settings
               ? std::vector<Need>{{"a setting for each order (6.8)", missing_order_settings}}
               : std::vector<Need>();
}

std::vector<Variant> variants() {
    std::vector<Variant> all;
    all.reserve(rows.size());
    for (const Row& row : rows)
        all.push_back(
            {.name = row.name,
             .about = row.about,
             .expected =
                 {{row.measures_stack
                       ? "orders=as-modelled data=kept stack=half-free control=as-modelled|unread"
                   : row.kinds ? "orders=as-modelled|fewer data=kept"
                               : "orders=as-modelled data=kept"}},
             .forced = false,
             .runs_divisor = row.divisor,
             .needs = needs_of(row)});
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
        .bad = "orders=differ, data=lost, stack=deep, control=other",
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
                      .kind = Control::Kind::comparison},
                     {.name = "scaled-limit-kinds",
                      .about = "zero pages are counted with the limit scaled to the order",
                      .variant = "kinds",
                      .produces = "orders=differ",
                      .actions = {{.kind = FL_CONTROL_REPLACE,
                                   .actor = "khugepaged",
                                   .function = "collapse_max_ptes_none",
                                   .replacement = "collapse_scaled_ptes_none"}}},
                     {.name = "never-kinds",
                      .about = "khugepaged rejects every range of pages of all kinds",
                      .variant = "kinds",
                      .produces = "orders=differ",
                      .actions = {{.kind = FL_CONTROL_SKIP,
                                   .actor = "khugepaged",
                                   .function = "hugepage_vma_revalidate"}},
                      .kind = Control::Kind::comparison},
                     {.name = "not-read-back",
                      .about = "khugepaged reads no page back from the swap space",
                      .variant = "swapped",
                      .produces = "orders=differ",
                      .actions = {{.kind = FL_CONTROL_SKIP,
                                   .actor = "khugepaged",
                                   .function = "__collapse_huge_page_swapin",
                                   .value = 1}}, // SCAN_SUCCEED
                      .kind = Control::Kind::comparison},
                     {.name = "never-settings",
                      .about = "khugepaged rejects every range, whatever the settings say",
                      .variant = "settings",
                      .produces = "orders=differ",
                      .actions = {{.kind = FL_CONTROL_SKIP,
                                   .actor = "khugepaged",
                                   .function = "hugepage_vma_revalidate"}},
                      .kind = Control::Kind::comparison}},
        .needs = mthp_needs(),
        .make = [](const Variant& variant) -> std::unique_ptr<Experiment> {
            const Row& row = row_of(rows, variant);
            return std::make_unique<MthpOrders>(row);
        },
    };
    return scenario;
}

} // namespace faultline
