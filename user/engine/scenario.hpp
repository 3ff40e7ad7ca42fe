// SPDX-License-Identifier: GPL-2.0
// The parts of a scenario. A scenario file in scenarios/ defines one `const Scenario& name()` out
// of these types; scenarios/list.cpp lists it; nothing else knows of it.
//
// The texts (string_view) must be literals or otherwise live as long as the program.
#ifndef FAULTLINE_ENGINE_SCENARIO_HPP
#define FAULTLINE_ENGINE_SCENARIO_HPP

#include "engine/rng.hpp"
#include "faultline_abi.h"
#include "kernel/result.hpp"
#include "kernel/state.hpp"
#include "kernel/state_comparison.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace faultline {

class Session;

enum class Verdict { pass, skip, miss, fail, error }; // from best to worst
std::string_view to_string(Verdict verdict);          // "PASS", ...

// The observation of one run, in words, and whether the claim allows it.
struct Outcome {
    std::vector<std::pair<std::string, std::string>> words;
    bool allowed = true;
    std::string why; // one sentence: the reason
    std::vector<NotCompared> not_compared{};

    // Chain: outcome.add("collapse", "EBUSY").add("event", "yes")
    Outcome& add(std::string key, std::string value) {
        words.emplace_back(std::move(key), std::move(value));
        return *this;
    }
    // The first reason stays.
    Outcome& forbid(std::string reason) {
        if (allowed)
            why = std::move(reason);
        allowed = false;
        return *this;
    }
    Outcome& require(bool condition, std::string_view otherwise) {
        return condition ? *this : forbid(std::string(otherwise));
    }
};
std::string to_string(const Outcome& outcome); // "collapse=EBUSY event=yes"

// A number that was found out beside the verdict: {122, "patterns/s"}.
struct Measure {
    double value = 0;
    std::string what;
    std::string note = {}; // "of 16384, in rmqueue()"
};
std::string to_string(const std::vector<Measure>& measures); // "2560 patterns, 122 patterns/s"

inline constexpr unsigned slots_per_actor = 16;
// A slot without a report. Check for it: an actor that did not get that far reports nothing.
inline constexpr std::int64_t unreported = std::numeric_limits<std::int64_t>::min();

// How an actor and the engine talk during a run. It lies in memory shared with child processes.
struct ActorShare {
    std::array<std::int64_t, slots_per_actor> slots;
    std::int32_t failed; // 1: `failure` says what the actor could not do
    std::array<char, 240> failure;
};

// Given to an actor's body in each run. Valid in a process actor's child too.
class ActorContext {
  public:
    ActorContext(Session& session, const std::vector<std::pair<std::string, unsigned>>& user_sites,
                 ActorShare& share, const std::atomic<std::uint32_t>& stopping, unsigned run,
                 std::uint64_t seed)
        : session_(session), user_sites_(user_sites), share_(share), stopping_(stopping), run_(run),
          rng_(seed) {}

    // This actor is at `user:NAME`: waits for its edges. FL_END_PASSED at once if the schedule does
    // not name the site. A second call in one run is its second hit (`#2` in a schedule).
    Result<fl_end> at(std::string_view user_site);

    // The same, while being an RCU reader at a table of a PageTables file: true if the table ceased
    // to be one meanwhile. The schedule must name the site, once. Waits by spinning: keep it short.
    Result<bool> at_reading(std::string_view user_site, int tables, unsigned table);

    // Does the schedule name this site of the actor?
    [[nodiscard]] bool has_site(std::string_view user_site) const;

    // For judge(): Run::slot() reads it. Works from a child process.
    void report(unsigned slot, std::int64_t value) { share_.slots.at(slot) = value; }

    // Our own machinery failed (a syscall that the experiment needs): the verdict becomes ERROR.
    void fail(const Error& error);
    void check(const Result<void>& result) {
        if (!result)
            fail(result.error());
    }

    [[nodiscard]] unsigned run() const { return run_; } // from 1
    Rng& rng() { return rng_; }                         // its own for each actor and run
    // True once the run is over its time or the driver got a signal to stop: leave loops.
    [[nodiscard]] bool stopping() const { return stopping_.load(std::memory_order_relaxed) != 0; }

  private:
    Session& session_;
    const std::vector<std::pair<std::string, unsigned>>& user_sites_; // of this actor
    ActorShare& share_;
    const std::atomic<std::uint32_t>& stopping_;
    unsigned run_;
    Rng rng_;
};

struct Actor {
    // A process actor is forked for each run: it has a copy of the memory as begin() left it. Its
    // writes to private memory are lost; use report(). It ends with _exit, so no destructor runs. A
    // kernel_thread is one of the kernel's, "khugepaged": it is bound for each run as it is then,
    // has no body, and no run waits for it.
    enum class Kind { thread, process, kernel_thread };

    std::string_view name = {}; // up to 15 characters, [A-Za-z0-9_-]
    Kind kind = Kind::thread;
    int cpu = 0; // modulo the CPUs that are online
    std::function<void(ActorContext&)> body = {};
    // A process that a signal ends (an oops, say) is no failure of ours, but an outcome: judge()
    // sees that it did not report.
    bool may_die = false;
};

// One run, as begin(), judge() and overlapped() see it.
class Run {
  public:
    Run(unsigned number, std::uint64_t seed) : rng_(mix(seed)), number_(number), seed_(seed) {}

    [[nodiscard]] unsigned number() const { return number_; } // from 1
    [[nodiscard]] std::uint64_t seed() const { return seed_; }
    Rng& rng() { return rng_; }

    // The report of an actor, or `unreported`.
    [[nodiscard]] std::int64_t slot(std::string_view actor, unsigned slot) const;
    [[nodiscard]] const fl_result& result() const { return result_; }
    // By its text in the schedule, "collapser@enter:collapse_file"; null if the schedule has no
    // such.
    [[nodiscard]] const fl_site_result* site(std::string_view text) const;
    // All edges honoured.
    [[nodiscard]] bool overlapped() const { return result_.overlapped != 0; }
    // A hold ended because the awaited actor slept on a lock.
    [[nodiscard]] bool excluded() const { return result_.excluded != 0; }
    [[nodiscard]] std::string order() const { // in a word
        return overlapped() ? "had" : excluded() ? "excluded" : "neither";
    }

    // For begin(): sites FUNCTION/page-ref are about this page frame, in this run.
    void aim(std::uint64_t pfn) { aim_ = pfn; }
    [[nodiscard]] std::uint64_t aim() const { return aim_; } // 0: at none

    // For the runner and for tests of judge().
    void set_slots(std::string actor, const std::array<std::int64_t, slots_per_actor>& slots);
    void set_result(const fl_result& result, std::vector<std::string> site_texts);

  private:
    Rng rng_;
    unsigned number_;
    std::uint64_t seed_;
    std::uint64_t aim_ = 0;
    fl_result result_{};
    std::vector<std::string> site_texts_; // by index of the site
    std::vector<std::pair<std::string, std::array<std::int64_t, slots_per_actor>>> slots_;
};

// Something that must exist. missing(): the missing part, in words, or nullopt.
struct Need {
    std::string_view name = {}; // "CONFIG_USERFAULTFD", "userfaultfd(2)"
    std::function<std::optional<std::string>()> missing = {};
};

// The outcomes that a variant may have. A pattern is words of an outcome, "collapse=EBUSY
// event=yes": an outcome matches if it has each of them. "key=a|b" allows two values, "key=*" any.
// In a forced variant only runs that had the order, or were excluded from it, must match.
struct Expected {
    std::string_view words = {};
    std::string_view releases = {}; // only there, see in_releases(); "" = everywhere
};
bool matches(const Outcome& outcome, std::string_view pattern);
// The same for an outcome that was printed by to_string().
bool matches(std::string_view printed, std::string_view pattern);

// The places where a lock excludes the second actor. A place is a function in the stack of the
// sleeper, or several in the order of the report, innermost first: "down_write <
// unmap_mapping_range". Others may stand in between; ".isra.0" and the like are ignored.
struct Exclusion {
    std::vector<std::string_view> places = {}; // any of these; none: no exclusion is expected
    std::string_view releases = {};            // only there; "" = everywhere
    // Why an overlap is right, too. "" = an overlap is forbidden.
    std::string_view or_overlap = {};
};

// A bug that some kernels are known to have: there the variant FAILs with these words, and a PASS
// is news. Any other forbidden outcome is a FAIL.
struct KnownBug {
    std::string_view words = {};    // pattern of the forbidden outcomes that it explains
    std::string_view releases = {}; // that have it: "6.1, 6.12 < 6.12.105, 7.2"; see in_releases()
    std::string_view fix = {};      // "fixed by commit ... (v6.x)", or where to read of it
    std::string_view machines = {}; // "x86_64, aarch64"; "" = all
    bool rare = false;              // a PASS is no news: not every series of runs shows it
    // Regular expressions: a line of the kernel log that it explains, and what the report that
    // begins with that line must name. "" = it leaves nothing in the log.
    std::string_view log_line = {};
    std::string_view log_trace = {};
};

// A variant whose overlaps are left to chance runs until it has this many, or for this long.
struct Chance {
    unsigned overlaps = 0;
    unsigned seconds = 0; // the bound; RUNS runs are made in any case
    friend bool operator==(const Chance&, const Chance&) = default;
};

struct Variant {
    std::string_view name = {};
    std::string_view about = {};         // one line
    std::string_view schedule = {};      // the edges only, without "scenario/variant:"
    std::vector<Expected> expected = {}; // none for this release: as judge() says
    // A pattern that each run must match, also one of a forced variant that had another order.
    std::string_view always = {};
    Exclusion exclusion = {};
    std::vector<KnownBug> known = {};
    bool forced = true; // a window is forced: runs in which it was not open do not count.
                        // An unforced variant counts a run when overlapped() says so.
    std::optional<Chance> chance = {};
    unsigned runs_divisor = 1;    // for slow variants: --runs / runs_divisor, at least 1
    std::vector<Need> needs = {}; // beyond the scenario's
    bool by_name_only = false;    // a bad outcome ruins the machine: run only if asked for by name,
                                  // and no further than to the first
};

// The row of a variant in a scenario's own table, by its name.
template <typename Rows> const auto& row_of(const Rows& rows, const Variant& variant) {
    return *std::find_if(rows.begin(), rows.end(),
                         [&variant](const auto& row) { return row.name == variant.name; });
}

// All that a run left behind: for explore, which has no author who would say what to look at.
struct Observation {
    std::vector<std::pair<std::string, std::string>> results = {}; // of all steps, by name
    std::optional<State> before = {}; // what grows: of the machine alone
    std::optional<State> after = {};  // and of the objects that the setup made
    double before_seconds = 0;        // to take the first: a part of begin
    double after_seconds = 0;         // ...the second: of judge
};

// One variant, living for many runs. Destroyed after disarming.
class Experiment {
  public:
    Experiment() = default;
    Experiment(const Experiment&) = delete;
    Experiment& operator=(const Experiment&) = delete;
    virtual ~Experiment() = default;

    // Once, before arming. An error is our own fault: verdict ERROR.
    virtual Result<void> prepare() { return {}; }
    // Once, after prepare(). The order is the actors' index.
    virtual std::vector<Actor> actors() = 0;
    // Before the actors of each run start. Runs in the driver's main thread, which is no actor.
    virtual Result<void> begin(Run& run) = 0;
    // After they have ended.
    virtual Outcome judge(Run& run) = 0;
    // The runner calls these: the two above, and the additions of a family's base class for all its
    // scenarios.
    virtual Result<void> begin_run(Run& run) { return begin(run); }
    virtual Outcome judge_run(Run& run) { return judge(run); }
    // Did what should overlap overlap? Decides for unforced variants. For forced ones it can only
    // take away: the order held or was excluded, but the situation did not arise. nullopt: as the
    // module says.
    virtual std::optional<bool> overlapped(const Run& /*run*/) { return std::nullopt; }
    // In all runs so far, which took that long. Polled after each run, for the progress line.
    [[nodiscard]] virtual std::vector<Measure> measured(double /*seconds*/) const { return {}; }
    // From now on each run makes an Observation. False: this experiment cannot.
    virtual bool observe() { return false; }
    // The observation of the last run, after judge(). Null: there is none.
    [[nodiscard]] virtual const Observation* observation() const { return nullptr; }
    // Asked after prepare(): what ControlAction::value is added to if value_is_address.
    [[nodiscard]] virtual std::uint64_t corrupt_base() const { return 0; }
};

struct ControlAction {
    fl_control_kind kind = FL_CONTROL_SKIP;
    std::string_view actor = {};    // "" = every actor
    std::string_view function = {}; // logical name or function
    std::string_view caller = {};   // only if called from there; "" = from anywhere
    std::uint64_t value = 0;        // SKIP: the return value. CORRUPT: address of the byte
    std::string_view replacement = {};
    unsigned every = 1;
    bool value_is_address = false; // value is an offset from Experiment::corrupt_base()
    bool optional = false; // one of several, of which a kernel inlines some: one must be applied
};

// A deliberate defect. This variant under it must FAIL with the outcome that it names, and the
// plain variant must not have that outcome.
struct Control {
    enum class Kind {
        hazard,     // brings the hazard of the claim back
        comparison, // shows only that judge() compares: it says nothing of the hazard
        remedy,     // a candidate fix for a known bug, tried only by name: nothing to catch
    };

    std::string_view name = {};
    std::string_view about = {};
    std::string_view variant = {};
    std::string_view produces = {}; // pattern of the forbidden outcome
    std::vector<ControlAction> actions = {};
    Kind kind = Kind::hazard;
    std::vector<Need> needs = {}; // beyond the variant's
    // The kernel complains in its log under it: what it writes meanwhile is between two marks
    // there, so that the judge of the log knows that it was planted.
    bool complains = false;
    // Regular expression: the line by which a kernel with debugging ends the machine under it. It
    // has caught the control by itself then (scripts/vm/outcome.py).
    std::string_view caught_by = {};
    bool by_name_only = false; // it ruins the machine: run only if asked for by name (--control)
    // Unless one is asked for by name.
    [[nodiscard]] bool tried_with_others() const { return kind != Kind::remedy && !by_name_only; }
};

struct Scenario {
    std::string_view name = {};
    std::string_view family = {}; // of the scenarios of one argument: "collapse-uffd"
    std::string_view claim = {};  // what should hold
    std::string_view source = {}; // the authors, and the place
    std::string_view races = {};  // which kernel functions run against which
    std::string_view bad = {};    // what a bad outcome looks like
    std::vector<Variant> variants = {};
    std::vector<Control> controls = {};
    // Why no control brings the hazard back. "" = one of `controls` does.
    std::string_view no_hazard_control = {};
    std::vector<Need> needs = {};
    std::uint64_t draws = 0; // the seed of all runs; 0: each has its own
    std::function<std::unique_ptr<Experiment>(const Variant&)> make = {};
};

} // namespace faultline

#endif // FAULTLINE_ENGINE_SCENARIO_HPP
