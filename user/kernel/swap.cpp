// SPDX-License-Identifier: GPL-2.0
#include "kernel/swap.hpp"

#include "kernel/fd.hpp"
#include "kernel/guardian.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <linux/fs.h>
#include <string_view>
#include <sys/ioctl.h>
#include <sys/swap.h>
#include <unistd.h>
#include <vector>

namespace faultline {

namespace {

constexpr const char* disk = "/dev/ram0";

// mm/swapfile.c, union swap_header: the first page of an area. All in the machine's byte order.
constexpr std::string_view magic = "SWAPSPACE2"; // at the page's end
constexpr std::size_t info_at = 1024;            // version, last page, number of bad pages
constexpr std::uint32_t version = 1;

std::size_t page_bytes() { return static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)); }

bool is_swap_space(const std::vector<char>& page) {
    return std::string_view(page.data(), page.size()).ends_with(magic);
}

Result<std::vector<char>> first_page(const Fd& device) {
    std::vector<char> page(page_bytes());
    const ssize_t got = ::pread(device.get(), page.data(), page.size(), 0);
    if (got != static_cast<ssize_t>(page.size()))
        return Error::last("read", disk);
    return page;
}

// Nobody has it open for themselves: O_EXCL of a block device.
Result<Fd> open_unused() {
    Result<Fd> device = Fd::open(disk, O_RDWR | O_EXCL);
    if (!device)
        return device;
    const Result<std::vector<char>> page = first_page(*device);
    if (!page)
        return page.error();
    const bool empty = std::all_of(page->begin(), page->end(), [](char byte) { return byte == 0; });
    if (!empty && !is_swap_space(*page))
        return Error::make(EBUSY, "something is on", disk);
    return device;
}

} // namespace

std::optional<std::string> missing_ram_disk() {
    const Result<Fd> device = open_unused();
    if (device)
        return std::nullopt;
    return device.error().to_string() + " (modprobe brd)";
}

Result<SwapArea> SwapArea::make() {
    const Result<Fd> device = open_unused();
    if (!device)
        return device.error();
    std::uint64_t bytes = 0;
    if (::ioctl(device->get(), BLKGETSIZE64, &bytes) != 0)
        return Error::last("BLKGETSIZE64", disk);
    std::vector<char> page(page_bytes());
    const auto last = static_cast<std::uint32_t>(bytes / page.size() - 1);
    std::memcpy(page.data() + info_at, &version, sizeof(version));
    std::memcpy(page.data() + info_at + sizeof(version), &last, sizeof(last));
    std::copy(magic.begin(), magic.end(), page.end() - magic.size());
    if (::pwrite(device->get(), page.data(), page.size(), 0) != static_cast<ssize_t>(page.size()) ||
        ::fsync(device->get()) != 0)
        return Error::last("write", disk);
    // Before anybody can swap to it, and once.
    if (Result<void> promised = promise({Undo::Kind::swapoff, disk}); !promised)
        return promised.error();
    return SwapArea(disk);
}

SwapArea::~SwapArea() {
    if (path_.empty())
        return;
    // If that fails, the guardian still knows it.
    if (::swapoff(path_.c_str()) == 0 || errno == EINVAL)
        (void)release_promise({Undo::Kind::swapoff, path_});
}

Result<void> SwapArea::on() {
    if (::swapon(path_.c_str(), SWAP_FLAG_PREFER | SWAP_FLAG_PRIO_MASK) != 0 && errno != EBUSY)
        return Error::last("swapon", path_);
    return {};
}

Result<void> SwapArea::off() const {
    if (::swapoff(path_.c_str()) != 0)
        return Error::last("swapoff", path_);
    return {};
}

} // namespace faultline
