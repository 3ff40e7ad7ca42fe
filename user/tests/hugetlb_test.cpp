// SPDX-License-Identifier: GPL-2.0
// The module's hugetlb/share, as recorded, and broken.
#include "kernel/hugetlb.hpp"

#include <gtest/gtest.h>

namespace faultline {
namespace {

constexpr const char* shared =
    "share pid 120 address 0x7f0040000000 pud table pfn 0x3a10 shared 1 lock read:1 mapped 1024\n"
    "user 120 0x7f0040000000\n"
    "user 121 0x7f0040000000\n"
    "pool order 9 pages 8 free 6 reserved 0 surplus 0\n"
    "pool order 18 pages 0 free 0 reserved 0 surplus 0\n";

TEST(HugetlbShareTest, ReadsWhoSharesATable) {
    const Result<HugetlbShare> share = parse_hugetlb_share(shared);
    ASSERT_TRUE(share.ok()) << share.error().to_string();
    EXPECT_TRUE(share->mapped);
    EXPECT_EQ(share->pud, "table");
    EXPECT_EQ(share->table, 0x3a10U);
    EXPECT_EQ(share->shared, 1);
    EXPECT_EQ(share->lock, "read:1");
    EXPECT_EQ(share->mm_pages, 1024);
    ASSERT_EQ(share->users.size(), 2U);
    EXPECT_EQ(share->users[1], (HugetlbUser{121, 0x7f0040000000}));
    ASSERT_EQ(share->pools.size(), 2U);
    EXPECT_EQ(share->pools[0], (HugetlbPool{9, 8, 6, 0, 0}));
}

TEST(HugetlbShareTest, ReadsWhatIsNotThere) {
    const Result<HugetlbShare> unmapped =
        parse_hugetlb_share("unmapped\npool order 9 pages 8 free 8 reserved 0 surplus 0\n");
    ASSERT_TRUE(unmapped.ok());
    EXPECT_FALSE(unmapped->mapped);
    EXPECT_TRUE(unmapped->busy.empty());
    const Result<HugetlbShare> busy = parse_hugetlb_share("busy mmap_lock\n");
    ASSERT_TRUE(busy.ok());
    EXPECT_EQ(busy->busy, "mmap_lock");
    EXPECT_FALSE(busy->mapped);
}

TEST(HugetlbShareTest, RefusesWhatIsBroken) {
    EXPECT_FALSE(parse_hugetlb_share("").ok());
    EXPECT_FALSE(parse_hugetlb_share("pool order 9 pages 8 free 8 reserved 0 surplus 0\n").ok());
    EXPECT_FALSE(parse_hugetlb_share("user 1 0x1000\n").ok()) << "of no table";
    EXPECT_FALSE(parse_hugetlb_share(std::string(shared) + "pool order 9 pages 8\n").ok());
    EXPECT_FALSE(parse_hugetlb_share(std::string(shared) + shared).ok()) << "twice";
    std::string word = shared;
    word.replace(word.find("table"), 5, "chair");
    EXPECT_FALSE(parse_hugetlb_share(word).ok());
    EXPECT_FALSE(parse_hugetlb_share("busy \n").ok());
}

} // namespace
} // namespace faultline
