// SPDX-License-Identifier: GPL-2.0
// The designs of the thread as classes of one form:
//
//   Design(ops, tables)   a page of `tables` page tables, all handed out
//   defer(table)          pte_free_defer(): the table may be freed a grace period later
//   free(table)           pte_free(): at once, it is unreachable
//   destroy(tables)       pte_frag_destroy(): the mm goes, with that many never handed out
//
// The page must be freed exactly once, when all of its tables are gone, and never within a grace
// period that began before a table of it was given to defer().
//
// A Slip is a deliberate mistake. The exploration must refute each of them.
#ifndef FAULTLINE_MODEL_DESIGNS_HPP
#define FAULTLINE_MODEL_DESIGNS_HPP

#include "model/ops.hpp"

#include <cstddef>
#include <memory>
#include <string_view>

namespace faultline::model {

inline constexpr std::size_t head_bytes = 16; // struct rcu_head on 64 bit

enum class Slip {
    none,
    no_second_grace_period, // RaisedCount: frees although more deferrals came in
    off_by_one,             // RaisedCount: takes one deferral too many for the first
    condition_as_written,   // PendingBits: calls call_rcu() if a bit was set already
    one_stage,          // PendingBits: frees tables that came during the grace period with the rest
    count_at_once,      // HeadPerTable: drops the count in defer(), not in the callback
    active_too_late,    // PageActive: marks the page after it dropped its reference
    active_not_cleared, // PageActive: the mark is left on the page that is freed
};

// Matthew Wilcox's objection: the generic pte_free_defer() as it is, on a page of several tables.
template <PageOps Ops, Slip = Slip::none> class Naive {
  public:
    static constexpr std::string_view name = "one head, used by every table";
    static constexpr std::string_view origin = "the generic code; M. Wilcox, 29 May 2023: not safe";
    static std::size_t extra_bytes(int /*tables*/) { return 0; }

    Naive(Ops& ops, int tables) : ops_(ops), count_(tables) {}

    void defer(int table) { ops_.call_rcu(head_, freed, this, table); }
    void free(int /*table*/) { put(1); }
    void destroy(int tables) { put(tables); }

  private:
    static void freed(void* design, int /*table*/) { static_cast<Naive*>(design)->put(1); }
    void put(int tables) {
        if (ops_.add_return(count_, -tables) == 0)
            ops_.free_page();
    }

    Ops& ops_;
    typename Ops::Counter count_;
    typename Ops::Head head_;
};

// Hugh Dickins, 2 June 2023: "account concurrent deferrals with a heightened refcount, only the
// first making use of the rcu_head, but re-deferring if more deferrals arrived during its grace
// period".
template <PageOps Ops, Slip slip = Slip::none> class RaisedCount {
  public:
    static constexpr std::string_view name = "raised reference count";
    static constexpr std::string_view origin = "H. Dickins, 2 June 2023";
    static std::size_t extra_bytes(int /*tables*/) { return 0; }

    RaisedCount(Ops& ops, int tables) : ops_(ops), count_(tables) {}

    // A reference of 1 becomes one of `deferred`; call_rcu() only when the head is not in use.
    void defer(int /*table*/) {
        constexpr int limit = slip == Slip::off_by_one ? 3 * deferred : 2 * deferred;
        if (ops_.add_return(count_, deferred - 1) < limit)
            ops_.call_rcu(head_, grace_period_over, this, 0);
    }
    void free(int /*table*/) { put(1); }
    void destroy(int tables) { put(tables); }

  private:
    static constexpr int deferred = 0x10000; // beyond any number of tables

    static void grace_period_over(void* design, int /*number*/) {
        static_cast<RaisedCount*>(design)->free_or_defer_again();
    }
    void free_or_defer_again() {
        int count = ops_.add_return(count_, -(deferred - 1));
        if (count < deferred || slip == Slip::no_second_grace_period) {
            while (slip == Slip::no_second_grace_period && count >= deferred) {
                put(1);
                count = ops_.add_return(count_, -(deferred - 1));
            }
            return put(1);
        }
        // More deferrals came in: one more grace period for all of them.
        while (count >= 2 * deferred)
            count = ops_.add_return(count_, -deferred);
        // The 1 that was left for freeing above.
        (void)ops_.add_return(count_, -1);
        ops_.call_rcu(head_, grace_period_over, this, 0);
    }
    void put(int tables) {
        if (ops_.add_return(count_, -tables) == 0)
            ops_.free_page();
    }

    Ops& ops_;
    typename Ops::Counter count_;
    typename Ops::Head head_;
};

// Jason Gunthorpe, 1 June 2023: a bit for each table that is pending, in a side structure. The
// sketch of the e-mail has two mistakes, which are slips here: it calls call_rcu() when a bit was
// set before, not when none was, and tables that come during a grace period are freed at its end.
// So the bits wait in two stages: `pending` for the next grace period, `waiting` for this one.
template <PageOps Ops, Slip slip = Slip::none> class PendingBits {
  public:
    static constexpr std::string_view name = "bitmask of pending tables";
    static constexpr std::string_view origin = "J. Gunthorpe, 1 June 2023";
    static std::size_t extra_bytes(int tables) {
        const std::size_t bitmask = (static_cast<std::size_t>(tables) + 63) / 64 * 8;
        return 3 * bitmask + head_bytes; // free, pending, waiting
    }

    PendingBits(Ops& ops, int tables) : ops_(ops), all_((1 << tables) - 1), tables_(tables) {}

    void defer(int table) {
        if (slip == Slip::condition_as_written || slip == Slip::one_stage) {
            const bool was_pending = ops_.fetch_or(pending_, 1 << table) != 0;
            if (was_pending == (slip == Slip::condition_as_written))
                ops_.call_rcu(head_, grace_period_over, this, 0);
            return;
        }
        if ((ops_.fetch_or(pending_, (1 << table) | queued) & queued) == 0)
            begin_grace_period();
    }
    void free(int table) { freed(1 << table); }
    // The tables that were never handed out are the last ones.
    void destroy(int tables) { freed(all_ & ~((1 << (tables_ - tables)) - 1)); }

  private:
    static constexpr int queued = 1 << 30; // in pending_: somebody has the head

    void begin_grace_period() {
        waiting_ = ops_.exchange(pending_, queued) & ~queued;
        ops_.call_rcu(head_, grace_period_over, this, 0);
    }
    static void grace_period_over(void* design, int /*number*/) {
        static_cast<PendingBits*>(design)->end_grace_period();
    }
    void end_grace_period() {
        if (slip == Slip::condition_as_written || slip == Slip::one_stage)
            return freed(ops_.exchange(pending_, 0));
        const int bits = waiting_; // before the next grace period begins
        if (!ops_.compare_exchange(pending_, queued, 0))
            begin_grace_period();
        freed(bits);
    }
    void freed(int bits) {
        if (bits != 0 && (ops_.fetch_or(free_, bits) | bits) == all_)
            ops_.free_page();
    }

    Ops& ops_;
    int all_;
    int tables_;
    typename Ops::Counter free_{0};
    typename Ops::Counter pending_{0};
    int waiting_ = 0; // of the task that has the head
    typename Ops::Head head_;
};

// "Or simply allocate as many rcu_heads as page tables" (Hugh Dickins, 2 June 2023).
template <PageOps Ops, Slip slip = Slip::none> class HeadPerTable {
  public:
    static constexpr std::string_view name = "a head for each table";
    static constexpr std::string_view origin = "H. Dickins, 2 June 2023, as the costly way";
    static std::size_t extra_bytes(int tables) {
        return head_bytes * static_cast<std::size_t>(tables);
    }

    HeadPerTable(Ops& ops, int tables)
        : ops_(ops), count_(tables),
          heads_(std::make_unique<typename Ops::Head[]>(static_cast<std::size_t>(tables))) {}

    void defer(int table) {
        if (slip == Slip::count_at_once)
            return put(1);
        ops_.call_rcu(heads_[static_cast<std::size_t>(table)], freed, this, table);
    }
    void free(int /*table*/) { put(1); }
    void destroy(int tables) { put(tables); }

  private:
    static void freed(void* design, int /*table*/) { static_cast<HeadPerTable*>(design)->put(1); }
    void put(int tables) {
        if (ops_.add_return(count_, -tables) == 0)
            ops_.free_page();
    }

    Ops& ops_;
    typename Ops::Counter count_;
    std::unique_ptr<typename Ops::Head[]> heads_; // NOLINT(modernize-avoid-c-arrays)
};

// How the merged design ends a page whose last tables were never handed out (pte_frag_destroy()).
enum class AtExit {
    at_once_marked, // 6.6 to 7.0: frees at once, with the mark that a deferral left
    at_once,        // from 7.1: clears the mark, and frees at once
    like_the_others // not in any kernel: a marked page waits for a grace period here, too
};

// The merged design (32cc0b7c9d50, v6.6, arch/powerpc/mm/pgtable-frag.c): no table is used again
// before its page is free, so the last reference alone waits for a grace period, and only if the
// page was marked (PG_active) by a deferral.
template <PageOps Ops, Slip slip = Slip::none, AtExit at_exit = AtExit::like_the_others>
class PageActive {
  public:
    static constexpr std::string_view name =
        at_exit == AtExit::at_once_marked ? "mark the page (6.6 to 7.0)"
        : at_exit == AtExit::at_once      ? "mark the page (from 7.1)"
                                          : "mark the page, at exit, too";
    static constexpr std::string_view origin =
        at_exit == AtExit::at_once_marked ? "merged (PageActive)"
        : at_exit == AtExit::at_once      ? "merged, pte_frag_destroy() clears the mark"
                                          : "not in any kernel";
    static std::size_t extra_bytes(int /*tables*/) { return 0; }

    PageActive(Ops& ops, int tables) : ops_(ops), count_(tables) {}

    void defer(int table) {
        if (slip != Slip::active_too_late)
            (void)ops_.exchange(active_, 1);
        free(table);
        if (slip == Slip::active_too_late)
            (void)ops_.exchange(active_, 1);
    }
    void free(int /*table*/) {
        if (ops_.add_return(count_, -1) == 0)
            free_last();
    }
    void destroy(int tables) {
        if (ops_.add_return(count_, -tables) != 0)
            return;
        if (at_exit == AtExit::like_the_others)
            return free_last();
        if (at_exit == AtExit::at_once)
            (void)ops_.exchange(active_, 0);
        free_page();
    }

  private:
    void free_last() {
        const bool was_active = slip == Slip::active_not_cleared ? ops_.load(active_) != 0
                                                                 : ops_.exchange(active_, 0) != 0;
        if (was_active)
            ops_.call_rcu(head_, grace_period_over, this, 0);
        else
            free_page();
    }
    static void grace_period_over(void* design, int /*number*/) {
        static_cast<PageActive*>(design)->free_page();
    }
    void free_page() {
        if (ops_.load(active_) != 0)
            ops_.bad_page("freed with PG_active set");
        ops_.free_page();
    }

    Ops& ops_;
    typename Ops::Counter count_;
    typename Ops::Counter active_{0};
    typename Ops::Head head_;
};

} // namespace faultline::model

#endif // FAULTLINE_MODEL_DESIGNS_HPP
