// SPDX-License-Identifier: GPL-2.0
// All scenarios, in the order in which they run.
#ifndef FAULTLINE_SCENARIOS_LIST_HPP
#define FAULTLINE_SCENARIOS_LIST_HPP

#include "engine/scenario.hpp"

#include <vector>

namespace faultline {

const std::vector<const Scenario*>& all_scenarios();

// One a file.
const Scenario& collapse_contract();
const Scenario& collapse_register();
const Scenario& collapse_fill();
const Scenario& collapse_truncate();
const Scenario& collapse_readers();
const Scenario& collapse_errno();
const Scenario& pgtable_lifetime();
const Scenario& pgtable_shared();
const Scenario& pgtable_accounting();
const Scenario& pgtable_notifier();
const Scenario& pgtable_storm();
const Scenario& hvo_layout();
const Scenario& hvo_pointer();
const Scenario& hvo_cycle();
const Scenario& hvo_stale();
const Scenario& hugetlb_exclusion();
const Scenario& hugetlb_sharing();
const Scenario& hugetlb_truncate();
const Scenario& hugetlb_insert();
const Scenario& hugetlb_mremap();
const Scenario& hugetlb_mremap_shareable();
const Scenario& hugetlb_notifier();
const Scenario& hugetlb_walker();
const Scenario& shmem_eviction();
const Scenario& mthp_orders();
const Scenario& mthp_creep();
const Scenario& mthp_neighbours();
const Scenario& mthp_writers();
const Scenario& mthp_pins();

} // namespace faultline

#endif // FAULTLINE_SCENARIOS_LIST_HPP
