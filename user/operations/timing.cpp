// SPDX-License-Identifier: GPL-2.0
// When actors did something, and in which order: clocks, meetings, drawn orders.
#include "operations/objects.hpp"

#include "kernel/shared_memory.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <numeric>
#include <sched.h>
#include <span>
#include <sys/resource.h>
#include <unistd.h>

namespace faultline {

namespace {

std::uint64_t now_ns() { // as the module's times: CLOCK_MONOTONIC
    return static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch() /
                                      std::chrono::nanoseconds(1));
}

// How often this thread was switched out, to sleep or for another.
long switched_out() {
    rusage usage{};
    (void)::getrusage(RUSAGE_THREAD, &usage);
    return usage.ru_nvcsw + usage.ru_nivcsw;
}

// A time that an actor took for something.
struct Lap {
    std::uint64_t began;
    std::uint64_t ended;
    int cpu; // where it began
    bool awake;
};
constexpr std::size_t most_laps = 4096;

struct Laps {
    std::atomic<std::size_t> count{0};
    std::array<Lap, most_laps> laps{};
};

struct ClockObject final : Object {
    SharedMemory<Laps> shared;
    [[nodiscard]] std::span<const Lap> laps() const {
        return {shared->laps.data(), std::min<std::size_t>(shared->count, most_laps)};
    }
};

struct Started {
    std::uint64_t began = 0;
    long switches = 0;
    int cpu = 0;
};
thread_local Started started;

Result<Value> make_clock(Doing& /*doing*/, const Given& /*given*/) {
    Result<SharedMemory<Laps>> shared = SharedMemory<Laps>::make();
    if (!shared)
        return shared.error();
    auto made = std::make_shared<ClockObject>();
    made->shared = std::move(*shared);
    made->shared->laps.fill({}); // or each would be a page fault of the actor's
    return Value::of_object(Type::clock, std::move(made));
}

Result<Value> do_clock_start(Doing& /*doing*/, const Given& /*given*/) {
    started = {.began = 0, .switches = switched_out(), .cpu = ::sched_getcpu()};
    started.began = now_ns();
    return Value{};
}

// Laps that come when all are taken are not noted.
Result<Value> do_clock_stop(Doing& /*doing*/, const Given& given) {
    const std::uint64_t ended = now_ns();
    Laps& shared = *given.object<ClockObject>(0).shared;
    const std::size_t place = shared.count++;
    if (place < most_laps)
        shared.laps.at(place) = {.began = started.began,
                                 .ended = ended,
                                 .cpu = started.cpu,
                                 .awake = switched_out() == started.switches};
    return Value{};
}

Result<const fl_site_result*> site_of(const Doing& doing, const std::string& text) {
    const fl_site_result* site = doing.run->site(text);
    if (site == nullptr)
        return Error::make(EINVAL, "the schedule has no site " + text);
    return site;
}

Result<Value> do_laps(Doing& /*doing*/, const Given& given) {
    const std::size_t count = given.object<ClockObject>(0).shared->count;
    return Value::of(static_cast<std::int64_t>(count));
}

Result<Value> do_laps_between(Doing& doing, const Given& given) {
    const Result<const fl_site_result*> from = site_of(doing, given.text(1));
    const Result<const fl_site_result*> to = site_of(doing, given.text(2));
    if (!from || !to)
        return from ? to.error() : from.error();
    const std::uint64_t left = (*from)->left_ns;
    const std::uint64_t reached = (*to)->reached_ns;
    if (left == 0 || reached == 0)
        return Value::of(0);
    const std::span<const Lap> laps = given.object<ClockObject>(0).laps();
    return Value::of(std::count_if(laps.begin(), laps.end(), [left, reached](const Lap& lap) {
        return lap.awake && lap.began > left && lap.began < reached;
    }));
}

Result<Value> do_laps_crossed(Doing& /*doing*/, const Given& given) {
    const std::span<const Lap> laps = given.object<ClockObject>(0).laps();
    std::int64_t crossed = 0;
    for (const Lap& one : laps)
        crossed += std::count_if(laps.begin(), laps.end(), [&one](const Lap& other) {
            return one.cpu != other.cpu && one.began <= other.began && other.began < one.ended;
        });
    return Value::of(crossed);
}

struct MeetingObject final : Object {
    struct Shared {
        std::atomic<std::int64_t> there{0};
    };
    SharedMemory<Shared> shared;
    std::int64_t actors = 0;
};

Result<Value> make_meeting(Doing& /*doing*/, const Given& given) {
    Result<SharedMemory<MeetingObject::Shared>> shared =
        SharedMemory<MeetingObject::Shared>::make();
    if (!shared)
        return shared.error();
    auto made = std::make_shared<MeetingObject>();
    made->shared = std::move(*shared);
    made->actors = given.number(0);
    return Value::of_object(Type::meeting, std::move(made));
}

Result<Value> do_meet(Doing& doing, const Given& given) {
    const MeetingObject& meeting = given.object<MeetingObject>(0);
    ++meeting.shared->there;
    while (meeting.shared->there < meeting.actors && !doing.stopping())
        ::sched_yield();
    return Value{};
}

Result<Value> make_shuffled(Doing& doing, const Given& given) {
    if (given.number(0) < 1 || given.number(0) > static_cast<std::int64_t>(most_laps))
        return Error::make(EINVAL, "shuffled() of so many");
    auto made = std::make_shared<CountsObject>();
    made->counts.resize(static_cast<std::size_t>(given.number(0)));
    std::iota(made->counts.begin(), made->counts.end(), std::uint64_t{0});
    for (std::size_t left = made->counts.size(); left > 1; --left)
        std::swap(made->counts[left - 1], made->counts[doing.rng.below(left)]);
    return Value::of_object(Type::counts, std::move(made));
}

Result<Value> do_nth(Doing& /*doing*/, const Given& given) {
    const std::vector<std::uint64_t>& counts = given.object<CountsObject>(0).counts;
    const std::int64_t place = given.number(1);
    if (place < 0 || place >= static_cast<std::int64_t>(counts.size()))
        return Error::make(ERANGE, "nth() beyond the last");
    return Value::of(static_cast<std::int64_t>(counts[static_cast<std::size_t>(place)]));
}

} // namespace

void add_timing_operations(std::vector<Operation>& rows) {
    const Argument clock{"clock", Type::clock};
    rows.insert(
        rows.end(),
        {{.name = "clock",
          .result = Type::clock,
          .about = "a clock without laps; the actors of a run note laps in it",
          .where = in_setup,
          .act = make_clock},
         {.name = "clock_start",
          .arguments = {clock},
          .about = "a lap of this actor begins",
          .where = in_actor,
          .act = do_clock_start},
         {.name = "clock_stop",
          .arguments = {clock},
          .about = "it ends; the first 4096 laps of a run are noted",
          .where = in_actor,
          .act = do_clock_stop},
         {.name = "laps",
          .arguments = {clock},
          .result = Type::number,
          .about = "the number of laps, noted or not",
          .where = in_judge,
          .act = do_laps},
         {.name = "laps_between",
          .arguments = {clock, {"from", Type::text}, {"to", Type::text}},
          .result = Type::number,
          .about =
              "laps that began after one site of the schedule was left and before the other was "
              "reached, and whose actor was not switched out in that time, not even to sleep",
          .where = in_judge,
          .act = do_laps_between},
         {.name = "laps_crossed",
          .arguments = {clock},
          .result = Type::number,
          .about = "pairs of laps of two CPUs, one of which began while the other went on",
          .where = in_judge,
          .act = do_laps_crossed},
         {.name = "meeting",
          .arguments = {{"actors", Type::number}},
          .result = Type::meeting,
          .about = "a place where this number of actors wait for each other",
          .where = in_setup,
          .act = make_meeting},
         {.name = "meet",
          .arguments = {{"meeting", Type::meeting}},
          .about = "waits, without sleeping, until all actors of the meeting are there",
          .where = in_actor,
          .act = do_meet},
         {.name = "shuffled",
          .arguments = {{"count", Type::number}},
          .result = Type::counts,
          .about = "the numbers from 0 to count - 1, in an order drawn from the run's seed",
          .act = make_shuffled},
         {.name = "nth",
          .arguments = {{"counts", Type::counts}, {"place", Type::number}},
          .result = Type::number,
          .about = "one of them, from 0",
          .act = do_nth}});
}

} // namespace faultline
