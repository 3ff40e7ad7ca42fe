// SPDX-License-Identifier: GPL-2.0
// KTAP (Documentation/dev-tools/ktap.rst): a test a scenario, a subtest a variant and a control.
#ifndef FAULTLINE_REPORT_KTAP_HPP
#define FAULTLINE_REPORT_KTAP_HPP

#include "report/summary.hpp"

#include <string>

namespace faultline {

// The form of a known bug. Both are "ok": `kunit.py parse` counts each "not ok" as a failure.
enum class KnownAs {
    xfail, // "ok 1 name # XFAIL reason", as kselftest.h prints it
    ok,    // "ok 1 name", the reason in a line before it: for parsers that know no XFAIL
};

std::string ktap_begin(const System& system, unsigned plan);
std::string ktap_scenario(unsigned number, const ScenarioReport& report,
                          KnownAs known_as = KnownAs::xfail);
// The totals of the scenarios, as kselftest.h prints them.
std::string ktap_end(const Summary& summary);

} // namespace faultline

#endif // FAULTLINE_REPORT_KTAP_HPP
