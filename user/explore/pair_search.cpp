// SPDX-License-Identifier: GPL-2.0
#include "explore/pair_search.hpp"

#include <algorithm>

namespace faultline {

PairSearch::PairSearch(std::vector<Topic> topics, std::vector<std::string> functions)
    : topics_(std::move(topics)), functions_(std::move(functions)), traced_(topics_.size()),
      done_(topics_.size()), passed_(functions_.size()) {}

std::optional<std::size_t> PairSearch::passing(std::size_t pair) const {
    std::size_t count = 0;
    for (const std::string& operation : topics_[pair].operations) {
        const auto known = passes_.find({topics_[pair].setup, operation});
        if (known == passes_.end())
            return std::nullopt;
        count += known->second ? 1 : 0;
    }
    return count;
}

std::optional<PairSearch::Choice> PairSearch::next(bool may_trace) const {
    // The best pair is tried first; among equals, the first in the list.
    enum Kind { both, to_trace, one, none, unknown };
    std::optional<std::pair<Kind, std::size_t>> best;
    for (std::size_t pair = 0; pair < topics_.size(); ++pair) {
        if (done_[pair])
            continue;
        const std::optional<std::size_t> count = passing(pair);
        const Kind kind = count                         ? *count > 1    ? both
                                                          : *count == 1 ? one
                                                                        : none
                          : may_trace && !traced_[pair] ? to_trace
                                                        : unknown;
        if (!best || kind < best->first)
            best = std::pair(kind, pair);
    }
    if (!best)
        return std::nullopt;
    return Choice{best->second, best->first == to_trace};
}

void PairSearch::traced(std::size_t pair, const std::vector<Profile>& profiles) {
    traced_[pair] = true;
    const Topic& topic = topics_[pair];
    if (profiles.size() != topic.operations.size())
        return;
    for (std::size_t i = 0; i < profiles.size(); ++i) {
        bool any = false;
        for (const Place& place : profiles[i].places)
            for (std::size_t f = 0; f < functions_.size(); ++f)
                if (is_function(place.function, functions_[f])) {
                    passed_[f] = true;
                    any = true;
                }
        passes_[{topic.setup, topic.operations[i]}] = any;
    }
}

void PairSearch::done(std::size_t pair) { done_[pair] = true; }

std::size_t PairSearch::found() const {
    std::size_t count = 0;
    for (std::size_t pair = 0; pair < topics_.size(); ++pair)
        count += !done_[pair] && passing(pair).value_or(0) > 0 ? 1 : 0;
    return count;
}

std::vector<std::string> PairSearch::not_passed() const {
    std::vector<std::string> names;
    for (std::size_t f = 0; f < functions_.size(); ++f)
        if (!passed_[f])
            names.push_back(functions_[f]);
    return names;
}

} // namespace faultline
