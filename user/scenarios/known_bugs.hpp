// SPDX-License-Identifier: GPL-2.0
// Bugs that a kernel series is known to have: there the scenario must FAIL, and a pass is news.
#ifndef FAULTLINE_SCENARIOS_KNOWN_BUGS_HPP
#define FAULTLINE_SCENARIOS_KNOWN_BUGS_HPP

#include <string_view>

namespace faultline {

struct KnownBug {
    std::string_view scenario;
    std::string_view series;       // "6.1": of 6.1.x, not of 6.12
    std::string_view fix;          // "fixed by commit ... (v6.x)"
    std::string_view machine = {}; // on this machine alone, "x86_64"; "" = on all
};

// Null if none is known. `release` and `machine` are what uname says.
const KnownBug* known_bug(std::string_view scenario, std::string_view release,
                          std::string_view machine);

} // namespace faultline

#endif // FAULTLINE_SCENARIOS_KNOWN_BUGS_HPP
