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
// ppc64 with 64K pages) there is nothing of the sort to see: those variants SKIP, and "apart" and
// "storm" remain, where each page has one table and must be queued once and freed once.
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

// The reader is inside for so long after the last was given away. No bound of what is seen.
constexpr int inside_us = 2000;
constexpr unsigned storm_tables = 64;
constexpr unsigned slot_cpu = 0; // of a giver
constexpr unsigned slot_began = 1;
constexpr unsigned slot_ended = 2;
constexpr std::array<std::string_view, 4> four_names = {"a", "b", "c", "d"};
constexpr std::array<std::string_view, 2> two_names = {"first", "second"};

enum class Pages { shared, apart, either }; // where the variant makes sense
enum class Give {
    as_written, // by two: what the row says
    in_turns,   // by four: each one table, by chance the other way, in an order drawn by chance
    at_once,    // by four: as many as can be at the same time, no reader
};

struct Row {
    std::string_view name;
    std::string_view about;
    std::string_view schedule;
    Pages pages = Pages::shared;
    unsigned tables = 2; // in all
    Give give = Give::as_written;
    // What the first and the second do with which table.
    std::array<std::string_view, 2> commands = {"defer 0", "defer 1"};
    bool frees = false; // tables are also freed by the way that does not wait
};

constexpr std::array rows = {
    Row{.name = "in-turn", .about = "both deferred, one after the other", .schedule = in_turn},
    Row{.name = "in-turn-swapped",
        .about = "the other table first",
        .schedule = in_turn,
        .commands = {"defer 1", "defer 0"}},
    Row{.name = "inside", .about = "the second while the first has entered", .schedule = inside},
    Row{.name = "inside-swapped",
        .about = "the other table first",
        .schedule = inside,
        .commands = {"defer 1", "defer 0"}},
    Row{.name = "at-drop",
        .about = "the second while the first has marked the page",
        .schedule = at_drop},
    Row{.name = "at-drop-swapped",
        .about = "the other table first",
        .schedule = at_drop,
        .commands = {"defer 1", "defer 0"}},
    Row{.name = "defer-then-free",
        .about = "a neighbour is freed by the way that does not wait",
        .schedule = in_turn,
        .commands = {"defer 0", "free 1"},
        .frees = true},
    Row{.name = "free-then-defer",
        .about = "the same before",
        .schedule = in_turn,
        .commands = {"free 1", "defer 0"},
        .frees = true},
    Row{.name = "free-at-drop",
        .about = "the same while the first has marked the page",
        .schedule = at_drop,
        .commands = {"defer 0", "free 1"},
        .frees = true},
    Row{.name = "four-sampled",
        .about = "four tables, some freed, in an order drawn by chance",
        .schedule = four,
        .tables = 4,
        .give = Give::in_turns,
        .frees = true},
    Row{.name = "apart",
        .about = "two tables, each with a page of its own, one inside the other's call",
        .schedule = inside,
        .pages = Pages::apart},
    Row{.name = "storm",
        .about = "64 tables, four givers on all CPUs at once, no reader",
        .schedule = "",
        .pages = Pages::either,
        .tables = storm_tables,
        .give = Give::at_once},
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
        const bool at_once = row_.give == Give::at_once;
        if (!at_once)
            all.push_back({.name = "reader",
                           .kind = Actor::Kind::thread,
                           .cpu = 0,
                           .body = [this](ActorContext& me) {
                               const Result<bool> read =
                                   me.at_reading("reading", tables_->file(), 0);
                               if (!read)
                                   me.fail(read.error());
                           }});
        const bool two = row_.give == Give::as_written;
        for (std::size_t i = 0; i < (two ? two_names.size() : four_names.size()); ++i)
            all.push_back({.name = two ? two_names.at(i) : four_names.at(i),
                           .kind = Actor::Kind::thread,
                           // The reader spins on CPU 0.
                           .cpu = static_cast<int>(at_once ? i : 1 + 2 * i),
                           .body = [this, i](ActorContext& me) { give(me, i); }});
        return all;
    }

    Result<void> begin(Run& run) override {
        draw(run.rng());
        turn_ = 0;
        ready_ = 0;
        return tables_->send(fmt::format("tables {}", row_.tables));
    }

    Outcome judge(Run& run) override {
        Outcome outcome;
        const Result<std::vector<PageTable>> tables = tables_->settled();
        if (!tables)
            return outcome.forbid(tables.error().to_string());
        outcome.add("page", share_a_page(*tables) ? "shared" : "own");
        // The reader's own table must be deferred for it to be protected.
        judge_pages(outcome, *tables, 0, left_ns(run, "reader@user:reading"));
        return outcome;
    }

    // Two of the storm were in their calls at the same time, on two CPUs.
    std::optional<bool> overlapped(const Run& run) override {
        if (row_.give != Give::at_once)
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
    static bool share_a_page(const std::vector<PageTable>& tables) {
        return std::any_of(tables.begin() + 1, tables.end(),
                           [&](const PageTable& table) { return table.pfn == tables.front().pfn; });
    }

    // Whose turn it is when, and what each gives, table 0 always by pte_free_defer().
    void draw(Rng& rng) {
        if (row_.give == Give::as_written) {
            for (std::size_t i = 0; i < two_names.size(); ++i)
                commands_.at(i) = {std::string(row_.commands.at(i))};
            return;
        }
        std::array<unsigned, storm_tables> table{};
        std::iota(table.begin(), table.end(), 0U);
        for (std::size_t left = row_.tables; left > 1; --left)
            std::swap(table.at(left - 1), table.at(rng.below(left)));
        for (std::size_t i = 0; i < four_names.size(); ++i) {
            commands_.at(i).clear();
            for (std::size_t n = i; n < row_.tables; n += four_names.size())
                commands_.at(i).push_back(fmt::format("defer {}", table.at(n)));
            if (row_.give == Give::in_turns && table.at(i) != 0 && rng.below(3) == 0)
                commands_.at(i) = {fmt::format("free {}", table.at(i))};
        }
    }

    void give(ActorContext& me, std::size_t number) {
        if (!me.at("give"))
            return;
        // The tables were shuffled, so that the order of names is one drawn by chance.
        while (row_.give == Give::in_turns && turn_ != number && !me.stopping())
            ::sched_yield();
        // All of a storm begin when the last is there.
        ++ready_;
        while (row_.give == Give::at_once && ready_ != four_names.size() && !me.stopping())
            ::sched_yield();
        me.report(slot_cpu, ::sched_getcpu());
        me.report(slot_began, now_ns());
        Result<void> given;
        for (const std::string& command : commands_.at(number))
            if (given = tables_->send(command); !given)
                break;
        me.report(slot_ended, now_ns());
        turn_ = number + 1;
        if (!given)
            return me.fail(given.error());
        if (row_.give != Give::at_once)
            ::usleep(inside_us);
        (void)me.at("given").ok();
    }

    const Row& row_;
    std::optional<PageTables> tables_;
    std::array<std::vector<std::string>, 4> commands_; // of each giver
    std::atomic<std::size_t> turn_ = 0;
    std::atomic<std::size_t> ready_ = 0;
};

std::vector<Need> needs_of(const Row& row) {
    std::vector<Need> needs;
    if (row.pages != Pages::either)
        needs.push_back(shared_pages(row.pages == Pages::shared));
    if (row.frees)
        needs.push_back(freed_at_once());
    return needs;
}

std::string_view expected_of(Pages pages) {
    switch (pages) {
    case Pages::shared:
        return "page=shared queued=once freed=once";
    case Pages::apart:
        return "page=own queued=once freed=once";
    case Pages::either:
        break;
    }
    return "queued=once freed=once";
}

std::vector<Variant> variants() {
    std::vector<Variant> all;
    all.reserve(rows.size());
    for (const Row& row : rows) {
        const bool at_once = row.give == Give::at_once;
        Variant variant = {.name = row.name,
                           .about = row.about,
                           .schedule = row.schedule,
                           .expected = {{expected_of(row.pages)}},
                           .forced = !at_once,
                           .runs_divisor = at_once ? 1U : 4U, // each waits for a grace period
                           .needs = needs_of(row)};
        if (at_once)
            variant.chance = Chance{.overlaps = 20, .seconds = 60};
        all.push_back(std::move(variant));
    }
    return all;
}

Control replacing(std::string_view name, std::string_view about, std::string_view variant,
                  std::string_view replacement, std::string_view produces) {
    return {.name = name,
            .about = about,
            .variant = variant,
            .produces = produces,
            .actions = {{.kind = FL_CONTROL_REPLACE,
                         .function = "pte_free_defer",
                         .replacement = replacement}}};
}

// By variant where pages are shared, and where they are not.
std::vector<Control> controls() {
    return {
        replacing("queue-each", "the one rcu_head is queued for every table", "in-turn",
                  "pte_free_queue_each", "queued=again"),
        replacing("queue-each-apart", "one rcu_head serves the tables of two pages", "apart",
                  "pte_free_queue_each", "queued=again"),
        replacing("free-at-once", "pte_free_defer() frees the table at once", "in-turn",
                  "pte_free_at_once", "freed=early"),
        replacing("free-at-once-apart", "the same where each table has a page", "apart",
                  "pte_free_at_once", "freed=early"),
        replacing("free-at-once-storm", "the same where no reader is there to see it", "storm",
                  "pte_free_at_once", "freed=early"),
        replacing("leak", "pte_free_defer() does nothing", "in-turn", "pte_free_never",
                  "freed=never"),
        replacing("leak-apart", "the same where each table has a page", "apart", "pte_free_never",
                  "freed=never"),
    };
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
        .controls = controls(),
        .needs = {own_tables()},
        .make = [](const Variant& variant) -> std::unique_ptr<Experiment> {
            return std::make_unique<PgtableShared>(row_of(rows, variant));
        },
    };
    return scenario;
}

} // namespace faultline
