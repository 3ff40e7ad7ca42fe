// SPDX-License-Identifier: GPL-2.0
// mthp-writers: what is written while memory is collapsed, split and collapsed again is not lost.
//
// Claim (mm/khugepaged.c, collapse_huge_page(): "Prevent all access to pagetables"): once the PMD
// is away and all CPUs have flushed their TLBs, nobody writes to the old pages; what was written
// before is copied, what comes after waits for the new page.
//
// Actors: writers add to words of the range, or a reader looks whether it sees what was last
// written through /proc/self/mem; the splitter has the range collapsed, splits it and makes it
// whole again.
//     pmdp_collapse_flush()  against  stores and loads
//
// A bad outcome: sum=wrong, or reader=stale.
#include "kernel/page_pattern.hpp"
#include "scenarios/list.hpp"
#include "scenarios/mthp_experiment.hpp"

#include <array>
#include <atomic>
#include <cstring>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

namespace faultline {

namespace {

constexpr unsigned rounds = 4;         // of collapse and split
constexpr std::size_t words_apart = 8; // a writer's page, and the next one

enum Slot : unsigned {
    slot_collapses,         // the splitter's: how often there was a large folio
    slot_added,             // a writer's
    slot_stale,             // the reader's: how often it saw an old value
    slot_seen = slot_added, // and how often it looked
};

enum class Kind { khugepaged, madvise, reader };

struct Row {
    std::string_view name;
    std::string_view about;
    Kind kind;
    std::string_view expected;
};

constexpr std::array rows = {
    Row{"khugepaged", "two threads write while khugepaged collapses", Kind::khugepaged,
        "sum=exact"},
    Row{"madvise", "two threads write while MADV_COLLAPSE does", Kind::madvise, "sum=exact"},
    Row{"reader", "a thread reads what another writes through /proc/self/mem", Kind::reader,
        "reader=right"},
};

class MthpWriters final : public MthpExperiment {
  public:
    explicit MthpWriters(const Row& row) : row_(row) {}

    Result<void> prepare() override {
        Result<Fd> memory = Fd::open("/proc/self/mem", O_WRONLY);
        if (!memory)
            return memory.error();
        memory_ = std::move(*memory);
        return MthpExperiment::prepare();
    }

    std::vector<Actor> actors() override {
        std::vector<Actor> all = {{.name = "splitter",
                                   .kind = Actor::Kind::thread,
                                   .cpu = 0,
                                   .body =
                                       [this](ActorContext& me) {
                                           const Result<void> done = split(me);
                                           over_ = true;
                                           me.check(done);
                                       }},
                                  khugepaged_actor()};
        if (row_.kind == Kind::reader) {
            all.push_back({.name = "reader",
                           .kind = Actor::Kind::thread,
                           .cpu = 1,
                           .body = [this](ActorContext& me) { read(me); }});
            return all;
        }
        for (const char* name : {"writer-0", "writer-1"})
            all.push_back({.name = name,
                           .kind = Actor::Kind::thread,
                           .cpu = name[7] - '0',
                           .body = [this](ActorContext& me) { write(me); }});
        return all;
    }

    // All pages are there and have the value 0 where writers write.
    Result<void> begin(Run& /*run*/) override {
        over_ = false;
        at_work_ = 0;
        published_ = 0;
        if (Result<void> laid = lay_out({model::PresentPtes(pages(), true)}); !laid)
            return laid;
        for (std::size_t page = 0; page < pages(); ++page)
            word(page).store(0);
        return khugepaged().allow(khugepaged().all(), pages() - 1);
    }

    Outcome judge(Run& run) override {
        Outcome outcome = judge_words(run);
        const std::size_t lost = pages_without_rest();
        outcome.add("rest", lost == 0 ? "kept" : "lost");
        outcome.require(lost == 0,
                        fmt::format("{} pages have lost bytes that nobody wrote to", lost));
        return outcome;
    }

    // Of the words that were written to, one a page.
    Outcome judge_words(Run& run) {
        Outcome outcome;
        if (row_.kind == Kind::reader) {
            const std::int64_t stale = run.slot("reader", slot_stale);
            outcome.add("reader", stale == 0 ? "right" : "stale");
            outcome.require(stale == 0, fmt::format("{} of {} looks saw an old value", stale,
                                                    run.slot("reader", slot_seen)));
            return outcome;
        }
        std::uint64_t sum = 0;
        for (std::size_t page = 0; page < pages(); ++page)
            sum += word(page).load();
        const auto added = static_cast<std::uint64_t>(run.slot("writer-0", slot_added) +
                                                      run.slot("writer-1", slot_added));
        outcome.add("sum", sum == added ? "exact" : "wrong");
        outcome.require(sum == added, fmt::format("{} was added, {} is there", added, sum));
        return outcome;
    }

    std::optional<bool> overlapped(const Run& run) override {
        const auto worked = [&run](const char* actor) { return run.slot(actor, slot_added) > 0; };
        return run.slot("splitter", slot_collapses) > 0 &&
               (row_.kind == Kind::reader ? worked("reader")
                                          : worked("writer-0") && worked("writer-1"));
    }

  private:
    [[nodiscard]] std::atomic_ref<std::uint64_t> word(std::size_t page) const {
        return std::atomic_ref<std::uint64_t>(*reinterpret_cast<std::uint64_t*>(address(0, page)));
    }
    // All bytes after the first word are as lay_out() left them; 0 in the page that is given back.
    [[nodiscard]] std::size_t pages_without_rest() const {
        const std::size_t words = page_bytes() / sizeof(std::uint64_t);
        std::size_t lost = 0;
        for (std::size_t page = 0; page < pages(); ++page) {
            const std::uint64_t first = page == last() ? 0 : word_of(page);
            const auto* rest = reinterpret_cast<const std::uint64_t*>(address(0, page)) + 1;
            lost += compare_pattern({rest, words - 1}, first, 1).found ? 1 : 0;
        }
        return lost;
    }
    // The last is the splitter's.
    [[nodiscard]] std::size_t last() const { return pages() - 1; }

    Result<void> split(ActorContext& me) {
        // Wait until the others are running.
        while (at_work_ < (row_.kind == Kind::reader ? 1U : 2U) && !me.stopping())
            ::usleep(100);
        std::int64_t collapses = 0;
        for (unsigned round = 0; round < rounds && !me.stopping(); ++round) {
            if (Result<void> collapsed = collapse(); !collapsed)
                return collapsed;
            const Result<MappedRange> now = look(0);
            if (!now)
                return now.error();
            collapses += now->folios.empty() ? 0 : 1;
            if (Result<void> told = publish(); !told)
                return told;
            // Half a huge mapping cannot be: it is split. Then all is there again.
            char* page = address(0, last());
            if (::madvise(page, page_bytes(), MADV_DONTNEED) != 0)
                return Error::last("madvise(MADV_DONTNEED)");
            if (::madvise(page, page_bytes(), MADV_POPULATE_WRITE) != 0)
                return Error::last("madvise(MADV_POPULATE_WRITE)");
        }
        me.report(slot_collapses, collapses);
        return {};
    }

    Result<void> collapse() const {
        if (row_.kind == Kind::madvise) {
            // It may fail: a writer may just have the page's reference.
            (void)madvise_collapse(address(0), huge_bytes());
            return {};
        }
        if (Result<void> offered = offer(1); !offered)
            return offered;
        return khugepaged().wait_for_scans(1);
    }

    // Not by a store: this CPU's TLB may be as old as the reader's.
    Result<void> publish() {
        if (row_.kind != Kind::reader)
            return {};
        const std::uint64_t next = published_ + 1;
        const auto at = reinterpret_cast<std::uintptr_t>(address(0));
        if (::pwrite(memory_.get(), &next, sizeof(next), static_cast<off_t>(at)) != sizeof(next))
            return Error::last("write", "/proc/self/mem");
        published_ = next;
        ::usleep(1000);
        return {};
    }

    void read(ActorContext& me) {
        std::int64_t stale = 0;
        std::int64_t seen = 0;
        ++at_work_;
        while (!over_ && !me.stopping()) {
            const std::uint64_t wanted = published_;
            stale += word(0).load() < wanted ? 1 : 0;
            ++seen;
        }
        me.report(slot_stale, stale);
        me.report(slot_seen, seen);
    }

    void write(ActorContext& me) {
        std::int64_t added = 0;
        ++at_work_;
        while (!over_ && !me.stopping())
            for (std::size_t page = 0; page < last(); page += words_apart) {
                word(page).fetch_add(1);
                ++added;
            }
        me.report(slot_added, added);
    }

    const Row& row_;
    Fd memory_;
    std::atomic<bool> over_{false};
    std::atomic<unsigned> at_work_{0}; // writers, or the reader, that have begun
    std::atomic<std::uint64_t> published_{0};
};

std::vector<Variant> variants() {
    std::vector<Variant> all;
    all.reserve(rows.size());
    for (const Row& row : rows)
        all.push_back({.name = row.name,
                       .about = row.about,
                       .expected = {{row.expected}},
                       .forced = false,
                       .runs_divisor = 10});
    return all;
}

} // namespace

const Scenario& mthp_writers() {
    static const Scenario scenario = {
        .name = "mthp-writers",
        .family = "mthp",
        .claim = "no store is lost while memory is collapsed, split and collapsed again",
        .source = "mm/khugepaged.c, collapse_huge_page()",
        .races = "pmdp_collapse_flush() against stores and loads",
        .bad = "sum=wrong, reader=stale",
        .variants = variants(),
        // No control has a writer use a stale TLB: it would write to pages that are freed by then.
        .controls = {{.name = "no-tlb-flush",
                      .about = "khugepaged flushes no TLB when it takes the PMD away",
                      .variant = "reader",
                      .produces = "reader=stale",
                      .actions = {{.kind = FL_CONTROL_REPLACE,
                                   .actor = "khugepaged",
                                   .function = "pmdp_collapse_flush",
                                   .replacement = "collapse_unflushed"}}},
                     {.name = "late-tlb-flush",
                      .about = "the same on s390x, where each PTE is flushed after its page's copy",
                      .variant = "khugepaged",
                      .produces = "sum=wrong",
                      .actions = {{.kind = FL_CONTROL_REPLACE,
                                   .actor = "khugepaged",
                                   .function = "pmdp_collapse_flush",
                                   .replacement = "collapse_xchg_unflushed"},
                                  // An interrupt has the CPU load its address space anew.
                                  {.kind = FL_CONTROL_SKIP,
                                   .actor = "khugepaged",
                                   .function = "tlb_remove_table_sync_one"}}}},
        .needs = mthp_needs(),
        .make = [](const Variant& variant) -> std::unique_ptr<Experiment> {
            return std::make_unique<MthpWriters>(row_of(rows, variant));
        },
    };
    return scenario;
}

} // namespace faultline
