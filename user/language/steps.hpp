// SPDX-License-Identifier: GPL-2.0
// The steps of a scenario as text and as a tree.
//
//     page = random_hole(near)          # a result gets a name
//     at mapped                         # a site of a schedule, user:mapped
//     seen = mincore(near[page]) as page=there, *=gone
//     repeat 3
//       madvise(far[2..6], DONTNEED)    # pages 2 to 5
//     end
//     for i in 0..8 ... end             # i is 0 to 7
//     until toucher ... end             # until the actor has ended
//     if seen = hole and count > 3 ... else ... end
//     {act}                             # what the variant gives as `act`
//     done = {act}                      # the same; its last step is a call, whose result this is
//     at go; load(near[0]); at done     # several on a line
//
// Everything keeps its position in the file, and prints back: print(parse(text)) is the same text
// except white space.
#ifndef FAULTLINE_LANGUAGE_STEPS_HPP
#define FAULTLINE_LANGUAGE_STEPS_HPP

#include "kernel/result.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace faultline {

struct Position {
    unsigned line = 1;
    unsigned column = 1;
    friend bool operator==(const Position&, const Position&) = default;
};

// A text of a file, and where it begins.
struct Text {
    std::string text = {};
    Position at = {};
    // Not by its place.
    friend bool operator==(const Text& a, const Text& b) { return a.text == b.text; }
};

// The error, and the right form.
struct Complaint {
    Position at;
    std::string text;
};

struct Expression {
    enum class Kind {
        number,
        name,      // of an object, a result, a constant
        parameter, // {name}
        text,      // "..."
        page,      // parts: what, number
        pages,     // parts: what, from, to (to may be absent)
        sum,       // parts: left, right; op
    };
    Kind kind = Kind::number;
    std::int64_t number = 0;
    std::string text = {};
    char op = '+';
    std::vector<Expression> parts = {};
    Position at = {};
};

struct GivenArgument {
    std::string name = {}; // "" = by its place
    Expression value = {};
    Position at = {};
};

struct Call {
    std::string operation = {};
    std::vector<GivenArgument> arguments = {};
    Position at = {};
};

struct Term {
    std::string name = {};
    std::string comparison = {}; // "=", "!=", "<", ">", "<=", ">="
    std::string value = {};
    Position at = {};
};

struct Step {
    enum class Kind { at, call, repeat, each, until, when, parameter, comment };
    Kind kind = Kind::call;
    std::string name = {}; // of the result, the site, the loop's variable, the actor, the parameter
    std::string result = {}; // of a parameter: the name of what its last step gives
    Call call = {};
    std::vector<std::pair<std::string, std::string>> as = {}; // words renamed; "*": all others
    std::vector<Expression> bounds = {}; // of repeat: how often; of for: from and to
    std::vector<Term> terms = {};        // of if: all must hold
    std::vector<Step> steps = {};
    std::vector<Step> otherwise = {};
    std::string comment = {}; // behind it on the line
    bool joined = false;      // on the line of the step before it, behind a semicolon
    Position at = {};
};

// Only the errors, if there are any.
struct Parsed {
    std::vector<Step> steps;
    std::optional<Complaint> complaint;
};
Parsed parse_steps(const Text& text);
// An expression alone, of a parameter.
struct ParsedExpression {
    Expression expression;
    std::optional<Complaint> complaint;
};
ParsedExpression parse_expression(const Text& text);

std::string print(const std::vector<Step>& steps, unsigned indent = 0);
std::string print(const Expression& expression);

} // namespace faultline

#endif // FAULTLINE_LANGUAGE_STEPS_HPP
