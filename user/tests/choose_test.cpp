// SPDX-License-Identifier: GPL-2.0
// The variants that names on the command line choose.
#include "cli/common.hpp"
#include "scenarios/list.hpp"

#include <gtest/gtest.h>

namespace faultline {
namespace {

std::vector<Chosen> chosen_by(std::vector<std::string> names) {
    Arguments arguments;
    arguments.names = std::move(names);
    Result<std::vector<Chosen>> all = choose(arguments);
    EXPECT_TRUE(all.ok()) << all.error().to_string();
    return all.ok() ? std::move(*all) : std::vector<Chosen>();
}

TEST(Choose, NothingMeansAll) {
    EXPECT_EQ(chosen_by({}).size(), std::size(known_scenarios()));
    for (const Chosen& one : chosen_by({}))
        EXPECT_EQ(one.name(), one.scenario->name);
}

TEST(Choose, AFamilyIsItsScenarios) {
    for (const Scenario* scenario : known_scenarios()) {
        if (scenario->family.empty())
            continue;
        bool found = false;
        for (const Chosen& one : chosen_by({std::string(scenario->family)})) {
            EXPECT_EQ(one.scenario->family, scenario->family);
            found = found || one.scenario == scenario;
        }
        EXPECT_TRUE(found) << scenario->name;
    }
}

TEST(Choose, OneVariantIsNotTheWholeScenario) {
    const Scenario& first = **std::begin(known_scenarios());
    const std::string variant(first.variants.front().name);
    const std::vector<Chosen> all = chosen_by({std::string(first.name) + "/" + variant});
    ASSERT_EQ(all.size(), 1U);
    EXPECT_EQ(all.front().scenario, &first);
    EXPECT_EQ(all.front().selection.variant, variant);
    EXPECT_EQ(all.front().name(), std::string(first.name) + "/" + variant);
}

TEST(Choose, AControlCanBePartOfAName) {
    const Scenario& first = **std::begin(known_scenarios());
    const std::string name =
        std::string(first.name) + "+" + std::string(first.controls.front().name);
    const std::vector<Chosen> all = chosen_by({name});
    ASSERT_EQ(all.size(), 1U);
    EXPECT_EQ(all.front().selection.control, first.controls.front().name);
    EXPECT_EQ(all.front().name(), name);
}

TEST(Choose, AnUnknownNameIsNamedWithWhatThereIs) {
    const std::string first((*std::begin(known_scenarios()))->name);
    for (const std::string& name :
         {std::string("no-such"), first + "/no-such", first + "+no-such"}) {
        Arguments arguments;
        arguments.names = {name};
        const Result<std::vector<Chosen>> all = choose(arguments);
        ASSERT_FALSE(all.ok()) << name;
        EXPECT_NE(all.error().to_string().find("no-such"), std::string::npos);
    }
}

TEST(Choose, ATypoGetsTheNearestName) {
    Arguments arguments;
    arguments.names = {"colapse-fil"};
    const Result<std::vector<Chosen>> all = choose(arguments);
    ASSERT_FALSE(all.ok());
    EXPECT_EQ(all.error().to_string(), "no scenario is called \"colapse-fil\": is it "
                                       "\"collapse-fill\"? See faultline list");
    arguments.names = {"qqqqqqqqqq"};
    EXPECT_EQ(choose(arguments).error().to_string(),
              "no scenario is called \"qqqqqqqqqq\". See faultline list");
}

} // namespace
} // namespace faultline
