// SPDX-License-Identifier: GPL-2.0
#include "kernel/own_memory.hpp"

#include "kernel/fd.hpp"

#include <cstdint>
#include <cstdio>
#include <string>
#include <sys/mman.h>

namespace faultline {

Result<std::vector<OwnMapping>> parse_own_mappings(std::string_view maps, const char* tested,
                                                   std::size_t bytes) {
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
        const auto under_test = reinterpret_cast<std::uintptr_t>(tested);
        if (access[0] != 'r' || access[3] != 'p' ||
            (from < under_test + bytes && under_test < to) || line.ends_with("[vsyscall]"))
            continue;
        all.push_back({reinterpret_cast<char*>(from), to - from, access[1] == 'w'});
    }
    return all;
}

Result<void> populate_own_memory(const char* tested, std::size_t bytes) {
    const Result<std::string> maps = read_text("/proc/self/maps");
    if (!maps)
        return maps.error();
    const Result<std::vector<OwnMapping>> own = parse_own_mappings(*maps, tested, bytes);
    if (!own)
        return own.error();
    for (const OwnMapping& mapping : *own)
        (void)::madvise(mapping.start, mapping.bytes,
                        mapping.writable ? MADV_POPULATE_WRITE : MADV_POPULATE_READ);
    return {};
}

} // namespace faultline
