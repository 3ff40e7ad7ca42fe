// SPDX-License-Identifier: GPL-2.0
// The actors of a variant as live tasks: threads that stay for all runs, processes forked for each.
// One run is: stage() - the module's FL_IOC_RUN - go() - join().
#ifndef FAULTLINE_ENGINE_CREW_HPP
#define FAULTLINE_ENGINE_CREW_HPP

#include "engine/scenario.hpp"
#include "engine/schedule.hpp"
#include "kernel/fd.hpp"
#include "kernel/session.hpp"

#include <chrono>
#include <memory>
#include <string>
#include <sys/types.h>
#include <vector>

namespace faultline {

class Crew {
  public:
    // How a run ended. Anything but `all_back` alone is an ERROR of the run.
    struct End {
        bool all_back = true;      // false: tasks are stuck for good, the Crew must be abandoned
        bool timed_out = false;    // they had to be stopped
        std::string stuck;         // then who, and where in the kernel
        std::string actor_failure; // the first ActorContext::fail() or death of a child
    };

    // Starts and pins the threads and binds them: the session must be armed.
    // jitter_us: each actor starts a run late by a random time below it; 0 for none.
    static Result<std::unique_ptr<Crew>> start(std::vector<Actor> actors, const Program& program,
                                               Session& session, unsigned jitter_us);
    Crew(const Crew&) = delete;
    Crew& operator=(const Crew&) = delete;
    ~Crew(); // dismisses, and leaves behind the threads that are stuck

    // The user sites of another schedule, between two runs. Same actors.
    void schedule(const Program& program);
    // Clears the slots, binds the kernel's threads, forks the process actors and waits until they
    // are bound.
    Result<void> stage(unsigned run, std::uint64_t seed);
    void go();
    // Bounded: at the timeout, or when the driver gets a signal to stop, holds are ended with
    // FL_IOC_STOP; tasks that do not come back within a further grace time are reported as stuck.
    End join(std::chrono::milliseconds timeout);
    // Ends all threads, within a bound; false if one is stuck. No run can follow.
    bool dismiss();
    // Ends staged processes that will not be started.
    void cancel();

    [[nodiscard]] const std::array<std::int64_t, slots_per_actor>& slots(std::size_t actor) const;
    // The number of an actor's task: a thread's; a process' after stage(), for that run; else 0.
    [[nodiscard]] pid_t task(std::size_t actor) const;
    [[nodiscard]] bool forked() const { return !children_.empty(); } // for this run
    [[nodiscard]] bool stuck() const { return stuck_; }

  private:
    struct Share;
    struct State;
    struct Child {
        std::size_t actor;
        pid_t pid;
        Fd pidfd;
        bool reaped = false;
    };

    explicit Crew(std::shared_ptr<State> state) : state_(std::move(state)) {}
    Result<void> start_threads();
    Result<void> bind_kernel_thread(std::size_t actor);
    Result<void> fork_child(std::size_t actor);
    bool wait_ready(unsigned children);
    bool wait_all(std::chrono::steady_clock::time_point end, bool heed_signals);
    void reap(Child& child);
    [[nodiscard]] bool all_back() const;
    [[nodiscard]] std::string describe_stuck() const;

    std::shared_ptr<State> state_; // also held by the threads, which may outlive a stuck Crew
    std::vector<Child> children_;  // of this run
    bool stuck_ = false;
};

} // namespace faultline

#endif // FAULTLINE_ENGINE_CREW_HPP
