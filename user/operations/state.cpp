// SPDX-License-Identifier: GPL-2.0
// The whole State of what a scenario works on, before and after: kernel/state.hpp.
#include "kernel/state_comparison.hpp"
#include "operations/objects.hpp"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <map>
#include <set>
#include <sys/mman.h>
#include <unistd.h>

namespace faultline {

namespace {

constexpr std::size_t most_objects = 6;
constexpr std::size_t frames_argument = most_objects;
constexpr std::uint64_t present_bit = std::uint64_t{1} << 63; // of an entry of pagemap

std::size_t small_page() { return static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)); }

// A file, or a range of memory.
struct Part {
    Value value;
    [[nodiscard]] bool is_memory() const { return value.type == Type::memory; }
    [[nodiscard]] MemoryObject& memory() const { return static_cast<MemoryObject&>(*value.object); }
    [[nodiscard]] FileObject& file() const { return static_cast<FileObject&>(*value.object); }
    [[nodiscard]] std::string name() const {
        return (is_memory() ? "mapping " : "file ") + value.text;
    }
    [[nodiscard]] std::size_t small_pages() const { return range_of(value).bytes / small_page(); }
};

struct StateObject final : Object {
    explicit StateObject(KernelLog opened) : log(std::move(opened)) {}
    KernelLog log;
    std::vector<Part> parts;
    std::vector<std::weak_ptr<Object>> cgroups; // of the scenario
    bool frames = false;
    bool whole = true;
    StateComparison comparison;
    std::optional<State> now;                        // the whole of it, for state_value()
    std::map<const FileObject*, std::int64_t> pages; // in the page cache
    std::string tables;                              // the error in their number; empty: none

    // The part that is the file of shared memory: the memory must show the file's bytes. A file of
    // hugetlb is too large to read: the bytes are those of the pages that are mapped.
    [[nodiscard]] const Part* file_of(const Part& part) const {
        if (!part.is_memory() || !part.memory().shared || part.memory().file == nullptr ||
            part.memory().file->hugetlb)
            return nullptr;
        for (const Part& one : parts)
            if (!one.is_memory() && &one.file() == part.memory().file.get())
                return &one;
        return nullptr;
    }
    [[nodiscard]] StateScope scope() const {
        StateScope made{.frames = frames,
                        .process = false, // see count_tables()
                        .rollup = whole,
                        .log = &log};
        for (const std::weak_ptr<Object>& one : cgroups)
            if (const std::shared_ptr<Object> here = one.lock()) {
                const auto& cgroup = static_cast<const CgroupObject&>(*here);
                made.cgroups.push_back({cgroup.name, cgroup.path});
            }
        for (const Part& part : parts)
            if (part.is_memory())
                made.mappings.push_back({.name = part.value.text,
                                         .start = range_of(part.value).start,
                                         .bytes = range_of(part.value).bytes,
                                         .content = whole && file_of(part) == nullptr,
                                         .smaps = whole});
            else if (part.file().fd)
                made.files.push_back({.name = part.value.text,
                                      .file = part.file().fd.get(),
                                      .page_bytes = part.file().page_bytes,
                                      .content = whole && !part.file().hugetlb});
        return made;
    }
};

bool is_shmem(const Part& part) {
    return !part.is_memory() && !part.file().hugetlb && part.file().fd;
}

Result<std::map<const FileObject*, std::int64_t>> count_pages(const std::vector<Part>& parts) {
    std::map<const FileObject*, std::int64_t> counts;
    for (const Part& part : parts) {
        if (!is_shmem(part))
            continue;
        const Result<std::vector<bool>> present = present_pages(part.file());
        if (!present)
            return present.error();
        counts[&part.file()] = std::count(present->begin(), present->end(), true);
    }
    return counts;
}

// When the setup is done there must not be more and more page tables. Not before the second run:
// the first makes the actors' stacks.
Result<std::string> count_tables(Doing& doing) {
    constexpr unsigned settled = 2;
    if (doing.run == nullptr || doing.run->number() < settled)
        return std::string();
    const Result<TableMemory> now = TableMemory::take();
    if (!now)
        return now.error();
    const TableMemory first{doing.places.first_of("VmPTE", now->kilobytes),
                            doing.places.first_of("heap", now->heap_end)};
    return more_tables(first, *now);
}

Result<Value> make_state(Doing& doing, const Given& given) {
    Result<KernelLog> log = KernelLog::open();
    if (!log)
        return log.error();
    auto made = std::make_shared<StateObject>(std::move(*log));
    for (std::size_t i = 0; i < most_objects; ++i)
        if (given.has(i))
            made->parts.push_back({given.at(i)});
    made->cgroups = doing.places.cgroups();
    made->frames = given.number(frames_argument) != 0;
    // An actor that is a process is another in each run.
    made->whole = doing.run == nullptr || StateComparison::whole(doing.run->number());
    Result<std::string> tables = count_tables(doing);
    if (!tables)
        return tables.error();
    made->tables = std::move(*tables);
    if (Result<void> taken = made->comparison.begin(made->scope()); !taken)
        return taken.error();
    Result<std::map<const FileObject*, std::int64_t>> pages = count_pages(made->parts);
    if (!pages)
        return pages.error();
    made->pages = std::move(*pages);
    return Value::of_object(Type::state, std::move(made));
}

std::size_t page_bytes(const Value& pages) {
    return pages.type == Type::memory ? static_cast<MemoryObject&>(*pages.object).page_bytes
                                      : static_cast<FileObject&>(*pages.object).page_bytes;
}

// "mapping a page * mincore, mapping a smaps Rss|Pss"
Result<Value> do_may_differ(Doing& /*doing*/, const Given& given) {
    constexpr std::string_view place = " page N";
    bool placed = false;
    std::string words = given.text(1);
    for (std::size_t at = words.find(place); at != std::string::npos && given.has(3);
         at = words.find(place, at + 1)) {
        const Value& pages = given.at(3);
        const std::size_t each = page_bytes(pages) / small_page(); // names count those
        words.replace(
            at + place.size() - 1, 1,
            fmt::format("{}-{}", pages.first * each, (pages.first + pages.count) * each - 1));
        placed = true;
    }
    if (given.has(3) && !placed)
        return Error::make(EINVAL, "memory[...] is the pages of \"page N\", which no name has");
    given.object<StateObject>(0).comparison.allow({std::move(words), given.text(2)});
    return Value{};
}

// The rules that a scenario file's objects have beside those of StateComparison.
class Rules {
  public:
    Rules(StateObject& state, const std::map<const FileObject*, std::int64_t>& pages)
        : state_(state), comparison_(state.comparison), before_(comparison_.before()),
          after_(comparison_.after()), pages_(pages) {}

    void compare() {
        compare_values();
        count_files();
        for (const Part& part : state_.parts)
            if (state_.file_of(part) != nullptr)
                count_mapped(part);
        if (state_.whole)
            compare_shown();
        require(state_.tables.empty(), "process status VmPTE", state_.tables);
    }

  private:
    void require(bool condition, std::string_view name, const std::string& otherwise) {
        comparison_.require(condition, name, otherwise);
    }

    // Counters of pages may differ where the pages do; count_files() and count_mapped() ensure that
    // both changes are equal.
    void compare_values() {
        Allowed counted;
        for (const Part& part : state_.parts)
            if (is_shmem(part))
                for (const char* name : {"st_blocks", "statfs bfree"})
                    counted.push_back({part.name() + " " + name, "count_files()"});
        if (std::any_of(state_.parts.begin(), state_.parts.end(), is_shmem))
            for (const char* name : {"machine meminfo Shmem", "machine vmstat nr_shmem"})
                counted.push_back({name, "count_files()"});
        if (mapped_differs())
            for (const char* name : {"Rss", "Pss", "Pss_Dirty", "Shared_Clean", "Shared_Dirty",
                                     "Private_Clean", "Private_Dirty"})
                counted.push_back({std::string("mapping * smaps ") + name, "count_mapped()"});
        comparison_.compare_all(counted);
    }

    [[nodiscard]] bool mapped_differs() const {
        return std::any_of(state_.parts.begin(), state_.parts.end(), [this](const Part& part) {
            for (std::size_t page = 0; part.is_memory() && page < part.small_pages(); ++page) {
                const std::uint64_t was =
                    before_.page_value(part.name(), "pagemap", page).value_or(0);
                const std::uint64_t now =
                    after_.page_value(part.name(), "pagemap", page).value_or(0);
                if (((was ^ now) & present_bit) != 0)
                    return true;
            }
            return false;
        });
    }

    void count_files() {
        std::int64_t all = 0;
        for (const Part& part : state_.parts) {
            const auto was = state_.pages.find(is_shmem(part) ? &part.file() : nullptr);
            const auto now = pages_.find(is_shmem(part) ? &part.file() : nullptr);
            if (was == state_.pages.end() || now == pages_.end())
                continue;
            const std::int64_t came = now->second - was->second;
            all += came;
            comparison_.require_growth(part.name() + " st_blocks",
                                       came * static_cast<std::int64_t>(small_page() / 512));
            if (before_.value(part.name() + " statfs blocks").value_or(0) != 0) // it has a bound
                comparison_.require_growth(part.name() + " statfs bfree", -came);
        }
        if (!pages_.empty())
            comparison_.require_shmem_pages(all);
    }

    void count_mapped(const Part& part) {
        const std::string object = part.name();
        const std::size_t mapped = after_.pages_with(object, "pagemap-present");
        require(after_.pages_with(object, "pagemap-file") == mapped, object + " pagemap-file",
                "a page of " + object + " is not the file's");
        const std::optional<std::uint64_t> rss = after_.value(object + " smaps Rss");
        if (!rss)
            return;
        require(*rss == mapped * small_page() / 1024, object + " smaps Rss",
                fmt::format("{} pages of {} are mapped, Rss is {} kB", mapped, object, *rss));
        std::uint64_t sum = 0;
        for (const char* name : {"Shared_Clean", "Shared_Dirty", "Private_Clean", "Private_Dirty"})
            sum += after_.value(fmt::format("{} smaps {}", object, name)).value_or(0);
        require(*rss == sum, object + " smaps Rss",
                fmt::format("{}: what is shared and what is private is {} kB, Rss is {} kB", object,
                            sum, *rss));
    }

    // Each page of a file as a load sees it: an entry that a collapse forgot shows another page.
    void compare_shown() {
        StateScope scope{.process = false, .machine = false, .cgroup = false};
        std::map<const Part*, std::vector<bool>> there;
        for (const Part& part : state_.parts) {
            const Part* file = state_.file_of(part);
            if (file == nullptr || !file->file().fd)
                continue;
            for (const std::weak_ptr<UserfaultfdObject>& one : part.memory().registered)
                if (const std::shared_ptr<UserfaultfdObject> open = one.lock())
                    open->userfaultfd.close(); // or a fault would wait for its events
            there[&part] = pages_there(part, *file);
            populate(part, there[&part]);
            scope.mappings.push_back({.name = part.value.text,
                                      .start = range_of(part.value).start,
                                      .bytes = range_of(part.value).bytes,
                                      .smaps = false});
        }
        const Result<State> shown = State::take(scope);
        if (!shown)
            return require(false, "mapping bytes", shown.error().to_string());
        for (const auto& [part, pages] : there)
            compare_shown(*part, *state_.file_of(*part), pages, *shown);
    }

    [[nodiscard]] std::size_t pages_of(const Part& file) const {
        return after_.value(file.name() + " st_size").value_or(0) / small_page();
    }
    [[nodiscard]] static std::size_t first_of(const Part& part) {
        return part.memory().offset + part.value.first;
    }

    // Which pages of the memory have one of the file.
    [[nodiscard]] std::vector<bool> pages_there(const Part& part, const Part& file) const {
        std::vector<bool> there(part.small_pages());
        for (std::size_t page = 0; page < there.size(); ++page)
            there[page] = first_of(part) + page < pages_of(file) &&
                          after_.page_value(part.name(), "mincore", page).value_or(0) != 0;
        return there;
    }

    static void populate(const Part& part, const std::vector<bool>& there) {
        for (std::size_t page = 0; page < there.size(); ++page) {
            std::size_t count = 0;
            while (page + count < there.size() && there[page + count])
                ++count;
            if (count != 0) // where it fails the page has no bytes below
                (void)::madvise(range_of(part.value).start + page * small_page(),
                                count * small_page(), MADV_POPULATE_READ);
            page += count;
        }
    }

    void compare_shown(const Part& part, const Part& file, const std::vector<bool>& there,
                       const State& shown) {
        const std::vector<std::uint64_t> zeroes(small_page() / sizeof(std::uint64_t));
        const std::uint64_t empty = digest(zeroes);
        for (std::size_t page = 0; page < there.size(); ++page) {
            const std::optional<std::uint64_t> seen = shown.page_value(part.name(), "bytes", page);
            const std::size_t of_file = first_of(part) + page;
            // A huge page maps all of itself: the part beyond the end is 0.
            const bool right =
                of_file >= pages_of(file) ? seen.value_or(empty) == empty
                : there[page] ? seen && seen == after_.page_value(file.name(), "bytes", of_file)
                              : !seen;
            require(right, fmt::format("{} page {} bytes", part.name(), page),
                    fmt::format("{} page {} does not show the file's bytes", part.name(), page));
        }
    }

    StateObject& state_;
    StateComparison& comparison_;
    const State& before_;
    const State& after_;
    const std::map<const FileObject*, std::int64_t>& pages_; // after
};

Result<Value> do_state_kept(Doing& doing, const Given& given) {
    auto& state = given.object<StateObject>(0);
    if (Result<void> taken = state.comparison.end(state.scope()); !taken)
        return taken.error();
    const Result<std::map<const FileObject*, std::int64_t>> pages = count_pages(state.parts);
    if (!pages)
        return pages.error();
    if (!doing.not_compared)
        state.comparison.assume_quiet();
    Rules(state, *pages).compare();
    for (const NotCompared& one : state.comparison.not_compared())
        doing.not_compared(one);
    const std::string& word = state.comparison.word();
    if (!word.empty())
        doing.tell(state.comparison.why());
    return Value::of_word(word.empty() ? "kept" : word);
}

Result<Value> do_state_value(Doing& /*doing*/, const Given& given) {
    auto& state = given.object<StateObject>(0);
    if (!state.now) {
        state.whole = true;
        Result<State> now = State::take(state.scope());
        if (!now)
            return now.error();
        state.now = std::move(*now);
    }
    return Value::of_word(value_text(&state.comparison.before(), *state.now, given.text(1)));
}

} // namespace

void add_state_operations(std::vector<Operation>& rows) {
    std::vector<Argument> objects;
    for (const std::string_view name : {"first", "second", "third", "fourth", "fifth", "sixth"})
        objects.push_back({.name = name, .type = Type::pages, .otherwise = ""});
    objects.push_back({.name = "frames",
                       .type = Type::word,
                       .constants = {{"NO", 0}, {"YES", 1}},
                       .otherwise = "NO"});
    rows.insert(
        rows.end(),
        {{.name = "state",
          .arguments = std::move(objects),
          .result = Type::state,
          .about = "everything visible of these files and whole mappings, and of the machine: "
                   "bytes, mincore, pagemap, smaps, stat, statfs, meminfo, vmstat, memory.stat of "
                   "the driver's cgroup and of the scenario's, the kernel's log (bytes and smaps "
                   "in each fourth run). frames: no page may move",
          .where = in_setup | in_actor,
          .act = make_state,
          .c = left_out},
         {.name = "may_differ",
          .arguments = {{"state", Type::state},
                        {"name", Type::text},
                        {"why", Type::text},
                        {.name = "pages", .type = Type::pages, .otherwise = ""}},
          .about = "allows differences of that state: \"mapping near page N mincore, file * "
                   "st_size\"; * is any word, a|b is either, N are the pages of memory[...]. "
                   "kernel/state.hpp has the names",
          .where = in_judge | in_actor,
          .act = do_may_differ,
          .c = left_out},
         {.name = "state_value",
          .arguments = {{"state", Type::state}, {"name", Type::text}},
          .result = Type::word,
          .about = "the current value of a name of that state: \"file f st_blocks\", "
                   "\"mapping near page 7 mincore\"; for a counter of the machine, its growth; a "
                   "digest of bytes; -: there is none",
          .where = in_judge,
          .act = do_state_value,
          .c = left_out},
         {.name = "state_kept",
          .arguments = {{"state", Type::state}},
          .result = Type::word,
          .about = "kept; or the last word of a difference that is not allowed, or of a counter "
                   "that does not match its pages. Closes the memory's userfaultfds",
          .where = in_judge | in_actor,
          .act = do_state_kept,
          .c = left_out}});
}

} // namespace faultline
