// SPDX-License-Identifier: GPL-2.0
// Operations on the whole machine: settings, pools, swap, the kernel's own threads.
#include "operations/objects.hpp"

#include "kernel/folios.hpp"
#include "kernel/ksm.hpp"
#include "kernel/state.hpp"

#include <algorithm>
#include <cerrno>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace faultline {

namespace {

// A file may change what these folders have, and nothing else of the machine.
constexpr std::string_view setting_folders[] = {"/sys/kernel/mm/", "/proc/sys/vm/",
                                                "/proc/sys/kernel/panic_on_oops"};

Result<Value> make_setting(Doing& /*doing*/, const Given& given) {
    const std::string& path = given.text(0);
    const bool allowed =
        path.find("..") == std::string::npos &&
        std::any_of(std::begin(setting_folders), std::end(setting_folders),
                    [&path](std::string_view folder) { return path.starts_with(folder); });
    if (!allowed)
        return Error::make(EPERM, "a setting is below /sys/kernel/mm/ or /proc/sys/vm/, not", path);
    Result<Setting> setting = Setting::set(path, given.text(1));
    if (!setting)
        return setting.error();
    auto made = std::make_shared<SettingObject>();
    made->setting = std::move(*setting);
    return Value::of_object(Type::other, std::move(made));
}

Result<Value> make_pool(Doing& /*doing*/, const Given& given) {
    Result<Setting> setting =
        Setting::set("/proc/sys/vm/nr_hugepages", std::to_string(given.number(0)));
    if (!setting)
        return setting.error();
    if (Result<void> filled = fill_hugetlb_pool(static_cast<std::int64_t>(given.number(0)));
        !filled)
        return filled.error();
    const Result<HugetlbPool> before = hugetlb_pool();
    if (!before)
        return before.error();
    auto made = std::make_shared<PoolObject>();
    made->setting = std::move(*setting);
    made->before = *before;
    return Value::of_object(Type::pool, std::move(made));
}

Result<Value> make_swap(Doing& /*doing*/, const Given& /*given*/) {
    Result<SwapArea> area = SwapArea::make();
    if (!area)
        return area.error();
    auto made = std::make_shared<SwapObject>();
    made->area = std::move(*area);
    return Value::of_object(Type::swap, std::move(made));
}

Value error_of(const Result<void>& result) {
    return Value::of_error(result ? 0 : result.error().number);
}

Result<Value> do_swapon(Doing& /*doing*/, const Given& given) {
    return error_of(given.object<SwapObject>(0).area.on());
}
Result<Value> do_swapoff(Doing& /*doing*/, const Given& given) {
    return error_of(given.object<SwapObject>(0).area.off());
}

// A mapping for the moment, so that a file without one can be swapped out, too.
Result<Value> do_swap_out(Doing& /*doing*/, const Given& given) {
    const FileObject& file = given.object<FileObject>(0);
    const std::size_t bytes = given.at(0).count * file.page_bytes;
    void* memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file.fd.get(),
                          static_cast<off_t>(given.at(0).first * file.page_bytes));
    if (memory == MAP_FAILED)
        return Error::last("mmap");
    std::vector<unsigned char> resident(given.at(0).count);
    // Pages that are mapped by nobody are passed over.
    const bool done = ::madvise(memory, bytes, MADV_POPULATE_READ) == 0 &&
                      ::madvise(memory, bytes, MADV_PAGEOUT) == 0 &&
                      ::mincore(memory, bytes, resident.data()) == 0;
    const Error error = Error::last("madvise(MADV_PAGEOUT), mincore");
    ::munmap(memory, bytes);
    if (!done)
        return error;
    return Value::of(std::count_if(resident.begin(), resident.end(),
                                   [](unsigned char page) { return (page & 1) == 0; }));
}

Result<Value> make_khugepaged(Doing& /*doing*/, const Given& /*given*/) {
    Result<Khugepaged> awake = Khugepaged::awake();
    if (!awake)
        return awake.error();
    auto made = std::make_shared<KhugepagedObject>();
    made->khugepaged = std::move(*awake);
    return Value::of_object(Type::khugepaged, std::move(made));
}

Result<Value> do_khugepaged_scans(Doing& /*doing*/, const Given& given) {
    const Result<void> waited = given.object<KhugepagedObject>(0).khugepaged.wait_for_scans(
        static_cast<unsigned>(given.number(1)));
    if (!waited && waited.error().number != ETIMEDOUT)
        return waited.error();
    return error_of(waited);
}

struct KsmObject final : Object {
    Ksm ksm;
};

Result<Value> make_ksm(Doing& /*doing*/, const Given& /*given*/) {
    Result<Ksm> asleep = Ksm::asleep();
    if (!asleep)
        return asleep.error();
    auto made = std::make_shared<KsmObject>();
    made->ksm = std::move(*asleep);
    return Value::of_object(Type::other, std::move(made));
}

Result<Value> do_ksm_run(Doing& /*doing*/, const Given& given) {
    return error_of(Ksm::run(given.number(0) != 0));
}

Result<Value> do_hugetlb_shared(Doing& /*doing*/, const Given& given) {
    const Result<HugetlbShare> share = hugetlb_share(0, range_of(given.at(0)).start);
    if (!share)
        return share.error();
    return Value::of(share->shared);
}

Result<Value> write_trigger(const char* path) {
    const Result<void> written = write_text(path, "1");
    return error_of(written);
}
Result<Value> do_compact(Doing& /*doing*/, const Given& /*given*/) {
    return write_trigger("/proc/sys/vm/compact_memory");
}
Result<Value> do_drop_caches(Doing& /*doing*/, const Given& /*given*/) {
    return write_trigger("/proc/sys/vm/drop_caches");
}

Result<Value> make_cgroup(Doing& doing, const Given& /*given*/) {
    constexpr const char* root = "/sys/fs/cgroup/";
    auto made = std::make_shared<CgroupObject>();
    made->name = doing.binds;
    made->path = root + std::string("faultline-") + std::string(doing.binds) + "-" +
                 std::to_string(::getpid());
    if (::mkdir(made->path.c_str(), 0700) != 0 && errno != EEXIST)
        return Error::last("mkdir", made->path);
    doing.places.keep_cgroup(made);
    return Value::of_object(Type::cgroup, std::move(made));
}

Result<Value> do_cgroup_enter(Doing& /*doing*/, const Given& given) {
    const std::string file = given.object<CgroupObject>(0).path + "/cgroup.procs";
    return error_of(write_text(file, "0"));
}

Result<Value> do_cgroup_limit(Doing& /*doing*/, const Given& given) {
    const std::string file = given.object<CgroupObject>(0).path + "/memory.max";
    return error_of(write_text(file, std::to_string(given.number(1) * ::sysconf(_SC_PAGESIZE))));
}

// PAGEMAP_SCAN, linux 6.7.
struct ScanRequest {
    std::uint64_t size;
    std::uint64_t flags;
    std::uint64_t start;
    std::uint64_t end;
    std::uint64_t walk_end;
    std::uint64_t vec;
    std::uint64_t vec_len;
    std::uint64_t max_pages;
    std::uint64_t category_inverted;
    std::uint64_t category_mask;
    std::uint64_t category_anyof_mask;
    std::uint64_t return_mask;
};
struct ScanRegion {
    std::uint64_t start;
    std::uint64_t end;
    std::uint64_t categories;
};
constexpr unsigned long scan_request = _IOWR('f', 16, ScanRequest);

Result<Value> do_pagemap_scan(Doing& doing, const Given& given) {
    const pid_t pid = given.has(2) ? doing.process_of(given.text(2)) : ::getpid();
    if (pid == 0) // it has not begun
        return Value::of_error(ESRCH);
    const Result<Fd> pagemap = Fd::open("/proc/" + std::to_string(pid) + "/pagemap", O_RDONLY);
    if (!pagemap && given.has(2) && pagemap.error().number == ENOENT) // it is gone
        return Value::of_error(ESRCH);
    if (!pagemap)
        return pagemap.error();
    const Range range = range_of(given.at(0));
    std::vector<ScanRegion> regions(given.at(0).count);
    const auto start = reinterpret_cast<std::uintptr_t>(range.start);
    const auto mask = static_cast<std::uint64_t>(given.number(1));
    ScanRequest request{.size = sizeof(ScanRequest),
                        .flags = 0,
                        .start = start,
                        .end = start + range.bytes,
                        .walk_end = 0,
                        .vec = reinterpret_cast<std::uintptr_t>(regions.data()),
                        .vec_len = regions.size(),
                        .max_pages = 0,
                        .category_inverted = 0,
                        .category_mask = mask,
                        .category_anyof_mask = 0,
                        .return_mask = mask};
    const int found = ::ioctl(pagemap->get(), scan_request, &request);
    if (found < 0)
        return Value::of_error(errno);
    std::int64_t pages = 0;
    const auto page_bytes = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
    for (int i = 0; i < found; ++i)
        pages += static_cast<std::int64_t>((regions[static_cast<std::size_t>(i)].end -
                                            regions[static_cast<std::size_t>(i)].start) /
                                           page_bytes);
    return Value::of(pages);
}

Result<Value> do_resident(Doing& /*doing*/, const Given& given) {
    const Result<FolioReader> reader = FolioReader::open();
    if (!reader)
        return reader.error();
    const Result<MappedRange> range = reader->read(range_of(given.at(0)).start, given.at(0).count);
    if (!range)
        return range.error();
    return Value::of(std::count(range->present.begin(), range->present.end(), true));
}

// The largest folio that is mapped whole in there.
Result<Value> do_folio_order(Doing& /*doing*/, const Given& given) {
    const Result<FolioReader> reader = FolioReader::open();
    if (!reader)
        return reader.error();
    const Result<MappedRange> range = reader->read(range_of(given.at(0)).start, given.at(0).count);
    if (!range)
        return range.error();
    std::int64_t order = 0;
    for (const MappedFolio& folio : range->folios)
        order = std::max<std::int64_t>(order, folio.order);
    return Value::of(order);
}

// Where the threads are; a forked actor is another process. Set before any actor is.
pid_t driver = 0;

// Its descriptor has the same number there: it was open when an actor was forked.
Result<Value> do_pidfd_pread(Doing& /*doing*/, const Given& given) {
    const FileObject& file = given.object<FileObject>(0);
    const Fd process(static_cast<int>(::syscall(SYS_pidfd_open, driver, 0)));
    if (!process)
        return Value::of_error(errno);
    FileObject theirs;
    theirs.fd = Fd(static_cast<int>(::syscall(SYS_pidfd_getfd, process.get(), file.fd.get(), 0)));
    if (!theirs.fd)
        return Value::of_error(errno);
    theirs.page_bytes = file.page_bytes;
    const Result<std::vector<std::uint64_t>> words = theirs.read(given.at(0).first);
    if (!words)
        return Value::of_error(words.error().number);
    return Value::of_word(content_word(*file.content, given.at(0).first, *words));
}

Result<Value> do_aim(Doing& doing, const Given& given) {
    const Result<FolioReader> reader = FolioReader::open();
    if (!reader)
        return reader.error();
    const Result<std::uint64_t> frame = reader->frame_of(range_of(given.at(0)).start);
    if (!frame)
        return frame.error();
    doing.run->aim(*frame);
    return Value{};
}

Result<Value> do_sleep(Doing& /*doing*/, const Given& given) {
    ::usleep(static_cast<useconds_t>(std::clamp<std::int64_t>(given.number(0), 0, 1000000)));
    return Value{};
}

Result<Value> do_wait_for(Doing& doing, const Given& given) {
    while (!doing.ended(given.text(0)) && !doing.stopping())
        ::usleep(1000);
    return Value{};
}

// A pidfd can be read from when the process has no memory any more.
Result<Value> do_wait_gone(Doing& doing, const Given& given) {
    pid_t pid = doing.process_of(given.text(0));
    for (; pid == 0 && !doing.stopping(); pid = doing.process_of(given.text(0)))
        ::usleep(1000); // it has not begun
    if (pid == ::getpid())
        return Error::make(EDEADLK, "this is the actor's process, too", given.text(0));
    const Fd process(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
    if (!process)
        return errno == ESRCH || pid == 0 ? Result<Value>(Value{}) : Error::last("pidfd_open");
    pollfd gone{process.get(), POLLIN, 0};
    constexpr int slice_ms = 10;
    while (!doing.stopping() && ::poll(&gone, 1, slice_ms) == 0) {
    }
    return Value{};
}

} // namespace

// NOLINTNEXTLINE(readability-function-size): a table
void add_machine_operations(std::vector<Operation>& rows) {
    driver = ::getpid();
    const Argument memory{"memory", Type::memory};
    const Argument swap{"swap", Type::swap};
    rows.insert(
        rows.end(),
        {{.name = "setting",
          .arguments = {{"path", Type::text}, {"value", Type::text}},
          .result = Type::other,
          .about = "writes a file below /sys/kernel/mm/ or /proc/sys/vm/, and restores it at the "
                   "end of the object; the object needs a name",
          .where = before,
          .act = make_setting,
          .c = "setting({path}, {value})"},
         {.name = "hugetlb_pool",
          .arguments = {{"pages", Type::number}},
          .result = Type::pool,
          .about = "sets the size of the default pool of huge pages, and restores it at the end of "
                   "the object",
          .man = "proc(5)",
          .needs = "hugetlb",
          .where = before,
          .act = make_pool,
          .c = "hugetlb_pool({pages})"},
         {.name = "hugetlb_shared",
          .arguments = {memory},
          .result = Type::number,
          .about = "the number of others that share this process' table of PMDs for memory[N]",
          .needs = "pmd-sharing",
          .act = do_hugetlb_shared},
         {.name = "swap",
          .result = Type::swap,
          .about = "a RAM disk marked as swap space, not yet in use",
          .needs = "ram-disk",
          .where = before,
          .act = make_swap},
         {.name = "swapon",
          .arguments = {swap},
          .result = Type::error,
          .about = "before all others",
          .man = "swapon(2)",
          .act = do_swapon},
         {.name = "swapoff",
          .arguments = {swap},
          .result = Type::error,
          .errnos = "EINTR EINVAL ENOMEM ESTALE",
          .man = "swapon(2)",
          .act = do_swapoff},
         {.name = "swap_out",
          .arguments = {{"file", Type::file}},
          .result = Type::number,
          .about = "MADV_PAGEOUT of the file or file[FROM..TO]; the number of pages that are then "
                   "in no cache",
          .man = "madvise(2)",
          .act = do_swap_out,
          .c = "swap_out({file}, {file.first}, {file.count})"},
         {.name = "khugepaged",
          .result = Type::khugepaged,
          .about = "khugepaged awake, scanning without pauses, making the PMD's order alone",
          .needs = "huge-pages",
          .where = before,
          .act = make_khugepaged},
         {.name = "khugepaged_scans",
          .arguments = {{"khugepaged", Type::khugepaged},
                        {.name = "scans", .type = Type::number, .otherwise = "1"}},
          .result = Type::error,
          .about = "waits until it has scanned all memory that many times from now on",
          .errnos = "ETIMEDOUT",
          .act = do_khugepaged_scans},
         {.name = "ksm",
          .result = Type::other,
          .about = "ksmd asleep, but ready to scan everything at once; it needs a name",
          .needs = "ksm",
          .where = before,
          .act = make_ksm},
         {.name = "ksm_run",
          .arguments = {{.name = "how",
                         .type = Type::word,
                         .constants = {{"YES", 1}, {"NO", 0}},
                         .otherwise = "YES"}},
          .result = Type::error,
          .about = "ksmd merges, or stops",
          .needs = "ksm",
          .act = do_ksm_run},
         {.name = "cgroup",
          .result = Type::cgroup,
          .about = "a cgroup (version 2) below the root",
          .man = "cgroups(7)",
          .needs = "cgroup",
          .where = before,
          .act = make_cgroup},
         {.name = "cgroup_enter",
          .arguments = {{"cgroup", Type::cgroup}},
          .result = Type::error,
          .about = "moves this process into the cgroup",
          .man = "cgroups(7)",
          .where = in_actor,
          .of_process = true,
          .act = do_cgroup_enter},
         {.name = "cgroup_limit",
          .arguments = {{"cgroup", Type::cgroup}, {"pages", Type::number}},
          .result = Type::error,
          .about = "its memory.max: it may have this number of pages, and reclaims others",
          .man = "cgroups(7)",
          .act = do_cgroup_limit},
         {.name = "compact",
          .result = Type::error,
          .about = "compacts all memory",
          .man = "proc(5)",
          .act = do_compact,
          .c = "write_text(\"/proc/sys/vm/compact_memory\", \"1\")"},
         {.name = "drop_caches",
          .result = Type::error,
          .about = "the clean page cache of all files",
          .man = "proc(5)",
          .act = do_drop_caches,
          .c = "write_text(\"/proc/sys/vm/drop_caches\", \"1\")"},
         {.name = "pagemap_scan",
          .arguments =
              {memory,
               {.name = "pages",
                .type = Type::word,
                .constants =
                    {{"WRITTEN", 2}, {"PRESENT", 8}, {"SWAPPED", 16}, {"ZERO", 32}, {"HUGE", 64}}},
               {.name = "actor", .type = Type::actor, .otherwise = ""}},
          .result = Type::number,
          .about = "the number of such pages of the memory (linux 6.7), in this process or at the "
                   "same addresses of the actor. ESRCH: the actor has not begun, or has exited",
          .errnos = "ENOTTY EINVAL ESRCH",
          .man = "ioctl_pagemap_scan(2)",
          .act = do_pagemap_scan},
         {.name = "resident",
          .arguments = {memory},
          .result = Type::number,
          .about = "the number of pages that this process maps there",
          .man = "proc(5)",
          .act = do_resident},
         {.name = "folio_order",
          .arguments = {memory},
          .result = Type::number,
          .about = "the order of the largest folio that is mapped whole there",
          .man = "proc(5)",
          .act = do_folio_order},
         {.name = "pidfd_pread",
          .arguments = {{"file", Type::file}},
          .result = Type::word,
          .words = {"data", "zero", "stored", "other"},
          .about = "reads file[N] through the descriptor of the process of the threads",
          .errnos = "EBADF EINVAL EPERM ESRCH EIO",
          .man = "pidfd_getfd(2)",
          .where = in_actor,
          .act = do_pidfd_pread},
         {.name = "aim",
          .arguments = {memory},
          .about = "sites FUNCTION/page-ref are about the page frame of memory[N], in this run",
          .where = in_setup,
          .act = do_aim},
         {.name = "sleep",
          .arguments = {{"microseconds", Type::number}},
          .about = "at most a second",
          .act = do_sleep,
          .c = "usleep({microseconds})"},
         {.name = "wait_for",
          .arguments = {{"actor", Type::actor}},
          .about = "waits until the actor has ended; no hold ends during such a wait",
          .where = in_actor,
          .act = do_wait_for,
          .c = "wait_for_flag(&sync_->ended[{actor}])"},
         {.name = "wait_gone",
          .arguments = {{"actor", Type::actor}},
          .about = "waits until the actor's process has ended and all its memory is freed",
          .man = "pidfd_open(2)",
          .where = in_actor,
          .act = do_wait_gone}});
}

} // namespace faultline
