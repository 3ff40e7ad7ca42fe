// SPDX-License-Identifier: GPL-2.0
// The property for any bytes that a user gives to `faultline check`: the reader returns, and the
// understood part prints back. For the unit tests and for the fuzz target.
#ifndef FAULTLINE_READER_PROPERTY_HPP
#define FAULTLINE_READER_PROPERTY_HPP

#include "language/file.hpp"
#include "language/plan.hpp"

#include <string>

namespace faultline {

// "" or the first thing that is wrong.
inline std::string wrong_with_reader(const std::string& text) {
    const ReadFile read = read_scenario(text, "fuzz");
    // The printed form of parsed steps parses.
    for (const FileActor& actor : read.file.actors) {
        const Parsed parsed = parse_steps(actor.steps);
        if (parsed.complaint)
            continue;
        const std::string printed = print(parsed.steps);
        if (parse_steps({printed, {}}).complaint)
            return "steps that do not parse when they are printed:\n" + printed;
    }
    if (!read.complaints.empty())
        return "";
    const std::string printed = print(read.file);
    const ReadFile again = read_scenario(printed, "fuzz");
    if (!again.complaints.empty())
        return to_string("printed", again.complaints) + printed;
    if (!(again.file == read.file))
        return "the printed file is another one:\n" + printed;
    Complaints found;
    for (const FileVariant& variant : read.file.variants)
        (void)make_plan(read.file, variant, found);
    return "";
}

} // namespace faultline

#endif // FAULTLINE_READER_PROPERTY_HPP
