// SPDX-License-Identifier: GPL-2.0
// Steps are taken away as long as the file can be loaded and shows what it did.
#include "explore/shrink.hpp"

#include <gmock/gmock.h>

namespace faultline {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

TEST(Steps, HaveTheirSeparators) {
    EXPECT_THAT(steps_of("a = f(1); b = g()\n\nrepeat 3; h(); end\n"),
                ElementsAre("a = f(1)", "; b = g()", "\nrepeat 3", "; h()", "; end"));
    EXPECT_THAT(steps_of("a = setting(\"x;y\", \"1\"); b()"),
                ElementsAre("a = setting(\"x;y\", \"1\")", "; b()"));
    EXPECT_THAT(steps_of("# first; second\nf()"), ElementsAre("# first; second", "\nf()"));
    EXPECT_THAT(steps_of(""), IsEmpty());
    EXPECT_THAT(steps_of(" ;\n"), IsEmpty());
}

ScenarioFile a_file() {
    const ReadFile read = read_scenario(R"flt(faultline = 1
name = "found-1"
claim = "each run ends as one of the serial orders does"
source = "explore"
races = "a cut"
bad = "st_blocks"
prepare = "mount = tmpfs(64)"
setup = '''
file = tmpfs_file(8, mount); near = mmap(file); far = mmap(file); fill(near)
page = random_page(near); other = random_page(near)'''
outcome = "cut read"
[actors.cutter]
steps = '''
at begin
first = load(near[page]); cut = ftruncate(file, 4)
at end'''
[actors.reader]
steps = '''
at begin
read = pread(file[other])
at end'''
[variants.found]
about = "the order"
schedule = "cutter@user:begin -> reader@user:begin"
expected = "cut=ok read=data"
[forbid]
"cut=ok read=EIO" = "no serial order ends so"
)flt",
                                        "found-1.flt");
    EXPECT_THAT(read.complaints, IsEmpty()) << to_string("found-1.flt", read.complaints);
    return read.file;
}

TEST(ShrinkSteps, KeepsThoseThatAreNeeded) {
    unsigned asked = 0;
    const ShrunkSteps shrunk = shrink_steps(a_file(), [&asked](const ScenarioFile& fewer) {
        ++asked;
        return fewer.setup.text.find("fill(near)") != std::string::npos;
    });
    EXPECT_EQ(shrunk.steps, 10U);
    EXPECT_GT(asked, 0U);
    // Without the mount the file has one of its own; nothing uses page, far, and the loaded value.
    EXPECT_THAT(shrunk.file.setup.text, HasSubstr("fill(near)"));
    EXPECT_THAT(shrunk.file.setup.text, Not(HasSubstr("far")));
    EXPECT_THAT(shrunk.file.setup.text, Not(HasSubstr("page =")));
    EXPECT_EQ(shrunk.file.actors[0].steps.text, "at begin\ncut = ftruncate(file, 4)\nat end");
    EXPECT_EQ(shrunk.file.actors[1].steps.text, "at begin\nread = pread(file[other])\nat end");
    EXPECT_EQ(shrunk.file.prepare.text, "mount = tmpfs(64)") << "tmpfs_file() names it";
    EXPECT_EQ(shrunk.kept, 7U);
}

TEST(ShrinkSteps, OfAFileThatShowsNothingAreAllKept) {
    const ShrunkSteps shrunk = shrink_steps(a_file(), [](const ScenarioFile&) { return false; });
    EXPECT_EQ(shrunk.file, a_file());
    EXPECT_EQ(shrunk.kept, shrunk.steps);
}

} // namespace
} // namespace faultline
