// SPDX-License-Identifier: GPL-2.0
// The results as JSON, one object a line: begin, variant..., scenario, ..., end. Their schema is
// results.schema.json beside this file.
#ifndef FAULTLINE_REPORT_JSON_HPP
#define FAULTLINE_REPORT_JSON_HPP

#include "report/summary.hpp"

#include <string>
#include <vector>

namespace faultline {

std::string json_begin(const System& system, const std::vector<std::string>& names);
// The record of a variant, or of a control (then "control" names it and "caught" says if it was).
std::string json_variant(const VariantReport& report);
// A line of the mark channel.
std::string json_start(const Start& start);
std::string json_run(unsigned run, std::uint64_t seed);
std::string json_scenario(const ScenarioReport& report);
std::string json_end(const Summary& summary);

} // namespace faultline

#endif // FAULTLINE_REPORT_JSON_HPP
