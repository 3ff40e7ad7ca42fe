// SPDX-License-Identifier: GPL-2.0
// Operations that judge a finished run.
#include "operations/objects.hpp"

#include "kernel/page_pattern.hpp"

#include <algorithm>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

namespace faultline {

namespace {

std::size_t small_page() { return static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)); }

} // namespace

Result<std::vector<bool>> present_pages(const FileObject& file) {
    const std::size_t bytes = file.pages * file.page_bytes;
    void* at = ::mmap(nullptr, bytes, PROT_READ, MAP_SHARED, file.fd.get(), 0);
    if (at == MAP_FAILED)
        return Error::last("mmap");
    std::vector<unsigned char> resident(bytes / small_page());
    const int done = ::mincore(at, bytes, resident.data());
    const Error error = Error::last("mincore");
    ::munmap(at, bytes);
    if (done != 0)
        return error;
    std::vector<bool> present(file.pages);
    for (std::size_t page = 0; page < file.pages; ++page)
        present[page] = (resident[page * (file.page_bytes / small_page())] & 1) != 0;
    return present;
}

namespace {

// Every byte: pages that fill() filled have its bytes, holes are zeroes. A page that is excepted
// has what a step stored there.
Result<Value> do_contents(Doing& /*doing*/, const Given& given) {
    const Value& what = given.at(0);
    const bool memory = what.type == Type::memory;
    const Content& content =
        memory ? *given.object<MemoryObject>(0).content : *given.object<FileObject>(0).content;
    const std::size_t offset = memory ? given.object<MemoryObject>(0).offset : 0;
    for (std::size_t i = 0; i < what.count; ++i) {
        const std::size_t page = what.first + i;
        if (given.has(2) && page >= given.at(2).first &&
            page < given.at(2).first + given.at(2).count)
            continue;
        const Result<std::vector<std::uint64_t>> words =
            memory ? given.object<MemoryObject>(0).read(page)
                   : given.object<FileObject>(0).read(page);
        if (!words)
            return Value::of_word("unreadable");
        const bool stored = given.has(1) && static_cast<std::size_t>(given.number(1)) == page;
        const std::string_view expected = stored                             ? "stored"
                                          : content.is_filled(offset + page) ? "data"
                                                                             : "zero";
        if (content_word(content, offset + page, *words) != expected)
            return Value::of_word("changed");
    }
    return Value::of_word("intact");
}

Result<Value> do_holes(Doing& /*doing*/, const Given& given) {
    const FileObject& file = given.object<FileObject>(0);
    const Result<std::vector<bool>> present = present_pages(file);
    if (!present)
        return present.error();
    return Value::of_word(*present == file.content->filled ? "kept" : "lost");
}

// st_blocks and statfs count the pages that exist and no others. statfs first: fstat() corrects the
// accounting of a file whose pages it finds miscounted (shmem_getattr()).
Result<Value> do_blocks(Doing& /*doing*/, const Given& given) {
    const FileObject& file = given.object<FileObject>(0);
    struct statvfs system {};
    struct stat status {};
    if (::fstatvfs(file.fd.get(), &system) != 0 || ::fstat(file.fd.get(), &status) != 0)
        return Error::last("fstat");
    const Result<std::vector<bool>> present = present_pages(file);
    if (!present)
        return present.error();
    const auto pages =
        static_cast<std::uint64_t>(std::count(present->begin(), present->end(), true));
    const bool file_right =
        static_cast<std::uint64_t>(status.st_blocks) == pages * (file.page_bytes / 512);
    const bool system_right = !file.mount || static_cast<std::uint64_t>(system.f_bfree) + pages ==
                                                 file.mount->free_blocks;
    return Value::of_word(file_right && system_right ? "exact" : "wrong");
}

Result<Value> do_left(Doing& /*doing*/, const Given& given) {
    const MountObject& mount = given.object<MountObject>(0);
    const Result<std::uint64_t> free = mount.free_now();
    if (!free)
        return free.error();
    return Value::of_word(*free == mount.free_blocks ? "nothing" : "blocks");
}

Result<std::vector<std::uint64_t>> count(const FileObject& file) {
    struct statvfs system {};
    struct stat status {};
    if (::fstatvfs(file.fd.get(), &system) != 0 || ::fstat(file.fd.get(), &status) != 0)
        return Error::last("fstat");
    return std::vector<std::uint64_t>{static_cast<std::uint64_t>(status.st_blocks),
                                      static_cast<std::uint64_t>(system.f_bfree)};
}

Result<Value> make_counts(Doing& /*doing*/, const Given& given) {
    Result<std::vector<std::uint64_t>> counts = count(given.object<FileObject>(0));
    if (!counts)
        return counts.error();
    auto made = std::make_shared<CountsObject>();
    made->counts = std::move(*counts);
    return Value::of_object(Type::counts, std::move(made));
}

Result<Value> do_accounting(Doing& /*doing*/, const Given& given) {
    const Result<std::vector<std::uint64_t>> now = count(given.object<FileObject>(0));
    if (!now)
        return now.error();
    return Value::of_word(*now == given.object<CountsObject>(1).counts ? "kept" : "changed");
}

Result<Value> do_pool_books(Doing& /*doing*/, const Given& given) {
    const HugetlbPool& before = given.object<PoolObject>(0).before;
    const FileObject& file = given.object<FileObject>(1);
    const Result<HugetlbPool> now = hugetlb_pool();
    if (!now)
        return now.error();
    struct stat status {};
    if (::fstat(file.fd.get(), &status) != 0)
        return Error::last("fstat");
    const auto pages = static_cast<std::int64_t>(static_cast<std::size_t>(status.st_blocks) * 512 /
                                                 file.page_bytes);
    const bool exact = now->pages == before.pages && before.free - now->free == pages &&
                       now->reserved == before.reserved + given.number(2) &&
                       now->surplus == before.surplus;
    return Value::of_word(exact ? "exact" : "wrong");
}

Result<Value> make_trace(Doing& /*doing*/, const Given& /*given*/) {
    Result<CollapseTrace> trace = CollapseTrace::open();
    if (!trace)
        return trace.error();
    return Value::of_object(Type::trace, std::make_shared<TraceObject>(std::move(*trace)));
}

Result<Value> do_trace_clear(Doing& /*doing*/, const Given& given) {
    given.object<TraceObject>(0).trace.clear();
    return Value{};
}

Result<Value> do_collapse_reason(Doing& doing, const Given& given) {
    const std::string word = given.object<TraceObject>(0).trace.last(doing.task_of(given.text(1)));
    return Value::of_word(word.empty() ? "none" : word);
}

Result<Value> make_log(Doing& /*doing*/, const Given& /*given*/) {
    Result<KernelLog> log = KernelLog::open();
    if (!log)
        return log.error();
    return Value::of_object(Type::log, std::make_shared<LogObject>(std::move(*log)));
}

Result<Value> do_complaints(Doing& doing, const Given& given) {
    const Result<std::string> complaint = given.object<LogObject>(0).log.complaint();
    if (!complaint)
        return complaint.error();
    doing.tell(*complaint);
    return Value::of_word(complaint->empty() ? "clean" : "complaint");
}

Result<Value> do_ended(Doing& doing, const Given& given) {
    return Value::of_word(doing.ended(given.text(0)) ? "yes" : "no");
}

Result<Value> do_order(Doing& doing, const Given& /*given*/) {
    return Value::of_word(doing.run->order());
}

} // namespace

// NOLINTNEXTLINE(readability-function-size): a table
void add_judging_operations(std::vector<Operation>& rows) {
    const Argument file{"file", Type::file};
    rows.insert(
        rows.end(),
        {{.name = "contents",
          .arguments = {{"of", Type::pages},
                        {.name = "stored", .type = Type::number, .otherwise = ""},
                        {.name = "without", .type = Type::pages, .otherwise = ""}},
          .result = Type::word,
          .words = {"intact", "changed", "unreadable"},
          .about = "compares every byte with the bytes of fill(), zeroes in holes, and the store "
                   "of a step in the page `stored`; skips the pages of `without`",
          .where = acting,
          .act = do_contents,
          .c =
              "contents({of}, {of.first}, {of.count}, {stored}, {without.first}, {without.count})"},
         {.name = "holes",
          .arguments = {file},
          .result = Type::word,
          .words = {"kept", "lost"},
          .about = "are the pages in the page cache those that fill() filled?",
          .man = "mincore(2)",
          .where = acting,
          .act = do_holes,
          .c = left_out},
         {.name = "blocks",
          .arguments = {file},
          .result = Type::word,
          .words = {"exact", "wrong"},
          .about = "do st_blocks and statfs count the pages that exist and no others?",
          .man = "stat(2)",
          .where = acting,
          .act = do_blocks,
          .c = left_out},
         {.name = "left",
          .arguments = {{"mount", Type::mount}},
          .result = Type::word,
          .words = {"nothing", "blocks"},
          .about = "does the tmpfs count more blocks than when it was made?",
          .man = "statfs(2)",
          .where = acting,
          .act = do_left,
          .c = left_out},
         {.name = "counts",
          .arguments = {file},
          .result = Type::counts,
          .about = "st_blocks and the free blocks of the file system, now",
          .where = acting,
          .act = make_counts,
          .c = left_out},
         {.name = "accounting",
          .arguments = {file, {"counts", Type::counts}},
          .result = Type::word,
          .words = {"kept", "changed"},
          .about = "are the counts the same as before?",
          .where = acting,
          .act = do_accounting,
          .c = left_out},
         {.name = "pool_books",
          .arguments = {{"pool", Type::pool},
                        file,
                        {.name = "reserved", .type = Type::number, .otherwise = "0"}},
          .result = Type::word,
          .words = {"exact", "wrong"},
          .about = "are the pages that the pool lost in the file, and `reserved` more reserved?",
          .where = acting,
          .act = do_pool_books,
          .c = "pool_books({pool}, {file}, {reserved})"},
         {.name = "collapse_trace",
          .result = Type::trace,
          .about = "the kernel's tracepoints of collapses",
          .needs = "huge-pages",
          .where = before,
          .act = make_trace,
          .c = left_out},
         {.name = "trace_clear",
          .arguments = {{"trace", Type::trace}},
          .about = "drops the collapses so far",
          .act = do_trace_clear,
          .c = left_out},
         {.name = "collapse_reason",
          .arguments = {{"trace", Type::trace}, {"actor", Type::actor}},
          .result = Type::word,
          .about = "the SCAN_* word of the last collapse that the actor tried; none: it tried none",
          .where = in_judge,
          .act = do_collapse_reason,
          .c = left_out},
         {.name = "kernel_log",
          .result = Type::log,
          .about = "the kernel's log from now on",
          .where = before,
          .act = make_log,
          .c = "kernel_log()"},
         {.name = "complaints",
          .arguments = {{"log", Type::log}},
          .result = Type::word,
          .words = {"clean", "complaint"},
          .about = "has the kernel complained since the last time?",
          .where = acting,
          .act = do_complaints,
          .c = "complaints({log})"},
         {.name = "ended",
          .arguments = {{"actor", Type::actor}},
          .result = Type::word,
          .words = {"yes", "no"},
          .about = "did the actor finish its steps? If not, the kernel ended its process",
          .where = in_judge,
          .act = do_ended,
          .c = "(sync_->ended[{actor}] ? \"yes\" : \"no\")"},
         {.name = "order",
          .result = Type::word,
          .words = {"had", "excluded", "neither"},
          .about = "did the run have the order of its schedule, or did a lock exclude it?",
          .where = in_judge,
          .act = do_order}});
}

} // namespace faultline
