// SPDX-License-Identifier: GPL-2.0
// A picture of where the struct pages of a huge page really are.
#ifndef FAULTLINE_REPORT_VMEMMAP_HPP
#define FAULTLINE_REPORT_VMEMMAP_HPP

#include "kernel/hvo.hpp"

#include <string>
#include <utility>
#include <vector>

namespace faultline {

// One huge page or several, side by side at the left: its pages of vmemmap in the order of their
// addresses. At the right: the page frames that they are, each once. A line is a mapping, thick and
// green if it can be written, thin and red if not. So aliases are lines that meet.
std::string vmemmap_svg(const std::vector<std::pair<std::string, HvoLayout>>& blocks);

// "pages of vmemmap: 7; pool: 2 huge pages, ..."
std::string counters_text(const HvoCounters& counters);

// The same in words, a line a page of vmemmap, and the counters.
std::string vmemmap_text(const std::string& name, const HvoLayout& layout);

} // namespace faultline

#endif // FAULTLINE_REPORT_VMEMMAP_HPP
