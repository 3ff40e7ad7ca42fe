// SPDX-License-Identifier: GPL-2.0
// The output on the terminal, for people.
#ifndef FAULTLINE_REPORT_HUMAN_HPP
#define FAULTLINE_REPORT_HUMAN_HPP

#include "report/summary.hpp"

#include <string>

namespace faultline {

enum class Colour { none, terminal }; // of verdicts

// Lines of 100 columns at most, except replay lines, which are copied. One line a scenario; below
// it, indented, its histogram, and what must be known of anything but a plain pass.
std::string human_scenario(const ScenarioReport& report, Colour colour = Colour::none);
// --verbose: a variant or control with its whole histogram and an example's timeline.
std::string human_variant(const VariantReport& report, Colour colour = Colour::none);
// "mthp-orders/patterns  12/333 runs, 2 runs/s, 768 patterns", without a line break.
std::string human_progress(const Progress& progress);
std::string human_summary(const Summary& summary);

} // namespace faultline

#endif // FAULTLINE_REPORT_HUMAN_HPP
