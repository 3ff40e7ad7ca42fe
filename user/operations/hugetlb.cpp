// SPDX-License-Identifier: GPL-2.0
// Huge pages of hugetlb: where they are mapped, and the tables of PMDs that processes share for
// them.
#include "operations/objects.hpp"

#include "kernel/page_pattern.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

namespace faultline {

namespace {

std::size_t small_page() { return static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)); }

Value give_at(Places& places, char* start, std::size_t page_bytes, std::size_t pages,
              std::shared_ptr<Content> content, std::shared_ptr<FileObject> file,
              std::size_t offset = 0) {
    auto memory = std::make_shared<MemoryObject>();
    memory->places = &places;
    memory->start = start;
    memory->page_bytes = page_bytes;
    memory->pages = pages;
    memory->content = std::move(content);
    memory->offset = offset;
    memory->file = std::move(file);
    return Value::of_object(Type::memory, std::move(memory), pages);
}

Result<Value> do_reserve(Doing& doing, const Given& given) {
    const auto pages = static_cast<std::size_t>(given.number(0));
    const std::size_t huge = hugetlb_bytes();
    if (huge == 0 || doing.binds.empty())
        return Error::make(ENODEV, "no huge pages");
    const std::size_t pud = huge * (small_page() / sizeof(void*));
    const Result<char*> place = doing.places.take(std::string(doing.binds), pages * huge, pud);
    if (!place)
        return place.error();
    if (::mmap(*place, pages * huge, PROT_NONE,
               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) == MAP_FAILED)
        return Error::last("mmap (reserve)");
    return give_at(doing.places, *place, huge, pages, std::make_shared<Content>(pages), nullptr);
}

Result<Value> do_part(Doing& doing, const Given& given) {
    const MemoryObject& memory = given.object<MemoryObject>(0);
    const MemoryObject& like = given.object<MemoryObject>(1);
    return give_at(doing.places, memory.at(given.at(0).first), memory.page_bytes, given.at(0).count,
                   like.content, like.file, like.offset + given.at(1).first);
}

Result<Value> map_there(Doing& doing, const Value& where, int flags,
                        std::shared_ptr<FileObject> file) {
    const auto& memory = static_cast<const MemoryObject&>(*where.object);
    const Range range = range_of(where);
    if (::mmap(range.start, range.bytes, PROT_READ | PROT_WRITE, flags | MAP_NORESERVE | MAP_FIXED,
               file ? file->fd.get() : -1, 0) == MAP_FAILED)
        return Error::last("mmap (hugetlb)");
    std::shared_ptr<Content> content =
        file ? file->content : std::make_shared<Content>(where.count);
    return give_at(doing.places, range.start, memory.page_bytes, where.count, std::move(content),
                   std::move(file));
}

Result<Value> do_map(Doing& doing, const Given& given) {
    return map_there(doing, given.at(0), MAP_SHARED, given.shared<FileObject>(1));
}

Result<Value> do_anon(Doing& doing, const Given& given) {
    return map_there(doing, given.at(0), MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, nullptr);
}

Result<Value> do_vacate(Doing& /*doing*/, const Given& given) {
    const Range range = range_of(given.at(0));
    return Value::of_error(::munmap(range.start, range.bytes) == 0 ? 0 : errno);
}

// In the child, which alone has the file mapped. 0: the first page is there; 1: it is not; 2:
// nothing was moved.
int move_here(const FileObject& file, const Range& from, const Range& to) {
    const auto stored = [&file](const char* page) {
        const Result<std::uint64_t> word = peek(page);
        return word && *word == file.content->stored(0);
    };
    if (from.bytes != to.bytes ||
        ::mmap(from.start, from.bytes, PROT_READ | PROT_WRITE,
               MAP_SHARED | MAP_NORESERVE | MAP_FIXED, file.fd.get(), 0) == MAP_FAILED ||
        !stored(from.start) ||
        ::mremap(from.start, from.bytes, from.bytes, MREMAP_MAYMOVE | MREMAP_FIXED, to.start) ==
            MAP_FAILED)
        return 2;
    return stored(to.start) ? 0 : 1;
}

// A stuck child must not keep the module loaded: it keeps only that file of this process.
void keep_one_file(int file) {
    const auto keep = static_cast<unsigned>(std::max(file, 2));
    if (keep > 3)
        (void)::close_range(3, keep - 1, 0);
    (void)::close_range(keep + 1, ~0U, 0);
}

// The caller is left to say that it does not come back.
Result<Value> do_mremap_in_child(Doing& /*doing*/, const Given& given) {
    const FileObject& file = given.object<FileObject>(0);
    auto child = std::make_shared<ChildObject>();
    child->pid = ::fork();
    if (child->pid < 0)
        return Error::last("fork");
    if (child->pid == 0) {
        keep_one_file(file.fd.get());
        ::_exit(move_here(file, range_of(given.at(1)), range_of(given.at(2))));
    }
    return Value::of_object(Type::child, std::move(child));
}

Result<Value> do_child_ends(Doing& doing, const Given& given) {
    auto& child = given.object<ChildObject>(0);
    for (std::int64_t waited = 0; waited < given.number(1) && !doing.stopping(); ++waited) {
        int status = 0;
        if (child.pid == 0)
            return Value::of_word("ended");
        if (::waitpid(child.pid, &status, WNOHANG) == child.pid) {
            child.status = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
            child.pid = 0; // another process may get it
            return Value::of_word("ended");
        }
        ::usleep(1000);
    }
    (void)::kill(child.pid, SIGKILL); // no effect while it is stuck
    return Value::of_word("stuck");
}

Result<Value> do_child_status(Doing& /*doing*/, const Given& given) {
    return Value::of(given.object<ChildObject>(0).status);
}

Result<Value> do_fork_touch(Doing& /*doing*/, const Given& given) {
    const Range range = range_of(given.at(0));
    const pid_t child = ::fork();
    if (child < 0)
        return Value::of_error(errno);
    if (child == 0)
        ::_exit(::madvise(range.start, range.bytes, MADV_POPULATE_READ) == 0 ? 0 : errno);
    int status = 0;
    while (::waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return Value::of_error(errno);
    return Value::of_error(WIFEXITED(status) ? WEXITSTATUS(status) : EINTR);
}

Result<Value> do_peek_all(Doing& /*doing*/, const Given& given) {
    const MemoryObject& memory = given.object<MemoryObject>(0);
    std::string all;
    for (std::size_t i = 0; i < given.at(0).count; ++i) {
        const std::size_t page = given.at(0).first + i;
        const Result<std::vector<std::uint64_t>> words = memory.read(page);
        const std::string_view one =
            words ? content_word(*memory.content, memory.offset + page, *words)
                  : std::string_view("none");
        if (!all.empty() && all != one)
            return Value::of_word("mixed");
        all = one;
    }
    return Value::of_word(all);
}

Result<Value> do_sole(Doing& /*doing*/, const Given& given) {
    const Result<HugetlbShare> share = hugetlb_share(0, range_of(given.at(0)).start);
    if (!share)
        return share.error();
    return Value::of_word(share->shared == 0 && share->users.size() == 1 ? "yes" : "no");
}

// Reads /proc/self/status. All kernels still count a table of PMDs that the process gave up.
Result<std::int64_t> counted_pages() {
    const Result<std::string> text = read_text("/proc/self/status");
    if (!text)
        return text.error();
    constexpr std::string_view name = "\nHugetlbPages:";
    const std::size_t at = text->find(name);
    if (at == std::string::npos)
        return Error::make(EPROTO, "no HugetlbPages in", "/proc/self/status");
    const auto huge = static_cast<std::int64_t>(hugetlb_bytes() >> 10);
    return std::strtoll(text->c_str() + at + name.size(), nullptr, 10) /
           std::max<std::int64_t>(huge, 1);
}

Result<Value> do_counted(Doing& /*doing*/, const Given& /*given*/) {
    const Result<std::int64_t> pages = counted_pages();
    if (!pages)
        return pages.error();
    return Value::of(*pages);
}

Result<Value> do_usage(Doing& /*doing*/, const Given& given) {
    const Result<std::int64_t> used = counted_pages();
    if (!used)
        return used.error();
    const std::int64_t pages = given.number(0);
    return Value::of_word(*used == pages ? "exact" : *used > pages ? "over" : "under");
}

} // namespace

// NOLINTNEXTLINE(readability-function-size): a table
void add_hugetlb_operations(std::vector<Operation>& rows) {
    const Argument memory{"memory", Type::memory};
    rows.insert(
        rows.end(),
        {{.name = "hugetlb_reserve",
          .arguments = {{"pages", Type::number}},
          .result = Type::memory,
          .about = "unmapped addresses for huge pages, from the start of a PUD's range",
          .man = "mmap(2)",
          .needs = "hugetlb",
          .act = do_reserve,
          .c = "hugetlb_reserve({pages})"},
         {.name = "hugetlb_map",
          .arguments = {memory, {"file", Type::file}},
          .result = Type::memory,
          .about = "maps the file's first pages at memory[FROM..TO], shared, without reservations",
          .errnos = "ENOMEM EINVAL",
          .man = "mmap(2)",
          .needs = "hugetlb",
          .act = do_map,
          .c = "map_there({memory}, {memory.first}, {memory.count}, MAP_SHARED, {file})"},
         {.name = "hugetlb_anon",
          .arguments = {memory},
          .result = Type::memory,
          .about = "private huge pages of no file at memory[N] or memory[FROM..TO]",
          .errnos = "ENOMEM EINVAL",
          .man = "mmap(2)",
          .needs = "hugetlb",
          .act = do_anon,
          .c = "map_there({memory}, {memory.first}, {memory.count}, MAP_PRIVATE | MAP_ANONYMOUS | "
               "MAP_HUGETLB, (struct object){ 0 })"},
         {.name = "part",
          .arguments = {memory, {"like", Type::memory}},
          .result = Type::memory,
          .about = "memory[FROM..TO] counted from 0, for pages of `like` that will be moved there",
          .act = do_part,
          .c = "part({memory}, {memory.first}, {memory.count}, {like}, {like.first})"},
         {.name = "vacate",
          .arguments = {memory},
          .result = Type::error,
          .about = "unmaps memory[N] and reserves nothing there: a later mapping may get the place",
          .man = "munmap(2)",
          .where = in_actor,
          .of_process = true,
          .act = do_vacate,
          .c = "failed(munmap({memory.at}, {memory.bytes}))"},
         {.name = "mremap_in_child",
          .arguments = {{"file", Type::file}, {"from", Type::memory}, {"to", Type::memory}},
          .result = Type::child,
          .about = "a child maps the file at addresses of huge pages, and moves the mapping. Its "
                   "status: 0, the first page, which a step stored, is present afterwards; 1, it "
                   "is not; 2, the child failed",
          .man = "mremap(2)",
          .where = in_actor,
          .act = do_mremap_in_child,
          .c = "mremap_in_child({file}, {from.at}, {from.bytes}, {to.at})"},
         {.name = "child_ends",
          .arguments = {{"child", Type::child},
                        {.name = "milliseconds", .type = Type::number, .otherwise = "2000"}},
          .result = Type::word,
          .words = {"ended", "stuck"},
          .about = "waits for it; stuck: it has not ended within that time",
          .man = "waitpid(2)",
          .where = in_actor,
          .act = do_child_ends,
          .c = "child_ends(&{child}, {milliseconds})"},
         {.name = "child_status",
          .arguments = {{"child", Type::child}},
          .result = Type::number,
          .about = "the status of a child that has ended; below 0: the signal that ended it",
          .man = "waitpid(2)",
          .where = in_actor,
          .act = do_child_status,
          .c = "{child.counts}[1]"},
         {.name = "fork_touch",
          .arguments = {memory},
          .result = Type::error,
          .about = "a child that reads memory[N] and ends; returns when it has ended",
          .errnos = "EAGAIN ENOMEM EFAULT",
          .man = "fork(2)",
          .act = do_fork_touch,
          .c = "fork_touch({memory.at}, {memory.bytes})"},
         {.name = "peek_all",
          .arguments = {memory},
          .result = Type::word,
          .words = {"data", "zero", "stored", "other", "none", "mixed"},
          .about =
              "the bytes of each of the pages, as by peek(); none: unreadable; mixed: they differ",
          .man = "process_vm_readv(2)",
          .act = do_peek_all,
          .c = "peek_all({memory}, {memory.first}, {memory.count})"},
         {.name = "hugetlb_sole",
          .arguments = {memory},
          .result = Type::word,
          .words = {"yes", "no"},
          .about = "does this process alone have its table of PMDs for memory[N], by the kernel's "
                   "count and by the mappings of the table?",
          .needs = "pmd-sharing",
          .where = acting,
          .act = do_sole},
         {.name = "hugetlb_counted",
          .result = Type::number,
          .about = "the number of huge pages that count for this process (HugetlbPages)",
          .man = "proc_pid_status(5)",
          .needs = "hugetlb",
          .act = do_counted,
          .c = "hugetlb_counted()"},
         {.name = "hugetlb_usage",
          .arguments = {{"pages", Type::number}},
          .result = Type::word,
          .words = {"exact", "over", "under"},
          .about = "does this number of huge pages count for this process?",
          .man = "proc_pid_status(5)",
          .needs = "hugetlb",
          .act = do_usage,
          .c = "hugetlb_usage({pages})"}});
}

} // namespace faultline
