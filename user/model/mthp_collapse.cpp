// SPDX-License-Identifier: GPL-2.0
#include "model/mthp_collapse.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <iterator>

namespace faultline::model {

namespace {

// The members of struct collapse_control, as they lie where long has 64 bits.
constexpr std::size_t nodes = 64;
constexpr std::size_t ptes = 512;
using Word = std::uint64_t;
template <std::size_t bits> using Bitmap = std::array<Word, (bits + 63) / 64>;

struct PmdOnlyControl {
    bool is_khugepaged;
    std::array<std::uint32_t, nodes> node_load;
    Bitmap<nodes> alloc_nmask;
};
struct ScanBitState {
    std::uint8_t order;
    std::uint16_t offset;
};
constexpr std::size_t chunk_ptes = std::size_t{1} << min_mthp_order;
constexpr std::size_t chunks = ptes / chunk_ptes;
struct ChunkControl {
    bool is_khugepaged;
    std::array<std::uint32_t, nodes> node_load;
    Bitmap<nodes> alloc_nmask;
    Bitmap<chunks> mthp_bitmap;
    Bitmap<chunks> mthp_bitmap_temp;
    std::array<ScanBitState, chunks> mthp_bitmap_stack;
};
struct MergedControl {
    bool is_khugepaged;
    std::array<std::uint32_t, nodes> node_load;
    unsigned progress;
    Bitmap<nodes> alloc_nmask;
    Bitmap<ptes> mthp_present_ptes;
};

unsigned count(const PresentPtes& present, unsigned offset, unsigned number) {
    const auto from = present.begin() + static_cast<std::ptrdiff_t>(offset);
    return static_cast<unsigned>(
        std::count(from, from + static_cast<std::ptrdiff_t>(number), true));
}

bool almost_full(const PresentPtes& occupied, const Collapse& now, const CollapseRules& rules) {
    const unsigned chunk_order = now.order - min_mthp_order;
    const unsigned threshold =
        (rules.pages() - rules.max_ptes_none - 1) >> (rules.pmd_order - chunk_order);
    return count(occupied, now.offset / chunk_ptes, 1U << chunk_order) > threshold;
}

} // namespace

unsigned ChunkDesign::most_none(unsigned order, const CollapseRules& rules) const {
    return rules.max_ptes_none >> (rules.pmd_order - order);
}

std::vector<Collapse> ChunkDesign::choose(const PresentPtes& present,
                                          const CollapseRules& rules) const {
    std::vector<Collapse> made;
    const PresentPtes occupied = occupied_chunks(present, rules);
    const bool pmd_only = rules.enabled == std::uint32_t{1} << rules.pmd_order;
    // Where the kernel has a stack of its own, this is one: the left half is on top.
    std::vector<Collapse> stack = {{0, rules.pmd_order}};
    while (!stack.empty()) {
        const Collapse now = stack.back();
        stack.pop_back();
        if (rules.may(now.order) && (pmd_only || almost_full(occupied, now, rules)) &&
            (1U << now.order) - count(present, now.offset, 1U << now.order) <=
                most_none(now.order, rules)) {
            made.push_back(now);
            continue;
        }
        if (now.order > min_mthp_order) {
            const unsigned half = now.order - 1;
            stack.push_back({now.offset + (1U << half), half});
            stack.push_back({now.offset, half});
        }
    }
    return made;
}

PresentPtes ChunkDesign::occupied_chunks(const PresentPtes& present,
                                         const CollapseRules& rules) const {
    PresentPtes occupied(rules.pages() / chunk_ptes);
    for (unsigned chunk = 0; chunk < occupied.size(); ++chunk)
        occupied[chunk] = chunk_ptes - count(present, chunk * chunk_ptes, chunk_ptes) <=
                          most_none(min_mthp_order, rules);
    return occupied;
}

std::size_t ChunkDesign::control_bytes() const { return sizeof(ChunkControl); }

unsigned MergedDesign::most_none(unsigned order, const CollapseRules& rules) const {
    if (order == rules.pmd_order)
        return rules.max_ptes_none;
    return rules.max_ptes_none == rules.pages() - 1 ? (1U << order) - 1 : 0;
}

std::vector<Collapse> MergedDesign::choose(const PresentPtes& present,
                                           const CollapseRules& rules) const {
    std::vector<Collapse> made;
    unsigned offset = 0;
    unsigned order = rules.pmd_order;
    while (offset < rules.pages()) {
        const unsigned number = 1U << order;
        if (rules.may(order) &&
            count(present, offset, number) + most_none(order, rules) >= number) {
            made.push_back({offset, order});
        } else if (order > min_mthp_order &&
                   (rules.enabled & ((std::uint32_t{1} << order) - 1)) != 0) {
            --order;
            continue;
        }
        offset += number;
        // The largest that is aligned there.
        order = std::min(rules.pmd_order, static_cast<unsigned>(std::countr_zero(offset)));
    }
    return made;
}

std::size_t MergedDesign::control_bytes() const { return sizeof(MergedControl); }

const CollapseDesign& chunk_design() {
    static const ChunkDesign design;
    return design;
}

const CollapseDesign& merged_design() {
    static const MergedDesign design;
    return design;
}

std::size_t pmd_only_control_bytes() { return sizeof(PmdOnlyControl); }

PresentPtes after(PresentPtes present, const std::vector<Collapse>& made) {
    for (const Collapse& folio : made)
        for (unsigned page = 0; page < 1U << folio.order; ++page)
            present[folio.offset + page] = true;
    return present;
}

std::string picture(const PresentPtes& present, std::size_t per) {
    std::string text;
    for (std::size_t at = 0; at < present.size(); at += per) {
        const unsigned there =
            count(present, static_cast<unsigned>(at), static_cast<unsigned>(per));
        text += there == per ? '#' : there != 0 ? '+' : '.';
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
