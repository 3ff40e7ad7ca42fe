// SPDX-License-Identifier: GPL-2.0
// A scenario as a file has it: TOML, every text with its position. Nothing is checked but that keys
// and types are known; language/plan.hpp checks what they say.
#ifndef FAULTLINE_LANGUAGE_FILE_HPP
#define FAULTLINE_LANGUAGE_FILE_HPP

#include "engine/scenario.hpp"
#include "language/steps.hpp"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace faultline {

inline constexpr std::int64_t language_version = 1;

struct FileActor {
    Text name;
    Actor::Kind kind = Actor::Kind::thread;
    Text kind_of; // "{parameter}": each variant says the kind
    int cpu = 0;
    bool may_die = false;
    Text steps;
    friend bool operator==(const FileActor&, const FileActor&) = default;
};

struct FileExpected {
    Text words;
    Text releases;
    friend bool operator==(const FileExpected&, const FileExpected&) = default;
};

struct FileBug {
    Text name;
    Text words;
    Text releases;
    Text fix;
    Text machines;
    Text log_line;
    Text log_trace;
    bool rare = false;
    friend bool operator==(const FileBug&, const FileBug&) = default;
};

struct FileVariant {
    Text name;
    Text about;
    Text schedule;
    std::vector<FileExpected> expected;
    std::vector<Text> excluded_by;
    Text excluded_in;
    Text or_overlap;
    std::vector<Text> known; // names of bugs
    std::vector<Text> needs;
    Text situation;
    bool forced = true;
    bool by_name_only = false;
    unsigned divisor = 1;
    std::optional<Chance> chance;
    std::map<std::string, Text> parameters; // of [let], with this variant's values
    friend bool operator==(const FileVariant&, const FileVariant&) = default;
};

struct FileAction {
    fl_control_kind kind = FL_CONTROL_SKIP;
    Text function;
    Text actor;
    Text caller;
    Text replacement;
    std::int64_t value = 0;
    unsigned every = 1;
    bool optional = false;
    Position at;
    friend bool operator==(const FileAction& a, const FileAction& b) {
        return a.kind == b.kind && a.function == b.function && a.actor == b.actor &&
               a.caller == b.caller && a.replacement == b.replacement && a.value == b.value &&
               a.every == b.every && a.optional == b.optional;
    }
};

struct FileControl {
    Text name;
    Text about;
    Text variant;
    Text produces;
    Text releases;
    Control::Kind kind = Control::Kind::hazard;
    std::vector<Text> needs;
    std::vector<FileAction> actions;
    bool complains = false;
    Text caught_by;
    bool by_name_only = false;
    friend bool operator==(const FileControl&, const FileControl&) = default;
};

struct FileForbid {
    Text when;
    Text why;
    friend bool operator==(const FileForbid&, const FileForbid&) = default;
};

// A number found out beside the verdict: the sum of a result over all runs.
struct FileMeasure {
    Text name; // of the result
    Text text; // what it counts: "acts awake"
    Text of;   // another result, of which it is a part
    friend bool operator==(const FileMeasure&, const FileMeasure&) = default;
};

struct ScenarioFile {
    std::string path;
    Text name;
    Text family;
    Text claim;
    Text source;
    Text races;
    Text bad;
    std::vector<Text> needs;
    Text prepare;
    Text setup;
    Text judge;
    Text outcome;                                // names of results, in order
    std::int64_t draws = 0;                      // the seed of all runs; 0: each has its own
    Text corrupts;                               // the page whose first byte a control flips
    std::vector<FileExpected> no_hazard_control; // why (words) and in which releases
    std::vector<FileActor> actors;
    std::vector<FileBug> bugs;
    std::vector<FileVariant> variants;
    std::vector<FileControl> controls;
    std::vector<FileForbid> forbid;
    std::vector<FileMeasure> measures;
    // By what they say, not by where.
    friend bool operator==(const ScenarioFile&, const ScenarioFile&) = default;
};

using Complaints = std::vector<Complaint>;
// "path:3:14: text" lines
std::string to_string(const std::string& path, const Complaints& complaints);

// The readable part, and the errors.
struct ReadFile {
    ScenarioFile file;
    Complaints complaints;
};
ReadFile read_scenario(const std::string& text, const std::string& path);

// As a text that reads back as the same file. Comments of the TOML are lost, those of steps are
// not.
std::string print(const ScenarioFile& file);

} // namespace faultline

#endif // FAULTLINE_LANGUAGE_FILE_HPP
