// SPDX-License-Identifier: GPL-2.0
// What a person reads on the terminal.
#ifndef FAULTLINE_REPORT_HUMAN_HPP
#define FAULTLINE_REPORT_HUMAN_HPP

#include "report/summary.hpp"

#include <string>

namespace faultline {

// One line a scenario; below it, indented, what one must know of anything but a plain pass.
std::string human_scenario(const ScenarioReport& report);
// --verbose: a variant or control with its whole histogram and an example's timeline.
// "mthp-orders/patterns  12/333 runs, 2 runs/s, 768 patterns", without a line break.
std::string human_progress(const Progress& progress);
std::string human_variant(const VariantReport& report);
std::string human_summary(const Summary& summary);

} // namespace faultline

#endif // FAULTLINE_REPORT_HUMAN_HPP
