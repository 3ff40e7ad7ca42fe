// SPDX-License-Identifier: GPL-2.0
// hugetlb-sharing: after every step of some processes, the kernel's share counts are right.
//
// Claim (mm/hugetlb.c, huge_pmd_share() and huge_pmd_unshare()): two processes have the same table
// of PMDs exactly if both map the whole range of a PUD, shared, with the same flags, and have
// touched it; the count of each table is the number of its users less one; smaps and pagemap agree.
//
// Actors: three processes take random steps of the player: map, touch, give a page back, make half
// of it read-only, unmap half or all, fork a child that touches and exits, move, register with a
// userfaultfd. After each step the kernel is compared with model/pmd_sharing.hpp. A sequence that
// differs is shortened.
//     huge_pmd_share(), huge_pmd_unshare()  in any order
//
// A bad outcome: steps=differ, what=... differs, and the shortest sequence found. pagemap's bit for
// pages of one process alone is wrong in 6.1 (what=exclusive): a run goes on after it, and any
// other difference is reported instead.
#include "scenarios/hugetlb_experiment.hpp"
#include "scenarios/list.hpp"

#include "kernel/shared_memory.hpp"
#include "model/pmd_sharing.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <fcntl.h>
#include <fmt/format.h>
#include <new>
#include <sstream>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

namespace faultline {

namespace {

using model::PmdSharing;
using model::SharingOp;
using Kind = SharingOp::Kind;
using Ops = std::vector<SharingOp>;

constexpr unsigned processes = 3;
constexpr std::array<std::string_view, processes> names = {"p0", "p1", "p2"};
constexpr unsigned steps = 40; // of a run
constexpr unsigned pages = 4;  // that are touched, all in the first half
// So that each run has something to unshare.
constexpr std::array beginning = {
    SharingOp{.kind = Kind::map, .process = 0}, SharingOp{.kind = Kind::touch, .process = 0},
    SharingOp{.kind = Kind::map, .process = 1}, SharingOp{.kind = Kind::touch, .process = 1}};
constexpr std::chrono::seconds answer_bound{2};
constexpr std::chrono::seconds shorten_bound{8};

constexpr std::string_view differs_mapping = "mapping";     // mapped, or not
constexpr std::string_view differs_table = "table";         // a process has one, and which
constexpr std::string_view differs_count = "count";         // of its users
constexpr std::string_view differs_pagemap = "pagemap";     // a page is present
constexpr std::string_view differs_exclusive = "exclusive"; // pagemap: no other process has it
constexpr std::string_view differs_smaps = "smaps";

constexpr unsigned slot_steps = 0;   // of the player: that were compared
constexpr unsigned slot_sharing = 1; // in how many of them two had the same table

// Where the kernel differs from the model, as a word, and in words.
struct Difference {
    std::string_view what = {}; // "" = nowhere
    std::string text = {};

    [[nodiscard]] bool none() const { return what.empty(); }
    [[nodiscard]] bool of_exclusive_alone() const { return what == differs_exclusive; }
};

class HugetlbSharing final : public HugetlbExperiment {
  public:
    Result<void> prepare() override {
        Result<SharedMemory<Board>> board = SharedMemory<Board>::make();
        if (!board)
            return board.error();
        board_ = std::move(*board);
        watches_ = !missing_write_protect();
        return HugetlbExperiment::prepare();
    }

    std::vector<Actor> actors() override {
        std::vector<Actor> all = {{.name = "player",
                                   .kind = Actor::Kind::thread,
                                   .cpu = 0,
                                   .body = [this](ActorContext& me) {
                                       const Result<void> done = play(me);
                                       board_->over = true;
                                       me.check(done);
                                   }}};
        for (unsigned process = 0; process < processes; ++process)
            all.push_back({.name = names.at(process),
                           .kind = Actor::Kind::process,
                           .cpu = 1,
                           .body = [this, process](ActorContext& me) { obey(me, process); }});
        return all;
    }

    Result<void> begin(Run& /*run*/) override {
        difference_ = {};
        new (&*board_) Board;
        // The driver's own mapping must not take part.
        if (Result<void> fresh = file().fresh(); !fresh)
            return fresh;
        return file().unmap();
    }

    Outcome judge(Run& run) override {
        Outcome outcome;
        const bool same = difference_.none();
        outcome.add("steps", same ? "as-modelled" : "differ");
        if (!same)
            outcome.add("what", std::string(difference_.what)).forbid(difference_.text);
        outcome.require(!same || run.slot("player", slot_steps) == steps,
                        fmt::format("only {} steps were compared", run.slot("player", slot_steps)));
        return outcome;
    }

    // Without sharing, a run shows nothing.
    std::optional<bool> overlapped(const Run& run) override {
        return run.slot("player", slot_sharing) > 0;
    }

  private:
    // The player's command to a process: given when `asked` changes, done when `answered` equals
    // it.
    struct Letter {
        std::atomic<unsigned> asked{0};
        std::atomic<unsigned> answered{0};
        std::atomic<pid_t> pid{0};
        bool reset = false; // instead of `op`: give everything back
        SharingOp op{};
        int result = 0; // errno
    };
    struct Board {
        std::array<Letter, processes> letters;
        std::atomic<bool> over{false}; // all end
    };

    // --- the processes ---

    void obey(ActorContext& me, unsigned process) {
        Letter& letter = board_->letters.at(process);
        letter.pid = ::getpid();
        while (!me.stopping() && !board_->over) {
            const unsigned asked = letter.asked;
            if (asked == letter.answered) {
                ::usleep(20);
                continue;
            }
            letter.result = letter.reset ? give_all_back() : act(letter.op) ? 0 : errno;
            letter.answered = asked;
        }
    }

    int give_all_back() {
        unwatch();
        moved_ = false;
        const Result<void> done = file().unmap();
        return done ? 0 : done.error().number;
    }

    [[nodiscard]] char* page(unsigned number) const {
        return file().range(moved_ ? 1 : 0) + number * file().huge_bytes();
    }

    // False, and errno. In the process itself.
    bool act(const SharingOp& op) {
        const std::size_t bytes = file().bytes();
        char* start = page(0);
        switch (op.kind) {
        case Kind::map:
            return ::mmap(start, bytes, PROT_READ | PROT_WRITE,
                          MAP_SHARED | MAP_NORESERVE | MAP_FIXED, file().file(), 0) != MAP_FAILED;
        case Kind::touch:
            return ::madvise(page(op.page), file().huge_bytes(), MADV_POPULATE_WRITE) == 0;
        case Kind::give_back:
            return ::madvise(page(op.page), file().huge_bytes(), MADV_DONTNEED) == 0;
        case Kind::protect_half:
            return ::mprotect(start + bytes / 2, bytes / 2, PROT_READ) == 0;
        case Kind::mark_half:
            return ::madvise(start + bytes / 2, bytes / 2, MADV_DONTFORK) == 0;
        case Kind::unmap_half:
            return ::munmap(start + bytes / 2, bytes / 2) == 0;
        case Kind::unmap:
            return give_all_back() == 0;
        case Kind::fork:
            return child_touches(op.page);
        case Kind::move: {
            char* to = file().range(moved_ ? 0 : 1);
            if (::mremap(start, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, to) == MAP_FAILED)
                return false;
            moved_ = !moved_;
            return true;
        }
        case Kind::watch:
            return watch(start, bytes);
        }
        return false;
    }

    bool child_touches(unsigned number) {
        const pid_t child = ::fork();
        if (child == 0)
            ::_exit(::madvise(page(number), file().huge_bytes(), MADV_POPULATE_WRITE) == 0 ? 0 : 1);
        int status = 0;
        errno = ECHILD;
        return child > 0 && ::waitpid(child, &status, 0) == child && status == 0;
    }

    // --- the player ---

    Result<void> play(ActorContext& me) {
        const auto ready = [](const Letter& letter) { return letter.pid != 0; };
        while (!std::all_of(board_->letters.begin(), board_->letters.end(), ready) &&
               !me.stopping())
            ::usleep(100);
        Ops done;
        PmdSharing model(processes);
        std::int64_t shared = 0;
        Ops first_exclusive; // up to the first difference of that kind
        while (done.size() < steps && !me.stopping()) {
            const SharingOp op =
                done.size() < beginning.size() ? beginning.at(done.size()) : draw(me, model);
            done.push_back(op);
            Result<Difference> difference = step(op, model);
            if (!difference)
                return difference.error();
            if (difference->of_exclusive_alone() && difference_.none()) {
                difference_ = std::move(*difference);
                first_exclusive = done;
            } else if (!difference->none() && !difference->of_exclusive_alone()) {
                difference_ = std::move(*difference);
                return shorten(me, std::move(done));
            }
            shared += any_shared(model) ? 1 : 0;
            me.report(slot_steps, static_cast<std::int64_t>(done.size()));
            me.report(slot_sharing, shared);
        }
        return difference_.none() ? Result<void>() : shorten(me, std::move(first_exclusive));
    }

    static bool any_shared(const PmdSharing& model) {
        for (unsigned process = 0; process < processes; ++process)
            if (model.table(process) && model.sharers(*model.table(process)) > 1)
                return true;
        return false;
    }

    // Something that can be done. Mostly touches, and mappings that begin anew, or little would be
    // shared.
    SharingOp draw(ActorContext& me, const PmdSharing& model) const {
        constexpr std::array often = {Kind::touch, Kind::touch,     Kind::touch,
                                      Kind::map,   Kind::mark_half, Kind::unmap};
        for (;;) {
            const auto lot = me.rng().below(often.size() + 2);
            const SharingOp op = {.kind = lot < often.size() ? often.at(lot)
                                                             : static_cast<Kind>(me.rng().below(
                                                                   model::sharing_op_kinds)),
                                  .process = static_cast<unsigned>(me.rng().below(processes)),
                                  .page = static_cast<unsigned>(me.rng().below(pages))};
            if (model.can(op) && (op.kind != Kind::watch || watches_))
                return op;
        }
    }

    Result<void> ask(unsigned process, const SharingOp* op) {
        Letter& letter = board_->letters.at(process);
        letter.reset = op == nullptr;
        if (op != nullptr)
            letter.op = *op;
        const unsigned asked = ++letter.asked;
        const auto deadline = std::chrono::steady_clock::now() + answer_bound;
        while (letter.answered != asked) {
            if (std::chrono::steady_clock::now() > deadline)
                return Error::make(ETIMEDOUT, op != nullptr ? to_string(*op) : "reset",
                                   read_text(fmt::format("/proc/{}/stack", letter.pid.load()))
                                       .value_or("no stack"));
            ::usleep(20);
        }
        return letter.result == 0
                   ? Result<void>()
                   : Error::make(letter.result, op != nullptr ? to_string(*op) : "reset");
    }

    // Where the kernel differs after it. Pagemap's exclusive bit comes last.
    Result<Difference> step(const SharingOp& op, PmdSharing& model) {
        if (Result<void> done = ask(op.process, &op); !done)
            return done.error();
        model.apply(op);
        std::array<HugetlbShare, processes> shares;
        for (unsigned process = 0; process < processes; ++process) {
            Result<HugetlbShare> share = hugetlb_share(board_->letters.at(process).pid,
                                                       file().range(model.moved(process) ? 1 : 0));
            if (!share)
                return share.error();
            if (!share->busy.empty())
                return Error::make(EBUSY, share->busy);
            shares.at(process) = std::move(*share);
        }
        for (unsigned process = 0; process < processes; ++process)
            if (Difference difference = compare(process, model, shares); !difference.none())
                return difference;
        Difference exclusive;
        for (unsigned process = 0; process < processes; ++process) {
            Result<Difference> difference = compare_pagemap(process, model);
            if (!difference || (!difference->none() && !difference->of_exclusive_alone()))
                return difference;
            if (exclusive.none())
                exclusive = std::move(*difference);
        }
        Result<Difference> difference = compare_smaps(model);
        if (!difference || !difference->none())
            return difference;
        return exclusive;
    }

    static Difference compare(unsigned process, const PmdSharing& model,
                              const std::array<HugetlbShare, processes>& shares) {
        const HugetlbShare& share = shares.at(process);
        const std::optional<std::size_t> table = model.table(process);
        if (share.mapped != model.mapped(process))
            return {differs_mapping,
                    fmt::format("p{} is {}mapped", process, share.mapped ? "" : "not ")};
        if ((share.pud == "table") != table.has_value())
            return {differs_table, fmt::format("p{} has {} table", process, table ? "no" : "a")};
        if (!table)
            return {};
        const unsigned sharers = model.sharers(*table);
        if (share.shared != static_cast<std::int64_t>(sharers) - 1)
            return {differs_count, fmt::format("the count of p{}'s table is {}, not {}", process,
                                               share.shared, sharers - 1)};
        if (share.users.size() != sharers)
            return {differs_count, fmt::format("{} mappings have p{}'s table, not {}",
                                               share.users.size(), process, sharers)};
        for (unsigned other = 0; other < processes; ++other)
            if (const bool same = model.table(other) == table;
                model.table(other) && same != (shares.at(other).table == share.table))
                return {differs_table, fmt::format("p{} and p{} have {} table", process, other,
                                                   same ? "not the same" : "the same")};
        return {};
    }

    // The words of /proc/PID/pagemap for the touched pages: bit 63, present; 56, nobody else's.
    Result<Difference> compare_pagemap(unsigned process, const PmdSharing& model) const {
        const std::string path =
            fmt::format("/proc/{}/pagemap", board_->letters.at(process).pid.load());
        const Result<Fd> map = Fd::open(path, O_RDONLY);
        if (!map)
            return map.error();
        Difference exclusive_differs;
        for (unsigned number = 0; number < pages; ++number) {
            const char* at =
                file().range(model.moved(process) ? 1 : 0) + number * file().huge_bytes();
            std::uint64_t entry = 0;
            const auto offset = reinterpret_cast<std::uintptr_t>(at) /
                                static_cast<unsigned>(::getpagesize()) * sizeof(entry);
            if (::pread(map->get(), &entry, sizeof(entry), static_cast<off_t>(offset)) !=
                sizeof(entry))
                return Error::last("read", path);
            const bool present = (entry >> 63) != 0;
            const bool exclusive = (entry >> 56 & 1) != 0;
            if (present != model.has(process, number))
                return Difference{differs_pagemap,
                                  fmt::format("pagemap of p{}: page {} is {}there", process, number,
                                              present ? "" : "not ")};
            if (present && exclusive == model.shared(process, number) && exclusive_differs.none())
                exclusive_differs = {differs_exclusive,
                                     fmt::format("pagemap of p{}: page {} is {}", process, number,
                                                 exclusive ? "exclusive" : "not exclusive")};
        }
        return exclusive_differs;
    }

    // The lines of /proc/PID/smaps for the mappings of huge pages.
    Result<Difference> compare_smaps(const PmdSharing& model) {
        const auto kilobytes = file().huge_bytes() >> 10;
        for (unsigned process = 0; process < processes; ++process) {
            const Result<std::string> text =
                read_text(fmt::format("/proc/{}/smaps", board_->letters.at(process).pid.load()));
            if (!text)
                return text.error();
            std::size_t shared = 0;
            std::size_t own = 0;
            std::istringstream lines(*text);
            for (std::string line; std::getline(lines, line);) {
                std::size_t value = 0;
                if (std::sscanf(line.c_str(), "Shared_Hugetlb: %zu", &value) == 1)
                    shared += value / kilobytes;
                else if (std::sscanf(line.c_str(), "Private_Hugetlb: %zu", &value) == 1)
                    own += value / kilobytes;
            }
            if (shared != model.shared_pages(process) || own != model.private_pages(process))
                return Difference{
                    differs_smaps,
                    fmt::format("smaps of p{}: {} pages shared and {} private, not {} and {}",
                                process, shared, own, model.shared_pages(process),
                                model.private_pages(process))};
        }
        return Difference();
    }

    // From the beginning, the steps of these that are possible, up to a difference. Pagemap's
    // exclusive bit is one only if it is wanted.
    Result<Difference> replay(const Ops& ops, std::string_view wanted) {
        for (unsigned process = 0; process < processes; ++process)
            if (Result<void> reset = ask(process, nullptr); !reset)
                return reset.error();
        PmdSharing model(processes);
        for (const SharingOp& op : ops) {
            if (!model.can(op))
                continue;
            Result<Difference> difference = step(op, model);
            // After any other difference the model is of no use: a step might not end.
            if (!difference || difference->what == wanted ||
                (!difference->none() && !difference->of_exclusive_alone()))
                return difference;
        }
        return Difference();
    }

    // Leaves steps out that the difference does not need: halves, quarters, and so on to single
    // steps, as long as there is time.
    Result<void> shorten(ActorContext& me, Ops ops) {
        const auto deadline = std::chrono::steady_clock::now() + shorten_bound;
        for (std::size_t size = ops.size() / 2; size > 0; size /= 2) {
            for (std::size_t at = 0; at + size <= ops.size();) {
                if (std::chrono::steady_clock::now() > deadline || me.stopping())
                    break;
                Ops fewer = ops;
                const auto from = fewer.begin() + static_cast<std::ptrdiff_t>(at);
                fewer.erase(from, from + static_cast<std::ptrdiff_t>(size));
                Result<Difference> difference = replay(fewer, difference_.what);
                if (!difference)
                    return difference.error();
                if (difference->none()) {
                    at += size;
                    continue;
                }
                ops = std::move(fewer);
                difference_ = std::move(*difference);
            }
        }
        difference_.text += " after: " + model::to_string(ops);
        return {};
    }

    SharedMemory<Board> board_;
    bool watches_ = false;  // this kernel has write protection
    Difference difference_; // the player's until it has ended
    bool moved_ = false;    // of each process its own
};

} // namespace

const Scenario& hugetlb_sharing() {
    static const Scenario scenario = {
        .name = "hugetlb-sharing",
        .family = "hugetlb",
        .claim =
            "share counts, smaps and the tables of each process match the model after every step",
        .source = "mm/hugetlb.c, huge_pmd_share() and huge_pmd_unshare()",
        .races = "huge_pmd_share() and huge_pmd_unshare(), in any order",
        .bad = "steps=differ",
        .variants = {{.name = "random",
                      .about = "40 random steps of three processes",
                      .expected = {{.words = "steps=as-modelled"}},
                      .known = {{.words = "steps=differ what=exclusive",
                                 .releases = "6.1",
                                 .fix = "fixed by 6.12, whose pagemap_hugetlb_range() asks "
                                        "hugetlb_pmd_shared()"}},
                      .forced = false,
                      .runs_divisor = 5}},
        .controls = {{.name = "no-unshare-on-split",
                      .about = "a mapping that is split keeps the table that it shares",
                      .variant = "random",
                      .produces = "steps=differ what=count|table",
                      .actions = {{.kind = FL_CONTROL_SKIP, .function = "hugetlb_split"}}},
                     {.name = "no-sharing",
                      .about = "one process never shares",
                      .variant = "random",
                      .produces = "steps=differ what=count|table",
                      .actions = {{.kind = FL_CONTROL_REPLACE,
                                   .actor = "p1",
                                   .function = "huge_pmd_share",
                                   .replacement = "huge_pmd_not_shared"}},
                      .kind = Control::Kind::comparison}},
        .needs = {{"huge pages", missing_hugetlb}, {"PMD sharing", missing_pmd_sharing}},
        .make = [](const Variant& /*variant*/) -> std::unique_ptr<Experiment> {
            return std::make_unique<HugetlbSharing>();
        },
    };
    return scenario;
}

} // namespace faultline
