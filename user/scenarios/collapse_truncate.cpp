// SPDX-License-Identifier: GPL-2.0
// collapse-truncate: a file is truncated or punched while a collapse of it is under way.
//
// Claim (comment in collapse_file(): "The folio must be locked, so we can drop the i_pages lock
// without racing with truncate"): whatever the window, the outcome is that of one of the two serial
// orders. What was cut off is gone and reads as zeroes; what was not has its bytes; blocks are
// counted for the pages that exist and for no others; nothing is left when the file goes.
//
// Actors: the collapser, held at each window it has; the truncator, by ftruncate(2) or by
// fallocate(FALLOC_FL_PUNCH_HOLE).
//     collapse_file()  against  shmem_undo_range()
//
// A bad outcome: bytes that were cut off come back when the file grows again, or blocks are leaked.
//
// In the *-waits variants the collapser is held until the truncation has ended. It cannot end: it
// sleeps on the lock of a folio. In an extent without holes that lock alone protects the
// truncation: with holes, the re-check of collapse_file() counts what a truncation without it took
// away.
#include "kernel/series.hpp"
#include "scenarios/collapse_experiment.hpp"
#include "scenarios/list.hpp"

#include <array>
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

// A truncation sleeps here for the lock of a folio.
constexpr std::string_view folio_lock = "folio_wait_bit_common < shmem_undo_range";

enum class Cut { truncate_all, truncate_half, punch_all, punch_page };

struct Row {
    std::string_view name;
    std::string_view about;
    Cut cut;
    std::string_view schedule;
    bool waits = false; // the lock of a folio excludes the order
    bool full = false;  // no holes
};

// Each operation at each window.
constexpr std::array rows = {
    Row{"truncate-all-allocate", "ftruncate to 0 before any page is scanned", Cut::truncate_all,
        at_allocate},
    Row{"truncate-half-allocate", "ftruncate to the middle", Cut::truncate_half, at_allocate},
    Row{"punch-all-allocate", "the whole extent is punched", Cut::punch_all, at_allocate},
    Row{"punch-page-allocate", "one page is punched", Cut::punch_page, at_allocate},
    Row{"truncate-all-unmapped", "ftruncate to 0, old folios locked", Cut::truncate_all,
        at_unmapped},
    Row{"truncate-half-unmapped", "ftruncate to the middle", Cut::truncate_half, at_unmapped},
    Row{"punch-all-unmapped", "the whole extent is punched", Cut::punch_all, at_unmapped},
    Row{"punch-page-unmapped", "one page is punched", Cut::punch_page, at_unmapped},
    Row{"truncate-all-retract", "ftruncate to 0, the huge page stored and locked",
        Cut::truncate_all, at_retract},
    Row{"truncate-half-retract", "ftruncate to the middle", Cut::truncate_half, at_retract},
    Row{"punch-all-retract", "the whole extent is punched", Cut::punch_all, at_retract},
    Row{"punch-page-retract", "one page is punched", Cut::punch_page, at_retract},
    Row{"truncate-all-unmapped-waits", "ftruncate cannot end while the old folios are locked",
        Cut::truncate_all, waits_unmapped, true},
    Row{"punch-page-full-waits", "one page of an extent without holes: its folio is locked",
        Cut::punch_page, waits_unmapped, true, true},
    Row{"punch-all-retract-waits", "the punch cannot end while the huge page is locked",
        Cut::punch_all, waits_retract, true},
};

class CollapseTruncate final : public CollapseExperiment {
  public:
    explicit CollapseTruncate(const Row& row) : row_(row) {}

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
        std::vector<bool> holes(extent().pages(), false);
        if (!row_.full)
            holes = draw_holes(run.rng());
        if (Result<void> laid = lay_out(std::move(holes)); !laid)
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

  protected:
    [[nodiscard]] std::optional<Allowed> may_differ(const Run& run) const override {
        // A huge page that was cut before it was mapped is in the file, and the answer is EINVAL.
        const bool maybe = collapse_errno(run) == EINVAL;
        Allowed all = collapse_may_differ(maybe ? 0 : collapse_errno(run));
        const auto [first, last] = cut_pages();
        all.push_back({fmt::format("mapping * page {}-{} mincore", first, last - 1), "cut off"});
        all.push_back({fmt::format("file extent page {}-{} bytes", first, last - 1), "cut off"});
        if (truncates())
            all.push_back({"file extent st_size", "judge_file() knows the new one"});
        return all;
    }

  private:
    [[nodiscard]] bool truncates() const {
        return row_.cut == Cut::truncate_all || row_.cut == Cut::truncate_half;
    }
    // The pages that the truncator takes away: first and one past the last.
    [[nodiscard]] std::pair<std::size_t, std::size_t> cut_pages() const {
        if (row_.cut == Cut::truncate_half)
            return {extent().pages() / 2, extent().pages()};
        if (row_.cut == Cut::punch_page)
            return {touch_, touch_ + 1};
        return {0, extent().pages()};
    }

    [[nodiscard]] bool cut() const {
        const auto [first, last] = cut_pages();
        const auto start = static_cast<off_t>(first * extent().page_bytes());
        const auto bytes = static_cast<off_t>((last - first) * extent().page_bytes());
        if (truncates())
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
        const off_t size = truncates() ? static_cast<off_t>(first * extent().page_bytes()) : full;
        outcome.require(file.st_size == size, "the file does not have the size that was set");

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

    const Row& row_;
    std::uint64_t empty_free_ = 0;
};

// Without holes collapse_file() comes to `unmapped` only where TLBs are flushed in batches.
std::vector<Need> needs_of(const Row& row) {
    if (row.name != "punch-page-full-waits")
        return {};
    return {{"TLB flushes in batches", [] {
                 const bool batches =
                     running_machine() == "x86_64" || running_machine() == "aarch64";
                 return batches ? std::nullopt
                                : std::optional<std::string>(running_machine() + " has none");
             }}};
}

constexpr std::string_view exact_cut = "cut=ok blocks=exact cut-off=gone kept=intact left=nothing";

std::vector<Variant> variants() {
    std::vector<Variant> all;
    all.reserve(rows.size());
    for (const Row& row : rows) {
        Exclusion exclusion;
        if (row.waits)
            exclusion = {.places = {folio_lock}};
        // Either order may win: the collapse is free to succeed or to fail.
        all.push_back(
            {.name = row.name,
             .about = row.about,
             .schedule = row.schedule,
             .expected = {{.words = exact_cut}},
             .always = exact_cut,
             .exclusion = exclusion,
             .runs_divisor = row.waits ? 10U : 1U, // an exclusion takes time to be sure of
             .needs = needs_of(row)});
    }
    return all;
}

std::vector<Control> controls() {
    std::vector<Control> all = {
        {.name = "truncation-lost",
         .about = "the page cache part of the truncation is not done",
         .variant = "truncate-all-unmapped",
         .produces = "cut-off=came-back",
         .actions = {{.kind = FL_CONTROL_SKIP,
                      .actor = "truncator",
                      .function = "shmem_undo_range"}},
         .kind = Control::Kind::comparison},
        {.name = "corrupted-byte",
         .about = "a byte of the first page is flipped when collapse_file() returns",
         .variant = "punch-page-retract",
         .produces = "kept=changed",
         .actions = {{.kind = FL_CONTROL_CORRUPT,
                      .actor = "collapser",
                      .function = "collapse_file",
                      .value_is_address = true}},
         .kind = Control::Kind::comparison}};
    if (!in_series(running_release(), "6.1"))
        all.push_back({.name = "folio-lock-passed",
                       .about = "the punch does not wait for the lock of the folio",
                       .variant = "punch-page-full-waits",
                       .produces = "collapse=ok cut-off=came-back",
                       .actions = {{.kind = FL_CONTROL_REPLACE,
                                    .actor = "truncator",
                                    .function = "__folio_lock",
                                    .replacement = "shmem_folio_lock_passed"},
                                   {.kind = FL_CONTROL_SKIP,
                                    .actor = "truncator",
                                    .function = "folio_unlock",
                                    .caller = "shmem_undo_range"}}});
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
        .controls = controls(),
        .no_hazard_control = in_series(running_release(), "6.1")
                                 ? "on 6.1 no replacement of the lock was tried"
                                 : "",
        .needs = collapse_needs(),
        .make = [](const Variant& variant) -> std::unique_ptr<Experiment> {
            return std::make_unique<CollapseTruncate>(row_of(rows, variant));
        },
    };
    return scenario;
}

} // namespace faultline
