// SPDX-License-Identifier: GPL-2.0
// The operations of scenario steps: one row for each. A row has the arguments and the result, so
// that a file of steps is checked before it runs, and `faultline ops` prints it. A C++ scenario
// calls the same rows with find_operation().
#ifndef FAULTLINE_OPERATIONS_OPERATION_HPP
#define FAULTLINE_OPERATIONS_OPERATION_HPP

#include "engine/scenario.hpp"
#include "kernel/result.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace faultline {

enum class Type {
    nothing,
    number,
    word,  // of an argument: one of its constants; of a result: one of the row's words
    error, // of a result: "ok" or the name of an errno
    text,  // in quotation marks
    actor,
    file,
    memory,
    pages, // of an argument: pages of a file or of memory
    userfaultfd,
    pipe,
    mount,
    swap,
    khugepaged,
    pool,
    cgroup,
    trace,
    log,
    counts,
    state,
    frames,
    frame,
    notifier,
    child,
    tables, // PTE tables that no mm uses
    lives,  // what became of such tables
    clock,
    meeting,
    vmemmap,
    site,  // of an argument: user:NAME of this actor, as of a step "at NAME"
    other, // an object that only lives: a setting
};
std::string_view to_string(Type type); // "a file", for messages and `faultline ops`

class Object {
  public:
    Object() = default;
    Object(const Object&) = delete;
    Object& operator=(const Object&) = delete;
    virtual ~Object() = default;
};

// The value of an argument, or the result of an operation.
struct Value {
    Type type = Type::nothing;
    std::int64_t number = 0;             // also an errno, and the number of a constant
    std::string text = {};               // of a word, a text, an actor
    std::shared_ptr<Object> object = {}; // `text` is its name then
    std::size_t first = 0;               // the pages of the object that are meant
    std::size_t count = 0;

    static Value of(std::int64_t number) { return {.type = Type::number, .number = number}; }
    static Value of_error(int number) { return {.type = Type::error, .number = number}; }
    static Value of_word(std::string_view word) {
        return {.type = Type::word, .text = std::string(word)};
    }
    static Value of_object(Type type, std::shared_ptr<Object> object, std::size_t count = 0) {
        return {.type = type, .object = std::move(object), .count = count};
    }
};
// As an outcome has it: "ok", "EBUSY", "hole", "3".
std::string to_string(const Value& value);
// The errno of a name, "ENXIO"; nothing for a name that is none.
std::optional<int> errno_of(std::string_view name);

struct Constant {
    std::string_view name;
    std::int64_t number = 0;
};

struct Argument {
    std::string_view name;
    Type type = Type::number;
    std::vector<Constant> constants = {}; // of a word
    // What it is if it is not given: a constant's name or a number. Nothing: it must be given.
    std::optional<std::string_view> otherwise = {};
};

// An address range of this experiment, for all runs, by the name of its mapping.
class Places {
  public:
    Places() = default;
    Places(const Places&) = delete;
    Places& operator=(const Places&) = delete;
    ~Places();
    // The same address for the same name and size.
    Result<char*> take(const std::string& name, std::size_t bytes, std::size_t alignment);
    // How often it has been taken.
    [[nodiscard]] unsigned times(const char* start) const;
    // Somebody else may have got a part of it.
    void lose(const char* start);
    // The `value` of the first call with this name.
    std::uint64_t first_of(const std::string& name, std::uint64_t value) {
        return firsts_.emplace(name, value).first->second;
    }
    // The experiment's cgroups, for its states.
    void keep_cgroup(std::weak_ptr<Object> cgroup) {
        std::erase_if(cgroups_, [](const std::weak_ptr<Object>& one) { return one.expired(); });
        cgroups_.push_back(std::move(cgroup));
    }
    [[nodiscard]] const std::vector<std::weak_ptr<Object>>& cgroups() const { return cgroups_; }

  private:
    struct Place {
        char* reserved = nullptr;
        std::size_t reserved_bytes = 0;
        char* start = nullptr;
        std::size_t bytes = 0;
        bool lost = false;
        unsigned times = 0;
    };
    // Below all that the kernel maps by itself: kernel/state.cpp need not read of that in smaps.
    static constexpr std::uintptr_t first_place = 0x200000000;
    // NOLINTNEXTLINE(performance-no-int-to-ptr): an address that nothing has yet
    char* hint_ = reinterpret_cast<char*>(first_place);
    std::map<std::string, Place> places_;
    std::map<std::string, std::uint64_t> firsts_;
    std::vector<std::weak_ptr<Object>> cgroups_;
};

// Where and when an operation is done.
struct Doing {
    Rng& rng;
    Places& places;
    std::string_view binds = {}; // the name that its result gets; "" = none
    std::function<bool()> stopping = [] { return false; };
    std::function<bool(std::string_view actor)> begun = [](std::string_view) { return true; };
    std::function<bool(std::string_view actor)> ended = [](std::string_view) { return true; };
    std::function<pid_t(std::string_view actor)> task_of = [](std::string_view) { return 0; };
    // In an actor: the process that this one is, or whose thread it is. 0: it has not begun.
    std::function<pid_t(std::string_view actor)> process_of = [](std::string_view) { return 0; };
    // In an actor that is a process: it is about to end, and the others need not wait for it.
    std::function<void()> leave = {};
    Run* run = nullptr; // in setup and judge
    // In judge: the explanation of a forbidden result, beside its word.
    std::function<void(const std::string& text)> tell = [](const std::string&) {};
    // In judge: of a state. Nothing in an actor, which nobody hears.
    std::function<void(const NotCompared& one)> not_compared = {};
    // In an actor: ActorContext::at_reading().
    std::function<Result<bool>(std::string_view site, int tables, unsigned table)> at_reading = {};
};

class Given {
  public:
    explicit Given(std::vector<Value> values) : values_(std::move(values)) {}
    [[nodiscard]] bool has(std::size_t i) const { return values_.at(i).type != Type::nothing; }
    [[nodiscard]] const Value& at(std::size_t i) const { return values_.at(i); }
    [[nodiscard]] std::int64_t number(std::size_t i) const { return values_.at(i).number; }
    [[nodiscard]] const std::string& text(std::size_t i) const { return values_.at(i).text; }
    template <typename T> T& object(std::size_t i) const {
        return static_cast<T&>(*values_.at(i).object); // the row's types were checked
    }
    template <typename T> std::shared_ptr<T> shared(std::size_t i) const {
        return std::static_pointer_cast<T>(values_.at(i).object);
    }

  private:
    std::vector<Value> values_;
};

// Where an operation may stand.
enum Where : unsigned {
    in_prepare = 1, // once for a variant
    in_setup = 2,   // before each run
    in_actor = 4,
    in_judge = 8, // after each run
    anywhere = 15,
    before = in_prepare | in_setup,
    acting = in_setup | in_actor | in_judge,
};

struct Operation {
    std::string_view name;
    std::vector<Argument> arguments = {};
    Type result = Type::nothing;
    std::vector<std::string_view> words = {}; // that a result of type word can be
    std::string_view about = {};
    std::string_view errnos = {}; // that it is known to give
    std::string_view man = {};    // "madvise(2)"
    std::string_view needs = {};  // the name of a need, see find_need()
    unsigned where = anywhere;
    bool of_process = false; // of an actor that is a process alone
    Result<Value> (*act)(Doing& doing, const Given& given) = nullptr;
    // The same as an expression of C, for emitted programs (emit/c_program.hpp); what it calls is
    // in emit/runtime.c. {ARGUMENT} is the argument; of pages also {ARGUMENT.first}, .count, .at
    // (their address), .from (in the file, in bytes), .bytes, and each member of C's struct object.
    // An error is an int, a word a const char *, a number a long. "" = it has none; or left_out.
    std::string_view c = {};
};
// A value of Operation::c: a check beside the outcome that an emitted program does not need. The
// program omits it and the results that need it.
inline constexpr std::string_view left_out = "left out";

const std::vector<Operation>& all_operations();
const Operation* find_operation(std::string_view name);
// "madvise(memory, advice=COLLAPSE|PAGEOUT|...) -> error"
std::string signature(const Operation& operation);

// The needs that a machine may lack, by the name that files use. "machine x86_64 aarch64" and
// "capability sleep-detection" have an argument. Nothing for an unknown name.
std::optional<Need> find_need(std::string_view name);
std::vector<std::string_view> need_names();

// Numbers that have a name: PMD.
struct NamedNumber {
    std::string_view name;
    std::string_view about;
    std::int64_t (*value)();
    std::string_view c; // as Operation::c
};
const std::vector<NamedNumber>& named_numbers();

// The candidate that is spelled most alike; "" if none is near.
std::string nearest(std::string_view name, const std::vector<std::string>& candidates);

} // namespace faultline

#endif // FAULTLINE_OPERATIONS_OPERATION_HPP
