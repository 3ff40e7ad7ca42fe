// SPDX-License-Identifier: GPL-2.0
#include "engine/runner.hpp"

#include "engine/sleep.hpp"
#include "engine/stop.hpp"
#include "kernel/cpu.hpp"
#include "kernel/kernel_log.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <fmt/format.h>

namespace faultline {

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
}

// One variant while it runs.
class VariantRunner {
  public:
    VariantRunner(const Scenario& scenario, const Variant& variant, const Control* control,
                  const Options& options)
        : scenario_(scenario), variant_(variant), control_(control), options_(options),
          rig_(scenario, variant, control, options.rig) {
        report_.scenario = scenario.name;
        report_.variant = variant.name;
        if (control != nullptr) {
            report_.control = control->name;
            report_.produces = control->produces;
        }
        report_.chance = variant.chance.has_value();
        excludes_ = !variant.exclusion.places.empty() &&
                    in_releases(options.version, variant.exclusion.releases);
        report_.situation = {.overlap = !excludes_ || !variant.exclusion.or_overlap.empty(),
                             .exclusion = excludes_,
                             .forced = variant.forced};
        for (const KnownBug& bug : variant.known)
            if (in_releases(options.version, bug.releases) && on_machine(bug.machines))
                known_here_.push_back(&bug);
    }

    VariantReport run() {
        mark_begin();
        if (prepare()) {
            const auto start = Clock::now();
            loop(start);
            report_.seconds = seconds_since(start);
            finish();
        }
        tear_down();
        mark_end();
        report_.standing = standing();
        return std::move(report_);
    }

  private:
    [[nodiscard]] std::string marked_name() const {
        return report_.name() + (control_ == nullptr ? "" : "+" + *report_.control);
    }

    // The judge of the kernel log ties each line to the variant between whose marks it stands.
    void mark_begin() const {
        options_.note("begin " + marked_name());
        for (const KnownBug* bug : known_here_)
            if (!bug->log_line.empty())
                options_.note(
                    fmt::format("known {} // {} // {}", bug->log_line, bug->log_trace, bug->fix));
        if (complains())
            options_.note("complaints planted by " + marked_name() + " begin");
    }

    void mark_end() const {
        if (complains() || !known_here_.empty())
            visit_cpus(); // or the kernel complains about an actor's mm later
        if (complains())
            options_.note("complaints planted by " + marked_name() + " end");
        options_.note("end " + marked_name());
    }

    [[nodiscard]] bool complains() const { return control_ != nullptr && control_->complains; }

    [[nodiscard]] bool on_machine(std::string_view machines) const {
        if (machines.empty())
            return true;
        for (std::size_t at = 0; at != std::string_view::npos;) {
            at = machines.find_first_not_of(" ,", at);
            if (at == std::string_view::npos)
                break;
            const std::size_t after = machines.find_first_of(" ,", at);
            if (machines.substr(at, after == std::string_view::npos ? after : after - at) ==
                options_.machine)
                return true;
            at = after;
        }
        return false;
    }

    bool end(Verdict verdict, std::string why) {
        report_.verdict = verdict;
        report_.why = std::move(why);
        decided_ = true;
        return false;
    }
    bool refused(const std::optional<Refusal>& refusal) {
        if (!refusal)
            return false;
        report_.interrupted = refusal->interrupted;
        end(refusal->verdict, refusal->why);
        return true;
    }

    bool prepare() {
        if (!find_edges() ||
            refused(rig_.prepare(report_.edges, excludes_ ? spin_locks_of(variant_.exclusion.places)
                                                          : std::vector<std::string>())))
            return false;
        report_.actors = rig_.actors();
        report_.sites = rig_.program().sites;
        report_.control_hits.assign(control_ == nullptr ? 0 : control_->actions.size(), 0);
        return true;
    }

    bool find_edges() {
        Result<std::vector<Edge>> edges = options_.edges
                                              ? Result<std::vector<Edge>>(*options_.edges)
                                              : parse_edges(variant_.schedule);
        if (!edges)
            return end(Verdict::error, "schedule: " + edges.error().message);
        report_.edges = std::move(*edges);
        report_.schedule = schedule_text(std::nullopt);
        return true;
    }

    [[nodiscard]] std::string schedule_text(std::optional<std::uint64_t> seed) const {
        return to_string(Schedule{report_.scenario, report_.variant, seed, report_.edges});
    }

    // A variant that is left to chance goes on until it has overlaps enough, or its time is over.
    [[nodiscard]] bool more(unsigned done, unsigned runs, Clock::time_point start) const {
        const bool timely = !options_.share || done < least_timed_runs ||
                            seconds_since(start) < options_.share->count();
        if (done < runs && timely)
            return true;
        return variant_.chance && !options_.same_seed &&
               report_.situation.count(report_.counts) < variant_.chance->overlaps &&
               seconds_since(start) < variant_.chance->seconds;
    }

    void loop(Clock::time_point start) {
        const unsigned runs = std::max(1U, options_.runs / std::max(1U, variant_.runs_divisor));
        if (options_.on_start)
            options_.on_start({scenario_.name, variant_.name,
                               control_ == nullptr ? std::string_view() : control_->name,
                               report_.schedule, runs,
                               control_ == nullptr ? std::string_view() : control_->caught_by});
        for (unsigned number = 1; more(number - 1, runs, start); ++number) {
            if (stop_signal() != 0) {
                interrupted();
                return;
            }
            if (!run_once(number))
                return;
            report_.seconds = seconds_since(start);
            report_.measures = rig_.experiment().measured(report_.seconds);
            if (options_.progress)
                options_.progress({scenario_.name, variant_.name, number, runs, report_.seconds,
                                   report_.measures});
            const bool ruins =
                variant_.by_name_only || (control_ != nullptr && control_->by_name_only);
            if ((options_.stop_at_forbidden || ruins) &&
                report_.forbidden(report_.produces) != nullptr)
                return;
            const Counts& counts = report_.counts;
            if (options_.give_up && variant_.forced && counts.runs >= give_up_runs &&
                counts.overlaps == 0 && counts.excluded == 0)
                return;
        }
    }

    void interrupted() {
        report_.interrupted = true;
        end(Verdict::error, std::string("interrupted by signal ") + strsignal(stop_signal()));
    }

    bool run_once(unsigned number) {
        const std::uint64_t seed = options_.same_seed     ? options_.seed
                                   : scenario_.draws != 0 ? scenario_.draws
                                                          : seed_of_run(options_.seed, number);
        if (options_.on_run)
            options_.on_run(number, seed);
        Result<void> traced;
        const std::optional<Refusal> refusal =
            rig_.run(number, seed, [&](const Run& run, Outcome outcome) {
                Result<ActorCalls> calls = options_.calls ? options_.calls() : ActorCalls();
                if (!calls)
                    traced = calls.error();
                count(run, std::move(outcome), calls ? std::move(*calls) : ActorCalls());
            });
        if (refused(refusal))
            return false;
        if (!traced)
            end(Verdict::error, fmt::format("run {}: {}", number, traced.error().to_string()));
        return traced.ok();
    }

    // A scenario can only lower the module's verdict on a forced order.
    [[nodiscard]] bool overlapped(const Run& run) const {
        const std::optional<bool> observed = rig_.experiment().overlapped(run);
        return variant_.forced ? run.overlapped() && observed.value_or(true)
                               : observed.value_or(run.overlapped());
    }

    // An exclusion is an answer only where the situation arose that was asked about.
    [[nodiscard]] bool excluded(const Run& run) const {
        return run.excluded() && rig_.experiment().overlapped(run).value_or(true);
    }

    // By the row, beside what judge() said.
    void judge_by_row(const Run& run, Outcome& outcome) const {
        if (excludes_ && overlapped(run) && variant_.exclusion.or_overlap.empty())
            outcome.forbid("the actors overlapped, and a lock must exclude that: " +
                           std::string(variant_.exclusion.places.front()));
        if (!matches(outcome, variant_.always))
            outcome.forbid(fmt::format("each run must have {}, and this one has {}",
                                       variant_.always, to_string(outcome)));
        // The outcomes of the order are not asked of a run that had another.
        if (variant_.forced && !overlapped(run) && !excluded(run))
            return;
        bool any = false;
        for (const Expected& expected : variant_.expected) {
            if (!in_releases(options_.version, expected.releases))
                continue;
            any = true;
            if (matches(outcome, expected.words))
                return;
        }
        if (any)
            outcome.forbid("an outcome that is not expected: " + to_string(outcome));
    }

    void count(const Run& run, Outcome outcome, ActorCalls calls) {
        Counts& counts = report_.counts;
        ++counts.runs;
        if (excluded(run)) {
            count_sleep(run.result());
        } else if (overlapped(run)) {
            ++counts.overlaps;
        }
        judge_by_row(run, outcome);
        for (std::size_t i = 0; i < report_.control_hits.size(); ++i)
            report_.control_hits[i] += run.result().control_hits[i];
        tally(run, outcome, std::move(calls));
    }

    void tally(const Run& run, const Outcome& outcome, ActorCalls calls) {
        Tally& tally = report_.histogram[to_string(outcome)];
        // The example of an outcome that is sometimes forbidden is a forbidden one.
        if (tally.count == 0 || (tally.allowed && !outcome.allowed))
            tally.example = {run.number(), schedule_text(run.seed()), run.result(), outcome.why,
                             std::move(calls)};
        ++tally.count;
        for (const NotCompared& one : outcome.not_compared) {
            LeftOut& left_out = report_.not_compared[one.counter];
            if (left_out.count++ == 0)
                left_out.others = one.others;
        }
        if (!outcome.allowed) {
            tally.allowed = false;
            ++report_.counts.forbidden;
        }
    }

    void count_sleep(const fl_result& result) {
        const std::string stack = blocked_stack(result);
        if (excludes_ && at_any_place(stack, variant_.exclusion.places)) {
            ++report_.counts.excluded;
            if (report_.blocked.empty())
                report_.blocked = blocked_text(result);
            return;
        }
        ++report_.counts.waited;
        Wait& wait = report_.waits[std::string(to_string(sleep_of(stack)))];
        if (wait.count++ == 0)
            wait.stack = blocked_text(result);
    }

    static std::string blocked_stack(const fl_result& result) {
        return {result.blocked, strnlen(result.blocked, sizeof(result.blocked))};
    }

    [[nodiscard]] std::string blocked_text(const fl_result& result) const {
        const std::string who = result.blocked_actor < report_.actors.size()
                                    ? report_.actors[result.blocked_actor]
                                    : std::string("an actor");
        const std::string where = blocked_stack(result);
        return who + (where.starts_with("for ") ? " waited " : " slept in ") + where;
    }

    void finish() {
        if (decided_)
            return;
        report_.verdict = verdict_of(report_.counts, report_.situation);
        const Tally* forbidden = report_.forbidden();
        if (forbidden != nullptr)
            report_.why = forbidden->example.why;
        else if (report_.verdict == Verdict::miss)
            report_.why = miss_reason();
        if (control_ != nullptr)
            require_applied();
    }

    // A control that was not applied shows nothing, and is an error of the control.
    void require_applied() {
        std::uint64_t applied = 0;
        for (std::size_t i = 0; i < report_.control_hits.size(); ++i) {
            const ControlAction& action = control_->actions[i];
            applied += report_.control_hits[i];
            if (report_.control_hits[i] == 0 && !action.optional) {
                end(Verdict::error,
                    fmt::format("its action on {} was never applied", action.function));
                return;
            }
        }
        if (applied == 0)
            end(Verdict::error, "none of its actions was ever applied");
    }

    [[nodiscard]] Standing standing() {
        switch (report_.verdict) {
        case Verdict::pass:
            return passed_or_news();
        case Verdict::skip:
            return Standing::skipped;
        case Verdict::miss:
            return Standing::missed;
        case Verdict::fail:
            return failed_or_known();
        case Verdict::error:
            break;
        }
        return Standing::error;
    }

    [[nodiscard]] Standing passed_or_news() {
        for (const KnownBug* bug : known_here_)
            if (!bug->rare && control_ == nullptr) {
                report_.known_bug = bug->fix;
                return Standing::unexpected_pass;
            }
        return Standing::passed;
    }

    // Each forbidden outcome must be explained by a bug that this kernel is known to have.
    [[nodiscard]] Standing failed_or_known() {
        for (const auto& [words, tally] : report_.histogram) {
            if (tally.allowed)
                continue;
            const auto bug = std::find_if(
                known_here_.begin(), known_here_.end(),
                [&words = words](const KnownBug* one) { return matches(words, one->words); });
            if (bug == known_here_.end() || control_ != nullptr) {
                report_.known_bug.clear();
                report_.why = tally.example.why;
                return Standing::failed;
            }
            report_.known_bug = (*bug)->fix;
        }
        return Standing::known;
    }

    [[nodiscard]] std::string waits_text() const {
        std::string text;
        for (const auto& [kind, wait] : report_.waits)
            text += fmt::format("; {} times {}: {}", wait.count, kind, wait.stack);
        return text;
    }

    // Which sites were never reached is what one must know to repair a MISS.
    [[nodiscard]] std::string miss_reason() const {
        if (report_.situation.count(report_.counts) > 0)
            return fmt::format("the window opened in {} of {} runs only{}",
                               report_.situation.count(report_.counts), report_.counts.runs,
                               waits_text());
        if (report_.counts.waited > 0)
            return "no run had the order, and no lock that the row names excluded it" +
                   waits_text();
        std::string text =
            "the window never opened in " + std::to_string(report_.counts.runs) + " runs";
        if (report_.histogram.empty())
            return text;
        const fl_result& result = report_.histogram.begin()->second.example.result;
        for (std::size_t i = 0; i < report_.sites.size(); ++i) {
            if (result.sites[i].end == FL_END_NOT_REACHED)
                text += "; not reached: " + report_.sites[i];
            else if (result.sites[i].end == FL_END_TIMEOUT)
                text += "; timed out: " + report_.sites[i];
        }
        return text;
    }

    void tear_down() {
        if (!rig_.tear_down() && report_.verdict != Verdict::error)
            end(Verdict::error, "an actor's thread did not end");
    }

    const Scenario& scenario_;
    const Variant& variant_;
    const Control* control_;
    const Options& options_;
    VariantReport report_;
    bool excludes_ = false; // the row expects exclusion in this kernel
    std::vector<const KnownBug*> known_here_;
    bool decided_ = false;
    Rig rig_;
};

const Variant* find_variant(const Scenario& scenario, std::string_view name) {
    for (const Variant& variant : scenario.variants)
        if (variant.name == name)
            return &variant;
    return nullptr;
}

const VariantReport* find_report(const ScenarioReport& report, std::string_view variant) {
    for (const VariantReport& one : report.variants)
        if (one.variant == variant)
            return &one;
    return nullptr;
}

// Nothing of the verdict changes where each control was caught or cannot run here.
void judge_controls(ScenarioReport& report) {
    bool any_caught = report.controls.empty();
    std::string skipped;
    for (const VariantReport& control : report.controls) {
        const std::string name = "control " + control.control.value_or("");
        any_caught = any_caught || control.caught();
        if (control.verdict == Verdict::skip && skipped.empty())
            skipped = control.why;
        if (control.caught() || control.verdict == Verdict::skip)
            continue;
        const bool fault = control.verdict == Verdict::error;
        report.verdict = fault ? Verdict::error : Verdict::fail;
        report.standing = fault ? Standing::error : Standing::failed;
        report.why = name + (fault ? ": " : " not caught: ") + control.why;
        return;
    }
    if (any_caught || report.standing != Standing::passed)
        return;
    report.verdict = Verdict::skip;
    report.standing = Standing::skipped;
    report.why = "no control can run here, so a pass would prove nothing: " + skipped;
}

bool may_try_controls(Standing standing) {
    return standing == Standing::passed || standing == Standing::known ||
           standing == Standing::uncontrolled;
}

VariantReport not_tried(const Scenario& scenario, const Control& control, Verdict verdict,
                        std::string why) {
    VariantReport report;
    report.scenario = scenario.name;
    report.variant = control.variant;
    report.control = control.name;
    report.produces = control.produces;
    report.verdict = verdict;
    report.standing = verdict == Verdict::skip ? Standing::skipped : Standing::error;
    report.why = std::move(why);
    return report;
}

// As the scripts say of an earlier machine; nothing if they say nothing of it.
std::optional<VariantReport> caught_by_kernel(const Scenario& scenario, const Control& control,
                                              const Variant& variant, const Options& options) {
    const auto found =
        options.caught.find(fmt::format("{}/{}+{}", scenario.name, variant.name, control.name));
    if (found == options.caught.end())
        return std::nullopt;
    VariantReport report = not_tried(scenario, control, Verdict::fail,
                                     "the kernel caught it by itself: " + found->second);
    report.variant = variant.name;
    report.standing = Standing::failed;
    report.caught_by = found->second;
    return report;
}

// `plain` is the report of its variant without the control, or null.
VariantReport run_control(const Scenario& scenario, const Control& control,
                          const VariantReport* plain, Options options) {
    const Variant* variant = find_variant(scenario, control.variant);
    if (variant == nullptr)
        return not_tried(scenario, control, Verdict::error, "no such variant");
    if (plain != nullptr && plain->verdict == Verdict::skip)
        return not_tried(scenario, control, Verdict::skip, plain->why);
    if (plain != nullptr && plain->forbidden(control.produces) != nullptr)
        return not_tried(scenario, control, Verdict::skip,
                         "the plain variant has its outcome by itself: " +
                             std::string(control.produces));
    if (std::optional<VariantReport> caught =
            caught_by_kernel(scenario, control, *variant, options))
        return *caught;
    options.runs = control_runs;
    options.stop_at_forbidden = true;
    options.edges.reset();
    Variant undivided = *variant; // the bound is small as it is
    undivided.runs_divisor = 1;
    VariantReport report = run_variant(scenario, undivided, &control, options);
    const bool counted = report.verdict != Verdict::skip && report.verdict != Verdict::error;
    if (counted && !report.caught())
        report.why = fmt::format("{} was not seen in {} runs{}", control.produces,
                                 report.counts.runs, report.why.empty() ? "" : "; " + report.why);
    return report;
}

} // namespace

Verdict verdict_of(const Counts& counts, const Situation& situation) {
    if (counts.forbidden > 0)
        return Verdict::fail;
    const auto seen = static_cast<double>(situation.count(counts));
    if (seen == 0)
        return Verdict::miss;
    if (situation.forced && seen < least_share * static_cast<double>(counts.runs))
        return Verdict::miss;
    return Verdict::pass;
}

double unseen_bound(std::uint64_t count) {
    return count == 0 ? 1 : 1 - std::pow(0.05, 1 / static_cast<double>(count));
}

std::string_view to_string(Standing standing) {
    switch (standing) {
    case Standing::passed:
        return "passed";
    case Standing::uncontrolled:
        return "uncontrolled";
    case Standing::failed:
        return "failed";
    case Standing::skipped:
        return "skipped";
    case Standing::known:
        return "known";
    case Standing::unexpected_pass:
        return "xpass";
    case Standing::missed:
        return "missed";
    case Standing::error:
        break;
    }
    return "error";
}

const Tally* VariantReport::forbidden(std::string_view pattern) const {
    for (const auto& [words, tally] : histogram)
        if (!tally.allowed && matches(words, pattern))
            return &tally;
    return nullptr;
}

std::string ScenarioReport::known_bug() const {
    for (const VariantReport& variant : variants)
        if (!variant.known_bug.empty())
            return variant.known_bug;
    return {};
}

double ScenarioReport::bound() const {
    double weakest = 0;
    for (const VariantReport& variant : variants)
        if (variant.verdict == Verdict::pass)
            weakest = std::max(weakest, variant.bound());
    return weakest == 0 ? 1 : weakest;
}

std::uint64_t seed_of_run(std::uint64_t base, unsigned number) {
    return number == 1 ? base : mix(base + mix(number));
}

VariantReport run_variant(const Scenario& scenario, const Variant& variant, const Control* control,
                          const Options& options) {
    return VariantRunner(scenario, variant, control, options).run();
}

void judge_scenario(ScenarioReport& report) {
    // A pass with some variants skipped is a pass of what this kernel has. From best to worst:
    constexpr std::array order = {Standing::skipped, Standing::passed, Standing::uncontrolled,
                                  Standing::known,   Standing::missed, Standing::unexpected_pass,
                                  Standing::failed,  Standing::error};
    const auto rank = [&order](Standing standing) {
        return std::find(order.begin(), order.end(), standing) - order.begin();
    };
    report.standing = Standing::skipped;
    report.verdict = Verdict::skip;
    for (const VariantReport& variant : report.variants) {
        const bool first = &variant == &report.variants.front();
        if (!first && rank(variant.standing) <= rank(report.standing))
            continue;
        report.standing = variant.standing;
        report.verdict = variant.verdict;
        report.why = variant.why.empty() ? "" : variant.variant + ": " + variant.why;
    }
    if (may_try_controls(report.standing))
        judge_controls(report);
}

ScenarioReport run_scenario(const Scenario& scenario, const Selection& selection,
                            const Options& options,
                            const std::function<void(const VariantReport&)>& on_variant) {
    ScenarioReport report;
    report.scenario = scenario.name;
    report.no_hazard_control = scenario.no_hazard_control;
    const bool controlled =
        !scenario.no_hazard_control.empty() || !selection.control.empty() ||
        std::any_of(scenario.controls.begin(), scenario.controls.end(),
                    [](const Control& one) { return one.kind == Control::Kind::hazard; });
    const auto add = [&](std::vector<VariantReport>& to, VariantReport one) {
        if (!controlled && !one.control && one.standing == Standing::passed) {
            one.standing = Standing::uncontrolled;
            one.why = "no control brings the hazard back: a pass would prove nothing";
        }
        report.interrupted = report.interrupted || one.interrupted;
        to.push_back(std::move(one));
        if (on_variant)
            on_variant(to.back());
    };
    if (!selection.control.empty()) {
        for (const Control& control : scenario.controls)
            if (control.name == selection.control)
                if (const Variant* variant =
                        find_variant(scenario, selection.variant.empty() ? control.variant
                                                                         : selection.variant)) {
                    if (auto caught = caught_by_kernel(scenario, control, *variant, options)) {
                        add(report.variants, std::move(*caught));
                        continue;
                    }
                    Variant tried = *variant;
                    if (options.stop_at_forbidden) // as with the others: the bound is small
                        tried.runs_divisor = 1;
                    add(report.variants, run_variant(scenario, tried, &control, options));
                }
        judge_scenario(report);
        return report;
    }
    for (const Variant& variant : scenario.variants)
        if (!report.interrupted &&
            (selection.variant.empty() ? !variant.by_name_only : variant.name == selection.variant))
            add(report.variants, run_variant(scenario, variant, nullptr, options));
    judge_scenario(report);
    if (report.variants.empty() && !report.interrupted)
        report.why = "all its variants run only by name: a bad outcome ruins the machine";
    if (!may_try_controls(report.standing) || !selection.controls)
        return report;
    for (const Control& control : scenario.controls)
        if (!report.interrupted && control.tried_with_others() &&
            (selection.variant.empty() || control.variant == selection.variant))
            add(report.controls,
                run_control(scenario, control, find_report(report, control.variant), options));
    judge_scenario(report);
    return report;
}

} // namespace faultline
