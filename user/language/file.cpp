// SPDX-License-Identifier: GPL-2.0
#include "language/file.hpp"

#include "language/table_reader.hpp"

#include <algorithm>
#include <array>
#include <fmt/format.h>

namespace faultline {

namespace {

template <typename Kind> struct KindName {
    std::string_view name;
    Kind kind;
};

template <typename Kind, std::size_t count>
Kind kind_of(TableReader& table, const Text& text, const KindName<Kind> (&names)[count]) {
    if (text.text.empty())
        return names[0].kind;
    std::string all;
    for (const KindName<Kind>& one : names) {
        if (one.name == text.text)
            return one.kind;
        all += (all.empty() ? "" : ", ") + std::string(one.name);
    }
    table.complain(text.at,
                   fmt::format("no kind is called \"{}\" (there are: {})", text.text, all));
    return names[0].kind;
}

FileActor read_actor(const Text& name, TableReader table) {
    constexpr KindName<Actor::Kind> kinds[] = {{"thread", Actor::Kind::thread},
                                               {"process", Actor::Kind::process},
                                               {"kernel", Actor::Kind::kernel_thread}};
    FileActor actor;
    actor.name = name;
    if (const Text kind = table.text("kind"); kind.text.starts_with("{"))
        actor.kind_of = kind;
    else
        actor.kind = kind_of(table, kind, kinds);
    actor.cpu = static_cast<int>(table.number("cpu", 0, 0, 1023));
    actor.may_die = table.flag("may_die", false);
    actor.steps = table.text("steps", actor.kind != Actor::Kind::kernel_thread);
    table.finish();
    return actor;
}

// The keys of variants, and the file's defaults for all of them. A variant gives a parameter's
// value beside these.
constexpr std::array variant_keys = {
    std::string_view("about"),       std::string_view("needs"),
    std::string_view("schedule"),    std::string_view("expected"),
    std::string_view("excluded_by"), std::string_view("excluded_in"),
    std::string_view("or_overlap"),  std::string_view("known"),
    std::string_view("situation"),   std::string_view("forced"),
    std::string_view("divisor"),     std::string_view("chance"),
    std::string_view("by_name_only")};

void read_variant(TableReader& table, FileVariant& variant) {
    if (table.has("schedule"))
        variant.schedule = table.text("schedule");
    if (table.has("expected"))
        variant.expected = table.expected("expected");
    if (table.has("excluded_by"))
        variant.excluded_by = table.texts("excluded_by");
    if (table.has("excluded_in"))
        variant.excluded_in = table.text("excluded_in");
    if (table.has("or_overlap"))
        variant.or_overlap = table.text("or_overlap");
    if (table.has("known"))
        variant.known = table.texts("known");
    if (table.has("situation"))
        variant.situation = table.text("situation");
    for (const std::string_view key :
         {"schedule", "expected", "excluded_by", "excluded_in", "or_overlap", "known", "situation"})
        table.allow(key);
    variant.forced = table.flag("forced", variant.forced);
    variant.by_name_only = table.flag("by_name_only", variant.by_name_only);
    variant.divisor = static_cast<unsigned>(table.number("divisor", variant.divisor, 1, 1000));
    if (std::optional<TableReader> chance = table.table("chance")) {
        variant.chance =
            Chance{.overlaps = static_cast<unsigned>(chance->number("overlaps", 20, 1, 1000000)),
                   .seconds = static_cast<unsigned>(chance->number("seconds", 60, 1, 3600))};
        chance->finish();
    }
}

FileAction read_action(TableReader table) {
    FileAction action;
    action.at = table.at();
    const Text skip = table.text("skip");
    const Text replace = table.text("replace");
    const Text corrupt = table.text("corrupt");
    if (!skip.text.empty())
        action.function = skip;
    if (!replace.text.empty()) {
        action.function = replace;
        action.kind = FL_CONTROL_REPLACE;
    }
    if (!corrupt.text.empty()) {
        action.function = corrupt;
        action.kind = FL_CONTROL_CORRUPT;
    }
    const int given = static_cast<int>(!skip.text.empty()) +
                      static_cast<int>(!replace.text.empty()) +
                      static_cast<int>(!corrupt.text.empty());
    if (given != 1)
        table.complain(action.at, "an action has one of skip, replace and corrupt = \"FUNCTION\"");
    action.replacement = table.text("with", action.kind == FL_CONTROL_REPLACE);
    action.actor = table.text("actor");
    action.caller = table.text("caller");
    action.value = table.number("value", 0, std::numeric_limits<std::int64_t>::min(),
                                std::numeric_limits<std::int64_t>::max());
    action.every = static_cast<unsigned>(table.number("every", 1, 1, 1000000));
    action.optional = table.flag("optional", false);
    table.finish();
    return action;
}

FileControl read_control(const Text& name, TableReader table) {
    constexpr KindName<Control::Kind> kinds[] = {{"hazard", Control::Kind::hazard},
                                                 {"comparison", Control::Kind::comparison},
                                                 {"remedy", Control::Kind::remedy}};
    FileControl control;
    control.name = name;
    control.about = table.text("about", true);
    control.variant = table.text("variant", true);
    control.kind = kind_of(table, table.text("kind"), kinds);
    control.produces = table.text("produces", control.kind != Control::Kind::remedy);
    control.releases = table.text("releases");
    control.needs = table.texts("needs");
    control.complains = table.flag("complains", false);
    control.caught_by = table.text("caught_by");
    control.by_name_only = table.flag("by_name_only", false);
    for (TableReader& action : table.tables("actions"))
        control.actions.push_back(read_action(action));
    table.finish();
    return control;
}

FileBug read_bug(const Text& name, TableReader table) {
    FileBug bug;
    bug.name = name;
    bug.words = table.text("words", true);
    bug.releases = table.text("releases", true);
    bug.fix = table.text("fix", true);
    bug.machines = table.text("machines");
    bug.log_line = table.text("log_line");
    bug.log_trace = table.text("log_trace");
    bug.rare = table.flag("rare", false);
    table.finish();
    return bug;
}

} // namespace

std::string to_string(const std::string& path, const Complaints& complaints) {
    std::string text;
    for (const Complaint& one : complaints)
        text += fmt::format("{}:{}:{}: {}\n", path, one.at.line, one.at.column, one.text);
    return text;
}

namespace {

void read_top(TableReader& top, ScenarioFile& file) {
    file.name = top.text("name", true);
    file.family = top.text("family");
    file.claim = top.text("claim", true);
    file.source = top.text("source", true);
    file.races = top.text("races", true);
    file.bad = top.text("bad", true);
    file.needs = top.texts("needs");
    file.prepare = top.text("prepare");
    file.setup = top.text("setup");
    file.judge = top.text("judge");
    file.outcome = top.text("outcome", true);
    file.draws = top.number("draws", 0, std::numeric_limits<std::int64_t>::min(),
                            std::numeric_limits<std::int64_t>::max());
    file.corrupts = top.text("corrupts");
    file.no_hazard_control = top.expected("no_hazard_control");
    FileVariant common;
    read_variant(top, common);
    if (std::optional<TableReader> let = top.table("let"))
        for (const Text& name : let->keys()) {
            if (std::find(variant_keys.begin(), variant_keys.end(), name.text) !=
                variant_keys.end())
                let->complain(name.at, fmt::format("\"{}\" is a key of each variant: give the "
                                                   "parameter another name",
                                                   name.text));
            common.parameters[name.text] = let->text_or_number(name.text);
        }
    each_table(top, "actors", [&file](const Text& name, TableReader& table) {
        file.actors.push_back(read_actor(name, table));
    });
    each_table(top, "bugs", [&file](const Text& name, TableReader& table) {
        file.bugs.push_back(read_bug(name, table));
    });
    each_table(top, "variants", [&file, &common](const Text& name, TableReader& table) {
        FileVariant variant = common;
        variant.name = name;
        variant.about = table.text("about", true);
        variant.needs = table.texts("needs");
        read_variant(table, variant);
        for (auto& [key, value] : variant.parameters)
            if (table.has(key))
                value = table.text_or_number(key);
            else
                table.allow(key);
        table.finish();
        file.variants.push_back(std::move(variant));
    });
    each_table(top, "controls", [&file](const Text& name, TableReader& table) {
        file.controls.push_back(read_control(name, table));
    });
    if (std::optional<TableReader> forbid = top.table("forbid"))
        for (const Text& when : forbid->keys())
            file.forbid.push_back({when, forbid->text(when.text)});
    if (std::optional<TableReader> measures = top.table("measures"))
        for (const Text& name : measures->keys())
            file.measures.push_back(measures->measure(name));
}

} // namespace

ReadFile read_scenario(const std::string& text, const std::string& path) {
    ReadFile read;
    read.file.path = path;
    read_tables(text, read.complaints, [&read](TableReader& top) { read_top(top, read.file); });
    return read;
}

} // namespace faultline
