// SPDX-License-Identifier: GPL-2.0
#include "scenarios/known_bugs.hpp"

#include <array>
#include <cctype>

namespace faultline {

namespace {

constexpr std::array<KnownBug, 0> known_bugs = {};

} // namespace

bool in_series(std::string_view release, std::string_view series) {
    if (!release.starts_with(series))
        return false;
    release.remove_prefix(series.size());
    return release.empty() || std::isdigit(static_cast<unsigned char>(release.front())) == 0;
}

const KnownBug* known_bug(std::string_view scenario, std::string_view release) {
    for (const KnownBug& bug : known_bugs)
        if (bug.scenario == scenario && in_series(release, bug.series))
            return &bug;
    return nullptr;
}

} // namespace faultline
