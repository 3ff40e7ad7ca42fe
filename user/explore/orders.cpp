// SPDX-License-Identifier: GPL-2.0
#include "explore/orders.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>
#include <utility>

namespace faultline {

namespace {

SiteRef user_site(const std::string& actor, const char* name) {
    return {.actor = actor, .kind = FL_SITE_USER, .name = name};
}

// 0 to count - 1, each order as likely as any other.
std::vector<std::size_t> shuffled(std::size_t count, Rng& rng) {
    std::vector<std::size_t> all(count);
    std::iota(all.begin(), all.end(), 0);
    for (std::size_t left = count; left > 1; --left)
        std::swap(all[left - 1], all[rng.below(left)]);
    return all;
}

} // namespace

std::vector<Stop> stops_of(const Profile& profile, std::size_t most) {
    std::vector<Stop> stops;
    for (const Place& place : profile.places) {
        const std::set<unsigned> hits = {1, std::min(2U, place.hits), place.hits};
        for (const unsigned hit : hits)
            stops.push_back({.site = {.actor = profile.actor,
                                      .kind = FL_SITE_ENTER,
                                      .name = place.function,
                                      .hit = hit},
                             .rank = place.rank,
                             .position = place.positions.at(hit - 1),
                             .why = place.why});
    }
    if (most != 0 && stops.size() > most)
        stops.resize(most);
    return stops;
}

std::vector<Edge> serial_edges(const std::vector<std::string>& actors) {
    std::vector<Edge> edges;
    // The middle one makes the order; the others name the first and last site of each.
    for (std::size_t i = 0; i + 1 < actors.size(); ++i) {
        edges.push_back({user_site(actors[i], first_site), user_site(actors[i + 1], first_site)});
        edges.push_back({user_site(actors[i], last_site), user_site(actors[i + 1], first_site)});
        edges.push_back({user_site(actors[i], last_site), user_site(actors[i + 1], last_site)});
    }
    return edges;
}

OrderList::OrderList(const std::vector<Profile>& profiles, std::vector<std::vector<Stop>> stops)
    : stops_(std::move(stops)) {
    for (const Profile& profile : profiles)
        actors_.push_back(profile.actor);
    for (const std::vector<Stop>& list : stops_)
        dropped_.emplace_back(list.size(), false);
    for (std::size_t actor = 0; actor < 2; ++actor)
        for (std::size_t stop = 0; stop < stops_.at(actor).size(); ++stop)
            orders_.push_back(one(actor, stop));
    for (std::size_t actor = 0; actor < 2; ++actor)
        for (std::size_t stop = 0; stop < stops_.at(actor).size(); ++stop)
            for (std::size_t other = 0; other < stops_.at(1 - actor).size(); ++other)
                orders_.push_back(two(actor, stop, other));
    std::stable_sort(orders_.begin(), orders_.end(), [](const Order& a, const Order& b) {
        return std::pair(a.preemptions, a.cost) < std::pair(b.preemptions, b.cost);
    });
}

Order OrderList::one(std::size_t actor, std::size_t stop) const {
    const Stop& s = stops_[actor][stop];
    const std::string& x = actors_[actor];
    const std::string& y = actors_[1 - actor];
    // Each actor's sites appear in the order in which it comes to them. The last edge holds nobody
    // up: it names the end of X, so that the module knows when X has gone past s.
    std::vector<Edge> edges = {{s.site, user_site(y, first_site)},
                               {user_site(y, last_site), s.site},
                               {user_site(x, last_site), user_site(y, last_site)}};
    return {
        .edges = std::move(edges), .preemptions = 1, .cost = s.rank, .actor = actor, .stop = stop};
}

Order OrderList::two(std::size_t actor, std::size_t stop, std::size_t other) const {
    const Stop& s = stops_[actor][stop];
    const Stop& t = stops_[1 - actor][other];
    const std::string& x = actors_[actor];
    const std::string& y = actors_[1 - actor];
    std::vector<Edge> edges = {{s.site, user_site(y, first_site)},
                               {t.site, s.site},
                               {user_site(x, last_site), t.site},
                               {user_site(x, last_site), user_site(y, last_site)}};
    return {.edges = std::move(edges),
            .preemptions = 2,
            .cost = s.rank + t.rank,
            .actor = actor,
            .stop = stop,
            .other = other};
}

std::optional<Order> OrderList::next() {
    while (at_ < orders_.size()) {
        const Order& order = orders_[at_++];
        const bool dropped =
            order.preemptions > 1 && (dropped_[order.actor][order.stop] ||
                                      (order.other && dropped_[1 - order.actor][*order.other]));
        if (dropped)
            continue;
        ++given_;
        return order;
    }
    return std::nullopt;
}

void OrderList::drop(std::size_t actor, std::size_t stop) { dropped_.at(actor).at(stop) = true; }

PctDraw draw_pct(const std::vector<std::string>& actors,
                 const std::vector<std::vector<Stop>>& stops, unsigned depth, Rng& rng) {
    PctDraw draw;
    std::vector<std::optional<Stop>> held(actors.size());
    const std::vector<std::size_t> turns = shuffled(actors.size(), rng);
    std::size_t turn = 0;
    const auto after = [&turns](std::size_t one) { return (one + 1) % turns.size(); };
    // Where the next one goes on from.
    const auto next_site = [&] {
        const std::size_t next = turns[after(turn)];
        return held[next] ? held[next]->site : user_site(actors[next], first_site);
    };
    for (unsigned change = 0; change + 1 < depth; ++change) {
        const std::size_t runs = turns[turn];
        std::vector<const Stop*> ahead;
        for (const Stop& stop : stops.at(runs))
            if (!held[runs] || stop.position > held[runs]->position)
                ahead.push_back(&stop);
        if (ahead.empty())
            break;
        const Stop& at = *ahead[rng.below(ahead.size())];
        // The one that runs stops there, and is the last from now on.
        draw.edges.push_back({at.site, next_site()});
        held[runs] = at;
        turn = after(turn);
        ++draw.preemptions;
    }
    // Each comes to its end, in turn. The last edge names the end of the last one.
    const std::string& first = actors[turns[turn]];
    for (std::size_t i = 0; i + 1 < actors.size(); ++i) {
        draw.edges.push_back({user_site(actors[turns[turn]], last_site), next_site()});
        turn = after(turn);
    }
    draw.edges.push_back({user_site(first, last_site), user_site(actors[turns[turn]], last_site)});
    return draw;
}

double pct_bound(std::size_t actors, std::size_t stops, unsigned depth) {
    return 1.0 / (static_cast<double>(actors) *
                  std::pow(static_cast<double>(std::max<std::size_t>(stops, 1)), depth - 1));
}

} // namespace faultline
