// SPDX-License-Identifier: GPL-2.0
// The operations of a design on real threads: std::atomic, and liburcu's call_rcu(). For stress
// tests. The page is given back by a function, so that a test may really free it (AddressSanitizer)
// or keep it and look.
#ifndef FAULTLINE_MODEL_URCU_OPS_HPP
#define FAULTLINE_MODEL_URCU_OPS_HPP

#include "model/ops.hpp"

#include <atomic>
#include <functional>
#include <utility>

#include <urcu/urcu-memb.h>

#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#endif

namespace faultline::model {

class UrcuOps {
  public:
    class Counter {
      public:
        explicit Counter(int value = 0) : value_(value) {}

      private:
        friend class UrcuOps;
        std::atomic<int> value_;
    };
    class Head {
        friend class UrcuOps;
        rcu_head head_{}; // first: the callback is given its address
        Callback callback_ = nullptr;
        void* design_ = nullptr;
        int number_ = 0;
    };

    UrcuOps(std::function<void()> free, std::function<void(const char*)> bad)
        : free_(std::move(free)), bad_(std::move(bad)) {}

    int add_return(Counter& counter, int delta) { return counter.value_.fetch_add(delta) + delta; }
    int fetch_or(Counter& counter, int bits) { return counter.value_.fetch_or(bits); }
    int exchange(Counter& counter, int value) { return counter.value_.exchange(value); }
    bool compare_exchange(Counter& counter, int expected, int desired) {
        return counter.value_.compare_exchange_strong(expected, desired);
    }
    int load(Counter& counter) { return counter.value_.load(); }

    void call_rcu(Head& head, Callback callback, void* design, int number) {
        head.callback_ = callback;
        head.design_ = design;
        head.number_ = number;
#if defined(__SANITIZE_THREAD__)
        // liburcu's queue is in assembly, which ThreadSanitizer does not see. Pairs with run().
        __tsan_release(&head);
#endif
        urcu_memb_call_rcu(&head.head_, run);
    }
    // Returns when all callbacks that are queued now have run, but not the callbacks that those
    // queue.
    static void barrier() {
        urcu_memb_barrier();
#if defined(__SANITIZE_THREAD__)
        __tsan_acquire(&ran_); // pairs with run()
#endif
    }
    void free_page() { free_(); }
    void bad_page(const char* why) { bad_(why); }

  private:
    static void run(rcu_head* raw) {
        auto* head = reinterpret_cast<Head*>(raw);
#if defined(__SANITIZE_THREAD__)
        __tsan_acquire(head); // pairs with call_rcu()
#endif
        // Copied: the callback may queue the head again, or free the page that it is in.
        const Callback callback = head->callback_;
        callback(head->design_, head->number_);
#if defined(__SANITIZE_THREAD__)
        __tsan_release(&ran_); // pairs with barrier()
#endif
    }

    static inline char ran_ = 0; // an address for ThreadSanitizer

    std::function<void()> free_;
    std::function<void(const char*)> bad_;
};

static_assert(PageOps<UrcuOps>);

} // namespace faultline::model

#endif // FAULTLINE_MODEL_URCU_OPS_HPP
