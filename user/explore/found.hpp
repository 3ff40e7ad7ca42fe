// SPDX-License-Identifier: GPL-2.0
// A difference that explore found, as a scenario file that can be mailed: the order that shows it,
// the serial orders beside it, and the values that no serial order gives.
#ifndef FAULTLINE_EXPLORE_FOUND_HPP
#define FAULTLINE_EXPLORE_FOUND_HPP

#include "explore/explorer.hpp"
#include "language/file.hpp"

#include <string>

namespace faultline {

// `from`: the file of the scenario that was explored; `variant` and `control`: which of it. The
// actors get the sites begin and end. `name`: of the scenario that is made.
ScenarioFile found_file(const ScenarioFile& from, std::string_view variant,
                        std::string_view control, const std::string& name,
                        const Deviation& deviation);

} // namespace faultline

#endif // FAULTLINE_EXPLORE_FOUND_HPP
