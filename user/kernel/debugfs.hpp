// SPDX-License-Identifier: GPL-2.0
// Where debugfs and tracefs are. Asked of /proc/self/mounts, once; mounted at the usual place if
// they are nowhere, as an initramfs or a small container may have left them.
#ifndef FAULTLINE_KERNEL_DEBUGFS_HPP
#define FAULTLINE_KERNEL_DEBUGFS_HPP

#include "kernel/result.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace faultline {

Result<std::string> debugfs_root(); // "/sys/kernel/debug"
Result<std::string> tracefs_root(); // "/sys/kernel/tracing"

// A file of the module: "<debugfs>/faultline/NAME". Does not say that it exists.
Result<std::string> faultline_file(std::string_view name);

// For a scenario's needs: why the loaded module cannot do something in this kernel, in its own
// words; nullopt if it can. The names are those of <debugfs>/faultline/capabilities.
std::optional<std::string> missing_capability(std::string_view name);

} // namespace faultline

#endif // FAULTLINE_KERNEL_DEBUGFS_HPP
