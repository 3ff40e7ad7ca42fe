// SPDX-License-Identifier: GPL-2.0
// Which orders khugepaged makes of the PTEs of one PMD's range: two designs of the argument of
// September 2025 (Nico Pache and Lorenzo Stoakes, "khugepaged: add mTHP support") over one
// interface. Pure: what the kernel does is compared with it (scenarios/mthp_orders.cpp).
//
// The tests compare each design with a slow reference that has its own rules, written from the
// e-mail, and override most_none() to see that the reference notices.
//
// Every page of the range is taken to be young, in the LRU lists and in a folio of its own.
// Left out, as neither design differs in it: a collapse that fails for lack of memory.
#ifndef FAULTLINE_MODEL_MTHP_COLLAPSE_HPP
#define FAULTLINE_MODEL_MTHP_COLLAPSE_HPP

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace faultline::model {

// The kinds of PTEs.
enum class Pte : std::uint8_t {
    none,
    zero,    // the zero page: it counts as none
    page,    // a page of this process alone
    shared,  // a page that another process maps, too
    swapped, // no page: it is in the swap space
};
using Ptes = std::vector<Pte>; // of one PMD's range: 1 << pmd_order of them

bool has_page(Pte pte); // of memory that this process can write to, or after a copy

struct CollapseRules {
    unsigned pmd_order = 9;
    std::uint32_t enabled = 0;  // bit k: order k may be made
    unsigned max_ptes_none = 0; // as in sysfs: of a whole PMD's range
    unsigned max_ptes_shared = 0;
    unsigned max_ptes_swap = 0;
    std::uint32_t always = 0;      // bit k: the setting of order k is "always"
    bool wants_page_of_own = true; // as version 10 and 6.12 do: a shared page cannot be written to

    [[nodiscard]] unsigned pages() const { return 1U << pmd_order; }
    [[nodiscard]] bool may(unsigned order) const { return (enabled >> order & 1U) != 0; }
    [[nodiscard]] bool pmd_alone() const { return enabled == std::uint32_t{1} << pmd_order; }
};

// The settings of transparent huge pages: of each order (bit k is order k; in none of the three:
// "never"), and the global one, which an order may inherit.
struct ThpSettings {
    enum class Global { never, madvise, always };
    std::uint32_t always = 0;
    std::uint32_t madvise = 0;
    std::uint32_t inherit = 0;
    Global global = Global::never;
};
// The orders that khugepaged may make in a mapping that asked for huge pages by madvise(), or did
// not.
std::uint32_t enabled_orders(const ThpSettings& settings, bool advised);

inline constexpr unsigned min_mthp_order = 2; // anonymous memory has no order 1

// A folio of this order, whose first page is at this PTE.
struct Collapse {
    unsigned offset = 0;
    unsigned order = 0;
    friend bool operator==(const Collapse&, const Collapse&) = default;
};

// One scan: the folios that it makes, by offset, and the PTEs that it leaves.
struct Scan {
    std::vector<Collapse> made;
    Ptes left;
    std::vector<Collapse> in_vain = {}; // ranges whose pages were taken out of the lists, and given
                                        // back: a page that may not be there was among them
};

class CollapseDesign {
  public:
    CollapseDesign() = default;
    CollapseDesign(const CollapseDesign&) = delete;
    CollapseDesign& operator=(const CollapseDesign&) = delete;
    virtual ~CollapseDesign() = default;

    [[nodiscard]] Scan scan(const Ptes& ptes, const CollapseRules& rules) const;
    // How many of a folio's PTEs may be none, shared, swapped.
    [[nodiscard]] virtual unsigned most_none(unsigned order, const CollapseRules& rules) const = 0;
    [[nodiscard]] virtual unsigned most_shared(unsigned order, const CollapseRules& rules) const;
    [[nodiscard]] virtual unsigned most_swapped(unsigned order, const CollapseRules& rules) const;
    [[nodiscard]] virtual bool is_none(Pte pte) const;
    // May the range become a folio, as its PTEs are now?
    [[nodiscard]] bool fits(const Ptes& ptes, const Collapse& range,
                            const CollapseRules& rules) const;
    // sizeof(struct collapse_control) where a kernel may have so many nodes, and a table so many
    // PTEs.
    [[nodiscard]] virtual std::size_t control_bytes(std::size_t nodes, std::size_t ptes) const = 0;

  protected:
    virtual void choose(Scan& scan, const CollapseRules& rules) const = 0;
    // The collapse of this range: pages are read back from the swap space, even if it fails then.
    bool collapse(Scan& scan, const Collapse& range, const CollapseRules& rules) const;
    [[nodiscard]] unsigned none(const Ptes& ptes, unsigned offset, unsigned number) const;

  private:
    // Before any order is chosen, the whole PMD's range is looked at.
    [[nodiscard]] bool rejected(const Ptes& ptes, const CollapseRules& rules) const;
};

// The seed's, version 10: a bit for each four PTEs, a stack of its own, and a limit that is scaled
// to the order, which lets memory creep. An order whose setting is "always" does without the bits.
class ChunkDesign : public CollapseDesign {
  public:
    [[nodiscard]] unsigned most_none(unsigned order, const CollapseRules& rules) const override;
    [[nodiscard]] std::size_t control_bytes(std::size_t nodes, std::size_t ptes) const override;

  protected:
    void choose(Scan& scan, const CollapseRules& rules) const override;
    [[nodiscard]] virtual bool is_greedy(unsigned order, const CollapseRules& rules) const;

  private:
    [[nodiscard]] std::vector<bool> occupied_chunks(const Ptes& ptes,
                                                    const CollapseRules& rules) const;
};
const CollapseDesign& chunk_design();

// The merged one (7.2): a bit for each PTE, no stack; below the PMD's order no PTE may be none, or
// all but one, and none shared or swapped.
class MergedDesign : public CollapseDesign {
  public:
    [[nodiscard]] unsigned most_none(unsigned order, const CollapseRules& rules) const override;
    [[nodiscard]] std::size_t control_bytes(std::size_t nodes, std::size_t ptes) const override;

  protected:
    void choose(Scan& scan, const CollapseRules& rules) const override;
};
const CollapseDesign& merged_design();

// Before both: the size of struct collapse_control.
std::size_t pmd_only_control_bytes(std::size_t nodes);

// A picture of the PTEs, a character for `per` of them: '#' pages, '+' some, '.' none, 'z' zero
// pages, 's' shared pages, '-' swapped ones.
std::string picture(const Ptes& ptes, std::size_t per);
// The same of folios: each has its order, as one digit in base 36.
std::string picture(const std::vector<Collapse>& made, std::size_t pages, std::size_t per);

} // namespace faultline::model

#endif // FAULTLINE_MODEL_MTHP_COLLAPSE_HPP
