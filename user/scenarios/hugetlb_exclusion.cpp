// SPDX-License-Identifier: GPL-2.0
// hugetlb-exclusion: no table of PMDs is unshared between huge_pte_alloc() and huge_pte_lock().
//
// Claim (Mike Kravetz, linux-mm, 9 October 2020): "the page which was the PMD may be repurposed
// before we even try to acquire the ptl. [...] So, it seems that we need some way to prevent PMD
// unsharing between the huge_pte_alloc() and huge_pte_lock(). It is going to have to be
// i_mmap_rwsem or some other rwsem." Since 6.1 it is a lock of each VMA.
//
// Actors: the faulter touches a page of a hugetlb file that another process maps as well, so both
// share one table of PMDs, and is held as huge_pte_alloc() returns. The unsharer makes the kernel
// unshare: it punches a hole or truncates (in another process), or changes a mapping, in another
// process or in the faulter's own.
//     hugetlb_fault()  against  huge_pmd_unshare()
//
// A bad outcome: an overlap where the faulter's own table would go (a hole, a truncation, its own
// mapping); else a share count, a page or a pool that is wrong afterwards.
#include "scenarios/hugetlb_experiment.hpp"
#include "scenarios/list.hpp"

#include "kernel/shared_memory.hpp"

#include <atomic>
#include <cerrno>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/falloc.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

namespace faultline {

namespace {

constexpr std::uint64_t present_word = 0x70726573656e74;
constexpr std::uint64_t touched_word = 0x746f7563686564;

// The other process stays until the fault is over: if the table were really unshared, the fault
// would go on in a table of that process alone, or, after its exit, in a reused page.
constexpr std::string_view by_other = "unsharer@user:ready -> faulter@user:touch; "
                                      "faulter@return:huge_pte_alloc -> unsharer@user:go; "
                                      "unsharer@user:done -> faulter@return:huge_pte_alloc; "
                                      "faulter@user:touched -> unsharer@user:stay";
constexpr std::string_view by_own = "partner@user:ready -> faulter@user:touch; "
                                    "faulter@return:huge_pte_alloc -> unsharer@user:go; "
                                    "unsharer@user:done -> faulter@return:huge_pte_alloc";

constexpr unsigned slot_errno = 0; // of an actor's system call

enum class Act { punch, truncate, munmap, mprotect, mremap, dontneed, exit, uffd };

constexpr std::string_view all_exact = "fault=ok count=exact usage=exact pool=exact";
// A process that gives up its part in a table goes on counting the pages in it, and counts them
// again at the next touch: so in all kernels, and no part of the claim.
constexpr std::string_view over_counted = "fault=ok count=exact usage=exact|over pool=exact";
constexpr std::string_view pool_exact = "pool=exact"; // the mapping is gone

// The faulter has two locks for reading, and the unsharer sleeps where it takes one for writing:
// mmap_write_lock_killable(), or mmap_write_lock() for a userfaultfd; hugetlb_vma_lock_write().
// 6.1's down_write() jumps to the slow path and leaves no frame.
using Places = std::vector<std::string_view>;
const Places mmap_lock = {"down_write_killable"};
const Places mmap_lock_uffd = {"rwsem_down_write_slowpath < userfaultfd_ioctl",
                               "down_write < userfaultfd_register"};
const Places vma_lock = {"rwsem_down_write_slowpath < remove_inode_hugepages",
                         "down_write < remove_inode_hugepages"};
const Places vma_lock_zap = {"rwsem_down_write_slowpath < __hugetlb_zap_begin",
                             "down_write < __hugetlb_zap_begin",
                             "rwsem_down_write_slowpath < __unmap_hugepage_range_final"};

struct Row {
    std::string_view name;
    std::string_view about;
    Act act;
    bool own = false; // in the faulter's own mm
    std::string_view expected = all_exact;
    Places locks = {}; // of the faulter's table; none: it stays
    bool gone = false; // the faulter's mapping is not there afterwards
};

const std::vector<Row>& rows() {
    static const std::vector<Row> all = {
        {.name = "punch",
         .about = "another process punches a hole where a page is",
         .act = Act::punch,
         .locks = vma_lock},
        {.name = "truncate",
         .about = "another process truncates the file",
         .act = Act::truncate,
         .locks = vma_lock},
        {.name = "munmap", .about = "another process unmaps it", .act = Act::munmap},
        {.name = "mprotect",
         .about = "another process makes half of it read-only",
         .act = Act::mprotect},
        {.name = "mremap", .about = "another process moves its mapping", .act = Act::mremap},
        {.name = "dontneed", .about = "another process gives a page back", .act = Act::dontneed},
        {.name = "exit", .about = "another process that shares exits", .act = Act::exit},
        {.name = "uffd",
         .about = "another process registers it with a userfaultfd",
         .act = Act::uffd},
        {.name = "own-munmap",
         .about = "a thread of the faulter's process unmaps it",
         .act = Act::munmap,
         .own = true,
         .expected = pool_exact,
         .locks = mmap_lock,
         .gone = true},
        {.name = "own-mprotect",
         .about = "a thread makes half of it read-only",
         .act = Act::mprotect,
         .own = true,
         .expected = over_counted,
         .locks = mmap_lock},
        {.name = "own-mremap",
         .about = "a thread moves the mapping",
         .act = Act::mremap,
         .own = true,
         .expected = pool_exact,
         .locks = mmap_lock,
         .gone = true},
        {.name = "own-dontneed",
         .about = "a thread gives a page back",
         .act = Act::dontneed,
         .own = true,
         .expected = over_counted,
         .locks = vma_lock_zap},
        {.name = "own-uffd",
         .about = "a thread registers it with a userfaultfd",
         .act = Act::uffd,
         .own = true,
         .expected = over_counted,
         .locks = mmap_lock_uffd},
    };
    return all;
}

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
            if (!row_.own && !share(me, present_page_))
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
                                               ::madvise(file().address(touched_page_),
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
                               if (!share(me, present_page_) || !me.at("ready"))
                                   return;
                               // Not at a site: that would end when the unsharer sleeps.
                               while (!shared_->over.load() && !me.stopping())
                                   ::usleep(1000);
                           }});
        return all;
    }

    // Each run has other pages: a hash of the page's offset chooses its fault mutex, and the
    // unsharer may meet the one that the faulter has. That is not the lock of the claim.
    Result<void> begin(Run& run) override {
        touched_page_ = 1 + run.rng().below(4);
        present_page_ = 5 + run.rng().below(4);
        shared_->over = false;
        unwatch();
        if (Result<void> fresh = file().fresh(); !fresh)
            return fresh;
        if (Result<void> written = poke(file().address(present_page_), present_word); !written)
            return written;
        const Result<HugetlbShare> share = hugetlb_share(0, file().address());
        if (!share)
            return share.error();
        used_before_ = used(*share) - 1;
        return {};
    }

    Outcome judge(Run& run) override {
        Outcome outcome;
        const std::int64_t fault = run.slot("faulter", slot_errno);
        outcome.add("order", run.order());
        outcome.add("fault", error_name(fault));
        const std::int64_t done = run.slot("unsharer", slot_errno);
        outcome.require(done == 0, "the unsharer's system call failed: " + error_name(done));
        if (!row_.gone)
            judge_mapping(outcome);
        judge_pool(outcome);
        return outcome;
    }

    // Without sharing there is nothing to unshare.
    std::optional<bool> overlapped(const Run& run) override {
        return run.slot(row_.own ? "partner" : "unsharer", slot_shared) > 0;
    }

  protected:
    [[nodiscard]] Allowed may_differ(const Run& run) const override {
        Allowed all = HugetlbExperiment::may_differ(run);
        if (row_.act == Act::truncate)
            all.push_back({"file hugetlb st_size", "the unsharer cuts it"});
        if (row_.own && (row_.act == Act::mprotect || row_.act == Act::uffd))
            all.push_back({"mapping file smaps", "the mapping is split, or watched"});
        if (row_.own)
            all.push_back(counted_on());
        return all;
    }
    [[nodiscard]] StateScope state_scope(bool whole) const override {
        StateScope scope = HugetlbExperiment::state_scope(whole);
        if (row_.gone)
            scope.mappings.clear();
        return scope;
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
        const auto present = static_cast<off_t>(present_page_) * huge;
        const auto touched = static_cast<off_t>(touched_page_) * huge;
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
            return ::madvise(file().address(present_page_), file().huge_bytes(), MADV_DONTNEED) ==
                   0;
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
            const bool shared = ::madvise(file().address(present_page_), file().huge_bytes(),
                                          MADV_POPULATE_READ) == 0;
            ::_exit(shared ? 0 : 1);
        }
        int status = 0;
        return child > 0 && ::waitpid(child, &status, 0) == child && status == 0;
    }

    // Afterwards nobody shares: the other process has gone. The data is there.
    void judge_mapping(Outcome& outcome) {
        unwatch(); // or a write would wait for this thread to resolve it
        const Result<void> written = poke(file().address(touched_page_), touched_word);
        const Result<std::uint64_t> touched = peek(file().address(touched_page_));
        outcome.require(written && touched && *touched == touched_word,
                        "the page that was touched has no memory of its own");
        // A hole or a cut took it away: a read would make a new page, or fail.
        const bool kept = row_.act != Act::punch && row_.act != Act::truncate;
        if (kept) {
            const Result<std::uint64_t> present = peek(file().address(present_page_));
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

    // HugetlbPages of /proc/PID/status, in huge pages.
    [[nodiscard]] std::int64_t used(const HugetlbShare& share) const {
        return share.mm_pages /
               (static_cast<std::int64_t>(file().huge_bytes()) / ::sysconf(_SC_PAGESIZE));
    }

    // Beyond what earlier runs, or earlier scenarios, have left counted in this process.
    void judge_usage(Outcome& outcome, const HugetlbShare& share, std::int64_t huge_pages) const {
        const std::int64_t now = used(share) - used_before_;
        outcome.add("usage", now == huge_pages ? "exact" : now > huge_pages ? "over" : "under");
    }

    const Row& row_;
    SharedMemory<Shared> shared_;
    std::int64_t used_before_ = 0; // without the file
    std::size_t present_page_ = 0; // there from the beginning
    std::size_t touched_page_ = 0; // by the faulter
};

std::vector<Variant> variants() {
    std::vector<Variant> all;
    for (const Row& row : rows()) {
        Variant variant{.name = row.name,
                        .about = row.about,
                        .schedule = row.own ? by_own : by_other,
                        .expected = {{.words = row.expected}},
                        .exclusion = {.places = row.locks},
                        .runs_divisor = 5};
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
        .bad = "order=had (a hole, a truncation, the faulter's mapping), count=wrong, usage=under, "
               "pool=wrong",
        .variants = variants(),
        .controls = {{.name = "no-vma-lock",
                      .about = "the faulter does not take the VMA's hugetlb lock",
                      .variant = "punch",
                      .produces = "order=had",
                      .actions = {{.kind = FL_CONTROL_SKIP,
                                   .actor = "faulter",
                                   .function = "hugetlb_vma_lock_read"},
                                  {.kind = FL_CONTROL_SKIP,
                                   .actor = "faulter",
                                   .function = "hugetlb_vma_unlock_read"}},
                      .complains = true}},
        .needs = {{"huge pages", missing_hugetlb}, {"PMD sharing", missing_pmd_sharing}},
        .make = [](const Variant& variant) -> std::unique_ptr<Experiment> {
            return std::make_unique<HugetlbExclusion>(row_of(rows(), variant));
        },
    };
    return scenario;
}

} // namespace faultline
