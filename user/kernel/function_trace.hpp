// SPDX-License-Identifier: GPL-2.0
// Which functions of the kernel some tasks call, in their order, by <debugfs>/faultline/calls.
#ifndef FAULTLINE_KERNEL_FUNCTION_TRACE_HPP
#define FAULTLINE_KERNEL_FUNCTION_TRACE_HPP

#include "kernel/debugfs.hpp"

#include <cstdint>
#include <span>
#include <sys/types.h>
#include <vector>

namespace faultline {

struct FunctionCall {
    std::uint64_t time_ns = 0;  // CLOCK_MONOTONIC
    std::uint64_t function = 0; // an address in it
    std::uint64_t caller = 0;   // an address in that
    bool interrupt = false;     // in an interrupt that came to this task
    bool atomic = false;        // preemption or interrupts off
    friend bool operator==(const FunctionCall&, const FunctionCall&) = default;
};

// The calls of each of so many tasks. EPROTO: it is no array of calls of these.
Result<std::vector<std::vector<FunctionCall>>> parse_calls(std::span<const char> raw,
                                                           std::size_t tasks);

// The first start() patches all functions that can be traced, which takes seconds on an emulated
// machine; they are slower until this ends.
class FunctionTrace {
  public:
    // ENOENT: the module is not loaded.
    static Result<FunctionTrace> open();

    // ESRCH: there is no such task.
    Result<void> start(const std::vector<pid_t>& tasks);
    // The calls since start(), by task.
    Result<std::vector<std::vector<FunctionCall>>> stop();
    // There were more than the module has room for: the last ones of a stop() are missing.
    [[nodiscard]] bool lost() const { return lost_; }

  private:
    explicit FunctionTrace(ModuleFile file) : file_(std::move(file)) {}

    ModuleFile file_;
    std::size_t tasks_ = 0;
    bool lost_ = false;
};

} // namespace faultline

#endif // FAULTLINE_KERNEL_FUNCTION_TRACE_HPP
