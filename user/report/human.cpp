// SPDX-License-Identifier: GPL-2.0
#include "report/human.hpp"

#include "report/timeline.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace faultline {

namespace {

constexpr std::size_t outcomes_in_line = 3;

unsigned percent(std::uint64_t part, std::uint64_t whole) {
    return whole == 0 ? 0 : static_cast<unsigned>(part * 100 / whole);
}

std::string histogram_line(const std::map<std::string, Tally>& histogram) {
    if (histogram.empty())
        return {};
    std::vector<std::pair<std::string, Tally>> rows(histogram.begin(), histogram.end());
    // Forbidden ones first, then the frequent ones: the line may be cut.
    std::stable_sort(rows.begin(), rows.end(), [](const auto& a, const auto& b) {
        return a.second.allowed != b.second.allowed ? !a.second.allowed
                                                    : a.second.count > b.second.count;
    });
    std::string text;
    for (std::size_t i = 0; i < rows.size() && i < outcomes_in_line; ++i)
        text += fmt::format("{}{}{}: {}", i == 0 ? "" : ", ", rows[i].second.allowed ? "" : "!",
                            rows[i].first, rows[i].second.count);
    if (rows.size() > outcomes_in_line)
        text += fmt::format(", and {} more", rows.size() - outcomes_in_line);
    return "{" + text + "}";
}

std::string_view word(Standing standing, Verdict verdict) {
    switch (standing) {
    case Standing::known:
        return "KNOWN";
    case Standing::unexpected_pass:
        return "XPASS";
    case Standing::uncontrolled:
        return "NO CONTROL";
    default:
        return to_string(verdict);
    }
}

std::string counts_text(const Counts& counts, double seconds) {
    std::string text = fmt::format("{} runs, {} overlaps ({} %)", counts.runs, counts.overlaps,
                                   percent(counts.overlaps, counts.runs));
    if (counts.excluded > 0)
        text += fmt::format(", {} excluded", counts.excluded);
    if (counts.waited > 0)
        text += fmt::format(", {} waited", counts.waited);
    if (seconds > 0)
        text += fmt::format(", {:.0f} runs/s", static_cast<double>(counts.runs) / seconds);
    return text;
}

std::string replays(const std::vector<VariantReport>& reports) {
    std::string text;
    for (const VariantReport& report : reports)
        if (const Tally* forbidden = report.forbidden())
            text += fmt::format("    replay: {}\n", replay_line(report, forbidden->example));
    return text;
}

} // namespace

std::string human_scenario(const ScenarioReport& report) {
    const Standing standing = report.standing;
    std::string text =
        fmt::format("{:<20} {:<5}  ", report.scenario, word(standing, report.verdict));
    const Standings variants = standings_of(report.variants);
    const std::string skips = variants.skipped == 0 ? std::string()
                                                    : fmt::format(", {} of {} variants skipped",
                                                                  variants.skipped, variants.all());
    if (report.verdict == Verdict::skip)
        return text + report.why + skips + "\n";
    text += counts_text(total(report.variants), total_seconds(report.variants));
    if (variants.passed > 0)
        text += fmt::format(", not seen: {}", bound_text(report.bound()));
    text += fmt::format("{}  {}\n", skips, histogram_line(merged_histogram(report.variants)));
    if (!report.why.empty())
        text += "    " + report.why + "\n";
    for (const VariantReport& variant : report.variants) {
        if (variant.standing == Standing::known)
            text += fmt::format("    known bug, {}: {}\n", variant.variant, variant.known_bug);
        if (variant.standing == Standing::unexpected_pass)
            text += fmt::format("    {} PASSES ALTHOUGH this kernel is known to have the bug: {}\n",
                                variant.variant, variant.known_bug);
    }
    if (!report.no_hazard_control.empty())
        text += "    no control brings the hazard back: " + report.no_hazard_control + "\n";
    for (const VariantReport& control : report.controls)
        if (control.verdict == Verdict::skip)
            text += fmt::format("    control {} not tried: {}\n", control.control.value_or(""),
                                control.why);
    for (const VariantReport& control : report.controls)
        if (!control.caught_by.empty())
            text += fmt::format("    control {}: {}\n", control.control.value_or(""), control.why);
    for (const VariantReport& variant : report.variants)
        for (const auto& [kind, wait] : variant.waits)
            text += fmt::format("    {}: {} times no exclusion, but {}: {}\n", variant.variant,
                                wait.count, kind, wait.stack);
    for (const VariantReport& variant : report.variants)
        if (!variant.measures.empty())
            text +=
                fmt::format("    measured {}: {}\n", variant.variant, to_string(variant.measures));
    for (const VariantReport& variant : report.variants)
        if (variant.verdict == Verdict::skip)
            text += fmt::format("    skipped {}: {}\n", variant.variant, variant.why);
    return text + replays(report.variants);
}

std::string human_variant(const VariantReport& report) {
    const std::string name = report.control
                                 ? fmt::format("{} --control {}", report.name(), *report.control)
                                 : report.name();
    std::string text = fmt::format("  {} {}  {}\n", to_string(report.verdict), name,
                                   counts_text(report.counts, report.seconds));
    if (!report.why.empty())
        text += "    why: " + report.why + "\n";
    if (report.verdict == Verdict::pass)
        text += "    not seen: " + power_text(report) + "\n";
    if (!report.known_bug.empty())
        text += "    known bug: " + report.known_bug + "\n";
    if (!report.blocked.empty())
        text += "    excluded: " + report.blocked + "\n";
    for (const auto& [kind, wait] : report.waits)
        text +=
            fmt::format("    {} times no exclusion, but {}: {}\n", wait.count, kind, wait.stack);
    if (!report.measures.empty())
        text += "    measured: " + to_string(report.measures) + "\n";
    for (const auto& [words, tally] : report.histogram)
        text += fmt::format("    {:>8}  {}  {}{}\n", tally.count,
                            tally.count == report.counts.runs ? "Always   " : "Sometimes", words,
                            tally.allowed ? "" : "  FORBIDDEN");
    const Tally* shown = report.forbidden();
    if (shown == nullptr && !report.histogram.empty())
        shown = &report.histogram.begin()->second;
    if (shown == nullptr)
        return text;
    text +=
        fmt::format("    run {}: {}\n", shown->example.run, replay_line(report, shown->example));
    return text + timeline_text(shown->example, report.sites, "    ");
}

std::string human_progress(const Progress& progress) {
    std::string text = fmt::format("{}/{}  {}/{} runs, {:.0f} runs/s", progress.scenario,
                                   progress.variant, progress.done, progress.runs,
                                   progress.seconds > 0 ? progress.done / progress.seconds : 0.0);
    if (!progress.measures.empty())
        text += ", " + to_string(progress.measures);
    return text;
}

namespace {

std::string uncontrolled_text(const Standings& all) {
    return all.uncontrolled == 0 ? "" : fmt::format(", {} without a control", all.uncontrolled);
}

} // namespace

std::string human_summary(const Summary& summary) {
    const Standings& scenarios = summary.scenarios;
    const Standings& variants = summary.variants;
    const Standings total = summary.total();
    return fmt::format(
        "{} scenarios: {} passed, {} failed, {} skipped, {} known, {} missed, {} errors{}\n"
        "{} variants: {} passed, {} failed, {} skipped, {} known, {} missed, {} errors{}\n"
        "controls: {} caught, {} not caught, {} skipped, {} errors\n"
        "{} known, {} missed, {} errors{}\n{} passed, {} failed, {} skipped\n",
        scenarios.all(), scenarios.passed, scenarios.failed, scenarios.skipped, scenarios.known,
        scenarios.missed, scenarios.errors, uncontrolled_text(scenarios), variants.all(),
        variants.passed, variants.failed, variants.skipped, variants.known, variants.missed,
        variants.errors, uncontrolled_text(variants), summary.controls.caught,
        summary.controls.not_caught, summary.controls.skipped, summary.controls.errors, total.known,
        total.missed, total.errors, uncontrolled_text(total), total.passed, total.failed,
        total.skipped);
}

} // namespace faultline
