// SPDX-License-Identifier: GPL-2.0
// Settings on ordinary files: restored when they go, and by the guardian when the driver is killed.
#include "kernel/settings.hpp"

#include "kernel/fd.hpp"

#include <chrono>
#include <csignal>
#include <filesystem>
#include <gmock/gmock.h>
#include <sys/wait.h>
#include <thread>

namespace faultline {
namespace {

class SettingsTest : public testing::Test {
  protected:
    SettingsTest() {
        std::string name = testing::TempDir() + "faultline-settings-XXXXXX";
        directory = ::mkdtemp(name.data());
    }
    ~SettingsTest() override { std::filesystem::remove_all(directory); }

    // A file with this text, as sysfs would have it.
    std::string file(const std::string& name, const std::string& text) {
        std::string path = directory + "/" + name;
        const Result<Fd> made = Fd::open(path, O_WRONLY | O_CREAT | O_TRUNC);
        EXPECT_TRUE(made.ok());
        EXPECT_TRUE(write_all(made->get(), text).ok());
        return path;
    }
    static std::string now(const std::string& path) {
        return read_text(path).value_or("unreadable");
    }

    // Bounded: the guardian acts soon after the driver's end, not before waitpid() returns.
    static bool becomes(const std::string& path, const std::string& text) {
        for (int i = 0; i < 1000 && now(path) != text; ++i)
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
        return now(path) == text;
    }

    std::string directory;
};

TEST_F(SettingsTest, ReadsTheChosenWord) {
    EXPECT_EQ(*read_setting(file("a", "always [madvise] never\n")), "madvise");
    EXPECT_EQ(*read_setting(file("b", "42\n")), "42");
    EXPECT_EQ(*read_setting(file("c", "4096\t87380\t6291456\n")), "4096\t87380\t6291456");
    EXPECT_EQ(read_setting(directory + "/none").error().number, ENOENT);
}

TEST_F(SettingsTest, RestoresWhenItGoes) {
    const std::string path = file("enabled", "always [madvise] never\n");
    {
        const Result<Setting> setting = Setting::set(path, "never");
        ASSERT_TRUE(setting.ok());
        EXPECT_EQ(now(path), "never");
        EXPECT_EQ(setting->old_value(), "madvise");
    }
    EXPECT_EQ(now(path), "madvise");
}

TEST_F(SettingsTest, NestsAndMoves) {
    const std::string path = file("value", "1\n");
    {
        Result<Setting> outer = Setting::set(path, "2");
        ASSERT_TRUE(outer.ok());
        const Setting kept = std::move(*outer);
        {
            const Result<Setting> inner = Setting::set(path, "3");
            ASSERT_TRUE(inner.ok());
            EXPECT_EQ(now(path), "3");
        }
        EXPECT_EQ(now(path), "2");
    }
    EXPECT_EQ(now(path), "1");
}

TEST_F(SettingsTest, RestoreReportsFailureAndIsDoneOnce) {
    const std::string path = file("value", "1");
    Result<Setting> setting = Setting::set(path, "2");
    ASSERT_TRUE(setting.ok());
    ASSERT_TRUE(setting->restore().ok());
    EXPECT_EQ(now(path), "1");
    ASSERT_TRUE(write_text(path, "other").ok());
    EXPECT_TRUE(setting->restore().ok());
    EXPECT_EQ(now(path), "other");

    Result<Setting> doomed = Setting::set(path, "2");
    ASSERT_TRUE(doomed.ok());
    std::filesystem::remove(path);
    EXPECT_EQ(doomed->restore().error().number, ENOENT);
}

TEST_F(SettingsTest, AMissingFileChangesNothing) {
    EXPECT_EQ(Setting::set(directory + "/none", "1").error().number, ENOENT);
    EXPECT_FALSE(std::filesystem::exists(directory + "/none"));
}

class KilledBy : public SettingsTest, public testing::WithParamInterface<int> {};

TEST_P(KilledBy, TheGuardianRestores) {
    const std::string first = file("first", "[on] off\n");
    const std::string second = file("second", "10\n");
    const std::string finished = file("finished", "5\n");
    const pid_t driver = ::fork();
    ASSERT_GE(driver, 0);
    if (driver == 0) {
        const Result<Setting> a = Setting::set(first, "off");
        const Result<Setting> b = Setting::set(second, "20");
        const Result<Setting> again = Setting::set(second, "30");
        { const Result<Setting> gone = Setting::set(finished, "6"); }
        if (!a || !b || !again || !write_text(finished, "7"))
            ::_exit(1);
        ::kill(::getpid(), GetParam());
        ::_exit(2);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(driver, &status, 0), driver);
    ASSERT_TRUE(WIFSIGNALED(status)) << status;
    EXPECT_EQ(WTERMSIG(status), GetParam());
    EXPECT_TRUE(becomes(first, "on")) << now(first);
    EXPECT_TRUE(becomes(second, "10")) << now(second);
    EXPECT_EQ(now(finished), "7") << "what was restored already is nobody's any more";
}

INSTANTIATE_TEST_SUITE_P(AnySignal, KilledBy, testing::Values(SIGKILL, SIGTERM, SIGINT, SIGABRT));

} // namespace
} // namespace faultline
