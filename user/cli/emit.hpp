// SPDX-License-Identifier: GPL-2.0
// --emit of run and replay: a finding in the forms in which it is sent.
#ifndef FAULTLINE_CLI_EMIT_HPP
#define FAULTLINE_CLI_EMIT_HPP

#include "cli/common.hpp"

namespace faultline {

// c and repro are made of a schedule alone; columns of a run.
bool emits_files(const Arguments& arguments);
// Runs nothing. `edges`: instead of the variant's own.
int emit_files(const Arguments& arguments, const std::vector<Chosen>& all,
               const std::vector<Edge>* edges);
std::string columns_of(const VariantReport& report);

} // namespace faultline

#endif // FAULTLINE_CLI_EMIT_HPP
