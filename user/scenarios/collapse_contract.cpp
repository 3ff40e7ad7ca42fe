// SPDX-License-Identifier: GPL-2.0
// collapse-contract: a registered userfaultfd against a collapse, one after the other.
//
// Claim (David Stevens, "mm/khugepaged: skip shmem with userfaultfd", v6.4): MADV_COLLAPSE of a
// shmem extent with holes fails with EBUSY while any mapping of it has a userfaultfd with
// MODE_MISSING; the holes stay holes, and a touch raises its event.
//
// Actors: the collapser works through the registered mapping, another mapping, or in another
// process; then the toucher reads one hole, and the handler resolves the userfaultfd's events.
//     collapse_file()  against  userfaultfd_register() before it, shmem_fault() after it
//
// A bad outcome: the collapse returns 0 and fills the hole with zeroes; the touch reads 0 and
// raises no event. A live migration by userfaultfd loses memory silently.
//
// There is no window here, so no hold: a run counts when the collapse was tried over holes with the
// registration in place.
#include "kernel/fd.hpp"
#include "kernel/series.hpp"
#include "scenarios/collapse_experiment.hpp"
#include "scenarios/list.hpp"

#include <array>
#include <cerrno>
#include <charconv>
#include <fmt/format.h>

namespace faultline {

namespace {

constexpr std::string_view in_order = "collapser@user:collapsed -> toucher@user:touch";

// NR_SHMEM of the whole machine, exact: stat_refresh folds in the counts of each CPU.
Result<std::uint64_t> shmem_pages() {
    if (Result<void> folded = write_text("/proc/sys/vm/stat_refresh", "1"); !folded)
        return folded.error();
    const Result<std::string> text = read_text("/proc/vmstat");
    if (!text)
        return text.error();
    constexpr std::string_view name = "\nnr_shmem ";
    const std::size_t at = text->find(name);
    std::uint64_t pages = 0;
    if (at == std::string::npos ||
        std::from_chars(text->data() + at + name.size(), text->data() + text->size(), pages).ec !=
            std::errc())
        return Error::make(EPROTO, "no nr_shmem in", "/proc/vmstat");
    return pages;
}

enum class Through { registered, other, other_process };

struct Row {
    std::string_view name;
    std::string_view about;
    Through through;
};

constexpr std::array rows = {
    Row{"same-mapping", "collapse through the registered mapping", Through::registered},
    Row{"other-mapping", "through a mapping that is not registered", Through::other},
    Row{"other-process", "by a process that has no userfaultfd", Through::other_process},
};

class CollapseContract final : public CollapseExperiment {
  public:
    explicit CollapseContract(const Row& row) : row_(row) {}

    std::vector<Actor> actors() override {
        const bool process = row_.through == Through::other_process;
        const char* mapping =
            row_.through == Through::registered ? extent().address() : extent().other();
        Actor collapsing = collapser(mapping, process ? Actor::Kind::process : Actor::Kind::thread);
        return {std::move(collapsing), toucher([this] { after_ = look(); }), handler()};
    }

    Result<void> begin(Run& run) override {
        if (Result<void> laid = lay_out(draw_holes(run.rng())); !laid)
            return laid;
        touch_ = draw_hole(run.rng());
        Result<Userfaultfd> opened = Userfaultfd::open();
        if (!opened)
            return opened.error();
        userfaultfd_ = std::move(*opened);
        if (Result<void> done = userfaultfd_.register_missing(extent().address(), extent().bytes());
            !done)
            return done;
        before_ = look();
        after_.reset();
        if (!before_)
            return Error::make(EIO, "the state before the collapse could not be read");
        return {};
    }

    Outcome judge(Run& run) override {
        Outcome outcome;
        const Touch touch = touch_of(run);
        const std::string collapse = collapse_word(run);
        const std::string scan = scan_word(run);
        outcome.add("collapse", collapse).add("scan", scan);
        outcome.add("event", touch.events == 0 ? "no" : touch.events == 1 ? "yes" : "many");
        outcome.require(touch.done && touch.events >= 0, "the touch of the hole did not end");
        outcome.require(touch.events != 0, "a hole became present without an event");
        outcome.require(touch.events <= 1 && touch.right_page,
                        "more than the one event of the touch");
        judge_state(outcome);
        return outcome;
    }

    std::optional<bool> overlapped(const Run& run) override {
        return run.overlapped() && collapse_errno(run).has_value();
    }

  protected:
    [[nodiscard]] std::optional<Allowed> may_differ(const Run& run) const override {
        Allowed all = collapse_may_differ(collapse_errno(run));
        all.push_back({fmt::format("mapping * page {} mincore", touch_), "the toucher fills it"});
        return all;
    }

  private:
    struct Seen {
        std::vector<bool> absent;
        Accounting accounting;
        std::uint64_t shmem;
    };

    // Looked at after the collapse and before the touch: the next page that is added to the file
    // mends i_blocks (shmem_recalc_inode()).
    [[nodiscard]] std::optional<Seen> look() const {
        const Result<std::vector<bool>> absent = extent().absent_pages();
        const Result<Accounting> accounting = extent().accounting();
        const Result<std::uint64_t> shmem = shmem_pages();
        if (!absent || !accounting || !shmem)
            return std::nullopt;
        return Seen{*absent, *accounting, *shmem};
    }

    void judge_state(Outcome& outcome) {
        const Result<std::size_t> wrong = wrong_words(touch_, 0);
        if (!after_ || !wrong) {
            outcome.forbid("the state after the collapse could not be read");
            return;
        }
        const bool counted =
            after_->accounting == before_->accounting && after_->shmem == before_->shmem;
        outcome.add("holes", after_->absent == hole_ ? "kept" : "lost");
        outcome.add("accounting", counted ? "kept" : "changed");
        outcome.add("data", *wrong == 0 ? "intact" : "changed");
        outcome.require(after_->absent == hole_,
                        "a failed collapse must not change which pages exist");
        outcome.require(counted, "a failed collapse must not change st_blocks, statfs or Shmem");
        outcome.require(*wrong == 0, "a page does not have its bytes");
    }

    const Row& row_;
    std::optional<Seen> before_;
    std::optional<Seen> after_;
};

// Before the fix, in each run of each variant.
constexpr KnownBug hole_filled = {
    .words = "collapse=ok scan=succeeded event=no holes=lost accounting=changed data=intact",
    .releases = "6.1",
    .fix = "fixed by \"mm/khugepaged: skip shmem with userfaultfd\" (v6.4)",
};

std::vector<Variant> variants() {
    std::vector<Variant> all;
    all.reserve(rows.size());
    for (const Row& row : rows)
        all.push_back({.name = row.name,
                       .about = row.about,
                       .schedule = in_order,
                       .expected = {{.words = "collapse=EBUSY scan=exceed_none_pte event=yes "
                                              "holes=kept accounting=kept data=intact"}},
                       .known = {hole_filled},
                       .forced = false});
    return all;
}

// Each run calls collapse_file(). These show that the host survives the end of a machine.
Control ends_the_machine(std::string_view name, std::string_view about,
                         std::string_view replacement) {
    return {.name = name,
            .about = about,
            .variant = "same-mapping",
            .produces = "collapse=-",
            .actions = {{.kind = FL_CONTROL_REPLACE,
                         .actor = "collapser",
                         .function = "collapse_file",
                         .replacement = replacement}},
            .kind = Control::Kind::comparison,
            .complains = true,
            .by_name_only = true};
}

std::vector<Control> controls() {
    std::vector<Control> all = {
        {.name = "blind-to-userfaultfd",
         .about = "collapse_file() finds no mapping in the range it checks",
         .variant = "other-mapping",
         .produces = "collapse=ok event=no holes=lost",
         .actions = {{.kind = FL_CONTROL_REPLACE,
                      .actor = "collapser",
                      .function = "i_mmap_first",
                      .caller = "collapse_file",
                      .replacement = "iter_first_point_only"}}},
        ends_the_machine("panics", "the collapse panics: the machine ends", "selftest_panic"),
        ends_the_machine("spins", "the collapse spins for ever: the machine hangs",
                         "selftest_spin")};
    // Where the bug is, no collapse fails, and none gives a charge back.
    if (!in_series(running_release(), "6.1"))
        all.push_back(
            {.name = "uncharge-forgotten",
             .about = "the failed collapse keeps the blocks it charged for the holes",
             .variant = "same-mapping",
             .produces = "collapse=EBUSY accounting=changed",
             .actions = {
                 {.kind = FL_CONTROL_SKIP, .actor = "collapser", .function = "shmem_uncharge"}}});
    return all;
}

} // namespace

const Scenario& collapse_contract() {
    static const Scenario scenario = {
        .name = "collapse-contract",
        .family = "collapse-uffd",
        .claim =
            "MADV_COLLAPSE of a shmem extent with holes under a MISSING userfaultfd fails with "
            "EBUSY and changes nothing",
        .source = "David Stevens, Peter Xu, linux-mm, February 2023",
        .races = "collapse_file() after userfaultfd_register(), before shmem_fault()",
        .bad = "collapse=ok and event=no: a missing page became present and raised no event",
        .variants = variants(),
        .controls = controls(),
        .needs = collapse_needs(),
        .make = [](const Variant& variant) -> std::unique_ptr<Experiment> {
            return std::make_unique<CollapseContract>(row_of(rows, variant));
        },
    };
    return scenario;
}

} // namespace faultline
