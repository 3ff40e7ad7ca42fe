// SPDX-License-Identifier: GPL-2.0
// What the scenarios about collapse_file() have in common: one extent of a tmpfs file with holes,
// an actor that collapses it, and a pair of actors that touch a hole under a userfaultfd.
#ifndef FAULTLINE_SCENARIOS_COLLAPSE_EXPERIMENT_HPP
#define FAULTLINE_SCENARIOS_COLLAPSE_EXPERIMENT_HPP

#include "engine/scenario.hpp"
#include "kernel/collapse_trace.hpp"
#include "kernel/extent.hpp"
#include "kernel/kernel_log.hpp"
#include "kernel/userfaultfd.hpp"
#include "scenarios/state_check.hpp"

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace faultline {

class CollapseExperiment : public Experiment {
  public:
    explicit CollapseExperiment(std::size_t extents = 1) : extents_(extents) {}
    Result<void> prepare() override;
    // Beside begin() and judge(): the State of the file, of both its mappings and of the machine,
    // which must be after the actors have ended what it was before, but for may_differ(). The State
    // after is taken before judge() looks.
    Result<void> begin_run(Run& run) override;
    Outcome judge_run(Run& run) override;

  protected:
    // What may differ, and why: that of collapse_may_differ(), and what the scenario's other actors
    // do. Nothing: the scenario compares by itself.
    // Not compared is memory.stat of the cgroup: the kernel may have up to some dozens of pages per
    // CPU that it has not told there. nr_shmem is exact.
    [[nodiscard]] virtual std::optional<Allowed> may_differ(const Run& /*run*/) const {
        return std::nullopt;
    }
    // By a collapse alone, of which the answer is known.
    [[nodiscard]] static Allowed collapse_may_differ(std::optional<int> answer);
    // "mapping own" and "other", both "file extent". `whole`: with bytes and smaps.
    [[nodiscard]] virtual StateScope state_scope(bool whole) const;
    // Does the first mapping show the file? Else it has memory of its own.
    [[nodiscard]] virtual bool own_is_file() const { return true; }

    // A fresh file with these holes. Every page else has the pattern of its word().
    Result<void> lay_out(std::vector<bool> hole);
    // Holes of a shape drawn by chance: the first page, the last, one, every other, nearly all.
    // Never all: an extent without a page is not collapsed.
    [[nodiscard]] std::vector<bool> draw_holes(Rng& rng) const;
    [[nodiscard]] std::size_t draw_hole(Rng& rng) const; // one of the laid out holes
    [[nodiscard]] std::size_t draw_page(Rng& rng) const; // one of the present pages

    // The collapser: user:mapped, user:start, MADV_COLLAPSE through `mapping`, user:collapsed.
    Actor collapser(const char* mapping, Actor::Kind kind = Actor::Kind::thread);
    // For a collapser with a body of its own: what it must report.
    static void report_collapse(ActorContext& me, int number);
    // By judge(): "ok", "EBUSY", ...; "-" if it did not come to an end.
    [[nodiscard]] static std::string collapse_word(const Run& run);
    [[nodiscard]] static std::optional<int> collapse_errno(const Run& run);
    [[nodiscard]] std::string scan_word(const Run& run); // once a run: it takes the records

    // The toucher: user:touch, `look` at the state before, then it reads the page `touch_` through
    // the extent's first mapping.
    // The handler: gives a zero page for each event until the toucher is done. begin() must have
    // opened userfaultfd_.
    Actor toucher(std::function<void()> look = {});
    Actor handler();
    struct Touch {
        std::int64_t events; // -1: the handler did not come to an end
        bool right_page;     // all events were at the page
        std::uint64_t value; // what the toucher read
        bool done;
    };
    [[nodiscard]] static Touch touch_of(const Run& run);

    [[nodiscard]] Extent& extent() { return *extent_; }
    [[nodiscard]] const Extent& extent() const { return *extent_; }
    // Pages that are present and do not have each of their bytes, or holes that read as anything
    // but 0. `filled`: a page that has this word by now, and 0 after it.
    [[nodiscard]] Result<std::size_t> wrong_words(std::optional<std::size_t> filled,
                                                  std::uint64_t filled_word) const;

    Userfaultfd userfaultfd_; // of this run
    std::vector<bool> hole_;
    std::size_t touch_ = 0;

  private:
    void judge_counts();
    void judge_mapped_bytes();
    void judge_tables();

    StateCheck check_;
    std::optional<KernelLog> log_;
    std::optional<std::uint64_t> first_tables_; // VmPTE without the file, after the first run
    std::size_t extents_;                       // of the file; the first is collapsed
    std::unique_ptr<Extent> extent_;
    std::optional<CollapseTrace> trace_;
    std::atomic<bool> touched_ = false;
};

// The needs of every scenario here.
std::vector<Need> collapse_needs();

} // namespace faultline

#endif // FAULTLINE_SCENARIOS_COLLAPSE_EXPERIMENT_HPP
