// SPDX-License-Identifier: GPL-2.0
#include "scenarios/known_bugs.hpp"

#include "kernel/series.hpp"

#include <array>

namespace faultline {

namespace {

constexpr std::string_view skip_userfaultfd =
    "fixed by \"mm/khugepaged: skip shmem with userfaultfd\" (v6.4)";
constexpr std::string_view maintain_uptodate =
    "fixed by \"mm/khugepaged: maintain page cache uptodate flag\" (v6.4)";

constexpr std::array known_bugs = {
    KnownBug{"collapse-contract", "6.1", skip_userfaultfd},
    KnownBug{"collapse-register", "6.1", skip_userfaultfd},
    KnownBug{"collapse-readers", "6.1", maintain_uptodate},
};

} // namespace

const KnownBug* known_bug(std::string_view scenario, std::string_view release) {
    for (const KnownBug& bug : known_bugs)
        if (bug.scenario == scenario && in_series(release, bug.series))
            return &bug;
    return nullptr;
}

} // namespace faultline
