// SPDX-License-Identifier: GPL-2.0
// Files and file systems.
#include "operations/objects.hpp"

#include "kernel/page_pattern.hpp"

#include <cerrno>
#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/mman.h>
#include <unistd.h>

namespace faultline {

namespace {

Value error_of(int result) { return Value::of_error(result == 0 ? 0 : errno); }

std::size_t small_page() { return static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)); }

Result<Value> give_file(Fd fd, std::size_t pages, std::size_t page_bytes,
                        std::shared_ptr<MountObject> mount) {
    if (!fd)
        return Error::last("open (a file)");
    if (::ftruncate(fd.get(), static_cast<off_t>(pages * page_bytes)) != 0)
        return Error::last("ftruncate");
    auto file = std::make_shared<FileObject>();
    file->fd = std::move(fd);
    file->pages = pages;
    file->page_bytes = page_bytes;
    file->content = std::make_shared<Content>(pages);
    file->mount = std::move(mount);
    return Value::of_object(Type::file, std::move(file), pages);
}

Result<Value> make_tmpfs(Doing& /*doing*/, const Given& given) {
    Result<std::shared_ptr<MountObject>> mount =
        MountObject::make(static_cast<std::size_t>(given.number(0)) * small_page());
    if (!mount)
        return mount.error();
    return Value::of_object(Type::mount, std::move(*mount));
}

// Room for the file, and for the huge page that a collapse charges besides.
Result<std::shared_ptr<MountObject>> mount_for(const Given& given, std::size_t i,
                                               std::size_t pages) {
    if (given.has(i))
        return given.shared<MountObject>(i);
    const Result<Geometry> found = geometry();
    return MountObject::make(pages * small_page() + (found ? 2 * found->huge_bytes : 0));
}

Result<Value> make_tmpfs_file(Doing& /*doing*/, const Given& given) {
    const auto pages = static_cast<std::size_t>(given.number(0));
    Result<std::shared_ptr<MountObject>> mount = mount_for(given, 1, pages);
    if (!mount)
        return mount.error();
    const int root = (*mount)->fd.get();
    Fd fd(given.has(2) ? ::openat(root, given.text(2).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)
                       : ::openat(root, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
    return give_file(std::move(fd), pages, small_page(), std::move(*mount));
}

Result<Value> make_memfd(Doing& /*doing*/, const Given& given) {
    return give_file(Fd(::memfd_create("faultline", MFD_CLOEXEC)),
                     static_cast<std::size_t>(given.number(0)), small_page(), nullptr);
}

Result<Value> make_hugetlb_file(Doing& /*doing*/, const Given& given) {
    Result<Value> made =
        give_file(Fd(::memfd_create("faultline", MFD_CLOEXEC | MFD_HUGETLB)),
                  static_cast<std::size_t>(given.number(0)), hugetlb_bytes(), nullptr);
    if (made)
        static_cast<FileObject&>(*made->object).hugetlb = true;
    return made;
}

Result<Value> do_close(Doing& /*doing*/, const Given& given) {
    FileObject& file = given.object<FileObject>(0);
    return error_of(::close(file.fd.release()));
}

Result<Value> do_umount(Doing& /*doing*/, const Given& given) {
    return error_of(::close(given.object<MountObject>(0).fd.release()));
}

Result<Value> do_unlink(Doing& /*doing*/, const Given& given) {
    return error_of(::unlinkat(given.object<MountObject>(0).fd.get(), given.text(1).c_str(), 0));
}

Result<Value> do_ftruncate(Doing& /*doing*/, const Given& given) {
    const FileObject& file = given.object<FileObject>(0);
    return error_of(::ftruncate(
        file.fd.get(),
        static_cast<off_t>(static_cast<std::size_t>(given.number(1)) * file.page_bytes)));
}

Result<Value> do_fallocate(Doing& /*doing*/, const Given& given) {
    const FileObject& file = given.object<FileObject>(0);
    return error_of(::fallocate(file.fd.get(), static_cast<int>(given.number(1)),
                                static_cast<off_t>(given.at(0).first * file.page_bytes),
                                static_cast<off_t>(given.at(0).count * file.page_bytes)));
}

Result<Value> do_pread(Doing& /*doing*/, const Given& given) {
    const FileObject& file = given.object<FileObject>(0);
    const Result<std::vector<std::uint64_t>> words = file.read(given.at(0).first);
    if (!words)
        return Value::of_error(words.error().number);
    return Value::of_word(content_word(*file.content, given.at(0).first, *words));
}

// One word, or whole pages of pattern.
Result<Value> do_pwrite(Doing& /*doing*/, const Given& given) {
    const FileObject& file = given.object<FileObject>(0);
    const bool whole = given.number(1) != 0;
    std::vector<std::uint64_t> words(whole ? file.page_bytes / sizeof(std::uint64_t) : 1);
    for (std::size_t page = given.at(0).first; page < given.at(0).first + given.at(0).count;
         ++page) {
        write_pattern(words, file.content->stored(page));
        const std::size_t bytes = words.size() * sizeof(std::uint64_t);
        const ssize_t put = ::pwrite(file.fd.get(), words.data(), bytes,
                                     static_cast<off_t>(page * file.page_bytes));
        if (put < 0)
            return Value::of_error(errno);
        if (put != static_cast<ssize_t>(bytes))
            return Value::of_error(EIO);
    }
    return Value::of_error(0);
}

Result<Value> do_lseek(Doing& /*doing*/, const Given& given) {
    const FileObject& file = given.object<FileObject>(0);
    const auto at = static_cast<off_t>(given.at(0).first * file.page_bytes);
    const auto whence = static_cast<int>(given.number(1));
    const off_t found = ::lseek(file.fd.get(), whence == SEEK_END ? 0 : at, whence);
    if (found < 0)
        return errno == ENXIO ? Value::of_word("hole") : Value::of_error(errno);
    return Value::of_word((whence == SEEK_DATA ? found == at : found > at) ? "data" : "hole");
}

Result<Value> do_fsync(Doing& /*doing*/, const Given& given) {
    return error_of(::fsync(given.object<FileObject>(0).fd.get()));
}

Result<Value> do_fadvise(Doing& /*doing*/, const Given& given) {
    const FileObject& file = given.object<FileObject>(0);
    return Value::of_error(::posix_fadvise(file.fd.get(),
                                           static_cast<off_t>(given.at(0).first * file.page_bytes),
                                           static_cast<off_t>(given.at(0).count * file.page_bytes),
                                           static_cast<int>(given.number(1))));
}

} // namespace

// NOLINTNEXTLINE(readability-function-size): a table
void add_file_operations(std::vector<Operation>& rows) {
    const Argument file{"file", Type::file};
    const Argument pages{"pages", Type::number};
    rows.insert(
        rows.end(),
        {{.name = "tmpfs",
          .arguments = {{.name = "pages", .type = Type::number, .otherwise = "0"}},
          .result = Type::mount,
          .about = "a tmpfs that is mounted nowhere, with this number of pages; 0: as large as the "
                   "kernel allows",
          .man = "fsmount(2)",
          .act = make_tmpfs,
          .c = "tmpfs({pages})"},
         {.name = "tmpfs_file",
          .arguments = {pages,
                        {.name = "mount", .type = Type::mount, .otherwise = ""},
                        {.name = "name", .type = Type::text, .otherwise = ""}},
          .result = Type::file,
          .about = "a new file, all hole, in a tmpfs of its own or in `mount`; it has a name only "
                   "if one is given",
          .man = "open(2)",
          .act = make_tmpfs_file,
          .c = "tmpfs_file({pages}, {mount}, {name})"},
         {.name = "memfd",
          .arguments = {pages},
          .result = Type::file,
          .about = "a new file, all hole, in the kernel's own tmpfs",
          .man = "memfd_create(2)",
          .act = make_memfd,
          .c = "memfd({pages})"},
         {.name = "hugetlb_file",
          .arguments = {pages},
          .result = Type::file,
          .about = "a new file of hugetlb, all hole; its pages are huge pages of the default size",
          .man = "memfd_create(2)",
          .needs = "hugetlb",
          .act = make_hugetlb_file,
          .c = "hugetlb_file({pages})"},
         {.name = "close",
          .arguments = {file},
          .result = Type::error,
          .about = "closes this descriptor of the file",
          .man = "close(2)",
          .act = do_close,
          .c = "failed(close({file.fd}))"},
         {.name = "umount",
          .arguments = {{"mount", Type::mount}},
          .result = Type::error,
          .about = "closes the descriptor that holds the tmpfs: that unmounts it",
          .man = "umount(2)",
          .act = do_umount,
          .c = "failed(close({mount.fd}))"},
         {.name = "unlink",
          .arguments = {{"mount", Type::mount}, {"name", Type::text}},
          .result = Type::error,
          .about = "removes a name in the tmpfs",
          .errnos = "ENOENT",
          .man = "unlinkat(2)",
          .act = do_unlink,
          .c = "failed(unlinkat({mount.fd}, {name}, 0))"},
         {.name = "ftruncate",
          .arguments = {file, pages},
          .result = Type::error,
          .about = "sets the file's size to this number of pages",
          .errnos = "EINVAL EPERM",
          .man = "ftruncate(2)",
          .act = do_ftruncate,
          .c = "failed(ftruncate({file.fd}, (off_t)({pages} * {file.page})))"},
         {.name = "fallocate",
          .arguments = {file,
                        {.name = "mode",
                         .type = Type::word,
                         .constants = {{"PUNCH_HOLE", FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE},
                                       {"KEEP_SIZE", FALLOC_FL_KEEP_SIZE},
                                       {"ALLOCATE", 0},
                                       {"ZERO_RANGE", FALLOC_FL_ZERO_RANGE},
                                       {"COLLAPSE_RANGE", FALLOC_FL_COLLAPSE_RANGE}}}},
          .result = Type::error,
          .about = "of file[FROM..TO]; PUNCH_HOLE keeps the size",
          .errnos = "ENOSPC EOPNOTSUPP EINTR",
          .man = "fallocate(2)",
          .act = do_fallocate,
          .c = "failed(fallocate({file.fd}, {mode}, (off_t)({file.from}), (off_t)({file.bytes})))"},
         {.name = "pread",
          .arguments = {file},
          .result = Type::word,
          .words = {"data", "zero", "stored", "other"},
          .about = "reads the whole page file[N]; EIO if the file ends in it",
          .errnos = "EIO",
          .man = "pread(2)",
          .act = do_pread,
          .c = "pread_page({file}, {file.first})"},
         {.name = "pwrite",
          .arguments = {file,
                        {.name = "how",
                         .type = Type::word,
                         .constants = {{"WORD", 0}, {"PAGE", 1}},
                         .otherwise = "WORD"}},
          .result = Type::error,
          .about = "stores to file[N]: the first word of the page, or all of it",
          .errnos = "ENOSPC EIO",
          .man = "pwrite(2)",
          .act = do_pwrite,
          .c = "pwrite_pages({file}, {file.first}, {file.count}, {how})"},
         {.name = "lseek",
          .arguments = {file,
                        {.name = "whence",
                         .type = Type::word,
                         .constants = {{"DATA", SEEK_DATA}, {"HOLE", SEEK_HOLE}, {"END", SEEK_END}},
                         .otherwise = "DATA"}},
          .result = Type::word,
          .words = {"data", "hole"},
          .about = "is there data at file[N]? SEEK_DATA finds it, SEEK_HOLE finds no hole there, "
                   "SEEK_END is after it",
          .man = "lseek(2)",
          .act = do_lseek,
          .c = "seek({file}, {file.first}, {whence})"},
         {.name = "fsync",
          .arguments = {file},
          .result = Type::error,
          .errnos = "EIO",
          .man = "fsync(2)",
          .act = do_fsync,
          .c = "failed(fsync({file.fd}))"},
         {.name = "fadvise",
          .arguments = {file,
                        {.name = "advice",
                         .type = Type::word,
                         .constants = {{"DONTNEED", POSIX_FADV_DONTNEED},
                                       {"WILLNEED", POSIX_FADV_WILLNEED}}}},
          .result = Type::error,
          .about = "of file[FROM..TO]",
          .man = "posix_fadvise(2)",
          .act = do_fadvise,
          .c = "posix_fadvise({file.fd}, (off_t)({file.from}), (off_t)({file.bytes}), {advice})"}});
}

} // namespace faultline
