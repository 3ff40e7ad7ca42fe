// SPDX-License-Identifier: GPL-2.0
// pgtable-notifier: secondary MMUs are told before a page table goes.
//
// Claim (Jann Horn, "mm/khugepaged: invoke MMU notifiers in shmem/file collapse paths",
// f268f6cf875f, 6.1-rc7): each retraction of a page table is between a start and an end of an
// invalidation that covers all that the table maps, and the start comes before the table is
// unlinked: or a device could go on using it.
//
// Who: the collapser; a listener, which is an MMU notifier of the driver's mm (pgtable/notifier).
//     mmu_notifier_invalidate_range_start()  against  pmdp_collapse_flush() in
//     retract_page_tables() and in collapse_pte_mapped_thp()
//
// A bad outcome: told=late, told=never, or a start without its end.
#include "scenarios/collapse_experiment.hpp"
#include "scenarios/list.hpp"
#include "scenarios/pgtable_experiment.hpp"

#include <algorithm>
#include <array>

namespace faultline {

namespace {

// The witness is there so that the module notes when the table was unlinked.
constexpr std::string_view witnessed = "collapser@enter:pmdp_collapse_flush -> witness@user:after";

constexpr std::string_view in_time = "collapse=ok told=before end=yes";

struct Row {
    std::string_view name;
    bool pte_mapped; // the page is huge before the collapse, mapped by PTEs
};

constexpr std::array rows = {Row{"retract", false}, Row{"pte-mapped", true}};

class PgtableNotifier final : public CollapseExperiment {
  public:
    explicit PgtableNotifier(const Row& row) : row_(row) {}

    Result<void> prepare() override {
        Result<MmuListener> listener = MmuListener::open();
        if (!listener)
            return listener.error();
        listener_ = std::move(*listener);
        return CollapseExperiment::prepare();
    }

    std::vector<Actor> actors() override {
        return {collapser(extent().address()),
                {.name = "witness",
                 .kind = Actor::Kind::thread,
                 .cpu = 1,
                 .body = [](ActorContext& me) { (void)me.at("after").ok(); }}};
    }

    Result<void> begin(Run& /*run*/) override {
        if (Result<void> laid = lay_out(std::vector<bool>(extent().pages(), false)); !laid)
            return laid;
        if (row_.pte_mapped)
            if (Result<void> mapped = map_huge_page_by_ptes(extent(), extent().address()); !mapped)
                return mapped;
        return listener_->listen(extent().address(), extent().bytes());
    }

    Outcome judge(Run& run) override {
        Outcome outcome;
        const Result<std::vector<Invalidation>> notes = listener_->invalidations();
        if (!notes)
            return outcome.forbid(notes.error().to_string());
        const fl_site_result* unlinked = run.site("collapser@enter:pmdp_collapse_flush");
        if (unlinked == nullptr || unlinked->reached_ns == 0)
            return outcome.forbid("no page table was unlinked");
        const auto from = reinterpret_cast<std::uintptr_t>(extent().address());
        const auto covers = [&](const Invalidation& note, bool end) {
            return note.end == end && note.from <= from && note.to >= from + extent().bytes();
        };
        const auto start =
            std::find_if(notes->begin(), notes->end(),
                         [&](const Invalidation& note) { return covers(note, false); });
        const bool ended = std::any_of(start, notes->end(), [&](const Invalidation& note) {
            return covers(note, true) && note.at_ns > unlinked->reached_ns;
        });
        const bool before = start != notes->end() && start->at_ns < unlinked->reached_ns;
        outcome.add("collapse", collapse_word(run));
        outcome.add("told", start == notes->end() ? "never" : before ? "before" : "late");
        outcome.add("end", ended ? "yes" : "no");
        outcome.require(before, "no invalidation of all that the table maps had begun");
        outcome.require(ended, "the invalidation was not ended after it");
        outcome.require(collapse_word(run) == "ok", "the collapse failed");
        return outcome;
    }

  private:
    const Row& row_;
    std::optional<MmuListener> listener_;
};

} // namespace

const Scenario& pgtable_notifier() {
    static const Scenario scenario = {
        .name = "pgtable-notifier",
        .family = "pte-free-defer",
        .claim = "secondary MMUs are told of all that a page table maps before it is unlinked",
        .source = "Jann Horn, linux-mm, November 2022 (f268f6cf875f)",
        .races = "mmu_notifier_invalidate_range_start() against pmdp_collapse_flush()",
        .bad = "told=late, told=never, end=no",
        .variants =
            {
                {.name = "retract",
                 .about = "by retract_page_tables()",
                 .schedule = witnessed,
                 .expected = {{in_time}},
                 .runs_divisor = 2},
                {.name = "pte-mapped",
                 .about = "by collapse_pte_mapped_thp()",
                 .schedule = witnessed,
                 .expected = {{in_time}},
                 .runs_divisor = 2,
                 .needs = {cleared_entries()}},
            },
        .controls = {{.name = "silent",
                      .about = "the collapser's invalidations are never told",
                      .variant = "retract",
                      .produces = "told=never",
                      .actions = {{.kind = FL_CONTROL_SKIP,
                                   .actor = "collapser",
                                   .function = "__mmu_notifier_invalidate_range_start"},
                                  {.kind = FL_CONTROL_SKIP,
                                   .actor = "collapser",
                                   .function = "__mmu_notifier_invalidate_range_end"}}}},
        .needs = {{"transparent huge pages", missing_huge_pages},
                  {"pgtable/notifier", missing_mmu_notifier}},
        .make = [](const Variant& variant) -> std::unique_ptr<Experiment> {
            return std::make_unique<PgtableNotifier>(row_of(rows, variant));
        },
    };
    return scenario;
}

} // namespace faultline
