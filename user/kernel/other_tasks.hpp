// SPDX-License-Identifier: GPL-2.0
// The tasks of other programs, and whether one of them ran between two looks. Then it may have
// changed counters of the machine. Kernel threads do not count: their work is part of the
// experiment.
#ifndef FAULTLINE_KERNEL_OTHER_TASKS_HPP
#define FAULTLINE_KERNEL_OTHER_TASKS_HPP

#include "kernel/result.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

namespace faultline {

// A line of <debugfs>/faultline/tasks: see kmod/task_list.h.
struct TaskRow {
    pid_t task = 0;
    pid_t process = 0;
    pid_t parent = 0;
    std::uint64_t switches = 0; // how often it left a CPU
    bool running = false;       // it is on a CPU
    std::string name;
    friend bool operator==(const TaskRow&, const TaskRow&) = default;
};
using TaskRows = std::vector<TaskRow>;

// EPROTO: a line is cut or is not what it should be, or there is none.
Result<TaskRows> parse_tasks(std::string_view text);
Result<TaskRows> read_tasks();

// The process that main() began in, also when asked in a child of it.
pid_t first_process();

// The names of those that ran between two looks, came, or are gone; each name once. Not of `own`,
// its threads, and the processes that it began, at any remove.
std::vector<std::string> ran_between(const TaskRows& before, const TaskRows& after,
                                     pid_t own = first_process());

} // namespace faultline

#endif // FAULTLINE_KERNEL_OTHER_TASKS_HPP
