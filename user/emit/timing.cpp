// SPDX-License-Identifier: GPL-2.0
#include "emit/timing.hpp"

#include <algorithm>
#include <cerrno>
#include <set>

namespace faultline {

namespace {

bool in_kernel(const SiteRef& site) { return site.kind != FL_SITE_USER; }

// The sites of each actor in the order in which it reaches them, which is that of their first
// appearance.
std::map<std::string, std::vector<SiteRef>> sites_of(const std::vector<Edge>& edges) {
    std::map<std::string, std::vector<SiteRef>> sites;
    for (const Edge& edge : edges)
        for (const SiteRef& site : {edge.before, edge.after}) {
            std::vector<SiteRef>& own = sites[site.actor];
            if (std::find(own.begin(), own.end(), site) == own.end())
                own.push_back(site);
        }
    return sites;
}

bool held(const SiteRef& site, const std::vector<Edge>& edges) {
    return in_kernel(site) && std::any_of(edges.begin(), edges.end(),
                                          [&site](const Edge& edge) { return edge.after == site; });
}

Result<void> check(const SiteRef& site, const std::vector<Edge>& edges) {
    constexpr int no = EOPNOTSUPP;
    if (!in_kernel(site) && site.hit > 1)
        return Error::make(no, to_string(site) + ": only the first hit of a step is one for C");
    if (!held(site, edges))
        return {};
    if (site.kind == FL_SITE_AT)
        return Error::make(no, to_string(site) +
                                   ": held between two instructions, where no line of C is");
    if (site.kind == FL_SITE_RETURN)
        return Error::make(no,
                           to_string(site) + ": held at a return; a window is made at an entry");
    return {};
}

} // namespace

unsigned Part::ms() const {
    unsigned sum = 0;
    for (const Window& window : windows)
        sum += window.hit * delay_ms;
    return sum;
}

std::vector<Window> Timing::windows() const {
    std::vector<Window> all;
    for (const Part& part : parts)
        for (const Window& window : part.windows)
            all.push_back(window);
    return all;
}

const Part* Timing::part(const std::string& actor, const std::string& opens) const {
    for (const Part& one : parts)
        if (one.actor == actor && one.opens == opens)
            return &one;
    return nullptr;
}

Result<Timing> timing_of(const std::vector<Edge>& edges) {
    Timing timing;
    struct Place {
        unsigned part = 0;
        unsigned ms = 0; // from the part's beginning to the site
    };
    std::map<std::string, Place> places; // of sites in the kernel
    const std::map<std::string, std::vector<SiteRef>> sites = sites_of(edges);
    const auto is_held = [&edges](const SiteRef& site) { return held(site, edges); };
    const auto slow_actors = std::count_if(sites.begin(), sites.end(), [&](const auto& one) {
        return std::any_of(one.second.begin(), one.second.end(), is_held);
    });
    unsigned slow = 0;
    for (const auto& [actor, own] : sites) {
        std::string task = "SLOWME";
        if (std::any_of(own.begin(), own.end(), is_held) && slow_actors > 1)
            task += std::to_string(++slow);
        const auto open = [&timing, &name = actor](const std::string& opens) {
            timing.parts.push_back({.actor = name,
                                    .opens = opens,
                                    .number = static_cast<unsigned>(timing.parts.size())});
        };
        open("");
        for (const SiteRef& site : own) {
            if (const Result<void> good = check(site, edges); !good)
                return good.error();
            if (!in_kernel(site)) {
                open(site.name);
                continue;
            }
            Part& part = timing.parts.back();
            unsigned ms = part.ms();
            if (is_held(site)) {
                ms += (site.hit - 1) * delay_ms; // each call is delayed
                part.windows.push_back({site.name, actor, task, site.hit});
            }
            places[to_string(site)] = {part.number, ms};
        }
    }
    for (const Edge& edge : edges) {
        if (in_kernel(edge.after)) {
            if (!in_kernel(edge.before))
                timing.parts.at(places.at(to_string(edge.after)).part)
                    .had.push_back(to_string(edge.before));
            continue;
        }
        std::vector<WaitFor>& waits = timing.waits[to_string(edge.after)];
        if (!in_kernel(edge.before)) {
            waits.push_back({.site = to_string(edge.before)});
            continue;
        }
        const Place& place = places.at(to_string(edge.before));
        timing.parts.at(place.part).watched = true;
        waits.push_back({.part = place.part, .ms = place.ms + lead_ms});
    }
    return timing;
}

} // namespace faultline
