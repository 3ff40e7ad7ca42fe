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
        text += fmt::format("  # a wait that excludes nothing ({}), {} times: {}\n", kind,
                            wait.count, plain(wait.stack));
    for (const std::string& one : not_compared_texts(report))
        text += fmt::format("  # {}\n", plain(one));
    if (!report.measures.empty())
        text += fmt::format("  # measured: {}\n", plain(to_string(report.measures)));
    const Tally* forbidden = report.forbidden();
    if (forbidden != nullptr)
        text += fmt::format("  # replay: {}\n", replay_line(report, forbidden->example));
    return text;
}

// The result of a variant or a scenario.
struct Result {
    std::string_view indent;
    unsigned number;
    std::string_view name;
    Standing standing;
    std::string why;
    std::string known_bug;
};

std::string result_line(const Result& result, KnownAs known_as) {
    const auto say = [&result](bool ok, const std::string& directive) {
        return line(result.indent, ok, result.number, result.name, directive);
    };
    switch (result.standing) {
    case Standing::passed:
        return say(true, "");
    case Standing::uncontrolled:
    case Standing::skipped:
        return say(true, "SKIP " + result.why);
    case Standing::failed:
        return say(false, result.why);
    case Standing::known:
        if (known_as == KnownAs::xfail)
            return say(true, "XFAIL " + result.known_bug);
        return fmt::format("{}# {}: known bug: {}\n", result.indent, result.name,
                           plain(result.known_bug)) +
               say(true, "");
    case Standing::unexpected_pass:
        return say(false, "XPASS passes on a kernel known to have the bug: " + result.known_bug);
    case Standing::missed:
        return say(false, "MISS " + result.why);
    case Standing::error:
        break;
    }
    return say(false, "ERROR " + result.why);
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

std::string ktap_scenario(unsigned number, const ScenarioReport& report, KnownAs known_as) {
    std::string text;
    const std::size_t plan = report.variants.size() + report.controls.size();
    if (plan > 0) // a subtest of none would be one that did not run
        text = fmt::format("  KTAP version 1\n  # Subtest: {}\n  1..{}\n", report.scenario, plan);
    unsigned sub = 0;
    for (const VariantReport& variant : report.variants)
        text += diagnostics(variant) + result_line({"  ", ++sub, variant.variant, variant.standing,
                                                    variant.why, variant.known_bug},
                                                   known_as);
    for (const VariantReport& control : report.controls)
        text += diagnostics(control) + control_line(++sub, control);
    const Standings variants = standings_of(report.variants);
    if (variants.skipped > 0)
        text += fmt::format("# {}: {} of {} variants skipped\n", report.scenario, variants.skipped,
                            variants.all());
    return text + result_line({"", number, report.scenario, report.standing, report.why,
                               report.known_bug()},
                              known_as);
}

std::string ktap_end(const Summary& summary) {
    const Standings& all = summary.scenarios;
    return fmt::format("# Totals: pass:{} fail:{} xfail:{} xpass:0 skip:{} error:{}\n", all.passed,
                       all.failed + all.missed, all.known, all.skipped + all.uncontrolled,
                       all.errors);
}

} // namespace faultline
