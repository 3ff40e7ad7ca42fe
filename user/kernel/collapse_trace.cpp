// SPDX-License-Identifier: GPL-2.0
#include "kernel/collapse_trace.hpp"

#include "kernel/debugfs.hpp"

#include <array>
#include <charconv>
#include <cstring>
#include <fmt/format.h>
#include <unistd.h>

namespace faultline {

namespace {

constexpr std::array<std::string_view, 4> tracepoints = {
    "mm_khugepaged_scan_file", "mm_khugepaged_scan_pmd", "mm_khugepaged_collapse_file",
    "mm_collapse_huge_page"};
constexpr std::size_t ring_pages = 8; // a power of two, besides the control page

template <typename T> bool parse_number(std::string_view text, T& number) {
    while (!text.empty() && (text.front() == ' ' || text.front() == '{'))
        text.remove_prefix(1);
    return std::from_chars(text.data(), text.data() + text.size(), number).ec == std::errc();
}

std::string_view after(std::string_view text, std::string_view mark) {
    const std::size_t at = text.find(mark);
    return at == std::string_view::npos ? std::string_view() : text.substr(at + mark.size());
}

// "{0, "failed"}, {1, "succeeded"}, ..."
void parse_words(std::string_view text, std::map<int, std::string>& words) {
    while (!(text = after(text, "{")).empty()) {
        int number = 0;
        const std::string_view quoted = after(text, "\"");
        const std::size_t end = quoted.find('"');
        if (!parse_number(text, number) || end == std::string_view::npos)
            return;
        words[number] = std::string(quoted.substr(0, end));
    }
}

// Ours is the raw part of a sample with PERF_SAMPLE_TID, TIME and RAW.
struct Sample {
    std::uint32_t pid, tid;
    std::uint64_t time;
    std::uint32_t raw_bytes;
};

} // namespace

Result<ResultFormat> parse_result_format(std::string_view format) {
    ResultFormat found;
    for (const char* name : {"result", "status"}) { // of files; of anonymous memory
        const std::string_view field = after(format, fmt::format("field:int {};", name));
        if (!parse_number(after(format, "ID:"), found.id) ||
            !parse_number(after(field, "offset:"), found.offset))
            continue;
        parse_words(after(format, fmt::format("__print_symbolic(REC->{},", name)), found.words);
        if (!found.words.empty())
            return found;
    }
    return Error::make(EPROTO, "no result with words in a tracepoint's format");
}

Result<void> CollapseTrace::add(const std::string& tracepoint) {
    const Result<std::string> root = tracefs_root();
    if (!root)
        return root.error();
    const Result<std::string> text =
        read_text(*root + "/events/huge_memory/" + tracepoint + "/format");
    if (!text)
        return text.error();
    const Result<ResultFormat> format = parse_result_format(*text);
    if (!format)
        return format.error();
    formats_.push_back(*format);

    perf_event_attr attributes{};
    attributes.type = PERF_TYPE_TRACEPOINT;
    attributes.config = format->id;
    attributes.sample_period = 1;
    attributes.sample_type = PERF_SAMPLE_TID | PERF_SAMPLE_TIME | PERF_SAMPLE_RAW;
    const long cpus = ::sysconf(_SC_NPROCESSORS_CONF);
    for (long cpu = 0; cpu < cpus; ++cpu) {
        Result<PerfRing> ring = PerfRing::open(attributes, -1, static_cast<int>(cpu), ring_pages);
        if (!ring && ring.error().number == ENODEV)
            continue; // an offline CPU
        if (!ring)
            return Error::make(ring.error().number, ring.error().message, tracepoint);
        rings_.emplace_back(std::move(*ring), formats_.size() - 1);
    }
    return {};
}

Result<CollapseTrace> CollapseTrace::open() {
    CollapseTrace trace;
    for (std::string_view tracepoint : tracepoints) {
        const Result<void> added = trace.add(std::string(tracepoint));
        // mm_khugepaged_collapse_file came with 6.2; the scan's own says the same before that.
        if (!added && (added.error().number != ENOENT || tracepoint == tracepoints.front()))
            return added.error();
    }
    return trace;
}

void CollapseTrace::read(PerfRing& ring, const ResultFormat& format, std::vector<Record>& into) {
    const std::size_t result_at =
        offsetof(Sample, raw_bytes) + sizeof(std::uint32_t) + format.offset;
    // A collapse is a few records: none is lost.
    (void)ring.drain([&](std::span<const char> record) {
        if (result_at + sizeof(int) > record.size() || sizeof(Sample) > record.size())
            return;
        Sample sample{};
        std::memcpy(&sample, record.data(), sizeof(sample));
        int result = 0;
        std::memcpy(&result, record.data() + result_at, sizeof(result));
        const auto word = format.words.find(result);
        into.push_back({sample.tid, sample.time,
                        word != format.words.end() ? word->second : fmt::format("?{}", result)});
    });
}

void CollapseTrace::clear() {
    std::vector<Record> records;
    for (auto& [ring, format] : rings_)
        read(ring, formats_[format], records);
}

std::string CollapseTrace::last(pid_t tid) {
    std::vector<Record> records;
    for (auto& [ring, format] : rings_)
        read(ring, formats_[format], records);
    const Record* newest = nullptr;
    for (const Record& record : records)
        if (record.tid == static_cast<std::uint32_t>(tid) &&
            (newest == nullptr || record.time >= newest->time))
            newest = &record;
    return newest != nullptr ? newest->word : std::string();
}

} // namespace faultline
