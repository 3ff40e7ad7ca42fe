// SPDX-License-Identifier: GPL-2.0
// The kernel's thread that collapses memory into huge pages, made to scan without pauses, and which
// orders it may make of anonymous memory that asks for it (MADV_HUGEPAGE).
#ifndef FAULTLINE_KERNEL_KHUGEPAGED_HPP
#define FAULTLINE_KERNEL_KHUGEPAGED_HPP

#include "kernel/result.hpp"
#include "kernel/settings.hpp"

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace faultline {

// Bit k is order k.
using Orders = std::uint32_t;

class Khugepaged {
  public:
    Khugepaged() = default; // changes nothing
    // It runs, and may make the PMD's order alone. All is restored when this is destroyed.
    static Result<Khugepaged> awake();

    // The orders that it can make in this kernel: before 7.2, the PMD's alone.
    [[nodiscard]] Orders all() const { return all_; }
    [[nodiscard]] unsigned pmd_order() const { return pmd_order_; }
    // At least one order. max_ptes_none is of what one PMD maps.
    Result<void> allow(Orders orders, unsigned max_ptes_none) const;
    // The limits of shared and of swapped PTEs, of what one PMD maps.
    [[nodiscard]] Result<void> limit(unsigned max_ptes_shared, unsigned max_ptes_swap) const;
    // The word of an order's setting, where each order has one.
    [[nodiscard]] Result<void> set_order(unsigned order, const std::string& word) const;
    [[nodiscard]] bool per_order() const { return per_order_; }
    // Until it has gone through all memory that many times, begun from now on; ETIMEDOUT.
    [[nodiscard]] Result<void> wait_for_scans(unsigned scans) const;

  private:
    [[nodiscard]] std::string enabled_path(unsigned order) const;
    Result<void> set(const std::string& path, const std::string& value);

    std::vector<Setting> settings_;
    Orders all_ = 0;
    unsigned pmd_order_ = 0;
    std::size_t page_bytes_ = 0;
    bool per_order_ = false; // each order has a setting (6.8)
};

// For a scenario's needs: khugepaged never makes orders below the PMD's from an existing folio.
std::optional<std::string> missing_mthp_collapse();

// The same for a setting of each order, which 6.8 brought.
std::optional<std::string> missing_order_settings();

// Why shared memory has no setting of its own for huge pages of 2 MiB that a PMD maps.
std::optional<std::string> missing_shmem_2m();

} // namespace faultline

#endif // FAULTLINE_KERNEL_KHUGEPAGED_HPP
