// SPDX-License-Identifier: GPL-2.0
// The table of complaints, on the recorded logs of the scripts' tests: both must find the same.
#include "kernel/kernel_log.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>
#include <regex>

namespace faultline {
namespace {

std::vector<std::string> lines_of(const std::filesystem::path& file) {
    std::ifstream stream(file);
    EXPECT_TRUE(stream.is_open()) << file;
    std::vector<std::string> lines;
    for (std::string line; std::getline(stream, line);)
        lines.push_back(line);
    return lines;
}

// Without printk's time stamp, which records of /dev/kmsg do not have.
std::string text_of(const std::string& line) {
    static const std::regex stamp(R"(^(<\d+>)?\[\s*\d+\.\d+\](\[\s*[TC]\d+\])?\s?)");
    return std::regex_replace(line, stamp, "", std::regex_constants::format_first_only);
}

TEST(ComplaintTableTest, FindsWhatTheScriptsFindInTheirLogs) {
    std::vector<std::filesystem::path> logs;
    for (const auto& entry : std::filesystem::directory_iterator(FAULTLINE_LOGS))
        if (entry.path().extension() == ".log")
            logs.push_back(entry.path());
    std::sort(logs.begin(), logs.end());
    std::vector<std::string> found;
    for (const auto& log : logs) {
        const std::vector<std::string> lines = lines_of(log);
        for (std::size_t at = 0; at < lines.size(); ++at)
            if (const std::string_view kind = complaint_kind(text_of(lines[at])); !kind.empty())
                found.push_back(log.filename().string() + " " + std::to_string(at + 1) + " " +
                                std::string(kind));
    }
    std::vector<std::string> wanted =
        lines_of(std::filesystem::path(FAULTLINE_LOGS) / "complaints");
    std::erase_if(wanted, [](const std::string& line) { return line.starts_with('#'); });
    EXPECT_EQ(found, wanted);
    EXPECT_FALSE(found.empty());
}

TEST(ComplaintTableTest, KnowsWhatPoisonFindsAndWhatIsHarmless) {
    EXPECT_EQ(complaint_kind("BUG kmalloc-64 (Tainted: G           OE     ): Poison overwritten"),
              "poison");
    EXPECT_EQ(complaint_kind("pagealloc: memory corruption"), "poison");
    EXPECT_EQ(complaint_kind("faultline: known BUG: Bad page state // // fixed"), "");
    EXPECT_EQ(complaint_kind("PCI: use \"pci=nocrs\" and report a bug"), "");
}

TEST(KernelLogTest, KnowsAComplaint) {
    EXPECT_EQ(complaint_of("0,812,18353975,-;BUG: Bad page state in process x  pfn:0081b\n A=x\n"),
              "BUG: Bad page state in process x  pfn:0081b");
    EXPECT_EQ(complaint_of("1,5,6,-;BUG: non-zero pgtables_bytes on freeing mm: 4096\n"),
              "BUG: non-zero pgtables_bytes on freeing mm: 4096");
    EXPECT_TRUE(complaint_of("4,5,6,-;WARNING: CPU: 0 PID: 115 at mm/gup.c:224 f+0x1/0x2"));
    EXPECT_TRUE(complaint_of("4,5,6,-;list_add corruption. prev->next should be"));
    EXPECT_FALSE(complaint_of("6,5,6,-;faultline: loaded, abi 1: test VMs only\n"));
    EXPECT_FALSE(complaint_of("BUG: without a header"));
    EXPECT_FALSE(complaint_of(""));
}

} // namespace
} // namespace faultline
