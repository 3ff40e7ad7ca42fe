// SPDX-License-Identifier: GPL-2.0
// Locks of a small program that the explorer runs. An actor that must wait for a lock cannot take
// its next step; if no actor can, and some have not ended, they wait for each other.
#ifndef FAULTLINE_MODEL_EXPLORED_LOCKS_HPP
#define FAULTLINE_MODEL_EXPLORED_LOCKS_HPP

#include "model/explorer.hpp"

#include <cstdint>
#include <deque>
#include <functional>
#include <string>

namespace faultline::model {

class ExploredLock {
  public:
    [[nodiscard]] bool free() const { return readers_ == 0 && !writer_; }
    [[nodiscard]] bool readable() const { return !writer_; }
    [[nodiscard]] std::uint64_t state() const {
        return static_cast<std::uint64_t>(readers_) * 2 + (writer_ ? 1 : 0);
    }

    void take() { writer_ = true; }

  private:
    friend class LockingRun;
    int readers_ = 0;
    bool writer_ = false;
};

class LockingRun {
  public:
    explicit LockingRun(Explorer::Run& run) : run_(run) {}

    using Until = std::function<bool()>;
    // The condition that an actor waits for; empty: none.
    struct Waiting {
        Until until{};
    };

    void add_actor(std::string name, std::function<void(Waiting&)> body) {
        Waiting& me = actors_.emplace_back();
        ++running_;
        run_.add_fiber(
            std::move(name),
            [this, &me, body = std::move(body)] {
                body(me);
                --running_;
            },
            [&me] { return !me.until || me.until(); });
    }

    // The next step, which the actor takes when `until` is so.
    void step(Waiting& me, const std::string& operation, Until until = {}) {
        me.until = std::move(until);
        run_.step(operation);
        me.until = {};
    }
    void saw(std::uint64_t value) { run_.saw(value); }
    void violation(const std::string& what) { run_.violation(what); }

    void write_lock(Waiting& me, ExploredLock& lock, const std::string& name) {
        step(me, "lock " + name, [&lock] { return lock.free(); });
        lock.take();
    }
    void read_lock(Waiting& me, ExploredLock& lock, const std::string& name) {
        step(me, "lock " + name + " for reading", [&lock] { return lock.readable(); });
        ++lock.readers_;
    }
    // Waits for nothing.
    bool try_lock(Waiting& me, ExploredLock& lock, const std::string& name) {
        step(me, "trylock " + name);
        const bool taken = lock.free();
        saw(taken ? 1 : 0);
        lock.writer_ = lock.writer_ || taken;
        return taken;
    }
    void unlock(Waiting& me, ExploredLock& lock, const std::string& name) {
        step(me, "unlock " + name);
        if (lock.free())
            return violation(name + " was unlocked, and nobody had it");
        if (lock.writer_)
            lock.writer_ = false;
        else
            --lock.readers_;
    }

    // After the last step: "" if every actor has ended.
    [[nodiscard]] std::string stuck() const {
        return running_ == 0 ? "" : "the actors wait for each other";
    }

  private:
    Explorer::Run& run_;
    std::deque<Waiting> actors_;
    int running_ = 0;
};

} // namespace faultline::model

#endif // FAULTLINE_MODEL_EXPLORED_LOCKS_HPP
