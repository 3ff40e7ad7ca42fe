// SPDX-License-Identifier: GPL-2.0
// A userfaultfd that tells of missing pages (userfaultfd(2), fs/userfaultfd.c).
#ifndef FAULTLINE_KERNEL_USERFAULTFD_HPP
#define FAULTLINE_KERNEL_USERFAULTFD_HPP

#include "kernel/fd.hpp"
#include "kernel/result.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

namespace faultline {

class Userfaultfd {
  public:
    Userfaultfd() = default;

    // For the faults of the calling process. ENOSYS without CONFIG_USERFAULTFD.
    static Result<Userfaultfd> open();

    // UFFDIO_REGISTER with UFFDIO_REGISTER_MODE_*; UFFDIO_UNREGISTER.
    Result<void> register_modes(const void* start, std::size_t bytes, std::uint64_t modes);
    Result<void> unregister(const void* start, std::size_t bytes);
    // UFFDIO_REGISTER with MODE_WP. EINVAL where the architecture or the kernel has no such mode
    // for this memory.
    Result<void> register_for_write_protect(const void* start, std::size_t bytes);

    // The address of the next fault, or nothing within the bound. One event is taken.
    Result<std::optional<std::uint64_t>> event(int timeout_ms);

    // Resolve a missing page and wake the waiting tasks. EEXIST: it is there already.
    Result<void> zeropage(const void* start, std::size_t bytes);
    Result<void> copy(void* to, const void* from, std::size_t bytes);
    // Wake the waiting tasks without giving a page: they fault again.
    Result<void> wake(const void* start, std::size_t bytes);

    Result<void> proceed(const void* start, std::size_t bytes); // UFFDIO_CONTINUE
    Result<void> write_protect(const void* start, std::size_t bytes, bool yes);
    // ENOTTY or EINVAL where the kernel has no such call.
    Result<void> poison(const void* start, std::size_t bytes);
    Result<void> move(void* to, void* from, std::size_t bytes);

    // UFFD_FEATURE_*, as UFFDIO_API gave them.
    [[nodiscard]] std::uint64_t features() const { return features_; }

    void close() { file_.reset(); }
    [[nodiscard]] bool valid() const { return file_.valid(); }

  private:
    Userfaultfd(Fd file, std::uint64_t features) : file_(std::move(file)), features_(features) {}

    Fd file_;
    std::uint64_t features_ = 0;
};

// For a scenario's needs: the missing part, or nothing.
std::optional<std::string> missing_userfaultfd();
// Write protection of shmem: x86-64, arm64 and others, but neither powerpc nor s390.
std::optional<std::string> missing_write_protect();

} // namespace faultline

#endif // FAULTLINE_KERNEL_USERFAULTFD_HPP
