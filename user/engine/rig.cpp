// SPDX-License-Identifier: GPL-2.0
#include "engine/rig.hpp"

#include "engine/stop.hpp"
#include "kernel/extent.hpp"
#include "kernel/own_memory.hpp"

#include <cstring>

namespace faultline {

namespace {

Refusal fault(const Error& error, std::string_view what) {
    return {.why = std::string(what) + ": " + error.to_string()};
}

Result<void> put_name(char (&to)[FL_NAME_LEN], std::string_view from) {
    if (from.size() >= sizeof(to))
        return Error::make(ENAMETOOLONG, "control: name too long", from);
    std::memcpy(to, from.data(), from.size());
    return {};
}

Result<fl_control> make_control(const ControlAction& action, const std::vector<Actor>& actors,
                                std::uint64_t base) {
    fl_control control{};
    control.kind = action.kind;
    control.value = action.value + (action.value_is_address ? base : 0);
    control.every = action.every;
    for (std::size_t i = 0; i < actors.size(); ++i)
        if (action.actor.empty() || actors[i].name == action.actor)
            control.actors |= 1U << i;
    if (control.actors == 0)
        return Error::make(EINVAL, "control: no such actor", action.actor);
    for (const Result<void>& put :
         {put_name(control.function, action.function), put_name(control.caller, action.caller),
          put_name(control.replacement, action.replacement)})
        if (!put)
            return put.error();
    return control;
}

// Adds the time since the last lap to a sum.
class Laps {
  public:
    void lap(double& sum) {
        const auto now = Clock::now();
        sum += std::chrono::duration<double>(now - last_).count();
        last_ = now;
    }

  private:
    using Clock = std::chrono::steady_clock;
    Clock::time_point last_ = Clock::now();
};

// This kernel has no such function, or it cannot be traced: nothing of ours is wrong.
bool is_missing(const Error& error) { return error.number == ENOENT || error.number == ENODEV; }

// After a fork() each thread would copy a page of the heap when it first writes there. Under a
// control that flushes no TLB the other CPUs would go on with the old page (seen as a corrupted
// heap: hugetlb-walker+no-call as a file, 6.1 and 7.2). So this thread, to which no control
// applies, copies them all, as far as possible.
void own_all_memory() {
    if (const Result<Geometry> found = geometry())
        (void)populate_own_memory(found->huge_bytes);
}

} // namespace

Rig::Rig(const Scenario& scenario, const Variant& variant, const Control* control,
         RigOptions options)
    : scenario_(scenario), variant_(variant), control_(control), options_(std::move(options)) {}

std::optional<Refusal> Rig::prepare(const std::vector<Edge>& edges,
                                    const std::vector<std::string>& functions) {
    if (std::optional<Refusal> missing = check_needs())
        return missing;
    experiment_ = scenario_.make(variant_);
    if (!experiment_)
        return Refusal{.why = "the scenario does not know this variant"};
    const Result<void> prepared = experiment_->prepare();
    if (!prepared)
        return fault(prepared.error(), "prepare");
    std::vector<Actor> actors = experiment_->actors();
    if (std::optional<Refusal> refused = compile_program(edges, actors))
        return refused;
    if (std::optional<Refusal> refused = arm(functions))
        return refused;
    Result<std::unique_ptr<Crew>> crew =
        Crew::start(std::move(actors), program_, *session_, options_.jitter_us);
    if (!crew)
        return fault(crew.error(), "start actors");
    crew_ = std::move(*crew);
    return std::nullopt;
}

std::optional<Refusal> Rig::check_needs() const {
    static const std::vector<Need> none;
    for (const std::vector<Need>* needs :
         {&scenario_.needs, &variant_.needs, control_ == nullptr ? &none : &control_->needs})
        for (const Need& need : *needs)
            if (const std::optional<std::string> missing = need.missing())
                return Refusal{.verdict = Verdict::skip,
                               .why = std::string(need.name) + ": " + *missing};
    return std::nullopt;
}

std::optional<Refusal> Rig::compile_program(const std::vector<Edge>& edges,
                                            const std::vector<Actor>& actors) {
    for (const Actor& actor : actors) {
        actors_.emplace_back(actor.name);
        if (actor.kind == Actor::Kind::kernel_thread)
            kernel_threads_.emplace(actor.name);
    }
    if (control_ != nullptr)
        for (const ControlAction& action : control_->actions) {
            const Result<fl_control> made =
                make_control(action, actors, experiment_->corrupt_base());
            if (!made)
                return fault(made.error(), control_->name);
            controls_.push_back(*made);
        }
    Result<Program> program = compile(edges, actors_, controls_, options_.bounds);
    if (!program)
        return Refusal{.why = "schedule: " + program.error().message};
    program_ = std::move(*program);
    return std::nullopt;
}

std::optional<Refusal> Rig::arm(const std::vector<std::string>& functions) {
    Result<std::unique_ptr<Session>> session = options_.open_session();
    if (!session)
        return fault(session.error(), "session");
    session_ = std::move(*session);
    if (!functions.empty()) {
        Result<std::vector<std::string>> patched = session_->patch(functions);
        if (!patched)
            return fault(patched.error(), "patch");
        patched_ = std::move(*patched);
    }
    const Result<void> armed = session_->arm(program_.abi);
    if (armed)
        return std::nullopt;
    if (is_missing(armed.error()))
        return Refusal{.verdict = Verdict::skip, .why = armed.error().message};
    return fault(armed.error(), "arm");
}

Result<void> Rig::schedule(const std::vector<Edge>& edges, Controls controls) {
    Laps laps;
    Result<Program> program = compile(edges, actors_, controls_, options_.bounds);
    if (!program)
        return program.error();
    if (controls == Controls::off)
        program->abi.flags |= FL_PROGRAM_NO_CONTROLS;
    const Result<void> taken = session_->schedule(program->abi);
    if (!taken)
        return taken;
    program_ = std::move(*program);
    crew_->schedule(program_);
    laps.lap(times_.schedule);
    return {};
}

std::optional<Refusal> Rig::run(unsigned number, std::uint64_t seed,
                                const std::function<void(const Run&, Outcome)>& take) {
    const std::string which = "run " + std::to_string(number);
    Run run(number, seed);
    Laps laps;
    const Result<void> begun = experiment_->begin_run(run);
    if (!begun)
        return fault(begun.error(), which + ", begin");
    laps.lap(times_.lay_out);
    const Result<void> staged = crew_->stage(number, seed);
    if (!staged)
        return fault(staged.error(), which + ", start actors");
    if (control_ != nullptr && crew_->forked())
        own_all_memory();
    if (options_.staged) {
        std::vector<pid_t> tasks;
        for (std::size_t i = 0; i < actors_.size(); ++i)
            tasks.push_back(crew_->task(i));
        if (const Result<void> told = options_.staged(tasks); !told)
            return fault(told.error(), which);
    }
    laps.lap(times_.stage);
    const Result<void> aimed = session_->aim(run.aim());
    if (!aimed)
        return fault(aimed.error(), which);
    const Result<void> opened = session_->begin_run();
    if (!opened)
        return fault(opened.error(), which);
    laps.lap(times_.arm);
    crew_->go();
    const Crew::End joined = crew_->join(options_.timeout);
    laps.lap(times_.act);
    if (std::optional<Refusal> bad = check_end(joined, which))
        return bad;
    const Result<fl_result> result = session_->result();
    if (!result)
        return fault(result.error(), which);
    run.set_result(*result, program_.sites);
    for (std::size_t i = 0; i < actors_.size(); ++i)
        run.set_slots(actors_[i], crew_->slots(i));
    laps.lap(times_.collect);
    Outcome outcome = experiment_->judge_run(run);
    laps.lap(times_.judge);
    take(run, std::move(outcome));
    return std::nullopt;
}

std::optional<Refusal> Rig::check_end(const Crew::End& end, const std::string& which) const {
    if (!end.all_back)
        return Refusal{.why = which + ": stuck for good: " + end.stuck, .stuck = true};
    if (end.timed_out)
        return Refusal{.why = which + ": not over after " +
                              std::to_string(options_.timeout.count()) + " ms: " + end.stuck,
                       .hung = true};
    if (stop_signal() != 0)
        return Refusal{.why = std::string("interrupted by signal ") + strsignal(stop_signal()),
                       .interrupted = true};
    if (!end.actor_failure.empty())
        return Refusal{.why = which + ", " + end.actor_failure};
    return std::nullopt;
}

bool Rig::tear_down() {
    if (crew_ && (crew_->stuck() || !crew_->dismiss())) {
        // Tasks that will not come back still use these: they must live as long as the driver.
        crew_.reset();
        [[maybe_unused]] const Session* session = session_.release();
        [[maybe_unused]] const Experiment* experiment = experiment_.release();
        return false;
    }
    crew_.reset();
    if (session_) [[maybe_unused]]
        const Result<void> disarmed = session_->disarm();
    session_.reset();
    experiment_.reset();
    return true;
}

} // namespace faultline
