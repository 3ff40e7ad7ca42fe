// SPDX-License-Identifier: GPL-2.0
#include "model/pmd_sharing.hpp"

#include <gtest/gtest.h>

namespace faultline::model {
namespace {

using Kind = SharingOp::Kind;

PmdSharing after(const std::vector<SharingOp>& ops) {
    PmdSharing sharing(3);
    for (const SharingOp& op : ops) {
        EXPECT_TRUE(sharing.can(op)) << to_string(op);
        sharing.apply(op);
    }
    return sharing;
}

const std::vector<SharingOp> two_share = {
    {Kind::map, 0}, {Kind::touch, 0, 1}, {Kind::map, 1}, {Kind::touch, 1, 2}};

std::vector<SharingOp> two_share_and(std::vector<SharingOp> more) {
    std::vector<SharingOp> ops = two_share;
    ops.insert(ops.end(), more.begin(), more.end());
    return ops;
}

TEST(PmdSharingModel, WhoTouchesTheSameFileSharesItsTable) {
    const PmdSharing sharing = after(two_share);
    ASSERT_TRUE(sharing.table(0).has_value());
    EXPECT_EQ(sharing.table(0), sharing.table(1));
    EXPECT_EQ(sharing.sharers(*sharing.table(0)), 2U);
    EXPECT_EQ(sharing.shared_pages(0), 2U) << "it reaches the other's page, too";
    EXPECT_EQ(sharing.private_pages(0), 0U);
    EXPECT_FALSE(sharing.table(2).has_value());
    EXPECT_TRUE(sharing.has(0, 2));
    EXPECT_TRUE(sharing.shared(0, 2));
    EXPECT_FALSE(sharing.has(0, 3));
    EXPECT_FALSE(sharing.has(2, 1));
}

TEST(PmdSharingModel, OneThatCannotCoverAllHasItsOwn) {
    for (Kind kind : {Kind::protect_half, Kind::mark_half, Kind::unmap_half, Kind::watch}) {
        PmdSharing sharing = after(two_share_and({{kind, 0}}));
        EXPECT_FALSE(sharing.table(0).has_value()) << to_string(SharingOp{kind, 0});
        EXPECT_EQ(sharing.sharers(*sharing.table(1)), 1U);
        sharing.apply({Kind::touch, 0, 1});
        EXPECT_NE(sharing.table(0), sharing.table(1));
        EXPECT_EQ(sharing.shared_pages(0), 1U) << "page 1 is in both tables";
        EXPECT_EQ(sharing.private_pages(1), 1U) << "page 2 is not";
    }
}

TEST(PmdSharingModel, GivingBackUnsharesOrTakesThePageOut) {
    EXPECT_FALSE(after(two_share_and({{Kind::give_back, 0, 3}})).table(0).has_value());
    const PmdSharing alone = after({{Kind::map, 0}, {Kind::touch, 0, 1}, {Kind::give_back, 0, 1}});
    EXPECT_TRUE(alone.table(0).has_value());
    EXPECT_EQ(alone.private_pages(0), 0U);
}

TEST(PmdSharingModel, AForkedChildLeavesItsPageInASharedTable) {
    EXPECT_EQ(after(two_share_and({{Kind::fork, 0, 3}})).shared_pages(1), 3U);
    EXPECT_EQ(after(two_share_and({{Kind::protect_half, 0}, {Kind::fork, 0, 3}})).private_pages(1),
              2U);
}

TEST(PmdSharingModel, OnlyASharedTableMoves) {
    const PmdSharing moved = after(two_share_and({{Kind::move, 0}}));
    EXPECT_TRUE(moved.moved(0));
    EXPECT_FALSE(moved.table(0).has_value());
    EXPECT_FALSE(moved.can({Kind::move, 1})) << "it would wait for itself";
    EXPECT_FALSE(moved.can({Kind::map, 1}));
    EXPECT_FALSE(moved.can({Kind::touch, 2, 0}));
}

TEST(PmdSharingModel, SaysWhatWasDone) {
    EXPECT_EQ(to_string(std::vector<SharingOp>{{Kind::map, 0}, {Kind::give_back, 1, 3}}),
              "p0 map; p1 give-back 3");
}

} // namespace
} // namespace faultline::model
