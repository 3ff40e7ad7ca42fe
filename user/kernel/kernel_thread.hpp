// SPDX-License-Identifier: GPL-2.0
// A thread of the kernel's, by its name.
#ifndef FAULTLINE_KERNEL_KERNEL_THREAD_HPP
#define FAULTLINE_KERNEL_KERNEL_THREAD_HPP

#include "kernel/result.hpp"

#include <string_view>
#include <sys/types.h>

namespace faultline {

// ESRCH if there is none now.
Result<pid_t> kernel_thread(std::string_view name);

} // namespace faultline

#endif // FAULTLINE_KERNEL_KERNEL_THREAD_HPP
