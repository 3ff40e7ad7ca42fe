// SPDX-License-Identifier: GPL-2.0
// hvo-pointer: for each class of struct page, what an old pointer to it is good for.
//
// Claim (Matthew Wilcox, linux-mm, 8 February 2024): a task that has a pointer to the struct page
// of a page that was freed, taken by hugetlb and optimized "has a pointer into vmemmap. So it will
// access the replacement struct page (which definitely has a refcount 0)"; and for the 7 of 512
// that alias the head, folio_try_get() succeeds and folio_put() is harmless.
//
// Actors: the looker notes where the struct pages of a file's pages are, without a reference and
// outside of any RCU section. The taker truncates the file, has hugetlb take the block and optimize
// its vmemmap, and in one variant maps the huge page. Then the looker tries a reference at every
// class of index: the head, its neighbours, every 64th with its neighbours, the last. It is the
// get_page_unless_zero() of this kernel's headers that is tried, compiled into the module;
// kmod/hvo_lines.h says how. hvo-stale has the kernel's own functions take the reference.
//     get_page_unless_zero()  against  hugetlb_vmemmap_optimize_folios()
//
// A bad outcome: tails=got, tails=fault, a head whose count has changed.
#include "scenarios/hvo_experiment.hpp"
#include "scenarios/list.hpp"

#include <array>
#include <fmt/format.h>

namespace faultline {

namespace {

constexpr unsigned pages_in_block = 512;
constexpr unsigned heads_apart = 64; // struct pages to a page of vmemmap

enum Slot : unsigned {
    // Of the looker.
    slot_head,        // 1: the head gave a reference
    slot_got,         // how many tails did
    slot_faulted,     // how many faulted
    slot_first_fault, // its index
    slot_changed,     // how often the head's count was another afterwards
    slot_read_only,   // all pages of tails were
    // Of the taker.
    slot_pool = 0, // huge pages when it had the block; -1: never
};

struct Row {
    std::string_view name;
    bool in_use; // the huge page is mapped
};

constexpr std::array rows = {Row{"free", false}, Row{"in-use", true}};

class HvoPointer final : public HvoExperiment {
  public:
    explicit HvoPointer(bool in_use) : in_use_(in_use) {}

    std::vector<Actor> actors() override {
        return {{.name = "looker",
                 .kind = Actor::Kind::thread,
                 .cpu = 0,
                 .body =
                     [this](ActorContext& me) {
                         if (!me.at("looked-up") || !me.at("go-on"))
                             return;
                         me.check(try_all(me));
                     }},
                {.name = "taker",
                 .kind = Actor::Kind::thread,
                 .cpu = 1,
                 .body = [this](ActorContext& me) {
                     if (!me.at("take"))
                         return;
                     if (const Result<void> done = take(me); !done)
                         return me.fail(done.error());
                     (void)me.at("taken").ok();
                 }}};
    }

    Result<void> begin(Run& run) override {
        pages_.reset();
        if (Result<void> emptied = pool(anchor_pages); !emptied)
            return emptied;
        const Result<HvoLayout> layout = one_block(run.rng().below(pages_in_block));
        return layout ? Result<void>() : layout.error();
    }

    Outcome judge(Run& run) override {
        Outcome outcome;
        const std::int64_t got = run.slot("looker", slot_got);
        const std::int64_t faulted = run.slot("looker", slot_faulted);
        const bool head = run.slot("looker", slot_head) == 1;
        const bool read_only = run.slot("looker", slot_read_only) == 1;
        const bool same = run.slot("looker", slot_changed) == 0;
        outcome.add("head", head ? "got" : "zero");
        outcome.add("tails", faulted > 0 ? "fault" : got > 0 ? "got" : "zero");
        outcome.add("counts", same ? "exact" : "changed");
        outcome.add("vmemmap", read_only ? "ro" : "rw");
        outcome.require(faulted == 0,
                        fmt::format("a reference of struct page {} of {} would have faulted",
                                    run.slot("looker", slot_first_fault), pages_in_block));
        return outcome;
    }

    std::optional<bool> overlapped(const Run& run) override {
        return run.slot("taker", slot_pool) > 0;
    }

  private:
    Result<void> take(ActorContext& me) {
        const Result<std::int64_t> taken = take_block(me);
        if (!taken)
            return taken.error();
        me.report(slot_pool, *taken);
        if (!in_use_ || *taken < 0)
            return {};
        Result<HugePages> pages = HugePages::take(static_cast<unsigned>(*taken));
        if (!pages)
            return pages.error();
        pages_.emplace(std::move(*pages));
        return {};
    }

    Result<void> try_all(ActorContext& me) {
        const Result<HvoLayout> now = block().layout();
        if (!now)
            return now.error();
        me.report(slot_read_only, now->optimized() ? 1 : 0);
        std::int64_t got = 0;
        std::int64_t faulted = 0;
        std::int64_t changed = 0;
        for (unsigned index = 0; index < pages_in_block; ++index) {
            const unsigned within = index % heads_apart;
            if (within > 1 && within != heads_apart - 1)
                continue;
            if (Result<void> tried = block().send(fmt::format("try {}", index)); !tried)
                return tried;
            const Result<HvoLayout> layout = block().layout();
            if (!layout)
                return layout.error();
            const HvoTry& one = *layout->tried;
            changed += one.before == one.after ? 0 : 1;
            if (index == 0)
                me.report(slot_head, one.result == "got" ? 1 : 0);
            else
                got += one.result == "got" ? 1 : 0;
            if (one.result == "fault" && faulted++ == 0)
                me.report(slot_first_fault, index);
        }
        me.report(slot_got, got);
        me.report(slot_faulted, faulted);
        me.report(slot_changed, changed);
        return {};
    }

    bool in_use_;
    std::optional<HugePages> pages_;
};

} // namespace

const Scenario& hvo_pointer() {
    static constexpr std::string_view schedule =
        "looker@user:looked-up -> taker@user:take; taker@user:taken -> looker@user:go-on";
    static const Scenario scenario = {
        .name = "hvo-pointer",
        .family = "hvo",
        .claim = "an old pointer to a struct page gives no reference after hugetlb took the page, "
                 "or the head's (tried by the kernel headers' code, in the module)",
        .source = "Matthew Wilcox, linux-mm, 8 February 2024",
        .races = "get_page_unless_zero() against hugetlb_vmemmap_optimize_folios()",
        .bad = "tails=got, tails=fault, counts=changed",
        .variants = {{.name = "free",
                      .about = "the huge page is in hugetlb's pool",
                      .schedule = schedule,
                      .expected = {{"head=zero tails=zero counts=exact vmemmap=ro"}},
                      .runs_divisor = 10},
                     {.name = "in-use",
                      .about = "the huge page is mapped",
                      .schedule = schedule,
                      .expected = {{"head=got tails=zero counts=exact vmemmap=ro"}},
                      .known = {{.words = "head=got tails=fault counts=exact vmemmap=ro",
                                 .releases = "6.1",
                                 .fix = fixed_fake_heads}},
                      .runs_divisor = 10}},
        .controls = {{.name = "tails-writable",
                      .about = "the pages of tails are mapped writable",
                      .variant = "in-use",
                      .produces = "vmemmap=rw",
                      .actions = {{.kind = FL_CONTROL_REPLACE,
                                   .actor = "taker",
                                   .function = "vmemmap_remap_pte",
                                   .replacement = "vmemmap_remap_writable"}},
                      .kind = Control::Kind::comparison}},
        .no_hazard_control = "the rule for a reference is inlined everywhere: no function can be "
                             "skipped that keeps tails from giving one",
        .needs = hvo_needs(),
        .make = [](const Variant& variant) -> std::unique_ptr<Experiment> {
            return std::make_unique<HvoPointer>(row_of(rows, variant).in_use);
        },
    };
    return scenario;
}

} // namespace faultline
