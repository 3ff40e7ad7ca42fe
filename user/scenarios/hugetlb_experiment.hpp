// SPDX-License-Identifier: GPL-2.0
// What the scenarios about hugetlb have in common: a pool of huge pages, given back when the
// variant ends, a file, and the pool's books.
#ifndef FAULTLINE_SCENARIOS_HUGETLB_EXPERIMENT_HPP
#define FAULTLINE_SCENARIOS_HUGETLB_EXPERIMENT_HPP

#include "engine/scenario.hpp"
#include "kernel/hugetlb.hpp"
#include "kernel/settings.hpp"
#include "kernel/userfaultfd.hpp"

#include <memory>
#include <string>

namespace faultline {

class HugetlbExperiment : public Experiment {
  public:
    Result<void> prepare() override; // the pool filled, the file made

  protected:
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
    Setting setting_;
    HugetlbPool before_;
    Userfaultfd userfaultfd_; // a forked actor has its own
    std::unique_ptr<HugetlbFile> file_;
};

} // namespace faultline

#endif // FAULTLINE_SCENARIOS_HUGETLB_EXPERIMENT_HPP
