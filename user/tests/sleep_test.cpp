// SPDX-License-Identifier: GPL-2.0
// The reason of a sleep from its stack: stacks that the module reported on real kernels, and broken
// ones.
#include "engine/scenario.hpp"
#include "engine/sleep.hpp"

#include <gtest/gtest.h>

namespace faultline {
namespace {

constexpr std::string_view vma_lock =
    "rwsem_down_write_slowpath < down_write < unmap_mapping_pages.isra.0 < truncate_pagecache";

TEST(Sleep, IsToldByTheInnermostFunctionThatIsKnown) {
    EXPECT_EQ(sleep_of(vma_lock), Sleep::lock);
    EXPECT_EQ(sleep_of("folio_wait_bit_common < __folio_lock < f"), Sleep::lock);
    EXPECT_EQ(sleep_of("folio_wait_bit_common < folio_wait_writeback < f"), Sleep::writeback);
    EXPECT_EQ(sleep_of("__wait_rcu_gp < synchronize_rcu < mutex_lock"), Sleep::grace_period);
    EXPECT_EQ(sleep_of("submit_bio_wait < swap_read_folio < f"), Sleep::io);
    EXPECT_EQ(sleep_of("for CPU 0 to answer a call, which has interrupts off"), Sleep::call);
    EXPECT_EQ(sleep_of("do_nanosleep < f"), Sleep::unknown);
    EXPECT_EQ(sleep_of(""), Sleep::unknown);
    EXPECT_EQ(sleep_of(" < "), Sleep::unknown);
}

TEST(Sleep, APlaceIsInTheOrderOfTheStack) {
    EXPECT_TRUE(at_place(vma_lock, "down_write"));
    EXPECT_TRUE(at_place(vma_lock, "down_write < unmap_mapping_pages"));
    EXPECT_TRUE(at_place(vma_lock, "down_write < truncate_pagecache"));
    EXPECT_FALSE(at_place(vma_lock, "unmap_mapping_pages < down_write"));
    EXPECT_FALSE(at_place(vma_lock, "down_writ"));
    EXPECT_FALSE(at_place("", "down_write"));
    EXPECT_TRUE(at_any_place(vma_lock, {"mutex_lock", "down_write"}));
    EXPECT_FALSE(at_any_place(vma_lock, {}));
    EXPECT_FALSE(at_any_place(vma_lock, {call_place}));
    EXPECT_TRUE(at_any_place("for CPU 1 to answer a call", {call_place}));
    EXPECT_FALSE(at_any_place("for CPU 1 to answer a call", {"for CPU 1"}));
}

TEST(Patterns, AreWordsWithValues) {
    Outcome outcome;
    outcome.add("collapse", "EBUSY").add("event", "yes");
    for (const std::string_view pattern : {"collapse=EBUSY", "event=yes collapse=EBUSY", "event=*",
                                           "collapse=ok|EBUSY", "", "  event=yes"}) {
        EXPECT_TRUE(matches(outcome, pattern)) << pattern;
        EXPECT_TRUE(matches(to_string(outcome), pattern)) << pattern;
    }
    for (const std::string_view pattern : {"collapse=ok", "collapse", "even=yes", "event=ye",
                                           "event=", "scan=*", "collapse=EBUSYY"}) {
        EXPECT_FALSE(matches(outcome, pattern)) << pattern;
        EXPECT_FALSE(matches(to_string(outcome), pattern)) << pattern;
    }
}

TEST(Places, LocksThatSpinArePatched) {
    EXPECT_EQ(spin_locks_of({"_raw_spin_lock < f", "down_write < g", "_raw_spin_lock < h",
                             "_raw_read_lock", "_raw_spin_unlock_not"}),
              (std::vector<std::string>{"_raw_spin_lock", "_raw_read_lock"}));
    EXPECT_TRUE(spin_locks_of({"down_write", "call", "rwsem_down_write_slowpath < f"}).empty());
}

} // namespace
} // namespace faultline
