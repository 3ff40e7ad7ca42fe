// SPDX-License-Identifier: GPL-2.0
#include "report/json.hpp"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

namespace faultline {

namespace {

using Json = nlohmann::ordered_json;

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
    json["seconds"] = rounded(seconds);
    json["rate"] = seconds > 0 ? rounded(static_cast<double>(counts.runs) / seconds) : 0.0;
}

} // namespace

std::string json_begin(const System& system, unsigned plan) {
    Json json;
    json["kind"] = "begin";
    json["version"] = system.version;
    json["kernel"] = system.release;
    json["machine"] = system.machine;
    json["emulator"] = or_null(system.emulator);
    json["plan"] = plan;
    return to_line(json);
}

std::string json_variant(const VariantReport& report, const std::string& known_bug) {
    Json json;
    json["kind"] = "variant";
    json["scenario"] = report.scenario;
    json["variant"] = report.variant;
    json["control"] = report.control ? Json(*report.control) : Json(nullptr);
    json["verdict"] = to_string(report.verdict);
    put_counts(json, report.counts, report.seconds);
    json["histogram"] = histogram_of(report.histogram);
    json["forbidden"] = forbidden_of(report.histogram);
    json["why"] = report.why;
    json["schedule"] = report.schedule;
    const Tally* forbidden = report.forbidden();
    json["replay"] = forbidden != nullptr ? Json(forbidden->example.schedule) : Json(nullptr);
    json["known_bug"] = or_null(known_bug);
    json["blocked"] = or_null(report.blocked);
    json["measures"] = Json::array();
    for (const Measure& measure : report.measures)
        json["measures"].push_back({{"value", rounded(measure.value)},
                                    {"what", measure.what},
                                    {"note", or_null(measure.note)}});
    if (report.control) {
        json["caught"] = report.verdict == Verdict::fail;
        json["control_hits"] = report.control_hits;
    }
    return to_line(json);
}

std::string json_scenario(const Judged& judged) {
    const ScenarioReport& report = judged.report;
    Json json;
    json["kind"] = "scenario";
    json["scenario"] = report.scenario;
    json["verdict"] = to_string(report.verdict);
    json["expected"] = judged.expected();
    json["known_bug"] = or_null(judged.known_bug);
    json["why"] = report.why;
    put_counts(json, total(report.variants), total_seconds(report.variants));
    const std::map<std::string, Tally> histogram = merged_histogram(report.variants);
    json["histogram"] = histogram_of(histogram);
    json["forbidden"] = forbidden_of(histogram);
    json["controls"] = report.controls.size();
    json["controls_caught"] =
        std::count_if(report.controls.begin(), report.controls.end(),
                      [](const VariantReport& c) { return c.verdict == Verdict::fail; });
    return to_line(json);
}

std::string json_end(const Summary& summary) {
    Json json;
    json["kind"] = "end";
    json["passed"] = summary.passed;
    json["failed"] = summary.failed;
    json["skipped"] = summary.skipped;
    json["known"] = summary.known;
    json["missed"] = summary.missed;
    json["errors"] = summary.errors;
    return to_line(json);
}

} // namespace faultline
