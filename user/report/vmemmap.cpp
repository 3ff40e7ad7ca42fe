// SPDX-License-Identifier: GPL-2.0
#include "report/vmemmap.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace faultline {

namespace {

constexpr std::size_t row = 26;
constexpr std::size_t head = 24; // of each block, for its name
constexpr std::size_t left_x = 10;
constexpr std::size_t box_width = 210;
constexpr std::size_t right_x = 520;
constexpr std::size_t width = right_x + box_width + 10;
constexpr std::size_t struct_pages = 64; // in a page of vmemmap

std::string box(std::size_t x, std::size_t y, bool writable, const std::string& text) {
    return fmt::format("<rect class='page {}' x='{}' y='{}' width='{}' height='{}'/>"
                       "<text x='{}' y='{}'>{}</text>\n",
                       writable ? "rw" : "ro", x, y, box_width, row - 6, x + 8, y + 14, text);
}

struct Frame {
    std::uint64_t pfn;
    std::size_t mapped; // how often
    bool writable;      // by any
};

std::vector<Frame> frames_of(const std::vector<std::pair<std::string, HvoLayout>>& blocks) {
    std::vector<Frame> frames;
    for (const auto& [name, layout] : blocks)
        for (const VmemmapPage& page : layout.vmemmap) {
            const auto known = std::find_if(frames.begin(), frames.end(), [&](const Frame& frame) {
                return frame.pfn == page.pfn;
            });
            if (known == frames.end()) {
                frames.push_back({page.pfn, 1, page.writable});
            } else {
                ++known->mapped;
                known->writable = known->writable || page.writable;
            }
        }
    return frames;
}

} // namespace

std::string vmemmap_svg(const std::vector<std::pair<std::string, HvoLayout>>& blocks) {
    const std::vector<Frame> frames = frames_of(blocks);
    std::size_t y = 0;
    std::string left;
    std::string lines;
    for (const auto& [name, layout] : blocks) {
        left += fmt::format("<text class='name' x='{}' y='{}'>{}</text>\n", left_x, y + 16, name);
        y += head;
        for (std::size_t i = 0; i < layout.vmemmap.size(); ++i, y += row) {
            const VmemmapPage& page = layout.vmemmap[i];
            const auto frame = std::find_if(frames.begin(), frames.end(),
                                            [&](const Frame& one) { return one.pfn == page.pfn; });
            const std::size_t to =
                head + row * static_cast<std::size_t>(frame - frames.begin()) + row / 2 - 3;
            left += box(
                left_x, y, page.writable,
                fmt::format("struct page {} to {}", i * struct_pages, (i + 1) * struct_pages - 1));
            lines += fmt::format("<line class='map {}' x1='{}' y1='{}' x2='{}' y2='{}'/>\n",
                                 page.writable ? "rw" : "ro", left_x + box_width, y + row / 2 - 3,
                                 right_x, to);
        }
    }
    std::string right =
        fmt::format("<text class='name' x='{}' y='16'>page frames</text>\n", right_x);
    for (std::size_t i = 0; i < frames.size(); ++i)
        right += box(right_x, head + row * i, frames[i].writable,
                     fmt::format("pfn {:#x}, mapped {}x", frames[i].pfn, frames[i].mapped));
    const std::size_t height = std::max(y, head + row * frames.size());
    return fmt::format("<svg xmlns='http://www.w3.org/2000/svg' width='{0}' height='{1}' "
                       "viewBox='0 0 {0} {1}'>\n<style>"
                       ".page {{ stroke: #666; }} .page.rw {{ fill: #dff0d8; }} "
                       ".page.ro {{ fill: #f6d9d9; }} .map.rw {{ stroke: #2a8a2a; "
                       "stroke-width: 2.5; }} .map.ro {{ stroke: #c03030; }} "
                       ".name {{ font-weight: bold; }} text {{ font: 11px sans-serif; }}"
                       "</style>\n",
                       width, height) +
           lines + left + right + "</svg>\n";
}

std::string counters_text(const HvoCounters& counters) {
    return fmt::format(
        "pages of vmemmap: {}; pool: {} huge pages, {} free, {} reserved, {} surplus",
        counters.memmap < 0 ? "not counted" : std::to_string(counters.memmap), counters.pool,
        counters.free, counters.reserved, counters.surplus);
}

std::string vmemmap_text(const std::string& name, const HvoLayout& layout) {
    std::string text =
        fmt::format("{}: pfn {:#x}, head's count {}\n", name, layout.pfn, layout.refs);
    for (std::size_t i = 0; i < layout.vmemmap.size(); ++i) {
        const VmemmapPage& page = layout.vmemmap[i];
        text += fmt::format("  struct page {:>3} to {:>3}  frame {:#8x}  {}{}\n", i * struct_pages,
                            (i + 1) * struct_pages - 1, page.pfn, page.writable ? "rw" : "ro",
                            page.alias ? fmt::format("  the same as {}", *page.alias * struct_pages)
                                       : "");
    }
    return text + "  " + counters_text(layout.now) + "\n";
}

} // namespace faultline
