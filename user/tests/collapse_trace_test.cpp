// SPDX-License-Identifier: GPL-2.0
// The format files of tracepoints, as recorded on 6.12.95 and shortened, and broken ones.
#include "kernel/collapse_trace.hpp"

#include <gtest/gtest.h>

namespace faultline {
namespace {

constexpr std::string_view scan_file = R"(name: mm_khugepaged_scan_file
ID: 726
format:
	field:unsigned short common_type;	offset:0;	size:2;	signed:0;
	field:int common_pid;	offset:4;	size:4;	signed:1;

	field:struct mm_struct * mm;	offset:8;	size:8;	signed:0;
	field:__data_loc char[] filename;	offset:24;	size:4;	signed:0;
	field:int present;	offset:28;	size:4;	signed:1;
	field:int result;	offset:36;	size:4;	signed:1;

print fmt: "mm=%p, filename=%s, result=%s", REC->mm, __get_str(filename), __print_symbolic(REC->result, {0, "failed"}, {1, "succeeded"}, {5, "exceed_none_pte"}, {31, "page_filled"})
)";

constexpr std::string_view collapse_huge_page = R"(name: mm_collapse_huge_page
ID: 729
format:
	field:struct mm_struct * mm;	offset:8;	size:8;	signed:0;
	field:int isolated;	offset:16;	size:4;	signed:1;
	field:int status;	offset:20;	size:4;	signed:1;

print fmt: "mm=%p, isolated=%d, status=%s", REC->mm, REC->isolated, __print_symbolic(REC->status, { 0, "failed" }, { 21, "vma_null" })
)";

TEST(CollapseTrace, ReadsFieldAndWordsOfAFileScan) {
    const Result<ResultFormat> format = parse_result_format(scan_file);
    ASSERT_TRUE(format.ok()) << format.error().to_string();
    EXPECT_EQ(format->id, 726U);
    EXPECT_EQ(format->offset, 36U);
    EXPECT_EQ(format->words.size(), 4U);
    EXPECT_EQ(format->words.at(5), "exceed_none_pte");
    EXPECT_EQ(format->words.at(31), "page_filled");
}

TEST(CollapseTrace, AnonymousMemoryCallsItStatus) {
    const Result<ResultFormat> format = parse_result_format(collapse_huge_page);
    ASSERT_TRUE(format.ok()) << format.error().to_string();
    EXPECT_EQ(format->offset, 20U);
    EXPECT_EQ(format->words.at(21), "vma_null");
}

TEST(CollapseTrace, RefusesWhatIsCutOrOfAnotherEvent) {
    for (const std::string_view text :
         {std::string_view(), scan_file.substr(0, scan_file.find("field:int result")),
          scan_file.substr(0, scan_file.find("{0,")), scan_file.substr(scan_file.find("format:")),
          std::string_view(
              "name: sched_switch\nID: 3\nformat:\n\tfield:int prev_prio;\toffset:8;")}) {
        const Result<ResultFormat> format = parse_result_format(text);
        EXPECT_FALSE(format.ok()) << text;
    }
}

// Cut in the middle of a word: the words before it are there, and it is not taken for another.
TEST(CollapseTrace, KeepsWholeWordsAlone) {
    const Result<ResultFormat> format =
        parse_result_format(scan_file.substr(0, scan_file.find("one_pte") + 3));
    ASSERT_TRUE(format.ok());
    EXPECT_EQ(format->words.size(), 2U);
}

} // namespace
} // namespace faultline
