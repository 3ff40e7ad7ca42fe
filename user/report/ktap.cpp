// SPDX-License-Identifier: GPL-2.0
#include "report/ktap.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace faultline {

namespace {

// A '#' would start a directive, and a line break a line.
std::string plain(std::string text) {
    std::replace(text.begin(), text.end(), '\n', ' ');
    return text;
}

std::string line(std::string_view indent, bool ok, unsigned number, std::string_view name,
                 const std::string& directive) {
    return fmt::format("{}{} {} {}{}{}\n", indent, ok ? "ok" : "not ok", number, name,
                       directive.empty() ? "" : " # ", plain(directive));
}

std::string diagnostics(const VariantReport& report) {
    std::string text = fmt::format("  # {}: {} runs, {} overlaps, {} excluded, {:.1f} runs/s\n",
                                   report.name(), report.counts.runs, report.counts.overlaps,
                                   report.counts.excluded, report.rate());
    for (const auto& [words, tally] : report.histogram)
        text += fmt::format("  # {} {}{}\n", tally.count, plain(words),
                            tally.allowed ? "" : " (forbidden)");
    if (report.verdict == Verdict::pass)
        text += fmt::format("  # not seen: {}\n", power_text(report));
    if (!report.blocked.empty())
        text += fmt::format("  # excluded: {}\n", plain(report.blocked));
    for (const auto& [kind, wait] : report.waits)
        text += fmt::format("  # no exclusion, but {}, {} times: {}\n", kind, wait.count,
                            plain(wait.stack));
    if (!report.measures.empty())
        text += fmt::format("  # measured: {}\n", plain(to_string(report.measures)));
    const Tally* forbidden = report.forbidden();
    if (forbidden != nullptr)
        text += fmt::format("  # replay: {}\n", replay_line(report, forbidden->example));
    return text;
}

// Of a variant or a scenario.
std::string standing_line(std::string_view indent, unsigned number, std::string_view name,
                          Standing standing, const std::string& why, const std::string& known_bug) {
    switch (standing) {
    case Standing::passed:
        return line(indent, true, number, name, "");
    case Standing::uncontrolled:
        return line(indent, true, number, name, "SKIP " + why);
    case Standing::failed:
        return line(indent, false, number, name, why);
    case Standing::skipped:
        return line(indent, true, number, name, "SKIP " + why);
    case Standing::known:
        return line(indent, false, number, name, "XFAIL " + known_bug);
    case Standing::unexpected_pass:
        return line(indent, false, number, name,
                    "XPASS passes on a kernel known to have the bug: " + known_bug);
    case Standing::missed:
        return line(indent, false, number, name, "MISS " + why);
    case Standing::error:
        break;
    }
    return line(indent, false, number, name, "ERROR " + why);
}

// A control is good when its outcome came back.
std::string control_line(unsigned number, const VariantReport& report) {
    const std::string name = "control-" + report.control.value_or("");
    if (report.verdict == Verdict::skip)
        return line("  ", true, number, name, "SKIP " + report.why);
    if (report.verdict == Verdict::error)
        return line("  ", false, number, name, "ERROR " + report.why);
    if (!report.caught())
        return line("  ", false, number, name, "not caught: " + report.why);
    return line("  ", true, number, name, "");
}

} // namespace

std::string ktap_begin(const System& system, unsigned plan) {
    std::string who =
        fmt::format("faultline {} on {} {}", system.version, system.release, system.machine);
    if (!system.emulator.empty())
        who += ", " + system.emulator;
    return fmt::format("KTAP version 1\n1..{}\n# {}\n", plan, plain(who));
}

std::string ktap_scenario(unsigned number, const ScenarioReport& report) {
    std::string text =
        fmt::format("  KTAP version 1\n  1..{}\n", report.variants.size() + report.controls.size());
    unsigned sub = 0;
    for (const VariantReport& variant : report.variants)
        text += diagnostics(variant) + standing_line("  ", ++sub, variant.variant, variant.standing,
                                                     variant.why, variant.known_bug);
    for (const VariantReport& control : report.controls)
        text += diagnostics(control) + control_line(++sub, control);
    const Standings variants = standings_of(report.variants);
    if (variants.skipped > 0)
        text += fmt::format("# {}: {} of {} variants skipped\n", report.scenario, variants.skipped,
                            variants.all());
    return text + standing_line("", number, report.scenario, report.standing, report.why,
                                report.known_bug());
}

} // namespace faultline
