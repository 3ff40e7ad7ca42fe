// SPDX-License-Identifier: GPL-2.0
#include "kernel/page_tables.hpp"

#include "kernel/debugfs.hpp"

#include "pgtable_lines.h"

#include <array>
#include <cinttypes>
#include <cstdio>
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
            FL_TABLES_TABLE("%u", "%" SCNx64, "%*u", "%15s", "%" SCNu64,
                            FL_PGTABLE_PAGE("%*d", "%d", "%*s"), "%d", "%d", "%*u", "%d", "%d",
                            "%" SCNu64, "%d", "%*d", "%*d", "%d") "%n",
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
    return send(fmt::format(FL_TABLES_WATCH("{:x}"), reinterpret_cast<std::uintptr_t>(address)));
}

Result<std::vector<PageTable>> PageTables::tables() const {
    const Result<std::string> text = file_.text();
    return text ? parse_page_tables(*text) : text.error();
}

Result<std::vector<PageTable>> PageTables::settled() const {
    const Result<void> barrier = send(FL_TABLES_BARRIER);
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
        if (std::sscanf(text.c_str() + at, FL_RANGE_FOLIO("%u", "%u", "%u") "%n", &folio.page,
                        &folio.pages, &folio.order, &length) != 3)
            return std::nullopt;
        folios.push_back(folio);
        at += static_cast<std::size_t>(length);
        if (at == text.size())
            return folios;
        if (text[at++] != ',')
            return std::nullopt;
    }
}

// A line of one PMD.
bool parse_pmd(const std::string& line, PageTableRange& range) {
    int end = 0; // of the part that is scanned; stays 0 if that does not match to its end
    const auto scanned = [&] { return static_cast<std::size_t>(end); };
    range.folios.emplace_back();
    std::sscanf(line.c_str(), FL_RANGE_NONE("0x%*x") "%n", &end);
    if (end != 0)
        return scanned() == line.size();
    std::sscanf(line.c_str(), FL_RANGE_HUGE("0x%*x") "%n", &end);
    if (end != 0) {
        ++range.huge;
        return scanned() == line.size();
    }
    unsigned offset = 0;
    std::sscanf(line.c_str(),
                FL_RANGE_TABLE("0x%*x", "%*x", "%u", FL_PGTABLE_PAGE("%*d", "%*d", "%*s"), "%n"),
                &offset, &end);
    if (end == 0)
        return false;
    ++range.tables;
    range.offsets.push_back(offset);
    std::optional<std::vector<TableFolio>> folios = parse_table_folios(line.substr(scanned()));
    if (folios)
        range.folios.back() = std::move(*folios);
    return folios.has_value();
}

} // namespace

Result<PageTableRange> parse_page_table_range(std::string_view text) {
    PageTableRange range;
    bool counted = false;
    const Result<void> done = each_line(text, [&](const std::string& line) {
        if (counted) // that was the last
            return false;
        counted = std::sscanf(line.c_str(), FL_RANGE_BYTES("%" SCNd64), &range.pgtables_bytes) == 1;
        return counted || parse_pmd(line, range); // not FL_RANGE_MORE: something is missing
    });
    if (!done)
        return done.error();
    if (!counted)
        return Error::make(EPROTO, "no line \"" FL_RANGE_BYTES("N") "\"");
    return range;
}

Result<PageTableRange> page_table_range(pid_t pid, const void* start, std::size_t bytes) {
    const auto from = reinterpret_cast<std::uintptr_t>(start);
    const Result<std::string> text = ask_module(
        "pgtable/range", fmt::format(FL_RANGE_ASK("{}", "{:x}", "{:x}"), pid, from, from + bytes));
    return text ? parse_page_table_range(*text) : text.error();
}

Result<PageLocks> parse_page_locks(std::string_view text) {
    std::array<std::array<char, 24>, 5> words{};
    int length = 0;
    const int fields =
        std::sscanf(std::string(text).c_str(),
                    FL_LOCKS_STATES("%23s", "%23s", "%23s", "%23s", "%23s") "%n", words[0].data(),
                    words[1].data(), words[2].data(), words[3].data(), words[4].data(), &length);
    if (fields != 5 || text.substr(static_cast<std::size_t>(length)) != "\n")
        return Error::make(
            EPROTO, "no line \"" FL_LOCKS_STATES("STATE", "STATE", "STATE", "PMD", "STATE") "\"");
    return PageLocks{words[0].data(), words[1].data(), words[2].data(), words[3].data(),
                     words[4].data()};
}

Result<PageLocks> page_locks(const void* address) {
    const Result<std::string> text =
        ask_module("pgtable/locks",
                   fmt::format(FL_LOCKS_ASK("{:x}"), reinterpret_cast<std::uintptr_t>(address)));
    return text ? parse_page_locks(*text) : text.error();
}

Result<std::vector<Invalidation>> parse_invalidations(std::string_view text) {
    std::vector<Invalidation> all;
    const Result<void> done = each_line(text, [&all](const std::string& line) {
        Invalidation one;
        std::array<char, 8> kind{};
        int length = 0;
        if (std::sscanf(line.c_str(),
                        FL_NOTIFIER_NOTE("%7s", "0x%" SCNx64, "0x%" SCNx64, "%" SCNu64, "%*u") "%n",
                        kind.data(), &one.from, &one.to, &one.at_ns, &length) != 4 ||
            static_cast<std::size_t>(length) != line.size())
            return false; // also FL_NOTIFIER_MORE: something is missing
        const std::string_view word = kind.data();
        one.end = word == "end";
        all.push_back(one);
        return word == "end" || word == "start";
    });
    if (!done)
        return done.error();
    return all;
}

Told told_around(const std::vector<Invalidation>& notes, std::uint64_t moment_ns) {
    Told told;
    for (const Invalidation& note : notes) {
        if (!note.end && !told.start)
            told = {.start = true, .before = note.at_ns < moment_ns};
        else if (note.end && told.start && note.at_ns > moment_ns)
            told.end = true;
    }
    return told;
}

Result<MmuListener> MmuListener::open() {
    Result<ModuleFile> file = ModuleFile::open("pgtable/notifier");
    if (!file)
        return file.error();
    return MmuListener(std::move(*file));
}

Result<void> MmuListener::listen(const void* start, std::size_t bytes) const {
    const auto from = reinterpret_cast<std::uintptr_t>(start);
    return file_.send(fmt::format(FL_NOTIFIER_ASK("{:x}", "{:x}"), from, from + bytes));
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
    if (!file || !file->send(FL_TABLES_NEW("2")))
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
