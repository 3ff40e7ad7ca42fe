// SPDX-License-Identifier: GPL-2.0
// A patch for a kernel's source that delays a task by its name, where a schedule holds an actor:
//     if (!strcmp(current->comm, "SLOWME"))
//             mdelay(1000);
#ifndef FAULTLINE_EMIT_WINDOW_PATCH_HPP
#define FAULTLINE_EMIT_WINDOW_PATCH_HPP

#include "emit/timing.hpp"

#include <map>
#include <string>
#include <string_view>

namespace faultline {

// Text to put in at places of a file, by offset.
using Insertions = std::map<std::size_t, std::string>;
// With three lines around, as diff -u has it. Text in the middle of a line breaks the line.
std::string unified_diff(std::string_view path, std::string_view text,
                         const Insertions& insertions);

// `source`: the folder of a kernel's source. ENOENT: it does not define a function.
Result<std::string> window_patch(const std::vector<Window>& windows, const std::string& source);

} // namespace faultline

#endif // FAULTLINE_EMIT_WINDOW_PATCH_HPP
