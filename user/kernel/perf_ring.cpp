// SPDX-License-Identifier: GPL-2.0
#include "kernel/perf_ring.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace faultline {

namespace {

std::size_t page_bytes() { return static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)); }

} // namespace

Result<PerfRing> PerfRing::open(perf_event_attr attributes, pid_t task, int cpu,
                                std::size_t pages) {
    attributes.size = sizeof(attributes);
    Fd event(static_cast<int>(
        ::syscall(SYS_perf_event_open, &attributes, task, cpu, -1, PERF_FLAG_FD_CLOEXEC)));
    if (!event)
        return Error::last("perf_event_open");
    void* memory = ::mmap(nullptr, (1 + pages) * page_bytes(), PROT_READ | PROT_WRITE, MAP_SHARED,
                          event.get(), 0);
    if (memory == MAP_FAILED)
        return Error::last("mmap (perf ring)");
    return PerfRing(std::move(event), memory, pages);
}

PerfRing::PerfRing(PerfRing&& other) noexcept
    : event_(std::move(other.event_)), memory_(std::exchange(other.memory_, nullptr)),
      pages_(other.pages_) {}

PerfRing::~PerfRing() {
    if (memory_ != nullptr)
        ::munmap(memory_, (1 + pages_) * page_bytes());
}

std::uint64_t PerfRing::drain(const std::function<void(std::span<const char>)>& sample) {
    auto* control = static_cast<perf_event_mmap_page*>(memory_);
    const char* data = static_cast<const char*>(memory_) + page_bytes();
    const std::size_t size = pages_ * page_bytes();
    // Pairs with the kernel's store-release of data_head in perf_output_put_handle().
    const std::uint64_t head =
        std::atomic_ref<__u64>(control->data_head).load(std::memory_order_acquire);
    std::uint64_t tail = control->data_tail;
    std::uint64_t lost = 0;
    const auto copy = [&](std::uint64_t offset, std::size_t bytes, void* to) {
        const std::size_t at = (tail + offset) % size;
        const std::size_t first = std::min(bytes, size - at);
        std::memcpy(to, data + at, first);
        std::memcpy(static_cast<char*>(to) + first, data, bytes - first);
    };
    while (tail < head) {
        perf_event_header header{};
        copy(0, sizeof(header), &header);
        if (header.size < sizeof(header))
            break; // no record has that: do not stay here for ever
        scratch_.resize(header.size - sizeof(header));
        copy(sizeof(header), scratch_.size(), scratch_.data());
        tail += header.size;
        if (header.type == PERF_RECORD_SAMPLE)
            sample(scratch_);
        else if (header.type == PERF_RECORD_LOST && scratch_.size() >= 2 * sizeof(std::uint64_t)) {
            std::uint64_t count = 0; // behind the event's id
            std::memcpy(&count, scratch_.data() + sizeof(std::uint64_t), sizeof(count));
            lost += count;
        }
    }
    // Pairs with the kernel's load of data_tail in perf_output_begin().
    std::atomic_ref<__u64>(control->data_tail).store(tail, std::memory_order_release);
    return lost;
}

} // namespace faultline
