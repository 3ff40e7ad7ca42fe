// SPDX-License-Identifier: GPL-2.0
// hvo-stale: a page cache lookup takes a reference on a page whose struct page has gone read-only.
//
// Claim (Matthew Wilcox, linux-mm, 8 February 2024): "CPU A _no longer has a pointer to it_. CPU A
// has a pointer into vmemmap. So it will access the replacement struct page (which definitely has a
// refcount 0) instead of the one which has been freed." So a lookup that was preempted between
// xas_load() and folio_try_get() fails or succeeds, and does no harm, whatever became of the page.
//
// Actors: the reader, whose pread(2) of a tmpfs file is held in front of the very instruction that
// takes the reference: the count has been read, it was not 0. The taker truncates the file, and has
// hugetlb take the block of the page and optimize its vmemmap.
//     filemap_get_entry() -> folio_try_get()  against  hugetlb_vmemmap_optimize_folios()
//
// A bad outcome: reader=oops. The replacement is mapped read-only, and a compare-and-exchange
// writes even where it changes nothing. 6.12 excludes it: hugetlb waits for a grace period before
// it remaps. 7.1 dropped the grace period. The reader spins here where a real one would be
// preempted.
#include "scenarios/hvo_experiment.hpp"
#include "scenarios/list.hpp"

#include "kernel/kernel_log.hpp"

#include <cerrno>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/futex.h>
#include <optional>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace faultline {

namespace {

constexpr std::string_view in_lookup =
    "reader@at:filemap_get_entry/lock-cmpxchg -> taker@user:take; "
    "taker@user:taken -> reader@at:filemap_get_entry/lock-cmpxchg";
constexpr std::string_view in_gup_fast = "reader@at:gup_fast/page-ref -> taker@user:take; "
                                         "taker@user:taken -> reader@at:gup_fast/page-ref";
constexpr std::string_view in_compaction =
    "reader@at:isolate_migratepages_block/page-ref -> taker@user:take; "
    "taker@user:taken -> reader@at:isolate_migratepages_block/page-ref";
constexpr std::string_view in_soft_offline =
    "reader@at:get_hwpoison_page/page-ref -> taker@user:take; "
    "taker@user:taken -> reader@at:get_hwpoison_page/page-ref";
constexpr std::string_view in_page_idle =
    "reader@at:page_idle_get_folio/page-ref -> taker@user:take; "
    "taker@user:taken -> reader@at:page_idle_get_folio/page-ref";

constexpr const char* idle_bitmap = "/sys/kernel/mm/page_idle/bitmap";
constexpr const char* soft_offline = "/sys/devices/system/memory/soft_offline_page";
constexpr const char* compact = "/proc/sys/vm/compact_memory";
constexpr std::size_t kept_pages = 64; // of a block: their struct pages stay where they are
constexpr std::size_t block_pages = 512;
constexpr std::size_t group_pages = 64; // to a word of the bitmap of idle pages

constexpr unsigned slot_result = 0; // of the reader: bytes read, or -errno
constexpr unsigned slot_pool = 0;   // of the taker: huge pages when it had the block; -1: never

class HvoStale;

struct Row {
    std::string_view name;
    std::string_view about;
    std::string_view schedule;
    // Takes a reference to the page, and may find that it is gone. -1 and errno is no failure.
    ssize_t (HvoStale::*look_up)() const;
    Result<void> (HvoStale::*set_up)();         // before the first run
    Result<void> (HvoStale::*clean_up)() const; // after a run that the reader survived
    std::size_t apart = 1;                      // pages: the reader finds those only
    Exclusion exclusion = {};
    std::vector<KnownBug> known = {};
    std::vector<Need> needs = {};
    bool by_name_only = false;
};

class HvoStale final : public HvoExperiment {
  public:
    explicit HvoStale(const Row& row) : row_(row) {}

    Result<void> prepare() override {
        Result<KernelLog> log = KernelLog::open();
        if (!log)
            return log.error();
        log_ = std::move(*log);
        // An oops must be an outcome, not the end of the machine.
        if (Result<void> going_on = set("/proc/sys/kernel/panic_on_oops", "0"); !going_on)
            return going_on;
        if (Result<void> prepared = HvoExperiment::prepare(); !prepared)
            return prepared;
        return (this->*row_.set_up)();
    }

    // No State: to read the file would give a CPU references to its pages, and then hugetlb cannot
    // have the block. And a reader that oopses leaves all that it had.
    Result<void> begin_run(Run& run) override { return begin(run); }
    Outcome judge_run(Run& run) override { return judge(run); }

    std::vector<Actor> actors() override {
        return {{.name = "reader",
                 .kind = Actor::Kind::process,
                 .cpu = 0,
                 .body =
                     [this](ActorContext& me) {
                         const ssize_t got = (this->*row_.look_up)();
                         me.report(slot_result, got < 0 ? -errno : got);
                     },
                 .may_die = true},
                {.name = "taker",
                 .kind = Actor::Kind::thread,
                 .cpu = 1,
                 .body = [this](ActorContext& me) {
                     if (!me.at("take"))
                         return;
                     const Result<std::int64_t> taken = take_block(me, pool_);
                     if (!taken)
                         return me.fail(taken.error());
                     me.report(slot_pool, *taken);
                     (void)me.at("taken").ok();
                 }}};
    }

    // A page of the smallest size, somewhere in a block that was one huge page of this file.
    Result<void> begin(Run& run) override {
        if (Result<void> emptied = pool(pool_); !emptied)
            return emptied;
        page_ = kept_pages + run.rng().below((block_pages - kept_pages) / row_.apart) * row_.apart;
        const Result<HvoLayout> layout = one_block(page_);
        if (!layout)
            return layout.error();
        pfn_ = layout->pfn + page_;
        run.aim(pfn_);
        return {};
    }

    // The text of a complaint is the reason: a pattern cannot say it.
    Outcome judge(Run& run) override {
        Outcome outcome;
        const Result<std::string> complaint = log_->complaint();
        if (!complaint)
            return outcome.forbid(complaint.error().to_string());
        const bool survived = run.slot("reader", slot_result) != unreported;
        outcome.add("block", run.slot("taker", slot_pool) > 0 ? "optimized" : "free");
        outcome.add("reader", survived ? "unharmed" : "oops");
        outcome.require(complaint->empty(), "the kernel complained: " + *complaint);
        if (survived)
            if (const Result<void> cleaned = (this->*row_.clean_up)(); !cleaned)
                outcome.forbid(cleaned.error().to_string());
        return outcome;
    }

    // The reader was held, but the block did not become an optimized huge page: nothing was tried.
    std::optional<bool> overlapped(const Run& run) override {
        return run.slot("taker", slot_pool) > 0 ? std::nullopt : std::optional(false);
    }

    [[nodiscard]] Result<void> no_setup() { return {}; }
    [[nodiscard]] Result<void> no_cleanup() const { return {}; }

    [[nodiscard]] Result<void> make_other_file() {
        Result<std::unique_ptr<Extent>> other = Extent::make();
        if (!other)
            return other.error();
        elsewhere_ = std::move(*other);
        if (Result<void> fresh = elsewhere_->fresh(); !fresh)
            return fresh;
        return elsewhere_->write_word(0, 1);
    }

    // Compaction goes through a zone from its start, and soon ends where it finds pages to move:
    // ours must be the first. So hugetlb takes the last zone, which has all other pages, and leaves
    // the zone below 4 GiB, which has none.
    [[nodiscard]] Result<void> fill_last_zone() {
        constexpr std::uint64_t limit = (std::uint64_t{1} << 32) / 4096;
        for (; pool_ <= most_pages(); pool_ += at_once) {
            if (Result<void> grown = pool(pool_); !grown)
                return grown;
            const Result<HvoLayout> layout = one_block(0);
            if (!layout)
                return layout.error();
            if (layout->pfn < limit)
                return {};
        }
        return Error::make(ENOMEM, "no block below 4 GiB");
    }

    [[nodiscard]] Result<void> unpoison() const { return block().send("unpoison"); }

    [[nodiscard]] ssize_t read_page() const { return read_word(extent().file(), offset()); }
    [[nodiscard]] ssize_t read_elsewhere() const { return read_word(elsewhere_->file(), 0); }
    [[nodiscard]] ssize_t fault() const { return map_page() == nullptr ? -1 : 0; }
    // A futex that other processes can see is found by its page.
    [[nodiscard]] ssize_t wake_futex() const {
        char* mapped = map_page();
        return mapped == nullptr ? -1 : ::syscall(SYS_futex, mapped, FUTEX_WAKE, 1);
    }
    [[nodiscard]] ssize_t compact_memory() const {
        return keep_one_page() ? text_to(compact, "1") : -1;
    }
    [[nodiscard]] ssize_t take_page_offline() const {
        return text_to(soft_offline, fmt::format("{:#x}", pfn_ * extent().page_bytes()));
    }
    [[nodiscard]] ssize_t read_idle_bits() const {
        const Result<Fd> bitmap = Fd::open(idle_bitmap, O_RDONLY);
        return bitmap ? read_word(bitmap->get(),
                                  static_cast<off_t>(pfn_ / group_pages * sizeof(std::uint64_t)))
                      : -1;
    }

  private:
    static ssize_t read_word(int file, off_t at) {
        std::uint64_t word = 0;
        return ::pread(file, &word, sizeof(word), at);
    }

    // It isolates pages one by one: the taker could not have those before ours.
    [[nodiscard]] Result<void> keep_one_page() const {
        const off_t after = offset() + static_cast<off_t>(extent().page_bytes());
        const auto bytes = static_cast<off_t>(extent().bytes());
        constexpr int punch = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
        if (::fallocate(extent().file(), punch, 0, offset()) != 0 ||
            ::fallocate(extent().file(), punch, after, bytes - after) != 0)
            return Error::last("fallocate(FALLOC_FL_PUNCH_HOLE)");
        return block().send("drain");
    }

    [[nodiscard]] off_t offset() const { return static_cast<off_t>(page_ * extent().page_bytes()); }

    // For writing: a fault for reading looks up the pages around it first. Mapped until the task
    // ends.
    [[nodiscard]] char* map_page() const {
        void* mapped = ::mmap(nullptr, extent().page_bytes(), PROT_READ | PROT_WRITE, MAP_SHARED,
                              extent().file(), offset());
        if (mapped == MAP_FAILED ||
            ::madvise(mapped, extent().page_bytes(), MADV_POPULATE_WRITE) != 0)
            return nullptr;
        return static_cast<char*>(mapped);
    }

    static ssize_t text_to(const char* path, std::string_view text) {
        const Result<void> written = write_text(path, text);
        if (!written)
            errno = written.error().number;
        return written ? static_cast<ssize_t>(text.size()) : -1;
    }

    const Row& row_;
    std::optional<KernelLog> log_;
    std::unique_ptr<Extent> elsewhere_; // another file
    unsigned pool_ = anchor_pages;      // huge pages before each run
    std::size_t page_ = 0;
    std::uint64_t pfn_ = 0;
};

std::optional<std::string> missing_file(const char* path) {
    return ::access(path, F_OK) == 0
               ? std::nullopt
               : std::optional<std::string>(Error::last("no", path).to_string());
}
std::optional<std::string> missing_page_idle() { return missing_file(idle_bitmap); }
std::optional<std::string> missing_soft_offline() { return missing_file(soft_offline); }

// Before it remaps, hugetlb waits for whoever looks a page up under RCU: from 6.11 up to 7.0.
const Exclusion grace_period = {
    .places = {"synchronize_rcu_normal < __hugetlb_vmemmap_optimize_folio",
               "synchronize_rcu < __hugetlb_vmemmap_optimize_folio"},
    .releases = "6.12",
};
// Interrupts are off: the truncation's TLB flush waits for the CPU.
const Exclusion interrupts_off = {.places = {"call"}};

constexpr std::string_view no_grace_period = "no fix is known: docs/findings/hvo-stale-pointer.md";

// What the oops leaves in the log: a write (error code 3) to a page that is mapped read-only, in
// the function that takes the reference.
std::vector<KnownBug> oops_in(std::string_view functions) {
    KnownBug bug{.words = "block=optimized reader=oops",
                 .releases = "6.1",
                 .fix = fixed_fake_heads,
                 .machines = "x86_64",
                 .log_line = "BUG: unable to handle page fault for address"
                             "|#PF: error_code\\(0x0003\\)|Oops: (Oops: )?0003 ",
                 .log_trace = functions};
    std::vector<KnownBug> bugs = {bug};
    bug.releases = "7.2, 7.3";
    bug.fix = no_grace_period;
    bugs.push_back(bug);
    return bugs;
}
constexpr std::string_view rip_lookup =
    "RIP: 0010:(filemap_get_entry|__filemap_get_folio|mapping_get_entry)\\+";
constexpr std::string_view rip_compaction = "RIP: 0010:isolate_migratepages_block\\+";
constexpr std::string_view rip_hwpoison = "RIP: 0010:get_hwpoison_page\\+";

const std::vector<Row>& rows() {
    static const std::vector<Row> all = {
        {.name = "elsewhere",
         .about = "a lookup in another file: must hugetlb wait for any reader?",
         .schedule = in_lookup,
         .look_up = &HvoStale::read_elsewhere,
         .set_up = &HvoStale::make_other_file,
         .clean_up = &HvoStale::no_cleanup,
         .exclusion = grace_period},
        {.name = "pread",
         .about = "pread(2) of a tmpfs page, whose block becomes an optimized huge page",
         .schedule = in_lookup,
         .look_up = &HvoStale::read_page,
         .set_up = &HvoStale::no_setup,
         .clean_up = &HvoStale::no_cleanup,
         .exclusion = grace_period,
         .known = oops_in(rip_lookup)},
        // It oopses with its own mmap_lock held, and so cannot even exit.
        {.name = "fault",
         .about = "a page fault, for writing",
         .schedule = in_lookup,
         .look_up = &HvoStale::fault,
         .set_up = &HvoStale::no_setup,
         .clean_up = &HvoStale::no_cleanup,
         .exclusion = grace_period,
         .known = oops_in(rip_lookup),
         .by_name_only = true},
        {.name = "gup-fast",
         .about = "a futex in a page that is mapped: GUP-fast takes the reference",
         .schedule = in_gup_fast,
         .look_up = &HvoStale::wake_futex,
         .set_up = &HvoStale::no_setup,
         .clean_up = &HvoStale::no_cleanup,
         .exclusion = interrupts_off},
        {.name = "compaction",
         .about = "compaction, which goes by page frame numbers",
         .schedule = in_compaction,
         .look_up = &HvoStale::compact_memory,
         .set_up = &HvoStale::fill_last_zone,
         .clean_up = &HvoStale::no_cleanup,
         .exclusion = grace_period,
         .known = oops_in(rip_compaction)},
        // It oopses with the mutex of memory failures held.
        {.name = "soft-offline",
         .about = "soft offlining of the page, by its page frame number",
         .schedule = in_soft_offline,
         .look_up = &HvoStale::take_page_offline,
         .set_up = &HvoStale::no_setup,
         .clean_up = &HvoStale::unpoison,
         .exclusion = grace_period,
         .known = oops_in(rip_hwpoison),
         .needs = {{"soft offlining", missing_soft_offline}},
         .by_name_only = true},
        // A word of the bitmap is about a group of pages: the first of one is found.
        {.name = "page-idle",
         .about = "a read of the bitmap of idle pages, which goes by page frame numbers",
         .schedule = in_page_idle,
         .look_up = &HvoStale::read_idle_bits,
         .set_up = &HvoStale::no_setup,
         .clean_up = &HvoStale::no_cleanup,
         .apart = group_pages,
         .exclusion = grace_period,
         .needs = {{"page_idle", missing_page_idle}}},
    };
    return all;
}

std::vector<Variant> variants() {
    std::vector<Variant> all;
    for (const Row& row : rows())
        all.push_back({.name = row.name,
                       .about = row.about,
                       .schedule = row.schedule,
                       .expected = {{"block=optimized|free reader=unharmed"}},
                       .exclusion = row.exclusion,
                       .known = row.known,
                       // The order is forced; whether hugetlb gets the block is not.
                       .forced = false,
                       .chance = Chance{.overlaps = 2, .seconds = 40},
                       .runs_divisor = 10,
                       .needs = row.needs,
                       .by_name_only = row.by_name_only});
    return all;
}

} // namespace

const Scenario& hvo_stale() {
    static const Scenario scenario = {
        .name = "hvo-stale",
        .family = "hvo",
        .claim = "a lookup that holds an old folio pointer does no harm when hugetlb has the block",
        .source = "Matthew Wilcox, linux-mm, 8 February 2024",
        .races = "filemap_get_entry() against hugetlb_vmemmap_optimize_folios()",
        .bad = "reader=oops",
        .variants = variants(),
        .controls = {{.name = "no-grace-period",
                      .about = "hugetlb does not wait for a grace period (6.12)",
                      .variant = "pread",
                      .produces = "block=optimized reader=oops",
                      .actions = {{.kind = FL_CONTROL_SKIP,
                                   .actor = "taker",
                                   .function = "synchronize_rcu"}},
                      .complains = true},
                     {.name = "grace-period",
                      .about = "hugetlb waits for one before it remaps, as up to 7.0",
                      .variant = "pread",
                      .actions = {{.kind = FL_CONTROL_REPLACE,
                                   .actor = "taker",
                                   .function = "hugetlb_vmemmap_optimize_folios",
                                   .replacement = "hvo_after_grace_period"}},
                      .kind = Control::Kind::remedy}},
        .needs = hvo_needs(),
        .make = [](const Variant& variant) -> std::unique_ptr<Experiment> {
            return std::make_unique<HvoStale>(row_of(rows(), variant));
        },
    };
    return scenario;
}

} // namespace faultline
