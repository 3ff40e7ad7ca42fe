// SPDX-License-Identifier: GPL-2.0
// The objects that operations make and work on. Each undoes itself.
#ifndef FAULTLINE_OPERATIONS_OBJECTS_HPP
#define FAULTLINE_OPERATIONS_OBJECTS_HPP

#include "kernel/collapse_trace.hpp"
#include "kernel/extent.hpp"
#include "kernel/fd.hpp"
#include "kernel/hugetlb.hpp"
#include "kernel/kernel_log.hpp"
#include "kernel/khugepaged.hpp"
#include "kernel/settings.hpp"
#include "kernel/swap.hpp"
#include "kernel/userfaultfd.hpp"
#include "operations/operation.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <unistd.h>
#include <vector>

namespace faultline {

// The words of fill(): a different pattern for each page (kernel/page_pattern.hpp). Pages beyond
// the last are the first again: of a file that is mapped many times in a row.
class Content {
  public:
    explicit Content(std::size_t pages);
    // The contents made from now on are the same each time for the same seed. Otherwise no two are
    // alike, so that what an earlier run left is seen as such.
    static void restart(std::uint64_t seed);
    [[nodiscard]] std::uint64_t word(std::size_t page) const {
        return generation_ << 32 | (page % filled.size() + 1);
    }
    // The word that a step stores there, by any means.
    [[nodiscard]] std::uint64_t stored(std::size_t page) const { return word(page) | stored_bit; }
    [[nodiscard]] bool is_filled(std::size_t page) const { return filled.at(page % filled.size()); }
    std::vector<bool> filled;
    // The word that publish() has announced: no thread may see less of it.
    std::atomic<std::uint64_t> published{0};

  private:
    static constexpr std::uint64_t stored_bit = std::uint64_t{1} << 63;
    std::uint64_t generation_;
};

// The content of a page: "data" as fill() wrote it, "stored" if a step has written to it, "zero",
// or "other".
std::string_view content_word(const Content& content, std::size_t page,
                              const std::vector<std::uint64_t>& words);
// The same by the first word alone.
std::string_view first_word(const Content& content, std::size_t page, std::uint64_t word);

struct MountObject final : Object {
    Fd fd;
    std::uint64_t free_blocks = 0; // when it was empty
    static Result<std::shared_ptr<MountObject>> make(std::size_t bytes);
    [[nodiscard]] Result<std::uint64_t> free_now() const;
};

struct FileObject final : Object {
    Fd fd;
    std::size_t page_bytes = 0;
    std::size_t pages = 0;
    bool hugetlb = false;
    std::shared_ptr<Content> content;
    std::shared_ptr<MountObject> mount;
    // A page, by pread(2); it may be cut short by the end of the file: EIO.
    [[nodiscard]] Result<std::vector<std::uint64_t>> read(std::size_t page) const;
};

struct UserfaultfdObject;

struct MemoryObject final : Object {
    Places* places = nullptr;
    unsigned times = 0; // Places::times() when this was mapped
    char* start = nullptr;
    std::size_t page_bytes = 0;
    std::size_t pages = 0;
    std::shared_ptr<Content> content;
    std::size_t offset = 0;           // the page of the content that its first page has
    std::shared_ptr<FileObject> file; // null: anonymous
    bool shared = false;
    std::vector<std::weak_ptr<UserfaultfdObject>> registered; // with these, at some time
    ~MemoryObject() override;
    [[nodiscard]] char* at(std::size_t page) const { return start + page * page_bytes; }
    [[nodiscard]] std::uint64_t word(std::size_t page) const {
        return content->word(offset + page);
    }
    [[nodiscard]] std::uint64_t stored(std::size_t page) const {
        return content->stored(offset + page);
    }
    // A page, without a signal where there is none: EFAULT.
    [[nodiscard]] Result<std::vector<std::uint64_t>> read(std::size_t page) const;
};

struct UserfaultfdObject final : Object {
    Userfaultfd userfaultfd;
};

struct PipeObject final : Object {
    Fd out;
    Fd in;
};

struct SwapObject final : Object {
    SwapArea area;
};

struct SettingObject final : Object {
    Setting setting;
};

struct KhugepagedObject final : Object {
    Khugepaged khugepaged;
};

struct PoolObject final : Object {
    Setting setting;
    HugetlbPool before;
};

// A cgroup of the second version below the root; a name of this driver's alone.
struct CgroupObject final : Object {
    std::string name; // in the scenario
    std::string path;
    ~CgroupObject() override { (void)::rmdir(path.c_str()); }
};

struct LogObject final : Object {
    explicit LogObject(KernelLog opened) : log(std::move(opened)) {}
    KernelLog log;
};

struct TraceObject final : Object {
    explicit TraceObject(CollapseTrace opened) : trace(std::move(opened)) {}
    CollapseTrace trace;
};

struct ChildObject final : Object {
    pid_t pid = 0; // 0: it has ended, and was waited for
    int status = 0;
    // SIGKILL. A child that the kernel does not let end stays, after a tenth of a second.
    ~ChildObject() override;
};

// Counts of an instant.
struct CountsObject final : Object {
    std::vector<std::uint64_t> counts;
};

// Which are in the page cache.
Result<std::vector<bool>> present_pages(const FileObject& file);

// The memory of an argument of type memory or pages.
struct Range {
    char* start;
    std::size_t bytes;
};
Range range_of(const Value& value);

// For soft_offline(): opens all that this needs.
Result<Value> frame_at(std::uint64_t pfn);

// For a scenario's needs: taking a page out of use, and the way back.
std::optional<std::string> missing_soft_offline();

// The rows, by theme.
void add_file_operations(std::vector<Operation>& rows);
void add_memory_operations(std::vector<Operation>& rows);
void add_userfaultfd_operations(std::vector<Operation>& rows);
void add_machine_operations(std::vector<Operation>& rows);
void add_judging_operations(std::vector<Operation>& rows);
void add_state_operations(std::vector<Operation>& rows);
void add_collapse_operations(std::vector<Operation>& rows);
void add_mthp_operations(std::vector<Operation>& rows);
void add_hugetlb_operations(std::vector<Operation>& rows);
void add_timing_operations(std::vector<Operation>& rows);
void add_pgtable_operations(std::vector<Operation>& rows);
void add_notifier_operations(std::vector<Operation>& rows);
void add_offline_operations(std::vector<Operation>& rows);
void add_hvo_operations(std::vector<Operation>& rows);
void add_child_operations(std::vector<Operation>& rows);

} // namespace faultline

#endif // FAULTLINE_OPERATIONS_OBJECTS_HPP
