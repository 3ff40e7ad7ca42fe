// SPDX-License-Identifier: GPL-2.0
// A finding as a program of its own: C, libc and threads alone, for a kernel that the patch of
// emit/window_patch.hpp was applied to. It says "window not widened" on any other.
#ifndef FAULTLINE_EMIT_C_PROGRAM_HPP
#define FAULTLINE_EMIT_C_PROGRAM_HPP

#include "emit/timing.hpp"
#include "language/file.hpp"

#include <set>
#include <string>

namespace faultline {

// A variant under a schedule.
struct Finding {
    const ScenarioFile* file = nullptr;
    const FileVariant* variant = nullptr;
    std::vector<Edge> edges = {};
    [[nodiscard]] std::string name() const; // "hugetlb-insert-beyond-end"
};

struct CProgram {
    std::string text;
    std::vector<Window> windows;    // that the kernel must widen
    std::set<std::string> left_out; // operations, see left_out of operations/operation.hpp
};

// The pieces of all programs: emit/runtime.c, with the rows of kernel/complaints.txt.
std::string c_runtime();

// EOPNOTSUPP: something in it has no C, and what. No half programs.
Result<CProgram> c_program(const Finding& finding);

} // namespace faultline

#endif // FAULTLINE_EMIT_C_PROGRAM_HPP
