// SPDX-License-Identifier: GPL-2.0
// What the base class of a family adds to each run: the State before the actors start and after
// they have ended. A difference that the scenario does not allow forbids the run's outcome, and
// "state" names it there.
#ifndef FAULTLINE_SCENARIOS_STATE_CHECK_HPP
#define FAULTLINE_SCENARIOS_STATE_CHECK_HPP

#include "engine/scenario.hpp"
#include "kernel/state.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace faultline {

class StateCheck {
  public:
    // Bytes and smaps cost as much as a run: they are taken in the first run and in each fourth
    // after it. All else is taken in each run.
    static constexpr unsigned whole_every = 4;
    [[nodiscard]] static bool whole(const Run& run) { return run.number() % whole_every == 1; }

    // Of one run: forgets what an earlier one found.
    Result<void> begin(const StateScope& scope);
    [[nodiscard]] bool begun() const { return before_.has_value(); }
    Result<void> end(const StateScope& scope);
    // After begin() and end().
    [[nodiscard]] const State& before() const { return *before_; }
    [[nodiscard]] const State& after() const { return *after_; }

    // What compare() finds. A page that is there only before or only after has no bytes to compare:
    // its coming or going is in other columns.
    void compare_all(const Allowed& may_differ);
    // By how much a counter has grown; 0 if this machine does not have it.
    [[nodiscard]] std::int64_t growth(std::string_view name) const;
    // A counter that must have grown by that much, if this machine has it.
    void require_growth(std::string_view name, std::int64_t by);
    void require(bool condition, std::string_view name, const std::string& otherwise);

    // The first of what was found.
    void tell(Outcome& outcome) const;

  private:
    std::optional<State> before_;
    std::optional<State> after_;
    std::string word_; // empty: all is as it must be
    std::string why_;
};

} // namespace faultline

#endif // FAULTLINE_SCENARIOS_STATE_CHECK_HPP
