// SPDX-License-Identifier: GPL-2.0
// hugetlb-truncate, hugetlb-insert: a fault of hugetlb against a truncation or a hole, at the
// window of the one and of the other.
//
// Claim (Mike Kravetz and Hugh Dickins, linux-mm, 9 October 2020, on what to lock; fs/hugetlbfs,
// "hugetlb: handle truncate racing with page faults"): beyond the end of the file there is SIGBUS
// and nothing else, a page that was cut off is mapped nowhere, and a page has its own data or none.
//
// Who: the cutter truncates the file or punches a hole; the faulter touches a page.
// hugetlb-truncate: the cutter has unmapped what there was, and is held before it removes the
// pages. hugetlb-insert: the faulter has a new page, and is held before that is in the page cache.
//     hugetlb_fault()  against  remove_inode_hugepages()
//
// A bad outcome: a page that is mapped beyond the end, a page of before the hole, another page's
// data, a pool whose books are wrong.
#include "scenarios/hugetlb_experiment.hpp"
#include "scenarios/list.hpp"

#include <array>
#include <cerrno>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/falloc.h>
#include <sys/mman.h>
#include <unistd.h>

namespace faultline {

namespace {

constexpr std::string_view removing = "cutter@enter:remove_inode_hugepages -> faulter@user:touch; "
                                      "faulter@user:touched -> cutter@enter:remove_inode_hugepages";
constexpr std::string_view inserting =
    "faulter@enter:hugetlb_add_to_page_cache -> cutter@user:cut; "
    "cutter@user:done -> faulter@enter:hugetlb_add_to_page_cache";

constexpr std::size_t pages = 8; // that are looked at
constexpr std::size_t cut_from = 2;
constexpr std::size_t cut_to = 6; // of the hole; a truncation cuts all the rest
constexpr std::size_t reserved_page = 7;
constexpr std::uint64_t of_before = 0x1000;
constexpr std::uint64_t of_faulter = 0x2000;

enum Slot : unsigned { slot_errno };

struct Row {
    std::string_view name;
    std::string_view about;
    std::string_view schedule;
    bool truncate;         // else a hole
    std::size_t page;      // that the faulter touches
    bool alone = false;    // no other page is cut off
    bool reserved = false; // the pool keeps all pages ready, and `reserved_page` is not there yet
};

constexpr std::array rows = {
    Row{"hole", "a page in the hole is touched, which has been unmapped", removing, false, 4},
    Row{"hole-beside", "a page beside the hole is touched", removing, false, 7},
    Row{"cut", "a page beyond the new end is touched", removing, true, 4},
    Row{"cut-before", "a page before the new end is touched", removing, true, 1},
    Row{"hole-reserved", "a page in the hole is touched, of a file with reservations", removing,
        false, 4, false, true},
    Row{"cut-reserved", "a page beyond the new end, of a file with reservations", removing, true, 4,
        false, true},
    Row{"into-hole", "a hole is punched where a new page is about to be", inserting, false, 4,
        true},
    Row{"beyond-end", "the file is cut before where a new page is about to be", inserting, true, 4,
        true},
    Row{"beyond-end-others", "the same, and pages beside it are cut off", inserting, true, 4},
};

class HugetlbTruncate final : public HugetlbExperiment {
  public:
    explicit HugetlbTruncate(const Row& row) : row_(row) {}

    std::vector<Actor> actors() override {
        return {{.name = "cutter",
                 .kind = Actor::Kind::thread,
                 .cpu = 0,
                 .body =
                     [this](ActorContext& me) {
                         if (!me.at("cut"))
                             return;
                         me.report(slot_errno, cut() ? 0 : errno);
                         (void)me.at("done").ok();
                     }},
                {.name = "faulter",
                 .kind = Actor::Kind::thread,
                 .cpu = 1,
                 .body = [this](ActorContext& me) {
                     if (!me.at("touch"))
                         return;
                     // Neither of the two is a SIGBUS where the page is not to be had.
                     char* page = file().address(row_.page);
                     const bool there =
                         ::madvise(page, file().huge_bytes(), MADV_POPULATE_WRITE) == 0;
                     me.report(slot_errno, there ? 0 : errno);
                     if (there && row_.schedule == removing)
                         (void)poke(page, of_faulter + row_.page).ok();
                     (void)me.at("touched").ok();
                 }}};
    }

    Result<void> begin(Run& /*run*/) override {
        if (Result<void> fresh = file().fresh(); !fresh)
            return fresh;
        if (Result<void> reserved = row_.reserved ? file().reserve(pages) : Result<void>();
            !reserved)
            return reserved;
        for (std::size_t page = 0; page < pages; ++page)
            if (there_before(page))
                if (Result<void> written = poke(file().address(page), of_before + page); !written)
                    return written;
        return {};
    }

    Outcome judge(Run& run) override {
        Outcome outcome;
        const std::int64_t fault = run.slot("faulter", slot_errno);
        outcome.add("fault", error_name(fault));
        outcome.require(run.slot("cutter", slot_errno) == 0, "the file could not be cut");
        judge_pool(outcome, row_.reserved && !cut_off(reserved_page) ? 1 : 0);
        // Before the truncation has ended, a page beyond the new end may be had yet, or not.
        if (!row_.truncate || row_.page < cut_from)
            outcome.require(fault == 0, "the fault failed");
        for (std::size_t page = 0; page < pages; ++page)
            judge_page(outcome, page);
        return outcome;
    }

  private:
    [[nodiscard]] bool cut_off(std::size_t page) const {
        return page >= cut_from && (row_.truncate || page < cut_to);
    }

    // All pages but the one that is to be inserted, and perhaps its neighbours; or that is
    // reserved.
    [[nodiscard]] bool there_before(std::size_t page) const {
        if (row_.schedule == removing)
            return !(row_.reserved && page == reserved_page);
        return page != row_.page && !(row_.alone && cut_off(page));
    }

    bool cut() {
        const auto huge = static_cast<off_t>(file().huge_bytes());
        const off_t from = static_cast<off_t>(cut_from) * huge;
        const off_t to = static_cast<off_t>(cut_to) * huge;
        constexpr int punch = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
        return row_.truncate ? ::ftruncate(file().file(), from) == 0
                             : ::fallocate(file().file(), punch, from, to - from) == 0;
    }

    // A read maps what is in the file; where nothing is mapped beyond the end, it fails.
    void judge_page(Outcome& outcome, std::size_t page) {
        const Result<std::uint64_t> word = peek(file().address(page));
        const bool touched = page == row_.page;
        if (row_.truncate && cut_off(page)) {
            if (touched)
                outcome.add("beyond", word ? "mapped" : "SIGBUS");
            outcome.require(!word, fmt::format("page {} is mapped beyond the end", page));
            return;
        }
        if (!word) {
            outcome.forbid(fmt::format("page {} cannot be read: {}", page, word.error().message));
            return;
        }
        const std::uint64_t own = touched && row_.schedule == removing ? of_faulter : of_before;
        const bool empty = cut_off(page) || (!touched && !there_before(page));
        const bool right = *word == (empty ? 0 : own + page);
        if (touched)
            outcome.add("data", right ? (cut_off(page) ? "zero" : "kept") : "wrong");
        outcome.require(right, fmt::format("page {} reads {:#x}", page, *word));
    }

    const Row& row_;
};

std::vector<Variant> variants(std::string_view schedule) {
    std::vector<Variant> all;
    for (const Row& row : rows)
        if (row.schedule == schedule)
            all.push_back({.name = row.name,
                           .about = row.about,
                           .schedule = row.schedule,
                           .runs_divisor = 5});
    return all;
}

// What the two scenarios have in common.
Scenario about(std::string_view schedule) {
    return {.family = "hugetlb",
            .claim = "what was cut off is mapped nowhere, and beyond the end there is SIGBUS",
            .source = "Mike Kravetz and Hugh Dickins, linux-mm, 9 October 2020",
            .races = "hugetlb_fault() against remove_inode_hugepages()",
            .bad = "beyond=mapped, data=wrong, pool=wrong",
            .variants = variants(schedule),
            .needs = {{"huge pages", missing_hugetlb}},
            .make = [](const Variant& variant) -> std::unique_ptr<Experiment> {
                return std::make_unique<HugetlbTruncate>(row_of(rows, variant));
            }};
}

} // namespace

const Scenario& hugetlb_truncate() {
    static const Scenario scenario = [] {
        Scenario all = about(removing);
        all.name = "hugetlb-truncate";
        all.controls = {{.name = "no-second-unmap",
                         .about = "what was mapped again is not unmapped again",
                         .variant = "hole",
                         .actions = {{.kind = FL_CONTROL_SKIP,
                                      .actor = "cutter",
                                      .function = "hugetlb_vma_maps"}},
                         .complains = true}};
        return all;
    }();
    return scenario;
}

// By itself, as it fails: docs/findings/hugetlb-insert-beyond-end.md. With the remedy, the cutter
// cannot come to its end while the faulter is held.
const Scenario& hugetlb_insert() {
    static const Scenario scenario = [] {
        Scenario all = about(inserting);
        all.name = "hugetlb-insert";
        all.controls = {{.name = "cut-after-faults",
                         .about = "pages are removed when all faults under way have ended",
                         .variant = "beyond-end",
                         .actions = {{.kind = FL_CONTROL_REPLACE,
                                      .actor = "cutter",
                                      .function = "remove_inode_hugepages",
                                      .replacement = "hugetlb_cut_after_faults"}},
                         .remedy = true}};
        return all;
    }();
    return scenario;
}

} // namespace faultline
