// SPDX-License-Identifier: GPL-2.0
#include "scenarios/mthp_experiment.hpp"

#include "kernel/page_pattern.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <sys/mman.h>

namespace faultline {

namespace {

constexpr std::size_t most_bytes = std::size_t{128} << 20; // of all ranges

} // namespace

MthpExperiment::~MthpExperiment() {
    if (reserved_ != nullptr)
        ::munmap(reserved_, reserved_bytes_);
}

Result<void> MthpExperiment::prepare() {
    const Result<Geometry> geometry = faultline::geometry();
    if (!geometry)
        return geometry.error();
    geometry_ = *geometry;
    ranges_ = std::clamp<std::size_t>(most_bytes / geometry_.huge_bytes, 1, most_ranges_);
    Result<FolioReader> folios = FolioReader::open();
    if (!folios)
        return folios.error();
    folios_ = std::move(*folios);
    Result<Khugepaged> khugepaged = Khugepaged::awake();
    if (!khugepaged)
        return khugepaged.error();
    khugepaged_ = std::move(*khugepaged);
    Result<KernelLog> log = KernelLog::open();
    if (!log)
        return log.error();
    log_ = std::move(*log);
    // One more, in which one page was touched: by it khugepaged comes to know this process.
    reserved_bytes_ = (ranges_ + 2) * geometry_.huge_bytes;
    void* memory = ::mmap(nullptr, reserved_bytes_, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        return Error::last("mmap");
    reserved_ = static_cast<char*>(memory);
    const auto at = reinterpret_cast<std::uintptr_t>(reserved_);
    base_ = reserved_ + (geometry_.huge_bytes - at % geometry_.huge_bytes) % geometry_.huge_bytes;
    return introduce();
}

StateScope MthpExperiment::state_scope(const Run& run) const {
    return {.mappings = {{.name = "ranges",
                          .start = base_,
                          .bytes = ranges_ * geometry_.huge_bytes,
                          .smaps = false}}, // in one mapping with its neighbours
            .process = false,
            .rollup = StateCheck::whole(run),
            .log = &*log_};
}

Result<void> MthpExperiment::begin_run(Run& run) {
    if (Result<void> mapped = map_anew(); !mapped)
        return mapped;
    if (Result<void> taken = check_.begin(state_scope(run)); !taken)
        return taken;
    return begin(run);
}

Outcome MthpExperiment::judge_run(Run& run) {
    Outcome outcome = judge(run);
    const Result<void> mapped = map_anew();
    const Result<void> taken = mapped ? check_.end(state_scope(run)) : mapped;
    if (!taken)
        return outcome.forbid(taken.error().to_string());
    check_.compare_all();
    check_.tell(outcome);
    return outcome;
}

// Memory that has never been touched is not asked about; and this is not to be collapsed.
Result<void> MthpExperiment::introduce() const {
    *address(ranges_) = 1;
    if (::madvise(address(ranges_), geometry_.huge_bytes, MADV_HUGEPAGE) != 0 ||
        ::madvise(address(ranges_), geometry_.huge_bytes, MADV_DONTNEED) != 0)
        return Error::last("madvise(MADV_HUGEPAGE), MADV_DONTNEED");
    return {};
}

Result<void> MthpExperiment::map_anew() const {
    if (::mmap(base_, ranges_ * geometry_.huge_bytes, PROT_READ | PROT_WRITE,
               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) == MAP_FAILED)
        return Error::last("mmap");
    return {};
}

Result<void> MthpExperiment::lay_out(const std::vector<model::PresentPtes>& patterns) {
    if (Result<void> mapped = map_anew(); !mapped)
        return mapped;
    for (std::size_t range = 0; range < patterns.size(); ++range)
        populate(range, patterns[range]);
    // At the beginning of a scan it drains the LRU batches of all CPUs: a page outside of the lists
    // cannot be isolated.
    return khugepaged_.wait_for_scans(1);
}

void MthpExperiment::populate(std::size_t range, const model::PresentPtes& pattern) const {
    const auto from = pattern.begin();
    for (auto at = std::find(from, pattern.end(), true); at != pattern.end();) {
        const auto end = std::find(at, pattern.end(), false);
        const auto page = static_cast<std::size_t>(at - from);
        const auto count = static_cast<std::size_t>(end - at);
        // Much faster than a fault for each; what it does not do, the stores will.
        if (count > 1)
            (void)::madvise(address(range, page), count * page_bytes(), MADV_POPULATE_WRITE);
        for (std::size_t i = page; i < page + count; ++i)
            write_pattern(words_of(range, i), word_of(i));
        at = std::find(end, pattern.end(), true);
    }
}

Result<void> MthpExperiment::offer(std::size_t ranges) const {
    if (::madvise(base_, ranges * geometry_.huge_bytes, MADV_HUGEPAGE) != 0)
        return Error::last("madvise(MADV_HUGEPAGE)");
    return {};
}

Result<MappedRange> MthpExperiment::look(std::size_t range) const {
    return folios_->read(address(range), pages());
}

std::string MthpExperiment::wrong_word(std::size_t range, const model::PresentPtes& pattern,
                                       const MappedRange& now) const {
    for (std::size_t page = 0; page < pages(); ++page) {
        if (!now.present[page])
            continue;
        const std::uint64_t word = page_word(words_of(range, page));
        if (word != (pattern[page] ? word_of(page) : 0))
            return fmt::format("page {} has {:#x}", page, word);
    }
    return {};
}

Actor MthpExperiment::khugepaged_actor() {
    return {.name = "khugepaged", .kind = Actor::Kind::kernel_thread};
}

std::vector<MappedFolio> folios_of(const std::vector<model::Collapse>& made) {
    std::vector<MappedFolio> folios;
    folios.reserve(made.size());
    for (const model::Collapse& one : made)
        folios.push_back({one.offset, one.order});
    return folios;
}

std::vector<Need> mthp_needs() { return {{"transparent huge pages", missing_huge_pages}}; }

} // namespace faultline
