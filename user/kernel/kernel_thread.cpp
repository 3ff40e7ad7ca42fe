// SPDX-License-Identifier: GPL-2.0
#include "kernel/kernel_thread.hpp"

#include "kernel/fd.hpp"

#include <cerrno>
#include <charconv>
#include <filesystem>
#include <string>

namespace faultline {

Result<pid_t> kernel_thread(std::string_view name) {
    // kthreadd is 2, and the parent of all.
    const std::string begins = "(" + std::string(name) + ") ";
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator("/proc", error)) {
        const std::string number = entry.path().filename();
        pid_t pid = 0;
        const auto [end, bad] = std::from_chars(number.data(), number.data() + number.size(), pid);
        if (bad != std::errc() || end != number.data() + number.size())
            continue;
        const std::string stat = read_text(entry.path() / "stat").value_or("");
        const std::size_t at = stat.find(begins);
        if (at != std::string::npos && stat.substr(at + begins.size() + 1, 3) == " 2 ")
            return pid;
    }
    if (error)
        return Error::make(error.value(), "list", "/proc");
    return Error::make(ESRCH, "no such thread of the kernel", name);
}

} // namespace faultline
