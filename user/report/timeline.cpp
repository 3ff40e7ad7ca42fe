// SPDX-License-Identifier: GPL-2.0
#include "report/timeline.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace faultline {

namespace {

double microseconds(std::uint64_t ns) { return static_cast<double>(ns) / 1000.0; }

std::string stay(const fl_site_result& site) {
    if (site.end != FL_END_WAITED && site.end != FL_END_TIMEOUT && site.end != FL_END_EXCLUDED &&
        site.end != FL_END_KILLED && site.end != FL_END_MISSED)
        return std::string(end_word(site.end));
    const char* how = site.context == FL_CONTEXT_SPIN ? " (spinning)" : "";
    if (site.left_ns < site.reached_ns)
        return fmt::format("{}{}", end_word(site.end), how);
    return fmt::format("held {:.1f} us{}, {}", microseconds(site.left_ns - site.reached_ns), how,
                       end_word(site.end));
}

} // namespace

std::string_view end_word(std::uint32_t end) {
    switch (end) {
    case FL_END_NOT_REACHED:
        return "not reached";
    case FL_END_PASSED:
        return "passed";
    case FL_END_WAITED:
        return "released";
    case FL_END_TIMEOUT:
        return "timed out";
    case FL_END_EXCLUDED:
        return "excluded";
    case FL_END_KILLED:
        return "ended from outside";
    case FL_END_MISSED:
        return "awaited in vain";
    default:
        return "?";
    }
}

std::string timeline_text(const Example& example, const std::vector<std::string>& sites,
                          std::string_view indent) {
    std::vector<std::size_t> order(sites.size());
    std::uint64_t first = 0;
    for (std::size_t i = 0; i < sites.size(); ++i) {
        order[i] = i;
        const std::uint64_t reached = example.result.sites[i].reached_ns;
        if (reached != 0 && (first == 0 || reached < first))
            first = reached;
    }
    // Those never reached (time 0) last.
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
        return example.result.sites[a].reached_ns - 1 < example.result.sites[b].reached_ns - 1;
    });
    std::string text;
    for (const std::size_t i : order) {
        const fl_site_result& site = example.result.sites[i];
        if (site.reached_ns == 0)
            text += fmt::format("{}{:>12}        {}  never reached\n", indent, "-", sites[i]);
        else
            text +=
                fmt::format("{}{:>9.1f} us  cpu{}  {}  {}\n", indent,
                            microseconds(site.reached_ns - first), site.cpu, sites[i], stay(site));
    }
    return text;
}

} // namespace faultline
