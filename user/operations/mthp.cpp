// SPDX-License-Identifier: GPL-2.0
// Anonymous memory that khugepaged collapses: which orders it may make, where pages are, whose
// locks are taken, and whether a store or a load met an old page.
#include "operations/objects.hpp"

#include "kernel/folios.hpp"
#include "kernel/own_memory.hpp"
#include "kernel/page_pattern.hpp"
#include "kernel/page_tables.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <fcntl.h>
#include <fmt/format.h>
#include <limits>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

namespace faultline {

namespace {

constexpr std::chrono::seconds stuck_bound{2};

Value error_of(const Result<void>& result) {
    return Value::of_error(result ? 0 : result.error().number);
}

// These know the content of memory that is no file's.
Result<MemoryObject*> anonymous(const Given& given, std::size_t i) {
    MemoryObject& memory = given.object<MemoryObject>(i);
    if (memory.file)
        return Error::make(EINVAL, "this is about anonymous memory alone");
    return &memory;
}

// By page of the argument: is it one that fill() filled?
template <typename Does>
Result<void> each_page(const Given& given, std::size_t i, bool filled, const Does& does) {
    const Result<MemoryObject*> memory = anonymous(given, i);
    if (!memory)
        return memory.error();
    for (std::size_t page = given.at(i).first; page < given.at(i).first + given.at(i).count; ++page)
        if ((*memory)->content->filled.at(page) == filled)
            if (Result<void> done = does(**memory, page); !done)
                return done;
    return {};
}

// --- khugepaged

enum OrdersWord : std::int64_t { all_orders, smallest_order_alone, pmd_order_alone };

Orders smallest(const Khugepaged& khugepaged) {
    const Orders all = khugepaged.all();
    return all & (~all + 1); // as many pages as its bit is worth
}

Result<Value> do_allow(Doing& /*doing*/, const Given& given) {
    const Khugepaged& khugepaged = given.object<KhugepagedObject>(0).khugepaged;
    const Orders orders = given.number(1) == all_orders ? khugepaged.all()
                          : given.number(1) == smallest_order_alone
                              ? smallest(khugepaged)
                              : Orders{1} << khugepaged.pmd_order();
    return error_of(khugepaged.allow(orders, static_cast<unsigned>(given.number(2))));
}

Result<Value> do_smallest(Doing& /*doing*/, const Given& given) {
    return Value::of(smallest(given.object<KhugepagedObject>(0).khugepaged));
}

// The kernel skips memory that was never touched. And khugepaged must collapse none of this.
Result<Value> do_know(Doing& /*doing*/, const Given& /*given*/) {
    const Result<Geometry> found = geometry();
    if (!found)
        return found.error();
    const std::size_t bytes = 2 * found->huge_bytes;
    void* memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        return Error::last("mmap");
    *static_cast<volatile char*>(memory) = 1;
    const bool known = ::madvise(memory, bytes, MADV_DONTNEED) == 0 &&
                       ::madvise(memory, bytes, MADV_HUGEPAGE) == 0;
    const Value result = Value::of_error(known ? 0 : errno);
    ::munmap(memory, bytes);
    return result;
}

// --- content

Result<Value> do_fill_every(Doing& /*doing*/, const Given& given) {
    const Result<MemoryObject*> memory = anonymous(given, 0);
    if (!memory)
        return memory.error();
    if (given.number(1) < 1 || given.number(2) < 0)
        return Error::make(EINVAL, "fill_every() of no pages");
    const std::size_t words = (*memory)->page_bytes / sizeof(std::uint64_t);
    const auto apart = static_cast<std::size_t>(given.number(1));
    for (std::size_t i = 0; i < given.at(0).count; ++i) {
        if (i % apart != 0 && i >= static_cast<std::size_t>(given.number(2)))
            continue;
        const std::size_t page = given.at(0).first + i;
        write_pattern({reinterpret_cast<std::uint64_t*>((*memory)->at(page)), words},
                      (*memory)->content->word(page));
        (*memory)->content->filled.at(page) = true;
    }
    return Value{};
}

// One word for all pages: of a page number that none has.
std::uint64_t equal_word(const Content& content) {
    return content.stored(std::numeric_limits<std::size_t>::max());
}

Result<Value> do_fill_equal(Doing& /*doing*/, const Given& given) {
    return error_of(
        each_page(given, 0, true, [](const MemoryObject& memory, std::size_t page) -> Result<void> {
            std::vector<std::uint64_t> words(memory.page_bytes / sizeof(std::uint64_t));
            write_pattern(words, equal_word(*memory.content));
            const iovec local{words.data(), memory.page_bytes};
            const iovec remote{memory.at(page), memory.page_bytes};
            if (::process_vm_writev(::getpid(), &local, 1, &remote, 1, 0) !=
                static_cast<ssize_t>(memory.page_bytes))
                return Error::last("process_vm_writev");
            return {};
        }));
}

enum With : std::int64_t { with_data, with_zero, with_equal };

// Every byte of the pages that fill() filled. A hole is not touched.
Result<bool> same(const Given& given, std::int64_t with, std::optional<std::size_t> stored) {
    bool good = true;
    const Result<void> done = each_page(
        given, 0, true,
        [&good, with, stored](const MemoryObject& memory, std::size_t page) -> Result<void> {
            const Result<std::vector<std::uint64_t>> words = memory.read(page);
            const Content& content = *memory.content;
            good = good && words &&
                   (with == with_equal
                        ? !compare_pattern(*words, equal_word(content)).found
                        : content_word(content, page, *words) == (stored == page      ? "stored"
                                                                  : with == with_zero ? "zero"
                                                                                      : "data"));
            return {};
        });
    if (!done)
        return done.error();
    return good;
}

Result<Value> do_compare(Doing& /*doing*/, const Given& given) {
    const std::optional<std::size_t> stored =
        given.has(2) ? std::optional(static_cast<std::size_t>(given.number(2))) : std::nullopt;
    const Result<bool> good = same(given, given.number(1), stored);
    if (!good)
        return good.error();
    return Value::of_word(*good ? "kept" : "lost");
}

Result<Value> do_fork_reads(Doing& /*doing*/, const Given& given) {
    const pid_t child = ::fork();
    if (child < 0)
        return Value::of_error(errno);
    if (child == 0) {
        bool good = true;
        const Result<void> done = each_page(
            given, 0, true, [&good](const MemoryObject& memory, std::size_t page) -> Result<void> {
                const std::size_t words = memory.page_bytes / sizeof(std::uint64_t);
                good =
                    good && !compare_pattern(
                                 {reinterpret_cast<const std::uint64_t*>(memory.at(page)), words},
                                 memory.content->word(page))
                                 .found;
                return {};
            });
        ::_exit(done && good ? 0 : 1);
    }
    int status = 0;
    while (::waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return Value::of_error(errno);
    return Value::of_error(status == 0 ? 0 : ECHILD);
}

// --- where pages are

Result<MappedRange> look(const Given& given, std::size_t i) {
    const Result<FolioReader> reader = FolioReader::open();
    if (!reader)
        return reader.error();
    return reader->read(range_of(given.at(i)).start, given.at(i).count);
}

Result<Value> do_unfilled(Doing& /*doing*/, const Given& given) {
    const Result<MappedRange> now = look(given, 0);
    if (!now)
        return now.error();
    bool good = true;
    const Result<void> done = each_page(
        given, 0, false, [&](const MemoryObject& /*memory*/, std::size_t page) -> Result<void> {
            good = good && !now->present[page - given.at(0).first];
            return {};
        });
    if (!done)
        return done.error();
    return Value::of_word(good ? "kept" : "filled");
}

Result<std::int64_t> swapped(const Given& given) {
    const Result<MappedRange> now = look(given, 0);
    if (!now)
        return now.error();
    return std::count(now->swapped.begin(), now->swapped.end(), true);
}

Result<Value> do_swapped(Doing& /*doing*/, const Given& given) {
    const Result<std::int64_t> count = swapped(given);
    if (!count)
        return count.error();
    return Value::of(*count);
}

// ksmd and compaction go on: what they have in hand is stuck only if it stays so.
Result<Value> do_entries(Doing& /*doing*/, const Given& given) {
    const auto end = std::chrono::steady_clock::now() + stuck_bound;
    for (;;) {
        const Result<std::int64_t> count = swapped(given);
        if (!count)
            return count.error();
        if (*count == 0)
            return Value::of_word("well");
        if (std::chrono::steady_clock::now() > end)
            return Value::of_word("stuck");
        ::usleep(1000);
    }
}

struct FramesObject final : Object {
    std::vector<std::pair<const char*, std::uint64_t>> frames;
    std::uint64_t migrations = 0; // that the kernel had counted on the whole machine
};

Result<std::uint64_t> migrations() {
    const Result<std::string> text = read_text("/proc/vmstat");
    if (!text)
        return text.error();
    constexpr std::string_view name = "\npgmigrate_success ";
    const std::size_t at = text->find(name);
    std::uint64_t count = 0;
    if (at != std::string::npos)
        std::from_chars(text->data() + at + name.size(), text->data() + text->size(), count);
    return count;
}

Result<Value> make_frames(Doing& /*doing*/, const Given& given) {
    const Result<FolioReader> reader = FolioReader::open();
    if (!reader)
        return reader.error();
    const Result<std::uint64_t> counted = migrations();
    if (!counted)
        return counted.error();
    auto made = std::make_shared<FramesObject>();
    made->migrations = *counted;
    const std::size_t from = given.at(0).first + static_cast<std::size_t>(given.number(1));
    const Result<void> done = each_page(
        given, 0, true, [&](const MemoryObject& memory, std::size_t page) -> Result<void> {
            if (page < from)
                return {};
            const Result<std::uint64_t> frame = reader->frame_of(memory.at(page));
            if (!frame)
                return frame.error();
            made->frames.emplace_back(memory.at(page), *frame);
            return {};
        });
    if (!done)
        return done.error();
    return Value::of_object(Type::frames, std::move(made));
}

// An allocation of a huge page may compact memory, which moves any page: the kernel counts that.
Result<Value> do_frames_now(Doing& /*doing*/, const Given& given) {
    const FramesObject& before = given.object<FramesObject>(0);
    if (before.frames.empty())
        return Value::of_word("none");
    const Result<FolioReader> reader = FolioReader::open();
    if (!reader)
        return reader.error();
    bool moved = false;
    for (const auto& [page, frame] : before.frames) {
        const Result<std::uint64_t> now = reader->frame_of(page);
        if (!now)
            return now.error();
        moved = moved || *now != frame;
    }
    const Result<std::uint64_t> counted = migrations();
    if (!counted)
        return counted.error();
    return Value::of_word(!moved ? "kept" : *counted > before.migrations ? "migrated" : "moved");
}

Result<Value> do_page_locks(Doing& /*doing*/, const Given& given) {
    const Result<PageLocks> locks = page_locks(range_of(given.at(0)).start);
    if (!locks)
        return Value::of_word("unknown");
    return Value::of_word(fmt::format("mmap:{},vma:{},anon_vma:{},pmd:{},pte:{}", locks->mmap,
                                      locks->vma, locks->anon_vma, locks->pmd, locks->pte));
}

Result<Value> do_own_memory(Doing& /*doing*/, const Given& /*given*/) {
    const Result<Geometry> found = geometry();
    return error_of(found ? populate_own_memory(found->huge_bytes) : Result<void>(found.error()));
}

// --- stores and loads that meet a collapse

std::atomic_ref<std::uint64_t> first_word_of(const MemoryObject& memory, std::size_t page) {
    return std::atomic_ref<std::uint64_t>(*reinterpret_cast<std::uint64_t*>(memory.at(page)));
}

Result<Value> do_add(Doing& doing, const Given& given) {
    const Result<MemoryObject*> memory = anonymous(given, 0);
    if (!memory)
        return memory.error();
    if (given.number(2) < 1)
        return Error::make(EINVAL, "add() to no page");
    const auto apart = static_cast<std::size_t>(given.number(2));
    std::int64_t added = 0;
    while (!doing.ended(given.text(1)) && !doing.stopping())
        for (std::size_t i = 0; i < given.at(0).count; i += apart) {
            first_word_of(**memory, given.at(0).first + i).fetch_add(1);
            ++added;
        }
    return Value::of(added);
}

Result<Value> do_sum(Doing& /*doing*/, const Given& given) {
    std::uint64_t more = 0; // than fill() wrote
    const Result<void> done = each_page(
        given, 0, true, [&more](const MemoryObject& memory, std::size_t page) -> Result<void> {
            const Result<std::vector<std::uint64_t>> words = memory.read(page);
            if (!words)
                return words.error();
            more += words->front() - memory.content->word(page);
            return {};
        });
    if (!done)
        return done.error();
    return Value::of_word(more == static_cast<std::uint64_t>(given.number(1)) ? "exact" : "wrong");
}

Result<Value> do_rest(Doing& /*doing*/, const Given& given) {
    bool good = true;
    const Result<void> done = each_page(
        given, 0, true, [&good](const MemoryObject& memory, std::size_t page) -> Result<void> {
            const Result<std::vector<std::uint64_t>> words = memory.read(page);
            good =
                good && words &&
                !compare_pattern(std::span(*words).subspan(1), memory.content->word(page), 1).found;
            return {};
        });
    if (!done)
        return done.error();
    return Value::of_word(good ? "kept" : "lost");
}

// Not by a store: this CPU's TLB may be as old as the reader's.
Result<Value> do_publish(Doing& /*doing*/, const Given& given) {
    const Result<MemoryObject*> memory = anonymous(given, 0);
    if (!memory)
        return memory.error();
    const Result<Fd> file = Fd::open("/proc/self/mem", O_WRONLY);
    if (!file)
        return file.error();
    Content& content = *(*memory)->content;
    const std::uint64_t before = content.published;
    const std::uint64_t next = (before == 0 ? content.word(given.at(0).first) : before) + 1;
    const auto at = reinterpret_cast<std::uintptr_t>(range_of(given.at(0)).start);
    if (::pwrite(file->get(), &next, sizeof(next), static_cast<off_t>(at)) != sizeof(next))
        return Value::of_error(errno);
    content.published = next;
    return Value::of_error(0);
}

Result<Value> do_watch(Doing& doing, const Given& given) {
    const Result<MemoryObject*> memory = anonymous(given, 0);
    if (!memory)
        return memory.error();
    const Content& content = *(*memory)->content;
    const std::atomic_ref<std::uint64_t> word = first_word_of(**memory, given.at(0).first);
    std::uint64_t looks = 0;
    std::uint64_t stale = 0;
    for (; !doing.ended(given.text(1)) && !doing.stopping(); ++looks) {
        const std::uint64_t wanted = content.published;
        stale += word.load() < wanted ? 1 : 0;
    }
    return Value::of_word(stale != 0 ? "stale" : looks != 0 ? "right" : "none");
}

} // namespace

// NOLINTNEXTLINE(readability-function-size): a table
void add_mthp_operations(std::vector<Operation>& rows) {
    const Argument memory{"memory", Type::memory};
    const Argument khugepaged{"khugepaged", Type::khugepaged};
    const Argument until{"until", Type::actor};
    const std::vector<std::string_view> kept = {"kept", "lost"};
    rows.insert(
        rows.end(),
        {{.name = "khugepaged_know",
          .arguments = {khugepaged},
          .result = Type::error,
          .about = "makes khugepaged know this process: without any, khugepaged_scans() would wait",
          .act = do_know},
         {.name = "khugepaged_allow",
          .arguments = {khugepaged,
                        {.name = "orders",
                         .type = Type::word,
                         .constants = {{"ALL", all_orders},
                                       {"SMALLEST", smallest_order_alone},
                                       {"PMD", pmd_order_alone}}},
                        {.name = "holes", .type = Type::number, .otherwise = "0"}},
          .result = Type::error,
          .about = "sets the orders that it may make (before 7.2 it can make the PMD's alone), and "
                   "the number of pages of a PMD that may be missing",
          .where = before,
          .act = do_allow},
         {.name = "khugepaged_smallest",
          .arguments = {khugepaged},
          .result = Type::number,
          .about = "the number of pages of the smallest order that it can make in this kernel",
          .act = do_smallest},
         {.name = "fill_every",
          .arguments = {memory,
                        {.name = "apart", .type = Type::number},
                        {.name = "together", .type = Type::number, .otherwise = "0"}},
          .about = "like fill(), for the first `together` pages, and then for each page whose "
                   "number is a multiple of `apart`; anonymous memory",
          .where = before | in_actor,
          .act = do_fill_every},
         {.name = "fill_equal",
          .arguments = {memory},
          .result = Type::error,
          .about = "gives all pages that fill() filled the same bytes, so that KSM can merge them",
          .errnos = "EFAULT",
          .man = "process_vm_writev(2)",
          .where = before | in_actor,
          .act = do_fill_equal},
         {.name = "compare",
          .arguments =
              {memory,
               {.name = "with",
                .type = Type::word,
                .constants = {{"DATA", with_data}, {"ZERO", with_zero}, {"EQUAL", with_equal}},
                .otherwise = "DATA"},
               {.name = "stored", .type = Type::number, .otherwise = ""}},
          .result = Type::word,
          .words = kept,
          .about = "compares every byte of the pages that fill() filled with the bytes of fill(), "
                   "zeroes, or the bytes of fill_equal(); a step stored in the page `stored`. "
                   "Holes stay untouched",
          .man = "process_vm_readv(2)",
          .where = acting,
          .act = do_compare},
         {.name = "fork_reads",
          .arguments = {memory},
          .result = Type::error,
          .about = "a child that loads every byte of the pages that fill() filled; ECHILD: it read "
                   "other bytes",
          .errnos = "ECHILD EAGAIN ENOMEM",
          .man = "fork(2)",
          .where = in_actor,
          .act = do_fork_reads},
         {.name = "unfilled",
          .arguments = {memory},
          .result = Type::word,
          .words = {"kept", "filled"},
          .about = "are the pages that fill() left out still absent?",
          .man = "proc(5)",
          .act = do_unfilled},
         {.name = "swapped",
          .arguments = {memory},
          .result = Type::number,
          .about = "the number of pages that are swapped out, or have a migration entry",
          .man = "proc(5)",
          .act = do_swapped},
         {.name = "entries",
          .arguments = {memory},
          .result = Type::word,
          .words = {"well", "stuck"},
          .about = "stuck: some pages have a swap or migration entry for 2 seconds",
          .man = "proc(5)",
          .where = acting,
          .act = do_entries},
         {.name = "frames",
          .arguments = {memory, {.name = "skip", .type = Type::number, .otherwise = "0"}},
          .result = Type::frames,
          .about = "the page frames of the pages that fill() filled, without the first `skip`",
          .man = "proc(5)",
          .act = make_frames},
         {.name = "frames_now",
          .arguments = {{"frames", Type::frames}},
          .result = Type::word,
          .words = {"kept", "migrated", "moved", "none"},
          .about = "are the pages still in these frames? migrated: no, but the kernel migrated "
                   "pages since then. none: there is no page",
          .man = "proc(5)",
          .where = acting,
          .act = do_frames_now},
         {.name = "page_locks",
          .arguments = {memory},
          .result = Type::word,
          .about = "the locks that the page memory[N] depends on, \"mmap:free,vma:write,...\"; "
                   "takes none",
          .act = do_page_locks},
         {.name = "own_memory",
          .result = Type::error,
          .about = "makes all memory of this process present, except memory that a PMD could map: "
                   "its own accesses do not fault",
          .man = "madvise(2)",
          .where = in_actor,
          .act = do_own_memory},
         {.name = "add",
          .arguments = {memory, until, {.name = "apart", .type = Type::number, .otherwise = "1"}},
          .result = Type::number,
          .about = "adds 1 to the first word of each page whose number is a multiple of `apart`, "
                   "repeatedly until the actor has ended; the number of additions",
          .where = in_actor,
          .act = do_add},
         {.name = "sum",
          .arguments = {memory, {.name = "added", .type = Type::number}},
          .result = Type::word,
          .words = {"exact", "wrong"},
          .about = "is the sum of the first words higher by `added` than fill() wrote?",
          .where = acting,
          .act = do_sum},
         {.name = "rest",
          .arguments = {memory},
          .result = Type::word,
          .words = kept,
          .about = "compares every byte after the first words of pages that fill() filled",
          .where = acting,
          .act = do_rest},
         {.name = "publish",
          .arguments = {memory},
          .result = Type::error,
          .about = "adds 1 to the first word of memory[N] by /proc/self/mem, and then announces it",
          .man = "proc(5)",
          .where = in_actor,
          .act = do_publish},
         {.name = "watch",
          .arguments = {memory, until},
          .result = Type::word,
          .words = {"right", "stale", "none"},
          .about = "loads the first word of memory[N] until the actor has ended; stale: it was "
                   "less than publish() had announced; none: it was never loaded",
          .where = in_actor,
          .act = do_watch}});
}

} // namespace faultline
