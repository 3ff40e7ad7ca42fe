// SPDX-License-Identifier: GPL-2.0
#include "emit/c_pieces.hpp"

#include <algorithm>
#include <cctype>
#include <set>

namespace faultline {

namespace {

bool is_letter(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

using Words = std::set<std::string, std::less<>>;

// But not members.
Words words_of(std::string_view code) {
    Words words;
    for (std::size_t i = 0; i < code.size();) {
        if (!is_letter(code[i])) {
            ++i;
            continue;
        }
        std::size_t end = i;
        while (end < code.size() && is_letter(code[end]))
            ++end;
        const bool member =
            i > 0 && (code[i - 1] == '.' || (i > 1 && code.substr(i - 2, 2) == "->"));
        if (!member)
            words.emplace(code.substr(i, end - i));
        i = end;
    }
    return words;
}

struct Piece {
    std::string text = {};
    Words defines = {};
    Words uses = {};
    bool taken = false;
};

// "static int f(int a)" gives f; "struct s {" gives s; "#define M 1" gives each M; a variable gives
// all words of its last line, which is more than needed.
Words names_in(std::string_view code) {
    Words names;
    const std::size_t begin = std::min(code.find_first_not_of(" \n\t"), code.size());
    const std::string_view first = code.substr(begin, code.find('\n', begin) - begin);
    if (first.starts_with("#define")) {
        constexpr std::string_view define = "#define ";
        for (std::size_t at = code.find(define); at != std::string_view::npos;
             at = code.find(define, at + 1)) {
            const std::size_t name = at + define.size();
            names.emplace(code.substr(name, code.find_first_of(" \n(", name) - name));
        }
        return names;
    }
    const std::size_t open = first.find('(');
    if (open != std::string_view::npos) {
        std::size_t start = open;
        while (start > 0 && is_letter(first[start - 1]))
            --start;
        names.emplace(first.substr(start, open - start));
        return names;
    }
    constexpr std::string_view structure = "struct ";
    if (first.starts_with(structure) && first.ends_with('{')) {
        names.emplace(first.substr(structure.size(), first.size() - structure.size() - 2));
        return names;
    }
    const std::size_t end = code.find_last_not_of(" \n\t");
    if (end == std::string_view::npos)
        return names;
    const std::size_t line = code.rfind('\n', end);
    names = words_of(code.substr(line == std::string_view::npos ? 0 : line));
    std::erase_if(names, [](const std::string& word) {
        constexpr std::string_view others[] = {"static", "const", "struct",   "long",
                                               "int",    "char",  "volatile", "__thread"};
        return std::isdigit(static_cast<unsigned char>(word.front())) != 0 ||
               std::find(std::begin(others), std::end(others), word) != std::end(others);
    });
    return names;
}

std::vector<Piece> split(std::string_view text) {
    std::vector<Piece> pieces;
    const std::string code = without_comments(text);
    for (std::size_t from = 0; from < text.size();) {
        const std::size_t end = std::min(text.find("\n\n", from), text.size());
        Piece piece{.text = std::string(text.substr(from, end - from))};
        const std::string_view own = std::string_view(code).substr(from, end - from);
        piece.defines = names_in(own);
        piece.uses = words_of(own);
        if (!piece.defines.empty())
            pieces.push_back(std::move(piece));
        from = end + 2;
    }
    return pieces;
}

} // namespace

std::string without_comments(std::string_view c) {
    std::string made(c);
    const auto blank = [&made](std::size_t from, std::size_t to) {
        for (std::size_t i = from; i < std::min(to, made.size()); ++i)
            if (made[i] != '\n')
                made[i] = ' ';
    };
    for (std::size_t i = 0; i < c.size();) {
        std::size_t end = i + 1;
        if (c.substr(i, 2) == "/*") {
            end = c.find("*/", i + 2);
            end = end == std::string_view::npos ? c.size() : end + 2;
            blank(i, end);
        } else if (c.substr(i, 2) == "//") {
            end = std::min(c.find('\n', i), c.size());
            blank(i, end);
        } else if (c[i] == '"' || c[i] == '\'') {
            while (end < c.size() && c[end] != c[i] && c[end] != '\n')
                end += c[end] == '\\' ? 2 : 1;
            blank(i + 1, end);
            ++end;
        }
        i = end;
    }
    return made;
}

std::string pieces_for(std::string_view text, std::string_view program) {
    std::vector<Piece> pieces = split(text);
    Words wanted = words_of(without_comments(program));
    for (bool more = true; more;) {
        more = false;
        for (Piece& piece : pieces) {
            const bool used =
                std::any_of(piece.defines.begin(), piece.defines.end(),
                            [&wanted](const std::string& name) { return wanted.contains(name); });
            if (piece.taken || !used)
                continue;
            piece.taken = true;
            more = true;
            wanted.insert(piece.uses.begin(), piece.uses.end());
        }
    }
    std::string made;
    for (const Piece& piece : pieces)
        if (piece.taken)
            made += piece.text + "\n\n";
    return made;
}

} // namespace faultline
