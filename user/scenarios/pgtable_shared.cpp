// SPDX-License-Identifier: GPL-2.0
// pgtable-shared: page tables that share a page and its one rcu_head are deferred at once.
//
// Claim (the thread of "mm: free retracted page table by RCU", linux-mm, May and June 2023).
// Matthew Wilcox: "you might have up to 16 page tables sharing one page [...] if you have two page
// tables from the same page being defer-freed simultaneously, you'll reuse the rcu_head". Hugh
// Dickins's answer, as merged (32cc0b7c9d50 for powerpc, v6.6): the page is marked, and only the
// drop of its last reference queues the rcu_head. So it is queued once, freed once, and never while
// a reader is at any table of it.
//
// Who: a reader at one table; givers, each with tables of the same page, by pte_free_defer() or, as
// an munmap() would, by the free that does not wait. Where no two tables share a page (all but
// ppc64 with 64K pages) each has its own, and the same must hold of each.
//     pte_free_defer()  against  pte_free_defer(), pte_fragment_free()
//
// A bad outcome: queued=again, freed=early, freed=never, freed twice, or freed while marked.
#include "scenarios/list.hpp"
#include "scenarios/pgtable_experiment.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <fmt/format.h>
#include <numeric>
#include <optional>
#include <sched.h>
#include <unistd.h>

namespace faultline {

namespace {

// One after the other, while the reader is inside.
constexpr std::string_view in_turn = "reader@user:reading -> first@user:give; "
                                     "first@user:given -> second@user:give; "
                                     "second@user:given -> reader@user:reading";
// The second comes and goes while the first has entered pte_free_defer().
constexpr std::string_view inside = "reader@user:reading -> first@user:give; "
                                    "first@enter:pte_free_defer -> second@user:give; "
                                    "second@user:given -> first@enter:pte_free_defer; "
                                    "first@user:given -> reader@user:reading";
// The same when the first has marked the page (ppc64), or is about to queue it.
constexpr std::string_view at_drop = "reader@user:reading -> first@user:give; "
                                     "first@enter:pte_free_defer/drop -> second@user:give; "
                                     "second@user:given -> first@enter:pte_free_defer/drop; "
                                     "first@user:given -> reader@user:reading";
constexpr std::string_view four = "reader@user:reading -> a@user:give; "
                                  "reader@user:reading -> b@user:give; "
                                  "reader@user:reading -> c@user:give; "
                                  "reader@user:reading -> d@user:give; "
                                  "a@user:given -> reader@user:reading; "
                                  "b@user:given -> reader@user:reading; "
                                  "c@user:given -> reader@user:reading; "
                                  "d@user:given -> reader@user:reading";

constexpr int grace_us = 2000; // for a free that does not wait for the reader
constexpr unsigned storm_tables = 64;
constexpr unsigned slot_cpu = 0; // of a giver
constexpr unsigned slot_began = 1;
constexpr unsigned slot_ended = 2;
constexpr std::array<std::string_view, 4> four_names = {"a", "b", "c", "d"};
constexpr std::array<std::string_view, 2> two_names = {"first", "second"};

struct Row {
    std::string_view name;
    std::string_view about;
    std::string_view schedule;
    unsigned tables; // in all
    // What the first and the second do with which table; for four, drawn by chance.
    std::array<std::string_view, 2> orders = {};
};

constexpr std::array rows = {
    Row{"in-turn", "both deferred, one after the other", in_turn, 2, {"defer 0", "defer 1"}},
    Row{"in-turn-swapped", "the other table first", in_turn, 2, {"defer 1", "defer 0"}},
    Row{"inside", "the second while the first has entered", inside, 2, {"defer 0", "defer 1"}},
    Row{"inside-swapped", "the other table first", inside, 2, {"defer 1", "defer 0"}},
    Row{"at-drop",
        "the second while the first has marked the page",
        at_drop,
        2,
        {"defer 0", "defer 1"}},
    Row{"at-drop-swapped", "the other table first", at_drop, 2, {"defer 1", "defer 0"}},
    Row{"defer-then-free",
        "a neighbour is freed by the way that does not wait",
        in_turn,
        2,
        {"defer 0", "free 1"}},
    Row{"free-then-defer", "the same before", in_turn, 2, {"free 1", "defer 0"}},
    Row{"free-at-drop",
        "the same while the first has marked the page",
        at_drop,
        2,
        {"defer 0", "free 1"}},
    Row{"four-sampled", "four tables, some freed, in an order drawn by chance", four, 4},
    Row{"storm", "64 tables, four givers on all CPUs at once, no reader", "", storm_tables},
};

std::int64_t now_ns() {
    return std::chrono::steady_clock::now().time_since_epoch() / std::chrono::nanoseconds(1);
}

class PgtableShared final : public Experiment {
  public:
    explicit PgtableShared(const Row& row) : row_(row) {}

    Result<void> prepare() override {
        Result<PageTables> tables = PageTables::open();
        if (!tables)
            return tables.error();
        tables_ = std::move(*tables);
        return {};
    }

    std::vector<Actor> actors() override {
        std::vector<Actor> all;
        const bool storm = row_.schedule.empty();
        if (!storm)
            all.push_back({.name = "reader",
                           .kind = Actor::Kind::thread,
                           .cpu = 0,
                           .body = [this](ActorContext& me) {
                               const Result<bool> read =
                                   me.at_reading("reading", tables_->file(), 0);
                               if (!read)
                                   me.fail(read.error());
                           }});
        const bool two = row_.tables == 2;
        for (std::size_t i = 0; i < (two ? two_names.size() : four_names.size()); ++i)
            all.push_back({.name = two ? two_names.at(i) : four_names.at(i),
                           .kind = Actor::Kind::thread,
                           // The reader spins on CPU 0.
                           .cpu = static_cast<int>(storm ? i : 1 + 2 * i),
                           .body = [this, i](ActorContext& me) { give(me, i); }});
        return all;
    }

    Result<void> begin(Run& run) override {
        draw(run.rng());
        turn_ = 0;
        ready_ = 0;
        return tables_->order(fmt::format("tables {}", row_.tables));
    }

    Outcome judge(Run& run) override {
        Outcome outcome;
        const Result<std::vector<PageTable>> tables = tables_->settled();
        if (!tables)
            return outcome.forbid(tables.error().to_string());
        // The reader's own table must be deferred for it to be protected.
        judge_pages(outcome, *tables, 0, left_ns(run, "reader@user:reading"));
        return outcome;
    }

    // Two of the storm were in their calls at the same time, on two CPUs.
    std::optional<bool> overlapped(const Run& run) override {
        if (!row_.schedule.empty())
            return std::nullopt;
        for (std::string_view one : four_names)
            for (std::string_view other : four_names)
                if (run.slot(one, slot_cpu) != run.slot(other, slot_cpu) &&
                    run.slot(one, slot_began) <= run.slot(other, slot_began) &&
                    run.slot(other, slot_began) < run.slot(one, slot_ended))
                    return true;
        return false;
    }

  private:
    // Whose turn it is when, and what each gives, table 0 always by pte_free_defer().
    void draw(Rng& rng) {
        if (row_.tables == 2) {
            for (std::size_t i = 0; i < two_names.size(); ++i)
                orders_.at(i) = {std::string(row_.orders.at(i))};
            return;
        }
        std::array<unsigned, storm_tables> table{};
        std::iota(table.begin(), table.end(), 0U);
        for (std::size_t left = row_.tables; left > 1; --left)
            std::swap(table.at(left - 1), table.at(rng.below(left)));
        for (std::size_t i = 0; i < four_names.size(); ++i) {
            orders_.at(i).clear();
            for (std::size_t n = i; n < row_.tables; n += four_names.size())
                orders_.at(i).push_back(fmt::format("defer {}", table.at(n)));
            if (row_.name == "four-sampled" && table.at(i) != 0 && rng.below(3) == 0)
                orders_.at(i) = {fmt::format("free {}", table.at(i))};
        }
    }

    void give(ActorContext& me, std::size_t number) {
        if (!me.at("give"))
            return;
        // The tables were shuffled, so that the order of names is one drawn by chance.
        while (row_.name == "four-sampled" && turn_ != number && !me.stopping())
            ::sched_yield();
        // All of a storm begin when the last is there.
        ++ready_;
        while (row_.schedule.empty() && ready_ != four_names.size() && !me.stopping())
            ::sched_yield();
        me.report(slot_cpu, ::sched_getcpu());
        me.report(slot_began, now_ns());
        Result<void> given;
        for (const std::string& order : orders_.at(number))
            if (given = tables_->order(order); !given)
                break;
        me.report(slot_ended, now_ns());
        turn_ = number + 1;
        if (!given)
            return me.fail(given.error());
        if (!row_.schedule.empty())
            ::usleep(grace_us);
        (void)me.at("given").ok();
    }

    const Row& row_;
    std::optional<PageTables> tables_;
    std::array<std::vector<std::string>, 4> orders_; // of each giver
    std::atomic<std::size_t> turn_ = 0;
    std::atomic<std::size_t> ready_ = 0;
};

std::vector<Variant> variants() {
    std::vector<Variant> all;
    all.reserve(rows.size());
    for (const Row& row : rows)
        all.push_back(
            {.name = row.name,
             .about = row.about,
             .schedule = row.schedule,
             .forced = !row.schedule.empty(),
             .runs_divisor = // each waits for a grace period; nobody makes the storm's givers meet
             row.schedule.empty() ? 1U : 4U});
    return all;
}

Control replacing(std::string_view name, std::string_view about, std::string_view produces,
                  std::string_view replacement) {
    return {.name = name,
            .about = about,
            .variant = "in-turn",
            .produces = produces,
            .actions = {{.kind = FL_CONTROL_REPLACE,
                         .function = "pte_free_defer",
                         .replacement = replacement}}};
}

} // namespace

const Scenario& pgtable_shared() {
    static const Scenario scenario = {
        .name = "pgtable-shared",
        .family = "pte-free-defer",
        .claim = "tables of one page deferred at once: it is queued once, freed once, after all",
        .source = "Matthew Wilcox, Hugh Dickins, Jason Gunthorpe, linux-mm, May and June 2023",
        .races = "pte_free_defer() against itself and pte_fragment_free(), with an RCU reader",
        .bad = "queued=again, freed=early, freed=never, marked=yes",
        .variants = variants(),
        .controls = {replacing("queue-each", "the one rcu_head is queued for every table",
                               "queued=again", "pte_free_queue_each"),
                     replacing("free-at-once", "pte_free_defer() frees the table at once",
                               "freed=early", "pte_free_at_once"),
                     replacing("leak", "pte_free_defer() does nothing", "freed=never",
                               "pte_free_never")},
        .needs = pgtable_needs(),
        .make = [](const Variant& variant) -> std::unique_ptr<Experiment> {
            return std::make_unique<PgtableShared>(row_of(rows, variant));
        },
    };
    return scenario;
}

} // namespace faultline
