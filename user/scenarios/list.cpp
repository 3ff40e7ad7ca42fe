// SPDX-License-Identifier: GPL-2.0
// To add a scenario: write its file, declare its function in list.hpp and list it.
#include "scenarios/list.hpp"

namespace faultline {

const std::vector<const Scenario*>& all_scenarios() {
    static const std::vector<const Scenario*> list = {
        &hvo_layout(), &hvo_cycle(), &hugetlb_sharing(), &mthp_orders(), &mthp_creep(),
    };
    return list;
}

} // namespace faultline
