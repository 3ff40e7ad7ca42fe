// SPDX-License-Identifier: GPL-2.0
// What there is: from the tables that run it.
#include "scenarios/list.hpp"
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

void list_short(const Scenario& scenario) {
    fmt::print("  {:<24} {} variants, {} controls  {}\n", scenario.name, scenario.variants.size(),
               scenario.controls.size(), scenario.claim);
}

constexpr const char* only_by_name = " (only if asked for by name)";

void list_verbose(const Scenario& scenario) {
    fmt::print("{}\n  claim:   {}\n  source:  {}\n  races:   {}\n  bad:     {}\n", scenario.name,
               scenario.claim, scenario.source, scenario.races, scenario.bad);
    for (const Need& need : scenario.needs)
        fmt::print("  needs:   {}\n", need.name);
    for (const Variant& variant : scenario.variants)
        fmt::print("  variant {}: {}{}\n    {}\n", variant.name, variant.about,
                   variant.by_name_only ? only_by_name
                   : variant.forced     ? ""
                                        : " (not forced)",
                   full_schedule(scenario, variant));
    for (const Control& control : scenario.controls)
        fmt::print("  {} {} of {}: {}{}\n", control.remedy ? "remedy" : "control", control.name,
                   control.variant, control.about, control.by_name_only ? only_by_name : "");
    fmt::print("\n");
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
        json["variants"].push_back(Json{{"name", variant.name},
                                        {"about", variant.about},
                                        {"forced", variant.forced},
                                        {"by_name_only", variant.by_name_only},
                                        {"schedule", full_schedule(scenario, variant)}});
    json["controls"] = Json::array();
    for (const Control& control : scenario.controls)
        json["controls"].push_back(Json{{"name", control.name},
                                        {"about", control.about},
                                        {"variant", control.variant},
                                        {"remedy", control.remedy},
                                        {"by_name_only", control.by_name_only}});
    fmt::print("{}\n", json.dump());
}

void list_controls(const Scenario& scenario) {
    for (const Control& control : scenario.controls)
        if (control.tried_with_others())
            fmt::print("{} {}\n", scenario.name, control.name);
}

} // namespace

int list_command(const Arguments& arguments) {
    std::string_view family;
    for (const Scenario* scenario : all_scenarios()) {
        if (arguments.list_json)
            list_json(*scenario);
        else if (arguments.list_controls)
            list_controls(*scenario);
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
