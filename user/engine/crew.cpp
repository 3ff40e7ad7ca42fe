// SPDX-License-Identifier: GPL-2.0
#include "engine/crew.hpp"

#include "engine/stop.hpp"
#include "kernel/cpu.hpp"
#include "kernel/kernel_thread.hpp"

#include <algorithm>
#include <atomic>
#include <climits>
#include <csignal>
#include <cstring>
#include <linux/futex.h>
#include <poll.h>
#include <sstream>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <thread>

namespace faultline {

using Clock = std::chrono::steady_clock;

namespace {

constexpr std::chrono::milliseconds slice{100}; // how long any single wait may sleep
constexpr std::chrono::seconds grace{5};        // to come back after FL_IOC_STOP
constexpr std::chrono::seconds staging_bound{10};

// Across processes: std::atomic::wait() makes private futexes.
void futex_wait(std::atomic<std::uint32_t>& word, std::uint32_t seen,
                std::chrono::milliseconds bound) {
    const timespec timeout{bound.count() / 1000, (bound.count() % 1000) * 1000000};
    ::syscall(SYS_futex, &word, FUTEX_WAIT, seen, &timeout, nullptr, 0);
}

void futex_wake_all(std::atomic<std::uint32_t>& word) {
    ::syscall(SYS_futex, &word, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
}

void spin_for(std::chrono::microseconds time) {
    const auto end = Clock::now() + time;
    while (Clock::now() < end) {
    }
}

// "alloc_pages <- collapse_file <- ...": what a person needs first when a task hangs.
std::string where_is(pid_t tid) {
    const std::string proc = "/proc/" + std::to_string(tid);
    std::string text = "tid " + std::to_string(tid);
    const Result<std::string> wchan = read_text(proc + "/wchan");
    if (wchan)
        text += ", wchan " + *wchan;
    const Result<std::string> stack = read_text(proc + "/stack");
    if (!stack)
        return text;
    std::istringstream lines(*stack);
    std::string address;
    std::string frame;
    std::string frames;
    while (lines >> address && std::getline(lines >> std::ws, frame))
        frames += (frames.empty() ? ", stack " : " < ") + frame.substr(0, frame.find('+'));
    return text + frames;
}

} // namespace

// In memory shared with the process actors.
struct Crew::Share {
    std::atomic<std::uint32_t> generation{0}; // a step starts a run
    std::atomic<std::uint32_t> ready{0};      // process actors that are bound
    std::atomic<std::uint32_t> stopping{0};
    unsigned run = 0;
    std::uint64_t seed = 0;
    std::array<ActorShare, FL_MAX_ACTORS> actors{};
};

struct Crew::State {
    struct Unmap {
        void operator()(Share* share) const { ::munmap(share, sizeof(Share)); }
    };
    struct Thread {
        std::thread thread;
        std::atomic<pid_t> tid{0};              // of a kernel's thread, too
        std::atomic<std::uint32_t> finished{0}; // the generation it has done
        std::atomic<bool> left{false};          // for good
    };

    State(std::vector<Actor> crew, const Program& program, Session& module, unsigned jitter)
        : actors(std::move(crew)), user_sites(program.user_sites), session(module),
          jitter_us(jitter), threads(actors.size()) {}

    void act(std::size_t index);
    void thread_main(std::size_t index);
    [[noreturn]] void child_main(std::size_t index, pid_t parent, std::uint32_t seen);

    std::vector<Actor> actors;
    std::vector<std::vector<std::pair<std::string, unsigned>>> user_sites;
    Session& session;
    unsigned jitter_us;
    std::unique_ptr<Share, Unmap> share;
    Fd ended;                      // eventfd: a thread has ended its run
    std::atomic<bool> quit{false}; // threads leave for good
    std::vector<Thread> threads;   // by actor; unused for processes
};

void Crew::State::act(std::size_t index) {
    const std::uint64_t seed = mix(share->seed) + index;
    ActorContext context(session, user_sites[index], share->actors.at(index), share->stopping,
                         share->run, mix(seed));
    if (jitter_us != 0)
        spin_for(std::chrono::microseconds(context.rng().below(jitter_us)));
    actors[index].body(context);
}

void Crew::State::thread_main(std::size_t index) {
    block_stop_signals();
    ::prctl(PR_SET_NAME, std::string(actors[index].name).c_str());
    Thread& self = threads[index];
    const Result<void> pinned = pin_to_cpu(static_cast<unsigned>(actors[index].cpu));
    if (!pinned) {
        ActorShare& mine = share->actors.at(index);
        const Error& error = pinned.error();
        ActorContext(session, user_sites[index], mine, share->stopping, 0, 0).fail(error);
    }
    self.tid.store(::gettid());
    std::uint32_t seen = 0;
    for (;;) {
        const std::uint32_t now = share->generation.load(std::memory_order_acquire);
        if (quit.load()) {
            self.left.store(true);
            return;
        }
        if (now == seen) {
            futex_wait(share->generation, seen, std::chrono::seconds(1));
            continue;
        }
        seen = now;
        act(index);
        self.finished.store(seen, std::memory_order_release);
        const std::uint64_t one = 1;
        // Cannot block or fail: the counter is drained by join() and never near its end.
        [[maybe_unused]] const ssize_t put = ::write(ended.get(), &one, sizeof(one));
    }
}

void Crew::State::child_main(std::size_t index, pid_t parent, std::uint32_t seen) {
    // The parent's thread that forked is its main thread: this fires when the driver dies.
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent)
        ::_exit(1);
    block_stop_signals();
    ::prctl(PR_SET_NAME, std::string(actors[index].name).c_str());
    ActorContext context(session, user_sites[index], share->actors.at(index), share->stopping, 0,
                         0);
    const Result<void> pinned = pin_to_cpu(static_cast<unsigned>(actors[index].cpu));
    const Result<void> bound = session.bind(static_cast<unsigned>(index), 0);
    if (!pinned)
        context.fail(pinned.error());
    if (!bound)
        context.fail(bound.error());
    share->ready.fetch_add(1);
    futex_wake_all(share->ready);
    while (share->generation.load(std::memory_order_acquire) == seen) {
        if (share->stopping.load() != 0)
            ::_exit(0);
        futex_wait(share->generation, seen, slice);
    }
    act(index);
    ::_exit(0);
}

Result<std::unique_ptr<Crew>> Crew::start(std::vector<Actor> actors, const Program& program,
                                          Session& session, unsigned jitter_us) {
    auto state = std::make_shared<State>(std::move(actors), program, session, jitter_us);
    void* memory =
        ::mmap(nullptr, sizeof(Share), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return Error::last("mmap shared memory");
    state->share.reset(new (memory) Share);
    state->ended = Fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!state->ended)
        return Error::last("eventfd");
    std::unique_ptr<Crew> crew(new Crew(std::move(state)));
    const Result<void> started = crew->start_threads();
    if (!started)
        return started.error();
    return crew;
}

Result<void> Crew::start_threads() {
    for (std::size_t i = 0; i < state_->actors.size(); ++i) {
        if (state_->actors[i].kind != Actor::Kind::thread)
            continue;
        State::Thread& thread = state_->threads[i];
        thread.thread = std::thread([state = state_, i] { state->thread_main(i); });
        const auto end = Clock::now() + staging_bound;
        while (thread.tid.load() == 0) {
            if (Clock::now() > end)
                return Error::make(ETIMEDOUT, "start the thread of", state_->actors[i].name);
            std::this_thread::sleep_for(std::chrono::microseconds(100));
        }
        const Result<void> bound =
            state_->session.bind(static_cast<unsigned>(i), thread.tid.load());
        if (!bound)
            return bound;
        // fail() of a thread that could not be pinned; later failures are those of a run.
        const ActorShare& share = state_->share->actors.at(i);
        if (share.failed != 0)
            return Error::make(0, share.failure.data(), state_->actors[i].name);
    }
    return {};
}

Crew::~Crew() {
    dismiss();
    for (State::Thread& thread : state_->threads)
        if (thread.thread.joinable())
            thread.thread.detach(); // stuck; it holds a reference to the state
}

bool Crew::dismiss() {
    cancel();
    state_->quit.store(true);
    // A step, so that no thread misses the wake-up between its test and its wait.
    state_->share->generation.fetch_add(1, std::memory_order_release);
    futex_wake_all(state_->share->generation);
    const auto end = Clock::now() + grace;
    for (State::Thread& thread : state_->threads) {
        if (!thread.thread.joinable())
            continue;
        while (!stuck_ && !thread.left.load() && Clock::now() < end)
            std::this_thread::sleep_for(std::chrono::microseconds(100));
        if (thread.left.load())
            thread.thread.join();
        else
            stuck_ = true;
    }
    return !stuck_;
}

void Crew::schedule(const Program& program) {
    // Every reader of this reads it after the next step of the generation.
    state_->user_sites = program.user_sites;
}

pid_t Crew::task(std::size_t actor) const {
    for (const Child& child : children_)
        if (child.actor == actor)
            return child.pid;
    return state_->threads.at(actor).tid.load();
}

Result<void> Crew::stage(unsigned run, std::uint64_t seed) {
    Share& share = *state_->share;
    share.run = run;
    share.seed = seed;
    share.stopping.store(0);
    share.ready.store(0);
    for (ActorShare& actor : share.actors) {
        actor.slots.fill(unreported);
        actor.failed = 0;
    }
    children_.clear();
    for (std::size_t i = 0; i < state_->actors.size(); ++i) {
        const Actor::Kind kind = state_->actors[i].kind;
        const Result<void> done = kind == Actor::Kind::process         ? fork_child(i)
                                  : kind == Actor::Kind::kernel_thread ? bind_kernel_thread(i)
                                                                       : Result<void>();
        if (!done)
            return done;
    }
    if (!wait_ready(static_cast<unsigned>(children_.size())))
        return Error::make(ETIMEDOUT, "start the process actors");
    for (const Child& child : children_) {
        const ActorShare& actor = share.actors.at(child.actor);
        if (actor.failed != 0)
            return Error::make(0, actor.failure.data(), state_->actors[child.actor].name);
    }
    return {};
}

// It ends and is made anew as settings change, and may yet be on its way out of the last run.
Result<void> Crew::bind_kernel_thread(std::size_t actor) {
    const auto end = Clock::now() + staging_bound;
    for (;;) {
        const Result<pid_t> pid = kernel_thread(state_->actors[actor].name);
        if (!pid)
            return pid.error();
        const Result<void> bound = state_->session.bind(static_cast<unsigned>(actor), *pid);
        state_->threads.at(actor).tid.store(*pid);
        const bool busy =
            !bound && (bound.error().number == EBUSY || bound.error().number == ESRCH);
        if (!busy || Clock::now() > end)
            return bound;
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
}

Result<void> Crew::fork_child(std::size_t actor) {
    const pid_t parent = ::getpid();
    const std::uint32_t seen = state_->share->generation.load();
    const pid_t pid = ::fork();
    if (pid < 0)
        return Error::last("fork", state_->actors[actor].name);
    if (pid == 0)
        state_->child_main(actor, parent, seen);
    Fd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
    const bool opened = pidfd.valid();
    const Error error = Error::last("pidfd_open");
    children_.push_back({actor, pid, std::move(pidfd)});
    return opened ? Result<void>() : Result<void>(error);
}

bool Crew::wait_ready(unsigned children) {
    std::atomic<std::uint32_t>& ready = state_->share->ready;
    const auto end = Clock::now() + staging_bound;
    for (std::uint32_t now = ready.load(); now < children; now = ready.load()) {
        if (Clock::now() > end)
            return false;
        futex_wait(ready, now, slice);
    }
    return true;
}

void Crew::go() {
    state_->share->generation.fetch_add(1, std::memory_order_release);
    futex_wake_all(state_->share->generation);
}

bool Crew::all_back() const {
    const std::uint32_t generation = state_->share->generation.load();
    for (const State::Thread& thread : state_->threads)
        if (thread.thread.joinable() &&
            thread.finished.load(std::memory_order_acquire) != generation)
            return false;
    return std::all_of(children_.begin(), children_.end(),
                       [](const Child& child) { return child.reaped; });
}

void Crew::reap(Child& child) {
    int status = 0;
    if (::waitpid(child.pid, &status, WNOHANG) != child.pid)
        return;
    child.reaped = true;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return;
    if (WIFSIGNALED(status) && state_->actors[child.actor].may_die)
        return;
    ActorShare& share = state_->share->actors.at(child.actor);
    ActorContext context(state_->session, state_->user_sites[child.actor], share,
                         state_->share->stopping, 0, 0);
    context.fail(WIFSIGNALED(status)
                     ? Error::make(0, std::string("ended by signal ") + strsignal(WTERMSIG(status)))
                     : Error::make(0, "exited " + std::to_string(WEXITSTATUS(status))));
}

// True once all are back. heed_signals: also return when the driver gets a signal to stop.
bool Crew::wait_all(Clock::time_point end, bool heed_signals) {
    for (;;) {
        std::vector<pollfd> wait = {{state_->ended.get(), POLLIN, 0}};
        for (Child& child : children_) {
            if (!child.reaped)
                reap(child);
            if (!child.reaped)
                wait.push_back({child.pidfd.get(), POLLIN, 0});
        }
        if (all_back())
            return true;
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - Clock::now());
        if (left.count() <= 0 || (heed_signals && stop_signal() != 0))
            return false;
        const int bound = static_cast<int>(std::min(left, slice).count());
        if (::poll(wait.data(), wait.size(), bound) > 0 && (wait[0].revents & POLLIN) != 0) {
            std::uint64_t count = 0;
            [[maybe_unused]] const ssize_t got = ::read(state_->ended.get(), &count, sizeof(count));
        }
    }
}

std::string Crew::describe_stuck() const {
    std::string text;
    const auto add = [&](std::size_t actor, pid_t tid) {
        text += (text.empty() ? "" : "; ") + std::string(state_->actors[actor].name) + " (" +
                where_is(tid) + ")";
    };
    const std::uint32_t generation = state_->share->generation.load();
    for (std::size_t i = 0; i < state_->threads.size(); ++i)
        if (state_->threads[i].thread.joinable() &&
            state_->threads[i].finished.load() != generation)
            add(i, state_->threads[i].tid.load());
    for (const Child& child : children_)
        if (!child.reaped)
            add(child.actor, child.pid);
    return text;
}

Crew::End Crew::join(std::chrono::milliseconds timeout) {
    End end;
    if (!wait_all(Clock::now() + timeout, true)) {
        end.timed_out = stop_signal() == 0;
        end.stuck = describe_stuck(); // before FL_IOC_STOP sets them free
        state_->share->stopping.store(1);
        const Result<void> stopped = state_->session.stop();
        if (!stopped)
            end.actor_failure = stopped.error().to_string();
        if (!wait_all(Clock::now() + grace, false)) {
            end.stuck = describe_stuck();
            for (const Child& child : children_)
                if (!child.reaped)
                    ::kill(child.pid, SIGKILL);
            end.all_back = wait_all(Clock::now() + grace, false);
        }
        stuck_ = !end.all_back;
    }
    // The run is over. Until the next run its actors act for themselves, with a page fault for
    // example. No control may apply to that: the kernel would repeat a look-up that finds nothing
    // for ever.
    const Result<void> ended = state_->session.stop();
    if (!ended && end.actor_failure.empty())
        end.actor_failure = ended.error().to_string();
    for (std::size_t i = 0; i < state_->actors.size() && end.actor_failure.empty(); ++i) {
        const ActorShare& actor = state_->share->actors.at(i);
        if (actor.failed != 0)
            end.actor_failure = std::string(state_->actors[i].name) + ": " + actor.failure.data();
    }
    return end;
}

void Crew::cancel() {
    state_->share->stopping.store(1);
    for (Child& child : children_)
        if (!child.reaped)
            ::kill(child.pid, SIGKILL);
    const auto end = Clock::now() + grace;
    for (Child& child : children_)
        while (!child.reaped && Clock::now() < end) {
            reap(child);
            if (!child.reaped)
                std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
    children_.clear();
}

const std::array<std::int64_t, slots_per_actor>& Crew::slots(std::size_t actor) const {
    return state_->share->actors.at(actor).slots;
}

} // namespace faultline
