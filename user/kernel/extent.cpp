// SPDX-License-Identifier: GPL-2.0
#include "kernel/extent.hpp"

#include "kernel/page_pattern.hpp"

#include <array>
#include <charconv>
#include <sys/mman.h>
#ifdef __s390x__
#include <sys/auxv.h>
#endif
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25 // linux 6.1; glibc 2.36 has no name for it
#endif

namespace faultline {

namespace {

constexpr const char* pmd_size_path = "/sys/kernel/mm/transparent_hugepage/hpage_pmd_size";

// A tmpfs that is mounted nowhere: it goes when its descriptor and its files go.
Result<Fd> nameless_tmpfs(std::size_t bytes) {
    Fd context(::fsopen("tmpfs", FSOPEN_CLOEXEC));
    if (!context)
        return Error::last("fsopen", "tmpfs");
    const std::string size = std::to_string(bytes);
    if (::fsconfig(context.get(), FSCONFIG_SET_STRING, "size", size.c_str(), 0) != 0 ||
        ::fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0)
        return Error::last("fsconfig", "tmpfs");
    Fd mount(::fsmount(context.get(), FSMOUNT_CLOEXEC, 0));
    if (!mount)
        return Error::last("fsmount", "tmpfs");
    return mount;
}

} // namespace

Result<Geometry> geometry() {
    const Result<std::string> text = read_text(pmd_size_path);
    if (!text)
        return text.error();
    Geometry found{static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)), 0};
    const char* end = text->data() + text->size();
    if (std::from_chars(text->data(), end, found.huge_bytes).ec != std::errc() ||
        found.huge_bytes <= found.page_bytes)
        return Error::make(EPROTO, "not a size in", pmd_size_path);
    return found;
}

std::optional<std::string> missing_huge_pages() {
    const Result<Geometry> found = geometry();
    if (found)
        return std::nullopt;
    std::string text = found.error().to_string();
#ifdef __s390x__
    if ((::getauxval(AT_HWCAP) & HWCAP_S390_HPAGE) == 0)
        text += "; the CPU lacks EDAT-1, which QEMU's TCG offers in no model: `make qemu-s390x` "
                "builds one that does";
#endif
    return text;
}

Result<std::unique_ptr<Extent>> Extent::make(std::size_t extents) {
    const Result<Geometry> found = geometry();
    if (!found)
        return found.error();
    std::unique_ptr<Extent> extent(new Extent(*found, extents));
    // Room for the file and for the huge page that a collapse charges besides.
    Result<Fd> mount = nameless_tmpfs((extents + 2) * found->huge_bytes);
    if (!mount)
        return mount.error();
    extent->mount_ = std::move(*mount);
    // Two mappings and a gap, each on a boundary of huge pages.
    extent->reserved_bytes_ = (2 * extents + 3) * found->huge_bytes;
    void* reserved = ::mmap(nullptr, extent->reserved_bytes_, PROT_NONE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (reserved == MAP_FAILED)
        return Error::last("mmap (reserve)");
    extent->reserved_ = static_cast<char*>(reserved);
    const std::size_t misplaced =
        reinterpret_cast<std::uintptr_t>(extent->reserved_) % found->huge_bytes;
    extent->base_ = extent->reserved_ + (misplaced != 0 ? found->huge_bytes - misplaced : 0);
    extent->other_ = extent->base_ + (extents + 1) * found->huge_bytes;
    return extent;
}

Extent::~Extent() {
    if (reserved_ != nullptr)
        ::munmap(reserved_, reserved_bytes_);
}

void Extent::unmap() {
    for (char* at : {base_, other_}) // where it fails, map() will say so
        (void)::mmap(at, file_bytes(), PROT_NONE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
}

void Extent::drop() {
    unmap();
    file_.reset();
}

Result<void> Extent::map(char* at) {
    if (::mmap(at, file_bytes(), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file_.get(), 0) ==
        MAP_FAILED)
        return Error::last("mmap (extent)");
    return {};
}

Result<void> Extent::fresh() {
    drop();
    Fd file(::openat(mount_.get(), ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
    if (!file)
        return Error::last("open (O_TMPFILE)", "tmpfs");
    if (::ftruncate(file.get(), static_cast<off_t>(file_bytes())) != 0)
        return Error::last("ftruncate");
    file_ = std::move(file);
    ++generation_;
    if (Result<void> mapped = map(base_); !mapped)
        return mapped;
    return map(other_);
}

std::uint64_t Extent::word(std::size_t page) const { return (generation_ << 32) | (page + 1); }

Result<void> Extent::fill(const std::vector<bool>& hole, bool mapped) const {
    const std::size_t words = page_bytes() / sizeof(std::uint64_t);
    std::vector<std::uint64_t> content(mapped ? 0 : words);
    for (std::size_t page = 0; page < pages(); ++page) {
        if (page < hole.size() && hole[page])
            continue;
        if (mapped) {
            write_pattern({reinterpret_cast<std::uint64_t*>(address(page)), words}, word(page));
            continue;
        }
        write_pattern(content, word(page));
        if (::pwrite(file_.get(), content.data(), page_bytes(),
                     static_cast<off_t>(page * page_bytes())) != static_cast<ssize_t>(page_bytes()))
            return Error::last("pwrite (a page)");
    }
    return {};
}

Result<void> Extent::read_page(std::size_t page, std::vector<std::uint64_t>& words) const {
    words.resize(page_bytes() / sizeof(std::uint64_t));
    const ssize_t got =
        ::pread(file_.get(), words.data(), page_bytes(), static_cast<off_t>(page * page_bytes()));
    if (got < 0)
        return Error::last("pread");
    if (got != static_cast<ssize_t>(page_bytes()))
        return Error::make(EIO, "the file ends in the page that should be read");
    return {};
}

Result<std::uint64_t> Extent::read_word(std::size_t page) const {
    std::vector<std::uint64_t> words;
    if (Result<void> read = read_page(page, words); !read)
        return read.error();
    return page_word(words);
}

Result<std::size_t> Extent::wrong_pages(const std::vector<bool>& hole,
                                        std::optional<std::size_t> alone,
                                        std::uint64_t alone_word) const {
    std::size_t wrong = 0;
    std::vector<std::uint64_t> words;
    for (std::size_t page = 0; page < pages(); ++page) {
        if (Result<void> read = read_page(page, words); !read)
            return read.error();
        std::uint64_t expected = page < hole.size() && hole[page] ? 0 : word(page);
        bool right = true;
        if (alone == page) {
            right = words.front() == alone_word;
            words.front() = 0; // and all else is 0
            expected = 0;
        }
        right = right && !compare_pattern(words, expected).found;
        wrong += right ? 0 : 1;
    }
    return wrong;
}

Result<void> Extent::write_word(std::size_t page, std::uint64_t value) const {
    if (::pwrite(file_.get(), &value, sizeof(value), static_cast<off_t>(page * page_bytes())) !=
        static_cast<ssize_t>(sizeof(value)))
        return Error::last("pwrite");
    return {};
}

void Extent::populate(const char* page) const {
    // Not a load: where another actor truncates as it likes, that would be a SIGBUS.
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-const-cast): madvise() takes no const
    (void)::madvise(const_cast<char*>(page), page_bytes(), MADV_POPULATE_READ);
}

int madvise_collapse(const char* start, std::size_t bytes) {
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-const-cast): madvise() takes no const
    return ::madvise(const_cast<char*>(start), bytes, MADV_COLLAPSE) == 0 ? 0 : errno;
}

int Extent::collapse() const { return madvise_collapse(base_, bytes()); }

} // namespace faultline
