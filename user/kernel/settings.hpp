// SPDX-License-Identifier: GPL-2.0
// System settings (sysfs, sysctl) that are changed for a while and always restored.
//
//     Result<Setting> shmem = Setting::set("/sys/kernel/mm/transparent_hugepage/shmem_enabled",
//     "advise"); if (!shmem)
//         return shmem.error();      // nothing was changed
//     shmem_ = std::move(*shmem);    // a member: restored when the experiment goes
//
// A Setting restores its old value when it is destroyed, and if the driver is killed, its guardian
// does (see guardian.hpp). Two Settings of one path nest: destroy them in the reverse order.
#ifndef FAULTLINE_KERNEL_SETTINGS_HPP
#define FAULTLINE_KERNEL_SETTINGS_HPP

#include "kernel/result.hpp"

#include <string>
#include <string_view>

namespace faultline {

class Setting {
  public:
    Setting() = default; // changes nothing
    Setting(const Setting&) = delete;
    Setting& operator=(const Setting&) = delete;
    Setting(Setting&& other) noexcept;
    Setting& operator=(Setting&& other) noexcept;
    ~Setting();

    static Result<Setting> set(const std::string& path, std::string_view value);

    // Restores now; the destructor then does nothing. Use it where a failure must be seen.
    Result<void> restore();

    [[nodiscard]] const std::string& path() const { return path_; }
    [[nodiscard]] const std::string& old_value() const { return old_; }

  private:
    Setting(std::string path, std::string old) : path_(std::move(path)), old_(std::move(old)) {}

    std::string path_; // empty: nothing to restore
    std::string old_;
};

// The current value of a setting, in the form of a write: "always [madvise] never" gives "madvise".
Result<std::string> read_setting(const std::string& path);

} // namespace faultline

#endif // FAULTLINE_KERNEL_SETTINGS_HPP
