// SPDX-License-Identifier: GPL-2.0
// The functions of the running kernel by address, out of /proc/kallsyms.
#ifndef FAULTLINE_KERNEL_RUNNING_SYMBOLS_HPP
#define FAULTLINE_KERNEL_RUNNING_SYMBOLS_HPP

#include "kernel/result.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace faultline {

struct RunningSymbol {
    std::uint64_t address = 0;
    std::string name;
    std::string module; // "" = the kernel itself
    friend bool operator==(const RunningSymbol&, const RunningSymbol&) = default;
};

class RunningSymbols {
  public:
    // "ffffffff81000000 T _stext", "ffffffffc0001000 t f\t[module]": those of text. EPROTO: a line
    // that is not so; EACCES: all addresses are 0, as they are for other users than root.
    static Result<RunningSymbols> parse(std::string_view text);
    static Result<RunningSymbols> read(); // of /proc/kallsyms

    // The function that an address is in; null if it is in none.
    [[nodiscard]] const RunningSymbol* at(std::uint64_t address) const;
    [[nodiscard]] const RunningSymbol* find(std::string_view name) const;
    [[nodiscard]] std::size_t size() const { return symbols_.size(); }

  private:
    std::vector<RunningSymbol> symbols_; // by address
    std::vector<std::uint32_t> by_name_; // of the kernel itself
};

// Which part of the kernel's source a function is of. The linker lays built-in objects out by
// folder, so the functions of mm/ are one range, and those of fs/ another. The range is that
// between the outermost functions of a list, so it is a little too small rather than too large.
class SourceRanges {
  public:
    explicit SourceRanges(const RunningSymbols& symbols);
    // "mm", "fs", or "" for all else
    [[nodiscard]] std::string_view part_of(std::uint64_t address) const;

  private:
    struct Range {
        std::string_view name;
        std::uint64_t from = 0;
        std::uint64_t to = 0;
    };
    std::vector<Range> ranges_;
};

} // namespace faultline

#endif // FAULTLINE_KERNEL_RUNNING_SYMBOLS_HPP
