// SPDX-License-Identifier: GPL-2.0
#include "kernel/other_tasks.hpp"

#include <gmock/gmock.h>

#include <cerrno>
#include <string>
#include <sys/wait.h>
#include <unistd.h>

namespace faultline {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// Recorded on x86-64, 6.12.95.
constexpr const char* recorded = "task 1 process 1 parent 0 switches 311 off init\n"
                                 "task 90 process 90 parent 1 switches 12 off faultline-guard x\n"
                                 "task 93 process 91 parent 1 switches 7 running a: (b)\n";

TEST(OtherTasksTest, ReadsTheModulesLines) {
    const auto tasks = parse_tasks(recorded);
    ASSERT_TRUE(tasks.ok()) << tasks.error().to_string();
    EXPECT_THAT(*tasks, ElementsAre(TaskRow{1, 1, 0, 311, false, "init"},
                                    TaskRow{90, 90, 1, 12, false, "faultline-guard x"},
                                    TaskRow{93, 91, 1, 7, true, "a: (b)"}));
}

TEST(OtherTasksTest, RefusesWhatIsBroken) {
    const std::string text = recorded;
    EXPECT_EQ(parse_tasks("").error().number, EPROTO);
    EXPECT_EQ(parse_tasks(text.substr(0, text.size() - 1)).error().number, EPROTO) << "cut";
    for (const char* bad :
         {"task", "task 1 process 1 parent 0 switches 3 off", "task 1 process 1 parent 0 off a",
          "task x process 1 parent 0 switches 3 off a",
          "task 1 process 1 parent 0 switches -3 off a",
          "task 1 process 1 parent 0 switches 3 asleep a",
          "tasks 1 process 1 parent 0 switches 3 off a",
          "task  1 process 1 parent 0 switches 3 off a"})
        EXPECT_EQ(parse_tasks(text + bad + "\n").error().number, EPROTO) << bad;
}

class RanBetweenTest : public testing::Test {
  protected:
    // 50 is this process: 51 its thread, 60 its child, and 70 a child of that. 2 is another.
    const TaskRows before_ = {
        {1, 1, 0, 5, false, "init"},     {2, 2, 1, 5, false, "cron"},
        {50, 50, 1, 5, true, "own"},     {51, 50, 1, 5, false, "own"},
        {60, 60, 50, 5, false, "child"}, {70, 70, 60, 5, false, "grandchild"}};
    TaskRows after_ = before_;
    [[nodiscard]] std::vector<std::string> ran() const { return ran_between(before_, after_, 50); }
};

TEST_F(RanBetweenTest, IsNobodyOfThisProcess) {
    EXPECT_THAT(ran(), IsEmpty());
    for (const std::size_t own : {2U, 3U, 4U, 5U})
        after_[own].switches += 3;
    after_[5].running = true;
    EXPECT_THAT(ran(), IsEmpty());
    after_.push_back({61, 61, 50, 1, false, "another child"});
    after_.erase(after_.begin() + 4, after_.begin() + 6); // both are gone
    EXPECT_THAT(ran(), IsEmpty());
}

TEST_F(RanBetweenTest, IsWhoLeftACpuOrIsOnOne) {
    after_[1].switches = 6;
    EXPECT_THAT(ran(), ElementsAre("cron"));
    after_ = before_;
    after_[1].running = true;
    EXPECT_THAT(ran(), ElementsAre("cron"));
    EXPECT_THAT(ran_between(after_, before_, 50), ElementsAre("cron")) << "it was on one before";
}

TEST_F(RanBetweenTest, IsWhoCameOrWent) {
    after_.push_back({80, 80, 1, 1, false, "new"});
    after_.push_back({81, 80, 1, 1, false, "new"});
    after_.erase(after_.begin() + 1);
    EXPECT_THAT(ran(), ElementsAre("cron", "new"));
}

TEST(FirstProcessTest, IsTheSameInAChild) {
    ASSERT_EQ(first_process(), ::getpid());
    const pid_t child = ::fork();
    if (child == 0)
        ::_exit(first_process() == ::getppid() ? 0 : 1);
    int status = -1;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
}

} // namespace
} // namespace faultline
