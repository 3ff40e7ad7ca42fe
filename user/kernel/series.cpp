// SPDX-License-Identifier: GPL-2.0
#include "kernel/series.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <sys/utsname.h>

namespace faultline {

bool in_series(std::string_view release, std::string_view series) {
    if (!release.starts_with(series))
        return false;
    release.remove_prefix(series.size());
    return release.empty() || std::isdigit(static_cast<unsigned char>(release.front())) == 0;
}

namespace {

std::string_view trimmed(std::string_view text) {
    while (text.starts_with(' '))
        text.remove_prefix(1);
    while (text.ends_with(' '))
        text.remove_suffix(1);
    return text;
}

// "6.12.95" as numbers; what follows the digits of the last one ends it. A release candidate is
// before its release.
std::array<long, 3> numbers_of(std::string_view version) {
    std::array<long, 3> numbers{};
    for (long& number : numbers) {
        const auto [end, error] =
            std::from_chars(version.data(), version.data() + version.size(), number);
        if (error != std::errc())
            break;
        version.remove_prefix(static_cast<std::size_t>(end - version.data()));
        if (version.starts_with("-rc"))
            number -= 1;
        if (!version.starts_with('.'))
            break;
        version.remove_prefix(1);
    }
    return numbers;
}

bool in_item(std::string_view version, std::string_view item) {
    if (item.starts_with('!'))
        return !in_item(version, trimmed(item.substr(1)));
    const std::size_t less = item.find('<');
    if (!in_series(version, trimmed(item.substr(0, less))))
        return false;
    return less == std::string_view::npos ||
           numbers_of(version) < numbers_of(trimmed(item.substr(less + 1)));
}

} // namespace

std::string distribution_version(std::string_view release, std::string_view uname_version) {
    constexpr std::string_view mark = "Debian ";
    const std::size_t at = uname_version.find(mark);
    const std::string_view text =
        at == std::string_view::npos ? release : uname_version.substr(at + mark.size());
    const std::size_t digits = text.find_first_not_of("0123456789.");
    if (digits == 0 || text.empty())
        return std::string(release);
    std::string_view version = text.substr(0, digits);
    if (digits != std::string_view::npos && text.substr(digits).starts_with("~rc")) {
        const std::string_view rest = text.substr(digits + 1);
        return std::string(version) + "-" +
               std::string(rest.substr(0, rest.find_first_not_of("0123456789", 2)));
    }
    while (version.ends_with('.'))
        version.remove_suffix(1);
    return std::string(version);
}

const std::string& running_version() {
    static const std::string version = [] {
        utsname names{};
        return ::uname(&names) == 0 ? distribution_version(names.release, names.version)
                                    : std::string("unknown");
    }();
    return version;
}

const std::string& running_machine() {
    static const std::string machine = [] {
        utsname names{};
        return ::uname(&names) == 0 ? std::string(names.machine) : std::string("unknown");
    }();
    return machine;
}

bool in_releases(std::string_view version, std::string_view releases) {
    if (trimmed(releases).empty())
        return true;
    for (;;) {
        const std::size_t comma = releases.find(',');
        if (in_item(version, trimmed(releases.substr(0, comma))))
            return true;
        if (comma == std::string_view::npos)
            return false;
        releases.remove_prefix(comma + 1);
    }
}

const std::string& running_release() {
    static const std::string release = [] {
        utsname names{};
        return ::uname(&names) == 0 ? std::string(names.release) : std::string("unknown");
    }();
    return release;
}

} // namespace faultline
