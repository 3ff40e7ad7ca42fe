// SPDX-License-Identifier: GPL-2.0
// Which functions a kernel has, by its System.map, and which of them a site leads to there. For a
// kernel that need not run: the module finds out by itself (kmod/sites.c).
#ifndef FAULTLINE_KERNEL_SYMBOLS_HPP
#define FAULTLINE_KERNEL_SYMBOLS_HPP

#include "kernel/result.hpp"

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace faultline {

struct KernelSymbols {
    std::string name; // begins with the version: "6.12.95/arm64"
    std::set<std::string, std::less<>> functions;
};

// The text of a System.map or of /proc/kallsyms: lines "ADDRESS TYPE NAME", of a module with
// "[NAME]" behind it. An error says which line is none. A text without functions is an error, too:
// a distribution may ship a note instead of the file.
Result<KernelSymbols> parse_symbols(std::string name, std::string_view text,
                                    const std::string& path);
// "NAME=PATH"
Result<KernelSymbols> read_symbols(const std::string& named_path);

// The function that a logical site leads to in this kernel, or the function of that name; nothing
// if the kernel has none. Whether it can be traced is not known.
std::optional<std::string> function_of_site(std::string_view site, const KernelSymbols& kernel);

struct SiteCandidate {
    std::string function;
    std::string caller; // "" = any caller
};
// The candidates of a logical site in this release ("6.12"; "" = in any), in order; else the
// function of that name. Without what a compiler adds to a name (".isra.0").
std::vector<SiteCandidate> candidates_of_site(std::string_view site, std::string_view release);

} // namespace faultline

#endif // FAULTLINE_KERNEL_SYMBOLS_HPP
