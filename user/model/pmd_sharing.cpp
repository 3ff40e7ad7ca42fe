// SPDX-License-Identifier: GPL-2.0
#include "model/pmd_sharing.hpp"

#include <algorithm>
#include <array>

namespace faultline::model {

namespace {

using Kind = SharingOp::Kind;

constexpr std::array<const char*, sharing_op_kinds> names = {
    "map",        "touch", "give-back", "protect-half", "mark-half",
    "unmap-half", "unmap", "fork",      "move",         "watch"};

bool has_page(Kind kind) {
    return kind == Kind::touch || kind == Kind::give_back || kind == Kind::fork;
}

} // namespace

std::string to_string(const SharingOp& op) {
    std::string text = "p" + std::to_string(op.process) + " ";
    text += names.at(static_cast<std::size_t>(op.kind));
    return has_page(op.kind) ? text + " " + std::to_string(op.page) : text;
}

std::string to_string(const std::vector<SharingOp>& ops) {
    std::string text;
    for (const SharingOp& op : ops)
        text += (text.empty() ? "" : "; ") + to_string(op);
    return text;
}

bool PmdSharing::can(const SharingOp& op) const {
    const Process& process = processes_[op.process];
    switch (op.kind) {
    case Kind::map:
        return process.shape == Shape::none;
    case Kind::touch:
    case Kind::give_back:
    case Kind::fork:
    case Kind::unmap:
        return process.shape != Shape::none;
    case Kind::protect_half:
    case Kind::mark_half:
    case Kind::unmap_half:
        return process.shape == Shape::whole;
    case Kind::move:
        return process.can_share() && (!process.table || shares(op.process));
    case Kind::watch:
        return process.can_share();
    }
    return false;
}

void PmdSharing::apply(const SharingOp& op) {
    Process& process = processes_[op.process];
    switch (op.kind) {
    case Kind::map:
        process = {.shape = Shape::whole};
        break;
    case Kind::touch:
        if (!process.table)
            process.table = table_for(process);
        tables_[*process.table].insert(op.page);
        break;
    case Kind::give_back:
        if (shares(op.process))
            unshare(op.process);
        else if (process.table)
            tables_[*process.table].erase(op.page);
        break;
    case Kind::protect_half:
    case Kind::mark_half:
        unshare(op.process);
        process.shape = Shape::split;
        break;
    case Kind::unmap_half:
        unshare(op.process);
        process.shape = Shape::half;
        break;
    case Kind::unmap:
        process = {};
        break;
    case Kind::fork:
        // The child is not watched. If it can share, its page stays in the table.
        tables_[table_for({.shape = process.shape})].insert(op.page);
        break;
    case Kind::move:
        process.table.reset();
        process.moved = !process.moved;
        break;
    case Kind::watch:
        unshare(op.process);
        process.watched = true;
        break;
    }
}

unsigned PmdSharing::sharers(std::size_t table) const {
    return static_cast<unsigned>(
        std::count_if(processes_.begin(), processes_.end(),
                      [table](const Process& process) { return process.table == table; }));
}

bool PmdSharing::has(unsigned process, unsigned page) const {
    const std::optional<std::size_t> table = processes_[process].table;
    return table && tables_[*table].contains(page);
}

bool PmdSharing::shared(unsigned process, unsigned page) const {
    return has(process, page) && (shares(process) || elsewhere(*processes_[process].table, page));
}

std::size_t PmdSharing::shared_pages(unsigned process) const {
    const std::optional<std::size_t> table = processes_[process].table;
    if (!table)
        return 0;
    const std::set<unsigned>& pages = tables_[*table];
    return static_cast<std::size_t>(std::count_if(
        pages.begin(), pages.end(), [&](unsigned page) { return shared(process, page); }));
}

std::size_t PmdSharing::private_pages(unsigned process) const {
    const std::optional<std::size_t> table = processes_[process].table;
    return table ? tables_[*table].size() - shared_pages(process) : 0;
}

bool PmdSharing::shares(unsigned process) const {
    const std::optional<std::size_t> table = processes_[process].table;
    return table && sharers(*table) > 1;
}

void PmdSharing::unshare(unsigned process) {
    if (shares(process))
        processes_[process].table.reset();
}

// That of the others who can share, or a new one.
std::size_t PmdSharing::table_for(const Process& process) {
    if (process.can_share())
        for (const Process& other : processes_)
            if (other.can_share() && other.table)
                return *other.table;
    tables_.emplace_back();
    return tables_.size() - 1;
}

// In another table that somebody has.
bool PmdSharing::elsewhere(std::size_t table, unsigned page) const {
    return std::any_of(processes_.begin(), processes_.end(), [&](const Process& process) {
        return process.table && *process.table != table && tables_[*process.table].contains(page);
    });
}

} // namespace faultline::model
