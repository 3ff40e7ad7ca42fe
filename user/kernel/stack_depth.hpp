// SPDX-License-Identifier: GPL-2.0
// How deep the kernel stack of a task gets: the module's file <debugfs>/faultline/depth
// (kmod/depth.h, depth_lines.h). All functions of the kernel are slower for as long as one of these
// lives.
#ifndef FAULTLINE_KERNEL_STACK_DEPTH_HPP
#define FAULTLINE_KERNEL_STACK_DEPTH_HPP

#include "kernel/debugfs.hpp"
#include "kernel/result.hpp"

#include <cstddef>
#include <string>
#include <string_view>
#include <sys/types.h>

namespace faultline {

struct Depth {
    pid_t pid = 0;
    std::size_t bytes = 0; // the deepest so far; 0: it has not run
    std::size_t of = 0;    // the size of the stack
    std::string function;  // at whose entry that was
    std::string caller;
};
Result<Depth> parse_depth(std::string_view text);

class StackDepth {
  public:
    // Measures this task, from now on. ESRCH if there is none.
    static Result<StackDepth> of(pid_t pid);
    [[nodiscard]] Result<Depth> deepest() const;

  private:
    explicit StackDepth(ModuleFile file) : file_(std::move(file)) {}
    ModuleFile file_;
};

} // namespace faultline

#endif // FAULTLINE_KERNEL_STACK_DEPTH_HPP
