// SPDX-License-Identifier: GPL-2.0
// The rules of verdicts, with live threads and processes over a session that is not the kernel's.
#include "engine/runner.hpp"

#include "fake_session.hpp"

#include <gmock/gmock.h>
#include <thread>

namespace faultline {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

using OneRun = Run; // testing::Test has a private Run of its own

// The actions of a test's experiment; its parts have harmless defaults.
struct Plan {
    std::function<std::uint64_t(OneRun&)> aim = [](OneRun&) { return 0U; };
    std::vector<Actor> actors = {{"left", Actor::Kind::thread, 0, [](ActorContext&) {}},
                                 {"right", Actor::Kind::thread, 1, [](ActorContext&) {}}};
    std::function<Outcome(OneRun&)> judge = [](OneRun&) { return Outcome{}.add("ok", "yes"); };
    std::optional<bool> overlapped;
    std::vector<Measure> measures;
    Result<void> prepared;
    Result<void> begun;
};

class PlannedExperiment final : public Experiment {
  public:
    explicit PlannedExperiment(const Plan& plan) : plan_(plan) {}
    Result<void> prepare() override { return plan_.prepared; }
    std::vector<Actor> actors() override { return plan_.actors; }
    Result<void> begin(OneRun& run) override {
        run.aim(plan_.aim(run));
        return plan_.begun;
    }
    Outcome judge(OneRun& run) override { return plan_.judge(run); }
    std::optional<bool> overlapped(const OneRun& /*run*/) override { return plan_.overlapped; }
    [[nodiscard]] std::vector<Measure> measured(double seconds) const override {
        EXPECT_GT(seconds, 0);
        return plan_.measures;
    }
    [[nodiscard]] std::uint64_t corrupt_base() const override { return 0x1000; }

  private:
    const Plan& plan_;
};

class RunnerTest : public testing::Test {
  protected:
    RunnerTest() {
        scenario.name = "fake";
        scenario.variants = {
            {.name = "one", .about = "", .schedule = "left@enter:f -> right@user:go"}};
        scenario.make = [this](const Variant&) {
            return std::make_unique<PlannedExperiment>(plan);
        };
        options.runs = 10;
        options.note = [this](std::string_view text) { notes.emplace_back(text); };
        options.version = "6.12.95";
        options.machine = "x86_64";
        options.rig.open_session = [this]() -> Result<std::unique_ptr<Session>> {
            return std::unique_ptr<Session>(std::make_unique<FakeSession>(kernel));
        };
    }

    VariantReport run(const Control* control = nullptr) {
        return run_variant(scenario, scenario.variants.at(0), control, options);
    }
    ScenarioReport run_all(const Selection& selection = {}) {
        return run_scenario(scenario, selection, options, nullptr);
    }
    // Forbidden in all runs, or only under a control.
    void add_control(std::string_view name) {
        scenario.controls.push_back(
            {.name = name,
             .about = "",
             .variant = "one",
             .produces = "ok=?",
             .actions = {{.kind = FL_CONTROL_SKIP, .actor = "right", .function = "g"}}});
    }
    void forbid_under_control() {
        plan.judge = [this](OneRun&) {
            return Outcome{}.add("ok", "?").require(kernel->armed.nr_controls == 0, "came back");
        };
    }

    std::shared_ptr<FakeKernel> kernel = std::make_shared<FakeKernel>();
    Plan plan;
    Scenario scenario;
    Options options;
    std::vector<std::string> notes; // in the kernel log
};

constexpr Situation either{.overlap = true, .exclusion = true};
constexpr Situation lock{.overlap = false, .exclusion = true};
constexpr Situation by_itself{.overlap = true, .exclusion = false, .forced = false};

TEST(VerdictRule, NoPassWithoutAnOverlap) {
    EXPECT_EQ(verdict_of({.runs = 1000, .overlaps = 0}, {}), Verdict::miss);
    EXPECT_EQ(verdict_of({.runs = 1000, .overlaps = 1000}, {}), Verdict::pass);
    EXPECT_EQ(verdict_of({}, {}), Verdict::miss);
}

TEST(VerdictRule, AForcedWindowMustOpenInItsShareOfTheRuns) {
    EXPECT_EQ(verdict_of({.runs = 1000, .overlaps = 1}, {}), Verdict::miss);
    EXPECT_EQ(verdict_of({.runs = 1000, .overlaps = 499}, {}), Verdict::miss);
    EXPECT_EQ(verdict_of({.runs = 1000, .overlaps = 500}, {}), Verdict::pass);
    EXPECT_EQ(verdict_of({.runs = 1000, .overlaps = 1}, by_itself), Verdict::pass);
}

TEST(VerdictRule, NothingUndoesAForbiddenOutcome) {
    EXPECT_EQ(verdict_of({.runs = 1000, .overlaps = 1000, .forbidden = 1}, {}), Verdict::fail);
    EXPECT_EQ(verdict_of({.runs = 1000, .overlaps = 0, .forbidden = 1}, {}), Verdict::fail);
    EXPECT_EQ(verdict_of({.runs = 9, .overlaps = 0, .excluded = 8, .forbidden = 1}, lock),
              Verdict::fail);
}

TEST(VerdictRule, WhatTheClaimIsAboutCounts) {
    EXPECT_EQ(verdict_of({.runs = 10, .excluded = 10}, {}), Verdict::miss);
    EXPECT_EQ(verdict_of({.runs = 10, .excluded = 10}, lock), Verdict::pass);
    EXPECT_EQ(verdict_of({.runs = 10, .overlaps = 10}, lock), Verdict::miss);
    EXPECT_EQ(verdict_of({.runs = 10, .overlaps = 3, .excluded = 4}, either), Verdict::pass);
    EXPECT_EQ(verdict_of({.runs = 10, .waited = 10}, lock), Verdict::miss);
}

TEST(VerdictRule, TheBoundIsThatOfTheOverlaps) {
    EXPECT_NEAR(unseen_bound(3000), 0.000998, 0.000001);
    EXPECT_NEAR(unseen_bound(1), 0.95, 0.0001);
    EXPECT_EQ(unseen_bound(0), 1);
}

TEST_F(RunnerTest, AnExclusionCountsOnlyIfTheSituationArose) {
    kernel->answer = [](unsigned) { return excluded(); };
    scenario.variants.front().exclusion = {.places = {"rwsem_down_write_slowpath"}};
    EXPECT_EQ(run().verdict, Verdict::pass);
    plan.overlapped = false;
    const VariantReport report = run();
    EXPECT_EQ(report.verdict, Verdict::miss);
    EXPECT_EQ(report.counts.excluded, 0U);
}

TEST_F(RunnerTest, AnExclusionByAnotherPlaceIsNone) {
    kernel->answer = [](unsigned) { return excluded(); };
    scenario.variants.front().exclusion = {.places = {"mutex_lock < f"}};
    VariantReport report = run();
    EXPECT_EQ(report.verdict, Verdict::miss);
    EXPECT_EQ(report.counts.excluded, 0U);
    EXPECT_EQ(report.counts.waited, 10U);
    EXPECT_EQ(report.waits.at("another lock").count, 10U);
    EXPECT_THAT(report.why, HasSubstr("rwsem_down_write_slowpath"));

    kernel->answer = [](unsigned) {
        fl_result result = excluded();
        std::snprintf(result.blocked, sizeof(result.blocked), "%s",
                      "__wait_rcu_gp < synchronize_rcu < f");
        return result;
    };
    report = run();
    EXPECT_EQ(report.waits.at("grace period").count, 10U);
}

TEST_F(RunnerTest, CountsTheRunsInWhichACounterWasNotCompared) {
    plan.judge = [](OneRun& run) {
        Outcome outcome;
        outcome.add("ok", "yes");
        if (run.number() > 7)
            outcome.not_compared.push_back({"machine meminfo Shmem", std::to_string(run.number())});
        return outcome;
    };
    const VariantReport report = run();
    EXPECT_EQ(report.verdict, Verdict::pass);
    ASSERT_EQ(report.not_compared.size(), 1U);
    EXPECT_EQ(report.not_compared.at("machine meminfo Shmem").count, 3U);
    EXPECT_EQ(report.not_compared.at("machine meminfo Shmem").others, "8") << "of the first";
}

TEST_F(RunnerTest, KeepsTheCallsOfTheRunThatIsAnExample) {
    unsigned runs = 0;
    options.calls = [&runs] { return ActorCalls{{{.time_ns = ++runs}}}; };
    plan.judge = [](OneRun& one) {
        return Outcome{}.add("ok", "?").require(one.number() < 5, "late");
    };
    const VariantReport report = run();
    const Example& example = report.histogram.at("ok=?").example;
    EXPECT_EQ(example.run, 5U) << "the first that is forbidden";
    EXPECT_EQ(example.calls.at(0).at(0).time_ns, 5U);
    options.calls = [] { return Result<ActorCalls>(Error::make(EPROTO, "no calls")); };
    EXPECT_EQ(run().verdict, Verdict::error);
}

TEST_F(RunnerTest, ALockThatWasLostIsAFailure) {
    scenario.variants.front().exclusion = {.places = {"down_write"}};
    VariantReport report = run();
    EXPECT_EQ(report.verdict, Verdict::fail);
    EXPECT_THAT(report.why, HasSubstr("down_write"));
    scenario.variants.front().exclusion.or_overlap = "the lock may be free by then";
    EXPECT_EQ(run().verdict, Verdict::pass);
    scenario.variants.front().exclusion = {.places = {"down_write"}, .releases = "6.1"};
    EXPECT_EQ(run().verdict, Verdict::pass) << "another release excludes";
}

TEST_F(RunnerTest, AnOutcomeThatTheRowDoesNotExpectIsForbidden) {
    Variant& row = scenario.variants.front();
    row.expected = {{.words = "ok=yes|maybe"}};
    EXPECT_EQ(run().verdict, Verdict::pass);
    row.expected = {{.words = "ok=no"}};
    EXPECT_EQ(run().verdict, Verdict::fail);
    EXPECT_THAT(run().why, HasSubstr("ok=yes"));
    row.expected = {{.words = "ok=no"}, {.words = "ok=*"}};
    EXPECT_EQ(run().verdict, Verdict::pass);
    row.expected = {{.words = "other=*"}};
    EXPECT_EQ(run().verdict, Verdict::fail) << "a word that is missing is no match";
    kernel->answer = [](unsigned run) { return run == 1 ? missed() : overlapping(); };
    plan.judge = [](OneRun& one) {
        return Outcome{}.add("ok", one.number() == 1 ? "late" : "yes");
    };
    row.expected = {{.words = "ok=yes"}};
    kernel->runs = 0;
    EXPECT_EQ(run().verdict, Verdict::pass) << "run 1 had another order";
    row.always = "ok=yes";
    kernel->runs = 0;
    EXPECT_EQ(run().verdict, Verdict::fail) << "and what holds in each run, holds in run 1";
    EXPECT_THAT(run().why, HasSubstr("ok=late"));
    row.always = "ok=yes|late";
    kernel->runs = 0;
    EXPECT_EQ(run().verdict, Verdict::pass);
    row.expected = {{.words = "ok=no", .releases = "6.1"}};
    EXPECT_EQ(run().verdict, Verdict::pass) << "nothing is expected of this release";
}

TEST_F(RunnerTest, AKnownBugExplainsItsOwnOutcomeAlone) {
    Variant& row = scenario.variants.front();
    plan.judge = [](OneRun& one) {
        return Outcome{}
            .add("data", one.number() == 1 ? "lost" : "kept")
            .require(one.number() != 1, "lost");
    };
    row.known = {{.words = "data=lost", .releases = "6.12 < 6.12.117", .fix = "fixed by f"}};
    EXPECT_EQ(run().standing, Standing::known);
    EXPECT_EQ(run().known_bug, "fixed by f");
    options.version = "6.12.117";
    EXPECT_EQ(run().standing, Standing::failed) << "this one has the fix";
    options.version = "6.12.95";
    row.known.front().machines = "aarch64, s390x";
    EXPECT_EQ(run().standing, Standing::failed) << "another machine's";
    row.known.front().machines = "aarch64, x86_64";
    EXPECT_EQ(run().standing, Standing::known);
    plan.judge = [](OneRun& one) {
        const std::string data = one.number() == 1 ? "lost" : one.number() == 2 ? "wrong" : "kept";
        return Outcome{}.add("data", data).require(data == "kept", data);
    };
    EXPECT_EQ(run().standing, Standing::failed) << "a second outcome is no known bug";
    EXPECT_EQ(run().why, "wrong");
    plan.judge = [](OneRun&) { return Outcome{}.add("data", "kept"); };
    EXPECT_EQ(run().standing, Standing::unexpected_pass);
    row.known.front().rare = true;
    EXPECT_EQ(run().standing, Standing::passed);
}

TEST_F(RunnerTest, TheKernelLogSaysWhichVariantRan) {
    scenario.variants.front().known = {{.words = "ok=no",
                                        .releases = "6.12",
                                        .fix = "fixed by f",
                                        .log_line = "BUG: Bad page",
                                        .log_trace = "f\\+"}};
    run();
    EXPECT_THAT(notes, ElementsAre("begin fake/one", "known BUG: Bad page // f\\+ // fixed by f",
                                   "end fake/one"));
    notes.clear();
    add_control("noisy");
    scenario.controls.front().complains = true;
    scenario.variants.front().known.clear();
    run(&scenario.controls.front());
    EXPECT_THAT(notes,
                ElementsAre("begin fake/one+noisy", "complaints planted by fake/one+noisy begin",
                            "complaints planted by fake/one+noisy end", "end fake/one+noisy"));
}

TEST_F(RunnerTest, AVariantLeftToChanceRunsUntilItHasOverlapsEnough) {
    Variant& row = scenario.variants.front();
    row.forced = false;
    row.chance = {.overlaps = 3, .seconds = 60};
    kernel->answer = [](unsigned number) { return number % 20 == 0 ? overlapping() : missed(); };
    VariantReport report = run();
    EXPECT_EQ(report.verdict, Verdict::pass);
    EXPECT_EQ(report.counts.runs, 60U) << "--runs was 10";
    row.chance = {.overlaps = 3, .seconds = 0};
    report = run();
    EXPECT_EQ(report.verdict, Verdict::miss);
    EXPECT_EQ(report.counts.runs, 10U) << "no time, but the runs that were asked for";
}

TEST_F(RunnerTest, AShareOfTimeEndsAVariantAfterItsLeastRuns) {
    options.runs = 20;
    options.share = std::chrono::duration<double>(0);
    EXPECT_EQ(run().counts.runs, least_timed_runs);
    options.share = std::chrono::hours(1);
    EXPECT_EQ(run().counts.runs, 20U) << "no more than these";
    options.share = std::chrono::duration<double>(0);
    options.runs = 2;
    EXPECT_EQ(run().counts.runs, 2U);
}

TEST_F(RunnerTest, EachRunIsToldBeforeItBegins) {
    std::vector<std::string> told;
    options.runs = 2;
    options.on_start = [&](const Start& now) {
        told.push_back(std::string(now.variant) + " " + now.schedule);
    };
    options.on_run = [&](unsigned number, std::uint64_t seed) {
        told.push_back(std::to_string(number) + " " + std::to_string(seed) + " " +
                       std::to_string(kernel->runs));
    };
    run();
    EXPECT_THAT(told, ElementsAre("one fake/one: left@enter:f -> right@user:go", "1 1 0",
                                  "2 " + std::to_string(seed_of_run(1, 2)) + " 1"));
}

TEST_F(RunnerTest, AimsBeforeEachRunAndNotLonger) {
    options.runs = 3;
    plan.aim = [](OneRun& run) { return run.number() == 2 ? 0x1234U : 0U; };
    EXPECT_EQ(run().verdict, Verdict::pass);
    EXPECT_EQ(kernel->aims, (std::vector<std::uint64_t>{0, 0x1234, 0}));
}

TEST_F(RunnerTest, AVariantThatRuinsTheMachineEndsWithItsFirstForbiddenRun) {
    plan.judge = [](OneRun& run) { return Outcome{}.require(run.number() < 3, "ruined"); };
    EXPECT_EQ(run().counts.runs, 10U);
    scenario.variants.front().by_name_only = true;
    EXPECT_EQ(run().counts.runs, 3U);
}

TEST_F(RunnerTest, RemediesAndWhatRuinsTheMachineAreTriedOnlyByName) {
    forbid_under_control();
    add_control("plain");
    add_control("remedy");
    add_control("ruinous");
    scenario.controls[1].kind = Control::Kind::remedy;
    scenario.controls[2].by_name_only = true;
    const ScenarioReport all = run_all();
    EXPECT_EQ(all.verdict, Verdict::pass);
    ASSERT_EQ(all.controls.size(), 1U);
    EXPECT_EQ(all.controls.front().control, "plain");
    const ScenarioReport named = run_all({.variant = {}, .control = "ruinous"});
    ASSERT_EQ(named.variants.size(), 1U);
    EXPECT_EQ(named.verdict, Verdict::fail);
    EXPECT_EQ(named.variants.front().counts.runs, 1U) << "no further than to the first";
}

TEST_F(RunnerTest, AControlByNameTakesAllRunsToTheFirstForbiddenOne) {
    forbid_under_control();
    add_control("plain");
    scenario.variants.front().runs_divisor = 5;
    const Selection plain{.variant = {}, .control = "plain"};
    EXPECT_EQ(run_all(plain).variants.front().counts.runs, 2U);
    options.stop_at_forbidden = true;
    EXPECT_EQ(run_all(plain).variants.front().counts.runs, 1U);
    plan.judge = [](OneRun& run) {
        return Outcome{}.add("ok", "?").require(run.number() < 9, "came back");
    };
    EXPECT_EQ(run_all(plain).variants.front().counts.runs, 9U);
}

TEST_F(RunnerTest, MeasuresAreOfAllRunsAndShownMeanwhile) {
    plan.measures = {{7, "folios"}};
    unsigned shown = 0;
    options.progress = [&shown](const Progress& now) {
        shown += now.measures.size() == 1 && now.measures.front().what == "folios" ? 1 : 0;
    };
    const VariantReport report = run();
    ASSERT_EQ(report.measures.size(), 1U);
    EXPECT_EQ(report.measures.front().value, 7);
    EXPECT_EQ(shown, 10U);
}

TEST_F(RunnerTest, SaysWhetherTheAwaitedActorSleptOrWaitedForACpu) {
    scenario.variants.front().exclusion = {.places = {"rwsem_down_write_slowpath", "call"}};
    kernel->answer = [](unsigned) { return excluded(); };
    EXPECT_EQ(run().blocked, "right slept in rwsem_down_write_slowpath");
    kernel->answer = [](unsigned) {
        fl_result result = excluded();
        std::snprintf(result.blocked, sizeof(result.blocked), "%s", "for CPU 0 to answer");
        return result;
    };
    EXPECT_EQ(run().blocked, "right waited for CPU 0 to answer");
}

TEST_F(RunnerTest, CountsOverlapsAndOutcomes) {
    scenario.variants.front().forced = false; // 5 of 10 would do, too
    kernel->answer = [](unsigned run) { return run % 2 == 0 ? overlapping() : missed(); };
    plan.judge = [](OneRun& run) {
        return Outcome{}.add("third", run.number() % 3 == 0 ? "yes" : "no");
    };
    const VariantReport report = run();
    EXPECT_EQ(report.verdict, Verdict::pass) << report.why;
    EXPECT_EQ(report.counts.runs, 10U);
    EXPECT_EQ(report.counts.overlaps, 5U);
    EXPECT_EQ(report.histogram.at("third=yes").count, 3U);
    EXPECT_EQ(report.histogram.at("third=no").count, 7U);
    EXPECT_EQ(kernel->disarmed, 1U);
    EXPECT_THAT(kernel->bound, ElementsAre(0U, 1U)) << "threads bind once, not in each run";
}

TEST_F(RunnerTest, ActorsReportAndArriveThroughThreadsAndProcesses) {
    plan.actors = {{"left", Actor::Kind::thread, 0,
                    [](ActorContext& context) { context.report(0, 7 + context.run()); }},
                   {"right", Actor::Kind::process, 1, [](ActorContext& context) {
                        const Result<fl_end> end = context.at("go");
                        const Result<fl_end> unknown = context.at("elsewhere");
                        context.report(3, end.ok() && *end == FL_END_PASSED);
                        context.report(4, unknown.ok() && *unknown == FL_END_PASSED);
                        context.report(5, ::getpid());
                    }}};
    std::vector<std::int64_t> lefts;
    plan.judge = [&](OneRun& run) {
        lefts.push_back(run.slot("left", 0));
        EXPECT_EQ(run.slot("left", 1), unreported);
        EXPECT_EQ(run.slot("nobody", 0), unreported);
        EXPECT_EQ(run.slot("right", 3), 1);
        EXPECT_EQ(run.slot("right", 4), 1);
        EXPECT_NE(run.slot("right", 5), ::getpid());
        EXPECT_NE(run.site("left@enter:f"), nullptr);
        EXPECT_EQ(run.site("left@enter:g"), nullptr);
        return Outcome{};
    };
    options.runs = 3;
    const VariantReport report = run();
    EXPECT_EQ(report.verdict, Verdict::pass) << report.why;
    EXPECT_THAT(lefts, ElementsAre(8, 9, 10));
}

TEST_F(RunnerTest, MissNamesWhatWasNotReached) {
    kernel->answer = [](unsigned) {
        fl_result result = missed();
        result.sites[0].end = FL_END_NOT_REACHED;
        result.sites[1].end = FL_END_TIMEOUT;
        return result;
    };
    options.runs = 1000;
    const VariantReport report = run();
    EXPECT_EQ(report.verdict, Verdict::miss);
    EXPECT_EQ(report.counts.runs, give_up_runs) << "a window that never opens is given up";
    EXPECT_THAT(report.why, HasSubstr("not reached: left@enter:f"));
    EXPECT_THAT(report.why, HasSubstr("timed out: right@user:go"));
}

TEST_F(RunnerTest, AnOverlapInARetryDoesNotHideAFailure) {
    plan.judge = [](OneRun& run) {
        return Outcome{}.add("run", "x").require(run.number() != 1, "the first run was bad");
    };
    const VariantReport report = run();
    EXPECT_EQ(report.verdict, Verdict::fail);
    EXPECT_EQ(report.why, "the first run was bad");
    EXPECT_EQ(report.counts.forbidden, 1U);
    EXPECT_EQ(report.counts.runs, 10U) << "the histogram is still filled";
    ASSERT_NE(report.forbidden(), nullptr);
    EXPECT_EQ(report.forbidden()->example.schedule,
              "fake/one seed=1: left@enter:f -> right@user:go");
}

TEST_F(RunnerTest, TheExampleOfASometimesForbiddenOutcomeIsTheForbiddenRun) {
    plan.judge = [](OneRun& run) {
        return Outcome{}.add("run", "x").require(run.number() != 4, "bad");
    };
    const VariantReport report = run();
    ASSERT_NE(report.forbidden(), nullptr);
    EXPECT_EQ(report.forbidden()->example.run, 4U);
    EXPECT_THAT(report.forbidden()->example.schedule,
                StartsWith("fake/one seed=" + std::to_string(seed_of_run(1, 4)) + ":"));
}

TEST_F(RunnerTest, AReplayHasTheSeedOfTheRun) {
    std::vector<std::uint64_t> seen;
    plan.judge = [&](OneRun& run) {
        seen.push_back(run.rng().next());
        return Outcome{};
    };
    options.runs = 4;
    ASSERT_EQ(run().verdict, Verdict::pass);
    const std::uint64_t fourth = seen.at(3);
    EXPECT_NE(seen.at(0), fourth);
    seen.clear();
    options.seed = seed_of_run(1, 4);
    options.same_seed = true;
    options.runs = 2;
    ASSERT_EQ(run().verdict, Verdict::pass);
    EXPECT_THAT(seen, ElementsAre(fourth, fourth));
}

TEST_F(RunnerTest, ExcludedRunsCountApartAndNameTheLock) {
    scenario.variants.front().exclusion = {.places = {"rwsem_down_write_slowpath"},
                                           .or_overlap = "for this test"};
    kernel->answer = [](unsigned run) { return run == 3 ? overlapping() : excluded(); };
    const VariantReport report = run();
    EXPECT_EQ(report.verdict, Verdict::pass);
    EXPECT_EQ(report.counts.overlaps, 1U);
    EXPECT_EQ(report.counts.excluded, 9U);
    EXPECT_EQ(report.blocked, "right slept in rwsem_down_write_slowpath");
}

TEST_F(RunnerTest, AnUnforcedVariantSaysItselfWhatOverlapped) {
    scenario.variants[0].forced = false;
    plan.overlapped = false;
    EXPECT_EQ(run().verdict, Verdict::miss);
    EXPECT_EQ(run().counts.runs, 10U) << "chance is given all the runs";
    plan.overlapped = true;
    kernel->answer = [](unsigned) { return missed(); };
    EXPECT_EQ(run().verdict, Verdict::pass);
    scenario.variants[0].forced = true;
    EXPECT_EQ(run().verdict, Verdict::miss) << "a forced window is the module's to judge";
}

TEST_F(RunnerTest, AForcedOrderInWhichNothingAroseIsNoOverlap) {
    EXPECT_EQ(run().verdict, Verdict::pass);
    plan.overlapped = false;
    EXPECT_EQ(run().verdict, Verdict::miss);
}

TEST_F(RunnerTest, OwnFaultsAreErrors) {
    plan.begun = Error::make(ENOMEM, "mmap");
    EXPECT_EQ(run().verdict, Verdict::error);
    plan.begun = {};
    plan.prepared = Error::make(ENOSPC, "hugetlbfs", "/mnt");
    EXPECT_EQ(run().verdict, Verdict::error);
    EXPECT_THAT(run().why, HasSubstr("/mnt"));
    plan.prepared = {};
    plan.actors[0].body = [](ActorContext& context) {
        context.fail(Error::make(EIO, "pread", "memfd"));
    };
    const VariantReport report = run();
    EXPECT_EQ(report.verdict, Verdict::error);
    EXPECT_THAT(report.why, HasSubstr("left: pread memfd: Input/output error"));
    EXPECT_EQ(report.counts.runs, 0U);
}

TEST_F(RunnerTest, ADeadChildIsAnErrorThatNamesItsSignal) {
    plan.actors[1] = {"right", Actor::Kind::process, 1,
                      [](ActorContext&) { ::kill(::getpid(), SIGKILL); }};
    const VariantReport report = run();
    EXPECT_EQ(report.verdict, Verdict::error);
    EXPECT_THAT(report.why, HasSubstr("right: ended by signal Killed"));
}

TEST_F(RunnerTest, AStuckActorIsStoppedAndNamed) {
    plan.actors[0].body = [this](ActorContext& context) {
        while (!context.stopping() || !kernel->stopped)
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
    };
    options.rig.timeout = std::chrono::milliseconds(100);
    const VariantReport report = run();
    EXPECT_EQ(report.verdict, Verdict::error);
    EXPECT_THAT(report.why, HasSubstr("not over after 100 ms: left (tid "));
    EXPECT_THAT(report.why, testing::Not(HasSubstr("right (")));
}

TEST_F(RunnerTest, WhatTheKernelLacksIsASkip) {
    kernel->arm_error = Error::make(ENOENT, "no function pte_free_defer in this kernel");
    EXPECT_EQ(run().verdict, Verdict::skip);
    EXPECT_EQ(run().why, "no function pte_free_defer in this kernel");
    kernel->arm_error = Error::make(EBUSY, "another session");
    EXPECT_EQ(run().verdict, Verdict::error);
    kernel->arm_error = {};
    scenario.needs = {{"userfaultfd(2)", [] { return std::optional<std::string>("not built"); }}};
    EXPECT_EQ(run().verdict, Verdict::skip);
    EXPECT_EQ(run().why, "userfaultfd(2): not built");
    scenario.needs = {};
    scenario.variants[0].needs = {
        {"write protection", [] { return std::optional<std::string>("not offered"); }}};
    EXPECT_EQ(run().verdict, Verdict::skip);
    EXPECT_EQ(run().why, "write protection: not offered");
}

// Or a control is applied to what an actor's thread does for itself afterwards.
TEST_F(RunnerTest, ARunThatIsOverIsStopped) {
    bool at_judge = false;
    plan.judge = [&](OneRun&) {
        at_judge = kernel->stopped;
        return Outcome{}.add("ok", "yes");
    };
    EXPECT_EQ(run().verdict, Verdict::pass);
    EXPECT_TRUE(at_judge);
}

TEST_F(RunnerTest, BadSchedulesAreErrors) {
    scenario.variants[0].schedule = "left@enter:f -> stranger@user:go";
    EXPECT_EQ(run().verdict, Verdict::error);
    EXPECT_THAT(run().why, HasSubstr("stranger"));
}

TEST_F(RunnerTest, ControlsReachTheProgram) {
    const Control control{.name = "c",
                          .about = "",
                          .variant = "one",
                          .actions = {{.kind = FL_CONTROL_CORRUPT,
                                       .actor = "right",
                                       .function = "f",
                                       .caller = "g",
                                       .value = 5,
                                       .value_is_address = true},
                                      {.kind = FL_CONTROL_SKIP, .function = "h", .every = 3}}};
    EXPECT_EQ(run(&control).verdict, Verdict::pass);
    ASSERT_EQ(kernel->armed.nr_controls, 2U);
    EXPECT_EQ(kernel->armed.controls[0].actors, 2U);
    EXPECT_EQ(kernel->armed.controls[0].value, 0x1005U);
    EXPECT_STREQ(kernel->armed.controls[0].caller, "g");
    EXPECT_EQ(kernel->armed.controls[1].actors, 3U) << "no name means every actor";
    EXPECT_EQ(kernel->armed.controls[1].every, 3U);
}

TEST_F(RunnerTest, AScenarioPassesWhenItsControlsAreCaught) {
    add_control("blind");
    forbid_under_control();
    const ScenarioReport report = run_all();
    EXPECT_EQ(report.verdict, Verdict::pass) << report.why;
    ASSERT_EQ(report.controls.size(), 1U);
    EXPECT_EQ(report.controls[0].verdict, Verdict::fail);
    EXPECT_EQ(report.controls[0].counts.runs, 1U) << "the first catch is enough";
}

TEST_F(RunnerTest, AControlThatIsNotCaughtFailsTheScenario) {
    add_control("blind");
    const ScenarioReport report = run_all();
    EXPECT_EQ(report.verdict, Verdict::fail);
    EXPECT_EQ(report.standing, Standing::failed);
    EXPECT_THAT(report.why, HasSubstr("control blind not caught: ok=? was not seen in 50 runs"));
    EXPECT_EQ(report.controls.at(0).counts.runs, control_runs);
}

TEST_F(RunnerTest, AControlThatWasNeverAppliedIsAnError) {
    add_control("blind");
    forbid_under_control();
    kernel->applies = false;
    const ScenarioReport report = run_all();
    EXPECT_EQ(report.verdict, Verdict::error);
    EXPECT_THAT(report.why, HasSubstr("g was never applied"));
}

TEST_F(RunnerTest, AControlIsCaughtByItsOwnOutcomeAlone) {
    add_control("blind");
    forbid_under_control();
    scenario.controls.front().produces = "ok=other";
    const ScenarioReport report = run_all();
    EXPECT_EQ(report.standing, Standing::failed);
    EXPECT_THAT(report.why, HasSubstr("ok=other was not seen"));
}

TEST_F(RunnerTest, ControlsOfAKnownScenarioAreTriedUnlessThePlainVariantDoesTheSame) {
    add_control("blind");
    scenario.variants.front().known = {
        {.words = "data=lost", .releases = "6.12", .fix = "fixed by f"}};
    plan.judge = [this](OneRun&) {
        return kernel->armed.nr_controls > 0 ? Outcome{}.add("ok", "?").forbid("came back")
                                             : Outcome{}.add("data", "lost").forbid("lost");
    };
    ScenarioReport report = run_all();
    EXPECT_EQ(report.standing, Standing::known) << report.why;
    ASSERT_EQ(report.controls.size(), 1U);
    EXPECT_TRUE(report.controls.front().caught());

    scenario.controls.front().produces = "data=lost";
    report = run_all();
    EXPECT_EQ(report.standing, Standing::known) << report.why;
    EXPECT_EQ(report.controls.front().verdict, Verdict::skip);
    EXPECT_THAT(report.controls.front().why, HasSubstr("by itself"));
}

TEST_F(RunnerTest, AControlThatTheKernelCaughtByItselfIsNotRunAgain) {
    add_control("blind");
    const std::string name = std::string(scenario.name) + "/one+blind";
    options.caught = {{"other/one+blind", "not this one"}, {name, "VM_BUG_ON(x)"}};
    const ScenarioReport report = run_all();
    EXPECT_EQ(report.verdict, Verdict::pass) << report.why;
    ASSERT_EQ(report.controls.size(), 1U);
    EXPECT_TRUE(report.controls[0].caught());
    EXPECT_EQ(report.controls[0].counts.runs, 0U);
    EXPECT_THAT(report.controls[0].why, HasSubstr("VM_BUG_ON(x)"));
    EXPECT_EQ(run_all({.variant = "", .control = "blind"}).verdict, Verdict::fail);

    options.caught = {{"other/one+blind", "not this one"}};
    EXPECT_EQ(run_all().verdict, Verdict::fail) << "nobody caught this one";
}

TEST_F(RunnerTest, OneUncaughtControlOfTwoFailsTheScenario) {
    add_control("good");
    add_control("useless");
    scenario.controls[1].actions[0].every = 2;
    plan.judge = [this](OneRun&) {
        const bool good = kernel->armed.nr_controls == 1 && kernel->armed.controls[0].every == 1;
        return Outcome{}.add("ok", "?").require(!good, "came back");
    };
    const ScenarioReport report = run_all();
    EXPECT_EQ(report.verdict, Verdict::fail);
    EXPECT_THAT(report.why, HasSubstr("control useless not caught"));
}

TEST_F(RunnerTest, AControlAloneHasItsPlainVerdict) {
    add_control("blind");
    forbid_under_control();
    const ScenarioReport report = run_all({.variant = "", .control = "blind"});
    EXPECT_EQ(report.verdict, Verdict::fail);
    ASSERT_EQ(report.variants.size(), 1U);
    EXPECT_EQ(report.variants[0].control, "blind");
    EXPECT_TRUE(report.controls.empty());
}

TEST_F(RunnerTest, ControlsAreNotTriedAfterAFailure) {
    add_control("blind");
    plan.judge = [](OneRun&) { return Outcome{}.forbid("bad"); };
    const ScenarioReport report = run_all();
    EXPECT_EQ(report.verdict, Verdict::fail);
    EXPECT_TRUE(report.controls.empty());
}

VariantReport with_standing(Standing standing) {
    VariantReport report;
    report.scenario = "s";
    report.variant = std::string(to_string(standing));
    report.standing = standing;
    using enum Standing;
    report.verdict = standing == passed || standing == unexpected_pass ? Verdict::pass
                     : standing == failed || standing == known         ? Verdict::fail
                     : standing == skipped                             ? Verdict::skip
                     : standing == missed                              ? Verdict::miss
                                                                       : Verdict::error;
    return report;
}

VariantReport control_with(Verdict verdict, bool forbidden) {
    VariantReport report = with_standing(Standing::failed);
    report.verdict = verdict;
    report.control = "c";
    report.produces = "ok=?";
    report.histogram["ok=?"] = {.count = 1, .allowed = !forbidden, .example = {}};
    return report;
}

Standing scenario_standing(const std::vector<Standing>& variants,
                           std::vector<VariantReport> controls = {}) {
    ScenarioReport report;
    for (const Standing standing : variants)
        report.variants.push_back(with_standing(standing));
    report.controls = std::move(controls);
    judge_scenario(report);
    return report.standing;
}

TEST(ScenarioRule, TheWorstVariantDecidesAndASkipIsNoVerdict) {
    using enum Standing;
    EXPECT_EQ(scenario_standing({passed, passed}), passed);
    EXPECT_EQ(scenario_standing({passed, skipped}), passed);
    EXPECT_EQ(scenario_standing({skipped, passed}), passed);
    EXPECT_EQ(scenario_standing({skipped, skipped}), skipped);
    EXPECT_EQ(scenario_standing({}), skipped);
    EXPECT_EQ(scenario_standing({passed, known, skipped}), known);
    EXPECT_EQ(scenario_standing({known, missed}), missed);
    EXPECT_EQ(scenario_standing({passed, missed, skipped}), missed);
    EXPECT_EQ(scenario_standing({known, unexpected_pass}), unexpected_pass);
    EXPECT_EQ(scenario_standing({failed, known}), failed);
    EXPECT_EQ(scenario_standing({failed, error}), error);
}

TEST(ScenarioRule, APassNeedsACaughtControl) {
    using enum Standing;
    const VariantReport caught = control_with(Verdict::fail, true);
    const VariantReport skip = control_with(Verdict::skip, false);
    EXPECT_EQ(scenario_standing({passed}, {caught}), passed);
    EXPECT_EQ(scenario_standing({passed}, {caught, skip}), passed);
    EXPECT_EQ(scenario_standing({passed}, {skip}), skipped);
    EXPECT_EQ(scenario_standing({known}, {skip}), known);
    EXPECT_EQ(scenario_standing({passed}, {caught, control_with(Verdict::pass, false)}), failed);
    EXPECT_EQ(scenario_standing({known}, {control_with(Verdict::pass, false)}), failed);
    EXPECT_EQ(scenario_standing({passed}, {control_with(Verdict::miss, false)}), failed);
    EXPECT_EQ(scenario_standing({passed}, {control_with(Verdict::error, false)}), error);
}

TEST_F(RunnerTest, NoPassWithoutAControlOfTheHazard) {
    const ScenarioReport report = run_all();
    EXPECT_EQ(report.standing, Standing::uncontrolled) << report.why;
    EXPECT_EQ(report.variants.at(0).standing, Standing::uncontrolled);
    EXPECT_THAT(report.why, HasSubstr("no control brings the hazard back"));
    scenario.no_hazard_control = "nobody knows one";
    EXPECT_EQ(run_all().standing, Standing::passed);
}

} // namespace
} // namespace faultline
