// SPDX-License-Identifier: GPL-2.0
#include "kernel/function_trace.hpp"

#include "calls_abi.h"

#include <cerrno>
#include <cstring>
#include <fmt/format.h>
#include <fmt/ranges.h>

namespace faultline {

Result<std::vector<std::vector<FunctionCall>>> parse_calls(std::span<const char> raw,
                                                           std::size_t tasks) {
    std::vector<std::vector<FunctionCall>> calls(tasks);
    for (; raw.size() >= sizeof(fl_call); raw = raw.subspan(sizeof(fl_call))) {
        fl_call call{};
        std::memcpy(&call, raw.data(), sizeof(call));
        if (call.task >= tasks || (call.flags & ~(FL_CALL_INTERRUPT | FL_CALL_ATOMIC)) != 0)
            return Error::make(
                EPROTO, fmt::format("a call of task {}, flags {:#x}", call.task, call.flags));
        calls[call.task].push_back({.time_ns = call.time_ns,
                                    .function = call.ip,
                                    .caller = call.caller,
                                    .interrupt = (call.flags & FL_CALL_INTERRUPT) != 0,
                                    .atomic = (call.flags & FL_CALL_ATOMIC) != 0});
    }
    if (!raw.empty())
        return Error::make(EPROTO, "the last call is cut");
    return calls;
}

Result<FunctionTrace> FunctionTrace::open() {
    Result<ModuleFile> file = ModuleFile::open("calls");
    if (!file)
        return file.error();
    return FunctionTrace(std::move(*file));
}

Result<void> FunctionTrace::start(const std::vector<pid_t>& tasks) {
    tasks_ = tasks.size();
    if (Result<void> told = file_.send(fmt::format("{} {}", FL_CALLS_TASKS, fmt::join(tasks, " ")));
        !told)
        return told;
    return file_.send(FL_CALLS_START);
}

Result<std::vector<std::vector<FunctionCall>>> FunctionTrace::stop() {
    const Result<void> stopped = file_.send(FL_CALLS_STOP);
    if (!stopped && stopped.error().number != EOVERFLOW)
        return stopped.error();
    lost_ = lost_ || !stopped;
    const Result<std::string> raw = file_.text();
    if (!raw)
        return raw.error();
    return parse_calls(*raw, tasks_);
}

} // namespace faultline
