// SPDX-License-Identifier: GPL-2.0
#include "emit/columns.hpp"

#include "engine/schedule.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace faultline {

namespace {

constexpr std::size_t gap = 2;

struct Event {
    std::uint64_t ns = 0;
    std::size_t actor = 0;
    std::vector<std::string> lines;
};

struct Shown {
    const std::string* words;
    const Example* example;
};

// A forbidden run if there is one.
std::optional<Shown> shown_of(const VariantReport& report) {
    const std::pair<const std::string, Tally>* chosen = nullptr;
    for (const auto& one : report.histogram)
        if (chosen == nullptr || (chosen->second.allowed && !one.second.allowed))
            chosen = &one;
    if (chosen == nullptr)
        return std::nullopt;
    return Shown{&chosen->first, &chosen->second.example};
}

// Broken where a space is, else anywhere; what follows is indented.
std::vector<std::string> wrapped(const std::string& text, std::size_t width) {
    std::vector<std::string> lines;
    std::string rest = text;
    const std::size_t indent = std::min(text.find_first_not_of(' '), width / 2) + 2;
    while (rest.size() > width) {
        std::size_t end = rest.rfind(' ', width);
        const std::size_t begins = rest.find_first_not_of(' ');
        if (end == std::string::npos || end <= begins)
            end = width;
        lines.push_back(rest.substr(0, end));
        rest = std::string(indent, ' ') +
               rest.substr(std::min(rest.find_first_not_of(' ', end), rest.size()));
    }
    lines.push_back(rest);
    return lines;
}

// Without the names of results and what they are renamed to: as a call is written.
std::vector<Step> plain(std::vector<Step> steps) {
    for (Step& step : steps) {
        if (step.kind == Step::Kind::call) {
            step.name.clear();
            step.as.clear();
        }
        step.comment.clear();
        step.joined = false;
        step.steps = plain(std::move(step.steps));
        step.otherwise = plain(std::move(step.otherwise));
    }
    return steps;
}

std::vector<std::string> lines_of(const std::vector<Step>& steps) {
    std::vector<std::string> lines;
    const std::string text = print(plain(steps));
    for (std::size_t from = 0; from < text.size();) {
        const std::size_t end = std::min(text.find('\n', from), text.size());
        if (end > from)
            lines.push_back(text.substr(from, end - from));
        from = end + 1;
    }
    return lines;
}

// The steps of an actor after `at SITE`, or from the beginning, to the next site of the schedule.
std::vector<Step> steps_behind(const std::vector<Step>& steps, const std::string& site,
                               const std::vector<std::string>& sites) {
    std::vector<Step> part;
    bool inside = site.empty();
    for (const Step& step : steps) {
        const bool at = step.kind == Step::Kind::at;
        if (at && step.name == site)
            inside = true;
        else if (at && inside && std::find(sites.begin(), sites.end(), step.name) != sites.end())
            break;
        else if (!at && inside)
            part.push_back(step);
    }
    return part;
}

class Table {
  public:
    Table(const VariantReport& report, const Plan* plan, const fl_result& result)
        : report_(report), plan_(plan), result_(result) {
        for (const std::string& site : report.sites) {
            const Result<std::vector<Edge>> edge = parse_edges(site + " -> x@user:x");
            sites_.push_back(edge ? edge->front().before : SiteRef{});
        }
        for (std::size_t actor = 0; actor < report.actors.size(); ++actor)
            add_actor(actor);
        std::stable_sort(events_.begin(), events_.end(),
                         [](const Event& a, const Event& b) { return a.ns < b.ns; });
        for (std::size_t actor = 0; actor < report.actors.size(); ++actor)
            if (std::any_of(events_.begin(), events_.end(),
                            [actor](const Event& one) { return one.actor == actor; }))
                order_.push_back(actor);
        std::stable_sort(order_.begin(), order_.end(),
                         [this](std::size_t a, std::size_t b) { return cpu_of(a) < cpu_of(b); });
    }

    [[nodiscard]] std::string text() const {
        const std::size_t count = std::max<std::size_t>(order_.size(), 1);
        const std::size_t width = (columns_wide - gap * (count - 1)) / count;
        std::string made;
        for (const std::size_t actor : order_)
            put(made, actor, fmt::format("CPU {} ({})", cpu_of(actor), report_.actors[actor]),
                width, actor == order_.back());
        made += "\n";
        for (const Event& event : events_)
            for (const std::string& line : event.lines)
                for (const std::string& piece : wrapped(line, width))
                    made += row(event.actor, piece, width);
        return made;
    }

  private:
    void add(std::uint64_t ns, std::size_t actor, std::vector<std::string> lines) {
        if (!lines.empty())
            events_.push_back({ns, actor, std::move(lines)});
    }

    [[nodiscard]] std::vector<std::string> steps(std::size_t actor, const std::string& site) const {
        if (plan_ == nullptr)
            return {};
        std::vector<std::string> own;
        for (const SiteRef& one : sites_)
            if (one.actor == report_.actors[actor] && one.kind == FL_SITE_USER)
                own.push_back(one.name);
        for (std::size_t i = 0; i < plan_->actors.size(); ++i)
            if (plan_->actors[i].name.text == report_.actors[actor])
                return lines_of(steps_behind(plan_->steps.at(i), site, own));
        return {};
    }

    void add_actor(std::size_t actor) {
        add(0, actor, steps(actor, ""));
        for (std::size_t i = 0; i < sites_.size(); ++i) {
            const SiteRef& site = sites_[i];
            const fl_site_result& seen = result_.sites[i];
            if (site.actor != report_.actors[actor] || seen.reached_ns == 0)
                continue;
            const std::uint64_t left = std::max(seen.reached_ns, seen.left_ns);
            if (site.kind == FL_SITE_USER) {
                if (plan_ == nullptr)
                    add(seen.reached_ns, actor, {"at " + site.name});
                else
                    add(left, actor, steps(actor, site.name));
                if (plan_ != nullptr && after_steps(actor, i))
                    add(seen.reached_ns, actor, {"  returns"});
                continue;
            }
            add(seen.reached_ns, actor,
                {fmt::format("  {}{}", site.name, kernel_text(site, seen))});
            if (left > seen.reached_ns && seen.end != FL_END_PASSED)
                add(left, actor,
                    {seen.end == FL_END_WAITED ? "    goes on"
                                               : "    goes on, its wait was in vain"});
        }
    }

    static std::string kernel_text(const SiteRef& site, const fl_site_result& seen) {
        std::string text = site.kind == FL_SITE_AT ? "" : "()";
        if (site.kind == FL_SITE_RETURN)
            text += " has returned";
        if (site.hit > 1)
            text += fmt::format(", call {}", site.hit);
        return seen.end == FL_END_PASSED ? text : text + " waits";
    }

    // Were there steps before this site of the actor's?
    [[nodiscard]] bool after_steps(std::size_t actor, std::size_t site) const {
        std::string before;
        for (std::size_t i = 0; i < site; ++i)
            if (sites_[i].actor == report_.actors[actor] && sites_[i].kind == FL_SITE_USER)
                before = sites_[i].name;
        return !steps(actor, before).empty();
    }

    [[nodiscard]] unsigned cpu_of(std::size_t actor) const {
        for (std::size_t i = 0; i < sites_.size(); ++i)
            if (sites_[i].actor == report_.actors[actor] && result_.sites[i].reached_ns != 0)
                return result_.sites[i].cpu;
        return plan_ != nullptr && actor < plan_->actors.size()
                   ? static_cast<unsigned>(plan_->actors[actor].cpu)
                   : 0;
    }

    static void put(std::string& to, std::size_t /*actor*/, const std::string& text,
                    std::size_t width, bool last) {
        const std::string cut = text.substr(0, width);
        to += last ? cut : fmt::format("{:<{}}", cut, width + gap);
        if (last)
            to += "\n";
    }

    [[nodiscard]] std::string row(std::size_t actor, const std::string& text,
                                  std::size_t width) const {
        const auto place = static_cast<std::size_t>(std::find(order_.begin(), order_.end(), actor) -
                                                    order_.begin());
        return std::string(place * (width + gap), ' ') + text + "\n";
    }

    const VariantReport& report_;
    const Plan* plan_;
    const fl_result& result_;
    std::vector<SiteRef> sites_;
    std::vector<Event> events_;
    std::vector<std::size_t> order_; // of the columns
};

} // namespace

std::string columns(const VariantReport& report, const Plan* plan) {
    const std::optional<Shown> shown = shown_of(report);
    if (!shown)
        return {};
    std::string text = Table(report, plan, shown->example->result).text() + "\n";
    for (const std::string& line : wrapped(*shown->words, columns_wide))
        text += line + "\n";
    if (!shown->example->why.empty())
        for (const std::string& line : wrapped(shown->example->why, columns_wide))
            text += line + "\n";
    return text;
}

} // namespace faultline
