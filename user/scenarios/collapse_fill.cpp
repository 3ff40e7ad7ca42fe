// SPDX-License-Identifier: GPL-2.0
// collapse-fill: a hole is filled while a collapse has counted it as a hole.
//
// Claim (David Stevens, linux-mm, February 2023): "There is also now a window during MADV_COLLAPSE
// where a fault on a missing page will cause the syscall to fail with EAGAIN." And nothing else:
// the bytes that filled the hole are kept.
//
// Actors: the collapser, held between its scan and its re-check; the filler, by pwrite(2), by a
// store through a mapping, or by UFFDIO_COPY.
//     collapse_file() between try_to_unmap_flush() and its count of XA_RETRY_ENTRYs
//         against  shmem_get_folio_gfp() or shmem_mfill_atomic_pte()
//
// A bad outcome: the filler's call succeeded and its bytes are not in the file, or any other page
// changed. Before 6.4 the huge page is in the page cache already, locked: pwrite and a
// store wait for it (excluded), and UFFDIO_COPY finds the page present (EEXIST).
#include "kernel/series.hpp"
#include "scenarios/collapse_experiment.hpp"
#include "scenarios/list.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <fmt/format.h>
#include <unistd.h>

namespace faultline {

namespace {

constexpr std::string_view inside = "collapser@enter:collapse_file/unmapped -> filler@user:fill; "
                                    "filler@user:filled -> collapser@enter:collapse_file/unmapped";
constexpr std::uint64_t filler_word = 0xf111f111f111f111;

enum class How { pwrite, store, uffdio_copy };

struct Row {
    std::string_view name;
    std::string_view about;
    How how;
    std::string_view on_6_1;    // there the huge page is in the page cache by then, locked
    std::string_view lock = {}; // its place on 6.1
};

constexpr std::array rows = {
    Row{"pwrite", "the hole is filled by pwrite(2)", How::pwrite, "fill=ok collapse=ok data=intact",
        "folio_wait_bit_common < shmem_write_begin"},
    Row{"store", "by a store through another mapping", How::store,
        "fill=ok collapse=ok data=intact", "folio_wait_bit_common < shmem_fault"},
    Row{"uffdio-copy", "by UFFDIO_COPY into a registered mapping", How::uffdio_copy,
        "fill=EEXIST collapse=ok data=intact"},
};

class CollapseFill final : public CollapseExperiment {
  public:
    explicit CollapseFill(const Row& row) : row_(row) {}

    Result<void> prepare() override {
        if (Result<void> prepared = CollapseExperiment::prepare(); !prepared)
            return prepared;
        source_.assign(extent().page_bytes() / sizeof(std::uint64_t), 0);
        source_[0] = filler_word;
        return {};
    }

    std::vector<Actor> actors() override {
        Actor filler = {.name = "filler",
                        .kind = Actor::Kind::thread,
                        .cpu = 1,
                        .body = [this](ActorContext& me) {
                            if (!me.at("fill"))
                                return;
                            me.report(0, fill());
                            (void)me.at("filled").ok();
                        }};
        return {collapser(extent().address()), std::move(filler)};
    }

    Result<void> begin(Run& run) override {
        if (Result<void> laid = lay_out(draw_holes(run.rng())); !laid)
            return laid;
        touch_ = draw_hole(run.rng());
        if (row_.how != How::uffdio_copy)
            return {};
        Result<Userfaultfd> opened = Userfaultfd::open();
        if (!opened)
            return opened.error();
        userfaultfd_ = std::move(*opened);
        return userfaultfd_.register_missing(extent().other(), extent().bytes());
    }

    Outcome judge(Run& run) override {
        Outcome outcome;
        const std::int64_t filled = run.slot("filler", 0);
        const std::string collapse = collapse_word(run);
        const std::string scan = scan_word(run);
        const Result<std::size_t> wrong = wrong_words(touch_, filled == 0 ? filler_word : 0);
        outcome.add("fill", filled == unreported ? "-"
                            : filled == 0        ? "ok"
                                                 : strerrorname_np(static_cast<int>(filled)));
        outcome.add("collapse", collapse).add("scan", scan);
        outcome.add("data", wrong.ok() && *wrong == 0 ? "intact" : "changed");
        outcome.require(filled != unreported && collapse != "-",
                        "an actor did not come to its end");
        outcome.require(wrong.ok() && *wrong == 0, "a page does not have the bytes written to it");
        return outcome;
    }

    [[nodiscard]] std::uint64_t corrupt_base() const override {
        return reinterpret_cast<std::uintptr_t>(extent().address());
    }

  protected:
    [[nodiscard]] std::optional<Allowed> may_differ(const Run& run) const override {
        Allowed all = collapse_may_differ(collapse_errno(run));
        all.push_back({fmt::format("mapping * page {} mincore", touch_), "the filler fills it"});
        all.push_back({fmt::format("file extent page {} bytes", touch_), "the filler's"});
        return all;
    }

  private:
    // 0, or the errno.
    std::int64_t fill() {
        if (row_.how == How::pwrite) {
            const Result<void> written = extent().write_word(touch_, filler_word);
            return written ? 0 : written.error().number;
        }
        if (row_.how == How::store) {
            *reinterpret_cast<volatile std::uint64_t*>(extent().other(touch_)) = filler_word;
            return 0;
        }
        const Result<void> copied =
            userfaultfd_.copy(extent().other(touch_), source_.data(), extent().page_bytes());
        return copied ? 0 : copied.error().number;
    }

    const Row& row_;
    std::vector<std::uint64_t> source_; // a page for UFFDIO_COPY
};

std::vector<Variant> variants() {
    std::vector<Variant> all;
    all.reserve(rows.size());
    for (const Row& row : rows) {
        Exclusion exclusion;
        if (!row.lock.empty())
            exclusion = {.places = {row.lock}, .releases = "6.1"};
        all.push_back(
            {.name = row.name,
             .about = row.about,
             .schedule = inside,
             .expected = {{.words = "fill=ok collapse=EAGAIN scan=page_filled data=intact",
                           .releases = "6.12, 7.2, 7.3"},
                          {.words = row.on_6_1, .releases = "6.1"}},
             .always = "data=intact",
             .exclusion = exclusion});
    }
    return all;
}

std::vector<Control> controls() {
    std::vector<Control> all = {
        {.name = "corrupted-byte",
         .about = "a byte of the first page is flipped when collapse_file() returns",
         .variant = "pwrite",
         .produces = "data=changed",
         .actions = {{.kind = FL_CONTROL_CORRUPT,
                      .actor = "collapser",
                      .function = "collapse_file",
                      .value_is_address = true}},
         .kind = Control::Kind::comparison}};
    if (!in_series(running_release(), "6.1"))
        all.push_back({.name = "blind-re-check",
                       .about = "the re-check counts the filled page as a hole",
                       .variant = "pwrite",
                       .produces = "fill=ok collapse=ok data=changed",
                       .actions = {{.kind = FL_CONTROL_REPLACE,
                                    .actor = "collapser",
                                    .function = "down_read",
                                    .caller = "collapse_file",
                                    .replacement = "i_mmap_lock_forget_filled"}}});
    return all;
}

} // namespace

const Scenario& collapse_fill() {
    static const Scenario scenario = {
        .name = "collapse-fill",
        .family = "collapse-uffd",
        .claim =
            "a hole filled during a collapse makes it fail with EAGAIN, and every byte is kept",
        .source = "David Stevens, Peter Xu, linux-mm, February 2023",
        .races = "collapse_file() against shmem_get_folio_gfp() and shmem_mfill_atomic_pte()",
        .bad = "data=changed: bytes that were written are not in the file",
        .variants = variants(),
        .controls = controls(),
        .no_hazard_control =
            in_series(running_release(), "6.1") ? "6.1 has no re-check that could be blinded" : "",
        .needs = collapse_needs(),
        .make = [](const Variant& variant) -> std::unique_ptr<Experiment> {
            return std::make_unique<CollapseFill>(row_of(rows, variant));
        },
    };
    return scenario;
}

} // namespace faultline
