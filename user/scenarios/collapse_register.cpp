// SPDX-License-Identifier: GPL-2.0
// collapse-register: registration of a userfaultfd races with a collapse.
//
// Claim (David Stevens to Peter Xu, linux-mm, February 2023): collapse_file() cannot use mmap locks
// against new registrations, so "we provide synchronization by ensuring that userspace cannot
// observe the fact that pages are missing before we check for userfaultfds. Although this allows
// registration of a userfaultfd to race with collapse_file, it ensures that userspace cannot
// observe any pages transition from missing to present after such a race."
//
// Actors: the collapser, held after its scan and before its re-check; the registrar, which
// registers MODE_MISSING and *then* looks whether a page is missing; later the toucher of that
// page.
//     collapse_file() between try_to_unmap_flush() and its walk of i_mmap
//         against  userfaultfd_register() and mincore(2)
//
// A bad outcome: the registrar saw the page missing, the collapse succeeded, and the touch raised
// no event. If the registrar saw the page present, nothing is promised.
#include "scenarios/collapse_experiment.hpp"
#include "scenarios/list.hpp"

#include <array>
#include <fmt/format.h>

namespace faultline {

namespace {

class CollapseRegister final : public CollapseExperiment {
  public:
    std::vector<Actor> actors() override {
        Actor registrar = {.name = "registrar",
                           .kind = Actor::Kind::thread,
                           .cpu = 1,
                           .body = [this](ActorContext& me) {
                               if (!me.at("register"))
                                   return;
                               const Result<void> done = userfaultfd_.register_missing(
                                   extent().address(), extent().bytes());
                               const Result<bool> absent = extent().absent(touch_);
                               if (!done)
                                   return me.fail(done.error());
                               if (!absent)
                                   return me.fail(absent.error());
                               me.report(0, *absent ? 1 : 0);
                               (void)me.at("registered").ok();
                           }};
        return {collapser(extent().other()), std::move(registrar), toucher(), handler()};
    }

    Result<void> begin(Run& run) override {
        if (Result<void> laid = lay_out(draw_holes(run.rng())); !laid)
            return laid;
        touch_ = draw_hole(run.rng());
        Result<Userfaultfd> opened = Userfaultfd::open();
        if (!opened)
            return opened.error();
        userfaultfd_ = std::move(*opened);
        return {};
    }

    Outcome judge(Run& run) override {
        Outcome outcome;
        const Touch touch = touch_of(run);
        const std::int64_t seen = run.slot("registrar", 0);
        const std::string collapse = collapse_word(run);
        outcome.add("seen", seen == 1 ? "hole" : seen == 0 ? "page" : "-");
        outcome.add("collapse", collapse);
        outcome.add("event", touch.events == 0 ? "no" : touch.events == 1 ? "yes" : "many");
        outcome.require(touch.done && touch.events >= 0, "the touch did not end");
        if (seen == 1) {
            outcome.require(touch.events != 0,
                            "a page was seen missing after the registration and became present "
                            "without an event");
            outcome.require(touch.events <= 1 && touch.right_page, "more than one event");
        }
        const Result<std::size_t> wrong = wrong_words(touch_, 0);
        outcome.require(wrong.ok() && *wrong == 0, "a page does not have its bytes");
        return outcome;
    }

  protected:
    [[nodiscard]] std::optional<Allowed> may_differ(const Run& run) const override {
        Allowed all = collapse_may_differ(collapse_errno(run));
        all.push_back({fmt::format("mapping * page {} mincore", touch_), "the toucher fills it"});
        return all;
    }
};

// The hole was seen: the collapse must have failed, and the touch raised its event.
constexpr std::string_view hole_kept = "seen=hole collapse=EBUSY event=yes";
// The registration came after the last look at holes: the huge page is there, and is seen.
constexpr std::string_view page_seen = "seen=page collapse=ok event=no";

constexpr KnownBug event_lost = {
    .words = "seen=hole collapse=ok event=no",
    .releases = "6.1",
    .fix = "fixed by \"mm/khugepaged: skip shmem with userfaultfd\" (v6.4)",
};

struct Row {
    std::string_view name;
    std::string_view about;
    std::string_view schedule;
    std::string_view expected;
};

constexpr std::array rows = {
    Row{"inside", "registered after the scan, before the re-check",
        "collapser@enter:collapse_file/unmapped -> registrar@user:register; "
        "registrar@user:registered -> collapser@enter:collapse_file/unmapped; "
        "collapser@user:collapsed -> toucher@user:touch; "
        "registrar@user:registered -> toucher@user:touch",
        hole_kept},
    Row{"before-scan", "registered when the collapse has begun and has looked at no page",
        "collapser@enter:collapse_file/allocate -> registrar@user:register; "
        "registrar@user:registered -> collapser@enter:collapse_file/allocate; "
        "collapser@user:collapsed -> toucher@user:touch; "
        "registrar@user:registered -> toucher@user:touch",
        hole_kept},
    Row{"stored", "registered when the huge page is in the page cache, still locked",
        "collapser@enter:collapse_file/retract -> registrar@user:register; "
        "registrar@user:registered -> collapser@enter:collapse_file/retract; "
        "collapser@user:collapsed -> toucher@user:touch; "
        "registrar@user:registered -> toucher@user:touch",
        page_seen},
    Row{"registered-first", "the other order: registered before the collapse begins",
        "registrar@user:registered -> collapser@user:start; "
        "collapser@user:collapsed -> toucher@user:touch",
        hole_kept},
    Row{"collapsed-first", "the other order: registered after the collapse returned",
        "collapser@user:collapsed -> registrar@user:register; "
        "registrar@user:registered -> toucher@user:touch",
        page_seen},
};

std::vector<Variant> variants() {
    std::vector<Variant> all;
    all.reserve(rows.size());
    for (const Row& row : rows) {
        const bool hole = row.expected == hole_kept;
        all.push_back(
            {.name = row.name,
             .about = row.about,
             .schedule = row.schedule,
             .expected = {{.words = row.expected}},
             .known = hole ? std::vector<KnownBug>{event_lost} : std::vector<KnownBug>()});
    }
    return all;
}

} // namespace

const Scenario& collapse_register() {
    static const Scenario scenario = {
        .name = "collapse-register",
        .family = "collapse-uffd",
        .claim = "a page that is seen missing after UFFDIO_REGISTER raises an event when touched, "
                 "whatever a collapse was doing meanwhile",
        .source = "David Stevens, Peter Xu, linux-mm, February 2023",
        .races = "collapse_file() against userfaultfd_register() and mincore(2)",
        .bad = "seen=hole and event=no",
        .variants = variants(),
        .controls =
            {
                {.name = "blind-to-userfaultfd",
                 .about = "collapse_file() finds no mapping in the range it checks",
                 .variant = "inside",
                 .produces = "seen=hole collapse=ok event=no",
                 .actions = {{.kind = FL_CONTROL_REPLACE,
                              .actor = "collapser",
                              .function = "i_mmap_first",
                              .caller = "collapse_file",
                              .replacement = "iter_first_point_only"}}},
            },
        .needs = collapse_needs(),
        .make = [](const Variant&) -> std::unique_ptr<Experiment> {
            return std::make_unique<CollapseRegister>();
        },
    };
    return scenario;
}

} // namespace faultline
