// SPDX-License-Identifier: GPL-2.0
// Two States of a run, before its actors start and after they have ended, and the rules by which
// they are compared: what may differ, and what must have grown by as much as something else. The
// first difference that may not be has a word.
#ifndef FAULTLINE_KERNEL_STATE_COMPARISON_HPP
#define FAULTLINE_KERNEL_STATE_COMPARISON_HPP

#include "kernel/state.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace faultline {

// Page tables of this process: VmPTE in kB, and where its heap ends.
struct TableMemory {
    std::uint64_t kilobytes = 0;
    std::uintptr_t heap_end = 0;
    static Result<TableMemory> take();
};
// Page tables come and go with mappings: without such a change, there must not be one more than at
// the first look. "", or a sentence. Where the heap has grown, tables map it: as many may be more.
// Nothing else of the driver's was seen to need one more from the second run of a variant on.
std::string more_tables(const TableMemory& first, const TableMemory& now);

// A counter of the machine that has another value after a run in which other programs' tasks ran:
// they may have changed it, so that it says nothing of the run.
struct NotCompared {
    std::string counter;
    std::string others; // "cron, systemd"
};

class StateComparison {
  public:
    // Bytes, smaps and smaps_rollup cost as much as a run: they are taken in the first run and in
    // each fourth after it. All else is taken in each run.
    static constexpr unsigned whole_every = 4;
    [[nodiscard]] static bool whole(unsigned run) { return run % whole_every == 1; }

    // Begins one run: drops the differences of an earlier one, and its allowed differences.
    Result<void> begin(const StateScope& scope);
    void begin(State before);
    [[nodiscard]] bool begun() const { return before_.has_value(); }
    Result<void> end(const StateScope& scope);
    void end(State after) { after_ = std::move(after); }
    // After begin() and end().
    [[nodiscard]] const State& before() const { return *before_; }
    [[nodiscard]] const State& after() const { return *after_; }

    void allow(MayDiffer one) { allowed_.push_back(std::move(one)); }
    void allow(const Allowed& more);
    [[nodiscard]] const Allowed& allowed() const { return allowed_; }

    // Compares what others may have changed, too: for a caller that cannot print not_compared().
    void assume_quiet() { assumes_quiet_ = true; }

    // The differences that compare() finds, and cgroups' counters. Values that only the objects of
    // the scope can change are always compared, the machine's counters if no other program's task
    // ran meanwhile. `counted`: names that another rule is about. A page that is there only before
    // or only after has no bytes to compare, and no frame: its coming or going is in other columns.
    void compare_all(const Allowed& counted = {});
    // By how much a counter has grown; 0 if this machine does not have it.
    [[nodiscard]] std::int64_t growth(std::string_view name) const;
    // A counter that must have grown by that much, if this machine has it.
    void require_growth(std::string_view name, std::int64_t by);
    // The same of pages of shared memory: of the machine, and where others ran, of the cgroups.
    void require_shmem_pages(std::int64_t by);
    // Not of a name that may differ.
    void require(bool condition, std::string_view name, const std::string& otherwise);

    // The last word of the first name that differs; "" if all is as it must be.
    [[nodiscard]] const std::string& word() const { return word_; }
    [[nodiscard]] const std::string& why() const { return why_; }
    // After compare_all().
    [[nodiscard]] const std::vector<NotCompared>& not_compared() const { return not_compared_; }
    // Other programs' tasks ran: a rule may look at a cgroup instead of the machine.
    [[nodiscard]] bool quiet() const { return others_.empty(); }

  private:
    [[nodiscard]] bool left_out(std::string_view name);
    void compare_memmap();
    void compare_cgroups();

    std::optional<State> before_;
    std::optional<State> after_;
    Allowed allowed_;
    std::string word_;
    std::string why_;
    bool assumes_quiet_ = false;
    std::string others_; // that ran between the two
    std::vector<NotCompared> not_compared_;
};

} // namespace faultline

#endif // FAULTLINE_KERNEL_STATE_COMPARISON_HPP
