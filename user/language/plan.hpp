// SPDX-License-Identifier: GPL-2.0
// One variant of a file, checked: what the interpreter does. Parameters are in their places, every
// name is known, every call has the arguments that its operation takes.
#ifndef FAULTLINE_LANGUAGE_PLAN_HPP
#define FAULTLINE_LANGUAGE_PLAN_HPP

#include "language/file.hpp"
#include "operations/operation.hpp"

#include <optional>
#include <set>
#include <string>
#include <vector>

namespace faultline {

// The result of an actor's step, and where it is reported.
struct ActorResult {
    std::string name;
    std::size_t actor = 0;
    unsigned slot = 0;
    Type type = Type::nothing;
};
// The last slot of each actor has its task.
inline constexpr unsigned task_slot = slots_per_actor - 1;

struct Plan {
    std::string path;
    std::int64_t draws = 0; // ScenarioFile's
    std::vector<Step> prepare;
    std::vector<Step> setup;
    std::vector<Step> judge;
    std::vector<FileActor> actors;
    std::set<std::string> absent; // of these: threads of the kernel that nothing here is about
    std::vector<std::vector<Step>> steps; // of each actor
    std::vector<ActorResult> results;
    std::vector<std::string> words;   // that a slot can have, by their number
    std::vector<std::string> outcome; // names of results, of those that this variant has
    std::vector<std::vector<Term>> forbid;
    std::vector<std::string> forbid_why;
    std::vector<Term> situation;
    std::vector<FileMeasure> measures; // of those whose result this variant has
    std::optional<Expression> corrupts;
    std::set<std::string> needs; // of the operations
    std::string about;
    std::string schedule;
    std::vector<FileExpected> expected; // with the parameters in their places
    std::vector<std::string> excluded_by;
};

std::optional<std::int64_t> as_number(std::string_view text);

// "seen=hole count>3": of an outcome's words.
struct ParsedTerms {
    std::vector<Term> terms;
    std::optional<Complaint> complaint;
};
ParsedTerms parse_terms(const Text& text);
// Does the word that a result has satisfy it?
bool holds(const Term& term, std::string_view word);

// Complaints are added; with any, the plan is of no use.
Plan make_plan(const ScenarioFile& file, const FileVariant& variant, Complaints& complaints);

} // namespace faultline

#endif // FAULTLINE_LANGUAGE_PLAN_HPP
