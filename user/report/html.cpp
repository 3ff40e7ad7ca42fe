// SPDX-License-Identifier: GPL-2.0
#include "report/html.hpp"

#include "page.hpp"

namespace faultline {

namespace {

// A line of the page: the records stand there.
constexpr std::string_view marker = "RECORDS\n";
constexpr std::size_t place = page_template.find(marker);
static_assert(place != std::string_view::npos, "page.html has no place for the records");

} // namespace

std::string html_begin() { return std::string(page_template.substr(0, place)); }

std::string html_record(std::string_view json_line) {
    std::string safe;
    for (const char c : json_line)
        if (c == '<') // would end the script; it stands in strings alone, where JSON may escape it
            safe += "\\u003c";
        else
            safe += c;
    return safe;
}

std::string html_end() { return std::string(page_template.substr(place + marker.size())); }

} // namespace faultline
