// SPDX-License-Identifier: GPL-2.0
// The scenarios that a scenario file cannot be, as a model is their oracle. All others are files in
// scenarios/.
#ifndef FAULTLINE_SCENARIOS_LIST_HPP
#define FAULTLINE_SCENARIOS_LIST_HPP

#include "engine/scenario.hpp"

#include <vector>

namespace faultline {

const std::vector<const Scenario*>& all_scenarios();

// One a file.
const Scenario& hvo_layout();
const Scenario& hvo_cycle();
const Scenario& hugetlb_sharing();
const Scenario& mthp_orders();
const Scenario& mthp_creep();

} // namespace faultline

#endif // FAULTLINE_SCENARIOS_LIST_HPP
