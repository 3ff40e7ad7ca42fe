// SPDX-License-Identifier: GPL-2.0
#include "kernel/function_trace.hpp"

#include "kernel/debugfs.hpp"

#include <algorithm>
#include <cstring>
#include <ctime>
#include <fmt/format.h>

namespace faultline {

namespace {

constexpr std::size_t ring_pages = 4096; // 16 MiB of 4 KiB pages: some 250000 calls

// Of common_flags, include/linux/trace_events.h.
constexpr std::uint64_t irqs_off = 0x01;
constexpr std::uint64_t in_hard_irq = 0x08;
constexpr std::uint64_t in_soft_irq = 0x10;
constexpr std::uint64_t in_nmi = 0x40;
constexpr std::uint64_t bottom_halves_off = 0x80;
constexpr std::uint64_t preempt_depth = 0x0f; // of common_preempt_count; above it: migration
// The tracer itself turns preemption off once: ftrace_test_recursion_trylock().
constexpr std::uint64_t tracer_depth = 1;

std::optional<std::uint64_t> value_of(const TraceField& field, std::span<const char> raw) {
    std::uint64_t value = 0;
    if (field.bytes > sizeof(value) || field.bytes > raw.size() ||
        field.offset > raw.size() - field.bytes)
        return std::nullopt;
    const char* at = raw.data() + field.offset;
    if (field.bytes == 1) { // the widths that there are, on machines of either byte order
        std::uint8_t byte = 0;
        std::memcpy(&byte, at, 1);
        return byte;
    }
    if (field.bytes == sizeof(value)) {
        std::memcpy(&value, at, sizeof(value));
        return value;
    }
    return std::nullopt;
}

// With PERF_SAMPLE_TIME and PERF_SAMPLE_RAW.
struct Sample {
    std::uint64_t time;
    std::uint32_t raw_bytes;
};
constexpr std::size_t raw_at = sizeof(std::uint64_t) + sizeof(std::uint32_t);

} // namespace

Result<FunctionFormat> parse_function_format(std::string_view format) {
    FunctionFormat found;
    const Result<std::uint32_t> id = parse_trace_id(format);
    if (!id)
        return id.error();
    found.id = *id;
    const std::pair<std::string_view, TraceField*> fields[] = {
        {"ip", &found.function},
        {"parent_ip", &found.caller},
        {"common_flags", &found.flags},
        {"common_preempt_count", &found.preempt_count}};
    for (const auto& [name, field] : fields) {
        const Result<TraceField> one = parse_trace_field(format, name);
        if (!one)
            return one.error();
        *field = *one;
    }
    return found;
}

std::optional<FunctionCall> parse_function_call(const FunctionFormat& format,
                                                std::span<const char> raw) {
    const std::optional<std::uint64_t> function = value_of(format.function, raw);
    const std::optional<std::uint64_t> caller = value_of(format.caller, raw);
    const std::optional<std::uint64_t> flags = value_of(format.flags, raw);
    const std::optional<std::uint64_t> preempt_count = value_of(format.preempt_count, raw);
    if (!function || !caller || !flags || !preempt_count)
        return std::nullopt;
    return FunctionCall{.function = *function,
                        .caller = *caller,
                        .interrupt = (*flags & (in_hard_irq | in_soft_irq | in_nmi)) != 0,
                        .atomic = (*flags & (irqs_off | bottom_halves_off)) != 0 ||
                                  (*preempt_count & preempt_depth) > tracer_depth};
}

Result<FunctionTrace> FunctionTrace::open(pid_t task) {
    const Result<std::string> root = tracefs_root();
    if (!root)
        return root.error();
    const Result<std::string> text = read_text(*root + "/events/ftrace/function/format");
    if (!text)
        return text.error();
    const Result<FunctionFormat> format = parse_function_format(*text);
    if (!format)
        return format.error();
    perf_event_attr attributes{};
    attributes.type = PERF_TYPE_TRACEPOINT;
    attributes.config = format->id;
    attributes.sample_period = 1;
    attributes.sample_type = PERF_SAMPLE_TIME | PERF_SAMPLE_RAW;
    attributes.disabled = 1;
    attributes.exclude_callchain_user = 1; // the kernel asks for it: perf_trace_event_perm()
    attributes.use_clockid = 1;
    attributes.clockid = CLOCK_MONOTONIC;
    Result<PerfRing> ring = PerfRing::open(attributes, task, -1, ring_pages);
    if (!ring)
        return Error::make(ring.error().number, "function tracer: " + ring.error().message);
    return FunctionTrace(*format, std::move(*ring));
}

Result<std::vector<FunctionCall>> FunctionTrace::stop() {
    const Result<void> disabled = ring_.disable();
    if (!disabled)
        return disabled.error();
    std::vector<FunctionCall> calls;
    bool broken = false;
    const std::uint64_t lost = ring_.drain([&](std::span<const char> record) {
        Sample sample{};
        if (record.size() < raw_at) {
            broken = true;
            return;
        }
        std::memcpy(&sample.time, record.data(), sizeof(sample.time));
        std::memcpy(&sample.raw_bytes, record.data() + sizeof(sample.time),
                    sizeof(sample.raw_bytes));
        const std::size_t bytes = std::min<std::size_t>(sample.raw_bytes, record.size() - raw_at);
        std::optional<FunctionCall> call =
            parse_function_call(format_, record.subspan(raw_at, bytes));
        broken = broken || !call;
        if (!call)
            return;
        call->time_ns = sample.time;
        calls.push_back(*call);
    });
    if (lost != 0)
        return Error::make(EOVERFLOW, fmt::format("function tracer: {} calls were lost", lost));
    if (broken)
        return Error::make(EPROTO, "function tracer: a record that its format does not explain");
    return calls;
}

} // namespace faultline
