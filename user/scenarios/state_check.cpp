// SPDX-License-Identifier: GPL-2.0
#include "scenarios/state_check.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace faultline {

Result<void> StateCheck::begin(const StateScope& scope) {
    before_.reset();
    after_.reset();
    word_.clear();
    Result<State> state = State::take(scope);
    if (!state)
        return state.error();
    before_ = std::move(*state);
    return {};
}

Result<void> StateCheck::end(const StateScope& scope) {
    Result<State> state = State::take(scope);
    if (!state)
        return state.error();
    after_ = std::move(*state);
    return {};
}

void StateCheck::compare_all(const Allowed& may_differ) {
    std::vector<Difference> differences = compare(*before_, *after_, may_differ);
    std::erase_if(differences, [](const Difference& one) {
        return one.name.starts_with("mapping ") && one.name.ends_with(" bytes") &&
               (!one.before || !one.after);
    });
    if (!differences.empty())
        require(false, differences.front().name, to_string(differences));
}

std::int64_t StateCheck::growth(std::string_view name) const {
    return static_cast<std::int64_t>(after_->value(name).value_or(0) -
                                     before_->value(name).value_or(0));
}

void StateCheck::require_growth(std::string_view name, std::int64_t by) {
    if (before_->value(name) && after_->value(name))
        require(growth(name) == by, name,
                fmt::format("{} grew by {}, and should by {}", name, growth(name), by));
}

void StateCheck::require(bool condition, std::string_view name, const std::string& otherwise) {
    if (condition || !word_.empty())
        return;
    word_ = name.substr(name.rfind(' ') + 1);
    why_ = "differs after the run: " + otherwise;
}

void StateCheck::tell(Outcome& outcome) const {
    if (word_.empty())
        return;
    outcome.add("state", word_);
    outcome.forbid(why_);
}

} // namespace faultline
