// SPDX-License-Identifier: GPL-2.0
// The language of scenario files: each error once, with its place and its words; texts that print
// back; the interpreter over a session that is not the kernel's; and bytes that nobody wrote.
#include "cli/common.hpp"
#include "engine/runner.hpp"
#include "fake_session.hpp"
#include "kernel/page_pattern.hpp"
#include "kernel/series.hpp"
#include "language/interpreter.hpp"
#include "language/load.hpp"
#include "language/plan.hpp"
#include "operations/objects.hpp"
#include "reader_property.hpp"

#include <csignal>
#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <gmock/gmock.h>
#include <sstream>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

namespace faultline {
namespace {

using testing::HasSubstr;

// Small, and right. Nothing in it needs a kernel that can do anything special.
constexpr std::string_view small = R"flt(faultline = 1
name = "small"
claim = "c"
source = "s"
races = "r"
bad = "b"
setup = '''
file = memfd(4)
near = mmap(file)
fill(near, holes=ONE)
hole = random_hole(near)
'''
judge = "data = contents(file, stored=hole)"
outcome = "seen put data"
schedule = "writer@user:done -> reader@user:look"
expected = "seen=page put=ok data=intact"
[let]
page = "hole"
[actors.writer]
steps = '''
put = pwrite(file[{page}])
at done
'''
[actors.reader]
kind = "process"
cpu = 1
steps = '''
at look
seen = mincore(near[{page}])
'''
[forbid]
"data=changed" = "a page has other bytes"
[variants.one]
about = "the only one"
[controls.none]
about = "says nothing"
variant = "one"
produces = "data=changed"
actions = [{ skip = "f", actor = "writer" }]
)flt";

std::string replaced(std::string text, std::string_view what, std::string_view by) {
    const std::size_t at = text.find(what);
    EXPECT_NE(at, std::string::npos) << what;
    return text.replace(at, what.size(), by);
}

std::string complaints(const std::string& text) {
    return to_string("x.flt", load_scenario(text, "x.flt").complaints);
}
std::string with(std::string_view what, std::string_view by) {
    return complaints(replaced(std::string(small), what, by));
}

TEST(Language, ASmallFileIsRight) { EXPECT_EQ(complaints(std::string(small)), ""); }

TEST(Language, AParameterIsNoKeyOfAVariant) {
    EXPECT_THAT(with("[let]\n", "[let]\nsituation = \"x\"\n"),
                HasSubstr("\"situation\" is a key of each variant"));
}

TEST(Language, EachErrorHasItsPlaceAndSaysWhatWouldBeRight) {
    struct Case {
        std::string_view what;
        std::string_view by;
        std::string_view complaint;
    };
    constexpr Case cases[] = {
        {"faultline = 1", "faultline = 2", "x.flt:1:1: the file begins with the version"},
        {"name = \"small\"", "name = small", "x.flt:2:8: no TOML: "},
        {"name = \"small\"", "", "x.flt:1:1: the file lacks \"name\""},
        {"name = \"small\"", "name = 3", "x.flt:2:8: \"name\" is a text"},
        {"name = \"small\"", "name = \"sm all\"",
         "x.flt:2:9: \"sm all\": the name of a scenario has"},
        {"claim =", "clam =", "x.flt:3:1: the file has no key \"clam\": is it \"claim\"?"},
        {"memfd(4)", "memfdd(4)", "x.flt:8:8: no operation is called \"memfdd\": is it \"memfd\"?"},
        {"memfd(4)", "memfd()", "x.flt:8:8: memfd() needs \"pages\": memfd(pages) -> a file"},
        {"memfd(4)", "memfd(4, 5)", "x.flt:8:17: memfd() takes 1 arguments"},
        {"memfd(4)", "memfd(pgs=4)",
         "x.flt:8:14: memfd() has no argument \"pgs\": is it \"pages\"?"},
        {"memfd(4)", "memfd(4, pages=4)", "x.flt:8:17: \"pages\" is given twice"},
        {"memfd(4)", "memfd(PDM)", "x.flt:8:14: nothing is called \"PDM\": is it \"PMD\"?"},
        {"memfd(4)", "memfd(\"4\")", "x.flt:8:14: \"4\" is no number"},
        {"memfd(4)", "memfd(4x)", "x.flt:8:14: \"4x\" is no number"},
        {"memfd(4)", "memfd(4", "x.flt:8:15: expected \",\" or \")\", not the end of the line"},
        {"memfd(4)", "memfd 4", "x.flt:8:14: expected \"(\" after memfd, not \"4\""},
        {"memfd(4)", "memfd(4) near", "x.flt:8:17: \"near\" after the step: one step a line"},
        {"memfd(4)", "memfd(4) $", "x.flt:8:17: the sign \"$\" means nothing here"},
        {"memfd(4)", "memfd(\"4)", "x.flt:8:14: a text that does not end"},
        {"mmap(file)", "mmap(fil)", "x.flt:9:13: nothing is called \"fil\": is it \"file\"?"},
        {"mmap(file)", "mmap(7)", "x.flt:9:13: \"file\" is a file, not 7"},
        {"near = mmap(file)", "mmap(file)", "x.flt:9:1: memory is lost without a name"},
        {"holes=ONE", "holes=SOME",
         "x.flt:10:18: \"holes\" is one of NONE, RANDOM, ONE, not SOME: is it \"NONE\"?"},
        {"fill(near", "fill(hole = near",
         "x.flt:10:6: fill() has no argument \"hole\": is it \"holes\"?"},
        {"random_hole(near)", "random_hole(near)\nat here",
         "x.flt:12:1: only an actor can be at a site of the schedule"},
        {"random_hole(near)", "fill(near)",
         "x.flt:11:1: fill() has no result that could be called"},
        {"random_hole(near)", "order()",
         "x.flt:11:8: order() cannot stand here: it belongs to judge"},
        {"random_hole(near)", "random_hole(near)\nend",
         "x.flt:12:1: nothing has begun that could end"},
        {"random_hole(near)", "random_hole(near)\nrepeat 2", "x.flt:12:1: its \"end\" is missing"},
        {"random_hole(near)", "random_hole(near)\nrepeat 2\nelse",
         "x.flt:13:1: \"else\" belongs to an \"if\""},
        {"random_hole(near)", "random_hole(near)\nfor i of 2",
         "x.flt:12:7: expected \"in\", as in: for page in 0..8, not \"of\""},
        {"stored=hole", "stored=near", "x.flt:13:39: \"near\" is memory, and a number is needed"},
        {"outcome = \"seen put data\"", "outcome = \"sen put data\"",
         "x.flt:14:12: no step has a result \"sen\": is it \"seen\"?"},
        {"writer@user:done", "writr@user:done",
         "x.flt:15:13: schedule: no actor is called \"writr\": is it \"writer\"?"},
        {"writer@user:done", "writer@user:don",
         "x.flt:15:13: schedule: writer has no step \"at don\": is it \"writer@user:done\"?"},
        {"writer@user:done ->", "writer@user:done =>", "x.flt:15:13: schedule: "},
        {"reader@user:look\"", "reader@user:look; reader@user:look -> writer@user:done\"",
         "x.flt:15:13: schedule of one: "},
        {"seen=page", "seen=pge", "x.flt:16:13: \"seen\" is never \"pge\": is it \"page\"?"},
        {"seen=page", "sen=page", "x.flt:16:13: no result is called \"sen\": is it \"seen\"?"},
        {"seen=page", "seen", "x.flt:16:13: \"seen\" is no word of an outcome: NAME=VALUE"},
        {"[{page}]", "[{pag}]", "x.flt:21:19: [let] has no \"pag\": is it \"page\"?"},
        {"put = pwrite(file[{page}])", "put = pwrite(file[{page}]) as okay=fine, *=bad",
         "x.flt:21:1: pwrite() never gives \"okay\""},
        {"put = pwrite(file[{page}])", "pwrite(file[{page}]) as ok=fine",
         "x.flt:21:1: \"as\" without a name for the result"},
        {"put = pwrite(file[{page}])", "put = {page}",
         "x.flt:21:1: the last step of \"page\" must be a call"},
        {"page = \"hole\"", "page = \"hole +\"",
         "x.flt:18:15: expected a number, a name or a text"},
        {"kind = \"process\"", "kind = \"proces\"", "x.flt:25:9: no kind is called \"proces\""},
        {"at done", "exit()", "x.flt:22:1: exit() is of an actor that is a process: kind = \"proc"},
        {"[forbid]", "[measures]\nsen = \"pages\"\n[forbid]",
         "x.flt:32:1: no step has a result \"sen\": is it \"seen\"?"},
        {"[forbid]", "[measures]\nhole = 3\n[forbid]", "x.flt:32:8: \"hole\" is a text"},
        {"[forbid]", "[measures]\nseen = \"pages\"\n[forbid]",
         "x.flt:32:1: \"seen\" is a word: a measure is the sum of numbers"},
        {"[forbid]", "[measures]\nhole = { text = \"n\", of = \"hle\" }\n[forbid]",
         "x.flt:32:28: no result is called \"hle\": is it \"hole\"?"},
        {"[forbid]", "[measures]\nhole = { text = \"n\", off = \"hole\" }\n[forbid]",
         "x.flt:32:22: \"hole\" has no key \"off\": is it \"of\"?"},
        {"[forbid]", "[measures]\nhole = { of = \"hole\" }\n[forbid]",
         "x.flt:32:8: \"hole\" lacks \"text\""},
        {"cpu = 1", "cpu = \"one\"", "x.flt:26:7: \"cpu\" is a number from 0 to 1023"},
        {"at look", "until writter\nend\nat look",
         "x.flt:28:1: no actor is called \"writter\": is it"},
        {"at look", "if sen = page\nend\nat look", "x.flt:28:4: no result is called \"sen\""},
        {"seen = mincore", "put = mincore",
         "x.flt:29:1: the actor writer has a result \"put\", too"},
        {"about = \"the only one\"", "", "x.flt:33:1: \"one\" lacks \"about\""},
        {"about = \"the only one\"", "about = \"o\"\nknown = \"bug\"",
         "x.flt:35:10: [bugs] has no \"bug\""},
        {"about = \"the only one\"", "about = \"o\"\nneeds = \"ksn\"",
         "x.flt:35:10: no need is called \"ksn\": is it \"ksm\"?"},
        {"about = \"the only one\"", "about = \"o\"\nchance = {}",
         "x.flt:33:11: overlaps are left to chance only where nothing is forced"},
        {"variant = \"one\"", "variant = \"on\"",
         "x.flt:37:12: [variants] has no \"on\": is it \"one\"?"},
        {"skip = \"f\", actor = \"writer\"", "skip = \"f\", actor = \"waiter\"",
         "[actors] has no \"waiter\": is it \"writer\"?"},
        {"skip = \"f\", actor", "actor",
         "x.flt:39:12: an action has one of skip, replace and corrupt"},
        {"skip = \"f\", actor", "corrupt = \"f\", actor",
         "x.flt:39:12: a control that flips a byte needs its place"},
        {"produces = \"data=changed\"", "produces = \"data=chanced\"",
         "x.flt:38:13: \"data\" is never \"chanced\": is it \"changed\"?"},
    };
    for (const Case& one : cases)
        EXPECT_THAT(with(one.what, one.by), HasSubstr(std::string(one.complaint)))
            << one.what << " -> " << one.by;
}

TEST(Language, StepsPrintAsTheyAreWritten) {
    constexpr std::string_view text = "# first\n"
                                      "page = random(8 * (2 + 3))  # drawn\n"
                                      "at mapped; load(near[page]); at done\n"
                                      "seen = peek(near[2..6]) as EFAULT=SIGBUS, *=mapped\n"
                                      "repeat 3\n"
                                      "  for i in 0..page\n"
                                      "    madvise(near[i..], DONTNEED)\n"
                                      "  end\n"
                                      "end\n"
                                      "until other\n"
                                      "  if seen = SIGBUS and page > 3\n"
                                      "    {act}\n"
                                      "    done = {act} as ok=fine\n"
                                      "  else\n"
                                      "    put = store(near[{where}])\n"
                                      "  end\n"
                                      "end\n"
                                      "end = random(3)\n"
                                      "s = setting(\"/sys/kernel/mm/x\", \"a b\")\n";
    const Parsed parsed = parse_steps({std::string(text), {}});
    ASSERT_FALSE(parsed.complaint) << parsed.complaint->text;
    EXPECT_EQ(print(parsed.steps), text);
}

std::string repository() { return FAULTLINE_SHIPPED; }

std::string text_of(const std::string& path) {
    const Result<std::string> text = read_text(path);
    EXPECT_TRUE(text.ok()) << path;
    return text ? *text : "";
}

TEST(ShippedFiles, AreRightAndTheirStepsPrintBack) {
    const std::vector<std::string> files = shipped_files(repository());
    ASSERT_FALSE(files.empty());
    for (const std::string& path : files) {
        const std::string text = text_of(path);
        EXPECT_EQ(to_string(path, load_scenario(text, path).complaints), "");
        const ReadFile read = read_scenario(text, path);
        std::vector<Text> all = {read.file.prepare, read.file.setup, read.file.judge};
        for (const FileActor& actor : read.file.actors)
            all.push_back(actor.steps);
        for (const Text& steps : all) {
            const Parsed parsed = parse_steps(steps);
            ASSERT_FALSE(parsed.complaint) << path;
            const std::string once = print(parsed.steps);
            EXPECT_EQ(print(parse_steps({once, {}}).steps), once) << path;
            // The same except white space, and the `;` that an end of line stands for.
            const auto bare = [](std::string words) {
                std::erase_if(words,
                              [](unsigned char c) { return std::isspace(c) != 0 || c == ';'; });
                return words;
            };
            EXPECT_EQ(bare(once), bare(steps.text)) << path;
        }
    }
}

// Positions aside, and with the texts of the file's top in each variant.
TEST(ShippedFiles, PrintBackAsTheSameFile) {
    std::vector<std::string> texts = {std::string(small), new_scenario("mine")};
    std::vector<std::string> files = shipped_files(repository());
    files.push_back(repository() + "/../docs/tutorial.flt");
    for (const std::string& path : files)
        texts.push_back(text_of(path));
    for (const std::string& text : texts) {
        const ReadFile read = read_scenario(text, "x.flt");
        ASSERT_TRUE(read.complaints.empty()) << text;
        const std::string printed = print(read.file);
        const ReadFile again = read_scenario(printed, "x.flt");
        EXPECT_EQ(to_string("printed", again.complaints), "") << printed;
        EXPECT_TRUE(again.file == read.file) << printed;
        EXPECT_EQ(print(again.file), printed);
        EXPECT_EQ(to_string("printed", load_scenario(printed, "printed").complaints), "");
    }
}

// The fuzz target found it: the TOML parser takes its assertions for facts.
TEST(Reader, ComplainsOfATableWhoseNameIsNone) {
    EXPECT_THAT(complaints("faultline = 1\n[;]\n"), HasSubstr("no TOML"));
}

// Every key, with what TOML makes of quotation marks and ends of lines.
TEST(PrintedFile, HasEveryKey) {
    const std::string text = R"flt(faultline = 1
name = "all"
family = "f"
claim = "says \"no\" \\ yes"
source = "s"
races = "r"
bad = '''b
it''
'''
needs = ["ksm", "cgroup"]
prepare = "a = anon(1)"
setup = "b = anon(1)"
judge = "sleep(1)"
outcome = "seen"
corrupts = "b[0]"
no_hazard_control = { "6.1" = "none" }
schedule = "a@user:x -> b@user:y"
[let]
one = 1
two = "x"
[actors.a]
kind = "process"
cpu = 3
may_die = true
steps = "at x"
[actors.khugepaged]
kind = "kernel"
[bugs.known]
words = "seen=page"
releases = "6.1"
fix = "f"
machines = "x86_64"
log_line = "l"
log_trace = "t"
rare = true
[variants.v]
about = "v"
expected = { "6.1" = ["seen=page", "seen=hole"], "6.12" = "seen=hole" }
excluded_by = ["f < g", "h"]
excluded_in = "6.12"
or_overlap = "why"
known = "known"
needs = "ksm"
situation = "seen=page"
forced = false
by_name_only = true
divisor = 7
chance = { overlaps = 3, seconds = 4 }
two = "y"
[controls.c]
kind = "remedy"
about = "c"
variant = "v"
releases = "6.1"
needs = "ksm"
complains = true
caught_by = "VM_BUG_ON\\(x\\)"
by_name_only = true
actions = [{ skip = "f", value = -6, every = 2, optional = true, actor = "a", caller = "g" }, { replace = "f", with = "g" }, { corrupt = "f" }]
[forbid]
"seen=page" = "because"
[measures]
n = "pages"
m = { text = "others", of = "n" }
)flt";
    const ReadFile read = read_scenario(text, "x.flt");
    EXPECT_EQ(to_string("x.flt", read.complaints), "");
    const ReadFile again = read_scenario(print(read.file), "x.flt");
    EXPECT_EQ(to_string("printed", again.complaints), "") << print(read.file);
    EXPECT_TRUE(again.file == read.file) << print(read.file);
    EXPECT_EQ(again.file.claim.text, "says \"no\" \\ yes");
    EXPECT_EQ(again.file.variants.at(0).parameters.at("two").text, "y");
    EXPECT_EQ(again.file.controls.at(0).actions.at(0).value, -6);
}

TEST(NewScenario, PassesItsOwnCheck) {
    const LoadedFile loaded = load_scenario(new_scenario("mine"), "new");
    EXPECT_EQ(to_string("new", loaded.complaints), "");
    ASSERT_NE(loaded.scenario, nullptr);
    EXPECT_EQ(loaded.scenario->name, "mine");
}

TEST(Operations, AreDescribed) {
    std::set<std::string_view> names;
    for (const Operation& operation : all_operations()) {
        EXPECT_TRUE(names.insert(operation.name).second) << operation.name;
        EXPECT_NE(operation.act, nullptr) << operation.name;
        EXPECT_FALSE(operation.about.empty() && operation.man.empty()) << operation.name;
        if (!operation.needs.empty()) {
            EXPECT_TRUE(find_need(operation.needs)) << operation.name;
        }
        for (const Argument& argument : operation.arguments)
            EXPECT_EQ(argument.constants.empty(), argument.type != Type::word) << operation.name;
    }
}

TEST(Needs, HaveOneRowEach) {
    std::set<std::string_view> names;
    for (const std::string_view name : need_names())
        EXPECT_TRUE(names.insert(name).second) << name;
}

TEST(Pages, AreKnownByEveryByte) {
    const Content content(2);
    std::vector<std::uint64_t> words(512, 0);
    EXPECT_EQ(content_word(content, 0, words), "zero");
    words[511] = 1;
    EXPECT_EQ(content_word(content, 0, words), "other");
    write_pattern(words, content.word(0));
    EXPECT_EQ(content_word(content, 0, words), "data");
    EXPECT_EQ(content_word(content, 1, words), "other") << "another page's";
    words[0] = content.stored(0);
    EXPECT_EQ(content_word(content, 0, words), "stored");
    words[100] ^= 1;
    EXPECT_EQ(content_word(content, 0, words), "other");
}

class InterpreterTest : public testing::Test {
  protected:
    InterpreterTest() {
        options.runs = 5;
        options.note = [](std::string_view) {};
        options.version = "6.12.95";
        options.rig.open_session = [this]() -> Result<std::unique_ptr<Session>> {
            return std::unique_ptr<Session>(std::make_unique<FakeSession>(kernel));
        };
    }
    VariantReport run(const std::string& text) {
        const LoadedFile loaded = load_scenario(text, "x.flt");
        EXPECT_EQ(to_string("x.flt", loaded.complaints), "");
        if (loaded.scenario == nullptr)
            return {};
        return run_variant(*loaded.scenario, loaded.scenario->variants.at(0), nullptr, options);
    }
    static std::string only_outcome(const VariantReport& report) {
        EXPECT_EQ(report.histogram.size(), 1U) << report.why;
        return report.histogram.empty() ? report.why : report.histogram.begin()->first;
    }
    std::shared_ptr<FakeKernel> kernel = std::make_shared<FakeKernel>();
    Options options;
};

// Nothing orders the two without the kernel: the reader may come first, and the store may be late.
TEST_F(InterpreterTest, DoesWhatTheFileSays) {
    const std::string text =
        replaced(replaced(std::string(small), "at look\n", "at look\nwait_for(writer)\n"),
                 "holes=ONE", "holes=RANDOM");
    const VariantReport report = run(text);
    EXPECT_EQ(report.verdict, Verdict::pass) << report.why;
    EXPECT_EQ(only_outcome(report), "seen=page put=ok data=intact");
    EXPECT_EQ(report.counts.runs, 5U);
    EXPECT_EQ(kernel->arrivals, 5U) << "of the writer; the reader is another process";
}

TEST_F(InterpreterTest, ForbidsAndSaysWhy) {
    // The judge expects nothing to have been stored.
    const VariantReport report =
        run(replaced(replaced(replaced(std::string(small), ", stored=hole", ""), "at look\n",
                              "at look\nwait_for(writer)\n"),
                     " data=intact", ""));
    EXPECT_EQ(report.verdict, Verdict::fail);
    EXPECT_EQ(report.why, "a page has other bytes");
}

TEST_F(InterpreterTest, AStepThatWasNotReachedIsForbidden) {
    const VariantReport report =
        run(replaced(replaced(replaced(std::string(small), "at look\n",
                                       "at look\nfound = lseek(file[hole])\nif found = data\n"),
                              "seen = mincore(near[{page}])", "seen = mincore(near[{page}])\nend"),
                     "put = pwrite", "wait_for(reader)\nput = pwrite")); // or the hole is filled
    EXPECT_EQ(report.verdict, Verdict::fail);
    EXPECT_EQ(only_outcome(report), "seen=- put=ok data=intact");
    EXPECT_EQ(report.why, "there is no result \"seen\": its step was not reached");
}

TEST_F(InterpreterTest, AFailureThatNobodyNamesIsOurTrouble) {
    const VariantReport report = run(
        replaced(std::string(small), "at done\n", "at done\nfallocate(file[0], COLLAPSE_RANGE)\n"));
    EXPECT_EQ(report.verdict, Verdict::error);
    EXPECT_THAT(report.why, HasSubstr("x.flt:23:1: fallocate failed, and its result has no name"));
}

TEST_F(InterpreterTest, APageThatIsNotThereIsOurTrouble) {
    const VariantReport report = run(replaced(std::string(small), "page = \"hole\"", "page = 4"));
    EXPECT_EQ(report.verdict, Verdict::error);
    EXPECT_THAT(report.why, HasSubstr("file has pages 0 to 3, and 4 to 4 are none of them"));
}

TEST_F(InterpreterTest, LoopsAndConditionsCount) {
    const std::string text =
        replaced(replaced(std::string(small), "put = pwrite(file[{page}])",
                          "for i in 0..4\nif was = hole\nput = pwrite(file[i])\nelse\nwas = "
                          "lseek(file[i])\nend\nend"),
                 "expected = \"seen=page put=ok data=intact\"", "");
    EXPECT_THAT(complaints(text), HasSubstr("no result is called \"was\""));
    const VariantReport report = run(replaced(
        replaced(std::string(small), "put = pwrite(file[{page}])",
                 "for i in 0..4\nput = lseek(file[i])\nif put = hole\npwrite(file[i])\nend\nend"),
        "expected = \"seen=page put=ok data=intact\"", "expected = \"data=intact\""));
    EXPECT_EQ(report.verdict, Verdict::pass) << report.why;
}

TEST_F(InterpreterTest, ASituationMayBeOfTheSetup) {
    const std::string text =
        replaced(replaced(replaced(std::string(small), "fill(near, holes=ONE)",
                                   "fill(near, holes=ONE)\nsmall = random(1)"),
                          "expected =", "forced = false\nsituation = \"small>0\"\nexpected ="),
                 "at look\n", "at look\nwait_for(writer)\n");
    EXPECT_EQ(run(text).counts.overlaps, 0U);
    EXPECT_EQ(run(replaced(text, "small>0", "small=0")).counts.overlaps, 5U);
}

TEST_F(InterpreterTest, AnActorMayReportAWordThatNoRowLists) {
    const std::string text =
        replaced(replaced(replaced(std::string(small), "at look\n",
                                   "at look\nlocks = page_locks(near[0])\n"),
                          "outcome = \"seen put data\"", "outcome = \"locks\""),
                 "expected = \"seen=page put=ok data=intact\"", "");
    EXPECT_EQ(only_outcome(run(text)), "locks=unknown"); // there is no module here
}

// One page of four is a hole, in each of five runs. A variant without the result measures nothing.
TEST_F(InterpreterTest, AMeasureIsASumOverRuns) {
    const std::string text =
        replaced(replaced(replaced(std::string(small), "put = pwrite(file[{page}])",
                                   "gone = absent(near)\nput = pwrite(file[{page}])\n{more}"),
                          "page = \"hole\"", "page = \"hole\"\nmore = \"all = absent(empty)\""),
                 "hole = random_hole(near)",
                 "hole = random_hole(near)\nother = memfd(4)\n"
                 "empty = mmap(other)");
    const std::string measuring =
        replaced(text, "[forbid]",
                 "[measures]\ngone = { text = \"holes\", of = \"gone\" }\n"
                 "all = \"pages\"\n[forbid]");
    EXPECT_EQ(to_string(run(measuring).measures), "5 holes (of 5), 20 pages");
    const std::string without = replaced(measuring, "about = \"the only one\"",
                                         "about = \"o\"\nmore = \"\"\n"
                                         "[variants.two]\nabout = \"t\"");
    EXPECT_EQ(to_string(run(without).measures), "5 holes (of 5)");
    EXPECT_TRUE(run(std::string(small)).measures.empty());
}

TEST_F(InterpreterTest, AThreadOfTheKernelThatNothingIsAboutIsNoActor) {
    const auto with_thread = [](std::string_view controlled) {
        return replaced(
            replaced(replaced(std::string(small), "at look\n", "at look\nwait_for(writer)\n"),
                     "[forbid]", "[actors.no-such-thread]\nkind = \"kernel\"\n[forbid]"),
            "actor = \"writer\"", controlled);
    };
    EXPECT_EQ(run(with_thread("actor = \"writer\"")).verdict, Verdict::pass);
    EXPECT_EQ(run(with_thread("actor = \"no-such-thread\"")).verdict, Verdict::error);
}

TEST_F(InterpreterTest, AccessesThatRaiseASignalAreResults) {
    const std::string text =
        replaced(replaced(std::string(small), "put = pwrite(file[{page}])",
                          "ftruncate(file, 0)\nput = load(near[1])"),
                 "expected = \"seen=page put=ok data=intact\"", "expected = \"put=SIGBUS\"");
    const VariantReport report = run(replaced(text, "stored=hole", "stored=0"));
    EXPECT_THAT(only_outcome(report), HasSubstr("put=SIGBUS"));
}

// The reader is a process of its own. Nothing was stored.
TEST_F(InterpreterTest, AnotherProcessHasTheFileOpen) {
    const std::string text =
        replaced(replaced(replaced(std::string(small), "seen = mincore(near[{page}])",
                                   "seen = pidfd_pread(file[{page}])"),
                          "seen=page put=ok", "seen=zero put=zero"),
                 "put = pwrite(file[{page}])", "put = pidfd_pread(file[{page}])");
    EXPECT_EQ(only_outcome(run(replaced(text, ", stored=hole", ""))),
              "seen=zero put=zero data=intact");
}

constexpr std::string_view two_processes = R"flt(faultline = 1
name = "two"
claim = "c"
source = "s"
races = "r"
bad = "b"
setup = "file = memfd(4); near = mmap(file); fill(near)"
outcome = "moment left seen after"
expected = "seen=page after=-"
[let]
ending = ""
[actors.watcher]
steps = '''
moment = process_madvise(near, COLD, quitter) as ESRCH=early
until quitter
  left = running(quitter)
  if left = yes and moment = early
    moment = process_madvise(near, COLD, quitter)
  end
end
wait_gone(quitter); left = running(quitter)'''
[actors.quitter]
kind = "process"
cpu = 1
steps = '''
sleep(20000); seen = mincore(near[1])
if seen = page
  {ending}
end
after = random(1)'''
[variants.one]
about = "a"
)flt";

// The step behind it is not reached, and the other does not wait in vain.
TEST_F(InterpreterTest, AProcessMayEndInTheMidstOfItsSteps) {
    const std::string ends =
        replaced(std::string(two_processes), "ending = \"\"", "ending = \"exit()\"");
    const VariantReport report = run(ends);
    EXPECT_EQ(report.verdict, Verdict::pass) << report.why;
    for (const auto& [outcome, tally] : report.histogram)
        EXPECT_THAT(outcome, testing::AllOf(HasSubstr("left=no"), HasSubstr("seen=page after=-")));
    for (const auto& [outcome, tally] : run(std::string(two_processes)).histogram)
        EXPECT_THAT(outcome, HasSubstr("seen=page after=0"));
}

TEST_F(InterpreterTest, AnotherActorsMemoryIsAdvised) {
    unsigned advised = 0; // in the moment between its begin and its end
    for (const auto& [outcome, tally] : run(std::string(two_processes)).histogram)
        advised += outcome.starts_with("moment=ok") ? 1U : 0U;
    EXPECT_GE(advised, 1U);
}

TEST(Operations, AReleaseCanBeNeeded) {
    const std::string& here = running_version();
    const std::string series = here.substr(0, here.find_first_of(".-", here.find('.') + 1));
    for (const auto& [list, there] : {std::pair{series, true},
                                      {"0.1, " + series, true},
                                      {"!" + series, false},
                                      {std::string("0.1"), false},
                                      {"0.1 < 0.1.9, !" + series, false}}) {
        const std::optional<Need> need = find_need("release " + list);
        ASSERT_TRUE(need) << list;
        EXPECT_EQ(!need->missing(), there) << list << " on " << here;
    }
    EXPECT_EQ(find_need("release 0.1")->missing().value_or(""), here + " is none");
}

TEST(Operations, OfAnotherProcessNeedOne) {
    constexpr std::int64_t page_present = 8; // of PAGEMAP_SCAN
    Rng rng(1);
    Places places;
    Doing doing{.rng = rng, .places = places, .binds = "range"};
    const Result<Value> range = find_operation("anon")->act(
        doing, Given({Value::of(2), {.type = Type::word, .number = 2 /* MAP_PRIVATE */}}));
    ASSERT_TRUE(range);
    const auto advise = [&](std::int64_t advice, Value actor) {
        const Result<Value> done =
            find_operation("process_madvise")
                ->act(doing,
                      Given({*range, {.type = Type::word, .number = advice}, std::move(actor)}));
        return done ? to_string(*done) : done.error().to_string();
    };
    const Value actor{.type = Type::actor, .text = "a"};
    EXPECT_EQ(advise(MADV_COLD, {}), "ok");
    EXPECT_EQ(advise(MADV_COLD, actor), "ESRCH") << "it has not begun";
    const auto scan = [&](Value of) {
        const Result<Value> done =
            find_operation("pagemap_scan")
                ->act(doing,
                      Given({*range, {.type = Type::word, .number = page_present}, std::move(of)}));
        return done ? to_string(*done) : done.error().to_string();
    };
    EXPECT_EQ(scan(actor), "ESRCH") << "it has not begun";
    const pid_t child = ::fork();
    if (child == 0) {
        ::pause();
        ::_exit(0);
    }
    ASSERT_GT(child, 0);
    doing.process_of = [child](std::string_view) { return child; };
    EXPECT_EQ(advise(MADV_COLD, actor), "ok");
    EXPECT_EQ(advise(MADV_DONTNEED, actor), "EINVAL") << "only of the caller's own memory";
    if (const std::string own = scan({}); own != "ENOTTY") // before linux 6.7
    {
        EXPECT_EQ(own, "0");
        (void)find_operation("store")->act(doing, Given({*range}));
        EXPECT_EQ(scan({}), "2");
        EXPECT_EQ(scan(actor), "0") << "it was forked before";
    }
    const auto gone = [&doing, &actor] {
        return find_operation("wait_gone")->act(doing, Given({actor}));
    };
    unsigned asked = 0;
    doing.stopping = [&asked] { return ++asked > 2; };
    EXPECT_TRUE(gone()) << "the run is over";
    EXPECT_EQ(asked, 3U) << "it lives";
    ::kill(child, SIGKILL);
    doing.stopping = [] { return false; };
    EXPECT_TRUE(gone());
    ::waitpid(child, nullptr, 0);
    EXPECT_TRUE(gone()) << "and nothing is left of it";
    EXPECT_EQ(advise(MADV_COLD, actor), "ESRCH") << "it is gone";
    EXPECT_EQ(scan(actor), "ESRCH");
    doing.process_of = [](std::string_view) { return ::getpid(); };
    EXPECT_FALSE(gone()) << "it would wait for itself";
    EXPECT_FALSE(find_operation("exit")->act(doing, Given({}))) << "of no process that may end";
}

TEST_F(InterpreterTest, PagesAreLookedAtTogether) {
    for (const auto& [steps, word] :
         {std::pair{"put = peek_all(near)", "mixed"},
          std::pair{"poke(near)\nput = peek_all(near)", "stored"},
          std::pair{"poke(near)\nother = part(near[2..4], near[1..3])\nput = peek_all(other)",
                    "other"},
          std::pair{"poke(near)\nother = part(near[2..4], near[2..4])\nput = peek_all(other)",
                    "stored"},
          std::pair{"ftruncate(file, 0)\nput = peek_all(near)", "none"}}) {
        const std::string text =
            replaced(replaced(std::string(small), "put = pwrite(file[{page}])", steps),
                     "expected = \"seen=page put=ok data=intact\"",
                     fmt::format("expected = \"put={}\"", word));
        const VariantReport report = run(text);
        EXPECT_FALSE(report.histogram.empty()) << report.why;
        for (const auto& [outcome, tally] : report.histogram)
            EXPECT_THAT(outcome, HasSubstr(fmt::format("put={}", word)));
    }
}

TEST_F(InterpreterTest, TheSameSeedDrawsTheSame) {
    const std::string text =
        replaced(replaced(std::string(small), "at look\n", "at look\nn = random(1000000)\n"),
                 "outcome = \"seen put data\"", "outcome = \"n\"");
    const std::string plain = replaced(text, "expected = \"seen=page put=ok data=intact\"", "");
    options.same_seed = true;
    options.seed = 7;
    EXPECT_EQ(only_outcome(run(plain)), only_outcome(run(plain)));
}

constexpr std::string_view timing = R"flt(faultline = 1
name = "timing"
claim = "c"
source = "s"
races = "r"
bad = "b"
setup = '''
file = memfd(4); near = mmap(file, times=3); fill(near[4..8])
order = shuffled(4); clock = clock()
slow_began = meeting(2); quick_began = meeting(2)'''
judge = '''crossed = laps_crossed(clock); done = ended(slow)'''
outcome = "bytes again gone last sum done"
situation = "crossed>0"
forced = false
[actors.slow]
cpu = 0
steps = '''
clock_start(clock); meet(slow_began); meet(quick_began); sleep(1000); clock_stop(clock)
bytes = look(near); gone = absent(near)
page = nth(order, 3) as 0=drawn, 1=drawn, 2=drawn, 3=drawn, *=wrong
store(near[9]); last = look(near[0..4])'''
[actors.quick]
kind = "process"
cpu = 1
steps = '''
meet(slow_began); clock_start(clock); meet(quick_began); clock_stop(clock)
view = mmap(file); munmap(view); view = mmap(file)
again = peek(view[3]) as data=mapped, stored=mapped, *=lost
sum = random(1)'''
[variants.one]
about = "a"
)flt";

TEST_F(InterpreterTest, TimesOrdersAndMappingsInARow) {
    if (::sysconf(_SC_NPROCESSORS_ONLN) < 2)
        GTEST_SKIP() << "laps of one CPU do not cross";
    const VariantReport report = run(std::string(timing));
    EXPECT_EQ(only_outcome(report), "bytes=intact again=mapped gone=0 last=changed sum=0 done=yes");
    EXPECT_EQ(report.counts.overlaps, report.counts.runs) << report.why;
}

TEST_F(InterpreterTest, LapsBetweenSitesNeedTheSites) {
    const VariantReport report =
        run(replaced(std::string(timing), "crossed = laps_crossed(clock)",
                     "crossed = laps_between(clock, \"slow@user:a\", \"slow@user:b\")"));
    EXPECT_NE(report.why.find("the schedule has no site slow@user:a"), std::string::npos)
        << report.why;
}

TEST(Language, ASiteOfAReaderIsASiteOfTheSchedule) {
    const auto with = [](const std::string& schedule) {
        return complaints(replaced(
            replaced(replaced(std::string(timing), "judge = ",
                              "schedule = \"" + schedule +
                                  "\"\nprepare = \"tables = pte_tables()\"\njudge = "),
                     "clock_start(clock); meet(slow_began)",
                     "kept = pte_read(tables, 0, at=inside); clock_start(clock); sleep(100000)"),
            "view = mmap(file); munmap", "at given\nview = mmap(file); munmap"));
    };
    EXPECT_EQ(with("quick@user:given -> slow@user:inside"), "");
    EXPECT_NE(with("quick@user:given -> slow@user:outside").find("no step \"at outside\""),
              std::string::npos);
}

// By the steps of a variant with its parameters.
TEST(Roles, AreReadFromTheSteps) {
    const auto roles = [](const std::string& name, const std::string& variant) {
        for (const Scenario* scenario : shipped_scenarios())
            if (scenario->name == name)
                return roles_of(*file_of(*scenario), variant);
        ADD_FAILURE() << name;
        return Roles{};
    };
    using Names = std::vector<std::string>;
    using Set = std::set<std::string>;
    const Roles accounting = roles("pgtable-accounting", "other");
    EXPECT_EQ(accounting.helpers, Set{});
    EXPECT_EQ(accounting.sites.at("owner"), (Names{"touched", "count"}));
    EXPECT_EQ(accounting.sites.at("collapser"), (Names{"start", "collapsed"}));
    // `until` in a parameter of the file, not of the variant; an actor without steps; a meeting.
    EXPECT_EQ(roles("mthp-writers", "khugepaged").helpers, (Set{"reader", "writer-0", "writer-1"}));
    EXPECT_EQ(roles("mthp-writers", "reader").helpers, (Set{"reader", "writer-0", "writer-1"}));
    EXPECT_EQ(roles("pgtable-shared", "storm").helpers,
              (Set{"reader", "first", "second", "third", "fourth", "fifth", "sixth"}));
    EXPECT_EQ(roles("pgtable-shared", "apart").helpers, (Set{"third", "fourth", "fifth", "sixth"}));
    EXPECT_EQ(roles("pgtable-shared", "apart").sites.at("reader"), Names{"reading"});
    EXPECT_EQ(roles("hugetlb-walker", "mprotect").helpers, Set{"partner"});
    EXPECT_EQ(roles("pgtable-notifier", "retract").asked_about, Names{"pmdp_collapse_flush"});
    EXPECT_TRUE(roles("pgtable-notifier", "no such").sites.empty());
}

TEST(Slots, CarryNumbersErrnosAndWords) {
    Plan plan;
    plan.words = {"hole", "page"};
    for (const Value& value : {Value::of(-3), Value::of(0), Value::of_error(0), Value::of_error(16),
                               Value::of_word("page")}) {
        const std::optional<std::int64_t> slot = encode(plan, value);
        ASSERT_TRUE(slot);
        EXPECT_NE(*slot, unreported);
        EXPECT_EQ(to_string(decode(plan, *slot)), to_string(value));
    }
    EXPECT_FALSE(encode(plan, Value::of_word("else")));
    EXPECT_FALSE(encode(plan, Value::of(std::numeric_limits<std::int64_t>::max())));
}

// Bounded, from a fixed seed: bytes changed, taken away and put in, and pieces of the files put
// together. It must come back, and with complaints or a scenario.
TEST(Fuzz, NoTextBreaksTheReader) {
    std::vector<std::string> corpus = {std::string(small), new_scenario("fuzz")};
    for (const std::string& path : shipped_files(repository()))
        corpus.push_back(text_of(path));
    constexpr std::string_view pieces[] = {"{",
                                           "}",
                                           "[",
                                           "]",
                                           "'''",
                                           "\"",
                                           "..",
                                           "(",
                                           ")",
                                           "=",
                                           "end\n",
                                           "if x = y\n",
                                           "repeat 9\n",
                                           "at ",
                                           "\n",
                                           "{window}",
                                           "->",
                                           ";",
                                           "99999999999999999999",
                                           "\xff",
                                           "\0",
                                           "#",
                                           "as *=x",
                                           "[let]\n"};
    Rng rng(2026);
    for (unsigned round = 0; round < 20000; ++round) {
        std::string text = corpus[rng.below(corpus.size())];
        for (std::uint64_t changes = 1 + rng.below(4); changes > 0 && !text.empty(); --changes) {
            const std::size_t at = rng.below(text.size());
            switch (rng.below(4)) {
            case 0:
                text[at] = static_cast<char>(rng.below(256));
                break;
            case 1:
                text.erase(at, 1 + rng.below(40));
                break;
            case 2:
                text.insert(at, pieces[rng.below(std::size(pieces))]);
                break;
            default: {
                const std::string& other = corpus[rng.below(corpus.size())];
                text.insert(at, other.substr(rng.below(other.size()), rng.below(80)));
            }
            }
        }
        ASSERT_EQ(wrong_with_reader(text), "");
    }
}

} // namespace
} // namespace faultline
