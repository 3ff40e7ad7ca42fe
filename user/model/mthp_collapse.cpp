// SPDX-License-Identifier: GPL-2.0
#include "model/mthp_collapse.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <iterator>

namespace faultline::model {

namespace {

constexpr unsigned chunk_ptes = 1U << min_mthp_order;

// Members as they lie where long has 64 bits, one after the other.
class Layout {
  public:
    Layout& add(std::size_t bytes, std::size_t number = 1) {
        end_ = (end_ + bytes - 1) / bytes * bytes + bytes * number;
        align_ = std::max(align_, bytes);
        return *this;
    }
    Layout& add_bitmap(std::size_t bits) { return add(8, (bits + 63) / 64); }
    [[nodiscard]] std::size_t bytes() const { return (end_ + align_ - 1) / align_ * align_; }

  private:
    std::size_t end_ = 0;
    std::size_t align_ = 1;
};

// is_khugepaged, node_load
Layout before_nodemask(std::size_t nodes) { return Layout().add(1).add(4, nodes); }

template <typename Which>
unsigned count(const Ptes& ptes, unsigned offset, unsigned number, Which which) {
    const auto from = ptes.begin() + static_cast<std::ptrdiff_t>(offset);
    return static_cast<unsigned>(
        std::count_if(from, from + static_cast<std::ptrdiff_t>(number), which));
}

unsigned count(const Ptes& ptes, unsigned offset, unsigned number, Pte pte) {
    return count(ptes, offset, number, [pte](Pte one) { return one == pte; });
}

bool almost_full(const std::vector<bool>& occupied, const Collapse& now,
                 const CollapseRules& rules) {
    const unsigned chunk_order = now.order - min_mthp_order;
    const unsigned threshold =
        (rules.pages() - rules.max_ptes_none - 1) >> (rules.pmd_order - chunk_order);
    const auto from = occupied.begin() + static_cast<std::ptrdiff_t>(now.offset / chunk_ptes);
    return std::count(from, from + (std::ptrdiff_t{1} << chunk_order), true) >
           static_cast<std::ptrdiff_t>(threshold);
}

} // namespace

bool has_page(Pte pte) { return pte == Pte::page || pte == Pte::shared; }

std::uint32_t enabled_orders(const ThpSettings& settings, bool advised) {
    using Global = ThpSettings::Global;
    std::uint32_t orders = settings.always;
    if (advised)
        orders |= settings.madvise;
    if (settings.global == Global::always || (advised && settings.global == Global::madvise))
        orders |= settings.inherit;
    return orders;
}

unsigned CollapseDesign::most_shared(unsigned order, const CollapseRules& rules) const {
    return order == rules.pmd_order ? rules.max_ptes_shared : 0;
}

unsigned CollapseDesign::most_swapped(unsigned order, const CollapseRules& rules) const {
    return order == rules.pmd_order ? rules.max_ptes_swap : 0;
}

bool CollapseDesign::is_none(Pte pte) const { return pte == Pte::none || pte == Pte::zero; }

unsigned CollapseDesign::none(const Ptes& ptes, unsigned offset, unsigned number) const {
    return count(ptes, offset, number, [this](Pte pte) { return is_none(pte); });
}

bool CollapseDesign::rejected(const Ptes& ptes, const CollapseRules& rules) const {
    const unsigned pages = rules.pages();
    const unsigned young = count(ptes, 0, pages, has_page);
    const unsigned swapped = count(ptes, 0, pages, Pte::swapped);
    return young == 0 || swapped > rules.max_ptes_swap || (swapped > 0 && young < pages / 2) ||
           count(ptes, 0, pages, Pte::shared) > rules.max_ptes_shared ||
           (rules.wants_page_of_own && count(ptes, 0, pages, Pte::page) == 0) ||
           (rules.pmd_alone() && none(ptes, 0, pages) > rules.max_ptes_none);
}

bool CollapseDesign::fits(const Ptes& ptes, const Collapse& range,
                          const CollapseRules& rules) const {
    const unsigned number = 1U << range.order;
    return none(ptes, range.offset, number) <= most_none(range.order, rules) &&
           count(ptes, range.offset, number, Pte::shared) <= most_shared(range.order, rules) &&
           count(ptes, range.offset, number, Pte::swapped) <= most_swapped(range.order, rules) &&
           count(ptes, range.offset, number, has_page) > 0;
}

bool CollapseDesign::collapse(Scan& scan, const Collapse& range, const CollapseRules& rules) const {
    const unsigned number = 1U << range.order;
    const auto from = scan.left.begin() + static_cast<std::ptrdiff_t>(range.offset);
    const auto to = from + static_cast<std::ptrdiff_t>(number);
    if (count(scan.left, range.offset, number, Pte::swapped) > most_swapped(range.order, rules))
        return false;
    std::replace(from, to, Pte::swapped, Pte::page);
    if (!fits(scan.left, range, rules)) {
        scan.in_vain.push_back(range);
        return false;
    }
    std::fill(from, to, Pte::page);
    scan.made.push_back(range);
    return true;
}

Scan CollapseDesign::scan(const Ptes& ptes, const CollapseRules& rules) const {
    Scan scan{.made = {}, .left = ptes};
    if (!rejected(ptes, rules))
        choose(scan, rules);
    return scan;
}

unsigned ChunkDesign::most_none(unsigned order, const CollapseRules& rules) const {
    return rules.max_ptes_none >> (rules.pmd_order - order);
}

bool ChunkDesign::is_greedy(unsigned order, const CollapseRules& rules) const {
    return rules.pmd_alone() || (rules.always >> order & 1U) != 0;
}

void ChunkDesign::choose(Scan& scan, const CollapseRules& rules) const {
    const std::vector<bool> occupied = occupied_chunks(scan.left, rules);
    // Where the kernel has a stack of its own, this is one: the left half is on top.
    std::vector<Collapse> stack = {{0, rules.pmd_order}};
    while (!stack.empty()) {
        const Collapse now = stack.back();
        stack.pop_back();
        if (rules.may(now.order) &&
            (is_greedy(now.order, rules) || almost_full(occupied, now, rules)) &&
            collapse(scan, now, rules))
            continue;
        if (now.order > min_mthp_order) {
            const unsigned half = now.order - 1;
            stack.push_back({now.offset + (1U << half), half});
            stack.push_back({now.offset, half});
        }
    }
}

// A swapped PTE is not none: its chunk counts as occupied.
std::vector<bool> ChunkDesign::occupied_chunks(const Ptes& ptes, const CollapseRules& rules) const {
    std::vector<bool> occupied(rules.pages() / chunk_ptes);
    for (unsigned chunk = 0; chunk < occupied.size(); ++chunk)
        occupied[chunk] =
            none(ptes, chunk * chunk_ptes, chunk_ptes) <= most_none(min_mthp_order, rules);
    return occupied;
}

// The bits twice, and a stack of an order (a byte) and an offset (two) for each.
std::size_t ChunkDesign::control_bytes(std::size_t nodes, std::size_t ptes) const {
    const std::size_t chunks = ptes / chunk_ptes;
    return before_nodemask(nodes)
        .add_bitmap(nodes)
        .add_bitmap(chunks)
        .add_bitmap(chunks)
        .add(2, 2 * chunks)
        .bytes();
}

unsigned MergedDesign::most_none(unsigned order, const CollapseRules& rules) const {
    if (order == rules.pmd_order)
        return rules.max_ptes_none;
    return rules.max_ptes_none == rules.pages() - 1 ? (1U << order) - 1 : 0;
}

void MergedDesign::choose(Scan& scan, const CollapseRules& rules) const {
    const Ptes found = scan.left; // the bits are not read again after a collapse
    const unsigned swapped = count(found, 0, rules.pages(), Pte::swapped);
    unsigned offset = 0;
    unsigned order = rules.pmd_order;
    while (offset < rules.pages()) {
        const unsigned number = 1U << order;
        // PTEs whose bit is set; swapped ones have none, and count for the PMD's order alone.
        const unsigned set =
            number - none(found, offset, number) - count(found, offset, number, Pte::swapped);
        const unsigned occupied = set + (order == rules.pmd_order ? swapped : 0);
        const bool made = rules.may(order) && occupied + most_none(order, rules) >= number &&
                          collapse(scan, {offset, order}, rules);
        if (!made && order > min_mthp_order &&
            (rules.enabled & ((std::uint32_t{1} << order) - 1)) != 0) {
            --order;
            continue;
        }
        offset += number;
        // The largest that is aligned there.
        order = std::min(rules.pmd_order, static_cast<unsigned>(std::countr_zero(offset)));
    }
}

// progress, alloc_nmask, mthp_present_ptes
std::size_t MergedDesign::control_bytes(std::size_t nodes, std::size_t ptes) const {
    return before_nodemask(nodes).add(4).add_bitmap(nodes).add_bitmap(ptes).bytes();
}

const CollapseDesign& chunk_design() {
    static const ChunkDesign design;
    return design;
}

const CollapseDesign& merged_design() {
    static const MergedDesign design;
    return design;
}

std::size_t pmd_only_control_bytes(std::size_t nodes) {
    return before_nodemask(nodes).add_bitmap(nodes).bytes();
}

std::string picture(const Ptes& ptes, std::size_t per) {
    constexpr std::array letters = {'.', 'z', '#', 's', '-'};
    std::string text;
    for (std::size_t at = 0; at < ptes.size(); at += per) {
        const Pte first = ptes[at];
        const bool same =
            count(ptes, static_cast<unsigned>(at), static_cast<unsigned>(per), first) == per;
        text += same ? letters.at(static_cast<std::size_t>(first)) : '+';
    }
    return text;
}

std::string picture(const std::vector<Collapse>& made, std::size_t pages, std::size_t per) {
    std::string text(pages / per, '.');
    for (const Collapse& folio : made)
        for (std::size_t page = 0; page < std::size_t{1} << folio.order; page += per)
            text[(folio.offset + page) / per] = "0123456789abcdefghijklmnopqrstuvwxyz"[folio.order];
    return text;
}

} // namespace faultline::model
