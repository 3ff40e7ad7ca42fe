// SPDX-License-Identifier: GPL-2.0
// Which functions of the kernel a task passes, in order: ftrace's function tracer, read through
// perf_event_open(2). It makes each function slower for all tasks while it is open.
#ifndef FAULTLINE_KERNEL_FUNCTION_TRACE_HPP
#define FAULTLINE_KERNEL_FUNCTION_TRACE_HPP

#include "kernel/perf_ring.hpp"

#include <cstdint>
#include <optional>
#include <string_view>
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

// What events/ftrace/function/format says.
struct FunctionFormat {
    std::uint32_t id = 0;
    TraceField function;
    TraceField caller;
    TraceField flags;
    TraceField preempt_count;
};
Result<FunctionFormat> parse_function_format(std::string_view format);
// The raw part of a sample; nothing if it is too short.
std::optional<FunctionCall> parse_function_call(const FunctionFormat& format,
                                                std::span<const char> raw);

class FunctionTrace {
  public:
    // Of the task `task` of this process. ENOENT without the function tracer, EACCES without the
    // right to use it.
    static Result<FunctionTrace> open(pid_t task);
    FunctionTrace(FunctionTrace&&) = default;

    Result<void> start() { return ring_.enable(); }
    // The calls since start(). EOVERFLOW: there were more than the ring holds.
    Result<std::vector<FunctionCall>> stop();

  private:
    FunctionTrace(FunctionFormat format, PerfRing ring) : format_(format), ring_(std::move(ring)) {}

    FunctionFormat format_;
    PerfRing ring_;
};

} // namespace faultline

#endif // FAULTLINE_KERNEL_FUNCTION_TRACE_HPP
