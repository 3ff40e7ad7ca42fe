// SPDX-License-Identifier: GPL-2.0
// hugetlb-mremap: a mapping that moves keeps each page at its offset.
//
// Claim (mm/hugetlb.c, move_hugetlb_page_tables()): every huge page is at the new address what it
// was at the old one. 6.12.95 skips a table of PMDs that is not there by setting bits of the two
// addresses, where it should add to both: if they do not have the same offset in what a PUD maps,
// the pages after the gap land elsewhere, outside of the mapping.
//
// Who: the mover alone. Its mapping begins with the last huge page of one PUD's range, which is not
// there, and ends with the first of the next, which is; it moves to the beginning of a range.
//     mremap()  against nobody
//
// A bad outcome: moved=lost, and stray=found where the page landed. The stray page is taken into a
// mapping and unmapped there: left alone, it makes the kernel oops when the process exits.
#include "scenarios/hugetlb_experiment.hpp"
#include "scenarios/list.hpp"

#include <cerrno>
#include <sys/mman.h>

namespace faultline {

namespace {

constexpr std::uint64_t pattern = 0x6d6f766564;

enum Slot : unsigned {
    slot_moved, // 1: the word is at the new address
    slot_stray, // 1: it is where it does not belong
};

class HugetlbMremap final : public HugetlbExperiment {
  public:
    std::vector<Actor> actors() override {
        return {{.name = "mover",
                 .kind = Actor::Kind::process,
                 .cpu = 0,
                 .body = [this](ActorContext& me) { me.check(move(me)); }}};
    }

    Result<void> begin(Run& /*run*/) override { return file().fresh(); }

    Outcome judge(Run& run) override {
        Outcome outcome;
        const bool moved = run.slot("mover", slot_moved) == 1;
        const bool stray = run.slot("mover", slot_stray) == 1;
        outcome.add("moved", moved ? "kept" : "lost");
        outcome.add("stray", stray ? "found" : "none");
        outcome.require(moved, "the page is not at its offset any more");
        outcome.require(!stray, "a page is where the mapping is not");
        judge_pool(outcome); // the file is empty: so all are free
        return outcome;
    }

    std::optional<bool> overlapped(const Run& run) override {
        return run.slot("mover", slot_moved) != unreported;
    }

  private:
    static Result<char*> map(char* at, std::size_t bytes) {
        void* memory =
            ::mmap(at, bytes, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_NORESERVE | MAP_FIXED, -1, 0);
        return memory == MAP_FAILED ? Result<char*>(Error::last("mmap (hugetlb)"))
                                    : static_cast<char*>(memory);
    }

    // The last page of one range, which is never touched, and the first of the next.
    Result<void> move(ActorContext& me) {
        const std::size_t huge = file().huge_bytes();
        const Result<char*> old = map(file().range(2) - huge, 2 * huge);
        if (!old)
            return old.error();
        if (Result<void> written = poke(*old + huge, pattern); !written)
            return written;
        // 6.12 has got to the end of the new range when it comes to the page. No other mapping
        // may be there: the kernel would take the stray page for one of its own.
        char* beyond = file().range(1);
        if (::munmap(beyond, huge) != 0)
            return Error::last("munmap");
        char* to = file().range(0);
        if (::mremap(*old, 2 * huge, 2 * huge, MREMAP_MAYMOVE | MREMAP_FIXED, to) == MAP_FAILED)
            return Error::last("mremap");
        const Result<std::uint64_t> word = peek(to + huge);
        me.report(slot_moved, word && *word == pattern ? 1 : 0);
        const Result<char*> adopted = map(beyond, huge);
        if (!adopted)
            return adopted.error();
        const Result<std::uint64_t> stray = peek(beyond);
        me.report(slot_stray, stray && *stray == pattern ? 1 : 0);
        return {};
    }
};

} // namespace

const Scenario& hugetlb_mremap() {
    static const Scenario scenario = {
        .name = "hugetlb-mremap",
        .family = "hugetlb",
        .claim = "a mapping that moves keeps each huge page at its offset",
        .source = "mm/hugetlb.c, move_hugetlb_page_tables()",
        .races = "mremap() against nobody",
        .bad = "moved=lost, stray=found",
        .variants = {{.name = "private",
                      .about = "no file has the page: what is lost is lost",
                      // 6.12.117 is the first version that was seen without it.
                      .known = {{.words = "moved=lost stray=found",
                                 .releases = "6.12 < 6.12.117",
                                 .fix = "fixed for CVE-2026-98373 (7.2.9)",
                                 .machines = "x86_64, aarch64"}},
                      .forced = false,
                      .runs_divisor = 10}},
        // As if the page tables were moved: two huge pages.
        .controls = {{.name = "not-moved",
                      .about = "the page tables are not moved",
                      .variant = "private",
                      .produces = "moved=lost stray=none",
                      .actions = {{.kind = FL_CONTROL_SKIP,
                                   .actor = "mover",
                                   .function = "move_hugetlb_page_tables",
                                   .value = 2 * hugetlb_bytes()}},
                      .kind = Control::Kind::comparison}},
        .no_hazard_control = "the bug of 6.12 is the hazard: it is KNOWN there, and no function "
                             "brings it back elsewhere",
        .needs = {{"huge pages", missing_hugetlb}},
        .make = [](const Variant& /*variant*/) -> std::unique_ptr<Experiment> {
            return std::make_unique<HugetlbMremap>();
        },
    };
    return scenario;
}

} // namespace faultline
