// SPDX-License-Identifier: GPL-2.0
// faultline run and faultline replay.
#include "calls_abi.h"
#include "cli/common.hpp"
#include "cli/emit.hpp"
#include "engine/stop.hpp"
#include "report/html.hpp"
#include "report/human.hpp"
#include "report/json.hpp"
#include "report/ktap.hpp"
#include "report/perfetto.hpp"

#include <cerrno>
#include <fmt/format.h>
#include <malloc.h>
#include <memory>

namespace faultline {

namespace {

Options options_of(const Arguments& arguments, ProgressLine& progress) {
    Options options;
    options.runs = arguments.runs.value_or(options.runs);
    options.seed = arguments.seed;
    options.stop_at_forbidden = arguments.first;
    for (const std::string& one : arguments.caught) {
        const std::size_t equals = one.find('=');
        options.caught.emplace(one.substr(0, equals), one.substr(equals + 1));
    }
    options.rig.timeout = std::chrono::milliseconds(static_cast<long>(arguments.timeout * 1000));
    options.progress = [&progress](const Progress& now) { progress.show(now); };
    return options;
}

// For --functions: the calls of a run's actors, from <debugfs>/faultline/calls.
class CalledFunctions {
  public:
    static Result<std::unique_ptr<CalledFunctions>> open() {
        Result<FunctionTrace> trace = FunctionTrace::open();
        if (!trace)
            return trace.error();
        Result<RunningSymbols> symbols = RunningSymbols::read();
        if (!symbols)
            return symbols.error();
        return std::unique_ptr<CalledFunctions>(
            new CalledFunctions(std::move(*trace), std::move(*symbols)));
    }
    void trace(Options& options) {
        // A State finds page tables that nothing but the heap's growth explains: the calls that are
        // kept must be in the heap, not in mappings of their own.
        (void)::mallopt(M_MMAP_MAX, 0);
        options.rig.staged = [this](std::vector<pid_t> tasks) {
            tasks.resize(std::min<std::size_t>(tasks.size(), FL_MAX_CALL_TASKS));
            return trace_.start(tasks);
        };
        options.calls = [this]() -> Result<ActorCalls> {
            Result<ActorCalls> calls = trace_.stop();
            if (calls && trace_.lost())
                return Error::make(EOVERFLOW, "more calls than the module has room for", "calls");
            return calls;
        };
    }
    [[nodiscard]] const RunningSymbols& symbols() const { return symbols_; }

  private:
    CalledFunctions(FunctionTrace trace, RunningSymbols symbols)
        : trace_(std::move(trace)), symbols_(std::move(symbols)) {}
    FunctionTrace trace_;
    RunningSymbols symbols_;
};

// All outputs of one invocation.
class Output {
  public:
    static Result<Output> open(const Arguments& arguments) {
        Result<Sink> json = Sink::open(arguments.json);
        if (!json)
            return json.error();
        Result<Sink> ktap = Sink::open(arguments.ktap);
        if (!ktap)
            return ktap.error();
        Result<Sink> html = Sink::open(arguments.html);
        if (!html)
            return html.error();
        Result<Sink> mark = Sink::open(arguments.mark);
        if (!mark)
            return mark.error();
        Result<Sink> trace = Sink::open(arguments.trace);
        if (!trace)
            return trace.error();
        Output output;
        output.trace_ = std::move(*trace);
        if (arguments.functions) {
            Result<std::unique_ptr<CalledFunctions>> functions = CalledFunctions::open();
            if (!functions)
                return functions.error();
            output.functions_ = std::move(*functions);
        }
        output.columns_ = arguments.emit == "columns";
        output.mark_ = std::move(*mark);
        output.html_ = std::move(*html);
        output.json_ = std::move(*json);
        output.ktap_ = std::move(*ktap);
        output.verbose_ = arguments.verbose;
        output.colour_ = colour_of_stdout(arguments.color);
        output.known_as_ = arguments.ktap_known == "ok" ? KnownAs::ok : KnownAs::xfail;
        return output;
    }

    void begin(const std::vector<std::string>& names) {
        const System system = this_system();
        html_.put(html_begin());
        record(json_begin(system, names));
        ktap_.put(ktap_begin(system, static_cast<unsigned>(names.size())));
    }
    void trace(Options& options) {
        if (functions_)
            functions_->trace(options);
    }
    // The last lines there name the run that was under way when the machine died.
    void start(const Start& now) { mark_.put(json_start(now)); }
    void run(unsigned number, std::uint64_t seed) { mark_.put(json_run(number, seed)); }
    void variant(const VariantReport& report) {
        record(json_variant(report));
        if (verbose_)
            fmt::print("{}", human_variant(report, colour_));
        trace_.put(
            perfetto_variant(report, ++variants_, functions_ ? &functions_->symbols() : nullptr));
        if (columns_)
            fmt::print("\n{}\n", columns_of(report));
    }
    void scenario(const ScenarioReport& report) {
        record(json_scenario(report));
        ktap_.put(ktap_scenario(++number_, report, known_as_));
        fmt::print("{}", human_scenario(report, colour_));
        summary_.add(report);
    }
    int end() {
        record(json_end(summary_));
        ktap_.put(ktap_end(summary_));
        html_.put(html_end());
        fmt::print("{}", human_summary(summary_));
        return summary_.good() && stop_signal() == 0 ? status_good : status_failed;
    }

  private:
    void record(const std::string& line) {
        json_.put(line);
        html_.put(html_record(line));
    }

    Sink json_;
    Sink ktap_;
    Sink html_;
    Sink mark_;
    Sink trace_;
    std::unique_ptr<CalledFunctions> functions_; // null without --functions
    bool columns_ = false;
    unsigned variants_ = 0;
    Summary summary_;
    unsigned number_ = 0;
    bool verbose_ = false;
    Colour colour_ = Colour::none;
    KnownAs known_as_ = KnownAs::xfail;
};

// Variants and controls that are tried.
unsigned parts_of(const Chosen& chosen) {
    const Selection& selection = chosen.selection;
    if (!selection.control.empty())
        return 1;
    const auto& [variants, controls] =
        std::tie(chosen.scenario->variants, chosen.scenario->controls);
    const auto tried = std::count_if(variants.begin(), variants.end(), [&](const Variant& one) {
        return selection.variant.empty() ? !one.by_name_only : one.name == selection.variant;
    });
    const auto caught = std::count_if(controls.begin(), controls.end(), [&](const Control& one) {
        return selection.controls && one.tried_with_others() &&
               (selection.variant.empty() || one.variant == selection.variant);
    });
    return static_cast<unsigned>(tried + caught);
}

// Splits a time over scenarios: what one leaves is the others'.
class Budget {
  public:
    Budget(unsigned seconds, const std::vector<Chosen>& all)
        : end_(Clock::now() + std::chrono::seconds(seconds)), seconds_(seconds) {
        for (const Chosen& chosen : all)
            parts_ += parts_of(chosen);
        if (seconds_ != 0 && parts_ != 0)
            fmt::print("{} s for {} variants and controls: about {:.1f} s each (BUDGET=, RUNS=)\n",
                       seconds_, parts_, static_cast<double>(seconds_) / parts_);
    }
    // The time for each part of this scenario, which comes next. Nothing: no budget was given.
    std::optional<std::chrono::duration<double>> share_of(const Chosen& next) {
        if (seconds_ == 0)
            return std::nullopt;
        const std::chrono::duration<double> left = end_ - Clock::now();
        const auto share = left / std::max(parts_, 1U);
        parts_ -= std::min(parts_, parts_of(next));
        return std::max(share, std::chrono::duration<double>(0));
    }

  private:
    using Clock = std::chrono::steady_clock;
    Clock::time_point end_;
    unsigned seconds_;
    unsigned parts_ = 0;
};

int run_all(const std::vector<Chosen>& all, Options options, Output& output, ProgressLine& progress,
            unsigned seconds = 0) {
    std::vector<std::string> names;
    names.reserve(all.size());
    for (const Chosen& chosen : all)
        names.push_back(chosen.name());
    output.begin(names);
    output.trace(options);
    options.on_start = [&output](const Start& now) { output.start(now); };
    options.on_run = [&output](unsigned number, std::uint64_t seed) { output.run(number, seed); };
    Budget budget(seconds, all);
    for (const Chosen& chosen : all) {
        options.share = budget.share_of(chosen);
        const auto on_variant = [&](const VariantReport& report) {
            progress.clear();
            output.variant(report);
        };
        output.scenario(run_scenario(*chosen.scenario, chosen.selection, options, on_variant));
        if (stop_signal() != 0)
            break;
    }
    return output.end();
}

} // namespace

int run_command(const Arguments& arguments) {
    const Result<std::vector<Chosen>> all = choose(arguments);
    if (!all)
        return cannot(all.error().to_string());
    if (emits_files(arguments))
        return emit_files(arguments, *all, nullptr);
    const Result<Module> module = prepare_machine(arguments);
    if (!module)
        return cannot(module.error().to_string());
    Result<Output> output = Output::open(arguments);
    if (!output)
        return cannot(output.error().to_string());
    Result<ProgressLine> progress = ProgressLine::open(arguments.progress);
    if (!progress)
        return cannot(progress.error().to_string());
    Options options = options_of(arguments, *progress);
    if (!arguments.control.empty() && !arguments.runs)
        options.runs = control_runs;
    return run_all(*all, options, *output, *progress, arguments.time);
}

int replay_command(const Arguments& arguments) {
    Result<Schedule> schedule = parse_schedule(arguments.schedule);
    if (!schedule)
        return cannot(schedule.error().to_string());
    Arguments chosen = arguments;
    chosen.names = {schedule->scenario + "/" + schedule->variant};
    chosen.no_controls = true;
    if (find_scenario(schedule->scenario) == nullptr)
        if (const Result<bool> loaded = load_topic(arguments, schedule->scenario); !loaded)
            return cannot(loaded.error().to_string());
    const Result<std::vector<Chosen>> all = choose(chosen);
    if (!all)
        return cannot(all.error().to_string());
    if (emits_files(arguments))
        return emit_files(arguments, *all, &schedule->edges);
    const Result<Module> module = prepare_machine(arguments);
    if (!module)
        return cannot(module.error().to_string());
    chosen.verbose = true;
    Result<Output> output = Output::open(chosen);
    if (!output)
        return cannot(output.error().to_string());
    Result<ProgressLine> progress = ProgressLine::open(arguments.progress);
    if (!progress)
        return cannot(progress.error().to_string());
    Options options = options_of(arguments, *progress);
    options.runs = arguments.runs.value_or(1);
    options.seed = schedule->seed.value_or(arguments.seed);
    options.same_seed = schedule->seed.has_value();
    options.edges = std::move(schedule->edges);
    options.give_up = false;
    return run_all(*all, options, *output, *progress);
}

} // namespace faultline
