// SPDX-License-Identifier: GPL-2.0
// How a scenario's verdict counts, known bugs considered, and the sums at the end.
#ifndef FAULTLINE_REPORT_SUMMARY_HPP
#define FAULTLINE_REPORT_SUMMARY_HPP

#include "engine/runner.hpp"

#include <string>
#include <string_view>

namespace faultline {

// What the results were seen on.
struct System {
    std::string version; // of faultline
    std::string release = "unknown";
    std::string machine = "unknown";
    std::string emulator = {}; // "" = real hardware, or not told
};

enum class Standing { passed, failed, skipped, known, unexpected_pass, missed, error };

// A scenario's report with what is known about it on this kernel.
struct Judged {
    ScenarioReport report;
    std::string known_bug; // "" if none; else "fixed by ..."
    bool whole = true;     // all variants ran: only then is a pass of a known bug news

    [[nodiscard]] Standing standing() const;
    // As it should be: passed, skipped, or failed by a known bug.
    [[nodiscard]] bool expected() const;
};

struct Summary {
    unsigned passed = 0;
    unsigned failed = 0; // unexpected passes too
    unsigned skipped = 0;
    unsigned known = 0;
    unsigned missed = 0;
    unsigned errors = 0;

    void add(Standing standing);
    [[nodiscard]] bool good() const { return failed == 0 && missed == 0 && errors == 0; }
};

// The command that replays this run: a control is part of it.
std::string replay_line(const VariantReport& report, const Example& example);

// Over several variants.
Counts total(const std::vector<VariantReport>& reports);
double total_seconds(const std::vector<VariantReport>& reports);
std::map<std::string, Tally> merged_histogram(const std::vector<VariantReport>& reports);

} // namespace faultline

#endif // FAULTLINE_REPORT_SUMMARY_HPP
