// SPDX-License-Identifier: GPL-2.0
// Runs variants, controls and scenarios, and decides the verdicts.
#ifndef FAULTLINE_ENGINE_RUNNER_HPP
#define FAULTLINE_ENGINE_RUNNER_HPP

#include "engine/scenario.hpp"
#include "engine/schedule.hpp"
#include "kernel/session.hpp"

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace faultline {

inline constexpr unsigned control_runs = 50; // a control that is not caught in these proves nothing
inline constexpr unsigned give_up_runs =
    20; // a forced window that has not opened in these will not

struct Progress {
    std::string_view scenario;
    std::string_view variant;
    unsigned done;
    unsigned runs;
    double seconds;
    std::vector<Measure> measures;
};

struct Options {
    unsigned runs = 1000;
    std::uint64_t seed = 1;
    bool same_seed = false;                   // each run gets `seed` itself: for replay
    std::chrono::milliseconds timeout{30000}; // for one run
    unsigned wait_ms = 2000;                  // for one hold
    unsigned excluded_ms = 50;                // asleep on a lock that long: excluded
    unsigned jitter_us = 0;                   // random late start of each actor
    bool give_up = true;                      // see give_up_runs
    bool stop_at_forbidden = false;
    std::optional<std::vector<Edge>> edges; // instead of the variant's own
    std::function<Result<std::unique_ptr<Session>>()> open_session = DebugfsSession::open;
    std::function<void(const Progress&)> progress;
};

// One run in full, so that it can be looked at and replayed.
struct Example {
    unsigned run = 0;
    std::string schedule; // with the run's seed
    fl_result result{};
    std::string why; // what was forbidden; "" if nothing
};

struct Tally {
    std::uint64_t count = 0;
    bool allowed = true;
    Example example; // the first
};

struct Counts {
    std::uint64_t runs = 0;
    std::uint64_t overlaps = 0;
    std::uint64_t excluded = 0;
    std::uint64_t forbidden = 0;
};

// Without errors and skips. No pass without an overlap (or, where the lock is the claim, without an
// exclusion), and nothing that happens later undoes a forbidden outcome.
Verdict verdict_of(const Counts& counts, bool expects_excluded);

struct VariantReport {
    std::string scenario;
    std::string variant;
    std::optional<std::string> control;
    std::string schedule; // without a seed
    Verdict verdict = Verdict::error;
    std::string why; // of any verdict but a plain PASS
    Counts counts;
    std::map<std::string, Tally> histogram;
    std::string blocked;                     // who slept where, of the first excluded run
    std::vector<std::uint64_t> control_hits; // of each action, over all runs
    double seconds = 0;
    std::vector<Measure> measures;
    std::vector<std::string> actors;
    std::vector<Edge> edges;
    std::vector<std::string> sites; // texts by index, for the examples' timelines
    bool interrupted = false;

    [[nodiscard]] std::string name() const { return scenario + "/" + variant; }
    [[nodiscard]] double rate() const {
        return seconds > 0 ? static_cast<double>(counts.runs) / seconds : 0;
    }
    // The first forbidden outcome, or null.
    [[nodiscard]] const Tally* forbidden() const;
};

// The seed of run `number`: run 1 has the base seed itself, so that "seed=N" replays one run.
std::uint64_t seed_of_run(std::uint64_t base, unsigned number);

VariantReport run_variant(const Scenario& scenario, const Variant& variant, const Control* control,
                          const Options& options);

struct ScenarioReport {
    std::string scenario;
    Verdict verdict = Verdict::error;
    std::string why;
    std::vector<VariantReport> variants;
    std::vector<VariantReport> controls; // as run; a caught control's verdict is FAIL
    bool interrupted = false;
};

struct Selection {
    std::string variant; // "" = all
    std::string control; // not "": this one only, whose variant's verdict is then the plain one
    bool controls = true;
};

// Worst of the variants; then each control must be caught.
void judge_scenario(ScenarioReport& report);

ScenarioReport run_scenario(const Scenario& scenario, const Selection& selection,
                            const Options& options,
                            const std::function<void(const VariantReport&)>& on_variant);

} // namespace faultline

#endif // FAULTLINE_ENGINE_RUNNER_HPP
