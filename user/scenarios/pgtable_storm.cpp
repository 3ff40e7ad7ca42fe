// SPDX-License-Identifier: GPL-2.0
// pgtable-storm: whoever else changes page tables while one of them is retracted.
//
// Claim (comments of retract_page_tables(); Jann Horn, "mm/mremap: fix move_normal_pmd() /
// retract_page_tables() race", CVE-2024-50066, v6.12): mremap, munmap, MADV_DONTNEED and page
// faults do not meet a page table that is being retracted. They wait for i_mmap_rwsem, or they take
// the page table's lock and look again. No entry is written to a table that is gone, no byte is
// lost, no table is freed twice.
//
// Who: the collapser, in front of retract_page_tables() or in it, when the table is found and not
// locked; the owner, a process of its own that maps the file, and moves, unmaps, zaps, or touches.
//     retract_page_tables()  against  move_page_tables(), free_pgtables(), zap_page_range_single(),
//                                     finish_fault()
//
// A bad outcome: a word that is not what was written, or a complaint in the kernel's log, also when
// the owner exits.
#include "scenarios/collapse_experiment.hpp"
#include "scenarios/list.hpp"
#include "scenarios/pgtable_experiment.hpp"

#include "kernel/kernel_log.hpp"
#include "kernel/shared_memory.hpp"

#include <array>
#include <optional>
#include <sys/mman.h>

namespace faultline {

namespace {

constexpr std::string_view before = "owner@user:ready -> collapser@user:start; "
                                    "collapser@enter:collapse_file/retract -> owner@user:act; "
                                    "owner@user:acted -> collapser@enter:collapse_file/retract";
constexpr std::string_view within =
    "owner@user:ready -> collapser@user:start; "
    "collapser@enter:retract_page_tables/notify -> owner@user:act; "
    "owner@user:acted -> collapser@enter:retract_page_tables/notify";
// Held with both mappings in place and the page tables not moved yet.
constexpr std::string_view moving = "owner@enter:move_page_tables -> collapser@user:start; "
                                    "collapser@user:collapsed -> owner@enter:move_page_tables";
constexpr std::string_view storm = "owner@user:ready -> collapser@user:start";

constexpr unsigned slot_wrong = 0;     // of the owner: words that were not what was written
constexpr unsigned slot_acts = 1;      // while the collapse went on
constexpr unsigned most_collapses = 8; // of a storm that makes them fail

struct Row {
    std::string_view name;
    std::string_view about;
    std::string_view schedule;
    std::string_view excluded_at = {}; // in the owner's stack; "" = nothing excludes it
};

constexpr std::array rows = {
    Row{"mremap-before", "the mapping moves in front of retract_page_tables()", before},
    Row{"munmap-before", "it is unmapped there", before},
    Row{"dontneed-before", "its entries are zapped there", before},
    Row{"mremap-moving", "the table is retracted while move_page_tables() begins", moving},
    Row{"mremap-within", "a move waits for i_mmap_rwsem when the table was found", within,
        "down_write < copy_vma"},
    Row{"munmap-within", "so does an munmap", within, "down_write < free_pgtables"},
    Row{"dontneed-within", "entries are zapped in the table that was found", within},
    Row{"mremap-storm", "moves to and fro during the collapse", storm},
    Row{"munmap-storm", "unmaps and maps again", storm},
    Row{"dontneed-storm", "zaps and touches", storm},
    Row{"fault-storm", "touches all pages, for reading and for writing", storm},
};

class PgtableStorm final : public CollapseExperiment {
  public:
    explicit PgtableStorm(std::string_view variant) : variant_(variant) {}

    Result<void> prepare() override {
        Result<KernelLog> log = KernelLog::open();
        if (!log)
            return log.error();
        log_ = std::move(*log);
        Result<SharedMemory<Shared>> shared = SharedMemory<Shared>::make();
        if (!shared)
            return shared.error();
        shared_ = std::move(*shared);
        return CollapseExperiment::prepare();
    }

    std::vector<Actor> actors() override {
        Actor collapsing = collapser(extent().address());
        collapsing.body = [this, collapse = std::move(collapsing.body)](ActorContext& me) {
            shared_->begun = true;
            collapse(me);
            for (unsigned again = 1; is_storm() && again < most_collapses; ++again)
                report_collapse(me, extent().collapse());
            shared_->over = true;
        };
        return {std::move(collapsing),
                {.name = "owner",
                 .kind = Actor::Kind::process,
                 .cpu = 1,
                 .body = [this](ActorContext& me) { own(me); }}};
    }

    Result<void> begin(Run& run) override {
        shared_->begun = false;
        shared_->over = false;
        if (Result<void> laid = lay_out(std::vector<bool>(extent().pages(), false)); !laid)
            return laid;
        touch_ = draw_page(run.rng());
        return {};
    }

    Outcome judge(Run& run) override {
        Outcome outcome;
        const Result<std::string> complaint = log_->complaint();
        const Result<std::size_t> wrong = wrong_words(std::nullopt, 0);
        if (!complaint || !wrong)
            return outcome.forbid((complaint ? wrong.error() : complaint.error()).to_string());
        const std::int64_t seen = run.slot("owner", slot_wrong);
        outcome.add("collapse", collapse_word(run));
        outcome.add("seen", seen == unreported ? "-" : seen == 0 ? "right" : "wrong");
        outcome.add("file", *wrong == 0 ? "intact" : "changed");
        outcome.add("exit", complaint->empty() ? "clean" : "complaint");
        outcome.require(seen != unreported, "the owner did not come to its end");
        outcome.require(seen <= 0, "the owner saw a word that nobody wrote");
        outcome.require(*wrong == 0, "a word of the file is not what was written");
        outcome.require(complaint->empty(), "the kernel complained: " + *complaint);
        outcome.require(collapse_errno(run).has_value(), "the collapse did not end");
        return outcome;
    }

    std::optional<bool> overlapped(const Run& run) override {
        if (!is_storm())
            return std::nullopt;
        return run.slot("owner", slot_acts) > 0;
    }

    [[nodiscard]] std::uint64_t corrupt_base() const override {
        return reinterpret_cast<std::uintptr_t>(extent().address());
    }

  private:
    struct Shared {
        std::atomic<bool> begun{false}; // the collapse
        std::atomic<bool> over{false};
    };

    [[nodiscard]] bool is(std::string_view start) const { return variant_.starts_with(start); }
    [[nodiscard]] bool is_storm() const { return variant_.ends_with("storm"); }

    // How many words of the mapping at `at` are not what was written.
    [[nodiscard]] std::int64_t look(const char* at) const {
        std::int64_t wrong = 0;
        for (std::size_t page = 0; page < extent().pages(); ++page)
            wrong += *reinterpret_cast<const volatile std::uint64_t*>(
                         at + page * extent().page_bytes()) != extent().word(page)
                         ? 1
                         : 0;
        return wrong;
    }

    // One act on the mapping; `at` is where it is, before and after.
    Result<void> act(char*& at) const {
        const std::size_t bytes = extent().bytes();
        if (is("mremap")) {
            // The file's second mapping is not needed here: its place is where the first can go.
            char* const to = at == extent().address() ? extent().other() : extent().address();
            if (::mremap(at, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, to) == MAP_FAILED)
                return Error::last("mremap");
            at = to;
        } else if (is("munmap")) {
            if (::munmap(at, bytes) != 0)
                return Error::last("munmap");
            if (::mmap(at, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, extent().file(),
                       0) == MAP_FAILED)
                return Error::last("mmap");
        } else if (is("dontneed")) {
            if (::madvise(at, bytes, MADV_DONTNEED) != 0)
                return Error::last("madvise(MADV_DONTNEED)");
        }
        return {};
    }

    void own(ActorContext& me) {
        char* at = extent().address();
        // The window within is a call of the MMU notifiers that this mm has.
        const Result<MmuListener> listener = MmuListener::open();
        const Result<void> listens =
            listener ? listener->listen(at, extent().bytes()) : Result<void>(listener.error());
        if (variant_.ends_with("within") && !listens)
            return me.fail(listens.error());
        // A move must not have to unmap a file there first: that would wait, too.
        if (::mmap(extent().other(), extent().bytes(), PROT_NONE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) == MAP_FAILED)
            return me.fail(Error::last("mmap (anonymous)"));
        std::int64_t wrong = look(at);
        std::int64_t acts = 0;
        if (!me.at("ready"))
            return;
        if (is_storm()) {
            while (!shared_->over && !me.stopping()) {
                acts += shared_->begun ? 1 : 0;
                if (const Result<void> done = act(at); !done)
                    return me.fail(done.error());
                wrong += touch(at, me.rng().below(extent().pages()));
            }
        } else {
            if (!me.at("act"))
                return;
            if (const Result<void> done = act(at); !done)
                return me.fail(done.error());
            if (!me.at("acted"))
                return;
        }
        wrong += look(at);
        me.report(slot_wrong, wrong);
        me.report(slot_acts, acts);
    }

    // Some pages in a row, by turns for reading and, the same word again, for writing.
    [[nodiscard]] std::int64_t touch(char* at, std::size_t first) const {
        constexpr std::size_t in_a_row = 8;
        std::int64_t wrong = 0;
        for (std::size_t i = 0; i < in_a_row; ++i) {
            const std::size_t page = (first + i) % extent().pages();
            auto* word =
                reinterpret_cast<volatile std::uint64_t*>(at + page * extent().page_bytes());
            wrong += *word != extent().word(page) ? 1 : 0;
            if (i % 2 == 0)
                *word = extent().word(page);
        }
        return wrong;
    }

    std::string_view variant_;
    std::optional<KernelLog> log_;
    SharedMemory<Shared> shared_;
};

std::vector<Variant> variants() {
    std::vector<Variant> all;
    all.reserve(rows.size());
    for (const Row& row : rows) {
        const bool excluded = !row.excluded_at.empty();
        const bool storms = row.schedule == storm;
        Variant variant = {.name = row.name,
                           .about = row.about,
                           .schedule = row.schedule,
                           .expected = {{"seen=right file=intact exit=clean"}},
                           .forced = !storms,
                           .runs_divisor = excluded ? 10U : 4U};
        if (excluded)
            variant.exclusion = {.places = {row.excluded_at}};
        if (storms)
            variant.chance = Chance{.overlaps = 10, .seconds = 60};
        all.push_back(std::move(variant));
    }
    return all;
}

} // namespace

const Scenario& pgtable_storm() {
    static const Scenario scenario = {
        .name = "pgtable-storm",
        .family = "pte-free-defer",
        .claim = "mremap, munmap, MADV_DONTNEED and faults do not meet a table being retracted",
        .source = "Hugh Dickins, May 2023; Jann Horn, October 2024 (CVE-2024-50066)",
        .races = "retract_page_tables() against move_page_tables(), free_pgtables(), "
                 "zap_page_range_single() and finish_fault()",
        .bad = "seen=wrong, file=changed, exit=complaint",
        .variants = variants(),
        .controls = {{.name = "corrupted-byte",
                      .about = "a byte of the first page is flipped when collapse_file() returns",
                      .variant = "dontneed-before",
                      .produces = "file=changed",
                      .actions = {{.kind = FL_CONTROL_CORRUPT,
                                   .actor = "collapser",
                                   .function = "collapse_file",
                                   .value_is_address = true}},
                      .kind = Control::Kind::comparison}},
        .no_hazard_control = "an act that meets the table would write to a page that is free",
        .needs = {freed_by_rcu(), huge_pages()},
        .make = [](const Variant& variant) -> std::unique_ptr<Experiment> {
            return std::make_unique<PgtableStorm>(variant.name);
        },
    };
    return scenario;
}

} // namespace faultline
