// SPDX-License-Identifier: GPL-2.0
// A site's result as the module gives it.
#ifndef FAULTLINE_TESTS_SITE_RESULT_HPP
#define FAULTLINE_TESTS_SITE_RESULT_HPP

#include "faultline_abi.h"

#include <cstdint>

namespace faultline {

inline fl_site_result site_result(std::uint32_t end, std::uint32_t context, std::uint32_t cpu,
                                  std::uint64_t reached_ns, std::uint64_t left_ns,
                                  std::uint32_t hits = 1) {
    return {.hits = hits,
            .end = end,
            .context = context,
            .cpu = cpu,
            .reached_ns = reached_ns,
            .left_ns = left_ns,
            .value = 0};
}

} // namespace faultline

#endif // FAULTLINE_TESTS_SITE_RESULT_HPP
