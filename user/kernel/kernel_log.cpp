// SPDX-License-Identifier: GPL-2.0
#include "kernel/kernel_log.hpp"

#include <algorithm>
#include <array>

namespace faultline {

namespace {

constexpr const char* kmsg = "/dev/kmsg";
constexpr std::array<std::string_view, 5> complaints = {
    "BUG: ", "kernel BUG at", "WARNING: ", "Unable to handle", " corruption"};

} // namespace

std::optional<std::string> complaint_of(std::string_view record) {
    const std::size_t semicolon = record.find(';');
    if (semicolon == std::string_view::npos)
        return std::nullopt;
    std::string_view text = record.substr(semicolon + 1);
    text = text.substr(0, text.find('\n'));
    const bool complains =
        std::any_of(complaints.begin(), complaints.end(), [text](std::string_view word) {
            return text.find(word) != std::string_view::npos;
        });
    return complains ? std::optional<std::string>(text) : std::nullopt;
}

void note_in_kernel_log(std::string_view text) {
    const Result<Fd> file = Fd::open(kmsg, O_WRONLY);
    if (file)
        (void)write_all(file->get(), "faultline: " + std::string(text) + "\n", kmsg).ok();
}

Result<KernelLog> KernelLog::open() {
    Result<Fd> file = Fd::open(kmsg, O_RDONLY | O_NONBLOCK);
    if (!file)
        return file.error();
    if (::lseek(file->get(), 0, SEEK_END) < 0)
        return Error::last("lseek", kmsg);
    return KernelLog(std::move(*file));
}

Result<std::string> KernelLog::complaint() const {
    std::string first;
    std::array<char, 8192> record{};
    for (;;) {
        const ssize_t got = ::read(file_.get(), record.data(), record.size());
        if (got < 0 && errno == EPIPE)
            continue; // overwritten before we read it: what is left begins later
        if (got < 0 && errno != EAGAIN)
            return Error::last("read", kmsg);
        if (got <= 0)
            return first;
        const std::optional<std::string> text =
            complaint_of({record.data(), static_cast<std::size_t>(got)});
        complaints_ += text ? 1 : 0;
        if (text && first.empty())
            first = *text;
    }
}

Result<std::uint64_t> KernelLog::complaints() const {
    const Result<std::string> read = complaint();
    return read ? Result<std::uint64_t>(complaints_) : read.error();
}

} // namespace faultline
