// SPDX-License-Identifier: GPL-2.0
// Hugetlb and the tables of PMDs that processes share for it: the module's file hugetlb/share
// (kmod/hugetlb.h), and a file whose page tables can be shared.
#ifndef FAULTLINE_KERNEL_HUGETLB_HPP
#define FAULTLINE_KERNEL_HUGETLB_HPP

#include "kernel/fd.hpp"
#include "kernel/result.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

namespace faultline {

struct HugetlbUser {
    pid_t pid = 0; // 0: the kernel does not know
    std::uint64_t address = 0;
    friend bool operator==(const HugetlbUser&, const HugetlbUser&) = default;
};

// The pool of one size of huge pages; all in huge pages.
struct HugetlbPool {
    unsigned order = 0;
    std::int64_t pages = 0;
    std::int64_t free = 0;
    std::int64_t reserved = 0;
    std::int64_t surplus = 0;
    friend bool operator==(const HugetlbPool&, const HugetlbPool&) = default;
};

// The state of an address of a process; see kmod/hugetlb.h.
struct HugetlbShare {
    bool mapped = false;       // a hugetlb file is mapped there; else the next members are void
    std::string busy;          // the lock that another task held, or empty
    std::string pud;           // "none", "huge", "table"
    std::uint64_t table = 0;   // page frame of the table of PMDs
    std::int64_t shared = 0;   // how many others have it, as the kernel counts; -1: it never does
    std::string lock;          // "none", "free", "write", "read:1"
    std::int64_t mm_pages = 0; // what hugetlb maps in the mm, in pages of the smallest size
    std::vector<HugetlbUser> users;
    std::vector<HugetlbPool> pools;
};
Result<HugetlbShare> parse_hugetlb_share(std::string_view text);

// For a process; 0 is the caller's.
Result<HugetlbShare> hugetlb_share(pid_t pid, const void* address);

// The default size of huge pages; 0 if there are none.
std::size_t hugetlb_bytes();
// That size's pool as sysfs has it. Reserved is -1 where the kernel's count has fallen below 0.
Result<HugetlbPool> hugetlb_pool();
// Asks for as many pages, and again after the kernel has compacted memory: it gives fewer, without
// an error, if it does not find enough. ENOMEM: it still has fewer, and the text says how many.
Result<void> fill_hugetlb_pool(std::int64_t pages);

// For a scenario's needs.
std::optional<std::string> missing_hugetlb();     // huge pages of the default size
std::optional<std::string> missing_pmd_sharing(); // as the loaded module knows it

// A hugetlb file without a name, as long as what one PUD maps, mapped where processes can share the
// table of its PMDs. The addresses stay for the object's life. Nothing is reserved: a page comes
// when it is touched.
class HugetlbFile {
  public:
    static Result<std::unique_ptr<HugetlbFile>> make();
    HugetlbFile(const HugetlbFile&) = delete;
    HugetlbFile& operator=(const HugetlbFile&) = delete;
    ~HugetlbFile();

    Result<void> fresh(); // a new, empty file at the same address; the old one is gone
    // In the calling process alone: nothing is mapped in any range, the file stays.
    [[nodiscard]] Result<void> unmap() const;

    [[nodiscard]] std::size_t huge_bytes() const { return huge_bytes_; }
    [[nodiscard]] std::size_t bytes() const { return bytes_; } // of the file and the mapping
    [[nodiscard]] int file() const { return file_.get(); }
    [[nodiscard]] char* address(std::size_t page = 0) const { return base_ + page * huge_bytes_; }
    // The ranges beside it, as long and as aligned: reserved, nothing is mapped there.
    static constexpr std::size_t ranges = 4; // with its own, which is the first
    [[nodiscard]] char* range(std::size_t number) const { return base_ + number * bytes_; }

  private:
    explicit HugetlbFile(std::size_t huge_bytes);
    std::size_t huge_bytes_;
    std::size_t bytes_;
    Fd file_;
    char* reserved_ = nullptr;
    char* base_ = nullptr;
};

// A whole huge page of this process' memory, and no signal where there is none: EFAULT. Its bytes
// follow from its first word (kernel/page_pattern.hpp); peek() looks at all of them, and where they
// do not follow gives a word that is neither the first nor 0.
Result<std::uint64_t> peek(const void* huge_page);
Result<void> poke(void* huge_page, std::uint64_t first_word);

} // namespace faultline

#endif // FAULTLINE_KERNEL_HUGETLB_HPP
