// SPDX-License-Identifier: GPL-2.0
// One HTML page: page.html with the JSON lines of the results in it, which its script draws.
// Nothing is loaded from elsewhere, so the page can be mailed. The scripts of the host fill the
// same page.
#ifndef FAULTLINE_REPORT_HTML_HPP
#define FAULTLINE_REPORT_HTML_HPP

#include <string>
#include <string_view>

namespace faultline {

std::string html_begin();
// A line of JSON, as report/json.hpp makes it.
std::string html_record(std::string_view json_line);
std::string html_end();

} // namespace faultline

#endif // FAULTLINE_REPORT_HTML_HPP
