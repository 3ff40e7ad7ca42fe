// SPDX-License-Identifier: GPL-2.0
// Which functions of the kernel an actor passes, and how good each is as a place to hold it.
#ifndef FAULTLINE_EXPLORE_PROFILE_HPP
#define FAULTLINE_EXPLORE_PROFILE_HPP

#include "kernel/function_trace.hpp"
#include "kernel/running_symbols.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace faultline {

// A function that an actor passes between its first and its last step.
struct Place {
    std::string function = {};
    std::string part = {};                 // "mm", "fs", "" for all else
    unsigned hits = 0;                     // in the run with the fewest of those that were traced
    std::vector<unsigned> positions = {};  // of its hits among all calls, in the first run
    std::vector<std::string> callers = {}; // of its hits, in the first run
    unsigned depth = 0;                    // of the call that is least deep
    bool atomic = false;                   // its first call came with preemption or interrupts off
    unsigned rank = 0;                     // 0 is best; see why
    std::string why = {};                  // what gives it this rank
    friend bool operator==(const Place&, const Place&) = default;
};

// A step "at NAME" of the actor itself.
struct UserPlace {
    std::string name;
    unsigned position = 0; // how many calls of the kernel come before it
    friend bool operator==(const UserPlace&, const UserPlace&) = default;
};

struct Profile {
    std::string actor;
    std::vector<Place> places; // best first
    std::vector<UserPlace> user_places = {};
};

struct ProfileOptions {
    unsigned depth = 0;                            // of calls, no deeper; 0 = any
    std::vector<std::string> parts = {"mm", "fs"}; // a place is in one of these, or called from it
    std::vector<std::string> first = {}; // functions that come before all others, in this order
};

// One call, with its depth in the tree of calls. Its texts are those of the symbols and ranges by
// which it was found: there are hundreds of thousands of calls.
struct Visit {
    std::string_view function;
    std::string_view module;
    std::string_view caller;
    std::string_view part;
    std::string_view caller_part;
    unsigned depth = 0;
    bool atomic = false;
};
// The calls of a window of time, without those of interrupts, of our own module and for it. A
// caller may be missing, as it cannot be traced: its first call counts as one of the innermost
// function, its next ones as equals of that. So each system call begins anew.
std::vector<Visit> visits_of(const std::vector<FunctionCall>& calls, const RunningSymbols& symbols,
                             const SourceRanges& ranges, std::uint64_t from_ns,
                             std::uint64_t to_ns);

// The compiler adds to a name when it changes a copy of a function: "collapse_file.isra.0" is
// collapse_file.
bool is_function(std::string_view symbol, std::string_view name);

// From an actor's runs in which it goes first. A place must be in each of them: otherwise it would
// often not be reached.
Profile profile_of(std::string actor, const std::vector<std::vector<Visit>>& runs,
                   const ProfileOptions& options);

// Ranks the places of all actors and sorts them: those of options.first; functions that several
// actors pass; those whose name says that they take locks or change page tables, the page cache,
// reverse mappings or counters; the rest. Equals are sorted by depth, the least deep first.
void rank(std::vector<Profile>& profiles, const ProfileOptions& options);

// The functions that a diff changes: the names in its hunk headers, "@@ -1,2 +3,4 @@ static int
// f(". A text without such headers is a list of names, one a line, '#' begins a comment.
std::vector<std::string> functions_of_patch(std::string_view text);

} // namespace faultline

#endif // FAULTLINE_EXPLORE_PROFILE_HPP
