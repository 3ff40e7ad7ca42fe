// SPDX-License-Identifier: GPL-2.0
#include "explore/explorer.hpp"

#include "engine/runner.hpp"
#include "engine/sleep.hpp"
#include "engine/stop.hpp"

#include <algorithm>
#include <cstring>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <limits>
#include <malloc.h>
#include <unistd.h>

namespace faultline {

namespace {

constexpr std::string_view all_variant = "all";
constexpr std::string_view without_variant = "without-";
constexpr unsigned equal_runs = 2;      // of each serial order and seed: what differs is unstable
constexpr unsigned traced_runs = 2;     // of each serial order
constexpr unsigned tries = 5;           // of a schedule that gave a difference
constexpr unsigned most_known = 10000;  // random orders in a row that were done: there is no other
constexpr unsigned least_wait_ms = 20;  // of a hold
constexpr unsigned most_wait_ms = 1000; // ...
constexpr unsigned wait_factor = 4;     // ...times the longest serial operation
constexpr unsigned asleep_ms = 4;       // that long on a lock: excluded
constexpr unsigned most_free_runs = 20; // with the control, and so many without it
constexpr int free_share = 4;           // of the budget: a quarter for each
constexpr std::chrono::milliseconds run_bound{10000};
constexpr std::chrono::seconds replay_bound{60}; // of all replays of a difference

// Puts user:begin and user:end around what each actor of an experiment does.
class Bracketed final : public Experiment {
  public:
    explicit Bracketed(std::unique_ptr<Experiment> inner) : inner_(std::move(inner)) {}
    Result<void> prepare() override { return inner_->prepare(); }
    std::vector<Actor> actors() override {
        std::vector<Actor> all = inner_->actors();
        for (Actor& actor : all)
            if (actor.body)
                actor.body = [body = actor.body](ActorContext& me) {
                    if (!me.at(first_site))
                        return;
                    body(me);
                    (void)me.at(last_site); // an order that was not had says so in the result
                };
        return all;
    }
    Result<void> begin(Run& run) override { return inner_->begin_run(run); }
    Outcome judge(Run& run) override {
        Outcome outcome = inner_->judge_run(run);
        if (inner_->observation() == nullptr)
            words_ = {.results = outcome.words};
        return outcome;
    }
    std::optional<bool> overlapped(const Run& run) override { return inner_->overlapped(run); }
    bool observe() override {
        (void)inner_->observe(); // else the words of its outcome are what there is
        return true;
    }
    [[nodiscard]] const Observation* observation() const override {
        const Observation* seen = inner_->observation();
        return seen != nullptr ? seen : &words_;
    }
    [[nodiscard]] std::uint64_t corrupt_base() const override { return inner_->corrupt_base(); }

  private:
    std::unique_ptr<Experiment> inner_;
    Observation words_;
};

const fl_site_result* site_of(const fl_result& result, const std::vector<std::string>& sites,
                              const std::string& text) {
    const auto found = std::find(sites.begin(), sites.end(), text);
    return found == sites.end() ? nullptr : &result.sites[found - sites.begin()];
}

// A thread of the kernel has no beginning from which its calls could be counted, and does other
// work, too. So only a function that it calls once in a run is surely called in what the run is
// about.
void keep_single_calls(Profile& profile) {
    std::erase_if(profile.places, [](const Place& place) {
        return place.hits != 1 || place.positions.size() != 1;
    });
}

std::string user_text(const std::string& actor, const char* site) {
    return fmt::format("{}@user:{}", actor, site);
}

Ending ending_of(const fl_result& result, std::size_t sites) {
    if (result.overlapped != 0)
        return Ending::realised;
    if (result.excluded != 0)
        return Ending::excluded;
    for (std::size_t i = 0; i < sites; ++i)
        if (result.sites[i].end == FL_END_TIMEOUT)
            return Ending::timed_out;
    return Ending::not_reached;
}

std::string stack_of(const fl_result& result) {
    return {result.blocked, strnlen(result.blocked, sizeof(result.blocked))};
}

// The innermost functions of the sleeper: the lock, and the place that takes it.
std::string lock_of(const fl_result& result) {
    const std::string stack = stack_of(result);
    const std::size_t first = stack.find(" < ");
    const std::size_t second = first == std::string::npos ? first : stack.find(" < ", first + 3);
    return stack.substr(0, second);
}

} // namespace

std::string_view to_string(Ending ending) {
    switch (ending) {
    case Ending::realised:
        return "realised";
    case Ending::excluded:
        return "excluded";
    case Ending::not_reached:
        return "not reached";
    case Ending::timed_out:
        break;
    }
    return "timed out";
}

Subject subject_of(const Scenario& scenario, std::vector<Relaxation> relaxations) {
    Subject subject{.scenario = scenario, .relaxations = std::move(relaxations)};
    for (const Variant& variant : scenario.variants)
        if (variant.name == all_variant)
            subject.all = &variant;
        else if (variant.name.starts_with(without_variant))
            subject.without.emplace_back(&variant, variant.name.substr(without_variant.size()));
    return subject;
}

Subject subject_of(const Scenario& scenario, const Variant& variant, const Control* control) {
    Subject subject{.scenario = scenario, .all = &variant, .control = control};
    subject.scenario.make = [make = scenario.make](const Variant& one) {
        return std::make_unique<Bracketed>(make(one));
    };
    return subject;
}

Explorer::Explorer(Subject subject, ExploreOptions options)
    : subject_(std::move(subject)), options_(std::move(options)) {
    report_.name = subject_.scenario.name;
    rules_.relaxations = subject_.relaxations;
    options_.profile.first.insert(options_.profile.first.end(), subject_.functions_first.begin(),
                                  subject_.functions_first.end());
    options_.rig.timeout = run_bound;
    options_.rig.bounds.in_order = true;
    options_.rig.bounds.excluded_ms = asleep_ms;
    options_.rig.bounds.wait_ms = most_wait_ms;
}

ExploreReport Explorer::run() {
    start_ = Clock::now();
    const bool goes_on = run_freely() && !report_.seen_wanted;
    const bool traced = goes_on && trace();
    (void)::malloc_trim(0); // each fork() would copy what the trace took; no control is on
    report_.traced = seconds();
    const bool ready = traced && take_references();
    report_.reference = seconds() - report_.traced;
    if (ready)
        run_all();
    if (rig_)
        (void)rig_->tear_down(); // a refusal has said it if tasks are stuck
    report_.seconds = seconds();
    report_.bound = unseen_bound(report_.endings[Ending::realised]);
    return std::move(report_);
}

// Does the outcome come without any order? Each actor goes on as it can, as in a test without
// Faultline. The runs without the control come first: it may leave the machine in disorder.
bool Explorer::run_freely() {
    if (options_.wanted.empty() || subject_.control == nullptr || options_.done.count("") != 0)
        return true; // "": a machine died in such a run
    Rig rig(subject_.scenario, *subject_.all, subject_.control, options_.rig);
    if (refused(rig.prepare({})))
        return false;
    (void)rig.experiment().observe();
    Wanted wanted;
    unsigned seen = 0;
    for (const Rig::Controls controls : {Rig::Controls::off, Rig::Controls::on}) {
        const bool on = controls == Rig::Controls::on;
        const double end = seconds() + static_cast<double>(options_.budget.count()) / free_share;
        if (const Result<void> scheduled = rig.schedule({}, controls); !scheduled)
            return !refused(Refusal{.why = "schedule: " + scheduled.error().to_string()});
        for (unsigned i = 0; i < most_free_runs && seconds() < end && stop_signal() == 0; ++i) {
            on_run(text_of({}, seed_of(i)), seed_of(i));
            const std::optional<Ran> ran = run_once(rig, seed_of(i));
            if (!ran)
                return false;
            if (on) {
                ++report_.free_runs;
                wanted.again += seen != 0 && is_wanted(*ran) ? 1 : 0;
                wanted.tries += seen != 0 ? 1 : 0;
            }
            if (!is_wanted(*ran))
                continue;
            if (!on) { // it is no outcome of the control
                report_.wanted_without = true;
                if (!rig.tear_down())
                    return !refused(Refusal{.why = "an actor's thread did not end"});
                return true;
            }
            if (++seen == 1) {
                wanted.seconds = seconds();
                wanted.schedule = text_of({}, seed_of(i));
            }
        }
    }
    if (wanted.again != 0)
        report_.seen_wanted = wanted;
    return rig.tear_down() || !refused(Refusal{.why = "an actor's thread did not end"});
}

void Explorer::run_all() {
    orders_ = std::make_unique<OrderList>(all_actors(), report_.stops, actors_.size());
    report_.all_orders = orders_->all();
    if (report_.all_orders == 0 && actors_.size() < 2) {
        if (report_.free_runs == 0)
            refused(Refusal{.verdict = Verdict::skip,
                            .why = "one actor, and no place to hold a thread of the kernel at"});
        return;
    }
    const Result<Balance> before = options_.balance();
    rig_->clear_times();
    report_.times = {};
    const double began = seconds();
    run_orders();
    report_.times.run = rig_->times();
    report_.times.all = seconds() - began;
    report_.operation = longest_ms_ / 1000;
    report_.implied = orders_->implied();
    const Result<Balance> after = report_.refusal ? before : options_.balance();
    if (!before || !after)
        refused(Refusal{.why = (before ? after : before).error().to_string()});
    else
        report_.losses = losses(*before, *after, report_.times.runs);
    const OrderTimes times = report_.times; // of the orders alone
    for (Deviation& one : report_.deviations)
        if (report_.refusal || stop_signal() != 0 || (one.again != 0 && !replay(one)))
            break;
    report_.times = times;
    std::size_t stops = 0;
    for (const std::vector<Stop>& list : report_.stops)
        stops += list.size();
    report_.pct_depth = options_.depth;
    report_.pct_bound = pct_bound(actors_.size(), stops, options_.depth);
}

// Those of the list, then random ones.
void Explorer::run_orders() {
    std::uint64_t drawn = 0;
    for (unsigned known = 0; known < most_known && !over();) {
        if (options_.first_alone && orders_->first_are_over())
            break;
        const std::optional<Order> order = orders_->next();
        if (!order && actors_.size() < 2)
            break; // a thread of the kernel has windows alone
        std::vector<Edge> edges;
        if (order) {
            edges = order->edges;
        } else {
            Rng rng(mix(options_.seed + drawn++));
            edges = draw_pct(actors_, report_.stops, options_.depth, rng).edges;
        }
        if (options_.done.count(to_string(edges)) != 0) {
            known += order ? 0 : 1;
            continue;
        }
        known = 0;
        if (!run_order(edges, order ? &*order : nullptr))
            break;
    }
}

bool Explorer::refused(const std::optional<Refusal>& refusal) {
    if (refusal)
        report_.refusal = refusal;
    return refusal.has_value();
}

double Explorer::seconds() const {
    return std::chrono::duration<double>(Clock::now() - start_).count();
}

bool Explorer::over() const {
    return seconds() > static_cast<double>(options_.budget.count()) || stop_signal() != 0 ||
           (options_.stop_at_first && !report_.deviations.empty()) ||
           report_.seen_wanted.has_value();
}

std::uint64_t Explorer::seed_of(unsigned number) const {
    return seed_of_run(options_.seed, number % options_.seeds + 1);
}

std::string Explorer::text_of(const std::vector<Edge>& edges, std::uint64_t seed) const {
    return to_string(Schedule{std::string(subject_.scenario.name), std::string(subject_.all->name),
                              seed, edges});
}

std::optional<Explorer::Ran> Explorer::run_once(Rig& rig, std::uint64_t seed) {
    Ran ran;
    bool observed = false;
    const std::optional<Refusal> refusal =
        rig.run(++runs_, seed, [&](const Run& run, const Outcome& /*outcome*/) {
            ran.result = run.result();
            ran.sites = rig.program().sites;
            const Observation* seen = rig.experiment().observation();
            observed = seen != nullptr;
            ran.arose = rig.experiment().overlapped(run).value_or(true);
            if (observed)
                ran.seen = *seen;
        });
    if (refused(refusal))
        return std::nullopt;
    report_.times.before += ran.seen.before_seconds;
    report_.times.after += ran.seen.after_seconds;
    ++report_.times.runs;
    // Else all runs would be alike.
    if (!observed) {
        refused(Refusal{.why = fmt::format("run {}: nothing was observed", runs_)});
        return std::nullopt;
    }
    return ran;
}

// Which functions each actor passes, in each serial order.
bool Explorer::trace() {
    std::optional<FunctionTrace> trace;
    bool tracing = false;
    RigOptions options = options_.rig;
    options.staged = [&](std::vector<pid_t> tasks) {
        for (std::size_t i = 0; i < tasks.size(); ++i)
            if (std::find(tasks_.begin(), tasks_.end(), i) == tasks_.end())
                tasks[i] = ::getpid(); // it calls nothing meanwhile; a helper would, a lot
        return tracing ? trace->start(tasks) : Result<void>();
    };
    Rig rig(subject_.scenario, *subject_.all, nullptr, options);
    // The actors' names are known when the experiment has been made.
    if (refused(rig.prepare({})) || !take_actors(rig))
        return false;
    if (options_.profiles) {
        serial_ = serial_orders(actors_);
        take_stops(options_.profiles(actors_));
        return true;
    }
    (void)rig.experiment().observe();
    Result<FunctionTrace> opened = FunctionTrace::open();
    if (!opened)
        return !refused(Refusal{.why = opened.error().to_string()});
    trace.emplace(std::move(*opened));
    std::vector<std::vector<TracedRun>> traced(tasks_.size());
    std::vector<std::vector<TracedRun>> undisturbed(tasks_.size());
    for (const std::vector<std::string>& order : serial_orders(actors_)) {
        const Result<void> scheduled = rig.schedule(traced_edges(order));
        if (!scheduled)
            return !refused(Refusal{.why = "schedule: " + scheduled.error().to_string()});
        bool had = true;
        for (unsigned i = 0; i <= traced_runs && had; ++i) {
            tracing = i != 0; // the first fills caches
            const std::optional<Ran> ran = run_once(rig, seed_of(0));
            if (!ran)
                return false;
            had = tracing || ran->result.overlapped != 0;
            if (had && !take_trace(*ran, tracing ? &*trace : nullptr, traced))
                return false;
            if (had && tracing)
                undisturbed[index_of(order.front())].push_back(
                    traced[index_of(order.front())].back());
        }
        if (had)
            serial_.push_back(order);
        else
            report_.not_serial.push_back(fmt::format("{}", fmt::join(order, ", ")));
    }
    if (serial_.empty())
        return !refused(
            Refusal{.verdict = Verdict::skip, .why = "the actors cannot run one after the other"});
    report_.calls_lost = trace->lost();
    trace.reset(); // the functions are as fast as before
    const Result<RunningSymbols> symbols = RunningSymbols::read();
    if (!symbols)
        return !refused(Refusal{.verdict = Verdict::skip, .why = symbols.error().to_string()});
    const SourceRanges ranges(*symbols);
    const std::vector<std::string> names = all_actors();
    std::vector<Profile> profiles;
    profiles.reserve(names.size());
    for (std::size_t actor = 0; actor < names.size(); ++actor) {
        std::vector<std::vector<Visit>> visits;
        visits.reserve(std::max(traced[actor].size(), undisturbed[actor].size()));
        // An actor that is held goes first: behind another one it may have nothing left to do.
        const std::vector<TracedRun>& runs =
            undisturbed[actor].empty() ? traced[actor] : undisturbed[actor];
        for (const TracedRun& run : runs)
            visits.push_back(visits_of(run.calls, *symbols, ranges, run.from_ns, run.to_ns));
        Profile& profile =
            profiles.emplace_back(profile_of(names[actor], visits, options_.profile));
        if (actor >= actors_.size())
            keep_single_calls(profile);
        profile.user_places = user_places_of(runs, *symbols, ranges);
    }
    take_stops(std::move(profiles));
    return true;
}

// Those to which the actor came in each run.
std::vector<UserPlace> Explorer::user_places_of(const std::vector<TracedRun>& runs,
                                                const RunningSymbols& symbols,
                                                const SourceRanges& ranges) {
    std::vector<UserPlace> places;
    for (std::size_t i = 0; !runs.empty() && i < runs.front().user_sites.size(); ++i) {
        const TracedRun& first = runs.front();
        const auto& [name, reached_ns] = first.user_sites[i];
        if (std::all_of(runs.begin(), runs.end(),
                        [i](const TracedRun& run) { return run.user_sites[i].second != 0; }))
            places.push_back(
                {.name = name,
                 .position = static_cast<unsigned>(
                     visits_of(first.calls, symbols, ranges, first.from_ns, reached_ns).size())});
    }
    return places;
}

// A serial order that also names the actors' own sites, as far as there is room.
std::vector<Edge> Explorer::traced_edges(const std::vector<std::string>& order) const {
    std::vector<Edge> edges = serial_edges(order);
    std::size_t sites = 2 * order.size();
    for (const std::string& actor : order) {
        const auto found = subject_.user_sites.find(actor);
        if (found == subject_.user_sites.end() || sites + found->second.size() > FL_MAX_SITES ||
            edges.size() + found->second.size() + 1 > FL_MAX_EDGES)
            continue;
        const std::vector<Edge> along = edges_along(actor, found->second);
        // First, as the sites of an actor must have the order in which it comes to them.
        edges.insert(edges.begin(), along.begin(), along.end());
        sites += found->second.size();
    }
    return edges;
}

std::vector<std::string> Explorer::all_actors() const {
    std::vector<std::string> all = actors_;
    all.insert(all.end(), threads_.begin(), threads_.end());
    return all;
}

std::size_t Explorer::index_of(const std::string& actor) const {
    return static_cast<std::size_t>(std::find(actors_.begin(), actors_.end(), actor) -
                                    actors_.begin());
}

bool Explorer::take_actors(const Rig& rig) {
    std::vector<std::size_t> thread_tasks;
    for (std::size_t i = 0; i < rig.actors().size(); ++i) {
        const std::string& name = rig.actors()[i];
        if (rig.kernel_threads().count(name) != 0) {
            threads_.push_back(name);
            thread_tasks.push_back(i);
        } else if (subject_.helpers.count(name) == 0) {
            actors_.push_back(name);
            tasks_.push_back(i);
        }
    }
    tasks_.insert(tasks_.end(), thread_tasks.begin(), thread_tasks.end());
    if (actors_.size() + std::min<std::size_t>(threads_.size(), 1) >= 2 && !actors_.empty())
        return true;
    if (report_.free_runs != 0 || report_.wanted_without)
        return false; // nothing else can be tried
    return !refused(Refusal{.verdict = Verdict::skip,
                            .why = actors_.empty() ? "each actor waits for another one"
                                                   : "one actor alone has one order"});
}

// Adds the calls of a run, by actor, from its first step to its last. `trace`: null if there are
// none.
bool Explorer::take_trace(const Ran& ran, FunctionTrace* trace,
                          std::vector<std::vector<TracedRun>>& traced) {
    std::vector<std::vector<FunctionCall>> calls;
    if (trace != nullptr) {
        Result<std::vector<std::vector<FunctionCall>>> got = trace->stop();
        if (!got)
            return !refused(Refusal{.why = "calls: " + got.error().to_string()});
        calls = std::move(*got);
    }
    std::uint64_t first_ns = std::numeric_limits<std::uint64_t>::max();
    std::uint64_t last_ns = 0;
    for (std::size_t actor = 0; actor < actors_.size(); ++actor) {
        const fl_site_result* begin =
            site_of(ran.result, ran.sites, user_text(actors_[actor], first_site));
        const fl_site_result* end =
            site_of(ran.result, ran.sites, user_text(actors_[actor], last_site));
        if (begin == nullptr || end == nullptr || begin->left_ns == 0 || end->reached_ns == 0)
            return !refused(Refusal{.verdict = Verdict::skip,
                                    .why = actors_[actor] +
                                           " does not reach the end of its steps: it may exit "
                                           "before"});
        first_ns = std::min<std::uint64_t>(first_ns, begin->left_ns);
        last_ns = std::max<std::uint64_t>(last_ns, end->reached_ns);
        if (trace == nullptr)
            continue;
        TracedRun run{std::move(calls.at(tasks_[actor])), begin->left_ns, end->reached_ns, {}};
        if (const auto own = subject_.user_sites.find(actors_[actor]);
            own != subject_.user_sites.end())
            for (const std::string& name : own->second) {
                const fl_site_result* site =
                    site_of(ran.result, ran.sites, user_text(actors_[actor], name.c_str()));
                run.user_sites.emplace_back(name, site == nullptr ? 0 : site->reached_ns);
            }
        traced[actor].push_back(std::move(run));
    }
    for (std::size_t thread = actors_.size(); trace != nullptr && thread < tasks_.size(); ++thread)
        traced[thread].push_back({std::move(calls.at(tasks_[thread])), first_ns, last_ns, {}});
    return true;
}

// If many pages differ in one kind, all of them count: reading thousands of names takes seconds.
void Explorer::note_unstable(const std::string& name) {
    constexpr std::size_t most_pages = 8;
    if (allows(rules_.unstable, name))
        return;
    std::string kind = kind_of(name);
    unsigned& pages = unstable_pages_[kind];
    if (kind != name && ++pages > most_pages) {
        std::erase_if(rules_.unstable,
                      [&kind](const MayDiffer& one) { return kind_of(one.words) == kind; });
        kind.replace(kind.find(" page N ") + 6, 1, "*");
        rules_.unstable.push_back({kind, "differs between equal serial runs"});
        return;
    }
    rules_.unstable.push_back({name, "differs between equal serial runs"});
}

// How long an operation takes without another in its way.
void Explorer::note_longest(const Ran& ran) {
    for (const std::string& actor : actors_) {
        const fl_site_result* begin = site_of(ran.result, ran.sites, user_text(actor, first_site));
        const fl_site_result* end = site_of(ran.result, ran.sites, user_text(actor, last_site));
        if (begin != nullptr && end != nullptr && begin->left_ns < end->reached_ns)
            longest_ms_ = std::max(
                longest_ms_, static_cast<double>(end->reached_ns - begin->left_ns) / 1000000.0);
    }
}

void Explorer::take_stops(std::vector<Profile> profiles) {
    rank(profiles, options_.profile);
    for (const Profile& profile : profiles)
        report_.stops.push_back(stops_of(profile, options_.most_stops));
    report_.profiles = std::move(profiles);
}

// The results of serial runs, for each seed, twice.
bool Explorer::take_references() {
    for (const auto& [variant, actor] : subject_.without)
        if (!take_references_of(*variant, {actor}))
            return false;
    if (!take_references_of(*subject_.all, {}))
        return false;
    report_.references = references_[seed_of(0)];
    for (const MayDiffer& one : rules_.unstable)
        report_.unstable.push_back(one.words);
    return true;
}

bool Explorer::take_references_of(const Variant& variant, const std::vector<std::string>& absent) {
    std::vector<std::string> functions;
    for (const std::vector<Stop>& list : report_.stops)
        for (const Stop& stop : list)
            if (stop.site.kind != FL_SITE_USER &&
                std::find(functions.begin(), functions.end(), stop.site.name) == functions.end())
                functions.push_back(stop.site.name);
    auto rig = std::make_unique<Rig>(subject_.scenario, variant, nullptr, options_.rig);
    if (refused(rig->prepare({}, absent.empty() ? functions : std::vector<std::string>())))
        return false;
    (void)rig->experiment().observe();
    for (const std::vector<std::string>& order : serial_) {
        std::vector<std::string> present;
        for (const std::string& actor : order)
            if (std::find(absent.begin(), absent.end(), actor) == absent.end())
                present.push_back(actor);
        const std::vector<Edge> edges = serial_edges(order);
        if (options_.done.count(to_string(edges)) != 0)
            return !refused(
                Refusal{.why = "an earlier machine died in a serial order: " + to_string(edges)});
        on_run(text_of(edges, seed_of(0)), seed_of(0));
        const Result<void> scheduled = rig->schedule(edges);
        if (!scheduled)
            return !refused(Refusal{.why = "schedule: " + scheduled.error().to_string()});
        for (unsigned number = 0; number < options_.seeds; ++number) {
            const std::uint64_t seed = seed_of(number);
            std::optional<Observation> first;
            for (unsigned i = 0; i < equal_runs; ++i) {
                std::optional<Ran> ran = run_once(*rig, seed);
                if (!ran)
                    return false;
                note_longest(*ran);
                if (!first) {
                    first = std::move(ran->seen);
                    continue;
                }
                for (const Difference& one : all_differences(*first, ran->seen))
                    note_unstable(one.name);
            }
            references_[seed].push_back({.name = fmt::format("{}{}", fmt::join(present, ", "),
                                                             absent.empty() ? "" : " alone"),
                                         .absent = absent,
                                         .seen = std::move(*first),
                                         .actors = present});
        }
        if (!absent.empty() && actors_.size() == 2)
            break; // the other one alone has one order
    }
    if (!absent.empty())
        return rig->tear_down();
    for (const std::string& function : functions)
        if (std::find(rig->patched().begin(), rig->patched().end(), function) ==
            rig->patched().end())
            report_.unpatched.push_back(function);
    for (std::vector<Stop>& list : report_.stops)
        std::erase_if(list, [this](const Stop& stop) {
            return stop.site.kind != FL_SITE_USER &&
                   std::find(report_.unpatched.begin(), report_.unpatched.end(), stop.site.name) !=
                       report_.unpatched.end();
        });
    Bounds bounds = options_.rig.bounds;
    bounds.wait_ms =
        std::clamp(static_cast<unsigned>(longest_ms_ * wait_factor), least_wait_ms, most_wait_ms);
    rig->set_bounds(bounds);
    if (subject_.control != nullptr) {
        if (!rig->tear_down())
            return !refused(Refusal{.why = "an actor's thread did not end"});
        RigOptions options = options_.rig;
        options.bounds = bounds;
        rig = std::make_unique<Rig>(subject_.scenario, variant, subject_.control, options);
        if (refused(rig->prepare({}, functions)))
            return false;
        (void)rig->experiment().observe();
    }
    rig_ = std::move(rig);
    return true;
}

bool Explorer::run_order(const std::vector<Edge>& edges, const Order* order) {
    const Result<void> scheduled = rig_->schedule(edges);
    if (!scheduled)
        return !refused(Refusal{.why = fmt::format("schedule {}: {}", to_string(edges),
                                                   scheduled.error().to_string())});
    const std::uint64_t seed = seed_of(static_cast<unsigned>(report_.orders));
    on_run(text_of(edges, seed), seed);
    ++report_.orders;
    report_.random_orders += order == nullptr ? 1 : 0;
    const std::optional<Ran> ran = run_once(*rig_, seed);
    if (ran) {
        count(*ran, edges, order, seed);
        return !report_.refusal && check_wanted(*ran, edges, seed);
    }
    if (report_.refusal->hung || report_.refusal->stuck) {
        report_.deviations.push_back({.signature = "a run that does not end",
                                      .text = report_.refusal->why,
                                      .words = "",
                                      .schedule = text_of(edges, seed),
                                      .edges = edges,
                                      .seed = seed,
                                      .count = 1,
                                      .order = report_.orders,
                                      .seconds = seconds(),
                                      .fatal = true});
        on_order({.report = report_,
                  .order = order,
                  .schedule = to_string(edges),
                  .ending = Ending::timed_out,
                  .lock = {},
                  .deviation = report_.deviations.back().signature});
    }
    return false;
}

Judgement Explorer::judged(const Observation& seen, std::uint64_t seed) {
    const auto start = Clock::now();
    Judgement made = judge(seen, references_[seed], rules_);
    Outcome outcome;
    outcome.words = seen.results;
    for (const std::string& pattern : options_.forbid)
        if (made.fits && matches(outcome, pattern)) {
            made = {.fits = false, .signature = "forbidden: " + pattern};
            made.text = to_string(outcome);
        }
    report_.times.compare += std::chrono::duration<double>(Clock::now() - start).count();
    return made;
}

void Explorer::count(const Ran& ran, const std::vector<Edge>& edges, const Order* order,
                     std::uint64_t seed) {
    const Ending ending = ending_of(ran.result, ran.sites.size());
    ++report_.endings[ending];
    std::string lock;
    if (ending == Ending::excluded) {
        lock = lock_of(ran.result);
        ++report_.locks[lock];
        if (order != nullptr && order->preemptions == 2)
            note_excluded(*order, ran);
    }
    if (order != nullptr && order->preemptions == 1)
        note_one(*order, ending, lock, ran.seen);
    const Judgement judgement = judged(ran.seen, seed);
    if (judgement.relaxed)
        ++report_.relaxed[judgement.by];
    OrderRecord record{.report = report_,
                       .order = order,
                       .schedule = to_string(edges),
                       .ending = ending,
                       .lock = std::move(lock),
                       .deviation = judgement.signature};
    if (!judgement.fits)
        deviates(judgement, ran.seen, edges, seed);
    on_order(record);
}

// Was it the second actor that a lock kept from its stop, while the first was at its own? The lock
// may have excluded the first one's way to its end, as the second holds it at that stop alone.
void Explorer::note_excluded(const Order& order, const Ran& ran) {
    std::vector<bool> reached;
    for (const Turn& turn : order.turns)
        if (turn.stop) {
            const fl_site_result* site = site_of(
                ran.result, ran.sites, to_string(report_.stops[turn.actor][*turn.stop].site));
            reached.push_back(site != nullptr && site->reached_ns != 0);
        }
    if (reached == std::vector<bool>{true, false})
        orders_->exclude(order);
}

// Notes an order with one preemption, which selects those with two.
void Explorer::note_one(const Order& order, Ending ending, const std::string& lock,
                        const Observation& seen) {
    const auto held = std::find_if(order.turns.begin(), order.turns.end(),
                                   [](const Turn& turn) { return turn.stop.has_value(); });
    if (ending == Ending::not_reached)
        return orders_->drop(held->actor, *held->stop);
    Outcome outcome;
    outcome.words = seen.results;
    orders_->note(
        order, {.how = fmt::format("{} {}", to_string(ending), to_string(outcome)), .lock = lock});
}

void Explorer::deviates(const Judgement& judged, const Observation& seen,
                        const std::vector<Edge>& edges, std::uint64_t seed) {
    Outcome outcome;
    outcome.words = seen.results;
    for (Deviation& known : report_.deviations)
        if (known.signature == judged.signature) {
            ++known.count;
            return;
        }
    Deviation fresh{.signature = judged.signature,
                    .text = judged.text,
                    .words = to_string(outcome),
                    .schedule = text_of(edges, seed),
                    .edges = edges,
                    .seed = seed,
                    .count = 1,
                    .order = report_.orders,
                    .seconds = this->seconds()};
    fresh.names = judged.names;
    fresh.end = end_of(seen, fresh);
    for (const Reference& one : references_[seed])
        if (one.absent.empty()) {
            fresh.serial.push_back(end_of(one.seen, fresh));
            fresh.serial.back().actors = one.actors;
        }
    // A session that waits for one outcome needs only the time to it.
    if (options_.wanted.empty() && confirm(fresh) && fresh.again != 0 && shrink(fresh) &&
        shrink_hits(fresh))
        shrink_places(fresh);
    report_.deviations.push_back(std::move(fresh));
}

RunEnd Explorer::end_of(const Observation& seen, const Deviation& deviation) const {
    RunEnd end{.actors = {}, .results = seen.results, .values = {}};
    for (const std::string& name : deviation.names)
        end.values.push_back(
            seen.after ? value_text(seen.before ? &*seen.before : nullptr, *seen.after, name)
                       : "-");
    return end;
}

bool Explorer::is_wanted(const Ran& ran) const {
    Outcome outcome;
    outcome.words = ran.seen.results;
    return !options_.wanted.empty() && ran.arose && matches(outcome, options_.wanted);
}

// One run of an order under the control, or without it.
std::optional<Explorer::Ran> Explorer::run_again(const std::vector<Edge>& edges, std::uint64_t seed,
                                                 Rig::Controls controls) {
    if (const Result<void> scheduled = rig_->schedule(edges, controls); !scheduled) {
        refused(Refusal{.why = "schedule: " + scheduled.error().to_string()});
        return std::nullopt;
    }
    on_run(text_of(edges, seed), seed);
    return run_once(*rig_, seed);
}

// The order without the control tells nothing of the control if it ended so as well, if it timed
// out or was not reached, or if another lock than that of the scenario excluded it.
bool Explorer::tells_nothing(const Ran& without) const {
    const Ending ending = ending_of(without.result, without.sites.size());
    const Exclusion& exclusion = subject_.all->exclusion;
    const bool other_lock = ending == Ending::excluded && !exclusion.places.empty() &&
                            !at_any_place(stack_of(without.result), exclusion.places);
    return is_wanted(without) || other_lock ||
           (ending != Ending::realised && ending != Ending::excluded);
}

// The outcome must come again under the control, and never without it. False: no run can follow.
bool Explorer::check_wanted(const Ran& ran, const std::vector<Edge>& edges, std::uint64_t seed) {
    if (report_.seen_wanted || !is_wanted(ran))
        return true;
    Wanted wanted{.order = report_.orders, .seconds = seconds(), .schedule = text_of(edges, seed)};
    for (unsigned run = 0; run < tries; ++run) {
        const std::optional<Ran> without = run_again(edges, seed, Rig::Controls::off);
        if (!without)
            return false;
        if (tells_nothing(*without))
            return true;
        if (ending_of(without->result, without->sites.size()) == Ending::excluded)
            wanted.lock = lock_of(without->result);
    }
    for (; wanted.tries < tries; ++wanted.tries) {
        const std::optional<Ran> again = run_again(edges, seed, Rig::Controls::on);
        if (!again)
            return false;
        wanted.again += is_wanted(*again) ? 1 : 0;
    }
    if (wanted.again != 0)
        report_.seen_wanted = std::move(wanted);
    return true;
}

// Does a run under these edges differ from all serial runs in the same way? Nothing: no run can
// follow.
std::optional<bool> Explorer::shows(const std::vector<Edge>& edges, std::uint64_t seed,
                                    const std::string& signature) {
    const Result<void> scheduled = rig_->schedule(edges);
    if (!scheduled)
        return false;
    on_run(text_of(edges, seed), seed);
    const std::optional<Ran> ran = run_once(*rig_, seed);
    if (!ran)
        return std::nullopt;
    return judged(ran->seen, seed).signature == signature;
}

bool Explorer::confirm(Deviation& deviation) {
    for (; deviation.tries < tries; ++deviation.tries) {
        const std::optional<bool> shown =
            shows(deviation.edges, deviation.seed, deviation.signature);
        if (!shown)
            return false;
        deviation.again += *shown ? 1 : 0;
    }
    return true;
}

// As often as the order that was found did, in `tries` runs.
std::optional<bool> Explorer::still_shows(const std::vector<Edge>& edges,
                                          const Deviation& deviation) {
    unsigned shown = 0;
    for (unsigned run = 0; run < tries && shown + (tries - run) >= deviation.again; ++run) {
        const std::optional<bool> one = shows(edges, deviation.seed, deviation.signature);
        if (!one)
            return std::nullopt;
        shown += *one ? 1 : 0;
    }
    return shown >= deviation.again;
}

// Takes one edge away after the other: what stays is needed, as without it the difference comes
// less often.
bool Explorer::shrink(Deviation& deviation) {
    deviation.shrunk = deviation.edges;
    for (std::size_t i = 0; i < deviation.shrunk.size();) {
        std::vector<Edge> fewer = deviation.shrunk;
        fewer.erase(fewer.begin() + static_cast<std::ptrdiff_t>(i));
        const std::optional<bool> shown = still_shows(fewer, deviation);
        if (!shown)
            return false;
        if (*shown)
            deviation.shrunk = std::move(fewer);
        else
            ++i;
    }
    return true;
}

// The first hit of a site instead of a later one, where that does as well.
bool Explorer::shrink_hits(Deviation& deviation) {
    std::set<std::string> tried;
    for (std::size_t i = 0; i < 2 * deviation.shrunk.size(); ++i) {
        const Edge& edge = deviation.shrunk[i / 2];
        const SiteRef site = i % 2 == 0 ? edge.before : edge.after;
        if (site.hit <= 1 || !tried.insert(to_string(site)).second)
            continue;
        std::vector<Edge> simpler = deviation.shrunk;
        for (Edge& one : simpler)
            for (SiteRef* end : {&one.before, &one.after})
                if (*end == site)
                    end->hit = 1;
        const std::optional<bool> shown = still_shows(simpler, deviation);
        if (!shown)
            return false;
        if (*shown)
            deviation.shrunk = std::move(simpler);
    }
    return true;
}

// A lock's fourth hit says nothing to a reader, and another kernel counts otherwise: instead the
// nearest first call of a function of mm or fs, where that does as well.
bool Explorer::shrink_places(Deviation& deviation) {
    std::set<std::string> tried;
    for (std::size_t i = 0; i < 2 * deviation.shrunk.size(); ++i) {
        const Edge& edge = deviation.shrunk[i / 2];
        const SiteRef site = i % 2 == 0 ? edge.before : edge.after;
        if (site.kind != FL_SITE_ENTER || !tried.insert(to_string(site)).second)
            continue;
        for (const SiteRef& nearest : telling_places(site)) {
            std::vector<Edge> simpler = deviation.shrunk;
            for (Edge& one : simpler)
                for (SiteRef* end : {&one.before, &one.after})
                    if (*end == site)
                        *end = nearest;
            const std::optional<bool> shown = still_shows(simpler, deviation);
            if (!shown)
                return false;
            if (*shown) {
                deviation.shrunk = std::move(simpler);
                break;
            }
        }
    }
    return true;
}

// Nearest first; none if the site is such a place itself.
std::vector<SiteRef> Explorer::telling_places(const SiteRef& site) const {
    constexpr std::size_t most = 8;
    const std::size_t actor = index_of(site.actor);
    if (actor == actors_.size())
        return {};
    const auto is_telling = [&](const SiteRef& one) {
        const std::vector<Place>& places = report_.profiles[actor].places;
        return one.hit <= 1 &&
               std::any_of(places.begin(), places.end(), [&one](const Place& place) {
                   return place.function == one.name && !place.part.empty();
               });
    };
    const std::vector<Stop>& stops = report_.stops[actor];
    const auto here = std::find_if(stops.begin(), stops.end(),
                                   [&site](const Stop& one) { return one.site == site; });
    if (is_telling(site) || here == stops.end())
        return {};
    std::vector<std::pair<unsigned, SiteRef>> near;
    for (const Stop& one : stops)
        if (is_telling(one.site))
            near.emplace_back(one.position > here->position ? one.position - here->position
                                                            : here->position - one.position,
                              one.site);
    std::stable_sort(near.begin(), near.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    std::vector<SiteRef> places;
    for (std::size_t i = 0; i < std::min(near.size(), most); ++i)
        places.push_back(near[i].second);
    return places;
}

// How often the shrunk schedule gives it, and how the other runs end.
bool Explorer::replay(Deviation& deviation) {
    const auto end = Clock::now() + replay_bound;
    if (!rig_->schedule(deviation.shrunk))
        return true;
    on_run(text_of(deviation.shrunk, deviation.seed), deviation.seed);
    while (deviation.replays < options_.replays && Clock::now() < end && stop_signal() == 0) {
        const std::optional<Ran> ran = run_once(*rig_, deviation.seed);
        if (!ran)
            return false;
        ++deviation.replays;
        const Judgement judgement = judged(ran->seen, deviation.seed);
        if (judgement.signature == deviation.signature) {
            ++deviation.replayed;
            continue;
        }
        const Ending ending = ending_of(ran->result, ran->sites.size());
        ++deviation.otherwise[fmt::format(
            "{}{}, {}", to_string(ending),
            ending == Ending::excluded ? " by " + lock_of(ran->result) : "",
            judgement.fits ? "as a serial order" : "another difference")];
    }
    return true;
}

} // namespace faultline
