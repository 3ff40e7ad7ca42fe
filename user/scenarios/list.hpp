// SPDX-License-Identifier: GPL-2.0
// The scenarios whose oracle is a model, and hvo-stale: as a file it hardly ever had hugetlb take
// its block (6.12: 5 of 113 runs), and why is not known. All others are files in scenarios/.
#ifndef FAULTLINE_SCENARIOS_LIST_HPP
#define FAULTLINE_SCENARIOS_LIST_HPP

#include "engine/scenario.hpp"

#include <vector>

namespace faultline {

const std::vector<const Scenario*>& all_scenarios();

// One a file.
const Scenario& hvo_layout();
const Scenario& hvo_cycle();
const Scenario& hvo_stale();
const Scenario& hugetlb_sharing();
const Scenario& mthp_orders();
const Scenario& mthp_creep();

} // namespace faultline

#endif // FAULTLINE_SCENARIOS_LIST_HPP
