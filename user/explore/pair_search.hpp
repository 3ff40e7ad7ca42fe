// SPDX-License-Identifier: GPL-2.0
// Which of many pairs comes next when functions are listed (PATCH=).
#ifndef FAULTLINE_EXPLORE_PAIR_SEARCH_HPP
#define FAULTLINE_EXPLORE_PAIR_SEARCH_HPP

#include "explore/profile.hpp"
#include "explore/table.hpp"

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace faultline {

// A pair is of interest if its operations pass a listed function. Only a trace tells that, and a
// trace of one pair tells it for all pairs of these operations on the same setup.
class PairSearch {
  public:
    PairSearch(std::vector<Topic> topics, std::vector<std::string> functions);

    struct Choice {
        std::size_t pair = 0; // place in the list of topics
        bool trace = false;   // its operations are not known yet: no order is tried
    };
    // Nothing is left: nothing. First come pairs of which both operations pass a function; then, as
    // long as may_trace, pairs that have to be traced; then those with one such operation; then the
    // others, as the list has them.
    std::optional<Choice> next(bool may_trace) const;
    // Notes the result of a trace. A pair that cannot be traced has no profiles.
    void traced(std::size_t pair, const std::vector<Profile>& profiles);
    void done(std::size_t pair);
    // Pairs that are left of which an operation passes a function.
    std::size_t found() const;
    // Listed functions that no traced operation passes.
    std::vector<std::string> not_passed() const;

  private:
    using Operation = std::pair<std::string, std::string>; // setup, name
    // How many operations of a pair pass a function; nothing: one of them is not known.
    std::optional<std::size_t> passing(std::size_t pair) const;

    std::vector<Topic> topics_;
    std::vector<std::string> functions_;
    std::vector<bool> traced_;
    std::vector<bool> done_;
    std::map<Operation, bool> passes_;
    std::vector<bool> passed_; // by function
};

} // namespace faultline

#endif // FAULTLINE_EXPLORE_PAIR_SEARCH_HPP
