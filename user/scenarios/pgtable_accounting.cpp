// SPDX-License-Identifier: GPL-2.0
// pgtable-accounting: page tables that a collapse takes away are counted as gone, exactly.
//
// Claim (mm_dec_nr_ptes() beside each retraction): whatever way a page table goes, the kernel's
// count of the mm's page tables (VmPTE) falls by its size, and when the mm exits it is zero and so
// is each rss counter; else check_mm() writes "BUG: non-zero pgtables_bytes on freeing mm" or
// "BUG: Bad rss-counter state".
//
// Who: the owner, a process of its own, whose mm is counted; the collapser, in the driver's mm,
// whose collapse retracts the owner's page table; or the owner collapses for itself.
//     retract_page_tables(), collapse_pte_mapped_thp()  against  exit_mmap()
//
// A bad outcome: count=wrong, or a complaint in the kernel's log. Runs on every kernel: before 6.6
// the tables were freed otherwise, and counted the same.
#include "scenarios/list.hpp"
#include "scenarios/pgtable_experiment.hpp"

#include "kernel/kernel_log.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <sys/mman.h>
#include <unistd.h>

namespace faultline {

namespace {

constexpr unsigned slot_step = 0;     // how far the owner came
constexpr unsigned slot_wrong = 1;    // the first step at which the count was wrong; 0 = none
constexpr unsigned slot_tables = 2;   // PTE tables that the collapse took away
constexpr unsigned slot_collapse = 3; // errno

constexpr std::string_view while_owner_waits =
    "owner@user:touched -> collapser@user:start; collapser@user:collapsed -> owner@user:count";
constexpr std::string_view at_retract = "owner@user:touched -> collapser@user:start; "
                                        "collapser@enter:collapse_file/retract -> owner@user:wait; "
                                        "owner@user:leave -> collapser@enter:collapse_file/retract";

enum class Collapser { other_mm, owner };
enum class Owner { counts, exits }; // while or after its table is retracted

struct Row {
    std::string_view name;
    std::string_view about;
    std::string_view schedule = {};
    Collapser collapser = Collapser::other_mm;
    Owner owner = Owner::counts;
    bool pte_mapped = false; // the page is huge before, mapped by PTEs
};

constexpr std::array rows = {
    Row{.name = "other",
        .about = "another mm's collapse retracts the owner's table",
        .schedule = while_owner_waits},
    Row{.name = "own", .about = "the owner collapses for itself", .collapser = Collapser::owner},
    Row{.name = "pte-mapped",
        .about = "the same where the page is huge already",
        .collapser = Collapser::owner,
        .pte_mapped = true},
    Row{.name = "exit",
        .about = "the owner exits while its table is about to be retracted",
        .schedule = at_retract,
        .owner = Owner::exits},
};

class PgtableAccounting final : public Experiment {
  public:
    explicit PgtableAccounting(const Row& row) : row_(row) {}

    Result<void> prepare() override {
        // The one in the middle: a neighbour is sure to share its PMD table, which must be there
        // before anything is counted.
        Result<std::unique_ptr<Extent>> extent = Extent::make(3);
        if (!extent)
            return extent.error();
        extent_ = std::move(*extent);
        Result<KernelLog> log = KernelLog::open();
        if (!log)
            return log.error();
        log_ = std::move(*log);
        return {};
    }

    std::vector<Actor> actors() override {
        std::vector<Actor> all = {{.name = "owner",
                                   .kind = Actor::Kind::process,
                                   .cpu = 1,
                                   .body = [this](ActorContext& me) { own(me); }}};
        if (!by_itself())
            all.push_back({.name = "collapser",
                           .kind = Actor::Kind::thread,
                           .cpu = 0,
                           .body = [this](ActorContext& me) {
                               if (!me.at("start"))
                                   return;
                               me.report(0, extent_->collapse(middle()));
                               (void)me.at("collapsed").ok();
                           }});
        return all;
    }

    Result<void> begin(Run& /*run*/) override {
        if (Result<void> fresh = extent_->fresh(); !fresh)
            return fresh;
        for (std::size_t page = 0; page < extent_->pages(); ++page)
            touch(middle() + page * extent_->page_bytes());
        return {};
    }

    Outcome judge(Run& run) override {
        Outcome outcome;
        const Result<std::string> complaint = log_->complaint();
        if (!complaint)
            return outcome.forbid(complaint.error().to_string());
        const std::int64_t wrong = run.slot("owner", slot_wrong);
        const std::int64_t collapse =
            by_itself() ? run.slot("owner", slot_collapse) : run.slot("collapser", 0);
        outcome.add("collapse", collapse == 0 ? "ok" : "failed");
        if (row_.owner == Owner::counts) {
            const std::int64_t gone = run.slot("owner", slot_tables);
            outcome.add("gone", gone == unreported ? "-" : std::to_string(gone));
            outcome.require(run.slot("owner", slot_step) == last_step,
                            "the owner did not come to its end");
        }
        outcome.add("count", wrong == 0 ? "exact" : wrong == unreported ? "-" : "wrong");
        outcome.add("exit", complaint->empty() ? "clean" : "complaint");
        outcome.require(wrong <= 0, "the mm's bytes of page tables are not those of its tables");
        outcome.require(complaint->empty(), "the kernel complained: " + *complaint);
        outcome.require(collapse == 0, "the collapse failed");
        return outcome;
    }

    std::optional<bool> overlapped(const Run& run) override {
        if (!by_itself())
            return std::nullopt;
        return run.slot("owner", slot_tables) > 0;
    }

  private:
    static constexpr std::int64_t last_step = 4;

    [[nodiscard]] bool by_itself() const { return row_.collapser == Collapser::owner; }
    [[nodiscard]] char* middle() const { return extent_->address(extent_->pages()); }
    static void touch(char* page) { *reinterpret_cast<volatile std::uint64_t*>(page) = 1; }

    // Has the count changed by what the tables of the whole mm have changed by?
    void count(ActorContext& me, std::int64_t step) {
        const Result<PageTableRange> range =
            page_table_range(::getpid(), nullptr, std::numeric_limits<std::size_t>::max() / 2);
        if (!range)
            return me.fail(range.error());
        const auto table_bytes = static_cast<std::int64_t>(extent_->pages() * 8);
        if (last_) {
            const std::int64_t tables =
                static_cast<std::int64_t>(range->tables) - static_cast<std::int64_t>(last_->tables);
            if (range->pgtables_bytes - last_->pgtables_bytes != tables * table_bytes &&
                wrong_ == 0)
                wrong_ = step;
            gone_ = -tables;
        }
        last_ = *range;
        me.report(slot_step, step);
        me.report(slot_wrong, wrong_);
    }

    void own(ActorContext& me) {
        // What it will need later must not be counted: this code, and the tables above.
        touch(extent_->address());
        touch(extent_->address(2 * extent_->pages()));
        count(me, 1);
        for (std::size_t page = 0; page < extent_->pages(); ++page)
            touch(middle() + page * extent_->page_bytes());
        count(me, 2);
        if (by_itself())
            collapse(me);
        else if (!me.at("touched"))
            return;
        if (row_.owner == Owner::exits) {
            // From here on the collapser goes to our page table, and we go away.
            (void)(me.at("wait").ok() && me.at("leave").ok());
            return;
        }
        if (!by_itself() && !me.at("count"))
            return;
        count(me, 3);
        me.report(slot_tables, gone_);
        (void)::munmap(middle(), extent_->bytes());
        count(me, last_step);
    }

    void collapse(ActorContext& me) {
        if (row_.pte_mapped) {
            if (const Result<void> mapped = map_huge_page_by_ptes(*extent_, middle()); !mapped)
                return me.fail(mapped.error());
            count(me, 2);
        }
        me.report(slot_collapse, extent_->collapse(middle()));
    }

    const Row& row_;
    std::unique_ptr<Extent> extent_;
    std::optional<KernelLog> log_;
    // Of the owner: each run has a fresh copy.
    std::optional<PageTableRange> last_;
    std::int64_t wrong_ = 0;
    std::int64_t gone_ = 0;
};

std::vector<Variant> variants() {
    std::vector<Variant> all;
    all.reserve(rows.size());
    for (const Row& row : rows) {
        Variant variant = {
            .name = row.name,
            .about = row.about,
            .schedule = row.schedule,
            .expected = {{row.owner == Owner::exits ? "collapse=ok count=exact exit=clean"
                                                    : "collapse=ok gone=1 count=exact exit=clean"}},
            .forced = row.collapser == Collapser::other_mm,
            .runs_divisor = 2};
        if (row.pte_mapped)
            variant.needs = {cleared_entries()};
        // Up to 6.5 an MADV_COLLAPSE leaves the tables of all other mms alone.
        if (row.collapser == Collapser::other_mm)
            variant.needs = {freed_by_rcu()};
        all.push_back(std::move(variant));
    }
    return all;
}

} // namespace

const Scenario& pgtable_accounting() {
    static const Scenario scenario = {
        .name = "pgtable-accounting",
        .family = "pte-free-defer",
        .claim = "page tables that a collapse takes away are counted as gone, exactly",
        .source = "mm_dec_nr_ptes() in mm/khugepaged.c, check_mm() in kernel/fork.c",
        .races = "retract_page_tables() and collapse_pte_mapped_thp() against exit_mmap()",
        .bad = "count=wrong, or exit=complaint",
        .variants = variants(),
        .controls = {{.name = "uncounted",
                      .about = "a table that is retracted stays in the owner's count",
                      .variant = "other",
                      .produces = "gone=1 count=wrong",
                      .actions = {{.kind = FL_CONTROL_REPLACE,
                                   .actor = "collapser",
                                   .function = "pte_free_defer",
                                   .replacement = "pte_free_uncounted"}},
                      .complains = true},
                     {.name = "miscounted",
                      .about = "one page table is counted twice, and the next not at all",
                      .variant = "own",
                      .produces = "count=wrong",
                      .actions = {{.kind = FL_CONTROL_REPLACE,
                                   .actor = "owner",
                                   .function = "pmd_install",
                                   .replacement = "pmd_install_miscounted"}},
                      .kind = Control::Kind::comparison}},
        .needs = {{"transparent huge pages", missing_huge_pages}},
        .make = [](const Variant& variant) -> std::unique_ptr<Experiment> {
            return std::make_unique<PgtableAccounting>(row_of(rows, variant));
        },
    };
    return scenario;
}

} // namespace faultline
