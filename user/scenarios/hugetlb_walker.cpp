// SPDX-License-Identifier: GPL-2.0
// hugetlb-walker: no table of PMDs is unshared while GUP-fast walks it.
//
// Claim (Jann Horn, "mm/hugetlb: fix huge_pmd_unshare() vs GUP-fast race", CVE-2025-38085): the
// task that takes a process' part in a table of PMDs away, so that one other process owns it,
// waits until no CPU is in the middle of GUP-fast. GUP-fast takes no lock: it has interrupts off.
// Where TLBs are flushed by calls to other CPUs (x86) the flush waits; elsewhere (arm64) only the
// call that was added for this.
//
// Actors: the walker looks up the page of a futex by GUP-fast, and is held where it has found the
// entry in the shared table; the unsharer is another thread of it, or another process that punches
// a hole.
//     gup_fast()  against  huge_pmd_unshare(), tlb_remove_table_sync_one()
//
// A bad outcome: order=had, one other process owns the table and the walker is in it.
#include "scenarios/hugetlb_experiment.hpp"
#include "scenarios/list.hpp"

#include "kernel/shared_memory.hpp"

#include <array>
#include <atomic>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace faultline {

namespace {

constexpr std::size_t looked_up_page = 1;
constexpr std::size_t other_page = 5;
constexpr std::uint64_t word = 0x77616c6b;

constexpr std::string_view schedule =
    "partner@user:shares -> walker@user:look; "
    "walker@enter:gup_fast -> unsharer@user:go; "
    "unsharer@return:tlb_remove_table_sync_one -> walker@enter:gup_fast";

constexpr unsigned slot_errno = 0; // of an actor's system call

// The walker's CPU has interrupts off, and the unsharer waits until it answers a call.
constexpr std::string_view interrupts_off = "call";
constexpr std::string_view found = "lookup=ok pool=exact";
// After a munmap the second lookup, which takes locks, finds nothing.
constexpr std::string_view found_or_gone = "lookup=ok|EFAULT pool=exact";

enum class Act { munmap, mprotect, uffd, punch };

struct Row {
    std::string_view name;
    std::string_view about;
    Act act;
    std::string_view expected = found;
};

constexpr std::array rows = {
    Row{"munmap", "a thread of the walker's process unmaps it", Act::munmap, found_or_gone},
    Row{"mprotect", "a thread makes half of it read-only", Act::mprotect},
    Row{"uffd", "a thread registers it with a userfaultfd", Act::uffd},
    Row{"punch", "another process punches a hole beside the page", Act::punch},
};

class HugetlbWalker final : public HugetlbExperiment {
  public:
    explicit HugetlbWalker(const Row& row) : row_(row) {}

    Result<void> prepare() override {
        Result<SharedMemory<Shared>> shared = SharedMemory<Shared>::make();
        if (!shared)
            return shared.error();
        shared_ = std::move(*shared);
        return HugetlbExperiment::prepare();
    }

    std::vector<Actor> actors() override {
        return {{.name = "walker",
                 .kind = Actor::Kind::thread,
                 .cpu = 0,
                 .body =
                     [this](ActorContext& me) {
                         if (!me.at("look"))
                             return;
                         // A futex that processes share: the kernel looks its page up.
                         const long woken = ::syscall(SYS_futex, file().address(looked_up_page),
                                                      FUTEX_WAKE, 1, nullptr, nullptr, 0);
                         me.report(slot_errno, woken < 0 ? errno : 0);
                     }},
                {.name = "unsharer",
                 .kind = row_.act == Act::punch ? Actor::Kind::process : Actor::Kind::thread,
                 .cpu = 1,
                 .body =
                     [this](ActorContext& me) {
                         if (!me.at("go"))
                             return;
                         me.report(slot_errno, act() ? 0 : errno);
                         shared_->over = true;
                     }},
                {.name = "partner",
                 .kind = Actor::Kind::process,
                 .cpu = 1,
                 .body = [this](ActorContext& me) {
                     if (!share(me, other_page) || !me.at("shares"))
                         return;
                     // Not at a site: that would end when the unsharer waits.
                     while (!shared_->over.load() && !me.stopping())
                         ::usleep(1000);
                 }}};
    }

    Result<void> begin(Run& /*run*/) override {
        shared_->over = false;
        unwatch();
        if (Result<void> fresh = file().fresh(); !fresh)
            return fresh;
        for (const std::size_t page : {looked_up_page, other_page})
            if (Result<void> written = poke(file().address(page), word); !written)
                return written;
        return {};
    }

    Outcome judge(Run& run) override {
        Outcome outcome;
        outcome.add("order", run.order());
        const std::int64_t looked = run.slot("walker", slot_errno);
        outcome.add("lookup", error_name(looked));
        const std::int64_t done = run.slot("unsharer", slot_errno);
        outcome.require(done == 0, "the unsharer's system call failed: " + error_name(done));
        unwatch();
        judge_pool(outcome);
        return outcome;
    }

    // Without sharing there is nothing to unshare.
    std::optional<bool> overlapped(const Run& run) override {
        return run.slot("partner", slot_shared) > 0;
    }

  protected:
    [[nodiscard]] Allowed may_differ(const Run& run) const override {
        Allowed all = HugetlbExperiment::may_differ(run);
        if (row_.act != Act::punch)
            all.push_back({"mapping file smaps", "the mapping is split, watched or gone"});
        all.push_back(counted_on());
        return all;
    }

  private:
    struct Shared {
        std::atomic<bool> over{false}; // the unsharer's system call
    };

    // False, and errno.
    bool act() {
        char* start = file().address();
        const std::size_t bytes = file().bytes();
        const auto huge = static_cast<off_t>(file().huge_bytes());
        switch (row_.act) {
        case Act::munmap:
            return unmap();
        case Act::mprotect:
            return ::mprotect(start + bytes / 2, bytes / 2, PROT_READ) == 0;
        case Act::uffd:
            return watch(start, bytes);
        case Act::punch:
            return ::fallocate(file().file(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                               static_cast<off_t>(other_page) * huge, huge) == 0;
        }
        return false;
    }

    const Row& row_;
    SharedMemory<Shared> shared_;
};

std::vector<Variant> variants() {
    std::vector<Variant> all;
    for (const Row& row : rows) {
        Variant variant{.name = row.name,
                        .about = row.about,
                        .schedule = schedule,
                        .expected = {{.words = row.expected}},
                        .exclusion = {.places = {interrupts_off}},
                        .runs_divisor = 5};
        if (row.act == Act::uffd)
            variant.needs = {{"userfaultfd write protection", missing_write_protect}};
        all.push_back(variant);
    }
    return all;
}

} // namespace

const Scenario& hugetlb_walker() {
    static const Scenario scenario = {
        .name = "hugetlb-walker",
        .family = "hugetlb",
        .claim = "no table of PMDs is unshared while GUP-fast walks it",
        .source = "Jann Horn, CVE-2025-38085",
        .races = "gup_fast() against huge_pmd_unshare()",
        .bad = "order=had, pool=wrong",
        .variants = variants(),
        .controls = {{.name = "no-call",
                      .about = "the unsharer calls no other CPU",
                      .variant = "mprotect",
                      .produces = "order=had",
                      .actions = {{.kind = FL_CONTROL_SKIP,
                                   .actor = "unsharer",
                                   .function = "smp_call_function_many_cond"}}}},
        .needs = {{"huge pages", missing_hugetlb}, {"PMD sharing", missing_pmd_sharing}},
        .make = [](const Variant& variant) -> std::unique_ptr<Experiment> {
            return std::make_unique<HugetlbWalker>(row_of(rows, variant));
        },
    };
    return scenario;
}

} // namespace faultline
