// SPDX-License-Identifier: GPL-2.0
#include "kernel/hugetlb.hpp"

#include "kernel/debugfs.hpp"
#include "kernel/page_pattern.hpp"

#include "hugetlb_lines.h"

#include <array>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <fmt/format.h>
#include <sstream>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>
#include <utility>

namespace faultline {

namespace {

// Parses "share pid ..."; the module's names are shorter.
bool parse_share(const std::string& line, HugetlbShare& share) {
    int pid = 0;
    std::array<char, 8> pud{};
    std::array<char, 24> lock{};
    if (std::sscanf(
            line.c_str(),
            FL_HUGETLB_SHARE("%d", "%*x", "%7s", "%" SCNx64, "%" SCNd64, "%23s", "%" SCNd64), &pid,
            pud.data(), &share.table, &share.shared, lock.data(), &share.mm_pages) != 6)
        return false;
    share.pud = pud.data();
    share.lock = lock.data();
    share.mapped = true;
    return share.pud == "none" || share.pud == "huge" || share.pud == "table";
}

bool parse_line(const std::string& line, HugetlbShare& share) {
    HugetlbUser user;
    HugetlbPool pool;
    if (line.starts_with("share "))
        return !share.mapped && parse_share(line, share);
    constexpr std::string_view busy = FL_HUGETLB_BUSY("");
    if (line.starts_with(busy)) {
        share.busy = line.substr(busy.size());
        return !share.busy.empty();
    }
    if (std::sscanf(line.c_str(), FL_HUGETLB_USER("%d", "%" SCNx64), &user.pid, &user.address) ==
        2) {
        share.users.push_back(user);
        return share.table != 0;
    }
    if (std::sscanf(line.c_str(),
                    FL_HUGETLB_POOL("%u", "%" SCNd64, "%" SCNd64, "%" SCNd64, "%" SCNd64),
                    &pool.order, &pool.pages, &pool.free, &pool.reserved, &pool.surplus) == 5) {
        share.pools.push_back(pool);
        return true;
    }
    return line == FL_HUGETLB_UNMAPPED;
}

} // namespace

Result<HugetlbShare> parse_hugetlb_share(std::string_view text) {
    HugetlbShare share;
    std::istringstream lines{std::string(text)};
    for (std::string line; std::getline(lines, line);)
        if (!parse_line(line, share))
            return Error::make(EPROTO, "not understood: " + line);
    const bool first =
        share.mapped || !share.busy.empty() || text.starts_with(FL_HUGETLB_UNMAPPED "\n");
    if (!first)
        return Error::make(EPROTO, "nothing of an address");
    return share;
}

Result<HugetlbShare> hugetlb_share(pid_t pid, const void* address) {
    const Result<std::string> text =
        ask_module("hugetlb/share", fmt::format(FL_HUGETLB_ASK("{}", "{:x}"), pid,
                                                reinterpret_cast<std::uintptr_t>(address)));
    return text ? parse_hugetlb_share(*text) : text.error();
}

std::size_t hugetlb_bytes() {
    const Result<std::string> text = read_text("/proc/meminfo");
    std::size_t kilobytes = 0;
    const std::size_t at = text ? text->find("Hugepagesize:") : std::string::npos;
    if (at == std::string::npos ||
        std::sscanf(text->c_str() + at, "Hugepagesize: %zu", &kilobytes) != 1)
        return 0;
    return kilobytes << 10;
}

Result<HugetlbPool> hugetlb_pool() {
    const std::size_t bytes = hugetlb_bytes();
    HugetlbPool pool;
    for (auto page = static_cast<std::size_t>(::getpagesize()); page < bytes; page *= 2)
        ++pool.order;
    const std::string folder = fmt::format("/sys/kernel/mm/hugepages/hugepages-{}kB/", bytes >> 10);
    const std::array<std::pair<const char*, std::int64_t*>, 4> counters = {
        {{"nr_hugepages", &pool.pages},
         {"free_hugepages", &pool.free},
         {"resv_hugepages", &pool.reserved},
         {"surplus_hugepages", &pool.surplus}}};
    for (const auto& [name, counter] : counters) {
        const Result<std::string> text = read_text(folder + name);
        if (!text)
            return text.error();
        // Written as an unsigned long, whatever it is.
        *counter = static_cast<std::int64_t>(std::strtoull(text->c_str(), nullptr, 10));
    }
    return pool;
}

Result<void> fill_hugetlb_pool(std::int64_t pages) {
    constexpr unsigned tries = 5;
    std::int64_t got = 0;
    for (unsigned tried = 0; tried < tries; ++tried) {
        if (tried != 0)
            (void)write_text("/proc/sys/vm/compact_memory", "1"); // not each kernel has it
        if (Result<void> asked = write_text("/proc/sys/vm/nr_hugepages", std::to_string(pages));
            !asked)
            return asked;
        const Result<HugetlbPool> pool = hugetlb_pool();
        if (!pool)
            return pool.error();
        got = pool->pages - pool->surplus;
        if (got >= pages)
            return {};
    }
    return Error::make(ENOMEM, fmt::format("the kernel gave {} of {} huge pages", got, pages));
}

std::optional<std::string> missing_hugetlb() {
    return hugetlb_bytes() != 0 ? std::nullopt : std::optional<std::string>("no huge pages");
}

std::optional<std::string> missing_pmd_sharing() { return missing_capability("pmd-sharing"); }

HugetlbFile::HugetlbFile(std::size_t huge_bytes)
    : huge_bytes_(huge_bytes),
      bytes_(huge_bytes * (static_cast<std::size_t>(::getpagesize()) / sizeof(void*))) {}

Result<std::unique_ptr<HugetlbFile>> HugetlbFile::make() {
    const std::size_t huge_bytes = hugetlb_bytes();
    if (huge_bytes == 0)
        return Error::make(ENODEV, "no huge pages");
    std::unique_ptr<HugetlbFile> file(new HugetlbFile(huge_bytes));
    void* reserved = ::mmap(nullptr, (ranges + 1) * file->bytes_, PROT_NONE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (reserved == MAP_FAILED)
        return Error::last("mmap (reserve)");
    file->reserved_ = static_cast<char*>(reserved);
    const std::size_t misplaced = reinterpret_cast<std::uintptr_t>(reserved) % file->bytes_;
    file->base_ = file->reserved_ + (misplaced != 0 ? file->bytes_ - misplaced : 0);
    return file;
}

HugetlbFile::~HugetlbFile() {
    if (reserved_ != nullptr)
        ::munmap(reserved_, (ranges + 1) * bytes_);
}

Result<void> HugetlbFile::unmap() const {
    if (::mmap(base_, ranges * bytes_, PROT_NONE,
               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) == MAP_FAILED)
        return Error::last("mmap (reserve)");
    return {};
}

Result<void> HugetlbFile::fresh() {
    // Mappings that were moved or split must be one mapping again.
    if (Result<void> unmapped = unmap(); !unmapped)
        return unmapped;
    file_ = Fd(::memfd_create("faultline", MFD_CLOEXEC | MFD_HUGETLB));
    if (!file_.valid())
        return Error::last("memfd_create(MFD_HUGETLB)");
    if (::ftruncate(file_.get(), static_cast<off_t>(bytes_)) != 0)
        return Error::last("ftruncate (hugetlb)");
    if (::mmap(base_, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE | MAP_FIXED,
               file_.get(), 0) == MAP_FAILED)
        return Error::last("mmap (hugetlb)");
    return {};
}

namespace {

// On the stack: a large malloc() may be mapped where a mapping has moved away from.
using Piece = std::array<std::uint64_t, 4096>;

} // namespace

Result<std::uint64_t> peek(const void* huge_page) {
    static const std::size_t bytes = hugetlb_bytes(); // which does not change
    Piece piece{};
    PageReading reading;
    for (std::size_t at = 0; at < bytes; at += sizeof(piece)) {
        const iovec local{piece.data(), sizeof(piece)};
        const iovec remote{const_cast<char*>(static_cast<const char*>(huge_page) + at),
                           sizeof(piece)};
        const ssize_t done = ::process_vm_readv(::getpid(), &local, 1, &remote, 1, 0);
        if (done < 0)
            return Error::last("process_vm_readv");
        if (done != sizeof(piece)) // the file ends in the mapping
            return Error::make(EFAULT, "process_vm_readv");
        reading.take(piece);
    }
    return reading.word();
}

Result<void> poke(void* huge_page, std::uint64_t first_word) {
    static const std::size_t bytes = hugetlb_bytes(); // which does not change
    Piece piece{};
    for (std::size_t at = 0; at < bytes; at += sizeof(piece)) {
        write_pattern(piece, first_word, at / sizeof(std::uint64_t));
        const iovec local{piece.data(), sizeof(piece)};
        const iovec remote{static_cast<char*>(huge_page) + at, sizeof(piece)};
        const ssize_t done = ::process_vm_writev(::getpid(), &local, 1, &remote, 1, 0);
        if (done < 0)
            return Error::last("process_vm_writev");
        if (done != sizeof(piece)) // the file ends in the mapping
            return Error::make(EFAULT, "process_vm_writev");
    }
    return {};
}

} // namespace faultline
