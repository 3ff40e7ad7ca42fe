// SPDX-License-Identifier: GPL-2.0
// userfaultfd(2).
#include "operations/objects.hpp"

#include "kernel/page_pattern.hpp"

#include <cerrno>

namespace faultline {

namespace {

constexpr int poll_ms = 2;

Userfaultfd& fd_of(const Given& given) { return given.object<UserfaultfdObject>(0).userfaultfd; }

Value error_of(const Result<void>& result) {
    return Value::of_error(result ? 0 : result.error().number);
}

Result<Value> make_userfaultfd(Doing& /*doing*/, const Given& /*given*/) {
    Result<Userfaultfd> opened = Userfaultfd::open();
    if (!opened)
        return opened.error();
    auto made = std::make_shared<UserfaultfdObject>();
    made->userfaultfd = std::move(*opened);
    return Value::of_object(Type::userfaultfd, std::move(made));
}

enum Mode : std::int64_t { mode_missing = 1, mode_wp = 2, mode_minor = 4 };

Result<Value> do_register(Doing& /*doing*/, const Given& given) {
    const Range range = range_of(given.at(1));
    given.object<MemoryObject>(1).registered.push_back(given.shared<UserfaultfdObject>(0));
    return error_of(fd_of(given).register_modes(range.start, range.bytes,
                                                static_cast<std::uint64_t>(given.number(2))));
}

Result<Value> do_unregister(Doing& /*doing*/, const Given& given) {
    const Range range = range_of(given.at(1));
    return error_of(fd_of(given).unregister(range.start, range.bytes));
}

Result<Value> do_copy(Doing& /*doing*/, const Given& given) {
    const MemoryObject& memory = given.object<MemoryObject>(1);
    const std::size_t page = given.at(1).first;
    std::vector<std::uint64_t> words(memory.page_bytes / sizeof(std::uint64_t));
    write_pattern(words, memory.stored(page));
    return error_of(fd_of(given).copy(memory.at(page), words.data(), memory.page_bytes));
}

Result<Value> do_zeropage(Doing& /*doing*/, const Given& given) {
    const Range range = range_of(given.at(1));
    return error_of(fd_of(given).zeropage(range.start, range.bytes));
}

Result<Value> do_continue(Doing& /*doing*/, const Given& given) {
    const Range range = range_of(given.at(1));
    return error_of(fd_of(given).proceed(range.start, range.bytes));
}

Result<Value> do_writeprotect(Doing& /*doing*/, const Given& given) {
    const Range range = range_of(given.at(1));
    return error_of(fd_of(given).write_protect(range.start, range.bytes, given.number(2) != 0));
}

Result<Value> do_poison(Doing& /*doing*/, const Given& given) {
    const Range range = range_of(given.at(1));
    return error_of(fd_of(given).poison(range.start, range.bytes));
}

Result<Value> do_move(Doing& /*doing*/, const Given& given) {
    const Range to = range_of(given.at(1));
    const Range from = range_of(given.at(2));
    return error_of(fd_of(given).move(to.start, from.start, from.bytes));
}

Result<Value> do_wake(Doing& /*doing*/, const Given& given) {
    const Range range = range_of(given.at(1));
    return error_of(fd_of(given).wake(range.start, range.bytes));
}

Result<Value> do_close(Doing& /*doing*/, const Given& given) {
    fd_of(given).close();
    return Value{};
}

Result<Value> do_event(Doing& /*doing*/, const Given& given) {
    const Result<std::optional<std::uint64_t>> event =
        fd_of(given).event(static_cast<int>(given.number(1)));
    if (!event)
        return Value::of_error(event.error().number);
    return Value::of_word(*event ? "yes" : "no");
}

// The last look comes after the actor has ended: a second event would be there.
Result<Value> do_handle(Doing& doing, const Given& given) {
    const MemoryObject& memory = given.object<MemoryObject>(1);
    Userfaultfd& userfaultfd = fd_of(given);
    const auto wanted = reinterpret_cast<std::uintptr_t>(memory.at(given.at(1).first));
    unsigned events = 0;
    bool elsewhere = false;
    for (bool last = false; !last && !doing.stopping();) {
        last = doing.ended(given.text(2));
        const Result<std::optional<std::uint64_t>> event = userfaultfd.event(last ? 0 : poll_ms);
        if (!event)
            return event.error();
        if (!*event)
            continue;
        last = false;
        ++events;
        const std::uint64_t at = **event - **event % memory.page_bytes;
        elsewhere = elsewhere || at != wanted;
        const auto* page = memory.start + (at - reinterpret_cast<std::uintptr_t>(memory.start));
        const Result<void> given_page = userfaultfd.zeropage(page, memory.page_bytes);
        if (!given_page && given_page.error().number == EEXIST)
            (void)userfaultfd.wake(page, memory.page_bytes).ok();
        else if (!given_page)
            return given_page.error();
    }
    return Value::of_word(elsewhere     ? "elsewhere"
                          : events == 0 ? "no"
                          : events == 1 ? "yes"
                                        : "many");
}

} // namespace

// NOLINTNEXTLINE(readability-function-size): a table
void add_userfaultfd_operations(std::vector<Operation>& rows) {
    const Argument uffd{"userfaultfd", Type::userfaultfd};
    const Argument memory{"memory", Type::memory};
    const std::string_view man = "ioctl_userfaultfd(2)";
    rows.insert(
        rows.end(),
        {{.name = "userfaultfd",
          .result = Type::userfaultfd,
          .about = "for the faults of the process that opens it",
          .man = "userfaultfd(2)",
          .needs = "userfaultfd",
          .act = make_userfaultfd,
          .c = "userfaultfd()"},
         {.name = "uffd_register",
          .arguments = {uffd,
                        memory,
                        {.name = "mode",
                         .type = Type::word,
                         .constants = {{"MISSING", mode_missing},
                                       {"WP", mode_wp},
                                       {"MINOR", mode_minor},
                                       {"MISSING_WP", mode_missing | mode_wp}},
                         .otherwise = "MISSING"}},
          .result = Type::error,
          .errnos = "EINVAL EBUSY EPERM ENOMEM",
          .man = man,
          .act = do_register,
          .c = "uffd_register({userfaultfd.fd}, {memory.at}, {memory.bytes}, {mode})"},
         {.name = "uffd_unregister",
          .arguments = {uffd, memory},
          .result = Type::error,
          .errnos = "EINVAL",
          .man = man,
          .act = do_unregister,
          .c = "uffd_unregister({userfaultfd.fd}, {memory.at}, {memory.bytes})"},
         {.name = "uffd_copy",
          .arguments = {uffd, memory},
          .result = Type::error,
          .about = "stores the whole page memory[N]",
          .errnos = "EEXIST EAGAIN EFAULT ENOENT ENOSPC",
          .man = man,
          .act = do_copy,
          .c = "uffd_copy({userfaultfd.fd}, {memory}, {memory.first})"},
         {.name = "uffd_zeropage",
          .arguments = {uffd, memory},
          .result = Type::error,
          .errnos = "EEXIST EAGAIN EINVAL ENOENT",
          .man = man,
          .act = do_zeropage,
          .c = "uffd_zeropage({userfaultfd.fd}, {memory.at}, {memory.bytes})"},
         {.name = "uffd_continue",
          .arguments = {uffd, memory},
          .result = Type::error,
          .errnos = "EEXIST EAGAIN EFAULT EINVAL",
          .man = man,
          .act = do_continue,
          .c = "uffd_continue({userfaultfd.fd}, {memory.at}, {memory.bytes})"},
         {.name = "uffd_writeprotect",
          .arguments = {uffd,
                        memory,
                        {.name = "mode",
                         .type = Type::word,
                         .constants = {{"ON", 1}, {"OFF", 0}},
                         .otherwise = "ON"}},
          .result = Type::error,
          .errnos = "EAGAIN ENOENT EINVAL",
          .man = man,
          .act = do_writeprotect,
          .c = "uffd_writeprotect({userfaultfd.fd}, {memory.at}, {memory.bytes}, {mode})"},
         {.name = "uffd_poison",
          .arguments = {uffd, memory},
          .result = Type::error,
          .about = "a later touch of it is a SIGBUS (linux 6.6)",
          .errnos = "EEXIST EINVAL EAGAIN",
          .man = man,
          .act = do_poison,
          .c = "uffd_poison({userfaultfd.fd}, {memory.at}, {memory.bytes})"},
         {.name = "uffd_move",
          .arguments = {uffd, {"to", Type::memory}, {"from", Type::memory}},
          .result = Type::error,
          .about = "linux 6.8",
          .errnos = "EEXIST EBUSY EINVAL EAGAIN ENOENT",
          .man = man,
          .act = do_move,
          .c = "uffd_move({userfaultfd.fd}, {to.at}, {from.at}, {from.bytes})"},
         {.name = "uffd_wake",
          .arguments = {uffd, memory},
          .result = Type::error,
          .errnos = "EINVAL",
          .man = man,
          .act = do_wake,
          .c = "uffd_wake({userfaultfd.fd}, {memory.at}, {memory.bytes})"},
         {.name = "uffd_close",
          .arguments = {uffd},
          .about = "unregisters all ranges of it",
          .man = "close(2)",
          .act = do_close,
          .c = "close({userfaultfd.fd})"},
         {.name = "uffd_event",
          .arguments = {uffd, {.name = "milliseconds", .type = Type::number, .otherwise = "1000"}},
          .result = Type::word,
          .words = {"yes", "no"},
          .about = "reads the next event, if one comes within that time",
          .man = "userfaultfd(2)",
          .act = do_event,
          .c = "uffd_event({userfaultfd.fd}, {milliseconds})"},
         {.name = "uffd_handle",
          .arguments = {uffd, memory, {"until", Type::actor}},
          .result = Type::word,
          .words = {"no", "yes", "many", "elsewhere"},
          .about = "answers each event with a zero page until the actor has ended; were there "
                   "events (many: more than one), and at memory[N]?",
          .man = "userfaultfd(2)",
          .where = in_actor,
          .act = do_handle,
          .c = "uffd_handle({userfaultfd.fd}, {memory}, {memory.first}, &sync_->ended[{until}])"}});
}

} // namespace faultline
