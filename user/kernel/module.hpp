// SPDX-License-Identifier: GPL-2.0
// faultline.ko: loaded if it is not, and unloaded again by the process that loaded it.
#ifndef FAULTLINE_KERNEL_MODULE_HPP
#define FAULTLINE_KERNEL_MODULE_HPP

#include "kernel/result.hpp"

#include <string>

namespace faultline {

class Module {
  public:
    Module() = default;
    Module(const Module&) = delete;
    Module& operator=(const Module&) = delete;
    Module(Module&& other) noexcept;
    Module& operator=(Module&& other) noexcept;
    ~Module();

    // Loads `path` if given; else faultline.ko beside the executable or in ../../kmod from there;
    // else by name, as modprobe does. Does nothing if a faultline module is loaded.
    static Result<Module> load(const std::string& path = {});
    static bool loaded();

    // Waits a bounded time for the last session to be gone. Nothing if we did not load it.
    Result<void> unload();
    [[nodiscard]] bool ours() const { return ours_; }

  private:
    explicit Module(bool ours) : ours_(ours) {}

    bool ours_ = false;
};

} // namespace faultline

#endif // FAULTLINE_KERNEL_MODULE_HPP
