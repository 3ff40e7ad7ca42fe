// SPDX-License-Identifier: GPL-2.0
// A difference that explore found, as a file: it reads back without a complaint, and names the
// forbidden values.
#include "explore/found.hpp"

#include "explore/table.hpp"
#include "language/load.hpp"

#include <gmock/gmock.h>

namespace faultline {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

constexpr const char* table = R"flt(faultline = 1
[setups.small]
about = "8 pages"
steps = '''
file = tmpfs_file(8); near = mmap(file); fill(near, holes=ONE)
page = random_page(near)'''
[operations.cut]
about = "ftruncate(2)"
setups = ["small"]
steps = "{me} = ftruncate(file, 4)"
[operations.read]
about = "pread(2)"
setups = ["small"]
steps = "{me} = pread(file[page])"
)flt";

ScenarioFile file_of_topic() {
    const ReadTable read = read_table(table);
    EXPECT_THAT(read.complaints, IsEmpty());
    const Result<std::string> text = scenario_text(read.table, {"small", {"cut", "read"}});
    EXPECT_TRUE(text.ok());
    const ReadFile file = read_scenario(*text, "topic");
    EXPECT_THAT(file.complaints, IsEmpty());
    return file.file;
}

Deviation deviation() {
    const Result<std::vector<Edge>> edges =
        parse_edges("read@enter:filemap_read -> cut@user:begin");
    return {.signature = "file file st_blocks",
            .text = "",
            .words = "cut=ok read=data",
            .schedule = "",
            .names = {"file file st_blocks", "mapping near page 3 mincore"},
            .end = {{}, {{"cut", "ok"}, {"read", "data"}}, {"8", "1"}},
            .serial = {{{"cut", "read"}, {{"cut", "ok"}, {"read", "EIO"}}, {"32", "0"}},
                       {{"read", "cut"}, {{"cut", "ok"}, {"read", "data"}}, {"32", "0"}}},
            .edges = *edges,
            .seed = 0xffffffff00000001,
            .again = 5,
            .tries = 5,
            .shrunk = *edges};
}

TEST(FoundFile, OfAnOrderWhoseMachineDiedHasTheOrderAlone) {
    Deviation dead;
    dead.signature = "the machine died in this order";
    dead.edges = deviation().edges;
    dead.seed = 7;
    const ScenarioFile file = found_file(file_of_topic(), "all", "", "small-cut-read-died", dead);
    const LoadedFile loaded = load_scenario(print(file), "died.flt");
    EXPECT_THAT(loaded.complaints, IsEmpty()) << to_string("died.flt", loaded.complaints);
    ASSERT_NE(loaded.scenario, nullptr);
    ASSERT_THAT(loaded.scenario->variants, SizeIs(1));
    EXPECT_EQ(loaded.scenario->variants[0].schedule, "read@enter:filemap_read -> cut@user:begin");
    EXPECT_EQ(loaded.scenario->draws, 7U);
    EXPECT_THAT(file.forbid, IsEmpty());
    EXPECT_THAT(print(file), HasSubstr("cut = ftruncate(file, 4)")) << "the steps are in place";
}

TEST(FoundFile, ReadsBackAndSaysWhatIsForbidden) {
    const ScenarioFile file =
        found_file(file_of_topic(), "all", "", "small-cut-read-1", deviation());
    const LoadedFile loaded = load_scenario(print(file), "found.flt");
    EXPECT_THAT(loaded.complaints, IsEmpty()) << to_string("found.flt", loaded.complaints);
    ASSERT_NE(loaded.scenario, nullptr);
    EXPECT_EQ(loaded.scenario->name, "small-cut-read-1");
    EXPECT_EQ(loaded.scenario->draws, 0xffffffff00000001) << "the setup is that of the run";
    ASSERT_THAT(loaded.scenario->variants, SizeIs(3));
    const Variant& found = loaded.scenario->variants[0];
    EXPECT_EQ(found.name, "found");
    EXPECT_EQ(found.schedule, "read@enter:filemap_read -> cut@user:begin");
    std::vector<std::string_view> expected;
    for (const Expected& one : found.expected)
        expected.push_back(one.words);
    EXPECT_THAT(expected, ElementsAre("cut=ok read=EIO found_1=32 found_2=0",
                                      "cut=ok read=data found_1=32 found_2=0"));
    EXPECT_EQ(loaded.scenario->variants[1].schedule, to_string(serial_edges({"cut", "read"})));
    ASSERT_THAT(file.forbid, SizeIs(1));
    EXPECT_EQ(file.forbid[0].when.text, "cut=ok read=data found_1=8 found_2=1");
    EXPECT_THAT(file.setup.text, HasSubstr("found_before = state(file, near)"));
    EXPECT_THAT(file.judge.text, HasSubstr("state_value(found_before, \"file file st_blocks\")"));
}

TEST(FoundFile, OfAResultAloneNeedsNoState) {
    Deviation one = deviation();
    one.names.clear();
    const ScenarioFile file = found_file(file_of_topic(), "all", "", "one", one);
    EXPECT_EQ(file.setup.text, file_of_topic().setup.text);
    EXPECT_EQ(file.judge.text, file_of_topic().judge.text);
    EXPECT_EQ(file.outcome.text, "cut read");
}

// A difference that did not come again has no shrunk schedule: the file has the whole one.
TEST(FoundFile, OfADifferenceThatDidNotComeAgainHasAllEdges) {
    Deviation one = deviation();
    one.again = 0;
    one.shrunk.clear();
    EXPECT_EQ(found_file(file_of_topic(), "all", "", "one", one).variants[0].schedule.text,
              "read@enter:filemap_read -> cut@user:begin");
    one.again = 5; // it comes without any edge
    const ScenarioFile free = found_file(file_of_topic(), "all", "", "one", one);
    EXPECT_EQ(free.variants[0].schedule.text, "");
    EXPECT_FALSE(free.variants[0].forced);
}

TEST(FoundFile, UnderAControlIsWhatTheControlProduces) {
    ScenarioFile from = file_of_topic();
    FileControl control;
    control.name.text = "skipped";
    control.variant.text = "all";
    control.produces.text = "read=zero";
    from.controls = {control, control};
    from.controls[1].name.text = "another";
    const ScenarioFile file = found_file(from, "all", "skipped", "one", deviation());
    ASSERT_THAT(file.controls, SizeIs(1));
    EXPECT_EQ(file.controls[0].variant.text, "found");
    EXPECT_EQ(file.controls[0].produces.text, "cut=ok read=data found_1=8 found_2=1");
    EXPECT_THAT(file.forbid, IsEmpty());
}

} // namespace
} // namespace faultline
