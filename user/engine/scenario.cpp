// SPDX-License-Identifier: GPL-2.0
#include "engine/scenario.hpp"

#include "kernel/session.hpp"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>

namespace faultline {

std::string_view to_string(Verdict verdict) {
    switch (verdict) {
    case Verdict::pass:
        return "PASS";
    case Verdict::skip:
        return "SKIP";
    case Verdict::miss:
        return "MISS";
    case Verdict::fail:
        return "FAIL";
    case Verdict::error:
        break;
    }
    return "ERROR";
}

std::string to_string(const Outcome& outcome) {
    std::string text;
    for (const auto& [key, value] : outcome.words) {
        if (!text.empty())
            text += ' ';
        text.append(key).append("=").append(value);
    }
    return text.empty() ? "nothing" : text;
}

namespace {

// The first piece of `text` before `separator`, which it is cut off with.
std::string_view next_piece(std::string_view& text, char separator) {
    const std::size_t at = text.find(separator);
    const std::string_view piece = text.substr(0, at);
    text = at == std::string_view::npos ? std::string_view() : text.substr(at + 1);
    return piece;
}

bool value_allowed(std::string_view value, std::string_view allowed) {
    while (!allowed.empty()) {
        const std::string_view one = next_piece(allowed, '|');
        if (one == "*" || one == value)
            return true;
    }
    return false;
}

// value_of(key) is a pointer to a string-like value or null.
template <typename ValueOf> bool matches_words(std::string_view pattern, const ValueOf& value_of) {
    while (!pattern.empty()) {
        const std::string_view word = next_piece(pattern, ' ');
        if (word.empty())
            continue;
        const std::size_t equals = word.find('=');
        const std::optional<std::string_view> value = value_of(word.substr(0, equals));
        if (!value || equals == std::string_view::npos ||
            !value_allowed(*value, word.substr(equals + 1)))
            return false;
    }
    return true;
}

} // namespace

bool matches(const Outcome& outcome, std::string_view pattern) {
    return matches_words(pattern, [&outcome](std::string_view key) {
        for (const auto& [name, value] : outcome.words)
            if (name == key)
                return std::optional<std::string_view>(value);
        return std::optional<std::string_view>();
    });
}

bool matches(std::string_view printed, std::string_view pattern) {
    return matches_words(pattern, [printed](std::string_view key) {
        for (std::string_view rest = printed; !rest.empty();) {
            const std::string_view word = next_piece(rest, ' ');
            if (word.size() > key.size() && word.starts_with(key) && word[key.size()] == '=')
                return std::optional<std::string_view>(word.substr(key.size() + 1));
        }
        return std::optional<std::string_view>();
    });
}

std::string to_string(const std::vector<Measure>& measures) {
    std::string text;
    for (const Measure& measure : measures) {
        const bool whole = measure.value >= 100 || measure.value == std::floor(measure.value);
        text += fmt::format("{}{:.{}f} {}", text.empty() ? "" : ", ", measure.value, whole ? 0 : 1,
                            measure.what);
        if (!measure.note.empty())
            text += " (" + measure.note + ")";
    }
    return text;
}

Result<fl_end> ActorContext::at(std::string_view user_site) {
    // `x` and `x#2` are two sites to the module, each counting its own hits: arrive at all of them.
    // Only the one whose hit this is can hold us. The ends are ordered from harmless to bad.
    fl_end worst = FL_END_PASSED;
    for (const auto& [name, index] : user_sites_) {
        if (name != user_site)
            continue;
        const Result<fl_end> end = session_.arrive(index);
        if (!end)
            return end;
        worst = std::max(worst, *end);
    }
    return worst;
}

Result<bool> ActorContext::at_reading(std::string_view user_site, int tables, unsigned table) {
    for (const auto& [name, index] : user_sites_) {
        if (name != user_site)
            continue;
        const Result<fl_arrive_reading> read = session_.arrive_reading(index, tables, table);
        if (!read)
            return read.error();
        return read->broken != 0;
    }
    return Error::make(EINVAL, "the schedule does not name user:" + std::string(user_site));
}

bool ActorContext::has_site(std::string_view user_site) const {
    return std::any_of(user_sites_.begin(), user_sites_.end(),
                       [user_site](const auto& one) { return one.first == user_site; });
}

void ActorContext::fail(const Error& error) {
    if (share_.failed != 0)
        return; // the first is the cause
    const std::string text = error.to_string();
    const std::size_t length = std::min(text.size(), share_.failure.size() - 1);
    std::copy_n(text.begin(), length, share_.failure.begin());
    share_.failure.at(length) = '\0';
    share_.failed = 1;
}

std::int64_t Run::slot(std::string_view actor, unsigned slot) const {
    for (const auto& [name, slots] : slots_)
        if (name == actor)
            return slots.at(slot);
    return unreported;
}

const fl_site_result* Run::site(std::string_view text) const {
    for (std::size_t i = 0; i < site_texts_.size(); ++i)
        if (site_texts_[i] == text)
            return &result_.sites[i];
    return nullptr;
}

void Run::set_slots(std::string actor, const std::array<std::int64_t, slots_per_actor>& slots) {
    slots_.emplace_back(std::move(actor), slots);
}

void Run::set_result(const fl_result& result, std::vector<std::string> site_texts) {
    result_ = result;
    site_texts_ = std::move(site_texts);
}

} // namespace faultline
