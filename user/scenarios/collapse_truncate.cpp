// SPDX-License-Identifier: GPL-2.0
// collapse-truncate: a file is truncated or punched while a collapse of it is under way.
//
// Claim (comment in collapse_file(): "The folio must be locked, so we can drop the i_pages lock
// without racing with truncate"): whatever the window, the outcome is that of one of the two serial
// orders. What was cut off is gone and reads as zeroes; what was not has its bytes; blocks are
// counted for the pages that exist and for no others; nothing is left when the file goes.
//
// Who: the collapser, held at each window it has; the truncator, by ftruncate(2) or by
// fallocate(FALLOC_FL_PUNCH_HOLE).
//     collapse_file()  against  shmem_undo_range()
//
// A bad outcome: bytes that were cut off come back when the file grows again, or blocks are leaked.
//
// In the *-waits variants the collapser is held until the truncation has ended. It cannot end: it
// sleeps on the lock of a folio. The order is excluded, and the report names the lock.
#include "scenarios/collapse_experiment.hpp"
#include "scenarios/list.hpp"

#include <cerrno>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

namespace faultline {

namespace {

constexpr std::string_view at_allocate =
    "collapser@enter:collapse_file/allocate -> truncator@user:cut; "
    "truncator@user:done -> collapser@enter:collapse_file/allocate";
constexpr std::string_view at_unmapped =
    "collapser@enter:collapse_file/unmapped -> truncator@user:cut; "
    "truncator@enter:shmem_undo_range -> collapser@enter:collapse_file/unmapped";
constexpr std::string_view at_retract =
    "collapser@enter:collapse_file/retract -> truncator@user:cut; "
    "truncator@enter:shmem_undo_range -> collapser@enter:collapse_file/retract";
constexpr std::string_view waits_unmapped =
    "collapser@enter:collapse_file/unmapped -> truncator@user:cut; "
    "truncator@user:done -> collapser@enter:collapse_file/unmapped";
constexpr std::string_view waits_retract =
    "collapser@enter:collapse_file/retract -> truncator@user:cut; "
    "truncator@user:done -> collapser@enter:collapse_file/retract";

class CollapseTruncate final : public CollapseExperiment {
  public:
    explicit CollapseTruncate(std::string_view variant) : variant_(variant) {}

    Result<void> prepare() override {
        if (Result<void> prepared = CollapseExperiment::prepare(); !prepared)
            return prepared;
        const Result<std::uint64_t> free = extent().free_blocks();
        if (!free)
            return free.error();
        empty_free_ = *free;
        return {};
    }

    std::vector<Actor> actors() override {
        Actor truncator = {.name = "truncator",
                           .kind = Actor::Kind::thread,
                           .cpu = 1,
                           .body = [this](ActorContext& me) {
                               if (!me.at("cut"))
                                   return;
                               me.report(0, cut() ? 0 : errno);
                               (void)me.at("done").ok();
                           }};
        return {collapser(extent().address()), std::move(truncator)};
    }

    Result<void> begin(Run& run) override {
        if (Result<void> laid = lay_out(draw_holes(run.rng())); !laid)
            return laid;
        touch_ = draw_page(run.rng());
        return {};
    }

    Outcome judge(Run& run) override {
        Outcome outcome;
        outcome.add("collapse", collapse_word(run));
        outcome.add("cut", run.slot("truncator", 0) == 0 ? "ok" : "-");
        outcome.require(collapse_errno(run).has_value(), "the collapse did not end");
        outcome.require(run.slot("truncator", 0) == 0, "the truncation failed");
        const Result<void> judged = judge_file(outcome);
        if (!judged)
            outcome.forbid(judged.error().to_string());
        return outcome;
    }

    [[nodiscard]] std::uint64_t corrupt_base() const override {
        return reinterpret_cast<std::uintptr_t>(extent().address());
    }

  private:
    [[nodiscard]] bool is(std::string_view operation) const {
        return variant_.starts_with(operation);
    }
    // The pages that the truncator takes away: first and one past the last.
    [[nodiscard]] std::pair<std::size_t, std::size_t> cut_pages() const {
        if (is("truncate-half"))
            return {extent().pages() / 2, extent().pages()};
        if (is("punch-page"))
            return {touch_, touch_ + 1};
        return {0, extent().pages()};
    }

    [[nodiscard]] bool cut() const {
        const auto [first, last] = cut_pages();
        const auto start = static_cast<off_t>(first * extent().page_bytes());
        const auto bytes = static_cast<off_t>((last - first) * extent().page_bytes());
        if (is("truncate"))
            return ::ftruncate(extent().file(), start) == 0;
        return ::fallocate(extent().file(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, start,
                           bytes) == 0;
    }

    Result<void> judge_file(Outcome& outcome) {
        const auto [first, last] = cut_pages();
        struct stat file {};
        if (::fstat(extent().file(), &file) != 0)
            return Error::last("fstat");
        const auto full = static_cast<off_t>(extent().bytes());
        const off_t size =
            is("truncate") ? static_cast<off_t>(first * extent().page_bytes()) : full;
        outcome.require(file.st_size == size, "the file has a size that nobody gave it");

        const Result<std::vector<bool>> absent = extent().absent_pages();
        const Result<Accounting> accounting = extent().accounting();
        if (!absent)
            return absent.error();
        if (!accounting)
            return accounting.error();
        const auto present =
            static_cast<std::uint64_t>(std::count(absent->begin(), absent->end(), false));
        const bool counted = accounting->file_blocks == present * (extent().page_bytes() / 512) &&
                             accounting->free_blocks + present == empty_free_;
        outcome.add("blocks", counted ? "exact" : "wrong");
        outcome.require(counted, "st_blocks or statfs does not count the pages that exist");

        // Grow it again: what was cut off must not come back.
        if (::ftruncate(extent().file(), full) != 0)
            return Error::last("ftruncate");
        std::size_t stale = 0;
        std::size_t lost = 0;
        for (std::size_t page = 0; page < extent().pages(); ++page) {
            const Result<std::uint64_t> word = extent().read_word(page);
            if (!word)
                return word.error();
            if (page >= first && page < last)
                stale += *word != 0 ? 1 : 0;
            else
                lost += *word != (hole_[page] ? 0 : extent().word(page)) ? 1 : 0;
        }
        outcome.add("cut-off", stale == 0 ? "gone" : "came-back");
        outcome.add("kept", lost == 0 ? "intact" : "changed");
        outcome.require(stale == 0, "bytes that were cut off came back");
        outcome.require(lost == 0, "a page that was not cut off does not have its bytes");

        extent().drop();
        const Result<std::uint64_t> free = extent().free_blocks();
        if (!free)
            return free.error();
        outcome.add("left", *free == empty_free_ ? "nothing" : "blocks");
        outcome.require(*free == empty_free_, "blocks are left when the file is gone");
        return {};
    }

    std::string_view variant_;
    std::uint64_t empty_free_ = 0;
};

std::vector<Variant> variants() {
    // Each operation at each window.
    std::vector<Variant> all = {
        {.name = "truncate-all-allocate", .about = "ftruncate to 0 before anything is scanned"},
        {.name = "truncate-half-allocate", .about = "ftruncate to the middle"},
        {.name = "punch-all-allocate", .about = "the whole extent is punched"},
        {.name = "punch-page-allocate", .about = "one page is punched"},
        {.name = "truncate-all-unmapped", .about = "ftruncate to 0, old folios locked"},
        {.name = "truncate-half-unmapped", .about = "ftruncate to the middle"},
        {.name = "punch-all-unmapped", .about = "the whole extent is punched"},
        {.name = "punch-page-unmapped", .about = "one page is punched"},
        {.name = "truncate-all-retract",
         .about = "ftruncate to 0, the huge page stored and locked"},
        {.name = "truncate-half-retract", .about = "ftruncate to the middle"},
        {.name = "punch-all-retract", .about = "the whole extent is punched"},
        {.name = "punch-page-retract", .about = "one page is punched"},
    };
    for (Variant& variant : all)
        variant.schedule = variant.name.ends_with("allocate")   ? at_allocate
                           : variant.name.ends_with("unmapped") ? at_unmapped
                                                                : at_retract;
    // An excluded order costs the time it takes to be sure.
    all.push_back({.name = "truncate-all-unmapped-waits",
                   .about = "ftruncate cannot end while the old folios are locked",
                   .schedule = waits_unmapped,
                   .exclusion = {.places = {"folio_wait_bit_common < shmem_undo_range"}},
                   .runs_divisor = 10});
    all.push_back({.name = "punch-all-retract-waits",
                   .about = "the punch cannot end while the huge page is locked",
                   .schedule = waits_retract,
                   .exclusion = {.places = {"folio_wait_bit_common < shmem_undo_range"}},
                   .runs_divisor = 10});
    return all;
}

} // namespace

const Scenario& collapse_truncate() {
    static const Scenario scenario = {
        .name = "collapse-truncate",
        .family = "collapse-uffd",
        .claim = "truncation and hole punch against a collapse end as one of the two serial orders",
        .source = "mm/khugepaged.c, comments of collapse_file()",
        .races = "collapse_file() against shmem_undo_range()",
        .bad = "cut-off=came-back, or blocks=wrong, or left=blocks",
        .variants = variants(),
        .controls =
            {
                {.name = "truncation-lost",
                 .about = "the page cache part of the truncation is not done",
                 .variant = "truncate-all-unmapped",
                 .produces = "cut-off=came-back",
                 .actions = {{.kind = FL_CONTROL_SKIP,
                              .actor = "truncator",
                              .function = "shmem_undo_range"}}},
                {.name = "corrupted-byte",
                 .about = "a byte of the first page is flipped when collapse_file() returns",
                 .variant = "punch-page-retract",
                 .produces = "kept=changed",
                 .actions = {{.kind = FL_CONTROL_CORRUPT,
                              .actor = "collapser",
                              .function = "collapse_file",
                              .value_is_address = true}},
                 .kind = Control::Kind::comparison},
            },
        .needs = collapse_needs(),
        .make = [](const Variant& variant) -> std::unique_ptr<Experiment> {
            return std::make_unique<CollapseTruncate>(variant.name);
        },
    };
    return scenario;
}

} // namespace faultline
