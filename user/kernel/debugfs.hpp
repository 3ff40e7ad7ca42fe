// SPDX-License-Identifier: GPL-2.0
// Where debugfs and tracefs are. Asked of /proc/self/mounts, once; mounted at the usual place if
// they are nowhere, as an initramfs or a small container may have left them.
#ifndef FAULTLINE_KERNEL_DEBUGFS_HPP
#define FAULTLINE_KERNEL_DEBUGFS_HPP

#include "kernel/fd.hpp"
#include "kernel/result.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace faultline {

Result<std::string> debugfs_root(); // "/sys/kernel/debug"
Result<std::string> tracefs_root(); // "/sys/kernel/tracing"

// A file of the module: "<debugfs>/faultline/NAME". Does not say that it exists.
Result<std::string> faultline_file(std::string_view name);

// An open file of the module that takes commands and returns their results.
class ModuleFile {
  public:
    static Result<ModuleFile> open(std::string_view name); // "pgtable/range"
    // One write: a command must not be torn, and each is tried once.
    [[nodiscard]] Result<void> send(const std::string& command) const;
    [[nodiscard]] Result<std::string> text() const; // all of it, from the beginning
    [[nodiscard]] int get() const { return file_.get(); }

  private:
    ModuleFile(Fd file, std::string path) : file_(std::move(file)), path_(std::move(path)) {}
    Fd file_;
    std::string path_;
};
// Ordered and read, once.
Result<std::string> ask_module(std::string_view name, const std::string& command);

// For a scenario's needs: why the loaded module cannot do something in this kernel, in its own
// words; nullopt if it can. The names are those of <debugfs>/faultline/capabilities.
std::optional<std::string> missing_capability(std::string_view name);

} // namespace faultline

#endif // FAULTLINE_KERNEL_DEBUGFS_HPP
