// SPDX-License-Identifier: GPL-2.0
#include "scenarios/hugetlb_experiment.hpp"

#include <cerrno>
#include <cstring>
#include <fmt/format.h>
#include <sys/mman.h>

namespace faultline {

namespace {

constexpr const char* pool_setting = "/proc/sys/vm/nr_hugepages";
constexpr const char* pool_pages = "16";

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
    const Result<HugetlbPool> before = hugetlb_pool();
    if (!before)
        return before.error();
    before_ = *before;
    return {};
}

bool HugetlbExperiment::share(ActorContext& me, std::size_t page) {
    if (::madvise(file_->address(page), file_->huge_bytes(), MADV_POPULATE_READ) != 0) {
        me.fail(Error::last("MADV_POPULATE_READ"));
        return false;
    }
    const Result<HugetlbShare> share = hugetlb_share(0, file_->address());
    if (!share) {
        me.fail(share.error());
        return false;
    }
    me.report(slot_shared, share->shared);
    return true;
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

std::string HugetlbExperiment::error_name(std::int64_t number) {
    if (number == unreported)
        return "not-reported";
    return number == 0 ? "ok" : ::strerrorname_np(static_cast<int>(number));
}

bool HugetlbExperiment::unmap() { return as_errno(file_->unmap()); }

void HugetlbExperiment::judge_pool(Outcome& outcome, std::int64_t reserved) const {
    const Result<HugetlbPool> now = hugetlb_pool();
    const Result<std::int64_t> pages = file_->pages();
    if (!now || !pages) {
        outcome.forbid((now ? pages.error() : now.error()).to_string());
        return;
    }
    const bool exact = now->pages == before_.pages && before_.free - now->free == *pages &&
                       now->reserved == before_.reserved + reserved &&
                       now->surplus == before_.surplus;
    outcome.add("pool", exact ? "exact" : "wrong");
    outcome.require(exact, fmt::format("the file has {} huge pages; of the pool's {} are {} free "
                                       "({} before), {} reserved, {} surplus",
                                       *pages, now->pages, now->free, before_.free, now->reserved,
                                       now->surplus));
}

} // namespace faultline
