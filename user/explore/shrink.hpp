// SPDX-License-Identifier: GPL-2.0
// Takes steps away from a scenario that explore found, as long as it still shows what it showed.
#ifndef FAULTLINE_EXPLORE_SHRINK_HPP
#define FAULTLINE_EXPLORE_SHRINK_HPP

#include "language/file.hpp"

#include <functional>
#include <string>
#include <vector>

namespace faultline {

// The steps of a text, each with its separator in front: "a; b\nc" has three. Blocks ("repeat 3",
// "end") are several; blank lines are none.
std::vector<std::string> steps_of(const std::string& text);

struct ShrunkSteps {
    ScenarioFile file;
    unsigned steps = 0; // of the file that was given; without the sites
    unsigned kept = 0;
};
// Removes steps of prepare, setup and the actors, the last first: only later steps can use the
// result of a step. `shows`: does the file still show it? It is asked only about files that can be
// loaded; false ends nothing.
ShrunkSteps shrink_steps(const ScenarioFile& file,
                         const std::function<bool(const ScenarioFile&)>& shows);

// Does the variant "found" of the file still end as its `forbid` (or its control) says, at least
// `least` times of `tries`, and no serial one ever? Runs them.
bool still_found(const ScenarioFile& file, unsigned least, unsigned tries);

} // namespace faultline

#endif // FAULTLINE_EXPLORE_SHRINK_HPP
