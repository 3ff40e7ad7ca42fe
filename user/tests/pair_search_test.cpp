// SPDX-License-Identifier: GPL-2.0
// Which pair comes next when functions are listed.
#include "explore/pair_search.hpp"

#include <gtest/gtest.h>

namespace faultline {
namespace {

Profile passing(std::string actor, std::vector<std::string> functions) {
    Profile profile{std::move(actor), {}};
    for (std::string& function : functions)
        profile.places.push_back({.function = std::move(function)});
    return profile;
}

const std::vector<Topic> topics = {
    {"shmem", {"a", "b"}}, {"shmem", {"a", "c"}}, {"shmem", {"b", "c"}}, {"anon", {"a", "b"}}};

void expect(const PairSearch& search, bool may_trace, std::size_t pair, bool trace) {
    const auto choice = search.next(may_trace);
    ASSERT_TRUE(choice.has_value());
    EXPECT_EQ(choice->pair, pair);
    EXPECT_EQ(choice->trace, trace);
}

TEST(PairSearch, WithoutTracesItIsTheList) {
    PairSearch search(topics, {});
    for (std::size_t pair = 0; pair < topics.size(); ++pair) {
        expect(search, false, pair, false);
        search.done(pair);
    }
    EXPECT_FALSE(search.next(false));
}

TEST(PairSearch, PairsWithBothComeFirstThenThoseWithOne) {
    PairSearch search(topics, {"move", "gone"});
    expect(search, true, 0, true);
    search.traced(0, {passing("a", {"look"}), passing("b", {"move.isra.0"})});
    expect(search, true, 1, true); // of c nothing is known
    search.traced(1, {passing("a", {"look"}), passing("c", {"move"})});
    EXPECT_EQ(search.found(), 3U);
    expect(search, true, 2, false); // b and c
    search.done(2);
    expect(search, true, 3, true); // another setup
    search.traced(3, {passing("a", {}), passing("b", {})});
    expect(search, true, 0, false);
    search.done(0);
    expect(search, true, 1, false);
    search.done(1);
    expect(search, true, 3, false); // neither passes one
    EXPECT_EQ(search.not_passed(), std::vector<std::string>{"gone"});
}

TEST(PairSearch, APairThatCannotBeTracedIsNotTracedAgain) {
    PairSearch search({topics[0], topics[1]}, {"move"});
    search.traced(0, {});
    expect(search, true, 1, true);
    search.traced(1, {passing("a", {}), passing("c", {})});
    expect(search, true, 1, false);
    search.done(1);
    expect(search, true, 0, false);
}

TEST(PairSearch, WithoutTimeToTraceTheUnknownComeLast) {
    PairSearch search(topics, {"move"});
    search.traced(2, {passing("b", {}), passing("c", {})});
    expect(search, false, 2, false);
    search.done(2);
    expect(search, false, 0, false);
}

} // namespace
} // namespace faultline
