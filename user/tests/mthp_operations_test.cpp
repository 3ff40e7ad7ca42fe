// SPDX-License-Identifier: GPL-2.0
// Operations on anonymous memory that a collapse works on: what they say of bytes that are right
// and of bytes that are not.
#include "operations/objects.hpp"

#include <gtest/gtest.h>

namespace faultline {
namespace {

class MthpOperations : public testing::Test {
  protected:
    void SetUp() override {
        const Value pages = Value::of(8);
        const Value flags{.type = Type::word, .number = 2}; // MAP_PRIVATE
        doing.binds = "range";
        Result<Value> made = find_operation("anon")->act(doing, Given({pages, flags}));
        ASSERT_TRUE(made);
        range = *made;
        memory = static_cast<MemoryObject*>(range.object.get());
        doing.ended = [this](std::string_view) { return rounds-- == 0; };
    }
    std::string call(std::string_view name, std::vector<Value> values) {
        const Operation* operation = find_operation(name);
        values.resize(operation->arguments.size());
        const Result<Value> result = operation->act(doing, Given(std::move(values)));
        return result ? to_string(*result) : result.error().to_string();
    }
    std::uint64_t& word(std::size_t page) {
        return *reinterpret_cast<std::uint64_t*>(memory->at(page));
    }
    [[nodiscard]] Value pages(std::size_t first, std::size_t count) const {
        Value value = range;
        value.first = first;
        value.count = count;
        return value;
    }
    static Value with(std::int64_t what) { return {.type = Type::word, .number = what}; }

    Rng rng{1};
    Places places;
    Doing doing{.rng = rng, .places = places};
    Value range;
    MemoryObject* memory = nullptr;
    unsigned rounds = 3;
};

constexpr std::int64_t data = 0;
constexpr std::int64_t zero = 1;
constexpr std::int64_t equal = 2;

TEST_F(MthpOperations, FillEveryLeavesHolesThatNobodyTouches) {
    call("fill_every", {range, Value::of(4), Value::of(2)});
    EXPECT_EQ(memory->content->filled,
              (std::vector<bool>{true, true, false, false, true, false, false, false}));
    EXPECT_EQ(call("compare", {range, with(data)}), "kept");
    EXPECT_EQ(call("compare", {range, with(zero)}), "lost");
    word(3) = 7; // in a hole
    EXPECT_EQ(call("compare", {range, with(data)}), "kept");
    word(4) ^= 1;
    EXPECT_EQ(call("compare", {range, with(data)}), "lost");
    EXPECT_EQ(call("compare", {pages(0, 4), with(data)}), "kept");
}

TEST_F(MthpOperations, CompareKnowsAPageThatAStepStoredTo) {
    call("fill_every", {range, Value::of(1), Value::of(0)});
    word(5) = memory->content->stored(5);
    EXPECT_EQ(call("compare", {range, with(data), Value::of(5)}), "kept");
    EXPECT_EQ(call("compare", {range, with(data)}), "lost");
    EXPECT_EQ(call("compare", {range, with(data), Value::of(6)}), "lost");
}

TEST_F(MthpOperations, EqualPagesAreEqual) {
    call("fill_every", {range, Value::of(2), Value::of(0)});
    EXPECT_EQ(call("fill_equal", {range}), "ok");
    EXPECT_EQ(word(0), word(2));
    EXPECT_EQ(word(1), 0U);
    EXPECT_EQ(call("compare", {range, with(equal)}), "kept");
    EXPECT_EQ(call("compare", {range, with(data)}), "lost");
}

TEST_F(MthpOperations, AChildThatReadsOtherBytesSaysSo) {
    call("fill_every", {range, Value::of(1), Value::of(0)});
    EXPECT_EQ(call("fork_reads", {range}), "ok");
    memory->at(7)[100] ^= 1;
    EXPECT_EQ(call("fork_reads", {range}), "ECHILD");
}

TEST_F(MthpOperations, TheSumIsOfEachStore) {
    call("fill_every", {range, Value::of(1), Value::of(0)});
    EXPECT_EQ(call("add", {range, Value{}, Value::of(4)}), "6"); // three rounds of two pages
    EXPECT_EQ(call("sum", {range, Value::of(6)}), "exact");
    EXPECT_EQ(call("rest", {range}), "kept");
    word(0) -= 1;
    EXPECT_EQ(call("sum", {range, Value::of(6)}), "wrong");
    memory->at(3)[4000] ^= 1;
    EXPECT_EQ(call("rest", {range}), "lost");
}

TEST_F(MthpOperations, AReaderThatSeesLessThanWasPublishedIsStale) {
    call("fill_every", {range, Value::of(1), Value::of(0)});
    EXPECT_EQ(call("publish", {pages(0, 1)}), "ok");
    EXPECT_EQ(call("publish", {pages(0, 1)}), "ok");
    EXPECT_EQ(word(0), memory->content->word(0) + 2);
    EXPECT_EQ(call("watch", {pages(0, 1)}), "right");
    word(0) -= 1;
    rounds = 1;
    EXPECT_EQ(call("watch", {pages(0, 1)}), "stale");
    rounds = 0;
    EXPECT_EQ(call("watch", {pages(0, 1)}), "none");
}

} // namespace
} // namespace faultline
