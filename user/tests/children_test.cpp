// SPDX-License-Identifier: GPL-2.0
// A child that shares memory: what it sees of stores, and what becomes of it.
#include "operations/objects.hpp"

#include <csignal>
#include <gtest/gtest.h>
#include <sys/uio.h>
#include <sys/wait.h>

namespace faultline {
namespace {

class Children : public testing::Test {
  protected:
    void SetUp() override {
        const Value flags{.type = Type::word, .number = 2}; // MAP_PRIVATE
        doing.binds = "range";
        range = call("anon", {Value::of(4), flags});
        memory = static_cast<MemoryObject*>(range.object.get());
        call("fill_every", {range, Value::of(2), Value::of(0)});
        child = call("fork_sharing", {range});
        ASSERT_EQ(child.type, Type::child) << child.text;
    }
    Value call(std::string_view name, std::vector<Value> values) {
        const Operation* operation = find_operation(name);
        values.resize(operation->arguments.size());
        Result<Value> result = operation->act(doing, Given(std::move(values)));
        return result ? *result : Value::of_word(result.error().to_string());
    }
    std::string sees() { return to_string(call("child_sees", {child, range})); }
    std::uint64_t& word(std::size_t page) {
        return *reinterpret_cast<std::uint64_t*>(memory->at(page));
    }

    Rng rng{1};
    Places places;
    Doing doing{.rng = rng, .places = places};
    Value range;
    Value child;
    MemoryObject* memory = nullptr;
};

TEST_F(Children, SeeThePagesOfTheForkWhateverTheParentStores) {
    EXPECT_EQ(sees(), "kept");
    word(0) = memory->stored(0);
    word(1) = memory->stored(1);
    EXPECT_EQ(sees(), "kept");
    memory->content->filled[3] = true; // it is not
    EXPECT_EQ(sees(), "lost");
}

TEST_F(Children, AStoreInTheirMemoryIsSeen) {
    std::uint64_t stored = memory->stored(0);
    const iovec from{&stored, sizeof(stored)};
    const iovec to{memory->at(0), sizeof(stored)};
    ASSERT_NE(
        ::process_vm_writev(static_cast<ChildObject&>(*child.object).pid, &from, 1, &to, 1, 0), -1);
    EXPECT_EQ(sees(), "stored");
}

TEST_F(Children, EndWithTheirObject) {
    const pid_t pid = static_cast<ChildObject&>(*child.object).pid;
    EXPECT_EQ(::kill(pid, 0), 0);
    child = {};
    EXPECT_NE(::kill(pid, 0), 0);
    EXPECT_EQ(::waitpid(pid, nullptr, WNOHANG), -1) << "it was waited for";
}

TEST_F(Children, OneThatIsGoneIsAnError) {
    auto& object = static_cast<ChildObject&>(*child.object);
    ::kill(object.pid, SIGKILL);
    ::waitpid(object.pid, nullptr, 0);
    EXPECT_NE(sees().find("ESRCH"), std::string::npos);
    object.pid = 0;
}

} // namespace
} // namespace faultline
