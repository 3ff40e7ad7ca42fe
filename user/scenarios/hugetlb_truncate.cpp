// SPDX-License-Identifier: GPL-2.0
// hugetlb-truncate: a page that is touched after a cut has unmapped it does not stay mapped.
//
// Claim (Mike Kravetz and Hugh Dickins, linux-mm, 9 October 2020, on which locks are needed;
// fs/hugetlbfs, "hugetlb: handle truncate racing with page faults"): beyond the end of the file
// there is SIGBUS and nothing else, a page that was cut off is mapped nowhere, and a page has its
// own data or none.
//
// Actors: the cutter truncates the file or punches a hole, and is held where it has unmapped the
// pages and is about to remove them; the faulter touches a page meanwhile. hugetlb-insert has the
// other window.
//     hugetlb_fault()  against  remove_inode_hugepages()
//
// A bad outcome: a page that is mapped beyond the end, a page of before the hole, another page's
// data, a pool whose counts are wrong.
#include "scenarios/hugetlb_cut.hpp"
#include "scenarios/list.hpp"

#include <array>

namespace faultline {

namespace {

constexpr std::string_view schedule = "cutter@enter:remove_inode_hugepages -> faulter@user:touch; "
                                      "faulter@user:touched -> cutter@enter:remove_inode_hugepages";

constexpr std::string_view punched = "fault=ok pool=exact data=zero";
constexpr std::string_view kept = "fault=ok pool=exact data=kept";
// Before the truncation has ended, a page beyond the new end can still be had, or not.
constexpr std::string_view beyond = "fault=ok|EFAULT pool=exact beyond=SIGBUS";

struct Row {
    std::string_view name;
    std::string_view about;
    std::string_view expected; // of it, all but the fault's result in each run
    HugetlbCutCase cut;
};

constexpr std::array rows = {
    Row{"hole", "a page in the hole is touched, which has been unmapped", punched, {.page = 4}},
    Row{"hole-beside", "a page beside the hole is touched", kept, {.page = 7}},
    Row{"cut", "a page beyond the new end is touched", beyond, {.truncate = true, .page = 4}},
    Row{"cut-before", "a page before the new end is touched", kept, {.truncate = true, .page = 1}},
    Row{"hole-reserved",
        "a page in the hole is touched, of a file with reservations",
        punched,
        {.page = 4, .with_reserved = true}},
    Row{"cut-reserved",
        "a page beyond the new end is touched, of a file with reservations",
        beyond,
        {.truncate = true, .page = 4, .with_reserved = true}},
};

std::vector<Variant> variants() {
    std::vector<Variant> all;
    all.reserve(rows.size());
    for (const Row& row : rows)
        all.push_back({.name = row.name,
                       .about = row.about,
                       .schedule = schedule,
                       .expected = {{.words = row.expected}},
                       .always = row.expected.substr(row.expected.find("pool=")),
                       .runs_divisor = 5});
    return all;
}

} // namespace

const Scenario& hugetlb_truncate() {
    static const Scenario scenario = {
        .name = "hugetlb-truncate",
        .family = "hugetlb",
        .claim = hugetlb_cut_claim,
        .source = hugetlb_cut_source,
        .races = hugetlb_cut_races,
        .bad = "beyond=mapped, data=wrong, pool=wrong",
        .variants = variants(),
        // The faulter maps a page again that the cutter has unmapped: only a second unmapping, of
        // each folio that is removed, takes it away.
        .controls = {{.name = "no-second-unmap",
                      .about = "a page that was mapped again is not unmapped again",
                      .variant = "hole",
                      .produces = "data=wrong",
                      .actions = {{.kind = FL_CONTROL_SKIP,
                                   .actor = "cutter",
                                   .function = "hugetlb_vma_maps"}},
                      .complains = true}},
        .needs = {{"huge pages", missing_hugetlb}},
        .make = [](const Variant& variant) -> std::unique_ptr<Experiment> {
            return std::make_unique<HugetlbCut>(row_of(rows, variant).cut);
        },
    };
    return scenario;
}

} // namespace faultline
