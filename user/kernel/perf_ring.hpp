// SPDX-License-Identifier: GPL-2.0
// The records of one event of perf_event_open(2). It leaves nothing behind when the driver dies,
// unlike a tracefs instance.
#ifndef FAULTLINE_KERNEL_PERF_RING_HPP
#define FAULTLINE_KERNEL_PERF_RING_HPP

#include "kernel/fd.hpp"
#include "kernel/result.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <linux/perf_event.h>
#include <span>
#include <sys/types.h>
#include <vector>

namespace faultline {

class PerfRing {
  public:
    // `pages`: of the ring, a power of two. As perf_event_open(2) for `task` and `cpu`.
    static Result<PerfRing> open(perf_event_attr attributes, pid_t task, int cpu,
                                 std::size_t pages);
    PerfRing(PerfRing&& other) noexcept;
    PerfRing& operator=(PerfRing&&) = delete;
    ~PerfRing();

    // Calls `sample` with each PERF_RECORD_SAMPLE so far, behind its header. The answer is how many
    // records the kernel says it has lost.
    std::uint64_t drain(const std::function<void(std::span<const char>)>& sample);

  private:
    PerfRing(Fd event, void* memory, std::size_t pages)
        : event_(std::move(event)), memory_(memory), pages_(pages) {}

    Fd event_;
    void* memory_; // a control page, then the ring
    std::size_t pages_;
    std::vector<char> scratch_; // a record may wrap around the ring's end
};

} // namespace faultline

#endif // FAULTLINE_KERNEL_PERF_RING_HPP
