// SPDX-License-Identifier: GPL-2.0
// The check that families add to each run: a difference that the scenario does not allow fails the
// run and is named, and one that it allows does not. On memory of the test's own, without a
// kernel's huge pages.
#include "engine/runner.hpp"
#include "kernel/fd.hpp"
#include "scenarios/hugetlb_experiment.hpp"

#include "fake_session.hpp"

#include <gmock/gmock.h>

#include <cstring>
#include <fmt/format.h>
#include <functional>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace faultline {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr std::size_t pages = 8;
constexpr std::size_t hole = 5;

// A file with one hole, and a mapping of it.
class SmallFile {
  public:
    SmallFile() : page_(static_cast<std::size_t>(::sysconf(_SC_PAGESIZE))) {
        const bool sized = ::ftruncate(file_.get(), static_cast<off_t>(pages * page_)) == 0;
        void* at = sized ? ::mmap(nullptr, pages * page_, PROT_READ | PROT_WRITE, MAP_SHARED,
                                  file_.get(), 0)
                         : MAP_FAILED;
        if (at == MAP_FAILED)
            return;
        start_ = static_cast<char*>(at);
        for (std::size_t page = 0; page < pages; ++page)
            if (page != hole)
                std::memset(at_page(page), static_cast<int>(page) + 1, page_);
    }
    SmallFile(const SmallFile&) = delete;
    SmallFile& operator=(const SmallFile&) = delete;
    ~SmallFile() {
        if (start_ != nullptr)
            ::munmap(start_, pages * page_);
    }
    [[nodiscard]] bool mapped() const { return start_ != nullptr; }
    [[nodiscard]] char* at_page(std::size_t page) const { return start_ + page * page_; }
    [[nodiscard]] std::size_t page_bytes() const { return page_; }
    [[nodiscard]] bool grow() const { // by a page
        struct stat now {};
        return ::fstat(file_.get(), &now) == 0 &&
               ::ftruncate(file_.get(), now.st_size + static_cast<off_t>(page_)) == 0;
    }

    [[nodiscard]] StateScope scope(const std::string& mapping, const std::string& file,
                                   bool whole) const {
        return {.mappings = {{.name = mapping,
                              .start = start_,
                              .bytes = pages * page_,
                              .content = whole,
                              .smaps = false}},
                .files = {{.name = file, .file = file_.get(), .content = whole}},
                .process = false,
                .machine = false,
                .cgroup = false};
    }

  private:
    std::size_t page_;
    Fd file_{::memfd_create("faultline-state-check", MFD_CLOEXEC)};
    char* start_ = nullptr;
};

// The events of a run, and the differences that the scenario allows beside the family's.
struct Plan {
    SmallFile file;
    std::function<void(const SmallFile&)> act = [](const SmallFile&) {};
    Allowed may_differ = {};
};

std::vector<Actor> actors_of(const Plan& plan) {
    return {{.name = "left", .body = [&plan](ActorContext&) { plan.act(plan.file); }},
            {.name = "right", .body = [](ActorContext&) {}}};
}

class OfHugetlb final : public HugetlbExperiment {
  public:
    explicit OfHugetlb(const Plan& plan) : plan_(plan) {}
    Result<void> prepare() override { return {}; }
    std::vector<Actor> actors() override { return actors_of(plan_); }
    Result<void> begin(Run& /*run*/) override { return {}; }
    Outcome judge(Run& /*run*/) override { return Outcome{}.add("ok", "yes"); }

  protected:
    [[nodiscard]] Allowed may_differ(const Run& run) const override {
        Allowed all = HugetlbExperiment::may_differ(run);
        all.insert(all.end(), plan_.may_differ.begin(), plan_.may_differ.end());
        return all;
    }
    [[nodiscard]] StateScope state_scope(bool whole) const override {
        return plan_.file.scope("file", "hugetlb", whole);
    }

  private:
    const Plan& plan_;
};

template <typename Family> class StateCheckTest : public testing::Test {
  protected:
    StateCheckTest() {
        scenario_.name = "fake";
        scenario_.variants = {{.name = "one",
                               .schedule = "left@enter:f -> right@user:go",
                               .expected = {{.words = "ok=yes"}}}};
        scenario_.make = [this](const Variant&) { return std::make_unique<Family>(plan_); };
        options_.runs = 6;
        options_.note = [](std::string_view) {};
        options_.version = "6.12.95";
        options_.machine = "x86_64";
        options_.rig.open_session = []() -> Result<std::unique_ptr<Session>> {
            return std::unique_ptr<Session>(
                std::make_unique<FakeSession>(std::make_shared<FakeKernel>()));
        };
    }
    void SetUp() override { ASSERT_TRUE(plan_.file.mapped()); }

    VariantReport run() {
        return run_variant(scenario_, scenario_.variants.front(), nullptr, options_);
    }
    // The outcomes, as they are printed.
    static std::string words(const VariantReport& report) {
        std::string all;
        for (const auto& [outcome, tally] : report.histogram)
            all += outcome + "\n";
        return all;
    }

    Plan plan_;
    Scenario scenario_;
    Options options_;
};

using Families = testing::Types<OfHugetlb>;
TYPED_TEST_SUITE(StateCheckTest, Families);

void flip_last_byte_of_page_3(const SmallFile& file) {
    char* byte = file.at_page(3) + file.page_bytes() - 1;
    *byte = static_cast<char>(*byte ^ 1);
}

TYPED_TEST(StateCheckTest, PassesWhereNothingDiffers) {
    const VariantReport report = this->run();
    EXPECT_EQ(report.verdict, Verdict::pass) << report.why;
    EXPECT_EQ(this->words(report), "ok=yes\n");
}

TYPED_TEST(StateCheckTest, ForbidsAByteThatNobodyMayChangeAndNamesIt) {
    this->plan_.act = flip_last_byte_of_page_3;
    const VariantReport report = this->run();
    EXPECT_EQ(report.verdict, Verdict::fail);
    EXPECT_THAT(this->words(report), HasSubstr("ok=yes state=bytes"));
    EXPECT_THAT(report.why, HasSubstr("page 3 bytes"));
    // The whole State is that of the runs 1 and 5; all runs are judged by the rest.
    EXPECT_EQ(report.counts.forbidden, 2U);
}

TYPED_TEST(StateCheckTest, AllowsWhatTheScenarioAllows) {
    this->plan_.act = flip_last_byte_of_page_3;
    this->plan_.may_differ = {{"mapping * page 3 bytes", "an actor writes to it"},
                              {"file * page 3 bytes", "an actor writes to it"}};
    const VariantReport report = this->run();
    EXPECT_EQ(report.verdict, Verdict::pass) << report.why;
    EXPECT_EQ(this->words(report), "ok=yes\n");
}

TYPED_TEST(StateCheckTest, AllowsOnlyThePageThatIsNamed) {
    this->plan_.act = [](const SmallFile& file) {
        flip_last_byte_of_page_3(file);
        char* byte = file.at_page(4);
        *byte = static_cast<char>(*byte ^ 1);
    };
    this->plan_.may_differ = {{"mapping * page 3 bytes", "an actor writes to it"},
                              {"file * page 3 bytes", "an actor writes to it"}};
    const VariantReport report = this->run();
    EXPECT_EQ(report.verdict, Verdict::fail);
    EXPECT_THAT(report.why, HasSubstr("page 4 bytes"));
    EXPECT_THAT(report.why, Not(HasSubstr("page 3")));
}

TYPED_TEST(StateCheckTest, AllowsAnEntryToGo) {
    this->plan_.act = [](const SmallFile& file) {
        (void)::madvise(file.at_page(2), file.page_bytes(), MADV_DONTNEED);
    };
    const VariantReport report = this->run();
    EXPECT_EQ(report.verdict, Verdict::pass) << report.why;
}

using StateCheckOfHugetlb = StateCheckTest<OfHugetlb>;

TEST_F(StateCheckOfHugetlb, ForbidsAnotherSizeUnlessAnActorCuts) {
    plan_.act = [](const SmallFile& file) { (void)file.grow(); };
    const VariantReport report = run();
    EXPECT_EQ(report.verdict, Verdict::fail);
    EXPECT_THAT(words(report), HasSubstr("state=st_size"));
    plan_.may_differ = {{"file hugetlb st_size", "an actor cuts it"},
                        {"file hugetlb page", "it has more pages"}};
    EXPECT_EQ(run().verdict, Verdict::pass);
}

} // namespace
} // namespace faultline
