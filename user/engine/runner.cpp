// SPDX-License-Identifier: GPL-2.0
#include "engine/runner.hpp"

#include "engine/crew.hpp"
#include "engine/stop.hpp"
#include "kernel/cpu.hpp"
#include "kernel/kernel_log.hpp"

#include <algorithm>
#include <cstring>

namespace faultline {

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
}

Result<void> put_name(char (&to)[FL_NAME_LEN], std::string_view from) {
    if (from.size() >= sizeof(to))
        return Error::make(ENAMETOOLONG, "control: name too long", from);
    std::memcpy(to, from.data(), from.size());
    return {};
}

Result<fl_control> make_control(const ControlAction& action, const std::vector<Actor>& actors,
                                std::uint64_t base) {
    fl_control control{};
    control.kind = action.kind;
    control.value = action.value + (action.value_is_address ? base : 0);
    control.every = action.every;
    for (std::size_t i = 0; i < actors.size(); ++i)
        if (action.actor.empty() || actors[i].name == action.actor)
            control.actors |= 1U << i;
    if (control.actors == 0)
        return Error::make(EINVAL, "control: no such actor", action.actor);
    for (const Result<void>& put :
         {put_name(control.function, action.function), put_name(control.caller, action.caller),
          put_name(control.replacement, action.replacement)})
        if (!put)
            return put.error();
    return control;
}

// One variant while it runs. Its members' order matters: the session outlives the crew, and the
// experiment outlives both.
class VariantRunner {
  public:
    VariantRunner(const Scenario& scenario, const Variant& variant, const Control* control,
                  const Options& options)
        : scenario_(scenario), variant_(variant), control_(control), options_(options) {
        report_.scenario = scenario.name;
        report_.variant = variant.name;
        if (control != nullptr)
            report_.control = control->name;
    }

    VariantReport run() {
        const bool complains = control_ != nullptr && control_->complains;
        if (complains)
            note_in_kernel_log("complaints planted by a control begin");
        if (prepare()) {
            const auto start = Clock::now();
            loop(start);
            report_.seconds = seconds_since(start);
            finish();
        }
        tear_down();
        if (complains) {
            visit_cpus(); // or the kernel complains about an actor's mm later
            note_in_kernel_log("complaints planted by a control end");
        }
        return std::move(report_);
    }

  private:
    bool end(Verdict verdict, std::string why) {
        report_.verdict = verdict;
        report_.why = std::move(why);
        decided_ = true;
        return false;
    }
    bool fault(const Error& error, std::string_view what) {
        return end(Verdict::error, std::string(what) + ": " + error.to_string());
    }

    bool prepare() {
        if (!find_edges())
            return false;
        if (!has(scenario_.needs) || !has(variant_.needs))
            return false;
        experiment_ = scenario_.make(variant_);
        if (!experiment_)
            return end(Verdict::error, "the scenario does not know this variant");
        const Result<void> prepared = experiment_->prepare();
        if (!prepared)
            return fault(prepared.error(), "prepare");
        std::vector<Actor> actors = experiment_->actors();
        return build(actors) && arm() && start(std::move(actors));
    }

    bool has(const std::vector<Need>& needs) {
        for (const Need& need : needs) {
            const std::optional<std::string> missing = need.missing();
            if (missing)
                return end(Verdict::skip, std::string(need.name) + ": " + *missing);
        }
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

    bool build(const std::vector<Actor>& actors) {
        for (const Actor& actor : actors)
            report_.actors.emplace_back(actor.name);
        std::vector<fl_control> controls;
        if (control_ != nullptr)
            for (const ControlAction& action : control_->actions) {
                const Result<fl_control> made =
                    make_control(action, actors, experiment_->corrupt_base());
                if (!made)
                    return fault(made.error(), control_->name);
                controls.push_back(*made);
            }
        Result<Program> program = compile(report_.edges, report_.actors, controls, options_.wait_ms,
                                          options_.excluded_ms);
        if (!program)
            return end(Verdict::error, "schedule: " + program.error().message);
        program_ = std::move(*program);
        report_.sites = program_.sites;
        report_.control_hits.assign(controls.size(), 0);
        return true;
    }

    bool arm() {
        Result<std::unique_ptr<Session>> session = options_.open_session();
        if (!session)
            return fault(session.error(), "session");
        session_ = std::move(*session);
        const Result<void> armed = session_->arm(program_.abi);
        if (armed)
            return true;
        // This kernel has no such function, or it cannot be traced: nothing of ours is wrong.
        const int number = armed.error().number;
        if (number == ENOENT || number == ENODEV)
            return end(Verdict::skip, armed.error().message);
        return fault(armed.error(), "arm");
    }

    bool start(std::vector<Actor> actors) {
        Result<std::unique_ptr<Crew>> crew =
            Crew::start(std::move(actors), program_, *session_, options_.jitter_us);
        if (!crew)
            return fault(crew.error(), "start actors");
        crew_ = std::move(*crew);
        return true;
    }

    void loop(Clock::time_point start) {
        const unsigned runs = std::max(1U, options_.runs / std::max(1U, variant_.runs_divisor));
        for (unsigned number = 1; number <= runs; ++number) {
            if (stop_signal() != 0) {
                interrupted();
                return;
            }
            if (!run_once(number))
                return;
            report_.seconds = seconds_since(start);
            report_.measures = experiment_->measured(report_.seconds);
            if (options_.progress)
                options_.progress({scenario_.name, variant_.name, number, runs, report_.seconds,
                                   report_.measures});
            const bool ruins =
                variant_.by_name_only || (control_ != nullptr && control_->by_name_only);
            if ((options_.stop_at_forbidden || ruins) && report_.counts.forbidden > 0)
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
        const std::uint64_t seed =
            options_.same_seed ? options_.seed : seed_of_run(options_.seed, number);
        const std::string which = "run " + std::to_string(number);
        Run run(number, seed);
        const Result<void> begun = experiment_->begin(run);
        if (!begun)
            return fault(begun.error(), which + ", begin");
        const Result<void> staged = crew_->stage(number, seed);
        if (!staged)
            return fault(staged.error(), which + ", start actors");
        const Result<void> aimed = session_->aim(run.aim());
        if (!aimed)
            return fault(aimed.error(), which);
        const Result<void> opened = session_->begin_run();
        if (!opened)
            return fault(opened.error(), which);
        crew_->go();
        const Crew::End joined = crew_->join(options_.timeout);
        if (!all_well(joined, which))
            return false;
        const Result<fl_result> result = session_->result();
        if (!result)
            return fault(result.error(), which);
        run.set_result(*result, program_.sites);
        for (std::size_t i = 0; i < report_.actors.size(); ++i)
            run.set_slots(report_.actors[i], crew_->slots(i));
        count(run, experiment_->judge(run));
        return true;
    }

    bool all_well(const Crew::End& joined, const std::string& which) {
        if (!joined.all_back)
            return end(Verdict::error, which + ": stuck for good: " + joined.stuck);
        if (joined.timed_out)
            return end(Verdict::error, which + ": not over after " +
                                           std::to_string(options_.timeout.count()) +
                                           " ms: " + joined.stuck);
        if (stop_signal() != 0) {
            interrupted();
            return false;
        }
        if (!joined.actor_failure.empty())
            return end(Verdict::error, which + ", " + joined.actor_failure);
        return true;
    }

    // What the module says of a forced order cannot be talked up, only down.
    [[nodiscard]] bool overlapped(const Run& run) const {
        const std::optional<bool> observed = experiment_->overlapped(run);
        return variant_.forced ? run.overlapped() && observed.value_or(true)
                               : observed.value_or(run.overlapped());
    }

    // An exclusion is an answer only where the situation arose that was asked about.
    [[nodiscard]] bool excluded(const Run& run) const {
        return run.excluded() && experiment_->overlapped(run).value_or(true);
    }

    void count(const Run& run, const Outcome& outcome) {
        Counts& counts = report_.counts;
        ++counts.runs;
        if (excluded(run)) {
            ++counts.excluded;
            if (report_.blocked.empty())
                report_.blocked = blocked_text(run.result());
        } else if (overlapped(run)) {
            ++counts.overlaps;
        }
        for (std::size_t i = 0; i < report_.control_hits.size(); ++i)
            report_.control_hits[i] += run.result().control_hits[i];
        tally(run, outcome);
    }

    void tally(const Run& run, const Outcome& outcome) {
        Tally& tally = report_.histogram[to_string(outcome)];
        // The example of an outcome that is sometimes forbidden is a forbidden one.
        if (tally.count == 0 || (tally.allowed && !outcome.allowed))
            tally.example = {run.number(), schedule_text(run.seed()), run.result(), outcome.why};
        ++tally.count;
        if (!outcome.allowed) {
            tally.allowed = false;
            ++report_.counts.forbidden;
        }
    }

    [[nodiscard]] std::string blocked_text(const fl_result& result) const {
        const std::string who = result.blocked_actor < report_.actors.size()
                                    ? report_.actors[result.blocked_actor]
                                    : std::string("an actor");
        const std::string where(result.blocked, strnlen(result.blocked, sizeof(result.blocked)));
        return who + (where.starts_with("for ") ? " waited " : " slept in ") + where;
    }

    void finish() {
        if (decided_)
            return;
        report_.verdict = verdict_of(report_.counts, variant_.expects_excluded);
        const Tally* forbidden = report_.forbidden();
        if (forbidden != nullptr)
            report_.why = forbidden->example.why;
        else if (report_.verdict == Verdict::miss)
            report_.why = miss_reason();
    }

    // Which sites were never reached is what one must know to repair a MISS.
    [[nodiscard]] std::string miss_reason() const {
        if (report_.counts.excluded > 0)
            return "every order was excluded: " + report_.blocked;
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
        if (crew_ && (crew_->stuck() || !crew_->dismiss())) {
            if (report_.verdict != Verdict::error)
                end(Verdict::error, "an actor's thread did not end");
            // Tasks that will not come back still use these: they must live as long as the driver.
            crew_.reset();
            [[maybe_unused]] const Session* session = session_.release();
            [[maybe_unused]] const Experiment* experiment = experiment_.release();
            return;
        }
        crew_.reset();
        if (session_) [[maybe_unused]]
            const Result<void> disarmed = session_->disarm();
        session_.reset();
        experiment_.reset();
    }

    const Scenario& scenario_;
    const Variant& variant_;
    const Control* control_;
    const Options& options_;
    VariantReport report_;
    bool decided_ = false;
    std::unique_ptr<Experiment> experiment_;
    Program program_;
    std::unique_ptr<Session> session_;
    std::unique_ptr<Crew> crew_;
};

const Variant* find_variant(const Scenario& scenario, std::string_view name) {
    for (const Variant& variant : scenario.variants)
        if (variant.name == name)
            return &variant;
    return nullptr;
}

bool every_control_caught(ScenarioReport& report) {
    bool any_caught = false;
    for (const VariantReport& control : report.controls) {
        if (control.verdict == Verdict::fail) {
            any_caught = true;
            continue;
        }
        if (control.verdict == Verdict::skip)
            continue;
        const bool fault = control.verdict == Verdict::error;
        report.verdict = fault ? Verdict::error : Verdict::fail;
        report.why = "control " + control.control.value_or("") + (fault ? ": " : " not caught") +
                     (control.why.empty() ? "" : (fault ? "" : ": ") + control.why);
        return false;
    }
    return any_caught;
}

VariantReport run_control(const Scenario& scenario, const Control& control, Options options) {
    options.runs = control_runs;
    options.stop_at_forbidden = true;
    options.edges.reset();
    const Variant* variant = find_variant(scenario, control.variant);
    VariantReport report;
    if (variant == nullptr) {
        report.scenario = scenario.name;
        report.variant = control.variant;
        report.control = control.name;
        report.why = "no such variant";
        return report;
    }
    Variant undivided = *variant; // the bound is small as it is
    undivided.runs_divisor = 1;
    report = run_variant(scenario, undivided, &control, options);
    const bool idle = std::all_of(report.control_hits.begin(), report.control_hits.end(),
                                  [](std::uint64_t hits) { return hits == 0; });
    if (report.verdict != Verdict::fail && report.verdict != Verdict::skip && report.why.empty())
        report.why = idle ? "it was never applied" : "it was applied and no run was forbidden";
    return report;
}

} // namespace

Verdict verdict_of(const Counts& counts, bool expects_excluded) {
    if (counts.forbidden > 0)
        return Verdict::fail;
    if (counts.overlaps > 0 || (expects_excluded && counts.excluded > 0))
        return Verdict::pass;
    return Verdict::miss;
}

const Tally* VariantReport::forbidden() const {
    for (const auto& [words, tally] : histogram)
        if (!tally.allowed)
            return &tally;
    return nullptr;
}

std::uint64_t seed_of_run(std::uint64_t base, unsigned number) {
    return number == 1 ? base : mix(base + mix(number));
}

VariantReport run_variant(const Scenario& scenario, const Variant& variant, const Control* control,
                          const Options& options) {
    return VariantRunner(scenario, variant, control, options).run();
}

void judge_scenario(ScenarioReport& report) {
    // PASS with some variants skipped is a PASS of what this kernel has.
    Verdict worst = Verdict::skip;
    for (const VariantReport& variant : report.variants) {
        const Verdict now = variant.verdict;
        const bool worse = worst == Verdict::skip || (now != Verdict::skip && now > worst);
        if (worse && (now != Verdict::skip || report.why.empty())) {
            worst = now;
            report.why = variant.why.empty() ? "" : variant.variant + ": " + variant.why;
        }
    }
    report.verdict = worst;
    if (worst != Verdict::pass || report.controls.empty() || every_control_caught(report))
        return;
    if (report.verdict == Verdict::pass) {
        report.verdict = Verdict::skip;
        report.why = "no control can run here, so a pass would prove nothing: " +
                     report.controls.front().why;
    }
}

ScenarioReport run_scenario(const Scenario& scenario, const Selection& selection,
                            const Options& options,
                            const std::function<void(const VariantReport&)>& on_variant) {
    ScenarioReport report;
    report.scenario = scenario.name;
    const auto add = [&](std::vector<VariantReport>& to, VariantReport one) {
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
    if (report.verdict != Verdict::pass || !selection.controls)
        return report;
    for (const Control& control : scenario.controls)
        if (!report.interrupted && control.tried_with_others() &&
            (selection.variant.empty() || control.variant == selection.variant))
            add(report.controls, run_control(scenario, control, options));
    judge_scenario(report);
    return report;
}

} // namespace faultline
