// SPDX-License-Identifier: GPL-2.0
// Which orders of two actors there are at the granularity of sites, and which comes next.
//
// An order is a set of edges. With X held at a site s and Y the other one:
//     one preemption   X runs to s, Y runs to its end, X goes on
//     two              X runs to s, Y to t, X to its end, Y goes on
//     three            X to s, Y to t, X to s2, Y to its end, X goes on
//     more             by PCT: see PctDraw
#ifndef FAULTLINE_EXPLORE_ORDERS_HPP
#define FAULTLINE_EXPLORE_ORDERS_HPP

#include "engine/rng.hpp"
#include "engine/schedule.hpp"
#include "explore/profile.hpp"

#include <cstddef>
#include <optional>
#include <string>
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
// First, second, last hit of each place, best first. `most` = 0: all.
std::vector<Stop> stops_of(const Profile& profile, std::size_t most);

struct Order {
    std::vector<Edge> edges;
    unsigned preemptions = 0;
    unsigned cost = 0; // of the ranks: the cheap come first
    // Which stop of which actor, by their places in the lists of stops: for the matrix.
    std::size_t actor = 0;                 // X
    std::size_t stop = 0;                  // s
    std::optional<std::size_t> other = {}; // t
};

// The actors one after the other: "a b", "b a".
std::vector<Edge> serial_edges(const std::vector<std::string>& actors);

// All orders with one and two preemptions, cheap first. Two actors: the first two profiles.
class OrderList {
  public:
    OrderList(const std::vector<Profile>& profiles, std::vector<std::vector<Stop>> stops);

    // Nothing: all have been given out.
    std::optional<Order> next();
    [[nodiscard]] std::size_t all() const { return orders_.size(); }
    [[nodiscard]] std::size_t given() const { return given_; }
    [[nodiscard]] const std::vector<std::vector<Stop>>& stops() const { return stops_; }
    // What the order was the first time is not asked again: of a site that was never reached, or at
    // which the other one is excluded anyway, orders with more preemptions tell nothing.
    void drop(std::size_t actor, std::size_t stop);

  private:
    [[nodiscard]] Order one(std::size_t actor, std::size_t stop) const;
    [[nodiscard]] Order two(std::size_t actor, std::size_t stop, std::size_t other) const;

    std::vector<std::string> actors_;
    std::vector<std::vector<Stop>> stops_;
    std::vector<Order> orders_;
    std::vector<std::vector<bool>> dropped_; // by actor and stop
    std::size_t given_ = 0;
    std::size_t at_ = 0;
};

// Probabilistic concurrency testing (Burckhardt and others, ASPLOS 2010): with n actors, k stops of
// all actors and random priorities that change at d - 1 random stops, one run finds a bug of depth
// d with a probability of at least 1 / (n * k^(d-1)).
struct PctDraw {
    std::vector<Edge> edges;
    unsigned preemptions = 0;
};
PctDraw draw_pct(const std::vector<std::string>& actors,
                 const std::vector<std::vector<Stop>>& stops, unsigned depth, Rng& rng);
double pct_bound(std::size_t actors, std::size_t stops, unsigned depth);

} // namespace faultline

#endif // FAULTLINE_EXPLORE_ORDERS_HPP
