// SPDX-License-Identifier: GPL-2.0
// A place to swap to, for a while: a RAM disk that is not in use.
#ifndef FAULTLINE_KERNEL_SWAP_HPP
#define FAULTLINE_KERNEL_SWAP_HPP

#include "kernel/result.hpp"

#include <optional>
#include <string>
#include <utility>

namespace faultline {

// The missing part that SwapArea::make() needs, in words.
std::optional<std::string> missing_ram_disk();

class SwapArea {
  public:
    SwapArea() = default; // none
    // Marks the disk as swap space. It must have been empty, or marked by an earlier make().
    static Result<SwapArea> make();
    SwapArea(const SwapArea&) = delete;
    SwapArea& operator=(const SwapArea&) = delete;
    SwapArea(SwapArea&& other) noexcept : path_(std::exchange(other.path_, {})) {}
    SwapArea& operator=(SwapArea&& other) noexcept {
        std::swap(path_, other.path_);
        return *this;
    }
    ~SwapArea(); // swapped to no more; if the driver is killed, its guardian sees to that

    // Before all others.
    [[nodiscard]] Result<void> on();
    // Reads the pages back; sleeps. Also from a process that was forked after on(). EINTR after a
    // signal; the swap space then stays in use.
    [[nodiscard]] Result<void> off() const;

  private:
    explicit SwapArea(std::string path) : path_(std::move(path)) {}

    std::string path_;
};

} // namespace faultline

#endif // FAULTLINE_KERNEL_SWAP_HPP
