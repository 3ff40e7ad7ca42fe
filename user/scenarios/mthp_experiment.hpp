// SPDX-License-Identifier: GPL-2.0
// The common part of the scenarios about khugepaged and anonymous memory: ranges that one PMD maps
// each, whose PTEs are laid out as wished, and khugepaged, awake.
#ifndef FAULTLINE_SCENARIOS_MTHP_EXPERIMENT_HPP
#define FAULTLINE_SCENARIOS_MTHP_EXPERIMENT_HPP

#include "engine/scenario.hpp"
#include "kernel/extent.hpp"
#include "kernel/folios.hpp"
#include "kernel/kernel_log.hpp"
#include "kernel/khugepaged.hpp"
#include "model/mthp_collapse.hpp"
#include "scenarios/state_check.hpp"

#include <optional>
#include <span>
#include <sys/types.h>

namespace faultline {

class MthpExperiment : public Experiment {
  public:
    explicit MthpExperiment(std::size_t most_ranges = 1) : most_ranges_(most_ranges) {}
    ~MthpExperiment() override;
    Result<void> prepare() override; // khugepaged awake, the addresses reserved
    // Beside begin() and judge(): without the memory, the State after is the same as before. Each
    // scenario compares the memory itself with its model, page by page.
    Result<void> begin_run(Run& run) override;
    Outcome judge_run(Run& run) override;

  protected:
    // New memory at the same addresses: each range has these PTEs, each page of them the pattern of
    // a word of its own (kernel/page_pattern.hpp), and all pages are in the kernel's lists. Nothing
    // may be collapsed before offer(). A child has the shared pages, too, until the next layout or
    // the end of the run.
    Result<void> lay_out(const std::vector<model::Ptes>& patterns);
    Result<void> offer(std::size_t ranges) const; // MADV_HUGEPAGE
    [[nodiscard]] Result<MappedRange> look(std::size_t range) const;
    [[nodiscard]] Result<std::uint64_t> frame_of(const void* page) const {
        return folios_->frame_of(page);
    }
    // "" or the error, by every byte: the pages of the pattern have their bytes, all other bytes
    // are 0.
    [[nodiscard]] std::string wrong_word(std::size_t range, const model::Ptes& pattern,
                                         const MappedRange& now) const;

    [[nodiscard]] const Khugepaged& khugepaged() const { return khugepaged_; }
    [[nodiscard]] char* address(std::size_t range, std::size_t page = 0) const {
        return base_ + range * geometry_.huge_bytes + page * geometry_.page_bytes;
    }
    [[nodiscard]] std::size_t ranges() const { return ranges_; }
    [[nodiscard]] unsigned pages() const { return static_cast<unsigned>(geometry_.pages()); }
    [[nodiscard]] std::size_t page_bytes() const { return geometry_.page_bytes; }
    [[nodiscard]] std::size_t huge_bytes() const { return geometry_.huge_bytes; }
    static std::uint64_t word_of(std::size_t page) { return 0x6d544850000 + page; }
    // The actor that has no body.
    static Actor khugepaged_actor();

  private:
    [[nodiscard]] StateScope state_scope(const Run& run) const;
    [[nodiscard]] Result<void> map_anew() const;
    [[nodiscard]] std::span<std::uint64_t> words_of(std::size_t range, std::size_t page) const {
        return {reinterpret_cast<std::uint64_t*>(address(range, page)),
                page_bytes() / sizeof(std::uint64_t)};
    }
    [[nodiscard]] Result<void> introduce() const;
    [[nodiscard]] Result<void> populate(std::size_t range, const model::Ptes& pattern,
                                        bool shared) const;
    [[nodiscard]] Result<void> read_zero_pages(std::size_t range, const model::Ptes& pattern) const;
    [[nodiscard]] Result<void> swap_out(std::size_t range, const model::Ptes& pattern) const;
    [[nodiscard]] Result<void> share(); // all pages that are there
    void unshare();

    StateCheck check_;
    std::optional<KernelLog> log_;
    Khugepaged khugepaged_;
    pid_t sharer_ = 0; // 0: no child
    std::optional<FolioReader> folios_;
    Geometry geometry_{};
    std::size_t most_ranges_;
    std::size_t ranges_ = 0;
    char* reserved_ = nullptr;
    std::size_t reserved_bytes_ = 0;
    char* base_ = nullptr;
};

// By page: is there one in memory, the zero page among them?
std::vector<bool> present_of(const model::Ptes& ptes);

// The folios that the model made, in the form of the kernel's folios.
std::vector<MappedFolio> folios_of(const std::vector<model::Collapse>& made);

std::vector<Need> mthp_needs();

} // namespace faultline

#endif // FAULTLINE_SCENARIOS_MTHP_EXPERIMENT_HPP
