// SPDX-License-Identifier: GPL-2.0
#include "kernel/collapse_trace.hpp"

#include "kernel/debugfs.hpp"

#include <array>
#include <atomic>
#include <charconv>
#include <cstring>
#include <fmt/format.h>
#include <linux/perf_event.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace faultline {

namespace {

constexpr std::array<std::string_view, 4> tracepoints = {
    "mm_khugepaged_scan_file", "mm_khugepaged_scan_pmd", "mm_khugepaged_collapse_file",
    "mm_collapse_huge_page"};
constexpr std::size_t ring_pages = 8; // a power of two, besides the control page

std::size_t page_bytes() { return static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)); }

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

CollapseTrace::Ring::Ring(Ring&& other) noexcept
    : event(std::move(other.event)), pages(std::exchange(other.pages, nullptr)) {}

CollapseTrace::Ring::~Ring() {
    if (pages != nullptr)
        ::munmap(pages, (1 + ring_pages) * page_bytes());
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
    attributes.size = sizeof(attributes);
    attributes.config = format->id;
    attributes.sample_period = 1;
    attributes.sample_type = PERF_SAMPLE_TID | PERF_SAMPLE_TIME | PERF_SAMPLE_RAW;
    const long cpus = ::sysconf(_SC_NPROCESSORS_CONF);
    for (long cpu = 0; cpu < cpus; ++cpu) {
        Fd event(static_cast<int>(
            ::syscall(SYS_perf_event_open, &attributes, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC)));
        if (!event && errno == ENODEV)
            continue; // an offline CPU
        if (!event)
            return Error::last("perf_event_open", tracepoint);
        void* pages = ::mmap(nullptr, (1 + ring_pages) * page_bytes(), PROT_READ | PROT_WRITE,
                             MAP_SHARED, event.get(), 0);
        if (pages == MAP_FAILED)
            return Error::last("mmap (perf ring)", tracepoint);
        rings_.emplace_back(Ring(std::move(event), pages), formats_.size() - 1);
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

void CollapseTrace::read(Ring& ring, const ResultFormat& format, std::vector<Record>& into) {
    auto* control = static_cast<perf_event_mmap_page*>(ring.pages);
    const char* data = static_cast<const char*>(ring.pages) + page_bytes();
    const std::size_t size = ring_pages * page_bytes();
    // Pairs with the kernel's store-release of data_head in perf_output_put_handle().
    const std::uint64_t head =
        std::atomic_ref<__u64>(control->data_head).load(std::memory_order_acquire);
    std::uint64_t tail = control->data_tail;
    while (tail < head) {
        // A record may wrap around the ring's end: copy it out.
        const auto at = [&](std::uint64_t offset) { return data[(tail + offset) % size]; };
        perf_event_header header{};
        for (std::size_t i = 0; i < sizeof(header); ++i)
            reinterpret_cast<char*>(&header)[i] = at(i);
        scratch_.resize(header.size);
        for (std::size_t i = 0; i < header.size; ++i)
            scratch_[i] = at(i);
        tail += header.size;
        const std::size_t result_at =
            sizeof(header) + offsetof(Sample, raw_bytes) + sizeof(std::uint32_t) + format.offset;
        if (header.type != PERF_RECORD_SAMPLE || result_at + sizeof(int) > header.size)
            continue;
        Sample sample{};
        std::memcpy(&sample, scratch_.data() + sizeof(header), sizeof(sample));
        int result = 0;
        std::memcpy(&result, scratch_.data() + result_at, sizeof(result));
        const auto word = format.words.find(result);
        into.push_back({sample.tid, sample.time,
                        word != format.words.end() ? word->second : fmt::format("?{}", result)});
    }
    // Pairs with the kernel's load of data_tail in perf_output_begin().
    std::atomic_ref<__u64>(control->data_tail).store(tail, std::memory_order_release);
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
