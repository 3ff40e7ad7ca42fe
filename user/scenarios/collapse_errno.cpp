// SPDX-License-Identifier: GPL-2.0
// collapse-errno: what MADV_COLLAPSE answers, and why, by kernel series.
//
// Claim: a table. madvise(2) documents EAGAIN and EBUSY in a sentence each; what a caller really
// gets is decided by madvise_collapse_errno() from the result of the scan (mm/khugepaged.c). Each
// row is brought about for real, and the word of the kernel's own tracepoint says why the call
// failed.
//
// Who: the collapser. In two rows also another actor who changes the page cache while the collapser
// is held, or who holds folio locks himself.
//     madvise_collapse()  alone, or against  shmem_get_folio_gfp() or a second collapse_file()
//
// A bad outcome: another errno, or another reason, than the series is known to give. To a caller
// EAGAIN means "try again", EINVAL "never", so a wrong one is a loop or a lost huge page.
//
// Not brought about here: ALLOC_HUGE_PAGE_FAIL (ENOMEM) and CGROUP_CHARGE_FAIL (EBUSY) need a
// machine out of memory; PAGE_HAS_PRIVATE and PAGE_DIRTY_OR_WRITEBACK need a file system whose
// files collapse, which Debian has from 7.2; DEL_PAGE_LRU needs a page that reclaim isolates at
// that very moment.
#include "kernel/series.hpp"
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

struct Row {
    std::string_view name;
    std::string_view about;
    std::array<Answer, 3> answers; // the first that fits
    std::string_view schedule = {};
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
        fill_inside},
    Row{"locked",
        "another collapse has taken the pages off the LRU; before 6.4 its huge page is waited for",
        {{{"6.1", "ok", ""}, {"", "EAGAIN", "page_not_in_lru"}}},
        locked_by_other},
    Row{"write-protected",
        "present pages under a write-protecting userfaultfd: collapsed, but not mapped",
        {{{"6.1", "EINVAL", "pte_uffd_wp"}, {"", "EINVAL", "pte_mapped_hugepage"}}}},
    Row{"anon-untouched", "anonymous memory that was never touched", {{{"", "EINVAL", "-"}}}},
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

const Row& row_of(std::string_view name) {
    for (const Row& row : rows)
        if (row.name == name)
            return row;
    return rows.front();
}

const Answer& answer_of(const Row& row) {
    for (const Answer& answer : row.answers)
        if (answer.series.empty() || in_series(running_release(), answer.series))
            return answer;
    return row.answers.front();
}

class CollapseErrno final : public CollapseExperiment {
  public:
    explicit CollapseErrno(std::string_view row) : CollapseExperiment(2), row_(row_of(row)) {}

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
        else if (is("holes") || is("neighbour") || is("filled"))
            hole = draw_holes(run.rng());
        if (Result<void> laid = lay_out(hole); !laid)
            return laid;
        if (is("filled"))
            touch_ = draw_hole(run.rng());
        if (is("anon") || is("inside"))
            return lay_out_anonymous(run.rng());
        if (is("already-huge") && extent().collapse() != 0)
            return Error::last("the first collapse");
        if (is("pinned"))
            return pin(run.rng().below(extent().pages()));
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
        outcome.require(collapse == answer.errno_word,
                        fmt::format("this series answers {} here", answer.errno_word));
        if (!answer.scan.empty())
            outcome.require(scan == answer.scan, fmt::format("the reason must be {}", answer.scan));
        pinned_.clear();
        return outcome;
    }

    std::optional<bool> overlapped(const Run& run) override {
        return collapse_errno(run).has_value();
    }

  private:
    [[nodiscard]] bool is(std::string_view start) const { return row_.name.starts_with(start); }

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
        // No huge page by fault: it would be there before the collapse.
        if (::madvise(at, extent().bytes(), MADV_NOHUGEPAGE) != 0)
            return Error::last("madvise(MADV_NOHUGEPAGE)");
        if (!is("anon-untouched")) {
            const std::size_t hole =
                is("anon-holes") ? rng.below(extent().pages()) : extent().pages();
            for (std::size_t page = 0; page < extent().pages(); ++page)
                if (page != hole)
                    *static_cast<volatile char*>(extent().address(page)) = 1;
        }
        if (!is("anon-nohugepage") && ::madvise(at, extent().bytes(), MADV_HUGEPAGE) != 0)
            return Error::last("madvise(MADV_HUGEPAGE)");
        if (is("anon-readonly") && ::mprotect(at, extent().bytes(), PROT_READ) != 0)
            return Error::last("mprotect");
        if (is("anon-holes"))
            return with_userfaultfd(at, extent().bytes());
        return {};
    }

    void anonymous_collapse(ActorContext& me) {
        const bool inside = is("inside");
        const std::size_t page = extent().page_bytes();
        const int failed = ::madvise(extent().address() + (inside ? page : 0),
                                     inside ? 2 * page : extent().bytes(), MADV_COLLAPSE);
        report_collapse(me, failed == 0 ? 0 : errno);
    }

    // Fills the hole, or is a collapser too.
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
                    if (const Result<void> done = extent().write_word(touch_, 1); !done)
                        return me.fail(done.error());
                    (void)me.at("acted").ok();
                }};
    }

    const Row& row_;
    std::vector<Fd> pinned_;
};

std::vector<Variant> variants() {
    std::vector<Variant> all;
    for (const Row& row : rows)
        all.push_back(
            {.name = row.name,
             .about = row.about,
             .schedule = row.schedule,
             .forced = !row.schedule.empty(),
             .expects_excluded = !row.schedule.empty() && in_series(running_release(), "6.1")});
    return all;
}

std::vector<Control> controls() {
    std::vector<Control> all = {
        {.name = "scan-denied",
         .about = "the scan of the file is skipped and says: failed",
         .variant = "full",
         .actions = {
             {.kind = FL_CONTROL_SKIP, .actor = "collapser", .function = "collapse_scan_file"}}}};
    // 6.1 has no check that could be blinded.
    if (!in_series(running_release(), "6.1"))
        all.push_back({.name = "blind-to-userfaultfd",
                       .about = "collapse_file() finds no mapping in the range it checks",
                       .variant = "holes-registered",
                       .actions = {{.kind = FL_CONTROL_REPLACE,
                                    .actor = "collapser",
                                    .function = "vma_interval_tree_iter_first",
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
            return std::make_unique<CollapseErrno>(variant.name);
        },
    };
    return scenario;
}

} // namespace faultline
