// SPDX-License-Identifier: GPL-2.0
// The table of explore: the shipped one is right, with all its topics; each error of the reader
// once, with its place.
#include "explore/table.hpp"

#include "kernel/fd.hpp"
#include "language/load.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gmock/gmock.h>

namespace faultline {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::Field;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::IsSupersetOf;
using testing::Not;

const ExploreTable& shipped() {
    static const ExploreTable table = [] {
        const std::string path = FAULTLINE_SHIPPED "/explore.toml";
        const Result<std::string> text = read_text(path);
        EXPECT_TRUE(text.ok()) << path;
        ReadTable read = read_table(text.value_or(""));
        EXPECT_EQ(to_string(path, read.complaints), "");
        return std::move(read.table);
    }();
    return table;
}

std::string complaints_of(const std::string& text, const Topic& topic) {
    return to_string(topic.name(), load_scenario(text, topic.name()).complaints);
}

std::string checked_text(const ExploreTable& table, const Topic& topic) {
    const Result<std::string> text = scenario_text(table, topic);
    EXPECT_TRUE(text.ok()) << text.error().to_string();
    return text.value_or("");
}

TEST(ShippedTable, HasSetupsAndOperationsThatAreUsed) {
    EXPECT_THAT(shipped().setups, Not(IsEmpty()));
    EXPECT_THAT(shipped().operations, Not(IsEmpty()));
    for (const SetupRow& setup : shipped().setups)
        EXPECT_TRUE(std::any_of(shipped().operations.begin(), shipped().operations.end(),
                                [&setup](const OperationRow& operation) {
                                    return std::find(operation.setups.begin(),
                                                     operation.setups.end(),
                                                     setup.name) != operation.setups.end();
                                }))
            << setup.name;
}

TEST(ShippedTable, EveryTopicIsAScenario) {
    const std::vector<Topic> topics = all_topics(shipped());
    ASSERT_THAT(topics, Not(IsEmpty()));
    for (const Topic& topic : topics) {
        const LoadedFile loaded = load_scenario(checked_text(shipped(), topic), topic.name());
        ASSERT_EQ(to_string(topic.name(), loaded.complaints), "");
        const std::vector<std::string> actors = actors_of(topic);
        std::vector<std::string> variants;
        for (const Variant& variant : loaded.scenario->variants)
            variants.emplace_back(variant.name);
        std::vector<std::string> wanted = {"all"};
        for (const std::string& actor : actors)
            wanted.push_back("without-" + actor);
        std::sort(variants.begin(), variants.end());
        std::sort(wanted.begin(), wanted.end());
        EXPECT_EQ(variants, wanted) << topic.name();
    }
}

TEST(ShippedTable, ThreeOperationsAreAScenarioToo) {
    for (const SetupRow& setup : shipped().setups) {
        Topic topic{setup.name, {}};
        for (const OperationRow& operation : shipped().operations)
            if (topic.operations.size() < 3 &&
                std::find(operation.setups.begin(), operation.setups.end(), setup.name) !=
                    operation.setups.end())
                topic.operations.push_back(operation.name);
        if (topic.operations.size() == 3) {
            EXPECT_EQ(complaints_of(checked_text(shipped(), topic), topic), "");
        }
    }
}

// A relaxation that names no result and no value of a run would never apply.
TEST(ShippedTable, RelaxationsSayWhyAndNameResultsThatThereAre) {
    for (const Topic& topic : all_topics(shipped())) {
        const std::vector<std::string> actors = actors_of(topic);
        for (const Relaxation& one : relaxations_of(shipped(), topic)) {
            EXPECT_THAT(one.why, Not(IsEmpty())) << topic.name();
            EXPECT_TRUE(one.actor.empty() ||
                        std::find(actors.begin(), actors.end(), one.actor) != actors.end());
            const std::string result = one.when.substr(0, one.when.find('='));
            EXPECT_TRUE(one.when.empty() ||
                        std::find(actors.begin(), actors.end(), result) != actors.end())
                << topic.name() << ": " << one.when;
            EXPECT_THAT(one.when + one.may_differ, Not(HasSubstr("{me}")));
        }
    }
}

// Small, and right.
constexpr std::string_view small = R"toml(faultline = 1

[setups.one]
about = "a file"
prepare = "other = memfd(1)"
steps = '''
file = memfd(8)
near = mmap(file)'''
needs = ["huge-pages"]

[setups.two]
about = "memory"
steps = "near = anon(8)"

[operations.first]
about = "stores"
setups = ["one", "two"]
setup = "page-{me} = random_page(near)"
steps = "{me} = store(near[page-{me}])"
needs = "ksm"
relax = [
  { when = "{me}=EFAULT", absent = true, why = "it may" },
  { may_differ = "mapping {me} page * bytes", why = "it writes" },
  { each_page = true, why = "page by page" },
]

[operations.second]
about = "cuts"
setups = "one"
steps = "{me} = ftruncate(file, 4)"

[operations.third]
about = "drops"
setups = ["two", "one"]
steps = "{me} = madvise(near, DONTNEED)"
)toml";

std::string replaced(std::string text, std::string_view what, std::string_view by) {
    const std::size_t at = text.find(what);
    EXPECT_NE(at, std::string::npos) << what;
    return at == std::string::npos ? text : text.replace(at, what.size(), by);
}

std::string with(std::string_view what, std::string_view by) {
    return to_string("x.toml", read_table(replaced(std::string(small), what, by)).complaints);
}

ExploreTable small_table() {
    ReadTable read = read_table(std::string(small));
    EXPECT_EQ(to_string("x.toml", read.complaints), "");
    return std::move(read.table);
}

TEST(ExploreTableReader, ReadsEveryKey) {
    const ReadTable read = read_table(std::string(small));
    EXPECT_EQ(to_string("x.toml", read.complaints), "");
    ASSERT_EQ(read.table.setups.size(), 2U);
    const SetupRow& one = read.table.setups[0];
    EXPECT_EQ(one.name, "one");
    EXPECT_EQ(one.about, "a file");
    EXPECT_EQ(one.prepare, "other = memfd(1)");
    EXPECT_EQ(one.steps, "file = memfd(8)\nnear = mmap(file)");
    EXPECT_THAT(one.needs, ElementsAre("huge-pages"));
    EXPECT_THAT(read.table.setups[1].needs, IsEmpty());
    ASSERT_EQ(read.table.operations.size(), 3U);
    const OperationRow& first = read.table.operations[0];
    EXPECT_EQ(first.name, "first");
    EXPECT_EQ(first.about, "stores");
    EXPECT_EQ(first.setup, "page-{me} = random_page(near)");
    EXPECT_EQ(first.steps, "{me} = store(near[page-{me}])");
    EXPECT_THAT(first.setups, ElementsAre("one", "two"));
    EXPECT_THAT(first.needs, ElementsAre("ksm"));
    ASSERT_EQ(first.relaxations.size(), 3U);
    EXPECT_EQ(first.relaxations[0].when, "{me}=EFAULT");
    EXPECT_TRUE(first.relaxations[0].absent);
    EXPECT_FALSE(first.relaxations[0].each_page);
    EXPECT_EQ(first.relaxations[0].why, "it may");
    EXPECT_EQ(first.relaxations[1].may_differ, "mapping {me} page * bytes");
    EXPECT_TRUE(first.relaxations[2].each_page);
    EXPECT_THAT(read.table.operations[1].relaxations, IsEmpty());
    EXPECT_EQ(read.table.setup("two"), &read.table.setups[1]);
    EXPECT_EQ(read.table.setup("tow"), nullptr);
    EXPECT_EQ(read.table.operation("third"), &read.table.operations[2]);
    EXPECT_EQ(read.table.operation(""), nullptr);
}

TEST(ExploreTableReader, EachErrorHasItsPlace) {
    struct Case {
        std::string_view what;
        std::string_view by;
        std::string_view complaint;
    };
    constexpr Case cases[] = {
        {"faultline = 1", "faultline = 2", "x.toml:1:1: the file begins with the version"},
        {"faultline = 1", "faultline = 1\nsetup = 3",
         "x.toml:2:1: the file has no key \"setup\": is it \"setups\"?"},
        {"about = \"a file\"", "about = a file", "x.toml:4:9: no TOML: "},
        {"about = \"a file\"", "", "x.toml:3:1: \"one\" lacks \"about\""},
        {"about = \"a file\"", "about = 3", "x.toml:4:9: \"about\" is a text"},
        {"prepare =", "prepar =", "x.toml:5:1: \"one\" has no key \"prepar\": is it \"prepare\"?"},
        {"needs = [\"huge-pages\"]", "needs = [1]",
         "x.toml:9:9: \"needs\" is a text or a list of texts"},
        {"steps = \"near = anon(8)\"", "", "x.toml:11:1: \"two\" lacks \"steps\""},
        {"[setups.two]", "[setups]\ntwo = 2\n[other.two]", "x.toml:12:7: \"two\" is a table"},
        {"about = \"stores\"", "", "x.toml:15:1: \"first\" lacks \"about\""},
        {"setups = [\"one\", \"two\"]", "setups = [\"one\", \"tow\"]",
         "x.toml:17:19: there is no setup \"tow\": is it \"two\"?"},
        {"setups = [\"one\", \"two\"]", "setups = [\"one\", \"elsewhere\"]",
         "x.toml:17:19: there is no setup \"elsewhere\" (there are: one, two)"},
        {"prepare = \"other = memfd(1)\"", "judge = \"now = load(near[0])\"",
         "x.toml:3:1: judge and outcome go together"},
        {"setups = \"one\"", "", "x.toml:27:1: it is for no setup"},
        {"setups = \"one\"", "setups = []", "x.toml:27:1: it is for no setup"},
        {"steps = \"{me} = store(near[page-{me}])\"", "", "x.toml:15:1: \"first\" lacks \"steps\""},
        {"steps = \"{me} = store", "step = \"{me} = store",
         "x.toml:19:1: \"first\" has no key \"step\": is it \"steps\"?"},
        {", why = \"it may\"", "", "x.toml:22:3: \"relax\" lacks \"why\""},
        {"absent = true", "absent = 1", "x.toml:22:36: \"absent\" is true or false"},
        {"absent = true, ", "",
         "x.toml:22:3: it relaxes nothing: absent, each_page, result or may_differ"},
        {"when = \"{me}=EFAULT\", ", "",
         "x.toml:22:3: an operation may have done nothing, or have another result, only with some "
         "result: when"},
        {"each_page", "eachpage",
         "x.toml:24:5: \"relax\" has no key \"eachpage\": is it \"each_page\"?"},
        {"relax = [", "relaxes = [",
         "x.toml:21:1: \"first\" has no key \"relaxes\": is it \"relax\"?"},
    };
    for (const Case& one : cases)
        EXPECT_THAT(with(one.what, one.by), HasSubstr(std::string(one.complaint)))
            << one.what << " -> " << one.by;
    for (const char* relax : {"relax = 3", "relax = []", "relax = [3]"})
        EXPECT_THAT(to_string("x.toml", read_table("faultline = 1\n"
                                                   "[setups.s]\nabout = \"a\"\nsteps = \"b\"\n"
                                                   "[operations.o]\nabout = \"a\"\nsteps = \"b\"\n"
                                                   "setups = \"s\"\n" +
                                                   std::string(relax) + "\n")
                                            .complaints),
                    HasSubstr("x.toml:9:9: \"o\" needs \"relax\", a list of tables"))
            << relax;
}

TEST(ExploreTableReader, ATableIsNotEmpty) {
    const std::string complaints = to_string("x.toml", read_table("faultline = 1\n").complaints);
    EXPECT_THAT(complaints, HasSubstr("the file has no setup: [setups.NAME]"));
    EXPECT_THAT(complaints, HasSubstr("the file has no operation: [operations.NAME]"));
    EXPECT_THAT(read_table("").complaints, Not(IsEmpty()));
}

// Wherever it is cut, the reader returns, with a complaint or with the whole part.
TEST(ExploreTableReader, BearsACutText) {
    for (std::size_t length = 0; length < small.size(); ++length) {
        const ReadTable read = read_table(std::string(small.substr(0, length)));
        if (!read.complaints.empty())
            continue;
        for (const OperationRow& operation : read.table.operations)
            EXPECT_FALSE(operation.steps.empty() || operation.setups.empty()) << length;
    }
}

std::vector<std::string> names_of(const std::vector<Topic>& topics) {
    std::vector<std::string> all;
    for (const Topic& topic : topics)
        all.push_back(topic.name());
    return all;
}

TEST(Topics, AreThePairsOfEachSetupInTurnAndLastThoseWithThemselves) {
    EXPECT_THAT(names_of(all_topics(small_table())),
                ElementsAre("one: first second", "two: first third", "one: first third",
                            "two: first first", "one: second third", "two: third third",
                            "one: first first", "one: second second", "one: third third"));
}

// So that a line of replay, which has the scenario's name, finds it.
TEST(Topics, AreFoundByTheNamesOfTheirScenarios) {
    const ExploreTable table = shipped();
    for (Topic topic : all_topics(table)) {
        const std::string name =
            fmt::format("{}-{}", topic.setup, fmt::join(actors_of(topic), "-"));
        const std::optional<Topic> found = topic_named(table, name);
        ASSERT_TRUE(found) << name;
        EXPECT_EQ(found->name(), topic.name());
    }
    const std::optional<Topic> three = topic_named(table, "shmem-collapse-store-store_2");
    ASSERT_TRUE(three);
    EXPECT_THAT(three->operations, ElementsAre("collapse", "store", "store"));
    for (const char* name : {"shmem", "shmem-", "shmem-collapse-nothing", "nothing-collapse-store",
                             "shmem-collapse-collapse", "small-collapse-store", ""})
        EXPECT_FALSE(topic_named(table, name)) << name;
}

TEST(Topics, HaveActorsOfDifferentNames) {
    EXPECT_THAT(actors_of({"s", {"a", "b"}}), ElementsAre("a", "b"));
    EXPECT_THAT(actors_of({"s", {"a", "a"}}), ElementsAre("a", "a_2"));
    EXPECT_THAT(actors_of({"s", {"a", "a", "a"}}), ElementsAre("a", "a_2", "a_3"));
    EXPECT_THAT(actors_of({"s", {"a", "a_2", "a"}}), ElementsAre("a", "a_2", "a_3"));
    EXPECT_THAT(actors_of({"s", {"a", "a", "a_2"}}), ElementsAre("a", "a_2", "a_2_2"));
}

TEST(ScenarioText, HasTheStepsOfEachActorUnderItsName) {
    const Topic topic{"one", {"third", "third"}};
    const std::string text = checked_text(small_table(), topic);
    EXPECT_EQ(complaints_of(text, topic), "");
    for (const char* part :
         {"name = \"one-third-third_2\"\n",
          "source = \"faultline explore --setup one third third\"\n", "needs = [\"huge-pages\"]\n",
          "prepare = '''\nother = memfd(1)'''\n",
          "setup = '''\nfile = memfd(8)\nnear = mmap(file)'''\n", "outcome = \"third third_2\"\n",
          "do-third = '''\nthird = madvise(near, DONTNEED)'''\n",
          "do-third_2 = '''\nthird_2 = madvise(near, DONTNEED)'''\n",
          "[actors.third_2]\ncpu = 1\nsteps = '''\nat begin\n{do-third_2}\nat end'''\n",
          "[variants.without-third_2]\nabout = \"the others alone\"\ndo-third_2 = \"\"\n"})
        EXPECT_THAT(text, HasSubstr(part));
    EXPECT_THAT(text, Not(HasSubstr("{me}")));
}

TEST(ScenarioText, HasTheSetupAndTheNeedsOfItsOperations) {
    const Topic topic{"one", {"first", "second"}};
    const std::string text = checked_text(small_table(), topic);
    EXPECT_EQ(complaints_of(text, topic), "");
    EXPECT_THAT(text, HasSubstr("needs = [\"huge-pages\", \"ksm\"]\n"));
    EXPECT_THAT(text, HasSubstr("near = mmap(file)\npage-first = random_page(near)'''\n"));
}

TEST(ScenarioText, UnknownNamesGetTheNearestOne) {
    const auto error = [](const Topic& topic) {
        const Result<std::string> text = scenario_text(small_table(), topic);
        EXPECT_FALSE(text.ok()) << topic.name();
        return text ? Error{} : text.error();
    };
    EXPECT_EQ(error({"oen", {"first", "second"}}).number, ENOENT);
    EXPECT_EQ(error({"oen", {"first", "second"}}).message,
              "there is no setup \"oen\": is it \"one\"?");
    EXPECT_EQ(error({"elsewhere", {"first", "second"}}).message,
              "there is no setup \"elsewhere\" (there are: one, two)");
    EXPECT_EQ(error({"one", {"first", "secnd"}}).number, ENOENT);
    EXPECT_EQ(error({"one", {"first", "secnd"}}).message,
              "there is no operation \"secnd\": is it \"second\"?");
    EXPECT_EQ(error({"one", {"collapse"}}).message,
              "there is no operation \"collapse\" (there are: first, second, third)");
    EXPECT_EQ(error({"two", {"first", "second"}}).number, EINVAL);
    EXPECT_EQ(error({"two", {"first", "second"}}).message,
              "the setup \"two\" has nothing for \"second\", which is for: one");
}

// A name is not filled in again: that would never end.
TEST(ScenarioText, ANameMayHaveTheMarkItself) {
    const ExploreTable table{
        .setups = {{.name = "s", .about = "", .prepare = "", .steps = "", .needs = {}}},
        .operations = {{.name = "x{me}",
                        .about = "",
                        .setup = "",
                        .steps = "{me} = {me}",
                        .setups = {"s"},
                        .needs = {}}}};
    const Topic topic{"s", {"x{me}", "x{me}"}};
    const std::string text = checked_text(table, topic);
    EXPECT_THAT(text, HasSubstr("x{me} = x{me}'''"));
    EXPECT_THAT(complaints_of(text, topic), Not(IsEmpty())) << "no actor is called so";
}

TEST(RelaxationsOf, AreThoseOfEachActorWithItsName) {
    const std::vector<Relaxation> all =
        relaxations_of(small_table(), {"two", {"first", "third", "first"}});
    ASSERT_EQ(all.size(), 6U);
    EXPECT_EQ(all[0].actor, "first");
    EXPECT_EQ(all[0].when, "first=EFAULT");
    EXPECT_EQ(all[1].may_differ, "mapping first page * bytes");
    EXPECT_EQ(all[3].actor, "first_2");
    EXPECT_EQ(all[3].when, "first_2=EFAULT");
    EXPECT_EQ(all[4].may_differ, "mapping first_2 page * bytes");
    EXPECT_TRUE(all[5].each_page);
    EXPECT_THAT(relaxations_of(small_table(), {"two", {"no", "third"}}), IsEmpty());
}

TEST(RelaxationsOf, OneForAllOperationsIsForEachActor) {
    ExploreTable table = small_table();
    table.relaxations = {{.when = "{me}=EIO first=ok", .result = true, .why = "a reason"},
                         {.may_differ = "machine *", .why = "another"}};
    const std::vector<Relaxation> all = relaxations_of(table, {"two", {"third", "third"}});
    const auto is_of = [](std::string actor, std::string when) {
        return AllOf(Field(&Relaxation::actor, actor), Field(&Relaxation::when, when));
    };
    EXPECT_THAT(all, IsSupersetOf({is_of("third", "third=EIO first=ok"),
                                   is_of("third_2", "third_2=EIO first=ok"), is_of("", "")}));
}

} // namespace
} // namespace faultline
