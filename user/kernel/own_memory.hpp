// SPDX-License-Identifier: GPL-2.0
// This process's own code, data, heap and stacks: present, so that no access faults.
#ifndef FAULTLINE_KERNEL_OWN_MEMORY_HPP
#define FAULTLINE_KERNEL_OWN_MEMORY_HPP

#include "kernel/result.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace faultline {

struct OwnMapping {
    std::uintptr_t start = 0;
    std::size_t bytes = 0;
    bool writable = false;
    bool anonymous = false; // private, and of no file
    friend bool operator==(const OwnMapping&, const OwnMapping&) = default;
};
// The readable mappings of a text like /proc/self/maps. Shared memory, and memory without a name,
// is left out from `most_other` bytes on: it may be memory under test. A line that is cut or has no
// range is EPROTO.
Result<std::vector<OwnMapping>> parse_own_mappings(std::string_view maps, std::size_t most_other);
// Those of this process.
Result<std::vector<OwnMapping>> own_mappings(std::size_t most_other);

// Makes each of their pages present, writable ones for writing, and the stack near its pointer:
// after a fork() each would fault at its first use, and wait for an mmap_lock that is held. Needs
// Linux 5.14 (MADV_POPULATE_READ). A page that cannot be populated stays as it is.
Result<void> populate_own_memory(std::size_t most_other);

} // namespace faultline

#endif // FAULTLINE_KERNEL_OWN_MEMORY_HPP
