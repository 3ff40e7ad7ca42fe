// SPDX-License-Identifier: GPL-2.0
#include "language/steps.hpp"

#include <cctype>
#include <charconv>
#include <fmt/format.h>

namespace faultline {

namespace {

constexpr unsigned deepest = 16; // blocks and brackets in each other

bool begins_name(char c) { return std::isalpha(static_cast<unsigned char>(c)) != 0 || c == '_'; }
bool in_name(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

struct Token {
    enum class Kind { name, number, text, sign, end };
    Kind kind = Kind::end;
    std::string text;
    Position at;
};

std::string shown(const Token& token) {
    return token.kind == Token::Kind::end ? "the end of the line" : "\"" + token.text + "\"";
}

// The first complaint stays; after it nothing is read any more.
class LineReader {
  public:
    LineReader(std::string_view line, Position at, std::optional<Complaint>& complaint)
        : line_(line), start_(at), complaint_(complaint) {
        next();
    }

    [[nodiscard]] const Token& now() const { return now_; }
    [[nodiscard]] const std::string& comment() const { return comment_; }
    [[nodiscard]] bool good() const { return !complaint_; }

    void complain(Position at, std::string text) {
        if (!complaint_)
            complaint_ = Complaint{at, std::move(text)};
        now_ = {Token::Kind::end, "", at};
    }
    void expected(std::string_view what) {
        complain(now_.at, fmt::format("expected {}, not {}", what, shown(now_)));
    }
    Token take() {
        Token taken = now_;
        if (good())
            next();
        return taken;
    }
    bool take_sign(std::string_view sign) {
        if (now_.kind != Token::Kind::sign || now_.text != sign)
            return false;
        next();
        return true;
    }
    bool take_word(std::string_view word) {
        if (now_.kind != Token::Kind::name || now_.text != word)
            return false;
        next();
        return true;
    }
    std::string name(std::string_view what) {
        if (now_.kind == Token::Kind::name)
            return take().text;
        expected(what);
        return {};
    }
    // Anything up to a space or one of these: a word of an outcome may begin with a digit.
    std::string word(std::string_view what) {
        if (now_.kind == Token::Kind::name || now_.kind == Token::Kind::number)
            return take().text;
        if (now_.kind == Token::Kind::sign && (now_.text == "-" || now_.text == "*"))
            return take().text;
        expected(what);
        return {};
    }
    void finish(std::string_view after) {
        if (good() && now_.kind != Token::Kind::end)
            complain(now_.at, fmt::format("{} after {}: one step a line", shown(now_), after));
    }

  private:
    void next() {
        while (at_ < line_.size() && (line_[at_] == ' ' || line_[at_] == '\t'))
            ++at_;
        const Position here{start_.line, start_.column + static_cast<unsigned>(at_)};
        if (at_ >= line_.size() || line_[at_] == '#') {
            if (at_ < line_.size())
                comment_ = std::string(line_.substr(at_));
            now_ = {Token::Kind::end, "", here};
            return;
        }
        const std::size_t from = at_;
        const char c = line_[at_];
        if (begins_name(c))
            now_ = {Token::Kind::name, take_name(), here};
        else if (std::isdigit(static_cast<unsigned char>(c)) != 0) {
            while (at_ < line_.size() && in_name(line_[at_]))
                ++at_;
            now_ = {Token::Kind::number, std::string(line_.substr(from, at_ - from)), here};
        } else if (c == '"')
            take_text(here);
        else
            take_any_sign(here);
    }

    // A hyphen between letters is part of a name; a minus has spaces.
    std::string take_name() {
        const std::size_t from = at_;
        while (at_ < line_.size() &&
               (in_name(line_[at_]) ||
                (line_[at_] == '-' && at_ + 1 < line_.size() && in_name(line_[at_ + 1]))))
            ++at_;
        return std::string(line_.substr(from, at_ - from));
    }

    void take_text(Position here) {
        const std::size_t close = line_.find('"', at_ + 1);
        if (close == std::string_view::npos)
            return complain(here, "a text that does not end: \" is missing");
        now_ = {Token::Kind::text, std::string(line_.substr(at_ + 1, close - at_ - 1)), here};
        at_ = close + 1;
    }

    void take_any_sign(Position here) {
        for (const std::string_view sign : {"..", "!=", "<=", ">=", "=", "<", ">", "(", ")", "[",
                                            "]", "{", "}", ",", "+", "-", "*"})
            if (line_.substr(at_).starts_with(sign)) {
                now_ = {Token::Kind::sign, std::string(sign), here};
                at_ += sign.size();
                return;
            }
        const auto byte = static_cast<unsigned char>(line_[at_]);
        complain(here, byte >= ' ' && byte < 0x7f
                           ? fmt::format("the sign \"{}\" means nothing here", line_[at_])
                           : fmt::format("the byte {:#04x} means nothing here", byte));
    }

    std::string_view line_;
    Position start_;
    std::optional<Complaint>& complaint_;
    std::size_t at_ = 0;
    Token now_;
    std::string comment_;
};

Expression read_sum(LineReader& line, unsigned depth);

std::optional<std::int64_t> number_of(std::string_view text) {
    const bool hexadecimal = text.starts_with("0x");
    const std::string_view digits = hexadecimal ? text.substr(2) : text;
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number,
                                              hexadecimal ? 16 : 10);
    if (error != std::errc() || end != digits.data() + digits.size() || digits.empty())
        return std::nullopt;
    return number;
}

Expression read_single(LineReader& line, unsigned depth) {
    Expression made;
    made.at = line.now().at;
    switch (line.now().kind) {
    case Token::Kind::number: {
        const Token token = line.take();
        const std::optional<std::int64_t> number = number_of(token.text);
        if (!number)
            line.complain(token.at, fmt::format("\"{}\" is no number", token.text));
        made.number = number.value_or(0);
        return made;
    }
    case Token::Kind::text:
        made.kind = Expression::Kind::text;
        made.text = line.take().text;
        return made;
    case Token::Kind::name:
        made.kind = Expression::Kind::name;
        made.text = line.take().text;
        return made;
    case Token::Kind::sign:
        if (line.take_sign("{")) {
            made.kind = Expression::Kind::parameter;
            made.text = line.name("the name of a parameter");
            if (!line.take_sign("}"))
                line.expected("\"}\" after the parameter's name");
            return made;
        }
        if (line.take_sign("(")) {
            made = read_sum(line, depth + 1);
            if (!line.take_sign(")"))
                line.expected("\")\"");
            return made;
        }
        break;
    case Token::Kind::end:
        break;
    }
    line.expected("a number, a name or a text");
    return made;
}

// near[page], near[2..6], near[2..]
Expression read_pages(LineReader& line, unsigned depth) {
    Expression what = read_single(line, depth);
    if (!line.take_sign("["))
        return what;
    Expression made;
    made.at = what.at;
    made.kind = Expression::Kind::page;
    made.parts.push_back(std::move(what));
    made.parts.push_back(read_sum(line, depth + 1));
    if (line.take_sign("..")) {
        made.kind = Expression::Kind::pages;
        if (line.now().text != "]")
            made.parts.push_back(read_sum(line, depth + 1));
    }
    if (!line.take_sign("]"))
        line.expected("\"]\"");
    return made;
}

Expression read_sum(LineReader& line, unsigned depth) {
    if (depth > deepest) {
        line.complain(line.now().at, "too many brackets in each other");
        return {};
    }
    Expression left = read_pages(line, depth);
    for (unsigned more = 0; line.good(); ++more) {
        const std::string sign = line.now().kind == Token::Kind::sign ? line.now().text : "";
        if (sign != "+" && sign != "-" && sign != "*")
            break;
        if (more == deepest) {
            line.complain(line.now().at, "too long a sum");
            break;
        }
        Expression sum;
        sum.at = left.at;
        sum.kind = Expression::Kind::sum;
        sum.op = sign.front();
        line.take();
        sum.parts.push_back(std::move(left));
        sum.parts.push_back(read_pages(line, depth));
        left = std::move(sum);
    }
    return left;
}

Call read_call(LineReader& line, std::string operation, Position at) {
    Call call;
    call.operation = std::move(operation);
    call.at = at;
    if (!line.take_sign("(")) {
        line.expected(fmt::format("\"(\" after {}", call.operation));
        return call;
    }
    while (line.good() && !line.take_sign(")")) {
        if (!call.arguments.empty() && !line.take_sign(",")) {
            line.expected("\",\" or \")\"");
            break;
        }
        GivenArgument argument;
        argument.at = line.now().at;
        argument.value = read_sum(line, 0);
        if (argument.value.kind == Expression::Kind::name && line.take_sign("=")) {
            argument.name = argument.value.text;
            argument.value = read_sum(line, 0);
        }
        call.arguments.push_back(std::move(argument));
    }
    return call;
}

void read_renames(LineReader& line, Step& step) {
    if (!line.take_word("as"))
        return;
    do {
        std::string from = line.word("a word of the result, or *");
        if (!line.take_sign("="))
            line.expected("\"=\" and the word that it becomes");
        std::string to = line.word("a word");
        step.as.emplace_back(std::move(from), std::move(to));
    } while (line.good() && line.take_sign(","));
}

std::vector<Term> read_terms(LineReader& line) {
    std::vector<Term> terms;
    do {
        Term term;
        term.at = line.now().at;
        term.name = line.name("the name of a result");
        if (line.now().kind != Token::Kind::sign) {
            line.expected("=, !=, <, >, <= or >=");
            return terms;
        }
        term.comparison = line.take().text;
        if (term.comparison.find_first_not_of("=!<>") != std::string::npos)
            line.complain(term.at, "a comparison is =, !=, <, >, <= or >=");
        term.value = line.word("a word or a number");
        terms.push_back(std::move(term));
    } while (line.good() && line.take_word("and"));
    return terms;
}

class StepsReader {
  public:
    explicit StepsReader(const Text& text) : text_(text) {
        Position at = text.at;
        for (std::size_t from = 0; from <= text.text.size();) {
            const std::size_t end = text.text.find('\n', from);
            split(std::string_view(text.text).substr(from,
                                                     end == std::string::npos ? end : end - from),
                  at);
            if (end == std::string::npos)
                break;
            from = end + 1;
            at = {at.line + 1, 1};
        }
    }

    Parsed read() {
        std::vector<Step> steps = block(0);
        if (!complaint_ && stopped_by_ != nullptr)
            complain(*stopped_by_, "nothing has begun that could end here");
        return {complaint_ ? std::vector<Step>() : std::move(steps), complaint_};
    }

  private:
    struct Line {
        std::string_view text;
        Position at;
        bool joined; // to the one before, by a semicolon
    };

    // At semicolons that are in no text and no comment.
    void split(std::string_view line, Position at) {
        bool quoted = false;
        std::size_t from = 0;
        bool joined = false;
        for (std::size_t i = 0; i < line.size(); ++i) {
            quoted = quoted != (line[i] == '"');
            if (line[i] == '#' && !quoted)
                break;
            if (line[i] != ';' || quoted)
                continue;
            lines_.push_back({line.substr(from, i - from),
                              {at.line, at.column + static_cast<unsigned>(from)},
                              joined});
            from = i + 1;
            joined = true;
        }
        lines_.push_back(
            {line.substr(from), {at.line, at.column + static_cast<unsigned>(from)}, joined});
    }

    void complain(Position at, std::string text) {
        if (!complaint_)
            complaint_ = Complaint{at, std::move(text)};
    }

    // Up to `end` or `else`, which it takes and notes, or to the end of the text.
    std::vector<Step> block(unsigned depth) {
        std::vector<Step> steps;
        stopped_by_ = nullptr;
        if (depth > deepest) {
            complain(lines_[std::min(next_, lines_.size() - 1)].at,
                     "too many blocks in each other");
            return steps;
        }
        while (next_ < lines_.size() && !complaint_) {
            const Line& line = lines_[next_++];
            LineReader reader(line.text, line.at, complaint_);
            const Token first = reader.now();
            if (complaint_)
                break;
            if (first.kind == Token::Kind::end) {
                if (!reader.comment().empty())
                    steps.push_back(
                        {.kind = Step::Kind::comment, .comment = reader.comment(), .at = first.at});
                continue;
            }
            if (first.kind == Token::Kind::name &&
                (first.text == "else" || (first.text == "end" && !begins_result(line.text)))) {
                reader.take();
                reader.finish(first.text);
                stop_ = first.at;
                stopped_by_ = &stop_;
                stopped_else_ = first.text == "else";
                return steps;
            }
            const bool joined = line.joined;
            steps.push_back(step(reader, depth));
            steps.back().joined = joined;
            stopped_by_ = nullptr;
        }
        return steps;
    }

    // "end = ...": a result may be called so.
    static bool begins_result(std::string_view line) {
        const std::size_t name = line.find_first_not_of(" \t");
        const std::size_t sign = line.find_first_of(" \t=", name);
        return sign != std::string_view::npos &&
               line.substr(std::min(line.find_first_not_of(" \t", sign), line.size()))
                   .starts_with('=');
    }

    void read_block(Step& step, unsigned depth) {
        step.steps = block(depth + 1);
        const bool otherwise = stopped_by_ != nullptr && stopped_else_;
        if (otherwise && step.kind != Step::Kind::when)
            return complain(stop_, "\"else\" belongs to an \"if\"");
        if (otherwise) {
            step.otherwise = block(depth + 1);
            if (stopped_by_ != nullptr && stopped_else_)
                return complain(stop_, "a second \"else\"");
        }
        if (stopped_by_ == nullptr)
            complain(step.at, "its \"end\" is missing");
    }

    Step step(LineReader& line, unsigned depth) {
        Step made;
        made.at = line.now().at;
        if (line.take_sign("{")) {
            made.kind = Step::Kind::parameter;
            made.name = line.name("the name of a parameter");
            if (!line.take_sign("}"))
                line.expected("\"}\" after the parameter's name");
            return ended(std::move(made), line, "a parameter");
        }
        const std::string name = line.name("a step");
        if (name == "at") {
            made.kind = Step::Kind::at;
            made.name = line.name("the name of a site");
            return ended(std::move(made), line, "the site");
        }
        if (name == "repeat") {
            made.kind = Step::Kind::repeat;
            made.bounds.push_back(read_sum(line, 0));
        } else if (name == "for") {
            made.kind = Step::Kind::each;
            made.name = line.name("a name for the number");
            if (!line.take_word("in"))
                line.expected("\"in\", as in: for page in 0..8");
            made.bounds.push_back(read_sum(line, 0));
            if (!line.take_sign(".."))
                line.expected("\"..\", as in: for page in 0..8");
            made.bounds.push_back(read_sum(line, 0));
        } else if (name == "until") {
            made.kind = Step::Kind::until;
            made.name = line.name("the name of an actor");
        } else if (name == "if") {
            made.kind = Step::Kind::when;
            made.terms = read_terms(line);
        } else {
            return plain(std::move(made), name, line);
        }
        made = ended(std::move(made), line, name);
        if (!complaint_)
            read_block(made, depth);
        return made;
    }

    Step bound_parameter(Step made, const std::string& result, LineReader& line) {
        line.take_sign("{");
        made.kind = Step::Kind::parameter;
        made.result = result;
        made.name = line.name("the name of a parameter");
        if (!line.take_sign("}"))
            line.expected("\"}\" after the parameter's name");
        if (line.good())
            read_renames(line, made);
        return ended(std::move(made), line, "a parameter");
    }

    Step plain(Step made, const std::string& name, LineReader& line) {
        if (line.take_sign("=")) {
            if (line.now().text == "{")
                return bound_parameter(std::move(made), name, line);
            made.name = name;
            const Position at = line.now().at;
            made.call = read_call(line, line.name("an operation"), at);
        } else {
            made.call = read_call(line, name, made.at);
        }
        if (line.good())
            read_renames(line, made);
        if (!made.as.empty() && made.name.empty())
            complain(made.at,
                     "\"as\" without a name for the result: NAME = " + name + "(...) as ...");
        return ended(std::move(made), line, "the step");
    }

    static Step ended(Step made, LineReader& line, std::string_view after) {
        line.finish(after);
        made.comment = line.comment();
        return made;
    }

    const Text& text_;
    std::vector<Line> lines_;
    std::size_t next_ = 0;
    std::optional<Complaint> complaint_;
    Position stop_;
    const Position* stopped_by_ = nullptr; // the `end` or `else` that ended the last block
    bool stopped_else_ = false;
};

std::string print(const Call& call) {
    std::string text = call.operation + "(";
    for (std::size_t i = 0; i < call.arguments.size(); ++i) {
        const GivenArgument& argument = call.arguments[i];
        text += i == 0 ? "" : ", ";
        if (!argument.name.empty())
            text += argument.name + "=";
        text += print(argument.value);
    }
    return text + ")";
}

std::string print_renames(const Step& step) {
    std::string text;
    for (std::size_t i = 0; i < step.as.size(); ++i)
        text += (i == 0 ? " as " : ", ") + step.as[i].first + "=" + step.as[i].second;
    return text;
}

std::string print_head(const Step& step) {
    switch (step.kind) {
    case Step::Kind::at:
        return "at " + step.name;
    case Step::Kind::repeat:
        return "repeat " + print(step.bounds.at(0));
    case Step::Kind::each:
        return fmt::format("for {} in {}..{}", step.name, print(step.bounds.at(0)),
                           print(step.bounds.at(1)));
    case Step::Kind::until:
        return "until " + step.name;
    case Step::Kind::parameter:
        return (step.result.empty() ? "" : step.result + " = ") + "{" + step.name + "}" +
               print_renames(step);
    case Step::Kind::comment:
        return "";
    case Step::Kind::when: {
        std::string text = "if ";
        for (const Term& term : step.terms)
            text += (&term == &step.terms.front() ? "" : " and ") + term.name + " " +
                    term.comparison + " " + term.value;
        return text;
    }
    case Step::Kind::call:
        break;
    }
    std::string text = (step.name.empty() ? "" : step.name + " = ") + print(step.call);
    return text + print_renames(step);
}

bool has_block(const Step& step) {
    return step.kind == Step::Kind::repeat || step.kind == Step::Kind::each ||
           step.kind == Step::Kind::until || step.kind == Step::Kind::when;
}

} // namespace

Parsed parse_steps(const Text& text) { return StepsReader(text).read(); }

ParsedExpression parse_expression(const Text& text) {
    ParsedExpression parsed;
    LineReader line(text.text, text.at, parsed.complaint);
    if (!parsed.complaint)
        parsed.expression = read_sum(line, 0);
    line.finish("the value");
    return parsed;
}

std::string print(const Expression& expression) {
    const auto part = [&expression](std::size_t i) { return print(expression.parts.at(i)); };
    switch (expression.kind) {
    case Expression::Kind::number:
        return std::to_string(expression.number);
    case Expression::Kind::name:
        return expression.text;
    case Expression::Kind::parameter:
        return "{" + expression.text + "}";
    case Expression::Kind::text:
        return "\"" + expression.text + "\"";
    case Expression::Kind::page:
        return part(0) + "[" + part(1) + "]";
    case Expression::Kind::pages:
        return part(0) + "[" + part(1) + ".." + (expression.parts.size() > 2 ? part(2) : "") + "]";
    case Expression::Kind::sum:
        break;
    }
    const bool bracket = expression.parts.at(1).kind == Expression::Kind::sum;
    const bool left_bracket = expression.op == '*' &&
                              expression.parts.at(0).kind == Expression::Kind::sum &&
                              expression.parts.at(0).op != '*';
    return fmt::format("{} {} {}", left_bracket ? "(" + part(0) + ")" : part(0), expression.op,
                       bracket ? "(" + part(1) + ")" : part(1));
}

std::string print(const std::vector<Step>& steps, unsigned indent) {
    std::string text;
    const std::string margin(indent, ' ');
    for (const Step& step : steps) {
        const std::string head = print_head(step);
        const bool joined = step.joined && !text.empty() && text.back() == '\n' &&
                            !has_block(step) && !head.empty() && !has_block((&step)[-1]) &&
                            (&step)[-1].comment.empty();
        if (joined)
            text.back() = ';';
        text += (joined ? " " : margin) + head;
        if (!step.comment.empty())
            text += (head.empty() ? "" : "  ") + step.comment;
        text += "\n";
        if (!has_block(step))
            continue;
        text += print(step.steps, indent + 2);
        if (!step.otherwise.empty())
            text += margin + "else\n" + print(step.otherwise, indent + 2);
        text += margin + "end\n";
    }
    return text;
}

} // namespace faultline
