// SPDX-License-Identifier: GPL-2.0
// faultline explore and faultline trace.
#include "cli/common.hpp"
#include "engine/stop.hpp"
#include "explore/explorer.hpp"
#include "explore/found.hpp"
#include "explore/pair_search.hpp"
#include "explore/shrink.hpp"
#include "explore/table.hpp"
#include "language/load.hpp"
#include "report/json.hpp"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

namespace faultline {

namespace {

using Json = nlohmann::ordered_json;

constexpr std::chrono::seconds least_budget{30}; // of one task, if there is as much
constexpr std::size_t few_tasks = 9;             // as many get all their orders at once

// The subject of an exploration, with its texts: this makes the scenario of a topic.
struct Task {
    std::string name;
    Subject subject;
    std::string produces;               // by a control
    Topic topic = {};                   // of the table; none: a scenario
    const ScenarioFile* file = nullptr; // none: a scenario of C++
};

Result<ExploreTable> load_table(const Arguments& arguments) {
    const std::string path =
        arguments.table.empty() ? shipped_folder() + "/explore.toml" : arguments.table;
    const Result<std::string> text = read_text(path);
    if (!text)
        return text.error();
    ReadTable read = read_table(*text);
    if (!read.complaints.empty())
        return Error::make(EINVAL, to_string(path, read.complaints));
    return std::move(read.table);
}

Result<Task> task_of(const ExploreTable& table, const Topic& topic) {
    const Result<std::string> text = scenario_text(table, topic);
    if (!text)
        return text.error();
    const LoadedFile loaded = load_scenario(*text, topic.name());
    if (loaded.scenario == nullptr)
        return Error::make(EINVAL, to_string(topic.name(), loaded.complaints));
    return Task{.name = topic.name(),
                .subject = subject_of(*loaded.scenario, relaxations_of(table, topic)),
                .produces = {},
                .topic = topic,
                .file = loaded.file};
}

Task task_of(const ExploreTable& table, const Scenario& scenario, const Variant& variant,
             const Control* control) {
    Subject subject = subject_without_schedule(scenario, variant, control);
    subject.relaxations = table.relaxations; // those of all operations
    return {.name =
                fmt::format("{}/{}{}{}", scenario.name, variant.name, control == nullptr ? "" : "+",
                            control == nullptr ? "" : control->name),
            .subject = std::move(subject),
            .produces = control == nullptr ? "" : std::string(control->produces),
            .file = file_of(scenario)};
}

// Each control that brings a hazard back, under which the explorer must find that.
std::vector<Task> controls_of(const ExploreTable& table, const std::vector<Chosen>& chosen) {
    std::vector<Task> tasks;
    for (const Chosen& one : chosen)
        for (const Control& control : one.scenario->controls)
            if (const Variant* variant = find_variant_of(*one.scenario, control.variant);
                variant != nullptr && control.kind == Control::Kind::hazard &&
                !control.by_name_only && !variant->by_name_only)
                tasks.push_back(task_of(table, *one.scenario, *variant, &control));
    return tasks;
}

// A scenario/variant+control by its name.
Result<Task> task_of(const ExploreTable& table, const Chosen& chosen) {
    const Scenario& scenario = *chosen.scenario;
    const Control* control = chosen.selection.control.empty()
                                 ? nullptr
                                 : find_control_of(scenario, chosen.selection.control);
    std::string name = chosen.selection.variant;
    if (name.empty() && control != nullptr)
        name = control->variant;
    if (name.empty())
        return Error::make(
            0, fmt::format("which variant of {}? {}/NAME", scenario.name, scenario.name));
    const Variant* variant = find_variant_of(scenario, name);
    if (variant == nullptr)
        return Error::make(0, fmt::format("{} has no variant \"{}\"", scenario.name, name));
    return task_of(table, scenario, *variant, control);
}

Result<std::vector<Task>> tasks_of(const Arguments& arguments) {
    std::vector<Task> tasks;
    const Result<ExploreTable> table = load_table(arguments);
    if (!table)
        return table.error();
    if (arguments.controls) {
        const Result<std::vector<Chosen>> chosen = choose(arguments);
        if (!chosen)
            return chosen.error();
        return controls_of(*table, *chosen);
    }
    const bool scenarios =
        !arguments.files.empty() ||
        std::any_of(arguments.names.begin(), arguments.names.end(), [](const std::string& name) {
            return name.find_first_of("/+") != std::string::npos || find_scenario(name) != nullptr;
        });
    if (scenarios) {
        Result<std::vector<Chosen>> chosen = choose(arguments);
        if (!chosen)
            return chosen.error();
        for (const Chosen& one : *chosen) {
            Result<Task> task = task_of(*table, one);
            if (!task)
                return task.error();
            tasks.push_back(std::move(*task));
        }
        return tasks;
    }
    std::vector<Topic> topics;
    if (arguments.names.empty()) {
        for (const Topic& topic : all_topics(*table))
            if (arguments.setup.empty() || topic.setup == arguments.setup)
                topics.push_back(topic);
        if (topics.empty()) // for the message
            topics.push_back({arguments.setup, {}});
    } else if (!arguments.setup.empty()) {
        topics.push_back({arguments.setup, arguments.names});
    } else {
        for (const SetupRow& setup : table->setups)
            if (scenario_text(*table, {setup.name, arguments.names}).ok())
                topics.push_back({setup.name, arguments.names});
        if (topics.empty()) // print the error
            topics.push_back({table->setups.front().name, arguments.names});
    }
    for (const Topic& topic : topics) {
        Result<Task> task = task_of(*table, topic);
        if (!task)
            return task.error();
        tasks.push_back(std::move(*task));
    }
    return tasks;
}

Result<ExploreOptions> options_of(const Arguments& arguments) {
    ExploreOptions options;
    options.seed = arguments.seed;
    options.most_stops = arguments.stops;
    options.depth = arguments.depth;
    options.stop_at_first = arguments.first;
    options.replays = arguments.replays;
    options.forbid = arguments.forbid;
    options.profile.depth = arguments.call_depth;
    if (!arguments.parts.empty())
        options.profile.parts = arguments.parts;
    if (!arguments.patch.empty()) {
        const Result<std::string> text = read_text(arguments.patch);
        if (!text)
            return text.error();
        options.profile.first = functions_of_patch(*text);
    }
    return options;
}

// The records of an earlier session. A line that was cut by the end of its machine is no record.
struct Earlier {
    std::map<std::string, std::set<std::string>> orders; // by the explored subject
    std::set<std::string> ended;                         // explored to the end
    std::map<std::string, unsigned> deaths;              // of machines, by the same
};
Result<Earlier> read_earlier(const std::string& path) {
    Earlier earlier;
    if (path.empty())
        return earlier;
    const Result<std::string> text = read_text(path);
    if (!text)
        return text.error();
    std::istringstream lines(*text);
    for (std::string line; std::getline(lines, line);) {
        const Json json = Json::parse(line, nullptr, false);
        if (!json.is_object())
            continue;
        const std::string topic = json.value("topic", "");
        if (json.value("kind", "") == "order") {
            earlier.orders[topic].insert(json.value("schedule", ""));
            // The host writes these: scripts/vm/explore.py, add_crash().
            for (const char* death : {"panic", "hang", "lost", "timeout", "killed"})
                earlier.deaths[topic] += json.value("ending", "") == death ? 1 : 0;
        } else if (json.value("kind", "") == "explored")
            earlier.ended.insert(topic);
    }
    return earlier;
}

std::string json_order(const std::string& topic, const OrderRecord& record) {
    Json json;
    json["kind"] = "order";
    json["topic"] = topic;
    json["schedule"] = record.schedule;
    json["preemptions"] = record.order == nullptr ? Json(nullptr) : Json(record.order->preemptions);
    json["ending"] = to_string(record.ending);
    if (!record.lock.empty())
        json["lock"] = record.lock;
    if (!record.deviation.empty())
        json["difference"] = record.deviation;
    return json.dump() + "\n";
}

std::vector<std::pair<std::string_view, double>> parts_of(const OrderTimes& times) {
    const RunTimes& run = times.run;
    std::vector<std::pair<std::string_view, double>> parts = {
        {"laying out", run.lay_out - times.before},
        {"operations and holds", run.act},
        {"State", times.before + times.after},
        {"judging", run.judge - times.after + times.compare},
        {"new order", run.schedule},
        {"arming", run.stage + run.arm + run.collect}};
    double rest = times.all;
    for (const auto& [name, seconds] : parts)
        rest -= seconds;
    parts.emplace_back("rest", rest);
    return parts;
}

// As the name of a file: "shmem: collapse truncate" -> "shmem-collapse-truncate".
std::string plain_name(const std::string& name) {
    std::string plain;
    for (const char c : name)
        if (std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_')
            plain += c;
        else if (!plain.empty() && plain.back() != '-')
            plain += '-';
    return plain;
}

// The scenario file of a difference, with the steps that it needs.
struct Found {
    std::string name;
    ShrunkSteps shrunk;
};

std::optional<Found> found_of(const Task& task, const Deviation& one, std::size_t number) {
    constexpr unsigned tries = 5;
    constexpr std::chrono::seconds bound{60};
    if (task.file == nullptr || one.fatal)
        return std::nullopt;
    const Control* control = task.subject.control;
    const std::string name = fmt::format("{}-{}", plain_name(task.name), number + 1);
    const ScenarioFile file =
        found_file(*task.file, task.subject.all->name,
                   control == nullptr ? std::string_view() : control->name, name, one);
    const auto end = std::chrono::steady_clock::now() + bound;
    const unsigned least = one.again * tries / std::max(one.tries, 1U);
    const bool worth = least != 0 && still_found(file, least, tries);
    return Found{name, shrink_steps(file, [&](const ScenarioFile& fewer) {
                     return worth && std::chrono::steady_clock::now() < end && stop_signal() == 0 &&
                            still_found(fewer, least, tries);
                 })};
}

using FoundFiles = std::vector<std::optional<Found>>; // by difference

FoundFiles found_of(const Task& task, const ExploreReport& report) {
    FoundFiles files;
    const bool goes_on = !report.refusal || !report.refusal->stuck;
    for (std::size_t i = 0; i < report.deviations.size(); ++i)
        files.push_back(goes_on ? found_of(task, report.deviations[i], i) : std::nullopt);
    return files;
}

Json json_deviation(const Deviation& one, const std::optional<Found>& found) {
    Json json = {
        {"signature", one.signature},      {"text", one.text},         {"results", one.words},
        {"schedule", one.schedule},        {"count", one.count},       {"order", one.order},
        {"seconds", one.seconds},          {"again", one.again},       {"tries", one.tries},
        {"shrunk", to_string(one.shrunk)}, {"replayed", one.replayed}, {"replays", one.replays},
        {"otherwise", one.otherwise}};
    if (found) {
        json["file_name"] = found->name + ".flt";
        json["file"] = print(found->shrunk.file);
        json["steps"] = found->shrunk.steps;
        json["steps_kept"] = found->shrunk.kept;
    }
    return json;
}

// The share of all orders with one and two preemptions that were tried, or that a lock excludes.
double share_of(const ExploreReport& report) {
    const auto known = static_cast<double>(report.orders - report.random_orders + report.implied);
    return report.all_orders == 0 ? 0 : known / static_cast<double>(report.all_orders);
}

// The probability that the random orders find a bug that needs so many ordered places.
double pct_found(const ExploreReport& report) {
    return 1 - std::pow(1 - report.pct_bound, static_cast<double>(report.random_orders));
}

Json json_wanted(const Wanted& seen) {
    return {{"order", seen.order}, {"seconds", seen.seconds}, {"again", seen.again},
            {"tries", seen.tries}, {"lock", seen.lock},       {"schedule", seen.schedule}};
}

std::string json_report(const Task& task, const ExploreReport& report, const FoundFiles& files) {
    Json json;
    json["kind"] = "explored";
    json["topic"] = task.name;
    json["orders"] = report.orders;
    json["all_orders"] = report.all_orders;
    json["random_orders"] = report.random_orders;
    json["implied"] = report.implied;
    json["share"] = share_of(report);
    json["pct"] = {
        {"depth", report.pct_depth}, {"of_one", report.pct_bound}, {"of_all", pct_found(report)}};
    for (const auto& [ending, count] : report.endings)
        json["endings"][std::string(to_string(ending))] = count;
    json["locks"] = report.locks;
    json["relaxed"] = report.relaxed;
    json["unstable"] = report.unstable;
    json["seconds"] = report.seconds;
    json["runs"] = report.times.runs;
    for (const auto& [name, seconds] : parts_of(report.times))
        json["time"][std::string(name)] = seconds;
    json["longest_operation"] = report.operation;
    json["bound"] = report.bound;
    json["losses"] = report.losses;
    json["not_serial"] = report.not_serial;
    json["refusal"] = report.refusal ? Json(report.refusal->why) : Json(nullptr);
    json["differences"] = Json::array();
    for (std::size_t i = 0; i < report.deviations.size(); ++i)
        json["differences"].push_back(json_deviation(report.deviations[i], files[i]));
    if (!task.produces.empty()) {
        json["produces"] = task.produces;
        json["free_runs"] = report.free_runs;
        json["without_control"] = report.wanted_without && report.orders == 0;
        json["seen"] = report.seen_wanted ? json_wanted(*report.seen_wanted) : Json(nullptr);
    }
    return json.dump() + "\n";
}

std::string profile_text(const Profile& profile, std::size_t most) {
    std::string text = fmt::format("  {}: {} places\n", profile.actor, profile.places.size());
    for (std::size_t i = 0; i < profile.places.size() && (most == 0 || i < most); ++i) {
        const Place& place = profile.places[i];
        text += fmt::format("    {:<40} {:>5} {:<3} {}{}\n", place.function, place.hits, place.part,
                            place.why, place.atomic ? ", atomic" : "");
    }
    return text;
}

std::string counted(const std::map<std::string, std::uint64_t>& counts) {
    std::vector<std::pair<std::uint64_t, std::string>> sorted;
    sorted.reserve(counts.size());
    for (const auto& [name, count] : counts)
        sorted.emplace_back(count, name);
    std::sort(sorted.rbegin(), sorted.rend());
    std::string text;
    for (const auto& [count, name] : sorted)
        text += fmt::format("    {:>6}  {}\n", count, name);
    return text;
}

void print_times(const OrderTimes& times, double operation) {
    if (times.runs == 0)
        return;
    const double runs = static_cast<double>(times.runs);
    std::string text;
    for (const auto& [name, seconds] : parts_of(times))
        text += fmt::format("{}{} {:.2f}", text.empty() ? "" : ", ", name, seconds * 1000 / runs);
    fmt::print("  a run, of {}, takes {:.1f} ms: {}; the longest operation alone {:.2f}\n",
               times.runs, times.all * 1000 / runs, text, operation * 1000);
}

void print_deviation(const Deviation& one, const std::optional<Found>& found, std::size_t number,
                     const std::string& produces) {
    fmt::print("  difference {}: {}\n    {}\n", number, one.signature, one.text);
    if (!one.words.empty())
        fmt::print("    results: {}\n", one.words);
    fmt::print("    order {}, after {:.1f} s; {} orders had it; {} of {} again\n", one.order,
               one.seconds, one.count, one.again, one.tries);
    if (!produces.empty())
        fmt::print("    the control's outcome ({}): {}\n", produces,
                   matches(std::string_view(one.words), produces) ? "yes" : "no");
    fmt::print("    replay: faultline replay '{}'\n", one.schedule);
    if (one.again != 0)
        fmt::print("    needed: {}\n",
                   one.shrunk.empty() ? "no edge is needed" : to_string(one.shrunk));
    if (one.replays != 0)
        fmt::print("    replayed: {} of {}\n", one.replayed, one.replays);
    for (const auto& [how, count] : one.otherwise)
        fmt::print("      {} times: {}\n", count, how);
    if (found)
        fmt::print("    as a file: {}.flt, with {} of {} steps\n", found->name, found->shrunk.kept,
                   found->shrunk.steps);
}

void print_report(const Task& task, const ExploreReport& report, const FoundFiles& files) {
    fmt::print("{}\n", task.name);
    for (std::size_t i = 0; i < report.stops.size(); ++i)
        fmt::print("  {}: {} places, {} stops\n", report.profiles[i].actor,
                   report.profiles[i].places.size(), report.stops[i].size());
    for (const std::string& order : report.not_serial)
        fmt::print("  no serial run to compare with, as the actors cannot run so: {}\n", order);
    if (report.calls_lost)
        fmt::print("  more calls than the module notes: the last places are missing\n");
    if (!report.unpatched.empty())
        fmt::print("  cannot be patched here: {}\n", fmt::join(report.unpatched, ", "));
    if (report.refusal)
        fmt::print("  {}: {}\n", report.refusal->verdict == Verdict::skip ? "SKIP" : "ERROR",
                   report.refusal->why);
    const auto ending = [&report](Ending one) {
        const auto found = report.endings.find(one);
        return found == report.endings.end() ? 0 : found->second;
    };
    fmt::print(
        "  places in {:.1f} s, serial runs in {:.1f} s\n"
        "  {} orders of {} with one and two preemptions ({:.1f} %), and {} random ones, in {:.0f} "
        "s: {} "
        "realised, {} excluded (and {} more by that), {} not reached, {} timed out; {:.0f}/s\n",
        report.traced, report.reference, report.orders - report.random_orders, report.all_orders,
        share_of(report) * 100, report.random_orders, report.times.all, ending(Ending::realised),
        ending(Ending::excluded), report.implied, ending(Ending::not_reached),
        ending(Ending::timed_out),
        static_cast<double>(report.orders) / std::max(report.times.all, 0.001));
    print_times(report.times, report.operation);
    if (!report.locks.empty())
        fmt::print("  excluded by:\n{}", counted(report.locks));
    if (!report.relaxed.empty())
        fmt::print("  like no serial order, and tolerated:\n{}", counted(report.relaxed));
    if (!report.unstable.empty())
        fmt::print("  not compared, as equal serial runs differ: {}\n",
                   fmt::join(report.unstable, ", "));
    for (std::size_t i = 0; i < report.deviations.size(); ++i)
        print_deviation(report.deviations[i], files[i], i + 1, task.produces);
    for (const std::string& loss : report.losses)
        fmt::print("  lost: {}\n", loss);
    if (report.random_orders != 0)
        fmt::print(
            "  random orders (PCT): a bug of depth {} is found by one with at least {:.1e}, by "
            "all with {:.1e}\n",
            report.pct_depth, report.pct_bound, pct_found(report));
    fmt::print("  {} difference{}; any other in a realised order: < {:.1f} % (95 %)\n",
               report.deviations.size(), report.deviations.size() == 1 ? "" : "s",
               report.bound * 100);
}

// One line: was the control's hazard found without its schedule?
void print_control(const Task& task, const ExploreReport& report) {
    if (report.refusal)
        fmt::print("{:<48} {}: {}\n", task.name,
                   report.refusal->verdict == Verdict::skip ? "SKIP" : "ERROR",
                   report.refusal->why);
    else if (report.seen_wanted)
        fmt::print(
            "{:<48} found by {}, {:.1f} s; {} of {} again{}\n", task.name,
            report.seen_wanted->order == 0 ? "a run without an order"
                                           : fmt::format("order {}", report.seen_wanted->order),
            report.seen_wanted->seconds, report.seen_wanted->again, report.seen_wanted->tries,
            report.seen_wanted->lock.empty()
                ? ""
                : "; without the control it is excluded by " + report.seen_wanted->lock);
    else
        fmt::print("{:<48} NOT FOUND in {} orders and {} runs without an order, {:.1f} s; {} other "
                   "differences{}\n",
                   task.name, report.orders, report.free_runs, report.seconds,
                   report.deviations.size(),
                   report.wanted_without && report.orders == 0
                       ? "; the kernel ends so without the control, too"
                       : "");
}

} // namespace

Subject subject_without_schedule(const Scenario& scenario, const Variant& variant,
                                 const Control* control) {
    Subject subject = subject_of(scenario, variant, control);
    if (const ScenarioFile* file = file_of(scenario)) {
        Roles roles = roles_of(*file, variant.name);
        subject.helpers = std::move(roles.helpers);
        subject.user_sites = std::move(roles.sites);
        subject.functions_first = std::move(roles.asked_about);
    }
    return subject;
}

Result<bool> load_topic(const Arguments& arguments, const std::string& name) {
    const Result<ExploreTable> table = load_table(arguments);
    if (!table)
        return table.error();
    const std::optional<Topic> topic = topic_named(*table, name);
    if (!topic)
        return false;
    const Result<std::string> text = scenario_text(*table, *topic);
    if (!text)
        return text.error();
    const LoadedFile loaded = load_scenario(*text, name);
    if (loaded.scenario == nullptr)
        return Error::make(EINVAL, to_string(name, loaded.complaints));
    named_files().push_back(loaded.scenario);
    return true;
}

bool bench_explore(const Arguments& arguments, Sink& json) {
    constexpr std::chrono::seconds budget{20};
    const Result<ExploreTable> table = load_table(arguments);
    if (!table) {
        (void)cannot(table.error().to_string());
        return false;
    }
    bool good = true;
    fmt::print("\nwhere the time of an explored run goes\n");
    // One moves huge pages, the other does not.
    for (const Topic& topic :
         {Topic{"shmem", {"collapse", "truncate"}}, Topic{"small", {"punch", "fault"}}}) {
        Result<Task> task = task_of(*table, topic);
        if (!task) {
            (void)cannot(task.error().to_string());
            return false;
        }
        ExploreOptions options;
        options.budget = budget;
        options.seed = arguments.seed;
        options.replays = 0;
        const ExploreReport report = Explorer(task->subject, options).run();
        fmt::print("  {}: {:.0f} orders/s\n", task->name,
                   static_cast<double>(report.orders) / std::max(report.times.all, 0.001));
        if (report.refusal)
            fmt::print("    {}\n", report.refusal->why);
        print_times(report.times, report.operation);
        json.put(json_report(*task, report, FoundFiles(report.deviations.size())));
        good = good && (!report.refusal || report.refusal->verdict == Verdict::skip);
    }
    return good;
}

namespace {

// Those first of which the fewest orders are done, and last those that would most likely end this
// machine, too; of the controls, those that are not done.
void choose_tasks(std::vector<Task>& tasks, const Earlier& earlier, bool controls) {
    std::stable_sort(tasks.begin(), tasks.end(), [&earlier](const Task& a, const Task& b) {
        const auto place = [&earlier](const Task& task) {
            constexpr unsigned deadly = 2;
            const auto known = earlier.orders.find(task.name);
            const auto deaths = earlier.deaths.find(task.name);
            return std::pair(deaths != earlier.deaths.end() && deaths->second >= deadly,
                             known == earlier.orders.end() ? 0 : known->second.size());
        };
        return place(a) < place(b);
    });
    if (controls)
        std::erase_if(tasks,
                      [&earlier](const Task& task) { return earlier.ended.count(task.name) != 0; });
}

// The places of operations by their setup: other pairs need not trace them again.
class KnownPlaces {
  public:
    // Nothing: some of them are not known.
    std::function<std::vector<Profile>(const std::vector<std::string>&)>
    of(const Topic& topic) const {
        std::vector<Profile> all;
        for (const std::string& operation : topic.operations) {
            const auto known = places_.find({topic.setup, operation});
            if (known == places_.end())
                return {};
            all.push_back(known->second);
        }
        if (all.empty())
            return {};
        return [all](const std::vector<std::string>& actors) {
            std::vector<Profile> profiles = all;
            for (std::size_t i = 0; i < profiles.size(); ++i)
                profiles[i].actor = actors.at(i);
            return profiles;
        };
    }
    void note(const Topic& topic, const ExploreReport& report) {
        if (!report.not_serial.empty() || report.profiles.size() != topic.operations.size())
            return;
        for (std::size_t i = 0; i < report.profiles.size(); ++i)
            places_.emplace(std::pair(topic.setup, topic.operations[i]), report.profiles[i]);
    }

  private:
    std::map<std::pair<std::string, std::string>, Profile> places_;
};

struct Channels {
    Sink journal;
    Sink mark;
    ProgressLine progress;
    static Result<Channels> open(const Arguments& arguments) {
        Result<Sink> journal = Sink::open(arguments.journal);
        Result<Sink> mark = Sink::open(arguments.mark);
        Result<ProgressLine> progress = ProgressLine::open(arguments.progress);
        if (!journal || !mark)
            return journal ? mark.error() : journal.error();
        if (!progress)
            return progress.error();
        return Channels{std::move(*journal), std::move(*mark), std::move(*progress)};
    }
};

double seconds_since(std::chrono::steady_clock::time_point start) {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

std::string progress_of(const std::string& name, const ExploreReport& report, double seconds) {
    const auto known = report.orders + report.implied;
    return fmt::format("{}  {} orders, {} left, {:.0f}/s, {} differences", name, report.orders,
                       report.all_orders > known ? report.all_orders - known : 0,
                       static_cast<double>(report.orders) / std::max(seconds, 0.001),
                       report.deviations.size());
}

struct Explored {
    ExploreReport report;
    FoundFiles files;
};

Explored explore(const Task& task, const ExploreOptions& options, Channels& channels) {
    Explorer explorer(task.subject, options);
    const auto start = std::chrono::steady_clock::now();
    explorer.on_order = [&](const OrderRecord& record) {
        channels.journal.put(json_order(task.name, record));
        channels.progress.show(progress_of(task.name, record.report, seconds_since(start)));
    };
    explorer.on_run = [&](const std::string& schedule, std::uint64_t seed) {
        const Control* control = task.subject.control;
        channels.mark.put(
            json_start({task.name, "all", control == nullptr ? std::string_view() : control->name,
                        schedule, 1}));
        channels.mark.put(json_run(1, seed));
    };
    Explored explored{explorer.run(), {}};
    explored.files = found_of(task, explored.report);
    channels.progress.clear();
    channels.journal.put(json_report(task, explored.report, explored.files));
    return explored;
}

// Prints the result. Is it good?
bool conclude(const Task& task, const Explored& explored, bool control, bool resumed) {
    const ExploreReport& report = explored.report;
    if (control)
        print_control(task, report);
    else
        print_report(task, report, explored.files);
    if (report.refusal)
        return report.refusal->verdict == Verdict::skip;
    // Without a realised order nothing is certain.
    const bool tried = report.endings.count(Ending::realised) != 0 || resumed ||
                       (control && report.free_runs != 0);
    if (!tried)
        fmt::print("  MISS: no order was realised\n");
    return control ? report.seen_wanted.has_value()
                   : report.deviations.empty() && report.losses.empty() && tried;
}

std::vector<Topic> topics_of(const std::vector<Task>& tasks) {
    std::vector<Topic> topics;
    topics.reserve(tasks.size());
    for (const Task& task : tasks)
        topics.push_back(task.topic);
    return topics;
}

// The serial runs alone.
ExploreReport traced(const Task& task, ExploreOptions options) {
    options.budget = std::chrono::seconds(0);
    return Explorer(task.subject, options).run();
}

// Prints the file of an order whose machine died and left no file.
int print_file_of(const Arguments& arguments, const std::vector<Task>& tasks) {
    const Result<Schedule> schedule = parse_schedule(arguments.file_of);
    if (!schedule)
        return cannot(schedule.error().to_string());
    if (tasks.size() != 1 || tasks.front().file == nullptr)
        return cannot("--file-of: of one scenario file, or of operations with their --setup");
    const Task& task = tasks.front();
    const Control* control = task.subject.control;
    Deviation dead;
    dead.signature = "the machine died in this order";
    dead.edges = schedule->edges;
    dead.seed = schedule->seed.value_or(0);
    fmt::print("{}", print(found_file(*task.file, task.subject.all->name,
                                      control == nullptr ? std::string_view() : control->name,
                                      plain_name(task.name) + "-died", dead)));
    return status_good;
}

int print_names(const std::vector<Task>& tasks) {
    for (const Task& task : tasks)
        fmt::print("{}\n", task.name);
    return status_good;
}

} // namespace

int explore_command(const Arguments& arguments) {
    Result<std::vector<Task>> tasks = tasks_of(arguments);
    if (!tasks)
        return cannot(tasks.error().to_string());
    if (!arguments.file_of.empty())
        return print_file_of(arguments, *tasks);
    Result<ExploreOptions> options = options_of(arguments);
    if (!options)
        return cannot(options.error().to_string());
    if (arguments.list)
        return print_names(*tasks);
    const Result<Earlier> earlier = read_earlier(arguments.resume);
    if (!earlier)
        return cannot(earlier.error().to_string());
    choose_tasks(*tasks, *earlier, arguments.controls);
    const Result<Module> module = prepare_machine(arguments);
    if (!module)
        return cannot(module.error().to_string());
    Result<Channels> channels = Channels::open(arguments);
    if (!channels)
        return cannot(channels.error().to_string());
    const auto start = std::chrono::steady_clock::now();
    const auto left = [&start, &arguments] {
        return std::chrono::seconds(arguments.budget) -
               std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() -
                                                                start);
    };
    // A session over all pairs begins with the orders with one preemption.
    const bool first_round = !arguments.controls && tasks->size() > few_tasks;
    const std::vector<std::string> listed = options->profile.first;
    PairSearch search(topics_of(*tasks), first_round ? listed : std::vector<std::string>());
    KnownPlaces places;
    bool good = true;
    std::size_t remaining = tasks->size();
    while (stop_signal() == 0 && remaining > 0) {
        if (left().count() <= 0) {
            fmt::print("{} of {} not tried in this session: its time is over\n", remaining,
                       tasks->size());
            break;
        }
        const bool may_trace =
            first_round && !listed.empty() && left() > std::chrono::seconds(arguments.budget) / 2;
        const PairSearch::Choice choice = *search.next(may_trace);
        const Task& task = (*tasks)[choice.pair];
        options->profiles = places.of(task.topic);
        if (choice.trace) {
            channels->progress.show("looking for the listed functions: " + task.name);
            const ExploreReport report = traced(task, *options);
            places.note(task.topic, report);
            search.traced(choice.pair,
                          report.not_serial.empty() ? report.profiles : std::vector<Profile>());
            continue;
        }
        // The remaining pairs share the rest of the budget, but the search for the places takes
        // seconds: a session goes on where the last one stopped.
        const std::size_t found = search.found();
        options->budget = std::max(left() / static_cast<long>(found == 0 ? remaining : found),
                                   std::min(left(), least_budget));
        const auto known = earlier->orders.find(task.name);
        options->done = known == earlier->orders.end() ? std::set<std::string>() : known->second;
        options->wanted = arguments.controls ? task.produces : "";
        options->first_alone = first_round && options->done.empty();
        const Explored explored = explore(task, *options, *channels);
        places.note(task.topic, explored.report);
        search.done(choice.pair);
        --remaining;
        good = conclude(task, explored, arguments.controls, !options->done.empty()) && good;
        if (explored.report.refusal && explored.report.refusal->stuck)
            return status_stuck; // this machine is of no more use
    }
    if (first_round)
        for (const std::string& function : search.not_passed())
            fmt::print("{}: no operation that was traced passes it; it may be inlined here\n",
                       function);
    return good && stop_signal() == 0 ? status_good : status_failed;
}

int trace_command(const Arguments& arguments) {
    Result<std::vector<Task>> tasks = tasks_of(arguments);
    if (!tasks)
        return cannot(tasks.error().to_string());
    Result<ExploreOptions> options = options_of(arguments);
    if (!options)
        return cannot(options.error().to_string());
    const Result<Module> module = prepare_machine(arguments);
    if (!module)
        return cannot(module.error().to_string());
    bool good = true;
    for (const Task& task : *tasks) {
        const ExploreReport report = traced(task, *options);
        fmt::print("{}\n", task.name);
        if (report.refusal) {
            fmt::print("  {}: {}\n", report.refusal->verdict == Verdict::skip ? "SKIP" : "ERROR",
                       report.refusal->why);
            good = good && report.refusal->verdict == Verdict::skip;
        }
        for (const Profile& profile : report.profiles)
            fmt::print("{}", profile_text(profile, arguments.stops));
        for (const std::string& function : options->profile.first)
            if (std::none_of(report.profiles.begin(), report.profiles.end(),
                             [&function](const Profile& profile) {
                                 return std::any_of(profile.places.begin(), profile.places.end(),
                                                    [&function](const Place& place) {
                                                        return is_function(place.function,
                                                                           function);
                                                    });
                             }))
                fmt::print("  {}: no actor passes it; it may be inlined here\n", function);
        if (!report.unpatched.empty())
            fmt::print("  cannot be patched here: {}\n", fmt::join(report.unpatched, ", "));
    }
    return good ? status_good : status_failed;
}

} // namespace faultline
