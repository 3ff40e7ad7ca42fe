// SPDX-License-Identifier: GPL-2.0
#include "language/kernels.hpp"

#include "engine/schedule.hpp"
#include "kernel/series.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <map>
#include <set>

namespace faultline {

namespace {

constexpr std::string_view at_prefix = "at:";

struct NeededSite {
    std::vector<std::string> names; // one of these
};

// A user of sites and functions.
struct User {
    std::string name;
    Text releases; // only there, of a control
    std::vector<NeededSite> needs;
};

// As the table names it: at:FUNCTION/PATTERN is in a function.
std::string label_of(const SiteRef& site) {
    return (site.kind == FL_SITE_AT ? std::string(at_prefix) : "") + site.name;
}

std::optional<std::string> function_in(const KernelSymbols& kernel, std::string_view label) {
    if (label.starts_with(at_prefix)) {
        label.remove_prefix(at_prefix.size());
        label = label.substr(0, label.rfind('/'));
    }
    return function_of_site(label, kernel);
}

User user_of(const Variant& variant) {
    User user{"variant " + std::string(variant.name), {}, {}};
    std::set<std::string> seen;
    const Result<std::vector<Edge>> edges = parse_edges(std::string(variant.schedule));
    for (std::size_t i = 0; edges && i < edges->size(); ++i)
        for (const SiteRef* site : {&(*edges)[i].before, &(*edges)[i].after})
            if (site->kind != FL_SITE_USER && seen.insert(label_of(*site)).second)
                user.needs.push_back({{label_of(*site)}});
    return user;
}

// An optional action is one of several, of which one is enough.
User user_of(const FileControl& control) {
    User user{"control " + control.name.text, control.releases, {}};
    NeededSite optional;
    for (const FileAction& action : control.actions) {
        if (action.optional) {
            optional.names.push_back(action.function.text);
            continue;
        }
        user.needs.push_back({{action.function.text}});
        if (!action.caller.text.empty())
            user.needs.push_back({{action.caller.text}});
    }
    if (!optional.names.empty())
        user.needs.push_back(std::move(optional));
    return user;
}

std::vector<User> users_of(const LoadedFile& loaded) {
    std::vector<User> users;
    for (const Variant& variant : loaded.scenario->variants)
        users.push_back(user_of(variant));
    for (const FileControl& control : loaded.file->controls)
        users.push_back(user_of(control));
    return users;
}

// Each once, in the order in which the file names them.
std::vector<std::string> labels_of(const std::vector<User>& users) {
    std::vector<std::string> labels;
    for (const User& user : users)
        for (const NeededSite& need : user.needs)
            for (const std::string& name : need.names)
                if (std::find(labels.begin(), labels.end(), name) == labels.end())
                    labels.push_back(name);
    return labels;
}

using Column = std::vector<std::string>;

std::size_t width_of(const Column& column) {
    std::size_t width = 0;
    for (const std::string& cell : column)
        width = std::max(width, cell.size());
    return width;
}

Column column_of(const std::vector<std::string>& labels, const KernelSymbols& kernel) {
    Column column = {kernel.name};
    for (const std::string& label : labels) {
        const std::optional<std::string> found = function_in(kernel, label);
        column.push_back(!found ? "no" : *found == label ? "yes" : *found);
    }
    return column;
}

std::string lines_of(const std::vector<Column>& columns) {
    std::string text;
    for (std::size_t row = 0; row < columns.front().size(); ++row) {
        std::string line;
        for (const Column& column : columns)
            line += fmt::format("  {:<{}}", column[row], width_of(column));
        text += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
    }
    return text;
}

// Several below each other, where a line would be too long for a mail.
std::string table_of(const std::vector<std::string>& labels,
                     const std::vector<KernelSymbols>& kernels) {
    constexpr std::size_t longest_line = 110;
    Column names = {"site or function"};
    names.insert(names.end(), labels.begin(), labels.end());
    std::string text;
    std::vector<Column> columns = {names};
    std::size_t line = width_of(names);
    for (const KernelSymbols& kernel : kernels) {
        Column column = column_of(labels, kernel);
        const std::size_t width = 2 + width_of(column);
        if (columns.size() > 1 && line + width > longest_line) {
            text += lines_of(columns);
            columns = {names};
            line = width_of(names);
        }
        line += width;
        columns.push_back(std::move(column));
    }
    return text + lines_of(columns);
}

// For each missing function and its user: the kernels that lack it.
std::string lacks_of(const std::vector<User>& users, const std::vector<KernelSymbols>& kernels) {
    std::map<std::pair<std::string, std::string>, Column> lacks;
    for (const KernelSymbols& kernel : kernels) {
        const auto has = [&kernel](const std::string& name) {
            return function_in(kernel, name).has_value();
        };
        std::map<std::string, Column> by_name;
        for (const User& user : users)
            for (const NeededSite& need : user.needs)
                if (in_releases(kernel.name, user.releases.text) &&
                    std::none_of(need.names.begin(), need.names.end(), has))
                    by_name[fmt::format("{}", fmt::join(need.names, " or "))].push_back(user.name);
        for (const auto& [name, names] : by_name)
            lacks[{name, fmt::format("{}", fmt::join(names, ", "))}].push_back(kernel.name);
    }
    std::string text;
    for (const auto& [key, names] : lacks)
        text += fmt::format("  no {} in {}: {}\n", key.first, fmt::join(names, ", "), key.second);
    return text;
}

} // namespace

std::string kernel_table(const LoadedFile& loaded, const std::vector<KernelSymbols>& kernels) {
    const std::vector<User> users = users_of(loaded);
    const std::vector<std::string> labels = labels_of(users);
    if (labels.empty() || kernels.empty())
        return "";
    return table_of(labels, kernels) + lacks_of(users, kernels) +
           "  By names alone: a function may exist and not be traceable (`faultline sites` in a "
           "machine "
           "shows it),\n  and no actor reaches an inlined call of it.\n";
}

} // namespace faultline
