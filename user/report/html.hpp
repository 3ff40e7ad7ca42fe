// SPDX-License-Identifier: GPL-2.0
// One HTML page: each variant and control with its histogram and a picture of one run. Nothing is
// loaded from elsewhere, so the page can be mailed.
#ifndef FAULTLINE_REPORT_HTML_HPP
#define FAULTLINE_REPORT_HTML_HPP

#include "engine/runner.hpp"

#include <string>
#include <string_view>

namespace faultline {

std::string html_begin(std::string_view kernel, std::string_view machine);
std::string html_variant(const VariantReport& report);
std::string html_end();

// The interleaving as SVG: a lane an actor, a dot a site reached, a bar a hold, an arrow an edge.
// Time runs to the right in the order of events, not to scale: a hold of 5 ms and a step of 5 us
// are both to be seen. Exact times are in the labels.
std::string svg_timeline(const VariantReport& report, const Example& example);

} // namespace faultline

#endif // FAULTLINE_REPORT_HTML_HPP
