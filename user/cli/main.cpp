// SPDX-License-Identifier: GPL-2.0
// The command line of faultline.
#include "cli/commands.hpp"
#include "cli/common.hpp"
#include "cli/manual.hpp"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <fmt/format.h>
#include <functional>

namespace faultline {

namespace {

constexpr const char* description =
    "Settles arguments about races in Linux memory management by experiment: holds tasks at "
    "exactly\n"
    "the places that an argument names, many times, and reports each outcome and how often the\n"
    "window was really open. It can crash the machine: use a virtual machine.";

// "  0  nothing failed ...", of those that this program has.
std::string exit_statuses() {
    enum class Whose { both, driver, scripts };
    std::string text = "Exit status:";
    const auto add = [&text](int number, Whose whose, std::string_view about) {
        if (whose != Whose::scripts)
            text += fmt::format("\n  {}  {}", number, about);
    };
#define FL_STATUS(name, number, whose, text) add(number, Whose::whose, text);
#include "cli/exit_statuses.def"
#undef FL_STATUS
    return text;
}

void add_module(CLI::App& command, Arguments& arguments) {
    command
        .add_option("--module", arguments.module,
                    "faultline.ko (default: beside the driver, or in ../../kmod as in the source "
                    "tree, or the installed one)")
        ->envname("FAULTLINE_MODULE")
        ->type_name("PATH");
}

void add_run_options(CLI::App& command, Arguments& arguments) {
    add_module(command, arguments);
    command
        .add_option("--file", arguments.files,
                    "a scenario file, which replaces a scenario of the same name")
        ->allow_extra_args(false)
        ->type_name("FILE");
    command.add_option("--runs", arguments.runs, "runs of each variant")
        ->check(CLI::PositiveNumber)
        ->type_name("N");
    command.add_option("--timeout", arguments.timeout, "bound of one run, in seconds")
        ->check(CLI::PositiveNumber)
        ->type_name("S")
        ->capture_default_str();
    command.add_option("--json", arguments.json, "write results as JSON lines")->type_name("FILE");
    command.add_option("--seed", arguments.seed, "the seed of the random numbers")
        ->type_name("N")
        ->capture_default_str();
    command.add_option("--control", arguments.control, "run under this control: it should FAIL")
        ->type_name("NAME");
    command
        .add_option("--caught", arguments.caught,
                    "a control that the kernel caught by a line of its log: not run again")
        ->allow_extra_args(false)
        ->type_name("SCENARIO/VARIANT+CONTROL=LINE");
    command.add_flag("--first", arguments.first,
                     "stop each variant at its first forbidden outcome");
    command.add_flag("-v,--verbose", arguments.verbose,
                     "print each variant's whole histogram and the timeline of a run");
    command
        .add_option("--color", arguments.color,
                    "colours of verdicts: always, never, or on a terminal if NO_COLOR is not set")
        ->check(CLI::IsMember({"auto", "always", "never"}))
        ->type_name("WHEN")
        ->capture_default_str();
}

void add_report_options(CLI::App& command, Arguments& arguments) {
    command.add_option("--ktap", arguments.ktap, "write results as KTAP")->type_name("FILE");
    command
        .add_option("--ktap-known", arguments.ktap_known,
                    "a known bug in KTAP: \"ok # XFAIL\", or \"ok\" alone")
        ->check(CLI::IsMember({"xfail", "ok"}))
        ->type_name("HOW")
        ->capture_default_str();
    command
        .add_option("--html", arguments.html,
                    "write a page with a drawing of one run of each outcome")
        ->type_name("FILE");
    CLI::Option* trace =
        command
            .add_option("--trace", arguments.trace,
                        "write a trace for Perfetto with one run of each variant: FILE.pftrace")
            ->type_name("FILE");
    command
        .add_flag("--functions", arguments.functions,
                  "in the trace: the functions of the kernel that the actors call, too. All runs "
                  "are slower")
        ->needs(trace);
    command
        .add_option(
            "--emit", arguments.emit,
            "columns: print the order of a run as columns of CPUs; c: write a C program and a "
            "patch that widens the window; repro: write repro.sh. c and repro run nothing")
        ->check(CLI::IsMember({"columns", "c", "repro"}))
        ->type_name("FORM");
    command.add_option("--out", arguments.out, "the folder for the files of --emit (default: .)")
        ->type_name("DIR");
    command
        .add_option("--source", arguments.source,
                    "the source of the kernel for the patch of --emit c")
        ->type_name("DIR");
    command
        .add_option("--progress", arguments.progress, "write the progress, at most a line a second")
        ->type_name("FILE");
    command
        .add_option("--mark", arguments.mark,
                    "write each run before it begins: the last line survives a crash")
        ->type_name("FILE");
}

void add_explore_options(CLI::App& command, Arguments& arguments) {
    add_module(command, arguments);
    command.add_option(
        "NAME", arguments.names,
        "two or three operations of scenarios/explore.toml, or one scenario/variant[+control], "
        "without its schedule (default: all pairs of operations)");
    command
        .add_option("--setup", arguments.setup,
                    "the setup of the operations (default: each that they have)")
        ->type_name("NAME");
    command.add_option("--table", arguments.table, "instead of scenarios/explore.toml")
        ->type_name("FILE");
    command
        .add_option("--stops", arguments.stops, "places where each actor is held, at most; 0: all")
        ->type_name("N")
        ->capture_default_str();
    command
        .add_option("--call-depth", arguments.call_depth,
                    "the depth of the calls that count; 0: any")
        ->type_name("N")
        ->capture_default_str();
    command
        .add_option(
            "--parts", arguments.parts,
            "parts of the kernel whose functions and callees are places: mm, fs (default: both)")
        ->type_name("PART");
    command
        .add_option("--patch", arguments.patch,
                    "a diff, or a list of functions: places that come before all others")
        ->type_name("FILE");
    command.add_option("--seed", arguments.seed, "the seed of the random numbers")
        ->type_name("N")
        ->capture_default_str();
    command
        .add_option("--file", arguments.files,
                    "a scenario file, which replaces a scenario of the same name")
        ->allow_extra_args(false)
        ->type_name("FILE");
}

// A subcommand and what it does.
struct Command {
    CLI::App* app;
    std::function<int()> act;
};

// explore and trace.
std::pair<CLI::App*, CLI::App*> add_explore_commands(CLI::App& app, Arguments& arguments) {
    CLI::App* explore = app.add_subcommand(
        "explore", "tries every order of two operations, judged by their serial runs");
    add_explore_options(*explore, arguments);
    explore->add_option("--budget", arguments.budget, "seconds, for all of it")
        ->check(CLI::PositiveNumber)
        ->type_name("S")
        ->capture_default_str();
    explore
        ->add_option("--depth", arguments.depth,
                     "depth of the random orders (PCT) after all orders with two preemptions")
        ->check(CLI::Range(2, 8))
        ->type_name("N")
        ->capture_default_str();
    explore->add_flag("--first", arguments.first, "stop at the first difference");
    explore
        ->add_option("--forbid", arguments.forbid,
                     "results that are wrong in any order, \"seen=hole event=no\"; may be repeated")
        ->allow_extra_args(false)
        ->type_name("PATTERN");
    explore
        ->add_option("--file-of", arguments.file_of,
                     "run nothing: print the scenario file of this order, a replay line")
        ->type_name("SCHEDULE");
    explore->add_flag("--list", arguments.list,
                      "run nothing: print the names of the tasks, or the wrong word");
    explore->add_flag(
        "--controls", arguments.controls,
        "the controls of these scenarios (default: of all), each until it produces its outcome");
    explore
        ->add_option("--replays", arguments.replays,
                     "replays of each difference, which give its rate")
        ->type_name("N")
        ->capture_default_str();
    explore->add_option("--journal", arguments.journal, "write each order as a JSON line")
        ->type_name("FILE");
    explore->add_option("--resume", arguments.resume, "a journal: its orders are not run again")
        ->type_name("FILE");
    explore->add_option("--progress", arguments.progress, "write the progress")->type_name("FILE");
    explore->add_option("--mark", arguments.mark, "write each run before it begins")
        ->type_name("FILE");
    CLI::App* trace = app.add_subcommand(
        "trace", "the functions that operations call, ranked as places for holds");
    add_explore_options(*trace, arguments);
    return {explore, trace};
}

CLI::App* add_list_command(CLI::App& app, Arguments& arguments) {
    CLI::App* list = app.add_subcommand("list", "the scenarios");
    list->add_option("NAME", arguments.names,
                     "scenario, scenario/variant, family or FILE.flt (default: all)");
    list->add_option("--file", arguments.files, "a scenario file, which NAME can have")
        ->allow_extra_args(false)
        ->type_name("FILE");
    list->add_flag("-v,--verbose", arguments.verbose,
                   "claims, sources, variants, schedules, controls");
    list->add_flag("--json", arguments.list_json, "as JSON, a line each");
    list->add_flag("--names", arguments.list_names, "names alone, a line each");
    return list;
}

CLI::App* add_run_command(CLI::App& app, Arguments& arguments) {
    CLI::App* run = app.add_subcommand("run", "run scenarios and judge them");
    run->add_option("NAME", arguments.names,
                    "scenario, scenario/variant, scenario+control, family, or a file: FILE.flt, "
                    "FILE.flt/variant, FILE.flt+control (default: all)");
    run->add_option("--variant", arguments.variant, "only this variant")->type_name("NAME");
    run->add_flag("--no-controls", arguments.no_controls, "do not try the controls after a PASS");
    run->add_flag("--fastest", arguments.fastest,
                  "one variant of each scenario: the cheapest that has a control");
    add_run_options(*run, arguments);
    run->add_option("--budget", arguments.time,
                    "seconds, split over all variants and controls: each gets as many runs as fit")
        ->check(CLI::PositiveNumber)
        ->type_name("S");
    add_report_options(*run, arguments);
    return run;
}

std::vector<Command> add_commands(CLI::App& app, Arguments& arguments) {
    CLI::App* list = add_list_command(app, arguments);
    CLI::App* run = add_run_command(app, arguments);
    CLI::App* check = app.add_subcommand("check", "checks a scenario file; needs no root");
    check->add_option("FILE", arguments.names, "scenario files")->required();
    check
        ->add_option("--symbols", arguments.symbols,
                     "check which sites this kernel has, by its System.map or /proc/kallsyms; may "
                     "be repeated")
        ->allow_extra_args(false)
        ->type_name("VERSION[/MACHINE]=PATH");
    CLI::App* fresh = app.add_subcommand("new", "prints a scenario file to begin with");
    fresh->add_option("NAME", arguments.names, "its name")->expected(0, 1);
    CLI::App* ops = app.add_subcommand("ops", "the operations of scenario files");
    ops->add_option("OPERATION", arguments.names, "its name (default: all)");

    CLI::App* replay = app.add_subcommand("replay", "run exactly one schedule");
    replay
        ->add_option("SCHEDULE", arguments.schedule,
                     "'scenario/variant seed=N: site -> site; ...', as run prints it")
        ->required();
    add_run_options(*replay, arguments);
    add_report_options(*replay, arguments);

    CLI::App* bench = app.add_subcommand(
        "bench", "runs until a hazard is seen, scheduled and free-running; the module's cost");
    bench->add_option("NAME", arguments.names, "scenario (default: all)");
    add_run_options(*bench, arguments);

    const auto [explore, trace] = add_explore_commands(app, arguments);

    CLI::App* models = app.add_subcommand("models", "the designs for pte_free_defer(), and of two "
                                                    "arguments about locks, in every interleaving; "
                                                    "needs no root");
    models->add_flag("-v,--verbose", arguments.verbose, "a counterexample of each slip, too");

    CLI::App* vmemmap = app.add_subcommand(
        "vmemmap", "the page frames of huge pages' struct pages, plain and optimized (HVO)");
    add_module(*vmemmap, arguments);
    vmemmap->add_option("--html", arguments.html, "write a page with a picture")->type_name("FILE");

    CLI::App* capabilities = app.add_subcommand(
        "capabilities", "the capabilities of the module in this kernel, with reasons");
    add_module(*capabilities, arguments);
    CLI::App* sites = app.add_subcommand("sites", "the named sites and their functions here");
    add_module(*sites, arguments);
    CLI::App* version = app.add_subcommand("version", "the driver's version");
    add_manual_commands(app, arguments);
    const auto act_on = [&app, &arguments](auto* act) {
        return [&app, &arguments, act] { return act(app, arguments); };
    };

    return {
        {list, [&] { return list_command(arguments); }},
        {run, [&] { return run_command(arguments); }},
        {check, [&] { return check_command(arguments); }},
        {fresh, [&] { return new_command(arguments); }},
        {ops, [&] { return ops_command(arguments); }},
        {replay, [&] { return replay_command(arguments); }},
        {bench, [&] { return bench_command(arguments); }},
        {explore, [&] { return explore_command(arguments); }},
        {trace, [&] { return trace_command(arguments); }},
        {models, [&] { return models_command(arguments); }},
        {vmemmap, [&] { return vmemmap_command(arguments); }},
        {capabilities, [&] { return show_file_command(arguments, "capabilities"); }},
        {sites, [&] { return show_file_command(arguments, "sites"); }},
        {version,
         [] {
             fmt::print("faultline {}\n", FAULTLINE_VERSION);
             return status_good;
         }},
        {app.get_subcommand("man"), act_on(man_command)},
        {app.get_subcommand("completion"), act_on(completion_command)},
        {app.get_subcommand("help"), act_on(help_command)},
    };
}

} // namespace

} // namespace faultline

int main(int argc, char** argv) {
    // Somebody may watch through a pipe, and the machine may crash in the next run.
    std::setvbuf(stdout, nullptr, _IOLBF, 0);
    CLI::App app(faultline::description, "faultline");
    app.footer(faultline::exit_statuses());
    app.require_subcommand(1);
    app.fallthrough(false);
    faultline::Arguments arguments;
    const std::vector<faultline::Command> commands = faultline::add_commands(app, arguments);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? faultline::status_good : faultline::status_usage;
    }
    for (const faultline::Command& command : commands)
        if (command.app->parsed())
            return command.act();
    return faultline::status_usage;
}
