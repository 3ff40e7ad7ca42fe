// SPDX-License-Identifier: GPL-2.0
// collapse-readers: a reader during a collapse never misses a page that is there.
//
// Claim (David Stevens, linux-mm, February 2023): intermediate page cache state "can no longer be
// observed before the rollback of a failed collapse"; and with "mm/khugepaged: maintain page cache
// uptodate flag" (v6.4) the huge page is up to date before it is in the page cache. So a page that
// is present is never seen as a hole, and its bytes are never seen as zeroes.
//
// Actors: the collapser, held at each window it has, or free in the storm variants; a reader, by
// pread(2), a load through a mapping, lseek(SEEK_DATA), mincore(2).
//     collapse_file()  against  shmem_file_read_iter(), shmem_fault(), mapping_seek_hole_data(),
//                               mincore_page()
//
// A bad outcome: hole or zeroes for a page that was written before the collapse began. Before 6.4
// the huge page stood in the page cache not up to date while the copy went on: SEEK_DATA and
// mincore saw holes.
//
// pread and loads lock the folio, so at the windows with locked folios they wait: excluded.
#include "kernel/page_pattern.hpp"
#include "kernel/series.hpp"
#include "scenarios/collapse_experiment.hpp"
#include "scenarios/list.hpp"

#include <array>
#include <atomic>

namespace faultline {

namespace {

constexpr std::string_view at_allocate =
    "collapser@enter:collapse_file/allocate -> reader@user:look; "
    "reader@user:looked -> collapser@enter:collapse_file/allocate";
constexpr std::string_view at_unmapped =
    "collapser@enter:collapse_file/unmapped -> reader@user:look; "
    "reader@user:looked -> collapser@enter:collapse_file/unmapped";
constexpr std::string_view at_retract =
    "collapser@enter:collapse_file/retract -> reader@user:look; "
    "reader@user:looked -> collapser@enter:collapse_file/retract";

enum Seen : std::int64_t { data = 1, hole = 2, zeroes = 3, other = 4, failed = 5 };

std::string_view to_word(std::int64_t seen) {
    constexpr std::array<std::string_view, 6> words = {"-",      "data",  "hole",
                                                       "zeroes", "other", "failed"};
    return seen >= data && seen <= failed ? words.at(static_cast<std::size_t>(seen)) : words[0];
}

constexpr unsigned most_collapses = 64;

enum Way : std::size_t { pread, load, seek, mincore };

enum class Storm { no, succeeds, fails };

struct Row {
    std::string_view name;
    std::string_view about;
    std::string_view schedule;
    Way way;
    std::string_view lock = {}; // the reader sleeps there
    bool hole_on_6_1 = false;
    Storm storm = Storm::no;
};

constexpr std::array rows = {
    Row{"pread-allocate", "pread, no page scanned yet", at_allocate, pread},
    Row{"load-allocate", "a load", at_allocate, load},
    Row{"seek-allocate", "SEEK_DATA", at_allocate, seek},
    Row{"mincore-allocate", "mincore", at_allocate, mincore},
    Row{"seek-unmapped", "SEEK_DATA, old folios locked and unmapped", at_unmapped, seek, "", true},
    Row{"mincore-unmapped", "mincore", at_unmapped, mincore, "", true},
    Row{"seek-retract", "SEEK_DATA, the huge page stored and locked", at_retract, seek},
    Row{"mincore-retract", "mincore", at_retract, mincore},
    Row{"pread-unmapped", "pread waits for the lock of the old folio", at_unmapped, pread,
        "folio_wait_bit_common < shmem_file_read_iter"},
    Row{"load-unmapped", "a load waits for the lock of the old folio", at_unmapped, load,
        "folio_wait_bit_common < shmem_fault"},
    Row{"storm-succeed", "two readers, four ways, during a collapse that succeeds", "", pread, "",
        true, Storm::succeeds},
    Row{"storm-fail", "the same during one that fails and rolls back", "", pread, "", true,
        Storm::fails},
};

class CollapseReaders final : public CollapseExperiment {
  public:
    explicit CollapseReaders(const Row& row) : row_(row) {}

    std::vector<Actor> actors() override {
        if (row_.storm == Storm::no)
            return {collapser(extent().address()),
                    {.name = "reader",
                     .kind = Actor::Kind::thread,
                     .cpu = 1,
                     .body = [this](ActorContext& me) {
                         if (!me.at("look"))
                             return;
                         me.report(0, look(row_.way, touch_));
                         (void)me.at("looked").ok();
                     }}};
        Actor storming = collapser(extent().address());
        storming.body = [this, collapse = std::move(storming.body)](ActorContext& me) {
            collapsing_ = true;
            collapse(me);
            // With few pages a collapse has failed before a reader looked: again, for a while.
            for (unsigned again = 0; row_.storm == Storm::fails && again < most_collapses;
                 ++again) {
                if (looked_.at(0) && looked_.at(1))
                    break;
                report_collapse(me, extent().collapse(extent().address()));
            }
            collapsed_ = true;
        };
        return {std::move(storming), storm_reader("reader", 0, {pread, load}),
                storm_reader("seeker", 1, {seek, mincore})};
    }

    Result<void> begin(Run& run) override {
        collapsing_ = false;
        collapsed_ = false;
        looked_.at(0) = looked_.at(1) = false;
        if (Result<void> laid = lay_out(draw_holes(run.rng())); !laid)
            return laid;
        touch_ = draw_page(run.rng());
        if (row_.storm != Storm::fails)
            return {};
        Result<Userfaultfd> opened = Userfaultfd::open();
        if (!opened)
            return opened.error();
        userfaultfd_ = std::move(*opened);
        return userfaultfd_.register_missing(extent().other(), extent().bytes());
    }

    Outcome judge(Run& run) override {
        Outcome outcome;
        const std::vector<std::string_view> readers =
            row_.storm != Storm::no ? std::vector<std::string_view>{"reader", "seeker"}
                                    : std::vector<std::string_view>{"reader"};
        for (std::string_view reader : readers) {
            const std::int64_t seen = run.slot(reader, 0);
            outcome.add(std::string(reader), std::string(to_word(seen)));
            outcome.require(seen == data || seen == unreported,
                            "a present page was not seen as what it is");
            outcome.require(seen != unreported, "a reader did not come to its end");
        }
        outcome.require(collapse_errno(run).has_value(), "the collapse did not end");
        outcome.add("collapse", collapse_word(run));
        const Result<std::size_t> wrong = wrong_words(std::nullopt, 0);
        outcome.require(wrong.ok() && *wrong == 0, "a page does not have its bytes");
        return outcome;
    }

    std::optional<bool> overlapped(const Run& run) override {
        if (row_.storm == Storm::no)
            return std::nullopt;
        return run.slot("reader", 1) > 0 && run.slot("seeker", 1) > 0;
    }

  protected:
    [[nodiscard]] std::optional<Allowed> may_differ(const Run& run) const override {
        return collapse_may_differ(collapse_errno(run));
    }

  private:
    [[nodiscard]] Seen look(Way how, std::size_t page) const {
        if (how == seek || how == mincore) {
            const Result<bool> missing =
                how == seek ? extent().seek_hole(page) : extent().absent(page);
            return !missing ? failed : *missing ? hole : data;
        }
        std::uint64_t value = 0;
        if (how == pread) {
            const Result<std::uint64_t> word = extent().read_word(page);
            if (!word)
                return failed;
            value = *word;
        } else {
            value = page_word({reinterpret_cast<const std::uint64_t*>(extent().address(page)),
                               extent().page_bytes() / sizeof(std::uint64_t)});
        }
        return value == extent().word(page) ? data : value == 0 ? zeroes : other;
    }

    // Looks at one present page after the other, in both ways by turns, until the collapse is done.
    // Reports the first look that was not data, and how many there were while it went on.
    Actor storm_reader(std::string_view name, std::size_t number, std::array<Way, 2> ways) {
        return {.name = name,
                .kind = Actor::Kind::thread,
                .cpu = 1,
                .body = [this, number, ways](ActorContext& me) {
                    std::int64_t looks = 0;
                    Seen worst = data;
                    std::size_t page = me.rng().below(hole_.size());
                    for (bool last = false; !last && !me.stopping();) {
                        last = collapsed_;
                        const bool during = collapsing_ && !last;
                        do
                            page = (page + 1) % hole_.size();
                        while (hole_[page]);
                        const Seen seen = look(ways.at(page % 2), page);
                        looks += during ? 1 : 0;
                        if (during)
                            looked_.at(number) = true;
                        worst = worst == data ? seen : worst;
                    }
                    me.report(0, worst);
                    me.report(1, looks);
                }};
    }

    const Row& row_;
    std::atomic<bool> collapsing_ = false;
    std::atomic<bool> collapsed_ = false;
    std::array<std::atomic<bool>, 2> looked_{}; // the reader, the seeker: during the collapse
};

// Before the fix the huge page was in the page cache, not up to date, while the copy went on.
constexpr std::string_view maintain_uptodate =
    "fixed by \"mm/khugepaged: maintain page cache uptodate flag\" (v6.4)";
constexpr KnownBug hole_seen = {
    .words = "reader=hole collapse=ok", .releases = "6.1", .fix = maintain_uptodate};
constexpr KnownBug hole_seen_in_storm = {.words = "reader=data seeker=hole collapse=ok|EAGAIN",
                                         .releases = "6.1",
                                         .fix = maintain_uptodate};

std::vector<Variant> variants() {
    std::vector<Variant> all;
    all.reserve(rows.size());
    for (const Row& row : rows) {
        const bool storm = row.storm != Storm::no;
        Variant variant = {
            .name = row.name,
            .about = row.about,
            .schedule = row.schedule,
            .expected = {{.words = storm ? "reader=data seeker=data" : "reader=data"}},
            .forced = !storm};
        if (!row.lock.empty()) {
            variant.exclusion = {.places = {row.lock}};
            variant.runs_divisor = 10; // an exclusion takes time to be sure of
        }
        if (row.hole_on_6_1)
            variant.known = {storm ? hole_seen_in_storm : hole_seen};
        if (storm)
            variant.chance = Chance{.overlaps = 20, .seconds = 60};
        all.push_back(std::move(variant));
    }
    return all;
}

std::vector<Control> controls() {
    std::vector<Control> all = {{.name = "page-missed",
                                 .about = "the reader's pread finds no page: zeroes",
                                 .variant = "pread-allocate",
                                 .produces = "reader=zeroes",
                                 .actions = {{.kind = FL_CONTROL_SKIP,
                                              .actor = "reader",
                                              .function = "shmem_get_folio_gfp"}},
                                 .kind = Control::Kind::comparison},
                                {.name = "seek-blind",
                                 .about = "SEEK_DATA finds no data (-ENXIO)",
                                 .variant = "seek-unmapped",
                                 .produces = "reader=hole",
                                 .actions = {{.kind = FL_CONTROL_SKIP,
                                              .actor = "reader",
                                              .function = "mapping_seek_hole_data",
                                              .value = static_cast<std::uint64_t>(-6)}},
                                 .kind = Control::Kind::comparison}};
    if (!in_series(running_release(), "6.1"))
        all.push_back({.name = "late-uptodate",
                       .about = "the huge page is in the page cache before it is up to date",
                       .variant = "mincore-retract",
                       .produces = "reader=hole",
                       .actions = {{.kind = FL_CONTROL_REPLACE,
                                    .actor = "collapser",
                                    .function = "folio_add_lru",
                                    .caller = "collapse_file",
                                    .replacement = "folio_add_lru_not_uptodate"},
                                   {.kind = FL_CONTROL_REPLACE,
                                    .actor = "collapser",
                                    .function = "folio_unlock",
                                    .caller = "collapse_file",
                                    .replacement = "folio_unlock_uptodate"}}});
    return all;
}

} // namespace

const Scenario& collapse_readers() {
    static const Scenario scenario = {
        .name = "collapse-readers",
        .family = "collapse-uffd",
        .claim = "a page that is present is never seen as a hole or as zeroes during a collapse",
        .source = "David Stevens, linux-mm, February 2023",
        .races = "collapse_file() against pread, faults, SEEK_DATA and mincore",
        .bad = "reader=hole or reader=zeroes for a page that was written before",
        .variants = variants(),
        .controls = controls(),
        .no_hazard_control = in_series(running_release(), "6.1") ? "6.1 has the hazard itself" : "",
        .needs = collapse_needs(),
        .make = [](const Variant& variant) -> std::unique_ptr<Experiment> {
            return std::make_unique<CollapseReaders>(row_of(rows, variant));
        },
    };
    return scenario;
}

} // namespace faultline
