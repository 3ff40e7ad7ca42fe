// SPDX-License-Identifier: GPL-2.0
// The rules of a comparison, on counters that the test gives.
#include "kernel/state_comparison.hpp"

#include <gmock/gmock.h>

#include <unistd.h>

namespace faultline {
namespace {

using testing::HasSubstr;

class StateComparisonTest : public testing::Test {
  protected:
    const std::uint64_t page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
    StateComparison check_;

    // The word of what differs; "" if nothing does.
    std::string word(std::vector<Counter> before, std::vector<Counter> after,
                     const Allowed& allowed = {}, const Allowed& counted = {}) {
        check_.begin(State::of(std::move(before)));
        check_.allow(allowed);
        check_.end(State::of(std::move(after)));
        check_.compare_all(counted);
        return check_.word();
    }
};

TEST_F(StateComparisonTest, NamesTheFirstThatDiffers) {
    EXPECT_EQ(word({{"file f st_size", 1}}, {{"file f st_size", 1}}), "");
    EXPECT_EQ(check_.why(), "");
    EXPECT_EQ(word({{"file f st_size", 1}, {"file f st_blocks", 8}},
                   {{"file f st_size", 2}, {"file f st_blocks", 16}}),
              "st_size");
    EXPECT_EQ(check_.why(),
              "file f st_size: 1 before, 2 after; file f st_blocks: 8 before, 16 after");
    EXPECT_EQ(word({{"file f st_size", 1}}, {{"file f st_size", 2}}, {{"file * st_size", "cut"}}),
              "");
    EXPECT_EQ(word({{"file f st_size", 1}}, {}), "st_size") << "it is gone";
}

TEST_F(StateComparisonTest, ForgetsTheRunBefore) {
    EXPECT_EQ(word({{"file f st_size", 1}}, {{"file f st_size", 2}}), "st_size");
    EXPECT_EQ(word({{"file f st_size", 1}}, {{"file f st_size", 1}}), "");
    EXPECT_EQ(word({{"file f st_size", 1}}, {{"file f st_size", 2}}, {{"file f", "cut"}}), "");
    EXPECT_EQ(word({{"file f st_size", 1}}, {{"file f st_size", 2}}), "st_size")
        << "what might differ in the run before";
}

TEST_F(StateComparisonTest, RequiresAGrowth) {
    EXPECT_EQ(word({{"a x", 5}, {"a y", 5}}, {{"a x", 3}, {"a y", 5}}, {}, {{"a x", "here"}}), "");
    EXPECT_EQ(check_.growth("a x"), -2);
    check_.require_growth("a x", -2);
    check_.require_growth("a z", 7); // that this machine does not have
    EXPECT_EQ(check_.word(), "");
    check_.require_growth("a x", 0);
    EXPECT_EQ(check_.word(), "x");
    EXPECT_EQ(check_.why(), "a x grew by -2, and should by 0");
    check_.require(false, "a y", "later");
    EXPECT_EQ(check_.word(), "x") << "the first counts";
}

TEST_F(StateComparisonTest, DoesNotRequireWhatMayDiffer) {
    EXPECT_EQ(word({{"a x", 5}}, {{"a x", 3}}, {{"a x", "it may"}}), "");
    check_.require_growth("a x", 0);
    EXPECT_EQ(check_.word(), "");
}

// One of each pair has grown by a page.
TEST_F(StateComparisonTest, ComparesTheSumOfStructPages) {
    const std::vector<Counter> none = {{"machine vmstat nr_memmap_pages", 1},
                                       {"machine vmstat nr_memmap_boot_pages", 100}};
    EXPECT_EQ(word(none, {{none[0].first, 8}, {none[1].first, 93}}), "") << "not from boot now";
    EXPECT_EQ(word(none, {{none[0].first, 1}, {none[1].first, 93}}), "nr_memmap_pages");
    EXPECT_THAT(check_.why(), HasSubstr("nr_memmap_boot_pages by -7"));
    EXPECT_EQ(word(none, {none[0], {none[1].first, 93}}, {{none[0].first, "it may"}}), "");
}

TEST_F(StateComparisonTest, ComparesCgroupsWithTheMachine) {
    const std::vector<Counter> none = {{"cgroup driver memory.stat shmem", 8 * page},
                                       {"cgroup box memory.stat shmem", page},
                                       {"machine meminfo Shmem", 9 * page / 1024}};
    std::vector<Counter> more = none;
    EXPECT_EQ(word(none, more), "");
    more[0].second += page;
    EXPECT_EQ(word(none, more), "shmem") << "the cgroup alone";
    EXPECT_THAT(check_.why(), HasSubstr("cgroup * memory.stat shmem grew by"));
    more[2].second += page / 1024;
    const Allowed shmem = {{"machine meminfo Shmem", "compared with the pages"}};
    EXPECT_EQ(word(none, more, {}, shmem), "") << "both";
    more[0].second -= page;
    EXPECT_EQ(word(none, more, {}, shmem), "shmem") << "the machine alone";
    more[1].second += page;
    EXPECT_EQ(word(none, more, {}, shmem), "") << "the sum over the cgroups counts";
    more[1].second -= page;
    EXPECT_EQ(word(none, more, {{"cgroup * memory.stat shmem", "it may"}}, shmem), "");
}

TEST_F(StateComparisonTest, ComparesPagesInPages) {
    const std::vector<Counter> none = {{"cgroup driver memory.stat file", 8 * page},
                                       {"machine vmstat nr_file_pages", 30}};
    std::vector<Counter> more = none;
    more[0].second += page;
    EXPECT_EQ(word(none, more), "file");
    more[1].second += 1;
    EXPECT_EQ(word(none, more), "");
}

TEST_F(StateComparisonTest, ComparesAnonymousMemoryWithTheProcesses) {
    const std::vector<Counter> none = {{"cgroup driver memory.stat anon", 8 * page},
                                       {"cgroup driver processes Pss_Anon", 8 * page / 1024}};
    std::vector<Counter> more = none;
    more[0].second += page;
    EXPECT_EQ(word(none, more), "anon") << "that no process has";
    more[1].second += page / 1024;
    EXPECT_EQ(word(none, more), "");
    more[1].second -= 1;
    EXPECT_EQ(word(none, more), "") << "a sum that is cut to kB";
    more[0].second -= 2 * page;
    EXPECT_EQ(word(none, more), "anon") << "that is not charged";
    // In a run without smaps_rollup, or before a kernel had the counter.
    EXPECT_EQ(word({none[0]}, {more[0]}), "");
    EXPECT_EQ(word({none[1]}, {more[1]}), "");
}

// Another program's task runs between the States, or sleeps all the time.
class BusyMachineTest : public testing::Test {
  protected:
    StateComparison check_;

    static TaskRows cron(std::uint64_t switches) {
        return {{::getpid(), ::getpid(), 1, switches, true, "faultline"},
                {2, 2, 1, switches, false, "cron"}};
    }
    std::string word(std::vector<Counter> before, std::vector<Counter> after, bool busy = true,
                     bool assume_quiet = false) {
        check_.begin(State::of(std::move(before), cron(5)));
        check_.end(State::of(std::move(after), cron(busy ? 6 : 5)));
        if (assume_quiet)
            check_.assume_quiet();
        check_.compare_all();
        return check_.word();
    }
    // The names of the counters that were not compared.
    std::string left_out() {
        std::string names;
        for (const NotCompared& one : check_.not_compared()) {
            EXPECT_EQ(one.others, "cron") << one.counter;
            names += (names.empty() ? "" : ", ") + one.counter;
        }
        return names;
    }
    const std::uint64_t page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
};

TEST_F(BusyMachineTest, LeavesOutAndNamesWhatOthersMayHaveChanged) {
    const std::vector<Counter> before = {{"machine meminfo ShmemHugePages", 0},
                                         {"machine meminfo Mlocked", 4}};
    const std::vector<Counter> after = {{"machine meminfo ShmemHugePages", 2048},
                                        {"machine meminfo Mlocked", 4}};
    EXPECT_EQ(word(before, after), "");
    EXPECT_EQ(left_out(), "machine meminfo ShmemHugePages") << "not what did not differ";
    EXPECT_EQ(word(before, before), "");
    EXPECT_EQ(left_out(), "");
}

TEST_F(BusyMachineTest, CatchesALeakWhenTheMachineIsQuiet) {
    const std::vector<Counter> before = {{"machine meminfo ShmemHugePages", 0}};
    const std::vector<Counter> after = {{"machine meminfo ShmemHugePages", 2048}};
    EXPECT_EQ(word(before, after, false), "ShmemHugePages");
    EXPECT_EQ(left_out(), "");
    EXPECT_EQ(word(before, after, true, true), "ShmemHugePages") << "nobody could be told";
}

TEST_F(BusyMachineTest, CatchesALeakOfItsOwnObjects) {
    EXPECT_EQ(word({{"file f st_blocks", 8}, {"machine meminfo Shmem", 1}},
                   {{"file f st_blocks", 16}, {"machine meminfo Shmem", 9}}),
              "st_blocks");
    EXPECT_EQ(left_out(), "machine meminfo Shmem");
    EXPECT_EQ(word({{"cgroup driver memory.stat anon", 0}, {"cgroup driver processes Pss_Anon", 0}},
                   {{"cgroup driver memory.stat anon", 8 * page},
                    {"cgroup driver processes Pss_Anon", 0}}),
              "anon");
}

TEST_F(BusyMachineTest, ComparesACgroupWithTheMachineOnlyWhenItIsQuiet) {
    const std::vector<Counter> before = {{"cgroup driver memory.stat file", 0},
                                         {"machine vmstat nr_file_pages", 7}};
    const std::vector<Counter> after = {{"cgroup driver memory.stat file", page},
                                        {"machine vmstat nr_file_pages", 11}};
    EXPECT_EQ(word(before, after, false), "file");
    EXPECT_EQ(word(before, after), "");
    EXPECT_EQ(left_out(), "machine vmstat nr_file_pages");
}

TEST_F(BusyMachineTest, RequiresSharedMemoryOfTheCgroupWhereOthersRan) {
    const auto now = [this](std::uint64_t of_cgroup, std::uint64_t of_machine) {
        return std::vector<Counter>{{"cgroup driver memory.stat shmem", of_cgroup * page},
                                    {"machine vmstat nr_shmem", of_machine}};
    };
    word(now(0, 0), now(2, 9));
    check_.require_shmem_pages(2);
    EXPECT_EQ(check_.word(), "");
    EXPECT_EQ(left_out(), "machine vmstat nr_shmem");
    word(now(0, 0), now(3, 9));
    check_.require_shmem_pages(2);
    EXPECT_EQ(check_.word(), "shmem") << "a page that the run's files do not have";
}

TEST(TableMemoryTest, AllowsTablesForTheHeapAlone) {
    const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
    const TableMemory first{25 * page / 1024, 1000 * page};
    EXPECT_EQ(more_tables(first, first), "");
    EXPECT_EQ(more_tables(first, {24 * page / 1024, 1000 * page}), "") << "fewer";
    EXPECT_THAT(more_tables(first, {26 * page / 1024, 1000 * page}), HasSubstr("VmPTE was"));
    EXPECT_THAT(more_tables(first, {26 * page / 1024, 900 * page}), HasSubstr("grew by 0 kB"));
    EXPECT_EQ(more_tables(first, {26 * page / 1024, 1001 * page}), "");
    EXPECT_EQ(more_tables(first, {26 * page / 1024, 1256 * page}), "");
    EXPECT_NE(more_tables(first, {27 * page / 1024, 1256 * page}), "");
    EXPECT_EQ(more_tables(first, {27 * page / 1024, 1257 * page}), "");
}

TEST(TableMemoryTest, IsThisProcess) {
    const Result<TableMemory> now = TableMemory::take();
    ASSERT_TRUE(now.ok()) << now.error().to_string();
    EXPECT_GT(now->kilobytes, 0U);
}

TEST_F(StateComparisonTest, TakesTheWholeStateInEachFourthRun) {
    std::vector<unsigned> whole;
    for (unsigned run = 1; run <= 9; ++run)
        if (StateComparison::whole(run))
            whole.push_back(run);
    EXPECT_THAT(whole, testing::ElementsAre(1U, 5U, 9U));
}

} // namespace
} // namespace faultline
