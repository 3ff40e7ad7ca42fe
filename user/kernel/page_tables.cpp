// SPDX-License-Identifier: GPL-2.0
#include "kernel/page_tables.hpp"

#include "kernel/debugfs.hpp"

#include <array>
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <fmt/format.h>
#include <functional>
#include <sstream>

namespace faultline {

namespace {

// Each line through `take`, which says whether it could make sense of it.
Result<void> each_line(std::string_view text,
                       const std::function<bool(const std::string& line)>& take) {
    std::istringstream lines{std::string(text)};
    for (std::string line; std::getline(lines, line);)
        if (!take(line))
            return Error::make(EPROTO, "not understood: " + line);
    return {};
}

} // namespace

Result<std::vector<PageTable>> parse_page_tables(std::string_view text) {
    std::vector<PageTable> all;
    const Result<void> done = each_line(text, [&all](const std::string& line) {
        PageTable one;
        unsigned index = 0;
        std::array<char, 16> state{};
        int length = 0;
        const int fields = std::sscanf(
            line.c_str(),
            "%u pfn %" SCNx64 " offset %*u state %15s given %" SCNu64 " refs %*d tables %d flags "
            "%*s queued %d again %d at %*u freed %d active %d at %" SCNu64
            " early %d cpu %*d reads %*d broken %d%n",
            &index, &one.pfn, state.data(), &one.given_ns, &one.tables, &one.queued, &one.again,
            &one.freed, &one.active, &one.freed_ns, &one.early, &one.broken, &length);
        if (fields != 12 || static_cast<std::size_t>(length) != line.size() || index != all.size())
            return false;
        one.state = state.data();
        all.push_back(std::move(one));
        return true;
    });
    if (!done)
        return done.error();
    return all;
}

Result<PageTables> PageTables::open() {
    Result<ModuleFile> file = ModuleFile::open("pgtable/tables");
    if (!file)
        return file.error();
    return PageTables(std::move(*file));
}

Result<void> PageTables::send(const std::string& command) const { return file_.send(command); }

Result<void> PageTables::watch(const void* address) const {
    return send(fmt::format("watch {:x}", reinterpret_cast<std::uintptr_t>(address)));
}

Result<std::vector<PageTable>> PageTables::tables() const {
    const Result<std::string> text = file_.text();
    return text ? parse_page_tables(*text) : text.error();
}

Result<std::vector<PageTable>> PageTables::settled() const {
    const Result<void> barrier = send("barrier");
    return barrier ? tables() : barrier.error();
}

namespace {

// "16+16/4,32+8/3", or "-" if there is none.
std::optional<std::vector<TableFolio>> parse_table_folios(const std::string& text) {
    std::vector<TableFolio> folios;
    if (text == "-")
        return folios;
    std::size_t at = 0;
    for (;;) {
        TableFolio folio;
        int length = 0;
        if (std::sscanf(text.c_str() + at, "%u+%u/%u%n", &folio.page, &folio.pages, &folio.order,
                        &length) != 3)
            return std::nullopt;
        folios.push_back(folio);
        at += static_cast<std::size_t>(length);
        if (at == text.size())
            return folios;
        if (text[at++] != ',')
            return std::nullopt;
    }
}

} // namespace

Result<PageTableRange> parse_page_table_range(std::string_view text) {
    PageTableRange range;
    bool counted = false;
    const Result<void> done = each_line(text, [&](const std::string& line) {
        if (counted) // that was the last
            return false;
        std::array<char, 8> kind{};
        if (std::sscanf(line.c_str(), "mm pgtables_bytes %" SCNd64, &range.pgtables_bytes) == 1) {
            counted = true;
            return true;
        }
        if (std::sscanf(line.c_str(), "0x%*x %7s", kind.data()) != 1)
            return false;
        const std::string_view word = kind.data();
        range.tables += word == "table" ? 1 : 0;
        range.huge += word == "huge" ? 1 : 0;
        range.folios.emplace_back();
        if (word != "table")
            return word == "huge" || word == "none";
        const std::size_t last = line.rfind(" folios ");
        std::optional<std::vector<TableFolio>> folios;
        if (last != std::string::npos)
            folios = parse_table_folios(line.substr(last + std::strlen(" folios ")));
        if (folios)
            range.folios.back() = std::move(*folios);
        return folios.has_value();
    });
    if (!done)
        return done.error();
    if (!counted)
        return Error::make(EPROTO, "no line \"mm pgtables_bytes N\"");
    return range;
}

Result<PageTableRange> page_table_range(pid_t pid, const void* start, std::size_t bytes) {
    const auto from = reinterpret_cast<std::uintptr_t>(start);
    const Result<std::string> text =
        ask_module("pgtable/range", fmt::format("{} {:x} {:x}", pid, from, from + bytes));
    return text ? parse_page_table_range(*text) : text.error();
}

Result<PageLocks> parse_page_locks(std::string_view text) {
    PageLocks locks;
    std::istringstream words{std::string(text)};
    std::array<std::string, 6> names;
    words >> names[0];
    const std::array<std::string*, 5> states = {&locks.mmap, &locks.vma, &locks.anon_vma,
                                                &locks.pmd, &locks.pte};
    for (std::size_t i = 0; i < states.size(); ++i)
        words >> names.at(i + 1) >> *states.at(i);
    std::string more;
    if (!words || words >> more ||
        names != std::array<std::string, 6>{"locks", "mmap", "vma", "anon_vma", "pmd", "pte"})
        return Error::make(EPROTO, "no line \"locks mmap STATE vma STATE ...\"");
    return locks;
}

Result<PageLocks> page_locks(const void* address) {
    const Result<std::string> text =
        ask_module("pgtable/locks", fmt::format("{:x}", reinterpret_cast<std::uintptr_t>(address)));
    return text ? parse_page_locks(*text) : text.error();
}

Result<std::vector<Invalidation>> parse_invalidations(std::string_view text) {
    std::vector<Invalidation> all;
    const Result<void> done = each_line(text, [&all](const std::string& line) {
        Invalidation one;
        std::array<char, 8> kind{};
        int length = 0;
        if (std::sscanf(line.c_str(), "%7s 0x%" SCNx64 " 0x%" SCNx64 " at %" SCNu64 " event %*u%n",
                        kind.data(), &one.from, &one.to, &one.at_ns, &length) != 4 ||
            static_cast<std::size_t>(length) != line.size())
            return false; // also "more": something is missing
        const std::string_view word = kind.data();
        one.end = word == "end";
        all.push_back(one);
        return word == "end" || word == "start";
    });
    if (!done)
        return done.error();
    return all;
}

Result<MmuListener> MmuListener::open() {
    Result<ModuleFile> file = ModuleFile::open("pgtable/notifier");
    if (!file)
        return file.error();
    return MmuListener(std::move(*file));
}

Result<void> MmuListener::listen(const void* start, std::size_t bytes) const {
    const auto from = reinterpret_cast<std::uintptr_t>(start);
    return file_.send(fmt::format("{:x} {:x}", from, from + bytes));
}

Result<std::vector<Invalidation>> MmuListener::invalidations() const {
    const Result<std::string> text = file_.text();
    return text ? parse_invalidations(*text) : text.error();
}

std::optional<std::string> missing_pte_free_defer() { return missing_capability("defer-tables"); }

std::optional<std::string> missing_own_tables() {
    for (const char* wanted : {"defer-tables", "allocate-tables"})
        if (std::optional<std::string> missing = missing_capability(wanted))
            return missing;
    return std::nullopt;
}

std::optional<bool> tables_share_a_page() {
    const Result<PageTables> file = PageTables::open();
    if (!file || !file->send("tables 2"))
        return std::nullopt;
    const Result<std::vector<PageTable>> two = file->tables();
    if (!two || two->size() != 2)
        return std::nullopt;
    return two->front().pfn == two->back().pfn;
}

std::optional<std::string> missing_mmu_notifier() {
    const Result<MmuListener> listener = MmuListener::open();
    if (!listener)
        return listener.error().to_string();
    const Result<void> listens = listener->listen(&listener, sizeof(listener));
    return listens ? std::nullopt : std::optional<std::string>(listens.error().to_string());
}

} // namespace faultline
