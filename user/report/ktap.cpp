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
    if (!report.blocked.empty())
        text += fmt::format("  # excluded: {}\n", plain(report.blocked));
    if (!report.measures.empty())
        text += fmt::format("  # measured: {}\n", plain(to_string(report.measures)));
    const Tally* forbidden = report.forbidden();
    if (forbidden != nullptr)
        text += fmt::format("  # replay: {}\n", replay_line(report, forbidden->example));
    return text;
}

std::string variant_line(unsigned number, const VariantReport& report,
                         const std::string& known_bug) {
    const std::string_view name = report.variant;
    switch (report.verdict) {
    case Verdict::pass:
        return line("  ", true, number, name, "");
    case Verdict::skip:
        return line("  ", true, number, name, "SKIP " + report.why);
    case Verdict::miss:
        return line("  ", false, number, name, "MISS " + report.why);
    case Verdict::fail:
        return line("  ", false, number, name,
                    known_bug.empty() ? report.why : "XFAIL " + known_bug);
    case Verdict::error:
        break;
    }
    return line("  ", false, number, name, "ERROR " + report.why);
}

// A control is good when the variant under it failed.
std::string control_line(unsigned number, const VariantReport& report) {
    const std::string name = "control-" + report.control.value_or("");
    switch (report.verdict) {
    case Verdict::fail:
        return line("  ", true, number, name, "");
    case Verdict::skip:
        return line("  ", true, number, name, "SKIP " + report.why);
    case Verdict::error:
        return line("  ", false, number, name, "ERROR " + report.why);
    case Verdict::pass:
    case Verdict::miss:
        break;
    }
    return line("  ", false, number, name, "not caught: " + report.why);
}

} // namespace

std::string ktap_begin(const System& system, unsigned plan) {
    std::string who =
        fmt::format("faultline {} on {} {}", system.version, system.release, system.machine);
    if (!system.emulator.empty())
        who += ", " + system.emulator;
    return fmt::format("KTAP version 1\n1..{}\n# {}\n", plan, plain(who));
}

std::string ktap_scenario(unsigned number, const Judged& judged) {
    const ScenarioReport& report = judged.report;
    std::string text =
        fmt::format("  KTAP version 1\n  1..{}\n", report.variants.size() + report.controls.size());
    unsigned sub = 0;
    for (const VariantReport& variant : report.variants)
        text += diagnostics(variant) + variant_line(++sub, variant, judged.known_bug);
    for (const VariantReport& control : report.controls)
        text += diagnostics(control) + control_line(++sub, control);

    const std::string& name = report.scenario;
    switch (judged.standing()) {
    case Standing::passed:
        return text + line("", true, number, name, "");
    case Standing::failed:
        return text + line("", false, number, name, report.why);
    case Standing::skipped:
        return text + line("", true, number, name, "SKIP " + report.why);
    case Standing::known:
        return text + line("", false, number, name, "XFAIL " + judged.known_bug);
    case Standing::unexpected_pass:
        return text + line("", false, number, name,
                           "XPASS passes on a kernel known to have the bug: " + judged.known_bug);
    case Standing::missed:
        return text + line("", false, number, name, "MISS " + report.why);
    case Standing::error:
        break;
    }
    return text + line("", false, number, name, "ERROR " + report.why);
}

} // namespace faultline
