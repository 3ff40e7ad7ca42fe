// SPDX-License-Identifier: GPL-2.0
// hvo-layout: where the struct pages of an optimized huge page are, and what a reference does
// there.
//
// Claim (Matthew Wilcox, linux-mm, 8 February 2024): a pointer to a tail's struct page leads to
// "the replacement struct page (which definitely has a refcount 0)", and for the 7 of 512 that
// alias the head "CPU A will see folio_try_get_rcu() succeed [...] everything's fine, but really
// only by coincidence". The measured behaviour of each series: 6.1 maps the aliases read-only and
// tries to write; 6.12 tells them from heads and does not write; since 7.1 nothing aliases the
// head.
//
// Actor: the taker grows hugetlb's pool, takes two huge pages, looks at their struct pages from
// every CPU, and tries a reference at each class of index: the head, its neighbours, every 64th,
// the last. It is the get_page_unless_zero() of this kernel's headers that is tried, compiled into
// the module; kmod/hvo_lines.h says how, and why a fault does not end the machine. hvo-stale has
// the kernel's own functions take the reference.
//     hugetlb_vmemmap_optimize_folios()  against  get_page_unless_zero()
//
// late-refs says what a reference does that was decided upon before the remap: whether anybody can
// be that late is hvo-stale's question.
//
// A bad outcome: a tail that can be written, an alias that is not the series', CPUs that see
// different bytes, a tail whose reference is got or faults, a head whose count has changed.
#include "scenarios/hvo_experiment.hpp"
#include "scenarios/list.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace faultline {

namespace {

constexpr unsigned pages_in_block = 512;
constexpr unsigned heads_apart = 64; // struct pages to a page of vmemmap

enum Slot : unsigned {
    slot_same_blocks, // the second time, hugetlb took the same blocks again
    slot_optimized,
    slot_read_only,
    slot_alias,  // 1: of the head's page, 2: of another, the same for all; 0: neither
    slot_shared, // two huge pages have the same page for their tails
    slot_agree,  // all CPUs see the same
    slot_got,    // how many tails gave a reference, or faulted
    slot_faulted,
    slot_first_fault, // its index
    slot_late,        // how many tails fault if the count was read before
    slot_head,        // the head gave one, and its count is what it was
};

class HvoLayoutCheck final : public HvoExperiment {
  public:
    HvoLayoutCheck() : HvoExperiment(0) {}

    std::vector<Actor> actors() override {
        return {{.name = "taker",
                 .kind = Actor::Kind::thread,
                 .cpu = 0,
                 .body = [this](ActorContext& me) { me.check(take(me)); }}};
    }

    Result<void> begin(Run& /*run*/) override { return pool(0); }

    Outcome judge(Run& run) override {
        Outcome outcome;
        const auto is = [&run](Slot slot) { return run.slot("taker", slot) == 1; };
        const std::int64_t alias = run.slot("taker", slot_alias);
        const std::int64_t got = run.slot("taker", slot_got);
        const std::int64_t faulted = run.slot("taker", slot_faulted);
        outcome.add("tails", is(slot_read_only) ? "ro" : "rw");
        outcome.add("alias", alias == 1 ? "head" : alias == 2 ? "common" : "none");
        outcome.add("two", is(slot_shared) ? "same" : "different");
        outcome.add("cpus", is(slot_agree) ? "agree" : "differ");
        outcome.add("tail-refs", got > 0 ? "got" : faulted > 0 ? "fault" : "none");
        outcome.add("late-refs", run.slot("taker", slot_late) > 0 ? "fault" : "harmless");
        outcome.add("head", is(slot_head) ? "exact" : "changed");
        outcome.require(faulted == 0,
                        fmt::format("a reference of struct page {} of {} would have faulted",
                                    run.slot("taker", slot_first_fault), pages_in_block));
        return outcome;
    }

    // Only of optimized huge pages, in blocks whose struct pages each CPU had seen before.
    std::optional<bool> overlapped(const Run& run) override {
        return run.slot("taker", slot_optimized) == 1 && run.slot("taker", slot_same_blocks) == 1;
    }

  private:
    struct Taken {
        HugePages pages;
        HvoLayout first;
        HvoLayout second;
    };

    Result<HvoLayout> layout_of(const char* page) {
        if (Result<void> found = block().find(page); !found)
            return found.error();
        return block().layout();
    }

    Result<Taken> two_pages() {
        Result<HugePages> pages = HugePages::take(2);
        if (!pages)
            return pages.error();
        Result<HvoLayout> first = layout_of(pages->page(0));
        Result<HvoLayout> second = layout_of(pages->page(1));
        if (!first || !second)
            return (first ? second : first).error();
        return Taken{std::move(*pages), std::move(*first), std::move(*second)};
    }

    Result<void> take(ActorContext& me) {
        // Once, and given back: then every CPU has the struct pages in its TLB as they were before.
        HvoLayout first;
        HvoLayout second;
        {
            Result<Taken> before = two_pages();
            if (!before)
                return before.error();
            first = std::move(before->first);
            second = std::move(before->second);
        }
        if (Result<void> emptied = pool(0); !emptied)
            return emptied;
        for (const HvoLayout* layout : {&first, &second})
            if (Result<void> seen = look_at(layout->pfn); !seen)
                return seen;
        const Result<Taken> taken = two_pages();
        if (!taken)
            return taken.error();
        const bool same =
            std::minmax(first.pfn, second.pfn) == std::minmax(taken->first.pfn, taken->second.pfn);
        me.report(slot_same_blocks, same ? 1 : 0);
        report_layout(me, taken->first, taken->second);
        return try_all(me, taken->first.pfn);
    }

    Result<void> look_at(std::uint64_t pfn) {
        if (Result<void> chosen = block().send(fmt::format("pfn {:x}", pfn)); !chosen)
            return chosen;
        const Result<HvoLayout> layout = block().layout();
        return layout ? Result<void>() : layout.error();
    }

    static void report_layout(ActorContext& me, const HvoLayout& first, const HvoLayout& second) {
        const auto& pages = first.vmemmap;
        const auto read_only = [](const VmemmapPage& page) { return !page.writable; };
        const auto alias_of = [&pages](unsigned which) {
            return std::all_of(pages.begin() + 2, pages.end(),
                               [which](const VmemmapPage& page) { return page.alias == which; });
        };
        me.report(slot_optimized, first.hugetlb && second.hugetlb ? 1 : 0);
        me.report(slot_read_only, std::all_of(pages.begin() + 1, pages.end(), read_only) ? 1 : 0);
        me.report(slot_alias, alias_of(0) && pages[1].alias == 0U ? 1
                              : alias_of(1) && !pages[1].alias    ? 2
                                                                  : 0);
        me.report(slot_shared, first.vmemmap[1].pfn == second.vmemmap[1].pfn ? 1 : 0);
        me.report(slot_agree,
                  std::all_of(first.cpus.begin(), first.cpus.end(),
                              [&](const CpuView& view) { return view == first.cpus.front(); })
                      ? 1
                      : 0);
    }

    // One try at one struct page, with the head's count before and after.
    Result<HvoTry> try_one(const char* kind, unsigned index) {
        if (Result<void> tried = block().send(fmt::format("{} {}", kind, index)); !tried)
            return tried.error();
        const Result<HvoLayout> layout = block().layout();
        return layout ? Result<HvoTry>(*layout->tried) : layout.error();
    }

    Result<void> try_all(ActorContext& me, std::uint64_t pfn) {
        std::int64_t got = 0;
        std::int64_t faulted = 0;
        std::int64_t late = 0;
        bool head = true;
        if (Result<void> chosen = block().send(fmt::format("pfn {:x}", pfn)); !chosen)
            return chosen;
        for (unsigned index = 0; index < pages_in_block; ++index) {
            const unsigned within = index % heads_apart;
            if (within > 1 && within != heads_apart - 1)
                continue;
            const Result<HvoTry> now = try_one("try", index);
            const Result<HvoTry> then = try_one("late", index);
            if (!now || !then)
                return (now ? then : now).error();
            head = head && now->before == now->after && then->before == then->after &&
                   (index != 0 || now->result == "got");
            if (index == 0)
                continue;
            got += now->result == "got" ? 1 : 0;
            late += then->result == "fault" ? 1 : 0;
            if (now->result == "fault" && faulted++ == 0)
                me.report(slot_first_fault, index);
        }
        me.report(slot_got, got);
        me.report(slot_faulted, faulted);
        me.report(slot_late, late);
        me.report(slot_head, head ? 1 : 0);
        return {};
    }
};

} // namespace

const Scenario& hvo_layout() {
    static const Scenario scenario = {
        .name = "hvo-layout",
        .family = "hvo",
        .claim =
            "no tail of an optimized huge page can be written, nor gives a reference (tried by "
            "the kernel headers' code, in the module)",
        .source = "Matthew Wilcox, linux-mm, 8 February 2024",
        .races = "hugetlb_vmemmap_optimize_folios() against get_page_unless_zero()",
        .bad = "tails=rw, tail-refs=got, tail-refs=fault, cpus=differ, head=changed",
        .variants = {{.name = "two-pages",
                      .about = "two huge pages in use, each class of struct page",
                      .expected = {{"tails=ro alias=head two=different cpus=agree tail-refs=none "
                                    "head=exact",
                                    "6.1, 6.12"},
                                   {"tails=ro alias=common two=same cpus=agree tail-refs=none "
                                    "head=exact",
                                    "7.2, 7.3"}},
                      .known = {{.words = "tails=ro alias=head two=different cpus=agree "
                                          "tail-refs=fault head=exact",
                                 .releases = "6.1",
                                 .fix = fixed_fake_heads}},
                      .forced = false,
                      .runs_divisor = 10}},
        .controls =
            {{.name = "tails-writable",
              .about = "the kernel maps the pages of tails writable",
              .variant = "two-pages",
              .produces = "tails=rw",
              .actions = {{.kind = FL_CONTROL_REPLACE,
                           .function = "vmemmap_remap_pte",
                           .replacement = "vmemmap_remap_writable"}}},
             // Other CPUs still see the old struct pages: nobody else may have that memory.
             {.name = "no-flush",
              .about = "the kernel does not flush other CPUs' TLBs, and keeps the old struct pages",
              .variant = "two-pages",
              .produces = "cpus=differ",
              .actions = {{.kind = FL_CONTROL_REPLACE,
                           .function = "flush_tlb_all",
                           .replacement = "flush_tlb_here"},
                          {.kind = FL_CONTROL_SKIP, .function = "free_vmemmap_page_list"}}}},
        .needs = hvo_needs(),
        .make = [](const Variant& /*variant*/) -> std::unique_ptr<Experiment> {
            return std::make_unique<HvoLayoutCheck>();
        },
    };
    return scenario;
}

} // namespace faultline
