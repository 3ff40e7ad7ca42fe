// SPDX-License-Identifier: GPL-2.0
#include "kernel/userfaultfd.hpp"

#include <cstring>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace faultline {

namespace {

uffdio_range range_of(const void* start, std::size_t bytes) {
    return {reinterpret_cast<std::uintptr_t>(start), bytes};
}

} // namespace

Result<Userfaultfd> Userfaultfd::open() {
    Fd file(static_cast<int>(::syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK)));
    if (!file)
        return Error::last("userfaultfd()");
    uffdio_api api{};
    api.api = UFFD_API;
    if (::ioctl(file.get(), UFFDIO_API, &api) != 0)
        return Error::last("UFFDIO_API");
    return Userfaultfd(std::move(file), api.features);
}

Result<void> Userfaultfd::register_modes(const void* start, std::size_t bytes,
                                         std::uint64_t modes) {
    uffdio_register request{};
    request.range = range_of(start, bytes);
    request.mode = modes;
    if (::ioctl(file_.get(), UFFDIO_REGISTER, &request) != 0)
        return Error::last("UFFDIO_REGISTER");
    return {};
}

Result<void> Userfaultfd::unregister(const void* start, std::size_t bytes) {
    uffdio_range request = range_of(start, bytes);
    if (::ioctl(file_.get(), UFFDIO_UNREGISTER, &request) != 0)
        return Error::last("UFFDIO_UNREGISTER");
    return {};
}

Result<void> Userfaultfd::proceed(const void* start, std::size_t bytes) {
    uffdio_continue request{};
    request.range = range_of(start, bytes);
    if (::ioctl(file_.get(), UFFDIO_CONTINUE, &request) != 0)
        return Error::last("UFFDIO_CONTINUE");
    return {};
}

Result<void> Userfaultfd::write_protect(const void* start, std::size_t bytes, bool yes) {
    uffdio_writeprotect request{};
    request.range = range_of(start, bytes);
    request.mode = yes ? UFFDIO_WRITEPROTECT_MODE_WP : 0;
    if (::ioctl(file_.get(), UFFDIO_WRITEPROTECT, &request) != 0)
        return Error::last("UFFDIO_WRITEPROTECT");
    return {};
}

namespace {

// Linux 6.6 and 6.8; Debian 12's headers have neither.
struct PoisonRequest {
    uffdio_range range;
    std::uint64_t mode;
    std::int64_t updated;
};
struct MoveRequest {
    std::uint64_t to;
    std::uint64_t from;
    std::uint64_t bytes;
    std::uint64_t mode;
    std::int64_t moved;
};
constexpr unsigned long poison_request = _IOWR(UFFDIO, 0x08, PoisonRequest);
constexpr unsigned long move_request = _IOWR(UFFDIO, 0x05, MoveRequest);

} // namespace

Result<void> Userfaultfd::poison(const void* start, std::size_t bytes) {
    PoisonRequest request{range_of(start, bytes), 0, 0};
    if (::ioctl(file_.get(), poison_request, &request) != 0)
        return Error::last("UFFDIO_POISON");
    return {};
}

Result<void> Userfaultfd::move(void* to, void* from, std::size_t bytes) {
    MoveRequest request{reinterpret_cast<std::uintptr_t>(to),
                        reinterpret_cast<std::uintptr_t>(from), bytes, 0, 0};
    if (::ioctl(file_.get(), move_request, &request) != 0)
        return Error::last("UFFDIO_MOVE");
    return {};
}

Result<void> Userfaultfd::register_for_write_protect(const void* start, std::size_t bytes) {
    uffdio_register request{};
    request.range = range_of(start, bytes);
    request.mode = UFFDIO_REGISTER_MODE_WP;
    if (::ioctl(file_.get(), UFFDIO_REGISTER, &request) != 0)
        return Error::last("UFFDIO_REGISTER (write protect)");
    return {};
}

Result<std::optional<std::uint64_t>> Userfaultfd::event(int timeout_ms) {
    pollfd ready{file_.get(), POLLIN, 0};
    const int count = ::poll(&ready, 1, timeout_ms);
    if (count < 0 && errno != EINTR)
        return Error::last("poll userfaultfd");
    if (count <= 0)
        return std::optional<std::uint64_t>();
    uffd_msg message{};
    const ssize_t bytes = ::read(file_.get(), &message, sizeof(message));
    if (bytes < 0 && errno == EAGAIN)
        return std::optional<std::uint64_t>();
    if (bytes != static_cast<ssize_t>(sizeof(message)))
        return Error::last("read userfaultfd");
    if (message.event != UFFD_EVENT_PAGEFAULT)
        return Error::make(EPROTO, "userfaultfd event that is no fault");
    const std::uint64_t address = message.arg.pagefault.address; // packed: no reference to it
    return std::optional<std::uint64_t>(address);
}

Result<void> Userfaultfd::zeropage(const void* start, std::size_t bytes) {
    uffdio_zeropage request{};
    request.range = range_of(start, bytes);
    if (::ioctl(file_.get(), UFFDIO_ZEROPAGE, &request) != 0)
        return Error::last("UFFDIO_ZEROPAGE");
    return {};
}

Result<void> Userfaultfd::copy(void* to, const void* from, std::size_t bytes) {
    uffdio_copy request{};
    request.dst = reinterpret_cast<std::uintptr_t>(to);
    request.src = reinterpret_cast<std::uintptr_t>(from);
    request.len = bytes;
    if (::ioctl(file_.get(), UFFDIO_COPY, &request) != 0)
        return Error::last("UFFDIO_COPY");
    return {};
}

Result<void> Userfaultfd::wake(const void* start, std::size_t bytes) {
    uffdio_range request = range_of(start, bytes);
    if (::ioctl(file_.get(), UFFDIO_WAKE, &request) != 0)
        return Error::last("UFFDIO_WAKE");
    return {};
}

std::optional<std::string> missing_userfaultfd() {
    const Result<Userfaultfd> one = Userfaultfd::open();
    if (one)
        return std::nullopt;
    return "userfaultfd (CONFIG_USERFAULTFD): " + one.error().to_string();
}

std::optional<std::string> missing_write_protect() {
    const Result<Userfaultfd> one = Userfaultfd::open();
    if (!one)
        return one.error().to_string();
    if ((one->features() & UFFD_FEATURE_WP_HUGETLBFS_SHMEM) != 0)
        return std::nullopt;
    return "this kernel offers none for shmem (CONFIG_PTE_MARKER_UFFD_WP)";
}

} // namespace faultline
