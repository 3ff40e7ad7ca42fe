// SPDX-License-Identifier: GPL-2.0
// The setups and operations that explore tries against each other: scenarios/explore.toml. A pair
// of operations on a setup becomes the text of a scenario file, so that what explore runs can be
// mailed.
#ifndef FAULTLINE_EXPLORE_TABLE_HPP
#define FAULTLINE_EXPLORE_TABLE_HPP

#include "explore/oracle.hpp"
#include "language/file.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace faultline {

struct SetupRow {
    std::string name;
    std::string about;
    std::string prepare;      // steps, once
    std::string steps;        // before each run
    std::string judge = {};   // steps after each run
    std::string outcome = {}; // their results, which are compared
    std::vector<std::string> needs;
};

// In its texts {me} stands for the name of the actor that does it: "collapse", "collapse_2".
struct OperationRow {
    std::string name;
    std::string about;
    std::string setup; // steps behind those of the setup
    std::string steps; // of the actor
    std::vector<std::string> setups;
    std::vector<std::string> needs;
    std::vector<Relaxation> relaxations = {}; // their actor is empty
};

struct ExploreTable {
    std::vector<SetupRow> setups;
    std::vector<OperationRow> operations;
    std::vector<Relaxation> relaxations = {}; // of all of them
    [[nodiscard]] const SetupRow* setup(std::string_view name) const;
    [[nodiscard]] const OperationRow* operation(std::string_view name) const;
};

struct ReadTable {
    ExploreTable table;
    Complaints complaints;
};
ReadTable read_table(const std::string& text);

// One thing to explore.
struct Topic {
    std::string setup;
    std::vector<std::string> operations;    // two or three; one may stand twice
    [[nodiscard]] std::string name() const; // "shmem: collapse ftruncate"
};
// All pairs that a setup has, most promising first: the operations that stand first in the table
// with each other, then the next one with each of these, and so on; last each with itself. One pair
// of each setup in turn.
std::vector<Topic> all_topics(const ExploreTable& table);

// The topic whose scenario has that name, "shmem-collapse-ftruncate"; nothing: none has.
std::optional<Topic> topic_named(const ExploreTable& table, std::string_view name);

// The names of the actors of a topic.
std::vector<std::string> actors_of(const Topic& topic);
// The scenario file of a topic. Its variants: "all", and one for each actor without that,
// "without-NAME". ENOENT: the table has no such setup or operation; EINVAL: the operation does not
// go with the setup.
Result<std::string> scenario_text(const ExploreTable& table, const Topic& topic);
// With the actors' names in them.
std::vector<Relaxation> relaxations_of(const ExploreTable& table, const Topic& topic);

} // namespace faultline

#endif // FAULTLINE_EXPLORE_TABLE_HPP
