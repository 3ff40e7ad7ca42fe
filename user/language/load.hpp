// SPDX-License-Identifier: GPL-2.0
// Files as scenarios of the engine. A loaded file lives as long as the program.
#ifndef FAULTLINE_LANGUAGE_LOAD_HPP
#define FAULTLINE_LANGUAGE_LOAD_HPP

#include "engine/scenario.hpp"
#include "language/file.hpp"

#include <map>
#include <set>
#include <string>
#include <vector>

namespace faultline {

struct LoadedFile {
    const Scenario* scenario = nullptr; // null: see complaints
    const ScenarioFile* file = nullptr; // what it was read from
    Complaints complaints;
    // Sites of the kernel that the schedules name, "collapse_file/unmapped".
    std::vector<std::string> kernel_sites;
};
// `path` is for messages.
LoadedFile load_scenario(const std::string& text, const std::string& path);

// The actors of a variant, by their steps, without its schedule.
struct Roles {
    // They cannot go alone, or have nothing to do: they wait for another ("until NAME",
    // "until=NAME", "wait_for(NAME)", "meet(GATE)"), or have no steps.
    std::set<std::string> helpers;
    // By actor: its sites ("at NAME", "pte_read(.., at=NAME)"), as it comes to them; none of a loop
    // or a branch.
    std::map<std::string, std::vector<std::string>> sites;
    // Functions at which judge asks when an actor was there: "collapser@enter:FUNCTION".
    std::vector<std::string> asked_about;
};
Roles roles_of(const ScenarioFile& file, std::string_view variant); // one that was loaded

// The file of a scenario that was loaded; null for one of C++.
const ScenarioFile* file_of(const Scenario& scenario);
LoadedFile load_scenario_file(const std::string& path);

// The folder of the files that come with the driver: $FAULTLINE_SCENARIOS, or beside the driver, in
// the source tree, or where it is installed. "" = there is none.
std::string shipped_folder();
// Their paths, GROUP/NAME.flt, sorted.
std::vector<std::string> shipped_files(const std::string& folder);
// Those that load; what others lack is in `complaints`, as text.
const std::vector<const Scenario*>& shipped_scenarios(std::string* complaints = nullptr);

} // namespace faultline

#endif // FAULTLINE_LANGUAGE_LOAD_HPP
