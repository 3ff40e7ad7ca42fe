// SPDX-License-Identifier: GPL-2.0
#include "kernel/own_memory.hpp"

#include "kernel/fd.hpp"

#include <cstdint>
#include <cstdio>
#include <fcntl.h>
#include <string>
#include <sys/mman.h>
#include <unistd.h>

namespace faultline {

namespace {

constexpr std::size_t stack_bytes = 64 << 10; // that the next calls may use

constexpr std::uint64_t pagemap_present = 1ULL << 63;

Result<std::vector<OwnMapping>> own_mappings(std::size_t most_other) {
    const Result<std::string> maps = read_text("/proc/self/maps");
    if (!maps)
        return maps.error();
    return parse_own_mappings(*maps, most_other);
}

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

std::vector<std::pair<std::size_t, std::size_t>>
present_runs(std::span<const std::uint64_t> words) {
    std::vector<std::pair<std::size_t, std::size_t>> runs;
    for (std::size_t i = 0; i < words.size(); ++i) {
        if ((words[i] & pagemap_present) == 0)
            continue;
        if (!runs.empty() && runs.back().first + runs.back().second == i)
            ++runs.back().second;
        else
            runs.emplace_back(i, 1);
    }
    return runs;
}

Result<void> copy_own_memory(std::size_t most_other) {
    const Result<std::vector<OwnMapping>> own = own_mappings(most_other);
    if (!own)
        return own.error();
    const std::string path = "/proc/self/pagemap";
    const Result<Fd> pagemap = Fd::open(path, O_RDONLY);
    if (!pagemap)
        return pagemap.error();
    const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    std::vector<std::uint64_t> words;
    for (const OwnMapping& mapping : *own) {
        if (!mapping.writable)
            continue;
        words.resize(mapping.bytes / page);
        const std::size_t bytes = words.size() * sizeof(words[0]);
        if (::pread(pagemap->get(), words.data(), bytes,
                    static_cast<off_t>(mapping.start / page * sizeof(words[0]))) !=
            static_cast<ssize_t>(bytes))
            return Error::last("read", path);
        for (const auto& [first, count] : present_runs(words))
            populate(mapping.start + first * page, count * page, MADV_POPULATE_WRITE);
    }
    return {};
}

} // namespace faultline
