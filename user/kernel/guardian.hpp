// SPDX-License-Identifier: GPL-2.0
// Changes that are undone even if the driver is killed.
//
// INT, TERM, HUP and QUIT end the driver the ordinary way (see engine/stop.hpp), so destructors
// run. For everything else, SIGKILL above all, the first promise() forks a guardian: a child in a
// session of its own, gets each undo step *before* the change, watches the driver's pidfd and
// undoes the remaining changes, the last first, when the driver has died.
#ifndef FAULTLINE_KERNEL_GUARDIAN_HPP
#define FAULTLINE_KERNEL_GUARDIAN_HPP

#include "kernel/result.hpp"

#include <string>

namespace faultline {

struct Undo {
    enum class Kind : char {
        write = 'w',   // this value to the path
        swapoff = 's', // of the path
    };
    Kind kind;
    std::string path;
    std::string value = {};
};

Result<void> promise(const Undo& undo);
// The caller has undone the last change of this kind and path.
Result<void> release_promise(const Undo& undo);

// Forks the guardian now. main() does so while there is one thread; promise() does it if nobody
// did.
Result<void> start_guardian();

} // namespace faultline

#endif // FAULTLINE_KERNEL_GUARDIAN_HPP
