// SPDX-License-Identifier: GPL-2.0
#include "model/explorer.hpp"

#include "engine/rng.hpp"

#include <utility>

namespace faultline::model {

namespace {

constexpr std::size_t stack_bytes = std::size_t{64} * 1024;
// A run that is longer goes round in circles.
constexpr std::size_t most_steps = 500;

// Stacks are made once and used again: there are millions of runs.
std::vector<std::unique_ptr<char[]>>& spare_stacks() { // NOLINT(modernize-avoid-c-arrays)
    static std::vector<std::unique_ptr<char[]>> spare; // NOLINT(modernize-avoid-c-arrays)
    return spare;
}

} // namespace

struct Explorer::Run::Fiber {
    std::string name;
    std::function<void()> body;
    std::function<bool()> enabled;
    std::string operation; // that it is about to do
    std::uint64_t history = 0;
    bool begun = false;
    bool ended = false;
    std::unique_ptr<char[]> stack; // NOLINT(modernize-avoid-c-arrays)
    ucontext_t context{};
};

Explorer::Run::~Run() {
    for (const std::unique_ptr<Fiber>& fiber : fibers_)
        spare_stacks().push_back(std::move(fiber->stack));
}

// makecontext() passes ints: an address comes as two.
void Explorer::Run::enter(unsigned high, unsigned low) {
    auto* run = reinterpret_cast<Run*>( // NOLINT(performance-no-int-to-ptr)
        (static_cast<std::uintptr_t>(high) << 32) | low);
    Fiber& me = *run->current_;
    me.body();
    me.ended = true;
    swapcontext(&me.context, &run->scheduler_);
}

void Explorer::Run::add_fiber(std::string name, std::function<void()> body,
                              std::function<bool()> enabled) {
    auto fiber = std::make_unique<Fiber>();
    fiber->name = std::move(name);
    fiber->body = std::move(body);
    fiber->enabled = std::move(enabled);
    if (spare_stacks().empty()) {
        fiber->stack = std::make_unique<char[]>(stack_bytes); // NOLINT(modernize-avoid-c-arrays)
    } else {
        fiber->stack = std::move(spare_stacks().back());
        spare_stacks().pop_back();
    }
    getcontext(&fiber->context);
    fiber->context.uc_stack.ss_sp = fiber->stack.get();
    fiber->context.uc_stack.ss_size = stack_bytes;
    fiber->context.uc_link = nullptr;
    const auto address = reinterpret_cast<std::uintptr_t>(this);
    makecontext(&fiber->context, reinterpret_cast<void (*)()>(enter), 2,
                static_cast<unsigned>(address >> 32), static_cast<unsigned>(address));
    fibers_.push_back(std::move(fiber));
}

void Explorer::Run::step(const std::string& operation) {
    Fiber& me = *current_;
    me.operation = operation;
    swapcontext(&me.context, &scheduler_);
    trace_.push_back(me.name + ": " + operation);
    me.history = mix(me.history + 1);
}

void Explorer::Run::saw(std::uint64_t value) {
    current_->history = mix(current_->history ^ value);
    if (!trace_.empty())
        trace_.back() += " -> " + std::to_string(static_cast<std::int64_t>(value));
}

void Explorer::Run::violation(std::string what) {
    if (violation_.empty())
        violation_ = std::move(what);
}

void Explorer::Run::resume(Fiber& fiber) {
    current_ = &fiber;
    swapcontext(&scheduler_, &fiber.context);
    current_ = nullptr;
}

// Up to their first operation the others see nothing of them: no choice.
void Explorer::Run::begin_fibers() {
    // By index: a fiber may add others. NOLINTNEXTLINE(modernize-loop-convert)
    for (std::size_t i = 0; i < fibers_.size(); ++i)
        if (!std::exchange(fibers_[i]->begun, true))
            resume(*fibers_[i]);
}

std::vector<std::size_t> Explorer::Run::choices() const {
    std::vector<std::size_t> able;
    for (std::size_t i = 0; i < fibers_.size(); ++i)
        if (!fibers_[i]->ended && (!fibers_[i]->enabled || fibers_[i]->enabled()))
            able.push_back(i);
    return able;
}

std::uint64_t Explorer::Run::state() const {
    std::uint64_t sum = shared_state ? mix(shared_state()) : 0;
    for (const std::unique_ptr<Fiber>& fiber : fibers_)
        sum = mix(sum ^ mix(fiber->history + (fiber->ended ? 1 : 0)));
    return sum;
}

void Explorer::run_once(Run& run, std::vector<Choice>& path,
                        std::unordered_set<std::uint64_t>& states) {
    for (std::size_t depth = 0; run.violation_.empty(); ++depth) {
        run.begin_fibers();
        const std::vector<std::size_t> able = run.choices();
        if (able.empty())
            break;
        if (depth == most_steps)
            return run.violation("goes on for ever");
        if (depth == path.size())
            path.push_back({0, able.size()});
        run.resume(*run.fibers_[able[path[depth].taken]]);
        states.insert(run.state());
    }
    if (run.violation_.empty() && run.at_end)
        run.violation_ = run.at_end();
}

bool Explorer::next(std::vector<Choice>& path) {
    while (!path.empty() && path.back().taken + 1 == path.back().of)
        path.pop_back();
    if (path.empty())
        return false;
    ++path.back().taken;
    return true;
}

Exploration Explorer::explore(const Setup& setup, std::uint64_t bound) {
    Exploration found;
    std::vector<Choice> path;
    std::unordered_set<std::uint64_t> states;
    do {
        if (found.interleavings == bound) {
            found.complete = false;
            break;
        }
        Run run;
        setup(run);
        run_once(run, path, states);
        ++found.interleavings;
        found.most_grace_periods = std::max(found.most_grace_periods, run.grace_periods_);
        if (!run.violation_.empty()) {
            ++found.violations;
            if (!found.shortest || run.trace_.size() < found.shortest->steps.size())
                found.shortest = Counterexample{run.violation_, run.trace_};
        }
    } while (next(path));
    found.states = states.size();
    return found;
}

} // namespace faultline::model
