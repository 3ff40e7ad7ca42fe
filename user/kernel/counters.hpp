// SPDX-License-Identifier: GPL-2.0
// Texts of named numbers: /proc/meminfo, /proc/vmstat, memory.stat.
#ifndef FAULTLINE_KERNEL_COUNTERS_HPP
#define FAULTLINE_KERNEL_COUNTERS_HPP

#include "kernel/result.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace faultline {

using Counter = std::pair<std::string, std::uint64_t>;

// "NAME:   12 kB" for ':', "NAME 12" for ' ': the counters of these names, in the order of the
// text, in the kernel's own unit. A counter that a kernel does not have is left out; a text without
// any is EPROTO, and so is a line that is cut or is not what it should be.
Result<std::vector<Counter>> parse_counters(std::string_view text, char separator,
                                            std::span<const std::string_view> names,
                                            std::string_view path);

// The pieces of such parsers.
struct TextLine {
    std::string_view name;
    std::string_view value;
};
// Takes a line off the text; nothing at its end, or where it was cut.
std::optional<std::string_view> next_line(std::string_view& text);
TextLine split_line(std::string_view line, char separator);
// "  12 kB" or "12"; nothing if it is anything else.
std::optional<std::uint64_t> counter_value(std::string_view value);
bool among(std::span<const std::string_view> names, std::string_view name);
std::vector<Counter>::iterator find_counter(std::vector<Counter>& counters, std::string_view name);
std::optional<std::uint64_t> counter_of(const std::vector<Counter>& counters,
                                        std::string_view name);

} // namespace faultline

#endif // FAULTLINE_KERNEL_COUNTERS_HPP
