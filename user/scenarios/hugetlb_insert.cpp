// SPDX-License-Identifier: GPL-2.0
// hugetlb-insert: a fault that has a new page does not put it beyond the end of a truncated file.
//
// Claim: as in hugetlb-truncate, which has the other window.
//
// Actors: the faulter has allocated a page and is held where it is about to put it into the page
// cache; the cutter truncates the file or punches a hole meanwhile.
//     hugetlb_fault()  against  remove_inode_hugepages()
//
// A bad outcome: beyond=mapped, and a count of reserved pages below 0 (pool=wrong):
// docs/findings/hugetlb-insert-beyond-end.md.
#include "kernel/debugfs.hpp"
#include "kernel/series.hpp"
#include "scenarios/hugetlb_cut.hpp"
#include "scenarios/list.hpp"

namespace faultline {

namespace {

constexpr std::string_view schedule = "faulter@enter:hugetlb_add_to_page_cache -> cutter@user:cut; "
                                      "cutter@user:done -> faulter@enter:hugetlb_add_to_page_cache";

// On every kernel that was tried.
constexpr KnownBug beyond_end = {.words = "fault=ok pool=wrong beyond=mapped",
                                 .releases = "6.1, 6.12, 7.2, 7.3",
                                 .fix = "no fix is known: "
                                        "docs/findings/hugetlb-insert-beyond-end.md"};

constexpr std::string_view empty = "fault=ok pool=exact data=zero";
// A fault that sees the new size fails; one that came before it had its page, which is gone.
constexpr std::string_view beyond = "fault=ok|EFAULT pool=exact beyond=SIGBUS";

constexpr std::string_view fault_mutex = "__mutex_lock < remove_inode_hugepages";
constexpr std::string_view remedys_mutex = "__mutex_lock < hugetlb_cut_after_faults [faultline]";
// 6.1's down_write() jumps to the slow path and leaves no frame.
constexpr std::string_view vma_lock = "down_write < remove_inode_hugepages";
constexpr std::string_view vma_lock_jumped = "rwsem_down_write_slowpath < remove_inode_hugepages";
constexpr std::string_view no_need_to_wait =
    "a truncation need not wait for a fault that looks at the size again";

struct Row {
    std::string_view name;
    std::string_view about;
    std::string_view expected; // of it, all but the fault's result in each run
    HugetlbCutCase cut;
    std::vector<KnownBug> known = {};
    Exclusion exclusion = {};
};

const std::vector<Row>& rows() {
    static const std::vector<Row> all = {
        {.name = "into-hole",
         .about = "a hole is punched where a new page is about to be",
         .expected = empty,
         .cut = {.page = 4, .present = false, .with_others = false}},
        {.name = "beyond-end",
         .about = "the file is cut before where a new page is about to be",
         .expected = beyond,
         .cut = {.truncate = true, .page = 4, .present = false, .with_others = false},
         .known = {beyond_end},
         .exclusion = {.places = {fault_mutex, remedys_mutex}, .or_overlap = no_need_to_wait}},
        // For the folios beside the page, the cutter waits for the VMA's hugetlb lock, or for the
        // faulter's fault mutex if a hash gives the first of them the same: and misses the page.
        {.name = "beyond-end-others",
         .about = "the same, and pages beside it are cut off",
         .expected = beyond,
         .cut = {.truncate = true, .page = 4, .present = false},
         .known = {beyond_end},
         .exclusion = {.places = {vma_lock, vma_lock_jumped, fault_mutex},
                       .or_overlap = no_need_to_wait}},
    };
    return all;
}

std::vector<Variant> variants() {
    std::vector<Variant> all;
    for (const Row& row : rows())
        all.push_back({.name = row.name,
                       .about = row.about,
                       .schedule = schedule,
                       .expected = {{.words = row.expected}},
                       .always = row.expected.substr(row.expected.find("pool=")),
                       .exclusion = row.exclusion,
                       .known = row.known,
                       .runs_divisor = 5});
    return all;
}

} // namespace

const Scenario& hugetlb_insert() {
    static const Scenario scenario = {
        .name = "hugetlb-insert",
        .family = "hugetlb",
        .claim = hugetlb_cut_claim,
        .source = hugetlb_cut_source,
        .races = hugetlb_cut_races,
        .bad = "beyond=mapped, data=wrong, pool=wrong",
        .variants = variants(),
        // With the remedy, the cutter waits for the faulter's fault mutex.
        .controls =
            {{.name = "corrupted",
              .about = "a byte of the new page is another after the fault",
              .variant = "into-hole",
              .produces = "data=wrong",
              .actions = {{.kind = FL_CONTROL_CORRUPT,
                           .actor = "faulter",
                           .function = "hugetlb_fault",
                           .value_is_address = true}},
              .kind = Control::Kind::comparison},
             // Whether a page that nobody cleared would be seen: its bytes must not be 0 by chance.
             {.name = "not-cleared",
              .about = "the new page is not cleared",
              .variant = "into-hole",
              .produces = "data=wrong",
              .actions = {{.kind = FL_CONTROL_SKIP,
                           .actor = "faulter",
                           .function = in_series(running_release(), "6.1") ? "clear_huge_page"
                                                                           : "folio_zero_user"}},
              .kind = Control::Kind::comparison,
              .needs = {{"a kernel booted with poison",
                         [] { return missing_capability("poisoned-pages"); }}}},
             {.name = "cut-after-faults",
              .about = "pages are removed when all faults under way have ended",
              .variant = "beyond-end",
              .actions = {{.kind = FL_CONTROL_REPLACE,
                           .actor = "cutter",
                           .function = "remove_inode_hugepages",
                           .replacement = "hugetlb_cut_after_faults"}},
              .kind = Control::Kind::remedy}},
        .no_hazard_control = "beyond-end has the hazard by itself on every kernel that was tried: "
                             "no control could bring it back",
        .needs = {{"huge pages", missing_hugetlb}},
        .make = [](const Variant& variant) -> std::unique_ptr<Experiment> {
            return std::make_unique<HugetlbCut>(row_of(rows(), variant).cut);
        },
    };
    return scenario;
}

} // namespace faultline
