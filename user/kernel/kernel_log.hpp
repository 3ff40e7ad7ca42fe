// SPDX-License-Identifier: GPL-2.0
// Complaints of the kernel in its log during an experiment.
#ifndef FAULTLINE_KERNEL_KERNEL_LOG_HPP
#define FAULTLINE_KERNEL_KERNEL_LOG_HPP

#include "kernel/fd.hpp"
#include "kernel/result.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace faultline {

// A row of kernel/complaints.txt, which the scripts' judge of the log and emitted programs use too.
struct ComplaintPattern {
    std::string_view kind;
    std::string_view expression; // ECMAScript's, Python's, and an extended one of regcomp(3)
};
inline constexpr std::string_view harmless_kind = "harmless";
// In the order in which a line is tried: the first that matches is its kind.
std::vector<ComplaintPattern> complaint_patterns();

// The kind of a complaint in a line of the log without its time stamp; "" if it is none.
std::string_view complaint_kind(std::string_view line);

// The text of a record of /dev/kmsg ("4,812,9000,-;BUG: Bad page state") if that is a complaint.
std::optional<std::string> complaint_of(std::string_view record);

// Writes "faultline: TEXT" there. Needs root; does nothing otherwise.
void note_in_kernel_log(std::string_view text);

class KernelLog {
  public:
    // From now on.
    static Result<KernelLog> open();
    // The first complaint since open() or the last call, "" if there is none. Not to be called
    // between two runs: an mm is checked when its last user lets go, which can be late.
    [[nodiscard]] Result<std::string> complaint() const;
    // How many there were since open(), with those that complaint() read. Takes them from it.
    [[nodiscard]] Result<std::uint64_t> complaints() const;

  private:
    explicit KernelLog(Fd file) : file_(std::move(file)) {}
    Fd file_;
    mutable std::uint64_t complaints_ = 0;
};

} // namespace faultline

#endif // FAULTLINE_KERNEL_KERNEL_LOG_HPP
