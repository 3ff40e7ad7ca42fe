// SPDX-License-Identifier: GPL-2.0
// Explore over a session that is not the kernel's: an experiment made by hand has the results that
// the armed schedule tells it.
#include "explore/explorer.hpp"

#include "engine/runner.hpp"
#include "fake_session.hpp"

#include <algorithm>
#include <cstdio>
#include <gmock/gmock.h>
#include <set>

namespace faultline {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;
using testing::StartsWith;
using testing::UnorderedElementsAre;

using OneRun = Run; // testing::Test has a private Run of its own
using Results = std::vector<std::pair<std::string, std::string>>;

SiteRef site_of(const fl_program& program, unsigned index) {
    const fl_site& site = program.sites[index];
    return {.actor = program.actors[site.actor],
            .kind = static_cast<fl_site_kind>(site.kind),
            .name = site.name,
            .hit = site.hit};
}

// The edges of a program that the kernel got.
std::vector<std::string> edges_of(const fl_program& program) {
    std::vector<std::string> edges;
    for (unsigned i = 0; i < program.nr_edges; ++i)
        edges.push_back(to_string(std::vector<Edge>{{site_of(program, program.edges[i].before),
                                                     site_of(program, program.edges[i].after)}}));
    return edges;
}

bool has(const std::vector<std::string>& edges, std::string_view edge) {
    return std::find(edges.begin(), edges.end(), edge) != edges.end();
}

// The first actor of a serial order; "" of another one.
std::string first_of(const std::vector<std::string>& edges) {
    for (const std::string& edge : edges)
        if (edge.find("@enter:") != std::string::npos)
            return "";
    for (const std::string& edge : edges)
        if (const std::size_t begin = edge.find("@user:begin -> "); begin != std::string::npos)
            return edge.substr(0, begin);
    return "";
}

// The actions of a test's experiment.
struct Plan {
    std::vector<std::string_view> actors = {"a", "b"};
    bool brackets = true; // has the sites user:begin and user:end
    bool observes = true;
    Result<void> begun;
    // By the schedule of the run, and by the variant.
    std::function<Results(const std::vector<std::string>& edges, const OneRun& run,
                          std::string_view variant)>
        results = [](const auto&, const OneRun&, std::string_view) {
            return Results{{"a", "ok"}, {"b", "ok"}};
        };
};

class PlannedExperiment final : public Experiment {
  public:
    PlannedExperiment(const Plan& plan, std::shared_ptr<FakeKernel> kernel,
                      std::string_view variant)
        : plan_(plan), kernel_(std::move(kernel)), variant_(variant) {}
    std::vector<Actor> actors() override {
        std::vector<Actor> all;
        for (const std::string_view name : plan_.actors)
            all.push_back({.name = name, .body = [this](ActorContext& me) {
                               if (!plan_.brackets)
                                   return;
                               EXPECT_TRUE(me.at(first_site).ok());
                               EXPECT_TRUE(me.at(last_site).ok());
                           }});
        return all;
    }
    Result<void> begin(OneRun& /*run*/) override { return plan_.begun; }
    Outcome judge(OneRun& run) override {
        Outcome outcome;
        outcome.words = plan_.results(edges_of(kernel_->armed), run, variant_);
        seen_ = {.results = outcome.words};
        return outcome;
    }
    bool observe() override { return plan_.observes; }
    [[nodiscard]] const Observation* observation() const override {
        return plan_.observes ? &seen_ : nullptr;
    }

  private:
    const Plan& plan_;
    std::shared_ptr<FakeKernel> kernel_;
    std::string variant_;
    Observation seen_;
};

fl_result timed_out() {
    fl_result result{};
    result.sites[1].end = FL_END_TIMEOUT;
    return result;
}

// The compared part of an OrderRecord.
struct Recorded {
    std::string schedule;
    unsigned preemptions; // 0: by PCT
    Ending ending;
    std::string lock;
    std::string deviation;
};

// a passes f and g, b passes h: all at one stop each.
class ExplorerTest : public testing::Test {
  protected:
    static constexpr std::size_t all_orders = 3 + 2 * 2 * 1;
    // The only order in which b is inside of a, at f.
    static constexpr const char* held_at_f = "a@enter:f -> b@user:begin";
    static constexpr const char* until_b_ends = "b@user:end -> a@enter:f";

    ExplorerTest() {
        scenario.name = "fake";
        scenario.variants = {{.name = "all"}, {.name = "without-a"}, {.name = "without-b"}};
        scenario.make = [this](const Variant& variant) {
            return std::make_unique<PlannedExperiment>(plan, kernel, variant.name);
        };
        options.rig.open_session = [this]() -> Result<std::unique_ptr<Session>> {
            return std::unique_ptr<Session>(std::make_unique<FakeSession>(kernel));
        };
        options.profiles = [this](const std::vector<std::string>& actors) {
            std::vector<Profile> profiles;
            for (const std::string& actor : actors)
                profiles.push_back({actor, places[actor]});
            return profiles;
        };
        options.balance = []() -> Result<Balance> { return Balance{}; };
        places["a"] = {place("f", 0), place("g", 1)};
        places["b"] = {place("h", 0)};
    }

    static Place place(const std::string& function, unsigned position) {
        return {.function = function, .part = "mm", .hits = 1, .positions = {position}};
    }
    [[nodiscard]] Subject subject() const {
        return subject_of(scenario, std::vector<Relaxation>(relaxations));
    }
    // Explores until so many orders are done: the next run cannot begin.
    ExploreReport explore(std::size_t orders) { return explore(orders, subject()); }
    ExploreReport explore(std::size_t orders, Subject what) {
        Explorer explorer(std::move(what), options);
        explorer.on_order = [&](const OrderRecord& record) {
            records.push_back({record.schedule,
                               record.order == nullptr ? 0 : record.order->preemptions,
                               record.ending, record.lock, record.deviation});
            if (records.size() == orders)
                plan.begun = Error::make(ECANCELED, "these are enough");
        };
        explorer.on_run = [this](const std::string& schedule, std::uint64_t seed) {
            if (schedule.find("@enter:") != std::string::npos) // no serial order
                runs.emplace_back(schedule, seed);
        };
        return explorer.run();
    }
    // The schedules that were run.
    [[nodiscard]] std::set<std::string> schedules() const {
        std::set<std::string> all;
        for (const Recorded& record : records)
            all.insert(record.schedule);
        return all;
    }
    // a's result is another one if b was inside of it, at f.
    void break_at_f() {
        plan.results = [](const std::vector<std::string>& edges, const OneRun&, std::string_view) {
            const bool broken = has(edges, held_at_f) && has(edges, until_b_ends);
            return Results{{"a", broken ? "lost" : "ok"}, {"b", "ok"}};
        };
    }

    std::shared_ptr<FakeKernel> kernel = std::make_shared<FakeKernel>();
    Plan plan;
    Scenario scenario;
    ExploreOptions options;
    std::map<std::string, std::vector<Place>> places;
    std::vector<Relaxation> relaxations;
    std::vector<Recorded> records;
    std::vector<std::pair<std::string, std::uint64_t>> runs;
};

TEST_F(ExplorerTest, TriesEveryOrderOnceAndThenDrawsThem) {
    const ExploreReport report = explore(all_orders + 5);
    ASSERT_TRUE(report.refusal);
    EXPECT_THAT(report.refusal->why, HasSubstr("these are enough"));
    EXPECT_EQ(report.all_orders, all_orders);
    EXPECT_EQ(report.orders, all_orders + 6) << "with the one that could not begin";
    EXPECT_EQ(report.random_orders, 6U);
    EXPECT_THAT(report.deviations, IsEmpty());
    EXPECT_THAT(report.endings, ElementsAre(Pair(Ending::realised, all_orders + 5)));
    EXPECT_DOUBLE_EQ(report.bound, unseen_bound(all_orders + 5));
    std::set<std::string> first;
    for (std::size_t i = 0; i < all_orders; ++i) {
        first.insert(records[i].schedule);
        EXPECT_EQ(records[i].preemptions, i < 3 ? 1U : 2U);
    }
    EXPECT_EQ(first.size(), all_orders);
    for (std::size_t i = all_orders; i < records.size(); ++i)
        EXPECT_EQ(records[i].preemptions, 0U);
}

TEST_F(ExplorerTest, SaysEachRunBeforeItInWordsThatReplay) {
    explore(3);
    ASSERT_EQ(runs.size(), 4U);
    for (std::size_t i = 0; i < runs.size(); ++i) {
        const Result<Schedule> schedule = parse_schedule(runs[i].first);
        ASSERT_TRUE(schedule.ok()) << runs[i].first;
        EXPECT_EQ(schedule->scenario, "fake");
        EXPECT_EQ(schedule->variant, "all");
        EXPECT_EQ(schedule->seed, runs[i].second);
        if (i < records.size()) {
            EXPECT_EQ(to_string(schedule->edges), records[i].schedule);
        }
    }
}

TEST_F(ExplorerTest, CountsHowOrdersEnd) {
    // b is excluded from a at g, and never comes to h; a at f is waited for in vain.
    kernel->answer = [this](unsigned) {
        const std::vector<std::string> edges = edges_of(kernel->armed);
        const auto begins = [&edges](std::string_view site) {
            return edges.size() > 1 && edges[1].starts_with(site);
        };
        if (begins("a@enter:g")) {
            fl_result result = excluded();
            std::snprintf(result.blocked, sizeof(result.blocked), "%s",
                          "rwsem_down_write_slowpath < down_write < unmap < more");
            return result;
        }
        return begins("b@enter:h") ? missed() : begins("a@enter:f") ? timed_out() : overlapping();
    };
    const ExploreReport report = explore(3);
    EXPECT_THAT(report.endings,
                ElementsAre(Pair(Ending::realised, 0), Pair(Ending::excluded, 1),
                            Pair(Ending::not_reached, 1), Pair(Ending::timed_out, 1)));
    EXPECT_THAT(report.locks, ElementsAre(Pair("rwsem_down_write_slowpath < down_write", 1)));
    EXPECT_DOUBLE_EQ(report.bound, 1) << "nothing was realised";
    for (const Recorded& record : records)
        EXPECT_EQ(record.lock, record.ending == Ending::excluded
                                   ? "rwsem_down_write_slowpath < down_write"
                                   : "");
    EXPECT_EQ(to_string(Ending::realised), "realised");
    EXPECT_EQ(to_string(Ending::excluded), "excluded");
    EXPECT_EQ(to_string(Ending::not_reached), "not reached");
    EXPECT_EQ(to_string(Ending::timed_out), "timed out");
}

TEST_F(ExplorerTest, AStopThatWasNotReachedIsNotAskedAgain) {
    kernel->answer = [this](unsigned) {
        const std::vector<std::string> edges = edges_of(kernel->armed);
        return edges.size() > 1 && edges[1].starts_with("a@enter:f") ? missed() : overlapping();
    };
    explore(3 + 2 + 1);
    for (const Recorded& record : records)
        if (record.preemptions == 2) {
            EXPECT_EQ(record.schedule.find("a@enter:f"), std::string::npos) << record.schedule;
        }
    EXPECT_EQ(records.back().preemptions, 0U) << "two orders are left out";
}

// With a at f, b is excluded from h: so it is from k, which comes after. But if b reached h, then a
// was excluded, and b may reach k.
TEST_F(ExplorerTest, OnlyAnActorThatIsKeptFromItsStopIsKeptFromLaterOnes) {
    places["b"] = {place("h", 0), place("k", 1)};
    bool at_h = false;
    kernel->answer = [this, &at_h](unsigned) {
        const std::vector<std::string> edges = edges_of(kernel->armed);
        const bool both = edges.size() == 5 && edges[1].starts_with("a@enter:f") &&
                          edges[2].starts_with("b@enter:h");
        fl_result result = both ? excluded() : overlapping();
        for (unsigned i = 0; i < kernel->armed.nr_sites; ++i)
            if (std::string_view(kernel->armed.sites[i].name) != "h" || at_h)
                result.sites[i].reached_ns = 1;
        return result;
    };
    const std::size_t all = 4 + 2 * 2 * 2; // with one preemption, and with two
    EXPECT_EQ(explore(all - 1).implied, 1U);
    records.clear();
    plan.begun = {};
    at_h = true;
    EXPECT_EQ(explore(all).implied, 0U);
}

TEST_F(ExplorerTest, WhatAllRunsTogetherLoseIsSaid) {
    Balance now{.available = 1000000};
    options.balance = [&now]() -> Result<Balance> {
        const Balance taken = now;
        now.available -= 100000;
        return taken;
    };
    options.stop_at_first = true;
    break_at_f(); // else it would go on for the whole budget
    const ExploreReport report = explore(all_orders);
    EXPECT_THAT(report.losses, ElementsAre(HasSubstr("100000 kB less of free memory")));
    options.balance = []() -> Result<Balance> { return Error::make(EACCES, "no"); };
    EXPECT_TRUE(explore(all_orders).refusal);
}

TEST_F(ExplorerTest, PlacesThatCannotBePatchedAreNoStops) {
    kernel->traceable = [](const std::string& function) { return function != "g"; };
    const ExploreReport report = explore(4);
    EXPECT_THAT(report.unpatched, ElementsAre("g"));
    EXPECT_EQ(report.all_orders, 2U + 2U);
    EXPECT_EQ(report.profiles.at(0).places.size(), 2U) << "it is still told that a passes it";
    for (const std::string& schedule : schedules())
        EXPECT_EQ(schedule.find("enter:g"), std::string::npos);
}

TEST_F(ExplorerTest, OrdersOfAnEarlierSessionAreNotRunAgain) {
    places["a"] = {place("f", 0), place("g", 1), place("k", 2), place("l", 3)};
    places["b"] = {place("h", 0), place("i", 1), place("j", 2)};
    constexpr std::size_t all = 4 + 3 + 2 * 4 * 3;
    const ExploreReport before = explore(all + 3);
    ASSERT_EQ(before.all_orders, all);
    const std::set<std::string> done = schedules();
    records.clear();
    plan.begun = {};
    options.done = done;
    const ExploreReport report = explore(1);
    ASSERT_EQ(records.size(), 1U);
    EXPECT_EQ(records[0].preemptions, 0U);
    EXPECT_EQ(done.count(records[0].schedule), 0U);
    EXPECT_EQ(report.random_orders, report.orders) << "those that were left out do not count";
}

// So few stops have few random orders: the explorer does not look for others until its budget is
// over.
TEST_F(ExplorerTest, EndsWhenAnEarlierSessionHasDoneThemAll) {
    explore(all_orders + 100);
    options.done = schedules();
    records.clear();
    plan.begun = {};
    const ExploreReport report = explore(1);
    EXPECT_FALSE(report.refusal);
    EXPECT_EQ(report.orders, 0U);
    EXPECT_THAT(records, IsEmpty());
    EXPECT_LT(report.seconds, 60);
}

TEST_F(ExplorerTest, ReferencesAreTheSerialRuns) {
    plan.results = [](const std::vector<std::string>& edges, const OneRun&,
                      std::string_view variant) {
        if (variant == "without-a")
            return Results{{"b", "alone"}};
        if (variant == "without-b")
            return Results{{"a", "alone"}};
        const bool first = first_of(edges) == "a";
        return Results{{"a", first ? "first" : "last"}, {"b", first ? "last" : "first"}};
    };
    options.budget = std::chrono::seconds(0); // no order
    const ExploreReport report = explore(1);
    EXPECT_FALSE(report.refusal) << report.refusal->why;
    EXPECT_EQ(report.orders, 0U);
    ASSERT_EQ(report.references.size(), 4U);
    EXPECT_EQ(report.references[0].name, "b alone");
    EXPECT_THAT(report.references[0].absent, ElementsAre("a"));
    EXPECT_THAT(report.references[0].seen.results, ElementsAre(Pair("b", "alone")));
    EXPECT_EQ(report.references[1].name, "a alone");
    EXPECT_THAT(report.references[1].absent, ElementsAre("b"));
    EXPECT_EQ(report.references[2].name, "a, b");
    EXPECT_THAT(report.references[2].absent, IsEmpty());
    EXPECT_THAT(report.references[2].seen.results,
                ElementsAre(Pair("a", "first"), Pair("b", "last")));
    EXPECT_EQ(report.references[3].name, "b, a");
    EXPECT_THAT(report.references[3].seen.results,
                ElementsAre(Pair("a", "last"), Pair("b", "first")));
    EXPECT_THAT(report.unstable, IsEmpty());
}

TEST_F(ExplorerTest, ThreeActorsHaveEverySerialOrderWithAndWithoutEach) {
    plan.actors = {"a", "b", "c"};
    places["c"] = {place("f", 0)};
    scenario.variants.push_back({.name = "without-c"});
    options.budget = std::chrono::seconds(0);
    const ExploreReport report = explore(1);
    EXPECT_FALSE(report.refusal) << report.refusal->why;
    std::multiset<std::string> names;
    for (const Reference& reference : report.references)
        names.insert(reference.name);
    EXPECT_EQ(std::set<std::string>(names.begin(), names.end()),
              (std::set<std::string>{"a, b alone", "a, c alone", "b, a alone", "b, c alone",
                                     "c, a alone", "c, b alone", "a, b, c", "a, c, b", "b, a, c",
                                     "b, c, a", "c, a, b", "c, b, a"}));
}

TEST_F(ExplorerTest, WhatDiffersBetweenEqualSerialRunsIsNotCompared) {
    unsigned count = 0;
    plan.results = [&count](const std::vector<std::string>&, const OneRun&, std::string_view) {
        return Results{{"a", "ok"}, {"b", "ok"}, {"time", std::to_string(++count)}};
    };
    const ExploreReport report = explore(all_orders);
    EXPECT_THAT(report.unstable, ElementsAre("result time"));
    EXPECT_THAT(report.deviations, IsEmpty());
}

TEST_F(ExplorerTest, ADifferenceIsConfirmedAndShrunk) {
    break_at_f();
    options.stop_at_first = true;
    const ExploreReport report = explore(all_orders);
    EXPECT_FALSE(report.refusal) << report.refusal->why;
    ASSERT_EQ(report.deviations.size(), 1U);
    const Deviation& one = report.deviations[0];
    EXPECT_EQ(one.signature, "a=lost");
    EXPECT_EQ(one.text, "a=lost, serially ok");
    EXPECT_EQ(one.words, "a=lost b=ok");
    EXPECT_EQ(one.count, 1U);
    EXPECT_EQ(one.order, report.orders);
    EXPECT_EQ(one.again, 5U);
    EXPECT_EQ(one.tries, 5U);
    EXPECT_FALSE(one.fatal);
    EXPECT_EQ(one.edges.size(), 4U);
    EXPECT_EQ(one.replays, 200U);
    EXPECT_EQ(one.replayed, 200U);
    EXPECT_THAT(one.otherwise, IsEmpty());
    ASSERT_EQ(one.serial.size(), 2U);
    EXPECT_THAT(one.serial[0].actors, ElementsAre("a", "b"));
    EXPECT_THAT(one.serial[0].results, ElementsAre(Pair("a", "ok"), Pair("b", "ok")));
    EXPECT_THAT(one.end.results, ElementsAre(Pair("a", "lost"), Pair("b", "ok")));
    EXPECT_EQ(to_string(one.shrunk), std::string(held_at_f) + "; " + until_b_ends)
        << "each edge is needed";
    EXPECT_EQ(records.back().deviation, "a=lost");
    // It replays: the line has the schedule and the seed of the run.
    const Result<Schedule> schedule = parse_schedule(one.schedule);
    ASSERT_TRUE(schedule.ok());
    EXPECT_EQ(schedule->edges, one.edges);
    EXPECT_EQ(schedule->seed, one.seed);
    EXPECT_EQ(report.orders, records.size()) << "runs that confirm and shrink are no orders";
}

// a passes a lock, f, the lock again, where the difference is, and g: f is nearer than g.
TEST_F(ExplorerTest, ALocksHitBecomesTheNearestCallThatShowsItToo) {
    Place lock = place("_raw_spin_lock", 3);
    lock.part = "";
    places["a"] = {lock, place("f", 2), place("g", 9)};
    for (const bool f_does : {true, false}) {
        records.clear();
        plan.begun = {};
        plan.results = [f_does](const std::vector<std::string>& edges, const OneRun&,
                                std::string_view) {
            bool broken = false;
            for (const std::string at : {"_raw_spin_lock", "g", f_does ? "f" : "g"})
                broken = broken || (has(edges, "a@enter:" + at + " -> b@user:begin") &&
                                    has(edges, "b@user:end -> a@enter:" + at));
            return Results{{"a", broken ? "lost" : "ok"}, {"b", "ok"}};
        };
        options.stop_at_first = true;
        const ExploreReport report = explore(all_orders);
        ASSERT_EQ(report.deviations.size(), 1U);
        const std::string at = f_does ? "a@enter:f" : "a@enter:g";
        EXPECT_EQ(to_string(report.deviations[0].shrunk),
                  at + " -> b@user:begin; b@user:end -> " + at);
    }
}

TEST_F(ExplorerTest, AResultThatIsForbiddenIsADifferenceInAnyOrder) {
    options.forbid = {"a=none", "a=ok b=ok"};
    options.stop_at_first = true;
    const ExploreReport report = explore(1);
    ASSERT_EQ(report.deviations.size(), 1U);
    EXPECT_EQ(report.deviations[0].signature, "forbidden: a=ok b=ok");
    EXPECT_EQ(report.deviations[0].text, "a=ok b=ok");
}

TEST_F(ExplorerTest, ADifferenceThatNeedsNoEdgeSaysSo) {
    // b is in the way of a in all runs but serial ones.
    plan.results = [](const std::vector<std::string>& edges, const OneRun&, std::string_view) {
        return Results{{"a", first_of(edges).empty() ? "lost" : "ok"}, {"b", "ok"}};
    };
    options.stop_at_first = true;
    const ExploreReport report = explore(all_orders);
    ASSERT_EQ(report.deviations.size(), 1U);
    EXPECT_EQ(report.deviations[0].again, 5U);
    EXPECT_THAT(report.deviations[0].shrunk, IsEmpty());
}

TEST_F(ExplorerTest, ADifferenceThatDoesNotComeAgainIsNotShrunk) {
    bool shown = false;
    plan.results = [&shown](const std::vector<std::string>& edges, const OneRun&,
                            std::string_view) {
        const bool broken = has(edges, held_at_f) && has(edges, until_b_ends) && !shown;
        shown = shown || broken;
        return Results{{"a", broken ? "lost" : "ok"}, {"b", "ok"}};
    };
    options.stop_at_first = true;
    const ExploreReport report = explore(all_orders);
    ASSERT_EQ(report.deviations.size(), 1U);
    EXPECT_EQ(report.deviations[0].again, 0U);
    EXPECT_EQ(report.deviations[0].tries, 5U);
    EXPECT_THAT(report.deviations[0].shrunk, IsEmpty());
    EXPECT_EQ(runs.size(), report.orders + 5U);
}

// Every other run shows it: the needed edges are still found.
TEST_F(ExplorerTest, ARareDifferenceIsShrunkToWhatItNeeds) {
    unsigned count = 0;
    plan.results = [&count](const std::vector<std::string>& edges, const OneRun&,
                            std::string_view) {
        const bool broken = has(edges, held_at_f) && has(edges, until_b_ends) && count++ % 2 == 0;
        return Results{{"a", broken ? "lost" : "ok"}, {"b", "ok"}};
    };
    options.stop_at_first = true;
    const ExploreReport report = explore(all_orders);
    ASSERT_EQ(report.deviations.size(), 1U);
    EXPECT_EQ(report.deviations[0].again, 2U);
    EXPECT_EQ(report.deviations[0].shrunk.size(), 2U);
}

TEST_F(ExplorerTest, ADifferenceIsConfirmedWithItsSeed) {
    std::set<std::uint64_t> seeds;
    const std::uint64_t wanted = seed_of_run(options.seed, 2); // of the second order
    plan.results = [&](const std::vector<std::string>& edges, const OneRun& run, std::string_view) {
        seeds.insert(run.seed());
        const bool broken = first_of(edges).empty() && run.seed() == wanted;
        return Results{{"a", broken ? "lost" : "ok"}, {"b", "ok"}};
    };
    const ExploreReport report = explore(all_orders);
    EXPECT_EQ(seeds.size(), options.seeds);
    ASSERT_EQ(report.deviations.size(), 1U);
    EXPECT_EQ(report.deviations[0].seed, wanted);
    EXPECT_EQ(report.deviations[0].order, 2U);
    EXPECT_EQ(report.deviations[0].again, 5U);
    EXPECT_EQ(report.deviations[0].count, 2U) << "of the second and of the sixth order";
}

TEST_F(ExplorerTest, EqualDifferencesAreOneAndOthersAreNot) {
    plan.results = [](const std::vector<std::string>& edges, const OneRun&, std::string_view) {
        const bool at_f = edges.size() > 1 && edges[1] == held_at_f;
        const bool at_g = edges.size() > 1 && edges[1] == "a@enter:g -> b@user:begin";
        return Results{{"a", at_f ? "lost" : at_g ? "twice" : "ok"}, {"b", "ok"}};
    };
    const ExploreReport report = explore(all_orders);
    std::vector<std::pair<std::string, std::uint64_t>> counts;
    for (const Deviation& one : report.deviations)
        counts.emplace_back(one.signature, one.count);
    EXPECT_THAT(counts, UnorderedElementsAre(Pair("a=lost", 2), Pair("a=twice", 2)))
        << "with one preemption and with two";
}

TEST_F(ExplorerTest, ARelaxedRunIsCountedAndNoDifference) {
    plan.results = [](const std::vector<std::string>& edges, const OneRun&,
                      std::string_view variant) {
        if (variant == "without-a")
            return Results{{"b", "alone"}};
        const bool gave_up = has(edges, held_at_f);
        return Results{{"a", gave_up ? "EAGAIN" : "ok"}, {"b", gave_up ? "alone" : "ok"}};
    };
    const ExploreReport strict = explore(all_orders);
    EXPECT_EQ(strict.deviations.size(), 1U);
    EXPECT_THAT(strict.relaxed, IsEmpty());
    records.clear();
    plan.begun = {};
    relaxations = {{.actor = "a", .when = "a=EAGAIN", .absent = true, .why = "it gives up"}};
    const ExploreReport report = explore(all_orders);
    EXPECT_THAT(report.deviations, IsEmpty());
    EXPECT_THAT(report.relaxed, ElementsAre(Pair("b alone: it gives up", 2)));
}

TEST_F(ExplorerTest, OneActorAloneHasOneOrder) {
    plan.actors = {"a"};
    const ExploreReport report = explore(1);
    ASSERT_TRUE(report.refusal);
    EXPECT_EQ(report.refusal->verdict, Verdict::skip);
    EXPECT_EQ(report.refusal->why, "one actor alone has one order");
    EXPECT_EQ(report.orders, 0U);
    Subject waiting = subject();
    waiting.helpers = {"a"};
    EXPECT_EQ(explore(1, waiting).refusal->why, "each actor waits for another one");
}

TEST_F(ExplorerTest, FourActorsCanBeExplored) {
    plan.actors = {"a", "b", "c", "d"};
    options.budget = std::chrono::seconds(0);
    const ExploreReport report = explore(1);
    EXPECT_FALSE(report.refusal) << report.refusal->why;
    std::set<std::string> names;
    for (const Reference& reference : report.references)
        if (reference.absent.empty())
            names.insert(reference.name);
    EXPECT_EQ(names.size(), 8U);
    EXPECT_EQ(names.count("d, c, b, a"), 1U);
    EXPECT_EQ(report.all_orders, 3U * 6U + 2U * 2U * 5U) << "a has two stops, b has one";
    options.budget = std::chrono::seconds(300);
    explore(1);
    ASSERT_EQ(records.size(), 1U);
    EXPECT_EQ(records[0].ending, Ending::realised);
}

// Else each run would be like each serial one.
TEST_F(ExplorerTest, WithoutAnObservationThereIsNoRun) {
    plan.observes = false;
    const ExploreReport report = explore(1);
    ASSERT_TRUE(report.refusal);
    EXPECT_EQ(report.refusal->verdict, Verdict::error);
    EXPECT_THAT(report.refusal->why, HasSubstr("nothing was observed"));
    EXPECT_EQ(report.orders, 0U);
}

TEST_F(ExplorerTest, ARunThatCannotBeginEndsIt) {
    plan.begun = Error::make(ENOMEM, "no memory");
    const ExploreReport report = explore(1);
    ASSERT_TRUE(report.refusal);
    EXPECT_THAT(report.refusal->why, StartsWith("run 1, begin: no memory"));
    EXPECT_THAT(runs, IsEmpty());
    EXPECT_GE(kernel->disarmed, 1U);
}

TEST_F(ExplorerTest, ARunThatCannotBeginIsNoDifference) {
    // The first run that confirms cannot begin.
    plan.results = [this](const std::vector<std::string>& edges, const OneRun&, std::string_view) {
        const bool broken = has(edges, held_at_f);
        if (broken)
            plan.begun = Error::make(ENOMEM, "no memory");
        return Results{{"a", broken ? "lost" : "ok"}, {"b", "ok"}};
    };
    const ExploreReport report = explore(all_orders);
    ASSERT_TRUE(report.refusal);
    ASSERT_EQ(report.deviations.size(), 1U) << "what was seen is kept";
    EXPECT_EQ(report.deviations[0].tries, 0U);
    EXPECT_EQ(report.orders, records.size()) << "and no order follows";
}

// Any scenario file's actors, or those of a scenario in C++.
class BracketedTest : public ExplorerTest {
  protected:
    BracketedTest() {
        plan.brackets = false;
        plan.observes = false;
        scenario.variants = {{.name = "race", .schedule = "a@enter:f -> b@user:x"}};
        scenario.controls = {
            {.name = "defect",
             .variant = "race",
             .produces = "a=lost",
             .actions = {{.kind = FL_CONTROL_SKIP, .actor = "b", .function = "g"}}}};
    }
    [[nodiscard]] Subject subject_with(const Control* control) const {
        return subject_of(scenario, scenario.variants[0], control);
    }
};

TEST_F(BracketedTest, HasItsSitesAroundEachActorAndItsWordsAsObservation) {
    break_at_f();
    const ExploreReport report = explore(all_orders, subject_with(nullptr));
    EXPECT_EQ(report.all_orders, all_orders);
    ASSERT_EQ(report.references.size(), 2U) << "no actor can be left out";
    EXPECT_EQ(report.references[0].name, "a, b");
    EXPECT_THAT(report.references[0].seen.results, ElementsAre(Pair("a", "ok"), Pair("b", "ok")));
    ASSERT_EQ(report.deviations.size(), 1U);
    EXPECT_EQ(report.deviations[0].signature, "a=lost");
    EXPECT_THAT(report.deviations[0].schedule, StartsWith("fake/race seed="));
    EXPECT_GT(kernel->arrivals, 0U);
}

TEST_F(BracketedTest, AControlIsOfTheOrdersAndOfNoSerialRun) {
    std::set<unsigned> serially;
    std::set<unsigned> in_orders;
    plan.results = [&](const std::vector<std::string>& edges, const OneRun&, std::string_view) {
        (first_of(edges).empty() ? in_orders : serially).insert(kernel->armed.nr_controls);
        return Results{{"a", "ok"}, {"b", "ok"}};
    };
    const ExploreReport report = explore(all_orders, subject_with(&scenario.controls[0]));
    EXPECT_THAT(report.refusal->why, HasSubstr("these are enough"));
    EXPECT_THAT(serially, ElementsAre(0U));
    EXPECT_THAT(in_orders, ElementsAre(1U));
    EXPECT_EQ(report.all_orders, all_orders) << "the same places are patched";
}

// A control's outcome, without the schedule of its scenario.
class WantedTest : public BracketedTest {
  protected:
    WantedTest() {
        options.wanted = scenario.controls[0].produces;
        scenario.controls[0].actions[0].actor = "a";
        options.budget = std::chrono::seconds(60);
    }
    [[nodiscard]] bool controlled() const {
        return (kernel->armed.flags & FL_PROGRAM_NO_CONTROLS) == 0 &&
               kernel->armed.nr_controls != 0;
    }
    static bool at_f(const std::vector<std::string>& edges) {
        return has(edges, held_at_f) && has(edges, until_b_ends);
    }
    static Results ended(bool lost) { return {{"a", lost ? "lost" : "ok"}, {"b", "ok"}}; }
    ExploreReport look() { return explore(all_orders, subject_with(&scenario.controls[0])); }
};

TEST_F(WantedTest, IsSeenWithoutAnOrderIfItNeedsNone) {
    plan.actors = {"a"}; // which alone has no other order
    plan.results = [this](const auto&, const OneRun&, std::string_view) {
        return ended(controlled());
    };
    const ExploreReport report = look();
    EXPECT_FALSE(report.refusal);
    ASSERT_TRUE(report.seen_wanted);
    EXPECT_EQ(report.seen_wanted->order, 0U);
    EXPECT_EQ(report.seen_wanted->again, report.seen_wanted->tries);
    EXPECT_EQ(report.seen_wanted->tries + 1, report.free_runs);
    EXPECT_THAT(report.seen_wanted->schedule, StartsWith("fake/race seed="));
    EXPECT_EQ(report.orders, 0U);
    EXPECT_THAT(records, IsEmpty());
}

TEST_F(WantedTest, IsNoOutcomeOfTheControlIfTheKernelHasItAnyway) {
    plan.actors = {"a"};
    plan.results = [](const auto&, const OneRun&, std::string_view) { return ended(true); };
    const ExploreReport report = look();
    EXPECT_FALSE(report.refusal);
    EXPECT_FALSE(report.seen_wanted);
    EXPECT_TRUE(report.wanted_without);
}

TEST_F(WantedTest, OnceIsNotEnough) {
    plan.actors = {"a"};
    bool shown = false;
    plan.results = [this, &shown](const auto&, const OneRun&, std::string_view) {
        const bool lost = controlled() && !shown;
        shown = shown || lost;
        return ended(lost);
    };
    const ExploreReport report = look();
    EXPECT_FALSE(report.seen_wanted);
    EXPECT_EQ(report.free_runs, 20U);
}

TEST_F(WantedTest, IsSeenInAnOrderThatDoesNotGiveItWithoutTheControl) {
    plan.results = [this](const auto& edges, const OneRun&, std::string_view) {
        return ended(controlled() && at_f(edges));
    };
    const ExploreReport report = look();
    EXPECT_EQ(report.free_runs, 20U);
    ASSERT_TRUE(report.seen_wanted);
    EXPECT_GE(report.seen_wanted->order, 1U);
    EXPECT_EQ(report.seen_wanted->again, 5U);
    EXPECT_EQ(report.seen_wanted->tries, 5U);
    EXPECT_EQ(report.seen_wanted->lock, "");
    EXPECT_EQ(report.orders, report.seen_wanted->order) << "it stops there";
    EXPECT_THAT(report.seen_wanted->schedule, HasSubstr(held_at_f));
}

// The race itself, which the control has nothing to do with.
TEST_F(WantedTest, AnOrderThatGivesItAnywayDoesNotCount) {
    plan.results = [](const auto& edges, const OneRun&, std::string_view) {
        return ended(at_f(edges));
    };
    const ExploreReport report = look();
    EXPECT_FALSE(report.seen_wanted);
    EXPECT_FALSE(report.wanted_without) << "only without an order";
}

// The result is read from the order: each one that is realised has it. So the control must open an
// order that the lock excludes.
class OpenedTest : public WantedTest {
  protected:
    OpenedTest() {
        plan.results = [this](const auto& edges, const OneRun&, std::string_view) {
            return ended(!at_f(edges) || controlled());
        };
        kernel->answer = [this](unsigned) {
            return at_f(edges_of(kernel->armed)) && !controlled() ? without() : overlapping();
        };
    }
    [[nodiscard]] fl_result without() const {
        if (!sleeps)
            return timed_out();
        fl_result result = excluded();
        std::snprintf(result.blocked, sizeof(result.blocked), "%s", "down_write < unmap < more");
        return result;
    }
    bool sleeps = true;
};

TEST_F(OpenedTest, AnOrderThatALockExcludesWithoutTheControlIsSaidWithItsLock) {
    const ExploreReport report = look();
    ASSERT_TRUE(report.seen_wanted);
    EXPECT_EQ(report.seen_wanted->lock, "down_write < unmap");
    scenario.variants[0].exclusion.places = {"down_write < more"};
    records.clear();
    EXPECT_TRUE(look().seen_wanted) << "it is that of the scenario";
}

TEST_F(OpenedTest, AnotherLockThanTheScenariosIsNotWhatTheControlOpens) {
    scenario.variants[0].exclusion.places = {"mutex_lock"};
    EXPECT_FALSE(look().seen_wanted);
}

TEST_F(OpenedTest, AnOrderOfWhichNothingIsKnownWithoutTheControlDoesNotCount) {
    sleeps = false;
    EXPECT_FALSE(look().seen_wanted);
}

TEST_F(ExplorerTest, ASubjectKnowsItsVariantsByTheirNames) {
    scenario.variants.push_back({.name = "other"});
    const Subject found = subject_of(scenario, std::vector<Relaxation>{{.actor = "a"}});
    EXPECT_EQ(found.all, &scenario.variants[0]);
    ASSERT_EQ(found.without.size(), 2U);
    EXPECT_EQ(found.without[0].first, &scenario.variants[1]);
    EXPECT_EQ(found.without[0].second, "a");
    EXPECT_EQ(found.without[1].second, "b");
    EXPECT_EQ(found.relaxations.size(), 1U);
    EXPECT_EQ(found.control, nullptr);
}

} // namespace
} // namespace faultline
