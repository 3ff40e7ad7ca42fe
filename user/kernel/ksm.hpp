// SPDX-License-Identifier: GPL-2.0
// The kernel's thread that merges equal pages (ksmd), of memory that was offered to it by
// MADV_MERGEABLE.
#ifndef FAULTLINE_KERNEL_KSM_HPP
#define FAULTLINE_KERNEL_KSM_HPP

#include "kernel/result.hpp"
#include "kernel/settings.hpp"

#include <optional>
#include <string>
#include <vector>

namespace faultline {

class Ksm {
  public:
    // It does not run, but would scan all at once. All is restored when this is destroyed.
    static Result<Ksm> asleep();
    // From any process. Merged pages stay merged. Waits as long as ksmd waits for a lock.
    [[nodiscard]] static Result<void> run(bool yes);

  private:
    std::vector<Setting> settings_;
};

// For a scenario's needs.
std::optional<std::string> missing_ksm();

} // namespace faultline

#endif // FAULTLINE_KERNEL_KSM_HPP
