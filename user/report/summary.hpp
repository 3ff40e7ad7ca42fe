// SPDX-License-Identifier: GPL-2.0
// How a scenario's verdict counts, known bugs considered, and the sums at the end.
#ifndef FAULTLINE_REPORT_SUMMARY_HPP
#define FAULTLINE_REPORT_SUMMARY_HPP

#include "engine/runner.hpp"

#include <string>
#include <string_view>

namespace faultline {

// The kernel and machine of the results.
struct System {
    std::string version; // of faultline
    std::string release = "unknown";
    std::string machine = "unknown";
    std::string emulator = {}; // "" = real hardware, or not told
};

// Variants, or scenarios, by how they count.
struct Standings {
    unsigned passed = 0;
    unsigned failed = 0; // unexpected passes too
    unsigned skipped = 0;
    unsigned known = 0;
    unsigned missed = 0;
    unsigned errors = 0;
    unsigned uncontrolled = 0;

    void add(Standing standing);
    [[nodiscard]] unsigned all() const {
        return passed + failed + skipped + known + missed + errors + uncontrolled;
    }
    [[nodiscard]] bool good() const { return failed == 0 && missed == 0 && errors == 0; }
};
Standings standings_of(const std::vector<VariantReport>& variants);

struct Catches {
    unsigned caught = 0;
    unsigned not_caught = 0;
    unsigned skipped = 0;
    unsigned errors = 0;

    void add(const VariantReport& control);
};
Catches catches_of(const std::vector<VariantReport>& controls);

struct Summary {
    Standings scenarios;
    Standings variants;
    Catches controls;

    void add(const ScenarioReport& report);
    // A control that is caught passes.
    [[nodiscard]] Standings total() const;
    // A scenario that no control could run in is no pass, and none of its parts is bad.
    [[nodiscard]] bool good() const { return scenarios.good() && total().good(); }
};

// "< 0.1 %": what unseen_bound() means in words.
std::string bound_text(double bound);
// "0 in 3000: < 0.1 %"
std::string power_text(const VariantReport& report);
// "not compared in 3 of 50 runs, as other programs ran (cron, systemd): machine meminfo Shmem,
// ...".
std::vector<std::string> not_compared_texts(const VariantReport& report);

// The command that replays this run: a control is part of it.
std::string replay_line(const VariantReport& report, const Example& example);

// Over several variants.
Counts total(const std::vector<VariantReport>& reports);
double total_seconds(const std::vector<VariantReport>& reports);
std::map<std::string, Tally> merged_histogram(const std::vector<VariantReport>& reports);

} // namespace faultline

#endif // FAULTLINE_REPORT_SUMMARY_HPP
