// SPDX-License-Identifier: GPL-2.0
// Does a plan: the experiment of one variant of a file.
#ifndef FAULTLINE_LANGUAGE_INTERPRETER_HPP
#define FAULTLINE_LANGUAGE_INTERPRETER_HPP

#include "engine/scenario.hpp"
#include "language/plan.hpp"

#include <memory>

namespace faultline {

// The plan must outlive it. `unforced`: it counts a run by its situation alone.
std::unique_ptr<Experiment> interpret(const Plan& plan, bool forced);

// Results in slots of 64 bits: a number as it is, an errno, a word by its number in the plan.
std::optional<std::int64_t> encode(const Plan& plan, const Value& value);
Value decode(const Plan& plan, std::int64_t slot);

} // namespace faultline

#endif // FAULTLINE_LANGUAGE_INTERPRETER_HPP
