// SPDX-License-Identifier: GPL-2.0
// Which orders of two or three actors there are at the granularity of sites, and which comes next.
//
// An order is a list of turns: in each an actor runs on to a stop of its own, or to its end. With
// X, Y and perhaps Z:
//     one preemption   X to a stop, Y to its end, X to its end
//     two              X to a stop, Y to a stop, X to its end, Y to its end
//     more             by PCT: see draw_pct()
//     a window         Y to a user site, X to a stop, Y to its next user site, X to its end, Y to
//                      its end
// The other actors run from their beginnings to their ends between any of these turns, before, or
// after; of a window, before or after. A thread of the kernel can be X: it has neither a beginning
// nor an end, so it has only windows.
#ifndef FAULTLINE_EXPLORE_ORDERS_HPP
#define FAULTLINE_EXPLORE_ORDERS_HPP

#include "engine/rng.hpp"
#include "engine/schedule.hpp"
#include "explore/profile.hpp"

#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

namespace faultline {

// The user sites that each actor has before its first and after its last step.
inline constexpr const char* first_site = "begin";
inline constexpr const char* last_site = "end";

// A place of an actor, at one of its hits.
struct Stop {
    SiteRef site;
    unsigned rank = 0;
    unsigned position = 0; // among all calls of the actor, in the order in which they come
    std::string why;
};
// First, second, last hit of each place from each function that calls it, best first; `most` = 0:
// all. Then its user places.
std::vector<Stop> stops_of(const Profile& profile, std::size_t most);

// An actor runs on to that stop of its list, or to its end.
struct Turn {
    std::size_t actor = 0;
    std::optional<std::size_t> stop = {};
    friend bool operator==(const Turn&, const Turn&) = default;
};
// The edges that make the actors take these turns. The last turn of each is to its end. Threads of
// the kernel are the last of the actors: those from `threads_from` on.
std::vector<Edge> edges_of(const std::vector<std::string>& actors,
                           const std::vector<std::vector<Stop>>& stops,
                           const std::vector<Turn>& turns,
                           std::size_t threads_from = std::numeric_limits<std::size_t>::max());
// The actors one after the other.
std::vector<Edge> serial_edges(const std::vector<std::string>& actors);
// Edges that hold nobody up: they name the user sites of an actor, so that the module notes when
// the actor comes to each.
std::vector<Edge> edges_along(const std::string& actor, const std::vector<std::string>& sites);
// The serial orders that give the right results: all of two or three actors; of more, those in
// which each actor comes first once in the given order, and once in the reverse of it.
std::vector<std::vector<std::string>> serial_orders(std::vector<std::string> actors);

struct Order {
    std::vector<Edge> edges;
    std::vector<Turn> turns;
    unsigned preemptions = 0; // three: a window
    unsigned cost = 0;        // of the ranks: the cheap come first
    std::size_t place = 0;    // where the turns of the other actors are among these
};

// How an order with one preemption ended.
struct OneEnded {
    std::string how;  // its ending and its results
    std::string lock; // that excluded it; "" if none did
};

// All orders with one and two preemptions, and windows. Those with two come last, the cheap first
// before and among them. Put off
// until the first ones with two are done: a stop between two others at which the same lock excluded
// the others. It excludes them there, too, unless it is dropped and taken again in between.
class OrderList {
  public:
    // The last of the actors may be threads of the kernel: see edges_of().
    OrderList(std::vector<std::string> actors, std::vector<std::vector<Stop>> stops,
              std::size_t threads_from = std::numeric_limits<std::size_t>::max());

    // Nothing: all have been given out.
    std::optional<Order> next();
    [[nodiscard]] std::size_t all() const { return all_; }
    [[nodiscard]] std::size_t given() const { return given_; }
    // Those with one preemption and the windows, except the late ones.
    [[nodiscard]] bool first_are_over() const { return at_ >= ones_; }
    // For a site that was never reached, orders with more preemptions tell nothing.
    void drop(std::size_t actor, std::size_t stop);
    // For two preemptions: with the first actor at its stop, a lock kept the second one from its
    // own. The lock keeps it from all later stops, too: these orders are not returned.
    void exclude(const Order& order);
    // How many were left out so.
    [[nodiscard]] std::size_t implied() const { return implied_; }
    // Notes an order with one preemption. If its end differs from that at the stop before,
    // something happens between the two: orders with two preemptions begin with such stops.
    void note(const Order& order, const OneEnded& ended);

  private:
    // An order, small: there are hundreds of thousands.
    struct Key {
        unsigned cost;
        std::uint16_t stop;
        std::uint16_t other_stop; // of a window: where it begins
        std::uint16_t until;      // ...where it ends
        std::uint8_t actor;
        std::uint8_t other;
        std::uint8_t preemptions;
        std::uint8_t place; // of the other actors' turns
    };
    [[nodiscard]] unsigned kernel_places(const Key& key) const;
    [[nodiscard]] std::vector<Turn> turns_of(const Key& key) const;
    [[nodiscard]] std::vector<std::vector<Turn>> places_of(std::size_t actor) const;
    void add_one(std::size_t actor);
    void add_two(std::size_t actor, std::size_t other);
    void add_windows(std::size_t actor, std::size_t other);
    [[nodiscard]] std::vector<Turn> window_of(const Key& key) const;
    void prefer_changes();
    [[nodiscard]] bool is_between_excluded(const Key& key) const;

    std::vector<std::string> actors_;
    std::vector<std::vector<Stop>> stops_;
    std::size_t threads_from_; // at most the number of actors
    std::vector<Key> keys_;
    std::vector<std::vector<bool>> dropped_;      // by actor and stop
    std::vector<std::vector<std::string>> ended_; // ...
    [[nodiscard]] bool is_implied(const Key& key) const;

    // By actor and place of the others: by position, the lock that excluded an order.
    std::map<std::pair<std::size_t, std::size_t>, std::map<unsigned, std::string>> one_locks_;
    std::vector<Key> put_off_;
    // By actor, stop and the other actor: the position from which on a lock keeps that out.
    std::map<std::tuple<std::size_t, std::size_t, std::size_t>, unsigned> excluded_;
    std::size_t implied_ = 0;
    std::size_t given_ = 0;
    std::size_t at_ = 0;
    std::size_t ones_ = 0; // keys with one preemption, and windows
    std::size_t all_ = 0;
};

// Probabilistic concurrency testing (Burckhardt and others, ASPLOS 2010): with n actors, k stops of
// all actors and random priorities that change at d - 1 random stops, one run finds a bug of depth
// d with a probability of at least 1 / (n * k^(d-1)).
Order draw_pct(const std::vector<std::string>& actors, const std::vector<std::vector<Stop>>& stops,
               unsigned depth, Rng& rng);
double pct_bound(std::size_t actors, std::size_t stops, unsigned depth);

} // namespace faultline

#endif // FAULTLINE_EXPLORE_ORDERS_HPP
