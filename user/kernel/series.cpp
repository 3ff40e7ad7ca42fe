// SPDX-License-Identifier: GPL-2.0
#include "kernel/series.hpp"

#include <cctype>
#include <sys/utsname.h>

namespace faultline {

bool in_series(std::string_view release, std::string_view series) {
    if (!release.starts_with(series))
        return false;
    release.remove_prefix(series.size());
    return release.empty() || std::isdigit(static_cast<unsigned char>(release.front())) == 0;
}

const std::string& running_release() {
    static const std::string release = [] {
        utsname names{};
        return ::uname(&names) == 0 ? std::string(names.release) : std::string("unknown");
    }();
    return release;
}

} // namespace faultline
