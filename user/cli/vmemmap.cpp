// SPDX-License-Identifier: GPL-2.0
// Where the struct pages of huge pages are, before and after the optimization: in words, and as a
// picture (--html).
#include "report/vmemmap.hpp"
#include "cli/commands.hpp"
#include "cli/common.hpp"
#include "kernel/hvo.hpp"
#include "kernel/settings.hpp"

#include <fmt/format.h>
#include <fstream>
#include <sys/utsname.h>

namespace faultline {

namespace {

using Blocks = std::vector<std::pair<std::string, HvoLayout>>;

// Two huge pages, made while the setting is as given.
Result<Blocks> look(const HvoBlock& block, const char* optimize, std::string_view name) {
    Result<Setting> pool = Setting::set(pool_setting, "0");
    if (!pool)
        return pool.error();
    const Result<Setting> setting = Setting::set(hvo_setting, optimize);
    if (!setting)
        return setting.error();
    const Result<HugePages> pages = HugePages::take(2);
    if (!pages)
        return pages.error();
    Blocks blocks;
    for (unsigned i = 0; i < 2; ++i) {
        if (Result<void> found = block.find(pages->page(i)); !found)
            return found.error();
        Result<HvoLayout> layout = block.layout();
        if (!layout)
            return layout.error();
        blocks.emplace_back(fmt::format("{} huge page {}", name, i + 1), std::move(*layout));
    }
    return blocks;
}

// When both huge pages were there.
std::string counters(const Blocks& blocks) {
    return "<p>" + counters_text(blocks.back().second.now) + "</p>\n";
}

Result<void> draw(const std::string& file, const Blocks& plain, const Blocks& optimized) {
    utsname name{};
    ::uname(&name);
    std::ofstream out(file);
    const std::string title = fmt::format("Faultline on {} {}", name.release, name.machine);
    out << "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>" << title
        << "</title><style>body, svg { font: 14px sans-serif; }</style></head><body>\n<h1>" << title
        << "</h1>\n<h2>vmemmap of two huge pages</h2>\n<p>Lines that meet are aliases. Green can "
           "be "
           "written, red cannot.</p>\n"
        << vmemmap_svg(plain) << counters(plain) << "<h2>the same, optimized</h2>\n"
        << vmemmap_svg(optimized) << counters(optimized) << "</body></html>\n";
    out.close();
    return out ? Result<void>() : Error::last("write", file);
}

Result<void> show(const Arguments& arguments) {
    const Result<HvoBlock> block = HvoBlock::open();
    if (!block)
        return block.error();
    const Result<Blocks> plain = look(*block, "0", "plain");
    if (!plain)
        return plain.error();
    const Result<Blocks> optimized = look(*block, "1", "optimized");
    if (!optimized)
        return optimized.error();
    for (const Blocks* blocks : {&*plain, &*optimized})
        for (const auto& [name, layout] : *blocks)
            fmt::print("{}", vmemmap_text(name, layout));
    return arguments.html.empty() ? Result<void>() : draw(arguments.html, *plain, *optimized);
}

} // namespace

int vmemmap_command(const Arguments& arguments) {
    if (const std::optional<std::string> missing = missing_hvo())
        return cannot(*missing);
    const Result<Module> module = prepare_machine(arguments);
    if (!module)
        return cannot(module.error().to_string());
    const Result<void> shown = show(arguments);
    return shown ? status_good : cannot(shown.error().to_string());
}

} // namespace faultline
