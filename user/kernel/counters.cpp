// SPDX-License-Identifier: GPL-2.0
#include "kernel/counters.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>

namespace faultline {

bool among(std::span<const std::string_view> names, std::string_view name) {
    return std::find(names.begin(), names.end(), name) != names.end();
}

std::optional<std::uint64_t> counter_value(std::string_view value) {
    const std::size_t start = value.find_first_not_of(" \t");
    if (start == std::string_view::npos)
        return std::nullopt;
    value.remove_prefix(start);
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
    const std::string_view rest(end, static_cast<std::size_t>(value.data() + value.size() - end));
    if (error != std::errc() || (!rest.empty() && rest != " kB"))
        return std::nullopt;
    return number;
}

std::vector<Counter>::iterator find_counter(std::vector<Counter>& counters, std::string_view name) {
    return std::find_if(counters.begin(), counters.end(),
                        [name](const Counter& one) { return one.first == name; });
}

std::optional<std::uint64_t> counter_of(const std::vector<Counter>& counters,
                                        std::string_view name) {
    for (const auto& [here, value] : counters)
        if (here == name)
            return value;
    return std::nullopt;
}

TextLine split_line(std::string_view line, char separator) {
    const std::size_t at = line.find(separator);
    return at == std::string_view::npos ? TextLine{line, {}}
                                        : TextLine{line.substr(0, at), line.substr(at + 1)};
}

std::optional<std::string_view> next_line(std::string_view& text) {
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos)
        return std::nullopt;
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end + 1);
    return line;
}

Result<std::vector<Counter>> parse_counters(std::string_view text, char separator,
                                            std::span<const std::string_view> names,
                                            std::string_view path) {
    std::vector<Counter> counters;
    while (const std::optional<std::string_view> line = next_line(text)) {
        const TextLine parts = split_line(*line, separator);
        if (!among(names, parts.name))
            continue;
        const std::optional<std::uint64_t> number = counter_value(parts.value);
        if (!number)
            return Error::make(EPROTO, "not understood: " + std::string(*line), path);
        if (find_counter(counters, parts.name) != counters.end())
            return Error::make(EPROTO, "twice: " + std::string(parts.name), path);
        counters.emplace_back(parts.name, *number);
    }
    if (!text.empty())
        return Error::make(EPROTO, "a line is cut: " + std::string(text), path);
    if (counters.empty())
        return Error::make(EPROTO, "none of the counters that are known", path);
    return counters;
}

} // namespace faultline
