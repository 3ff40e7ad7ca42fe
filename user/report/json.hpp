// SPDX-License-Identifier: GPL-2.0
// The results as JSON, one object a line: begin, variant..., scenario, ..., end.
#ifndef FAULTLINE_REPORT_JSON_HPP
#define FAULTLINE_REPORT_JSON_HPP

#include "report/summary.hpp"

#include <string>

namespace faultline {

std::string json_begin(const System& system, unsigned plan);
// Of a variant, or of a control (then "control" names it and "caught" says if it was).
std::string json_variant(const VariantReport& report, const std::string& known_bug);
std::string json_scenario(const Judged& judged);
std::string json_end(const Summary& summary);

} // namespace faultline

#endif // FAULTLINE_REPORT_JSON_HPP
