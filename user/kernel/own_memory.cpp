// SPDX-License-Identifier: GPL-2.0
#include "kernel/own_memory.hpp"

#include "kernel/fd.hpp"

#include <cstdint>
#include <cstdio>
#include <string>
#include <sys/mman.h>
#include <unistd.h>

namespace faultline {

namespace {

constexpr std::size_t stack_bytes = 64 << 10; // that the next calls may use

void populate(std::uintptr_t start, std::size_t bytes, int how) {
    // NOLINTNEXTLINE(performance-no-int-to-ptr)
    (void)::madvise(reinterpret_cast<void*>(start), bytes, how);
}

} // namespace

Result<std::vector<OwnMapping>> parse_own_mappings(std::string_view maps, std::size_t most_other) {
    std::vector<OwnMapping> all;
    while (!maps.empty()) {
        const std::size_t end = maps.find('\n');
        const std::string line(maps.substr(0, end));
        maps.remove_prefix(end == std::string_view::npos ? maps.size() : end + 1);
        std::uintptr_t from = 0;
        std::uintptr_t to = 0;
        char access[5] = {};
        if (std::sscanf(line.c_str(), "%lx-%lx %4c", &from, &to, access) != 3 || from >= to)
            return Error::make(EPROTO, "not a mapping", line);
        const bool own = access[3] == 'p' && line.find_first_of("/[") != std::string::npos;
        const bool anonymous = access[3] == 'p' && line.find('/') == std::string::npos;
        if (access[0] != 'r' || (!own && to - from >= most_other) || line.ends_with("[vsyscall]"))
            continue;
        all.push_back({from, to - from, access[1] == 'w', anonymous});
    }
    return all;
}

Result<std::vector<OwnMapping>> own_mappings(std::size_t most_other) {
    const Result<std::string> maps = read_text("/proc/self/maps");
    if (!maps)
        return maps.error();
    return parse_own_mappings(*maps, most_other);
}

Result<void> populate_own_memory(std::size_t most_other) {
    const Result<std::vector<OwnMapping>> own = own_mappings(most_other);
    if (!own)
        return own.error();
    for (const OwnMapping& mapping : *own)
        populate(mapping.start, mapping.bytes,
                 mapping.writable ? MADV_POPULATE_WRITE : MADV_POPULATE_READ);
    const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
    const auto here = reinterpret_cast<std::uintptr_t>(&page) / page * page;
    populate(here - stack_bytes, stack_bytes + page, MADV_POPULATE_WRITE);
    return {};
}

} // namespace faultline
