// SPDX-License-Identifier: GPL-2.0
// hvo-cycle: optimizing and restoring, again and again and at once, leaves everything as it was.
//
// Claim (mm/hugetlb_vmemmap.c, "vmemmap_remap_alloc()" and "vmemmap_remap_free()"): a restoration
// takes again the memory that an optimization gave back, while other tasks allocate, free, compact
// or look pages up. At the end the counters have their old values.
//
// Actors: the taker grows and empties hugetlb's pool, or makes a huge page of 1 GiB and demotes it.
// Against it run one that maps huge pages beyond the pool (they are optimized when they are
// allocated, and restored when they are unmapped); a looker-up of page cache pages, through
// GUP-fast, too; a compactor. In one variant a hog has nearly all memory. In one, memory fails:
// huge pages that are mapped are soft-offlined, or poisoned, and so dissolved.
//     hugetlb_vmemmap_optimize_folios(), hugetlb_vmemmap_restore_folios()  against each other,
//     demote, dissolve_free_hugetlb_folio(), memory_failure(), filemap_get_entry(), GUP-fast,
//     compact_zone()
//
// A bad outcome: nr_memmap_pages that is not what it was, a huge page that is left, memory that
// stays poisoned, a complaint in the kernel's log. One remainder is no leak, and has words of its
// own: set_max_huge_pages() drops hugetlb_lock between freeing pages and counting the rest as
// surplus, and a page that others free meanwhile stays in the pool, free and surplus, until the
// pool grows again. It is judged as it was found, with the vmemmap that it explains
// (memmap=of-surplus), and then the pool grows and empties once: repaired=surplus if all is as
// before then.
#include "scenarios/hvo_experiment.hpp"
#include "scenarios/list.hpp"

#include "kernel/extent.hpp"
#include "kernel/kernel_log.hpp"

#include <array>
#include <atomic>
#include <cerrno>
#include <fmt/format.h>
#include <linux/futex.h>
#include <optional>
#include <sstream>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace faultline {

namespace {

constexpr unsigned cycles = 10; // of a run
constexpr unsigned pool_pages = 32;
constexpr unsigned settle_ms = 1000;
constexpr unsigned settle_step_ms = 10;
constexpr unsigned mapped_pages = 4;
constexpr unsigned demotions = 2;                        // of a run
constexpr unsigned failures = 4;                         // of a run: half of them soft
constexpr std::int64_t spared_kb = 192 << 10;            // by the hog
constexpr std::size_t hog_bytes = std::size_t{16} << 20; // at a time
constexpr std::size_t huge_bytes = std::size_t{2} << 20;
constexpr std::size_t frame_bytes = 4096;
constexpr std::int64_t given_back_pages = 7; // of the 8 of a huge page's vmemmap
constexpr std::size_t frames_in_block = huge_bytes / frame_bytes;
constexpr const char* soft_offline = "/sys/devices/system/memory/soft_offline_page";
constexpr const char* hard_offline = "/sys/devices/system/memory/hard_offline_page";
constexpr const char* gigantic = "/sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages";
constexpr const char* demote = "/sys/kernel/mm/hugepages/hugepages-1048576kB/demote";
constexpr const char* idle_bitmap = "/sys/kernel/mm/page_idle/bitmap";
constexpr const char* overcommit = "/proc/sys/vm/nr_overcommit_hugepages";
constexpr const char* compact = "/proc/sys/vm/compact_memory";

// The sum of all lines of a file like /proc/vmstat or /proc/meminfo that begin with one of these
// words; nullopt if there is none.
std::optional<std::int64_t> sum_of(const char* path,
                                   std::initializer_list<std::string_view> words) {
    const Result<std::string> text = read_text(path);
    if (!text)
        return std::nullopt;
    std::istringstream lines(*text);
    std::optional<std::int64_t> sum;
    std::string name;
    std::int64_t value = 0;
    std::string rest;
    while (lines >> name >> value && std::getline(lines, rest))
        for (std::string_view word : words)
            if (name == word)
                sum = sum.value_or(0) + value;
    return sum;
}

// Pages that hold struct pages; since 6.11.
std::optional<std::int64_t> memmap_pages() {
    return sum_of("/proc/vmstat", {"nr_memmap_pages", "nr_memmap_boot_pages"});
}

struct Pool {
    std::int64_t total = 0;
    std::int64_t free = 0;
    std::int64_t surplus = 0;

    [[nodiscard]] std::int64_t left() const { return total - anchor_pages; }
    // All that is left is free, and surplus.
    [[nodiscard]] bool stuck() const { return left() > 0 && surplus == left() && free == total; }
};

Pool pool_now() {
    const auto number = [](std::string_view word) {
        return sum_of("/proc/meminfo", {word}).value_or(0);
    };
    return {number("HugePages_Total:"), number("HugePages_Free:"), number("HugePages_Surp:")};
}

// Memory that was taken out of use, in kB.
std::optional<std::int64_t> poisoned_kb() {
    return sum_of("/proc/meminfo", {"HardwareCorrupted:"});
}

char* map_huge(std::size_t bytes) {
    void* memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
    return memory == MAP_FAILED ? nullptr : static_cast<char*>(memory);
}

class HvoCycle;

struct Row {
    std::string_view name;
    std::string_view about;
    Result<void> (HvoCycle::*take)(ActorContext& me);
    unsigned least; // that the taker must have done, for the run to count
    unsigned divisor;
    // One more actor, that must have done something.
    std::string_view extra = {};
    Result<void> (HvoCycle::*extra_body)(ActorContext& me) = nullptr;
    bool poisons = false;
    std::vector<Need> needs = {};
};

class HvoCycle final : public HvoExperiment {
  public:
    explicit HvoCycle(const Row& row) : HvoExperiment(anchor_pages), row_(row) {}

    Result<void> prepare() override {
        Result<KernelLog> log = KernelLog::open();
        if (!log)
            return log.error();
        log_ = std::move(*log);
        if (Result<void> prepared = HvoExperiment::prepare(); !prepared)
            return prepared;
        return set(overcommit, std::to_string(2 * mapped_pages));
    }

    std::vector<Actor> actors() override {
        std::vector<Actor> all = common_actors();
        if (!row_.extra.empty())
            all.push_back(
                {.name = row_.extra,
                 .kind = Actor::Kind::thread,
                 .cpu = 0,
                 .body = [this](ActorContext& me) { me.check((this->*row_.extra_body)(me)); }});
        return all;
    }

    std::vector<Actor> common_actors() {
        return {{.name = "taker",
                 .kind = Actor::Kind::thread,
                 .cpu = 0,
                 .body =
                     [this](ActorContext& me) {
                         const Result<void> done = (this->*row_.take)(me);
                         over_ = true;
                         me.check(done);
                     }},
                {.name = "other",
                 .kind = Actor::Kind::thread,
                 .cpu = 1,
                 .body = [this](ActorContext& me) { repeat(me, [this] { return other(); }); }},
                {.name = "looker",
                 .kind = Actor::Kind::thread,
                 .cpu = 1,
                 .body = [this](ActorContext& me) { repeat(me, [this] { return look_up(); }); }},
                {.name = "compactor",
                 .kind = Actor::Kind::thread,
                 .cpu = 0,
                 .body = [this](ActorContext& me) {
                     repeat(me, [] { return write_text(compact, "1"); });
                 }}};
    }

    Result<void> begin(Run& /*run*/) override {
        over_ = false;
        if (Result<void> emptied = pool(anchor_pages); !emptied)
            return emptied;
        if (Result<void> fresh = extent().fresh(); !fresh)
            return fresh;
        failed_.clear();
        memmap_before_ = memmap_pages();
        poisoned_before_ = poisoned_kb();
        return {};
    }

    Outcome judge(Run& /*run*/) override {
        Outcome outcome;
        settle();
        if (const Result<void> healed = heal(); !healed)
            return outcome.forbid(healed.error().to_string());
        if (!failed_.empty())
            settle();
        const Pool found = pool_now();
        const std::optional<std::int64_t> memmap = memmap_pages();
        outcome.add("memmap", memmap_word(memmap, found));
        outcome.add("huge-pages", found.left() == 0 ? "none" : found.stuck() ? "surplus" : "left");
        outcome.add("repaired", found.left() == 0 ? "nothing" : repair());
        if (row_.poisons)
            outcome.add("poison", poisoned_kb() == poisoned_before_ ? "healed" : "left");
        const Result<std::string> complaint = log_->complaint();
        if (!complaint)
            return outcome.forbid(complaint.error().to_string());
        outcome.add("log", complaint->empty() ? "clean" : "complaint");
        // With the numbers and the text, which a pattern cannot say.
        outcome.require(std::string_view(memmap_word(memmap, found)) != "changed",
                        fmt::format("nr_memmap_pages is {}, it was {}", memmap.value_or(0),
                                    memmap_before_.value_or(0)));
        outcome.require(
            found.left() == 0 || found.stuck(),
            fmt::format("{} huge pages are left, {} of them surplus", found.left(), found.surplus));
        outcome.require(complaint->empty(), "the kernel complained: " + *complaint);
        return outcome;
    }

    std::optional<bool> overlapped(const Run& run) override {
        const auto did = [&run](std::string_view actor, std::int64_t least) {
            return run.slot(actor, 0) >= least;
        };
        return did("taker", row_.least) && did("other", 1) && did("looker", 1) &&
               did("compactor", 1) && (row_.extra.empty() || did(row_.extra, 1));
    }

    // A kernel thread restores the pages that could not be restored at once.
    void settle() const {
        for (unsigned waited = 0; waited < settle_ms; waited += settle_step_ms) {
            if (as_before())
                return;
            ::usleep(settle_step_ms * 1000);
        }
    }

    Result<void> take(ActorContext& me) {
        for (unsigned i = 0; i < cycles && !me.stopping(); ++i) {
            if (Result<void> grown = pool(pool_pages); !grown)
                return grown;
            if (Result<void> emptied = pool(anchor_pages); !emptied)
                return emptied;
            me.report(0, i + 1);
        }
        return {};
    }

    // Reports how often there was a page of 1 GiB to demote: others use memory, too.
    Result<void> take_and_demote(ActorContext& me) {
        std::int64_t demoted = 0;
        for (unsigned i = 0; i < demotions && !me.stopping(); ++i) {
            if (Result<void> grown = write_text(gigantic, "1"); !grown)
                return grown;
            const Result<std::string> got = read_text(gigantic);
            if (!got)
                return got.error();
            if (got->starts_with("1")) {
                if (Result<void> done = write_text(demote, "1"); !done)
                    return done;
                me.report(0, ++demoted);
            }
            if (Result<void> emptied = pool(anchor_pages); !emptied)
                return emptied;
            if (Result<void> emptied = write_text(gigantic, "0"); !emptied)
                return emptied;
        }
        return {};
    }

    // Nearly all memory, until the taker is done; reports how many pieces.
    Result<void> hog(ActorContext& me) {
        std::vector<void*> pieces;
        while (!over_ && !me.stopping()) {
            if (sum_of("/proc/meminfo", {"MemAvailable:"}).value_or(0) < spared_kb) {
                ::usleep(settle_step_ms * 1000);
                continue;
            }
            void* piece = ::mmap(nullptr, hog_bytes, PROT_READ | PROT_WRITE,
                                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
            if (piece == MAP_FAILED)
                break;
            pieces.push_back(piece);
            me.report(0, static_cast<std::int64_t>(pieces.size()));
        }
        for (void* piece : pieces)
            ::munmap(piece, hog_bytes);
        return {};
    }

    // The page must not be touched any more; what remains of the huge page is dissolved.
    Result<void> offline(ActorContext& me) {
        std::int64_t times = 0;
        while (times < failures && !over_ && !me.stopping()) {
            char* page = map_huge(huge_bytes);
            if (page == nullptr || ::madvise(page, huge_bytes, MADV_POPULATE_WRITE) != 0 ||
                !block().find(page)) {
                ::munmap(page, page == nullptr ? 0 : huge_bytes);
                continue; // the pool is empty just now
            }
            const Result<HvoLayout> layout = block().layout();
            if (!layout)
                return layout.error();
            const std::uint64_t pfn = layout->pfn + me.rng().below(frames_in_block);
            const Result<void> failed = write_text(times % 2 == 0 ? soft_offline : hard_offline,
                                                   fmt::format("{:#x}", pfn * frame_bytes));
            failed_.push_back(layout->pfn);
            ::munmap(page, huge_bytes);
            if (failed)
                me.report(0, ++times);
            else if (failed.error().number != EBUSY && failed.error().number != EIO)
                return failed;
        }
        return {};
    }

  private:
    [[nodiscard]] bool as_before() const {
        return pool_now().left() == 0 && memmap_pages() == memmap_before_;
    }

    // An optimized huge page of the pool has all pages of its vmemmap but the first given back.
    [[nodiscard]] const char* memmap_word(std::optional<std::int64_t> memmap,
                                          const Pool& found) const {
        if (!memmap || !memmap_before_)
            return "not-counted";
        if (*memmap == *memmap_before_)
            return "as-before";
        const bool explained =
            found.stuck() && *memmap_before_ - *memmap == found.left() * given_back_pages;
        return explained ? "of-surplus" : "changed";
    }

    // After the judgement: the next run begins with an empty pool.
    [[nodiscard]] const char* repair() const {
        if (!pool(pool_pages) || !pool(anchor_pages))
            return "failed";
        settle();
        return as_before() ? "surplus" : "failed";
    }

    // Takes the pages into use again that failed.
    Result<void> heal() {
        for (std::uint64_t pfn : failed_) {
            if (Result<void> chosen = block().send(fmt::format("pfn {:x}", pfn)); !chosen)
                return chosen;
            if (Result<void> healed = block().send("unpoison"); !healed)
                return healed;
        }
        return {};
    }

    // Until the taker is done; reports how often.
    template <typename Act> void repeat(ActorContext& me, Act act) {
        std::int64_t times = 0;
        while (!over_ && !me.stopping()) {
            if (const Result<void> done = act(); !done)
                return me.fail(done.error());
            me.report(0, ++times);
        }
    }

    Result<void> other() {
        char* memory = map_huge(mapped_pages * huge_bytes);
        if (memory == nullptr)
            return errno == ENOMEM ? Result<void>() : Error::last("mmap(MAP_HUGETLB)");
        // A store would be a SIGBUS where there is none left.
        (void)::madvise(memory, mapped_pages * huge_bytes, MADV_POPULATE_WRITE);
        ::munmap(memory, mapped_pages * huge_bytes);
        return {};
    }

    // A page that comes, is looked up, and goes.
    Result<void> look_up() {
        for (std::size_t page = 0; page < extent().pages(); page += 16) {
            if (Result<void> written = extent().write_word(page, page + 1); !written)
                return written;
            if (const Result<std::uint64_t> word = extent().read_word(page); !word)
                return word.error();
            // A futex that other processes can see is found by its page: GUP-fast.
            extent().populate(extent().address(page));
            (void)::syscall(SYS_futex, extent().address(page), FUTEX_WAKE, 1);
        }
        if (const Result<std::string> idle = read_text(idle_bitmap);
            !idle && idle.error().number != ENOENT)
            return idle.error();
        const auto bytes = static_cast<off_t>(extent().bytes());
        return ::ftruncate(extent().file(), 0) == 0 && ::ftruncate(extent().file(), bytes) == 0
                   ? Result<void>()
                   : Error::last("ftruncate");
    }

    const Row& row_;
    std::optional<KernelLog> log_;
    std::optional<std::int64_t> memmap_before_;
    std::optional<std::int64_t> poisoned_before_;
    std::vector<std::uint64_t> failed_; // page frames of blocks; the offliner's until it has ended
    std::atomic<bool> over_ = false;
};

// Make one for a moment: nothing else tells whether there is memory for it.
std::optional<std::string> missing_gigantic() {
    const Result<void> made = write_text(gigantic, "1");
    const Result<std::string> got = read_text(gigantic);
    const Result<void> given_back = write_text(gigantic, "0");
    if (!made || !got || !given_back)
        return (!made ? made.error() : !got ? got.error() : given_back.error()).to_string();
    return got->starts_with("1")
               ? std::nullopt
               : std::optional<std::string>(
                     "a GiB in one piece (of 4 GiB, and before others have used them)");
}

std::optional<std::string> missing_failure() {
    return ::access(soft_offline, F_OK) == 0
               ? std::nullopt
               : std::optional<std::string>(Error::last("no", soft_offline).to_string());
}

const std::vector<Row>& rows() {
    static const std::vector<Row> all = {
        {.name = "pool",
         .about = "the pool grows and empties, others map and unmap huge pages",
         .take = &HvoCycle::take,
         .least = cycles,
         .divisor = 50},
        {.name = "pressure",
         .about = "the same while nearly all memory is taken",
         .take = &HvoCycle::take,
         .least = cycles,
         .divisor = 100,
         .extra = "hog",
         .extra_body = &HvoCycle::hog},
        {.name = "demote",
         .about = "huge pages of 1 GiB are made, and demoted to 512 each",
         .take = &HvoCycle::take_and_demote,
         .least = 1,
         .divisor = 100,
         .needs = {{"huge pages of 1 GiB", missing_gigantic}}},
        {.name = "failure",
         .about = "huge pages in use are soft-offlined or poisoned, and dissolved",
         .take = &HvoCycle::take,
         .least = cycles,
         .divisor = 100,
         .extra = "offliner",
         .extra_body = &HvoCycle::offline,
         .poisons = true,
         .needs = {{"memory failure", missing_failure}}},
    };
    return all;
}

// Two cases: nothing is left, or free surplus pages are, which explain the vmemmap that lacks.
std::vector<Expected> expected(const Row& row) {
    if (row.poisons)
        return {{"memmap=as-before|not-counted huge-pages=none repaired=nothing poison=healed "
                 "log=clean"},
                {"memmap=as-before|of-surplus|not-counted huge-pages=surplus repaired=surplus "
                 "poison=healed log=clean"}};
    return {{"memmap=as-before|not-counted huge-pages=none repaired=nothing log=clean"},
            {"memmap=as-before|of-surplus|not-counted huge-pages=surplus repaired=surplus "
             "log=clean"}};
}

std::vector<Variant> variants() {
    std::vector<Variant> all;
    for (const Row& row : rows())
        all.push_back({.name = row.name,
                       .about = row.about,
                       .expected = expected(row),
                       .forced = false,
                       .runs_divisor = row.divisor,
                       .needs = row.needs});
    return all;
}

} // namespace

const Scenario& hvo_cycle() {
    static const Scenario scenario = {
        .name = "hvo-cycle",
        .family = "hvo",
        .claim = "optimizing and restoring vmemmap, at once and under load, loses nothing",
        .source = "mm/hugetlb_vmemmap.c",
        .races = "hugetlb_vmemmap_optimize_folios() and hugetlb_vmemmap_restore_folios() against "
                 "each other, memory_failure(), filemap_get_entry(), GUP-fast and compact_zone()",
        .bad = "memmap=changed, huge-pages=left, repaired=failed, poison=left, log=complaint",
        .variants = variants(),
        .controls = {{.name = "leaked",
                      .about = "the kernel loses the struct pages that an optimization frees",
                      .variant = "pool",
                      .produces = "memmap=changed",
                      .actions = {{.kind = FL_CONTROL_SKIP,
                                   .actor = "taker",
                                   .function = "free_vmemmap_page_list"}}},
                     {.name = "miscounted",
                      .about = "the kernel does not count the pages that it frees",
                      .variant = "pool",
                      .produces = "memmap=changed",
                      .actions = {{.kind = FL_CONTROL_SKIP,
                                   .actor = "taker",
                                   .function = "memmap_pages_add",
                                   .caller = "free_vmemmap_page_list"}},
                      .kind = Control::Kind::comparison}},
        .needs = hvo_needs(),
        .make = [](const Variant& variant) -> std::unique_ptr<Experiment> {
            return std::make_unique<HvoCycle>(row_of(rows(), variant));
        },
    };
    return scenario;
}

} // namespace faultline
