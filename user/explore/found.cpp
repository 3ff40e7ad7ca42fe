// SPDX-License-Identifier: GPL-2.0
#include "explore/found.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <set>

namespace faultline {

namespace {

constexpr std::size_t most_values = 6; // beside the results
constexpr std::string_view before_name = "found_before";

Text text(std::string words) { return {std::move(words), {}}; }

std::string value_name(std::size_t number) { return fmt::format("found_{}", number + 1); }

// "mapping near page 7 mincore" -> "near"; "" for a name without an object.
std::string object_of(const std::string& name) {
    for (const std::string_view kind : {"mapping ", "file "})
        if (name.starts_with(kind))
            return name.substr(kind.size(), name.find(' ', kind.size()) - kind.size());
    return "";
}

std::string words_of(const std::vector<std::string>& outcome, const RunEnd& end) {
    std::string words;
    const auto add = [&words](const std::string& name, const std::string& word) {
        words += fmt::format("{}{}={}", words.empty() ? "" : " ", name, word);
    };
    for (const std::string& name : outcome)
        for (const auto& [known, word] : end.results)
            if (known == name)
                add(name, word);
    for (std::size_t i = 0; i < std::min(end.values.size(), most_values); ++i)
        add(value_name(i), end.values[i]);
    return words;
}

std::vector<std::string> words_in(const std::string& list) {
    std::vector<std::string> words;
    for (std::size_t from = list.find_first_not_of(" \n"); from < list.size();) {
        const std::size_t end = std::min(list.find_first_of(" \n", from), list.size());
        words.push_back(list.substr(from, end - from));
        from = list.find_first_not_of(" \n", end);
    }
    return words;
}

void look_at_values(ScenarioFile& file, const Deviation& deviation) {
    std::set<std::string> objects;
    for (std::size_t i = 0; i < std::min(deviation.names.size(), most_values); ++i) {
        const std::string& name = deviation.names[i];
        if (const std::string object = object_of(name); !object.empty())
            objects.insert(object);
        file.judge.text +=
            fmt::format("{}{} = state_value({}, \"{}\")", file.judge.text.empty() ? "" : "\n",
                        value_name(i), before_name, name);
        file.outcome.text += " " + value_name(i);
    }
    if (!deviation.names.empty())
        file.setup.text += fmt::format("{}{} = state({})", file.setup.text.empty() ? "" : "\n",
                                       before_name, fmt::join(objects, ", "));
}

// A line that is one of the variant's parameters becomes the steps that the parameter stands for.
void put_steps_in_place(ScenarioFile& file, const std::map<std::string, Text>& parameters) {
    for (FileActor& actor : file.actors)
        for (const auto& [name, value] : parameters) {
            const std::string line = "{" + name + "}";
            std::string& steps = actor.steps.text;
            const std::size_t at = steps.find(line);
            const std::size_t end = at + line.size();
            if (at != std::string::npos && (at == 0 || steps[at - 1] == '\n') &&
                (end == steps.size() || steps[end] == '\n'))
                steps.replace(at, line.size(), value.text);
        }
}

// Does any text of the file that is no variant's have it?
bool uses(const ScenarioFile& file, const std::string& parameter) {
    const std::string word = "{" + parameter + "}";
    const auto has = [&word](const Text& one) { return one.text.find(word) != std::string::npos; };
    return has(file.prepare) || has(file.setup) || has(file.judge) || has(file.corrupts) ||
           std::any_of(file.actors.begin(), file.actors.end(), [&has](const FileActor& actor) {
               return has(actor.steps) || has(actor.kind_of);
           });
}

} // namespace

ScenarioFile found_file(const ScenarioFile& from, std::string_view variant,
                        std::string_view control, const std::string& name,
                        const Deviation& deviation) {
    ScenarioFile file = from;
    const std::vector<std::string> outcome = words_in(from.outcome.text);
    file.name = text(name);
    file.claim = text("each run ends as one of the serial orders does");
    file.source = text("faultline explore " + from.name.text);
    file.bad = text(deviation.signature);
    file.draws = static_cast<std::int64_t>(deviation.seed);
    file.bugs.clear();
    file.no_hazard_control.clear();
    file.measures.clear();
    for (FileActor& actor : file.actors)
        if (actor.kind != Actor::Kind::kernel_thread &&
            actor.steps.text.find(std::string("at ") + first_site) == std::string::npos)
            actor.steps.text =
                fmt::format("at {}\n{}\nat {}", first_site, actor.steps.text, last_site);
    look_at_values(file, deviation);

    const auto chosen =
        std::find_if(from.variants.begin(), from.variants.end(),
                     [variant](const FileVariant& one) { return one.name.text == variant; });
    FileVariant base;
    base.needs = chosen->needs;
    put_steps_in_place(file, chosen->parameters);
    base.parameters = chosen->parameters;
    std::erase_if(base.parameters, [&file](const auto& one) { return !uses(file, one.first); });
    std::set<std::string> expected;
    for (const RunEnd& end : deviation.serial)
        expected.insert(words_of(outcome, end));
    for (const std::string& words : expected)
        base.expected.push_back({text(words), {}});
    file.variants.clear();
    FileVariant found = base;
    found.name = text("found");
    found.about = text("the order that was found");
    found.schedule = text(to_string(
        deviation.shrunk.empty() && deviation.again == 0 ? deviation.edges : deviation.shrunk));
    found.forced = !found.schedule.text.empty();
    file.variants.push_back(std::move(found));
    for (const RunEnd& end : deviation.serial) {
        FileVariant one = base;
        one.name = text(fmt::format("serial-{}", file.variants.size()));
        one.about = text(fmt::format("{}, one after the other", fmt::join(end.actors, ", ")));
        one.schedule = text(to_string(serial_edges(end.actors)));
        file.variants.push_back(std::move(one));
    }
    std::erase_if(file.controls,
                  [control](const FileControl& one) { return one.name.text != control; });
    for (FileControl& one : file.controls) {
        one.variant = text("found");
        one.produces = text(words_of(outcome, deviation.end));
    }
    const std::string ended = words_of(outcome, deviation.end); // "": its machine died
    if (file.controls.empty() && !ended.empty()) // else it is what the control must produce
        file.forbid.push_back({text(ended), text("no serial order ends so")});
    return file;
}

} // namespace faultline
