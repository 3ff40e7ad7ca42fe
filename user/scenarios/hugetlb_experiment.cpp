// SPDX-License-Identifier: GPL-2.0
#include "scenarios/hugetlb_experiment.hpp"

#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

namespace faultline {

namespace {

constexpr const char* pool_setting = "/proc/sys/vm/nr_hugepages";
constexpr const char* pool_pages = "16";
constexpr std::size_t pages_in_state = 9; // of the file: more than any actor touches

} // namespace

Result<void> HugetlbExperiment::prepare() {
    Result<std::unique_ptr<HugetlbFile>> file = HugetlbFile::make();
    if (!file)
        return file.error();
    file_ = std::move(*file);
    Result<Setting> setting = Setting::set(pool_setting, pool_pages);
    if (!setting)
        return setting.error();
    setting_ = std::move(*setting);
    Result<KernelLog> log = KernelLog::open();
    if (!log)
        return log.error();
    log_ = std::move(*log);
    return {};
}

StateScope HugetlbExperiment::state_scope(bool whole) const {
    return {.mappings = {{.name = "file",
                          .start = file_->address(),
                          .bytes = pages_in_state * file_->huge_bytes(),
                          .content = whole,
                          .smaps = whole}},
            .files = {{.name = "hugetlb", .file = file_->file(), .content = false}},
            .process = false, // see judge_without_file()
            .rollup = whole,
            .log = log_ ? &*log_ : nullptr};
}

Result<void> HugetlbExperiment::begin_run(Run& run) {
    if (Result<void> begun = begin(run); !begun)
        return begun;
    return check_.begin(state_scope(StateCheck::whole(run)));
}

Outcome HugetlbExperiment::judge_run(Run& run) {
    const Result<void> taken = check_.end(state_scope(StateCheck::whole(run)));
    const Allowed allowed = may_differ(run);
    if (taken) {
        check_.allow(allowed);
        check_.compare_all();
        judge_counts();
    }
    Outcome outcome = judge(run);
    if (!taken)
        return outcome.forbid(taken.error().to_string());
    if (file_ != nullptr)
        judge_without_file();
    check_.tell(outcome);
    return outcome;
}

Allowed HugetlbExperiment::may_differ(const Run& /*run*/) const {
    Allowed all;
    for (const char* name : {"mincore", "pagemap-present", "pagemap-file", "pagemap-exclusive"})
        all.push_back({fmt::format("mapping file page * {}", name), "actors map pages"});
    for (const char* name : {"Rss", "Shared_Hugetlb", "Private_Hugetlb"})
        all.push_back({fmt::format("mapping file smaps {}", name), "as the pages that are mapped"});
    all.push_back({"file hugetlb st_blocks", "actors touch pages and give them back"});
    all.push_back({"machine meminfo HugePages_Free", "compared with the pages of the file"});
    all.push_back({"machine vmstat nr_hugetlb", "on 7.2 it follows the pages late: it was the same "
                                                "in runs in which the file got one"});
    for (const char* name : {"machine meminfo Shmem", "machine vmstat nr_shmem"})
        all.push_back({name, "the driver shares such memory with its actors"});
    return all;
}

// A huge page that the file got is one that the pool has no longer, and the other way round.
void HugetlbExperiment::judge_counts() {
    const auto huge = static_cast<std::int64_t>(hugetlb_bytes());
    if (huge == 0)
        return;
    const std::int64_t came = check_.growth("file hugetlb st_blocks") * 512 / huge;
    check_.require_growth("machine meminfo HugePages_Free", -came);
}

// The next run would unmap it, too.
void HugetlbExperiment::judge_without_file() {
    unwatch();
    const Result<void> unmapped = file_->unmap();
    const Result<TableMemory> tables =
        unmapped ? TableMemory::take() : Result<TableMemory>(unmapped.error());
    const Result<State> now =
        tables ? State::take({.machine = false, .cgroup = false}) : Result<State>(tables.error());
    if (!now) {
        check_.require(false, "process status", now.error().to_string());
        return;
    }
    constexpr std::string_view pages = "process status HugetlbPages";
    const std::uint64_t counted = now->value(pages).value_or(0);
    if (!without_file_)
        without_file_ = WithoutFile{*tables, counted};
    const std::string more = more_tables(without_file_->tables, *tables);
    check_.require(more.empty(), "process status VmPTE", "without the file " + more);
    check_.require(counted == without_file_->huge_pages_kb, pages,
                   fmt::format("HugetlbPages without the file was {} kB after the first run "
                               "and is {} kB",
                               without_file_->huge_pages_kb, counted));
}

bool HugetlbExperiment::watch(char* start, std::size_t bytes) {
    Result<Userfaultfd> userfaultfd = Userfaultfd::open();
    const Result<void> registered = userfaultfd
                                        ? userfaultfd->register_for_write_protect(start, bytes)
                                        : Result<void>(userfaultfd.error());
    if (!as_errno(registered))
        return false;
    userfaultfd_ = std::move(*userfaultfd);
    return true;
}

} // namespace faultline
