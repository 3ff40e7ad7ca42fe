// SPDX-License-Identifier: GPL-2.0
// The small programs that each design is explored with, and the designs by name.
#ifndef FAULTLINE_MODEL_CASES_HPP
#define FAULTLINE_MODEL_CASES_HPP

#include "model/explorer.hpp"

#include <cstddef>
#include <functional>
#include <string_view>
#include <vector>

namespace faultline::model {

struct Act {
    enum class Kind {
        defer,   // unlinks the table, then pte_free_defer()
        free,    // pte_free() of a table that is unreachable
        destroy, // pte_frag_destroy(): `number` tables were never handed out
        read,    // an RCU section that looks at a table
    };
    Kind kind = Kind::defer;
    int number = 0; // of the table, or for destroy how many
};

struct Case {
    std::string_view name;
    int tables;            // to a page
    std::vector<Act> acts; // at the same time
};

const std::vector<Case>& cases();

// Interleavings of a case to run at most: all of a design's, and for a slip, which need not be
// exhausted, enough to refute it.
inline constexpr std::uint64_t most_interleavings = 5'000'000;
inline constexpr std::uint64_t enough_for_a_slip = 50'000;

struct ModelledDesign {
    std::string_view name;
    std::string_view origin;
    std::string_view slip; // "" = none
    bool sound;            // what the exploration must find
    std::size_t (*extra_bytes)(int tables);
    std::function<Exploration(const Case&, std::uint64_t bound)> explore_to;

    [[nodiscard]] Exploration explore(const Case& which) const {
        return explore_to(which, slip.empty() ? most_interleavings : enough_for_a_slip);
    }
};

// The designs first, then their slips.
const std::vector<ModelledDesign>& designs();

} // namespace faultline::model

#endif // FAULTLINE_MODEL_CASES_HPP
