// SPDX-License-Identifier: GPL-2.0
#include "emit/c_steps.hpp"

#include <algorithm>
#include <cerrno>
#include <fmt/format.h>

namespace faultline {

namespace {

bool is_object(Type type) {
    return type != Type::number && type != Type::word && type != Type::error &&
           type != Type::text && type != Type::actor && type != Type::site && type != Type::nothing;
}

const Expression* given_of(const Call& call, const Argument& argument, std::size_t place) {
    for (std::size_t i = 0; i < call.arguments.size(); ++i)
        if (call.arguments[i].name.empty() ? i == place : call.arguments[i].name == argument.name)
            return &call.arguments[i].value;
    return nullptr;
}

std::string text_of(const Step& step) {
    std::string text = print({step});
    text.erase(text.find_last_not_of(" \n") + 1);
    return text;
}

// b - a
std::string difference(const std::string& b, const std::string& a) {
    const std::optional<std::int64_t> from = as_number(a);
    const std::optional<std::int64_t> to = as_number(b);
    return from && to ? std::to_string(*to - *from) : fmt::format("({} - {})", b, a);
}

// a * b
std::string times(const std::string& a, const std::string& b) {
    return a == "1" ? b : fmt::format("{} * {}", a, b);
}

std::string as_word(Type type, const std::string& expression) {
    switch (type) {
    case Type::error:
        return fmt::format("error_word({})", expression);
    case Type::number:
        return fmt::format("number_word({})", expression);
    default:
        return expression;
    }
}

} // namespace

std::string c_string(std::string_view text) {
    std::string made = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\')
            made += '\\';
        made += c == '\n' ? ' ' : c;
    }
    return made + "\"";
}

Error CSteps::no(Position at, const std::string& what) const {
    return Error::make(EOPNOTSUPP,
                       fmt::format("{}:{}:{}: {}", plan_.path, at.line, at.column, what));
}

void CSteps::line(const std::string& text) { made_ += std::string(depth_, '\t') + text + "\n"; }

Result<std::string> CSteps::statements(const std::vector<Step>& steps) {
    made_.clear();
    if (!actor_.empty())
        if (const Result<void> opened = open_part(""); !opened)
            return opened.error();
    if (const Result<void> done = block(steps); !done)
        return done.error();
    close_part();
    return made_;
}

Result<void> CSteps::block(const std::vector<Step>& steps) {
    for (const Step& one : steps)
        if (const Result<void> done = step(one); !done)
            return done;
    return {};
}

Result<void> CSteps::step(const Step& step) {
    switch (step.kind) {
    case Step::Kind::at:
        return at(step);
    case Step::Kind::call:
        return call(step);
    case Step::Kind::repeat:
    case Step::Kind::each:
    case Step::Kind::until:
        return loop(step);
    case Step::Kind::when:
        return when(step);
    case Step::Kind::parameter:
    case Step::Kind::comment:
        break;
    }
    return {};
}

Result<void> CSteps::loop(const Step& step) {
    std::string trouble;
    std::string end;
    if (step.kind == Step::Kind::until) {
        line(fmt::format("for (int last{0} = 0; !last{0};) {{", loops_));
        ++depth_;
        line(fmt::format("last{} = sync_->ended[ACTOR_{}];", loops_, c_identifier(step.name)));
        --depth_;
    } else {
        const bool each = step.kind == Step::Kind::each;
        const std::string variable = each ? "n_" + step.name : fmt::format("round{}", loops_);
        const std::string from = each ? number(step.bounds.at(0), trouble) : "0";
        end = number(step.bounds.at(each ? 1 : 0), trouble);
        if (!trouble.empty())
            return no(step.at, trouble);
        line(fmt::format("for (long {0} = {1}; {0} < {2}; {0}++) {{", variable, from, end));
        if (each)
            variables_.push_back(step.name);
    }
    ++loops_;
    ++depth_;
    const Result<void> done = block(step.steps);
    --depth_;
    --loops_;
    if (step.kind == Step::Kind::each)
        variables_.pop_back();
    line("}");
    return done;
}

Result<void> CSteps::when(const Step& step) {
    const Result<std::optional<std::string>> all = condition(step.terms);
    if (!all)
        return all.error();
    if (!*all)
        return no(step.at, "\"if\" looks at a result that has no C");
    line(fmt::format("if ({}) {{", **all));
    ++depth_;
    ++loops_;
    Result<void> done = block(step.steps);
    if (done && !step.otherwise.empty()) {
        --depth_;
        line("} else {");
        ++depth_;
        done = block(step.otherwise);
    }
    --loops_;
    --depth_;
    line("}");
    return done;
}

std::string CSteps::word(const std::string& name) const {
    const std::string member = names_.member(actor_, name);
    return names_.kind(actor_, name) == CNames::Kind::number
               ? fmt::format("number_word({})", member)
               : member;
}

Result<std::optional<std::string>> CSteps::condition(const std::vector<Term>& terms) const {
    std::string all;
    for (const Term& term : terms) {
        const std::optional<CNames::Kind> kind = names_.kind(actor_, term.name);
        if (!kind || *kind == CNames::Kind::object)
            return no(term.at, term.name + " is no result");
        if (*kind == CNames::Kind::none)
            return std::optional<std::string>();
        const std::string left = word(term.name);
        const std::string right = c_string(term.value);
        const std::string& how = term.comparison;
        const std::string one = how == "="    ? fmt::format("is({}, {})", left, right)
                                : how == "!=" ? fmt::format("!is({}, {})", left, right)
                                : how == "<"  ? fmt::format("less({}, {})", left, right)
                                : how == ">"  ? fmt::format("less({}, {})", right, left)
                                : how == "<=" ? fmt::format("at_most({}, {})", left, right)
                                              : fmt::format("at_most({}, {})", right, left);
        all += (all.empty() ? "" : " && ") + one;
    }
    return std::optional<std::string>(all.empty() ? "1" : all);
}

Result<void> CSteps::at(const Step& step) {
    const std::string site = fmt::format("{}@user:{}", actor_, step.name);
    if (timing_.part(actor_, step.name) == nullptr) // the schedule does not name it
        return {};
    if (loops_ != 0)
        return no(step.at,
                  fmt::format("the schedule's site \"{}\" is in a loop or an \"if\"", step.name));
    close_part();
    line(fmt::format("sync_->reached[SITE_{}] = 1;", c_identifier(site)));
    if (const auto waits = timing_.waits.find(site); waits != timing_.waits.end())
        for (const WaitFor& wait : waits->second)
            line(wait.site.empty() ? fmt::format("wait_in_kernel({}, {});", wait.part, wait.ms)
                                   : fmt::format("wait_for_flag(&sync_->reached[SITE_{}]);",
                                                 c_identifier(wait.site)));
    return open_part(step.name);
}

Result<void> CSteps::open_part(const std::string& opens) {
    part_ = timing_.part(actor_, opens);
    if (part_ == nullptr)
        return {};
    if (part_->watched)
        line(fmt::format("sync_->entered[{}] = 1;", part_->number));
    if (!part_->windows.empty())
        line(fmt::format("slow_begin({});", c_string(part_->windows.front().task)));
    return {};
}

void CSteps::close_part() {
    if (part_ == nullptr || part_->windows.empty())
        return;
    line(fmt::format("slow_end({}, {});", c_string(part_->windows.front().site), part_->ms()));
    for (const std::string& site : part_->had)
        line(fmt::format("had_reached(SITE_{});", c_identifier(site)));
    part_ = nullptr;
}

std::string CSteps::number(const Expression& expression, std::string& trouble) const {
    if (expression.kind == Expression::Kind::number)
        return std::to_string(expression.number);
    if (expression.kind == Expression::Kind::sum)
        return fmt::format("({} {} {})", number(expression.parts.at(0), trouble), expression.op,
                           number(expression.parts.at(1), trouble));
    if (std::find(variables_.begin(), variables_.end(), expression.text) != variables_.end())
        return "n_" + expression.text;
    for (const NamedNumber& named : named_numbers())
        if (named.name == expression.text)
            return std::string(named.c);
    if (names_.kind(actor_, expression.text) != CNames::Kind::number)
        trouble = fmt::format("\"{}\" is no number in C", expression.text);
    return names_.member(actor_, expression.text);
}

CSteps::Place CSteps::place(const Expression& expression, std::string& trouble) const {
    const bool one = expression.kind == Expression::Kind::page;
    const bool several = expression.kind == Expression::Kind::pages;
    const Expression& base = one || several ? expression.parts.at(0) : expression;
    if (names_.kind(actor_, base.text) != CNames::Kind::object)
        trouble = fmt::format("\"{}\" has no C", base.text);
    Place made{.object = names_.member(actor_, base.text)};
    made.first = "0";
    made.count = made.object + ".pages";
    if (!one && !several)
        return made;
    made.first = number(expression.parts.at(1), trouble);
    if (one)
        made.count = "1";
    else if (expression.parts.size() > 2)
        made.count = difference(number(expression.parts.at(2), trouble), made.first);
    else
        made.count = difference(made.object + ".pages", made.first);
    return made;
}

// `field`: behind the point; "" = all of it.
std::string CSteps::argument(const Argument& argument, const Expression* given,
                             std::string_view field, std::string& trouble) const {
    if (is_object(argument.type)) {
        if (given == nullptr)
            return field.empty() ? "(struct object){ 0 }" : "0";
        const Place where = place(*given, trouble);
        if (field.empty())
            return where.object;
        if (field == "first")
            return where.first;
        if (field == "count")
            return where.count;
        if (field == "at")
            return where.first == "0"
                       ? where.object + ".start"
                       : where.object + ".start + " + times(where.first, where.object + ".page");
        if (field == "from")
            return times(where.first, where.object + ".page");
        if (field == "bytes")
            return times(where.count, where.object + ".page");
        return fmt::format("{}.{}", where.object, field);
    }
    if (argument.type == Type::text)
        return c_string(given == nullptr ? "" : given->text);
    if (argument.type == Type::actor && given != nullptr)
        return "ACTOR_" + c_identifier(given->text);
    const std::string_view usual = argument.otherwise.value_or("");
    for (const Constant& constant : argument.constants)
        if (constant.name == (given == nullptr ? usual : std::string_view(given->text)))
            return fmt::format("{} /* {} */", constant.number, constant.name);
    if (argument.type != Type::number)
        trouble = fmt::format("its argument \"{}\" has no C", argument.name);
    if (given != nullptr)
        return number(*given, trouble);
    return usual.empty() ? "-1" : std::string(usual);
}

Result<std::string> CSteps::expression(const Call& call, const Operation& operation) const {
    std::string made;
    std::string trouble;
    const std::string_view text = operation.c;
    std::set<std::string_view> used;
    for (std::size_t from = 0; from < text.size();) {
        const std::size_t open = std::min(text.find('{', from), text.size());
        const std::size_t close = text.find('}', open);
        made += text.substr(from, open - from);
        if (open == text.size())
            break;
        const std::string_view inside = text.substr(open + 1, close - open - 1);
        const std::string_view name = inside.substr(0, inside.find('.'));
        const auto found = std::find_if(operation.arguments.begin(), operation.arguments.end(),
                                        [name](const Argument& one) { return one.name == name; });
        if (found == operation.arguments.end()) { // braces of C
            made += text.substr(open, close + 1 - open);
        } else {
            const auto place = static_cast<std::size_t>(found - operation.arguments.begin());
            const std::string_view field =
                name.size() < inside.size() ? inside.substr(name.size() + 1) : std::string_view();
            made += argument(*found, given_of(call, *found, place), field, trouble);
            used.insert(name);
        }
        from = close + 1;
    }
    for (std::size_t i = 0; i < operation.arguments.size() && trouble.empty(); ++i)
        if (given_of(call, operation.arguments[i], i) != nullptr &&
            !used.contains(operation.arguments[i].name))
            trouble = fmt::format("its argument \"{}\" has no C", operation.arguments[i].name);
    if (!trouble.empty())
        return no(call.at, fmt::format("{}(): {}", operation.name, trouble));
    return made;
}

Result<void> CSteps::call(const Step& step) {
    const Operation& operation = *find_operation(step.call.operation);
    if (operation.c == left_out && actor_.empty())
        return {};
    if (operation.c.empty() || operation.c == left_out)
        return no(step.call.at, fmt::format("{}() has no C text", operation.name));
    const Result<std::string> made = expression(step.call, operation);
    if (!made)
        return made.error();
    assign(step, operation, *made);
    return {};
}

void CSteps::assign(const Step& step, const Operation& operation, const std::string& expression) {
    if (step.name.empty()) {
        line(operation.result == Type::error
                 ? fmt::format("must({}, {});", expression, c_string(text_of(step)))
                 : fmt::format("(void){};", expression));
        return;
    }
    const std::string member = names_.member(actor_, step.name);
    const std::optional<CNames::Kind> kind = names_.kind(actor_, step.name);
    if (kind == CNames::Kind::none) // by another step of that name
        return;
    if (kind != CNames::Kind::word) {
        line(fmt::format("{} = {};", member, expression));
        return;
    }
    std::string word = as_word(operation.result, expression);
    if (!step.as.empty()) {
        std::string pairs;
        for (const auto& [from, to] : step.as)
            pairs += fmt::format("{}, {}, ", c_string(from), c_string(to));
        word = fmt::format("renamed({}, (const char *const[]){{ {}NULL }})", word, pairs);
    }
    line(fmt::format("{} = {};", member, word));
}

} // namespace faultline
