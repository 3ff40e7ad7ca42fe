// SPDX-License-Identifier: GPL-2.0
// The common part of the scenarios about hugetlb vmemmap optimization (HVO): the settings, put back
// when the variant ends, and the pool of huge pages.
#ifndef FAULTLINE_SCENARIOS_HVO_EXPERIMENT_HPP
#define FAULTLINE_SCENARIOS_HVO_EXPERIMENT_HPP

#include "engine/scenario.hpp"
#include "kernel/extent.hpp"
#include "kernel/hvo.hpp"
#include "kernel/kernel_log.hpp"
#include "kernel/settings.hpp"
#include "scenarios/state_check.hpp"

#include <memory>
#include <optional>
#include <vector>

namespace faultline {

// As long as a huge page is optimized, 6.12 does not switch the static key that it has for them. To
// patch its own code again and again crashes QEMU 7.2's TCG: "Oops: int3".
inline constexpr unsigned anchor_pages = 1;

// 6.1 has the aliases of heads, and neither asks for them nor waits for a grace period.
inline constexpr std::string_view fixed_fake_heads =
    "fixed by \"mm/hugetlb_vmemmap: fix race with speculative PFN walkers\" (v6.11)";

class HvoExperiment : public Experiment {
  public:
    Result<void> prepare() override; // optimization on, the pool empty, a file made
    // Beside begin() and judge(): when the pool has again as many huge pages as begin() leaves in
    // it, the State is as it was, with the counters of vmemmap. The file has no pages then.
    Result<void> begin_run(Run& run) override;
    Outcome judge_run(Run& run) override;

  protected:
    explicit HvoExperiment(unsigned pool_at_rest = anchor_pages) : pool_at_rest_(pool_at_rest) {}
    Result<void> set(const char* path, std::string_view value); // until the variant ends
    static Result<void> pool(unsigned pages);
    [[nodiscard]] const HvoBlock& block() const { return *block_; }
    [[nodiscard]] Extent& extent() const { return *extent_; }

  private:
    [[nodiscard]] StateScope state_scope(const Run& run) const;

    unsigned pool_at_rest_;
    StateCheck check_;
    std::optional<KernelLog> log_;
    std::vector<Setting> settings_;
    std::optional<HvoBlock> block_;
    std::unique_ptr<Extent> extent_;
};

std::vector<Need> hvo_needs();

} // namespace faultline

#endif // FAULTLINE_SCENARIOS_HVO_EXPERIMENT_HPP
