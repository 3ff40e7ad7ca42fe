// SPDX-License-Identifier: GPL-2.0
// pgtable-storm: whoever else changes page tables while one of them is retracted.
//
// Claim (comments of retract_page_tables(); Jann Horn, "mm/mremap: fix move_normal_pmd() /
// retract_page_tables() race", CVE-2024-50066, v6.12): mremap, munmap, MADV_DONTNEED and page
// faults do not meet a page table that is being retracted. They wait for i_mmap_rwsem or for the
// folio's lock, or they take the page table's lock and look again. No entry is written to a table
// that is gone, no byte is lost, no table is freed twice.
//
// Who: the collapser, in front of retract_page_tables() or in it, when the table is found and not
// locked; the owner, a process of its own that maps the file, and moves, unmaps, zaps, walks, or
// touches.
//     retract_page_tables()  against  move_page_tables(), free_pgtables(), zap_page_range_single(),
//                                     mincore_pte_range(), finish_fault()
//
// A storm: the owner has many mappings of the extent, each with a page table, and the two are let
// go together in front of retract_page_tables(). A run overlapped if an act of the owner began
// while retract_page_tables() ran, by the clock, and the owner was not switched out during that
// act: it did not sleep on a lock. No act of a storm touches the extent's pages: it would sleep on
// their locks until the retraction is over.
//
// A bad outcome: a byte that is not what was written, a page that is seen as missing, or a
// complaint in the kernel's log, also when the owner exits.
#include "scenarios/collapse_experiment.hpp"
#include "scenarios/list.hpp"
#include "scenarios/pgtable_experiment.hpp"

#include "kernel/kernel_log.hpp"
#include "kernel/page_pattern.hpp"
#include "kernel/shared_memory.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <optional>
#include <span>
#include <sys/mman.h>
#include <sys/resource.h>

namespace faultline {

namespace {

constexpr unsigned slot_wrong = 0; // of the owner: pages that were not what was written
constexpr unsigned slot_acts = 1;  // of a storm

constexpr std::size_t storm_views = 32;
constexpr std::size_t most_acts = 1024; // of a storm: it ends, however long the collapse takes
constexpr unsigned most_collapses = 8;  // of a storm, while they end before any page table
constexpr std::string_view retraction_begins = "collapser@enter:collapse_file/retract";
constexpr std::string_view retraction_ends = "collapser@return:collapse_file/retract";

// Where the owner acts.
struct Window {
    std::string_view schedule;
    bool listens = false; // it is a call of the MMU notifiers that the owner's mm has
    bool storms = false;  // many mappings, acted on again and again
    bool whole = false;   // it is where whole page tables are moved
};

constexpr Window before = {.schedule = "owner@user:ready -> collapser@user:start; "
                                       "collapser@enter:collapse_file/retract -> owner@user:act; "
                                       "owner@user:acted -> collapser@enter:collapse_file/retract"};
constexpr Window within = {.schedule =
                               "owner@user:ready -> collapser@user:start; "
                               "collapser@enter:retract_page_tables/notify -> owner@user:act; "
                               "owner@user:acted -> collapser@enter:retract_page_tables/notify",
                           .listens = true};
// Held in the act, until the collapse is over: with both mappings in place and nothing moved yet;
constexpr Window moving = {.schedule = "owner@enter:move_page_tables -> collapser@user:start; "
                                       "collapser@user:collapsed -> owner@enter:move_page_tables"};
// when the entry was seen that is to be moved (the window of CVE-2024-50066);
constexpr Window found = {.schedule =
                              "owner@enter:move_page_tables/lock -> collapser@user:start; "
                              "collapser@user:collapsed -> owner@enter:move_page_tables/lock",
                          .whole = true};
// with no entry left, and the table in place.
constexpr Window zapped = {.schedule = "owner@enter:free_pgtables -> collapser@user:start; "
                                       "collapser@user:collapsed -> owner@enter:free_pgtables"};
constexpr Window storm = {.schedule = "owner@user:ready -> collapser@user:start; "
                                      "collapser@enter:collapse_file/retract -> owner@user:act; "
                                      "owner@user:acting -> collapser@enter:collapse_file/retract; "
                                      "collapser@return:collapse_file/retract -> owner@user:over",
                          .storms = true};

// A mapping of the extent, and a place as large where nothing is that must be kept.
struct View {
    char* at;
    char* spare;
    bool mapped = true;
};

// Every byte is looked at.
std::int64_t wrong_page(const char* at, std::size_t page, const Extent& extent) {
    const std::span content(reinterpret_cast<const std::uint64_t*>(at + page * extent.page_bytes()),
                            extent.page_bytes() / sizeof(std::uint64_t));
    return compare_pattern(content, extent.word(page)).found ? 1 : 0;
}

// --- the acts: each tells how many pages it saw as what they are not ---

using Act = Result<std::int64_t> (*)(View& view, const Extent& extent);

Result<std::int64_t> move(View& view, const Extent& extent) {
    if (::mremap(view.at, extent.bytes(), extent.bytes(), MREMAP_MAYMOVE | MREMAP_FIXED,
                 view.spare) == MAP_FAILED)
        return Error::last("mremap");
    std::swap(view.at, view.spare);
    return 0;
}

// The old mapping stays, without its page table.
Result<std::int64_t> move_and_keep(View& view, const Extent& extent) {
    if (::mremap(view.at, extent.bytes(), extent.bytes(),
                 MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, view.spare) == MAP_FAILED)
        return Error::last("mremap (MREMAP_DONTUNMAP)");
    std::swap(view.at, view.spare);
    return 0;
}

Result<std::int64_t> unmap(View& view, const Extent& extent) {
    if (::munmap(view.at, extent.bytes()) != 0)
        return Error::last("munmap");
    view.mapped = false;
    return 0;
}

Result<std::int64_t> zap(View& view, const Extent& extent) {
    if (::madvise(view.at, extent.bytes(), MADV_DONTNEED) != 0)
        return Error::last("madvise(MADV_DONTNEED)");
    return 0;
}

// A kernel may free a table of which all is zapped at once: a storm would find none.
Result<std::int64_t> zap_but_one(View& view, const Extent& extent) {
    if (::madvise(view.at, extent.bytes() - extent.page_bytes(), MADV_DONTNEED) != 0)
        return Error::last("madvise(MADV_DONTNEED)");
    return 0;
}

// Takes the page table's lock, and no page's: all pages of the file are there all the time.
Result<std::int64_t> walk(View& view, const Extent& extent) {
    std::array<unsigned char, 512> resident{};
    std::int64_t missing = 0;
    for (std::size_t page = 0; page < extent.pages(); page += resident.size()) {
        const std::size_t some = std::min(resident.size(), extent.pages() - page);
        if (::mincore(view.at + page * extent.page_bytes(), some * extent.page_bytes(),
                      resident.data()) != 0)
            return Error::last("mincore");
        missing += std::count_if(resident.begin(), resident.begin() + static_cast<long>(some),
                                 [](unsigned char one) { return (one & 1) == 0; });
    }
    return missing;
}

// For reading and, the same word again, for writing.
Result<std::int64_t> touch(View& view, const Extent& extent) {
    const std::int64_t wrong = wrong_page(view.at, 0, extent);
    *reinterpret_cast<volatile std::uint64_t*>(view.at) = extent.word(0);
    return wrong;
}

struct Row {
    std::string_view name;
    std::string_view about;
    Window window;
    Act act;
    std::string_view excluded_at = {}; // in the owner's stack; "" = nothing excludes it
};

constexpr std::array rows = {
    Row{"mremap-before", "the mapping moves in front of retract_page_tables()", before, move},
    Row{"munmap-before", "it is unmapped there", before, unmap},
    Row{"dontneed-before", "its entries are zapped there", before, zap},
    Row{"mremap-moving", "the table is retracted while move_page_tables() begins", moving, move},
    Row{"mremap-found", "the same when the move has found the table and has no lock", found, move},
    Row{"munmap-zapped", "it is retracted when an munmap has zapped it and goes to free it", zapped,
        unmap},
    Row{"mremap-within", "a move waits for i_mmap_rwsem when the table was found", within, move,
        "down_write < copy_vma"},
    Row{"mremap-kept-within", "so does one that keeps the old mapping", within, move_and_keep,
        "down_write < copy_vma"},
    Row{"munmap-within", "so does an munmap", within, unmap, "down_write < free_pgtables"},
    Row{"fault-within", "a fault waits for the folio's lock when the table was found", within,
        touch, "folio_wait_bit_common < shmem_fault"},
    Row{"dontneed-within", "entries are zapped in the table that was found", within, zap},
    Row{"walk-within", "mincore() walks the table that was found", within, walk},
    Row{"dontneed-storm", "entries of 32 mappings are zapped while their tables are retracted",
        storm, zap_but_one},
    Row{"walk-storm", "mincore() walks 32 mappings meanwhile", storm, walk},
};

std::uint64_t now_ns() { // as the module's times: CLOCK_MONOTONIC
    return static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch() /
                                      std::chrono::nanoseconds(1));
}

// How often this thread was switched out, to sleep or for another.
long switched_out() {
    rusage usage{};
    (void)::getrusage(RUSAGE_THREAD, &usage);
    return usage.ru_nvcsw + usage.ru_nivcsw;
}

class PgtableStorm final : public CollapseExperiment {
  public:
    explicit PgtableStorm(const Row& row) : row_(row) {}

    Result<void> prepare() override {
        Result<KernelLog> log = KernelLog::open();
        if (!log)
            return log.error();
        log_ = std::move(*log);
        Result<SharedMemory<Shared>> shared = SharedMemory<Shared>::make();
        if (!shared)
            return shared.error();
        shared_ = std::move(*shared);
        return CollapseExperiment::prepare();
    }

    std::vector<Actor> actors() override {
        Actor collapsing = collapser(extent().address());
        if (row_.window.storms)
            collapsing.body = [this](ActorContext& me) {
                int number = EAGAIN;
                if (me.at("start"))
                    for (unsigned i = 0; i < most_collapses && number == EAGAIN; ++i)
                        number = extent().collapse();
                report_collapse(me, number);
                shared_->over = true;
            };
        return {std::move(collapsing),
                {.name = "owner",
                 .kind = Actor::Kind::process,
                 .cpu = 1,
                 .body = [this](ActorContext& me) {
                     if (const Result<void> owned = own(me); !owned)
                         me.fail(owned.error());
                 }}};
    }

    Result<void> begin(Run& run) override {
        shared_->over = false;
        shared_->awake = 0;
        if (Result<void> laid = lay_out(std::vector<bool>(extent().pages(), false)); !laid)
            return laid;
        touch_ = draw_page(run.rng());
        return {};
    }

    Outcome judge(Run& run) override {
        Outcome outcome;
        const Result<std::string> complaint = log_->complaint();
        const Result<std::size_t> wrong = wrong_words(std::nullopt, 0);
        if (!complaint || !wrong)
            return outcome.forbid((complaint ? wrong.error() : complaint.error()).to_string());
        const std::int64_t seen = run.slot("owner", slot_wrong);
        outcome.add("collapse", collapse_word(run));
        outcome.add("seen", seen == unreported ? "-" : seen == 0 ? "right" : "wrong");
        outcome.add("file", *wrong == 0 ? "intact" : "changed");
        outcome.add("exit", complaint->empty() ? "clean" : "complaint");
        if (!row_.excluded_at.empty())
            outcome.add("order", run.order());
        outcome.require(seen != unreported, "the owner did not come to its end");
        outcome.require(seen <= 0, "the owner saw a page that is not what was written");
        outcome.require(*wrong == 0, "a page of the file is not what was written");
        outcome.require(complaint->empty(), "the kernel complained: " + *complaint);
        outcome.require(collapse_errno(run).has_value(), "the collapse did not end");
        acts_met_ += met(run);
        acts_ += std::max<std::int64_t>(0, run.slot("owner", slot_acts));
        return outcome;
    }

    std::optional<bool> overlapped(const Run& run) override {
        if (!row_.window.storms)
            return std::nullopt;
        return met(run) > 0;
    }

    [[nodiscard]] std::vector<Measure> measured(double /*seconds*/) const override {
        if (!row_.window.storms)
            return {};
        return {{static_cast<double>(acts_met_), "acts awake during a retraction",
                 "of " + std::to_string(acts_)}};
    }

    [[nodiscard]] std::uint64_t corrupt_base() const override {
        return reinterpret_cast<std::uintptr_t>(extent().address());
    }

  private:
    struct Stamp {
        std::uint64_t began;
        std::uint64_t ended;
    };
    struct Shared {
        std::atomic<bool> over{false}; // the collapse
        std::atomic<std::size_t> awake{0};
        std::array<Stamp, most_acts> acts{}; // the first of them were awake acts of this run
    };

    // How many acts began while retract_page_tables() ran, and did not sleep.
    [[nodiscard]] std::int64_t met(const Run& run) const {
        const fl_site_result* const begins = run.site(retraction_begins);
        const fl_site_result* const ends = run.site(retraction_ends);
        if (begins == nullptr || ends == nullptr || begins->left_ns == 0 || ends->reached_ns == 0)
            return 0;
        const std::span acts(shared_->acts.data(), shared_->awake);
        return std::count_if(acts.begin(), acts.end(), [&](const Stamp& act) {
            return act.began > begins->left_ns && act.began < ends->reached_ns;
        });
    }

    // How many pages of the mapping at `at` are not what was written, every byte looked at.
    [[nodiscard]] std::int64_t look(const char* at) const {
        std::int64_t wrong = 0;
        for (std::size_t page = 0; page < extent().pages(); ++page)
            wrong += wrong_page(at, page, extent());
        return wrong;
    }

    Result<void> map(const View& view) const {
        if (::mmap(view.at, extent().bytes(), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
                   extent().file(), 0) == MAP_FAILED)
            return Error::last("mmap (a view)");
        return {};
    }

    // The owner's only mappings of the file, each with its spare.
    [[nodiscard]] Result<std::vector<View>> make_views() const {
        for (char* inherited : {extent().address(), extent().other()})
            if (::munmap(inherited, extent().bytes()) != 0)
                return Error::last("munmap (inherited)");
        const std::size_t number = row_.window.storms ? storm_views : 1;
        const std::size_t bytes = extent().bytes();
        void* const reserved = ::mmap(nullptr, (2 * number + 1) * bytes, PROT_NONE,
                                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (reserved == MAP_FAILED)
            return Error::last("mmap (reserve)");
        const std::size_t misplaced = reinterpret_cast<std::uintptr_t>(reserved) % bytes;
        char* const base = static_cast<char*>(reserved) + (misplaced != 0 ? bytes - misplaced : 0);
        std::vector<View> views;
        for (std::size_t i = 0; i < number; ++i) {
            views.push_back({.at = base + 2 * i * bytes, .spare = base + (2 * i + 1) * bytes});
            if (Result<void> mapped = map(views.back()); !mapped)
                return mapped.error();
        }
        return views;
    }

    Result<void> own(ActorContext& me) {
        Result<std::vector<View>> views = make_views();
        if (!views)
            return views.error();
        std::int64_t wrong = look(views->front().at);
        if (row_.window.storms)
            if (Result<void> rehearsed = rehearse(views->front()); !rehearsed)
                return rehearsed;
        for (const View& view : *views) // or it has no page table
            extent().populate(view.at + me.rng().below(extent().pages()) * extent().page_bytes());
        std::optional<MmuListener> listener;
        if (row_.window.listens) {
            Result<MmuListener> opened = MmuListener::open();
            if (!opened)
                return opened.error();
            listener = std::move(*opened);
            if (Result<void> listens = listener->listen(views->front().at, extent().bytes());
                !listens)
                return listens;
        }
        if (!me.at("ready") || !me.at("act"))
            return {};
        const Result<std::int64_t> saw =
            row_.window.storms ? act_in_storm(me, *views) : row_.act(views->front(), extent());
        if (!saw)
            return saw.error();
        if (!me.at(row_.window.storms ? "over" : "acted"))
            return {};
        wrong += *saw;
        for (View& view : *views) {
            if (!view.mapped)
                if (Result<void> mapped = map(view); !mapped)
                    return mapped;
            wrong += wrong_page(view.at, me.rng().below(extent().pages()), extent());
        }
        me.report(slot_wrong, wrong + look(views->front().at));
        return {};
    }

    // The first act of a process is slow: what it needs is not mapped yet. The retraction would be
    // over by then.
    Result<void> rehearse(View& view) const {
        shared_->acts.fill({});
        (void)switched_out();
        for (unsigned i = 0; i < 2; ++i) {
            if (const Result<std::int64_t> saw = row_.act(view, extent()); !saw)
                return saw.error();
            if (!view.mapped)
                if (Result<void> mapped = map(view); !mapped)
                    return mapped;
            view.mapped = true;
        }
        return {};
    }

    Result<std::int64_t> act_in_storm(ActorContext& me, std::vector<View>& views) {
        std::int64_t wrong = 0;
        const std::size_t first = me.rng().below(views.size());
        if (!me.at("acting"))
            return wrong;
        std::size_t acts = 0;
        for (; acts < most_acts && !shared_->over && !me.stopping(); ++acts) {
            View& view = views[(first + acts) % views.size()];
            if (!view.mapped)
                break;
            const long switches = switched_out();
            const std::uint64_t began = now_ns();
            const Result<std::int64_t> saw = row_.act(view, extent());
            const std::uint64_t ended = now_ns();
            if (!saw)
                return saw;
            wrong += *saw;
            if (switched_out() == switches)
                shared_->acts.at(shared_->awake++) = {began, ended};
        }
        me.report(slot_acts, static_cast<std::int64_t>(acts));
        return wrong;
    }

    const Row& row_;
    std::optional<KernelLog> log_;
    SharedMemory<Shared> shared_;
    std::int64_t acts_ = 0;
    std::int64_t acts_met_ = 0;
};

Need moved_whole() {
    return {"moves of whole page tables", []() -> std::optional<std::string> {
#ifdef __s390x__
                return "s390x has no CONFIG_HAVE_MOVE_PMD";
#else
                return std::nullopt;
#endif
            }};
}

// Then a move takes away the table that was found. A kernel that did not look again at the PMD
// would go on to free what is not there: so nothing is freed, and only that the two have met is
// shown.
Control without_i_mmap_lock() {
    const auto lock = [](std::string_view function, std::string_view caller, bool optional) {
        return ControlAction{.kind = FL_CONTROL_SKIP,
                             .actor = "collapser",
                             .function = function,
                             .caller = caller,
                             .optional = optional};
    };
    return {.name = "no-i-mmap-lock",
            .about = "retract_page_tables() does not take i_mmap_rwsem, and frees no table",
            .variant = "mremap-kept-within",
            .produces = "order=had",
            .actions = {lock("down_read", "retract_page_tables", false),
                        // By a tail call, or not.
                        lock("up_read", "retract_page_tables", true),
                        lock("up_read", "collapse_file", true),
                        {.kind = FL_CONTROL_REPLACE,
                         .actor = "collapser",
                         .function = "pte_free_defer",
                         .replacement = "pte_free_never"}}};
}

std::vector<Variant> variants() {
    std::vector<Variant> all;
    all.reserve(rows.size());
    for (const Row& row : rows) {
        const bool excluded = !row.excluded_at.empty();
        const bool storms = row.window.storms;
        Variant variant = {.name = row.name,
                           .about = row.about,
                           .schedule = row.window.schedule,
                           .expected = {{"seen=right file=intact exit=clean"}},
                           .forced = !storms,
                           .runs_divisor = excluded ? 10U : 4U};
        if (excluded)
            variant.exclusion = {.places = {row.excluded_at}};
        if (row.window.listens)
            variant.needs = {{"pgtable/notifier", missing_mmu_notifier}};
        if (row.window.whole)
            variant.needs = {moved_whole()};
        if (storms)
            variant.chance = Chance{.overlaps = 10, .seconds = 60};
        all.push_back(std::move(variant));
    }
    return all;
}

} // namespace

const Scenario& pgtable_storm() {
    static const Scenario scenario = {
        .name = "pgtable-storm",
        .family = "pte-free-defer",
        .claim = "mremap, munmap, MADV_DONTNEED and faults do not meet a table being retracted",
        .source = "Hugh Dickins, May 2023; Jann Horn, October 2024 (CVE-2024-50066)",
        .races = "retract_page_tables() against move_page_tables(), free_pgtables(), "
                 "zap_page_range_single(), mincore_pte_range() and finish_fault()",
        .bad = "seen=wrong, file=changed, exit=complaint",
        .variants = variants(),
        .controls = {without_i_mmap_lock(),
                     {.name = "corrupted-byte",
                      .about = "a byte of the first page is flipped when collapse_file() returns",
                      .variant = "dontneed-before",
                      .produces = "file=changed",
                      .actions = {{.kind = FL_CONTROL_CORRUPT,
                                   .actor = "collapser",
                                   .function = "collapse_file",
                                   .value_is_address = true}},
                      .kind = Control::Kind::comparison}},
        .needs = {freed_by_rcu(), huge_pages()},
        .make = [](const Variant& variant) -> std::unique_ptr<Experiment> {
            return std::make_unique<PgtableStorm>(row_of(rows, variant));
        },
    };
    return scenario;
}

} // namespace faultline
