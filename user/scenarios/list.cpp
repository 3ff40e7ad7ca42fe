// SPDX-License-Identifier: GPL-2.0
// To add a scenario: write its file, declare its function in list.hpp and list it.
#include "scenarios/list.hpp"

namespace faultline {

const std::vector<const Scenario*>& all_scenarios() {
    static const std::vector<const Scenario*> list = {
        &collapse_register(), //
        &collapse_readers(),  //
        &collapse_errno(),    //
        &hvo_layout(),        //
        &hvo_pointer(),       //
        &hvo_cycle(),         //
        &hvo_stale(),         //
        &hugetlb_exclusion(), //
        &hugetlb_sharing(),   //
        &hugetlb_mremap_shareable(),
        &mthp_orders(),
        &mthp_creep(),
    };
    return list;
}

} // namespace faultline
