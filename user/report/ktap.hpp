// SPDX-License-Identifier: GPL-2.0
// KTAP (Documentation/dev-tools/ktap.rst): a test a scenario, a subtest a variant and a control.
#ifndef FAULTLINE_REPORT_KTAP_HPP
#define FAULTLINE_REPORT_KTAP_HPP

#include "report/summary.hpp"

#include <string>

namespace faultline {

std::string ktap_begin(const System& system, unsigned plan);
std::string ktap_scenario(unsigned number, const ScenarioReport& report);

} // namespace faultline

#endif // FAULTLINE_REPORT_KTAP_HPP
