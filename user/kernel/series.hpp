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

// The release of the running kernel, by uname.
const std::string& running_release();

// The version that its distribution numbers it by, "6.12.95" or "7.3-rc7": Debian 12 calls every
// 6.1.x "6.1.0-NN-amd64" and has the version in the rest of what uname says.
std::string distribution_version(std::string_view release, std::string_view uname_version);
const std::string& running_version();

// "x86_64", "aarch64", ...
const std::string& running_machine();

// Is a version in a list like "6.1, 6.12 < 6.12.105, 7.2"? An item is a series, or a series up to
// the first version that is not meant any more; "!6.1" is every other one. An empty list has every
// version in it.
bool in_releases(std::string_view version, std::string_view releases);

} // namespace faultline

#endif // FAULTLINE_KERNEL_SERIES_HPP
