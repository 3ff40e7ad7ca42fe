// SPDX-License-Identifier: GPL-2.0
// The subcommands. Each returns the exit status.
#ifndef FAULTLINE_CLI_COMMANDS_HPP
#define FAULTLINE_CLI_COMMANDS_HPP

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace faultline {

enum Status : int {
#define FL_STATUS(name, number, whose, text) status_##name = (number),
#include "cli/exit_statuses.def"
#undef FL_STATUS
};

struct Arguments {
    std::vector<std::string> names;   // scenario or scenario/variant; none = all
    std::vector<std::string> files;   // of scenarios that come before others of their names
    std::vector<std::string> symbols; // of check: VERSION[/MACHINE]=PATH of a System.map
    std::string schedule;             // of replay
    std::string variant;
    std::string control;
    bool no_controls = false;
    std::vector<std::string> caught; // of run: controls that the kernel caught by itself, NAME=LINE
    bool fastest = false;            // of each scenario one variant
    std::optional<unsigned> runs;
    std::uint64_t seed = 1;
    double timeout = 30;
    unsigned time = 0; // of run: seconds for all variants together; 0: as many runs as `runs` says
    std::string json;
    std::string ktap;
    std::string progress;
    std::string mark;
    std::string html;
    std::string ktap_known = "xfail";
    std::string color = "auto";
    std::string trace;
    std::string emit;   // of run and replay: columns, c, repro
    std::string out;    // ...: the folder for its files
    std::string source; // ...: of a kernel
    std::string module;
    bool verbose = false;
    bool first = false;
    bool functions = false;          // of --trace: calls of the kernel's functions, too
    bool controls = false;           // of explore: their hazards
    unsigned replays = 200;          // ...
    std::vector<std::string> forbid; // ...: patterns of results
    std::string file_of;             // ...: print the scenario file of this order
    bool list = false;               // ...: print what would be explored
    bool list_json = false;
    bool list_names = false;
    std::string into; // of man: a folder
    // of explore and trace
    std::string setup;
    unsigned budget = 300;
    unsigned stops = 80;
    unsigned depth = 4;
    unsigned call_depth = 0;
    std::string patch;
    std::string journal;
    std::string resume;
    std::string table;
    std::vector<std::string> parts;
};

int list_command(const Arguments& arguments);
int run_command(const Arguments& arguments);
int replay_command(const Arguments& arguments);
int bench_command(const Arguments& arguments);
int explore_command(const Arguments& arguments);
int trace_command(const Arguments& arguments);
int models_command(const Arguments& arguments);
int vmemmap_command(const Arguments& arguments);
int check_command(const Arguments& arguments);
int new_command(const Arguments& arguments);
int ops_command(const Arguments& arguments);
int show_file_command(const Arguments& arguments, const std::string& file);

} // namespace faultline

#endif // FAULTLINE_CLI_COMMANDS_HPP
