// SPDX-License-Identifier: GPL-2.0
// Why a collapse ended as it did: the SCAN_* word of the kernel's own tracepoints
// (include/trace/events/huge_memory.h), for instance "exceed_none_pte".
//
// The numbers of the words differ between kernels: they come from the format files of the running
// one.
#ifndef FAULTLINE_KERNEL_COLLAPSE_TRACE_HPP
#define FAULTLINE_KERNEL_COLLAPSE_TRACE_HPP

#include "kernel/perf_ring.hpp"
#include "kernel/result.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace faultline {

// A tracepoint's format file describes its field `result` or `status`.
struct ResultFormat {
    std::uint32_t id = 0;
    std::size_t offset = 0; // of the field in the raw record
    std::map<int, std::string> words;
};
Result<ResultFormat> parse_result_format(std::string_view format);

class CollapseTrace {
  public:
    // ENOENT without the tracepoints, EACCES without the right to use them.
    static Result<CollapseTrace> open();
    CollapseTrace(CollapseTrace&&) = default;
    CollapseTrace& operator=(CollapseTrace&&) = default;

    // Forget all that was recorded so far.
    void clear();
    // The word of the last collapse that the task `tid` tried since clear(); empty if it tried
    // none. "?" and a number for a word that the format file does not have.
    [[nodiscard]] std::string last(pid_t tid);

  private:
    struct Record {
        std::uint32_t tid;
        std::uint64_t time;
        std::string word;
    };

    CollapseTrace() = default;
    Result<void> add(const std::string& tracepoint);
    static void read(PerfRing& ring, const ResultFormat& format, std::vector<Record>& into);

    std::vector<ResultFormat> formats_;
    std::vector<std::pair<PerfRing, std::size_t>> rings_; // with the index of their format
};

} // namespace faultline

#endif // FAULTLINE_KERNEL_COLLAPSE_TRACE_HPP
