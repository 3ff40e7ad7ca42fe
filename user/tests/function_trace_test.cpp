// SPDX-License-Identifier: GPL-2.0
// The format of ftrace's function event, as x86-64, 6.12.95, has it, and broken ones; and records
// of it, whole and short.
#include "kernel/function_trace.hpp"

#include <cstring>
#include <gmock/gmock.h>

namespace faultline {
namespace {

using testing::HasSubstr;

constexpr std::string_view recorded = R"(name: function
ID: 1
format:
	field:unsigned short common_type;	offset:0;	size:2;	signed:0;
	field:unsigned char common_flags;	offset:2;	size:1;	signed:0;
	field:unsigned char common_preempt_count;	offset:3;	size:1;	signed:0;
	field:int common_pid;	offset:4;	size:4;	signed:1;

	field:unsigned long ip;	offset:8;	size:8;	signed:0;
	field:unsigned long parent_ip;	offset:16;	size:8;	signed:0;

print fmt: " %ps <-- %ps", (void *)REC->ip, (void *)REC->parent_ip
)";

std::string with(std::string_view what, std::string_view by) {
    std::string text(recorded);
    const std::size_t at = text.find(what);
    EXPECT_NE(at, std::string::npos) << what;
    return text.replace(at, what.size(), by);
}

bool is(const TraceField& field, std::size_t offset, std::size_t bytes) {
    return field.offset == offset && field.bytes == bytes;
}

bool is_recorded(const FunctionFormat& format) {
    return format.id == 1 && is(format.flags, 2, 1) && is(format.preempt_count, 3, 1) &&
           is(format.function, 8, 8) && is(format.caller, 16, 8);
}

TEST(TraceFormat, FieldsAreFoundByTheirWholeName) {
    const Result<TraceField> ip = parse_trace_field(recorded, "ip");
    ASSERT_TRUE(ip.ok()) << ip.error().to_string();
    EXPECT_TRUE(is(*ip, 8, 8)) << "parent_ip is another one";
    const Result<TraceField> pid = parse_trace_field(recorded, "common_pid");
    ASSERT_TRUE(pid.ok());
    EXPECT_TRUE(is(*pid, 4, 4));
    for (const char* name : {"pid", "common_pi", "p", "", "unsigned", "ID", "fmt"}) {
        const Result<TraceField> none = parse_trace_field(recorded, name);
        ASSERT_FALSE(none.ok()) << name;
        EXPECT_EQ(none.error().number, EPROTO);
        EXPECT_THAT(none.error().message, HasSubstr(name));
    }
}

TEST(TraceFormat, AFieldHasAnOffsetAndASize) {
    for (const char* bad : {
             "field:unsigned long ip;\toffset:;\tsize:8;",
             "field:unsigned long ip;\toffset:x;\tsize:8;",
             "field:unsigned long ip;\toffset:-8;\tsize:8;",
             "field:unsigned long ip;\tsize:8;",
             "field:unsigned long ip;\toffset:8;",
             "field:unsigned long ip;\toffset:8;\tsize:;",
             "field:unsigned long ip;\toffset:18446744073709551616;\tsize:8;",
             "unsigned long ip;\toffset:8;\tsize:8;",
         }) {
        const Result<TraceField> field = parse_trace_field(bad, "ip");
        ASSERT_FALSE(field.ok()) << bad;
        EXPECT_EQ(field.error().number, EPROTO) << bad;
    }
    const Result<TraceField> spaced =
        parse_trace_field("field:unsigned long ip; offset: 8; size: 8;", "ip");
    ASSERT_TRUE(spaced.ok());
    EXPECT_TRUE(is(*spaced, 8, 8));
}

TEST(TraceFormat, TheIdIsANumber) {
    EXPECT_EQ(parse_trace_id(recorded).value_or(0), 1U);
    EXPECT_EQ(parse_trace_id("name: x\nID: 4294967295\n").value_or(0), 4294967295U);
    for (const char* bad : {"", "name: function\n", "ID:", "ID:\n", "ID: \nformat:", "ID: x\n",
                            "ID: -1\n", "ID: 4294967296\n"}) {
        const Result<std::uint32_t> id = parse_trace_id(bad);
        ASSERT_FALSE(id.ok()) << bad;
        EXPECT_EQ(id.error().number, EPROTO) << bad;
    }
}

TEST(FunctionTraceFormat, IsReadAsRecorded) {
    const Result<FunctionFormat> format = parse_function_format(recorded);
    ASSERT_TRUE(format.ok()) << format.error().to_string();
    EXPECT_TRUE(is_recorded(*format));
}

TEST(FunctionTraceFormat, LacksNothing) {
    for (const char* line :
         {"ID: 1", "field:unsigned long ip;", "field:unsigned long parent_ip;",
          "field:unsigned char common_flags;", "field:unsigned char common_preempt_count;"}) {
        const Result<FunctionFormat> format = parse_function_format(with(line, "x"));
        ASSERT_FALSE(format.ok()) << line;
        EXPECT_EQ(format.error().number, EPROTO) << line;
    }
}

// Wherever it is cut, nothing of it is read as another number.
TEST(FunctionTraceFormat, CutIsRefusedOrTheSame) {
    const std::size_t last = recorded.find("size:8;", recorded.find(" parent_ip;"));
    for (std::size_t length = 0; length <= recorded.size(); ++length) {
        const Result<FunctionFormat> format = parse_function_format(recorded.substr(0, length));
        EXPECT_EQ(format.ok(), length >= last + std::strlen("size:8")) << length;
        EXPECT_TRUE(!format || is_recorded(*format)) << length;
    }
}

// A record of the recorded format, in this machine's order of bytes.
std::vector<char> record(unsigned char flags, unsigned char preempt_count, std::uint64_t ip,
                         std::uint64_t parent_ip) {
    std::vector<char> raw(24);
    raw[2] = static_cast<char>(flags);
    raw[3] = static_cast<char>(preempt_count);
    std::memcpy(&raw[8], &ip, sizeof(ip));
    std::memcpy(&raw[16], &parent_ip, sizeof(parent_ip));
    return raw;
}

FunctionFormat recorded_format() {
    const Result<FunctionFormat> format = parse_function_format(recorded);
    EXPECT_TRUE(format.ok());
    return format.value_or(FunctionFormat{});
}

FunctionCall call_of(unsigned char flags, unsigned char preempt_count) {
    const std::optional<FunctionCall> call = parse_function_call(
        recorded_format(), record(flags, preempt_count, 0xffffffff8143a2c4, 0xffffffff8143b001));
    EXPECT_TRUE(call);
    return call.value_or(FunctionCall{});
}

TEST(FunctionTraceRecord, HasBothAddresses) {
    EXPECT_EQ(
        call_of(0, 0),
        (FunctionCall{.time_ns = 0, .function = 0xffffffff8143a2c4, .caller = 0xffffffff8143b001}));
}

// TRACE_FLAG_* of include/linux/trace_events.h.
TEST(FunctionTraceRecord, SaysInWhichContextItCame) {
    constexpr unsigned char irqs_off = 0x01;
    constexpr unsigned char need_resched = 0x04 | 0x02 | 0x20; // all that concern scheduling
    constexpr unsigned char bottom_halves_off = 0x80;
    EXPECT_FALSE(call_of(need_resched, 0).interrupt || call_of(need_resched, 0).atomic);
    for (const unsigned char interrupt : {0x08, 0x10, 0x40}) {
        EXPECT_TRUE(call_of(interrupt, 0).interrupt) << int{interrupt};
        EXPECT_FALSE(call_of(interrupt, 0).atomic) << int{interrupt};
    }
    EXPECT_TRUE(call_of(irqs_off, 0).atomic);
    EXPECT_FALSE(call_of(irqs_off, 0).interrupt);
    EXPECT_TRUE(call_of(bottom_halves_off, 0).atomic);
    EXPECT_FALSE(call_of(bottom_halves_off, 0).interrupt);
    EXPECT_FALSE(call_of(0, 1).atomic) << "the tracer's own";
    EXPECT_TRUE(call_of(0, 2).atomic);
    EXPECT_TRUE(call_of(0, 0x0f).atomic);
    EXPECT_FALSE(call_of(0, 0xf0).atomic) << "migration is off, preemption is not";
}

TEST(FunctionTraceRecord, MayBeLongerAndNoShorter) {
    std::vector<char> raw = record(0, 0, 1, 2);
    raw.resize(28); // perf fills up to eight bytes
    EXPECT_TRUE(parse_function_call(recorded_format(), raw));
    for (std::size_t length = 0; length < 24; ++length) {
        raw.resize(length);
        EXPECT_FALSE(parse_function_call(recorded_format(), raw)) << length;
    }
}

// Of a kernel that has other fields: refused rather than read wrongly, or outside of the record.
TEST(FunctionTraceRecord, OfFieldsOfOtherSizesIsNone) {
    const std::vector<char> raw = record(0, 0, 1, 2);
    for (const char* ip : {"field:unsigned long ip;\toffset:8;\tsize:0;",
                           "field:unsigned long ip;\toffset:8;\tsize:4;",
                           "field:unsigned long ip;\toffset:8;\tsize:16;",
                           "field:unsigned long ip;\toffset:17;\tsize:8;",
                           "field:unsigned long ip;\toffset:24;\tsize:1;",
                           "field:unsigned long ip;\toffset:18446744073709551615;\tsize:8;",
                           "field:unsigned long ip;\toffset:18446744073709551608;\tsize:8;",
                           "field:unsigned long ip;\toffset:8;\tsize:18446744073709551615;"}) {
        const Result<FunctionFormat> format =
            parse_function_format(with("field:unsigned long ip;\toffset:8;\tsize:8;", ip));
        ASSERT_TRUE(format.ok()) << ip;
        EXPECT_FALSE(parse_function_call(*format, raw)) << ip;
    }
}

} // namespace
} // namespace faultline
