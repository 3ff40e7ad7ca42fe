// SPDX-License-Identifier: GPL-2.0
// mthp-neighbours: a task that meets a collapse in the middle waits, or gives way, and loses
// nothing.
//
// Claim (Nico Pache, linux-mm, August 2025): "For non-PMD collapse we must leave the anon VMA write
// locked until after we collapse the mTHP: in the PMD case all the pages are isolated, but in the
// non-PMD case this is not true". Meanwhile the PMD is not there, for its neighbours either.
//
// Actors: khugepaged is held when it has taken the PMD away, or where it allocates the folio and
// has no page table's lock; the neighbour, a process, says which locks are taken, and does
// something to other pages of the same PMD, or to its address space.
//     collapse_huge_page()  against  faults, GUP, madvise(), mprotect(), munmap(), fork(),
//                                    userfaultfd, ksmd, rmap
//
// A bad outcome: order=had where the PMD is away, pages=lost, holes=filled (a page whose fault a
// userfaultfd should have reported), entries=stuck.
#include "scenarios/list.hpp"
#include "scenarios/mthp_experiment.hpp"

#include "kernel/fd.hpp"
#include "kernel/hvo.hpp"
#include "kernel/ksm.hpp"
#include "kernel/own_memory.hpp"
#include "kernel/page_pattern.hpp"
#include "kernel/page_tables.hpp"
#include "kernel/shared_memory.hpp"
#include "kernel/swap.hpp"
#include "kernel/userfaultfd.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fmt/format.h>
#include <linux/futex.h>
#include <optional>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace faultline {

namespace {

// Where the PMD is away, and one may sleep: GUP-fast is waited for.
constexpr std::string_view detached =
    "khugepaged@enter:collapse_huge_page/detached -> neighbour@user:act; "
    "neighbour@user:done -> khugepaged@enter:collapse_huge_page/detached";
constexpr std::string_view allocating =
    "khugepaged@enter:collapse_huge_page/allocate -> neighbour@user:act; "
    "neighbour@user:done -> khugepaged@enter:collapse_huge_page/allocate";

// The neighbour has ksmd run, which must wait, or merges a page.
constexpr std::string_view detached_ksmd =
    "khugepaged@enter:collapse_huge_page/detached -> neighbour@user:act; "
    "ksmd@return:try_to_merge_one_page -> khugepaged@enter:collapse_huge_page/detached";
constexpr std::string_view allocating_ksmd =
    "khugepaged@enter:collapse_huge_page/allocate -> neighbour@user:act; "
    "ksmd@return:try_to_merge_one_page -> khugepaged@enter:collapse_huge_page/allocate";

constexpr const char* soft_offline_file = "/sys/devices/system/memory/soft_offline_page";
constexpr std::uint64_t new_word = 0x6e6577;
constexpr std::chrono::seconds stuck_bound{2};

enum Slot : unsigned {
    slot_errno,      // of what was done
    slot_lost,       // pages without their word, or not there
    slot_holes,      // pages that are there and should not be
    slot_stuck,      // entries that are neither
    slot_out,        // pages that were swapped out
    slot_moved,      // neighbours that are in another page frame
    slot_migrations, // that the kernel counted on the whole machine
};

class MthpNeighbours;

struct Row {
    std::string_view name;
    std::string_view about;
    std::string_view schedule;
    bool (MthpNeighbours::*act)(); // false, and errno
    Exclusion exclusion = {};      // none: no lock is held
    unsigned divisor = 10;         // of the runs
    // Before the first run, in the driver; and before each, in the neighbour.
    Result<void> (MthpNeighbours::*set_up)() = nullptr;
    Result<void> (MthpNeighbours::*ready)() = nullptr;
    bool ksmd = false;       // it is an actor, and all pages are equal
    bool writes = false;     // the middle page has a new word afterwards
    bool gives_back = false; // the second half is 0 afterwards
    bool unmaps = false;     // the second half is not there afterwards
    bool moves = false;      // pages into other frames, itself or by what it starts
    bool holes = false;      // most pages are not there, and must not be filled
    std::vector<Need> needs = {};
};

class MthpNeighbours final : public MthpExperiment {
  public:
    explicit MthpNeighbours(const Row& row) : row_(row) {}

    Result<void> prepare() override {
        Result<SharedMemory<Text>> locks = SharedMemory<Text>::make();
        if (!locks)
            return locks.error();
        locks_ = std::move(*locks);
        if (row_.set_up != nullptr)
            if (Result<void> ready = (this->*row_.set_up)(); !ready)
                return ready;
        return MthpExperiment::prepare();
    }

    std::vector<Actor> actors() override {
        std::vector<Actor> actors = {{.name = "neighbour",
                                      .kind = Actor::Kind::process,
                                      .cpu = 0,
                                      .body = [this](ActorContext& me) { me.check(live(me)); },
                                      .may_die = true},
                                     khugepaged_actor()};
        if (row_.ksmd)
            actors.push_back({.name = "ksmd", .kind = Actor::Kind::kernel_thread});
        return actors;
    }

    // Of the smallest order that is made there is one folio to be had, and all around it are
    // neighbours. Holes are for the largest, which fills them.
    Result<void> begin(Run& /*run*/) override {
        locks_->fill('\0');
        const Orders all = khugepaged().all();
        const Orders smallest = all & (~all + 1); // as many pages as its bit is worth
        const Orders pmd = Orders{1} << khugepaged().pmd_order();
        const bool holes = row_.holes;
        const std::size_t apart = holes ? 2 : smallest == pmd ? 1 : std::size_t{2} * smallest;
        pattern_.assign(pages(), false);
        for (std::size_t page = 0; page < pages(); ++page)
            pattern_[page] = page % apart == 0 || (!holes && page < smallest);
        if (row_.ksmd)
            if (Result<void> rests = Ksm::run(false); !rests)
                return rests;
        return khugepaged().allow(holes ? pmd : smallest, holes ? pages() - 1 : 0);
    }

    Outcome judge(Run& run) override {
        Outcome outcome;
        outcome.add("order", run.order());
        outcome.add("locks", locks_->data());
        const std::int64_t number = run.slot("neighbour", slot_errno);
        outcome.require(number == 0,
                        number == unreported
                            ? std::string("the neighbour did not come back")
                            : fmt::format("the neighbour could not do it: {}",
                                          ::strerrorname_np(static_cast<int>(number))));
        judge_count(outcome, run, slot_lost, "pages", "kept", "lost");
        if (row_.holes)
            judge_count(outcome, run, slot_holes, "holes", "kept", "filled");
        judge_count(outcome, run, slot_stuck, "entries", "well", "stuck");
        judge_frames(outcome, run);
        return outcome;
    }

    std::optional<bool> overlapped(const Run& run) override {
        return swap_ ? std::optional(run.slot("neighbour", slot_out) > 0) : std::nullopt;
    }

    using Text = std::array<char, 80>;

    Result<void> have_ksm() {
        Result<Ksm> ksm = Ksm::asleep();
        if (!ksm)
            return ksm.error();
        ksm_ = std::move(*ksm);
        return {};
    }

    Result<void> have_swap() {
        Result<SwapArea> area = SwapArea::make();
        if (!area)
            return area.error();
        swap_ = std::move(*area);
        return swap_->on();
    }

    static void judge_count(Outcome& outcome, const Run& run, Slot slot, const char* what,
                            const char* good, const char* bad) {
        const std::int64_t count = run.slot("neighbour", slot);
        outcome.add(what, count == 0 ? good : count == unreported ? "unknown" : bad);
        outcome.require(count == 0, fmt::format("{} {} of {}", count, bad, what));
    }

    // Of pages that no folio takes in, and that nothing here moves. Whoever looks for a huge page
    // may have memory compacted, which moves any: the kernel counts that.
    static void judge_frames(Outcome& outcome, const Run& run) {
        const std::int64_t moved = run.slot("neighbour", slot_moved);
        if (moved == unreported)
            return;
        const bool migrated = moved > 0 && run.slot("neighbour", slot_migrations) > 0;
        outcome.add("frames", moved == 0 ? "kept" : migrated ? "migrated" : "moved");
        outcome.require(moved == 0 || migrated,
                        fmt::format("{} pages beside the folio are in other page frames", moved));
    }

    // The pages that no folio takes in, by their frames. Nothing where there are none.
    Result<std::vector<std::uint64_t>> frames_beside() const {
        std::vector<std::uint64_t> frames;
        const Orders all = khugepaged().all();
        const Orders smallest = all & (~all + 1);
        const std::size_t end = row_.unmaps || row_.gives_back ? half() : pages();
        for (std::size_t page = row_.holes ? 0 : smallest; page < end && !row_.moves; ++page) {
            if (!pattern_[page])
                continue;
            const Result<std::uint64_t> frame = frame_of(address(0, page));
            if (!frame)
                return frame.error();
            frames.push_back(*frame);
        }
        return frames;
    }

    static Result<std::int64_t> migrations() {
        const Result<std::string> text = read_text("/proc/vmstat");
        if (!text)
            return text.error();
        constexpr std::string_view name = "\npgmigrate_success ";
        const std::size_t at = text->find(name);
        return at == std::string::npos ? 0 : std::atoll(text->c_str() + at + name.size());
    }

    Result<void> compare_frames(ActorContext& me, const std::vector<std::uint64_t>& before,
                                std::int64_t migrations_before) const {
        if (before.empty())
            return {};
        const Result<std::vector<std::uint64_t>> now = frames_beside();
        if (!now)
            return now.error();
        const Result<std::int64_t> migrations_now = migrations();
        if (!migrations_now)
            return migrations_now.error();
        std::int64_t moved = 0;
        for (std::size_t i = 0; i < before.size(); ++i)
            moved += before[i] == now->at(i) ? 0 : 1;
        me.report(slot_moved, moved);
        me.report(slot_migrations, *migrations_now - migrations_before);
        return {};
    }

    Result<void> live(ActorContext& me) {
        if (Result<void> opened = open_own(); !opened)
            return opened;
        if (Result<void> laid = lay_out({pattern_}); !laid)
            return laid;
        if (row_.ready != nullptr)
            if (Result<void> ready = (this->*row_.ready)(); !ready)
                return ready;
        const Result<std::int64_t> migrations_before = migrations();
        if (!migrations_before)
            return migrations_before.error();
        const Result<std::vector<std::uint64_t>> frames = frames_beside();
        if (!frames)
            return frames.error();
        // A page fault of our own would wait for mmap_lock, too, in place of the act.
        if (Result<void> there = populate_own_memory(huge_bytes()); !there)
            return there;
        if (Result<void> offered = offer(1); !offered)
            return offered;
        if (!me.at("act"))
            return {};
        note_locks();
        me.report(slot_errno, (this->*row_.act)() ? 0 : errno);
        if (swap_)
            if (Result<void> out = count_swapped(me, slot_out); !out)
                return out;
        if (!me.at("done"))
            return {};
        if (Result<void> scanned = khugepaged().wait_for_scans(1); !scanned)
            return scanned;
        if (Result<void> looked = look_around(me); !looked)
            return looked;
        if (Result<void> compared = compare_frames(me, *frames, *migrations_before); !compared)
            return compared;
        return block_ ? block_->send("unpoison") : Result<void>();
    }

    Result<void> open_userfaultfd() {
        Result<Userfaultfd> userfaultfd = Userfaultfd::open();
        if (!userfaultfd)
            return userfaultfd.error();
        userfaultfd_ = std::move(*userfaultfd);
        return {};
    }

    // While the PMD is away, nobody can tell. The page is given back at the end.
    Result<void> find_page_frame() {
        const Result<std::uint64_t> frame = frame_of(address(0, pages() / 2));
        if (!frame)
            return frame.error();
        frame_ = *frame;
        Result<Fd> file = Fd::open(soft_offline_file, O_WRONLY);
        if (!file)
            return file.error();
        offline_ = std::move(*file);
        where_ = fmt::format("{:#x}", frame_ * page_bytes());
        Result<HvoBlock> block = HvoBlock::open();
        if (!block)
            return block.error();
        block_ = std::move(*block);
        return block_->send(fmt::format("pfn {:x}", frame_));
    }

    // Pages that can be merged: what they had is in all of them now.
    Result<void> make_equal() {
        for (std::size_t page = 0; page < pages(); ++page)
            if (pattern_[page])
                write_pattern({reinterpret_cast<std::uint64_t*>(address(0, page)),
                               page_bytes() / sizeof(std::uint64_t)},
                              new_word);
        if (::madvise(address(0), huge_bytes(), MADV_MERGEABLE) != 0)
            return Error::last("madvise(MADV_MERGEABLE)");
        return Ksm::run(false);
    }

    // Without taking any.
    void note_locks() const {
        const Result<PageLocks> locks = page_locks(address(0));
        const std::string text =
            locks ? fmt::format("mmap:{},vma:{},anon_vma:{},pmd:{},pte:{}", locks->mmap, locks->vma,
                                locks->anon_vma, locks->pmd, locks->pte)
                  : "unknown";
        std::copy_n(text.begin(), std::min(text.size(), locks_->size() - 1), locks_->begin());
    }

    [[nodiscard]] std::size_t half() const { return pages() / 2; }
    [[nodiscard]] char* beside() const { return address(0, half()); }

    // NOLINTNEXTLINE(readability-make-member-function-const): a row has a pointer to it
    bool touch() {
        write_pattern(
            {reinterpret_cast<std::uint64_t*>(beside()), page_bytes() / sizeof(std::uint64_t)},
            new_word);
        return true;
    }
    // NOLINTNEXTLINE(readability-make-member-function-const): a row has a pointer to it
    bool gup() { return ::syscall(SYS_futex, beside(), FUTEX_WAKE, 1, nullptr, nullptr, 0) >= 0; }
    bool pageout() { return ::madvise(address(0), huge_bytes(), MADV_PAGEOUT) == 0; }
    bool dontneed() { return ::madvise(beside(), half() * page_bytes(), MADV_DONTNEED) == 0; }
    bool protect() { return ::mprotect(beside(), page_bytes(), PROT_READ) == 0; }
    bool merge() { return ::madvise(address(0), huge_bytes(), MADV_MERGEABLE) == 0; }
    bool run_ksmd() { return as_errno(Ksm::run(true)); }
    // It allocates nothing: a page fault of its own would wait for mmap_lock in its place.
    bool soft_offline() {
        return ::write(offline_.get(), where_.data(), where_.size()) ==
               static_cast<ssize_t>(where_.size());
    }
    bool unmap() { return ::munmap(beside(), half() * page_bytes()) == 0; }
    bool register_range() {
        return as_errno(userfaultfd_.register_missing(address(0), huge_bytes()));
    }

    // Which pages it takes is not ours to choose: so, more than once.
    bool compact() {
        for (int i = 0; i < 8; ++i)
            if (!as_errno(write_text("/proc/sys/vm/compact_memory", "1")))
                return false;
        return true;
    }

    bool child_reads() {
        const pid_t child = ::fork();
        if (child == 0) {
            std::size_t wrong = 0;
            for (std::size_t page = 0; page < pages(); ++page)
                wrong += pattern_[page] && word_at(page) != word_of(page) ? 1 : 0;
            ::_exit(wrong == 0 ? 0 : 1);
        }
        int status = 0;
        const bool well = child > 0 && ::waitpid(child, &status, 0) == child && status == 0;
        errno = well ? 0 : ECHILD;
        return well;
    }

    [[nodiscard]] std::uint64_t word_at(std::size_t page) const {
        return page_word({reinterpret_cast<const std::uint64_t*>(address(0, page)),
                          page_bytes() / sizeof(std::uint64_t)});
    }

    // The word that the page should have; pages that are gone are not read.
    [[nodiscard]] std::uint64_t wanted(std::size_t page) const {
        if (row_.ksmd || (row_.writes && page == half()))
            return new_word;
        return row_.gives_back && page >= half() ? 0 : word_of(page);
    }

    Result<void> look_around(ActorContext& me) {
        const std::size_t there = row_.unmaps ? half() : pages();
        std::int64_t lost = 0;
        for (std::size_t page = 0; page < there; ++page)
            if (pattern_[page])
                lost += word_at(page) == wanted(page) ? 0 : 1;
        me.report(slot_lost, lost);
        const Result<MappedRange> now = look(0);
        if (!now)
            return now.error();
        std::int64_t filled = 0;
        for (std::size_t page = 0; page < there; ++page)
            filled += now->present[page] && !pattern_[page] ? 1 : 0;
        me.report(slot_holes, filled);
        // ksmd and compaction go on: what they have in hand is stuck only if it stays so.
        const auto end = std::chrono::steady_clock::now() + stuck_bound;
        do {
            if (Result<void> counted = count_swapped(me, slot_stuck); !counted)
                return counted;
            ::usleep(1000);
        } while (entries_ > 0 && std::chrono::steady_clock::now() < end);
        return {};
    }

    // Migration entries are among them.
    Result<void> count_swapped(ActorContext& me, Slot slot) {
        const Result<MappedRange> now = look(0);
        if (!now)
            return now.error();
        entries_ = std::count(now->swapped.begin(), now->swapped.end(), true);
        me.report(slot, entries_);
        return {};
    }

  private:
    const Row& row_;
    SharedMemory<Text> locks_;
    model::PresentPtes pattern_;
    std::optional<Ksm> ksm_;
    std::optional<SwapArea> swap_;
    Userfaultfd userfaultfd_;  // the neighbour's, as all that follow
    std::int64_t entries_ = 0; // that were no present pages, the last time
    std::uint64_t frame_ = 0;
    Fd offline_;
    std::string where_;
    std::optional<HvoBlock> block_; // that has the page frame
};

// And the way back, which the module knows where it has hvo/block.
std::optional<std::string> missing_soft_offline() {
    if (::access(soft_offline_file, W_OK) != 0)
        return Error::last("write", soft_offline_file).to_string();
    const Result<HvoBlock> block = HvoBlock::open();
    if (!block)
        return block.error().to_string();
    const Result<void> none = block->send("unpoison"); // EINVAL: of which block?
    if (!none && none.error().number == EOPNOTSUPP)
        return none.error().to_string();
    return std::nullopt;
}

// Whose lock is khugepaged's, by the function that asks for it; inlined ones are not in a stack.
Exclusion asks(std::vector<std::string_view> places) { return {.places = std::move(places)}; }
Exclusion asks_mmap_lock_for_a_fault() {
    return asks({"down_read_killable < lock_mm_and_find_vma", "down_read < lock_mm_and_find_vma",
                 "down_read < do_user_addr_fault", "down_read < exc_page_fault", // 6.1: by machine
                 "down_read < do_page_fault", "down_read < ___do_page_fault",
                 "down_read < do_exception", "down_read_killable < do_page_fault"});
}
Exclusion asks_mmap_lock_for_gup() {
    return asks({"down_read_killable < get_user_pages_fast", "down_read_killable < get_futex_key",
                 "down_read < get_user_pages_fast", "down_read < get_futex_key"});
}
Exclusion asks_anon_vma_lock() {
    return asks({"down_read < folio_lock_anon_vma_read", "down_read < page_lock_anon_vma_read"});
}
Exclusion asks_anon_vma_lock_or_moves_others() {
    Exclusion exclusion = asks_anon_vma_lock();
    exclusion.or_overlap = "compaction chooses its pages: it may move none of the range";
    return exclusion;
}

// NOLINTNEXTLINE(readability-function-size): a table
const std::vector<Row>& rows() {
    using N = MthpNeighbours;
    const std::vector<Need> ksm = {{"KSM", missing_ksm}};
    const std::vector<Need> userfaultfd = {{"userfaultfd(2)", missing_userfaultfd}};
    static const std::vector<Row> all = {
        {.name = "touch",
         .about = "a page beside is written to",
         .schedule = detached,
         .act = &N::touch,
         .exclusion = asks_mmap_lock_for_a_fault(),
         .writes = true},
        {.name = "gup",
         .about = "a page beside is looked up for a futex",
         .schedule = detached,
         .act = &N::gup,
         .exclusion = asks_mmap_lock_for_gup()},
        {.name = "pageout",
         .about = "MADV_PAGEOUT of the pages beside",
         .schedule = detached,
         .act = &N::pageout,
         .exclusion = asks({"down_read < do_madvise"}),
         .moves = true},
        {.name = "dontneed",
         .about = "pages beside are given back",
         .schedule = detached,
         .act = &N::dontneed,
         .exclusion = asks({"down_read < do_madvise"}),
         .gives_back = true},
        {.name = "mprotect",
         .about = "a page beside becomes read-only",
         .schedule = detached,
         .act = &N::protect,
         .exclusion = asks({"down_write_killable < do_mprotect_pkey"})},
        {.name = "fork",
         .about = "a child is forked, and reads all",
         .schedule = detached,
         .act = &N::child_reads,
         .exclusion = asks({"down_write_killable < copy_process"})},
        {.name = "munmap",
         .about = "half of the range is unmapped",
         .schedule = detached,
         .act = &N::unmap,
         .exclusion = asks({"down_write_killable < __vm_munmap"}),
         .unmaps = true},
        {.name = "uffd",
         .about = "the range is registered with a userfaultfd",
         .schedule = detached,
         .act = &N::register_range,
         .exclusion = asks({"down_write < userfaultfd_register", "down_write < userfaultfd_ioctl",
                            "rwsem_down_write_slowpath < userfaultfd_ioctl"}), // 6.1
         .ready = &N::open_userfaultfd,
         .needs = userfaultfd},
        {.name = "merge",
         .about = "the pages are offered to KSM",
         .schedule = detached,
         .act = &N::merge,
         .exclusion = asks({"down_write_killable < do_madvise"})},
        {.name = "ksm",
         .about = "ksmd looks for pages to merge",
         .schedule = detached_ksmd,
         .act = &N::run_ksmd,
         .exclusion = asks({"down_read < ksm_scan_thread"}),
         .divisor = 2,
         .set_up = &N::have_ksm,
         .ready = &N::make_equal,
         .ksmd = true,
         .moves = true,
         .needs = ksm},
        {.name = "compact",
         .about = "all memory is compacted, which moves pages",
         .schedule = detached,
         .act = &N::compact,
         .exclusion = asks_anon_vma_lock_or_moves_others(),
         .divisor = 2,
         .moves = true},
        {.name = "soft-offline",
         .about = "a page beside is taken out of use, which moves it",
         .schedule = detached,
         .act = &N::soft_offline,
         .exclusion = asks_anon_vma_lock(),
         .ready = &N::find_page_frame,
         .moves = true,
         .needs = {{"soft offlining", missing_soft_offline}}},
        {.name = "early-touch",
         .about = "a page is written to before the folio is there",
         .schedule = allocating,
         .act = &N::touch,
         .writes = true},
        {.name = "early-dontneed",
         .about = "pages are given back",
         .schedule = allocating,
         .act = &N::dontneed,
         .gives_back = true},
        {.name = "early-pageout",
         .about = "all pages are swapped out, to a RAM disk",
         .schedule = allocating,
         .act = &N::pageout,
         .set_up = &N::have_swap,
         .moves = true,
         .needs = {{"a RAM disk to swap to", missing_ram_disk}}},
        {.name = "early-mprotect",
         .about = "a page becomes read-only",
         .schedule = allocating,
         .act = &N::protect},
        {.name = "early-munmap",
         .about = "half of the range is unmapped",
         .schedule = allocating,
         .act = &N::unmap,
         .unmaps = true},
        {.name = "early-ksm",
         .about = "ksmd merges a page",
         .schedule = allocating_ksmd,
         .act = &N::run_ksmd,
         .divisor = 2,
         .set_up = &N::have_ksm,
         .ready = &N::make_equal,
         .ksmd = true,
         .moves = true,
         .needs = ksm},
        {.name = "early-fork",
         .about = "a child is forked, and reads all",
         .schedule = allocating,
         .act = &N::child_reads},
        {.name = "early-uffd",
         .about = "the range, which has holes, is registered with a userfaultfd",
         .schedule = allocating,
         .act = &N::register_range,
         .ready = &N::open_userfaultfd,
         .holes = true,
         .needs = userfaultfd},
    };
    return all;
}

std::vector<Variant> variants() {
    std::vector<Variant> all;
    for (const Row& row : rows())
        all.push_back({.name = row.name,
                       .about = row.about,
                       .schedule = row.schedule,
                       .expected = {{row.holes ? "pages=kept holes=kept entries=well"
                                               : "pages=kept entries=well"}},
                       .always = "pages=kept",
                       .exclusion = row.exclusion,
                       .runs_divisor = row.divisor,
                       .needs = row.needs});
    return all;
}

} // namespace

const Scenario& mthp_neighbours() {
    static const Scenario scenario = {
        .name = "mthp-neighbours",
        .family = "mthp",
        .claim = "a task that meets a collapse in the middle waits or gives way, and loses nothing",
        .source = "Nico Pache, linux-mm, 19 August 2025",
        .races =
            "collapse_huge_page() against faults, GUP, madvise(), fork(), userfaultfd, rmap, ksmd",
        .bad = "order=had (the PMD is away), pages=lost, holes=filled, entries=stuck",
        .variants = variants(),
        .controls = {{.name = "no-vma-lock",
                      .about = "khugepaged does not lock the VMA: faults do not see it",
                      .variant = "touch",
                      .produces = "pages=lost",
                      .actions = {{.kind = FL_CONTROL_SKIP,
                                   .actor = "khugepaged",
                                   .function = "__vma_start_write"}},
                      .complains = true},
                     {.name = "no-locks",
                      .about = "khugepaged takes neither mmap_lock nor the anon_vma's",
                      // A fault would have the kernel oops, where there is a page table again.
                      .variant = "merge",
                      .produces = "order=had",
                      .actions = {{.kind = FL_CONTROL_SKIP,
                                   .actor = "khugepaged",
                                   .function = "down_write",
                                   .caller = "collapse_huge_page"},
                                  {.kind = FL_CONTROL_SKIP,
                                   .actor = "khugepaged",
                                   .function = "up_write",
                                   .caller = "collapse_huge_page"}},
                      .complains = true},
                     {.name = "blind-to-userfaultfd",
                      .about = "holes may be filled though a userfaultfd is registered",
                      .variant = "early-uffd",
                      .produces = "holes=filled",
                      .actions = {{.kind = FL_CONTROL_REPLACE,
                                   .actor = "khugepaged",
                                   .function = "collapse_max_ptes_none",
                                   .replacement = "collapse_scaled_ptes_none"}}}},
        .needs = mthp_needs(),
        .make = [](const Variant& variant) -> std::unique_ptr<Experiment> {
            return std::make_unique<MthpNeighbours>(row_of(rows(), variant));
        },
    };
    return scenario;
}

} // namespace faultline
