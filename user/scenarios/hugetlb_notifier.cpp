// SPDX-License-Identifier: GPL-2.0
// hugetlb-notifier: unsharing a table of PMDs notifies secondary MMUs of the table's whole range.
//
// Claim (dff11abe280b, "hugetlb: take PMD sharing into account when flushing tlb/caches", v4.19):
// unsharing drops the range of a PUD, 1 GB, even where a single huge page should go. So the range
// of the MMU notifiers, and that of the flush, is widened to it.
//
// Actors: the owner shares its table with a partner, and gives one page back, or punches a hole of
// one page. A notifier listens in the owner's mm for invalidations that cover the whole range.
//     adjust_range_if_pmd_sharing_possible()  before  huge_pmd_unshare()
//
// A bad outcome: told=never.
#include "scenarios/hugetlb_experiment.hpp"
#include "scenarios/list.hpp"

#include "kernel/page_tables.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <fcntl.h>
#include <linux/falloc.h>
#include <optional>
#include <sys/mman.h>

namespace faultline {

namespace {

constexpr std::string_view while_shared = "partner@user:shared -> owner@user:act; "
                                          "owner@user:done -> partner@user:end";
constexpr std::size_t page = 3; // the owner gives it back

constexpr unsigned slot_errno = 0; // of the owner

struct Row {
    std::string_view name;
    std::string_view about;
    bool hole; // else MADV_DONTNEED
};

constexpr std::array rows = {Row{"dontneed", "MADV_DONTNEED of one page", false},
                             Row{"hole", "a hole of one page", true}};

class HugetlbNotifier final : public HugetlbExperiment {
  public:
    explicit HugetlbNotifier(const Row& row) : row_(row) {}

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
        return outcome;
    }

    std::optional<bool> overlapped(const Run& run) override {
        return run.slot("partner", slot_shared) > 0;
    }

  protected:
    [[nodiscard]] Allowed may_differ(const Run& run) const override {
        Allowed all = HugetlbExperiment::may_differ(run);
        all.push_back(counted_on());
        return all;
    }

  private:
    bool act() {
        const auto huge = static_cast<off_t>(file().huge_bytes());
        return row_.hole ? ::fallocate(file().file(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                                       static_cast<off_t>(page) * huge, huge) == 0
                         : ::madvise(file().address(page), file().huge_bytes(), MADV_DONTNEED) == 0;
    }

    const Row& row_;
    std::optional<MmuListener> listener_;
};

std::vector<Variant> variants() {
    std::vector<Variant> all;
    all.reserve(rows.size());
    for (const Row& row : rows)
        all.push_back({.name = row.name,
                       .about = row.about,
                       .schedule = while_shared,
                       .expected = {{.words = "act=ok told=all end=yes"}},
                       .runs_divisor = 5});
    return all;
}

} // namespace

const Scenario& hugetlb_notifier() {
    static const Scenario scenario = {
        .name = "hugetlb-notifier",
        .family = "hugetlb",
        .claim = "unsharing a table of PMDs notifies secondary MMUs of its whole range",
        .source = "dff11abe280b, v4.19",
        .races = "adjust_range_if_pmd_sharing_possible() before huge_pmd_unshare()",
        .bad = "told=never",
        .variants = variants(),
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
            return std::make_unique<HugetlbNotifier>(row_of(rows, variant));
        },
    };
    return scenario;
}

} // namespace faultline
