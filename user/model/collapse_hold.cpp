// SPDX-License-Identifier: GPL-2.0
// How long khugepaged keeps the anon_vma's lock. In the PMD's order it has isolated and locked all
// pages of the table, and unlocks before it copies. In a smaller order it has not: "For non-PMD
// collapse we must leave the anon VMA write locked until after we collapse the mTHP". The other
// answer of the e-mails: "are you 100% sure you can't possibly have a deadlock".
//
// Actors: khugepaged, and the migration of a page of the same table, beside the new folio or in it:
// it replaces the page's entry by a migration entry, copies, and puts the new page there, each time
// by a walk under the anon_vma's lock. A walk that finds the PMD cleared does nothing.
#include "model/lock_models.hpp"

#include "engine/rng.hpp"
#include "model/explored_locks.hpp"

#include <array>
#include <memory>

namespace faultline::model {

namespace {

enum class Hold {
    until_back,       // until the PMD is there again
    until_isolated,   // until the pages of the new folio are isolated
    waits_for_page,   // the first, with folio_lock() in place of folio_trylock()
    kept_after_error, // the first, but a failed copy goes past the unlock
    unlocked_twice,   // the first, but a failed isolation unlocks, and the end again
};

struct Setting {
    bool pmd_order;  // the new folio has all pages of the table
    bool inside;     // the page that migrates is one of the new folio's
    bool copy_fails; // a page is poisoned: the old table is put back
};

class Collapse {
  public:
    Collapse(Explorer::Run& run, Hold hold, Setting setting)
        : run_(run), hold_(hold), setting_(setting) {
        run_.add_actor("khugepaged", [this](Waiting& me) { collapse(me); });
        run_.add_actor("migration", [this](Waiting& me) { migrate(me); });
    }

    [[nodiscard]] std::uint64_t state() const {
        return mix(anon_vma_.state() * 64 + page_.state() * 16 + (pmd_ ? 8 : 0) +
                   (replaced_ ? 4 : 0) + static_cast<std::uint64_t>(entry_));
    }

    [[nodiscard]] std::string at_end() const {
        if (const std::string stuck = run_.stuck(); !stuck.empty())
            return stuck;
        if (!anon_vma_.free() || !page_.free())
            return "a lock is still held";
        if (!pmd_)
            return "the PMD stays cleared";
        if (entry_ == Entry::migration)
            return "a migration entry stays: a touch of the page waits for ever";
        return "";
    }

  private:
    using Waiting = LockingRun::Waiting;
    enum class Entry { page, migration };
    static constexpr const char* anon_vma = "the anon_vma";
    static constexpr const char* page = "the page";

    // The new folio's pages: only if the one that may migrate is among them does it matter here.
    bool isolate(Waiting& me) {
        if (!setting_.inside)
            return true;
        if (hold_ == Hold::waits_for_page)
            run_.write_lock(me, page_, page);
        else if (!run_.try_lock(me, page_, page))
            return false;
        run_.saw(static_cast<std::uint64_t>(entry_));
        if (entry_ == Entry::page)
            return true;
        run_.unlock(me, page_, page);
        return false;
    }

    void collapse(Waiting& me) {
        run_.write_lock(me, anon_vma_, anon_vma);
        run_.step(me, "clear the PMD");
        pmd_ = false;
        bool locked = true;
        if (!isolate(me)) {
            put_back(me, "put the PMD back");
            if (hold_ == Hold::unlocked_twice)
                run_.unlock(me, anon_vma_, anon_vma);
            return run_.unlock(me, anon_vma_, anon_vma);
        }
        if (hold_ == Hold::until_isolated) {
            run_.unlock(me, anon_vma_, anon_vma);
            locked = false;
        }
        run_.step(me, setting_.copy_fails ? "copy, which fails" : "copy");
        put_back(me,
                 setting_.copy_fails ? "put the PMD back" : "put the new folio in, and the PMD");
        if (setting_.inside) {
            replaced_ = !setting_.copy_fails;
            run_.unlock(me, page_, page);
        }
        if (locked && !(setting_.copy_fails && hold_ == Hold::kept_after_error))
            run_.unlock(me, anon_vma_, anon_vma);
    }

    void put_back(Waiting& me, const std::string& operation) {
        run_.step(me, operation);
        pmd_ = true;
    }

    // A walk for the page: is it where it was?
    bool finds(Waiting& me, const std::string& operation) {
        run_.step(me, operation);
        const bool found = pmd_ && !replaced_;
        run_.saw(found ? 1 : 0);
        return found;
    }

    void migrate(Waiting& me) {
        run_.write_lock(me, page_, page);
        run_.read_lock(me, anon_vma_, anon_vma);
        const bool unmapped = finds(me, "walk: put a migration entry in");
        if (unmapped)
            entry_ = Entry::migration;
        run_.unlock(me, anon_vma_, anon_vma);
        if (unmapped) {
            run_.read_lock(me, anon_vma_, anon_vma);
            if (finds(me, "walk: put the new page in"))
                entry_ = Entry::page;
            run_.unlock(me, anon_vma_, anon_vma);
        }
        run_.unlock(me, page_, page);
    }

    LockingRun run_;
    Hold hold_;
    Setting setting_;
    ExploredLock anon_vma_;
    ExploredLock page_; // of the page that migrates
    bool pmd_ = true;
    bool replaced_ = false; // the page has been copied into the new folio
    Entry entry_ = Entry::page;
};

constexpr std::array below = {
    Setting{.pmd_order = false, .inside = false, .copy_fails = false},
    Setting{.pmd_order = false, .inside = true, .copy_fails = false},
    Setting{.pmd_order = false, .inside = false, .copy_fails = true},
    Setting{.pmd_order = false, .inside = true, .copy_fails = true},
    Setting{.pmd_order = true, .inside = true, .copy_fails = false},
    Setting{.pmd_order = true, .inside = true, .copy_fails = true},
};

// until_isolated, but only in the PMD's order: as the kernel does.
LockDesign design(std::string_view name, std::string_view slip, bool sound, Hold pmd, Hold others) {
    return {name, slip, sound, [pmd, others](std::size_t which, std::uint64_t bound) {
                const Setting setting = below.at(which);
                const Hold hold = setting.pmd_order ? pmd : others;
                return Explorer::explore(
                    [hold, setting](Explorer::Run& run) {
                        auto world = std::make_shared<Collapse>(run, hold, setting);
                        run.shared_state = [world = world.get()] { return world->state(); };
                        run.at_end = [world = world.get()] { return world->at_end(); };
                        run.owner = std::move(world);
                    },
                    bound);
            }};
}

} // namespace

LockModel collapse_hold() {
    return {"how long khugepaged keeps the anon_vma's lock, against the migration of a page of the "
            "same "
            "table (2025)",
            {"a smaller order, a page beside", "a smaller order, a page of it",
             "a smaller order, a page beside, the copy fails",
             "a smaller order, a page of it, the copy fails", "the PMD's order",
             "the PMD's order, the copy fails"},
            {design("until the PMD is back", "", true, Hold::until_back, Hold::until_back),
             design("the same; in the PMD's order until the pages are isolated (merged)", "", true,
                    Hold::until_isolated, Hold::until_back),
             design("until the pages are isolated", "", false, Hold::until_isolated,
                    Hold::until_isolated),
             design("until the PMD is back", "waits for the lock of a page", false,
                    Hold::waits_for_page, Hold::waits_for_page),
             design("until the PMD is back", "a copy that fails goes past the unlock", false,
                    Hold::kept_after_error, Hold::kept_after_error),
             design("until the PMD is back", "a failed isolation unlocks, and so does the end",
                    false, Hold::unlocked_twice, Hold::unlocked_twice)}};
}

const std::vector<LockModel>& lock_models() {
    static const std::vector<LockModel> all = {collapse_hold(), pmd_unsharing()};
    return all;
}

} // namespace faultline::model
