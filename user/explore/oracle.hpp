// SPDX-License-Identifier: GPL-2.0
// Is what a run of several operations left behind what some serial order of them leaves behind?
//
// A Reference is an Observation of a serial run: the operations one after the other, in some order,
// or some of them left out. A run must equal one: each result, and each value of the State after it
// (of counters of the machine and of the kernel's log: their growth). A Relaxation allows a
// difference, a row of scenarios/explore.toml with its reason.
#ifndef FAULTLINE_EXPLORE_ORACLE_HPP
#define FAULTLINE_EXPLORE_ORACLE_HPP

#include "engine/scenario.hpp"
#include "kernel/state.hpp"

#include <optional>
#include <string>
#include <vector>

namespace faultline {

struct Reference {
    std::string name;                // "collapse, ftruncate"; "ftruncate alone"
    std::vector<std::string> absent; // actors that did nothing in it
    Observation seen;
    std::vector<std::string> actors = {}; // the others, in this order
};

// For one operation, by the actor that does it.
struct Relaxation {
    std::string actor = {};
    std::string when = {};                // pattern of results; "" = always
    bool absent = false;                  // then the run may equal a reference without this actor
    bool each_page = false;               // then each page may be that of another reference
    bool result = false;                  // then this actor's results may be others
    std::vector<std::string> setups = {}; // only with these; none = all
    std::string may_differ = {}; // names of values, as kernel/state.hpp has them; "" = none
    std::string why = {};
};

struct Rules {
    std::vector<Relaxation> relaxations;
    Allowed unstable; // values that differ between two equal serial runs
};

struct Judgement {
    bool fits = false;
    std::string by = {};        // the reference, or the reason of the relaxation
    bool relaxed = false;       // it fits by a relaxation alone
    std::string signature = {}; // of a difference: the names of what differs, without pages
    std::string text = {};      // of a difference, with its values, against the nearest reference
    std::vector<std::string> names = {}; // of the State's values that differ, one of each kind
};
Judgement judge(const Observation& seen, const std::vector<Reference>& references,
                const Rules& rules);

// "mapping near page 7 mincore" -> "mapping near page N mincore"; other names as they are.
std::string kind_of(const std::string& name);

// How the State after a run differs from that after another; `most`: as in compare().
std::vector<Difference>
state_differences(const Observation& reference, const Observation& seen, const Allowed& may_differ,
                  std::size_t most = std::numeric_limits<std::size_t>::max());

// For two runs that should be equal: also the results that differ, each as "result NAME".
std::vector<Difference> all_differences(const Observation& a, const Observation& b);

} // namespace faultline

#endif // FAULTLINE_EXPLORE_ORACLE_HPP
