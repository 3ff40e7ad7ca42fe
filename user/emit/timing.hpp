// SPDX-License-Identifier: GPL-2.0
// The edges of a schedule as a program in user space can keep them, with a kernel that delays a
// task by its name where the schedule holds it.
//
// Between two of its sites user:X an actor is in a *part*. A site in the kernel belongs to a part.
// If the actor is held there, the part is slow: the task has a name by which the kernel delays it.
// An actor that waits for a site in the kernel waits until that part has begun, and a while longer.
#ifndef FAULTLINE_EMIT_TIMING_HPP
#define FAULTLINE_EMIT_TIMING_HPP

#include "engine/schedule.hpp"

#include <map>
#include <string>
#include <vector>

namespace faultline {

inline constexpr unsigned delay_ms = 1000;        // at each call of a held function
inline constexpr unsigned lead_ms = delay_ms / 4; // until an actor is surely there

// Where the kernel has to be slow.
struct Window {
    std::string site = {};  // a function, or a name of kmod/site_table.h
    std::string actor = {}; // the actor that is held there
    std::string task = {};  // and its task's name then
    unsigned hit = 1;
    friend bool operator==(const Window&, const Window&) = default;
};

// The parts that an actor waits for at a site of its own.
struct WaitFor {
    std::string site = {}; // user:X of another, as text; "" = its part has begun
    unsigned part = 0;
    unsigned ms = 0; // and then so long
};

struct Part {
    std::string actor = {};
    std::string opens = {};            // its site user:X; "" = from the beginning
    unsigned number = 0;               // of all parts
    std::vector<Window> windows = {};  // in the order in which the actor comes to them
    std::vector<std::string> had = {}; // user sites that are reached when the part ends
    bool watched = false;              // somebody waits for it
    [[nodiscard]] unsigned ms() const; // that the delays take
};

struct Timing {
    std::vector<Part> parts;
    std::map<std::string, std::vector<WaitFor>> waits; // by user site, "cutter@user:cut"
    [[nodiscard]] std::vector<Window> windows() const;
    [[nodiscard]] const Part* part(const std::string& actor, const std::string& opens) const;
};

// EOPNOTSUPP: an edge that cannot be kept so, and why.
Result<Timing> timing_of(const std::vector<Edge>& edges);

} // namespace faultline

#endif // FAULTLINE_EMIT_TIMING_HPP
