// SPDX-License-Identifier: GPL-2.0
// One variant, armed: its experiment, the session and the actors, and one run at a time. The runner
// judges what runs observed; explore asks for other orders between them.
#ifndef FAULTLINE_ENGINE_RIG_HPP
#define FAULTLINE_ENGINE_RIG_HPP

#include "engine/crew.hpp"
#include "engine/scenario.hpp"
#include "engine/schedule.hpp"
#include "kernel/session.hpp"

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace faultline {

// Why there is no run, or no further one.
struct Refusal {
    Verdict verdict = Verdict::error; // or skip
    std::string why;
    bool interrupted = false; // by a signal
    bool stuck = false;       // tasks will not come back: this Rig is of no more use
    bool hung = false;        // the run was not over in its time
};

// Where the time of runs goes, in seconds: the sum over all runs of a Rig.
struct RunTimes {
    double schedule = 0; // other edges: compiled, and given to the module
    double lay_out = 0;  // the experiment's begin
    double stage = 0;    // actors made or reset
    double arm = 0;      // the module told of the page and of the run
    double act = 0;      // from the wake-up of the actors to the end of the last one
    double collect = 0;  // the module's result
    double judge = 0;    // the experiment's judge
};

struct RigOptions {
    std::chrono::milliseconds timeout{30000}; // for one run
    Bounds bounds;                            // for one hold
    unsigned jitter_us = 0;                   // random late start of each actor
    // Before each run, when all its tasks are there: their numbers, by actor.
    std::function<Result<void>(const std::vector<pid_t>& tasks)> staged = {};
    std::function<Result<std::unique_ptr<Session>>()> open_session = DebugfsSession::open;
};

// Its members' order matters: the session outlives the crew, and the experiment outlives both.
class Rig {
  public:
    Rig(const Scenario& scenario, const Variant& variant, const Control* control,
        RigOptions options);
    Rig(const Rig&) = delete;
    Rig& operator=(const Rig&) = delete;
    ~Rig() { tear_down(); }

    // Tests the needs, prepares the experiment, arms and starts the actors. `functions` are patched
    // beside those of the edges: schedule() can put sites there.
    std::optional<Refusal> prepare(const std::vector<Edge>& edges,
                                   const std::vector<std::string>& functions = {});
    // Other edges for the runs to come. ENOENT: a function is not patched. Off: the control stays
    // armed, and applies in none of these runs.
    enum class Controls { on, off };
    Result<void> schedule(const std::vector<Edge>& edges, Controls controls = Controls::on);
    // Other bounds of a hold, from the next schedule() on.
    void set_bounds(const Bounds& bounds) { options_.bounds = bounds; }

    // `take` gets the run and what judge() said of it.
    std::optional<Refusal> run(unsigned number, std::uint64_t seed,
                               const std::function<void(const Run&, Outcome)>& take);
    // Disarms and ends the actors; false if a thread did not end. No run can follow.
    bool tear_down();

    // After prepare():
    [[nodiscard]] Experiment& experiment() const { return *experiment_; }
    [[nodiscard]] const Program& program() const { return program_; }
    [[nodiscard]] const std::vector<std::string>& actors() const { return actors_; }
    // Those of the actors that are threads of the kernel.
    [[nodiscard]] const std::set<std::string>& kernel_threads() const { return kernel_threads_; }
    // The requested functions that this kernel could patch.
    [[nodiscard]] const std::vector<std::string>& patched() const { return patched_; }
    [[nodiscard]] const RunTimes& times() const { return times_; }
    void clear_times() { times_ = {}; }

  private:
    std::optional<Refusal> check_needs() const;
    std::optional<Refusal> compile_program(const std::vector<Edge>& edges,
                                           const std::vector<Actor>& actors);
    std::optional<Refusal> arm(const std::vector<std::string>& functions);
    [[nodiscard]] std::optional<Refusal> check_end(const Crew::End& end,
                                                   const std::string& which) const;

    const Scenario& scenario_;
    const Variant& variant_;
    const Control* control_;
    RigOptions options_;
    std::vector<std::string> actors_;
    std::set<std::string> kernel_threads_;
    std::vector<std::string> patched_;
    RunTimes times_;
    std::vector<fl_control> controls_;
    std::unique_ptr<Experiment> experiment_;
    Program program_;
    std::unique_ptr<Session> session_;
    std::unique_ptr<Crew> crew_;
};

} // namespace faultline

#endif // FAULTLINE_ENGINE_RIG_HPP
