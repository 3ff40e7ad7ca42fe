// SPDX-License-Identifier: GPL-2.0
#include "emit/source_text.hpp"

#include "kernel/counters.hpp"

#include "emit/c_pieces.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <set>

namespace faultline {

namespace {

constexpr std::size_t nowhere = std::string::npos;
constexpr std::string_view spaces = " \t\r\n\f\v";

bool is_letter(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

// A declaration begins with one of these...
constexpr std::array<std::string_view, 19> types = {
    "struct",   "union", "enum",   "const",  "static",    "unsigned", "signed",
    "int",      "long",  "short",  "char",   "void",      "bool",     "volatile",
    "register", "float", "double", "typeof", "__typeof__"};
// ...and a statement with one of these, which might else be taken for a type.
constexpr std::array<std::string_view, 12> statements = {"return", "goto",     "if",   "while",
                                                         "for",    "switch",   "do",   "else",
                                                         "break",  "continue", "case", "default"};

// MA_STATE(mas, ...), LIST_HEAD(list), DEFINE_WAIT(wait): declarations by macro.
bool declares(std::string_view macro) {
    for (const std::string_view begin :
         {"DEFINE_", "DECLARE_", "LIST_HEAD", "HLIST_HEAD", "XA_STATE", "CLASS"})
        if (macro.starts_with(begin))
            return true;
    return macro.ends_with("_STATE") || macro.ends_with("_ITERATOR") || macro.ends_with("_ONSTACK");
}

// "mremap" of "__x64_sys_mremap"; "" if it is no system call.
std::string_view system_call(std::string_view function) {
    constexpr std::string_view sys = "sys_";
    const std::size_t at = function.find(sys);
    if (at == nowhere)
        return {};
    const std::string_view prefix = function.substr(0, at);
    const bool known = prefix.empty() || (prefix.starts_with("__") && prefix.ends_with('_'));
    return known ? function.substr(at + sys.size()) : std::string_view();
}

} // namespace

SourceText::SourceText(std::string text) : text_(std::move(text)), code_(without_comments(text_)) {
    unsigned open = 0;
    bool directive = false; // the line before ended in a backslash
    for (std::size_t from = 0; from < code_.size();) {
        const std::size_t end = std::min(code_.find('\n', from), code_.size());
        lines_.push_back(from);
        conditions_.push_back(open);
        const std::size_t first = code_.find_first_not_of(" \t", from);
        const bool begins = first < end && code_[first] == '#';
        if (begins || directive) {
            const std::size_t word = begins ? code_.find_first_not_of(" \t", first + 1) : nowhere;
            const std::string_view rest =
                word < end ? std::string_view(code_).substr(word, end - word) : std::string_view();
            if (rest.starts_with("if"))
                ++open;
            else if (rest.starts_with("endif") && open > 0)
                --open;
            directive = end > from && code_[end - 1] == '\\';
            std::fill(code_.begin() + static_cast<long>(from),
                      code_.begin() + static_cast<long>(end), ' ');
        }
        from = end + 1;
    }
}

std::size_t SourceText::skip_spaces(std::size_t at) const {
    return std::min(code_.find_first_not_of(spaces, at), code_.size());
}

std::string_view SourceText::word_at(std::size_t at) const {
    std::size_t end = at;
    while (end < code_.size() && is_letter(code_[end]))
        ++end;
    return std::string_view(code_).substr(at, end - at);
}

// For a bracket of any kind; nowhere: the text ends before.
std::size_t SourceText::matching(std::size_t open) const {
    const char begin = code_[open];
    const char end = begin == '(' ? ')' : begin == '{' ? '}' : ']';
    unsigned depth = 0;
    for (std::size_t i = open; i < code_.size(); ++i) {
        depth += code_[i] == begin ? 1 : 0;
        if (code_[i] == end && --depth == 0)
            return i;
    }
    return nowhere;
}

// The brace of the body of the function with its arguments there; nowhere: it is no definition.
std::size_t SourceText::body_behind(std::size_t open_parenthesis) const {
    const std::size_t close = matching(open_parenthesis);
    if (close == nowhere)
        return nowhere;
    // Before ANSI C the types stand behind: f(a, b) int a; char *b; {
    std::set<std::string_view> names;
    const std::size_t inside = open_parenthesis + 1;
    const std::string_view list = std::string_view(code_).substr(inside, close - inside);
    const bool bare = std::all_of(list.begin(), list.end(), [](char c) {
        return is_letter(c) || c == ',' || spaces.find(c) != nowhere;
    });
    for (std::size_t i = inside; bare && i < close; ++i)
        if (is_letter(code_[i])) {
            names.insert(word_at(i));
            i += word_at(i).size();
        }
    std::string_view last;
    for (std::size_t i = skip_spaces(close + 1); i < code_.size(); i = skip_spaces(i)) {
        const char c = code_[i];
        if (c == '{')
            return i;
        if (is_letter(c)) {
            last = word_at(i);
            i += last.size();
        } else if (c == '(' || c == '[') { // of an attribute, of an array
            i = matching(i);
            if (i == nowhere)
                return nowhere;
            ++i;
        } else if (c == '*' || ((c == ';' || c == ',') && names.contains(last))) {
            ++i;
        } else {
            return nowhere;
        }
    }
    return nowhere;
}

std::vector<std::size_t> SourceText::bodies(std::string_view function) const {
    std::vector<std::size_t> found;
    const std::string_view call = system_call(function);
    unsigned depth = 0;
    for (std::size_t i = 0; i < code_.size(); ++i) {
        const char c = code_[i];
        // A function ends there, whatever branches of #if did to the braces before.
        if (c == '}' && (i == 0 || code_[i - 1] == '\n'))
            depth = 0;
        else if (c == '{' || c == '(')
            ++depth;
        else if ((c == '}' || c == ')') && depth > 0)
            --depth;
        if (depth != 0 || !is_letter(c) || (i > 0 && is_letter(code_[i - 1])))
            continue;
        const std::string_view word = word_at(i);
        const std::size_t open = skip_spaces(i + word.size());
        if (open >= code_.size() || code_[open] != '(')
            continue;
        const bool macro = !call.empty() && word.starts_with("SYSCALL_DEFINE") &&
                           word_at(skip_spaces(open + 1)) == call;
        if (word != function && !macro)
            continue;
        if (const std::size_t body = body_behind(open); body != nowhere)
            found.push_back(body);
    }
    return found;
}

bool SourceText::declaration_at(std::size_t at) const {
    const std::string_view word = word_at(at);
    if (word.empty() || among(statements, word))
        return false;
    if (among(types, word))
        return true;
    std::size_t next = skip_spaces(at + word.size());
    if (next >= code_.size())
        return false;
    if (code_[next] == '(')
        return declares(word);
    if (is_letter(code_[next])) // size_t bytes
        return true;
    if (code_[next] != '*')
        return false;
    while (next < code_.size() && (code_[next] == '*' || word_at(next) == "const"))
        next = skip_spaces(next + (code_[next] == '*' ? 1 : 5));
    const std::string_view name = word_at(next);
    const std::size_t behind = skip_spaces(next + name.size());
    constexpr std::string_view ends = "=;,[";
    return !name.empty() && behind < code_.size() && ends.find(code_[behind]) != nowhere;
}

// Behind its semicolon; or behind the brace of a second head of the same function, under #else.
std::size_t SourceText::end_of_declaration(std::size_t at) const {
    char before = ' ';
    for (std::size_t i = at; i < code_.size(); ++i) {
        const char c = code_[i];
        if (c == ';')
            return i + 1;
        if (c == '{' && before == ')')
            return i + 1;
        if (c == '(' || c == '{' || c == '[') {
            i = matching(i);
            if (i == nowhere)
                return nowhere;
        }
        if (spaces.find(code_[i]) == nowhere)
            before = code_[i];
    }
    return nowhere;
}

std::size_t SourceText::behind_declarations(std::size_t at) const {
    for (;;) {
        const std::size_t place = skip_spaces(at);
        if (place >= code_.size() || !declaration_at(place))
            return place;
        at = end_of_declaration(place);
        if (at == nowhere)
            return place;
    }
}

std::size_t SourceText::line_start(std::size_t at) const {
    const std::size_t before = at == 0 ? nowhere : code_.rfind('\n', at - 1);
    return before == nowhere ? 0 : before + 1;
}

// Not inside of an #if that the body itself is not in.
std::size_t SourceText::outside_conditions(std::size_t place, std::size_t body) const {
    const auto line_of = [this](std::size_t at) {
        return static_cast<std::size_t>(std::upper_bound(lines_.begin(), lines_.end(), at) -
                                        lines_.begin()) -
               1;
    };
    std::size_t line = line_of(place);
    const std::size_t first = line_of(body);
    while (line > first + 1 && conditions_[line] > conditions_[first])
        --line;
    return line == line_of(place) ? place : lines_[line];
}

std::vector<std::size_t> SourceText::entries(std::string_view function) const {
    std::vector<std::size_t> places;
    for (const std::size_t body : bodies(function)) {
        std::size_t place = behind_declarations(body + 1);
        if (place >= code_.size())
            continue;
        place = outside_conditions(place, body);
        const std::size_t start = line_start(place);
        // On a line of its own, if nothing but white space is before it there.
        const std::size_t chosen = start > body && skip_spaces(start) >= place ? start : place;
        if (std::find(places.begin(), places.end(), chosen) == places.end())
            places.push_back(chosen);
    }
    return places;
}

// The beginning of the statement that `at` is in; nowhere: nothing can stand in front of it.
std::size_t SourceText::statement_before(std::size_t at, std::size_t body) const {
    unsigned depth = 0;
    std::size_t begin = body + 1;
    for (std::size_t i = at; i > body; --i) {
        const char c = code_[i];
        depth += c == ')' ? 1 : 0;
        if (c == '(' && depth > 0) {
            --depth;
        } else if (depth == 0 && (c == ';' || c == '{' || c == '}')) {
            begin = i + 1;
            break;
        }
    }
    begin = skip_spaces(begin);
    const std::string_view word = word_at(begin);
    const std::size_t next = skip_spaces(begin + word.size());
    if (word == "else" || word == "case" || word == "default" || code_[next] == ':' ||
        declaration_at(begin))
        return nowhere;
    return begin;
}

std::vector<std::size_t> SourceText::calls(std::string_view function,
                                           std::string_view caller) const {
    std::vector<std::size_t> places;
    for (const std::size_t body : bodies(caller)) {
        const std::size_t end = std::min(matching(body), code_.size());
        for (std::size_t at = code_.find(function, body); at < end;
             at = code_.find(function, at + 1)) {
            const std::size_t open = skip_spaces(at + function.size());
            if (is_letter(code_[at - 1]) || word_at(at) != function || code_[open] != '(')
                continue;
            const std::size_t begin = statement_before(at - 1, body);
            if (begin == nowhere)
                continue;
            const std::size_t start = line_start(begin);
            const std::size_t chosen = skip_spaces(start) >= begin ? start : begin;
            if (std::find(places.begin(), places.end(), chosen) == places.end())
                places.push_back(chosen);
        }
    }
    return places;
}

std::size_t SourceText::include_place(std::string_view header) const {
    std::size_t place = nowhere;
    unsigned least = ~0U;
    const std::string code = without_comments(text_);
    for (std::size_t i = 0; i < lines_.size(); ++i) {
        const std::string_view line = std::string_view(text_).substr(lines_[i]);
        if (!std::string_view(code).substr(lines_[i]).starts_with("#include <linux/"))
            continue;
        if (line.starts_with("#include <" + std::string(header) + ">"))
            return nowhere;
        if (conditions_[i] < least) {
            least = conditions_[i];
            place = lines_[i];
        }
    }
    if (place != nowhere)
        return place;
    const bool licence = text_.starts_with("// ");
    return licence && lines_.size() > 1 ? lines_[1] : 0;
}

} // namespace faultline
