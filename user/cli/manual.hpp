// SPDX-License-Identifier: GPL-2.0
// The manual and the completion, from the same tables as --help.
#ifndef FAULTLINE_CLI_MANUAL_HPP
#define FAULTLINE_CLI_MANUAL_HPP

#include "cli/commands.hpp"
#include "kernel/result.hpp"
#include "manual/page.hpp"

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace faultline {

// "faultline", "faultline-scenario", "faultline-debugfs"
const std::vector<std::string>& page_names();
Result<Page> manual_page(const CLI::App& app, const std::string& name);

// A script for "bash" or "zsh"; "" for another shell.
std::string completion(const CLI::App& app, const std::string& shell);

// Adds man, completion and help.
void add_manual_commands(CLI::App& app, Arguments& arguments);
int man_command(const CLI::App& app, const Arguments& arguments);
int completion_command(const CLI::App& app, const Arguments& arguments);
int help_command(const CLI::App& app, const Arguments& arguments);

} // namespace faultline

#endif // FAULTLINE_CLI_MANUAL_HPP
