// SPDX-License-Identifier: GPL-2.0
// faultline completion: what bash and zsh offer, from the description of the commands.
#include "cli/manual.hpp"

#include "operations/operation.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <fmt/ranges.h>

namespace faultline {

namespace {

// The possible values of an option or argument, by its word in --help.
struct Offer {
    enum class Kind { nothing, files, scenarios, words };
    Kind kind = Kind::nothing;
    std::vector<std::string> words = {};
};

std::vector<const CLI::App*> commands_of(const CLI::App& app) {
    return app.get_subcommands([](const CLI::App* one) { return !one->get_name().empty(); });
}

Offer offer_of(const CLI::App& app, const std::string& word) {
    if (word == "FILE" || word == "PATH")
        return {Offer::Kind::files};
    if (word == "NAME")
        return {Offer::Kind::scenarios};
    Offer offer{Offer::Kind::words};
    if (word == "SHELL")
        offer.words = {"bash", "zsh"};
    if (word == "PAGE")
        offer.words = page_names();
    if (word == "OPERATION" || word == "TOPIC")
        for (const Operation& one : all_operations())
            offer.words.emplace_back(one.name);
    if (word == "TOPIC")
        for (const CLI::App* one : commands_of(app))
            offer.words.push_back(one->get_name());
    return offer.words.empty() ? Offer{} : offer;
}

std::vector<std::string> names_of(const CLI::Option& option) {
    std::vector<std::string> names;
    for (const std::string& one : option.get_snames())
        names.push_back("-" + one);
    for (const std::string& one : option.get_lnames())
        names.push_back("--" + one);
    return names;
}

std::vector<const CLI::Option*> flags_of(const CLI::App& command) {
    return command.get_options(
        [](const CLI::Option* one) { return !one->get_positional() && one->nonpositional(); });
}

std::vector<const CLI::Option*> positionals_of(const CLI::App& command) {
    return command.get_options([](const CLI::Option* one) { return one->get_positional(); });
}

bool takes_value(const CLI::Option& option) { return option.get_items_expected_max() > 0; }

// --- bash ---------------------------------------------------------------------

std::string bash_offer(const Offer& offer) {
    switch (offer.kind) {
    case Offer::Kind::files:
        return "COMPREPLY=($(compgen -f -- \"$word\"))";
    case Offer::Kind::scenarios:
        return "COMPREPLY=($(compgen -W \"$(faultline list --names 2>/dev/null)\" -- \"$word\") "
               "$(compgen -f -X '!*.flt' -- \"$word\"))";
    case Offer::Kind::words:
        return fmt::format("COMPREPLY=($(compgen -W '{}' -- \"$word\"))",
                           fmt::join(offer.words, " "));
    case Offer::Kind::nothing:
        break;
    }
    return "COMPREPLY=()";
}

std::string bash_command(const CLI::App& app, const CLI::App& command) {
    std::vector<std::string> all;
    std::string values;
    for (const CLI::Option* option : flags_of(command)) {
        const std::vector<std::string> names = names_of(*option);
        all.insert(all.end(), names.begin(), names.end());
        if (takes_value(*option))
            values += fmt::format("\t\t{}) {}; return ;;\n", fmt::join(names, "|"),
                                  bash_offer(offer_of(app, option->get_type_name())));
    }
    const std::vector<const CLI::Option*> arguments = positionals_of(command);
    const Offer offer =
        arguments.empty() ? Offer{} : offer_of(app, arguments.front()->get_name(true));
    return fmt::format("\t{}) options='{}'\n{}\t\t[[ $word == -* ]] || {} ;;\n", command.get_name(),
                       fmt::join(all, " "),
                       values.empty() ? "" : "\t\tcase $before in\n" + values + "\t\tesac\n",
                       bash_offer(offer));
}

std::string bash(const CLI::App& app) {
    std::vector<std::string> names;
    std::string commands;
    for (const CLI::App* one : commands_of(app)) {
        names.push_back(one->get_name());
        commands += bash_command(app, *one);
    }
    return fmt::format(
        "# SPDX-License-Identifier: GPL-2.0\n"
        "# Made by `faultline completion bash`.\n"
        "# shellcheck shell=bash disable=SC2207\n"
        "_faultline() {{\n"
        "\tlocal word=${{COMP_WORDS[COMP_CWORD]}} "
        "before=${{COMP_WORDS[COMP_CWORD-1]}} options=\n"
        "\tCOMPREPLY=()\n"
        "\tif ((COMP_CWORD == 1)); then\n"
        "\t\tCOMPREPLY=($(compgen -W '{}' -- \"$word\"))\n"
        "\t\treturn\n"
        "\tfi\n"
        "\tcase ${{COMP_WORDS[1]}} in\n{}"
        "\tesac\n"
        "\t[[ $word != -* ]] || COMPREPLY=($(compgen -W \"$options\" -- \"$word\"))\n"
        "}}\n"
        "complete -F _faultline faultline\n",
        fmt::join(names, " "), commands);
}

// --- zsh ----------------------------------------------------------------------

// In single quotes, where brackets and colons have a meaning.
std::string zsh_text(std::string_view text) {
    std::string all;
    for (const char c : text)
        if (c == '\'')
            all += "'\\''";
        else if (c == '[' || c == ']' || c == ':' || c == '\\')
            all += fmt::format("\\{}", c);
        else
            all += c == '\n' ? ' ' : c;
    return all;
}

std::string zsh_offer(const Offer& offer) {
    switch (offer.kind) {
    case Offer::Kind::files:
        return "_files";
    case Offer::Kind::scenarios:
        return "_faultline_scenarios";
    case Offer::Kind::words:
        return fmt::format("({})", fmt::join(offer.words, " "));
    case Offer::Kind::nothing:
        break;
    }
    return " ";
}

std::string zsh_command(const CLI::App& app, const CLI::App& command) {
    std::string text = fmt::format("\t{})\n\t\t_arguments", command.get_name());
    for (const CLI::Option* option : flags_of(command))
        for (const std::string& name : names_of(*option))
            text += fmt::format(" \\\n\t\t\t'*{}[{}]{}'", name, zsh_text(option->get_description()),
                                takes_value(*option)
                                    ? fmt::format(":{}:{}", zsh_text(option->get_type_name()),
                                                  zsh_offer(offer_of(app, option->get_type_name())))
                                    : "");
    for (const CLI::Option* option : positionals_of(command))
        text += fmt::format(" \\\n\t\t\t'*:{}:{}'", option->get_name(true),
                            zsh_offer(offer_of(app, option->get_name(true))));
    return text + " ;;\n";
}

std::string zsh(const CLI::App& app) {
    std::string list;
    std::string commands;
    for (const CLI::App* one : commands_of(app)) {
        list += fmt::format("\t\t'{}:{}'\n", one->get_name(), zsh_text(one->get_description()));
        commands += zsh_command(app, *one);
    }
    return fmt::format("#compdef faultline\n"
                       "# SPDX-License-Identifier: GPL-2.0\n"
                       "# Made by `faultline completion zsh`.\n"
                       "_faultline_scenarios() {{\n"
                       "\tlocal -a names=(${{(f)\"$(faultline list --names 2>/dev/null)\"}})\n"
                       "\t_describe scenario names\n"
                       "\t_files -g '*.flt'\n"
                       "}}\n"
                       "_faultline() {{\n"
                       "\tlocal -a commands=(\n{}\t)\n"
                       "\tif ((CURRENT == 2)); then\n"
                       "\t\t_describe command commands\n"
                       "\t\treturn\n"
                       "\tfi\n"
                       "\tlocal command=$words[2]\n"
                       "\tshift words\n"
                       "\t((CURRENT--))\n"
                       "\tcase $command in\n{}"
                       "\tesac\n"
                       "}}\n"
                       "_faultline \"$@\"\n",
                       list, commands);
}

} // namespace

std::string completion(const CLI::App& app, const std::string& shell) {
    return shell == "bash" ? bash(app) : shell == "zsh" ? zsh(app) : "";
}

} // namespace faultline
