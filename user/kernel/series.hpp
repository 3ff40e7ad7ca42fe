// SPDX-License-Identifier: GPL-2.0
// Which series a kernel release is of. For expectations that differ by release and cannot be asked
// from the kernel: what an errno is, which bug it has. Features are probed, not looked up here.
#ifndef FAULTLINE_KERNEL_SERIES_HPP
#define FAULTLINE_KERNEL_SERIES_HPP

#include <string>
#include <string_view>

namespace faultline {

// "6.1" covers "6.1", "6.1.0-32-amd64" and "6.1-rc3", not "6.12.1".
bool in_series(std::string_view release, std::string_view series);

// What uname says of the running kernel.
const std::string& running_release();

} // namespace faultline

#endif // FAULTLINE_KERNEL_SERIES_HPP
