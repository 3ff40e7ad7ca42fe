// SPDX-License-Identifier: GPL-2.0
// collapse-errno: the errno of MADV_COLLAPSE, and its reason, by kernel series.
//
// Claim: a table. madvise(2) documents EAGAIN and EBUSY in a sentence each;
// madvise_collapse_errno() decides from the result of the scan (mm/khugepaged.c). Each row makes
// its situation for real, and the kernel's own tracepoint says why the call failed.
//
// Actors: the collapser. In some rows also another actor, which changes the page cache while the
// collapser is held, or is held itself with folios locked or taken off the LRU.
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

class CollapseErrno;

enum class Holes { none, drawn, all };
enum class Memory { file, anonymous, untouched, with_hole };

constexpr std::string_view any;
constexpr std::string_view before_6_4 = "6.1";
constexpr std::string_view since_6_4 = "6.12, 7.2, 7.3";
constexpr std::string_view until_6_12 = "6.1, 6.12";
constexpr std::string_view since_7 = "7.2, 7.3";

// One of these holds for each series. scan=- is no scan at all; a success has one of several.
using Answers = std::array<Expected, 2>;
constexpr Answers everywhere(std::string_view words) { return {{{words, any}, {}}}; }
constexpr Answers split(std::string_view first, std::string_view releases, std::string_view later,
                        std::string_view later_releases) {
    return {{{first, releases}, {later, later_releases}}};
}
constexpr std::string_view ok = "collapse=ok";
constexpr std::string_view unscanned = "collapse=EINVAL scan=-";
constexpr std::string_view count_wrong = "collapse=EAGAIN scan=not_suitable_page_count";
constexpr std::string_view under_userfaultfd = "collapse=EBUSY scan=exceed_none_pte";

constexpr std::string_view fill_inside =
    "collapser@enter:collapse_file/unmapped -> other@user:act; "
    "other@user:acted -> collapser@enter:collapse_file/unmapped";
// The collapser maps a page before it starts: that must not wait for the other's folio locks.
constexpr std::string_view locked_by_other =
    "collapser@user:mapped -> other@user:act; "
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
    Answers answers;
    std::string_view schedule = {};
    std::string_view lock_on_6_1 = {}; // there the lock of the new huge page excludes the order
    // The situation is up to chance, and where it did not arise the collapse succeeds: no overlap.
    bool by_chance = false;
    Holes holes = Holes::none; // of the file
    bool at_hole = false;      // the page that is acted on
    Memory memory = Memory::file;
    Result<void> (CollapseErrno::*set_up)() = nullptr; // in each run, before the actors start
    Result<void> (CollapseErrno::*act)() = nullptr;    // of the other actor, in its time
    std::string_view setting = {};                     // below transparent_hugepage/
    std::string_view value = {};
    bool thp_disabled = false;  // the collapser is a process with PR_SET_THP_DISABLE
    bool two_pages = false;     // that much is collapsed, from the second page on
    bool write_protect = false; // needs that of userfaultfd
};

class CollapseErrno final : public CollapseExperiment {
  public:
    explicit CollapseErrno(const Row& row) : CollapseExperiment(2), row_(row) {}

    Result<void> prepare() override {
        if (Result<void> prepared = CollapseExperiment::prepare(); !prepared)
            return prepared;
        if (!row_.setting.empty())
            return set(row_.setting, row_.value);
        // No huge page by a fault, and khugepaged at rest. MADV_COLLAPSE does not mind.
        return anonymous() ? set("enabled", "never") : Result<void>();
    }

    std::vector<Actor> actors() override {
        Actor calling = collapser(extent().address(),
                                  row_.thp_disabled ? Actor::Kind::process : Actor::Kind::thread);
        if (anonymous())
            calling.body = [this](ActorContext& me) {
                // The setting is the process's own.
                if (row_.thp_disabled && ::prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) != 0)
                    return me.fail(Error::last("prctl(PR_SET_THP_DISABLE)"));
                anonymous_collapse(me);
            };
        std::vector<Actor> all;
        all.push_back(std::move(calling));
        if (!row_.schedule.empty())
            all.push_back(other());
        return all;
    }

    Result<void> begin(Run& run) override {
        std::vector<bool> hole(extent().pages(), row_.holes == Holes::all);
        // Where there is no TLB batch to flush, collapse_file/unmapped is reached with holes only.
        if (row_.holes == Holes::drawn)
            hole = draw_holes(run.rng());
        if (Result<void> laid = lay_out(hole); !laid)
            return laid;
        touch_ = row_.at_hole               ? draw_hole(run.rng())
                 : row_.holes == Holes::all ? 0
                                            : draw_page(run.rng());
        if (anonymous())
            if (Result<void> laid = lay_out_anonymous(run.rng()); !laid)
                return laid;
        return row_.set_up == nullptr ? Result<void>() : (this->*row_.set_up)();
    }

    Outcome judge(Run& run) override {
        Outcome outcome;
        outcome.add("collapse", collapse_word(run)).add("scan", scan_word(run));
        outcome.require(collapse_errno(run).has_value(), "the collapse did not end");
        pinned_.clear();
        return outcome;
    }

    std::optional<bool> overlapped(const Run& run) override {
        const std::optional<int> answer = collapse_errno(run);
        return answer.has_value() && !(row_.by_chance && *answer == 0);
    }

    // What makes a row's situation: the row says which, and when.
    Result<void> collapse_first() {
        return extent().collapse() == 0 ? Result<void>() : Error::last("the first collapse");
    }
    Result<void> pin_page() { return pin(touch_); }
    Result<void> register_other() { return with_userfaultfd(extent().other(), extent().bytes()); }
    Result<void> register_neighbour() {
        return with_userfaultfd(extent().other() + extent().bytes(), extent().page_bytes());
    }
    Result<void> register_own() { return with_userfaultfd(extent().address(), extent().bytes()); }
    Result<void> write_protect() {
        return with_userfaultfd(extent().address(), extent().bytes(), true);
    }
    Result<void> forbid_huge_pages() {
        return ::madvise(extent().address(), extent().bytes(), MADV_NOHUGEPAGE) == 0
                   ? Result<void>()
                   : Error::last("madvise(MADV_NOHUGEPAGE)");
    }
    Result<void> make_readonly() {
        return ::mprotect(extent().address(), extent().bytes(), PROT_READ) == 0
                   ? Result<void>()
                   : Error::last("mprotect");
    }
    Result<void> truncate() {
        return ::ftruncate(extent().file(), 0) == 0 ? Result<void>() : Error::last("ftruncate");
    }
    Result<void> write_page() { return extent().write_word(touch_, 1); }

  protected:
    [[nodiscard]] std::optional<Allowed> may_differ(const Run& run) const override {
        // Where the other actor is a collapse, too, its answer is not known. Where the mapping is
        // write-protected, the huge page is in the file, and the answer is that it is not mapped.
        const bool two = !row_.schedule.empty() && row_.act == nullptr;
        Allowed all = collapse_may_differ(two || row_.write_protect ? 0 : collapse_errno(run));
        const std::string page = std::to_string(touch_);
        if (row_.act == &CollapseErrno::write_page) {
            all.push_back({"mapping * page " + page + " mincore", "the other actor fills it"});
            all.push_back({"file extent page " + page + " bytes", "the other actor's"});
        }
        if (row_.act == &CollapseErrno::truncate)
            for (const char* words :
                 {"mapping * page * mincore", "file extent page", "file extent st_size"})
                all.push_back({words, "the other actor cuts the file"});
        if (row_.write_protect)
            for (const char* bit : {"uffd-wp", "swapped"})
                all.push_back({fmt::format("mapping own page * pagemap-{}", bit),
                               "an entry that is taken leaves its mark, which counts as swap"});
        if (anonymous())
            for (const char* words :
                 {"mapping own smaps Anonymous", "mapping own smaps AnonHugePages"})
                all.push_back({words, "the collapse is of memory that is no file's"});
        return all;
    }
    [[nodiscard]] bool own_is_file() const override { return !anonymous(); }

  private:
    [[nodiscard]] bool anonymous() const { return row_.memory != Memory::file; }

    Result<void> set(std::string_view name, std::string_view value) {
        Result<Setting> setting =
            Setting::set("/sys/kernel/mm/transparent_hugepage/" + std::string(name), value);
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
        if (row_.memory == Memory::untouched)
            return {};
        const std::size_t hole =
            row_.memory == Memory::with_hole ? rng.below(extent().pages()) : extent().pages();
        for (std::size_t page = 0; page < extent().pages(); ++page)
            if (page != hole)
                *static_cast<volatile char*>(extent().address(page)) = 1;
        return {};
    }

    void anonymous_collapse(ActorContext& me) {
        const std::size_t page = extent().page_bytes();
        const int failed = ::madvise(extent().address() + (row_.two_pages ? page : 0),
                                     row_.two_pages ? 2 * page : extent().bytes(), MADV_COLLAPSE);
        report_collapse(me, failed == 0 ? 0 : errno);
    }

    // Acts, or is a collapser too.
    Actor other() {
        return {.name = "other",
                .kind = Actor::Kind::thread,
                .cpu = 1,
                .body = [this](ActorContext& me) {
                    if (!me.at("act"))
                        return;
                    if (row_.act == nullptr) {
                        (void)extent().collapse(extent().other());
                        return;
                    }
                    if (const Result<void> done = (this->*row_.act)(); !done)
                        return me.fail(done.error());
                    (void)me.at("acted").ok();
                }};
    }

    const Row& row_;
    std::vector<Fd> pinned_;
    Setting setting_; // restored when the variant ends
};

using E = CollapseErrno;

constexpr std::array rows = {
    Row{.name = "full", .about = "every page present", .answers = everywhere(ok)},
    Row{.name = "already-huge",
        .about = "collapsed once before",
        .answers = everywhere(ok),
        .set_up = &E::collapse_first},
    Row{.name = "holes",
        .about = "holes, nothing registered",
        .answers = everywhere(ok),
        .holes = Holes::drawn},
    Row{.name = "holes-registered",
        .about = "holes under a MISSING userfaultfd; 6.1 fills them (see collapse-contract)",
        .answers = split(ok, before_6_4, under_userfaultfd, since_6_4),
        .holes = Holes::drawn,
        .set_up = &E::register_other},
    Row{.name = "neighbour-registered",
        .about = "a registered mapping of only the next extent's first page: the walk has an "
                 "inclusive end",
        .answers = split(ok, before_6_4, under_userfaultfd, since_6_4),
        .holes = Holes::drawn,
        .set_up = &E::register_neighbour},
    Row{.name = "empty",
        .about = "no page at all",
        .answers = everywhere("collapse=EINVAL scan=truncated"),
        .holes = Holes::all},
    Row{.name = "pinned",
        .about = "a pipe holds a reference to one page",
        .answers = everywhere(count_wrong),
        .set_up = &E::pin_page},
    Row{.name = "filled",
        .about = "a hole is filled after the scan; before 6.4 that waits for the collapse",
        .answers = split(ok, before_6_4, "collapse=EAGAIN scan=page_filled", since_6_4),
        .schedule = fill_inside,
        .lock_on_6_1 = "folio_wait_bit_common < shmem_write_begin",
        .holes = Holes::drawn,
        .at_hole = true,
        .act = &E::write_page},
    Row{.name = "locked",
        .about = "another collapse has taken the pages off the LRU; before 6.4 its huge page is "
                 "waited for",
        .answers = split(ok, before_6_4, "collapse=EAGAIN scan=page_not_in_lru", since_6_4),
        .schedule = locked_by_other,
        .lock_on_6_1 = "folio_wait_bit_common < collapse_pte_mapped_thp",
        .holes = Holes::drawn},
    Row{.name = "page-locked",
        .about = "a write(2) of one page holds its folio's lock",
        .answers = everywhere("collapse=EAGAIN scan=page_locked"),
        .schedule = locked_by_write,
        .act = &E::write_page},
    Row{.name = "pinned-inside",
        .about = "a pipe takes its reference after the quick scan",
        .answers = everywhere(count_wrong),
        .schedule = after_quick_scan,
        .act = &E::pin_page},
    Row{.name = "new-page",
        .about = "a hole is filled before the scan of collapse_file(): the page waits for the LRU "
                 "in a CPU's batch, if it did not just fill the batch up",
        .answers = split("collapse=EAGAIN scan=could_not_delete_page_from_lru", any, ok, any),
        .schedule = after_quick_scan,
        .by_chance = true,
        .holes = Holes::drawn,
        .at_hole = true,
        .act = &E::write_page},
    Row{.name = "truncated-inside",
        .about = "the file is truncated to 0 after the quick scan",
        .answers = everywhere("collapse=EINVAL scan=truncated"),
        .schedule = after_quick_scan,
        .act = &E::truncate},
    Row{.name = "shmem-denied",
        .about = "shmem_enabled is deny",
        .answers = everywhere(unscanned),
        .setting = "shmem_enabled",
        .value = "deny"},
    Row{.name = "write-protected",
        .about = "present pages under a write-protecting userfaultfd: collapsed, but not mapped",
        .answers = split("collapse=EINVAL scan=pte_uffd_wp", before_6_4,
                         "collapse=EINVAL scan=pte_mapped_hugepage", since_6_4),
        .set_up = &E::write_protect,
        .write_protect = true},
    Row{.name = "anon-untouched",
        .about = "anonymous memory that was never touched",
        .answers = everywhere(unscanned),
        .memory = Memory::untouched},
    Row{.name = "anon-full",
        .about = "anonymous memory, every page present",
        .answers = everywhere("collapse=ok scan=succeeded"),
        .memory = Memory::anonymous},
    Row{.name = "anon-sparse",
        .about = "anonymous memory with one hole",
        .answers = everywhere("collapse=ok scan=succeeded"),
        .memory = Memory::with_hole},
    Row{.name = "anon-pinned",
        .about = "a pipe holds a reference to one page of anonymous memory",
        .answers = everywhere(count_wrong),
        .memory = Memory::anonymous,
        .set_up = &E::pin_page},
    Row{.name = "anon-holes-registered",
        .about = "anonymous memory with holes under a MISSING userfaultfd",
        .answers =
            split("collapse=EINVAL scan=exceed_none_pte", before_6_4, under_userfaultfd, since_6_4),
        .memory = Memory::with_hole,
        .set_up = &E::register_own},
    Row{.name = "anon-readonly",
        .about = "anonymous memory mapped read-only",
        .answers = split("collapse=EINVAL scan=no_writable_page", until_6_12, ok, since_7),
        .memory = Memory::anonymous,
        .set_up = &E::make_readonly},
    Row{.name = "anon-nohugepage",
        .about = "MADV_NOHUGEPAGE",
        .answers = everywhere(unscanned),
        .memory = Memory::anonymous,
        .set_up = &E::forbid_huge_pages},
    Row{.name = "anon-disabled",
        .about = "PR_SET_THP_DISABLE",
        .answers = everywhere(unscanned),
        .memory = Memory::anonymous,
        .thp_disabled = true},
    Row{.name = "inside-one-huge-page",
        .about = "a range that touches no boundary of huge pages",
        .answers = split(unscanned, until_6_12, "collapse=ok scan=-", since_7),
        .memory = Memory::anonymous,
        .two_pages = true},
};

std::vector<Variant> variants() {
    std::vector<Variant> all;
    all.reserve(rows.size());
    const bool waits_here = in_series(running_release(), "6.1");
    for (const Row& row : rows) {
        Variant variant = {.name = row.name,
                           .about = row.about,
                           .schedule = row.schedule,
                           .forced = !row.schedule.empty()};
        for (const Expected& answer : row.answers)
            if (!answer.words.empty())
                variant.expected.push_back(answer);
        if (!row.lock_on_6_1.empty()) {
            variant.exclusion = {.places = {row.lock_on_6_1}, .releases = before_6_4};
            variant.runs_divisor = waits_here ? 10 : 1; // an exclusion takes time to be sure of
        }
        if (row.write_protect)
            variant.needs = {{"userfaultfd write protection", missing_write_protect}};
        all.push_back(std::move(variant));
    }
    return all;
}

std::vector<Control> controls() {
    std::vector<Control> all = {
        {.name = "scan-denied",
         .about = "the scan of the file is skipped, and its answer is SCAN_FAIL",
         .variant = "full",
         .produces = "collapse=EINVAL scan=-",
         .actions = {{.kind = FL_CONTROL_SKIP,
                      .actor = "collapser",
                      .function = "collapse_scan_file"}},
         .kind = Control::Kind::comparison}};
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
        .races = "madvise_collapse(), in some rows against another actor",
        .bad = "another errno or another reason",
        .variants = variants(),
        .controls = controls(),
        .no_hazard_control = in_series(running_release(), "6.1")
                                 ? "6.1 has no check of userfaultfds that could be blinded"
                                 : "",
        .needs = collapse_needs(),
        .make = [](const Variant& variant) -> std::unique_ptr<Experiment> {
            return std::make_unique<CollapseErrno>(row_of(rows, variant));
        },
    };
    return scenario;
}

} // namespace faultline
