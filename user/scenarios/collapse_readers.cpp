// SPDX-License-Identifier: GPL-2.0
// collapse-readers: who reads while a collapse goes on never misses a page that is there.
//
// Claim (David Stevens, linux-mm, February 2023): intermediate page cache state "can no longer be
// observed before the rollback of a failed collapse"; and with "mm/khugepaged: maintain page cache
// uptodate flag" (v6.4) the huge page is up to date before it is in the page cache. So a page that
// is present is never seen as a hole, and its bytes are never seen as zeroes.
//
// Who: the collapser, held at each window it has, or free in the storm variants; a reader, by
// pread(2), a load through a mapping, lseek(SEEK_DATA), mincore(2).
//     collapse_file()  against  shmem_file_read_iter(), shmem_fault(), mapping_seek_hole_data(),
//                               mincore_page()
//
// A bad outcome: hole or zeroes for a page that was written before the collapse began. Before 6.4
// the huge page stood in the page cache not up to date while the copy went on: SEEK_DATA and
// mincore saw holes.
//
// pread and loads lock the folio, so at the windows with locked folios they wait: excluded.
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

class CollapseReaders final : public CollapseExperiment {
  public:
    explicit CollapseReaders(std::string_view variant) : variant_(variant) {}

    std::vector<Actor> actors() override {
        if (!is("storm"))
            return {collapser(extent().address()),
                    {.name = "reader",
                     .kind = Actor::Kind::thread,
                     .cpu = 1,
                     .body = [this](ActorContext& me) {
                         if (!me.at("look"))
                             return;
                         me.report(0, look(kind(), touch_));
                         (void)me.at("looked").ok();
                     }}};
        Actor storming = collapser(extent().address());
        storming.body = [this, collapse = std::move(storming.body)](ActorContext& me) {
            collapsing_ = true;
            collapse(me);
            // With few pages a collapse has failed before anybody looked: again, for a while.
            for (unsigned again = 0; variant_ == "storm-fail" && again < most_collapses; ++again) {
                if (looked_.at(0) && looked_.at(1))
                    break;
                report_collapse(me, extent().collapse(extent().address()));
            }
            collapsed_ = true;
        };
        return {std::move(storming), storm_reader("reader", 0, {0, 1}),
                storm_reader("seeker", 1, {2, 3})};
    }

    Result<void> begin(Run& run) override {
        collapsing_ = false;
        collapsed_ = false;
        looked_.at(0) = looked_.at(1) = false;
        if (Result<void> laid = lay_out(draw_holes(run.rng())); !laid)
            return laid;
        touch_ = draw_page(run.rng());
        if (variant_ != "storm-fail")
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
            is("storm") ? std::vector<std::string_view>{"reader", "seeker"}
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
        if (!is("storm"))
            return std::nullopt;
        return run.slot("reader", 1) > 0 && run.slot("seeker", 1) > 0;
    }

  private:
    static constexpr std::array<std::string_view, 4> kinds = {"pread", "load", "seek", "mincore"};

    [[nodiscard]] bool is(std::string_view start) const { return variant_.starts_with(start); }
    [[nodiscard]] std::size_t kind() const {
        std::size_t index = 0;
        while (index + 1 < kinds.size() && !is(kinds.at(index)))
            ++index;
        return index;
    }

    [[nodiscard]] Seen look(std::size_t how, std::size_t page) const {
        if (how >= 2) {
            const Result<bool> missing =
                how == 2 ? extent().seek_hole(page) : extent().absent(page);
            return !missing ? failed : *missing ? hole : data;
        }
        std::uint64_t value = 0;
        if (how == 0) {
            const Result<std::uint64_t> word = extent().read_word(page);
            if (!word)
                return failed;
            value = *word;
        } else {
            value = *reinterpret_cast<volatile std::uint64_t*>(extent().address(page));
        }
        return value == extent().word(page) ? data : value == 0 ? zeroes : other;
    }

    // Looks at one present page after the other, in both ways by turns, until the collapse is done.
    // Reports the first look that was not data, and how many there were while it went on.
    Actor storm_reader(std::string_view name, std::size_t number, std::array<std::size_t, 2> ways) {
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

    std::string_view variant_;
    std::atomic<bool> collapsing_ = false;
    std::atomic<bool> collapsed_ = false;
    std::array<std::atomic<bool>, 2> looked_{}; // the reader, the seeker: during the collapse
};

KnownBug hole_seen(std::string_view words, bool by_chance = false) {
    return {.words = words,
            .releases = "6.1",
            .fix = "fixed by \"mm/khugepaged: maintain page cache uptodate flag\" (v6.4)",
            .rare = by_chance};
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
        .variants =
            {
                {.name = "pread-allocate",
                 .about = "pread, nothing scanned yet",
                 .schedule = at_allocate},
                {.name = "load-allocate", .about = "a load", .schedule = at_allocate},
                {.name = "seek-allocate", .about = "SEEK_DATA", .schedule = at_allocate},
                {.name = "mincore-allocate", .about = "mincore", .schedule = at_allocate},
                {.name = "seek-unmapped",
                 .about = "SEEK_DATA, old folios locked and unmapped",
                 .schedule = at_unmapped,
                 .known = {hole_seen("reader=hole collapse=ok")}},
                {.name = "mincore-unmapped",
                 .about = "mincore",
                 .schedule = at_unmapped,
                 .known = {hole_seen("reader=hole collapse=ok")}},
                {.name = "seek-retract",
                 .about = "SEEK_DATA, the huge page stored and locked",
                 .schedule = at_retract},
                {.name = "mincore-retract", .about = "mincore", .schedule = at_retract},
                {.name = "pread-unmapped",
                 .about = "pread waits for the lock of the old folio",
                 .schedule = at_unmapped,
                 .exclusion = {.places = {"folio_wait_bit_common < shmem_get_folio_gfp"}},
                 .runs_divisor = 10},
                {.name = "load-unmapped",
                 .about = "a load waits for the lock of the old folio",
                 .schedule = at_unmapped,
                 .exclusion = {.places = {"folio_wait_bit_common < shmem_get_folio_gfp"}},
                 .runs_divisor = 10},
                {.name = "storm-succeed",
                 .about = "two readers, four ways, during a collapse that succeeds",
                 .known = {hole_seen("reader=data seeker=hole", true)},
                 .forced = false,
                 .chance = {{.overlaps = 10, .seconds = 30}}},
                {.name = "storm-fail",
                 .about = "the same during one that fails and rolls back",
                 .known = {hole_seen("reader=data seeker=hole", true)},
                 .forced = false,
                 .chance = {{.overlaps = 10, .seconds = 30}}},
            },
        .controls =
            {
                {.name = "page-missed",
                 .about = "the reader's pread is told that there is no page: zeroes",
                 .variant = "pread-allocate",
                 .produces = "reader=zeroes",
                 // shmem_get_folio() is inlined into its caller, but not on s390x.
                 .actions = {{.kind = FL_CONTROL_SKIP,
                              .actor = "reader",
                              .function = "shmem_get_folio_gfp",
                              .caller = "shmem_file_read_iter",
                              .optional = true},
                             {.kind = FL_CONTROL_SKIP,
                              .actor = "reader",
                              .function = "shmem_get_folio",
                              .caller = "shmem_file_read_iter",
                              .optional = true}},
                 .kind = Control::Kind::comparison},
                {.name = "seek-blind",
                 .about = "SEEK_DATA says that there is no data (-ENXIO)",
                 .variant = "seek-unmapped",
                 .produces = "reader=hole",
                 .actions = {{.kind = FL_CONTROL_SKIP,
                              .actor = "reader",
                              .function = "mapping_seek_hole_data",
                              .value = static_cast<std::uint64_t>(-6)}},
                 .kind = Control::Kind::comparison},
            },
        .no_hazard_control =
            "what keeps readers off is the state of a folio, and no function that could be skipped",
        .needs = collapse_needs(),
        .make = [](const Variant& variant) -> std::unique_ptr<Experiment> {
            return std::make_unique<CollapseReaders>(variant.name);
        },
    };
    return scenario;
}

} // namespace faultline
