// SPDX-License-Identifier: GPL-2.0
// Which sites of a scenario exist on which kernel, and which variants and controls lack one. Said
// on the host, before any machine is started: a function that a kernel has inlined or does not have
// is why most variants SKIP.
#ifndef FAULTLINE_LANGUAGE_KERNELS_HPP
#define FAULTLINE_LANGUAGE_KERNELS_HPP

#include "kernel/symbols.hpp"
#include "language/load.hpp"

#include <string>
#include <vector>

namespace faultline {

// A table, and what it cannot say; "" for a file that names nothing in the kernel.
std::string kernel_table(const LoadedFile& loaded, const std::vector<KernelSymbols>& kernels);

} // namespace faultline

#endif // FAULTLINE_LANGUAGE_KERNELS_HPP
