// SPDX-License-Identifier: GPL-2.0
// Shared by several subcommands: preparing the machine, result files, choosing by name.
#ifndef FAULTLINE_CLI_COMMON_HPP
#define FAULTLINE_CLI_COMMON_HPP

#include "cli/commands.hpp"
#include "engine/runner.hpp"
#include "explore/explorer.hpp"
#include "kernel/fd.hpp"
#include "kernel/module.hpp"
#include "report/human.hpp"
#include "report/summary.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace faultline {

// Prints "faultline: ..." and returns status_usage.
int cannot(std::string_view why);

// `when` is the value of --color: "auto" is a terminal that is not dumb, unless NO_COLOR is set
// (no-color.org).
Colour colour_of_stdout(std::string_view when);

// Root, the guardian and the answers to signals: before any thread or file.
Result<void> prepare_process();
// prepare_process(), and the module loaded.
Result<Module> prepare_machine(const Arguments& arguments);

// A result file. It may be a device that cannot seek (a virtio port): written in order, at once.
class Sink {
  public:
    static Result<Sink> open(const std::string& path); // "" gives a sink that swallows everything
    void put(std::string_view text);

  private:
    Fd file_;
    std::string path_;
    bool failed_ = false;
};

// How far a long variant is: a line that is written over on a terminal, and a line a second in a
// file, by which a machine is seen to be alive from outside.
class ProgressLine {
  public:
    static Result<ProgressLine> open(const std::string& path); // "" = on a terminal alone
    void show(const Progress& progress);
    void show(const std::string& text);
    void clear();

  private:
    explicit ProgressLine(Sink file);

    Sink file_;
    bool terminal_;
    bool shown_ = false;
    std::chrono::steady_clock::time_point shown_at_{};
    std::chrono::steady_clock::time_point written_at_{};
};

// For explore: registers the scenario of its operations with this name. False: there is none.
Result<bool> load_topic(const Arguments& arguments, const std::string& name);

struct Chosen {
    const Scenario* scenario = nullptr;
    Selection selection;
    // "scenario", "scenario/variant+control": choose() takes it back.
    [[nodiscard]] std::string name() const;
};

// The scenarios that the names, --variant and --control mean; says which does not exist.
Result<std::vector<Chosen>> choose(const Arguments& arguments);

// Those of scenarios/list.cpp and the shipped files, family by family.
const std::vector<const Scenario*>& known_scenarios();
// For "path/FILE.flt/variant+control" loads the file and returns "scenario/variant+control". Other
// names stay.
Result<std::string> load_named_file(const std::string& name);
std::vector<const Scenario*>& named_files(); // so far
bool has_hazard_control(const Scenario& scenario);
// The template of `faultline new`.
std::string new_scenario(std::string_view name);

const Scenario* find_scenario(std::string_view name);
const Variant* find_variant_of(const Scenario& scenario, std::string_view name);
const Control* find_control_of(const Scenario& scenario, std::string_view name);

System this_system();

// A table of the parts of a run's time while orders are explored; false if it cannot be done.
bool bench_explore(const Arguments& arguments, Sink& json);
// A variant of any scenario for the explorer, with what its steps say of its actors.
Subject subject_without_schedule(const Scenario& scenario, const Variant& variant,
                                 const Control* control);

} // namespace faultline

#endif // FAULTLINE_CLI_COMMON_HPP
