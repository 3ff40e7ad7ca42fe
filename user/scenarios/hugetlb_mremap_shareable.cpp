// SPDX-License-Identifier: GPL-2.0
// hugetlb-mremap-shareable: moving a mapping whose page tables could be shared comes to an end.
//
// Claim (mm/hugetlb.c): a move ends. But move_hugetlb_page_tables() holds i_mmap_rwsem for writing,
// and allocates the new page tables with huge_pte_alloc(), which for a mapping that could share
// takes the same lock for reading, in huge_pmd_share(): the mover waits for itself, for ever.
//
// Actors: the mover alone, with a shared mapping of a hugetlb file as long and as aligned as the
// range of a PUD, to an address as aligned. Half of that cannot share, and moves:
// hugetlb-mremap/half. (If another process shares, the table is unshared and none is allocated:
// hugetlb-exclusion/own-mremap.)
//     mremap()  against itself
//
// A bad outcome: mremap=stuck. The mover holds its mmap_lock and the file's i_mmap_rwsem for good,
// and no signal ends it: hence by name only.
#include "scenarios/hugetlb_experiment.hpp"
#include "scenarios/list.hpp"

#include <cerrno>
#include <csignal>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

namespace faultline {

namespace {

constexpr unsigned bound_ms = 2000;
constexpr std::uint64_t word = 0x77686f6c65;

enum Slot : unsigned {
    slot_ended, // 1: the mremap came to its end; 0: it did not within the bound
    slot_kept,  // 1: and the page was at its offset
    slot_child, // the process that is stuck
};

class HugetlbMremapShareable final : public HugetlbExperiment {
  public:
    std::vector<Actor> actors() override {
        return {{.name = "mover",
                 .kind = Actor::Kind::process,
                 .cpu = 0,
                 .body = [this](ActorContext& me) { me.check(watch_a_move(me)); }}};
    }

    // The driver's own mapping of the file must not be there, or it would share.
    Result<void> begin(Run& /*run*/) override {
        if (Result<void> fresh = file().fresh(); !fresh)
            return fresh;
        if (Result<void> written = poke(file().address(), word); !written)
            return written;
        return file().unmap();
    }

    Outcome judge(Run& run) override {
        Outcome outcome;
        const bool ended = run.slot("mover", slot_ended) == 1;
        const bool kept = run.slot("mover", slot_kept) == 1;
        outcome.add("mremap", ended ? "ended" : "stuck");
        if (!ended) {
            const Result<std::string> stack =
                read_text(fmt::format("/proc/{}/stack", run.slot("mover", slot_child)));
            return outcome.forbid("it never ends: " +
                                  (stack ? one_line(*stack) : stack.error().to_string()));
        }
        return outcome.add("page", kept ? "kept" : "lost");
    }

    std::optional<bool> overlapped(const Run& run) override {
        return run.slot("mover", slot_ended) != unreported;
    }

  private:
    // "[<0>] huge_pmd_share+0x43/0x2d0\n..." to "huge_pmd_share < ..."
    static std::string one_line(const std::string& stack) {
        std::string line;
        for (std::size_t at = stack.find("] "); at != std::string::npos;
             at = stack.find("] ", at)) {
            at += 2;
            line +=
                (line.empty() ? "" : " < ") + stack.substr(at, stack.find_first_of("+\n", at) - at);
        }
        return line;
    }

    static Result<void> report(ActorContext& me, int moved) {
        if (moved > 1)
            return Error::make(EPROTO, "the mapping could not be moved at all");
        me.report(slot_ended, 1);
        me.report(slot_kept, moved == 0 ? 1 : 0);
        return {};
    }

    // A child moves: the mover is left to report that it does not come back.
    Result<void> watch_a_move(ActorContext& me) {
        const pid_t child = ::fork();
        if (child < 0)
            return Error::last("fork");
        if (child == 0) {
            // It must not keep the module loaded.
            const auto keep = static_cast<unsigned>(file().file());
            if (keep > 3)
                (void)::close_range(3, keep - 1, 0);
            (void)::close_range(keep + 1, ~0U, 0);
            ::_exit(move());
        }
        for (unsigned waited = 0; waited < bound_ms; ++waited) {
            int status = 0;
            if (::waitpid(child, &status, WNOHANG) == child) {
                return report(me, WIFEXITED(status) ? WEXITSTATUS(status) : 2);
            }
            ::usleep(1000);
        }
        me.report(slot_child, child);
        me.report(slot_ended, 0);
        (void)::kill(child, SIGKILL); // no effect while it is stuck
        return {};
    }

    // 0: the page is there afterwards; 1: it is not; 2: it could not even begin.
    [[nodiscard]] int move() const {
        const std::size_t bytes = file().bytes();
        char* from = file().address();
        if (::mmap(from, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE | MAP_FIXED,
                   file().file(), 0) == MAP_FAILED)
            return 2;
        const Result<std::uint64_t> before = peek(from);
        if (!before || *before != word)
            return 2;
        char* to = file().range(1);
        if (::mremap(from, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, to) == MAP_FAILED)
            return 2;
        const Result<std::uint64_t> after = peek(to);
        return after && *after == word ? 0 : 1;
    }
};

} // namespace

const Scenario& hugetlb_mremap_shareable() {
    static const Scenario scenario = {
        .name = "hugetlb-mremap-shareable",
        .family = "hugetlb",
        .claim = "mremap() of a mapping whose page tables could be shared comes to an end",
        .source = "mm/hugetlb.c, move_hugetlb_page_tables() and huge_pmd_share()",
        .races = "mremap() against itself",
        .bad = "mremap=stuck",
        .variants = {{.name = "whole",
                      .about =
                          "no other process maps the file (only by name: it is stuck for good)",
                      .expected = {{.words = "mremap=ended page=kept"}},
                      .known = {{.words = "mremap=stuck",
                                 .releases = "6.1, 6.12, 7.2, 7.3",
                                 .fix = "no fix is known: docs/findings/hugetlb-mremap-deadlock.md",
                                 .machines = "x86_64"}},
                      .forced = false,
                      .by_name_only = true}},
        .no_hazard_control = "the variant has the hazard by itself on every kernel that was tried",
        .needs = {{"huge pages", missing_hugetlb}, {"PMD sharing", missing_pmd_sharing}},
        .make = [](const Variant& /*variant*/) -> std::unique_ptr<Experiment> {
            return std::make_unique<HugetlbMremapShareable>();
        },
    };
    return scenario;
}

} // namespace faultline
