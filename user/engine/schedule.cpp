// SPDX-License-Identifier: GPL-2.0
#include "engine/schedule.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <functional>

namespace faultline {

namespace {

struct KindName {
    fl_site_kind kind;
    std::string_view name;
};
constexpr std::array<KindName, 4> kinds = {{{FL_SITE_ENTER, "enter"},
                                            {FL_SITE_RETURN, "return"},
                                            {FL_SITE_AT, "at"},
                                            {FL_SITE_USER, "user"}}};

constexpr std::string_view spaces = " \t\n";
constexpr std::string_view letters =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";

bool made_of(std::string_view text, std::string_view extra) {
    return !text.empty() && std::all_of(text.begin(), text.end(), [&](char c) {
        return letters.find(c) != std::string_view::npos || extra.find(c) != std::string_view::npos;
    });
}

Error bad(std::string_view what, std::string_view word) {
    return Error::make(EINVAL, std::string(what) + " in \"" + std::string(word) + "\"");
}

std::string_view trim(std::string_view text) {
    const std::size_t first = text.find_first_not_of(spaces);
    if (first == std::string_view::npos)
        return {};
    return text.substr(first, text.find_last_not_of(spaces) - first + 1);
}

std::vector<std::string_view> words_of(std::string_view text) {
    std::vector<std::string_view> words;
    for (text = trim(text); !text.empty(); text = trim(text)) {
        const std::size_t end = std::min(text.find_first_of(spaces), text.size());
        words.push_back(text.substr(0, end));
        text.remove_prefix(end);
    }
    return words;
}

// Digits only, no leading zero: so that printing gives the same text.
template <typename T> std::optional<T> number_of(std::string_view text) {
    T value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (text.empty() || error != std::errc() || end != text.data() + text.size() ||
        (text.size() > 1 && text.front() == '0'))
        return std::nullopt;
    return value;
}

Result<SiteRef> parse_site(std::string_view word) {
    SiteRef site;
    const std::size_t at = word.find('@');
    if (at == std::string_view::npos)
        return bad("no actor (expected actor@kind:name)", word);
    const std::size_t colon = word.find(':', at);
    if (colon == std::string_view::npos)
        return bad("no kind (expected actor@kind:name)", word);

    site.actor = word.substr(0, at);
    if (!made_of(site.actor, "-") || site.actor.size() >= FL_ACTOR_LEN)
        return bad("bad actor name (1 to 15 of A-Z a-z 0-9 _ -)", word);

    const std::string_view kind = word.substr(at + 1, colon - at - 1);
    const auto* found =
        std::find_if(kinds.begin(), kinds.end(), [&](const KindName& k) { return k.name == kind; });
    if (found == kinds.end())
        return bad("unknown kind (enter, return, at or user)", word);
    site.kind = found->kind;

    std::string_view name = word.substr(colon + 1);
    const std::size_t hash = name.find('#');
    if (hash != std::string_view::npos) {
        const std::optional<unsigned> hit = number_of<unsigned>(name.substr(hash + 1));
        if (!hit || *hit < 2)
            return bad("bad hit (#N with N >= 2)", word);
        site.hit = *hit;
        name = name.substr(0, hash);
    }
    if (!made_of(name, "./-") || name.size() >= FL_NAME_LEN)
        return bad("bad site name (1 to 55 of A-Z a-z 0-9 _ . / -)", word);
    site.name = name;
    return site;
}

Result<Edge> parse_edge(std::string_view text) {
    const std::vector<std::string_view> words = words_of(text);
    if (words.size() != 3 || words[1] != "->")
        return bad("expected SITE -> SITE", trim(text));
    Result<SiteRef> before = parse_site(words[0]);
    if (!before)
        return before.error();
    Result<SiteRef> after = parse_site(words[2]);
    if (!after)
        return after.error();
    return Edge{std::move(*before), std::move(*after)};
}

Result<void> parse_head(std::string_view head, Schedule& schedule) {
    const std::vector<std::string_view> words = words_of(head);
    if (words.empty() || words.size() > 2)
        return bad("expected SCENARIO/VARIANT [seed=N]:", head);
    const std::size_t slash = words[0].find('/');
    if (slash == std::string_view::npos)
        return bad("no variant (expected SCENARIO/VARIANT)", words[0]);
    schedule.scenario = words[0].substr(0, slash);
    schedule.variant = words[0].substr(slash + 1);
    if (!made_of(schedule.scenario, ".-") || !made_of(schedule.variant, ".-"))
        return bad("bad name", words[0]);
    if (words.size() == 1)
        return {};
    if (words[1].starts_with("seed="))
        schedule.seed = number_of<std::uint64_t>(words[1].substr(5));
    if (!schedule.seed)
        return bad("bad seed (seed=N, decimal)", words[1]);
    return {};
}

void copy_text(char* to, std::size_t size, std::string_view from) {
    const std::size_t length = std::min(from.size(), size - 1);
    std::memcpy(to, from.data(), length);
    to[length] = '\0';
}

// Two events a site, reached (2i) and left (2i + 1). No run can honour a cycle among them.
std::vector<std::vector<unsigned>> event_graph(const Program& program) {
    const fl_program& abi = program.abi;
    std::vector<std::vector<unsigned>> next(abi.nr_sites * 2U);
    std::vector<int> last(abi.nr_actors, -1);
    for (unsigned site = 0; site < abi.nr_sites; ++site) {
        next[2 * site].push_back(2 * site + 1);
        int& previous = last[abi.sites[site].actor];
        if (previous >= 0)
            next[2 * static_cast<unsigned>(previous) + 1].push_back(2 * site);
        previous = static_cast<int>(site);
    }
    for (unsigned edge = 0; edge < abi.nr_edges; ++edge)
        next[2U * abi.edges[edge].before].push_back(2U * abi.edges[edge].after + 1);
    return next;
}

// The sites on a cycle, in its order; empty if there is none.
std::vector<unsigned> find_cycle(const std::vector<std::vector<unsigned>>& next) {
    enum class Mark { unseen, open, done };
    std::vector<Mark> marks(next.size(), Mark::unseen);
    std::vector<unsigned> path;
    std::vector<unsigned> cycle;
    const std::function<bool(unsigned)> visit = [&](unsigned event) {
        marks[event] = Mark::open;
        path.push_back(event);
        for (const unsigned follower : next[event]) {
            if (marks[follower] == Mark::open) {
                cycle.assign(std::find(path.begin(), path.end(), follower), path.end());
                return true;
            }
            if (marks[follower] == Mark::unseen && visit(follower))
                return true;
        }
        path.pop_back();
        marks[event] = Mark::done;
        return false;
    };
    for (unsigned event = 0; event < next.size() && cycle.empty(); ++event)
        if (marks[event] == Mark::unseen)
            visit(event);
    for (unsigned& event : cycle)
        event /= 2;
    cycle.erase(std::unique(cycle.begin(), cycle.end()), cycle.end());
    return cycle;
}

// The index of a site, added if new.
Result<unsigned> intern(const SiteRef& site, Program& program) {
    const std::string text = to_string(site);
    const auto known = std::find(program.sites.begin(), program.sites.end(), text);
    if (known != program.sites.end())
        return static_cast<unsigned>(known - program.sites.begin());

    const auto actor = std::find(program.actors.begin(), program.actors.end(), site.actor);
    if (actor == program.actors.end()) {
        std::string names;
        for (const std::string& name : program.actors)
            names += (names.empty() ? "" : ", ") + name;
        return Error::make(EINVAL,
                           "unknown actor \"" + site.actor + "\" (there are: " + names + ")");
    }
    const unsigned index = program.abi.nr_sites;
    if (index == FL_MAX_SITES)
        return Error::make(E2BIG, "more than " + std::to_string(FL_MAX_SITES) + " sites");

    const auto actor_index = static_cast<unsigned>(actor - program.actors.begin());
    fl_site& abi = program.abi.sites[index];
    abi.actor = actor_index;
    abi.kind = site.kind;
    abi.context = FL_CONTEXT_AUTO;
    abi.hit = site.hit;
    copy_text(abi.name, sizeof(abi.name), site.name);
    program.abi.nr_sites = index + 1;
    program.sites.push_back(text);
    if (site.kind == FL_SITE_USER)
        program.user_sites[actor_index].emplace_back(site.name, index);
    return index;
}

Result<void> add_actors(const std::vector<std::string>& actors, Program& program) {
    if (actors.empty())
        return Error::make(EINVAL, "no actors");
    if (actors.size() > FL_MAX_ACTORS)
        return Error::make(E2BIG, "more than " + std::to_string(FL_MAX_ACTORS) + " actors");
    for (std::size_t i = 0; i < actors.size(); ++i) {
        if (!made_of(actors[i], "-") || actors[i].size() >= FL_ACTOR_LEN)
            return bad("bad actor name (1 to 15 of A-Z a-z 0-9 _ -)", actors[i]);
        if (std::find(actors.begin(), actors.begin() + static_cast<std::ptrdiff_t>(i), actors[i]) !=
            actors.begin() + static_cast<std::ptrdiff_t>(i))
            return Error::make(EINVAL, "two actors are called \"" + actors[i] + "\"");
        copy_text(program.abi.actors[i], sizeof(program.abi.actors[i]), actors[i]);
    }
    program.actors = actors;
    program.user_sites.resize(actors.size());
    program.abi.nr_actors = static_cast<unsigned>(actors.size());
    return {};
}

} // namespace

std::string to_string(const SiteRef& site) {
    const auto* kind = std::find_if(kinds.begin(), kinds.end(),
                                    [&](const KindName& k) { return k.kind == site.kind; });
    std::string text = site.actor + "@";
    text += kind == kinds.end() ? std::string_view("?") : kind->name;
    text += ":" + site.name;
    if (site.hit != 1)
        text += "#" + std::to_string(site.hit);
    return text;
}

std::string to_string(const std::vector<Edge>& edges) {
    std::string text;
    for (const Edge& edge : edges)
        text +=
            (text.empty() ? "" : "; ") + to_string(edge.before) + " -> " + to_string(edge.after);
    return text;
}

std::string to_string(const Schedule& schedule) {
    std::string text = schedule.scenario + "/" + schedule.variant;
    if (schedule.seed)
        text += " seed=" + std::to_string(*schedule.seed);
    text += ":";
    if (!schedule.edges.empty())
        text += " " + to_string(schedule.edges);
    return text;
}

Result<std::vector<Edge>> parse_edges(std::string_view text) {
    std::vector<Edge> edges;
    text = trim(text);
    while (!text.empty()) {
        const std::size_t end = text.find(';');
        Result<Edge> edge = parse_edge(text.substr(0, end));
        if (!edge)
            return edge.error();
        edges.push_back(std::move(*edge));
        if (end == std::string_view::npos)
            break;
        text = trim(text.substr(end + 1));
        if (text.empty())
            return Error::make(EINVAL, "nothing after the last \";\"");
    }
    return edges;
}

Result<Schedule> parse_schedule(std::string_view text) {
    const std::size_t colon = text.find(':');
    if (colon == std::string_view::npos)
        return bad("expected SCENARIO/VARIANT [seed=N]: EDGES", text);
    Schedule schedule;
    const Result<void> head = parse_head(text.substr(0, colon), schedule);
    if (!head)
        return head.error();
    Result<std::vector<Edge>> edges = parse_edges(text.substr(colon + 1));
    if (!edges)
        return edges.error();
    schedule.edges = std::move(*edges);
    return schedule;
}

Result<Program> compile(const std::vector<Edge>& edges, const std::vector<std::string>& actors,
                        const std::vector<fl_control>& controls, const Bounds& bounds) {
    Program program;
    fl_program& abi = program.abi;
    abi.size = sizeof(abi);
    abi.version = FL_ABI_VERSION;
    abi.flags = bounds.in_order ? FL_PROGRAM_IN_ORDER : 0;
    abi.wait_ms = bounds.wait_ms;
    abi.excluded_ms = bounds.excluded_ms;

    const Result<void> added = add_actors(actors, program);
    if (!added)
        return added.error();
    if (edges.size() > FL_MAX_EDGES)
        return Error::make(E2BIG, "more than " + std::to_string(FL_MAX_EDGES) + " edges");
    if (controls.size() > FL_MAX_CONTROLS)
        return Error::make(E2BIG, "more than " + std::to_string(FL_MAX_CONTROLS) + " controls");

    for (const Edge& edge : edges) {
        if (edge.before == edge.after)
            return Error::make(EINVAL, "an edge from a site to itself: " + to_string(edge.before));
        const Result<unsigned> before = intern(edge.before, program);
        if (!before)
            return before.error();
        const Result<unsigned> after = intern(edge.after, program);
        if (!after)
            return after.error();
        for (unsigned i = 0; i < abi.nr_edges; ++i)
            if (abi.edges[i].before == *after && abi.edges[i].after == *before)
                return Error::make(ELOOP, "a cycle: " + to_string(edge.before) + " and " +
                                              to_string(edge.after) + " wait for each other");
        abi.edges[abi.nr_edges++] = {static_cast<__u16>(*before), static_cast<__u16>(*after)};
    }
    for (const fl_control& control : controls)
        abi.controls[abi.nr_controls++] = control;

    const std::vector<unsigned> cycle = find_cycle(event_graph(program));
    if (!cycle.empty()) {
        std::string path;
        for (const unsigned site : cycle)
            path += program.sites[site] + " -> ";
        return Error::make(ELOOP, "a cycle that no execution can honour: " + path +
                                      program.sites[cycle.front()]);
    }
    return program;
}

} // namespace faultline
