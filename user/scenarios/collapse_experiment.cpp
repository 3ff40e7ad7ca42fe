// SPDX-License-Identifier: GPL-2.0
#include "scenarios/collapse_experiment.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22 // linux 5.14
#endif

namespace faultline {

namespace {

constexpr unsigned slot_errno = 0; // of the collapser
constexpr unsigned slot_tid = 1;
constexpr unsigned slot_value = 0;  // of the toucher
constexpr unsigned slot_events = 0; // of the handler
constexpr unsigned slot_elsewhere = 1;
constexpr int handler_poll_ms = 2;

} // namespace

Result<void> CollapseExperiment::prepare() {
    Result<std::unique_ptr<Extent>> extent = Extent::make(extents_);
    if (!extent)
        return extent.error();
    extent_ = std::move(*extent);
    Result<CollapseTrace> trace = CollapseTrace::open();
    if (!trace)
        return trace.error();
    trace_ = std::move(*trace);
    Result<KernelLog> log = KernelLog::open();
    if (!log)
        return log.error();
    log_ = std::move(*log);
    return {};
}

Result<void> CollapseExperiment::lay_out(std::vector<bool> hole) {
    userfaultfd_.close();
    touched_ = false;
    hole_ = std::move(hole);
    if (Result<void> made = extent_->fresh(); !made)
        return made;
    if (Result<void> filled = extent_->fill(hole_); !filled)
        return filled;
    trace_->clear();
    return {};
}

StateScope CollapseExperiment::state_scope(bool whole) const {
    return {.mappings = {{.name = "own",
                          .start = extent_->address(),
                          .bytes = extent_->bytes(),
                          .content = whole && !own_is_file(),
                          .smaps = whole},
                         {.name = "other",
                          .start = extent_->other(),
                          .bytes = extent_->bytes(),
                          .content = false, // see judge_mapped_bytes()
                          .smaps = whole}},
            .files = {{.name = "extent", .file = extent_->file(), .content = whole}},
            .process = false, // see judge_tables()
            .cgroup = false,
            .log = log_ ? &*log_ : nullptr};
}

Result<void> CollapseExperiment::begin_run(Run& run) {
    if (Result<void> begun = begin(run); !begun || !may_differ(run))
        return begun;
    return check_.begin(state_scope(StateCheck::whole(run)));
}

Outcome CollapseExperiment::judge_run(Run& run) {
    const std::optional<Allowed> allowed = may_differ(run);
    if (!allowed || !check_.begun())
        return judge(run);
    const Result<void> taken = check_.end(state_scope(StateCheck::whole(run)));
    if (taken) {
        check_.compare_all(*allowed);
        judge_counts();
        if (StateCheck::whole(run) && extent_ != nullptr)
            judge_mapped_bytes();
    }
    Outcome outcome = judge(run);
    if (!taken)
        return outcome.forbid(taken.error().to_string());
    if (extent_ != nullptr)
        judge_tables();
    check_.tell(outcome);
    return outcome;
}

Allowed CollapseExperiment::collapse_may_differ(std::optional<int> answer) {
    Allowed all;
    for (const char* bit : {"present", "file", "exclusive"})
        all.push_back({fmt::format("mapping * page * pagemap-{}", bit),
                       "a collapse unmaps the pages that it takes"});
    for (const char* name : {"Rss", "Pss", "Pss_Dirty", "Shared_Clean", "Shared_Dirty",
                             "Private_Clean", "Private_Dirty", "ShmemPmdMapped"})
        all.push_back({fmt::format("mapping * smaps {}", name), "as the pages that are mapped"});
    for (const char* name : {"file extent st_blocks", "file extent statfs bfree",
                             "machine meminfo Shmem", "machine vmstat nr_shmem"})
        all.push_back({name, "compared with the pages that came or went: judge_counts()"});
    all.push_back({"machine meminfo AnonHugePages", "the driver has such memory, too"});
    if (answer.value_or(1) != 0)
        return all;
    all.push_back({"mapping * page * mincore", "the huge page fills the holes"});
    for (const char* name :
         {"machine meminfo ShmemHugePages", "machine meminfo ShmemPmdMapped",
          "machine vmstat nr_shmem_hugepages", "machine vmstat nr_shmem_pmdmapped"})
        all.push_back({name, "there is a huge page now"});
    return all;
}

// What may differ, but only as the pages of the file do.
void CollapseExperiment::judge_counts() {
    const std::string object = "mapping other";
    const State& after = check_.after();
    const auto came = static_cast<std::int64_t>(after.pages_with(object, "mincore")) -
                      static_cast<std::int64_t>(check_.before().pages_with(object, "mincore"));
    const auto page = static_cast<std::int64_t>(::sysconf(_SC_PAGESIZE));
    check_.require_growth("file extent st_blocks", came * (page / 512));
    check_.require_growth("file extent statfs bfree", -came);
    check_.require_growth("machine vmstat nr_shmem", came);
    const std::size_t mapped = after.pages_with(object, "pagemap-present");
    check_.require(after.pages_with(object, "pagemap-file") == mapped, object + " pagemap-file",
                   "a page of the mapping is not the file's");
    const std::optional<std::uint64_t> rss = after.value(object + " smaps Rss");
    check_.require(!rss || *rss == mapped * static_cast<std::size_t>(page) / 1024, object + " Rss",
                   fmt::format("{} pages are mapped, Rss is {} kB", mapped, rss.value_or(0)));
}

// Each page of the file as a load sees it: an entry that a collapse forgot shows another page.
void CollapseExperiment::judge_mapped_bytes() {
    userfaultfd_.close(); // or a fault would wait for its events
    const State& after = check_.after();
    StateScope scope{.process = false, .machine = false, .cgroup = false};
    const std::size_t pages = std::min<std::size_t>(
        extent_->pages(), after.value("file extent st_size").value_or(0) / extent_->page_bytes());
    const auto there = [&](std::size_t page) {
        return page < pages && after.page_value("mapping other", "mincore", page).value_or(0) != 0;
    };
    for (char* start : {own_is_file() ? extent_->address() : nullptr, extent_->other()}) {
        if (start == nullptr)
            continue;
        const char* name = start == extent_->other() ? "other" : "own";
        scope.mappings.push_back(
            {.name = name, .start = start, .bytes = extent_->bytes(), .smaps = false});
        for (std::size_t page = 0; page < extent_->pages(); ++page) {
            std::size_t count = 0;
            while (there(page + count))
                ++count;
            if (count != 0) // where it fails the page has no bytes below
                (void)::madvise(start + page * extent_->page_bytes(), count * extent_->page_bytes(),
                                MADV_POPULATE_READ);
            page += count;
        }
    }
    const Result<State> mapped = State::take(scope);
    if (!mapped) {
        check_.require(false, "mapping bytes", mapped.error().to_string());
        return;
    }
    const std::vector<std::uint64_t> zeroes(extent_->page_bytes() / sizeof(std::uint64_t));
    const std::uint64_t empty = digest(zeroes);
    for (const MappingScope& one : scope.mappings)
        for (std::size_t page = 0; page < extent_->pages(); ++page) {
            const std::string object = "mapping " + one.name;
            const std::optional<std::uint64_t> seen = mapped->page_value(object, "bytes", page);
            // A huge page maps all of itself: what lies beyond the end is 0.
            const bool right = page >= pages ? seen.value_or(empty) == empty
                               : there(page)
                                   ? seen && seen == after.page_value("file extent", "bytes", page)
                                   : !seen;
            check_.require(right, object + " bytes",
                           fmt::format("{} page {} does not show the file's bytes", object, page));
        }
}

// Page tables come and go with what is mapped; without the file there must not be more and more of
// them. The driver's heap may come to use two more.
void CollapseExperiment::judge_tables() {
    userfaultfd_.close();
    extent_->drop();
    const Result<State> now = State::take({.machine = false, .cgroup = false});
    if (!now) {
        check_.require(false, "process status VmPTE", now.error().to_string());
        return;
    }
    const std::uint64_t tables = now->value("process status VmPTE").value_or(0);
    if (!first_tables_)
        first_tables_ = tables;
    check_.require(tables <= *first_tables_ + 2 * extent_->page_bytes() / 1024,
                   "process status VmPTE",
                   fmt::format("VmPTE without the file was {} kB after the first run and is {} kB",
                               *first_tables_, tables));
}

std::vector<bool> CollapseExperiment::draw_holes(Rng& rng) const {
    const std::size_t pages = extent_->pages();
    std::vector<bool> hole(pages, false);
    switch (rng.below(5)) {
    case 0:
        hole.front() = true;
        break;
    case 1:
        hole.back() = true;
        break;
    case 2:
        hole[rng.below(pages)] = true;
        break;
    case 3:
        for (std::size_t page = rng.below(2); page < pages; page += 2)
            hole[page] = true;
        break;
    default:
        hole.assign(pages, true);
        hole[rng.below(pages)] = false;
        break;
    }
    return hole;
}

std::size_t CollapseExperiment::draw_hole(Rng& rng) const {
    std::size_t page = rng.below(hole_.size());
    while (!hole_[page])
        page = (page + 1) % hole_.size();
    return page;
}

std::size_t CollapseExperiment::draw_page(Rng& rng) const {
    std::size_t page = rng.below(hole_.size());
    while (hole_[page])
        page = (page + 1) % hole_.size();
    return page;
}

Actor CollapseExperiment::collapser(const char* mapping, Actor::Kind kind) {
    return {.name = "collapser", .kind = kind, .cpu = 0, .body = [this, mapping](ActorContext& me) {
                me.report(slot_tid, ::gettid());
                // A page table for the mapping, or there is nothing to map the huge page into.
                const auto present = std::find(hole_.begin(), hole_.end(), false);
                if (present != hole_.end())
                    extent_->populate(mapping + (present - hole_.begin()) * extent_->page_bytes());
                if (!me.at("mapped") || !me.at("start"))
                    return;
                me.report(slot_errno, extent_->collapse(mapping));
                (void)me.at("collapsed").ok();
            }};
}

void CollapseExperiment::report_collapse(ActorContext& me, int number) {
    me.report(slot_tid, ::gettid());
    me.report(slot_errno, number);
}

std::optional<int> CollapseExperiment::collapse_errno(const Run& run) {
    const std::int64_t number = run.slot("collapser", slot_errno);
    return number == unreported ? std::nullopt : std::optional<int>(static_cast<int>(number));
}

std::string CollapseExperiment::collapse_word(const Run& run) {
    const std::optional<int> number = collapse_errno(run);
    if (!number)
        return "-";
    const char* name = strerrorname_np(*number);
    return *number == 0 ? "ok" : name != nullptr ? name : std::to_string(*number);
}

std::string CollapseExperiment::scan_word(const Run& run) {
    const std::string word = trace_->last(static_cast<pid_t>(run.slot("collapser", slot_tid)));
    return word.empty() ? "-" : word;
}

Actor CollapseExperiment::toucher(std::function<void()> look) {
    return {.name = "toucher",
            .kind = Actor::Kind::thread,
            .cpu = 1,
            .body = [this, look = std::move(look)](ActorContext& me) {
                if (me.at("touch")) {
                    if (look)
                        look();
                    const auto* word =
                        reinterpret_cast<volatile std::uint64_t*>(extent_->address(touch_));
                    me.report(slot_value, static_cast<std::int64_t>(*word));
                }
                touched_ = true;
            }};
}

Actor CollapseExperiment::handler() {
    return {
        .name = "handler", .kind = Actor::Kind::thread, .cpu = 0, .body = [this](ActorContext& me) {
            std::int64_t events = 0;
            std::int64_t elsewhere = 0;
            // The last look comes after the toucher is done: a second event would be there.
            for (bool last = false; !last && !me.stopping();) {
                last = touched_;
                const auto event = userfaultfd_.event(last ? 0 : handler_poll_ms);
                if (!event)
                    return me.fail(event.error());
                if (!*event)
                    continue;
                last = false;
                ++events;
                const std::uint64_t at = **event & ~(extent_->page_bytes() - 1);
                if (at != reinterpret_cast<std::uintptr_t>(extent_->address(touch_)))
                    ++elsewhere;
                const char* page = extent_->address() +
                                   (at - reinterpret_cast<std::uintptr_t>(extent_->address()));
                const Result<void> given = userfaultfd_.zeropage(page, extent_->page_bytes());
                if (!given && given.error().number == EEXIST)
                    (void)userfaultfd_.wake(page, extent_->page_bytes()).ok();
                else if (!given)
                    return me.fail(given.error());
            }
            me.report(slot_events, events);
            me.report(slot_elsewhere, elsewhere);
        }};
}

CollapseExperiment::Touch CollapseExperiment::touch_of(const Run& run) {
    const std::int64_t events = run.slot("handler", slot_events);
    const std::int64_t value = run.slot("toucher", slot_value);
    return {.events = events == unreported ? -1 : events,
            .right_page = run.slot("handler", slot_elsewhere) == 0,
            .value = static_cast<std::uint64_t>(value),
            .done = value != unreported};
}

Result<std::size_t> CollapseExperiment::wrong_words(std::optional<std::size_t> filled,
                                                    std::uint64_t filled_word) const {
    return extent_->wrong_pages(hole_, filled, filled_word);
}

std::vector<Need> collapse_needs() {
    return {{"transparent huge pages", missing_huge_pages},
            {"userfaultfd(2)", missing_userfaultfd}};
}

} // namespace faultline
