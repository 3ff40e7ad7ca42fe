// SPDX-License-Identifier: GPL-2.0
// Every order that explore makes, compiled: none has a cycle, and each names the sites of an actor
// in the order in which the actor comes to them, as FL_PROGRAM_IN_ORDER wants.
#include "explore/orders.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gmock/gmock.h>

#include <limits>
#include <map>
#include <set>

namespace faultline {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Not;
using testing::Pair;
using testing::UnorderedElementsAre;

// Places with their hits, which alternate as long as there are any: "p q p q p p".
Profile profile_with(const std::string& actor,
                     const std::vector<std::pair<std::string, unsigned>>& places) {
    Profile profile{actor, {}};
    for (const auto& [function, hits] : places)
        profile.places.push_back({.function = function,
                                  .part = "mm",
                                  .hits = hits,
                                  .rank = static_cast<unsigned>(profile.places.size())});
    unsigned position = 0;
    for (bool any = true; any;) {
        any = false;
        for (Place& place : profile.places)
            if (place.positions.size() < place.hits) {
                place.positions.push_back(position++);
                any = true;
            }
    }
    return profile;
}

std::vector<std::string> names_of(const std::vector<Stop>& stops) {
    std::vector<std::string> all;
    for (const Stop& stop : stops)
        all.push_back(to_string(stop.site));
    return all;
}

TEST(StopsOf, AreTheFirstSecondAndLastHit) {
    const Profile profile = profile_with("a", {{"once", 1}, {"twice", 2}, {"thrice", 3}, {"f", 9}});
    const std::vector<Stop> stops = stops_of(profile, 0);
    EXPECT_THAT(names_of(stops),
                ElementsAre("a@enter:once", "a@enter:twice", "a@enter:twice#2", "a@enter:thrice",
                            "a@enter:thrice#2", "a@enter:thrice#3", "a@enter:f", "a@enter:f#2",
                            "a@enter:f#9"));
    EXPECT_EQ(stops[0].position, 0U);
    EXPECT_EQ(stops[1].position, 1U);
    EXPECT_EQ(stops[2].position, 4U);
    EXPECT_EQ(stops[8].position, 14U);
    EXPECT_EQ(stops[8].rank, 3U);
    EXPECT_THAT(names_of(stops_of(profile, 2)), ElementsAre("a@enter:once", "a@enter:twice"));
    EXPECT_EQ(stops_of(profile, 9).size(), 9U);
    EXPECT_EQ(stops_of(profile, 100).size(), 9U);
    EXPECT_THAT(stops_of(Profile{"a", {}}, 0), IsEmpty());
}

// The actors whose orders a test tries.
struct Actors {
    std::vector<std::string> names;
    std::vector<Profile> profiles;
    std::vector<std::vector<Stop>> stops;

    explicit Actors(std::vector<Profile> all) : profiles(std::move(all)) {
        for (const Profile& profile : profiles) {
            names.push_back(profile.actor);
            stops.push_back(stops_of(profile, 0));
        }
    }
    // Where a site comes among those of its actor.
    [[nodiscard]] long position(const std::string& site) const {
        for (std::size_t actor = 0; actor < names.size(); ++actor) {
            if (site == names[actor] + "@user:begin")
                return -1;
            if (site == names[actor] + "@user:end")
                return std::numeric_limits<long>::max();
            for (const Stop& stop : stops[actor])
                if (to_string(stop.site) == site)
                    return stop.position;
        }
        ADD_FAILURE() << "no stop of any actor: " << site;
        return 0;
    }
    // "" or the error of an order.
    [[nodiscard]] std::string wrong_with(const std::vector<Edge>& edges) const {
        const Result<Program> program = compile(edges, names, {}, {.in_order = true});
        if (!program)
            return program.error().to_string();
        if ((program->abi.flags & FL_PROGRAM_IN_ORDER) == 0)
            return "not in order";
        std::vector<long> last(names.size(), std::numeric_limits<long>::min());
        for (unsigned site = 0; site < program->abi.nr_sites; ++site) {
            long& before = last.at(program->abi.sites[site].actor);
            const long here = position(program->sites[site]);
            if (here <= before)
                return fmt::format("{} comes too late in {}", program->sites[site],
                                   to_string(edges));
            before = here;
        }
        // Without the end of an actor the module would not know that it went past a site.
        for (std::size_t actor = 0; actor < names.size(); ++actor)
            if (last[actor] != std::numeric_limits<long>::max())
                return fmt::format("no end of {} in {}", names[actor], to_string(edges));
        return "";
    }
};

Actors two_actors() {
    return Actors({profile_with("a", {{"f", 3}, {"g", 1}}), profile_with("b", {{"g", 2}})});
}
Actors three_actors() {
    return Actors({profile_with("a", {{"f", 3}, {"g", 1}}), profile_with("b", {{"g", 2}, {"h", 5}}),
                   profile_with("c", {{"f", 1}, {"h", 2}})});
}

std::vector<Order> all_of(OrderList& list) {
    std::vector<Order> all;
    while (std::optional<Order> order = list.next())
        all.push_back(std::move(*order));
    return all;
}

std::vector<Turn> held_in(const Order& order) {
    std::vector<Turn> held;
    for (const Turn& turn : order.turns)
        if (turn.stop)
            held.push_back(turn);
    return held;
}
const Stop& stop_of(const Actors& actors, const Turn& turn) {
    return actors.stops.at(turn.actor).at(*turn.stop);
}

TEST(SerialEdges, PutOneActorBehindTheOther) {
    EXPECT_EQ(to_string(serial_edges({"a", "b"})), "a@user:begin -> b@user:begin; "
                                                   "a@user:end -> b@user:begin; "
                                                   "a@user:end -> b@user:end");
    EXPECT_EQ(to_string(serial_edges({"c", "a", "b"})), "c@user:begin -> a@user:begin; "
                                                        "c@user:end -> a@user:begin; "
                                                        "a@user:end -> b@user:begin; "
                                                        "a@user:end -> b@user:end");
    EXPECT_EQ(to_string(serial_edges({"a"})), "a@user:begin -> a@user:end") << "holds nobody up";
    for (const Actors& actors : {two_actors(), three_actors()}) {
        std::vector<std::string> order = actors.names;
        do
            EXPECT_EQ(actors.wrong_with(serial_edges(order)), "");
        while (std::next_permutation(order.begin(), order.end()));
    }
}

TEST(SerialOrders, AreAllOfThreeActorsAndOfMoreBothDirections) {
    EXPECT_EQ(serial_orders({"a"}).size(), 1U);
    EXPECT_EQ(serial_orders({"b", "a"}).size(), 2U);
    EXPECT_EQ(serial_orders({"a", "b", "c"}).size(), 6U);
    const auto orders = serial_orders({"a", "b", "c", "d"});
    EXPECT_EQ(orders.size(), 8U);
    EXPECT_EQ(std::set(orders.begin(), orders.end()).size(), orders.size());
    std::map<std::string, unsigned> first;
    std::set<std::pair<std::string, std::string>> before;
    for (const std::vector<std::string>& order : orders) {
        ++first[order.front()];
        for (std::size_t i = 0; i < order.size(); ++i)
            for (std::size_t k = i + 1; k < order.size(); ++k)
                before.emplace(order[i], order[k]);
    }
    EXPECT_THAT(first, ElementsAre(Pair("a", 2), Pair("b", 2), Pair("c", 2), Pair("d", 2)));
    EXPECT_EQ(before.size(), 4U * 3U) << "each comes before each other one in some order";
}

TEST(EdgesAlong, NameTheSitesOfAnActorAndHoldNobodyUp) {
    const std::vector<Edge> edges = edges_along("a", {"touched", "count"});
    EXPECT_EQ(to_string(edges), "a@user:begin -> a@user:touched; a@user:touched -> a@user:count; "
                                "a@user:count -> a@user:end");
    EXPECT_TRUE(compile(edges, {"a"}, {}, {.in_order = true}).ok());
}

Actors with_user_places() {
    Profile b = profile_with("b", {});
    b.user_places = {{"x", 0}, {"y", 3}, {"z", 4}};
    return Actors({profile_with("a", {{"f", 1}}), b});
}

// b goes from each of its sites to the next one while a is held.
TEST(Orders, HaveAWindowBetweenUserSitesThatFollowEachOther) {
    const Actors actors = with_user_places();
    OrderList list(actors.names, actors.stops);
    std::vector<std::string> windows;
    for (const Order& order : all_of(list))
        if (order.preemptions == 3) {
            EXPECT_EQ(actors.wrong_with(order.edges), "");
            windows.push_back(to_string(order.edges));
        }
    EXPECT_THAT(windows, ElementsAre("b@user:begin -> a@user:begin; b@user:x -> a@user:begin; "
                                     "a@enter:f -> b@user:x; b@user:y -> a@enter:f; "
                                     "a@user:end -> b@user:y; a@user:end -> b@user:end",
                                     "b@user:begin -> a@user:begin; b@user:y -> a@user:begin; "
                                     "a@enter:f -> b@user:y; b@user:z -> a@enter:f; "
                                     "a@user:end -> b@user:z; a@user:end -> b@user:end"));
}

TEST(Orders, TryAnActorsOwnSitesBeforePlacesInTheKernel) {
    const Actors actors = with_user_places();
    OrderList list(actors.names, actors.stops);
    const std::vector<Order> all = all_of(list);
    ASSERT_GE(all.size(), 6U);
    for (std::size_t i = 0; i < 3; ++i)
        EXPECT_EQ(stop_of(actors, held_in(all[i]).front()).site.kind, FL_SITE_USER);
    EXPECT_EQ(stop_of(actors, held_in(all[3]).front()).site.name, "f");
    Rng rng(1);
    for (unsigned i = 0; i < 50; ++i)
        for (const Turn& turn : held_in(draw_pct(actors.names, actors.stops, 4, rng)))
            EXPECT_EQ(turn.actor, 0U) << "hits count from the last user site that is named";
}

// khugepaged has neither a beginning nor an end: it is held while an actor passes a window.
TEST(Orders, OfAThreadOfTheKernelAreWindows) {
    Profile a = profile_with("a", {{"g", 1}});
    a.user_places = {{"act", 0}, {"done", 1}};
    const Actors actors({a, profile_with("khugepaged", {{"f", 1}})});
    OrderList list(actors.names, actors.stops, 1);
    const std::vector<Order> all = all_of(list);
    ASSERT_EQ(all.size(), 1U) << "one actor alone has no other order";
    EXPECT_EQ(to_string(all[0].edges), "khugepaged@enter:f -> a@user:act; "
                                       "a@user:done -> khugepaged@enter:f; "
                                       "a@user:done -> a@user:end");
    EXPECT_TRUE(compile(all[0].edges, actors.names, {}, {.in_order = true}).ok());
}

// With four actors each stop has 6 places for the others; in any order there would be 36.
TEST(Orders, OfManyActorsKeepTheOthersInTheirOrder) {
    const Actors actors({profile_with("a", {{"f", 1}}), profile_with("b", {}),
                         profile_with("c", {}), profile_with("d", {})});
    OrderList list(actors.names, actors.stops);
    const std::vector<Order> all = all_of(list);
    EXPECT_EQ(all.size(), 6U);
    for (const Order& order : all) {
        EXPECT_EQ(actors.wrong_with(order.edges), "");
        std::vector<std::size_t> others;
        for (const Turn& turn : order.turns)
            if (turn.actor != 0)
                others.push_back(turn.actor);
        EXPECT_THAT(others, ElementsAre(1, 2, 3));
    }
}

TEST(Orders, HaveOneOrTwoPreemptions) {
    const Actors actors({profile_with("a", {{"f", 1}}), profile_with("b", {{"g", 1}})});
    OrderList list(actors.names, actors.stops);
    std::vector<std::string> texts;
    for (const Order& order : all_of(list))
        texts.push_back(fmt::format("{}: {}", order.preemptions, to_string(order.edges)));
    EXPECT_THAT(texts, ElementsAre("1: a@user:begin -> b@user:begin; a@enter:f -> b@user:begin; "
                                   "b@user:end -> a@enter:f; b@user:end -> a@user:end",
                                   "1: b@user:begin -> a@user:begin; b@enter:g -> a@user:begin; "
                                   "a@user:end -> b@enter:g; a@user:end -> b@user:end",
                                   "2: a@user:begin -> b@user:begin; a@enter:f -> b@user:begin; "
                                   "b@enter:g -> a@enter:f; a@user:end -> b@enter:g; "
                                   "a@user:end -> b@user:end",
                                   "2: b@user:begin -> a@user:begin; b@enter:g -> a@user:begin; "
                                   "a@enter:f -> b@enter:g; b@user:end -> a@enter:f; "
                                   "b@user:end -> a@user:end"));
}

TEST(Orders, CompileAndNameSitesInTheirOrder) {
    for (const Actors& actors : {two_actors(), three_actors()}) {
        OrderList list(actors.names, actors.stops);
        for (const Order& order : all_of(list))
            EXPECT_EQ(actors.wrong_with(order.edges), "");
    }
}

TEST(Orders, AreAllThatThereAreEachOnce) {
    const Actors actors = two_actors();
    OrderList list(actors.names, actors.stops);
    const std::size_t a = actors.stops[0].size();
    const std::size_t b = actors.stops[1].size();
    ASSERT_EQ(a, 4U);
    ASSERT_EQ(b, 2U);
    EXPECT_EQ(list.all(), a + b + 2 * a * b);
    EXPECT_EQ(list.given(), 0U);
    const std::vector<Order> all = all_of(list);
    EXPECT_EQ(all.size(), list.all());
    EXPECT_EQ(list.given(), list.all());
    EXPECT_FALSE(list.next()) << "and no more";
    std::set<std::string> texts;
    std::map<unsigned, std::size_t> preemptions;
    for (const Order& order : all) {
        texts.insert(to_string(order.edges));
        ++preemptions[order.preemptions];
        const std::vector<Turn> held = held_in(order);
        ASSERT_EQ(held.size(), order.preemptions);
        // The page goes by these.
        for (std::size_t i = 0; i < held.size(); ++i)
            EXPECT_EQ(order.edges.at(i + 1).before, stop_of(actors, held[i]).site);
    }
    EXPECT_EQ(texts.size(), all.size());
    EXPECT_EQ(preemptions, (std::map<unsigned, std::size_t>{{1, a + b}, {2, 2 * a * b}}));
}

TEST(Orders, CheapOnesComeFirst) {
    const Actors actors = two_actors();
    OrderList list(actors.names, actors.stops);
    std::pair<unsigned, unsigned> last;
    for (const Order& order : all_of(list)) {
        EXPECT_LE(last, std::pair(order.preemptions, order.cost));
        last = {order.preemptions, order.cost};
        unsigned ranks = 0;
        for (const Turn& turn : held_in(order))
            ranks += stop_of(actors, turn).rank;
        EXPECT_EQ(order.cost, ranks);
    }
    EXPECT_EQ(last, std::pair(2U, 1U)) << "g of a, and g of b";
}

TEST(Orders, OfADroppedStopHaveNoSecondPreemption) {
    const Actors actors = two_actors();
    OrderList list(actors.names, actors.stops);
    list.drop(0, 1);
    std::size_t one = 0;
    std::size_t two = 0;
    for (const Order& order : all_of(list)) {
        ++(order.preemptions == 1 ? one : two);
        if (order.preemptions == 2) {
            EXPECT_THAT(order.turns, Not(Contains(Turn{.actor = 0, .stop = 1})));
        }
    }
    EXPECT_EQ(one, 6U) << "with one preemption, all";
    EXPECT_EQ(two, 2U * 3U * 2U);
    EXPECT_EQ(list.given(), one + two);
    EXPECT_EQ(list.all(), 6U + 2U * 4U * 2U);
    EXPECT_THROW(list.drop(0, 4), std::out_of_range);
    EXPECT_THROW(list.drop(2, 0), std::out_of_range);
}

TEST(Orders, BehindAnExcludedStopAreNotGivenOut) {
    const Actors actors = two_actors(); // a: f, f#2, f#3, g; b: g, g#2
    OrderList list(actors.names, actors.stops);
    std::size_t two = 0;
    while (const std::optional<Order> order = list.next()) {
        if (order->preemptions != 2)
            continue;
        ++two;
        const std::vector<Turn> held = held_in(*order);
        EXPECT_FALSE(held[0].actor == 0 && *held[1].stop == 1)
            << "b is kept from its first stop, and so from the second: " << to_string(order->edges);
        if (held[0].actor == 0)
            list.exclude(*order);
    }
    EXPECT_EQ(list.implied(), 4U);
    EXPECT_EQ(two, 2U * 4U * 2U - 4U);
}

TEST(Orders, CanBeDroppedWhileTheyAreGivenOut) {
    const Actors actors = two_actors();
    OrderList list(actors.names, actors.stops);
    while (const std::optional<Order> order = list.next()) {
        EXPECT_EQ(order->preemptions, 1U) << "no site was ever reached";
        const Turn held = held_in(*order).front();
        list.drop(held.actor, *held.stop);
    }
    EXPECT_EQ(list.given(), 6U);
}

// Three actors: one is held while one or both of the others run, before or after whom the rest
// does.
TEST(Orders, OfThreeActorsHaveAllPlacesOfTheThird) {
    const Actors actors(
        {profile_with("a", {{"f", 1}}), profile_with("b", {}), profile_with("c", {})});
    OrderList list(actors.names, actors.stops);
    const Turn held{.actor = 0, .stop = 0};
    const Turn a{.actor = 0};
    const Turn b{.actor = 1};
    const Turn c{.actor = 2};
    std::vector<std::vector<Turn>> turns;
    for (const Order& order : all_of(list))
        turns.push_back(order.turns);
    EXPECT_THAT(turns,
                UnorderedElementsAre(std::vector{held, b, a, c}, std::vector{held, b, c, a},
                                     std::vector{b, held, c, a}, std::vector{held, c, a, b},
                                     std::vector{held, c, b, a}, std::vector{c, held, b, a}));
    const Actors two_held(
        {profile_with("a", {{"f", 1}}), profile_with("b", {{"g", 1}}), profile_with("c", {})});
    OrderList longer(two_held.names, two_held.stops);
    unsigned two = 0;
    for (const Order& order : all_of(longer))
        two += order.preemptions == 2 ? 1 : 0;
    EXPECT_EQ(two, 2U * 5U);
}

// The first two of a's stops f, f#2, f#3 and g ended alike.
TEST(Orders, WithTwoPreemptionsBeginWhereTheEndChanges) {
    const Actors actors({profile_with("a", {{"f", 4}}), profile_with("b", {{"g", 2}})});
    ASSERT_EQ(actors.stops[0].size(), 3U);
    OrderList list(actors.names, actors.stops);
    std::vector<Turn> firsts;
    while (const std::optional<Order> order = list.next()) {
        const std::vector<Turn> held = held_in(*order);
        if (order->preemptions == 1)
            list.note(*order, {.how = held[0] == Turn{.actor = 0, .stop = 2} ? "another" : "one",
                               .lock = ""});
        else
            firsts.push_back(held[0].actor == 0 ? held[0] : held[1]);
    }
    ASSERT_EQ(firsts.size(), 2U * 3U * 2U);
    for (std::size_t i = 0; i < firsts.size(); ++i)
        EXPECT_EQ(*firsts[i].stop == 0, i >= 8U) << "f, which ends as f#2 does, comes last";
}

// a passes f, g, g, f. The first and the last come first: if the same lock keeps b out at both, it
// most likely does in between.
TEST(Orders, BetweenTwoThatALockExcludedComeLater) {
    Profile profile = profile_with("a", {{"f", 2}, {"g", 2}});
    profile.places[0].positions = {0, 5};
    profile.places[1].positions = {2, 3};
    const Actors actors({profile, profile_with("b", {{"h", 2}})});
    const auto given_with = [&actors](const std::string& second_lock) {
        OrderList list(actors.names, actors.stops);
        std::string given; // f, g: with one preemption of a; 2: with two
        std::string how;
        while (const std::optional<Order> order = list.next()) {
            const Turn held = held_in(*order)[0];
            given += order->preemptions == 2 ? "2"
                     : held.actor == 0       ? actors.stops[0][*held.stop].site.name
                                             : "";
            if (order->preemptions == 1)
                list.note(*order,
                          {.how = how += "all differ", .lock = given == "f" ? "l" : second_lock});
        }
        EXPECT_EQ(list.given(), list.all());
        EXPECT_FALSE(list.next());
        return given;
    };
    EXPECT_EQ(given_with("l"), "ff22222222gg22222222");
    EXPECT_EQ(given_with("another"), "ffg222222222222g2222") << "the second g is between two, too";
    EXPECT_EQ(given_with(""), "ffgg2222222222222222");
}

TEST(Orders, OfActorsWithoutStopsAreNone) {
    const Actors none({profile_with("a", {}), profile_with("b", {})});
    OrderList empty(none.names, none.stops);
    EXPECT_EQ(empty.all(), 0U);
    EXPECT_FALSE(empty.next());
    const Actors half({profile_with("a", {{"f", 2}}), profile_with("b", {})});
    OrderList list(half.names, half.stops);
    EXPECT_EQ(list.all(), 2U);
    for (const Order& order : all_of(list))
        EXPECT_EQ(half.wrong_with(order.edges), "");
}

TEST(Pct, DrawsCompileAndNameSitesInTheirOrder) {
    for (const Actors& actors : {two_actors(), three_actors(),
                                 Actors({profile_with("a", {}), profile_with("b", {{"f", 1}})})})
        for (unsigned depth = 1; depth < 8; ++depth)
            for (std::uint64_t seed = 0; seed < 200; ++seed) {
                Rng rng(seed);
                const Order draw = draw_pct(actors.names, actors.stops, depth, rng);
                ASSERT_EQ(actors.wrong_with(draw.edges), "") << depth << " " << seed;
                EXPECT_LT(draw.preemptions, depth);
                Rng again(seed);
                EXPECT_EQ(draw_pct(actors.names, actors.stops, depth, again).edges, draw.edges);
            }
}

// So that each bug of depth 1 can be found at all.
TEST(Pct, DepthOneIsEverySerialOrder) {
    const Actors actors = three_actors();
    std::map<std::string, unsigned> seen;
    constexpr unsigned draws = 6000;
    Rng rng(1);
    for (unsigned i = 0; i < draws; ++i)
        ++seen[to_string(draw_pct(actors.names, actors.stops, 1, rng).edges)];
    EXPECT_EQ(seen.size(), 6U);
    for (const auto& [order, count] : seen) {
        EXPECT_GT(count, draws / 6 * 8 / 10) << order;
        EXPECT_LT(count, draws / 6 * 12 / 10) << order;
    }
}

// A bug of depth 3: a is held at its last stop while b runs to its last one, and a ends before b.
TEST(Pct, FindsABugAsOftenAsItsBoundPromises) {
    const Actors actors = two_actors();
    constexpr unsigned depth = 3;
    const double bound = pct_bound(2, actors.stops[0].size() + actors.stops[1].size(), depth);
    const std::string wanted = "a@user:begin -> b@user:begin; a@enter:f#3 -> b@user:begin; "
                               "b@enter:g#2 -> a@enter:f#3; "
                               "a@user:end -> b@enter:g#2; a@user:end -> b@user:end";
    constexpr unsigned draws = 20000;
    unsigned found = 0;
    Rng rng(1);
    for (unsigned i = 0; i < draws; ++i)
        found += to_string(draw_pct(actors.names, actors.stops, depth, rng).edges) == wanted;
    EXPECT_GE(found, bound * draws);
}

TEST(Pct, TheBoundIsThatOfItsPaper) {
    EXPECT_DOUBLE_EQ(pct_bound(2, 10, 1), 1.0 / 2);
    EXPECT_DOUBLE_EQ(pct_bound(2, 10, 2), 1.0 / 20);
    EXPECT_DOUBLE_EQ(pct_bound(2, 10, 3), 1.0 / 200);
    EXPECT_DOUBLE_EQ(pct_bound(3, 160, 4), 1.0 / (3.0 * 160 * 160 * 160));
    EXPECT_DOUBLE_EQ(pct_bound(2, 0, 3), 1.0 / 2) << "without stops there is nothing to draw";
}

} // namespace
} // namespace faultline
