// SPDX-License-Identifier: GPL-2.0
#include "report/json.hpp"

#include "report/timeline.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>

namespace faultline {

namespace {

using Json = nlohmann::ordered_json;

// The version of report/results.schema.json: a new number if a reader of the old one would read it
// wrong.
constexpr unsigned json_schema = 1;
constexpr std::size_t most_examples = 8; // of one variant

// Words may hold bytes from the kernel that are no UTF-8: replaced, never thrown over.
std::string to_line(const Json& json) {
    return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

Json or_null(const std::string& text) { return text.empty() ? Json(nullptr) : Json(text); }

double rounded(double value) { return std::round(value * 1000) / 1000; }

Json histogram_of(const std::map<std::string, Tally>& histogram) {
    Json json = Json::object();
    for (const auto& [words, tally] : histogram)
        json[words] = tally.count;
    return json;
}

Json forbidden_of(const std::map<std::string, Tally>& histogram) {
    Json json = Json::array();
    for (const auto& [words, tally] : histogram)
        if (!tally.allowed)
            json.push_back(words);
    return json;
}

void put_counts(Json& json, const Counts& counts, double seconds) {
    json["runs"] = counts.runs;
    json["overlaps"] = counts.overlaps;
    json["excluded"] = counts.excluded;
    json["waited"] = counts.waited;
    json["seconds"] = rounded(seconds);
    json["rate"] = seconds > 0 ? rounded(static_cast<double>(counts.runs) / seconds) : 0.0;
}

// The bound is null where the situation never arose.
Json power_of(std::uint64_t count, double bound) {
    return {{"overlaps", count},
            {"bound", bound < 1 ? Json(std::round(bound * 1e6) / 1e6) : Json(nullptr)}};
}

Json standings_json(const Standings& all) {
    return {{"passed", all.passed},
            {"failed", all.failed},
            {"skipped", all.skipped},
            {"known", all.known},
            {"missed", all.missed},
            {"errors", all.errors},
            {"uncontrolled", all.uncontrolled}};
}

Json catches_json(const Catches& all) {
    return {{"caught", all.caught},
            {"not_caught", all.not_caught},
            {"skipped", all.skipped},
            {"errors", all.errors}};
}

// A time in microseconds since the first site was reached; null: not at all.
Json since(std::uint64_t first, std::uint64_t time) {
    return time == 0 ? Json(nullptr)
                     : Json(rounded(static_cast<double>(static_cast<std::int64_t>(time - first)) /
                                    1000.0));
}

std::string_view context_word(std::uint32_t context) {
    return context == FL_CONTEXT_SLEEP ? "sleep" : context == FL_CONTEXT_SPIN ? "spin" : "none";
}

Json site_of(const std::string& text, const fl_site_result& site, std::uint64_t first) {
    return {{"site", text},
            {"end", end_word(site.end)},
            {"held", context_word(site.context)},
            {"cpu", site.cpu},
            {"reached_us", since(first, site.reached_ns)},
            {"left_us", since(first, site.left_ns)}};
}

// One run of an outcome: the times of each site, and the sleeper with its stack.
Json example_of(const VariantReport& report, const std::string& outcome, const Tally& tally) {
    const fl_result& result = tally.example.result;
    std::uint64_t first = 0;
    for (std::size_t i = 0; i < report.sites.size(); ++i)
        if (const std::uint64_t at = result.sites[i].reached_ns; at != 0)
            first = first == 0 ? at : std::min(first, at);
    Json json;
    json["outcome"] = outcome;
    json["run"] = tally.example.run;
    json["replay"] = tally.example.schedule;
    json["why"] = or_null(tally.example.why);
    json["sites"] = Json::array();
    for (std::size_t i = 0; i < report.sites.size(); ++i)
        json["sites"].push_back(site_of(report.sites[i], result.sites[i], first));
    const std::string stack(result.blocked, strnlen(result.blocked, sizeof(result.blocked)));
    const bool slept = !stack.empty() && result.blocked_actor < report.actors.size();
    json["sleeper"] = slept ? Json(report.actors[result.blocked_actor]) : Json(nullptr);
    json["stack"] = slept ? Json(stack) : Json(nullptr);
    return json;
}

// Forbidden outcomes first, then the frequent ones.
Json examples_of(const VariantReport& report) {
    std::vector<const std::pair<const std::string, Tally>*> rows;
    for (const auto& row : report.histogram)
        if (row.second.example.run != 0)
            rows.push_back(&row);
    std::stable_sort(rows.begin(), rows.end(), [](const auto* a, const auto* b) {
        return a->second.allowed != b->second.allowed ? !a->second.allowed
                                                      : a->second.count > b->second.count;
    });
    rows.resize(std::min(rows.size(), most_examples));
    Json json = Json::array();
    for (const auto* row : rows)
        json.push_back(example_of(report, row->first, row->second));
    return json;
}

Json edges_of(const VariantReport& report) {
    Json json = Json::array();
    for (const Edge& edge : report.edges)
        json.push_back({to_string(edge.before), to_string(edge.after)});
    return json;
}

} // namespace

std::string json_begin(const System& system, const std::vector<std::string>& names) {
    Json json;
    json["kind"] = "begin";
    json["schema"] = json_schema;
    json["version"] = system.version;
    json["kernel"] = system.release;
    json["machine"] = system.machine;
    json["emulator"] = or_null(system.emulator);
    json["plan"] = names.size();
    json["names"] = names;
    return to_line(json);
}

std::string json_variant(const VariantReport& report) {
    Json json;
    json["kind"] = "variant";
    json["scenario"] = report.scenario;
    json["variant"] = report.variant;
    json["control"] = report.control ? Json(*report.control) : Json(nullptr);
    json["verdict"] = to_string(report.verdict);
    json["standing"] = to_string(report.standing);
    put_counts(json, report.counts, report.seconds);
    json["power"] = power_of(report.situation.count(report.counts), report.bound());
    json["chance"] = report.chance;
    json["histogram"] = histogram_of(report.histogram);
    json["forbidden"] = forbidden_of(report.histogram);
    json["why"] = report.why;
    json["schedule"] = report.schedule;
    const Tally* forbidden = report.forbidden();
    json["replay"] = forbidden != nullptr ? Json(forbidden->example.schedule) : Json(nullptr);
    json["actors"] = report.actors;
    json["edges"] = edges_of(report);
    json["examples"] = examples_of(report);
    json["known_bug"] = or_null(report.known_bug);
    json["blocked"] = or_null(report.blocked);
    json["waits"] = Json::object();
    for (const auto& [kind, wait] : report.waits)
        json["waits"][kind] = {{"count", wait.count}, {"stack", wait.stack}};
    json["not_compared"] = Json::object();
    for (const auto& [counter, left_out] : report.not_compared)
        json["not_compared"][counter] = {{"count", left_out.count}, {"others", left_out.others}};
    json["measures"] = Json::array();
    for (const Measure& measure : report.measures)
        json["measures"].push_back({{"value", rounded(measure.value)},
                                    {"what", measure.what},
                                    {"note", or_null(measure.note)}});
    if (report.control) {
        json["produces"] = report.produces;
        json["caught"] = report.caught();
        json["caught_by"] = or_null(report.caught_by);
        json["control_hits"] = report.control_hits;
    }
    return to_line(json);
}

std::string json_start(const Start& start) {
    Json json;
    json["kind"] = "start";
    json["scenario"] = start.scenario;
    json["variant"] = start.variant;
    json["control"] = or_null(std::string(start.control));
    json["caught_by"] = or_null(std::string(start.caught_by));
    json["schedule"] = start.schedule;
    json["runs"] = start.runs;
    return to_line(json);
}

std::string json_run(unsigned run, std::uint64_t seed) {
    Json json;
    json["kind"] = "run";
    json["run"] = run;
    json["seed"] = seed;
    return to_line(json);
}

std::string json_scenario(const ScenarioReport& report) {
    Json json;
    json["kind"] = "scenario";
    json["scenario"] = report.scenario;
    json["verdict"] = to_string(report.verdict);
    json["standing"] = to_string(report.standing);
    json["known_bug"] = or_null(report.known_bug());
    json["why"] = report.why;
    const Counts counts = total(report.variants);
    put_counts(json, counts, total_seconds(report.variants));
    std::uint64_t seen = 0;
    for (const VariantReport& variant : report.variants)
        seen += variant.situation.count(variant.counts);
    json["power"] = power_of(seen, report.bound());
    const std::map<std::string, Tally> histogram = merged_histogram(report.variants);
    json["histogram"] = histogram_of(histogram);
    json["forbidden"] = forbidden_of(histogram);
    json["no_hazard_control"] = or_null(report.no_hazard_control);
    json["variants"] = standings_json(standings_of(report.variants));
    json["controls"] = catches_json(catches_of(report.controls));
    return to_line(json);
}

std::string json_end(const Summary& summary) {
    Json json;
    json["kind"] = "end";
    json.update(standings_json(summary.total()));
    json["scenarios"] = standings_json(summary.scenarios);
    json["variants"] = standings_json(summary.variants);
    json["controls"] = catches_json(summary.controls);
    return to_line(json);
}

} // namespace faultline
