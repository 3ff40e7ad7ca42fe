// SPDX-License-Identifier: GPL-2.0
#include "explore/oracle.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <map>
#include <set>

namespace faultline {

namespace {

constexpr std::string_view no_result = "-"; // of a step that was not reached, or is not there

// Where the number of the page stands in "mapping near page 7 mincore", from and to; nothing for a
// name without a page.
std::optional<std::pair<std::size_t, std::size_t>> number_in(const std::string& name) {
    constexpr std::string_view mark = " page ";
    const std::size_t at = name.rfind(mark);
    if (at == std::string::npos)
        return std::nullopt;
    const std::size_t from = at + mark.size();
    const std::size_t to = name.find_first_not_of("0123456789", from);
    if (to == from || to == std::string::npos || name[to] != ' ')
        return std::nullopt;
    return std::pair(from, to);
}

// "mapping near page 7 mincore" -> "mapping near page 7"
std::optional<std::string> page_of(const std::string& name) {
    const auto number = number_in(name);
    return number ? std::optional(name.substr(0, number->second)) : std::nullopt;
}

std::string result_of(const Observation& seen, const std::string& name) {
    for (const auto& [known, word] : seen.results)
        if (known == name)
            return word;
    return std::string(no_result);
}

// As a value that may differ.
std::string result_name(const std::string& result) { return "result " + result; }

// The names of all results that either of them has.
std::vector<std::string> results_of(const Observation& a, const Observation& b) {
    std::vector<std::string> names;
    for (const Observation* one : {&a, &b})
        for (const auto& [name, word] : one->results)
            if (std::find(names.begin(), names.end(), name) == names.end())
                names.push_back(name);
    return names;
}

Outcome outcome_of(const Observation& seen) {
    Outcome outcome;
    outcome.words = seen.results;
    return outcome;
}

class Judge {
  public:
    Judge(const Observation& seen, const std::vector<Reference>& references, const Rules& rules)
        : seen_(seen), references_(references), rules_(rules), allowed_(rules.unstable) {
        const Outcome outcome = outcome_of(seen);
        for (const Relaxation& one : rules.relaxations) {
            if (!matches(outcome, one.when))
                continue;
            active_.push_back(&one);
            if (!one.may_differ.empty())
                allowed_.push_back({one.may_differ, one.why});
        }
    }

    Judgement judge() {
        for (const Reference& reference : references_)
            if (reference.absent.empty() && equals(reference))
                return {.fits = true, .by = reference.name};
        if (const Relaxation* why = any_result(); why != nullptr) {
            freed_ = why->actor;
            for (const Reference& reference : references_)
                if (reference.absent.empty() && equals(reference))
                    return {.fits = true,
                            .by = fmt::format("{}: {}", reference.name, why->why),
                            .relaxed = true};
            freed_.clear();
        }
        for (const Reference& reference : references_)
            if (const Relaxation* why = may_be_absent(reference);
                why != nullptr && equals(reference))
                return {.fits = true,
                        .by = fmt::format("{}: {}", reference.name, why->why),
                        .relaxed = true};
        if (const Relaxation* why = each_page(); why != nullptr && mixes())
            return {.fits = true, .by = why->why, .relaxed = true};
        return difference();
    }

  private:
    [[nodiscard]] const std::vector<Difference>& state_against(const Reference& reference) {
        const auto [known, fresh] = states_.try_emplace(&reference);
        if (fresh)
            known->second = state_differences(reference.seen, seen_, allowed_);
        return known->second;
    }

    [[nodiscard]] std::vector<std::string> words_against(const Reference& reference) const {
        std::vector<std::string> wrong;
        for (const std::string& name : results_of(seen_, reference.seen)) {
            const std::string was = result_of(reference.seen, name);
            const bool absent = was == no_result && !reference.absent.empty();
            if (!absent && was != result_of(seen_, name) && !is_freed(name) &&
                !allows(rules_.unstable, result_name(name)))
                wrong.push_back(name);
        }
        return wrong;
    }

    bool equals(const Reference& reference) {
        return words_against(reference).empty() &&
               state_differences(reference.seen, seen_, allowed_, 1).empty();
    }

    [[nodiscard]] const Relaxation* any_result() const {
        const auto found = std::find_if(active_.begin(), active_.end(),
                                        [](const Relaxation* one) { return one->result; });
        return found == active_.end() ? nullptr : *found;
    }
    // Results have the name of their actor, or begin with it.
    [[nodiscard]] bool is_freed(const std::string& name) const {
        return !freed_.empty() && (name == freed_ || name.starts_with(freed_ + "_"));
    }

    // Each actor that it leaves out may have done nothing, by its results.
    [[nodiscard]] const Relaxation* may_be_absent(const Reference& reference) const {
        const Relaxation* why = nullptr;
        for (const std::string& actor : reference.absent) {
            const auto found =
                std::find_if(active_.begin(), active_.end(), [&actor](const Relaxation* one) {
                    return one->absent && one->actor == actor;
                });
            if (found == active_.end())
                return nullptr;
            why = *found;
        }
        return why;
    }

    [[nodiscard]] const Relaxation* each_page() const {
        const auto found = std::find_if(active_.begin(), active_.end(),
                                        [](const Relaxation* one) { return one->each_page; });
        return found == active_.end() ? nullptr : *found;
    }

    // Each result and each page is that of some reference, and each other value lies between those
    // of the references.
    bool mixes() {
        std::vector<const Reference*> usable;
        for (const Reference& reference : references_)
            if (reference.absent.empty() || may_be_absent(reference) != nullptr)
                usable.push_back(&reference);
        if (usable.empty())
            return false;
        std::set<std::string> wrong_everywhere;
        std::set<std::string> pages_everywhere;
        for (const Reference* reference : usable) {
            std::set<std::string> wrong;
            for (const std::string& name : words_against(*reference))
                wrong.insert(name);
            std::set<std::string> pages;
            for (const Difference& one : state_against(*reference))
                if (const std::optional<std::string> page = page_of(one.name))
                    pages.insert(*page);
                else
                    wrong.insert(one.name);
            intersect(wrong_everywhere, wrong, reference == usable.front());
            intersect(pages_everywhere, pages, reference == usable.front());
        }
        return pages_everywhere.empty() &&
               std::all_of(wrong_everywhere.begin(), wrong_everywhere.end(),
                           [&](const std::string& name) { return lies_between(name, usable); });
    }

    static void intersect(std::set<std::string>& all, const std::set<std::string>& one,
                          bool first) {
        if (first)
            all = one;
        else
            std::erase_if(all, [&one](const std::string& name) { return one.count(name) == 0; });
    }

    static std::optional<std::int64_t> number_of(const Observation& seen, const std::string& name) {
        if (!seen.after)
            return std::nullopt;
        const std::optional<std::uint64_t> after = seen.after->value(name);
        const std::optional<std::uint64_t> before = counts_up(name) && seen.before
                                                        ? seen.before->value(name)
                                                        : std::optional<std::uint64_t>(0);
        if (!after || !before)
            return std::nullopt;
        return static_cast<std::int64_t>(*after - *before);
    }

    [[nodiscard]] bool lies_between(const std::string& name,
                                    const std::vector<const Reference*>& usable) const {
        const std::optional<std::int64_t> now = number_of(seen_, name);
        if (!now || name.starts_with("kernel-log "))
            return false;
        std::optional<std::int64_t> least;
        std::optional<std::int64_t> most;
        for (const Reference* reference : usable)
            if (const std::optional<std::int64_t> one = number_of(reference->seen, name)) {
                least = std::min(least.value_or(*one), *one);
                most = std::max(most.value_or(*one), *one);
            }
        return least && *now >= *least && *now <= *most;
    }

    Judgement difference() {
        const Reference* nearest = nullptr;
        std::pair<std::size_t, std::size_t> least;
        for (const Reference& reference : references_) {
            if (!reference.absent.empty() && may_be_absent(reference) == nullptr)
                continue;
            const std::pair now{words_against(reference).size(), state_against(reference).size()};
            if (nearest == nullptr || now < least) {
                nearest = &reference;
                least = now;
            }
        }
        if (nearest == nullptr)
            return {.signature = "no reference", .text = "there is no serial run to compare with"};
        std::set<std::string> kinds;
        std::string text;
        const auto add = [&text](const std::string& more) {
            text += (text.empty() ? "" : "; ") + more;
        };
        for (const std::string& name : words_against(*nearest)) {
            const std::string word = result_of(seen_, name);
            kinds.insert(fmt::format("{}={}", name, word));
            add(fmt::format("{}={}, serially {}", name, word, words_of(name)));
        }
        std::vector<std::string> names;
        for (const Difference& one : state_against(*nearest))
            if (kinds.insert(kind_of(one.name)).second)
                names.push_back(one.name);
        if (!state_against(*nearest).empty())
            add(fmt::format("against \"{}\": {}", nearest->name,
                            to_string(state_against(*nearest))));
        return {.signature = fmt::format("{}", fmt::join(kinds, "; ")),
                .text = std::move(text),
                .names = std::move(names)};
    }

    [[nodiscard]] std::string words_of(const std::string& name) const {
        std::set<std::string> all;
        for (const Reference& reference : references_)
            if (reference.absent.empty())
                all.insert(result_of(reference.seen, name));
        return fmt::format("{}", fmt::join(all, " or "));
    }

    const Observation& seen_;
    const std::vector<Reference>& references_;
    const Rules& rules_;
    Allowed allowed_;
    std::vector<const Relaxation*> active_;
    std::string freed_; // an actor whose results are not compared
    std::map<const Reference*, std::vector<Difference>> states_;
};

std::optional<std::uint64_t> growth(const Observation& seen, const std::string& name) {
    const std::optional<std::uint64_t> before =
        seen.before ? seen.before->value(name) : std::optional<std::uint64_t>();
    const std::optional<std::uint64_t> after = seen.after->value(name);
    return before && after ? std::optional(*after - *before) : std::nullopt;
}

} // namespace

std::string kind_of(const std::string& name) {
    const auto number = number_in(name);
    return number ? name.substr(0, number->first) + "N" + name.substr(number->second) : name;
}

std::vector<Difference> state_differences(const Observation& reference, const Observation& seen,
                                          const Allowed& may_differ, std::size_t most) {
    if (!reference.after || !seen.after)
        return reference.after.has_value() == seen.after.has_value()
                   ? std::vector<Difference>()
                   : std::vector<Difference>{{"state", std::nullopt, std::nullopt}};
    Allowed growing = may_differ;
    growing.push_back({"machine", "compared by its growth"});
    growing.push_back({"kernel-log", "compared by its growth"});
    std::vector<Difference> all = compare(*reference.after, *seen.after, growing, most);
    for (const auto& [name, value] : seen.after->counters()) {
        if (all.size() >= most)
            break;
        if (!counts_up(name) || allows(may_differ, name))
            continue;
        const std::optional<std::uint64_t> was = growth(reference, name);
        const std::optional<std::uint64_t> now = growth(seen, name);
        if (was != now)
            all.push_back({name, was, now});
    }
    return all;
}

std::vector<Difference> all_differences(const Observation& a, const Observation& b) {
    std::vector<Difference> all = state_differences(a, b, {});
    for (const std::string& name : results_of(a, b))
        if (result_of(a, name) != result_of(b, name))
            all.push_back({result_name(name), std::nullopt, std::nullopt});
    return all;
}

Judgement judge(const Observation& seen, const std::vector<Reference>& references,
                const Rules& rules) {
    return Judge(seen, references, rules).judge();
}

} // namespace faultline
