// SPDX-License-Identifier: GPL-2.0
#include "scenarios/mthp_experiment.hpp"

#include "kernel/page_pattern.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace faultline {

namespace {

using model::Pte;
using model::Ptes;

constexpr std::size_t most_bytes = std::size_t{128} << 20; // of all ranges
constexpr unsigned most_tries = 50;                        // of one MADV_PAGEOUT

auto is(Pte kind) {
    return [kind](Pte pte) { return pte == kind; };
}

// The pieces of PTEs that are so, each with its first PTE and its length.
template <typename So, typename Act>
Result<void> each_piece(const Ptes& pattern, const So& so, const Act& act) {
    const auto from = pattern.begin();
    for (auto at = std::find_if(from, pattern.end(), so); at != pattern.end();) {
        const auto end = std::find_if_not(at, pattern.end(), so);
        if (Result<void> done =
                act(static_cast<std::size_t>(at - from), static_cast<std::size_t>(end - at));
            !done)
            return done;
        at = std::find_if(end, pattern.end(), so);
    }
    return {};
}

} // namespace

MthpExperiment::~MthpExperiment() {
    unshare();
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
    unshare();
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

Result<void> MthpExperiment::lay_out(const std::vector<Ptes>& patterns) {
    unshare();
    if (Result<void> mapped = map_anew(); !mapped)
        return mapped;
    const auto each = [&patterns](const auto& act) -> Result<void> {
        for (std::size_t range = 0; range < patterns.size(); ++range)
            if (Result<void> done = act(range, patterns[range]); !done)
                return done;
        return {};
    };
    const auto fill = [&](bool shared) {
        return each([&](std::size_t range, const Ptes& pattern) {
            return populate(range, pattern, shared);
        });
    };
    // A child shares the pages that are there when it is forked.
    const bool sharing = std::any_of(patterns.begin(), patterns.end(), [](const Ptes& pattern) {
        return std::find(pattern.begin(), pattern.end(), Pte::shared) != pattern.end();
    });
    if (sharing) {
        const Result<void> filled = fill(true);
        if (Result<void> shared = filled ? share() : filled; !shared)
            return shared;
    }
    if (Result<void> filled = fill(false); !filled)
        return filled;
    const auto zero = [this](std::size_t range, const Ptes& pattern) {
        return read_zero_pages(range, pattern);
    };
    if (Result<void> read = each(zero); !read)
        return read;
    // At the beginning of a scan it drains the LRU batches of all CPUs: a page outside of the lists
    // cannot be isolated.
    if (Result<void> scanned = khugepaged_.wait_for_scans(1); !scanned)
        return scanned;
    return each(
        [this](std::size_t range, const Ptes& pattern) { return swap_out(range, pattern); });
}

Result<void> MthpExperiment::populate(std::size_t range, const Ptes& pattern, bool shared) const {
    const auto now = [shared](Pte pte) {
        return shared ? pte == Pte::shared : pte == Pte::page || pte == Pte::swapped;
    };
    return each_piece(pattern, now, [&](std::size_t page, std::size_t count) {
        // Much faster than a fault for each; what it does not do, the stores will.
        if (count > 1)
            (void)::madvise(address(range, page), count * page_bytes(), MADV_POPULATE_WRITE);
        for (std::size_t i = page; i < page + count; ++i)
            write_pattern(words_of(range, i), word_of(i));
        return Result<void>();
    });
}

Result<void> MthpExperiment::read_zero_pages(std::size_t range, const Ptes& pattern) const {
    return each_piece(pattern, is(Pte::zero), [&](std::size_t page, std::size_t count) {
        if (::madvise(address(range, page), count * page_bytes(), MADV_POPULATE_READ) != 0)
            return Result<void>(Error::last("madvise(MADV_POPULATE_READ)"));
        return Result<void>();
    });
}

// MADV_PAGEOUT leaves out a page that it cannot isolate just then.
Result<void> MthpExperiment::swap_out(std::size_t range, const Ptes& pattern) const {
    for (unsigned tries = 0; tries < most_tries; ++tries) {
        const Result<void> asked =
            each_piece(pattern, is(Pte::swapped), [&](std::size_t page, std::size_t count) {
                if (::madvise(address(range, page), count * page_bytes(), MADV_PAGEOUT) != 0)
                    return Result<void>(Error::last("madvise(MADV_PAGEOUT)"));
                return Result<void>();
            });
        if (!asked)
            return asked;
        const Result<MappedRange> now = look(range);
        if (!now)
            return now.error();
        bool out = true;
        for (std::size_t page = 0; page < pages(); ++page)
            out = out && now->swapped[page] == (pattern[page] == Pte::swapped);
        if (out)
            return {};
        ::usleep(1000);
    }
    return Error::make(EAGAIN, "the kernel did not swap the pages out");
}

Result<void> MthpExperiment::share() {
    const pid_t parent = ::getpid();
    sharer_ = ::fork();
    if (sharer_ < 0) {
        sharer_ = 0;
        return Error::last("fork");
    }
    if (sharer_ > 0)
        return {};
    // It goes with the thread that forked it.
    if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || ::getppid() != parent)
        ::_exit(1);
    for (;;)
        ::pause();
}

void MthpExperiment::unshare() {
    if (sharer_ == 0)
        return;
    ::kill(sharer_, SIGKILL);
    ::waitpid(sharer_, nullptr, 0);
    sharer_ = 0;
}

Result<void> MthpExperiment::offer(std::size_t ranges) const {
    if (::madvise(base_, ranges * geometry_.huge_bytes, MADV_HUGEPAGE) != 0)
        return Error::last("madvise(MADV_HUGEPAGE)");
    return {};
}

Result<MappedRange> MthpExperiment::look(std::size_t range) const {
    return folios_->read(address(range), pages());
}

std::string MthpExperiment::wrong_word(std::size_t range, const Ptes& pattern,
                                       const MappedRange& now) const {
    for (std::size_t page = 0; page < pages(); ++page) {
        if (!now.present[page] && pattern[page] != Pte::swapped)
            continue;
        const std::uint64_t word = page_word(words_of(range, page));
        const bool filled = model::has_page(pattern[page]) || pattern[page] == Pte::swapped;
        if (word != (filled ? word_of(page) : 0))
            return fmt::format("page {} has {:#x}", page, word);
    }
    return {};
}

Actor MthpExperiment::khugepaged_actor() {
    return {.name = "khugepaged", .kind = Actor::Kind::kernel_thread};
}

std::vector<bool> present_of(const Ptes& ptes) {
    std::vector<bool> present;
    present.reserve(ptes.size());
    for (const Pte pte : ptes)
        present.push_back(model::has_page(pte) || pte == Pte::zero);
    return present;
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
