// SPDX-License-Identifier: GPL-2.0
#include "language/interpreter.hpp"

#include "kernel/shared_memory.hpp"
#include "operations/objects.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <fmt/format.h>
#include <unistd.h>

namespace faultline {

namespace {

constexpr std::int64_t number_bound = std::int64_t{1} << 59;
constexpr std::int64_t error_base = std::int64_t{1} << 60;
constexpr std::int64_t word_base = std::int64_t{1} << 61;
constexpr std::int64_t text_base = word_base + (std::int64_t{1} << 60); // a word that no row lists

constexpr std::int64_t most_rounds = 1000000; // of a loop
constexpr std::string_view no_result = "-";

// The names that a step sees, its own before those around.
class Scope {
  public:
    explicit Scope(const Scope* outer = nullptr) : outer_(outer) {}
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;
    ~Scope() { clear(); }

    void bind(const std::string& name, Value value) {
        for (auto& [known, old] : values_)
            if (known == name) {
                old = std::move(value);
                return;
            }
        values_.emplace_back(name, std::move(value));
    }
    [[nodiscard]] const Value* find(std::string_view name) const {
        for (const auto& [known, value] : values_)
            if (known == name)
                return &value;
        return outer_ == nullptr ? nullptr : outer_->find(name);
    }
    [[nodiscard]] const std::vector<std::pair<std::string, Value>>& own() const { return values_; }
    // The last one made goes first.
    void clear() {
        while (!values_.empty())
            values_.pop_back();
    }

  private:
    const Scope* outer_;
    std::vector<std::pair<std::string, Value>> values_;
};

// Runs steps, where `at` and results are the hooks' business.
class Runner {
  public:
    Runner(const Plan& plan, Doing& doing, Scope& scope)
        : plan_(plan), doing_(doing), scope_(scope) {}

    std::function<bool(const std::string& site)> at = [](const std::string&) { return true; };
    std::function<void(const std::string& name, const Value& value)> bound = [](const std::string&,
                                                                                const Value&) {};

    // False: the run is over for this actor.
    Result<bool> run(const std::vector<Step>& steps) {
        for (const Step& step : steps) {
            const Result<bool> done = run(step);
            if (!done || !*done)
                return done;
        }
        return true;
    }

    Result<Value> value_of(const Expression& expression, const Argument& argument) {
        switch (argument.type) {
        case Type::number: {
            const Result<std::int64_t> number = number_of(expression);
            if (!number)
                return number.error();
            return Value::of(*number);
        }
        case Type::word:
            for (const Constant& constant : argument.constants)
                if (constant.name == expression.text)
                    return Value{
                        .type = Type::word, .number = constant.number, .text = expression.text};
            return fault(expression.at, EINVAL, "not a word that it knows");
        case Type::text:
        case Type::actor:
        case Type::site:
            return Value{.type = argument.type, .text = expression.text};
        default:
            return object_of(expression);
        }
    }

  private:
    Error fault(Position place, int number, const std::string& text) const {
        return Error::make(number,
                           fmt::format("{}:{}:{}: {}", plan_.path, place.line, place.column, text));
    }

    Result<bool> run(const Step& step) {
        switch (step.kind) {
        case Step::Kind::at:
            return at(step.name);
        case Step::Kind::call:
            return call(step);
        case Step::Kind::repeat: {
            const Result<std::int64_t> times = number_of(step.bounds.at(0));
            if (!times)
                return times.error();
            return loop(step, 0, *times, "");
        }
        case Step::Kind::each: {
            const Result<std::int64_t> from = number_of(step.bounds.at(0));
            const Result<std::int64_t> to = number_of(step.bounds.at(1));
            if (!from || !to)
                return from ? to.error() : from.error();
            return loop(step, *from, *to, step.name);
        }
        case Step::Kind::until:
            return until(step);
        case Step::Kind::when: {
            const bool all =
                std::all_of(step.terms.begin(), step.terms.end(), [this](const Term& term) {
                    const Value* value = scope_.find(term.name);
                    return holds(term,
                                 value == nullptr ? std::string(no_result) : to_string(*value));
                });
            return run(all ? step.steps : step.otherwise);
        }
        case Step::Kind::parameter:
        case Step::Kind::comment:
            break;
        }
        return true;
    }

    Result<bool> loop(const Step& step, std::int64_t from, std::int64_t to,
                      const std::string& name) {
        if (to - from > most_rounds)
            return fault(step.at, E2BIG, fmt::format("more than {} rounds", most_rounds));
        for (std::int64_t i = from; i < to && !doing_.stopping(); ++i) {
            if (!name.empty())
                scope_.bind(name, Value::of(i));
            const Result<bool> done = run(step.steps);
            if (!done || !*done)
                return done;
        }
        return true;
    }

    // Once at least: the last round begins after the actor has ended.
    Result<bool> until(const Step& step) {
        for (bool last = false; !last && !doing_.stopping();) {
            last = doing_.ended(step.name);
            const Result<bool> done = run(step.steps);
            if (!done || !*done)
                return done;
        }
        return true;
    }

    Result<bool> call(const Step& step) {
        const Operation& operation = *find_operation(step.call.operation);
        std::vector<Value> values(operation.arguments.size());
        for (std::size_t i = 0; i < operation.arguments.size(); ++i) {
            const Argument& argument = operation.arguments[i];
            const Expression* expression = given(step.call, argument, i);
            if (expression != nullptr) {
                Result<Value> value = value_of(*expression, argument);
                if (!value)
                    return value.error();
                values[i] = std::move(*value);
            } else if (argument.otherwise && !argument.otherwise->empty()) {
                values[i] = usual(argument);
            }
        }
        doing_.binds = step.name;
        Result<Value> result = operation.act(doing_, Given(std::move(values)));
        if (!result)
            return Error::make(result.error().number,
                               fmt::format("{}:{}:{}: {}: {}", plan_.path, step.at.line,
                                           step.at.column, operation.name, result.error().message),
                               result.error().path);
        return take(step, std::move(*result));
    }

    // A failure that nobody asked about is no result, but our own trouble.
    Result<bool> take(const Step& step, Value value) {
        if (step.name.empty()) {
            if (value.type == Type::error && value.number != 0)
                return fault(step.at, static_cast<int>(value.number),
                             step.call.operation + " failed, and its result has no name");
            return true;
        }
        if (!step.as.empty()) {
            const std::string word = to_string(value);
            for (const auto& [from, to] : step.as)
                if (from == word || from == "*") {
                    value = Value::of_word(to);
                    break;
                }
        }
        if (value.object)
            value.text = step.name;
        bound(step.name, value);
        scope_.bind(step.name, std::move(value));
        return true;
    }

    static const Expression* given(const Call& call, const Argument& argument, std::size_t place) {
        for (std::size_t i = 0; i < call.arguments.size(); ++i)
            if (call.arguments[i].name.empty() ? i == place
                                               : call.arguments[i].name == argument.name)
                return &call.arguments[i].value;
        return nullptr;
    }

    static Value usual(const Argument& argument) {
        for (const Constant& constant : argument.constants)
            if (constant.name == *argument.otherwise)
                return {.type = Type::word,
                        .number = constant.number,
                        .text = std::string(constant.name)};
        return Value::of(std::strtoll(std::string(*argument.otherwise).c_str(), nullptr, 10));
    }

    Result<std::int64_t> number_of(const Expression& expression) {
        if (expression.kind == Expression::Kind::number)
            return expression.number;
        if (expression.kind == Expression::Kind::sum) {
            const Result<std::int64_t> left = number_of(expression.parts.at(0));
            const Result<std::int64_t> right = number_of(expression.parts.at(1));
            if (!left || !right)
                return left ? right : left;
            std::int64_t sum = 0;
            const bool over = expression.op == '+'   ? __builtin_add_overflow(*left, *right, &sum)
                              : expression.op == '-' ? __builtin_sub_overflow(*left, *right, &sum)
                                                     : __builtin_mul_overflow(*left, *right, &sum);
            if (over)
                return fault(expression.at, EOVERFLOW, "too large a number");
            return sum;
        }
        for (const NamedNumber& named : named_numbers())
            if (named.name == expression.text)
                return named.value();
        const Value* value = scope_.find(expression.text);
        if (value == nullptr || value->type != Type::number)
            return fault(expression.at, EINVAL, expression.text + " is no number in this run");
        return value->number;
    }

    Result<Value> object_of(const Expression& expression) {
        const bool one = expression.kind == Expression::Kind::page;
        const bool several = expression.kind == Expression::Kind::pages;
        const Expression& base = one || several ? expression.parts.at(0) : expression;
        const Value* found = scope_.find(base.text);
        if (found == nullptr || !found->object)
            return fault(base.at, EINVAL, base.text + " does not exist in this run");
        Value value = *found;
        if (!one && !several)
            return value;
        const Result<std::int64_t> from = number_of(expression.parts.at(1));
        if (!from)
            return from.error();
        std::int64_t to = one ? *from + 1 : static_cast<std::int64_t>(value.count);
        if (several && expression.parts.size() > 2) {
            const Result<std::int64_t> given_end = number_of(expression.parts.at(2));
            if (!given_end)
                return given_end.error();
            to = *given_end;
        }
        if (*from < 0 || to <= *from || to > static_cast<std::int64_t>(value.count))
            return fault(expression.at, ERANGE,
                         fmt::format("{} has pages 0 to {}, and {} to {} are none of them",
                                     base.text, value.count - 1, *from, to - 1));
        value.first = static_cast<std::size_t>(*from);
        value.count = static_cast<std::size_t>(to - *from);
        return value;
    }

    const Plan& plan_;
    Doing& doing_;
    Scope& scope_;
};

// Values that the actors share with each other and with judge: threads and processes alike.
struct Ended {
    std::array<std::atomic<bool>, FL_MAX_ACTORS> actors;
    std::array<std::atomic<bool>, FL_MAX_ACTORS> begun;
    std::array<std::atomic<pid_t>, FL_MAX_ACTORS> processes; // 0: it has not begun
    // By result: words that the plan does not know, such as the state of locks.
    std::array<std::array<char, 96>, std::size_t{FL_MAX_ACTORS} * slots_per_actor> texts{};
};

class Interpreter final : public Experiment {
  public:
    Interpreter(const Plan& plan, bool forced)
        : plan_(plan), forced_(forced), sums_(plan.measures.size()) {}

    Result<void> prepare() override {
        Result<SharedMemory<Ended>> ended = SharedMemory<Ended>::make();
        if (!ended)
            return ended.error();
        ended_ = std::move(*ended);
        Run none(0, 1);
        Doing doing = doing_of(none);
        if (Result<void> done = run(plan_.prepare, doing, prepared_); !done)
            return done;
        return find_corrupt_base(none);
    }

    std::vector<Actor> actors() override {
        std::vector<Actor> all;
        for (std::size_t i = 0; i < plan_.actors.size(); ++i) {
            const FileActor& actor = plan_.actors[i];
            if (plan_.absent.count(actor.name.text) != 0)
                continue;
            Actor one{.name = actor.name.text,
                      .kind = actor.kind,
                      .cpu = actor.cpu,
                      .may_die = actor.may_die};
            if (actor.kind != Actor::Kind::kernel_thread)
                one.body = [this, i](ActorContext& me) { act(me, i); };
            all.push_back(std::move(one));
        }
        return all;
    }

    Result<void> begin(Run& run) override {
        for (std::atomic<bool>& one : ended_->actors)
            one = false;
        for (std::atomic<bool>& one : ended_->begun)
            one = false;
        for (std::atomic<pid_t>& one : ended_->processes)
            one = 0;
        for (std::size_t i = 0; i < plan_.actors.size(); ++i) // a kernel's thread never ends
            ended_->actors.at(i) = plan_.actors[i].kind == Actor::Kind::kernel_thread;
        objects_.clear();
        seen_.clear();
        if (observing_ || plan_.draws != 0)
            Content::restart(run.seed());
        Doing doing = doing_of(run);
        Runner runner(plan_, doing, objects_);
        runner.bound = [this](const std::string& name, const Value& value) {
            if (!value.object)
                seen_[name] = to_string(value);
        };
        const Result<bool> done = runner.run(plan_.setup);
        if (!done || !observing_)
            return done ? Result<void>() : Result<void>(done.error());
        Observation& seen = observation_.emplace();
        Result<State> before = take_state(false, seen.before_seconds);
        if (!before)
            return before.error();
        seen.before = std::move(*before);
        return {};
    }

    Outcome judge(Run& run) override {
        Outcome outcome;
        Scope scope(&objects_);
        told_.clear();
        // Before the steps of `judge`: these touch pages.
        std::optional<Result<State>> after;
        if (observing_)
            after.emplace(take_state(true, observation_->after_seconds));
        for (std::size_t i = 0; i < plan_.results.size(); ++i) {
            const ActorResult& result = plan_.results[i];
            const std::int64_t slot =
                run.slot(plan_.actors.at(result.actor).name.text, result.slot);
            if (slot == unreported)
                continue;
            Value value = slot == text_base ? Value::of_word(ended_->texts.at(i).data())
                                            : decode(plan_, slot);
            seen_[result.name] = to_string(value);
            scope.bind(result.name, std::move(value));
        }
        Doing doing = doing_of(run);
        doing.tell = [this, &doing](const std::string& text) {
            told_[std::string(doing.binds)] = text;
        };
        doing.not_compared = [&outcome](const NotCompared& one) {
            outcome.not_compared.push_back(one);
        };
        Runner runner(plan_, doing, scope);
        runner.bound = [this](const std::string& name, const Value& value) {
            seen_[name] = to_string(value);
        };
        const Result<bool> judged = runner.run(plan_.judge);
        for (const std::string& name : plan_.outcome)
            outcome.add(name, word_of(name));
        for (std::size_t i = 0; i < plan_.forbid.size(); ++i)
            if (all_hold(plan_.forbid[i]))
                forbid(outcome, plan_.forbid[i], plan_.forbid_why[i]);
        if (!judged)
            outcome.forbid(judged.error().to_string());
        require_results(outcome);
        for (std::size_t i = 0; i < plan_.measures.size(); ++i) {
            sums_[i].first += as_number(word_of(plan_.measures[i].name.text)).value_or(0);
            sums_[i].second += as_number(word_of(plan_.measures[i].of.text)).value_or(0);
        }
        if (after)
            end_observation(std::move(*after), outcome);
        return outcome;
    }

    std::optional<bool> overlapped(const Run& /*run*/) override {
        if (forced_)
            return plan_.situation.empty() ? std::nullopt
                                           : std::optional<bool>(all_hold(plan_.situation));
        const bool all =
            std::all_of(plan_.outcome.begin(), plan_.outcome.end(),
                        [this](const std::string& name) { return seen_.count(name) != 0; });
        const bool arose = plan_.situation.empty() ? all : all_hold(plan_.situation);
        if (!arose)
            return false;
        // The module can also report that a lock excluded a schedule that is left to chance.
        return plan_.schedule.empty() ? std::optional<bool>(true) : std::nullopt;
    }

    [[nodiscard]] std::vector<Measure> measured(double /*seconds*/) const override {
        std::vector<Measure> all;
        for (std::size_t i = 0; i < plan_.measures.size(); ++i) {
            const FileMeasure& measure = plan_.measures[i];
            all.push_back({static_cast<double>(sums_[i].first), measure.text.text,
                           measure.of.text.empty() ? "" : fmt::format("of {}", sums_[i].second)});
        }
        return all;
    }

    [[nodiscard]] std::uint64_t corrupt_base() const override { return corrupt_base_; }

    bool observe() override {
        Result<KernelLog> log = KernelLog::open();
        observing_ = log.ok();
        if (log)
            log_.emplace(std::move(*log));
        return observing_;
    }
    [[nodiscard]] const Observation* observation() const override {
        return observation_ ? &*observation_ : nullptr;
    }

  private:
    // Reads the State of the machine; `objects`: also of the files and mappings that the setup
    // made, under their names.
    Result<State> take_state(bool objects, double& seconds) const {
        const auto start = std::chrono::steady_clock::now();
        StateScope scope{.process = false, // its heap grows
                         .cgroup = false,  // the kernel counts late there
                         .log = log_ ? &*log_ : nullptr};
        for (const auto& [name, value] : objects_.own()) {
            if (!objects)
                break;
            if (value.type == Type::memory) {
                scope.mappings.push_back(mapping_of(name, value));
            } else if (value.type == Type::file) {
                const auto& file = static_cast<const FileObject&>(*value.object);
                if (file.fd)
                    scope.files.push_back({.name = name,
                                           .file = file.fd.get(),
                                           .page_bytes = file.page_bytes,
                                           .content = !file.hugetlb}); // see `mappings`
            }
        }
        Result<State> state = State::take(scope);
        if (state)
            if (const Result<void> counted = count_pages(*state); !counted)
                state = counted.error();
        seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
        return state;
    }

    // Counters of pages may differ where the pages do; then only these values show that they count
    // them:
    //     file NAME beside-pages     st_blocks minus the pages in the page cache
    //     machine shmem-beside       the same of nr_shmem, over all files
    Result<void> count_pages(State& state) const {
        const auto page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
        std::uint64_t all = 0;
        bool any = false;
        for (const auto& [name, value] : objects_.own()) {
            if (value.type != Type::file)
                continue;
            const auto& file = static_cast<const FileObject&>(*value.object);
            if (file.hugetlb || !file.fd)
                continue;
            const Result<std::vector<bool>> present = present_pages(file);
            if (!present)
                return present.error();
            const auto pages =
                static_cast<std::uint64_t>(std::count(present->begin(), present->end(), true));
            all += pages;
            any = true;
            if (const auto blocks = state.value(fmt::format("file {} st_blocks", name)))
                state.note(fmt::format("file {} beside-pages", name), *blocks * 512 / page - pages);
        }
        if (const auto shmem = state.value("machine vmstat nr_shmem"); any && shmem)
            state.note("machine shmem-beside", *shmem - all);
        return {};
    }

    // Whose bytes are its file's where no entry maps a page, if it shows the whole file's.
    [[nodiscard]] MappingScope mapping_of(const std::string& name, const Value& value) const {
        const Range range = range_of(value);
        const auto& memory = static_cast<const MemoryObject&>(*value.object);
        MappingScope scope{.name = name, .start = range.start, .bytes = range.bytes};
        if (memory.file == nullptr) {
            scope.as_loaded = true;
            return scope;
        }
        for (const auto& [file, known] : objects_.own())
            if (known.type == Type::file && known.object.get() == memory.file.get() &&
                memory.shared && !memory.file->hugetlb) {
                scope.as_loaded = true;
                scope.file = file;
                scope.offset = memory.offset + value.first;
            }
        return scope;
    }

    void end_observation(Result<State> after, Outcome& outcome) {
        if (!after)
            outcome.forbid(after.error().to_string());
        else
            observation_->after = std::move(*after);
        for (const ActorResult& result : plan_.results)
            observation_->results.emplace_back(result.name, word_of(result.name));
        for (const std::string& name : plan_.outcome)
            if (std::none_of(plan_.results.begin(), plan_.results.end(),
                             [&name](const ActorResult& one) { return one.name == name; }))
                observation_->results.emplace_back(name, word_of(name));
    }

    Doing doing_of(Run& run) {
        Doing doing{.rng = run.rng(), .places = places_};
        doing.run = &run;
        doing.task_of = [this, &run](std::string_view actor) -> pid_t {
            const std::int64_t task = run.slot(actor, task_slot);
            return task == unreported ? 0 : static_cast<pid_t>(task);
        };
        doing.ended = [this](std::string_view actor) { return ended(actor); };
        return doing;
    }

    [[nodiscard]] bool ended(std::string_view actor) const { return is_set(ended_->actors, actor); }
    [[nodiscard]] bool is_set(const std::array<std::atomic<bool>, FL_MAX_ACTORS>& flags,
                              std::string_view actor) const {
        for (std::size_t i = 0; i < plan_.actors.size(); ++i)
            if (plan_.actors[i].name.text == actor)
                return flags.at(i);
        return true;
    }

    Result<void> run(const std::vector<Step>& steps, Doing& doing, Scope& scope) {
        const Result<bool> done = Runner(plan_, doing, scope).run(steps);
        return done ? Result<void>() : Result<void>(done.error());
    }

    void act(ActorContext& me, std::size_t number) {
        me.report(task_slot, ::gettid());
        Scope scope(&objects_);
        Doing doing{.rng = me.rng(), .places = places_};
        ended_->processes.at(number) = ::getpid();
        ended_->begun.at(number) = true;
        doing.begun = [this](std::string_view actor) { return is_set(ended_->begun, actor); };
        doing.stopping = [&me] { return me.stopping(); };
        doing.ended = [this](std::string_view actor) { return ended(actor); };
        doing.process_of = [this](std::string_view actor) -> pid_t {
            for (std::size_t i = 0; i < plan_.actors.size(); ++i)
                if (plan_.actors[i].name.text == actor)
                    return ended_->processes.at(i);
            return 0;
        };
        if (plan_.actors.at(number).kind == Actor::Kind::process)
            doing.leave = [this, number] { ended_->actors.at(number) = true; };
        doing.at_reading = [this, &me](std::string_view site, int tables,
                                       unsigned table) -> Result<bool> {
            if (observing_ && !me.has_site(site))
                return false; // explore asks for another order, without a reader at the table
            Result<bool> broken = me.at_reading(site, tables, table);
            if (observing_ && !broken && broken.error().number == ESTALE)
                return false; // ...in which the table is gone before the reader comes to it
            return broken;
        };
        Runner runner(plan_, doing, scope);
        runner.at = [&me](const std::string& site) { return me.at(site).ok(); };
        runner.bound = [this, &me, number](const std::string& name, const Value& value) {
            report(me, number, name, value);
        };
        const Result<bool> done = runner.run(plan_.steps.at(number));
        if (!done)
            me.fail(done.error());
        ended_->actors.at(number) = true;
    }

    void report(ActorContext& me, std::size_t number, const std::string& name, const Value& value) {
        for (std::size_t i = 0; i < plan_.results.size(); ++i) {
            const ActorResult& result = plan_.results[i];
            if (result.actor != number || result.name != name)
                continue;
            std::array<char, 96>& text = ended_->texts.at(i);
            if (const std::optional<std::int64_t> slot = encode(plan_, value)) {
                me.report(result.slot, *slot);
            } else if (value.type == Type::word && value.text.size() < text.size()) {
                text.fill('\0');
                std::copy(value.text.begin(), value.text.end(), text.begin());
                me.report(result.slot, text_base);
            } else
                me.fail(Error::make(ERANGE, "a result that cannot be reported: " + name));
        }
    }

    [[nodiscard]] std::string word_of(const std::string& name) const {
        const auto found = seen_.find(name);
        return found == seen_.end() ? std::string(no_result) : found->second;
    }

    [[nodiscard]] bool all_hold(const std::vector<Term>& terms) const {
        return std::all_of(terms.begin(), terms.end(),
                           [this](const Term& term) { return holds(term, word_of(term.name)); });
    }

    // With the forbidden result, if the outcome does not have it anyway.
    void forbid(Outcome& outcome, const std::vector<Term>& terms, std::string why) const {
        for (const Term& term : terms) {
            if (std::find(plan_.outcome.begin(), plan_.outcome.end(), term.name) ==
                plan_.outcome.end())
                outcome.add(term.name, word_of(term.name));
            if (const auto told = told_.find(term.name); told != told_.end())
                why += ": " + told->second;
        }
        outcome.forbid(std::move(why));
    }

    // An actor that did not finish reports nothing, and that is right only where the row expects
    // it.
    void require_results(Outcome& outcome) const {
        for (const std::string& name : plan_.outcome)
            if (seen_.count(name) == 0 && !expects_none(outcome, name))
                outcome.forbid("there is no result \"" + name + "\": its step was not reached");
    }
    [[nodiscard]] bool expects_none(const Outcome& outcome, const std::string& name) const {
        return std::any_of(plan_.expected.begin(), plan_.expected.end(),
                           [&outcome, &name](const FileExpected& expected) {
                               const ParsedTerms terms = parse_terms(expected.words);
                               return matches(outcome, expected.words.text) &&
                                      std::any_of(
                                          terms.terms.begin(), terms.terms.end(),
                                          [&name](const Term& term) { return term.name == name; });
                           });
    }

    // The address is the same in each run: see Places.
    Result<void> find_corrupt_base(Run& none) {
        if (!plan_.corrupts)
            return {};
        Doing doing = doing_of(none);
        Scope scope(&prepared_);
        if (Result<void> done = run(plan_.setup, doing, scope); !done)
            return done;
        const Result<Value> page =
            Runner(plan_, doing, scope).value_of(*plan_.corrupts, {"corrupts", Type::memory});
        if (!page)
            return page.error();
        corrupt_base_ = reinterpret_cast<std::uintptr_t>(range_of(*page).start);
        return {};
    }

    const Plan& plan_;
    bool forced_;
    Places places_;
    SharedMemory<Ended> ended_;
    Scope prepared_;
    Scope objects_{&prepared_};
    std::map<std::string, std::string> told_; // by operations of the last run's judge
    std::map<std::string, std::string> seen_; // in this run, by the names of results
    // Over all runs, by measure: of its result, and of that of which it is a part.
    std::vector<std::pair<std::int64_t, std::int64_t>> sums_;
    std::uint64_t corrupt_base_ = 0;
    bool observing_ = false;
    std::optional<KernelLog> log_;
    std::optional<Observation> observation_; // of the last run
};

} // namespace

std::optional<std::int64_t> encode(const Plan& plan, const Value& value) {
    if (value.type == Type::error)
        return error_base + value.number;
    if (value.type == Type::number)
        return value.number > -number_bound && value.number < number_bound
                   ? std::optional(value.number)
                   : std::nullopt;
    for (std::size_t i = 0; i < plan.words.size(); ++i)
        if (plan.words[i] == value.text)
            return word_base + static_cast<std::int64_t>(i);
    return std::nullopt;
}

Value decode(const Plan& plan, std::int64_t slot) {
    if (slot >= word_base)
        return Value::of_word(plan.words.at(static_cast<std::size_t>(slot - word_base)));
    if (slot >= error_base)
        return Value::of_error(static_cast<int>(slot - error_base));
    return Value::of(slot);
}

std::unique_ptr<Experiment> interpret(const Plan& plan, bool forced) {
    return std::make_unique<Interpreter>(plan, forced);
}

} // namespace faultline
