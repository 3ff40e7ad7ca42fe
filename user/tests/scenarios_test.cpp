// SPDX-License-Identifier: GPL-2.0
// The scenarios' tables are whole: names unique, schedules parse and print back, controls have
// their variant. What the kernel makes of them is for the VM.
#include "engine/schedule.hpp"
#include "kernel/series.hpp"
#include "scenarios/known_bugs.hpp"
#include "scenarios/list.hpp"

#include <gtest/gtest.h>
#include <set>

namespace faultline {
namespace {

TEST(Scenarios, AreDescribed) {
    std::set<std::string_view> names;
    for (const Scenario* scenario : all_scenarios()) {
        EXPECT_TRUE(names.insert(scenario->name).second) << scenario->name << " is there twice";
        for (const std::string_view text :
             {scenario->claim, scenario->source, scenario->races, scenario->bad})
            EXPECT_FALSE(text.empty()) << scenario->name;
        EXPECT_FALSE(scenario->variants.empty()) << scenario->name;
        EXPECT_FALSE(scenario->controls.empty())
            << scenario->name << ": without a control a pass proves nothing";
        EXPECT_TRUE(scenario->make) << scenario->name;
    }
}

TEST(Scenarios, SchedulesPrintAsTheyAreWritten) {
    for (const Scenario* scenario : all_scenarios()) {
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
    for (const Scenario* scenario : all_scenarios())
        for (const Control& control : scenario->controls) {
            bool found = false;
            for (const Variant& variant : scenario->variants)
                found = found || variant.name == control.variant;
            EXPECT_TRUE(found) << scenario->name << " control " << control.name;
            EXPECT_FALSE(control.actions.empty()) << scenario->name << " control " << control.name;
        }
}

TEST(KnownBugs, ASeriesIsNotAPrefixOfDigits) {
    EXPECT_TRUE(in_series("6.1", "6.1"));
    EXPECT_TRUE(in_series("6.1.0-32-amd64", "6.1"));
    EXPECT_TRUE(in_series("6.1-rc3", "6.1"));
    EXPECT_FALSE(in_series("6.12.95", "6.1"));
    EXPECT_FALSE(in_series("5.6.1", "6.1"));
    EXPECT_EQ(known_bug("no-such-scenario", "6.1.0", "x86_64"), nullptr);
}

TEST(KnownBugs, OneCanBeAMachinesOwn) {
    EXPECT_NE(known_bug("hugetlb-mremap", "6.12.95", "aarch64"), nullptr);
    EXPECT_EQ(known_bug("hugetlb-mremap", "6.12.95", "s390x"), nullptr);
    EXPECT_NE(known_bug("hugetlb-insert", "6.12.95", "s390x"), nullptr);
}

} // namespace
} // namespace faultline
