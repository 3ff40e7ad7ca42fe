// SPDX-License-Identifier: GPL-2.0
#include "kernel/symbols.hpp"

#include "kernel/fd.hpp"
#include "site_table.h"

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <fmt/format.h>

namespace faultline {

namespace {

// The types of text, weak or not. "?" and the types of data are no functions.
constexpr std::string_view function_types = "tTwW";

std::string_view take_word(std::string_view& line) {
    const std::size_t begin = std::min(line.find_first_not_of(" \t\r"), line.size());
    const std::size_t end = std::min(line.find_first_of(" \t\r", begin), line.size());
    const std::string_view word = line.substr(begin, end - begin);
    line.remove_prefix(end);
    return word;
}

bool is_address(std::string_view word) {
    return !word.empty() && std::all_of(word.begin(), word.end(),
                                        [](unsigned char c) { return std::isxdigit(c) != 0; });
}

// As FL_RELEASE() makes it, of "6.12.95/arm64"; nothing if the name begins with no version.
std::optional<unsigned> release_of(std::string_view name) {
    unsigned major = 0;
    unsigned minor = 0;
    const char* const end = name.data() + name.size();
    const auto [dot, error] = std::from_chars(name.data(), end, major);
    if (error != std::errc() || dot == end || *dot != '.')
        return std::nullopt;
    if (std::from_chars(dot + 1, end, minor).ec != std::errc())
        return std::nullopt;
    return FL_RELEASE(major, minor);
}

bool in_release(const fl_candidate& candidate, unsigned release) {
    return candidate.since <= release && (candidate.before == 0 || release < candidate.before);
}

bool exists(const fl_candidate& candidate, const KernelSymbols& kernel) {
    return in_release(candidate, release_of(kernel.name).value_or(0)) &&
           kernel.functions.contains(std::string_view(candidate.function)) &&
           (candidate.caller == nullptr ||
            kernel.functions.contains(std::string_view(candidate.caller)));
}

} // namespace

Result<KernelSymbols> parse_symbols(std::string name, std::string_view text,
                                    const std::string& path) {
    KernelSymbols kernel{std::move(name), {}};
    unsigned number = 0;
    for (std::size_t from = 0; from < text.size();) {
        const std::size_t end = std::min(text.find('\n', from), text.size());
        std::string_view line = text.substr(from, end - from);
        from = end + 1;
        ++number;
        const std::string_view address = take_word(line);
        const std::string_view type = take_word(line);
        const std::string_view symbol = take_word(line);
        if (address.empty())
            continue;
        if (!is_address(address) || type.size() != 1 || symbol.empty())
            return Error::make(EINVAL, fmt::format("line {} is no \"ADDRESS TYPE NAME\"", number),
                               path);
        if (function_types.find(type) != std::string_view::npos)
            kernel.functions.emplace(symbol);
    }
    if (kernel.functions.empty())
        return Error::make(ENODATA, "no function is listed", path);
    return kernel;
}

Result<KernelSymbols> read_symbols(const std::string& named_path) {
    const std::size_t equals = named_path.find('=');
    const std::string name = named_path.substr(0, equals);
    if (equals == std::string::npos || !release_of(name))
        return Error::make(EINVAL, "not VERSION[/MACHINE]=PATH of a System.map", named_path);
    const std::string path = named_path.substr(equals + 1);
    const Result<std::string> text = read_text(path);
    return text ? parse_symbols(name, *text, path) : text.error();
}

std::optional<std::string> function_of_site(std::string_view site, const KernelSymbols& kernel) {
    for (const fl_logical_site& row : fl_logical_sites) {
        if (row.name != site)
            continue;
        const fl_candidate* const found = std::find_if(
            std::begin(row.candidates), std::end(row.candidates), [&](const fl_candidate& one) {
                return one.function != nullptr && exists(one, kernel);
            });
        return found == std::end(row.candidates) ? std::nullopt
                                                 : std::optional<std::string>(found->function);
    }
    return kernel.functions.contains(site) ? std::optional(std::string(site)) : std::nullopt;
}

std::vector<SiteCandidate> candidates_of_site(std::string_view site, std::string_view release) {
    const std::optional<unsigned> number = release_of(release);
    const auto plain = [](std::string_view function) {
        return std::string(function.substr(0, function.find('.')));
    };
    for (const fl_logical_site& row : fl_logical_sites) {
        if (row.name != site)
            continue;
        std::vector<SiteCandidate> all;
        for (const fl_candidate& one : row.candidates)
            if (one.function != nullptr && (!number || in_release(one, *number)))
                all.push_back(
                    {plain(one.function), one.caller == nullptr ? "" : plain(one.caller)});
        return all;
    }
    return {{plain(site), ""}};
}

} // namespace faultline
