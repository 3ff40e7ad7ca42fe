// SPDX-License-Identifier: GPL-2.0
// Records of <debugfs>/faultline/calls, and bytes that are none.
#include "kernel/function_trace.hpp"

#include "calls_abi.h"

#include <gmock/gmock.h>

#include <cerrno>
#include <cstring>

namespace faultline {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

std::vector<char> raw(const std::vector<fl_call>& calls) {
    std::vector<char> bytes(calls.size() * sizeof(fl_call));
    if (!calls.empty())
        std::memcpy(bytes.data(), calls.data(), bytes.size());
    return bytes;
}

TEST(Calls, AreThoseOfEachTaskInTheirOrder) {
    const auto calls = parse_calls(raw({{10, 0x1000, 0x2000, 1, 0},
                                        {11, 0x3000, 0x1004, 0, FL_CALL_INTERRUPT},
                                        {12, 0x4000, 0x1008, 1, FL_CALL_ATOMIC}}),
                                   3);
    ASSERT_TRUE(calls.ok()) << calls.error().to_string();
    ASSERT_THAT(*calls, SizeIs(3));
    EXPECT_THAT((*calls)[0], ElementsAre(FunctionCall{11, 0x3000, 0x1004, true, false}));
    EXPECT_THAT((*calls)[1], ElementsAre(FunctionCall{10, 0x1000, 0x2000, false, false},
                                         FunctionCall{12, 0x4000, 0x1008, false, true}));
    EXPECT_THAT((*calls)[2], IsEmpty());
}

TEST(Calls, OfNoTaskAreRefused) {
    for (const fl_call& bad : {fl_call{1, 2, 3, 2, 0}, fl_call{1, 2, 3, 0, 4}}) {
        const auto calls = parse_calls(raw({{1, 2, 3, 0, 0}, bad}), 2);
        ASSERT_FALSE(calls.ok());
        EXPECT_EQ(calls.error().number, EPROTO);
    }
}

// Wherever it is cut, nothing of it is read as another call.
TEST(Calls, CutAreRefused) {
    const std::vector<char> whole = raw({{1, 2, 3, 0, 0}, {4, 5, 6, 0, 0}});
    for (std::size_t bytes = 0; bytes <= whole.size(); ++bytes) {
        const auto calls = parse_calls(std::span(whole).first(bytes), 1);
        EXPECT_EQ(calls.ok(), bytes % sizeof(fl_call) == 0) << bytes;
        if (calls) {
            EXPECT_THAT(calls->front(), SizeIs(bytes / sizeof(fl_call)));
        }
    }
}

} // namespace
} // namespace faultline
