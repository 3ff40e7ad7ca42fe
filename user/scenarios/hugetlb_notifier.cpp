// SPDX-License-Identifier: GPL-2.0
// hugetlb-notifier: who unshares a table of PMDs tells secondary MMUs of all that it maps.
//
// Claim (dff11abe280b, "hugetlb: take PMD sharing into account when flushing tlb/caches", v4.19):
// to unshare drops all that a PUD maps, 1 GB, even where a single huge page was to go. So the range
// of the MMU notifiers, and that of the flush, is widened to it.
//
// Who: the owner shares its table with a partner, and gives one page back, or punches a hole of one
// page. A notifier listens in the owner's mm for invalidations that cover all the PUD maps.
//     adjust_range_if_pmd_sharing_possible()  before  huge_pmd_unshare()
//
// A bad outcome: told=never.
#include "scenarios/hugetlb_experiment.hpp"
#include "scenarios/list.hpp"

#include "kernel/page_tables.hpp"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <linux/falloc.h>
#include <optional>
#include <sys/mman.h>

namespace faultline {

namespace {

constexpr std::string_view while_shared = "partner@user:shared -> owner@user:act; "
                                          "owner@user:done -> partner@user:end";
constexpr std::size_t page = 3; // that goes

constexpr unsigned slot_errno = 0; // of the owner

class HugetlbNotifier final : public HugetlbExperiment {
  public:
    explicit HugetlbNotifier(bool hole) : hole_(hole) {}

    Result<void> prepare() override {
        Result<MmuListener> listener = MmuListener::open();
        if (!listener)
            return listener.error();
        listener_ = std::move(*listener);
        return HugetlbExperiment::prepare();
    }

    std::vector<Actor> actors() override {
        return {{.name = "owner",
                 .kind = Actor::Kind::thread,
                 .cpu = 0,
                 .body =
                     [this](ActorContext& me) {
                         if (!me.at("act"))
                             return;
                         me.report(slot_errno, act() ? 0 : errno);
                         (void)me.at("done").ok();
                     }},
                {.name = "partner",
                 .kind = Actor::Kind::process,
                 .cpu = 1,
                 .body = [this](ActorContext& me) {
                     if (share(me, page) && me.at("shared"))
                         (void)me.at("end").ok();
                 }}};
    }

    Result<void> begin(Run& /*run*/) override {
        if (Result<void> fresh = file().fresh(); !fresh)
            return fresh;
        if (Result<void> written = poke(file().address(page), 1); !written)
            return written;
        return listener_->listen(file().address(), file().bytes());
    }

    Outcome judge(Run& run) override {
        Outcome outcome;
        const Result<std::vector<Invalidation>> notes = listener_->invalidations();
        if (!notes)
            return outcome.forbid(notes.error().to_string());
        const auto told = [&](bool end) {
            return std::any_of(notes->begin(), notes->end(),
                               [end](const Invalidation& note) { return note.end == end; });
        };
        outcome.add("act", error_name(run.slot("owner", slot_errno)));
        outcome.add("told", told(false) ? "all" : "never");
        outcome.add("end", told(true) ? "yes" : "no");
        outcome.require(run.slot("owner", slot_errno) == 0, "the owner could not do it");
        outcome.require(told(false), "no invalidation was of all that the PUD maps");
        outcome.require(told(true), "none was ended");
        return outcome;
    }

    std::optional<bool> overlapped(const Run& run) override {
        return run.slot("partner", slot_shared) > 0;
    }

  private:
    bool act() {
        const auto huge = static_cast<off_t>(file().huge_bytes());
        return hole_ ? ::fallocate(file().file(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                                   static_cast<off_t>(page) * huge, huge) == 0
                     : ::madvise(file().address(page), file().huge_bytes(), MADV_DONTNEED) == 0;
    }

    bool hole_;
    std::optional<MmuListener> listener_;
};

} // namespace

const Scenario& hugetlb_notifier() {
    static const Scenario scenario = {
        .name = "hugetlb-notifier",
        .family = "hugetlb",
        .claim = "to unshare a table of PMDs is told for all that it maps",
        .source = "dff11abe280b, v4.19",
        .races = "adjust_range_if_pmd_sharing_possible() before huge_pmd_unshare()",
        .bad = "told=never",
        .variants = {{.name = "dontneed",
                      .about = "MADV_DONTNEED of one page",
                      .schedule = while_shared,
                      .runs_divisor = 5},
                     {.name = "hole",
                      .about = "a hole of one page",
                      .schedule = while_shared,
                      .runs_divisor = 5}},
        .controls = {{.name = "not-widened",
                      .about = "the range is not widened",
                      .variant = "hole",
                      .produces = "told=never",
                      .actions = {{.kind = FL_CONTROL_SKIP,
                                   .actor = "owner",
                                   .function = "adjust_range_if_pmd_sharing_possible"}}}},
        .needs = {{"huge pages", missing_hugetlb},
                  {"PMD sharing", missing_pmd_sharing},
                  {"pgtable/notifier", missing_mmu_notifier}},
        .make = [](const Variant& variant) -> std::unique_ptr<Experiment> {
            return std::make_unique<HugetlbNotifier>(variant.name == "hole");
        },
    };
    return scenario;
}

} // namespace faultline
