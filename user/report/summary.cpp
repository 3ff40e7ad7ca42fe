// SPDX-License-Identifier: GPL-2.0
#include "report/summary.hpp"

namespace faultline {

Standing Judged::standing() const {
    switch (report.verdict) {
    case Verdict::pass:
        return known_bug.empty() || !whole ? Standing::passed : Standing::unexpected_pass;
    case Verdict::skip:
        return Standing::skipped;
    case Verdict::miss:
        return Standing::missed;
    case Verdict::fail:
        return known_bug.empty() ? Standing::failed : Standing::known;
    case Verdict::error:
        break;
    }
    return Standing::error;
}

bool Judged::expected() const {
    const Standing now = standing();
    return now == Standing::passed || now == Standing::skipped || now == Standing::known;
}

void Summary::add(Standing standing) {
    switch (standing) {
    case Standing::passed:
        ++passed;
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
