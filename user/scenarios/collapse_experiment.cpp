// SPDX-License-Identifier: GPL-2.0
#include "scenarios/collapse_experiment.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <unistd.h>

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
