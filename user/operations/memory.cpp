// SPDX-License-Identifier: GPL-2.0
// Memory: mappings, loads and stores, advice.
#include "operations/objects.hpp"

#include "kernel/page_pattern.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <csetjmp>
#include <csignal>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/mempolicy.h>
#include <span>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25 // linux 6.1; glibc 2.36 has no name for it
#endif
#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED 24 // linux 5.18
#endif
#ifndef MADV_SOFT_OFFLINE
#define MADV_SOFT_OFFLINE 101
#endif
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102 // linux 6.13
#define MADV_GUARD_REMOVE 103
#endif

namespace faultline {

namespace {

Value error_of(int result) { return Value::of_error(result == 0 ? 0 : errno); }

std::size_t small_page() { return static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)); }

// Where a load or a store raises a signal, that is its result. Volatile: the compiler must not take
// the stores around an access for useless.
thread_local sigjmp_buf* volatile landing = nullptr;

void land(int signal) {
    if (landing != nullptr)
        ::siglongjmp(*landing, signal);
    struct sigaction usual {};
    usual.sa_handler = SIG_DFL;
    ::sigaction(signal, &usual, nullptr); // and the instruction is tried again
}

void watch_signals() {
    static const bool once = [] {
        struct sigaction action {};
        action.sa_handler = land;
        action.sa_flags = SA_NODEFER;
        ::sigaction(SIGBUS, &action, nullptr);
        ::sigaction(SIGSEGV, &action, nullptr);
        return true;
    }();
    (void)once;
}

// 0, or the signal that it raised.
template <typename Access> int access(const Access& does) {
    watch_signals();
    sigjmp_buf here;
    if (const int signal = sigsetjmp(here, 1); signal != 0) {
        landing = nullptr;
        return signal;
    }
    landing = &here;
    does();
    landing = nullptr;
    return 0;
}

std::string_view signal_word(int signal) { return signal == SIGBUS ? "SIGBUS" : "SIGSEGV"; }

std::size_t alignment_of(std::size_t page_bytes, std::size_t bytes, bool hugetlb) {
    const Result<Geometry> found = geometry();
    if (!hugetlb)
        return found && bytes >= found->huge_bytes ? found->huge_bytes : 16 * page_bytes;
    // Where a table of PMDs can be shared, if it is as large as what a PUD maps.
    const std::size_t pud = page_bytes * (small_page() / sizeof(void*));
    return bytes >= pud ? pud : page_bytes;
}

Result<Value> give_memory(Doing& doing, std::size_t pages, std::size_t page_bytes, int protection,
                          int flags, std::shared_ptr<FileObject> file, std::size_t first,
                          std::size_t times = 1) {
    const std::size_t bytes = pages * page_bytes;
    if (doing.binds.empty())
        return Error::make(EINVAL, "a mapping needs a name");
    const bool hugetlb = file && file->hugetlb;
    const Result<char*> place = doing.places.take(std::string(doing.binds), times * bytes,
                                                  alignment_of(page_bytes, bytes, hugetlb));
    if (!place)
        return place.error();
    for (std::size_t i = 0; i < times; ++i)
        if (::mmap(*place + i * bytes, bytes, protection, flags | MAP_FIXED,
                   file ? file->fd.get() : -1,
                   static_cast<off_t>(first * page_bytes)) == MAP_FAILED)
            return Error::last("mmap", doing.binds);
    auto memory = std::make_shared<MemoryObject>();
    memory->places = &doing.places;
    memory->start = *place;
    memory->times = doing.places.times(*place);
    memory->page_bytes = page_bytes;
    memory->pages = times * pages;
    memory->content = file ? file->content : std::make_shared<Content>(pages);
    memory->offset = first;
    memory->shared = (flags & MAP_SHARED) != 0;
    memory->file = std::move(file);
    return Value::of_object(Type::memory, std::move(memory), times * pages);
}

Result<Value> do_mmap(Doing& doing, const Given& given) {
    auto file = given.shared<FileObject>(0);
    const std::size_t page_bytes = file->page_bytes;
    return give_memory(doing, given.at(0).count, page_bytes, static_cast<int>(given.number(1)),
                       static_cast<int>(given.number(2)), std::move(file), given.at(0).first,
                       static_cast<std::size_t>(std::max<std::int64_t>(1, given.number(3))));
}

Result<Value> do_anon(Doing& doing, const Given& given) {
    return give_memory(
        doing, static_cast<std::size_t>(given.number(0)), small_page(), PROT_READ | PROT_WRITE,
        MAP_ANONYMOUS | MAP_NORESERVE | static_cast<int>(given.number(1)), nullptr, 0);
}

Result<Value> do_reserve(Doing& doing, const Given& given) {
    const std::size_t page_bytes =
        given.has(1) ? given.object<MemoryObject>(1).page_bytes : small_page();
    const std::size_t pages = static_cast<std::size_t>(given.number(0));
    Result<Value> made = give_memory(doing, pages, page_bytes, PROT_NONE,
                                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, nullptr, 0);
    if (made && given.has(1)) // what will be moved there has that content
    {
        auto& memory = static_cast<MemoryObject&>(*made->object);
        memory.content = given.object<MemoryObject>(1).content;
        memory.offset = given.object<MemoryObject>(1).offset + given.at(1).first;
    }
    return made;
}

// Where another thread got the address in between, it is not ours any more.
void take_back(MemoryObject& memory, Range range) {
    if (::mmap(range.start, range.bytes, PROT_NONE,
               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1,
               0) == MAP_FAILED)
        memory.places->lose(range.start);
}

Result<Value> do_munmap(Doing& /*doing*/, const Given& given) {
    const Range range = range_of(given.at(0));
    const Value done = error_of(::munmap(range.start, range.bytes));
    if (done.number == 0)
        take_back(given.object<MemoryObject>(0), range);
    return done;
}

Result<Value> do_mremap(Doing& /*doing*/, const Given& given) {
    const Range from = range_of(given.at(0));
    const Range to = range_of(given.at(1));
    void* moved =
        ::mremap(from.start, from.bytes, std::min(from.bytes, to.bytes),
                 static_cast<int>(MREMAP_MAYMOVE | MREMAP_FIXED | given.number(2)), to.start);
    const int number = moved == MAP_FAILED ? errno : 0;
    if (number == 0 && (given.number(2) & MREMAP_DONTUNMAP) == 0)
        take_back(given.object<MemoryObject>(0), from);
    return Value::of_error(number);
}

Result<Value> do_mprotect(Doing& /*doing*/, const Given& given) {
    const Range range = range_of(given.at(0));
    return error_of(::mprotect(range.start, range.bytes, static_cast<int>(given.number(1))));
}

Result<Value> do_madvise(Doing& /*doing*/, const Given& given) {
    const Range range = range_of(given.at(0));
    return error_of(::madvise(range.start, range.bytes, static_cast<int>(given.number(1))));
}

Result<Value> do_process_madvise(Doing& doing, const Given& given) {
    const Range range = range_of(given.at(0));
    const iovec one{range.start, range.bytes};
    const pid_t pid = given.has(2) ? doing.process_of(given.text(2)) : ::getpid();
    if (pid == 0) // it has not begun
        return Value::of_error(ESRCH);
    const Fd process(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
    if (!process)
        return Value::of_error(errno);
    const long done = ::syscall(SYS_process_madvise, process.get(), &one, 1, given.number(1), 0);
    return Value::of_error(done < 0 ? errno : 0);
}

Result<Value> do_msync(Doing& /*doing*/, const Given& given) {
    const Range range = range_of(given.at(0));
    return error_of(::msync(range.start, range.bytes, static_cast<int>(given.number(1))));
}

Result<Value> do_mlock(Doing& /*doing*/, const Given& given) {
    const Range range = range_of(given.at(0));
    return error_of(::mlock(range.start, range.bytes));
}

Result<Value> do_munlock(Doing& /*doing*/, const Given& given) {
    const Range range = range_of(given.at(0));
    return error_of(::munlock(range.start, range.bytes));
}

Result<Value> do_mlocked(Doing& /*doing*/, const Given& /*given*/) {
    const Result<std::string> text = read_text("/proc/self/status");
    if (!text)
        return text.error();
    const auto counters = parse_status(*text);
    if (!counters)
        return counters.error();
    for (const auto& [name, kilobytes] : *counters)
        if (name == "VmLck")
            return Value::of(static_cast<std::int64_t>(kilobytes * 1024 / small_page()));
    return Error::make(EPROTO, "no VmLck in", "/proc/self/status");
}

Result<Value> do_mincore(Doing& /*doing*/, const Given& given) {
    const Range range = range_of(given.at(0));
    unsigned char resident = 0;
    if (::mincore(range.start, small_page(), &resident) != 0)
        return Value::of_error(errno);
    return Value::of_word((resident & 1) != 0 ? "page" : "hole");
}

Result<Value> load_page(const MemoryObject& memory, std::size_t page) {
    std::vector<std::uint64_t> words(memory.page_bytes / sizeof(std::uint64_t));
    const int signal = access([&words, at = memory.at(page)] {
        const auto* from = reinterpret_cast<volatile const std::uint64_t*>(at);
        for (std::size_t i = 0; i < words.size(); ++i)
            words[i] = from[i];
    });
    if (signal != 0)
        return Value::of_word(signal_word(signal));
    return Value::of_word(content_word(*memory.content, memory.offset + page, words));
}

Result<Value> do_load(Doing& /*doing*/, const Given& given) {
    const MemoryObject& memory = given.object<MemoryObject>(0);
    const std::size_t page = given.at(0).first;
    if (given.number(1) != 0)
        return load_page(memory, page);
    volatile std::uint64_t word = 0;
    const int signal = access([&word, at = memory.at(page)] {
        word = *reinterpret_cast<volatile const std::uint64_t*>(at);
    });
    if (signal != 0)
        return Value::of_word(signal_word(signal));
    return Value::of_word(first_word(*memory.content, memory.offset + page, word));
}

// By loads, as a program sees it: with what the TLB of this CPU has.
Result<Value> do_look(Doing& /*doing*/, const Given& given) {
    const MemoryObject& memory = given.object<MemoryObject>(0);
    const std::size_t words = memory.page_bytes / sizeof(std::uint64_t);
    bool intact = true;
    for (std::size_t i = 0; i < given.at(0).count; ++i) {
        const std::size_t page = given.at(0).first + i;
        const std::uint64_t word =
            memory.content->is_filled(memory.offset + page) ? memory.word(page) : 0;
        const int signal = access([&] {
            const std::span<const std::uint64_t> content(
                reinterpret_cast<const std::uint64_t*>(memory.at(page)), words);
            intact = !compare_pattern(content, word).found && intact;
        });
        if (signal != 0)
            return Value::of_word(signal_word(signal));
    }
    return Value::of_word(intact ? "intact" : "changed");
}

// How many pages are in no cache.
Result<Value> do_absent(Doing& /*doing*/, const Given& given) {
    const Range range = range_of(given.at(0));
    std::array<unsigned char, 512> resident{};
    const std::size_t piece = resident.size() * small_page();
    std::int64_t absent = 0;
    for (std::size_t at = 0; at < range.bytes; at += piece) {
        const std::size_t some = std::min(piece, range.bytes - at);
        if (::mincore(range.start + at, some, resident.data()) != 0)
            return Value::of_error(errno);
        absent += std::count_if(resident.begin(),
                                resident.begin() + static_cast<long>(some / small_page()),
                                [](unsigned char page) { return (page & 1) == 0; });
    }
    return Value::of(absent);
}

Result<Value> do_store(Doing& /*doing*/, const Given& given) {
    const MemoryObject& memory = given.object<MemoryObject>(0);
    const std::size_t first = given.at(0).first;
    for (std::size_t page = first; page < first + given.at(0).count; ++page) {
        const int signal = access([at = memory.at(page), word = memory.stored(page)] {
            *reinterpret_cast<volatile std::uint64_t*>(at) = word;
        });
        if (signal != 0)
            return Value::of_word(signal_word(signal));
    }
    return Value::of_word("ok");
}

Result<Value> do_peek(Doing& /*doing*/, const Given& given) {
    const MemoryObject& memory = given.object<MemoryObject>(0);
    const std::size_t page = given.at(0).first;
    const Result<std::vector<std::uint64_t>> words = memory.read(page);
    if (!words)
        return Value::of_error(words.error().number);
    return Value::of_word(content_word(*memory.content, memory.offset + page, *words));
}

int poke_page(const MemoryObject& memory, std::size_t page, std::uint64_t word) {
    std::vector<std::uint64_t> words(memory.page_bytes / sizeof(std::uint64_t));
    write_pattern(words, word);
    const iovec local{words.data(), memory.page_bytes};
    const iovec remote{memory.at(page), memory.page_bytes};
    const ssize_t put = ::process_vm_writev(::getpid(), &local, 1, &remote, 1, 0);
    return put < 0 ? errno : put != static_cast<ssize_t>(memory.page_bytes) ? EFAULT : 0;
}

Result<Value> do_poke(Doing& /*doing*/, const Given& given) {
    const MemoryObject& memory = given.object<MemoryObject>(0);
    const std::size_t first = given.at(0).first;
    for (std::size_t page = first; page < first + given.at(0).count; ++page)
        if (const int number = poke_page(memory, page, memory.stored(page)); number != 0)
            return Value::of_error(number);
    return Value::of_error(0);
}

// Holes of a shape drawn by chance: the first page, the last, one, every other, nearly all. Never
// all.
std::vector<bool> draw_holes(std::size_t pages, Rng& rng) {
    std::vector<bool> hole(pages, false);
    switch (rng.below(5)) {
    case 0:
        hole.front() = true;
        break;
    case 1:
        hole.back() = true;
        break;
    case 2:
        hole[rng.below(pages)] = true;
        break;
    case 3:
        for (std::size_t page = rng.below(2); page < pages; page += 2)
            hole[page] = true;
        break;
    default:
        hole.assign(pages, true);
        hole[rng.below(pages)] = false;
        break;
    }
    return hole;
}

enum Holes : std::int64_t { no_holes, random_holes, one_hole };

std::vector<bool> choose_holes(std::int64_t how, std::size_t pages, Rng& rng) {
    if (how == random_holes)
        return draw_holes(pages, rng);
    std::vector<bool> hole(pages, false);
    if (how == one_hole)
        hole[rng.below(pages)] = true;
    return hole;
}

Result<void> fill_memory(const MemoryObject& memory, std::size_t page) {
    const std::size_t words = memory.page_bytes / sizeof(std::uint64_t);
    const int signal = access([&memory, page, words] {
        write_pattern({reinterpret_cast<std::uint64_t*>(memory.at(page)), words},
                      memory.word(page));
    });
    if (signal != 0)
        return Error::make(EFAULT, std::string("fill: ") + std::string(signal_word(signal)));
    return {};
}

Result<void> fill_file(const FileObject& file, std::size_t page) {
    std::vector<std::uint64_t> words(file.page_bytes / sizeof(std::uint64_t));
    write_pattern(words, file.content->word(page));
    if (::pwrite(file.fd.get(), words.data(), file.page_bytes,
                 static_cast<off_t>(page * file.page_bytes)) !=
        static_cast<ssize_t>(file.page_bytes))
        return Error::last("pwrite (fill)");
    return {};
}

Result<Value> do_fill(Doing& doing, const Given& given) {
    const Value& what = given.at(0);
    const bool memory = what.type == Type::memory;
    Content& content =
        memory ? *given.object<MemoryObject>(0).content : *given.object<FileObject>(0).content;
    const std::size_t offset = memory ? given.object<MemoryObject>(0).offset : 0;
    const std::vector<bool> hole = choose_holes(given.number(1), what.count, doing.rng);
    for (std::size_t i = 0; i < what.count; ++i) {
        if (hole[i])
            continue;
        const std::size_t page = what.first + i;
        const Result<void> filled = memory ? fill_memory(given.object<MemoryObject>(0), page)
                                           : fill_file(given.object<FileObject>(0), page);
        if (!filled)
            return filled.error();
        content.filled.at((offset + page) % content.filled.size()) = true;
    }
    return Value{};
}

const Content& content_of(const Value& value) {
    return value.type == Type::memory ? *static_cast<const MemoryObject&>(*value.object).content
                                      : *static_cast<const FileObject&>(*value.object).content;
}

Result<Value> pick(Doing& doing, const Value& from, bool filled) {
    const Content& content = content_of(from);
    const std::size_t offset =
        from.type == Type::memory ? static_cast<const MemoryObject&>(*from.object).offset : 0;
    const std::size_t start = from.count == 0 ? 0 : doing.rng.below(from.count);
    for (std::size_t i = 0; i < from.count; ++i) {
        const std::size_t page = from.first + (start + i) % from.count;
        if (content.is_filled(offset + page) == filled)
            return Value::of(static_cast<std::int64_t>(page));
    }
    return Error::make(ENOENT, filled ? "no page has been filled" : "there is no hole");
}

Result<Value> do_random_page(Doing& doing, const Given& given) {
    return pick(doing, given.at(0), true);
}
Result<Value> do_random_hole(Doing& doing, const Given& given) {
    return pick(doing, given.at(0), false);
}
Result<Value> do_random(Doing& doing, const Given& given) {
    if (given.number(0) < 1)
        return Error::make(EINVAL, "random() below less than 1");
    return Value::of(
        static_cast<std::int64_t>(doing.rng.below(static_cast<std::uint64_t>(given.number(0)))));
}

Result<Value> make_pipe(Doing& /*doing*/, const Given& /*given*/) {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK) != 0)
        return Error::last("pipe2");
    auto pipe = std::make_shared<PipeObject>();
    pipe->out = Fd(ends[0]);
    pipe->in = Fd(ends[1]);
    return Value::of_object(Type::pipe, std::move(pipe));
}

Result<Value> do_vmsplice(Doing& /*doing*/, const Given& given) {
    const Range range = range_of(given.at(1));
    const iovec piece{range.start, range.bytes};
    const ssize_t put = ::vmsplice(given.object<PipeObject>(0).in.get(), &piece, 1, 0);
    return Value::of_error(put < 0                                        ? errno
                           : static_cast<std::size_t>(put) != range.bytes ? EAGAIN
                                                                          : 0);
}

Result<Value> do_pipe_read(Doing& /*doing*/, const Given& given) {
    const MemoryObject& memory = given.object<MemoryObject>(1);
    std::vector<std::uint64_t> words(memory.page_bytes / sizeof(std::uint64_t));
    const ssize_t got =
        ::read(given.object<PipeObject>(0).out.get(), words.data(), memory.page_bytes);
    if (got < 0)
        return Value::of_error(errno);
    if (got != static_cast<ssize_t>(memory.page_bytes))
        return Value::of_error(EIO);
    return Value::of_word(content_word(*memory.content, memory.offset + given.at(1).first, words));
}

Result<Value> do_futex_wake(Doing& /*doing*/, const Given& given) {
    const long woken =
        ::syscall(SYS_futex, range_of(given.at(0)).start, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
    return Value::of_error(woken < 0 ? errno : 0);
}

Result<Value> do_move_pages(Doing& /*doing*/, const Given& given) {
    void* page = range_of(given.at(0)).start;
    const int node = static_cast<int>(given.number(1));
    int status = 0;
    if (::syscall(SYS_move_pages, 0, 1UL, &page, &node, &status, MPOL_MF_MOVE) < 0)
        return Value::of_error(errno);
    return Value::of_error(status < 0 ? -status : 0);
}

Result<Value> do_prctl(Doing& /*doing*/, const Given& given) {
    return error_of(::prctl(static_cast<int>(given.number(0)), given.number(1), 0, 0, 0));
}

// The child ends at once; by then the kernel has copied this process' page tables.
Result<Value> do_fork(Doing& /*doing*/, const Given& /*given*/) {
    const pid_t child = ::fork();
    if (child == 0)
        ::_exit(0);
    if (child < 0)
        return Value::of_error(errno);
    while (::waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
    }
    return Value::of_error(0);
}

// With no destructor: all that it has mapped is there for exit_mmap().
Result<Value> do_exit(Doing& doing, const Given& /*given*/) {
    if (!doing.leave)
        return Error::make(EPERM, "only an actor that is a process can end it");
    doing.leave();
    ::_exit(0);
}

const std::vector<Constant> advices = {
    {"COLLAPSE", MADV_COLLAPSE},
    {"DONTNEED", MADV_DONTNEED},
    {"DONTNEED_LOCKED", MADV_DONTNEED_LOCKED},
    {"FREE", MADV_FREE},
    {"REMOVE", MADV_REMOVE},
    {"PAGEOUT", MADV_PAGEOUT},
    {"COLD", MADV_COLD},
    {"WILLNEED", MADV_WILLNEED},
    {"NORMAL", MADV_NORMAL},
    {"RANDOM", MADV_RANDOM},
    {"SEQUENTIAL", MADV_SEQUENTIAL},
    {"HUGEPAGE", MADV_HUGEPAGE},
    {"NOHUGEPAGE", MADV_NOHUGEPAGE},
    {"MERGEABLE", MADV_MERGEABLE},
    {"UNMERGEABLE", MADV_UNMERGEABLE},
    {"POPULATE_READ", MADV_POPULATE_READ},
    {"POPULATE_WRITE", MADV_POPULATE_WRITE},
    {"DONTFORK", MADV_DONTFORK},
    {"DOFORK", MADV_DOFORK},
    {"WIPEONFORK", MADV_WIPEONFORK},
    {"KEEPONFORK", MADV_KEEPONFORK},
    {"DONTDUMP", MADV_DONTDUMP},
    {"DODUMP", MADV_DODUMP},
    {"SOFT_OFFLINE", MADV_SOFT_OFFLINE},
    {"HWPOISON", MADV_HWPOISON},
    {"GUARD_INSTALL", MADV_GUARD_INSTALL},
    {"GUARD_REMOVE", MADV_GUARD_REMOVE},
};

const std::vector<Constant> protections = {
    {"READ_WRITE", PROT_READ | PROT_WRITE}, {"READ", PROT_READ}, {"NONE", PROT_NONE}};

} // namespace

// NOLINTNEXTLINE(readability-function-size): a table
void add_memory_operations(std::vector<Operation>& rows) {
    const Argument memory{"memory", Type::memory};
    const Argument pages{"pages", Type::number};
    const Argument at{"of", Type::pages};
    rows.insert(
        rows.end(),
        {{.name = "mmap",
          .arguments = {{"file", Type::file},
                        {.name = "protection",
                         .type = Type::word,
                         .constants = protections,
                         .otherwise = "READ_WRITE"},
                        {.name = "flags",
                         .type = Type::word,
                         .constants = {{"SHARED", MAP_SHARED},
                                       {"PRIVATE", MAP_PRIVATE},
                                       {"SHARED_NORESERVE", MAP_SHARED | MAP_NORESERVE},
                                       {"PRIVATE_NORESERVE", MAP_PRIVATE | MAP_NORESERVE}},
                         .otherwise = "SHARED"},
                        {.name = "times", .type = Type::number, .otherwise = "1"}},
          .result = Type::memory,
          .about = "maps the file or file[FROM..TO], at the same address in each run, where a PMD "
                   "or a shared table of PMDs can map it; `times` mappings, one after the other",
          .man = "mmap(2)",
          .act = do_mmap,
          .c = "map_file({file}, {file.first}, {file.count}, {protection}, {flags}, {times})"},
         {.name = "anon",
          .arguments = {pages,
                        {.name = "flags",
                         .type = Type::word,
                         .constants = {{"PRIVATE", MAP_PRIVATE}, {"SHARED", MAP_SHARED}},
                         .otherwise = "PRIVATE"}},
          .result = Type::memory,
          .about = "anonymous memory, untouched",
          .man = "mmap(2)",
          .act = do_anon,
          .c = "map_anon({pages}, PROT_READ | PROT_WRITE, {flags})"},
         {.name = "reserve",
          .arguments = {pages, {.name = "for", .type = Type::memory, .otherwise = ""}},
          .result = Type::memory,
          .about = "unmapped addresses, for mremap() of pages like those of `for`",
          .man = "mmap(2)",
          .act = do_reserve,
          .c = "reserve({pages}, {for}, {for.first})"},
         {.name = "munmap",
          .arguments = {memory},
          .result = Type::error,
          .about = "memory, memory[N] or memory[FROM..TO]",
          .man = "munmap(2)",
          .act = do_munmap,
          .c = "failed(munmap({memory.at}, {memory.bytes}))"},
         {.name = "mremap",
          .arguments = {memory,
                        {"to", Type::memory},
                        {.name = "flags",
                         .type = Type::word,
                         .constants = {{"MOVE", 0}, {"DONTUNMAP", MREMAP_DONTUNMAP}},
                         .otherwise = "MOVE"}},
          .result = Type::error,
          .about = "moves pages to other addresses (MREMAP_FIXED)",
          .errnos = "EINVAL EFAULT ENOMEM",
          .man = "mremap(2)",
          .act = do_mremap,
          .c = "failed_map(mremap({memory.at}, {memory.bytes}, {memory.bytes}, MREMAP_MAYMOVE | "
               "MREMAP_FIXED | {flags}, {to.at}))"},
         {.name = "mprotect",
          .arguments = {memory,
                        {.name = "protection", .type = Type::word, .constants = protections}},
          .result = Type::error,
          .errnos = "EACCES ENOMEM",
          .man = "mprotect(2)",
          .act = do_mprotect,
          .c = "failed(mprotect({memory.at}, {memory.bytes}, {protection}))"},
         {.name = "madvise",
          .arguments = {memory, {.name = "advice", .type = Type::word, .constants = advices}},
          .result = Type::error,
          .errnos = "EAGAIN EBUSY EINVAL ENOMEM EFAULT EHWPOISON",
          .man = "madvise(2)",
          .act = do_madvise,
          .c = "failed(madvise({memory.at}, {memory.bytes}, {advice}))"},
         {.name = "process_madvise",
          .arguments = {memory,
                        {.name = "advice", .type = Type::word, .constants = advices},
                        {.name = "actor", .type = Type::actor, .otherwise = ""}},
          .result = Type::error,
          .about = "by the pidfd of this process, or of the actor: at the same addresses there. "
                   "ESRCH: the actor has not begun, or has exited",
          .errnos = "EINVAL EPERM ESRCH EAGAIN EBUSY ENOMEM",
          .man = "process_madvise(2)",
          .act = do_process_madvise},
         {.name = "msync",
          .arguments = {memory,
                        {.name = "flags",
                         .type = Type::word,
                         .constants = {{"SYNC", MS_SYNC},
                                       {"ASYNC", MS_ASYNC},
                                       {"INVALIDATE", MS_INVALIDATE}},
                         .otherwise = "SYNC"}},
          .result = Type::error,
          .errnos = "EBUSY ENOMEM",
          .man = "msync(2)",
          .act = do_msync,
          .c = "failed(msync({memory.at}, {memory.bytes}, {flags}))"},
         {.name = "mlock",
          .arguments = {memory},
          .result = Type::error,
          .errnos = "ENOMEM EAGAIN",
          .man = "mlock(2)",
          .act = do_mlock,
          .c = "failed(mlock({memory.at}, {memory.bytes}))"},
         {.name = "munlock",
          .arguments = {memory},
          .result = Type::error,
          .man = "mlock(2)",
          .act = do_munlock,
          .c = "failed(munlock({memory.at}, {memory.bytes}))"},
         {.name = "mlocked",
          .result = Type::number,
          .about = "the number of pages that count as locked for this process (VmLck)",
          .man = "proc_pid_status(5)",
          .act = do_mlocked},
         {.name = "mincore",
          .arguments = {memory},
          .result = Type::word,
          .words = {"page", "hole"},
          .about = "is memory[N] in the page cache?",
          .errnos = "ENOMEM",
          .man = "mincore(2)",
          .act = do_mincore,
          .c = "mincore_word({memory.at})"},
         {.name = "load",
          .arguments = {memory,
                        {.name = "how",
                         .type = Type::word,
                         .constants = {{"WORD", 0}, {"PAGE", 1}},
                         .otherwise = "WORD"}},
          .result = Type::word,
          .words = {"data", "zero", "stored", "other", "SIGBUS", "SIGSEGV"},
          .about = "one load of the first word of memory[N], or loads of all its words",
          .act = do_load,
          .c = "load({memory}, {memory.first}, {how})"},
         {.name = "look",
          .arguments = {memory},
          .result = Type::word,
          .words = {"intact", "changed", "SIGBUS", "SIGSEGV"},
          .about = "compares every byte of the memory by loads with the bytes of fill(), and with "
                   "zeroes in holes",
          .act = do_look,
          .c = "look({memory}, {memory.first}, {memory.count})"},
         {.name = "absent",
          .arguments = {memory},
          .result = Type::number,
          .about = "the number of pages of the memory that are not in the page cache",
          .errnos = "ENOMEM",
          .man = "mincore(2)",
          .act = do_absent},
         {.name = "store",
          .arguments = {memory},
          .result = Type::word,
          .words = {"ok", "SIGBUS", "SIGSEGV"},
          .about = "one store to the first word of each page of memory[N] or memory[FROM..TO]",
          .act = do_store,
          .c = "store({memory}, {memory.first}, {memory.count})"},
         {.name = "peek",
          .arguments = {memory},
          .result = Type::word,
          .words = {"data", "zero", "stored", "other"},
          .about = "the whole page memory[N], by the kernel: no signal, EFAULT where there is none",
          .errnos = "EFAULT",
          .man = "process_vm_readv(2)",
          .act = do_peek,
          .c = "peek({memory}, {memory.first})"},
         {.name = "poke",
          .arguments = {memory},
          .result = Type::error,
          .about = "stores whole pages, by the kernel: no signal, EFAULT where there is none",
          .errnos = "EFAULT",
          .man = "process_vm_writev(2)",
          .act = do_poke,
          .c = "poke({memory}, {memory.first}, {memory.count})"},
         {.name = "fill",
          .arguments =
              {at,
               {.name = "holes",
                .type = Type::word,
                .constants = {{"NONE", no_holes}, {"RANDOM", random_holes}, {"ONE", one_hole}},
                .otherwise = "NONE"}},
          .about = "gives each page its own bytes: memory by stores, a file by pwrite(2). RANDOM "
                   "leaves out the first page, the last, one, every other, or all but one",
          .where = before | in_actor,
          .act = do_fill,
          .c = "fill({of}, {of.first}, {of.count}, {holes})"},
         {.name = "random_page",
          .arguments = {at},
          .result = Type::number,
          .about = "one of the pages that fill() filled; drawn from the run's seed",
          .act = do_random_page,
          .c = "random_filled({of}, {of.first}, {of.count}, true)"},
         {.name = "random_hole",
          .arguments = {at},
          .result = Type::number,
          .about = "one of the pages that fill() left out",
          .act = do_random_hole,
          .c = "random_filled({of}, {of.first}, {of.count}, false)"},
         {.name = "random",
          .arguments = {{"below", Type::number}},
          .result = Type::number,
          .about = "from 0 to below - 1",
          .act = do_random,
          .c = "random_below({below})"},
         {.name = "pipe",
          .result = Type::pipe,
          .about = "empty",
          .man = "pipe(2)",
          .act = make_pipe},
         {.name = "vmsplice",
          .arguments = {{"pipe", Type::pipe}, memory},
          .result = Type::error,
          .about = "gives the pipe references to the pages: they are pinned until a read",
          .errnos = "EAGAIN EFAULT",
          .man = "vmsplice(2)",
          .act = do_vmsplice},
         {.name = "pipe_read",
          .arguments = {{"pipe", Type::pipe}, memory},
          .result = Type::word,
          .words = {"data", "zero", "stored", "other"},
          .about = "reads the next page of the pipe, and compares it with memory[N]",
          .errnos = "EAGAIN EIO",
          .man = "read(2)",
          .act = do_pipe_read},
         {.name = "futex_wake",
          .arguments = {memory},
          .result = Type::error,
          .about = "looks up the page of memory[N] by GUP, and wakes nobody",
          .errnos = "EFAULT",
          .man = "futex(2)",
          .act = do_futex_wake,
          .c = "failed(syscall(SYS_futex, {memory.at}, 1 /* FUTEX_WAKE */, INT_MAX, NULL, NULL, "
               "0))"},
         {.name = "move_pages",
          .arguments = {memory, {.name = "node", .type = Type::number, .otherwise = "0"}},
          .result = Type::error,
          .about =
              "moves the page memory[N] to the node. If it is there already, the kernel only looks "
              "it up and takes a reference: soft_offline() and compact() migrate on any machine",
          .errnos = "EBUSY ENOENT EACCES ENODEV",
          .man = "move_pages(2)",
          .act = do_move_pages},
         {.name = "prctl",
          .arguments = {{.name = "option",
                         .type = Type::word,
                         .constants = {{"SET_THP_DISABLE", PR_SET_THP_DISABLE}}},
                        {.name = "value", .type = Type::number, .otherwise = "1"}},
          .result = Type::error,
          .man = "prctl(2)",
          .where = in_actor,
          .act = do_prctl,
          .c = "failed(prctl({option}, {value}, 0, 0, 0))"},
         {.name = "fork",
          .result = Type::error,
          .about = "a child that ends at once; returns when it has ended",
          .errnos = "EAGAIN ENOMEM",
          .man = "fork(2)",
          .act = do_fork,
          .c = "fork_once()"},
         {.name = "exit",
          .about = "the process ends here, and exit_mmap() frees all its mappings. wait_for() and "
                   "until of others go on when the exit begins, wait_gone() when it is done. A "
                   "schedule has no sites in it",
          .man = "_exit(2)",
          .where = in_actor,
          .of_process = true,
          .act = do_exit}});
}

} // namespace faultline
