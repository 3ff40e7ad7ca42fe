// SPDX-License-Identifier: GPL-2.0
// The events of one run, in the order of time.
#ifndef FAULTLINE_REPORT_TIMELINE_HPP
#define FAULTLINE_REPORT_TIMELINE_HPP

#include "engine/runner.hpp"

#include <string>

namespace faultline {

std::string_view end_word(std::uint32_t end); // of enum fl_end

// A line a site: time since the first, CPU, site, how long it was held and how that ended.
std::string timeline_text(const Example& example, const std::vector<std::string>& sites,
                          std::string_view indent);

} // namespace faultline

#endif // FAULTLINE_REPORT_TIMELINE_HPP
