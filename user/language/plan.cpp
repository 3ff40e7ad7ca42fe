// SPDX-License-Identifier: GPL-2.0
#include "language/plan.hpp"

#include "engine/schedule.hpp"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>
#include <map>

namespace faultline {

namespace {

std::string or_else(const std::string& near) {
    return near.empty() ? "" : fmt::format(": is it \"{}\"?", near);
}

// The meaning of a name where a step can use it.
struct Bound {
    Type type = Type::nothing;
    // Words that it can be; nothing: any (an errno, a number).
    std::optional<std::set<std::string>> words = {};
    Position at = {};
};
using Names = std::map<std::string, Bound>;

std::vector<std::string> names_of(const Names& names) {
    std::vector<std::string> all;
    for (const auto& [name, bound] : names)
        all.push_back(name);
    return all;
}

class Planner {
  public:
    Planner(const ScenarioFile& file, const FileVariant& variant, Complaints& complaints)
        : file_(file), variant_(variant), complaints_(complaints) {}

    Plan make() {
        plan_.path = file_.path;
        plan_.draws = file_.draws;
        plan_.actors = file_.actors;
        for (FileActor& actor : plan_.actors)
            if (!actor.kind_of.text.empty())
                actor.kind = kind_of(actor.kind_of);
        plan_.about = fill_in(variant_.about);
        plan_.schedule = fill_in(variant_.schedule);
        for (const Text& place : variant_.excluded_by)
            plan_.excluded_by.push_back(fill_in(place));
        plan_.prepare = steps_of(file_.prepare);
        plan_.setup = steps_of(file_.setup);
        plan_.judge = steps_of(file_.judge);
        Names names;
        check(plan_.prepare, names, in_prepare, nullptr);
        check(plan_.setup, names, in_setup, nullptr);
        Names results = names;
        for (std::size_t i = 0; i < file_.actors.size(); ++i) {
            plan_.steps.push_back(steps_of(file_.actors[i].steps));
            Names own = names;
            actor_ = i;
            slot_ = 0;
            in_actor_ = true;
            check(plan_.steps.back(), own, in_actor, &results);
            in_actor_ = false;
        }
        check(plan_.judge, results, in_judge, nullptr);
        results_ = std::move(results);
        if (!file_.corrupts.text.empty()) {
            const ParsedExpression parsed = parse_expression(file_.corrupts);
            Expression expression = parsed.expression;
            if (parsed.complaint)
                complaints_.push_back(*parsed.complaint);
            else if (resolve(expression, 0)) {
                check_value(expression, {"corrupts", Type::memory}, names);
                plan_.corrupts = expression;
            }
        }
        check_outcome();
        check_patterns();
        check_measures();
        check_schedule();
        return std::move(plan_);
    }

  private:
    bool complain(Position at, std::string text) {
        complaints_.push_back({at, std::move(text)});
        return false;
    }

    // --- parameters

    const Text* parameter(const std::string& name, Position at) {
        const auto found = variant_.parameters.find(name);
        if (found != variant_.parameters.end())
            return &found->second;
        std::vector<std::string> all;
        for (const auto& [known, value] : variant_.parameters)
            all.push_back(known);
        complain(at, fmt::format("[let] has no \"{}\"{}", name, or_else(nearest(name, all))));
        return nullptr;
    }

    std::string fill_in(const Text& text) {
        std::string made;
        for (std::size_t from = 0; from < text.text.size();) {
            const std::size_t open = text.text.find('{', from);
            const std::size_t close = text.text.find('}', open);
            made += text.text.substr(from, open - from);
            if (open == std::string::npos || close == std::string::npos)
                break;
            const Position at{text.at.line, text.at.column + static_cast<unsigned>(open)};
            if (const Text* value = parameter(text.text.substr(open + 1, close - open - 1), at))
                made += value->text;
            from = close + 1;
        }
        return made;
    }

    // Without a kernel's thread: that has no steps.
    Actor::Kind kind_of(const Text& text) {
        const std::string kind = fill_in(text);
        if (kind != "thread" && kind != "process")
            complain(text.at,
                     fmt::format("no kind is called \"{}\" (there are: thread, process)", kind));
        return kind == "process" ? Actor::Kind::process : Actor::Kind::thread;
    }

    static constexpr unsigned deepest = 4; // parameters in parameters

    std::vector<Step> steps_of(const Text& text, unsigned depth = 0) {
        const Parsed parsed = parse_steps(text);
        if (parsed.complaint) {
            add_once(*parsed.complaint);
            return {};
        }
        return resolved(parsed.steps, depth);
    }

    std::vector<Step> resolved(const std::vector<Step>& steps, unsigned depth) {
        std::vector<Step> made;
        for (const Step& step : steps) {
            if (step.kind == Step::Kind::comment)
                continue;
            if (step.kind == Step::Kind::parameter) {
                const Text* value = parameter(step.name, step.at);
                if (value == nullptr)
                    continue;
                if (depth == deepest) {
                    complain(step.at, "parameters that contain each other");
                    continue;
                }
                std::vector<Step> given = steps_of(*value, depth + 1);
                if (!step.result.empty())
                    name_result(step, given);
                for (Step& one : given)
                    made.push_back(std::move(one));
                continue;
            }
            Step one = step;
            for (GivenArgument& argument : one.call.arguments)
                resolve(argument.value, depth);
            for (Expression& bound : one.bounds)
                resolve(bound, depth);
            one.steps = resolved(step.steps, depth);
            one.otherwise = resolved(step.otherwise, depth);
            made.push_back(std::move(one));
        }
        return made;
    }

    void name_result(const Step& step, std::vector<Step>& given) {
        if (given.empty() || given.back().kind != Step::Kind::call || !given.back().name.empty()) {
            complain(step.at, fmt::format("the last step of \"{}\" must be a call without a name, "
                                          "whose result can be called \"{}\"",
                                          step.name, step.result));
            return;
        }
        given.back().name = step.result;
        given.back().as = step.as;
    }

    bool resolve(Expression& expression, unsigned depth) {
        if (expression.kind == Expression::Kind::parameter) {
            const Text* value = parameter(expression.text, expression.at);
            if (value == nullptr)
                return false;
            if (depth == deepest)
                return complain(expression.at, "parameters that contain each other");
            const ParsedExpression parsed = parse_expression(*value);
            if (parsed.complaint) {
                add_once(*parsed.complaint);
                return false;
            }
            expression = parsed.expression;
            return resolve(expression, depth + 1);
        }
        bool good = true;
        for (Expression& part : expression.parts)
            good = resolve(part, depth) && good;
        return good;
    }

    void add_once(const Complaint& complaint) { complaints_.push_back(complaint); }

    // --- steps

    // `results`: of all actors, if these are an actor's steps.
    void check(const std::vector<Step>& steps, Names& names, unsigned where, Names* results) {
        for (const Step& step : steps)
            check(step, names, where, results);
    }

    void check(const Step& step, Names& names, unsigned where, Names* results) {
        switch (step.kind) {
        case Step::Kind::at:
            if (where != in_actor)
                complain(step.at, "only an actor can be at a site of the schedule");
            else
                sites_.insert(file_.actors[actor_].name.text + "@user:" + step.name);
            return;
        case Step::Kind::repeat:
            check_value(step.bounds.at(0), {"repeat", Type::number}, names);
            break;
        case Step::Kind::each:
            for (const Expression& bound : step.bounds)
                check_value(bound, {"for", Type::number}, names);
            names[step.name] = {Type::number, std::nullopt, step.at};
            break;
        case Step::Kind::until:
            if (where != in_actor)
                complain(step.at, "only an actor can wait for another");
            check_actor(step.name, step.at);
            break;
        case Step::Kind::when:
            for (const Term& term : step.terms)
                check_term(term, names);
            break;
        case Step::Kind::parameter:
        case Step::Kind::comment:
            return;
        case Step::Kind::call:
            check_call(step, names, where, results);
            return;
        }
        check(step.steps, names, where, results);
        check(step.otherwise, names, where, results);
    }

    void check_actor(const std::string& name, Position at) {
        std::vector<std::string> all;
        for (const FileActor& actor : file_.actors)
            all.push_back(actor.name.text);
        if (std::find(all.begin(), all.end(), name) == all.end())
            complain(at,
                     fmt::format("no actor is called \"{}\"{}", name, or_else(nearest(name, all))));
    }

    bool is_object(Type type) {
        return type != Type::number && type != Type::word && type != Type::error &&
               type != Type::nothing;
    }

    void check_call(const Step& step, Names& names, unsigned where, Names* results) {
        const Call& call = step.call;
        const Operation* operation = find_operation(call.operation);
        if (operation == nullptr) {
            std::vector<std::string> all;
            for (const Operation& one : all_operations())
                all.emplace_back(one.name);
            complain(call.at, fmt::format("no operation is called \"{}\"{}", call.operation,
                                          or_else(nearest(call.operation, all))));
            if (!step.name.empty()) // one complaint is enough
                names[step.name] = {Type::nothing, std::nullopt, step.at};
            return;
        }
        if ((operation->where & where) == 0)
            complain(call.at, fmt::format("{}() cannot stand here: it belongs to {}",
                                          operation->name, where_text(operation->where)));
        if (operation->of_process && where == in_actor &&
            plan_.actors[actor_].kind != Actor::Kind::process)
            complain(call.at, fmt::format("{}() is of an actor that is a process: kind = "
                                          "\"process\"",
                                          operation->name));
        if (!operation->needs.empty())
            plan_.needs.insert(std::string(operation->needs));
        check_arguments(*operation, call, names);
        if (!step.name.empty())
            bind(step, *operation, names, where, results);
        else if (is_object(operation->result))
            complain(step.at, fmt::format("{} is lost without a name: NAME = {}(...)",
                                          to_string(operation->result), operation->name));
    }

    static std::string where_text(unsigned where) {
        std::string text;
        for (const auto& [bit, name] :
             {std::pair{in_prepare, "prepare"}, std::pair{in_setup, "setup"},
              std::pair{in_actor, "an actor's steps"}, std::pair{in_judge, "judge"}})
            if ((where & bit) != 0)
                text += (text.empty() ? "" : " or ") + std::string(name);
        return text;
    }

    void bind(const Step& step, const Operation& operation, Names& names, unsigned where,
              Names* results) {
        if (operation.result == Type::nothing) {
            complain(step.at, fmt::format("{}() has no result that could be called \"{}\"",
                                          operation.name, step.name));
            return;
        }
        Bound bound{operation.result, words_of(step, operation), step.at};
        const auto old = names.find(step.name);
        if (old != names.end() && is_object(old->second.type) &&
            old->second.type != Type::nothing && old->second.type != bound.type)
            complain(step.at, fmt::format("\"{}\" is {} already (line {})", step.name,
                                          to_string(old->second.type), old->second.at.line));
        if (old != names.end() && old->second.words && bound.words)
            bound.words->insert(old->second.words->begin(), old->second.words->end());
        else if (old != names.end())
            bound.words.reset();
        names[step.name] = bound;
        if (where != in_actor || is_object(operation.result))
            return;
        report(step, bound, *results);
    }

    void report(const Step& step, const Bound& bound, Names& results) {
        for (const ActorResult& one : plan_.results) {
            if (one.name != step.name)
                continue;
            if (one.actor != actor_)
                complain(step.at, fmt::format("the actor {} has a result \"{}\", too: results of "
                                              "different actors have different names",
                                              file_.actors[one.actor].name.text, step.name));
            results[step.name] = bound;
            return;
        }
        if (slot_ == task_slot) {
            complain(step.at, fmt::format("an actor has at most {} results", task_slot));
            return;
        }
        plan_.results.push_back({step.name, actor_, slot_++, bound.type});
        results[step.name] = bound;
    }

    // Also notes them for the slots.
    std::optional<std::set<std::string>> words_of(const Step& step, const Operation& operation) {
        std::set<std::string> words(operation.words.begin(), operation.words.end());
        bool rest = false;
        std::set<std::string> renamed;
        for (const auto& [from, to] : step.as) {
            rest = rest || from == "*";
            renamed.insert(to);
            const bool possible = from == "*" || from == "ok" || errno_of(from) ||
                                  as_number(from) ||
                                  (operation.result == Type::word && operation.words.empty()) ||
                                  words.count(from) != 0;
            if (!possible)
                complain(step.at,
                         fmt::format("{}() never gives \"{}\"{}", operation.name, from,
                                     or_else(nearest(from, {words.begin(), words.end()}))));
            words.erase(from);
        }
        for (const std::string& word : renamed)
            words.insert(word);
        for (const std::string_view word : operation.words)
            note_word(std::string(word));
        for (const std::string& word : renamed)
            note_word(word);
        if (rest)
            return renamed;
        if (operation.words.empty() && operation.result != Type::error)
            return std::nullopt;
        // Beside its words, an operation can return errnos: their form identifies them.
        words.insert("ok");
        return words;
    }

    void note_word(const std::string& word) {
        if (std::find(plan_.words.begin(), plan_.words.end(), word) == plan_.words.end())
            plan_.words.push_back(word);
    }

    void check_arguments(const Operation& operation, const Call& call, const Names& names) {
        std::vector<bool> given(operation.arguments.size(), false);
        for (std::size_t i = 0; i < call.arguments.size(); ++i) {
            const GivenArgument& argument = call.arguments[i];
            std::size_t place = i;
            if (!argument.name.empty()) {
                place = place_of(operation, argument.name);
                if (place == operation.arguments.size()) {
                    std::vector<std::string> all;
                    for (const Argument& one : operation.arguments)
                        all.emplace_back(one.name);
                    complain(argument.at,
                             fmt::format("{}() has no argument \"{}\"{}: {}", operation.name,
                                         argument.name, or_else(nearest(argument.name, all)),
                                         signature(operation)));
                    continue;
                }
            }
            if (place >= operation.arguments.size()) {
                complain(argument.at,
                         fmt::format("{}() takes {} arguments: {}", operation.name,
                                     operation.arguments.size(), signature(operation)));
                return;
            }
            if (given[place])
                complain(argument.at,
                         fmt::format("\"{}\" is given twice", operation.arguments[place].name));
            given[place] = true;
            check_value(argument.value, operation.arguments[place], names);
        }
        for (std::size_t i = 0; i < given.size(); ++i)
            if (!given[i] && !operation.arguments[i].otherwise)
                complain(call.at, fmt::format("{}() needs \"{}\": {}", operation.name,
                                              operation.arguments[i].name, signature(operation)));
    }

    static std::size_t place_of(const Operation& operation, std::string_view name) {
        std::size_t place = 0;
        while (place < operation.arguments.size() && operation.arguments[place].name != name)
            ++place;
        return place;
    }

    void check_value(const Expression& value, const Argument& argument, const Names& names) {
        if (value.kind == Expression::Kind::parameter) // it was complained of
            return;
        switch (argument.type) {
        case Type::number:
            return check_number(value, names);
        case Type::word:
            return check_constant(value, argument);
        case Type::text:
            if (value.kind != Expression::Kind::text)
                complain(value.at,
                         fmt::format("\"{}\" is a text in quotation marks", argument.name));
            return;
        case Type::site:
            if (value.kind != Expression::Kind::name)
                complain(value.at, fmt::format("\"{}\" is the name of a site", argument.name));
            else if (in_actor_)
                sites_.insert(file_.actors[actor_].name.text + "@user:" + value.text);
            return;
        case Type::actor:
            if (value.kind != Expression::Kind::name)
                complain(value.at, fmt::format("\"{}\" is the name of an actor", argument.name));
            else
                check_actor(value.text, value.at);
            return;
        default:
            return check_object(value, argument, names);
        }
    }

    void check_constant(const Expression& value, const Argument& argument) {
        std::vector<std::string> all;
        for (const Constant& constant : argument.constants)
            all.emplace_back(constant.name);
        if (value.kind == Expression::Kind::name &&
            std::find(all.begin(), all.end(), value.text) != all.end())
            return;
        const std::string near = nearest(value.text, all);
        complain(value.at, fmt::format("\"{}\" is one of {}, not {}{}", argument.name,
                                       fmt::join(all, ", "), print(value), or_else(near)));
    }

    void check_number(const Expression& value, const Names& names) {
        switch (value.kind) {
        case Expression::Kind::number:
        case Expression::Kind::parameter: // it was complained of
            return;
        case Expression::Kind::sum:
            for (const Expression& part : value.parts)
                check_number(part, names);
            return;
        case Expression::Kind::name: {
            const Bound* bound = known(value, names, Type::number);
            if (bound != nullptr && bound->type != Type::number && bound->type != Type::nothing)
                complain(value.at, fmt::format("\"{}\" is {}, and a number is needed", value.text,
                                               to_string(bound->type)));
            return;
        }
        default:
            complain(value.at, fmt::format("{} is no number", print(value)));
        }
    }

    // The name, or null: of a number that is always known, or after a complaint.
    const Bound* known(const Expression& value, const Names& names, Type type) {
        std::vector<std::string> all;
        for (const NamedNumber& one : named_numbers()) {
            if (type == Type::number && one.name == value.text)
                return nullptr;
            if (type == Type::number)
                all.emplace_back(one.name);
        }
        const auto found = names.find(value.text);
        if (found != names.end())
            return &found->second;
        for (const std::string& name : names_of(names))
            all.push_back(name);
        complain(value.at, fmt::format("nothing is called \"{}\"{}", value.text,
                                       or_else(nearest(value.text, all))));
        return nullptr;
    }

    void check_object(const Expression& value, const Argument& argument, const Names& names) {
        const bool sliced =
            value.kind == Expression::Kind::page || value.kind == Expression::Kind::pages;
        const Expression& base = sliced ? value.parts.at(0) : value;
        if (base.kind == Expression::Kind::parameter)
            return;
        if (base.kind != Expression::Kind::name) {
            complain(value.at, fmt::format("\"{}\" is {}, not {}", argument.name,
                                           to_string(argument.type), print(value)));
            return;
        }
        for (std::size_t i = 1; sliced && i < value.parts.size(); ++i)
            check_number(value.parts[i], names);
        const Bound* bound = known(base, names, argument.type);
        if (bound == nullptr || bound->type == Type::nothing)
            return;
        const bool either = argument.type == Type::pages &&
                            (bound->type == Type::file || bound->type == Type::memory);
        if (bound->type != argument.type && !either)
            complain(base.at,
                     fmt::format("\"{}\" is {}, and \"{}\" is {}", base.text,
                                 to_string(bound->type), argument.name, to_string(argument.type)));
        else if (sliced && bound->type != Type::file && bound->type != Type::memory)
            complain(base.at, fmt::format("\"{}\" is {}: it has no pages", base.text,
                                          to_string(bound->type)));
    }

    // --- outcomes

    void check_outcome() {
        std::map<std::string, Position> asked;
        for (std::size_t from = 0; from < file_.outcome.text.size();) {
            const std::size_t begin = file_.outcome.text.find_first_not_of(" \n", from);
            if (begin == std::string::npos)
                break;
            const std::size_t end =
                std::min(file_.outcome.text.find_first_of(" \n", begin), file_.outcome.text.size());
            const std::string name = file_.outcome.text.substr(begin, end - begin);
            // Another variant may have it.
            if (results_.count(name) != 0 && !is_object(results_.at(name).type))
                plan_.outcome.push_back(name);
            from = end;
        }
    }

    // A word of an outcome, with a value that it can have.
    void check_term(const Term& term, const Names& names) {
        const auto found = names.find(term.name);
        if (found == names.end()) {
            complain(term.at, fmt::format("no result is called \"{}\"{}", term.name,
                                          or_else(nearest(term.name, names_of(names)))));
            return;
        }
        const Bound& bound = found->second;
        if (is_object(bound.type)) {
            complain(term.at,
                     fmt::format("\"{}\" is {}: it has no word", term.name, to_string(bound.type)));
            return;
        }
        for (std::size_t from = 0; from <= term.value.size();) {
            const std::size_t end = std::min(term.value.find('|', from), term.value.size());
            check_word(term, bound, term.value.substr(from, end - from));
            from = end + 1;
        }
    }

    void check_word(const Term& term, const Bound& bound, const std::string& word) {
        if (word == "*" || word == "-" || word == "none" || bound.type == Type::nothing)
            return;
        const bool number = as_number(word).has_value();
        if (bound.type == Type::number && !bound.words && !number)
            complain(term.at, fmt::format("\"{}\" is a number, not \"{}\"", term.name, word));
        if (!bound.words || number || errno_of(word) || bound.words->count(word) != 0)
            return;
        complain(term.at,
                 fmt::format("\"{}\" is never \"{}\"{} (it is {})", term.name, word,
                             or_else(nearest(word, {bound.words->begin(), bound.words->end()})),
                             fmt::join(*bound.words, ", ")));
    }

    std::vector<Term> pattern(const Text& text, bool must_have) {
        const Text filled{fill_in(text), text.at};
        const ParsedTerms parsed = parse_terms(filled);
        if (parsed.complaint) {
            complain(parsed.complaint->at, parsed.complaint->text);
            return {};
        }
        for (const Term& term : parsed.terms)
            if (must_have || results_.count(term.name) != 0)
                check_term(term, results_);
            else
                return {}; // of another variant
        return parsed.terms;
    }

    void check_patterns() {
        for (const FileExpected& expected : variant_.expected) {
            plan_.expected.push_back(
                {{fill_in(expected.words), expected.words.at}, expected.releases});
            pattern(expected.words, true);
        }
        for (const FileForbid& forbid : file_.forbid) {
            std::vector<Term> terms = pattern(forbid.when, false);
            if (terms.empty())
                continue;
            plan_.forbid.push_back(std::move(terms));
            plan_.forbid_why.push_back(forbid.why.text);
        }
        if (!variant_.situation.text.empty())
            plan_.situation = pattern(variant_.situation, true);
        for (const FileControl& control : file_.controls)
            if (control.variant.text == variant_.name.text && !control.produces.text.empty())
                pattern(control.produces, true);
        for (const FileBug& bug : file_.bugs)
            for (const Text& name : variant_.known)
                if (name.text == bug.name.text)
                    pattern(bug.words, true);
    }

    // Another variant may have the result.
    void check_measures() {
        for (const FileMeasure& measure : file_.measures) {
            if (results_.count(measure.name.text) == 0)
                continue;
            check_measured(measure.name);
            if (!measure.of.text.empty())
                check_measured(measure.of);
            plan_.measures.push_back(measure);
        }
    }

    void check_measured(const Text& name) {
        const auto found = results_.find(name.text);
        if (found == results_.end())
            complain(name.at, fmt::format("no result is called \"{}\"{}", name.text,
                                          or_else(nearest(name.text, names_of(results_)))));
        else if (found->second.type != Type::number || found->second.words)
            complain(name.at, fmt::format("\"{}\" is {}: a measure is the sum of numbers",
                                          name.text, to_string(found->second.type)));
    }

    void check_schedule() {
        const Result<std::vector<Edge>> edges = parse_edges(plan_.schedule);
        if (!edges) {
            complain(variant_.schedule.at, "schedule: " + edges.error().message);
            return;
        }
        std::vector<std::string> actors;
        for (const FileActor& actor : file_.actors)
            actors.push_back(actor.name.text);
        const std::size_t before = complaints_.size();
        for (const Edge& edge : *edges)
            for (const SiteRef* site : {&edge.before, &edge.after})
                check_site(*site, actors);
        find_absent(*edges);
        if (complaints_.size() != before)
            return;
        const Result<Program> program = compile(*edges, actors, {}, {});
        if (!program)
            complain(variant_.schedule.at, fmt::format("schedule of {}: {}", variant_.name.text,
                                                       program.error().message));
    }

    // ksmd, in a variant whose schedule and controls are of others: a kernel may have none.
    void find_absent(const std::vector<Edge>& edges) {
        for (const FileActor& actor : file_.actors) {
            const std::string& name = actor.name.text;
            const bool scheduled =
                std::any_of(edges.begin(), edges.end(), [&name](const Edge& edge) {
                    return edge.before.actor == name || edge.after.actor == name;
                });
            const bool controlled = std::any_of(
                file_.controls.begin(), file_.controls.end(), [&name](const FileControl& control) {
                    return std::any_of(
                        control.actions.begin(), control.actions.end(),
                        [&name](const FileAction& action) { return action.actor.text == name; });
                });
            if (actor.kind == Actor::Kind::kernel_thread && !scheduled && !controlled)
                plan_.absent.insert(name);
        }
    }

    void check_site(const SiteRef& site, const std::vector<std::string>& actors) {
        if (std::find(actors.begin(), actors.end(), site.actor) == actors.end()) {
            complain(variant_.schedule.at,
                     fmt::format("schedule: no actor is called \"{}\"{}", site.actor,
                                 or_else(nearest(site.actor, actors))));
            return;
        }
        const std::string text = site.actor + "@user:" + site.name;
        if (site.kind != FL_SITE_USER || sites_.count(text) != 0)
            return;
        const std::string near = nearest(text, {sites_.begin(), sites_.end()});
        complain(variant_.schedule.at, fmt::format("schedule: {} has no step \"at {}\"{}",
                                                   site.actor, site.name, or_else(near)));
    }

    const ScenarioFile& file_;
    const FileVariant& variant_;
    Complaints& complaints_;
    Plan plan_;
    Names results_;
    std::set<std::string> sites_; // "actor@user:name"
    std::size_t actor_ = 0;
    bool in_actor_ = false;
    unsigned slot_ = 0;
};

} // namespace

std::optional<std::int64_t> as_number(std::string_view text) {
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || end != text.data() + text.size())
        return std::nullopt;
    return number;
}

ParsedTerms parse_terms(const Text& text) {
    ParsedTerms parsed;
    for (std::size_t from = 0; from < text.text.size();) {
        const std::size_t begin = text.text.find_first_not_of(" \n", from);
        if (begin == std::string::npos)
            break;
        const std::size_t end = std::min(text.text.find_first_of(" \n", begin), text.text.size());
        const std::string word = text.text.substr(begin, end - begin);
        const Position at{text.at.line, text.at.column + static_cast<unsigned>(begin)};
        const std::size_t sign = word.find_first_of("=!<>");
        const std::size_t value = word.find_first_not_of("=!<>", sign);
        if (sign == 0 || sign == std::string::npos || value == std::string::npos) {
            parsed.complaint =
                Complaint{at, fmt::format("\"{}\" is no word of an outcome: NAME=VALUE", word)};
            return parsed;
        }
        parsed.terms.push_back(
            {word.substr(0, sign), word.substr(sign, value - sign), word.substr(value), at});
        from = end;
    }
    return parsed;
}

bool holds(const Term& term, std::string_view word) {
    const std::optional<std::int64_t> left = as_number(word);
    const std::optional<std::int64_t> right = as_number(term.value);
    if (term.comparison == "=" || term.comparison == "!=") {
        const std::string pattern = "x=" + term.value;
        const bool same = matches("x=" + std::string(word), pattern);
        return same == (term.comparison == "=");
    }
    if (!left || !right)
        return false;
    if (term.comparison == "<")
        return *left < *right;
    if (term.comparison == ">")
        return *left > *right;
    return term.comparison == "<=" ? *left <= *right : *left >= *right;
}

Plan make_plan(const ScenarioFile& file, const FileVariant& variant, Complaints& complaints) {
    return Planner(file, variant, complaints).make();
}

} // namespace faultline
