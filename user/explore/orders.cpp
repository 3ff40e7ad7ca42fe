// SPDX-License-Identifier: GPL-2.0
#include "explore/orders.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <set>
#include <utility>

namespace faultline {

namespace {

constexpr std::uint8_t window = 3; // preemptions

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

// A lock is taken in many functions: of each, the first, second and last time.
std::set<unsigned> hits_of(const Place& place) {
    std::map<std::string, std::vector<unsigned>> by_caller;
    for (unsigned hit = 1; hit <= place.hits; ++hit)
        by_caller[hit <= place.callers.size() ? place.callers[hit - 1] : ""].push_back(hit);
    std::set<unsigned> hits;
    for (const auto& [caller, all] : by_caller)
        hits.insert({all.front(), all[std::min<std::size_t>(1, all.size() - 1)], all.back()});
    return hits;
}

} // namespace

std::vector<Stop> stops_of(const Profile& profile, std::size_t most) {
    std::vector<Stop> stops;
    for (const Place& place : profile.places) {
        for (const unsigned hit : hits_of(place))
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
    for (const UserPlace& place : profile.user_places)
        stops.push_back({.site = user_site(profile.actor, place.name.c_str()),
                         .rank = 0,
                         .position = place.position,
                         .why = "between its steps"});
    return stops;
}

std::vector<Edge> edges_of(const std::vector<std::string>& actors,
                           const std::vector<std::vector<Stop>>& stops,
                           const std::vector<Turn>& turns, std::size_t threads_from) {
    using Site = std::optional<SiteRef>; // none: the beginning or the end of a kernel's thread
    std::vector<Edge> edges;
    if (turns.empty())
        return edges;
    std::vector<Site> from; // where each actor goes on
    for (std::size_t actor = 0; actor < actors.size(); ++actor)
        from.push_back(actor < threads_from ? Site(user_site(actors[actor], first_site)) : Site());
    const auto end_of = [&](const Turn& turn) -> Site {
        if (turn.stop)
            return stops.at(turn.actor).at(*turn.stop).site;
        return turn.actor < threads_from ? Site(user_site(actors.at(turn.actor), last_site))
                                         : Site();
    };
    const auto add = [&edges](const Site& before, const Site& after) {
        if (before && after && *before != *after)
            edges.push_back({*before, *after});
    };
    // An actor's sites appear in the order in which it comes to them. The first edge holds nobody
    // up: it names the beginning of the first actor, from which its hits count.
    const Turn& second = turns[std::min<std::size_t>(1, turns.size() - 1)];
    add(from[turns[0].actor], from[second.actor]);
    for (std::size_t i = 0; i + 1 < turns.size(); ++i) {
        add(end_of(turns[i]), from[turns[i + 1].actor]);
        from[turns[i].actor] = end_of(turns[i]);
    }
    // Nor does the last: it names an end, so that the module knows when that actor is past its
    // stops.
    const Site before = turns.size() > 1 ? end_of(turns[turns.size() - 2]) : Site();
    add(before ? before : from[turns.back().actor], end_of(turns.back()));
    return edges;
}

std::vector<Edge> edges_along(const std::string& actor, const std::vector<std::string>& sites) {
    std::vector<Edge> edges;
    SiteRef before = user_site(actor, first_site);
    for (const std::string& name : sites) {
        edges.push_back({before, user_site(actor, name.c_str())});
        before = edges.back().after;
    }
    edges.push_back({before, user_site(actor, last_site)});
    return edges;
}

std::vector<std::vector<std::string>> serial_orders(std::vector<std::string> actors) {
    constexpr std::size_t most_of_all = 3; // four have 24 orders
    std::vector<std::vector<std::string>> all;
    if (actors.size() > most_of_all) {
        for (unsigned direction = 0; direction < 2; ++direction) {
            for (std::size_t first = 0; first < actors.size(); ++first) {
                all.push_back(actors);
                std::rotate(actors.begin(), actors.begin() + 1, actors.end());
            }
            std::reverse(actors.begin(), actors.end());
        }
        return all;
    }
    std::sort(actors.begin(), actors.end());
    do
        all.push_back(actors);
    while (std::next_permutation(actors.begin(), actors.end()));
    return all;
}

std::vector<Edge> serial_edges(const std::vector<std::string>& actors) {
    std::vector<Turn> turns;
    for (std::size_t i = 0; i < actors.size(); ++i)
        turns.push_back({.actor = i});
    return edges_of(actors, {}, turns);
}

OrderList::OrderList(std::vector<std::string> actors, std::vector<std::vector<Stop>> stops,
                     std::size_t threads_from)
    : actors_(std::move(actors)), stops_(std::move(stops)),
      threads_from_(std::min(threads_from, actors_.size())) {
    for (const std::vector<Stop>& list : stops_) {
        dropped_.emplace_back(list.size(), false);
        ended_.emplace_back(list.size());
    }
    // There are few sites of the actors themselves: they come before places in the kernel.
    const auto cheap_first = [this](const Key& a, const Key& b) {
        return std::pair(kernel_places(a), a.cost) < std::pair(kernel_places(b), b.cost);
    };
    for (std::size_t actor = 0; actor < threads_from_; ++actor)
        add_one(actor);
    for (std::size_t actor = 0; actor < actors_.size(); ++actor)
        for (std::size_t other = 0; other < threads_from_; ++other)
            if (other != actor)
                add_windows(actor, other);
    ones_ = keys_.size();
    std::stable_sort(keys_.begin(), keys_.end(), cheap_first);
    for (std::size_t actor = 0; actor < threads_from_; ++actor)
        for (std::size_t other = 0; other < threads_from_; ++other)
            if (other != actor)
                add_two(actor, other);
    std::stable_sort(keys_.begin() + static_cast<std::ptrdiff_t>(ones_), keys_.end(), cheap_first);
    all_ = keys_.size();
}

unsigned OrderList::kernel_places(const Key& key) const {
    const auto of = [this](std::size_t actor, std::size_t stop) {
        return stops_[actor][stop].site.kind == FL_SITE_USER ? 0U : 1U;
    };
    return of(key.actor, key.stop) + (key.preemptions == 2 ? of(key.other, key.other_stop) : 0U);
}

// Where the turns of all others, each to its end, can be while `actor` is held once: some before it
// begins, some while it is held, the rest after its end. Empty turns of its own stand for it. More
// than two others keep their order: else there would be hundreds of places for each stop.
std::vector<std::vector<Turn>> OrderList::places_of(std::size_t actor) const {
    std::vector<std::size_t> others;
    constexpr std::size_t most_in_any_order = 2;
    for (std::size_t other = 0; other < threads_from_; ++other)
        if (other != actor)
            others.push_back(other);
    std::vector<std::vector<Turn>> places;
    do
        for (std::size_t from = 0; from < others.size(); ++from)
            for (std::size_t to = from + 1; to <= others.size(); ++to) {
                std::vector<Turn> turns;
                for (std::size_t i = 0; i <= others.size(); ++i) {
                    if (i == from || i == to)
                        turns.push_back({.actor = actor});
                    if (i < others.size())
                        turns.push_back({.actor = others[i]});
                }
                places.push_back(std::move(turns));
            }
    while (others.size() <= most_in_any_order &&
           std::next_permutation(others.begin(), others.end()));
    return places;
}

void OrderList::add_one(std::size_t actor) {
    const std::size_t places = places_of(actor).size();
    for (std::size_t stop = 0; stop < stops_.at(actor).size(); ++stop)
        for (std::size_t place = 0; place < places; ++place)
            keys_.push_back({.cost = stops_[actor][stop].rank,
                             .stop = static_cast<std::uint16_t>(stop),
                             .other_stop = 0,
                             .until = 0,
                             .actor = static_cast<std::uint8_t>(actor),
                             .other = 0,
                             .preemptions = 1,
                             .place = static_cast<std::uint8_t>(place)});
}

void OrderList::add_two(std::size_t actor, std::size_t other) {
    constexpr std::size_t gaps = 5; // before, between and after four turns
    const std::size_t places = threads_from_ > 2 ? gaps : 1;
    for (std::size_t stop = 0; stop < stops_.at(actor).size(); ++stop)
        for (std::size_t second = 0; second < stops_.at(other).size(); ++second)
            for (std::size_t place = 0; place < places; ++place)
                keys_.push_back({.cost = stops_[actor][stop].rank + stops_[other][second].rank,
                                 .stop = static_cast<std::uint16_t>(stop),
                                 .other_stop = static_cast<std::uint16_t>(second),
                                 .until = 0,
                                 .actor = static_cast<std::uint8_t>(actor),
                                 .other = static_cast<std::uint8_t>(other),
                                 .preemptions = 2,
                                 .place = static_cast<std::uint8_t>(place)});
}

// Windows are between user sites that follow each other.
void OrderList::add_windows(std::size_t actor, std::size_t other) {
    constexpr std::size_t before_and_after = 2;
    std::vector<std::size_t> sites;
    for (std::size_t stop = 0; stop < stops_.at(other).size(); ++stop)
        if (stops_[other][stop].site.kind == FL_SITE_USER)
            sites.push_back(stop);
    std::stable_sort(sites.begin(), sites.end(), [&](std::size_t a, std::size_t b) {
        return stops_[other][a].position < stops_[other][b].position;
    });
    const std::size_t others = threads_from_ - (actor < threads_from_ ? 2 : 1);
    const std::size_t places = others > 0 ? before_and_after : 1;
    for (std::size_t stop = 0; stop < stops_.at(actor).size(); ++stop)
        for (std::size_t from = 0; from + 1 < sites.size(); ++from)
            for (std::size_t place = 0; place < places; ++place)
                keys_.push_back({.cost = stops_[actor][stop].rank,
                                 .stop = static_cast<std::uint16_t>(stop),
                                 .other_stop = static_cast<std::uint16_t>(sites[from]),
                                 .until = static_cast<std::uint16_t>(sites[from + 1]),
                                 .actor = static_cast<std::uint8_t>(actor),
                                 .other = static_cast<std::uint8_t>(other),
                                 .preemptions = window,
                                 .place = static_cast<std::uint8_t>(place)});
}

std::vector<Turn> OrderList::window_of(const Key& key) const {
    std::vector<Turn> turns = {{.actor = key.other, .stop = key.other_stop},
                               {.actor = key.actor, .stop = key.stop},
                               {.actor = key.other, .stop = key.until},
                               {.actor = key.actor},
                               {.actor = key.other}};
    for (std::size_t third = 0; third < threads_from_; ++third)
        if (third != key.actor && third != key.other)
            turns.insert(key.place == 0 ? turns.end() : turns.begin(), {.actor = third});
    return turns;
}

std::vector<Turn> OrderList::turns_of(const Key& key) const {
    if (key.preemptions == window)
        return window_of(key);
    if (key.preemptions == 1) {
        std::vector<Turn> turns = places_of(key.actor).at(key.place);
        const auto first = std::find(turns.begin(), turns.end(), Turn{.actor = key.actor});
        first->stop = key.stop;
        return turns;
    }
    std::vector<Turn> turns = {{.actor = key.actor, .stop = key.stop},
                               {.actor = key.other, .stop = key.other_stop},
                               {.actor = key.actor},
                               {.actor = key.other}};
    for (std::size_t third = 0; third < threads_from_; ++third)
        if (third != key.actor && third != key.other)
            turns.insert(turns.begin() + key.place, {.actor = third});
    return turns;
}

std::optional<Order> OrderList::next() {
    while (true) {
        if (at_ == ones_)
            prefer_changes();
        if (at_ == keys_.size())
            return std::nullopt;
        const Key& key = keys_[at_++];
        if (key.preemptions == 2 &&
            (dropped_[key.actor][key.stop] || dropped_[key.other][key.other_stop]))
            continue;
        if (is_implied(key)) {
            ++implied_;
            continue;
        }
        if (at_ <= ones_ && key.preemptions == 1 && is_between_excluded(key)) {
            put_off_.push_back(key);
            continue;
        }
        ++given_;
        std::vector<Turn> turns = turns_of(key);
        std::vector<Edge> edges = edges_of(actors_, stops_, turns, threads_from_);
        return Order{.edges = std::move(edges),
                     .turns = std::move(turns),
                     .preemptions = key.preemptions,
                     .cost = key.cost,
                     .place = key.place};
    }
}

// Without a third actor alone: what that did may have freed the lock.
void OrderList::exclude(const Order& order) {
    if (order.preemptions != 2 || threads_from_ > 2)
        return;
    const Turn& held = order.turns.at(0);
    const Turn& kept_out = order.turns.at(1);
    const unsigned position = stops_[kept_out.actor][*kept_out.stop].position;
    const auto [known, fresh] =
        excluded_.try_emplace({held.actor, *held.stop, kept_out.actor}, position);
    known->second = std::min(known->second, position);
}

bool OrderList::is_implied(const Key& key) const {
    const auto found =
        key.preemptions == 2 ? excluded_.find({key.actor, key.stop, key.other}) : excluded_.end();
    return found != excluded_.end() && stops_[key.other][key.other_stop].position > found->second;
}

void OrderList::drop(std::size_t actor, std::size_t stop) { dropped_.at(actor).at(stop) = true; }

void OrderList::note(const Order& order, const OneEnded& ended) {
    const auto held = std::find_if(order.turns.begin(), order.turns.end(),
                                   [](const Turn& turn) { return turn.stop.has_value(); });
    std::string& known = ended_.at(held->actor).at(*held->stop);
    known += (known.empty() ? "" : "; ") + ended.how; // of each place of a third actor
    one_locks_[{held->actor, order.place}][stops_[held->actor][*held->stop].position] = ended.lock;
}

bool OrderList::is_between_excluded(const Key& key) const {
    const auto known = one_locks_.find({key.actor, key.place});
    if (known == one_locks_.end())
        return false;
    const auto after = known->second.upper_bound(stops_[key.actor][key.stop].position);
    if (after == known->second.begin() || after == known->second.end())
        return false;
    const std::string& lock = std::prev(after)->second;
    return !lock.empty() && lock == after->second;
}

void OrderList::prefer_changes() {
    std::vector<std::vector<bool>> changes;
    for (std::size_t actor = 0; actor < actors_.size(); ++actor) {
        std::vector<std::size_t> in_order(stops_[actor].size());
        std::iota(in_order.begin(), in_order.end(), 0);
        std::sort(in_order.begin(), in_order.end(), [&](std::size_t a, std::size_t b) {
            return stops_[actor][a].position < stops_[actor][b].position;
        });
        std::vector<bool>& here = changes.emplace_back(in_order.size(), false);
        std::optional<std::size_t> last; // that was noted
        for (const std::size_t stop : in_order) {
            if (ended_[actor][stop].empty())
                continue;
            if (last && ended_[actor][*last] != ended_[actor][stop])
                here[*last] = here[stop] = true;
            last = stop;
        }
    }
    const auto calm_of = [&](const Key& key) { // how many of its stops are at no change
        return (changes[key.actor][key.stop] ? 0 : 1) +
               (changes[key.other][key.other_stop] ? 0 : 1);
    };
    const auto twos = keys_.begin() + static_cast<std::ptrdiff_t>(ones_);
    std::stable_sort(twos, keys_.end(), [&](const Key& a, const Key& b) {
        return std::pair(calm_of(a), a.cost) < std::pair(calm_of(b), b.cost);
    });
    const auto calm =
        std::find_if(twos, keys_.end(), [&](const Key& key) { return calm_of(key) != 0; });
    keys_.insert(calm, put_off_.begin(), put_off_.end());
    put_off_.clear();
}

Order draw_pct(const std::vector<std::string>& actors, const std::vector<std::vector<Stop>>& stops,
               unsigned depth, Rng& rng) {
    Order draw;
    std::vector<std::optional<std::size_t>> held(actors.size());
    const std::vector<std::size_t> places = shuffled(actors.size(), rng);
    std::size_t place = 0;
    const auto go_on = [&] { place = (place + 1) % places.size(); };
    for (unsigned change = 0; change + 1 < depth; ++change) {
        const std::size_t runs = places[place];
        std::vector<std::size_t> ahead;
        for (std::size_t stop = 0; stop < stops.at(runs).size(); ++stop)
            // The hits of a place count from the user site before it, if the order names one.
            if (stops[runs][stop].site.kind != FL_SITE_USER &&
                (!held[runs] || stops[runs][stop].position > stops[runs][*held[runs]].position))
                ahead.push_back(stop);
        if (ahead.empty())
            break;
        // The one that runs stops there, and is the last from now on.
        held[runs] = ahead[rng.below(ahead.size())];
        draw.turns.push_back({.actor = runs, .stop = held[runs]});
        go_on();
        ++draw.preemptions;
    }
    for (std::size_t i = 0; i < actors.size(); ++i, go_on())
        draw.turns.push_back({.actor = places[place]});
    draw.edges = edges_of(actors, stops, draw.turns);
    return draw;
}

double pct_bound(std::size_t actors, std::size_t stops, unsigned depth) {
    return 1.0 / (static_cast<double>(actors) *
                  std::pow(static_cast<double>(std::max<std::size_t>(stops, 1)), depth - 1));
}

} // namespace faultline
