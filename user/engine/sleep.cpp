// SPDX-License-Identifier: GPL-2.0
#include "engine/sleep.hpp"

#include <algorithm>
#include <array>
#include <string_view>

namespace faultline {

namespace {

// Functions that a stack may begin with, from the innermost. The first that is found decides, so
// that folio_wait_writeback() is not taken for the folio lock: both wait in
// folio_wait_bit_common().
struct Place {
    std::string_view function;
    Sleep sleep;
};

constexpr std::array known_places = {
    Place{"folio_wait_bit_common", Sleep::lock},
    Place{"folio_wait_writeback", Sleep::writeback},
    Place{"__folio_lock", Sleep::lock},
    Place{"__folio_lock_killable", Sleep::lock},
    Place{"__folio_lock_or_retry", Sleep::lock},
    Place{"__lock_page", Sleep::lock},
    Place{"folio_lock", Sleep::lock},
    Place{"folio_put_wait_locked", Sleep::lock},
    Place{"migration_entry_wait_on_locked", Sleep::lock},
    Place{"mutex_lock", Sleep::lock},
    Place{"mutex_lock_killable", Sleep::lock},
    Place{"mutex_lock_nested", Sleep::lock},
    Place{"__mutex_lock", Sleep::lock},
    Place{"__mutex_lock_slowpath", Sleep::lock},
    Place{"down_read", Sleep::lock},
    Place{"down_read_killable", Sleep::lock},
    Place{"down_write", Sleep::lock},
    Place{"down_write_killable", Sleep::lock},
    Place{"rwsem_down_read_slowpath", Sleep::lock},
    Place{"rwsem_down_write_slowpath", Sleep::lock},
    Place{"__vma_start_write", Sleep::lock},
    Place{"synchronize_rcu", Sleep::grace_period},
    Place{"synchronize_rcu_normal", Sleep::grace_period},
    Place{"synchronize_rcu_expedited", Sleep::grace_period},
    Place{"synchronize_srcu", Sleep::grace_period},
    Place{"__wait_rcu_gp", Sleep::grace_period},
    Place{"rcu_barrier", Sleep::grace_period},
    Place{"submit_bio_wait", Sleep::io},
    Place{"wait_for_completion_io", Sleep::io},
    Place{"blk_mq_get_tag", Sleep::io},
    Place{"swap_read_folio", Sleep::io},
    Place{"swap_readpage", Sleep::io},
};

constexpr std::string_view separator = " < ";

std::string_view next_function(std::string_view& stack) {
    const std::size_t at = stack.find(separator);
    std::string_view function = stack.substr(0, at);
    stack = at == std::string_view::npos ? std::string_view() : stack.substr(at + separator.size());
    return function.substr(0, function.find('.'));
}

} // namespace

std::string_view to_string(Sleep sleep) {
    switch (sleep) {
    case Sleep::lock:
        return "another lock";
    case Sleep::io:
        return "I/O";
    case Sleep::grace_period:
        return "grace period";
    case Sleep::writeback:
        return "writeback";
    case Sleep::call:
        return "call of another CPU";
    case Sleep::unknown:
        break;
    }
    return "unknown";
}

Sleep sleep_of(std::string_view stack) {
    if (stack.starts_with("for CPU "))
        return Sleep::call;
    // The lock of a folio and its writeback are waited for in one function.
    if (at_place(stack, "folio_wait_bit_common < folio_wait_writeback"))
        return Sleep::writeback;
    while (!stack.empty()) {
        const std::string_view function = next_function(stack);
        const auto* const known =
            std::find_if(known_places.begin(), known_places.end(),
                         [function](const Place& place) { return place.function == function; });
        if (known != known_places.end())
            return known->sleep;
    }
    return Sleep::unknown;
}

bool at_place(std::string_view stack, std::string_view place) {
    while (!place.empty()) {
        const std::string_view wanted = next_function(place);
        bool found = false;
        while (!found && !stack.empty())
            found = next_function(stack) == wanted;
        if (!found)
            return false;
    }
    return true;
}

std::vector<std::string> spin_locks_of(const std::vector<std::string_view>& places) {
    std::vector<std::string> locks;
    for (const std::string_view place : places) {
        const std::string lock(place.substr(0, place.find(' ')));
        const bool spins = lock.starts_with("_raw_") && lock.ends_with("_lock");
        if (spins && std::find(locks.begin(), locks.end(), lock) == locks.end())
            locks.push_back(lock);
    }
    return locks;
}

bool at_any_place(std::string_view stack, const std::vector<std::string_view>& places) {
    if (sleep_of(stack) == Sleep::call)
        return std::find(places.begin(), places.end(), call_place) != places.end();
    return std::any_of(places.begin(), places.end(),
                       [stack](std::string_view place) { return at_place(stack, place); });
}

} // namespace faultline
