// SPDX-License-Identifier: GPL-2.0
#include "kernel/stack_depth.hpp"

#include <gtest/gtest.h>

namespace faultline {
namespace {

// From x86-64, 6.12.95.
const std::string recorded =
    "depth pid 33 bytes 1600 of 16384 in _raw_spin_lock_irqsave from __rmqueue_pcplist\n";

TEST(StackDepthTest, ReadsALine) {
    const Result<Depth> depth = parse_depth(recorded);
    ASSERT_TRUE(depth.ok()) << depth.error().to_string();
    EXPECT_EQ(depth->pid, 33);
    EXPECT_EQ(depth->bytes, 1600U);
    EXPECT_EQ(depth->of, 16384U);
    EXPECT_EQ(depth->function, "_raw_spin_lock_irqsave");
    EXPECT_EQ(depth->caller, "__rmqueue_pcplist");
}

TEST(StackDepthTest, AFunctionMayBeOfAModule) {
    const Result<Depth> depth =
        parse_depth("depth pid 33 bytes 16 of 16384 in fl_hit [faultline] from f [m]\n");
    ASSERT_TRUE(depth.ok());
    EXPECT_EQ(depth->function, "fl_hit [faultline]");
    EXPECT_EQ(depth->caller, "f [m]");
}

TEST(StackDepthTest, RefusesWhatIsBroken) {
    for (std::size_t length = 0; length < recorded.size(); ++length)
        EXPECT_FALSE(parse_depth(recorded.substr(0, length)).ok()) << recorded.substr(0, length);
    EXPECT_FALSE(parse_depth(recorded + recorded).ok());
    EXPECT_FALSE(parse_depth("depth pid 33 bytes x of 16384 in f from g\n").ok());
    EXPECT_FALSE(parse_depth("depth pid 33 bytes 1 of 16384 in  from g\n").ok());
}

} // namespace
} // namespace faultline
