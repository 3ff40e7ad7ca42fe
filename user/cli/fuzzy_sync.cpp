// SPDX-License-Identifier: GPL-2.0
#include "cli/fuzzy_sync.hpp"

#include "kernel/shared_memory.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <memory>
#include <utility>

namespace faultline {

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t most_actors = 16;
constexpr std::chrono::milliseconds meeting_bound{20}; // one may wait for another to end
constexpr std::int64_t weight = 8;                     // an average follows 1/8 of each new value

struct Meeting {
    std::atomic<unsigned> arrived{0};
    std::array<std::atomic<std::int64_t>, most_actors> late_ns{}; // of this run
    std::array<std::atomic<std::int64_t>, most_actors> took_ns{}; // on average
};

void spin_until(Clock::time_point end) {
    while (Clock::now() < end) {
    }
}

class FuzzySync final : public Experiment {
  public:
    explicit FuzzySync(std::unique_ptr<Experiment> inner) : inner_(std::move(inner)) {}

    Result<void> prepare() override {
        Result<SharedMemory<Meeting>> made = SharedMemory<Meeting>::make();
        if (!made)
            return made.error();
        meeting_ = std::move(*made);
        return inner_->prepare();
    }
    std::vector<Actor> actors() override {
        std::vector<Actor> all = inner_->actors();
        actors_ = 0;
        for (Actor& actor : all)
            if (actor.body && actors_ < most_actors)
                actor.body = [this, body = actor.body, index = actors_++](ActorContext& me) {
                    meet(index);
                    const auto start = Clock::now();
                    body(me);
                    note(index, Clock::now() - start);
                };
        return all;
    }
    Result<void> begin(Run& run) override {
        Result<void> begun = inner_->begin_run(run);
        meeting_->arrived = 0;
        for (std::size_t i = 0; i < actors_; ++i) {
            std::int64_t longest = 0;
            for (std::size_t other = 0; other < actors_; ++other)
                if (other != i)
                    longest = std::max(longest, meeting_->took_ns.at(other).load());
            meeting_->late_ns.at(i) =
                static_cast<std::int64_t>(run.rng().below(static_cast<std::uint64_t>(longest) + 1));
        }
        return begun;
    }
    Outcome judge(Run& run) override { return inner_->judge_run(run); }
    std::optional<bool> overlapped(const Run& run) override { return inner_->overlapped(run); }
    [[nodiscard]] std::uint64_t corrupt_base() const override { return inner_->corrupt_base(); }

  private:
    void meet(std::size_t index) {
        ++meeting_->arrived;
        const auto end = Clock::now() + meeting_bound;
        while (meeting_->arrived < actors_ && Clock::now() < end) {
        }
        spin_until(Clock::now() + std::chrono::nanoseconds(meeting_->late_ns.at(index).load()));
    }
    void note(std::size_t index, Clock::duration took) {
        std::atomic<std::int64_t>& average = meeting_->took_ns.at(index);
        const std::int64_t now = std::chrono::nanoseconds(took).count();
        average = average == 0 ? now : average + (now - average) / weight;
    }

    std::unique_ptr<Experiment> inner_;
    SharedMemory<Meeting> meeting_;
    std::size_t actors_ = 0; // that meet
};

} // namespace

Scenario with_fuzzy_sync(const Scenario& scenario) {
    Scenario fuzzy = scenario;
    fuzzy.make = [make = scenario.make](const Variant& variant) {
        return std::make_unique<FuzzySync>(make(variant));
    };
    return fuzzy;
}

} // namespace faultline
