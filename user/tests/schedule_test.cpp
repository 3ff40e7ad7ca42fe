// SPDX-License-Identifier: GPL-2.0
#include "engine/schedule.hpp"

#include "engine/rng.hpp"

#include <gmock/gmock.h>

namespace faultline {
namespace {

using testing::HasSubstr;

constexpr const char* register_race =
    "collapse-register/inside seed=42: collapser@enter:collapse_file/unmapped -> "
    "registrar@user:register; registrar@user:registered -> collapser@enter:collapse_file/unmapped";

Schedule parsed(std::string_view text) {
    const Result<Schedule> schedule = parse_schedule(text);
    EXPECT_TRUE(schedule.ok()) << (schedule.ok() ? "" : schedule.error().to_string());
    return schedule.ok() ? *schedule : Schedule{};
}

Result<Program> compiled(std::string_view edges, const std::vector<std::string>& actors) {
    const Result<std::vector<Edge>> list = parse_edges(edges);
    EXPECT_TRUE(list.ok()) << (list.ok() ? "" : list.error().to_string());
    return compile(list.ok() ? *list : std::vector<Edge>{}, actors, {},
                   {.wait_ms = 2000, .excluded_ms = 50});
}

TEST(Schedule, ParsesTheParts) {
    const Schedule schedule = parsed(register_race);
    EXPECT_EQ(schedule.scenario, "collapse-register");
    EXPECT_EQ(schedule.variant, "inside");
    EXPECT_EQ(schedule.seed, 42U);
    ASSERT_EQ(schedule.edges.size(), 2U);
    EXPECT_EQ(schedule.edges[0].before,
              (SiteRef{"collapser", FL_SITE_ENTER, "collapse_file/unmapped", 1}));
    EXPECT_EQ(schedule.edges[1].before, (SiteRef{"registrar", FL_SITE_USER, "registered", 1}));
}

TEST(Schedule, PrintsWhatItParsed) {
    for (const char* text : {register_race, "collapse-contract/same-mapping:", "s/v seed=0:",
                             "s/v seed=18446744073709551615: a@return:f.isra.0#3 -> b@user:x-y#12"})
        EXPECT_EQ(to_string(parsed(text)), text);
}

TEST(Schedule, TakesAnyWhiteSpaceBetweenWords) {
    EXPECT_EQ(
        to_string(parsed("  s/v   seed=1 :\ta@enter:f  ->\n b@user:x;c@user:y -> a@enter:f ")),
        "s/v seed=1: a@enter:f -> b@user:x; c@user:y -> a@enter:f");
}

std::string random_name(Rng& rng, std::string_view letters, std::size_t longest) {
    std::string name;
    for (std::size_t length = 1 + rng.below(longest); name.size() < length;)
        name += letters[rng.below(letters.size())];
    return name;
}

SiteRef random_site(Rng& rng) {
    constexpr std::string_view plain = "abcxyzABC019_-";
    constexpr std::string_view dotted = "abcxyzABC019_-./";
    SiteRef site;
    site.actor = random_name(rng, plain, FL_ACTOR_LEN - 1);
    site.kind = static_cast<fl_site_kind>(1 + rng.below(3));
    site.name = random_name(rng, dotted, FL_NAME_LEN - 1);
    site.hit = static_cast<unsigned>(1 + rng.below(4));
    return site;
}

TEST(Schedule, EveryRandomScheduleRoundTrips) {
    Rng rng(2024);
    for (int i = 0; i < 2000; ++i) {
        Schedule schedule;
        schedule.scenario = random_name(rng, "abc019_.-", 12);
        schedule.variant = random_name(rng, "abc019_.-", 12);
        if (rng.chance(2))
            schedule.seed = rng.next();
        for (std::size_t edges = rng.below(6); schedule.edges.size() < edges;)
            schedule.edges.push_back({random_site(rng), random_site(rng)});
        const std::string text = to_string(schedule);
        const Result<Schedule> again = parse_schedule(text);
        ASSERT_TRUE(again.ok()) << text << "\n" << again.error().to_string();
        ASSERT_EQ(*again, schedule) << text;
        ASSERT_EQ(to_string(*again), text);
    }
}

struct BadText {
    const char* text;
    const char* complaint;
};

TEST(Schedule, RefusesBadTextAndQuotesIt) {
    const BadText all[] = {
        {"", "expected SCENARIO/VARIANT"},
        {"s/v", "expected SCENARIO/VARIANT"},
        {":", "expected SCENARIO/VARIANT"},
        {"s: a@user:x -> b@user:y", "no variant"},
        {"s/v/w:", "bad name"},
        {"s/v seed=x:", "bad seed"},
        {"s/v seed=007:", "bad seed"},
        {"s/v seed=18446744073709551616:", "bad seed"},
        {"s/v seeds=1:", "bad seed"},
        {"s/v a b:", "expected SCENARIO/VARIANT"},
        {"s/v: a@user:x", "expected SITE -> SITE"},
        {"s/v: a@user:x - > b@user:y", "expected SITE -> SITE"},
        {"s/v: a@user:x->b@user:y", "expected SITE -> SITE"},
        {"s/v: a@user:x -> b@user:y;", "nothing after"},
        {"s/v: ; a@user:x -> b@user:y", "expected SITE -> SITE"},
        {"s/v: user:x -> b@user:y", "no actor"},
        {"s/v: @user:x -> b@user:y", "bad actor name"},
        {"s/v: abcdefghijklmnop@user:x -> b@user:y", "bad actor name"},
        {"s/v: a@x -> b@user:y", "no kind"},
        {"s/v: a@entry:x -> b@user:y", "unknown kind"},
        {"s/v: a@user: -> b@user:y", "bad site name"},
        {"s/v: a@user:x$ -> b@user:y", "bad site name"},
        {"s/v: a@user:x#1 -> b@user:y", "bad hit"},
        {"s/v: a@user:x#0 -> b@user:y", "bad hit"},
        {"s/v: a@user:x#02 -> b@user:y", "bad hit"},
        {"s/v: a@user:x# -> b@user:y", "bad hit"},
        {"s/v: a@user:x#4294967296 -> b@user:y", "bad hit"},
    };
    for (const BadText& bad : all) {
        const Result<Schedule> schedule = parse_schedule(bad.text);
        ASSERT_FALSE(schedule.ok()) << bad.text;
        EXPECT_EQ(schedule.error().number, EINVAL) << bad.text;
        EXPECT_THAT(schedule.error().message, HasSubstr(bad.complaint)) << bad.text;
    }
    const std::string longest = "s/v: a@user:" + std::string(56, 'x') + " -> b@user:y";
    EXPECT_FALSE(parse_schedule(longest).ok());
}

TEST(Compile, MergesSitesAndKeepsTheOrderOfFirstAppearance) {
    const Result<Program> program = compiled("a@enter:f -> b@user:x; b@user:y -> a@enter:f; "
                                             "a@enter:f -> b@user:x",
                                             {"a", "b"});
    ASSERT_TRUE(program.ok()) << program.error().to_string();
    EXPECT_EQ(program->sites, (std::vector<std::string>{"a@enter:f", "b@user:x", "b@user:y"}));
    const fl_program& abi = program->abi;
    EXPECT_EQ(abi.size, sizeof(abi));
    EXPECT_EQ(abi.version, static_cast<unsigned>(FL_ABI_VERSION));
    EXPECT_EQ(abi.nr_actors, 2U);
    EXPECT_EQ(abi.nr_sites, 3U);
    EXPECT_EQ(abi.nr_edges, 3U);
    EXPECT_EQ(abi.wait_ms, 2000U);
    EXPECT_EQ(abi.excluded_ms, 50U);
    EXPECT_STREQ(abi.actors[1], "b");
    EXPECT_STREQ(abi.sites[0].name, "f");
    EXPECT_EQ(abi.sites[0].kind, static_cast<unsigned>(FL_SITE_ENTER));
    EXPECT_EQ(abi.sites[2].actor, 1U);
    EXPECT_EQ(abi.edges[1].before, 2U);
    EXPECT_EQ(abi.edges[1].after, 0U);
    EXPECT_EQ(program->user_sites[1],
              (std::vector<std::pair<std::string, unsigned>>{{"x", 1}, {"y", 2}}));
}

TEST(Compile, KeepsHitsOfOneSiteApart) {
    const Result<Program> program =
        compiled("a@enter:f -> b@user:x; a@enter:f#2 -> b@user:y", {"a", "b"});
    ASSERT_TRUE(program.ok());
    EXPECT_EQ(program->abi.nr_sites, 4U);
    EXPECT_EQ(program->abi.sites[2].hit, 2U);
}

TEST(Compile, RefusesTwoSitesThatWaitForEachOther) {
    const Result<Program> program =
        compiled("a@user:x -> b@user:y; b@user:y -> a@user:x", {"a", "b"});
    ASSERT_FALSE(program.ok());
    EXPECT_EQ(program.error().number, ELOOP);
    EXPECT_THAT(program.error().message, HasSubstr("b@user:y and a@user:x wait for each other"));
}

TEST(Compile, RefusesCyclesAndNamesThem) {
    // b cannot pass y before a passed x2, nor a reach x2 before b passed y.
    for (const char* text : {"a@user:x -> b@user:y; b@user:z -> a@user:x; a@user:x2 -> b@user:y",
                             "a@user:x -> b@user:x; a@user:y -> b@user:y; a@user:z -> a@user:x",
                             "a@user:p -> b@user:q; b@user:r -> a@user:s; b@user:t -> c@user:u; "
                             "c@user:v -> b@user:q"}) {
        const Result<Program> program = compiled(text, {"a", "b", "c"});
        ASSERT_FALSE(program.ok()) << text;
        EXPECT_EQ(program.error().number, ELOOP) << text;
        EXPECT_THAT(program.error().message, HasSubstr(" -> ")) << text;
    }
}

TEST(Compile, RefusesWhatTheModuleCannotHold) {
    EXPECT_EQ(compiled("a@user:x -> c@user:y", {"a", "b"}).error().number, EINVAL);
    EXPECT_THAT(compiled("a@user:x -> c@user:y", {"a", "b"}).error().message,
                HasSubstr("unknown actor \"c\""));
    EXPECT_EQ(compiled("a@user:x -> a@user:x", {"a"}).error().number, EINVAL);
    EXPECT_EQ(compiled("", {}).error().number, EINVAL);
    EXPECT_EQ(compiled("", {"a", "a"}).error().number, EINVAL);
    EXPECT_EQ(compiled("", {"1", "2", "3", "4", "5", "6", "7", "8", "9"}).error().number, E2BIG);

    std::string many;
    for (int i = 0; i < FL_MAX_SITES; ++i)
        many += (i == 0 ? "" : "; ") + std::string("a@user:x") + std::to_string(i) +
                " -> b@user:y" + std::to_string(i);
    EXPECT_EQ(compiled(many, {"a", "b"}).error().number, E2BIG);
    EXPECT_THAT(compiled(many, {"a", "b"}).error().message, HasSubstr("sites"));
    many += "; a@user:x0 -> b@user:y0";
    EXPECT_THAT(compiled(many, {"a", "b"}).error().message, HasSubstr("edges"));
}

} // namespace
} // namespace faultline
