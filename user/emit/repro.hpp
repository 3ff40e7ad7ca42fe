// SPDX-License-Identifier: GPL-2.0
// A finding as a shell script that runs it with Faultline: FAULTLINE=CHECKOUT ./repro.sh
#ifndef FAULTLINE_EMIT_REPRO_HPP
#define FAULTLINE_EMIT_REPRO_HPP

#include "emit/c_program.hpp"

#include <string>

namespace faultline {

std::string repro_script(const Finding& finding);

} // namespace faultline

#endif // FAULTLINE_EMIT_REPRO_HPP
