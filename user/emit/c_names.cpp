// SPDX-License-Identifier: GPL-2.0
#include "emit/c_names.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <fmt/format.h>

namespace faultline {

namespace {

// Only those that could be a name in a file of steps.
constexpr std::array reserved = {
    "auto",     "break",  "case",   "char",   "const",  "default", "do",     "double",   "enum",
    "extern",   "float",  "goto",   "inline", "int",    "long",    "return", "register", "short",
    "signed",   "sizeof", "static", "struct", "switch", "typedef", "union",  "unsigned", "void",
    "volatile", "while",  "bool",   "errno",  "true",   "false"};

bool is_object(Type type) {
    return type != Type::number && type != Type::word && type != Type::error &&
           type != Type::nothing;
}

// An object that an actor makes is its own: another may have one of that name.
std::string own_name(const std::string& actor, const std::string& name) {
    return actor.empty() ? name : c_identifier(actor) + "_" + name;
}

} // namespace

std::string c_identifier(std::string_view text) {
    std::string made(text);
    std::replace_if(
        made.begin(), made.end(),
        [](char c) { return std::isalnum(static_cast<unsigned char>(c)) == 0; }, '_');
    const bool taken = std::find(reserved.begin(), reserved.end(), made) != reserved.end();
    return taken ? made + "_" : made;
}

CNames::CNames(const Plan& plan) {
    collect(plan.prepare, "");
    collect(plan.setup, "");
    for (std::size_t i = 0; i < plan.steps.size(); ++i)
        collect(plan.steps[i], plan.actors[i].name.text);
    collect(plan.judge, "");
}

void CNames::collect(const std::vector<Step>& steps, const std::string& actor) {
    for (const Step& step : steps) {
        if (step.kind == Step::Kind::call)
            add(step, actor);
        collect(step.steps, actor);
        collect(step.otherwise, actor);
    }
}

void CNames::add(const Step& step, const std::string& actor) {
    const Operation& operation = *find_operation(step.call.operation);
    const bool out = operation.c == left_out;
    if (out)
        left_out_.emplace(operation.name);
    if (step.name.empty())
        return;
    const bool object = is_object(operation.result);
    const Kind kind = out                                                   ? Kind::none
                      : object                                              ? Kind::object
                      : operation.result == Type::number && step.as.empty() ? Kind::number
                                                                            : Kind::word;
    const std::string name = object ? own_name(actor, step.name) : step.name;
    const auto [known, fresh] = members_.emplace(name, kind);
    if (!fresh && known->second != kind && known->second != Kind::none)
        known->second = kind == Kind::none ? kind : Kind::word; // of a number and a word
}

std::optional<CNames::Kind> CNames::kind(const std::string& actor, const std::string& name) const {
    for (const std::string& one : {own_name(actor, name), name})
        if (const auto found = members_.find(one); found != members_.end())
            return found->second;
    return std::nullopt;
}

std::string CNames::member(const std::string& actor, const std::string& name) const {
    const std::string own = own_name(actor, name);
    return "r->" + c_identifier(members_.contains(own) ? own : name);
}

std::string CNames::declaration() const {
    std::string members;
    std::string values;
    for (const auto& [name, kind] : members_) {
        const std::string id = c_identifier(name);
        if (kind == Kind::object) {
            members += fmt::format("\tstruct object {};\n", id);
        } else if (kind == Kind::number) {
            members += fmt::format("\tlong {};\n", id);
            values += fmt::format("\t.{} = NO_NUMBER,\n", id);
        } else if (kind == Kind::word) {
            members += fmt::format("\tconst char *{};\n", id);
            values += fmt::format("\t.{} = \"-\",\n", id);
        }
    }
    if (members.empty())
        members = "\tint none;\n";
    if (values.empty())
        values = "\t0\n";
    return fmt::format("/* The names of the scenario. */\nstatic struct names {{\n{}}} *r;\n\n"
                       "static const struct names no_names = {{\n{}}};\n\n",
                       members, values);
}

} // namespace faultline
