// SPDX-License-Identifier: GPL-2.0
// The atomic and RCU operations that a design for pte_free_defer() may use. The design is a
// template over them, so that the code that is explored is the code that runs on threads:
//
//   UrcuOps      std::atomic and liburcu's call_rcu(), for stress on real threads (urcu_ops.hpp)
//   ExploredOps  every operation is a step of the explorer (explored_ops.hpp)
//
// One page table is a fraction of a page, and one page of several tables has one rcu_head: that is
// what the argument of 2023 (Hugh Dickins, Matthew Wilcox, Jason Gunthorpe) is about.
#ifndef FAULTLINE_MODEL_OPS_HPP
#define FAULTLINE_MODEL_OPS_HPP

#include <concepts>

namespace faultline::model {

// The arguments of a callback: the design's own address and a number, as queued.
using Callback = void (*)(void* design, int number);

// clang-format off
template <class Ops>
concept PageOps = requires(Ops& ops, typename Ops::Counter& counter, typename Ops::Head& head,
                           Callback callback, void* design) {
    { ops.add_return(counter, 1) } -> std::same_as<int>;   // the new value, fully ordered
    { ops.fetch_or(counter, 1) } -> std::same_as<int>;     // the old value
    { ops.exchange(counter, 1) } -> std::same_as<int>;     // the old value
    { ops.compare_exchange(counter, 1, 0) } -> std::same_as<bool>; // expected, desired
    { ops.load(counter) } -> std::same_as<int>;
    ops.call_rcu(head, callback, design, 0);               // once until the callback begins
    ops.free_page();
    ops.bad_page("why"); // what the kernel would call a bad page
};
// clang-format on

} // namespace faultline::model

#endif // FAULTLINE_MODEL_OPS_HPP
