// SPDX-License-Identifier: GPL-2.0
// hugetlb-exclusion: nobody takes the table of PMDs away between huge_pte_alloc() and
// huge_pte_lock().
//
// Claim (Mike Kravetz, linux-mm, 9 October 2020): "the page which was the PMD may be repurposed
// before we even try to acquire the ptl. [...] So, it seems that we need some way to prevent PMD
// unsharing between the huge_pte_alloc() and huge_pte_lock(). It is going to have to be
// i_mmap_rwsem or some other rwsem." Since 6.1 it is a lock of each VMA.
//
// Who: the faulter touches a page of a hugetlb file that another process maps as well, so that both
// have the same table of PMDs, and is held as huge_pte_alloc() returns. The unsharer does what
// makes the kernel unshare: punch a hole or truncate (through the other process), or change a
// mapping, in the other process or in the faulter's own.
//     hugetlb_fault()  against  huge_pmd_unshare()
//
// A bad outcome: order=had where the faulter's own table is at stake (a hole, a truncation, its own
// mapping); else a share count, a page or a pool that is not what it must be afterwards.
#include "scenarios/hugetlb_experiment.hpp"
#include "scenarios/list.hpp"

#include "kernel/shared_memory.hpp"

#include <array>
#include <atomic>
#include <cerrno>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/falloc.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

namespace faultline {

namespace {

constexpr std::size_t present_page = 5; // there from the beginning
constexpr std::size_t touched_page = 1; // by the faulter
constexpr std::uint64_t present_word = 0x70726573656e74;
constexpr std::uint64_t touched_word = 0x746f7563686564;

// The other process stays until the fault is over: if the table were really unshared, the fault
// would go on in what by then is that process' alone, or with its exit a page of anybody's.
constexpr std::string_view by_other = "unsharer@user:ready -> faulter@user:touch; "
                                      "faulter@return:huge_pte_alloc -> unsharer@user:go; "
                                      "unsharer@user:done -> faulter@return:huge_pte_alloc; "
                                      "faulter@user:touched -> unsharer@user:stay";
constexpr std::string_view by_own = "partner@user:ready -> faulter@user:touch; "
                                    "faulter@return:huge_pte_alloc -> unsharer@user:go; "
                                    "unsharer@user:done -> faulter@return:huge_pte_alloc";

constexpr unsigned slot_errno = 0; // of what an actor did

enum class Act { punch, truncate, munmap, mprotect, mremap, dontneed, exit, uffd };

struct Row {
    std::string_view name;
    std::string_view about;
    Act act;
    bool own;          // in the faulter's own mm
    bool must_exclude; // the faulter's table would go
    bool gone = false; // the faulter's mapping is not there afterwards
};

constexpr std::array rows = {
    Row{"punch", "another process punches a hole where a page is", Act::punch, false, true},
    Row{"truncate", "another process truncates the file", Act::truncate, false, true},
    Row{"munmap", "another process unmaps it", Act::munmap, false, false},
    Row{"mprotect", "another process makes half of it read-only", Act::mprotect, false, false},
    Row{"mremap", "another process moves its mapping", Act::mremap, false, false},
    Row{"dontneed", "another process gives a page back", Act::dontneed, false, false},
    Row{"exit", "another process that shares exits", Act::exit, false, false},
    Row{"uffd", "another process registers it with a userfaultfd", Act::uffd, false, false},
    Row{"own-munmap", "a thread of the faulter's unmaps it", Act::munmap, true, true, true},
    Row{"own-mprotect", "a thread makes half of it read-only", Act::mprotect, true, true},
    Row{"own-mremap", "a thread moves the mapping", Act::mremap, true, true, true},
    Row{"own-dontneed", "a thread gives a page back", Act::dontneed, true, true},
    Row{"own-uffd", "a thread registers it with a userfaultfd", Act::uffd, true, true},
};

class HugetlbExclusion final : public HugetlbExperiment {
  public:
    explicit HugetlbExclusion(const Row& row) : row_(row) {}

    Result<void> prepare() override {
        Result<SharedMemory<Shared>> shared = SharedMemory<Shared>::make();
        if (!shared)
            return shared.error();
        shared_ = std::move(*shared);
        return HugetlbExperiment::prepare();
    }

    std::vector<Actor> actors() override {
        const auto unshare = [this](ActorContext& me) {
            if (!row_.own && !share(me, present_page))
                return;
            if (!me.at("ready") || !me.at("go"))
                return;
            me.report(slot_errno, act() ? 0 : errno);
            shared_->over = true;
            if (me.at("done"))
                (void)me.at("stay").ok();
        };
        std::vector<Actor> all = {{.name = "faulter",
                                   .kind = Actor::Kind::thread,
                                   .cpu = 0,
                                   .body =
                                       [this](ActorContext& me) {
                                           if (!me.at("touch"))
                                               return;
                                           const int done =
                                               ::madvise(file().address(touched_page),
                                                         file().huge_bytes(), MADV_POPULATE_WRITE);
                                           me.report(slot_errno, done == 0 ? 0 : errno);
                                           (void)me.at("touched").ok();
                                       }},
                                  {.name = "unsharer",
                                   .kind = row_.own ? Actor::Kind::thread : Actor::Kind::process,
                                   .cpu = 1,
                                   .body = unshare}};
        if (row_.own)
            all.push_back({.name = "partner",
                           .kind = Actor::Kind::process,
                           .cpu = 1,
                           .body = [this](ActorContext& me) {
                               if (!share(me, present_page) || !me.at("ready"))
                                   return;
                               // Not at a site: that would end when the unsharer sleeps.
                               while (!shared_->over.load() && !me.stopping())
                                   ::usleep(1000);
                           }});
        return all;
    }

    Result<void> begin(Run& /*run*/) override {
        shared_->over = false;
        unwatch();
        if (Result<void> fresh = file().fresh(); !fresh)
            return fresh;
        return poke(file().address(present_page), present_word);
    }

    Outcome judge(Run& run) override {
        Outcome outcome;
        const std::int64_t fault = run.slot("faulter", slot_errno);
        outcome.add("order", run.order());
        outcome.add("fault", error_name(fault));
        outcome.require(!row_.must_exclude || !run.overlapped(),
                        "the table was unshared while the faulter was about to lock it");
        outcome.require(fault == 0 || row_.gone, "the fault failed");
        const std::int64_t done = run.slot("unsharer", slot_errno);
        outcome.require(done == 0, "the unsharer could not do it: " + error_name(done));
        if (!row_.gone)
            judge_mapping(outcome);
        judge_pool(outcome);
        return outcome;
    }

    // Who shares nothing can unshare nothing.
    std::optional<bool> overlapped(const Run& run) override {
        return run.slot(row_.own ? "partner" : "unsharer", slot_shared) > 0;
    }

  private:
    struct Shared {
        std::atomic<bool> over{false}; // what the unsharer does
    };

    // False, and errno.
    bool act() {
        char* start = file().address();
        const std::size_t bytes = file().bytes();
        const auto huge = static_cast<off_t>(file().huge_bytes());
        const auto present = static_cast<off_t>(present_page) * huge;
        const auto touched = static_cast<off_t>(touched_page) * huge;
        switch (row_.act) {
        case Act::punch:
            return ::fallocate(file().file(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, present,
                               huge) == 0;
        case Act::truncate:
            return ::ftruncate(file().file(), touched + huge) == 0;
        case Act::munmap:
            return unmap();
        case Act::mprotect:
            return ::mprotect(start + bytes / 2, bytes / 2, PROT_READ) == 0;
        case Act::mremap:
            return ::mremap(start, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, file().range(1)) !=
                   MAP_FAILED;
        case Act::dontneed:
            return ::madvise(file().address(present_page), file().huge_bytes(), MADV_DONTNEED) == 0;
        case Act::exit:
            return child_exits();
        case Act::uffd:
            return watch(start, bytes);
        }
        return false;
    }

    // A third process shares for a moment.
    bool child_exits() {
        const pid_t child = ::fork();
        if (child == 0) {
            const bool shared = ::madvise(file().address(present_page), file().huge_bytes(),
                                          MADV_POPULATE_READ) == 0;
            ::_exit(shared ? 0 : 1);
        }
        int status = 0;
        return child > 0 && ::waitpid(child, &status, 0) == child && status == 0;
    }

    // Afterwards nobody shares: the other process has gone. What was written is there.
    void judge_mapping(Outcome& outcome) {
        unwatch(); // which would have us wait for ourselves
        const Result<void> written = poke(file().address(touched_page), touched_word);
        const Result<std::uint64_t> touched = peek(file().address(touched_page));
        outcome.require(written && touched && *touched == touched_word,
                        "the page that was touched has no memory of its own");
        // A hole or a cut took it away: a read would make a new page, or fail.
        const bool kept = row_.act != Act::punch && row_.act != Act::truncate;
        if (kept) {
            const Result<std::uint64_t> present = peek(file().address(present_page));
            outcome.require(present && *present == present_word, "a page was lost");
        }
        const Result<HugetlbShare> share = hugetlb_share(0, file().address());
        if (!share) {
            outcome.forbid(share.error().to_string());
            return;
        }
        const bool exact = share->shared == 0 && share->users.size() == 1;
        outcome.add("count", exact ? "exact" : "wrong");
        outcome.require(exact, fmt::format("share count {}, and {} mappings of the table",
                                           share->shared, share->users.size()));
        judge_usage(outcome, *share, kept ? 2 : 1);
    }

    // HugetlbPages of /proc/PID/status. Who gives up its part in a table goes on counting the pages
    // in it, and counts them again when it touches them: known to be so in all kernels, and told.
    void judge_usage(Outcome& outcome, const HugetlbShare& share, std::int64_t huge_pages) {
        const auto smallest =
            static_cast<std::int64_t>(file().huge_bytes()) / ::sysconf(_SC_PAGESIZE);
        const std::int64_t used = share.mm_pages / smallest;
        outcome.add("usage", used == huge_pages ? "exact" : used > huge_pages ? "over" : "under");
        outcome.require(used == huge_pages || (row_.own && used > huge_pages),
                        fmt::format("HugetlbPages says {} huge pages of {}", used, huge_pages));
    }

    const Row& row_;
    SharedMemory<Shared> shared_;
};

std::vector<Variant> variants() {
    std::vector<Variant> all;
    for (const Row& row : rows) {
        Variant variant{.name = row.name,
                        .about = row.about,
                        .schedule = row.own ? by_own : by_other,
                        .runs_divisor = 5,
                        .expects_excluded = row.must_exclude};
        if (row.act == Act::uffd)
            variant.needs = {{"userfaultfd write protection", missing_write_protect}};
        all.push_back(variant);
    }
    return all;
}

} // namespace

const Scenario& hugetlb_exclusion() {
    static const Scenario scenario = {
        .name = "hugetlb-exclusion",
        .family = "hugetlb",
        .claim = "no table of PMDs is unshared between huge_pte_alloc() and huge_pte_lock()",
        .source = "Mike Kravetz, linux-mm, 9 October 2020",
        .races = "hugetlb_fault() against huge_pmd_unshare()",
        .bad = "order=had (a hole, a truncation, one's own mapping), count=wrong, usage=under, "
               "pool=wrong",
        .variants = variants(),
        .controls = {{.name = "no-vma-lock",
                      .about = "the faulter does not take the VMA's hugetlb lock",
                      .variant = "punch",
                      .actions = {{.kind = FL_CONTROL_SKIP,
                                   .actor = "faulter",
                                   .function = "hugetlb_vma_lock_read"},
                                  {.kind = FL_CONTROL_SKIP,
                                   .actor = "faulter",
                                   .function = "hugetlb_vma_unlock_read"}},
                      .complains = true}},
        .needs = {{"huge pages", missing_hugetlb}, {"PMD sharing", missing_pmd_sharing}},
        .make = [](const Variant& variant) -> std::unique_ptr<Experiment> {
            return std::make_unique<HugetlbExclusion>(row_of(rows, variant));
        },
    };
    return scenario;
}

} // namespace faultline
