// SPDX-License-Identifier: GPL-2.0
#include "report/summary.hpp"

#include <fmt/format.h>

namespace faultline {

void Standings::add(Standing standing) {
    switch (standing) {
    case Standing::passed:
        ++passed;
        break;
    case Standing::uncontrolled:
        ++uncontrolled;
        break;
    case Standing::failed:
    case Standing::unexpected_pass:
        ++failed;
        break;
    case Standing::skipped:
        ++skipped;
        break;
    case Standing::known:
        ++known;
        break;
    case Standing::missed:
        ++missed;
        break;
    case Standing::error:
        ++errors;
        break;
    }
}

Standings standings_of(const std::vector<VariantReport>& variants) {
    Standings all;
    for (const VariantReport& variant : variants)
        all.add(variant.standing);
    return all;
}

void Catches::add(const VariantReport& control) {
    if (control.verdict == Verdict::skip)
        ++skipped;
    else if (control.verdict == Verdict::error)
        ++errors;
    else if (control.caught())
        ++caught;
    else
        ++not_caught;
}

Catches catches_of(const std::vector<VariantReport>& controls) {
    Catches all;
    for (const VariantReport& control : controls)
        all.add(control);
    return all;
}

void Summary::add(const ScenarioReport& report) {
    scenarios.add(report.standing);
    for (const VariantReport& variant : report.variants)
        variants.add(variant.standing);
    for (const VariantReport& control : report.controls)
        controls.add(control);
}

Standings Summary::total() const {
    Standings all = variants;
    all.passed += controls.caught;
    all.failed += controls.not_caught;
    all.skipped += controls.skipped;
    all.errors += controls.errors;
    return all;
}

std::string bound_text(double bound) {
    const double percent = bound * 100;
    return fmt::format("< {:.{}f} %", percent, percent >= 10 ? 0 : percent >= 1 ? 1 : 2);
}

std::vector<std::string> not_compared_texts(const VariantReport& report) {
    // Counters of the same runs stand together.
    std::map<std::string, std::string> counters;
    for (const auto& [counter, left_out] : report.not_compared) {
        std::string& together =
            counters[fmt::format("not compared in {} of {} runs, as other programs ran ({})",
                                 left_out.count, report.counts.runs, left_out.others)];
        together += (together.empty() ? "" : ", ") + counter;
    }
    std::vector<std::string> texts;
    texts.reserve(counters.size());
    for (const auto& [why, names] : counters)
        texts.push_back(fmt::format("{}: {}", why, names));
    return texts;
}

std::string power_text(const VariantReport& report) {
    return fmt::format("0 in {}: {}", report.situation.count(report.counts),
                       bound_text(report.bound()));
}

std::string replay_line(const VariantReport& report, const Example& example) {
    std::string command = "faultline replay '" + example.schedule + "'";
    if (report.control)
        command += " --control " + *report.control;
    return command;
}

Counts total(const std::vector<VariantReport>& reports) {
    Counts sum;
    for (const VariantReport& report : reports) {
        sum.runs += report.counts.runs;
        sum.overlaps += report.counts.overlaps;
        sum.excluded += report.counts.excluded;
        sum.waited += report.counts.waited;
        sum.forbidden += report.counts.forbidden;
    }
    return sum;
}

double total_seconds(const std::vector<VariantReport>& reports) {
    double sum = 0;
    for (const VariantReport& report : reports)
        sum += report.seconds;
    return sum;
}

std::map<std::string, Tally> merged_histogram(const std::vector<VariantReport>& reports) {
    std::map<std::string, Tally> merged;
    for (const VariantReport& report : reports)
        for (const auto& [words, tally] : report.histogram) {
            Tally& sum = merged[words];
            sum.count += tally.count;
            sum.allowed = sum.allowed && tally.allowed;
        }
    return merged;
}

} // namespace faultline
