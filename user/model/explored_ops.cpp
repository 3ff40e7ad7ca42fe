// SPDX-License-Identifier: GPL-2.0
#include "model/explored_ops.hpp"

#include "engine/rng.hpp"

#include <fmt/format.h>
#include <vector>

namespace faultline::model {

// A step that touches the page's own fields.
void ExploredOps::at(const std::string& operation) {
    run_.step(operation);
    if (freed_ > 0)
        run_.violation("the page was touched after it was freed");
}

int ExploredOps::keep(Counter& counter, int value) {
    counter.value_ = value;
    values_[&counter] = value;
    return value;
}

int ExploredOps::add_return(Counter& counter, int delta) {
    at(fmt::format("add_return({:+})", delta));
    const int value = keep(counter, counter.value_ + delta);
    run_.saw(static_cast<std::uint64_t>(value));
    return value;
}

int ExploredOps::fetch_or(Counter& counter, int bits) {
    at(fmt::format("fetch_or({:#x})", bits));
    const int old = counter.value_;
    keep(counter, old | bits);
    run_.saw(static_cast<std::uint64_t>(old));
    return old;
}

int ExploredOps::exchange(Counter& counter, int value) {
    at(fmt::format("exchange({:#x})", value));
    const int old = counter.value_;
    keep(counter, value);
    run_.saw(static_cast<std::uint64_t>(old));
    return old;
}

bool ExploredOps::compare_exchange(Counter& counter, int expected, int desired) {
    at(fmt::format("compare_exchange({:#x}, {:#x})", expected, desired));
    const bool same = counter.value_ == expected;
    if (same)
        keep(counter, desired);
    run_.saw(same ? 1 : 0);
    return same;
}

int ExploredOps::load(Counter& counter) {
    at("load");
    run_.saw(static_cast<std::uint64_t>(counter.value_));
    return counter.value_;
}

void ExploredOps::call_rcu(Head& head, Callback callback, void* design, int number) {
    at("call_rcu");
    if (head.queued_)
        return run_.violation("the rcu_head was queued while it was queued");
    head.queued_ = true;
    ++queued_;
    std::vector<int> before;
    for (const auto& [reader, table] : inside_)
        before.push_back(reader);
    run_.add_fiber(
        fmt::format("callback {}", queued_),
        [this, &head, callback, design, number] {
            run_.step("the grace period ends");
            run_.count_grace_period();
            head.queued_ = false;
            callback(design, number);
        },
        [this, before] {
            for (int reader : before)
                if (inside_.count(reader) != 0)
                    return false;
            return true;
        });
}

void ExploredOps::free_page() {
    run_.step("free the page");
    if (++freed_ > 1)
        return run_.violation("the page was freed twice");
    for (const auto& [reader, table] : inside_)
        if (table >= 0)
            return run_.violation(
                fmt::format("the page was freed while a reader was at table {}", table));
}

void ExploredOps::unlink(int table) {
    run_.step(fmt::format("unlink table {}", table));
    unlinked_.insert(table);
}

void ExploredOps::read(int table, int looks) {
    run_.step("rcu_read_lock");
    const int me = ++readers_;
    inside_[me] = -1;
    run_.step(fmt::format("find table {}", table));
    const bool found = unlinked_.count(table) == 0;
    run_.saw(found ? 1 : 0);
    if (found)
        inside_[me] = table;
    for (int look = 0; found && look < looks; ++look) {
        run_.step(fmt::format("look at table {}", table));
        if (freed_ > 0)
            run_.violation(fmt::format("table {} was read after its page was freed", table));
    }
    run_.step("rcu_read_unlock");
    inside_.erase(me);
}

std::uint64_t ExploredOps::state() const {
    std::uint64_t sum = mix(static_cast<std::uint64_t>(freed_)) + unlinked_.size();
    // By value, not by address: the same state in another run is the same. Order of first use.
    for (const auto& [counter, value] : values_)
        sum = mix(sum ^ static_cast<std::uint64_t>(value));
    for (const auto& [reader, table] : inside_)
        sum = mix(sum ^ static_cast<std::uint64_t>(reader * 64 + table));
    return sum;
}

} // namespace faultline::model
