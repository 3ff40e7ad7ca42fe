// SPDX-License-Identifier: GPL-2.0
// The interleaving of one run as commit messages have it: a column for each actor, with its CPU,
// and the outcome below.
#ifndef FAULTLINE_EMIT_COLUMNS_HPP
#define FAULTLINE_EMIT_COLUMNS_HPP

#include "engine/runner.hpp"
#include "language/plan.hpp"

#include <string>

namespace faultline {

inline constexpr std::size_t columns_wide = 72;

// `plan`: of the variant, whose steps are shown where an actor does them. Null: a scenario without
// steps (C++); then its sites user:X are shown.
std::string columns(const VariantReport& report, const Plan* plan);

} // namespace faultline

#endif // FAULTLINE_EMIT_COLUMNS_HPP
