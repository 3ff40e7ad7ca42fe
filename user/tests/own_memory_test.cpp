// SPDX-License-Identifier: GPL-2.0
#include "kernel/own_memory.hpp"

#include <cerrno>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

namespace faultline {
namespace {

constexpr std::string_view recorded =
    "55d0c0a00000-55d0c0a10000 r-xp 00000000 00:02 1234  /bin/faultline\n"
    "55d0c1000000-55d0c1021000 rw-p 00000000 00:00 0     [heap]\n"
    "7f0000000000-7f0000200000 rw-p 00000000 00:00 0\n"
    "7f0000200000-7f0000201000 rw-p 00000000 00:00 0\n"
    "7f0000400000-7f0000401000 ---p 00000000 00:00 0\n"
    "7f0000600000-7f0000800000 rw-s 00000000 00:05 99    /memfd:x (deleted)\n"
    "7f0000a00000-7f0000a01000 rw-s 00000000 00:01 98    /dev/zero (deleted)\n"
    "ffffffffff600000-ffffffffff601000 r-xp 00000000 00:00 0 [vsyscall]\n";

TEST(OwnMemory, IsAllThatCannotBeUnderTest) {
    const auto all = parse_own_mappings(recorded, 2U << 20);
    ASSERT_TRUE(all.ok()) << all.error().to_string();
    const std::vector<OwnMapping> expected = {{0x55d0c0a00000, 0x10000, false, false},
                                              {0x55d0c1000000, 0x21000, true, true},
                                              {0x7f0000200000, 0x1000, true, true},
                                              {0x7f0000a00000, 0x1000, true, false}};
    EXPECT_EQ(*all, expected);
}

TEST(OwnMemory, ABrokenLineIsEproto) {
    for (const char* text : {"rw-p\n", "55d0-55d0 rw-p\n", "55d0-55c0 rw-p\n", "55d0"}) {
        const auto all = parse_own_mappings(text, 4096);
        ASSERT_FALSE(all.ok()) << text;
        EXPECT_EQ(all.error().number, EPROTO);
    }
}

TEST(OwnMemory, APageIsPresentAfterwards) {
    const auto page = static_cast<std::size_t>(::getpagesize());
    // Between two that cannot be accessed, so that it is no part of a larger mapping.
    auto* guarded = static_cast<char*>(
        ::mmap(nullptr, 3 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    ASSERT_NE(static_cast<void*>(guarded), MAP_FAILED);
    char* memory = guarded + page;
    ASSERT_EQ(::mprotect(memory, page, PROT_READ | PROT_WRITE), 0);
    unsigned char resident = 0;
    ASSERT_EQ(::mincore(memory, page, &resident), 0);
    ASSERT_EQ(resident & 1, 0);
    ASSERT_TRUE(populate_own_memory(2 * page).ok());
    ASSERT_EQ(::mincore(memory, page, &resident), 0);
    EXPECT_EQ(resident & 1, 1);
    ::munmap(guarded, 3 * page);
}

} // namespace
} // namespace faultline
