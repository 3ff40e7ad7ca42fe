// SPDX-License-Identifier: GPL-2.0
// A scenario as the text that it is read from. A default of the file stands in each variant, as the
// reader stored it.
#include "language/file.hpp"

#include <fmt/format.h>

namespace faultline {

namespace {

// Literal where the text allows it; else every character that a TOML string cannot have is escaped.
std::string quoted(const std::string& text) {
    bool plain = true;
    for (const char c : text)
        plain = plain && (static_cast<unsigned char>(c) >= ' ' || c == '\n') && c != '\x7f';
    const bool lines = text.find('\n') != std::string::npos;
    if (lines && plain && text.find("'''") == std::string::npos && !text.ends_with('\''))
        return "'''\n" + text + "'''";
    std::string made = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\')
            made += std::string("\\") + c;
        else if (static_cast<unsigned char>(c) < ' ' || c == '\x7f')
            made += fmt::format("\\u{:04x}", static_cast<unsigned char>(c));
        else
            made += c;
    }
    return made + "\"";
}

class Printer {
  public:
    void heading(std::string_view table, const Text& name) {
        made_ += fmt::format("\n[{}.{}]\n", table, quoted(name.text));
    }
    void heading(std::string_view table) { made_ += fmt::format("\n[{}]\n", table); }
    void line(std::string_view key, std::string_view value) {
        made_ += fmt::format("{} = {}\n", key, value);
    }
    void text(std::string_view key, const Text& text) {
        if (!text.text.empty())
            line(key, quoted(text.text));
    }
    void texts(std::string_view key, const std::vector<Text>& all) {
        if (!all.empty())
            line(key, list(all));
    }
    void flag(std::string_view key, bool value, bool usual) {
        if (value != usual)
            line(key, value ? "true" : "false");
    }
    void kind(std::string_view word) {
        if (!word.empty())
            line("kind", quoted(std::string(word)));
    }
    // Those of the same releases stand one behind the other.
    void expected(std::string_view key, const std::vector<FileExpected>& all) {
        if (all.empty())
            return;
        std::vector<Text> always;
        for (const FileExpected& one : all)
            if (one.releases.text.empty())
                always.push_back(one.words);
        if (always.size() == all.size())
            return line(key, list(always));
        std::string releases;
        for (std::size_t i = 0; i < all.size();) {
            std::vector<Text> words;
            const std::string& these = all[i].releases.text;
            for (; i < all.size() && all[i].releases.text == these; ++i)
                words.push_back(all[i].words);
            releases +=
                fmt::format("{}{} = {}", releases.empty() ? "" : ", ", quoted(these), list(words));
        }
        line(key, "{ " + releases + " }");
    }
    // Keys that are texts of the file's own.
    void entry(const std::string& key, const Text& text) { line(quoted(key), quoted(text.text)); }
    std::string take() { return std::move(made_); }

  private:
    static std::string list(const std::vector<Text>& all) {
        std::string made = "[";
        for (const Text& one : all)
            made += (made.size() == 1 ? "" : ", ") + quoted(one.text);
        return made + "]";
    }
    std::string made_;
};

std::string_view word_of(Actor::Kind kind) {
    return kind == Actor::Kind::process         ? "process"
           : kind == Actor::Kind::kernel_thread ? "kernel"
                                                : "";
}

std::string_view word_of(Control::Kind kind) {
    return kind == Control::Kind::comparison ? "comparison"
           : kind == Control::Kind::remedy   ? "remedy"
                                             : "";
}

void print_actor(Printer& to, const FileActor& actor) {
    to.heading("actors", actor.name);
    if (actor.kind_of.text.empty())
        to.kind(word_of(actor.kind));
    else
        to.kind(actor.kind_of.text);
    to.line("cpu", std::to_string(actor.cpu));
    to.flag("may_die", actor.may_die, false);
    if (actor.kind != Actor::Kind::kernel_thread)
        to.line("steps", quoted(actor.steps.text));
    else
        to.text("steps", actor.steps);
}

void print_bug(Printer& to, const FileBug& bug) {
    to.heading("bugs", bug.name);
    to.line("words", quoted(bug.words.text));
    to.line("releases", quoted(bug.releases.text));
    to.line("fix", quoted(bug.fix.text));
    to.text("machines", bug.machines);
    to.text("log_line", bug.log_line);
    to.text("log_trace", bug.log_trace);
    to.flag("rare", bug.rare, false);
}

void print_variant(Printer& to, const FileVariant& variant) {
    to.heading("variants", variant.name);
    to.line("about", quoted(variant.about.text));
    to.text("schedule", variant.schedule);
    to.expected("expected", variant.expected);
    to.texts("excluded_by", variant.excluded_by);
    to.text("excluded_in", variant.excluded_in);
    to.text("or_overlap", variant.or_overlap);
    to.texts("known", variant.known);
    to.texts("needs", variant.needs);
    to.text("situation", variant.situation);
    to.flag("forced", variant.forced, true);
    to.flag("by_name_only", variant.by_name_only, false);
    to.line("divisor", std::to_string(variant.divisor));
    if (variant.chance)
        to.line("chance", fmt::format("{{ overlaps = {}, seconds = {} }}", variant.chance->overlaps,
                                      variant.chance->seconds));
    for (const auto& [name, value] : variant.parameters)
        to.entry(name, value);
}

std::string action(const FileAction& from) {
    std::string made = fmt::format("{} = {}",
                                   from.kind == FL_CONTROL_SKIP      ? "skip"
                                   : from.kind == FL_CONTROL_REPLACE ? "replace"
                                                                     : "corrupt",
                                   quoted(from.function.text));
    const auto text = [&made](std::string_view key, const Text& value) {
        if (!value.text.empty())
            made += fmt::format(", {} = {}", key, quoted(value.text));
    };
    text("with", from.replacement);
    text("actor", from.actor);
    text("caller", from.caller);
    if (from.value != 0)
        made += fmt::format(", value = {}", from.value);
    if (from.every != 1)
        made += fmt::format(", every = {}", from.every);
    if (from.optional)
        made += ", optional = true";
    return "{ " + made + " }";
}

void print_control(Printer& to, const FileControl& control) {
    to.heading("controls", control.name);
    to.kind(word_of(control.kind));
    to.line("about", quoted(control.about.text));
    to.line("variant", quoted(control.variant.text));
    if (control.kind == Control::Kind::remedy)
        to.text("produces", control.produces);
    else
        to.line("produces", quoted(control.produces.text));
    to.text("releases", control.releases);
    to.texts("needs", control.needs);
    to.flag("complains", control.complains, false);
    to.text("caught_by", control.caught_by);
    to.flag("by_name_only", control.by_name_only, false);
    std::string actions;
    for (const FileAction& one : control.actions)
        actions += (actions.empty() ? "" : ", ") + action(one);
    to.line("actions", "[" + actions + "]");
}

void print_measure(Printer& to, const FileMeasure& measure) {
    if (measure.of.text.empty())
        to.entry(measure.name.text, measure.text);
    else
        to.line(quoted(measure.name.text),
                fmt::format("{{ text = {}, of = {} }}", quoted(measure.text.text),
                            quoted(measure.of.text)));
}

} // namespace

std::string print(const ScenarioFile& file) {
    Printer to;
    to.line("faultline", std::to_string(language_version));
    to.line("name", quoted(file.name.text));
    to.text("family", file.family);
    to.line("claim", quoted(file.claim.text));
    to.line("source", quoted(file.source.text));
    to.line("races", quoted(file.races.text));
    to.line("bad", quoted(file.bad.text));
    to.texts("needs", file.needs);
    to.text("prepare", file.prepare);
    to.text("setup", file.setup);
    to.text("judge", file.judge);
    to.line("outcome", quoted(file.outcome.text));
    if (file.draws != 0)
        to.line("draws", std::to_string(file.draws));
    to.text("corrupts", file.corrupts);
    to.expected("no_hazard_control", file.no_hazard_control);
    if (!file.variants.empty() && !file.variants.front().parameters.empty()) {
        to.heading("let");
        for (const auto& [name, value] : file.variants.front().parameters)
            to.entry(name, value);
    }
    for (const FileActor& actor : file.actors)
        print_actor(to, actor);
    for (const FileBug& bug : file.bugs)
        print_bug(to, bug);
    for (const FileVariant& variant : file.variants)
        print_variant(to, variant);
    for (const FileControl& control : file.controls)
        print_control(to, control);
    if (!file.forbid.empty())
        to.heading("forbid");
    for (const FileForbid& one : file.forbid)
        to.entry(one.when.text, one.why);
    if (!file.measures.empty())
        to.heading("measures");
    for (const FileMeasure& one : file.measures)
        print_measure(to, one);
    return to.take();
}

} // namespace faultline
