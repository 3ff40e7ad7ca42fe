// SPDX-License-Identifier: GPL-2.0
// Findings as C programs, as patches, as columns: on small made-up texts of a kernel, and on the
// shipped files, whose programs must compile.
#include "site_result.hpp"

#include "emit/c_pieces.hpp"
#include "emit/c_program.hpp"
#include "emit/columns.hpp"
#include "emit/repro.hpp"
#include "emit/source_text.hpp"
#include "emit/window_patch.hpp"
#include "kernel/fd.hpp"
#include "kernel/kernel_log.hpp"
#include "kernel/symbols.hpp"
#include "language/load.hpp"

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>
#include <sstream>

namespace faultline {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

// --- pieces

constexpr std::string_view pieces = R"(#define M 1

struct s {
	int used;
};

static int flag;

static int used(struct s a)
{
	return a.used + M; /* not other() */
}

static int other(void)
{
	return flag;
}
)";

TEST(CPieces, TakesWhatIsUsedAndWhatThatUses) {
    const std::string taken =
        pieces_for(pieces, "int main(void) { return used((struct s){ 0 }); }");
    EXPECT_THAT(taken, HasSubstr("int used("));
    EXPECT_THAT(taken, HasSubstr("struct s {"));
    EXPECT_THAT(taken, HasSubstr("#define M"));
    EXPECT_THAT(taken, Not(HasSubstr("int other(")));
    EXPECT_THAT(taken, Not(HasSubstr("flag")));
}

TEST(CPieces, MembersAndTextsAreNoUses) {
    EXPECT_EQ(pieces_for(pieces, "r->other = 1; a.used; puts(\"flag\"); // used()"), "");
}

TEST(CPieces, BlanksCommentsAndTexts) {
    EXPECT_EQ(without_comments("a /* b\nc */ \"d\\\"e\" '\"' // f\ng"),
              "a     \n     \"    \" ' '     \ng");
    EXPECT_EQ(without_comments("a /* b"), "a     ");
}

// --- timing

std::vector<Edge> edges(const char* text) {
    Result<std::vector<Edge>> parsed = parse_edges(text);
    EXPECT_TRUE(parsed.ok());
    return parsed ? *parsed : std::vector<Edge>{};
}

TEST(Timing, AHoldIsASlowPartAndWhoWaitsForItWaitsAWhile) {
    const Result<Timing> timing =
        timing_of(edges("f@enter:fault -> c@user:cut; c@user:done -> f@enter:fault"));
    ASSERT_TRUE(timing.ok());
    EXPECT_THAT(timing->windows(), ElementsAre(Window{"fault", "f", "SLOWME", 1}));
    const Part* slow = timing->part("f", "");
    ASSERT_NE(slow, nullptr);
    EXPECT_TRUE(slow->watched);
    EXPECT_EQ(slow->ms(), delay_ms);
    EXPECT_THAT(slow->had, ElementsAre("c@user:done"));
    const std::vector<WaitFor>& waits = timing->waits.at("c@user:cut");
    ASSERT_THAT(waits, SizeIs(1));
    EXPECT_EQ(waits[0].part, slow->number);
    EXPECT_EQ(waits[0].ms, lead_ms);
}

TEST(Timing, EachCallIsDelayedUntilTheOneThatCounts) {
    const Result<Timing> timing = timing_of(edges(
        "f@enter:lock#3 -> c@user:cut; c@user:done -> f@enter:lock#3; f@enter:next -> d@user:go"));
    ASSERT_TRUE(timing.ok());
    EXPECT_EQ(timing->waits.at("c@user:cut")[0].ms, 2 * delay_ms + lead_ms);
    EXPECT_EQ(timing->waits.at("d@user:go")[0].ms, 3 * delay_ms + lead_ms);
}

TEST(Timing, TwoWhoAreHeldHaveTwoNames) {
    const Result<Timing> timing =
        timing_of(edges("a@enter:f -> b@user:x; b@enter:g -> a@enter:f; a@user:end -> b@enter:g"));
    ASSERT_TRUE(timing.ok());
    EXPECT_THAT(timing->windows(),
                ElementsAre(Window{"f", "a", "SLOWME1", 1}, Window{"g", "b", "SLOWME2", 1}));
}

TEST(Timing, SaysWhatItCannotKeep) {
    const Result<Timing> at = timing_of(edges("b@user:x -> a@at:f/page-ref"));
    ASSERT_FALSE(at.ok());
    EXPECT_THAT(at.error().to_string(), HasSubstr("a@at:f/page-ref"));
    EXPECT_FALSE(timing_of(edges("b@user:x -> a@return:f")).ok());
    EXPECT_FALSE(timing_of(edges("b@enter:f -> a@user:x#2")).ok());
    EXPECT_TRUE(timing_of(edges("a@return:f -> b@user:x")).ok()); // nobody is held there
}

// --- source text

std::string marked(const std::string& text, const std::vector<std::size_t>& places) {
    std::string made = text;
    for (auto place = places.rbegin(); place != places.rend(); ++place)
        made.insert(*place, "@");
    return made;
}

struct Source {
    const char* name;
    const char* function;
    const char* text;
    const char* expected; // an @ where the statement goes; the text itself: nowhere
};

class SourceTexts : public testing::TestWithParam<Source> {};

TEST_P(SourceTexts, FindsTheFirstStatement) {
    const SourceText source(GetParam().text);
    EXPECT_EQ(marked(GetParam().text, source.entries(GetParam().function)), GetParam().expected);
}

const Source sources[] = {
    {"Plain", "f", "int f(int a)\n{\n\tint b = a;\n\n\tg(b);\n}\n",
     "int f(int a)\n{\n\tint b = a;\n\n@\tg(b);\n}\n"},
    {"ManyLines", "f",
     "static inline struct s *\nf(struct s *a,\n  int (*b)(int),\n  int c)\n{\n\tstruct s *d = "
     "a;\n\tu8 e;\n\treturn d;\n}\n",
     "static inline struct s *\nf(struct s *a,\n  int (*b)(int),\n  int c)\n{\n\tstruct s *d = "
     "a;\n\tu8 e;\n@\treturn d;\n}\n"},
    {"AttributesBehind", "f", "void f(void) __must_hold(&l)\n\t__acquires(m)\n{\n\tg();\n}\n",
     "void f(void) __must_hold(&l)\n\t__acquires(m)\n{\n@\tg();\n}\n"},
    {"BeforeAnsi", "f", "int f(a, b)\n\tint a;\n\tchar *b;\n{\n\treturn a;\n}\n",
     "int f(a, b)\n\tint a;\n\tchar *b;\n{\n@\treturn a;\n}\n"},
    {"PrototypeIsNone", "f", "int f(int a);\nint g(int f)\n{\n\treturn f(f);\n}\n",
     "int f(int a);\nint g(int f)\n{\n\treturn f(f);\n}\n"},
    {"SystemCall", "__x64_sys_move",
     "SYSCALL_DEFINE2(move, int, a, int, b)\n{\n\tlong c;\n\n\treturn 0;\n}\n",
     "SYSCALL_DEFINE2(move, int, a, int, b)\n{\n\tlong c;\n\n@\treturn 0;\n}\n"},
    {"OtherSystemCall", "__x64_sys_move", "SYSCALL_DEFINE1(mov, int, a)\n{\n\treturn 0;\n}\n",
     "SYSCALL_DEFINE1(mov, int, a)\n{\n\treturn 0;\n}\n"},
    {"DeclaringMacros", "f",
     "int f(void)\n{\n\tVMA_ITERATOR(vmi, mm, "
     "0);\n\tDEFINE_WAIT(w);\n\tLIST_HEAD(l);\n\tBUG_ON(1);\n}\n",
     "int f(void)\n{\n\tVMA_ITERATOR(vmi, mm, "
     "0);\n\tDEFINE_WAIT(w);\n\tLIST_HEAD(l);\n@\tBUG_ON(1);\n}\n"},
    {"Initializers", "f",
     "int f(void)\n{\n\tstruct s a = { .b = { 1; }, };\n\tint c[] = { 1, 2 }, *d;\n\ta_t *e = "
     "x;\n\t*d = 1;\n}\n",
     "int f(void)\n{\n\tstruct s a = { .b = { 1; }, };\n\tint c[] = { 1, 2 }, *d;\n\ta_t *e = "
     "x;\n@\t*d = 1;\n}\n"},
    {"Conditions", "f",
     "int f(void)\n{\n\tint a;\n#ifdef CONFIG_A\n\tif (a)\n\t\tg();\n#endif\n\th();\n}\n",
     "int f(void)\n{\n\tint a;\n@#ifdef CONFIG_A\n\tif (a)\n\t\tg();\n#endif\n\th();\n}\n"},
    {"TwoHeads", "f",
     "#ifdef A\nint f(int a)\n{\n#else\nint f(int a, int b)\n{\n#endif\n\tint c;\n\tg();\n}\nint "
     "h(void)\n{\n\tf();\n}\n",
     "#ifdef A\nint f(int a)\n{\n#else\nint f(int a, int b)\n{\n#endif\n\tint c;\n@\tg();\n}\nint "
     "h(void)\n{\n\tf();\n}\n"},
    {"OneLine", "f", "static int f(void) { return 1; }\n", "static int f(void) { @return 1; }\n"},
    {"Empty", "f", "void f(void)\n{\n}\n", "void f(void)\n{\n@}\n"},
    {"CommentsAndTexts", "f",
     "/* int f(void) { } */\nchar *s = \"f() {\";\nint f(void)\n{\n\t/* first; "
     "*/\n\tg(\"}\");\n}\n",
     "/* int f(void) { } */\nchar *s = \"f() {\";\nint f(void)\n{\n\t/* first; "
     "*/\n@\tg(\"}\");\n}\n"},
    {"Unclosed", "f", "int f(int a", "int f(int a"},
    {"UnclosedBody", "f", "int f(int a)\n{\n\tint b = (1;\n", "int f(int a)\n{\n@\tint b = (1;\n"},
    {"UnclosedComment", "f", "int f(int a) /*\n{\n}\n", "int f(int a) /*\n{\n}\n"},
    {"Nothing", "f", "", ""},
    {"MacroOfThatName", "f", "#define f(a) \\\n\tdo { g(a); } while (0)\n",
     "#define f(a) \\\n\tdo { g(a); } while (0)\n"},
};
INSTANTIATE_TEST_SUITE_P(Emit, SourceTexts, testing::ValuesIn(sources),
                         [](const auto& one) { return std::string(one.param.name); });

TEST(SourceText, FindsCallsFromOneFunction) {
    const std::string text =
        "int f(void)\n{\n\tint a = g(1);\n\tif (a)\n\t\tg(2);\n\telse\n\t\tg(3);\n\tb(); g(4);\n"
        "\tfor (;;)\n\t\tg(5);\nout:\n\tg(6);\n\tmy_g(7);\n}\nint h(void)\n{\n\tg(8);\n}\n";
    const std::string expected =
        "int f(void)\n{\n\tint a = g(1);\n@\tif (a)\n\t\tg(2);\n\telse\n\t\tg(3);\n\tb(); @g(4);\n"
        "@\tfor (;;)\n\t\tg(5);\nout:\n\tg(6);\n\tmy_g(7);\n}\nint h(void)\n{\n\tg(8);\n}\n";
    EXPECT_EQ(marked(text, SourceText(text).calls("g", "f")), expected);
    EXPECT_THAT(SourceText(text).calls("g", "nobody"), IsEmpty());
}

TEST(SourceText, KnowsWhereAnIncludeGoes) {
    const std::string text =
        "// SPDX\n/*\n#include <linux/a.h>\n */\n#ifdef A\n#include <linux/b.h>\n#endif\n"
        "#include <linux/c.h>\n";
    EXPECT_EQ(SourceText(text).include_place("linux/delay.h"), text.find("#include <linux/c.h>"));
    EXPECT_EQ(SourceText(text).include_place("linux/c.h"), std::string::npos);
    EXPECT_EQ(SourceText("// SPDX\nint a;\n").include_place("linux/delay.h"), 8U);
    EXPECT_EQ(SourceText("int a;\n").include_place("linux/delay.h"), 0U);
}

// --- patches

class EmitFolder : public testing::Test {
  protected:
    void SetUp() override {
        std::string name = (fs::temp_directory_path() / "faultline-emit-XXXXXX").string();
        ASSERT_NE(::mkdtemp(name.data()), nullptr);
        folder_ = name;
    }
    void TearDown() override { fs::remove_all(folder_); }
    void write(const fs::path& path, const std::string& text) const {
        fs::create_directories((folder_ / path).parent_path());
        std::ofstream(folder_ / path) << text;
    }
    // Its output is beside, for a failure.
    [[nodiscard]] bool run(const std::string& command) const {
        return std::system(
                   ("cd '" + folder_.string() + "' && (" + command + ") > out 2>&1").c_str()) ==
               0; // NOLINT
    }
    [[nodiscard]] std::string out() const {
        std::ifstream file(folder_ / "out");
        return {std::istreambuf_iterator<char>(file), {}};
    }
    fs::path folder_;
};

constexpr const char* made_up =
    "// SPDX-License-Identifier: GPL-2.0\n#include <linux/mm.h>\n\nint a;\nint b;\nint c;\n\n"
    "int fault(int a)\n{\n\tint b;\n\n\treturn a;\n}\n\n"
    "int one(void) { return 1; }\n\nint last(void)\n{\n\treturn 2;\n}";

TEST_F(EmitFolder, ThePatchApplies) {
    if (!run("git --version"))
        GTEST_SKIP() << "no git";
    write("mm/a.c", made_up);
    const Result<std::string> patch = window_patch({{"fault", "f", "SLOWME1", 1},
                                                    {"one", "g", "SLOWME2", 1},
                                                    {"last", "g", "SLOWME2", 1},
                                                    {"fault", "f", "SLOWME1", 2}},
                                                   folder_.string());
    ASSERT_TRUE(patch.ok()) << patch.error().to_string();
    write("x.patch", *patch);
    EXPECT_TRUE(
        run("git init -q . && git apply --check x.patch && git apply x.patch && cat mm/a.c"))
        << out() << *patch;
    EXPECT_THAT(out(), HasSubstr("#include <linux/delay.h>\n#include <linux/mm.h>\n"));
    EXPECT_THAT(out(), HasSubstr("\tint b;\n\n\tif (!strcmp(current->comm, "
                                 "\"SLOWME1\"))\n\t\tmdelay(1000);\n\treturn a;"));
    EXPECT_THAT(out(), HasSubstr("\t\tmdelay(1000);\n\treturn 1; }\n"));
    EXPECT_THAT(out(), HasSubstr("\t\tmdelay(1000);\n\treturn 2;\n}"));
}

TEST_F(EmitFolder, AHeaderIsTakenOnlyWithoutAFileOfC) {
    write("mm/a.h",
          "#ifndef A\n#define A\nstatic inline int fault(void)\n{\n\treturn 0;\n}\n#endif\n");
    write("mm/b.c", "int fault(void)\n{\n\treturn 1;\n}\n");
    const Result<std::string> patch = window_patch({{"fault", "f", "SLOWME", 1}}, folder_.string());
    ASSERT_TRUE(patch.ok());
    EXPECT_THAT(*patch, HasSubstr("+++ b/mm/b.c"));
    EXPECT_THAT(*patch, Not(HasSubstr("mm/a.h")));
}

TEST_F(EmitFolder, SaysWhichFunctionIsNotThere) {
    write("mm/a.c", "int fault(int a);\n");
    const Result<std::string> none = window_patch({{"fault", "f", "SLOWME", 1}}, folder_.string());
    ASSERT_FALSE(none.ok());
    EXPECT_THAT(none.error().to_string(), HasSubstr("no definition of fault()"));
    EXPECT_FALSE(window_patch({{"fault", "f", "SLOWME", 1}}, "/nowhere").ok());
}

TEST_F(EmitFolder, ASiteOfTheTableLeadsToTheCallOfItsCaller) {
    write("Makefile", "# SPDX\nVERSION = 6\nPATCHLEVEL = 12\n");
    write("mm/khugepaged.c",
          "void collapse_file(void)\n{\n\tint a;\n\n\ta = 1;\n\ttry_to_unmap_flush();\n}\n");
    write("mm/rmap.c", "void try_to_unmap_flush(void)\n{\n\tg();\n}\n");
    const Result<std::string> patch =
        window_patch({{"collapse_file/unmapped", "c", "SLOWME", 1}}, folder_.string());
    ASSERT_TRUE(patch.ok()) << patch.error().to_string();
    EXPECT_THAT(*patch, HasSubstr(" \ta = 1;\n+\tif (!strcmp(current->comm, "
                                  "\"SLOWME\"))\n+\t\tmdelay(1000);\n \ttry_to"));
    EXPECT_THAT(*patch, Not(HasSubstr("rmap.c")));
}

TEST(SiteCandidates, AreThoseOfTheRelease) {
    const auto functions = [](std::string_view release) {
        std::string all;
        for (const SiteCandidate& one : candidates_of_site("collapse_file/unmapped", release))
            all += one.function + "<" + one.caller + " ";
        return all;
    };
    EXPECT_EQ(functions("6.12"), "try_to_unmap_flush<collapse_file shmem_charge<collapse_file ");
    EXPECT_THAT(functions("6.1"), HasSubstr("copy_highpage"));
    EXPECT_EQ(candidates_of_site("f.isra.0", "").front().function, "f");
}

// --- programs

constexpr const char* file_text = R"flt(faultline = 1
name = "made-up"
claim = "c"
source = "s"
races = "r"
bad = "b"
setup = '''
file = tmpfs_file(8); near = mmap(file); fill(near, holes=ONE)
before = state(file)
page = random_page(near)'''
judge = "state = state_kept(before); seen = pread(file[page])"
outcome = "cut read seen"
schedule = "reader@enter:filemap_read -> cutter@user:begin; cutter@user:done -> reader@enter:filemap_read"
[actors]
cutter = { cpu = 0, steps = "at begin; cut = ftruncate(file, 4); at done" }
reader = { cpu = 1, steps = "{reads}" }
[let]
reads = "read = pread(file[page])"
[variants.plain]
about = "a"
[variants.renamed]
about = "a"
reads = "read = pread(file[page]) as EIO=end"
[variants.loops]
about = "a"
reads = '''
for i in 0..4
  read = load(near[i + 1])
  if read = data
    store(near[i])
  else
    sleep(10)
  end
end
repeat 2
  madvise(near[2..4], DONTNEED)
end
until cutter
  peek(near)
end'''
[variants.other]
about = "a"
reads = "read = pread(file[page]); cold = process_madvise(near, COLD)"
[forbid]
"state!=kept" = "differs"
"read=data|other" = "why \"so\""
)flt";

Result<CProgram> program_of(const std::string& text, const std::string& variant,
                            const char* schedule = nullptr) {
    static std::vector<std::unique_ptr<ScenarioFile>> files;
    ReadFile read = read_scenario(text, "made-up.flt");
    EXPECT_THAT(read.complaints, IsEmpty()) << to_string("made-up.flt", read.complaints);
    files.push_back(std::make_unique<ScenarioFile>(std::move(read.file)));
    for (const FileVariant& one : files.back()->variants)
        if (one.name.text == variant)
            return c_program({files.back().get(), &one,
                              edges(schedule != nullptr ? schedule : one.schedule.text.c_str())});
    return Error::make(ENOENT, variant);
}

TEST(CProgram, HasTheStepsTheDelaysAndTheCheck) {
    const Result<CProgram> program = program_of(file_text, "plain");
    ASSERT_TRUE(program.ok()) << program.error().to_string();
    const std::string& c = program->text;
    EXPECT_THAT(
        c, HasSubstr(
               "r->cut = error_word(failed(ftruncate(r->file.fd, (off_t)(4 * r->file.page))));"));
    EXPECT_THAT(c, HasSubstr("\twait_in_kernel(3, 250);\n\tr->cut"));
    EXPECT_THAT(
        c,
        HasSubstr("\tslow_begin(\"SLOWME\");\n\tr->read = pread_page(r->file, r->page);\n"
                  "\tslow_end(\"filemap_read\", 1000);\n\thad_reached(SITE_cutter_user_done);\n"));
    EXPECT_THAT(c, HasSubstr("window not widened"));
    EXPECT_THAT(c,
                HasSubstr("if (is(r->read, \"data|other\"))\n\t\tforbidden(\"why \\\"so\\\"\");"));
    EXPECT_THAT(c, Not(HasSubstr("differs"))); // it needs a State
    EXPECT_THAT(program->left_out, ElementsAre("state", "state_kept"));
    EXPECT_THAT(program->windows, ElementsAre(Window{"filemap_read", "reader", "SLOWME", 1}));
}

TEST(CProgram, SaysWhichOperationHasNoC) {
    const Result<CProgram> program = program_of(file_text, "other");
    ASSERT_FALSE(program.ok());
    EXPECT_EQ(program.error().number, EOPNOTSUPP);
    EXPECT_THAT(program.error().to_string(), HasSubstr("process_madvise() has no C text"));
}

TEST(CProgram, IsNoneIfNothingForbiddenCanBeTold) {
    std::string text = file_text;
    text.erase(text.find("\"read=data|other\"")); // the remaining rows need a State
    const Result<CProgram> program = program_of(text, "plain");
    ASSERT_FALSE(program.ok());
    EXPECT_THAT(program.error().to_string(), HasSubstr("no forbidden outcome can be told in C"));
}

TEST(CProgram, WatchesTheKernelsLogIfNothingIsForbidden) {
    std::string text = file_text;
    text.erase(text.find("[forbid]"));
    const Result<CProgram> program = program_of(text, "plain");
    ASSERT_TRUE(program.ok()) << program.error().to_string();
    EXPECT_THAT(program->text, HasSubstr("forbidden(\"the kernel complained\");"));
    EXPECT_THAT(program->text, HasSubstr("\tlog_ = kernel_log();\n"));
}

TEST(CProgram, RefusesASiteThatTheStepsDoNotHave) {
    const Result<CProgram> program =
        program_of(file_text, "plain", "reader@enter:filemap_read -> cutter@user:nowhere");
    ASSERT_FALSE(program.ok());
    EXPECT_THAT(program.error().to_string(), HasSubstr("cutter@user:nowhere"));
}

class CompiledPrograms : public EmitFolder {
  protected:
    void SetUp() override {
        EmitFolder::SetUp();
        if (!run("gcc --version"))
            GTEST_SKIP() << "no gcc";
    }
    void compile(const CProgram& program, const std::string& name) {
        write(name + ".c", program.text);
        EXPECT_TRUE(run("gcc -Wall -Wextra -Werror -O2 -pthread " + name + ".c -o " + name))
            << name << "\n"
            << out();
    }
};

TEST_F(CompiledPrograms, OfMadeUpSteps) {
    for (const char* variant : {"plain", "renamed", "loops"}) {
        const Result<CProgram> program = program_of(file_text, variant);
        ASSERT_TRUE(program.ok()) << program.error().to_string();
        compile(*program, variant);
    }
    const Result<CProgram> watching =
        program_of(std::string(file_text, std::strstr(file_text, "[forbid]")), "plain");
    ASSERT_TRUE(watching.ok()) << watching.error().to_string();
    EXPECT_THAT(watching->text, HasSubstr("{ \"panic\", \"Kernel panic - not syncing\" },\n"));
    compile(*watching, "watching");
}

// Both judge by kernel/complaints.txt: the driver by std::regex, a program by glibc.
TEST_F(CompiledPrograms, TellAComplaintAsTheDriverDoes) {
    write("kinds.c", "#include <errno.h>\n#include <regex.h>\n#include <stdbool.h>\n"
                     "#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n" +
                         pieces_for(c_runtime(), "complaint_kind EXIT_BROKEN") + R"(
int main(void)
{
	char line[8192];
	while (fgets(line, sizeof(line), stdin)) {
		const char *kind;
		line[strcspn(line, "\n")] = 0;
		kind = complaint_kind(line);
		puts(kind ? kind : "");
	}
	return 0;
})");
    ASSERT_TRUE(run("gcc -Wall -Wextra -Werror -O2 kinds.c -o kinds")) << out();
    std::string lines = "PCI: use \"pci=nocrs\" and report a bug\n"
                        "faultline: known BUG: Bad page state // // fixed\n"
                        "BUG kmalloc-64 (Tainted: G           OE     ): Poison overwritten\n";
    for (const auto& entry : std::filesystem::directory_iterator(FAULTLINE_LOGS))
        if (entry.path().extension() == ".log") {
            const Result<std::string> text = read_text(entry.path());
            ASSERT_TRUE(text.ok()) << text.error().to_string();
            lines += *text + (text->ends_with('\n') ? "" : "\n");
        }
    write("lines", lines);
    ASSERT_TRUE(run("./kinds < lines"));
    std::istringstream kinds(out());
    std::istringstream each(lines);
    std::string line;
    std::size_t found = 0;
    while (std::getline(each, line)) {
        std::string kind;
        ASSERT_TRUE(std::getline(kinds, kind));
        EXPECT_EQ(kind, complaint_kind(line)) << line;
        found += kind.empty() ? 0 : 1;
    }
    EXPECT_GT(found, 0U);
}

// No kernel here delays a SLOWME: the program must not pass.
TEST_F(CompiledPrograms, SaysThatTheWindowIsNotWidened) {
    std::string text = file_text;
    for (std::size_t at = text.find("tmpfs_file"); at != std::string::npos;
         at = text.find("tmpfs_file"))
        text.replace(at, 10, "memfd"); // needs no rights
    const Result<CProgram> program = program_of(text, "plain");
    ASSERT_TRUE(program.ok());
    compile(*program, "plain");
    EXPECT_FALSE(run("./plain 1"));
    EXPECT_THAT(out(), HasSubstr("window not widened"));
    EXPECT_THAT(out(), HasSubstr("1 runs: 0 forbidden, 0 allowed, 1 window not widened, 0 broken"));
    EXPECT_TRUE(run("./plain 1; test $? = 2"));
}

// Those of docs/findings.
TEST_F(CompiledPrograms, OfTheFindings) {
    const std::string shipped = FAULTLINE_SHIPPED;
    for (const auto& [path, variant] : {std::pair{"/hugetlb/hugetlb-insert.flt", "beyond-end"},
                                        std::pair{"/hugetlb/hugetlb-private.flt", "private"},
                                        std::pair{"/hugetlb/hugetlb-mremap-shareable.flt", "whole"},
                                        std::pair{"/../docs/tutorial.flt", "missing"},
                                        std::pair{"/../docs/tutorial.flt", "missing-first"}}) {
        const LoadedFile loaded = load_scenario_file(shipped + path);
        ASSERT_NE(loaded.file, nullptr) << to_string(path, loaded.complaints);
        for (const FileVariant& one : loaded.file->variants) {
            if (one.name.text != variant)
                continue;
            const Variant& known =
                *std::find_if(loaded.scenario->variants.begin(), loaded.scenario->variants.end(),
                              [&](const Variant& v) { return v.name == variant; });
            const Result<CProgram> program =
                c_program({loaded.file, &one, edges(std::string(known.schedule).c_str())});
            ASSERT_TRUE(program.ok()) << program.error().to_string();
            compile(*program, loaded.file->name.text + "-" + variant);
        }
    }
}

// --- columns

VariantReport report_of() {
    VariantReport report;
    report.scenario = "made-up";
    report.variant = "plain";
    report.actors = {"reader", "cutter"};
    report.edges = edges("reader@enter:filemap_read -> cutter@user:begin; cutter@user:done -> "
                         "reader@enter:filemap_read");
    report.sites = {"reader@enter:filemap_read", "cutter@user:begin", "cutter@user:done"};
    Tally& bad = report.histogram["cut=ok read=data seen=EIO"];
    bad.count = 1;
    bad.allowed = false;
    bad.example.why = "read=data: why so";
    fl_site_result* sites = bad.example.result.sites;
    sites[0] = site_result(FL_END_WAITED, FL_CONTEXT_SLEEP, 1, 1000, 9000);
    sites[1] = site_result(FL_END_WAITED, FL_CONTEXT_SLEEP, 0, 500, 1100);
    sites[2] = site_result(FL_END_PASSED, FL_CONTEXT_AUTO, 0, 8000, 8000);
    return report;
}

TEST(Columns, AreInTheOrderOfTime) {
    const ReadFile read = read_scenario(file_text, "made-up.flt");
    Complaints complaints;
    const Plan plan = make_plan(read.file, read.file.variants.front(), complaints);
    ASSERT_THAT(complaints, IsEmpty());
    const std::string text = columns(report_of(), &plan);
    EXPECT_EQ(text, "CPU 0 (cutter)                       CPU 1 (reader)\n"
                    "\n"
                    "                                     pread(file[page])\n"
                    "                                       filemap_read() waits\n"
                    "ftruncate(file, 4)\n"
                    "  returns\n"
                    "                                         goes on\n"
                    "\n"
                    "cut=ok read=data seen=EIO\n"
                    "read=data: why so\n");
}

TEST(Columns, AreNoWiderThanACommitMessage) {
    VariantReport report = report_of();
    report.actors.emplace_back("a-third-one");
    report.sites.emplace_back("a-third-one@enter:a_function_of_a_very_long_name_indeed");
    Tally& bad = report.histogram.begin()->second;
    bad.example.result.sites[3] = site_result(FL_END_TIMEOUT, FL_CONTEXT_SLEEP, 1, 600, 700);
    bad.example.why = std::string(100, 'x') + " " + std::string(60, 'y');
    const std::string text = columns(report, nullptr);
    for (std::size_t from = 0; from < text.size();) {
        const std::size_t end = text.find('\n', from);
        EXPECT_LE(end - from, columns_wide) << text;
        EXPECT_NE(text[end == from ? end : end - 1], ' ') << text;
        from = end + 1;
    }
    EXPECT_THAT(text, HasSubstr("goes on, its wait"));
    EXPECT_EQ(columns(VariantReport{}, nullptr), "");
}

// --- repro.sh

TEST_F(EmitFolder, TheScriptHasAFileThatReadsBack) {
    const ReadFile read = read_scenario(file_text, "made-up.flt");
    write("repro.sh", repro_script({&read.file, &read.file.variants[1],
                                    edges("reader@enter:filemap_read -> cutter@user:begin")}));
    write("scripts/faultline-vm",
          "#!/bin/sh\necho \"$@\"; for last; do :; done; cat \"${last%/*}\"\n");
    ASSERT_TRUE(run("chmod +x scripts/faultline-vm && FAULTLINE=. KERNEL=7.2 env -u RUNS -u ARCH "
                    "-u KSRC sh repro.sh"))
        << out();
    EXPECT_THAT(out(), HasSubstr("run --kernel 7.2 --arch x86_64 --runs 50 --run "));
    const std::string made = out().substr(out().find('\n') + 1);
    const ReadFile again = read_scenario(made, "again");
    EXPECT_THAT(again.complaints, IsEmpty()) << made;
    ASSERT_THAT(again.file.variants, SizeIs(4));
    EXPECT_EQ(again.file.variants[1].schedule.text,
              "reader@enter:filemap_read -> cutter@user:begin");
    EXPECT_THAT(again.file.variants[0].schedule.text, HasSubstr("cutter@user:done"));
    EXPECT_FALSE(run("sh repro.sh")); // which checkout?
    EXPECT_THAT(out(), HasSubstr("FAULTLINE"));
}

} // namespace
} // namespace faultline
