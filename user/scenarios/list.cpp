// SPDX-License-Identifier: GPL-2.0
// To add a scenario: write its file, declare its function here and list it.
#include "scenarios/list.hpp"

namespace faultline {

// const Scenario& collapse_contract(); // collapse_contract.cpp

const std::vector<const Scenario*>& all_scenarios() {
    static const std::vector<const Scenario*> list = {
        // &collapse_contract(),
    };
    return list;
}

} // namespace faultline
