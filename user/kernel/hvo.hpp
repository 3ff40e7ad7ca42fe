// SPDX-License-Identifier: GPL-2.0
// Hugetlb vmemmap optimization (HVO): the module's file hvo/block (kmod/hvo_lines.h), and the
// kernel's own settings that make huge pages and optimize them.
#ifndef FAULTLINE_KERNEL_HVO_HPP
#define FAULTLINE_KERNEL_HVO_HPP

#include "kernel/debugfs.hpp"
#include "kernel/result.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace faultline {

inline constexpr const char* hvo_setting = "/proc/sys/vm/hugetlb_optimize_vmemmap";
inline constexpr const char* pool_setting = "/proc/sys/vm/nr_hugepages";

// A page of vmemmap: 64 struct pages of a block, where they have 64 bytes.
struct VmemmapPage {
    std::uint64_t pfn = 0;
    bool writable = false;
    unsigned order = 0;              // 2^order pages are mapped by one entry
    std::optional<unsigned> alias{}; // the first page of the block that is the same
};

struct CpuView {
    std::vector<std::int64_t> refs; // of the first struct page of each page of vmemmap
    std::vector<std::string> flags; // the same; hexadecimal
    std::vector<std::string> sums;  // over all bytes of each
    friend bool operator==(const CpuView&, const CpuView&) = default;
};

struct HvoCounters {
    std::int64_t memmap = -1; // pages that hold struct pages; -1: the kernel does not say
    std::int64_t pool = 0;    // huge pages of the block's size
    std::int64_t free = 0;
    std::int64_t reserved = 0;
    std::int64_t surplus = 0;
    friend bool operator==(const HvoCounters&, const HvoCounters&) = default;
};

struct HvoTry {
    std::string kind;   // "try", "late", "compiled"
    unsigned index = 0; // of the struct page in the block
    std::string result; // "got", "zero", "changed", "fault"
    std::int64_t before = 0;
    std::int64_t after = 0; // the head's count
};

// The struct pages of one block of physical memory that can be a huge page.
struct HvoLayout {
    std::uint64_t pfn = 0;
    unsigned index = 0; // of the page that was asked for
    bool head = false;
    bool hugetlb = false;
    std::int64_t refs = 0; // of the first
    std::vector<VmemmapPage> vmemmap;
    std::vector<CpuView> cpus;
    HvoCounters then; // when the block was chosen
    HvoCounters now;
    std::optional<HvoTry> tried{};

    // All pages of vmemmap but the first are read-only: the block is an optimized huge page.
    [[nodiscard]] bool optimized() const;
};
Result<HvoLayout> parse_hvo_layout(std::string_view text);

class HvoBlock {
  public:
    static Result<HvoBlock> open();
    // As kmod/hvo_lines.h says: "pfn 1a00", "try 300", "late 300", "compiled 300", "unpoison",
    // "drain".
    [[nodiscard]] Result<void> send(const std::string& command) const;
    [[nodiscard]] Result<void> find(const void* page) const; // of this process
    [[nodiscard]] Result<HvoLayout> layout() const;

  private:
    explicit HvoBlock(ModuleFile file) : file_(std::move(file)) {}
    ModuleFile file_;
};

// Huge pages in use: made (the pool grows to their number), mapped and touched. Unmapped at the
// end; the pool stays, so keep a Setting of it.
class HugePages {
  public:
    static Result<HugePages> take(unsigned pages);
    HugePages(const HugePages&) = delete;
    HugePages& operator=(const HugePages&) = delete;
    HugePages(HugePages&& other) noexcept
        : memory_(std::exchange(other.memory_, nullptr)), bytes_(other.bytes_) {}
    HugePages& operator=(HugePages&&) = delete;
    ~HugePages();

    [[nodiscard]] const char* page(unsigned index) const;

  private:
    HugePages(char* memory, std::size_t bytes) : memory_(memory), bytes_(bytes) {}
    char* memory_;
    std::size_t bytes_;
};

// For a scenario's needs.
std::optional<std::string> missing_hvo();

// The file's huge page that is mapped at `start` becomes pages of the smallest size again, in the
// same block.
Result<void> split_huge_page(const void* start, std::size_t bytes);

} // namespace faultline

#endif // FAULTLINE_KERNEL_HVO_HPP
