// SPDX-License-Identifier: GPL-2.0
#include "kernel/khugepaged.hpp"

#include "kernel/extent.hpp"
#include "kernel/fd.hpp"

#include <bit>
#include <cerrno>
#include <charconv>
#include <fmt/format.h>
#include <thread>
#include <unistd.h>

namespace faultline {

namespace {

const std::string base = "/sys/kernel/mm/transparent_hugepage/";
const std::string max_ptes_shared = base + "khugepaged/max_ptes_shared";
const std::string max_ptes_swap = base + "khugepaged/max_ptes_swap";
constexpr std::chrono::seconds scan_bound{20};
constexpr unsigned smallest_order = 2; // of anonymous memory

std::string folder(unsigned order, std::size_t page_bytes) {
    return fmt::format("{}hugepages-{}kB/", base, (page_bytes << order) >> 10);
}

bool makes(unsigned order, std::size_t page_bytes) {
    const std::string counter = folder(order, page_bytes) + "stats/collapse_exceed_none_pte";
    return ::access(counter.c_str(), R_OK) == 0;
}

} // namespace

std::string Khugepaged::enabled_path(unsigned order) const {
    return per_order_ ? folder(order, page_bytes_) + "enabled" : base + "enabled";
}

Result<void> Khugepaged::set(const std::string& path, const std::string& value) {
    Result<Setting> setting = Setting::set(path, value);
    if (!setting)
        return setting.error();
    settings_.push_back(std::move(*setting));
    return {};
}

Result<Khugepaged> Khugepaged::awake() {
    const Result<Geometry> geometry = faultline::geometry();
    if (!geometry)
        return geometry.error();
    Khugepaged made;
    made.page_bytes_ = geometry->page_bytes;
    made.pmd_order_ = static_cast<unsigned>(std::countr_zero(geometry->pages()));
    const std::string pmd = folder(made.pmd_order_, made.page_bytes_) + "enabled";
    made.per_order_ = ::access(pmd.c_str(), W_OK) == 0;
    made.all_ = Orders{1} << made.pmd_order_;
    // This first, or it might end meanwhile.
    std::vector<std::pair<std::string, std::string>> wanted = {{base + "enabled", "madvise"}};
    if (made.per_order_)
        wanted.emplace_back(pmd, "madvise");
    for (unsigned order = smallest_order; order < made.pmd_order_; ++order) {
        if (made.per_order_)
            wanted.emplace_back(made.enabled_path(order), "never");
        if (makes(order, made.page_bytes_))
            made.all_ |= Orders{1} << order;
    }
    wanted.emplace_back(base + "khugepaged/max_ptes_none", std::to_string(geometry->pages() - 1));
    wanted.emplace_back(max_ptes_shared, std::to_string(geometry->pages() / 2));
    wanted.emplace_back(max_ptes_swap, std::to_string(geometry->pages() / 8));
    wanted.emplace_back(base + "khugepaged/pages_to_scan", "1048576");
    wanted.emplace_back(base + "khugepaged/alloc_sleep_millisecs", "1");
    wanted.emplace_back(base + "khugepaged/scan_sleep_millisecs", "1");
    for (const auto& [path, value] : wanted)
        if (Result<void> set = made.set(path, value); !set)
            return set.error();
    return made;
}

Result<void> Khugepaged::allow(Orders orders, unsigned max_ptes_none) const {
    if (Result<void> written =
            write_text(base + "khugepaged/max_ptes_none", std::to_string(max_ptes_none));
        !written)
        return written;
    if (!per_order_)
        return {};
    // khugepaged ends if no size is enabled, so the new sizes come first.
    for (const bool enable : {true, false})
        for (unsigned order = smallest_order; order <= pmd_order_; ++order)
            if (((orders >> order & 1U) != 0) == enable)
                if (Result<void> written =
                        write_text(enabled_path(order), enable ? "madvise" : "never");
                    !written)
                    return written;
    return {};
}

Result<void> Khugepaged::limit(unsigned shared, unsigned swap) const {
    if (Result<void> written = write_text(max_ptes_shared, std::to_string(shared)); !written)
        return written;
    return write_text(max_ptes_swap, std::to_string(swap));
}

Result<void> Khugepaged::set_order(unsigned order, const std::string& word) const {
    return write_text(enabled_path(order), word);
}

Result<void> Khugepaged::wait_for_scans(unsigned scans) const {
    const std::string path = base + "khugepaged/full_scans";
    const auto end = std::chrono::steady_clock::now() + scan_bound;
    std::uint64_t begun = 0;
    for (bool first = true;; first = false) {
        const Result<std::string> text = read_text(path);
        if (!text)
            return text.error();
        std::uint64_t now = 0;
        std::from_chars(text->data(), text->data() + text->size(), now);
        if (first)
            begun = now;
        // The one under way does not count.
        if (now >= begun + scans + 1)
            return {};
        if (std::chrono::steady_clock::now() > end)
            return Error::make(ETIMEDOUT, "khugepaged did not scan", path);
        std::this_thread::sleep_for(std::chrono::microseconds(500));
    }
}

std::optional<std::string> missing_shmem_2m() {
    const Result<Geometry> found = geometry();
    if (!found)
        return found.error().to_string();
    if (found->huge_bytes != std::size_t{2} << 20)
        return fmt::format("a PMD maps {} kB", found->huge_bytes >> 10);
    const std::string path = base + "hugepages-2048kB/shmem_enabled";
    if (::access(path.c_str(), W_OK) == 0)
        return std::nullopt;
    return Error::last("write", path).to_string();
}

std::optional<std::string> missing_order_settings() {
    const Result<Geometry> geometry = faultline::geometry();
    if (!geometry)
        return geometry.error().to_string();
    const auto pmd = static_cast<unsigned>(std::countr_zero(geometry->pages()));
    const std::string path = folder(pmd, geometry->page_bytes) + "enabled";
    if (::access(path.c_str(), W_OK) == 0)
        return std::nullopt;
    return Error::last("write", path).to_string();
}

std::optional<std::string> missing_mthp_collapse() {
    const Result<Geometry> geometry = faultline::geometry();
    if (!geometry)
        return geometry.error().to_string();
    if (makes(smallest_order, geometry->page_bytes))
        return std::nullopt;
    return "khugepaged makes no order but the PMD's (7.2 is the first that does)";
}

} // namespace faultline
