// SPDX-License-Identifier: GPL-2.0
// The whole state of an experiment's objects that user space can see, taken before and after, and
// compared: every byte, every page, every counter. A scenario says what may differ, and why; what
// else differs has a name and two values.
//
//     const StateScope scope{.mappings = {{"a", address, bytes}}, .files = {{"f", fd}}};
//     const Result<State> before = State::take(scope);
//     ...
//     const Result<State> after = State::take(scope);
//     compare(*before, *after, {{"mapping a page 7", "the actor writes to it"}});
//
// The names:
//     mapping NAME page N bytes|mincore|pagemap-present|pagemap-swapped|...   (see pagemap_bits)
//     mapping NAME smaps Rss|Pss|...
//     file NAME page N bytes          file NAME st_size|st_blocks|st_nlink
//     file NAME statfs blocks|bfree|files|ffree
//     machine meminfo Shmem|...       machine vmstat nr_memmap_pages|...
//     process status VmPTE            cgroup driver memory.stat shmem|...
//     cgroup driver processes Pss_Anon|AnonHugePages
//     kernel-log complaints
#ifndef FAULTLINE_KERNEL_STATE_HPP
#define FAULTLINE_KERNEL_STATE_HPP

#include "kernel/counters.hpp"
#include "kernel/kernel_log.hpp"
#include "kernel/other_tasks.hpp"
#include "kernel/result.hpp"

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace faultline {

// Whole pages of this process. A page that is not mapped is not touched: its bytes are not there to
// compare. The mappings in it should be no part of larger ones: smaps counts those whole.
struct MappingScope {
    std::string name;
    const char* start = nullptr;
    std::size_t bytes = 0;
    bool content = true;
    bool smaps = true;
    // The bytes are those that a load would show, also where no entry maps a page: those of `file`,
    // which must be in the same scope, from that page on; else of swap, or zeroes.
    bool as_loaded = false;
    std::string file{};
    std::size_t offset = 0; // pages
};

// An open file. Its bytes are read, which makes no page in tmpfs and hugetlbfs.
struct FileScope {
    std::string name;
    int file = -1;
    std::size_t page_bytes = 0; // what a page of it is; 0 = the machine's smallest
    bool content = true;
};

struct CgroupScope {
    std::string name;
    std::string folder;
};
inline constexpr std::string_view driver_cgroup = "driver"; // its name in a State

struct StateScope {
    std::vector<MappingScope> mappings{};
    std::vector<FileScope> files{};
    bool frames = false; // page frames, too: as root, and where no page should move
    bool process = true; // /proc/self/status
    bool machine = true; // /proc/meminfo, /proc/vmstat: all tasks' doings are in them
    bool cgroup = true;  // memory.stat of this task's cgroup, "driver", and of these:
    std::vector<CgroupScope> cgroups{}; // all of one hierarchy
    bool rollup = true;                 // what their processes have, beside it
    const KernelLog* log = nullptr;     // its complaints so far
};

// Each gives the counters that are compared, as parse_counters() does.
Result<std::vector<Counter>> parse_smaps(std::string_view text, std::uint64_t from,
                                         std::uint64_t to); // sums over the mappings in there
Result<std::vector<Counter>> parse_status(std::string_view text);

// The digest of all bytes. Two pages that differ in one word never have the same. `before`: the
// digest of the piece before this one.
std::uint64_t digest(std::span<const std::uint64_t> piece, std::uint64_t before = 0);

struct Difference {
    std::string name;
    std::optional<std::uint64_t> before; // nothing: it was not there
    std::optional<std::uint64_t> after;
    friend bool operator==(const Difference&, const Difference&) = default;
};
// "file f st_blocks: 8 before, 16 after; mapping a page 7 mincore: 1 before, 0 after; and 3 more"
std::string to_string(const std::vector<Difference>& differences, std::size_t most = 3);

// Names that may differ: those that begin with these words. "*" is any one word, "a|b" either of
// two, "4-7" these numbers; "," begins others: {"file * st_size, mapping a smaps Rss|Pss", "cut"}.
struct MayDiffer {
    std::string words;
    std::string why;
};
using Allowed = std::vector<MayDiffer>;
bool allows(const Allowed& allowed, std::string_view name);

// A counter of all tasks: only its growth during a run means something.
bool counts_up(std::string_view name);

class State {
  public:
    static Result<State> take(const StateScope& scope);
    // From counters that the caller has read, and the tasks there were meanwhile.
    static State of(std::vector<Counter> counters, TaskRows tasks = {});

    // A counter that somebody else has found out, under that name.
    void note(std::string name, std::uint64_t value) {
        counters_.emplace_back(std::move(name), value);
    }
    // The values that this machine does not have, in words.
    [[nodiscard]] const std::vector<std::string>& absent() const { return absent_; }
    // The names of other programs' tasks that ran between before's counters and these. None if the
    // module is not there to tell: then the machine counts as quiet.
    [[nodiscard]] std::vector<std::string> others_since(const State& before) const;
    // A value by its name; nothing if there is none.
    [[nodiscard]] std::optional<std::uint64_t> value(std::string_view name) const;
    // The same of any name that compare() gives, also of a page.
    [[nodiscard]] std::optional<std::uint64_t> any_value(const std::string& name) const;
    // The sum of all values that MayDiffer's words match.
    [[nodiscard]] std::optional<std::uint64_t> sum(std::string_view words) const;
    [[nodiscard]] const std::vector<Counter>& counters() const { return counters_; }
    [[nodiscard]] std::size_t pages() const; // of all mappings and files whose bytes are taken
    // Of a page of "mapping a": its "mincore", its "bytes". Nothing: there is none.
    [[nodiscard]] std::optional<std::uint64_t>
    page_value(std::string_view object, std::string_view column, std::size_t page) const;
    // How many pages of "mapping a" have a "mincore", a "pagemap-present" that is not 0.
    [[nodiscard]] std::size_t pages_with(std::string_view object, std::string_view column) const;

  private:
    friend std::vector<Difference> compare(const State& before, const State& after,
                                           const Allowed& may_differ, std::size_t most);
    // A value of each page of an object. Nothing: the page is not there.
    struct Column {
        std::string object; // "mapping a"
        std::string name;   // "mincore"; "pagemap" is compared by its bits
        std::vector<std::optional<std::uint64_t>> values;
    };
    Result<void> take_mapping(const MappingScope& scope, bool frames);
    void show_unmapped(const MappingScope& scope);
    [[nodiscard]] const Column* column(std::string_view object, std::string_view name) const;
    Result<void> take_smaps(const std::vector<MappingScope>& mappings);
    Result<void> take_file(const FileScope& scope);
    Result<void> take_machine();
    Result<void> take_cgroups(const StateScope& scope);
    void add(const std::string& object, const Result<std::vector<Counter>>& counters);

    std::vector<Column> columns_;
    std::vector<Counter> counters_;
    std::vector<std::string> absent_;
    TaskRows first_tasks_; // before the machine's counters were read
    TaskRows last_tasks_;  // and after
};

// A value in words, "-" if there is none: the number, the growth of what counts up, a digest.
std::string value_text(const State* before, const State& after, const std::string& name);

// In the order of their names' objects; of two states with one scope. From `most` on no more pages
// are looked at.
std::vector<Difference> compare(const State& before, const State& after, const Allowed& may_differ,
                                std::size_t most = std::numeric_limits<std::size_t>::max());

} // namespace faultline

#endif // FAULTLINE_KERNEL_STATE_HPP
