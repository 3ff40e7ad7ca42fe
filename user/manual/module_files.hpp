// SPDX-License-Identifier: GPL-2.0
// The module's files of debugfs and what they read and write, from its own headers:
// kmod/file_table.h and the *_lines.h and *_abi.h that its rows name.
#ifndef FAULTLINE_MANUAL_MODULE_FILES_HPP
#define FAULTLINE_MANUAL_MODULE_FILES_HPP

#include "kernel/result.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace faultline {

struct ModuleFileRow {
    std::string path;   // "pgtable/range", below faultline/ in debugfs
    std::string header; // that has its lines; "" if none has
    std::string about;
    bool commands = false; // it takes some
};
std::vector<ModuleFileRow> module_files();

// Lines that a file reads or writes.
struct LineForms {
    std::string about;              // the comment before them
    std::vector<std::string> forms; // "tables NUMBER"
};
struct LineSection {
    std::string name; // of the file that they belong to; "": all that name the header
    std::vector<LineForms> lines;
};
// Parses a *_lines.h. An error names the line that the parser does not understand.
Result<std::vector<LineSection>> read_lines_header(std::string_view text);

// The text of a header of the module; "" if none is called so.
std::string_view header_text(std::string_view name);
// docs/language.md
std::string_view language_text();
std::string_view release_date(); // of META

} // namespace faultline

#endif // FAULTLINE_MANUAL_MODULE_FILES_HPP
