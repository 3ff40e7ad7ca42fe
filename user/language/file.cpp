// SPDX-License-Identifier: GPL-2.0
#include "language/file.hpp"

#include "operations/operation.hpp"

#include <algorithm>
#include <array>
#include <fmt/format.h>

// The parser takes its assertions for facts where NDEBUG is set, and the fuzz target found bytes
// that break one: a table's name that begins with no letter. Here they are checked, and end the
// parsing.
namespace {
struct BrokenAssertion {};
[[noreturn]] void break_off() { throw BrokenAssertion(); }
} // namespace
#undef NDEBUG
#define TOML_ASSERT(condition) ((condition) ? void() : break_off())
#define TOML_HEADER_ONLY 1
#define TOML_EXCEPTIONS 0
#define TOML_ENABLE_FORMATTERS 0
#include <toml++/toml.h>

namespace faultline {

namespace {

Position position_of(const toml::source_region& region) {
    return {region.begin.line, region.begin.column};
}

// A table whose every key must be asked for: what is left over is unknown.
class TableReader {
  public:
    TableReader(const toml::table& table, std::string where, std::string_view source,
                Complaints& complaints)
        : table_(table), where_(std::move(where)), source_(source), complaints_(complaints),
          at_(position_of(table.source())) {}

    [[nodiscard]] Position at() const { return at_; }
    [[nodiscard]] bool has(std::string_view key) const { return table_.contains(key); }
    void complain(Position at, std::string text) { complaints_.push_back({at, std::move(text)}); }

    Text text(std::string_view key, bool needed = false) {
        const toml::node* node = find(key);
        if (node == nullptr) {
            if (needed)
                complain(at_, fmt::format("{} lacks \"{}\"", where_, key));
            return {};
        }
        if (!node->is_string()) {
            complain(position_of(node->source()),
                     fmt::format("\"{}\" is a text: {} = \"...\"", key, key));
            return {};
        }
        return text_of(*node);
    }
    // A number is a text, too: of a parameter.
    Text text_or_number(std::string_view key) {
        const toml::node* node = find(key);
        if (node != nullptr && node->is_integer())
            return {std::to_string(node->as_integer()->get()), position_of(node->source())};
        return text(key);
    }
    bool flag(std::string_view key, bool otherwise) {
        const toml::node* node = find(key);
        if (node == nullptr)
            return otherwise;
        if (!node->is_boolean()) {
            complain(position_of(node->source()), fmt::format("\"{}\" is true or false", key));
            return otherwise;
        }
        return node->as_boolean()->get();
    }
    std::int64_t number(std::string_view key, std::int64_t otherwise, std::int64_t least,
                        std::int64_t most) {
        const toml::node* node = find(key);
        if (node == nullptr)
            return otherwise;
        if (!node->is_integer() || node->as_integer()->get() < least ||
            node->as_integer()->get() > most) {
            complain(position_of(node->source()),
                     fmt::format("\"{}\" is a number from {} to {}", key, least, most));
            return otherwise;
        }
        return node->as_integer()->get();
    }
    // "a" or ["a", "b"]
    std::vector<Text> texts(std::string_view key) {
        std::vector<Text> all;
        const toml::node* node = find(key);
        if (node == nullptr)
            return all;
        if (node->is_string())
            return {text_of(*node)};
        const toml::array* array = node->as_array();
        for (std::size_t i = 0; array != nullptr && i < array->size(); ++i)
            if ((*array)[i].is_string())
                all.push_back(text_of((*array)[i]));
        if (array == nullptr || all.size() != array->size())
            complain(position_of(node->source()),
                     fmt::format("\"{}\" is a text or a list of texts: [\"...\", \"...\"]", key));
        return all;
    }
    // "words", ["words", ...], or { "6.1, 6.12" = "words" | ["words", ...] }
    std::vector<FileExpected> expected(std::string_view key) {
        std::vector<FileExpected> all;
        const toml::node* node = find(key);
        if (node == nullptr)
            return all;
        const toml::table* by_release = node->as_table();
        if (by_release == nullptr) {
            for (Text& words : texts(key))
                all.push_back({std::move(words), {}});
            return all;
        }
        TableReader releases(*by_release, fmt::format("\"{}\"", key), source_, complaints_);
        for (const Text& name : releases.keys())
            for (Text& words : releases.texts(name.text))
                all.push_back({std::move(words), name});
        return all;
    }
    // In the order of the file.
    std::vector<Text> keys() const {
        std::vector<Text> all;
        for (auto&& [key, node] : table_)
            all.push_back({std::string(key.str()), position_of(key.source())});
        std::sort(all.begin(), all.end(), [](const Text& a, const Text& b) {
            return std::pair(a.at.line, a.at.column) < std::pair(b.at.line, b.at.column);
        });
        return all;
    }
    std::optional<TableReader> table(std::string_view key) {
        const toml::node* node = find(key);
        if (node == nullptr)
            return std::nullopt;
        if (!node->is_table()) {
            complain(position_of(node->source()), fmt::format("\"{}\" is a table: [{}]", key, key));
            return std::nullopt;
        }
        return TableReader(*node->as_table(), fmt::format("\"{}\"", key), source_, complaints_);
    }
    std::vector<TableReader> tables(std::string_view key) {
        std::vector<TableReader> all;
        const toml::node* node = find(key);
        const toml::array* array = node == nullptr ? nullptr : node->as_array();
        if (node != nullptr && node->is_table())
            all.emplace_back(*node->as_table(), fmt::format("\"{}\"", key), source_, complaints_);
        for (std::size_t i = 0; array != nullptr && i < array->size(); ++i)
            if (const toml::table* one = (*array)[i].as_table())
                all.emplace_back(*one, fmt::format("\"{}\"", key), source_, complaints_);
        if (all.empty())
            complain(node == nullptr ? at_ : position_of(node->source()),
                     fmt::format("{} needs \"{}\", a list of tables: [{{ ... }}]", where_, key));
        return all;
    }
    // It may be there.
    void allow(std::string_view key) { known_.emplace_back(key); }
    // To be called last.
    void finish() {
        for (const Text& key : keys()) {
            if (std::find(known_.begin(), known_.end(), key.text) != known_.end())
                continue;
            const std::string near = nearest(key.text, known_);
            complain(key.at, fmt::format("{} has no key \"{}\"{}", where_, key.text,
                                         near.empty() ? fmt::format(" (there are: {})",
                                                                    fmt::join(known_, ", "))
                                                      : fmt::format(": is it \"{}\"?", near)));
        }
    }

  private:
    const toml::node* find(std::string_view key) {
        known_.emplace_back(key);
        return table_.get(key);
    }

    // Behind the quotation marks, and behind the line's end if that follows them.
    Text text_of(const toml::node& node) {
        Position at = position_of(node.source());
        std::size_t offset = 0;
        for (unsigned line = 1; line < at.line && offset != std::string_view::npos; ++line) {
            offset = source_.find('\n', offset);
            offset += offset == std::string_view::npos ? 0 : 1;
        }
        const std::string_view rest =
            offset == std::string_view::npos
                ? std::string_view()
                : source_.substr(std::min(offset + at.column - 1, source_.size()));
        const bool block = rest.starts_with("'''") || rest.starts_with("\"\"\"");
        at.column += block ? 3 : 1;
        if (block && (rest.substr(3).starts_with("\n") || rest.substr(3).starts_with("\r\n")))
            at = {at.line + 1, 1};
        return {node.as_string()->get(), at};
    }

    const toml::table& table_;
    std::string where_;
    std::string_view source_;
    Complaints& complaints_;
    Position at_;
    std::vector<std::string> known_;
};

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

// What variants have, and what the file says for all of them.
// A variant gives a parameter's value beside these.
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

template <typename Read> void each_table(TableReader& top, std::string_view key, const Read& read) {
    std::optional<TableReader> all = top.table(key);
    if (!all)
        return;
    for (const Text& name : all->keys())
        if (std::optional<TableReader> one = all->table(name.text))
            read(name, *one);
}

} // namespace

std::string to_string(const std::string& path, const Complaints& complaints) {
    std::string text;
    for (const Complaint& one : complaints)
        text += fmt::format("{}:{}:{}: {}\n", path, one.at.line, one.at.column, one.text);
    return text;
}

namespace {

ReadFile read_checked(const std::string& text, const std::string& path) {
    ReadFile read;
    ScenarioFile& file = read.file;
    file.path = path;
    const toml::parse_result parsed = toml::parse(text);
    if (!parsed) {
        read.complaints.push_back({position_of(parsed.error().source()),
                                   "no TOML: " + std::string(parsed.error().description())});
        return read;
    }
    TableReader top(parsed.table(), "the file", text, read.complaints);
    if (top.number("faultline", 0, 0, 1000000) != language_version) {
        top.complain({1, 1}, fmt::format("the file begins with the version of the language: "
                                         "faultline = {}",
                                         language_version));
        return read;
    }
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
    top.finish();
    return read;
}

} // namespace

ReadFile read_scenario(const std::string& text, const std::string& path) {
    try {
        return read_checked(text, path);
    } catch (const BrokenAssertion&) {
        ReadFile none;
        none.complaints.push_back(
            {{1, 1}, "no TOML: a key has bytes that a name cannot begin with"});
        return none;
    }
}

} // namespace faultline
