// SPDX-License-Identifier: GPL-2.0
#include "scenarios/hugetlb_cut.hpp"

#include <cerrno>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/falloc.h>
#include <sys/mman.h>
#include <unistd.h>

namespace faultline {

namespace {

constexpr std::size_t pages = 8; // that are looked at
constexpr std::size_t cut_from = 2;
constexpr std::size_t cut_to = 6; // end of the hole; a truncation cuts all the rest
constexpr std::size_t reserved_page = 7;
constexpr std::uint64_t of_before = 0x1000;
constexpr std::uint64_t of_faulter = 0x2000;

constexpr unsigned slot_errno = 0;

} // namespace

std::vector<Actor> HugetlbCut::actors() {
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
                 // Neither madvise() nor poke() raises SIGBUS where there is no page.
                 char* page = file().address(case_.page);
                 const bool there = ::madvise(page, file().huge_bytes(), MADV_POPULATE_WRITE) == 0;
                 me.report(slot_errno, there ? 0 : errno);
                 if (there && case_.present)
                     (void)poke(page, of_faulter + case_.page).ok();
                 (void)me.at("touched").ok();
             }}};
}

Result<void> HugetlbCut::begin(Run& /*run*/) {
    if (Result<void> fresh = file().fresh(); !fresh)
        return fresh;
    if (case_.with_reserved)
        if (Result<void> reserved = file().reserve(pages); !reserved)
            return reserved;
    for (std::size_t page = 0; page < pages; ++page)
        if (there_before(page))
            if (Result<void> written = poke(file().address(page), of_before + page); !written)
                return written;
    return {};
}

Outcome HugetlbCut::judge(Run& run) {
    Outcome outcome;
    outcome.add("fault", error_name(run.slot("faulter", slot_errno)));
    outcome.require(run.slot("cutter", slot_errno) == 0, "the file could not be cut");
    judge_pool(outcome, case_.with_reserved && !cut_off(reserved_page) ? 1 : 0);
    for (std::size_t page = 0; page < pages; ++page)
        judge_page(outcome, page);
    return outcome;
}

Allowed HugetlbCut::may_differ(const Run& run) const {
    Allowed all = HugetlbExperiment::may_differ(run);
    all.push_back(bytes_may_differ(case_.page, case_.page, "the faulter writes, or has a new one"));
    if (case_.truncate)
        all.push_back({"file hugetlb st_size", "the cutter cuts it"});
    if (case_.with_reserved)
        all.push_back({"machine meminfo HugePages_Rsvd", "judge_pool() knows how many"});
    return all;
}

std::uint64_t HugetlbCut::corrupt_base() const {
    return reinterpret_cast<std::uintptr_t>(file().address(case_.page));
}

bool HugetlbCut::cut_off(std::size_t page) const {
    return page >= cut_from && (case_.truncate || page < cut_to);
}

bool HugetlbCut::there_before(std::size_t page) const {
    if (page == case_.page)
        return case_.present;
    if (case_.with_reserved && page == reserved_page)
        return false;
    return case_.with_others || !cut_off(page);
}

bool HugetlbCut::cut() {
    const auto huge = static_cast<off_t>(file().huge_bytes());
    const off_t from = static_cast<off_t>(cut_from) * huge;
    const off_t to = static_cast<off_t>(cut_to) * huge;
    constexpr int punch = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
    return case_.truncate ? ::ftruncate(file().file(), from) == 0
                          : ::fallocate(file().file(), punch, from, to - from) == 0;
}

// A read maps a page of the file; beyond the end, where nothing is mapped, it fails.
void HugetlbCut::judge_page(Outcome& outcome, std::size_t page) {
    const Result<std::uint64_t> word = peek(file().address(page));
    const bool touched = page == case_.page;
    if (case_.truncate && cut_off(page)) {
        if (touched)
            outcome.add("beyond", word ? "mapped" : "SIGBUS");
        outcome.require(!word, fmt::format("page {} is mapped beyond the end", page));
        return;
    }
    if (!word) {
        outcome.forbid(fmt::format("page {} cannot be read: {}", page, word.error().message));
        return;
    }
    const std::uint64_t writer = touched && case_.present ? of_faulter : of_before;
    const bool empty = cut_off(page) || (!touched && !there_before(page));
    const bool right = *word == (empty ? 0 : writer + page);
    if (touched)
        outcome.add("data", right ? (cut_off(page) ? "zero" : "kept") : "wrong");
    outcome.require(right, fmt::format("page {} reads {:#x}", page, *word));
}

} // namespace faultline
