// SPDX-License-Identifier: GPL-2.0
// A file descriptor that closes itself, and reading and writing small text files.
#ifndef FAULTLINE_KERNEL_FD_HPP
#define FAULTLINE_KERNEL_FD_HPP

#include "kernel/result.hpp"

#include <fcntl.h>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <unistd.h>
#include <utility>

namespace faultline {

class Fd {
  public:
    Fd() = default;
    explicit Fd(int fd) : fd_(fd) {}
    Fd(const Fd&) = delete;
    Fd& operator=(const Fd&) = delete;
    Fd(Fd&& other) noexcept : fd_(other.release()) {}
    Fd& operator=(Fd&& other) noexcept {
        reset(other.release());
        return *this;
    }
    ~Fd() { reset(); }

    // O_CLOEXEC is added.
    static Result<Fd> open(const std::string& path, int flags, mode_t mode = 0600) {
        const int fd = ::open(path.c_str(), flags | O_CLOEXEC, mode);
        if (fd < 0)
            return Error::last("open", path);
        return Fd(fd);
    }

    [[nodiscard]] int get() const { return fd_; }
    [[nodiscard]] bool valid() const { return fd_ >= 0; }
    explicit operator bool() const { return valid(); }
    int release() { return std::exchange(fd_, -1); }
    void reset(int fd = -1) {
        const int old = std::exchange(fd_, fd);
        if (old >= 0 && old != fd)
            ::close(old);
    }

  private:
    int fd_ = -1;
};

// The whole of a small file, to its end. Right for files whose stat size is 0 (proc, sysfs).
Result<std::string> read_text(const std::string& path);

// One write() of the text to an existing file: what sysfs, sysctl and debugfs files want.
Result<void> write_text(const std::string& path, std::string_view text);

// write() until all of it is out, whatever the file is.
Result<void> write_all(int fd, std::string_view text, std::string_view path = {});

} // namespace faultline

#endif // FAULTLINE_KERNEL_FD_HPP
