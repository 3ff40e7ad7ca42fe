// SPDX-License-Identifier: GPL-2.0
// shmem-eviction: a walk over inodes without their pages locked holds off their eviction.
//
// Claim (Hugh Dickins, linux-mm, 9 October 2020): "igrab() looks as if it's the right thing to use,
// but turns out to give no protection against umount. Last time around, I ended up with a
// stop_eviction count in the shmem inode, which shmem_evict_inode() waits on if necessary."
//
// Actors: the swapper ends swapping to a disk, and brings back the pages of a file in a tmpfs; the
// evictor takes the file away meanwhile: its name, its last descriptor, or all of the tmpfs.
//     shmem_unuse_inode()  against  shmem_evict_inode()
//
// A bad outcome: order=had (the inode is gone and the swapper goes on with it), swapoff=ESTALE
// (it then met an inode that was in no list), other=lost (the pages of another file).
//
// A truncation or a hole leaves the inode: it need not wait, and an overlap is right.
#include "scenarios/list.hpp"

#include "engine/scenario.hpp"
#include "kernel/debugfs.hpp"
#include "kernel/fd.hpp"
#include "kernel/page_pattern.hpp"
#include "kernel/settings.hpp"
#include "kernel/swap.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/falloc.h>
#include <linux/mount.h>
#include <optional>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <vector>

namespace faultline {

namespace {

constexpr std::string_view schedule = "evictor@user:ready -> swapper@user:swapoff; "
                                      "swapper@enter:shmem_swapin_folio -> evictor@user:evict; "
                                      "evictor@user:evicted -> swapper@enter:shmem_swapin_folio";

constexpr std::size_t pages = 8; // of each file

enum Slot : unsigned {
    slot_errno,   // of what an actor did
    slot_swapped, // pages of its file
};

enum class Act { unlink, close, umount, truncate, punch };

struct Row {
    std::string_view name;
    std::string_view about;
    Act act;
    bool evicts; // the inode would go: shmem_evict_inode() must wait
};

constexpr std::array rows = {
    Row{"unlink", "the file's last name is removed", Act::unlink, true},
    Row{"close", "a file without a name is closed", Act::close, true},
    Row{"umount", "the file system is unmounted", Act::umount, true},
    Row{"truncate", "the file is cut: the inode stays", Act::truncate, false},
    Row{"hole", "a hole is punched: the inode stays", Act::punch, false},
};

// A tmpfs that is mounted nowhere: it is unmounted when the descriptor is closed, or by the end of
// its process.
Result<Fd> detached_tmpfs() {
    const Fd context(static_cast<int>(::syscall(SYS_fsopen, "tmpfs", FSOPEN_CLOEXEC)));
    if (!context)
        return Error::last("fsopen", "tmpfs");
    if (::syscall(SYS_fsconfig, context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0)
        return Error::last("fsconfig", "tmpfs");
    Fd mount(static_cast<int>(::syscall(SYS_fsmount, context.get(), FSMOUNT_CLOEXEC, 0)));
    if (!mount)
        return Error::last("fsmount", "tmpfs");
    return mount;
}

class ShmemEviction final : public Experiment {
  public:
    explicit ShmemEviction(const Row& row) : row_(row) {}

    Result<void> prepare() override {
        Result<SwapArea> area = SwapArea::make();
        if (!area)
            return area.error();
        area_ = std::move(*area);
        page_bytes_ = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
        // igrab() instead of stop_eviction ends in an oops, and the driver must survive to report
        // it.
        Result<Setting> oops = Setting::set("/proc/sys/kernel/panic_on_oops", "0");
        if (!oops)
            return oops.error();
        oops_ = std::move(*oops);
        return {};
    }

    std::vector<Actor> actors() override {
        return {{.name = "swapper",
                 .kind = Actor::Kind::process,
                 .cpu = 0,
                 .body =
                     [this](ActorContext& me) {
                         if (!me.at("swapoff"))
                             return;
                         const Result<void> off = area_.off();
                         me.report(slot_errno, off ? 0 : off.error().number);
                     },
                 .may_die = true},
                {.name = "evictor",
                 .kind = Actor::Kind::process,
                 .cpu = 1,
                 .body = [this](ActorContext& me) { me.check(evict(me)); },
                 .may_die = true}};
    }

    Result<void> begin(Run& /*run*/) override {
        other_ = Fd(::memfd_create("faultline", MFD_CLOEXEC));
        if (!other_)
            return Error::last("memfd_create");
        if (Result<void> on = area_.on(); !on)
            return on;
        // The list that the swapper goes through has the last file that was swapped out first.
        const Result<std::int64_t> swapped = swap_out(other_);
        if (!swapped)
            return swapped.error();
        other_swapped_ = *swapped > 0;
        return {};
    }

    Outcome judge(Run& run) override {
        Outcome outcome;
        const std::int64_t off = run.slot("swapper", slot_errno);
        outcome.add("order", run.order());
        outcome.add("swapoff", off == unreported ? "not-reported"
                               : off == 0        ? "ok"
                                                 : ::strerrorname_np(static_cast<int>(off)));
        outcome.require(off == 0, "swapoff failed: the pages are still in swap");
        const std::int64_t evicted = run.slot("evictor", slot_errno);
        outcome.require(evicted == 0, evicted == unreported ? "the evictor did not come back"
                                                            : "the evictor's system call failed");
        const bool kept = other_kept();
        outcome.add("other", kept ? "kept" : "lost");
        outcome.require(kept, "another file has lost a page");
        return outcome;
    }

    std::optional<bool> overlapped(const Run& run) override {
        return other_swapped_ && run.slot("evictor", slot_swapped) > 0;
    }

  private:
    static std::uint64_t word_of(std::size_t page) { return 0x73776170 + page; }

    // Fills the file and has it swapped out; how many pages of it were, and are in no cache.
    [[nodiscard]] Result<std::int64_t> swap_out(const Fd& file) const {
        const std::size_t bytes = pages * page_bytes_;
        if (::ftruncate(file.get(), static_cast<off_t>(bytes)) != 0)
            return Error::last("ftruncate");
        void* memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
        if (memory == MAP_FAILED)
            return Error::last("mmap");
        for (std::size_t page = 0; page < pages; ++page)
            write_pattern(
                {reinterpret_cast<std::uint64_t*>(static_cast<char*>(memory) + page * page_bytes_),
                 page_bytes_ / sizeof(std::uint64_t)},
                word_of(page));
        std::array<unsigned char, pages> resident{};
        const bool done = ::madvise(memory, bytes, MADV_PAGEOUT) == 0 &&
                          ::mincore(memory, bytes, resident.data()) == 0;
        const Error error = Error::last("madvise(MADV_PAGEOUT), mincore");
        ::munmap(memory, bytes);
        if (!done)
            return error;
        return std::count(resident.begin(), resident.end(), 0);
    }

    Result<void> evict(ActorContext& me) const {
        Result<Fd> mount = detached_tmpfs();
        if (!mount)
            return mount.error();
        Fd file(::openat(mount->get(), "victim", O_RDWR | O_CREAT | O_CLOEXEC, 0600));
        if (!file)
            return Error::last("openat", "victim");
        const Result<std::int64_t> swapped = swap_out(file);
        if (!swapped)
            return swapped.error();
        me.report(slot_swapped, *swapped);
        if (row_.act == Act::close && ::unlinkat(mount->get(), "victim", 0) != 0)
            return Error::last("unlinkat", "victim");
        if (row_.act == Act::unlink || row_.act == Act::umount)
            file.reset();
        if (!me.at("ready") || !me.at("evict"))
            return {};
        me.report(slot_errno, act(*mount, file) ? 0 : errno);
        (void)me.at("evicted").ok();
        return {};
    }

    // False, and errno.
    bool act(Fd& mount, Fd& file) const {
        const auto bytes = static_cast<off_t>(pages * page_bytes_);
        switch (row_.act) {
        case Act::unlink:
            return ::unlinkat(mount.get(), "victim", 0) == 0;
        case Act::close:
            return ::close(file.release()) == 0;
        case Act::umount:
            return ::close(mount.release()) == 0;
        case Act::truncate:
            return ::ftruncate(file.get(), 0) == 0;
        case Act::punch:
            return ::fallocate(file.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, bytes) ==
                   0;
        }
        return false;
    }

    [[nodiscard]] bool other_kept() const {
        std::vector<std::uint64_t> words(page_bytes_ / sizeof(std::uint64_t));
        for (std::size_t page = 0; page < pages; ++page)
            if (::pread(other_.get(), words.data(), page_bytes_,
                        static_cast<off_t>(page * page_bytes_)) !=
                    static_cast<ssize_t>(page_bytes_) ||
                page_word(words) != word_of(page))
                return false;
        return true;
    }

    const Row& row_;
    std::size_t page_bytes_ = 0;
    Setting oops_;
    SwapArea area_;
    Fd other_; // a file that stays
    bool other_swapped_ = false;
};

// A swapper that spins while it is held keeps back the grace period that umount waits for first.
std::vector<Need> needs_of(const Row& row) {
    if (row.name != "umount")
        return {};
    return {{"a hold that sleeps", [] { return missing_capability("sleep-detection"); }}};
}

std::vector<Variant> variants() {
    std::vector<Variant> all;
    all.reserve(rows.size());
    for (const Row& row : rows) {
        Exclusion exclusion;
        if (row.evicts) // it waits for stop_eviction to be 0
            exclusion = {.places = {"shmem_evict_inode"}};
        all.push_back({.name = row.name,
                       .about = row.about,
                       .schedule = schedule,
                       .expected = {{.words = "swapoff=ok other=kept"}},
                       .exclusion = exclusion,
                       .runs_divisor = 5,
                       .needs = needs_of(row)});
    }
    return all;
}

} // namespace

const Scenario& shmem_eviction() {
    static const Scenario scenario = {
        .name = "shmem-eviction",
        .family = "shmem",
        .claim = "no inode is evicted while swapoff brings its pages back",
        .source = "Hugh Dickins, linux-mm, 9 October 2020",
        .races = "shmem_unuse_inode() against shmem_evict_inode()",
        .bad = "order=had (a file that goes), swapoff=ESTALE, other=lost",
        .variants = variants(),
        .controls = {{.name = "no-stop-eviction",
                      .about = "nothing holds off the eviction",
                      .variant = "unlink",
                      .produces = "order=had",
                      .actions = {{.kind = FL_CONTROL_REPLACE,
                                   .actor = "swapper",
                                   .function = "shmem_unuse_inode",
                                   .replacement = "shmem_unuse_unprotected"}},
                      .complains = true},
                     {.name = "igrab",
                      .about = "a reference instead of stop_eviction",
                      .variant = "umount",
                      .produces = "order=had swapoff=not-reported",
                      .actions = {{.kind = FL_CONTROL_REPLACE,
                                   .actor = "swapper",
                                   .function = "shmem_unuse_inode",
                                   .replacement = "shmem_unuse_igrab"}},
                      .complains = true,
                      .by_name_only = true}},
        .needs = {{"a RAM disk to swap to", missing_ram_disk}},
        .make = [](const Variant& variant) -> std::unique_ptr<Experiment> {
            return std::make_unique<ShmemEviction>(row_of(rows, variant));
        },
    };
    return scenario;
}

} // namespace faultline
