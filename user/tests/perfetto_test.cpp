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

// The symbols of x86-64: f, which calls g, and the module.
RunningSymbols symbols() {
    return *RunningSymbols::parse(
        "ffffffff81000000 T f\nffffffff81001000 t g\n"
        "ffffffff81002000 t h\nffffffffc0001000 t fl_hold\t[faultline]\n");
}

VariantReport traced_report() {
    constexpr std::uint64_t f = 0xffffffff81000004;
    constexpr std::uint64_t g = 0xffffffff81001004;
    constexpr std::uint64_t h = 0xffffffff81002004;
    constexpr std::uint64_t module = 0xffffffffc0001010;
    VariantReport report = report_of();
    ActorCalls& calls = report.histogram["o=1"].example.calls;
    calls = {{{.time_ns = 950, .function = f, .caller = 0},
              {.time_ns = 5000, .function = h, .caller = module},
              {.time_ns = 6000, .function = h, .caller = f, .interrupt = true}},
             {{.time_ns = 1050, .function = f, .caller = 0}}};
    for (unsigned i = 0; i <= most_calls_of_function; ++i)
        calls[1].push_back({.time_ns = 1060 + i, .function = g, .caller = f});
    return report;
}

std::size_t times(const std::string& text, const std::string& part) {
    std::size_t count = 0;
    for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1))
        ++count;
    return count;
}

TEST(Perfetto, HasTheFunctionsThatActorsCalled) {
    const RunningSymbols names = symbols();
    const std::string trace = perfetto_variant(traced_report(), 1, &names);
    EXPECT_EQ(times(trace, "f()"), 3U) << "a's call, b's, and the caller of g()";
    EXPECT_EQ(times(trace, "h()"), 0U) << "an interrupt's, and the module's";
    EXPECT_EQ(times(trace, "g()"), 1U) << "the first of many";
    EXPECT_THAT(trace, HasSubstr(std::to_string(most_calls_of_function + 1)));
    EXPECT_EQ(perfetto_variant(traced_report(), 1), perfetto_variant(report_of(), 1))
        << "without symbols";
    VariantReport few = traced_report();
    few.histogram["o=1"].example.calls[1].pop_back();
    EXPECT_EQ(times(perfetto_variant(few, 1, &names), "g()"), most_calls_of_function);
}

// protoc's reading of it: a slice of 8000 ns on a's track, and the flow to b's instant.
TEST(Perfetto, IsReadByProtoc) {
    if (std::system("protoc --version > /dev/null 2>&1") != 0) // NOLINT
        GTEST_SKIP() << "no protoc (protobuf-compiler)";
    std::string name = (std::filesystem::temp_directory_path() / "faultline-trace-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    const RunningSymbols names = symbols();
    std::ofstream(name + "/trace", std::ios::binary)
        << perfetto_variant(traced_report(), 1, &names);
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
    EXPECT_THAT(
        text,
        HasSubstr(
            "1 {\n  8: 950\n  10: 1\n  11 {\n    9: 3\n    11: 1002\n    23: \"f()\"\n  }\n}\n"));
    EXPECT_THAT(text, HasSubstr("    47: 0x00000000000003e9\n"));
    EXPECT_THAT(text, HasSubstr("    48: 0x00000000000003e9\n"));
}

} // namespace
} // namespace faultline
