// SPDX-License-Identifier: GPL-2.0
// pgtable-lifetime: a page table that is reached inside an RCU section stays one until its end.
//
// Claim (Hugh Dickins, linux-mm, May 2023, "mm: free retracted page table by RCU", v6.6): since
// retract_page_tables() and collapse_pte_mapped_thp() give page tables to pte_free_defer(), they
// need no mmap_lock for writing: a task that finds a table by pte_offset_map() keeps it, by RCU,
// however soon after that it is unlinked.
//
// Who: the reader, inside the section, either the module's own (direct) or mincore(2) at the return
// of __pte_offset_map(); against it the giver, which calls pte_free_defer() itself, or the
// collapser.
//     __pte_offset_map()  against  pte_free_defer(), retract_page_tables(),
//                                  collapse_pte_mapped_thp()
//
// A bad outcome: the table's page is freed before a grace period that began when it was given away
// is over (freed=early; the module asks RCU when the page is freed, so a free that comes after the
// reader has left is seen as well), twice, or never; or its rcu_head is queued again while it is
// queued.
#include "scenarios/collapse_experiment.hpp"
#include "scenarios/list.hpp"
#include "scenarios/pgtable_experiment.hpp"

#include <array>
#include <unistd.h>

namespace faultline {

namespace {

constexpr std::string_view direct = "reader@user:reading -> giver@user:give; "
                                    "giver@user:given -> reader@user:reading";
constexpr std::string_view retract =
    "collapser@enter:collapse_file/retract -> reader@user:look; "
    "reader@return:pte_offset_map -> collapser@enter:collapse_file/retract; "
    "collapser@user:collapsed -> reader@return:pte_offset_map";
constexpr std::string_view huge_already =
    "collapser@enter:collapse_pte_mapped_thp -> reader@user:look; "
    "reader@return:pte_offset_map -> collapser@enter:collapse_pte_mapped_thp; "
    "collapser@user:collapsed -> reader@return:pte_offset_map";

// The reader is inside for so long after the table was given away. No bound of what is seen.
constexpr int inside_us = 5000;

constexpr std::string_view freed_once = "queued=once freed=once";
constexpr std::string_view retracted = "collapse=ok queued=once freed=once";
// Of a page that has other tables, too, only the count of tables can fall.
constexpr std::string_view left_shared = "collapse=ok table=gone";

struct Row {
    std::string_view name;
    bool of_its_own;         // the table is the module's
    bool pte_mapped = false; // the page is huge before the collapse, mapped by PTEs
};

constexpr std::array rows = {
    Row{"direct", true},
    Row{"retract", false},
    Row{"pte-mapped", false, true},
};

class Direct final : public Experiment {
  public:
    Result<void> prepare() override {
        Result<PageTables> tables = PageTables::open();
        if (!tables)
            return tables.error();
        tables_ = std::move(*tables);
        return {};
    }

    std::vector<Actor> actors() override {
        return {{.name = "reader",
                 .kind = Actor::Kind::thread,
                 .cpu = 0,
                 .body =
                     [this](ActorContext& me) {
                         const Result<bool> broken = me.at_reading("reading", tables_->file(), 0);
                         if (!broken)
                             me.fail(broken.error());
                     }},
                {.name = "giver",
                 .kind = Actor::Kind::thread,
                 .cpu = 1,
                 .body = [this](ActorContext& me) {
                     if (!me.at("give"))
                         return;
                     if (const Result<void> given = tables_->send("defer 0"); !given)
                         return me.fail(given.error());
                     ::usleep(inside_us);
                     (void)me.at("given").ok();
                 }}};
    }

    Result<void> begin(Run& /*run*/) override { return tables_->send("tables 1"); }

    Outcome judge(Run& run) override {
        Outcome outcome;
        const Result<std::vector<PageTable>> tables = tables_->settled();
        if (!tables)
            return outcome.forbid(tables.error().to_string());
        judge_pages(outcome, *tables, 0, left_ns(run, "reader@user:reading"));
        return outcome;
    }

  private:
    std::optional<PageTables> tables_;
};

class Retraction final : public CollapseExperiment {
  public:
    explicit Retraction(bool pte_mapped) : pte_mapped_(pte_mapped) {}

    Result<void> prepare() override {
        Result<PageTables> tables = PageTables::open();
        if (!tables)
            return tables.error();
        tables_ = std::move(*tables);
        return CollapseExperiment::prepare();
    }

    std::vector<Actor> actors() override {
        return {collapser(extent().address()),
                {.name = "reader",
                 .kind = Actor::Kind::thread,
                 .cpu = 1,
                 .body = [this](ActorContext& me) {
                     if (!me.at("look"))
                         return;
                     const Result<bool> absent = extent().absent(touch_);
                     me.report(0, !absent ? 2 : *absent ? 1 : 0);
                 }}};
    }

    Result<void> begin(Run& run) override {
        if (Result<void> laid = lay_out(std::vector<bool>(extent().pages(), false)); !laid)
            return laid;
        touch_ = draw_page(run.rng());
        if (pte_mapped_)
            if (Result<void> mapped = map_huge_page_by_ptes(extent(), extent().address()); !mapped)
                return mapped;
        if (Result<void> forgotten = tables_->send("tables 0"); !forgotten)
            return forgotten;
        if (Result<void> watched = tables_->watch(extent().address()); !watched)
            return watched;
        const Result<std::vector<PageTable>> tables = tables_->tables();
        if (!tables)
            return tables.error();
        tables_before_ = tables->front().tables;
        return {};
    }

    Outcome judge(Run& run) override {
        Outcome outcome;
        const Result<std::vector<PageTable>> tables = tables_->settled();
        if (!tables)
            return outcome.forbid(tables.error().to_string());
        const PageTable& table = tables->front();
        outcome.add("collapse", collapse_word(run));
        const bool shared = tables_before_ > 1;
        if (!shared) {
            judge_pages(outcome, *tables, 0, left_ns(run, "reader@return:pte_offset_map"));
        } else {
            outcome.add("table", table.tables == tables_before_ - 1 ? "gone" : "left");
            outcome.require(table.freed == 0, "a page was freed that has other tables");
            outcome.require(table.tables == tables_before_ - 1,
                            "the page's count of tables did not fall by one");
        }
        outcome.require(collapse_word(run) == "ok", "the collapse failed");
        outcome.require(run.slot("reader", 0) == 0, "mincore did not see the page");
        return outcome;
    }

  private:
    bool pte_mapped_;
    std::optional<PageTables> tables_;
    int tables_before_ = 0;
};

} // namespace

const Scenario& pgtable_lifetime() {
    static const Scenario scenario = {
        .name = "pgtable-lifetime",
        .family = "pte-free-defer",
        .claim = "a page table reached inside an RCU section stays one until the section ends",
        .source = "Hugh Dickins, linux-mm, May 2023",
        .races = "__pte_offset_map() against pte_free_defer() by itself, by "
                 "retract_page_tables() and by collapse_pte_mapped_thp()",
        .bad = "freed=early, freed=never, queued=again",
        .variants =
            {
                {.name = "direct",
                 .about = "pte_free_defer() of a table of ours while a reader is at it",
                 .schedule = direct,
                 .expected = {{freed_once}},
                 .runs_divisor = 2,
                 .needs = {own_tables()}},
                {.name = "retract",
                 .about = "retract_page_tables() while mincore is at the table",
                 .schedule = retract,
                 .expected = {{retracted}, {left_shared}},
                 .runs_divisor = 2,
                 .needs = {huge_pages()}},
                {.name = "pte-mapped",
                 .about = "collapse_pte_mapped_thp() while mincore is at the table",
                 .schedule = huge_already,
                 .expected = {{retracted}, {left_shared}},
                 .runs_divisor = 2,
                 .needs = {huge_pages()}},
            },
        .controls =
            {
                {.name = "free-at-once",
                 .about = "pte_free_defer() frees the table at once",
                 .variant = "direct",
                 .produces = "freed=early",
                 .actions = {{.kind = FL_CONTROL_REPLACE,
                              .actor = "giver",
                              .function = "pte_free_defer",
                              .replacement = "pte_free_at_once"}}},
                {.name = "leak",
                 .about = "pte_free_defer() does nothing",
                 .variant = "direct",
                 .produces = "freed=never",
                 .actions = {{.kind = FL_CONTROL_REPLACE,
                              .actor = "giver",
                              .function = "pte_free_defer",
                              .replacement = "pte_free_never"}}},
            },
        .needs = {freed_by_rcu()},
        .make = [](const Variant& variant) -> std::unique_ptr<Experiment> {
            const Row& row = row_of(rows, variant);
            if (row.of_its_own)
                return std::make_unique<Direct>();
            return std::make_unique<Retraction>(row.pte_mapped);
        },
    };
    return scenario;
}

} // namespace faultline
