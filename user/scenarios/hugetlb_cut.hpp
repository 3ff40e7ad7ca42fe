// SPDX-License-Identifier: GPL-2.0
// What hugetlb-truncate and hugetlb-insert have in common: a cutter that truncates a file of
// hugetlb or punches a hole, a faulter that touches one page, and the look at all pages afterwards.
#ifndef FAULTLINE_SCENARIOS_HUGETLB_CUT_HPP
#define FAULTLINE_SCENARIOS_HUGETLB_CUT_HPP

#include "scenarios/hugetlb_experiment.hpp"

namespace faultline {

struct HugetlbCutCase {
    bool truncate = false;      // else a hole
    std::size_t page = 0;       // that the faulter touches
    bool present = true;        // it is in the file before, and the faulter writes to it
    bool with_others = true;    // other pages are cut off as well
    bool with_reserved = false; // the pool keeps all pages ready, and one of them is not there yet
};

class HugetlbCut final : public HugetlbExperiment {
  public:
    explicit HugetlbCut(const HugetlbCutCase& cut_case) : case_(cut_case) {}

    std::vector<Actor> actors() override;
    Result<void> begin(Run& run) override;
    // Words: fault; pool; for the touched page, beyond=mapped|SIGBUS if it is beyond the new end,
    // else data=kept|zero|wrong.
    Outcome judge(Run& run) override;
    [[nodiscard]] std::uint64_t corrupt_base() const override; // the page that the faulter touches

  protected:
    [[nodiscard]] Allowed may_differ(const Run& run) const override;

  private:
    [[nodiscard]] bool cut_off(std::size_t page) const;
    [[nodiscard]] bool there_before(std::size_t page) const;
    bool cut(); // false, and errno
    void judge_page(Outcome& outcome, std::size_t page);

    const HugetlbCutCase& case_;
};

inline constexpr std::string_view hugetlb_cut_claim =
    "what was cut off is mapped nowhere, and beyond the end there is SIGBUS";
inline constexpr std::string_view hugetlb_cut_source =
    "Mike Kravetz and Hugh Dickins, linux-mm, 9 October 2020";
inline constexpr std::string_view hugetlb_cut_races =
    "hugetlb_fault() against remove_inode_hugepages()";

} // namespace faultline

#endif // FAULTLINE_SCENARIOS_HUGETLB_CUT_HPP
