// SPDX-License-Identifier: GPL-2.0
// A child that shares pages of private memory with this process: a store copies them.
#include "operations/objects.hpp"

#include "kernel/own_memory.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <poll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

namespace faultline {

ChildObject::~ChildObject() {
    if (pid <= 0 || ::kill(pid, SIGKILL) != 0)
        return;
    for (int i = 0; i < 100 && ::waitpid(pid, nullptr, WNOHANG) == 0; ++i)
        ::usleep(1000);
}

namespace {

constexpr int patience_ms = 10000; // a machine that QEMU emulates, under load

struct Dropped {
    std::array<Range, 1024> ranges{};
    std::size_t count = 0;
};

bool overlap(const Range& one, const Range& other) {
    return one.start < other.start + other.bytes && other.start < one.start + one.bytes;
}

// The driver's own memory: private, writable and of no file, without `kept` and the caller's stack.
Result<void> find_dropped(const Range& kept, Dropped& dropped) {
    const Result<std::vector<OwnMapping>> all = own_mappings(SIZE_MAX);
    if (!all)
        return all.error();
    char here = 0;
    for (const OwnMapping& one : *all) {
        // NOLINTNEXTLINE(performance-no-int-to-ptr): from /proc/self/maps
        const Range range{reinterpret_cast<char*>(one.start), one.bytes};
        if (!one.anonymous || !one.writable || overlap(range, kept) || overlap(range, {&here, 1}))
            continue;
        if (dropped.count == dropped.ranges.size())
            return Error::make(E2BIG, "mappings of this process");
        dropped.ranges.at(dropped.count++) = range;
    }
    return {};
}

// In the child. The driver's pages become its own again, so that its stores copy none during a
// run. From here on nothing may use the memory that is dropped: no heap, no return, and no function
// that the dynamic linker has yet to find. So each call is syscall(), which the first one finds.
[[noreturn]] void share_the_rest(const Dropped& dropped, int ready) {
    (void)::syscall(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL);
    (void)::syscall(SYS_dup3, ready, 0, 0);
    (void)::syscall(SYS_close_range, 1, ~0U, 0); // it must not keep the module loaded
    const Range* range = dropped.ranges.data();
    for (std::size_t left = dropped.count; left > 0; --left, ++range)
        (void)::syscall(SYS_madvise, range->start, range->bytes, MADV_DONTNEED);
    (void)::syscall(SYS_write, 0, "", 1);
    for (;;)
        (void)::syscall(SYS_ppoll, nullptr, 0, nullptr, nullptr, 0);
}

Result<Value> do_fork_sharing(Doing& /*doing*/, const Given& given) {
    Dropped dropped{};
    if (Result<void> found = find_dropped(range_of(given.at(0)), dropped); !found)
        return found.error();
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0)
        return Error::last("pipe2");
    const Fd out(ends[0]);
    Fd in(ends[1]);
    auto child = std::make_shared<ChildObject>();
    child->pid = ::fork();
    if (child->pid < 0)
        return Error::last("fork");
    if (child->pid == 0)
        share_the_rest(dropped, in.get());
    in.reset(); // if the child ends, there is nothing to read
    pollfd ready{out.get(), POLLIN, 0};
    if (::poll(&ready, 1, patience_ms) != 1)
        return Error::make(ETIMEDOUT, "a child that shares memory");
    if ((ready.revents & POLLIN) == 0)
        return Error::make(ECHILD, "a child that shares memory has ended");
    return Value::of_object(Type::child, std::move(child));
}

Result<std::vector<std::uint64_t>> read_child(pid_t child, const MemoryObject& memory,
                                              std::size_t page) {
    std::vector<std::uint64_t> words(memory.page_bytes / sizeof(std::uint64_t));
    const iovec local{words.data(), memory.page_bytes};
    const iovec remote{memory.at(page), memory.page_bytes};
    if (::process_vm_readv(child, &local, 1, &remote, 1, 0) !=
        static_cast<ssize_t>(memory.page_bytes))
        return Error::last("process_vm_readv (of a child)");
    return words;
}

Result<Value> do_child_sees(Doing& /*doing*/, const Given& given) {
    const auto& child = given.object<ChildObject>(0);
    const auto& memory = given.object<MemoryObject>(1);
    for (std::size_t i = 0; i < given.at(1).count; ++i) {
        const std::size_t page = given.at(1).first + i;
        const Result<std::vector<std::uint64_t>> words = read_child(child.pid, memory, page);
        if (!words)
            return words.error();
        const std::size_t at = memory.offset + page;
        const std::string_view seen = content_word(*memory.content, at, *words);
        if (seen != (memory.content->is_filled(at) ? "data" : "zero"))
            return Value::of_word(seen == "stored" ? seen : "lost");
    }
    return Value::of_word("kept");
}

} // namespace

void add_child_operations(std::vector<Operation>& rows) {
    rows.insert(
        rows.end(),
        {{.name = "fork_sharing",
          .arguments = {{"memory", Type::memory}},
          .result = Type::child,
          .about = "a child that shares this memory until the end of the run, but not the "
                   "driver's other private memory: a store copies the page",
          .man = "fork(2)",
          .where = in_setup,
          .act = do_fork_sharing},
         {.name = "child_sees",
          .arguments = {{"child", Type::child}, {"memory", Type::pages}},
          .result = Type::word,
          .words = {"kept", "stored", "lost"},
          .about = "the memory in the child: as at the fork; stored: a page has a store of the "
                   "parent; lost: a page has other bytes",
          .man = "process_vm_readv(2)",
          .where = acting,
          .act = do_child_sees}});
}

} // namespace faultline
