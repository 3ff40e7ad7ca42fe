// SPDX-License-Identifier: GPL-2.0
#include "kernel/fd.hpp"

#include <array>

namespace faultline {

Result<std::string> read_text(const std::string& path) {
    const Result<Fd> file = Fd::open(path, O_RDONLY);
    if (!file)
        return file.error();
    std::string text;
    std::array<char, 4096> chunk{};
    for (;;) {
        const ssize_t got = ::read(file->get(), chunk.data(), chunk.size());
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return Error::last("read", path);
        if (got == 0)
            return text;
        text.append(chunk.data(), static_cast<std::size_t>(got));
    }
}

Result<void> write_text(const std::string& path, std::string_view text) {
    const Result<Fd> file = Fd::open(path, O_WRONLY | O_TRUNC);
    if (!file)
        return file.error();
    const ssize_t put = ::write(file->get(), text.data(), text.size());
    if (put < 0)
        return Error::last("write \"" + std::string(text) + "\" to", path);
    if (static_cast<std::size_t>(put) != text.size())
        return Error::make(EIO, "short write to", path);
    return {};
}

Result<void> write_all(int fd, std::string_view text, std::string_view path) {
    while (!text.empty()) {
        const ssize_t put = ::write(fd, text.data(), text.size());
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return Error::last("write", path);
        text.remove_prefix(static_cast<std::size_t>(put));
    }
    return {};
}

} // namespace faultline
