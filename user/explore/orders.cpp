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
    return stops;
}

std::vector<Edge> edges_of(const std::vector<std::string>& actors,
                           const std::vector<std::vector<Stop>>& stops,
                           const std::vector<Turn>& turns) {
    std::vector<Edge> edges;
    if (turns.size() < 2)
        return edges;
    std::vector<SiteRef> from; // where each actor goes on
    from.reserve(actors.size());
    for (const std::string& actor : actors)
        from.push_back(user_site(actor, first_site));
    const auto end_of = [&](const Turn& turn) {
        return turn.stop ? stops.at(turn.actor).at(*turn.stop).site
                         : user_site(actors.at(turn.actor), last_site);
    };
    // An actor's sites appear in the order in which it comes to them. The first edge holds nobody
    // up: it names the beginning of the first actor, from which its hits count.
    edges.push_back({from[turns[0].actor], from[turns[1].actor]});
    for (std::size_t i = 0; i + 1 < turns.size(); ++i) {
        edges.push_back({end_of(turns[i]), from[turns[i + 1].actor]});
        from[turns[i].actor] = end_of(turns[i]);
    }
    // Nor does the last: it names an end, so that the module knows when that actor is past its
    // stops.
    edges.push_back({end_of(turns[turns.size() - 2]), end_of(turns.back())});
    return edges;
}

std::vector<Edge> serial_edges(const std::vector<std::string>& actors) {
    std::vector<Turn> turns;
    for (std::size_t i = 0; i < actors.size(); ++i)
        turns.push_back({.actor = i});
    return edges_of(actors, {}, turns);
}

OrderList::OrderList(std::vector<std::string> actors, std::vector<std::vector<Stop>> stops)
    : actors_(std::move(actors)), stops_(std::move(stops)) {
    for (const std::vector<Stop>& list : stops_) {
        dropped_.emplace_back(list.size(), false);
        ended_.emplace_back(list.size());
    }
    const auto cheap_first = [](const Key& a, const Key& b) { return a.cost < b.cost; };
    for (std::size_t actor = 0; actor < actors_.size(); ++actor)
        add_one(actor);
    ones_ = keys_.size();
    std::stable_sort(keys_.begin(), keys_.end(), cheap_first);
    for (std::size_t actor = 0; actor < actors_.size(); ++actor)
        for (std::size_t other = 0; other < actors_.size(); ++other)
            if (other != actor)
                add_two(actor, other);
    std::stable_sort(keys_.begin() + static_cast<std::ptrdiff_t>(ones_), keys_.end(), cheap_first);
    all_ = keys_.size();
}

// Where the turns of all others, each to its end, can be while `actor` is held once: some before it
// begins, some while it is held, the rest after its end. Empty turns of its own stand for it.
std::vector<std::vector<Turn>> OrderList::places_of(std::size_t actor) const {
    std::vector<std::size_t> others;
    for (std::size_t other = 0; other < actors_.size(); ++other)
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
    while (std::next_permutation(others.begin(), others.end()));
    return places;
}

void OrderList::add_one(std::size_t actor) {
    const std::size_t places = places_of(actor).size();
    for (std::size_t stop = 0; stop < stops_.at(actor).size(); ++stop)
        for (std::size_t place = 0; place < places; ++place)
            keys_.push_back({.cost = stops_[actor][stop].rank,
                             .stop = static_cast<std::uint16_t>(stop),
                             .other_stop = 0,
                             .actor = static_cast<std::uint8_t>(actor),
                             .other = 0,
                             .preemptions = 1,
                             .place = static_cast<std::uint8_t>(place)});
}

void OrderList::add_two(std::size_t actor, std::size_t other) {
    constexpr std::size_t gaps = 5; // before, between and after four turns
    const std::size_t places = actors_.size() > 2 ? gaps : 1;
    for (std::size_t stop = 0; stop < stops_.at(actor).size(); ++stop)
        for (std::size_t second = 0; second < stops_.at(other).size(); ++second)
            for (std::size_t place = 0; place < places; ++place)
                keys_.push_back({.cost = stops_[actor][stop].rank + stops_[other][second].rank,
                                 .stop = static_cast<std::uint16_t>(stop),
                                 .other_stop = static_cast<std::uint16_t>(second),
                                 .actor = static_cast<std::uint8_t>(actor),
                                 .other = static_cast<std::uint8_t>(other),
                                 .preemptions = 2,
                                 .place = static_cast<std::uint8_t>(place)});
}

std::vector<Turn> OrderList::turns_of(const Key& key) const {
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
    for (std::size_t third = 0; third < actors_.size(); ++third)
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
        if (key.preemptions > 1 &&
            (dropped_[key.actor][key.stop] || dropped_[key.other][key.other_stop]))
            continue;
        if (is_implied(key)) {
            ++implied_;
            continue;
        }
        if (at_ <= ones_ && is_between_excluded(key)) {
            put_off_.push_back(key);
            continue;
        }
        ++given_;
        std::vector<Turn> turns = turns_of(key);
        std::vector<Edge> edges = edges_of(actors_, stops_, turns);
        return Order{.edges = std::move(edges),
                     .turns = std::move(turns),
                     .preemptions = key.preemptions,
                     .cost = key.cost,
                     .place = key.place};
    }
}

// Without a third actor alone: what that did may have freed the lock.
void OrderList::exclude(const Order& order) {
    if (order.preemptions != 2 || actors_.size() > 2)
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
            if (!held[runs] || stops[runs][stop].position > stops[runs][*held[runs]].position)
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
