// SPDX-License-Identifier: GPL-2.0
// Which orders khugepaged makes of the PTEs of one PMD's range: two designs of the argument of
// September 2025 (Nico Pache and Lorenzo Stoakes, "khugepaged: add mTHP support") over one
// interface. Pure: what the kernel does is compared with it (scenarios/mthp_orders.cpp).
//
// The tests compare each design with a slow reference that has its own rules, written from the
// e-mail, and override most_none() to see that the reference notices.
//
// Left out, as neither design differs in it: swapped and shared pages, and a collapse that fails.
#ifndef FAULTLINE_MODEL_MTHP_COLLAPSE_HPP
#define FAULTLINE_MODEL_MTHP_COLLAPSE_HPP

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace faultline::model {

using PresentPtes = std::vector<bool>; // of one PMD's range: 1 << pmd_order of them

struct CollapseRules {
    unsigned pmd_order = 9;
    std::uint32_t enabled = 0;  // bit k: order k may be made
    unsigned max_ptes_none = 0; // as in sysfs: of a whole PMD's range

    [[nodiscard]] unsigned pages() const { return 1U << pmd_order; }
    [[nodiscard]] bool may(unsigned order) const { return (enabled >> order & 1U) != 0; }
};
inline constexpr unsigned min_mthp_order = 2; // anonymous memory has no order 1

// A folio of this order, whose first page is at this PTE.
struct Collapse {
    unsigned offset = 0;
    unsigned order = 0;
    friend bool operator==(const Collapse&, const Collapse&) = default;
};

class CollapseDesign {
  public:
    CollapseDesign() = default;
    CollapseDesign(const CollapseDesign&) = delete;
    CollapseDesign& operator=(const CollapseDesign&) = delete;
    virtual ~CollapseDesign() = default;

    // One scan: the folios that it makes, by offset.
    [[nodiscard]] virtual std::vector<Collapse> choose(const PresentPtes& present,
                                                       const CollapseRules& rules) const = 0;
    // How many of a folio's PTEs may be none.
    [[nodiscard]] virtual unsigned most_none(unsigned order, const CollapseRules& rules) const = 0;
    // sizeof(struct collapse_control), with 512 PTEs and 64 nodes.
    [[nodiscard]] virtual std::size_t control_bytes() const = 0;
};

// The seed's, version 10: a bit for each four PTEs, a stack of its own, and a limit that is scaled
// to the order, which lets memory creep.
class ChunkDesign : public CollapseDesign {
  public:
    [[nodiscard]] std::vector<Collapse> choose(const PresentPtes& present,
                                               const CollapseRules& rules) const override;
    [[nodiscard]] unsigned most_none(unsigned order, const CollapseRules& rules) const override;
    [[nodiscard]] std::size_t control_bytes() const override;

  private:
    [[nodiscard]] PresentPtes occupied_chunks(const PresentPtes& present,
                                              const CollapseRules& rules) const;
};
const CollapseDesign& chunk_design();

// The merged one (7.2): a bit for each PTE, no stack; below the PMD's order no PTE may be none, or
// all but one.
class MergedDesign : public CollapseDesign {
  public:
    [[nodiscard]] std::vector<Collapse> choose(const PresentPtes& present,
                                               const CollapseRules& rules) const override;
    [[nodiscard]] unsigned most_none(unsigned order, const CollapseRules& rules) const override;
    [[nodiscard]] std::size_t control_bytes() const override;
};
const CollapseDesign& merged_design();

// Before both: the size of struct collapse_control.
std::size_t pmd_only_control_bytes();

// The PTEs that are present afterwards.
PresentPtes after(PresentPtes present, const std::vector<Collapse>& made);

// A picture of the PTEs, a character for `per` of them: '#' all there, '+' some, '.' none.
std::string picture(const PresentPtes& present, std::size_t per);
// The same of folios: each has its order, as one digit in base 36.
std::string picture(const std::vector<Collapse>& made, std::size_t pages, std::size_t per);

} // namespace faultline::model

#endif // FAULTLINE_MODEL_MTHP_COLLAPSE_HPP
