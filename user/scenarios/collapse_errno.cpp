// SPDX-License-Identifier: GPL-2.0
// collapse-errno: what MADV_COLLAPSE answers, and why, by kernel series.
//
// Claim: a table. madvise(2) documents EAGAIN and EBUSY in a sentence each; what a caller really
// gets is decided by madvise_collapse_errno() from the result of the scan (mm/khugepaged.c). Each
// row is brought about for real, and the word of the kernel's own tracepoint says why the call
// failed.
//
// Who: the collapser. In some rows also another actor who changes the page cache while the
// collapser is held, or who is held himself with folios locked or taken off the LRU.
//     madvise_collapse()  alone, or against  shmem_get_folio_gfp(), shmem_write_end(),
//     shmem_undo_range(), get_user_pages() or a second collapse_file()
//
// A bad outcome: another errno, or another reason, than the series is known to give. To a caller
// EAGAIN means "try again", EINVAL "never", so a wrong one is a loop or a lost huge page.
//
// Not brought about here: ALLOC_HUGE_PAGE_FAIL (ENOMEM) and CGROUP_CHARGE_FAIL (EBUSY) need a
// machine or a cgroup out of memory; PAGE_HAS_PRIVATE and PAGE_DIRTY_OR_WRITEBACK need a file
// system whose files collapse, which Debian has from 7.2; COPY_MC needs a memory error,
// STORE_FAILED a failed allocation of an xarray node.
#include "kernel/series.hpp"
#include "kernel/settings.hpp"
#include "scenarios/collapse_experiment.hpp"
#include "scenarios/list.hpp"

#include <array>
#include <cerrno>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <unistd.h>

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

namespace faultline {

namespace {

struct Answer {
    std::string_view series; // "" = every other
    std::string_view errno_word;
    std::string_view scan; // "" = not looked at: a success has one of several; "-" = no scan at all
};

constexpr std::string_view fill_inside =
    "collapser@enter:collapse_file/unmapped -> other@user:act; "
    "other@user:acted -> collapser@enter:collapse_file/unmapped";
constexpr std::string_view locked_by_other =
    "other@enter:collapse_file/unmapped -> collapser@user:start; "
    "collapser@user:collapsed -> other@enter:collapse_file/unmapped";
// The quick scan found nothing wrong; collapse_file() itself has yet to look.
constexpr std::string_view after_quick_scan =
    "collapser@enter:collapse_file/allocate -> other@user:act; "
    "other@user:acted -> collapser@enter:collapse_file/allocate";
// A write has the folio's lock from write_begin to write_end, and is held in between.
constexpr std::string_view locked_by_write =
    "collapser@enter:collapse_file/allocate -> other@user:act; "
    "other@enter:shmem_write_end -> collapser@enter:collapse_file/allocate; "
    "collapser@user:collapsed -> other@enter:shmem_write_end";

struct Row {
    std::string_view name;
    std::string_view about;
    std::array<Answer, 3> answers; // the first that fits
    std::string_view schedule = {};
    bool waits_on_6_1 = false; // there the schedule is excluded by a folio lock
    // The situation is up to chance, and where it did not arise the collapse succeeds: no overlap.
    bool by_chance = false;

    [[nodiscard]] bool expects_excluded() const {
        return waits_on_6_1 && in_series(running_release(), "6.1");
    }
    // Before 6.4 the huge page is in the page cache by then, locked.
    [[nodiscard]] Exclusion exclusion() const {
        if (!waits_on_6_1)
            return {};
        return {.places = {"folio_wait_bit_common < shmem_get_folio_gfp",
                           "folio_wait_bit_common < collapse_pte_mapped_thp"},
                .releases = "6.1"};
    }
};

constexpr std::array rows = {
    Row{"full", "every page present", {{{"", "ok", ""}}}},
    Row{"already-huge", "collapsed once before", {{{"", "ok", ""}}}},
    Row{"holes", "holes, nobody registered", {{{"", "ok", ""}}}},
    Row{"holes-registered",
        "holes under a MISSING userfaultfd; 6.1 fills them (see collapse-contract)",
        {{{"6.1", "ok", ""}, {"", "EBUSY", "exceed_none_pte"}}}},
    Row{"neighbour-registered",
        "a registered mapping of only the next extent's first page: the walk has an inclusive end",
        {{{"6.1", "ok", ""}, {"", "EBUSY", "exceed_none_pte"}}}},
    Row{"empty", "no page at all", {{{"", "EINVAL", "truncated"}}}},
    Row{"pinned",
        "a pipe holds a reference to one page",
        {{{"", "EAGAIN", "not_suitable_page_count"}}}},
    Row{"filled",
        "a hole is filled after the scan; before 6.4 that waits for the collapse",
        {{{"6.1", "ok", ""}, {"", "EAGAIN", "page_filled"}}},
        fill_inside,
        true},
    Row{"locked",
        "another collapse has taken the pages off the LRU; before 6.4 its huge page is waited for",
        {{{"6.1", "ok", ""}, {"", "EAGAIN", "page_not_in_lru"}}},
        locked_by_other,
        true},
    Row{"page-locked",
        "a write(2) of one page holds its folio's lock",
        {{{"", "EAGAIN", "page_locked"}}},
        locked_by_write},
    Row{"pinned-inside",
        "a pipe takes its reference after the quick scan",
        {{{"", "EAGAIN", "not_suitable_page_count"}}},
        after_quick_scan},
    Row{"new-page",
        "a hole is filled before the scan of collapse_file(): the page waits for the LRU in a "
        "CPU's batch, if it did not just fill the batch up",
        {{{"", "EAGAIN", "could_not_delete_page_from_lru"}}},
        after_quick_scan,
        false,
        true},
    Row{"truncated-inside",
        "the file is truncated to 0 after the quick scan",
        {{{"", "EINVAL", "truncated"}}},
        after_quick_scan},
    Row{"shmem-denied", "shmem_enabled is deny", {{{"", "EINVAL", "-"}}}},
    Row{"write-protected",
        "present pages under a write-protecting userfaultfd: collapsed, but not mapped",
        {{{"6.1", "EINVAL", "pte_uffd_wp"}, {"", "EINVAL", "pte_mapped_hugepage"}}}},
    Row{"anon-untouched", "anonymous memory that was never touched", {{{"", "EINVAL", "-"}}}},
    Row{"anon-full", "anonymous memory, every page present", {{{"", "ok", "succeeded"}}}},
    Row{"anon-sparse", "anonymous memory with one hole", {{{"", "ok", "succeeded"}}}},
    Row{"anon-pinned",
        "a pipe holds a reference to one page of anonymous memory",
        {{{"", "EAGAIN", "not_suitable_page_count"}}}},
    Row{"anon-holes-registered",
        "anonymous memory with holes under a MISSING userfaultfd",
        {{{"6.1", "EINVAL", "exceed_none_pte"}, {"", "EBUSY", "exceed_none_pte"}}}},
    Row{"anon-readonly",
        "anonymous memory mapped read-only",
        {{{"6.1", "EINVAL", "no_writable_page"},
          {"6.12", "EINVAL", "no_writable_page"},
          {"", "ok", ""}}}},
    Row{"anon-nohugepage", "MADV_NOHUGEPAGE", {{{"", "EINVAL", "-"}}}},
    Row{"anon-disabled", "PR_SET_THP_DISABLE", {{{"", "EINVAL", "-"}}}},
    Row{"inside-one-huge-page",
        "a range that touches no boundary of huge pages",
        {{{"6.1", "EINVAL", "-"}, {"6.12", "EINVAL", "-"}, {"", "ok", "-"}}}},
};

const Answer& answer_of(const Row& row) {
    for (const Answer& answer : row.answers)
        if (answer.series.empty() || in_series(running_release(), answer.series))
            return answer;
    return row.answers.front();
}

class CollapseErrno final : public CollapseExperiment {
  public:
    explicit CollapseErrno(const Row& row) : CollapseExperiment(2), row_(row) {}

    Result<void> prepare() override {
        if (Result<void> prepared = CollapseExperiment::prepare(); !prepared)
            return prepared;
        if (is("shmem-denied"))
            return set("/sys/kernel/mm/transparent_hugepage/shmem_enabled", "deny");
        // No huge page by a fault, and khugepaged at rest. MADV_COLLAPSE does not mind.
        if (is("anon") || is("inside"))
            return set("/sys/kernel/mm/transparent_hugepage/enabled", "never");
        return {};
    }

    std::vector<Actor> actors() override {
        const bool process = is("anon-disabled"); // the setting is the process's
        Actor calling =
            collapser(extent().address(), process ? Actor::Kind::process : Actor::Kind::thread);
        if (process)
            calling.body = [this, collapse = std::move(calling.body)](ActorContext& me) {
                if (::prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) != 0)
                    return me.fail(Error::last("prctl(PR_SET_THP_DISABLE)"));
                anonymous_collapse(me);
            };
        else if (is("anon") || is("inside"))
            calling.body = [this](ActorContext& me) { anonymous_collapse(me); };
        std::vector<Actor> all;
        all.push_back(std::move(calling));
        if (!row_.schedule.empty())
            all.push_back(other());
        return all;
    }

    Result<void> begin(Run& run) override {
        std::vector<bool> hole(extent().pages(), false);
        if (is("empty"))
            hole.assign(extent().pages(), true);
        // Where there is no TLB batch to flush, collapse_file/unmapped is reached with holes only.
        else if (is("holes") || is("neighbour") || is("filled") || is("locked") || is("new-page"))
            hole = draw_holes(run.rng());
        if (Result<void> laid = lay_out(hole); !laid)
            return laid;
        touch_ = is("filled") || is("new-page") ? draw_hole(run.rng())
                 : is("empty")                  ? 0
                                                : draw_page(run.rng());
        if (is("anon") || is("inside"))
            return lay_out_anonymous(run.rng());
        if (is("already-huge") && extent().collapse() != 0)
            return Error::last("the first collapse");
        if (row_.name == "pinned")
            return pin(touch_);
        if (is("holes-registered"))
            return with_userfaultfd(extent().other(), extent().bytes());
        if (is("neighbour"))
            return with_userfaultfd(extent().other() + extent().bytes(), extent().page_bytes());
        if (is("write-protected"))
            return with_userfaultfd(extent().address(), extent().bytes(), true);
        return {};
    }

    Outcome judge(Run& run) override {
        Outcome outcome;
        const Answer& answer = answer_of(row_);
        const std::string collapse = collapse_word(run);
        const std::string scan = scan_word(run);
        outcome.add("collapse", collapse).add("scan", scan);
        outcome.require(collapse != "-", "the collapse did not end");
        pinned_.clear();
        // The situation did not arise: the answer is to another one.
        if (!row_.schedule.empty() && !run.overlapped() &&
            !(row_.expects_excluded() && run.excluded()))
            return outcome;
        if (row_.by_chance && collapse == "ok")
            return outcome;
        outcome.require(collapse == answer.errno_word,
                        fmt::format("this series answers {} here", answer.errno_word));
        if (!answer.scan.empty())
            outcome.require(scan == answer.scan, fmt::format("the reason must be {}", answer.scan));
        return outcome;
    }

    std::optional<bool> overlapped(const Run& run) override {
        const std::optional<int> answer = collapse_errno(run);
        return answer.has_value() && !(row_.by_chance && *answer == 0);
    }

  private:
    [[nodiscard]] bool is(std::string_view start) const { return row_.name.starts_with(start); }

    Result<void> set(const std::string& path, std::string_view value) {
        Result<Setting> setting = Setting::set(path, value);
        if (!setting)
            return setting.error();
        setting_ = std::move(*setting);
        return {};
    }

    Result<void> with_userfaultfd(const char* start, std::size_t bytes, bool protect = false) {
        Result<Userfaultfd> opened = Userfaultfd::open();
        if (!opened)
            return opened.error();
        userfaultfd_ = std::move(*opened);
        return protect ? userfaultfd_.register_write_protect(start, bytes)
                       : userfaultfd_.register_missing(start, bytes);
    }

    // A pipe that was given a page by vmsplice(2) holds a reference to it.
    Result<void> pin(std::size_t page) {
        std::array<int, 2> ends{};
        if (::pipe2(ends.data(), O_CLOEXEC) != 0)
            return Error::last("pipe2");
        pinned_.clear();
        for (int end : ends)
            pinned_.emplace_back(end);
        iovec one{extent().address(page), extent().page_bytes()};
        if (::vmsplice(ends[1], &one, 1, 0) < 0)
            return Error::last("vmsplice");
        return {};
    }

    // At the extent's own addresses, in place of the file.
    Result<void> lay_out_anonymous(Rng& rng) {
        char* const at = extent().address();
        if (::mmap(at, extent().bytes(), PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
            return Error::last("mmap (anonymous)");
        if (!is("anon-untouched")) {
            const std::size_t hole = is("anon-holes") || is("anon-sparse")
                                         ? rng.below(extent().pages())
                                         : extent().pages();
            for (std::size_t page = 0; page < extent().pages(); ++page)
                if (page != hole)
                    *static_cast<volatile char*>(extent().address(page)) = 1;
        }
        if (is("anon-nohugepage") && ::madvise(at, extent().bytes(), MADV_NOHUGEPAGE) != 0)
            return Error::last("madvise(MADV_NOHUGEPAGE)");
        if (is("anon-readonly") && ::mprotect(at, extent().bytes(), PROT_READ) != 0)
            return Error::last("mprotect");
        if (is("anon-holes"))
            return with_userfaultfd(at, extent().bytes());
        if (is("anon-pinned"))
            return pin(touch_);
        return {};
    }

    void anonymous_collapse(ActorContext& me) {
        const bool inside = is("inside");
        const std::size_t page = extent().page_bytes();
        const int failed = ::madvise(extent().address() + (inside ? page : 0),
                                     inside ? 2 * page : extent().bytes(), MADV_COLLAPSE);
        report_collapse(me, failed == 0 ? 0 : errno);
    }

    // What the other actor does to the file while the collapser is held.
    Result<void> act() {
        if (is("pinned"))
            return pin(touch_);
        if (is("truncated"))
            return ::ftruncate(extent().file(), 0) == 0 ? Result<void>() : Error::last("ftruncate");
        return extent().write_word(touch_, 1);
    }

    // Acts, or is a collapser too.
    Actor other() {
        return {.name = "other",
                .kind = Actor::Kind::thread,
                .cpu = 1,
                .body = [this](ActorContext& me) {
                    if (is("locked")) {
                        (void)extent().collapse(extent().other());
                        return;
                    }
                    if (!me.at("act"))
                        return;
                    if (const Result<void> done = act(); !done)
                        return me.fail(done.error());
                    (void)me.at("acted").ok();
                }};
    }

    const Row& row_;
    std::vector<Fd> pinned_;
    Setting setting_; // restored when the variant ends
};

std::vector<Need> needs_of(const Row& row) {
    if (row.name == "write-protected")
        return {{"userfaultfd write protection", missing_write_protect}};
    return {};
}

std::vector<Variant> variants() {
    std::vector<Variant> all;
    all.reserve(std::size(rows));
    for (const Row& row : rows)
        all.push_back({.name = row.name,
                       .about = row.about,
                       .schedule = row.schedule,
                       .exclusion = row.exclusion(),
                       .forced = !row.schedule.empty() && !row.by_chance,
                       .chance = row.by_chance ? std::optional<Chance>({10, 30}) : std::nullopt,
                       .runs_divisor = row.expects_excluded() ? 10U : 1U, // each takes its time
                       .needs = needs_of(row)});
    return all;
}

std::vector<Control> controls() {
    std::vector<Control> all = {{.name = "scan-denied",
                                 .about = "the scan of the file is skipped and says: failed",
                                 .variant = "full",
                                 .produces = "collapse=EINVAL scan=-",
                                 .actions = {{.kind = FL_CONTROL_SKIP,
                                              .actor = "collapser",
                                              .function = "collapse_scan_file"}},
                                 .kind = Control::Kind::comparison}};
    // 6.1 has no check that could be blinded.
    if (!in_series(running_release(), "6.1"))
        all.push_back({.name = "blind-to-userfaultfd",
                       .about = "collapse_file() finds no mapping in the range it checks",
                       .variant = "holes-registered",
                       .produces = "collapse=ok",
                       .actions = {{.kind = FL_CONTROL_REPLACE,
                                    .actor = "collapser",
                                    .function = "i_mmap_first",
                                    .caller = "collapse_file",
                                    .replacement = "iter_first_point_only"}}});
    return all;
}

} // namespace

const Scenario& collapse_errno() {
    static const Scenario scenario = {
        .name = "collapse-errno",
        .family = "collapse-uffd",
        .claim = "MADV_COLLAPSE answers each situation with the errno and the reason of its series",
        .source = "madvise_collapse_errno() in mm/khugepaged.c",
        .races = "madvise_collapse(), in two rows against another actor",
        .bad = "another errno or another reason",
        .variants = variants(),
        .controls = controls(),
        .needs = collapse_needs(),
        .make = [](const Variant& variant) -> std::unique_ptr<Experiment> {
            return std::make_unique<CollapseErrno>(row_of(rows, variant));
        },
    };
    return scenario;
}

} // namespace faultline
