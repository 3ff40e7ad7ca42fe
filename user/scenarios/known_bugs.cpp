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

constexpr std::string_view fake_heads =
    "fixed by \"mm/hugetlb_vmemmap: fix race with speculative PFN walkers\" (v6.11)";
constexpr std::string_view no_grace_period = "no fix is known: docs/findings/hvo-stale-pointer.md";

constexpr std::string_view mremap_offset = "fixed for CVE-2026-98373 (7.2.9)";
constexpr std::string_view pagemap_exclusive =
    "fixed by 6.12, whose pagemap_hugetlb_range() asks hugetlb_pmd_shared()";
constexpr std::string_view insert_beyond_end =
    "no fix is known: docs/findings/hugetlb-insert-beyond-end.md";

constexpr std::array known_bugs = {
    KnownBug{"collapse-contract", "6.1", skip_userfaultfd},
    KnownBug{"collapse-register", "6.1", skip_userfaultfd},
    KnownBug{"collapse-readers", "6.1", maintain_uptodate},
    KnownBug{"hvo-layout", "6.1", fake_heads},
    KnownBug{"hvo-pointer", "6.1", fake_heads},
    KnownBug{"hvo-stale", "6.1", fake_heads},
    KnownBug{"hvo-stale", "7.2", no_grace_period},
    KnownBug{"hvo-stale", "7.3", no_grace_period},
    KnownBug{"hugetlb-mremap", "6.12", mremap_offset, "x86_64"},
    KnownBug{"hugetlb-mremap", "6.12", mremap_offset, "aarch64"},
    KnownBug{"hugetlb-sharing", "6.1", pagemap_exclusive},
    KnownBug{"hugetlb-insert", "6.1", insert_beyond_end},
    KnownBug{"hugetlb-insert", "6.12", insert_beyond_end},
    KnownBug{"hugetlb-insert", "7.2", insert_beyond_end},
    KnownBug{"hugetlb-insert", "7.3", insert_beyond_end},
};

} // namespace

const KnownBug* known_bug(std::string_view scenario, std::string_view release,
                          std::string_view machine) {
    for (const KnownBug& bug : known_bugs)
        if (bug.scenario == scenario && in_series(release, bug.series) &&
            (bug.machine.empty() || bug.machine == machine))
            return &bug;
    return nullptr;
}

} // namespace faultline
