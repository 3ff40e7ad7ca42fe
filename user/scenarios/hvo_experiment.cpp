// SPDX-License-Identifier: GPL-2.0
#include "scenarios/hvo_experiment.hpp"

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
    Result<std::unique_ptr<Extent>> extent = Extent::make();
    if (!extent)
        return extent.error();
    extent_ = std::move(*extent);
    Result<HvoBlock> block = HvoBlock::open();
    if (!block)
        return block.error();
    block_ = std::move(*block);
    Result<KernelLog> log = KernelLog::open();
    if (!log)
        return log.error();
    log_ = std::move(*log);
    if (Result<void> optimizing = set(hvo_setting, "1"); !optimizing)
        return optimizing;
    return set(pool_setting, "0");
}

StateScope HvoExperiment::state_scope(const Run& run) const {
    StateScope scope{.process = false, // the actors' memory, of which none is left
                     .rollup = StateCheck::whole(run),
                     .log = &*log_};
    if (extent_->file() >= 0)
        scope.files.push_back(
            {.name = "extent", .file = extent_->file(), .content = StateCheck::whole(run)});
    return scope;
}

Result<void> HvoExperiment::begin_run(Run& run) {
    if (Result<void> begun = begin(run); !begun)
        return begun;
    return check_.begin(state_scope(run));
}

Outcome HvoExperiment::judge_run(Run& run) {
    Outcome outcome = judge(run);
    const Result<void> at_rest = pool(pool_at_rest_);
    const Result<void> taken = at_rest ? check_.end(state_scope(run)) : at_rest;
    if (!taken)
        return outcome.forbid(taken.error().to_string());
    check_.compare_all();
    check_.tell(outcome);
    return outcome;
}

std::vector<Need> hvo_needs() {
    return {{"vm.hugetlb_optimize_vmemmap", missing_hvo},
            {"transparent huge pages", missing_huge_pages}};
}

} // namespace faultline
