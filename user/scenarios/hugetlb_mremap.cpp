// SPDX-License-Identifier: GPL-2.0
// hugetlb-mremap: a mapping that moves keeps each page at its offset.
//
// Claim (mm/hugetlb.c, move_hugetlb_page_tables()): after a move, every huge page is at the offset
// where it was before. 6.12.95 skips an absent table of PMDs by setting bits of the two addresses,
// where it should add to both: if the addresses have different offsets in the range of a PUD, the
// pages after the gap land elsewhere, outside of the mapping. "mm/hugetlb: preserve mremap address
// delta when skipping page tables" mends it (6.12.112).
//
// Actors: the mover alone.
//   private  Its mapping begins with the last huge page of one PUD's range, which is absent, and
//            ends with the first of the next, which is present; it moves to the start of a range.
//   half     A shared mapping of a file, half as long as a PUD's range: too short to share page
//            tables. hugetlb-mremap-shareable has the whole.
//     mremap(), alone
//
// A bad outcome: moved=lost, and stray=found where the page landed. The stray page is taken into a
// mapping and unmapped there: left alone, it makes the kernel oops when the process exits.
#include "scenarios/hugetlb_experiment.hpp"
#include "scenarios/list.hpp"

#include <array>
#include <cerrno>
#include <sys/mman.h>
#include <unistd.h>

namespace faultline {

namespace {

constexpr std::uint64_t pattern = 0x6d6f766564;

enum Slot : unsigned {
    slot_moved, // 1: the page is mapped at the new address, and has the word
    slot_stray, // 1: it is where it does not belong
};

constexpr std::string_view kept = "moved=kept stray=none pool=exact";

struct Row {
    std::string_view name;
    bool shared; // of a file, else of no file: a page that is lost then is lost for good
};

constexpr std::array rows = {Row{"private", false}, Row{"half", true}};

class HugetlbMremap final : public HugetlbExperiment {
  public:
    explicit HugetlbMremap(const Row& row) : row_(row) {}

    std::vector<Actor> actors() override {
        return {{.name = "mover",
                 .kind = Actor::Kind::process,
                 .cpu = 0,
                 .body = [this](ActorContext& me) {
                     me.check(row_.shared ? move(me, {.from = file().range(0),
                                                      .bytes = file().bytes() / 2,
                                                      .to = file().range(1),
                                                      .beyond = file().range(2)})
                                          : move(me, {.from = file().range(2) - file().huge_bytes(),
                                                      .bytes = 2 * file().huge_bytes(),
                                                      .offset = file().huge_bytes(),
                                                      .to = file().range(0),
                                                      .beyond = file().range(1)}));
                 }}};
    }

    // The driver's own mapping is not there, or it would take part.
    Result<void> begin(Run& /*run*/) override {
        if (Result<void> fresh = file().fresh(); !fresh)
            return fresh;
        return file().unmap();
    }

    [[nodiscard]] std::uint64_t corrupt_base() const override {
        return reinterpret_cast<std::uintptr_t>(file().range(row_.shared ? 1 : 0));
    }

    Outcome judge(Run& run) override {
        Outcome outcome;
        outcome.add("moved", run.slot("mover", slot_moved) == 1 ? "kept" : "lost");
        outcome.add("stray", run.slot("mover", slot_stray) == 1 ? "found" : "none");
        judge_pool(outcome); // the page of no file is free again
        return outcome;
    }

    std::optional<bool> overlapped(const Run& run) override {
        return run.slot("mover", slot_moved) != unreported;
    }

  private:
    struct Move {
        char* from = nullptr;
        std::size_t bytes = 0;
        std::size_t offset = 0; // of the page that is there
        char* to = nullptr;
        char* beyond = nullptr; // where a page lands whose address got only its bits set
    };

    Result<char*> map(char* at, std::size_t bytes, bool shared) const {
        const int flags = MAP_NORESERVE | MAP_FIXED;
        void* memory =
            shared ? ::mmap(at, bytes, PROT_READ | PROT_WRITE, flags | MAP_SHARED, file().file(), 0)
                   : ::mmap(at, bytes, PROT_READ | PROT_WRITE,
                            flags | MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
        return memory == MAP_FAILED ? Result<char*>(Error::last("mmap (hugetlb)"))
                                    : static_cast<char*>(memory);
    }

    // Is a page mapped there? A read of a file's page would map it.
    Result<bool> mapped(char* at) const {
        unsigned char resident = 0;
        if (::mincore(at, static_cast<std::size_t>(::getpagesize()), &resident) != 0)
            return Error::last("mincore");
        return (resident & 1) != 0;
    }

    Result<void> move(ActorContext& me, const Move& by) {
        const std::size_t huge = file().huge_bytes();
        const Result<char*> old = map(by.from, by.bytes, row_.shared);
        if (!old)
            return old.error();
        if (Result<void> written = poke(*old + by.offset, pattern); !written)
            return written;
        // No other mapping may be there: the kernel would take a stray page for one of its own.
        if (::munmap(by.beyond, huge) != 0)
            return Error::last("munmap");
        if (::mremap(*old, by.bytes, by.bytes, MREMAP_MAYMOVE | MREMAP_FIXED, by.to) == MAP_FAILED)
            return Error::last("mremap");
        const Result<bool> there = mapped(by.to + by.offset);
        if (!there)
            return there.error();
        const Result<std::uint64_t> word = peek(by.to + by.offset);
        me.report(slot_moved, *there && word && *word == pattern ? 1 : 0);
        const Result<char*> adopted = map(by.beyond, huge, false);
        if (!adopted)
            return adopted.error();
        const Result<std::uint64_t> stray = peek(by.beyond);
        me.report(slot_stray, stray && *stray == pattern ? 1 : 0);
        return {};
    }

    const Row& row_;
};

} // namespace

const Scenario& hugetlb_mremap() {
    static const Scenario scenario = {
        .name = "hugetlb-mremap",
        .family = "hugetlb",
        .claim = "a mapping that moves, and cannot share page tables, keeps each page's offset",
        .source = "mm/hugetlb.c, move_hugetlb_page_tables()",
        .races = "mremap(), alone",
        .bad = "moved=lost, stray=found",
        .variants = {{.name = "private",
                      .about = "over an absent table; no file has the page",
                      .expected = {{.words = kept}},
                      // 6.12.112 has the fix by its changelog; seen to fail: 6.12.95.
                      .known = {{.words = "moved=lost stray=found pool=exact",
                                 .releases = "6.12 < 6.12.112",
                                 .fix = "fixed by \"mm/hugetlb: preserve mremap address delta when "
                                        "skipping page tables\" (6.12.112), CVE-2026-98373 (7.2.9)",
                                 .machines = "x86_64, aarch64"}},
                      .forced = false,
                      .runs_divisor = 10},
                     {.name = "half",
                      .about = "a shared mapping of a file, too short to share page tables",
                      .expected = {{.words = kept}},
                      .forced = false,
                      .runs_divisor = 10,
                      .needs = {{"PMD sharing", missing_pmd_sharing}}}},
        .controls =
            {{.name = "moved-by-mask",
              .about = "an absent table is skipped by setting bits of both addresses",
              .variant = "private",
              .produces = "moved=lost stray=found",
              .actions = {{.kind = FL_CONTROL_REPLACE,
                           .actor = "mover",
                           .function = "move_hugetlb_page_tables",
                           .replacement = "hugetlb_move_by_mask"}},
              // Elsewhere the replacement skipped nothing (s390x) or ended in a panic (ppc64le).
              .needs = {{"PMD sharing", missing_pmd_sharing}}},
             // As if the page tables were moved: two huge pages.
             {.name = "not-moved",
              .about = "the page tables are not moved",
              .variant = "private",
              .produces = "moved=lost stray=none",
              .actions = {{.kind = FL_CONTROL_SKIP,
                           .actor = "mover",
                           .function = "move_hugetlb_page_tables",
                           .value = 2 * hugetlb_bytes()}},
              .kind = Control::Kind::comparison},
             {.name = "corrupted",
              .about = "a byte of the page is another after the move",
              .variant = "half",
              .produces = "moved=lost",
              .actions = {{.kind = FL_CONTROL_CORRUPT,
                           .actor = "mover",
                           .function = "sys_mremap",
                           .value_is_address = true}},
              .kind = Control::Kind::comparison}},
        .needs = {{"huge pages", missing_hugetlb}},
        .make = [](const Variant& variant) -> std::unique_ptr<Experiment> {
            return std::make_unique<HugetlbMremap>(row_of(rows, variant));
        },
    };
    return scenario;
}

} // namespace faultline
