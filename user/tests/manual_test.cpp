// SPDX-License-Identifier: GPL-2.0
// The manual: the module's headers are read as they are, and broken ones are refused with the line.
#include "cli/manual.hpp"
#include "language/file.hpp"
#include "manual/module_files.hpp"
#include "manual/page.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace faultline {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

constexpr std::string_view good = R"(/* SPDX-License-Identifier: GPL-2.0 */
/*
 * a_lines.h - about the header.
 */
#ifndef A
#define A

/* In both files. @refs: a count. */
#define FL_PAGE(refs) "refs " refs

/* --- one ---- */

/*
 * Written: a process and an
 * address.
 */
#define FL_ASK(pid, address) pid " " address

/* Either. */
#define FL_NONE "none"
#define FL_LONG(a_b, c)                 \
	"first " a_b " and"             \
	" second " c

#endif
)";

std::string why(std::string_view text) {
    const Result<std::vector<LineSection>> read = read_lines_header(text);
    return read ? "" : read.error().to_string();
}

TEST(LinesHeader, HasTheFormOfEachLineAndTheCommentBeforeIt) {
    const Result<std::vector<LineSection>> read = read_lines_header(good);
    ASSERT_TRUE(read) << read.error().to_string();
    ASSERT_EQ(read->size(), 2U);
    EXPECT_EQ((*read)[0].name, "");
    EXPECT_EQ((*read)[0].lines.at(0).about, "In both files. REFS: a count.");
    EXPECT_THAT((*read)[0].lines.at(0).forms, ElementsAre("refs REFS"));
    EXPECT_EQ((*read)[1].name, "one");
    EXPECT_EQ((*read)[1].lines.at(0).about, "Written: a process and an address.");
    EXPECT_THAT((*read)[1].lines.at(0).forms, ElementsAre("PID ADDRESS"));
    EXPECT_THAT((*read)[1].lines.at(1).forms, ElementsAre("none", "first A_B and second C"));
}

TEST(LinesHeader, ABrokenOneIsRefusedWithTheLine) {
    EXPECT_THAT(why(""), HasSubstr("it defines no line"));
    EXPECT_THAT(why("#define GUARD\n"), HasSubstr("it defines no line"));
    EXPECT_THAT(why("\n/* never ends\n#define A \"a\"\n"),
                HasSubstr("line 2: a comment has no end"));
    EXPECT_THAT(why("#define A \"a\n"), HasSubstr("line 1: a string has no end"));
    EXPECT_THAT(why("\n#define A(b \"a\"\n"), HasSubstr("line 2: the arguments"));
    EXPECT_THAT(why("#define A(b) \"a \" c\n"),
                HasSubstr("\"c\" is neither a string nor an argument"));
    EXPECT_THAT(why("#define A 8\n"), HasSubstr("\"8\" is neither"));
    EXPECT_THAT(why("#define A \"a\" \\"), Not(HasSubstr("line 3"))); // the last line goes on
}

TEST(LinesHeader, CutAnywhereItIsReadOrRefused) {
    for (std::size_t length = 0; length < good.size(); ++length)
        (void)read_lines_header(good.substr(0, length));
}

TEST(ModuleFiles, EachHeaderThatARowNamesIsThereAndIsRead) {
    std::size_t with_header = 0;
    for (const ModuleFileRow& row : module_files()) {
        EXPECT_FALSE(row.about.empty()) << row.path;
        if (row.header.empty())
            continue;
        ++with_header;
        const std::string_view text = header_text(row.header);
        ASSERT_FALSE(text.empty()) << row.header;
        if (row.header.ends_with("_lines.h")) {
            EXPECT_EQ(why(text), "") << row.header;
        }
    }
    EXPECT_GT(with_header, 0U);
    EXPECT_EQ(header_text("nobody.h"), "");
}

// A file of a folder has the part of the folder's header that is called as it is.
TEST(ModuleFiles, EachPartOfAHeaderBelongsToAFile) {
    for (const ModuleFileRow& row : module_files()) {
        if (!row.header.ends_with("_lines.h"))
            continue;
        const Result<std::vector<LineSection>> read = read_lines_header(header_text(row.header));
        ASSERT_TRUE(read);
        for (const LineSection& section : *read) {
            const auto files = module_files();
            EXPECT_TRUE(section.name.empty() ||
                        std::any_of(files.begin(), files.end(),
                                    [&](const ModuleFileRow& file) {
                                        return file.header == row.header &&
                                               file.path.ends_with("/" + section.name);
                                    }))
                << row.header << ": " << section.name;
        }
    }
}

TEST(Markdown, BecomesBlocks) {
    const std::vector<Block> blocks =
        blocks_of_markdown("<!-- a comment -->\n# Title\n\nOne\ntwo "
                           "[three](four.md).\n\n    code\n\n    more\n\n"
                           "## Part\n\n| key | what |\n|---|---|\n"
                           "| `a|b` | is `c` |\n\n- first\n  goes on\n- second\n");
    std::vector<std::string> seen;
    for (const Block& block : blocks)
        seen.push_back(
            fmt::format("{}:{}:{}", static_cast<int>(block.kind), block.tag, block.text));
    EXPECT_THAT(seen, ElementsAre("2::One two three.", "5::code\n\nmore\n", "0::Part",
                                  "3:`a|b`:is `c`", "4::first goes on", "4::second"));
}

TEST(Markdown, CutAnywhereItIsRead) {
    const std::string_view text = language_text();
    ASSERT_GT(text.size(), 1000U);
    for (std::size_t length = 0; length < text.size(); length += 7)
        (void)blocks_of_markdown(text.substr(0, length));
    EXPECT_TRUE(blocks_of_markdown("").empty());
    (void)blocks_of_markdown("|\n||\n|---|\n[a](\n#\n##\n- \n    \n");
}

TEST(Roff, NothingOfATextIsTakenForARequest) {
    Page page{"name", 5, "about", {}};
    page.paragraph(
        ".SH is no heading, 'quoted' \\fB and `-x` with a long line that is filled, .TH");
    page.example(".first\n\nlast\n");
    page.entry(".tag", "");
    const std::string text = roff(page, "1", "2026-01-01");
    EXPECT_THAT(text, HasSubstr("\\&.SH is no heading, \\(aqquoted\\(aq \\efB and \\fB\\-x\\fR"));
    EXPECT_THAT(text, HasSubstr("\\&.first\n\\&\nlast\n"));
    EXPECT_THAT(text, Not(HasSubstr("\n.first")));
    EXPECT_THAT(text, HasSubstr(".TH NAME 5 2026-01-01"));
}

// docs/language.md must not be stale: it has each key that the reader knows. The reader lists its
// keys after an unknown one.
TEST(Language, TheManualHasEachKeyThatTheReaderKnows) {
    const std::string nobody = "qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq = 1\n";
    const std::string file =
        "faultline = 1\n" + nobody + "[actors.a]\n" + nobody + "[variants.v]\n" + nobody +
        "chance = { qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq = 1 }\n[bugs.b]\n" + nobody +
        "[controls.c]\n" + nobody +
        "actions = [{ skip = \"f\", qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq = 1 }]\n";
    std::size_t tables = 0;
    const std::string manual(language_text());
    for (const Complaint& one : read_scenario(file, "test.flt").complaints) {
        const std::string before = "(there are: ";
        const std::size_t begin = one.text.find(before);
        if (begin == std::string::npos)
            continue;
        ++tables;
        std::string list = one.text.substr(begin + before.size());
        list.back() = ',';
        for (std::size_t from = 0; from < list.size();) {
            const std::size_t end = list.find(',', from);
            const std::string key = list.substr(from, end - from);
            EXPECT_TRUE(manual.find("`" + key) != std::string::npos ||
                        manual.find("`[" + key) != std::string::npos ||
                        manual.find(key + " = ") != std::string::npos)
                << key << " is not in docs/language.md";
            from = end + 2;
        }
    }
    EXPECT_GE(tables, 6U);
}

// --- completion of a small program ------------------------------------------------

class Completion : public testing::Test {
  protected:
    Completion() {
        CLI::App* run = app_.add_subcommand("run", "it's [run]: again");
        run->add_option("NAME", names_, "a scenario");
        run->add_option("--file", file_, "a file")->type_name("FILE");
        run->add_flag("-v,--verbose", verbose_, "more");
        app_.add_subcommand("version", "of it");
    }
    CLI::App app_{"a program", "faultline"};
    std::vector<std::string> names_;
    std::string file_;
    bool verbose_ = false;
};

// The completions of bash for the last of these words. A function stands for the driver.
std::string offered(const std::string& script, const std::string& words) {
    const std::string command =
        "bash -c 'source /dev/stdin; faultline() { echo alpha; echo beta; }; COMP_WORDS=(" + words +
        "); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _faultline; echo ${COMPREPLY[@]} >&3' 3>&1 "
        "<<'END'\n" +
        script + "END\n";
    FILE* pipe = ::popen(command.c_str(), "r");
    std::string text;
    char part[256];
    while (std::fgets(part, sizeof(part), pipe) != nullptr)
        text += part;
    EXPECT_EQ(::pclose(pipe), 0) << script;
    text.erase(text.find_last_not_of('\n') + 1);
    return text;
}

TEST_F(Completion, BashOffersCommandsOptionsAndNames) {
    const std::string script = completion(app_, "bash");
    EXPECT_EQ(offered(script, "faultline \"\""), "run version");
    EXPECT_EQ(offered(script, "faultline ve"), "version");
    EXPECT_EQ(offered(script, "faultline run --v"), "--verbose");
    EXPECT_EQ(offered(script, "faultline run al"), "alpha");
    EXPECT_EQ(offered(script, "faultline run --file /proc/self/statu"), "/proc/self/status");
    EXPECT_EQ(offered(script, "faultline nobody x"), "");
}

TEST_F(Completion, ZshHasTheTextsInQuotes) {
    const std::string script = completion(app_, "zsh");
    EXPECT_THAT(script, HasSubstr("'run:it'\\''s \\[run\\]\\: again'"));
    EXPECT_THAT(script, HasSubstr("'*--file[a file]:FILE:_files'"));
    EXPECT_EQ(completion(app_, "fish"), "");
}

} // namespace
} // namespace faultline
