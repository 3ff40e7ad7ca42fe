// SPDX-License-Identifier: GPL-2.0
#include "scenarios/hvo_experiment.hpp"

#include <algorithm>
#include <cerrno>
#include <unistd.h>

namespace faultline {

namespace {

// A block that was just freed is among the first that are taken.
constexpr unsigned most_more = 320;

} // namespace

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

Result<HvoLayout> HvoExperiment::one_block(std::size_t page) const {
    if (Result<void> fresh = extent_->fresh(); !fresh)
        return fresh.error();
    if (Result<void> filled = extent_->fill({}); !filled)
        return filled.error();
    if (const int number = extent_->collapse(); number != 0)
        return Error::make(number, "MADV_COLLAPSE");
    extent_->populate(extent_->address());
    if (Result<void> split = split_huge_page(extent_->address(), extent_->bytes()); !split)
        return split.error();
    if (Result<void> found = block().find(extent_->address(page)); !found)
        return found.error();
    Result<HvoLayout> layout = block().layout();
    if (layout && (layout->head || layout->index != page))
        return Error::make(EPROTO, "the huge page was not split in place");
    extent_->unmap();
    return layout;
}

unsigned HvoExperiment::most_pages() const {
    const auto all = static_cast<std::size_t>(::sysconf(_SC_PHYS_PAGES));
    return static_cast<unsigned>((all - all / 4) / extent_->pages());
}

Result<std::int64_t> HvoExperiment::take_block(ActorContext& me, unsigned pages) const {
    if (::ftruncate(extent_->file(), 0) != 0)
        return Error::last("ftruncate");
    if (Result<void> drained = block().send("drain"); !drained)
        return drained.error();
    const unsigned most = std::min(pages + most_more, most_pages());
    while (pages < most && !me.stopping()) {
        pages += at_once;
        if (Result<void> grown = pool(pages); !grown)
            return grown.error();
        const Result<HvoLayout> layout = block().layout();
        if (!layout)
            return layout.error();
        if (layout->hugetlb)
            return pages;
    }
    return -1;
}

std::vector<Need> hvo_needs() {
    return {{"vm.hugetlb_optimize_vmemmap", missing_hvo},
            {"transparent huge pages", missing_huge_pages}};
}

} // namespace faultline
