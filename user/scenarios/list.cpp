// SPDX-License-Identifier: GPL-2.0
// To add a scenario: write its file, declare its function in list.hpp and list it.
#include "scenarios/list.hpp"

namespace faultline {

const std::vector<const Scenario*>& all_scenarios() {
    static const std::vector<const Scenario*> list = {
        &collapse_contract(),  //
        &collapse_register(),  //
        &collapse_fill(),      //
        &collapse_truncate(),  //
        &collapse_readers(),   //
        &collapse_errno(),     //
        &pgtable_lifetime(),   //
        &pgtable_shared(),     //
        &pgtable_accounting(), //
        &pgtable_notifier(),   //
        &pgtable_storm(),      //
        &hvo_layout(),         //
        &hvo_pointer(),        //
        &hvo_cycle(),          //
        &hvo_stale(),          //
        &hugetlb_exclusion(),  //
        &hugetlb_sharing(),    //
        &hugetlb_truncate(),   //
        &hugetlb_insert(),     //
        &hugetlb_mremap(),     //
        &hugetlb_mremap_shareable(),
        &hugetlb_notifier(),
        &hugetlb_walker(),
        &shmem_eviction(),
        &mthp_orders(),
        &mthp_creep(),
        &mthp_neighbours(),
        &mthp_writers(),
        &mthp_pins(),
    };
    return list;
}

} // namespace faultline
