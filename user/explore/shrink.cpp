// SPDX-License-Identifier: GPL-2.0
#include "explore/shrink.hpp"

#include "engine/runner.hpp"
#include "language/load.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace faultline {

namespace {

constexpr std::string_view found_variant = "found";

bool is_site(const std::string& step) {
    return step.compare(step.find_first_not_of(" ;\n"), 3, "at ") == 0;
}

std::string joined(const std::vector<std::string>& steps) {
    std::string text;
    for (const std::string& step : steps)
        text += step;
    return text;
}

// The first step of a line leaves its place to the next one.
std::vector<std::string> without(std::vector<std::string> steps, std::size_t left_out) {
    const auto step = steps.begin() + static_cast<std::ptrdiff_t>(left_out);
    const auto next = step + 1;
    if (next != steps.end() && (left_out == 0 || step->front() == '\n')) {
        const std::size_t from = next->find_first_not_of("; \n");
        *next = (left_out == 0 ? "" : "\n") + next->substr(from);
    }
    steps.erase(step);
    return steps;
}

// Where a file has steps that explore may take away: in judge it has those that look.
std::vector<Text*> texts_of(ScenarioFile& file) {
    std::vector<Text*> texts = {&file.prepare, &file.setup};
    for (FileActor& actor : file.actors)
        texts.push_back(&actor.steps);
    return texts;
}

unsigned count_steps(ScenarioFile file) {
    unsigned count = 0;
    for (const Text* text : texts_of(file))
        for (const std::string& step : steps_of(text->text))
            count += is_site(step) ? 0 : 1;
    return count;
}

bool can_be_loaded(const ScenarioFile& file) {
    return load_scenario(print(file), file.path).complaints.empty();
}

std::uint64_t times_seen(const VariantReport& report, std::string_view outcome) {
    std::uint64_t times = 0;
    for (const auto& [words, tally] : report.histogram)
        times += matches(std::string_view(words), outcome) ? tally.count : 0;
    return times;
}

} // namespace

std::vector<std::string> steps_of(const std::string& text) {
    std::vector<std::string> steps;
    std::string step;
    bool quoted = false;
    bool comment = false;
    const auto add = [&steps, &step] {
        if (step.find_first_not_of(" ;\n") != std::string::npos)
            steps.push_back(step);
        step.clear();
    };
    for (const char c : text) {
        quoted = c == '"' && !comment ? !quoted : quoted;
        comment = c == '\n' ? false : comment || (c == '#' && !quoted);
        if ((c == '\n' || (c == ';' && !comment)) && !quoted)
            add();
        step += c;
    }
    add();
    return steps;
}

ShrunkSteps shrink_steps(const ScenarioFile& file,
                         const std::function<bool(const ScenarioFile&)>& shows) {
    ShrunkSteps shrunk{.file = file, .steps = count_steps(file), .kept = 0};
    for (std::size_t place = texts_of(shrunk.file).size(); place-- > 0;) {
        std::vector<std::string> kept = steps_of(texts_of(shrunk.file)[place]->text);
        for (std::size_t i = kept.size(); i-- > 0;) {
            if (is_site(kept[i]))
                continue;
            std::vector<std::string> rest = without(kept, i);
            ScenarioFile fewer = shrunk.file;
            texts_of(fewer)[place]->text = joined(rest);
            if (!can_be_loaded(fewer) || !shows(fewer))
                continue;
            shrunk.file = std::move(fewer);
            kept = std::move(rest);
        }
    }
    shrunk.kept = count_steps(shrunk.file);
    return shrunk;
}

bool still_found(const ScenarioFile& file, unsigned least, unsigned tries) {
    const LoadedFile loaded = load_scenario(print(file), file.path);
    if (loaded.scenario == nullptr)
        return false;
    Options options;
    options.runs = tries;
    options.give_up = false;
    const Control* control =
        loaded.scenario->controls.empty() ? nullptr : &loaded.scenario->controls.front();
    const std::string outcome =
        control == nullptr ? file.forbid.back().when.text : file.controls.front().produces.text;
    for (const Variant& variant : loaded.scenario->variants) {
        const bool found = variant.name == found_variant;
        const VariantReport report =
            run_variant(*loaded.scenario, variant, found ? control : nullptr, options);
        if (report.verdict == Verdict::error || report.verdict == Verdict::skip)
            return false;
        if (found ? times_seen(report, outcome) < least : times_seen(report, outcome) != 0)
            return false;
    }
    return true;
}

} // namespace faultline
