// SPDX-License-Identifier: GPL-2.0
// A file of TOML, read table by table: every text with its position, every key that nobody asked
// for a complaint. The language layer uses it, and other readers of tables.
#ifndef FAULTLINE_LANGUAGE_TABLE_READER_HPP
#define FAULTLINE_LANGUAGE_TABLE_READER_HPP

#include "language/file.hpp"
#include "operations/operation.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// The parser takes its assertions for facts where NDEBUG is set, and the fuzz target found bytes
// that break one: a table's name that begins with no letter. Here they are checked, and end the
// parsing.
namespace faultline {
struct BrokenAssertion {};
[[noreturn]] inline void break_off() { throw BrokenAssertion(); }
} // namespace faultline
#undef NDEBUG
#define TOML_ASSERT(condition) ((condition) ? void() : faultline::break_off())
#define TOML_HEADER_ONLY 1
#define TOML_EXCEPTIONS 0
#define TOML_ENABLE_FORMATTERS 0
#include <toml++/toml.h>

namespace faultline {

inline Position position_of(const toml::source_region& region) {
    return {region.begin.line, region.begin.column};
}

// A table whose every key must be read: the other keys are unknown.
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
    // "text", or { text = "text", of = "NAME" }
    FileMeasure measure(const Text& name) {
        const toml::node* node = table_.get(name.text);
        if (node != nullptr && !node->is_table())
            return {name, text(name.text), {}};
        std::optional<TableReader> given = table(name.text);
        FileMeasure read{name, {}, {}};
        if (!given)
            return read;
        read.text = given->text("text", true);
        read.of = given->text("of");
        given->finish();
        return read;
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

// [KEY.name], each with its name.
template <typename Read> void each_table(TableReader& top, std::string_view key, const Read& read) {
    std::optional<TableReader> all = top.table(key);
    if (!all)
        return;
    for (const Text& name : all->keys())
        if (std::optional<TableReader> one = all->table(name.text))
            read(name, *one);
}

// Reads a file that begins with the version of the language. `read` asks the outermost table.
template <typename Read>
void read_tables(const std::string& text, Complaints& complaints, const Read& read) {
    try {
        const toml::parse_result parsed = toml::parse(text);
        if (!parsed) {
            complaints.push_back({position_of(parsed.error().source()),
                                  "no TOML: " + std::string(parsed.error().description())});
            return;
        }
        TableReader top(parsed.table(), "the file", text, complaints);
        if (top.number("faultline", 0, 0, 1000000) != language_version) {
            top.complain({1, 1}, fmt::format("the file begins with the version of the language: "
                                             "faultline = {}",
                                             language_version));
            return;
        }
        read(top);
        top.finish();
    } catch (const BrokenAssertion&) {
        complaints.push_back({{1, 1}, "no TOML: a key has bytes that a name cannot begin with"});
    }
}

} // namespace faultline

#endif // FAULTLINE_LANGUAGE_TABLE_READER_HPP
