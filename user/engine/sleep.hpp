// SPDX-License-Identifier: GPL-2.0
// The reason of a sleep, from the functions of the stack: a lock that excludes the task, or another
// wait. A stack is as the module reports it, innermost first: "a < b < c".
#ifndef FAULTLINE_ENGINE_SLEEP_HPP
#define FAULTLINE_ENGINE_SLEEP_HPP

#include <string>
#include <string_view>
#include <vector>

namespace faultline {

enum class Sleep { lock, io, grace_period, writeback, call, unknown };
std::string_view to_string(Sleep sleep); // "lock", "I/O", "grace period", ...

Sleep sleep_of(std::string_view stack);

// Are the functions of a place, "down_write < unmap_mapping_range", in the stack in that order?
// Others may stand in between. Suffixes of the compiler (".isra.0") are ignored.
bool at_place(std::string_view stack, std::string_view place);
// The actor waits for a CPU, which is held with interrupts off, to answer its call: no stack.
inline constexpr std::string_view call_place = "call";
bool at_any_place(std::string_view stack, const std::vector<std::string_view>& places);
// The innermost functions of those places where a task spins: "_raw_spin_lock". A spinning task has
// no stack that is read; the module sees it there if the function is patched.
std::vector<std::string> spin_locks_of(const std::vector<std::string_view>& places);

} // namespace faultline

#endif // FAULTLINE_ENGINE_SLEEP_HPP
