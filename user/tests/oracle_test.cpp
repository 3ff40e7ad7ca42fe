// SPDX-License-Identifier: GPL-2.0
// The oracle on States of a real file and its mapping. Each relaxation has a case that fits by it,
// and cases beyond it that still differ.
#include "explore/oracle.hpp"

#include "kernel/fd.hpp"

#include <cstring>
#include <fcntl.h>
#include <functional>
#include <gmock/gmock.h>
#include <linux/falloc.h>
#include <sys/mman.h>
#include <unistd.h>

namespace faultline {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

using Results = std::vector<std::pair<std::string, std::string>>;

// A file "f" of 8 pages, of which page 5 is a hole, and its mapping, also "f".
class OracleTest : public testing::Test {
  protected:
    static constexpr std::size_t count = 8;
    static constexpr std::size_t hole = 5;

    void SetUp() override {
        ASSERT_TRUE(file_.valid());
        ASSERT_EQ(::ftruncate(file_.get(), static_cast<off_t>(count * page_)), 0);
        void* mapped =
            ::mmap(nullptr, count * page_, PROT_READ | PROT_WRITE, MAP_SHARED, file_.get(), 0);
        ASSERT_NE(mapped, MAP_FAILED);
        memory_ = static_cast<char*>(mapped);
        // A change of a neighbour page would be another difference.
        (void)::madvise(memory_, count * page_, MADV_NOHUGEPAGE);
        // A memfd's file system counters are those of the whole machine.
        rules.unstable = {{"file f statfs", "other tasks have files there"}};
    }
    void TearDown() override {
        if (memory_ != nullptr)
            ::munmap(memory_, count * page_);
    }

    // The state that a run leaves which does `act` to a fresh file.
    Observation after(const std::function<void()>& act, Results results) {
        EXPECT_EQ(::ftruncate(file_.get(), 0), 0);
        EXPECT_EQ(::ftruncate(file_.get(), static_cast<off_t>(count * page_)), 0);
        for (std::size_t page = 0; page < count; ++page)
            if (page != hole)
                std::memset(memory_ + page * page_, static_cast<int>('A' + page), page_);
        Observation seen{.results = std::move(results)};
        seen.before = take();
        act();
        seen.after = take();
        return seen;
    }
    [[nodiscard]] State take() const {
        Result<State> state = State::take(
            {.mappings = {{.name = "f", .start = memory_, .bytes = count * page_, .smaps = false}},
             .files = {{.name = "f", .file = file_.get()}},
             .process = false,
             .machine = false,
             .cgroup = false});
        EXPECT_TRUE(state.ok()) << state.error().to_string();
        return std::move(*state);
    }

    // The operations.
    void cut(std::size_t pages) const {
        EXPECT_EQ(::ftruncate(file_.get(), static_cast<off_t>(pages * page_)), 0);
    }
    void write(std::size_t page, char what = 'x') const {
        EXPECT_EQ(::pwrite(file_.get(), &what, 1, static_cast<off_t>(page * page_)), 1);
    }
    void drop(std::size_t page) const {
        EXPECT_EQ(::madvise(memory_ + page * page_, page_, MADV_DONTNEED), 0);
    }
    void punch(std::size_t page) const {
        EXPECT_EQ(::fallocate(file_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                              static_cast<off_t>(page * page_), static_cast<off_t>(page_)),
                  0);
    }

    // "cut" cuts the file to 4 pages, "write" writes to page 6, which makes the file longer again.
    void take_cut_and_write() {
        references = {{.name = "cut, write",
                       .absent = {},
                       .seen = after(
                           [this] {
                               cut(4);
                               write(6);
                           },
                           {{"cut", "ok"}, {"write", "long"}})},
                      {.name = "write, cut",
                       .absent = {},
                       .seen = after(
                           [this] {
                               write(6);
                               cut(4);
                           },
                           {{"cut", "ok"}, {"write", "in"}})},
                      {.name = "write alone",
                       .absent = {"cut"},
                       .seen = after([this] { write(6); }, {{"write", "in"}})},
                      {.name = "cut alone",
                       .absent = {"write"},
                       .seen = after([this] { cut(4); }, {{"cut", "ok"}})}};
    }

    [[nodiscard]] Judgement judged(const Observation& seen) const {
        return judge(seen, references, rules);
    }

    std::vector<Reference> references;
    Rules rules;

  private:
    std::size_t page_ = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    Fd file_{::memfd_create("faultline-oracle", MFD_CLOEXEC)};
    char* memory_ = nullptr;
};

TEST_F(OracleTest, ARunLikeASerialOneFits) {
    take_cut_and_write();
    const Judgement first = judged(after(
        [this] {
            cut(4);
            write(6);
        },
        {{"write", "long"}, {"cut", "ok"}}));
    EXPECT_TRUE(first.fits) << first.text;
    EXPECT_EQ(first.by, "cut, write");
    EXPECT_FALSE(first.relaxed);
    EXPECT_EQ(first.signature, "");
    const Judgement second = judged(after([this] { cut(4); }, {{"cut", "ok"}, {"write", "in"}}));
    EXPECT_TRUE(second.fits) << second.text;
    EXPECT_EQ(second.by, "write, cut");
}

TEST_F(OracleTest, AWrongWordIsADifference) {
    take_cut_and_write();
    const auto act = [this] { cut(4); };
    const Judgement wrong = judged(after(act, {{"cut", "ok"}, {"write", "EIO"}}));
    EXPECT_FALSE(wrong.fits);
    EXPECT_EQ(wrong.signature, "write=EIO");
    EXPECT_EQ(wrong.text, "write=EIO, serially in or long");
    const Judgement missing = judged(after(act, {{"cut", "ok"}}));
    EXPECT_EQ(missing.signature, "write=-") << "a step that was not reached";
    const Judgement more = judged(after(act, {{"cut", "ok"}, {"write", "in"}, {"new", "ok"}}));
    EXPECT_EQ(more.signature, "new=ok");
    EXPECT_THAT(more.text, HasSubstr("new=ok, serially -"));
}

// Each is that of some serial run, but of another one.
TEST_F(OracleTest, TheWordsOfOneOrderWithTheStateOfAnotherAreADifference) {
    take_cut_and_write();
    const Judgement mixed = judged(after([this] { cut(4); }, {{"cut", "ok"}, {"write", "long"}}));
    EXPECT_FALSE(mixed.fits);
    EXPECT_THAT(mixed.signature, HasSubstr("file f st_size"));
    EXPECT_THAT(mixed.text, HasSubstr("against \"cut, write\": ")) << "which has these words";
}

TEST_F(OracleTest, AWrongPageIsADifferenceWithoutItsNumberInTheSignature) {
    take_cut_and_write();
    const auto with_page = [this](std::size_t page) {
        return judged(after(
            [this, page] {
                write(6);
                cut(4);
                write(page);
            },
            {{"cut", "ok"}, {"write", "in"}}));
    };
    const Judgement one = with_page(1);
    EXPECT_FALSE(one.fits);
    EXPECT_EQ(one.signature, "file f page N bytes; mapping f page N bytes");
    EXPECT_THAT(one.text, HasSubstr("against \"write, cut\": "));
    EXPECT_THAT(one.text, HasSubstr("file f page 1 bytes: "));
    EXPECT_EQ(with_page(3).signature, one.signature);
    const Judgement both = judged(after(
        [this] {
            cut(4);
            write(1);
            write(3);
        },
        {{"cut", "ok"}, {"write", "in"}}));
    EXPECT_EQ(both.signature, one.signature) << "equal differences of many pages are one";
}

TEST_F(OracleTest, AWrongSizeIsADifference) {
    take_cut_and_write();
    const Judgement wrong = judged(after([this] { cut(3); }, {{"cut", "ok"}, {"write", "in"}}));
    EXPECT_FALSE(wrong.fits);
    EXPECT_THAT(wrong.signature, HasSubstr("file f st_size"));
    EXPECT_THAT(wrong.signature, HasSubstr("file f page N bytes"));
}

TEST_F(OracleTest, AStateThatCouldNotBeTakenIsADifference) {
    take_cut_and_write();
    Observation seen = after([this] { cut(4); }, {{"cut", "ok"}, {"write", "in"}});
    seen.after.reset();
    EXPECT_EQ(judged(seen).signature, "state");
    for (Reference& reference : references)
        reference.seen.after.reset();
    EXPECT_TRUE(judged(seen).fits) << "of words alone";
}

TEST_F(OracleTest, WithoutReferencesNothingFits) {
    rules.relaxations = {{.actor = "cut", .absent = true, .why = ""},
                         {.actor = "cut", .each_page = true, .why = ""},
                         {.actor = "cut", .may_differ = "file, mapping", .why = ""}};
    const Observation seen = after([] {}, {{"cut", "ok"}});
    EXPECT_EQ(judged(seen).signature, "no reference");
    EXPECT_FALSE(judged(seen).fits);
    // One that may not be used is none.
    references = {{.name = "cut alone", .absent = {"write"}, .seen = seen}};
    EXPECT_EQ(judged(seen).signature, "no reference");
}

TEST_F(OracleTest, AnAbsentActorNeedsARelaxation) {
    take_cut_and_write();
    const auto act = [this] { write(6); };
    const Observation seen = after(act, {{"cut", "EAGAIN"}, {"write", "in"}});
    EXPECT_FALSE(judged(seen).fits);
    rules.relaxations = {
        {.actor = "cut", .when = "cut=EAGAIN|EBUSY", .absent = true, .why = "it gives up"}};
    const Judgement relaxed = judged(seen);
    EXPECT_TRUE(relaxed.fits) << relaxed.text;
    EXPECT_TRUE(relaxed.relaxed);
    EXPECT_EQ(relaxed.by, "write alone: it gives up");
    // Not for another actor, nor for another result.
    rules.relaxations[0].actor = "write";
    EXPECT_FALSE(judged(seen).fits);
    rules.relaxations[0].actor = "cut";
    EXPECT_FALSE(judged(after(act, {{"cut", "ok"}, {"write", "in"}})).fits);
    EXPECT_FALSE(judged(after(act, {{"cut", "EINVAL"}, {"write", "in"}})).fits);
    EXPECT_FALSE(judged(after(act, {{"write", "in"}})).fits) << "it has no result";
}

TEST_F(OracleTest, AnAbsentActorHasDoneNothingAtAll) {
    take_cut_and_write();
    rules.relaxations = {
        {.actor = "cut", .when = "cut=EAGAIN", .absent = true, .why = "it gives up"}};
    const Results gave_up = {{"cut", "EAGAIN"}, {"write", "in"}};
    const Judgement half = judged(after(
        [this] {
            write(6);
            punch(7);
        },
        gave_up));
    EXPECT_FALSE(half.fits);
    EXPECT_THAT(half.text, HasSubstr("against \"write alone\""));
    EXPECT_FALSE(judged(after([this] { cut(4); }, gave_up)).fits) << "it has done all";
    EXPECT_FALSE(judged(after([] {}, gave_up)).fits) << "the other one has done nothing";
    EXPECT_FALSE(judged(after([this] { write(6); }, {{"cut", "EAGAIN"}, {"write", "EIO"}})).fits)
        << "the other one has another result";
}

// A reference from which two actors are absent needs both relaxations.
TEST_F(OracleTest, TwoAbsentActorsNeedTwoRelaxations) {
    const auto nothing = [] {};
    references = {{.name = "all",
                   .absent = {},
                   .seen = after([this] { cut(4); }, {{"a", "ok"}, {"b", "ok"}})},
                  {.name = "nobody", .absent = {"a", "b"}, .seen = after(nothing, {})}};
    const Observation seen = after(nothing, {{"a", "EAGAIN"}, {"b", "EAGAIN"}});
    rules.relaxations = {{.actor = "a", .when = "a=EAGAIN", .absent = true, .why = "a"}};
    EXPECT_FALSE(judged(seen).fits);
    rules.relaxations.push_back({.actor = "b", .when = "b=EAGAIN", .absent = true, .why = "b"});
    EXPECT_TRUE(judged(seen).fits);
}

class EachPageTest : public OracleTest {
  protected:
    // "x" and "y" write to the pages 1 and 2 of a file that they make 6 and 8 pages long.
    void SetUp() override {
        OracleTest::SetUp();
        references = {{.name = "x, y", .absent = {}, .seen = run('y', 'y', 8, "first", "last")},
                      {.name = "y, x", .absent = {}, .seen = run('x', 'x', 6, "last", "first")}};
        rules.relaxations = {{.actor = "x", .each_page = true, .why = "it goes from page to page"}};
    }
    Observation run(char one, char two, std::size_t pages, const std::string& x,
                    const std::string& y) {
        return after(
            [=, this] {
                write(1, one);
                write(2, two);
                cut(pages);
            },
            {{"x", x}, {"y", y}});
    }
};

TEST_F(EachPageTest, MayBeThatOfAnotherReference) {
    const Observation seen = run('x', 'y', 8, "first", "last");
    const Judgement relaxed = judged(seen);
    EXPECT_TRUE(relaxed.fits) << relaxed.text;
    EXPECT_TRUE(relaxed.relaxed);
    EXPECT_EQ(relaxed.by, "it goes from page to page");
    EXPECT_TRUE(judged(run('y', 'x', 6, "first", "first")).fits) << "results, too, are mixed";
    EXPECT_FALSE(judged(run('x', 'x', 6, "last", "first")).relaxed) << "a serial order";
    rules.relaxations[0].when = "x=last";
    EXPECT_FALSE(judged(seen).fits);
    rules.relaxations.clear();
    EXPECT_FALSE(judged(seen).fits);
}

TEST_F(EachPageTest, IsThatOfSomeReference) {
    const Judgement wrong = judged(run('x', 'z', 8, "first", "last"));
    EXPECT_FALSE(wrong.fits);
    EXPECT_EQ(wrong.signature, "file f page N bytes; mapping f page N bytes");
    EXPECT_FALSE(judged(after(
                            [this] {
                                write(1, 'x');
                                write(2, 'y');
                                write(3, 'x'); // a page that neither writes to
                            },
                            {{"x", "first"}, {"y", "last"}}))
                     .fits);
}

TEST_F(EachPageTest, LeavesEachResultThatOfSomeReference) {
    EXPECT_FALSE(judged(run('x', 'y', 8, "first", "EIO")).fits);
    EXPECT_FALSE(judged(run('x', 'y', 8, "first", "-")).fits);
}

TEST_F(EachPageTest, OtherValuesLieBetweenThoseOfTheReferences) {
    EXPECT_TRUE(judged(run('x', 'y', 7, "first", "last")).fits) << "7 pages";
    const Judgement longer = judged(run('x', 'y', 9, "first", "last"));
    EXPECT_FALSE(longer.fits);
    EXPECT_THAT(longer.signature, HasSubstr("file f st_size"));
    EXPECT_FALSE(judged(run('x', 'y', 5, "first", "last")).fits);
}

// A reference that leaves an actor out counts only if that actor may be absent.
TEST_F(EachPageTest, UsesNoReferenceThatMayNotBeUsed) {
    references.push_back(
        {.name = "y alone", .absent = {"x"}, .seen = run('z', 'z', 8, "", "last")});
    references.back().seen.results = {{"y", "last"}};
    const Observation seen = run('x', 'z', 8, "gave-up", "last");
    EXPECT_FALSE(judged(seen).fits);
    rules.relaxations.push_back({.actor = "x", .when = "x=gave-up", .absent = true, .why = "a"});
    EXPECT_TRUE(judged(seen).fits) << judged(seen).text;
    EXPECT_FALSE(judged(run('x', 'z', 8, "first", "last")).fits);
}

class MayDifferTest : public OracleTest {
  protected:
    void SetUp() override {
        OracleTest::SetUp();
        references = {{.name = "drop", .absent = {}, .seen = after([] {}, {{"drop", "ok"}})}};
        rules.relaxations = {
            {.actor = "drop",
             .may_differ = "mapping * page 1-4 pagemap-present|pagemap-file|pagemap-exclusive, "
                           "mapping * page 1-4 bytes",
             .why = "faults map them again"}};
    }
};

TEST_F(MayDifferTest, NamesWhatMay) {
    const Observation seen = after([this] { drop(3); }, {{"drop", "ok"}});
    const Judgement judgement = judged(seen);
    EXPECT_TRUE(judgement.fits) << judgement.text;
    EXPECT_EQ(judgement.by, "drop");
    rules.relaxations[0].when = "drop=EAGAIN";
    EXPECT_FALSE(judged(seen).fits);
    rules.relaxations.clear();
    EXPECT_FALSE(judged(seen).fits);
}

TEST_F(MayDifferTest, NamesNothingElse) {
    const Judgement other_page = judged(after([this] { drop(6); }, {{"drop", "ok"}}));
    EXPECT_FALSE(other_page.fits);
    EXPECT_THAT(other_page.signature, HasSubstr("mapping f page N pagemap-present"));
    // The bytes of the file are not those of its mapping.
    const Judgement other_value = judged(after([this] { write(3); }, {{"drop", "ok"}}));
    EXPECT_FALSE(other_value.fits);
    EXPECT_EQ(other_value.signature, "file f page N bytes");
    const Judgement other_bit = judged(after([this] { punch(3); }, {{"drop", "ok"}}));
    EXPECT_FALSE(other_bit.fits);
    EXPECT_THAT(other_bit.signature, HasSubstr("mapping f page N mincore"));
    EXPECT_THAT(other_bit.signature, Not(HasSubstr("pagemap")));
    EXPECT_FALSE(judged(after([] {}, {{"drop", "EIO"}})).fits) << "a result";
}

TEST_F(OracleTest, UnstableValuesAreNotCompared) {
    take_cut_and_write();
    const auto act = [this] {
        cut(4);
        write(1);
    };
    const Results results = {{"cut", "slow"}, {"write", "in"}};
    EXPECT_FALSE(judged(after(act, results)).fits);
    rules.unstable.push_back({"result cut", "differs"});
    EXPECT_FALSE(judged(after(act, results)).fits);
    rules.unstable.push_back({"file f page 1 bytes", "differs"});
    rules.unstable.push_back({"mapping f page 1 bytes", "differs"});
    const Judgement judgement = judged(after(act, results));
    EXPECT_TRUE(judgement.fits) << judgement.text;
    EXPECT_FALSE(judgement.relaxed);
    EXPECT_FALSE(judged(after(act, {{"cut", "slow"}, {"write", "EIO"}})).fits);
    EXPECT_FALSE(judged(after(
                            [this] {
                                cut(4);
                                write(2);
                            },
                            results))
                     .fits);
}

std::vector<std::string> names_of(const std::vector<Difference>& differences) {
    std::vector<std::string> all;
    for (const Difference& one : differences)
        if (!one.name.starts_with("file f statfs"))
            all.push_back(one.name);
    return all;
}

// The names that become unstable after two equal serial runs.
TEST_F(OracleTest, AllDifferencesAreThoseOfStatesAndOfResults) {
    const Observation plain = after([] {}, {{"a", "1"}, {"b", "1"}});
    const Observation other = after([this] { write(1); }, {{"b", "1"}, {"a", "2"}, {"c", "3"}});
    EXPECT_THAT(names_of(all_differences(plain, plain)), IsEmpty());
    EXPECT_THAT(
        names_of(all_differences(plain, other)),
        ElementsAre("file f page 1 bytes", "mapping f page 1 bytes", "result a", "result c"));
    EXPECT_THAT(
        names_of(all_differences(other, plain)),
        ElementsAre("file f page 1 bytes", "mapping f page 1 bytes", "result a", "result c"))
        << "either has all";
    // So that the value is then not compared.
    for (const Difference& one : all_differences(plain, other))
        rules.unstable.push_back({one.name, "differs"});
    references = {{.name = "plain", .absent = {}, .seen = plain}};
    EXPECT_TRUE(judged(other).fits) << judged(other).text;
}

// An object may be called as it likes.
TEST(OracleNames, AMappingCalledPageIsNoPage) {
    const std::size_t page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    const Fd file(::memfd_create("faultline-oracle", MFD_CLOEXEC));
    ASSERT_EQ(::ftruncate(file.get(), static_cast<off_t>(2 * page)), 0);
    const auto seen = [&](char what) {
        EXPECT_EQ(::pwrite(file.get(), &what, 1, static_cast<off_t>(page)), 1);
        Result<State> state = State::take({.files = {{.name = "page", .file = file.get()}},
                                           .process = false,
                                           .machine = false,
                                           .cgroup = false});
        EXPECT_TRUE(state.ok());
        return Observation{.results = {}, .before = *state, .after = *state};
    };
    const std::vector<Reference> references = {{.name = "r", .absent = {}, .seen = seen('x')}};
    const Rules rules{.relaxations = {}, .unstable = {{"file * statfs", "of others"}}};
    EXPECT_EQ(judge(seen('y'), references, rules).signature, "file page page N bytes");
}

// Counters of the machine: what they are differs from run to run, how much they grow does not. The
// file makes one of them grow by far more than other tasks may; the others may differ here.
class GrowthTest : public testing::Test {
  protected:
    static constexpr std::string_view counter = "machine meminfo Shmem";

    void SetUp() override {
        states = {take(0), take(32), take(64)};
        for (const auto& [name, value] : states[0].counters())
            if (name != counter)
                rules.unstable.push_back({name, "of all tasks"});
        ASSERT_LT(states[0].value(counter), states[1].value(counter));
        ASSERT_LT(states[1].value(counter), states[2].value(counter));
    }
    // With a file of so many MiB.
    State take(std::size_t mib) const {
        EXPECT_TRUE(mib == 0 || ::fallocate(file_.get(), 0, 0, static_cast<off_t>(mib << 20)) == 0);
        Result<State> state =
            State::take({.mappings = {}, .files = {}, .process = false, .cgroup = false});
        EXPECT_TRUE(state.ok()) << state.error().to_string();
        return std::move(*state);
    }
    [[nodiscard]] Observation from(std::size_t before, std::size_t after) const {
        return {.results = {}, .before = states[before], .after = states[after]};
    }

    Fd file_{::memfd_create("faultline-oracle", MFD_CLOEXEC)};
    std::vector<State> states;
    Rules rules;
};

TEST_F(GrowthTest, IsComparedNotTheValue) {
    const std::vector<Reference> references = {
        {.name = "nothing", .absent = {}, .seen = from(0, 0)}};
    const Judgement same = judge(from(1, 1), references, rules);
    EXPECT_TRUE(same.fits) << same.text;
    const Judgement more = judge(from(0, 1), references, rules);
    EXPECT_FALSE(more.fits);
    EXPECT_EQ(more.signature, counter);
    EXPECT_FALSE(judge(from(1, 0), references, rules).fits) << "less is another growth, too";
    Observation unknown = from(1, 1);
    unknown.before.reset();
    EXPECT_FALSE(judge(unknown, references, rules).fits) << "no growth is known";
    rules.unstable.push_back({std::string(counter), "of all tasks"});
    EXPECT_TRUE(judge(from(0, 1), references, rules).fits);
}

TEST_F(GrowthTest, MayLieBetweenThoseOfTheReferencesWherePagesMayBeMixed) {
    const std::vector<Reference> references = {
        {.name = "nothing", .absent = {}, .seen = from(1, 1)},
        {.name = "much", .absent = {}, .seen = from(0, 2)}};
    EXPECT_FALSE(judge(from(0, 1), references, rules).fits);
    rules.relaxations = {{.actor = "a", .each_page = true, .why = "page by page"}};
    EXPECT_TRUE(judge(from(0, 1), references, rules).fits);
    EXPECT_FALSE(judge(from(1, 0), references, rules).fits) << "less than all";
    const std::vector<Reference> little = {references[0],
                                           {.name = "some", .absent = {}, .seen = from(0, 1)}};
    EXPECT_FALSE(judge(from(0, 2), little, rules).fits) << "more than all";
}

} // namespace
} // namespace faultline
