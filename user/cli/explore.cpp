// SPDX-License-Identifier: GPL-2.0
// faultline explore and faultline trace.
#include "cli/common.hpp"
#include "engine/stop.hpp"
#include "explore/explorer.hpp"
#include "explore/table.hpp"
#include "language/load.hpp"
#include "report/json.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

namespace faultline {

namespace {

using Json = nlohmann::ordered_json;

// What is explored, with its texts: the scenario of a topic is made here.
struct Task {
    std::string name;
    Subject subject;
    std::string produces; // by a control
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
                .produces = {}};
}

// A scenario/variant+control by its name.
Result<Task> task_of(const Chosen& chosen) {
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
    return Task{.name = chosen.name(),
                .subject = subject_of(scenario, *variant, control),
                .produces = control == nullptr ? "" : std::string(control->produces)};
}

Result<std::vector<Task>> tasks_of(const Arguments& arguments) {
    std::vector<Task> tasks;
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
            Result<Task> task = task_of(one);
            if (!task)
                return task.error();
            tasks.push_back(std::move(*task));
        }
        return tasks;
    }
    const Result<ExploreTable> table = load_table(arguments);
    if (!table)
        return table.error();
    std::vector<Topic> topics;
    if (arguments.names.empty()) {
        for (const Topic& topic : all_topics(*table))
            if (arguments.setup.empty() || topic.setup == arguments.setup)
                topics.push_back(topic);
    } else if (!arguments.setup.empty()) {
        topics.push_back({arguments.setup, arguments.names});
    } else {
        for (const SetupRow& setup : table->setups)
            if (scenario_text(*table, {setup.name, arguments.names}).ok())
                topics.push_back({setup.name, arguments.names});
        if (topics.empty()) // say what is wrong
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

// The orders of an earlier session, by what was explored. A line that was cut by the end of its
// machine is not one.
Result<std::map<std::string, std::set<std::string>>> orders_done(const std::string& path) {
    std::map<std::string, std::set<std::string>> done;
    if (path.empty())
        return done;
    const Result<std::string> text = read_text(path);
    if (!text)
        return text.error();
    std::istringstream lines(*text);
    for (std::string line; std::getline(lines, line);) {
        const Json json = Json::parse(line, nullptr, false);
        if (json.is_object() && json.value("kind", "") == "order")
            done[json.value("topic", "")].insert(json.value("schedule", ""));
    }
    return done;
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

std::string json_report(const std::string& topic, const ExploreReport& report) {
    Json json;
    json["kind"] = "explored";
    json["topic"] = topic;
    json["orders"] = report.orders;
    json["all_orders"] = report.all_orders;
    json["random_orders"] = report.random_orders;
    for (const auto& [ending, count] : report.endings)
        json["endings"][std::string(to_string(ending))] = count;
    json["locks"] = report.locks;
    json["relaxed"] = report.relaxed;
    json["unstable"] = report.unstable;
    json["seconds"] = report.seconds;
    json["bound"] = report.bound;
    json["refusal"] = report.refusal ? Json(report.refusal->why) : Json(nullptr);
    json["differences"] = Json::array();
    for (const Deviation& one : report.deviations)
        json["differences"].push_back({{"signature", one.signature},
                                       {"text", one.text},
                                       {"results", one.words},
                                       {"schedule", one.schedule},
                                       {"count", one.count},
                                       {"order", one.order},
                                       {"seconds", one.seconds},
                                       {"again", one.again},
                                       {"tries", one.tries},
                                       {"shrunk", to_string(one.shrunk)}});
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

void print_deviation(const Deviation& one, std::size_t number, const std::string& produces) {
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
                   one.shrunk.empty() ? "no edge: it comes without any" : to_string(one.shrunk));
}

void print_report(const Task& task, const ExploreReport& report) {
    fmt::print("{}\n", task.name);
    for (std::size_t i = 0; i < report.stops.size(); ++i)
        fmt::print("  {}: {} places, {} stops\n", report.profiles[i].actor,
                   report.profiles[i].places.size(), report.stops[i].size());
    if (!report.unpatched.empty())
        fmt::print("  cannot be patched here: {}\n", fmt::join(report.unpatched, ", "));
    if (report.refusal)
        fmt::print("  {}: {}\n", report.refusal->verdict == Verdict::skip ? "SKIP" : "ERROR",
                   report.refusal->why);
    const auto ending = [&report](Ending one) {
        const auto found = report.endings.find(one);
        return found == report.endings.end() ? 0 : found->second;
    };
    fmt::print("  {} orders ({} random) of {} with one and two preemptions, in {:.0f} s: {} "
               "realised, {} excluded, {} not reached, {} timed out; {:.0f}/s\n",
               report.orders, report.random_orders, report.all_orders, report.seconds,
               ending(Ending::realised), ending(Ending::excluded), ending(Ending::not_reached),
               ending(Ending::timed_out),
               static_cast<double>(report.orders) / std::max(report.seconds, 0.001));
    if (!report.locks.empty())
        fmt::print("  excluded by:\n{}", counted(report.locks));
    if (!report.relaxed.empty())
        fmt::print("  like no serial order, and tolerated:\n{}", counted(report.relaxed));
    if (!report.unstable.empty())
        fmt::print("  not compared, as equal serial runs differ: {}\n",
                   fmt::join(report.unstable, ", "));
    for (std::size_t i = 0; i < report.deviations.size(); ++i)
        print_deviation(report.deviations[i], i + 1, task.produces);
    fmt::print("  {} differences; any other in a realised order: < {:.1f} % (95 %)\n",
               report.deviations.size(), report.bound * 100);
}

} // namespace

int explore_command(const Arguments& arguments) {
    Result<std::vector<Task>> tasks = tasks_of(arguments);
    if (!tasks)
        return cannot(tasks.error().to_string());
    Result<ExploreOptions> options = options_of(arguments);
    if (!options)
        return cannot(options.error().to_string());
    const Result<std::map<std::string, std::set<std::string>>> done = orders_done(arguments.resume);
    if (!done)
        return cannot(done.error().to_string());
    const Result<Module> module = prepare_machine(arguments);
    if (!module)
        return cannot(module.error().to_string());
    Result<Sink> journal = Sink::open(arguments.journal);
    Result<Sink> mark = Sink::open(arguments.mark);
    Result<ProgressLine> progress = ProgressLine::open(arguments.progress);
    if (!journal || !mark || !progress)
        return cannot((!journal ? journal.error()
                       : !mark  ? mark.error()
                                : progress.error())
                          .to_string());
    const auto start = std::chrono::steady_clock::now();
    bool good = true;
    for (std::size_t i = 0; i < tasks->size() && stop_signal() == 0; ++i) {
        Task& task = (*tasks)[i];
        // What is left of the budget is shared by those that are left.
        const auto spent = std::chrono::duration_cast<std::chrono::seconds>(
            std::chrono::steady_clock::now() - start);
        const auto left = std::chrono::seconds(arguments.budget) - spent;
        options->budget =
            std::max(left / static_cast<long>(tasks->size() - i), std::chrono::seconds(1));
        const auto known = done->find(task.name);
        options->done = known == done->end() ? std::set<std::string>() : known->second;
        Explorer explorer(task.subject, *options);
        explorer.on_order = [&](const OrderRecord& record) {
            journal->put(json_order(task.name, record));
            progress->show({task.name,
                            "",
                            static_cast<unsigned>(record.report.orders),
                            static_cast<unsigned>(record.report.all_orders),
                            0,
                            {}});
        };
        explorer.on_run = [&](const std::string& schedule, std::uint64_t seed) {
            mark->put(json_start(
                {task.name, "all",
                 task.subject.control == nullptr ? std::string_view() : task.subject.control->name,
                 schedule, 1}));
            mark->put(json_run(1, seed));
        };
        const ExploreReport report = explorer.run();
        progress->clear();
        journal->put(json_report(task.name, report));
        print_report(task, report);
        const bool skipped = report.refusal && report.refusal->verdict == Verdict::skip;
        // Without an order that was had there is nothing to be sure of.
        const bool tried = report.endings.count(Ending::realised) != 0 || !options->done.empty();
        if (!report.refusal && !tried)
            fmt::print("  MISS: no order was realised\n");
        good = good && report.deviations.empty() && (report.refusal ? skipped : tried);
        if (report.refusal && (report.refusal->stuck || report.refusal->hung))
            return status_bad; // this machine is of no more use
    }
    return good && stop_signal() == 0 ? status_good : status_bad;
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
    options->budget = std::chrono::seconds(0); // the serial runs alone
    bool good = true;
    for (Task& task : *tasks) {
        const ExploreReport report = Explorer(task.subject, *options).run();
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
    return good ? status_good : status_bad;
}

} // namespace faultline
