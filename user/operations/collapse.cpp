// SPDX-License-Identifier: GPL-2.0
// Operations for scenarios about the collapse of a file.
#include "operations/objects.hpp"

#include <algorithm>
#include <sys/stat.h>
#include <unistd.h>

namespace faultline {

namespace {

Result<Value> do_size(Doing& /*doing*/, const Given& given) {
    const FileObject& file = given.object<FileObject>(0);
    struct stat status {};
    if (::fstat(file.fd.get(), &status) != 0)
        return Error::last("fstat");
    const bool exact = status.st_size == given.number(1) * static_cast<off_t>(file.page_bytes);
    return Value::of_word(exact ? "exact" : "wrong");
}

Result<Value> do_zeroes(Doing& /*doing*/, const Given& given) {
    const FileObject& file = given.object<FileObject>(0);
    for (std::size_t i = 0; i < given.at(0).count; ++i) {
        const Result<std::vector<std::uint64_t>> words = file.read(given.at(0).first + i);
        if (!words)
            return Value::of_error(words.error().number);
        if (std::any_of(words->begin(), words->end(), [](std::uint64_t word) { return word != 0; }))
            return Value::of_word("no");
    }
    return Value::of_word("yes");
}

Result<Value> do_running(Doing& doing, const Given& given) {
    const bool running = doing.begun(given.text(0)) && !doing.ended(given.text(0));
    return Value::of_word(running ? "yes" : "no");
}

} // namespace

void add_collapse_operations(std::vector<Operation>& rows) {
    rows.insert(rows.end(),
                {{.name = "size",
                  .arguments = {{"file", Type::file}, {"pages", Type::number}},
                  .result = Type::word,
                  .words = {"exact", "wrong"},
                  .about = "does st_size match this number of pages?",
                  .man = "stat(2)",
                  .where = acting,
                  .act = do_size,
                  .c = "size_word({file.fd}, (off_t)({pages} * {file.page}))"},
                 {.name = "zeroes",
                  .arguments = {{"file", Type::file}},
                  .result = Type::word,
                  .words = {"yes", "no"},
                  .about = "is each byte of file[FROM..TO] 0? EIO where the file ends in it",
                  .errnos = "EIO",
                  .man = "pread(2)",
                  .where = acting,
                  .act = do_zeroes,
                  .c = "zeroes({file}, {file.first}, {file.count})"},
                 {.name = "running",
                  .arguments = {{"actor", Type::actor}},
                  .result = Type::word,
                  .words = {"yes", "no"},
                  .about = "has the actor begun its steps, and not ended?",
                  .where = in_actor,
                  .act = do_running,
                  .c = "(sync_->begun[{actor}] && !sync_->ended[{actor}] ? \"yes\" : \"no\")"}});
}

} // namespace faultline
