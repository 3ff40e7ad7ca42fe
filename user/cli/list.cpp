// SPDX-License-Identifier: GPL-2.0
// Lists the scenarios, from the tables that run them.
#include "cli/common.hpp"
#include "kernel/debugfs.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace faultline {

namespace {

using Json = nlohmann::ordered_json;

std::string full_schedule(const Scenario& scenario, const Variant& variant) {
    return fmt::format("{}/{}:{}{}", scenario.name, variant.name,
                       variant.schedule.empty() ? "" : " ", variant.schedule);
}

constexpr std::string_view only_by_name = " (by name only)";

void list_short(const Scenario& scenario) {
    fmt::print("  {:<24} {} variants, {} controls  {}\n", scenario.name, scenario.variants.size(),
               scenario.controls.size(), scenario.claim);
}

std::string_view kind_of(const Control& control) {
    switch (control.kind) {
    case Control::Kind::hazard:
        return "control";
    case Control::Kind::comparison:
        return "check of the comparison";
    case Control::Kind::remedy:
        break;
    }
    return "remedy";
}

std::string only_in(std::string_view releases) {
    return releases.empty() ? "" : fmt::format(" ({})", releases);
}

void list_variant(const Scenario& scenario, const Variant& variant) {
    fmt::print("  variant {}: {}{}{}\n    {}\n", variant.name, variant.about,
               variant.by_name_only ? only_by_name
               : variant.forced     ? ""
                                    : " (not forced)",
               variant.chance ? fmt::format(" (by chance: {} overlaps or {} s)",
                                            variant.chance->overlaps, variant.chance->seconds)
                              : "",
               full_schedule(scenario, variant));
    for (const Expected& expected : variant.expected)
        fmt::print("    expects {}{}\n", expected.words, only_in(expected.releases));
    if (!variant.always.empty())
        fmt::print("    in each run {}\n", variant.always);
    for (const std::string_view place : variant.exclusion.places)
        fmt::print("    excluded by {}{}\n", place, only_in(variant.exclusion.releases));
    if (!variant.exclusion.or_overlap.empty())
        fmt::print("    or an overlap: {}\n", variant.exclusion.or_overlap);
    for (const KnownBug& bug : variant.known)
        fmt::print("    known bug {} in {}{}: {}\n", bug.words,
                   bug.releases.empty() ? "all" : bug.releases, only_in(bug.machines), bug.fix);
}

void list_verbose(const Scenario& scenario) {
    fmt::print("{}\n  claim:   {}\n  source:  {}\n  races:   {}\n  bad:     {}\n", scenario.name,
               scenario.claim, scenario.source, scenario.races, scenario.bad);
    for (const Need& need : scenario.needs)
        fmt::print("  needs:   {}\n", need.name);
    for (const Variant& variant : scenario.variants)
        list_variant(scenario, variant);
    for (const Control& control : scenario.controls) {
        fmt::print("  {} {} of {}: {}{}\n", kind_of(control), control.name, control.variant,
                   control.about, control.by_name_only ? only_by_name : "");
        if (!control.produces.empty())
            fmt::print("    produces {}\n", control.produces);
    }
    if (!scenario.no_hazard_control.empty())
        fmt::print("  no control brings the hazard back: {}\n", scenario.no_hazard_control);
    fmt::print("\n");
}

Json variant_json(const Scenario& scenario, const Variant& variant) {
    Json json{{"name", variant.name},
              {"about", variant.about},
              {"forced", variant.forced},
              {"by_name_only", variant.by_name_only},
              {"schedule", full_schedule(scenario, variant)},
              {"expected", Json::array()},
              {"always", variant.always},
              {"excluded_by", variant.exclusion.places},
              {"or_overlap", variant.exclusion.or_overlap},
              {"known", Json::array()}};
    for (const Expected& expected : variant.expected)
        json["expected"].push_back({{"words", expected.words}, {"releases", expected.releases}});
    for (const KnownBug& bug : variant.known)
        json["known"].push_back({{"words", bug.words},
                                 {"releases", bug.releases},
                                 {"machines", bug.machines},
                                 {"fix", bug.fix}});
    return json;
}

void list_json(const Scenario& scenario) {
    Json json;
    json["kind"] = "scenario";
    json["name"] = scenario.name;
    json["family"] = scenario.family;
    json["claim"] = scenario.claim;
    json["source"] = scenario.source;
    json["races"] = scenario.races;
    json["bad"] = scenario.bad;
    json["needs"] = Json::array();
    for (const Need& need : scenario.needs)
        json["needs"].push_back(need.name);
    json["variants"] = Json::array();
    for (const Variant& variant : scenario.variants)
        json["variants"].push_back(variant_json(scenario, variant));
    json["controls"] = Json::array();
    for (const Control& control : scenario.controls)
        json["controls"].push_back(Json{{"name", control.name},
                                        {"about", control.about},
                                        {"variant", control.variant},
                                        {"is", kind_of(control)},
                                        {"produces", control.produces},
                                        {"by_name_only", control.by_name_only}});
    fmt::print("{}\n", json.dump());
}

} // namespace

int list_command(const Arguments& arguments) {
    std::vector<const Scenario*> wanted = known_scenarios();
    if (!arguments.names.empty()) {
        const Result<std::vector<Chosen>> chosen = choose(arguments);
        if (!chosen)
            return cannot(chosen.error().to_string());
        wanted.clear();
        for (const Chosen& one : *chosen)
            if (wanted.empty() || wanted.back() != one.scenario)
                wanted.push_back(one.scenario);
    }
    std::string_view family;
    for (const Scenario* scenario : wanted) {
        if (arguments.list_json)
            list_json(*scenario);
        else if (arguments.list_names)
            fmt::print("{}\n", scenario->name);
        else if (arguments.verbose)
            list_verbose(*scenario);
        else {
            if (scenario->family != family)
                fmt::print("{}\n", scenario->family);
            list_short(*scenario);
        }
        family = scenario->family;
    }
    return status_good;
}

int show_file_command(const Arguments& arguments, const std::string& file) {
    const Result<Module> module = prepare_machine(arguments);
    if (!module)
        return cannot(module.error().to_string());
    const Result<std::string> path = faultline_file(file);
    if (!path)
        return cannot(path.error().to_string());
    const Result<std::string> text = read_text(*path);
    if (!text)
        return cannot(text.error().to_string());
    fmt::print("{}", *text);
    return status_good;
}

} // namespace faultline
