// SPDX-License-Identifier: GPL-2.0
// What the scenarios about hugetlb have in common: a pool of huge pages, given back when the
// variant ends, a file, and the pool's books.
#ifndef FAULTLINE_SCENARIOS_HUGETLB_EXPERIMENT_HPP
#define FAULTLINE_SCENARIOS_HUGETLB_EXPERIMENT_HPP

#include "engine/scenario.hpp"
#include "kernel/hugetlb.hpp"
#include "kernel/kernel_log.hpp"
#include "kernel/settings.hpp"
#include "kernel/userfaultfd.hpp"
#include "scenarios/state_check.hpp"

#include <memory>
#include <optional>
#include <string>

namespace faultline {

class HugetlbExperiment : public Experiment {
  public:
    Result<void> prepare() override; // the pool filled, the file made
    // Beside begin() and judge(): the State of the file's first pages, of the pools and of the
    // machine, which must be after the actors have ended what it was before, but for may_differ().
    // The State after is taken before judge() looks. Then without the file: page tables, and the
    // huge pages that the kernel counts for this process.
    Result<void> begin_run(Run& run) override;
    Outcome judge_run(Run& run) override;

  protected:
    // What may differ, and why. By default what actors do to a page by touching it or by giving it
    // back; not what a page has that is there before and after.
    [[nodiscard]] virtual Allowed may_differ(const Run& run) const;
    // "mapping file", "file hugetlb". `whole`: with bytes and smaps.
    [[nodiscard]] virtual StateScope state_scope(bool whole) const;
    // What differs for ever where this process gives up its part in a table: it goes on counting
    // the pages in there, in all kernels.
    [[nodiscard]] static MayDiffer counted_on() {
        return {"process status HugetlbPages", "a part in a table was given up: counted on"};
    }
    // Names of bytes in huge pages, which are compared in the smallest pages.
    [[nodiscard]] MayDiffer bytes_may_differ(std::size_t first, std::size_t last,
                                             std::string_view why) const;

    [[nodiscard]] HugetlbFile& file() const { return *file_; }
    // Adds "pool": what is not free, and was at the beginning, is in the file, and nothing is
    // more is reserved than should be. A control may have lost a page before.
    void judge_pool(Outcome& outcome, std::int64_t reserved = 0) const;
    // For an actor that is a process: takes part in the driver's table of PMDs, by reading this
    // page, and reports in `slot_shared` what the kernel then counts. False if it failed.
    bool share(ActorContext& me, std::size_t page);
    static constexpr unsigned slot_shared = slots_per_actor - 1;
    // Registers memory of the calling process with a userfaultfd for write protection, which makes
    // its page tables its own. False, and errno.
    bool watch(char* start, std::size_t bytes);
    // As munmap(), but nothing else can get the place. False, and errno.
    bool unmap();
    void unwatch() { userfaultfd_.close(); }
    // "ok", "EFAULT", or that nobody reported it.
    static std::string error_name(std::int64_t number);

  private:
    void judge_counts();
    void judge_without_file();

    StateCheck check_;
    std::optional<KernelLog> log_;
    struct WithoutFile {
        TableMemory tables;
        std::uint64_t huge_pages_kb = 0;
    };
    std::optional<WithoutFile> without_file_; // after the first run
    Setting setting_;
    HugetlbPool before_;
    Userfaultfd userfaultfd_; // a forked actor has its own
    std::unique_ptr<HugetlbFile> file_;
};

} // namespace faultline

#endif // FAULTLINE_SCENARIOS_HUGETLB_EXPERIMENT_HPP
