// SPDX-License-Identifier: GPL-2.0
#include "scenarios/state_check.hpp"

namespace faultline {

void StateCheck::tell(Outcome& outcome) const {
    outcome.not_compared = not_compared();
    if (word().empty())
        return;
    outcome.add("state", word());
    outcome.forbid("differs after the run: " + why());
}

} // namespace faultline
