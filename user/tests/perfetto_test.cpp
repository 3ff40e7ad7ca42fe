// SPDX-License-Identifier: GPL-2.0
// The bytes of a trace: by hand where they are few, and by protoc where it is installed.
#include "site_result.hpp"

#include "report/perfetto.hpp"

#include "engine/schedule.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>

namespace faultline {
namespace {

using testing::HasSubstr;

TEST(Message, EncodesAsProtobufDoes) {
    EXPECT_EQ(Message().number(1, 0).bytes(), std::string("\x08\x00", 2));
    EXPECT_EQ(Message().number(1, 150).bytes(),
              "\x08\x96\x01"); // the example of protobuf's own page
    EXPECT_EQ(Message().number(60, 1).bytes(), "\xe0\x03\x01");
    EXPECT_EQ(Message().number(1, ~std::uint64_t{0}).bytes(),
              "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01");
    EXPECT_EQ(Message().text(2, "testing").bytes(), "\x12\x07testing");
    EXPECT_EQ(Message().fixed64(47, 0x0102).bytes(),
              std::string("\xf9\x02\x02\x01\0\0\0\0\0\0", 10));
    EXPECT_EQ(Message().message(3, Message().number(1, 150)).bytes(), "\x1a\x03\x08\x96\x01");
    EXPECT_EQ(Message().text(1, std::string(200, 'x')).bytes().substr(0, 3), "\x0a\xc8\x01");
}

VariantReport report_of() {
    VariantReport report;
    report.scenario = "s";
    report.variant = "v";
    report.actors = {"a", "b"};
    report.edges = *parse_edges("a@enter:f -> b@user:x; b@user:y -> a@enter:f");
    report.sites = {"a@enter:f", "b@user:x", "b@user:y"};
    fl_site_result* sites = report.histogram["o=1"].example.result.sites;
    sites[0] = site_result(FL_END_WAITED, FL_CONTEXT_SLEEP, 1, 1000, 9000);
    sites[1] = site_result(FL_END_PASSED, FL_CONTEXT_AUTO, 0, 1100, 1100);
    sites[2] = site_result(FL_END_NOT_REACHED, FL_CONTEXT_AUTO, 0, 0, 0, 0);
    return report;
}

TEST(Perfetto, HasNothingWithoutARun) { EXPECT_EQ(perfetto_variant(VariantReport{}, 1), ""); }

TEST(Perfetto, HasATrackForEachActorAndCpu) {
    const std::string trace = perfetto_variant(report_of(), 1);
    for (const char* name : {"s/v", "CPU 0", "CPU 1", "enter:f", "user:x", "released"})
        EXPECT_THAT(trace, HasSubstr(name));
    EXPECT_EQ(trace.find("user:y"), std::string::npos); // never reached
}

// protoc's reading of it: a slice of 8000 ns on a's track, and the flow to b's instant.
TEST(Perfetto, IsReadByProtoc) {
    if (std::system("protoc --version > /dev/null 2>&1") != 0) // NOLINT
        GTEST_SKIP() << "no protoc (protobuf-compiler)";
    std::string name = (std::filesystem::temp_directory_path() / "faultline-trace-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    std::ofstream(name + "/trace", std::ios::binary) << perfetto_variant(report_of(), 1);
    const int status = std::system(
        ("protoc --decode_raw < " + name + "/trace > " + name + "/text").c_str()); // NOLINT
    std::ifstream file(name + "/text");
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    std::filesystem::remove_all(name);
    ASSERT_EQ(status, 0);
    EXPECT_THAT(
        text,
        HasSubstr(
            "1 {\n  8: 1000\n  10: 1\n  11 {\n    9: 1\n    11: 1002\n    23: \"enter:f\"\n"));
    EXPECT_THAT(text,
                HasSubstr("1 {\n  8: 9000\n  10: 1\n  11 {\n    9: 2\n    11: 1002\n  }\n}\n"));
    EXPECT_THAT(text, HasSubstr("    47: 0x00000000000003e9\n"));
    EXPECT_THAT(text, HasSubstr("    48: 0x00000000000003e9\n"));
}

} // namespace
} // namespace faultline
