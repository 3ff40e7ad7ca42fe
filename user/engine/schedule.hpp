// SPDX-License-Identifier: GPL-2.0
// Schedules as text and as programs.
//
//     scenario/variant seed=42: a@enter:f -> b@user:x; b@user:y -> a@enter:f#2
//
// `A -> B`: the actor at B goes on only when A has been reached. The text prints and parses back
// exactly; see parse_schedule() for what else is accepted.
#ifndef FAULTLINE_ENGINE_SCHEDULE_HPP
#define FAULTLINE_ENGINE_SCHEDULE_HPP

#include "faultline_abi.h"
#include "kernel/result.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace faultline {

struct SiteRef {
    std::string actor;
    fl_site_kind kind = FL_SITE_ENTER;
    std::string name;
    unsigned hit = 1; // which hit of a run counts

    friend bool operator==(const SiteRef&, const SiteRef&) = default;
};

struct Edge {
    SiteRef before;
    SiteRef after;

    friend bool operator==(const Edge&, const Edge&) = default;
};

struct Schedule {
    std::string scenario;
    std::string variant;
    std::optional<std::uint64_t> seed;
    std::vector<Edge> edges;

    friend bool operator==(const Schedule&, const Schedule&) = default;
};

std::string to_string(const SiteRef& site);
std::string to_string(const std::vector<Edge>& edges);
std::string to_string(const Schedule& schedule);

// White space between words may be any; everything else must be as to_string() writes it. Errors
// (EINVAL) quote the word they stumbled over.
Result<Schedule> parse_schedule(std::string_view text);
Result<std::vector<Edge>> parse_edges(std::string_view text);

// A schedule in the form of the module, with the names for reports.
struct Program {
    fl_program abi{};
    std::vector<std::string> actors; // by index
    std::vector<std::string> sites;  // by index: their text
    // For each actor: its user sites, name and index, in program order.
    std::vector<std::vector<std::pair<std::string, unsigned>>> user_sites;
};

// How long holds last.
struct Bounds {
    unsigned wait_ms = 2000;   // one hold
    unsigned excluded_ms = 50; // asleep on a lock that long: excluded
    bool in_order = false;     // a hold for a site that its actor has gone past ends at once
};

// The sites of an actor get the order of their first appearance; same sites are one. Fails with
// EINVAL (unknown actor, an edge from a site to itself, a bad name), E2BIG (too many of something)
// or ELOOP (no execution can honour the edges, or two sites wait for each other), and says which.
// The module refuses the same.
Result<Program> compile(const std::vector<Edge>& edges, const std::vector<std::string>& actors,
                        const std::vector<fl_control>& controls, const Bounds& bounds);

} // namespace faultline

#endif // FAULTLINE_ENGINE_SCHEDULE_HPP
