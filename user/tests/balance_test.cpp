// SPDX-License-Identifier: GPL-2.0
#include "explore/balance.hpp"

#include <gmock/gmock.h>

namespace faultline {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr Balance before{.counted = 20000, .mapped = 20100, .tables = 300, .available = 2000000};

TEST(Losses, OfWhatIsAsBeforeAreNone) {
    EXPECT_THAT(losses(before, before, 1000), IsEmpty());
    // The driver itself has grown by 30 MB.
    EXPECT_THAT(losses(before, {50000, 50050, 400, 1970000}, 1000), IsEmpty());
}

TEST(Losses, AreSaidInASentenceEach) {
    EXPECT_THAT(losses(before, {24000, 20100, 300, 2000000}, 1000),
                ElementsAre("the kernel counts 4000 kB more for this process than its page tables "
                            "map, after 1000 runs"));
    EXPECT_THAT(losses(before, {16000, 20100, 300, 2000000}, 1000),
                ElementsAre(HasSubstr("4000 kB less")));
    EXPECT_THAT(losses(before, {20000, 20100, 4300, 2000000}, 1000),
                ElementsAre("this process has 4000 kB more of page tables after 1000 runs"));
    EXPECT_THAT(losses(before, {20000, 20100, 300, 1900000}, 7),
                ElementsAre("the machine has 100000 kB less of free memory after 7 runs"));
    EXPECT_THAT(losses(before, {20000, 30100, 300, 1980000}, 7), ElementsAre(HasSubstr("less for")))
        << "20 MB less, of which the driver has 10";
}

} // namespace
} // namespace faultline
