// SPDX-License-Identifier: GPL-2.0
// The CPUs this process may use, and pinning to them.
#ifndef FAULTLINE_KERNEL_CPU_HPP
#define FAULTLINE_KERNEL_CPU_HPP

#include "kernel/result.hpp"

#include <vector>

namespace faultline {

// As the process was started: pinning a thread later does not change the answer.
const std::vector<int>& online_cpus();

// Pins the calling thread to the `index`-th of them, modulo their number.
Result<void> pin_to_cpu(unsigned index);

// Runs on each of them for a moment. An idle CPU keeps the mm of the last task there, which the
// kernel checks when it frees the mm: after the visit it has been freed.
void visit_cpus();

} // namespace faultline

#endif // FAULTLINE_KERNEL_CPU_HPP
