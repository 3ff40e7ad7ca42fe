// SPDX-License-Identifier: GPL-2.0
// The common part of the scenarios about hugetlb: a pool of huge pages, given back when the variant
// ends, a file, and the pool's books.
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
    // machine, which must be after the actors have ended the same as before, except may_differ().
    // The State after is taken before judge() looks. Then without the file: page tables, and the
    // huge pages that the kernel counts for this process.
    Result<void> begin_run(Run& run) override;
    Outcome judge_run(Run& run) override;

  protected:
    // The allowed differences, with reasons. By default the effects of a touch or of MADV_DONTNEED
    // on a page; not the bytes of a page that is present before and after.
    [[nodiscard]] virtual Allowed may_differ(const Run& run) const;
    // "mapping file", "file hugetlb". `whole`: with bytes and smaps.
    [[nodiscard]] virtual StateScope state_scope(bool whole) const;
    [[nodiscard]] HugetlbFile& file() const { return *file_; }
    // Registers memory of the calling process with a userfaultfd for write protection, which makes
    // its page tables its own. False, and errno.
    bool watch(char* start, std::size_t bytes);
    void unwatch() { userfaultfd_.close(); }

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
    Userfaultfd userfaultfd_; // a forked actor has its own
    std::unique_ptr<HugetlbFile> file_;
};

} // namespace faultline

#endif // FAULTLINE_SCENARIOS_HUGETLB_EXPERIMENT_HPP
