// SPDX-License-Identifier: GPL-2.0
// Runs variants, controls and scenarios, and decides the verdicts.
#ifndef FAULTLINE_ENGINE_RUNNER_HPP
#define FAULTLINE_ENGINE_RUNNER_HPP

#include "engine/rig.hpp"
#include "kernel/function_trace.hpp"
#include "kernel/kernel_log.hpp"
#include "kernel/series.hpp"

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace faultline {

inline constexpr unsigned control_runs = 50; // a control that is not caught in these proves nothing
// A forced window that has not opened in these will not.
inline constexpr unsigned give_up_runs = 20;
inline constexpr unsigned least_timed_runs = 5;
// A forced variant is a MISS if less than this share of its runs had its situation.
inline constexpr double least_share = 0.5;

struct Progress {
    std::string_view scenario;
    std::string_view variant;
    unsigned done;
    unsigned runs;
    double seconds;
    std::vector<Measure> measures;
};

// A variant, or a control, that begins; and each of its runs. Told before the run, so that a
// machine that dies leaves the name of the run that was under way.
struct Start {
    std::string_view scenario;
    std::string_view variant;
    std::string_view control; // "" = the plain variant
    std::string schedule;     // without a seed
    unsigned runs;
    std::string_view caught_by = {}; // Control::caught_by
};

using ActorCalls = std::vector<std::vector<FunctionCall>>; // of one run, by actor

struct Options {
    unsigned runs = 1000;
    std::uint64_t seed = 1;
    bool same_seed = false; // each run gets `seed` itself: for replay
    RigOptions rig;
    // No longer for a variant or a control, but at least least_timed_runs; `runs` is the most.
    std::optional<std::chrono::duration<double>> share = {};
    bool give_up = true; // see give_up_runs
    bool stop_at_forbidden = false;
    // Controls that the kernel caught by itself, in a machine that ended so: by name
    // (scenario/variant+control) its line. They are not run again.
    std::map<std::string, std::string> caught = {};
    std::optional<std::vector<Edge>> edges; // instead of the variant's own
    std::function<void(const Progress&)> progress;
    std::function<void(const Start&)> on_start;
    std::function<void(unsigned run, std::uint64_t seed)> on_run;
    // After each run: the functions of the kernel that its actors called.
    std::function<Result<ActorCalls>()> calls = {};
    std::function<void(std::string_view)> note = note_in_kernel_log;
    std::string version = running_version(); // of the kernel, for rows that differ by release
    std::string machine = running_machine(); // "x86_64"
};

// One run in full, so that it can be looked at and replayed.
struct Example {
    unsigned run = 0;
    std::string schedule; // with the run's seed
    fl_result result{};
    std::string why;       // the forbidden outcome; "" if none
    ActorCalls calls = {}; // if Options::calls is set
};

struct Tally {
    std::uint64_t count = 0;
    bool allowed = true;
    Example example; // the first
};

struct Counts {
    std::uint64_t runs = 0;
    std::uint64_t overlaps = 0;
    std::uint64_t excluded = 0; // by what the row names
    std::uint64_t waited = 0;   // the second actor slept, on something else
    std::uint64_t forbidden = 0;
};

// The situation that the claim is about: an overlap, an exclusion, or either.
struct Situation {
    bool overlap = true;
    bool exclusion = false;
    bool forced = true; // a share of the runs must have it

    [[nodiscard]] std::uint64_t count(const Counts& counts) const {
        return (overlap ? counts.overlaps : 0) + (exclusion ? counts.excluded : 0);
    }
};

// Without errors and skips. No pass without the situation, and nothing that happens later undoes a
// forbidden outcome.
Verdict verdict_of(const Counts& counts, const Situation& situation);

// The bound of a pass: an outcome that was not seen in `count` runs has, with 95 % confidence, a
// probability below this. 1 if there was no run.
double unseen_bound(std::uint64_t count);

// How a verdict counts, known bugs considered.
// uncontrolled: what would be a pass, of a scenario that no control shows to be able to fail.
enum class Standing {
    passed,
    uncontrolled,
    failed,
    skipped,
    known,
    unexpected_pass,
    missed,
    error
};
std::string_view to_string(Standing standing); // "passed", ..., "xpass", ...

// The sleep of an awaited actor that the row does not name.
struct Wait {
    std::uint64_t count = 0;
    std::string stack; // of the first
};

// Runs in which a counter was not compared, as other programs ran.
struct LeftOut {
    std::uint64_t count = 0;
    std::string others; // of the first
};

struct VariantReport {
    std::string scenario;
    std::string variant;
    std::optional<std::string> control;
    std::string schedule; // without a seed
    Verdict verdict = Verdict::error;
    Standing standing = Standing::error;
    std::string why;       // of any verdict but a plain PASS
    std::string known_bug; // its fix, if one explains a FAIL, or is missed by a PASS
    Counts counts;
    Situation situation;
    bool chance = false; // overlaps are left to chance
    std::map<std::string, Tally> histogram;
    std::string blocked;               // the sleeper and its stack, in the first excluded run
    std::map<std::string, Wait> waits; // "I/O", "grace period", ...: sleeps that exclude nothing
    std::map<std::string, LeftOut> not_compared; // by the counter's name
    std::string produces;  // under a control: the outcome that it must bring back
    std::string caught_by; // ...: the line of the kernel, if it caught the control by itself
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
    // The first forbidden outcome, or null; the first that is like a pattern.
    [[nodiscard]] const Tally* forbidden(std::string_view pattern = {}) const;
    // Under a control: the outcome that it must bring back was seen.
    [[nodiscard]] bool caught() const {
        return verdict == Verdict::fail && !produces.empty() &&
               (!caught_by.empty() || forbidden(produces) != nullptr);
    }
    [[nodiscard]] double bound() const { return unseen_bound(situation.count(counts)); }
};

// The seed of run `number`: run 1 has the base seed itself, so that "seed=N" replays one run.
std::uint64_t seed_of_run(std::uint64_t base, unsigned number);

VariantReport run_variant(const Scenario& scenario, const Variant& variant, const Control* control,
                          const Options& options);

struct ScenarioReport {
    std::string scenario;
    Verdict verdict = Verdict::error;
    Standing standing = Standing::error;
    std::string why;
    std::string no_hazard_control; // why it has none; "" = it has
    std::vector<VariantReport> variants;
    std::vector<VariantReport> controls; // as run
    bool interrupted = false;

    [[nodiscard]] std::string known_bug() const; // of its variants; "" if none
    // The weakest of its variants that passed: 1 if none did.
    [[nodiscard]] double bound() const;
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
