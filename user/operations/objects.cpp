// SPDX-License-Identifier: GPL-2.0
#include "operations/objects.hpp"

#include "kernel/page_pattern.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

namespace faultline {

namespace {

std::atomic<std::uint64_t>& generations() {
    static std::atomic<std::uint64_t> last{0};
    return last;
}

} // namespace

void Content::restart(std::uint64_t seed) {
    constexpr std::uint64_t beginnings = 1 << 20;
    constexpr std::uint64_t contents = 1 << 10; // of one run
    generations() = mix(seed) % beginnings * contents;
}

Content::Content(std::size_t pages) : filled(pages, false) { generation_ = ++generations(); }

std::string_view first_word(const Content& content, std::size_t page, std::uint64_t word) {
    return word == 0                      ? "zero"
           : word == content.word(page)   ? "data"
           : word == content.stored(page) ? "stored"
                                          : "other";
}

std::string_view content_word(const Content& content, std::size_t page,
                              const std::vector<std::uint64_t>& words) {
    const std::string_view first = first_word(content, page, words.front());
    if (first == "zero" || first == "data")
        return compare_pattern(words, words.front()).found ? "other" : first;
    if (first != "stored")
        return "other";
    // The bytes before the store of one word, or of a whole page.
    if (!compare_pattern(words, words.front()).found)
        return first;
    const std::span<const std::uint64_t> rest = std::span(words).subspan(1);
    const bool known =
        !compare_pattern(rest, 0, 1).found || !compare_pattern(rest, content.word(page), 1).found;
    return known ? first : "other";
}

Result<std::shared_ptr<MountObject>> MountObject::make(std::size_t bytes) {
    const Fd context(::fsopen("tmpfs", FSOPEN_CLOEXEC));
    if (!context)
        return Error::last("fsopen", "tmpfs");
    const std::string size = std::to_string(bytes);
    if ((bytes != 0 &&
         ::fsconfig(context.get(), FSCONFIG_SET_STRING, "size", size.c_str(), 0) != 0) ||
        ::fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0)
        return Error::last("fsconfig", "tmpfs");
    auto made = std::make_shared<MountObject>();
    made->fd = Fd(::fsmount(context.get(), FSMOUNT_CLOEXEC, 0));
    if (!made->fd)
        return Error::last("fsmount", "tmpfs");
    const Result<std::uint64_t> free = made->free_now();
    if (!free)
        return free.error();
    made->free_blocks = *free;
    return made;
}

Result<std::uint64_t> MountObject::free_now() const {
    struct statvfs system {};
    if (::fstatvfs(fd.get(), &system) != 0)
        return Error::last("fstatvfs", "tmpfs");
    return static_cast<std::uint64_t>(system.f_bfree);
}

Result<std::vector<std::uint64_t>> FileObject::read(std::size_t page) const {
    std::vector<std::uint64_t> words(page_bytes / sizeof(std::uint64_t));
    std::size_t done = 0;
    while (done < page_bytes) {
        const ssize_t got =
            ::pread(fd.get(), reinterpret_cast<char*>(words.data()) + done, page_bytes - done,
                    static_cast<off_t>(page * page_bytes + done));
        if (got < 0)
            return Error::last("pread");
        if (got == 0)
            return Error::make(EIO, "pread: the file ends there");
        done += static_cast<std::size_t>(got);
    }
    return words;
}

MemoryObject::~MemoryObject() {
    // Something newer may be mapped there by now.
    if (places->times(start) != times)
        return;
    // The place stays reserved for the next run.
    (void)::mmap(start, pages * page_bytes, PROT_NONE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
}

Result<std::vector<std::uint64_t>> MemoryObject::read(std::size_t page) const {
    std::vector<std::uint64_t> words(page_bytes / sizeof(std::uint64_t));
    const iovec local{words.data(), page_bytes};
    const iovec remote{at(page), page_bytes};
    const ssize_t got = ::process_vm_readv(::getpid(), &local, 1, &remote, 1, 0);
    if (got < 0)
        return Error::last("process_vm_readv");
    if (got != static_cast<ssize_t>(page_bytes))
        return Error::make(EFAULT, "process_vm_readv");
    return words;
}

Range range_of(const Value& value) {
    const auto& memory = static_cast<const MemoryObject&>(*value.object);
    return {memory.at(value.first), value.count * memory.page_bytes};
}

Places::~Places() {
    for (const auto& [name, place] : places_)
        if (!place.lost)
            ::munmap(place.reserved, place.reserved_bytes);
}

Result<char*> Places::take(const std::string& name, std::size_t bytes, std::size_t alignment) {
    const auto found = places_.find(name);
    if (found != places_.end()) {
        if (!found->second.lost && found->second.bytes == bytes) {
            ++found->second.times;
            return found->second.start;
        }
        if (!found->second.lost)
            ::munmap(found->second.reserved, found->second.reserved_bytes);
        places_.erase(found);
    }
    Place place;
    place.bytes = bytes;
    // A gap behind it keeps it from being one VMA with a neighbour.
    place.reserved_bytes = bytes + 2 * alignment;
    void* reserved = ::mmap(hint_, place.reserved_bytes, PROT_NONE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (reserved == MAP_FAILED)
        return Error::last("mmap (reserve)");
    hint_ = static_cast<char*>(reserved) + place.reserved_bytes;
    place.reserved = static_cast<char*>(reserved);
    const std::size_t misplaced = reinterpret_cast<std::uintptr_t>(reserved) % alignment;
    place.start = place.reserved + (misplaced != 0 ? alignment - misplaced : 0);
    return places_.emplace(name, place).first->second.start;
}

unsigned Places::times(const char* start) const {
    for (const auto& [name, place] : places_)
        if (place.start == start)
            return place.times;
    return 0;
}

void Places::lose(const char* start) {
    for (auto& [name, place] : places_)
        if (start >= place.start && start < place.start + place.bytes)
            place.lost = true;
}

} // namespace faultline
