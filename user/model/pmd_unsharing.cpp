// SPDX-License-Identifier: GPL-2.0
// A hugetlb fault that has found its entry in a shared table of PMDs, and must take the lock that
// lies in the struct page of that table. Mike Kravetz, October 2020: "Because of pmd sharing, we
// can not be sure the ptep is valid until after holding the ptl", so he tried
//
//     while (ptep != huge_pte_offset(mm, haddr, huge_page_size(h))) { unlock; alloc; lock }
//
// "Unfortunately, the problem is worse than I thought. [...] the page which was the PMD may be
// repurposed before we even try to acquire the ptl. [...] I actually experienced addressing
// exceptions in the spinlock code".
//
// Actors: a fault; tasks that make the kernel unshare the faulter's table; the other process, which
// exits. A page that is no table any more has no lock.
#include "model/lock_models.hpp"

#include "engine/rng.hpp"
#include "model/explored_locks.hpp"

#include <array>
#include <deque>
#include <fmt/format.h>
#include <memory>
#include <optional>

namespace faultline::model {

namespace {

enum class Check { none, loop, once, before_lock };

struct Rules {
    Check check = Check::loop;
    bool freed_by_rcu = false;  // tables, and the fault looks for its entry anew in an RCU section
    bool section_ends = false;  // before the lock is taken: a slip
    bool never_freed = false;   // to see the comparison alone
    bool excluded = false;      // a lock of the mapping: the fault reads, the unsharing writes
    bool dropped_early = false; // before the ptl is taken: a slip
};

struct Case {
    int unsharers; // of the faulter's process, one after the other or at once
    bool exits;    // the other process
};

class Sharing {
  public:
    Sharing(Explorer::Run& run, const Rules& rules, Case which) : run_(run), rules_(rules) {
        tables_.emplace_back();
        tables_.back().users = 2;
        run_.add_actor("fault", [this](Waiting& me) { fault(me); });
        for (int i = 1; i <= which.unsharers; ++i)
            run_.add_actor(fmt::format("unsharer {}", i), [this](Waiting& me) { unshare(me); });
        if (which.exits)
            run_.add_actor("other process", [this](Waiting& me) { exit(me); });
        if (rules.freed_by_rcu)
            run_.add_actor("RCU", [this](Waiting& me) { free_later(me); });
    }

    [[nodiscard]] std::uint64_t state() const {
        std::uint64_t sum = mix(mapping_.state() * 64 + (sections_ ? 32U : 0U));
        for (const Table& table : tables_)
            sum = mix(sum ^ (table.ptl.state() * 8 + (table.freed ? 4 : 0) +
                             static_cast<std::uint64_t>(table.users)));
        return mix(sum ^ number(mine_) * 64 ^ number(others_));
    }

    // The RCU actor may wait for a table that is never freed.
    [[nodiscard]] std::string at_end() const {
        if (!done_)
            return "the fault does not end";
        if (!mapping_.free())
            return "a lock is still held";
        return "";
    }

  private:
    using Waiting = LockingRun::Waiting;
    struct Table {
        int users = 1;
        bool freed = false; // its page has another use
        ExploredLock ptl;   // in its struct page
    };
    static constexpr const char* ptl = "the ptl";
    static constexpr const char* mapping = "the mapping's lock";

    static std::uint64_t number(std::optional<std::size_t> table) { return table ? *table + 1 : 0; }

    // huge_pte_alloc(): its table, that of the other process, or a new one.
    std::size_t alloc(Waiting& me) {
        run_.step(me, "huge_pte_alloc");
        if (!mine_ && others_) {
            mine_ = others_;
            ++tables_[*mine_].users;
        } else if (!mine_) {
            mine_ = tables_.size();
            tables_.emplace_back();
        }
        run_.saw(*mine_);
        return *mine_;
    }

    // huge_pte_lock(): false if there is no lock.
    bool lock(Waiting& me, std::size_t table) {
        run_.step(me, fmt::format("lock the ptl of table {}", table),
                  [this, table] { return tables_[table].freed || tables_[table].ptl.free(); });
        if (tables_[table].freed) {
            run_.violation("the fault took a lock in a page that is no table any more");
            return false;
        }
        tables_[table].ptl.take();
        return true;
    }

    void fault(Waiting& me) {
        if (rules_.excluded)
            run_.read_lock(me, mapping_, mapping);
        std::size_t table = alloc(me);
        if (rules_.dropped_early)
            run_.unlock(me, mapping_, mapping);
        if (rules_.check == Check::before_lock)
            while (!compare(me, table))
                table = alloc(me);
        if (rules_.freed_by_rcu)
            table = find_in_section(me);
        if (!lock(me, table))
            return;
        if (rules_.freed_by_rcu && !rules_.section_ends)
            sections_ = false;
        if (rules_.check == Check::loop || rules_.check == Check::once)
            while (!compare(me, table)) {
                run_.unlock(me, tables_[table].ptl, ptl);
                table = alloc(me);
                if (rules_.freed_by_rcu)
                    table = find_in_section(me);
                if (!lock(me, table))
                    return;
                sections_ = false;
                if (rules_.check == Check::once)
                    break;
            }
        run_.step(me, "set the entry");
        if (mine_ != table)
            run_.violation("the fault set an entry of a table that its process has lost");
        run_.unlock(me, tables_[table].ptl, ptl);
        if (rules_.excluded && !rules_.dropped_early)
            run_.unlock(me, mapping_, mapping);
        done_ = true;
    }

    // ptep == huge_pte_offset()
    bool compare(Waiting& me, std::size_t table) {
        run_.step(me, "huge_pte_offset");
        run_.saw(mine_ == table ? 1 : 0);
        return mine_ == table;
    }

    // rcu_read_lock(), and huge_pte_offset() until there is a table.
    std::size_t find_in_section(Waiting& me) {
        for (;;) {
            run_.step(me, "rcu_read_lock, huge_pte_offset");
            run_.saw(number(mine_));
            if (mine_) {
                sections_ = !rules_.section_ends;
                return *mine_;
            }
            alloc(me);
        }
    }

    // huge_pmd_unshare(), by a task that may take the table away from the faulter's process.
    void unshare(Waiting& me) {
        if (rules_.excluded)
            run_.write_lock(me, mapping_, mapping);
        run_.step(me, "huge_pmd_unshare", [this] { return !mine_ || tables_[*mine_].ptl.free(); });
        const bool shared = mine_ && tables_[*mine_].users > 1;
        run_.saw(shared ? 1 : 0);
        if (shared) {
            --tables_[*mine_].users;
            mine_.reset();
        }
        if (rules_.excluded)
            run_.unlock(me, mapping_, mapping);
    }

    // free_pgtables(): its table goes with its last user.
    void exit(Waiting& me) {
        run_.step(me, "exit", [this] { return tables_[*others_].ptl.free(); });
        Table& table = tables_[*others_];
        others_.reset();
        if (--table.users == 0 && !rules_.never_freed) {
            if (rules_.freed_by_rcu)
                pending_ = &table;
            else
                table.freed = true;
        }
        run_.saw(table.freed ? 1 : 0);
    }

    // Waits for the section that began before it.
    void free_later(Waiting& me) {
        run_.step(me, "the grace period ends",
                  [this] { return pending_ != nullptr && !sections_; });
        pending_->freed = true;
    }

    LockingRun run_;
    Rules rules_;
    std::deque<Table> tables_; // all that ever were
    std::optional<std::size_t> mine_ = 0;
    std::optional<std::size_t> others_ = 0;
    ExploredLock mapping_;
    Table* pending_ = nullptr;
    bool sections_ = false;
    bool done_ = false;
};

constexpr std::array situations = {
    Case{.unsharers = 1, .exits = false},
    Case{.unsharers = 2, .exits = false},
    Case{.unsharers = 1, .exits = true},
    Case{.unsharers = 2, .exits = true},
};

LockDesign design(std::string_view name, std::string_view slip, bool sound, Rules rules) {
    return {name, slip, sound, [rules](std::size_t which, std::uint64_t bound) {
                return Explorer::explore(
                    [rules, which](Explorer::Run& run) {
                        auto world = std::make_shared<Sharing>(run, rules, situations.at(which));
                        run.shared_state = [world = world.get()] { return world->state(); };
                        run.at_end = [world = world.get()] { return world->at_end(); };
                        run.owner = std::move(world);
                    },
                    bound);
            }};
}

} // namespace

LockModel pmd_unsharing() {
    return {
        "a hugetlb fault that must lock the table of PMDs that it has found (2020)",
        {"the table is unshared", "it is unshared twice",
         "it is unshared, and the other process exits",
         "it is unshared twice, and the other process exits"},
        {design("no comparison", "", false, {.check = Check::none}),
         design("the e-mail's loop", "", false, {.check = Check::loop}),
         design("the loop, tables freed by RCU", "", true,
                {.check = Check::loop, .freed_by_rcu = true}),
         design("a lock against unsharing (merged)", "", true,
                {.check = Check::none, .excluded = true}),
         design("the e-mail's loop", "tables never freed: the loop alone", true,
                {.check = Check::loop, .never_freed = true}),
         design("the same", "if in place of while", false,
                {.check = Check::once, .never_freed = true}),
         design("the same", "compares before it locks", false,
                {.check = Check::before_lock, .never_freed = true}),
         design("the loop, tables freed by RCU", "the RCU section ends before the lock is taken",
                false, {.check = Check::loop, .freed_by_rcu = true, .section_ends = true}),
         design("a lock against unsharing", "dropped before the ptl is taken", false,
                {.check = Check::none, .excluded = true, .dropped_early = true})}};
}

} // namespace faultline::model
