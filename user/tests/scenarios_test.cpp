// SPDX-License-Identifier: GPL-2.0
// The scenarios' tables are whole: names unique, schedules parse and print back, controls have
// their variant. Their behaviour in a kernel is for the VM.
#include "cli/common.hpp"
#include "engine/scenario.hpp"
#include "engine/schedule.hpp"
#include "kernel/series.hpp"
#include "scenarios/list.hpp"

#include <gtest/gtest.h>
#include <set>

namespace faultline {
namespace {

TEST(Scenarios, AreDescribed) {
    std::set<std::string_view> names;
    for (const Scenario* scenario : known_scenarios()) {
        EXPECT_TRUE(names.insert(scenario->name).second) << scenario->name << " is there twice";
        for (const std::string_view text :
             {scenario->claim, scenario->source, scenario->races, scenario->bad})
            EXPECT_FALSE(text.empty()) << scenario->name;
        EXPECT_FALSE(scenario->variants.empty()) << scenario->name;
        EXPECT_FALSE(scenario->controls.empty() && scenario->no_hazard_control.empty())
            << scenario->name << ": without a control a pass proves nothing";
        EXPECT_TRUE(scenario->make) << scenario->name;
    }
}

TEST(Scenarios, SchedulesPrintAsTheyAreWritten) {
    for (const Scenario* scenario : known_scenarios()) {
        std::set<std::string_view> names;
        for (const Variant& variant : scenario->variants) {
            EXPECT_TRUE(names.insert(variant.name).second)
                << scenario->name << "/" << variant.name << " is there twice";
            const Result<std::vector<Edge>> edges = parse_edges(variant.schedule);
            ASSERT_TRUE(edges.ok())
                << scenario->name << "/" << variant.name << ": " << edges.error().to_string();
            EXPECT_EQ(to_string(*edges), variant.schedule);
        }
    }
}

TEST(Scenarios, ControlsNameTheirVariantAndDoSomething) {
    for (const Scenario* scenario : known_scenarios())
        for (const Control& control : scenario->controls) {
            bool found = false;
            for (const Variant& variant : scenario->variants)
                found = found || variant.name == control.variant;
            EXPECT_TRUE(found) << scenario->name << " control " << control.name;
            EXPECT_FALSE(control.actions.empty()) << scenario->name << " control " << control.name;
        }
}

TEST(Scenarios, HaveAControlThatBringsTheHazardBackOrSayWhyNot) {
    for (const Scenario* scenario : known_scenarios()) {
        bool hazard = false;
        for (const Control& control : scenario->controls) {
            hazard = hazard || control.kind == Control::Kind::hazard;
            EXPECT_EQ(control.produces.empty(), control.kind == Control::Kind::remedy)
                << scenario->name << " control " << control.name;
        }
        EXPECT_NE(hazard, !scenario->no_hazard_control.empty()) << scenario->name;
    }
}

TEST(Scenarios, ExpectationsAreWordsAndValues) {
    const auto expect_pattern = [](const Scenario& scenario, std::string_view pattern) {
        EXPECT_NE(pattern.find('='), std::string_view::npos)
            << scenario.name << ": \"" << pattern << '"';
    };
    for (const Scenario* scenario : known_scenarios())
        for (const Variant& variant : scenario->variants) {
            for (const Expected& expected : variant.expected)
                expect_pattern(*scenario, expected.words);
            if (!variant.always.empty())
                expect_pattern(*scenario, variant.always);
            for (const KnownBug& bug : variant.known) {
                expect_pattern(*scenario, bug.words);
                EXPECT_FALSE(bug.releases.empty()) << scenario->name;
                EXPECT_FALSE(bug.fix.empty()) << scenario->name;
                EXPECT_EQ(bug.log_line.empty(), bug.log_trace.empty())
                    << scenario->name << ": a line of the log without its trace is too wide";
            }
            EXPECT_FALSE(variant.chance && variant.forced) << scenario->name << variant.name;
        }
}

TEST(Releases, ASeriesIsNotAPrefixOfDigits) {
    EXPECT_TRUE(in_series("6.1", "6.1"));
    EXPECT_TRUE(in_series("6.1.0-32-amd64", "6.1"));
    EXPECT_TRUE(in_series("6.1-rc3", "6.1"));
    EXPECT_FALSE(in_series("6.12.95", "6.1"));
    EXPECT_FALSE(in_series("5.6.1", "6.1"));
}

TEST(Releases, AnItemMayEndBeforeItsFix) {
    const char* const list = "6.1, 6.12 < 6.12.117, 7.3";
    EXPECT_TRUE(in_releases("6.1.140", list));
    EXPECT_TRUE(in_releases("6.12.95", list));
    EXPECT_TRUE(in_releases("6.12.116", list));
    EXPECT_FALSE(in_releases("6.12.117", list));
    EXPECT_FALSE(in_releases("6.12.200", list));
    EXPECT_FALSE(in_releases("7.2.13", list));
    EXPECT_TRUE(in_releases("7.3-rc7", list));
    EXPECT_TRUE(in_releases("7.3-rc7", "7.3 < 7.3.1"));
    EXPECT_TRUE(in_releases("anything", ""));
    EXPECT_FALSE(in_releases("6.1.140", "!6.1"));
    EXPECT_TRUE(in_releases("6.12.95", "!6.1"));
    EXPECT_FALSE(in_releases("6.12.95", "!6.12 < 6.12.117"));
    EXPECT_TRUE(in_releases("6.12.117", "!6.12 < 6.12.117"));
}

TEST(Releases, TheDistributionsVersionIsTheExactOne) {
    EXPECT_EQ(distribution_version("6.1.0-40-amd64",
                                   "#1 SMP PREEMPT_DYNAMIC Debian 6.1.153-1 (2025-09-20)"),
              "6.1.153");
    EXPECT_EQ(distribution_version("6.12.95+deb12-amd64", "#1 SMP Debian 6.12.95-1~bpo12+1 (2026)"),
              "6.12.95");
    EXPECT_EQ(distribution_version("7.3-rc7-amd64", "#1 SMP Debian 7.3~rc7-1~exp1 (2026)"),
              "7.3-rc7");
    EXPECT_EQ(distribution_version("6.19.0", "#2 SMP Tue"), "6.19.0");
    EXPECT_EQ(distribution_version("6.19.0", "#2 Debian "), "6.19.0");
}

} // namespace
} // namespace faultline
