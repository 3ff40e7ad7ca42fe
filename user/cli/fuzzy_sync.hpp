// SPDX-License-Identifier: GPL-2.0
// The rival of a schedule: actors that run freely, but start so that they meet. As LTP's
// tst_fuzzy_sync.h has it: they wait for each other, and each then starts late by a random time,
// up to as long as another takes on average. So any two points of two actors can coincide.
#ifndef FAULTLINE_CLI_FUZZY_SYNC_HPP
#define FAULTLINE_CLI_FUZZY_SYNC_HPP

#include "engine/scenario.hpp"

namespace faultline {

// The same scenario with actors that start so. Its schedule must be left out.
Scenario with_fuzzy_sync(const Scenario& scenario);

} // namespace faultline

#endif // FAULTLINE_CLI_FUZZY_SYNC_HPP
