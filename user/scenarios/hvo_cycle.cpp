// SPDX-License-Identifier: GPL-2.0
// hvo-cycle: optimizing and restoring, again and again and at once, leaves everything as it was.
//
// Claim (mm/hugetlb_vmemmap.c, "vmemmap_remap_alloc()" and "vmemmap_remap_free()"): what an
// optimization gives back a restoration takes again, whoever else allocates, frees, compacts or
// looks pages up meanwhile. At the end the counters are what they were.
//
// Who: the taker grows and empties hugetlb's pool; against it who maps huge pages beyond the pool
// (they are optimized when they are allocated, and restored when they are unmapped); a looker-up of
// page cache pages and a compactor.
//     hugetlb_vmemmap_optimize_folios(), hugetlb_vmemmap_restore_folios()  against each other,
//     filemap_get_entry(), compact_zone()
//
// A bad outcome: nr_memmap_pages that is not what it was, a huge page that is left, a complaint in
// the kernel's log.
#include "scenarios/hvo_experiment.hpp"
#include "scenarios/list.hpp"

#include "kernel/extent.hpp"
#include "kernel/kernel_log.hpp"

#include <array>
#include <atomic>
#include <cerrno>
#include <fmt/format.h>
#include <optional>
#include <sstream>
#include <sys/mman.h>
#include <unistd.h>

namespace faultline {

namespace {

constexpr unsigned cycles = 10; // of a run
constexpr unsigned pool_pages = 32;
constexpr unsigned settle_ms = 1000;
constexpr unsigned settle_step_ms = 10;
constexpr unsigned mapped_pages = 4;
constexpr std::size_t huge_bytes = std::size_t{2} << 20;
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

std::optional<std::int64_t> huge_pages() {
    return sum_of("/proc/meminfo", {"HugePages_Total:", "HugePages_Surp:"});
}

class HvoCycle final : public HvoExperiment {
  public:
    Result<void> prepare() override {
        Result<std::unique_ptr<Extent>> extent = Extent::make();
        if (!extent)
            return extent.error();
        extent_ = std::move(*extent);
        Result<KernelLog> log = KernelLog::open();
        if (!log)
            return log.error();
        log_ = std::move(*log);
        if (Result<void> prepared = HvoExperiment::prepare(); !prepared)
            return prepared;
        return set(overcommit, std::to_string(2 * mapped_pages));
    }

    std::vector<Actor> actors() override {
        return {{.name = "taker",
                 .kind = Actor::Kind::thread,
                 .cpu = 0,
                 .body =
                     [this](ActorContext& me) {
                         const Result<void> done = take(me);
                         over_ = true;
                         if (!done)
                             me.fail(done.error());
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
        if (Result<void> fresh = extent_->fresh(); !fresh)
            return fresh;
        memmap_before_ = memmap_pages();
        return {};
    }

    Outcome judge(Run& /*run*/) override {
        Outcome outcome;
        settle();
        // Between the two halves of a shrinking, others can free a page into the pool that is then
        // counted as surplus: a free page that stays until the pool grows. Not what is asked here.
        const bool stuck = huge_pages() != anchor_pages;
        if (stuck && pool(pool_pages) && pool(anchor_pages))
            settle();
        const Result<std::string> complaint = log_->complaint();
        const std::optional<std::int64_t> left = huge_pages();
        const std::optional<std::int64_t> memmap = memmap_pages();
        if (!complaint)
            return outcome.forbid(complaint.error().to_string());
        const bool same = memmap == memmap_before_;
        outcome.add("memmap", !memmap ? "not-counted" : same ? "as-before" : "changed");
        outcome.add("huge-pages", left == anchor_pages ? "none" : "left");
        outcome.add("surplus", stuck ? "stuck" : "none");
        outcome.add("log", complaint->empty() ? "clean" : "complaint");
        outcome.require(same, fmt::format("nr_memmap_pages is {}, it was {}", memmap.value_or(0),
                                          memmap_before_.value_or(0)));
        outcome.require(left == anchor_pages, "a huge page is left");
        outcome.require(complaint->empty(), "the kernel complained: " + *complaint);
        return outcome;
    }

    std::optional<bool> overlapped(const Run& run) override {
        return run.slot("taker", 0) == cycles && run.slot("other", 0) > 0 &&
               run.slot("looker", 0) > 0 && run.slot("compactor", 0) > 0;
    }

  private:
    // What could not be restored where it was freed is restored by a kernel thread.
    void settle() const {
        for (unsigned waited = 0; waited < settle_ms; waited += settle_step_ms) {
            if (huge_pages() == anchor_pages && memmap_pages() == memmap_before_)
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
        void* memory = ::mmap(nullptr, mapped_pages * huge_bytes, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
        if (memory == MAP_FAILED)
            return errno == ENOMEM ? Result<void>() : Error::last("mmap(MAP_HUGETLB)");
        for (unsigned i = 0; i < mapped_pages; ++i)
            static_cast<volatile char*>(memory)[i * huge_bytes] = 1;
        ::munmap(memory, mapped_pages * huge_bytes);
        return {};
    }

    // A page that comes, is looked up, and goes.
    Result<void> look_up() {
        for (std::size_t page = 0; page < extent_->pages(); page += 16) {
            if (Result<void> written = extent_->write_word(page, page + 1); !written)
                return written;
            if (const Result<std::uint64_t> word = extent_->read_word(page); !word)
                return word.error();
        }
        const auto bytes = static_cast<off_t>(extent_->bytes());
        return ::ftruncate(extent_->file(), 0) == 0 && ::ftruncate(extent_->file(), bytes) == 0
                   ? Result<void>()
                   : Error::last("ftruncate");
    }

    std::unique_ptr<Extent> extent_;
    std::optional<KernelLog> log_;
    std::optional<std::int64_t> memmap_before_;
    std::atomic<bool> over_ = false;
};

} // namespace

const Scenario& hvo_cycle() {
    static const Scenario scenario = {
        .name = "hvo-cycle",
        .family = "hvo",
        .claim = "optimizing and restoring vmemmap, at once and under load, leaves all as it was",
        .source = "mm/hugetlb_vmemmap.c",
        .races = "hugetlb_vmemmap_optimize_folios() and hugetlb_vmemmap_restore_folios() against "
                 "each other, filemap_get_entry() and compact_zone()",
        .bad = "memmap=changed, huge-pages=left, log=complaint",
        .variants = {{.name = "pool",
                      .about = "the pool grows and empties, others map and unmap huge pages",
                      .forced = false,
                      .runs_divisor = 50}},
        .controls = {{.name = "miscounted",
                      .about = "pages that are given back are not counted",
                      .variant = "pool",
                      .actions = {{.kind = FL_CONTROL_SKIP,
                                   .actor = "taker",
                                   .function = "memmap_pages_add",
                                   .caller = "free_vmemmap_page_list"}}}},
        .needs = hvo_needs(),
        .make = [](const Variant& /*variant*/) -> std::unique_ptr<Experiment> {
            return std::make_unique<HvoCycle>();
        },
    };
    return scenario;
}

} // namespace faultline
