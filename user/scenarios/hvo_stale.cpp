// SPDX-License-Identifier: GPL-2.0
// hvo-stale: a page cache lookup takes a reference on a page whose struct page has gone read-only.
//
// Claim (Matthew Wilcox, linux-mm, 8 February 2024): "CPU A _no longer has a pointer to it_. CPU A
// has a pointer into vmemmap. So it will access the replacement struct page (which definitely has a
// refcount 0) instead of the one which has been freed." So a lookup that was preempted between
// xas_load() and folio_try_get() fails or succeeds, and does no harm, whatever became of the page.
//
// Who: the reader, whose pread(2) of a tmpfs file is held in front of the very instruction that
// takes the reference: the count has been read, it was not 0. The taker truncates the file, and has
// hugetlb take the block that the page was in and optimize its vmemmap.
//     filemap_get_entry() -> folio_try_get()  against  hugetlb_vmemmap_optimize_folios()
//
// A bad outcome: reader=oops. The replacement is mapped read-only, and a compare-and-exchange
// writes even where it changes nothing. 6.12 excludes it: hugetlb waits for a grace period before
// it remaps. The grace period went in 7.1. The reader sleeps here where a real one would be
// preempted.
#include "scenarios/hvo_experiment.hpp"
#include "scenarios/list.hpp"

#include "kernel/extent.hpp"
#include "kernel/kernel_log.hpp"
#include "kernel/series.hpp"

#include <array>
#include <cerrno>
#include <chrono>
#include <optional>
#include <sys/mman.h>
#include <unistd.h>

namespace faultline {

namespace {

constexpr std::string_view in_lookup =
    "reader@at:filemap_get_entry/lock-cmpxchg -> taker@user:take; "
    "taker@user:taken -> reader@at:filemap_get_entry/lock-cmpxchg";
constexpr std::string_view in_page_idle =
    "reader@at:page_idle_get_folio/lock-cmpxchg -> taker@user:take; "
    "taker@user:taken -> reader@at:page_idle_get_folio/lock-cmpxchg";

constexpr const char* idle_bitmap = "/sys/kernel/mm/page_idle/bitmap";
constexpr std::size_t kept_pages = 64; // of a block: their struct pages stay where they are
constexpr std::size_t block_pages = 512;

constexpr unsigned slot_result = 0;    // of the reader: bytes read, or -errno
constexpr unsigned slot_optimized = 0; // of the taker: huge pages that it took; -1: never
constexpr unsigned most_pages = 640;
constexpr unsigned at_once = 32;

class HvoStale final : public HvoExperiment {
  public:
    explicit HvoStale(std::string_view variant) : variant_(variant) {}

    Result<void> prepare() override {
        Result<std::unique_ptr<Extent>> extent = Extent::make();
        if (!extent)
            return extent.error();
        extent_ = std::move(*extent);
        if (variant_ == "elsewhere") {
            Result<std::unique_ptr<Extent>> other = Extent::make();
            if (!other)
                return other.error();
            elsewhere_ = std::move(*other);
            if (Result<void> fresh = elsewhere_->fresh(); !fresh)
                return fresh;
            if (Result<void> written = elsewhere_->write_word(0, 1); !written)
                return written;
        }
        Result<KernelLog> log = KernelLog::open();
        if (!log)
            return log.error();
        log_ = std::move(*log);
        // The oops is to be an outcome, not the end of the machine.
        if (Result<void> going_on = set("/proc/sys/kernel/panic_on_oops", "0"); !going_on)
            return going_on;
        return HvoExperiment::prepare();
    }

    std::vector<Actor> actors() override {
        return {{.name = "reader",
                 .kind = Actor::Kind::process,
                 .cpu = 0,
                 .body =
                     [this](ActorContext& me) {
                         const ssize_t got = look_up();
                         me.report(slot_result, got < 0 ? -errno : got);
                     },
                 .may_die = true},
                {.name = "taker",
                 .kind = Actor::Kind::thread,
                 .cpu = 1,
                 .body = [this](ActorContext& me) {
                     if (!me.at("take"))
                         return;
                     const Result<std::int64_t> taken = take(me);
                     if (!taken)
                         return me.fail(taken.error());
                     me.report(slot_optimized, *taken);
                     (void)me.at("taken").ok();
                 }}};
    }

    // A page of the smallest size, somewhere in a block that was one huge page of this file.
    Result<void> begin(Run& run) override {
        if (Result<void> emptied = pool(anchor_pages); !emptied)
            return emptied;
        if (Result<void> fresh = extent_->fresh(); !fresh)
            return fresh;
        if (Result<void> filled = extent_->fill({}); !filled)
            return filled;
        if (const int number = extent_->collapse(); number != 0)
            return Error::make(number, "MADV_COLLAPSE");
        extent_->populate(extent_->address());
        if (Result<void> split = split_huge_page(extent_->address(), extent_->bytes()); !split)
            return split;
        page_ = kept_pages + run.rng().below(block_pages - kept_pages);
        if (variant_ == "page-idle")
            page_ -= page_ % 64; // the first that a word of the bitmap is about
        if (Result<void> found = block().find(extent_->address(page_)); !found)
            return found;
        const Result<HvoLayout> layout = block().layout();
        if (!layout)
            return layout.error();
        if (layout->head || layout->index != page_)
            return Error::make(EPROTO, "the huge page was not split in place");
        // No mapping: the page cache alone has it.
        if (::munmap(extent_->address(), extent_->bytes()) != 0 ||
            ::munmap(extent_->other(), extent_->bytes()) != 0)
            return Error::last("munmap");
        pfn_ = layout->pfn + page_;
        return {};
    }

    Outcome judge(Run& run) override {
        Outcome outcome;
        const Result<std::string> complaint = log_->complaint();
        if (!complaint)
            return outcome.forbid(complaint.error().to_string());
        const std::int64_t result = run.slot("reader", slot_result);
        const std::int64_t optimized = run.slot("taker", slot_optimized);
        outcome.add("block", optimized > 0 ? "optimized" : "free");
        outcome.add("reader", result == unreported ? "oops" : "unharmed");
        outcome.require(result != unreported,
                        complaint->empty() ? "the reader was killed" : "the kernel: " + *complaint);
        outcome.require(complaint->empty(), "the kernel complained: " + *complaint);
        return outcome;
    }

    // Held, and yet the block did not become an optimized huge page: nothing was tried.
    std::optional<bool> overlapped(const Run& run) override {
        return run.slot("taker", slot_optimized) > 0;
    }

  private:
    // What takes a reference to the page, and may find that it is gone. -1 and errno is no failure.
    [[nodiscard]] ssize_t look_up() const {
        const auto at = static_cast<off_t>(page_ * extent_->page_bytes());
        std::uint64_t word = 0;
        if (variant_ == "fault") {
            // For writing: faults for reading look at neighbours first, elsewhere.
            char* mapped =
                static_cast<char*>(::mmap(nullptr, extent_->page_bytes(), PROT_READ | PROT_WRITE,
                                          MAP_SHARED, extent_->file(), at));
            return mapped == MAP_FAILED
                       ? -1
                       : ::madvise(mapped, extent_->page_bytes(), MADV_POPULATE_WRITE);
        }
        if (variant_ == "page-idle") {
            const Result<Fd> bitmap = Fd::open(idle_bitmap, O_RDONLY);
            return bitmap ? ::pread(bitmap->get(), &word, sizeof(word),
                                    static_cast<off_t>(pfn_ / 64 * sizeof(word)))
                          : -1;
        }
        if (variant_ == "elsewhere")
            return ::pread(elsewhere_->file(), &word, sizeof(word), 0);
        return ::pread(extent_->file(), &word, sizeof(word), at);
    }

    // Truncates, and adds to hugetlb's pool until it has the block. How many it took, -1: all in
    // vain.
    Result<std::int64_t> take(ActorContext& me) {
        if (::ftruncate(extent_->file(), 0) != 0)
            return Error::last("ftruncate");
        if (Result<void> drained = block().order("drain"); !drained)
            return drained.error();
        for (unsigned pages = at_once; pages <= most_pages && !me.stopping(); pages += at_once) {
            if (Result<void> grown = pool(pages); !grown)
                return grown.error();
            const Result<HvoLayout> layout = block().layout();
            if (!layout)
                return layout.error();
            if (layout->optimized())
                return pages;
        }
        return -1;
    }

    std::string_view variant_;
    std::unique_ptr<Extent> extent_;
    std::optional<KernelLog> log_;
    std::unique_ptr<Extent> elsewhere_; // another file
    std::size_t page_ = 0;
    std::uint64_t pfn_ = 0;
};

std::optional<std::string> missing_page_idle() {
    return ::access(idle_bitmap, R_OK) == 0
               ? std::nullopt
               : std::optional<std::string>(Error::last("no", idle_bitmap).to_string());
}

// In 6.12 the order cannot be had: hugetlb waits for the reader.
std::vector<Variant> variants() {
    std::vector<Variant> all = {
        {.name = "elsewhere",
         .about = "a lookup in another file: must hugetlb wait for any reader?",
         .schedule = in_lookup},
        {.name = "pread",
         .about = "pread(2) of a tmpfs page, whose block becomes an optimized huge page",
         .schedule = in_lookup},
        // It oopses with its own mmap_lock held, and so cannot even exit.
        {.name = "fault",
         .about = "a page fault, for writing",
         .schedule = in_lookup,
         .by_name_only = true},
        {.name = "page-idle",
         .about = "a read of the bitmap of idle pages, which goes by page frame numbers",
         .schedule = in_page_idle,
         .needs = {{"page_idle", missing_page_idle}}},
    };
    for (Variant& variant : all) {
        variant.runs_divisor = 10;
        variant.expects_excluded = in_series(running_release(), "6.12");
    }
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
                      .remedy = true}},
        .needs = {{"vm.hugetlb_optimize_vmemmap", missing_hvo},
                  {"transparent huge pages", missing_huge_pages}},
        .make = [](const Variant& variant) -> std::unique_ptr<Experiment> {
            return std::make_unique<HvoStale>(variant.name);
        },
    };
    return scenario;
}

} // namespace faultline
