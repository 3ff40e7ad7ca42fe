// SPDX-License-Identifier: GPL-2.0
#include "report/human.hpp"

#include "report/timeline.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace faultline {

namespace {

constexpr std::size_t outcomes_in_line = 3;
constexpr std::size_t line_width = 100;
constexpr std::string_view indent = "    ";

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

// Breaks at spaces; all lines but the first are indented by one more. A word that is longer than a
// line stays whole.
std::string wrapped(std::string_view text, std::string_view in = indent) {
    std::string lines;
    std::string line(in);
    bool empty = true;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find(' '), text.size());
        const std::string_view next = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        if (!empty && line.size() + 1 + next.size() > line_width) {
            lines += line + "\n";
            line = std::string(in) + " ";
            empty = true;
        }
        line += (empty ? "" : " ") + std::string(next);
        empty = false;
    }
    return lines + line + "\n";
}

// A line of text that may have line breaks of its own.
std::string note(const std::string& text) {
    std::string lines;
    for (std::size_t begin = 0; begin <= text.size();) {
        const std::size_t end = std::min(text.find('\n', begin), text.size());
        lines += wrapped(std::string_view(text).substr(begin, end - begin));
        begin = end + 1;
    }
    return lines;
}

std::string without_break(const std::string& line) { return line.substr(0, line.size() - 1); }

// Facts with commas between them, as many in the first line as fit behind `head`.
std::string facts_behind(const std::string& head, std::size_t width,
                         const std::vector<std::string>& facts) {
    std::string text = head;
    for (std::size_t i = 0; i < facts.size(); ++i) {
        const std::string next = facts[i] + (i + 1 < facts.size() ? "," : "");
        const bool fits = width + 1 + next.size() <= line_width;
        text += fits ? " " + next : "\n" + without_break(wrapped(next));
        width = fits ? width + 1 + next.size() : text.size() - text.rfind('\n') - 1;
    }
    return text + "\n";
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

// SGR parameters of ECMA-48.
std::string_view colour_of(Standing standing) {
    switch (standing) {
    case Standing::passed:
        return "32"; // green
    case Standing::known:
    case Standing::missed:
        return "33"; // yellow
    case Standing::skipped:
    case Standing::uncontrolled:
        return "36"; // cyan
    default:
        return "1;31"; // bold red
    }
}

std::string painted(std::string_view text, Standing standing, Colour colour) {
    return colour == Colour::none ? std::string(text)
                                  : fmt::format("\033[{}m{}\033[0m", colour_of(standing), text);
}

std::vector<std::string> facts_of(const Counts& counts, double seconds, const std::string& bound) {
    std::vector<std::string> facts = {
        fmt::format("{} runs", counts.runs),
        fmt::format("{} overlaps ({} %)", counts.overlaps, percent(counts.overlaps, counts.runs))};
    if (!bound.empty())
        facts.push_back("not seen: " + bound);
    if (counts.excluded > 0)
        facts.push_back(fmt::format("{} excluded", counts.excluded));
    if (counts.waited > 0)
        facts.push_back(fmt::format("{} waited", counts.waited));
    if (seconds > 0)
        facts.push_back(fmt::format("{:.0f} runs/s", static_cast<double>(counts.runs) / seconds));
    return facts;
}

std::string replays(const std::vector<VariantReport>& reports) {
    std::string text;
    for (const VariantReport& report : reports)
        if (const Tally* forbidden = report.forbidden())
            text += fmt::format("    replay: {}\n", replay_line(report, forbidden->example));
    return text;
}

} // namespace

namespace {

// The notes of every result except a plain pass.
std::string notes_of(const ScenarioReport& report) {
    std::string text;
    if (!report.why.empty())
        text += note(report.why);
    for (const VariantReport& variant : report.variants) {
        if (variant.standing == Standing::known)
            text += note(fmt::format("known bug, {}: {}", variant.variant, variant.known_bug));
        if (variant.standing == Standing::unexpected_pass)
            text += note(fmt::format("{} PASSES ALTHOUGH this kernel is known to have the bug: {}",
                                     variant.variant, variant.known_bug));
    }
    if (!report.no_hazard_control.empty())
        text += note("no control brings the hazard back: " + report.no_hazard_control);
    for (const VariantReport& control : report.controls)
        if (control.verdict == Verdict::skip)
            text += note(
                fmt::format("control {} not tried: {}", control.control.value_or(""), control.why));
    for (const VariantReport& control : report.controls)
        if (!control.caught_by.empty())
            text += note(fmt::format("control {}: {}", control.control.value_or(""), control.why));
    for (const VariantReport& variant : report.variants)
        for (const auto& [kind, wait] : variant.waits)
            text += note(fmt::format("{}: a wait that excludes nothing ({}), {} times: {}",
                                     variant.variant, kind, wait.count, wait.stack));
    for (const VariantReport& variant : report.variants)
        for (const std::string& one : not_compared_texts(variant))
            text += note(fmt::format("{}: {}", variant.variant, one));
    for (const VariantReport& variant : report.variants)
        if (!variant.measures.empty())
            text +=
                note(fmt::format("measured {}: {}", variant.variant, to_string(variant.measures)));
    for (const VariantReport& variant : report.variants)
        if (variant.verdict == Verdict::skip)
            text += note(fmt::format("skipped {}: {}", variant.variant, variant.why));
    return text;
}

} // namespace

std::string human_scenario(const ScenarioReport& report, Colour colour) {
    const std::string verdict = fmt::format("{:<5}", word(report.standing, report.verdict));
    const std::string name = fmt::format("{:<20} ", report.scenario);
    const std::string head = name + painted(verdict, report.standing, colour) + " ";
    const Standings variants = standings_of(report.variants);
    std::vector<std::string> facts;
    if (report.verdict == Verdict::skip)
        facts.push_back(report.why);
    else
        facts = facts_of(total(report.variants), total_seconds(report.variants),
                         variants.passed > 0 ? bound_text(report.bound()) : "");
    if (variants.skipped > 0)
        facts.push_back(fmt::format("{} of {} variants skipped", variants.skipped, variants.all()));
    std::string text = facts_behind(head, name.size() + verdict.size() + 1, facts);
    if (report.verdict == Verdict::skip)
        return text;
    if (const std::string seen = histogram_line(merged_histogram(report.variants)); !seen.empty())
        text += wrapped(seen);
    return text + notes_of(report) + replays(report.variants);
}

std::string human_variant(const VariantReport& report, Colour colour) {
    const std::string name = report.control
                                 ? fmt::format("{} --control {}", report.name(), *report.control)
                                 : report.name();
    // Under a control the verdict names the hazard: it is no standing.
    std::string verdict(to_string(report.verdict));
    const std::size_t width = 2 + verdict.size() + 1 + name.size() + 1;
    if (!report.control)
        verdict = painted(verdict, report.standing, colour);
    std::string text = facts_behind(fmt::format("  {} {} ", verdict, name), width,
                                    facts_of(report.counts, report.seconds, ""));
    if (!report.why.empty())
        text += note("why: " + report.why);
    if (report.verdict == Verdict::pass)
        text += note("not seen: " + power_text(report));
    if (!report.known_bug.empty())
        text += note("known bug: " + report.known_bug);
    if (!report.blocked.empty())
        text += note("excluded: " + report.blocked);
    for (const auto& [kind, wait] : report.waits)
        text += note(fmt::format("a wait that excludes nothing ({}), {} times: {}", kind,
                                 wait.count, wait.stack));
    for (const std::string& one : not_compared_texts(report))
        text += note(one);
    if (!report.measures.empty())
        text += note("measured: " + to_string(report.measures));
    for (const auto& [words, tally] : report.histogram)
        text += wrapped(fmt::format("{:>8}  {}  {}{}", tally.count,
                                    tally.count == report.counts.runs ? "Always   " : "Sometimes",
                                    words, tally.allowed ? "" : "  FORBIDDEN"));
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
