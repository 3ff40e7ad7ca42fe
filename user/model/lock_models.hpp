// SPDX-License-Identifier: GPL-2.0
// Two arguments about locks as small programs, each design in every interleaving: khugepaged and
// the anon_vma's lock (Nico Pache and Lorenzo Stoakes, 2025), and a hugetlb fault and the lock in
// the page of its table (Mike Kravetz, 2020).
#ifndef FAULTLINE_MODEL_LOCK_MODELS_HPP
#define FAULTLINE_MODEL_LOCK_MODELS_HPP

#include "model/explorer.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

namespace faultline::model {

struct LockDesign {
    std::string_view name;
    std::string_view slip; // "" = none
    bool sound;            // what the exploration must find
    std::function<Exploration(std::size_t which, std::uint64_t bound)> explore; // a case, by number
};

struct LockModel {
    std::string_view about; // one line
    std::vector<std::string_view> cases;
    std::vector<LockDesign> designs; // then their slips
};

LockModel collapse_hold();
LockModel pmd_unsharing();
const std::vector<LockModel>& lock_models();

} // namespace faultline::model

#endif // FAULTLINE_MODEL_LOCK_MODELS_HPP
