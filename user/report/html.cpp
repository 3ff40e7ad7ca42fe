// SPDX-License-Identifier: GPL-2.0
#include "report/html.hpp"

#include "report/timeline.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace faultline {

namespace {

constexpr unsigned lane_height = 90;
constexpr unsigned left_margin = 130;
constexpr unsigned step = 170;
constexpr unsigned top_margin = 30;

std::string escape(std::string_view text) {
    std::string safe;
    for (const char c : text) {
        switch (c) {
        case '&':
            safe += "&amp;";
            break;
        case '<':
            safe += "&lt;";
            break;
        case '>':
            safe += "&gt;";
            break;
        case '"':
            safe += "&quot;";
            break;
        default:
            safe += c;
        }
    }
    return safe;
}

// Where things lie in the picture.
class Layout {
  public:
    Layout(const VariantReport& report, const fl_result& result)
        : report_(report), result_(result) {
        for (std::size_t i = 0; i < report.sites.size(); ++i) {
            if (result.sites[i].reached_ns == 0)
                continue;
            times_.push_back(result.sites[i].reached_ns);
            if (held(i))
                times_.push_back(result.sites[i].left_ns);
        }
        std::sort(times_.begin(), times_.end());
        times_.erase(std::unique(times_.begin(), times_.end()), times_.end());
    }

    [[nodiscard]] bool reached(std::size_t site) const {
        return result_.sites[site].reached_ns != 0;
    }
    [[nodiscard]] bool held(std::size_t site) const {
        return result_.sites[site].end != FL_END_PASSED &&
               result_.sites[site].left_ns > result_.sites[site].reached_ns;
    }
    [[nodiscard]] std::size_t x(std::uint64_t time) const {
        const auto at = std::lower_bound(times_.begin(), times_.end(), time);
        return left_margin + step * static_cast<std::size_t>(at - times_.begin());
    }
    [[nodiscard]] std::size_t reached_x(std::size_t site) const {
        return x(result_.sites[site].reached_ns);
    }
    [[nodiscard]] std::size_t left_x(std::size_t site) const {
        return held(site) ? x(result_.sites[site].left_ns) : reached_x(site);
    }
    [[nodiscard]] std::size_t lane_y(std::size_t lane) const {
        return top_margin + lane_height * lane + lane_height / 2;
    }
    [[nodiscard]] std::size_t y(std::size_t site) const { return lane_y(lane_of(site)); }
    [[nodiscard]] std::size_t width() const {
        return left_margin + step * std::max<std::size_t>(times_.size(), 1);
    }
    [[nodiscard]] std::size_t height() const {
        return top_margin + lane_height * report_.actors.size();
    }
    [[nodiscard]] double microseconds(std::uint64_t time) const {
        return times_.empty() ? 0 : static_cast<double>(time - times_.front()) / 1000.0;
    }

  private:
    // The text of a site begins with its actor.
    [[nodiscard]] std::size_t lane_of(std::size_t site) const {
        const std::string& text = report_.sites[site];
        const auto lane =
            std::find(report_.actors.begin(), report_.actors.end(), text.substr(0, text.find('@')));
        return static_cast<std::size_t>(lane - report_.actors.begin());
    }

    const VariantReport& report_;
    const fl_result& result_;
    std::vector<std::uint64_t> times_; // of all events, sorted, each once
};

std::string draw_lanes(const VariantReport& report, const Layout& layout) {
    std::string text;
    for (std::size_t i = 0; i < report.actors.size(); ++i)
        text += fmt::format("<text class='actor' x='8' y='{0}'>{1}</text>"
                            "<line class='lane' x1='{2}' y1='{3}' x2='{4}' y2='{3}'/>\n",
                            layout.lane_y(i) + 5, escape(report.actors[i]), left_margin - 15,
                            layout.lane_y(i), layout.width());
    return text;
}

std::string draw_site(const VariantReport& report, const fl_site_result& site, std::size_t index,
                      const Layout& layout) {
    const std::string& text = report.sites[index];
    const std::size_t x = layout.reached_x(index);
    const std::size_t y = layout.y(index);
    std::string drawn;
    if (layout.held(index))
        drawn += fmt::format("<rect class='hold{}' x='{}' y='{}' width='{}' height='8'/>\n",
                             site.end == FL_END_WAITED ? "" : " bad", x, y - 4,
                             layout.left_x(index) - x);
    drawn += fmt::format("<circle class='site' cx='{}' cy='{}' r='5'/>"
                         "<text x='{}' y='{}'>{}</text><text class='time' x='{}' y='{}'>{:.1f} us",
                         x, y, x - 4, y - 12, escape(text.substr(text.find('@') + 1)), x - 4,
                         y + 22, layout.microseconds(site.reached_ns));
    if (layout.held(index))
        drawn +=
            fmt::format(", {} at {:.1f}", end_word(site.end), layout.microseconds(site.left_ns));
    return drawn + "</text>\n";
}

std::string draw_edge(const VariantReport& report, const Edge& edge, const Layout& layout) {
    const auto index = [&](const SiteRef& site) {
        const auto at = std::find(report.sites.begin(), report.sites.end(), to_string(site));
        return static_cast<std::size_t>(at - report.sites.begin());
    };
    const std::size_t before = index(edge.before);
    const std::size_t after = index(edge.after);
    if (before >= report.sites.size() || after >= report.sites.size() || !layout.reached(before) ||
        !layout.reached(after))
        return {};
    return fmt::format("<line class='edge' x1='{}' y1='{}' x2='{}' y2='{}'/>\n",
                       layout.reached_x(before), layout.y(before), layout.left_x(after),
                       layout.y(after));
}

// What to show: a forbidden run if there is one.
const Example* example_of(const VariantReport& report) {
    if (const Tally* forbidden = report.forbidden())
        return &forbidden->example;
    return report.histogram.empty() ? nullptr : &report.histogram.begin()->second.example;
}

} // namespace

std::string svg_timeline(const VariantReport& report, const Example& example) {
    const Layout layout(report, example.result);
    std::string text =
        fmt::format("<svg xmlns='http://www.w3.org/2000/svg' width='{0}' height='{1}' "
                    "viewBox='0 0 {0} {1}'>\n"
                    "<defs><marker id='tip' markerWidth='9' markerHeight='8' refX='9' "
                    "refY='4' orient='auto'><path d='M0 0L9 4L0 8z'/></marker></defs>\n",
                    layout.width(), layout.height());
    text += draw_lanes(report, layout);
    for (const Edge& edge : report.edges)
        text += draw_edge(report, edge, layout);
    for (std::size_t i = 0; i < report.sites.size(); ++i)
        if (layout.reached(i))
            text += draw_site(report, example.result.sites[i], i, layout);
    return text + "</svg>\n";
}

std::string html_begin(std::string_view kernel, std::string_view machine) {
    return fmt::format("<!DOCTYPE html>\n<html lang='en'><head><meta charset='utf-8'>"
                       "<title>Faultline on {0} {1}</title>\n<style>\n"
                       "body {{ font: 14px sans-serif; margin: 2em; }}\n"
                       "code {{ font-size: 12px; }} table {{ border-collapse: collapse; }}\n"
                       "td {{ padding: 2px 10px; border-bottom: 1px solid #ddd; }}\n"
                       ".forbidden, .FAIL, .ERROR {{ color: #b00; }}\n"
                       "svg {{ font: 11px sans-serif; }} svg .actor {{ font-weight: bold; }}\n"
                       "svg .time {{ fill: #666; }} svg .lane {{ stroke: #ccc; }}\n"
                       "svg .hold {{ fill: #f0b040; }} svg .hold.bad {{ fill: #d04040; }}\n"
                       "svg .edge {{ stroke: #2060c0; marker-end: url(#tip); }}\n"
                       "</style></head><body>\n<h1>Faultline on {0} {1}</h1>\n",
                       escape(kernel), escape(machine));
}

std::string html_variant(const VariantReport& report) {
    const std::string_view verdict = to_string(report.verdict);
    std::string text = fmt::format("<h2>{}{} <span class='{}'>{}</span></h2>\n"
                                   "<p>{} runs, {} overlaps, {} excluded, {:.0f} runs/s. {}</p>\n",
                                   escape(report.name()),
                                   report.control ? " under " + escape(*report.control) : "",
                                   verdict, verdict, report.counts.runs, report.counts.overlaps,
                                   report.counts.excluded, report.rate(), escape(report.why));
    text += "<table>\n";
    for (const auto& [words, tally] : report.histogram)
        text += fmt::format("<tr><td>{}</td><td{}>{}</td></tr>\n", tally.count,
                            tally.allowed ? "" : " class='forbidden'", escape(words));
    text += "</table>\n";
    const Example* example = example_of(report);
    if (example == nullptr)
        return text;
    return text +
           fmt::format("<p>Run {}: <code>{}</code></p>\n", example->run,
                       escape(example->schedule)) +
           svg_timeline(report, *example);
}

std::string html_end() { return "</body></html>\n"; }

} // namespace faultline
