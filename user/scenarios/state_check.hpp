// SPDX-License-Identifier: GPL-2.0
// The addition of a family's base class to each run: the State before the actors start and after
// they have ended. A difference that the scenario does not allow forbids the run's outcome, and
// "state" names it there.
#ifndef FAULTLINE_SCENARIOS_STATE_CHECK_HPP
#define FAULTLINE_SCENARIOS_STATE_CHECK_HPP

#include "engine/scenario.hpp"
#include "kernel/state_comparison.hpp"

namespace faultline {

class StateCheck : public StateComparison {
  public:
    [[nodiscard]] static bool whole(const Run& run) { return StateComparison::whole(run.number()); }
    // The first difference.
    void tell(Outcome& outcome) const;
};

} // namespace faultline

#endif // FAULTLINE_SCENARIOS_STATE_CHECK_HPP
