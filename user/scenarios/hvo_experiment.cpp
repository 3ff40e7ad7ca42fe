// SPDX-License-Identifier: GPL-2.0
#include "scenarios/hvo_experiment.hpp"

#include "kernel/series.hpp"

namespace faultline {

Result<void> HvoExperiment::set(const char* path, std::string_view value) {
    Result<Setting> setting = Setting::set(path, value);
    if (!setting)
        return setting.error();
    settings_.push_back(std::move(*setting));
    return {};
}

Result<void> HvoExperiment::pool(unsigned pages) {
    return write_text(pool_setting, std::to_string(pages));
}

Result<void> HvoExperiment::prepare() {
    Result<HvoBlock> block = HvoBlock::open();
    if (!block)
        return block.error();
    block_ = std::move(*block);
    if (Result<void> optimizing = set(hvo_setting, "1"); !optimizing)
        return optimizing;
    return set(pool_setting, "0");
}

bool HvoExperiment::aliases_head() {
    const std::string& release = running_release();
    return in_series(release, "6.1") || in_series(release, "6.12");
}

std::vector<Need> hvo_needs() { return {{"vm.hugetlb_optimize_vmemmap", missing_hvo}}; }

} // namespace faultline
