// SPDX-License-Identifier: GPL-2.0
// faultline man, faultline help.
#include "cli/manual.hpp"

#include "cli/common.hpp"
#include "kernel/fd.hpp"
#include "manual/module_files.hpp"
#include "operations/operation.hpp"

#include <algorithm>
#include <filesystem>
#include <fmt/format.h>
#include <fmt/ranges.h>

namespace faultline {

namespace {

std::vector<const CLI::App*> commands_of(const CLI::App& app) {
    return app.get_subcommands([](const CLI::App* one) { return !one->get_name().empty(); });
}

std::vector<const CLI::Option*> options_of(const CLI::App& command, bool positional) {
    return command.get_options([positional](const CLI::Option* one) {
        return one->get_positional() == positional && !one->get_name(false, true).empty();
    });
}

bool takes_value(const CLI::Option& option) { return option.get_items_expected_max() > 0; }

// "[FILE]", "NAME..."
std::string positional(const CLI::Option& option) {
    std::string name = option.get_name(true);
    if (option.get_items_expected_max() > 1)
        name += "...";
    return option.get_required() ? name : "[" + name + "]";
}

// "-v, --verbose", "--runs N"
std::string tag_of(const CLI::Option& option) {
    std::vector<std::string> names;
    for (const std::string& one : option.get_snames())
        names.push_back("-" + one);
    for (const std::string& one : option.get_lnames())
        names.push_back("--" + one);
    std::string tag = fmt::format("{}", fmt::join(names, ", "));
    if (takes_value(option))
        tag += " " + option.get_type_name();
    return tag;
}

std::string sentence_of(const CLI::Option& option) {
    std::string text = option.get_description();
    if (!option.get_default_str().empty())
        text += fmt::format(" (default: {})", option.get_default_str());
    if (!option.get_envname().empty())
        text += fmt::format(" (environment: {})", option.get_envname());
    return text;
}

std::string synopsis(const CLI::App& command) {
    std::string text = command.get_name();
    if (options_of(command, false).size() > 1) // there is always --help
        text += " [OPTIONS]";
    for (const CLI::Option* one : options_of(command, true))
        text += " " + positional(*one);
    return text;
}

void add_command(Page& page, const CLI::App& command) {
    page.subheading("faultline " + synopsis(command));
    page.paragraph(command.get_description());
    for (const bool first : {true, false})
        for (const CLI::Option* one : options_of(command, first))
            page.entry(first ? one->get_name(true) : tag_of(*one), sentence_of(*one));
}

Page driver_page(const CLI::App& app) {
    Page page{"faultline", 1, "settles arguments about races in Linux memory management", {}};
    page.heading("Synopsis");
    page.example("faultline COMMAND [OPTIONS] [ARGUMENTS]\n");
    page.heading("Description");
    page.paragraph(app.get_description());
    page.heading("Commands");
    for (const CLI::App* one : commands_of(app))
        add_command(page, *one);
    page.heading("Exit status");
    const std::string statuses = app.get_footer();
    page.example(statuses.substr(statuses.find('\n') + 1) + "\n");
    page.heading("Files");
    page.entry("/usr/share/faultline/scenarios",
               "the scenario files of an installed driver; FAULTLINE_SCENARIOS names others");
    page.entry("/sys/kernel/debug/faultline", "the files of the module: faultline-debugfs(5)");
    page.heading("See also");
    page.paragraph("faultline-scenario(5), faultline-debugfs(5)");
    return page;
}

void add_operation(Page& page, const Operation& operation) {
    std::string text(operation.about);
    const auto add = [&text](std::string_view what, std::string_view value) {
        if (!value.empty())
            text += fmt::format("{}{}{}", text.empty() ? "" : "; ", what, value);
    };
    add("see ", operation.man);
    add("may give ", operation.errnos);
    add("needs ", operation.needs);
    page.entry(signature(operation), text);
}

Page scenario_page() {
    Page page{"faultline-scenario", 5, "scenario files of faultline(1)", {}};
    page.heading("Description");
    page.add(blocks_of_markdown(language_text()));
    page.heading("Operations");
    for (const Operation& one : all_operations())
        add_operation(page, one);
    page.heading("Numbers that have a name");
    for (const NamedNumber& one : named_numbers())
        page.entry(one.name, one.about);
    page.heading("Needs");
    page.paragraph(
        fmt::format("{}, machine NAME..., capability NAME", fmt::join(need_names(), ", ")));
    page.heading("Example");
    page.example(new_scenario("my-scenario"));
    page.heading("See also");
    page.paragraph("faultline(1), faultline-debugfs(5)");
    return page;
}

void add_lines(Page& page, const std::vector<LineForms>& lines) {
    for (const LineForms& one : lines)
        page.entry(fmt::format("{}", fmt::join(one.forms, "  |  ")), one.about);
}

// The lines of `row`: those of its section, and before them those of all, where it is the first
// file that has them.
Result<void> add_lines_of(Page& page, const ModuleFileRow& row, bool first) {
    const std::string_view text = header_text(row.header);
    if (row.header.ends_with("_abi.h")) { // what it reads is no text
        page.example(text.substr(std::min(text.find("#define FL_"), text.size())));
        return {};
    }
    const Result<std::vector<LineSection>> sections = read_lines_header(text);
    if (!sections)
        return Error::make(0, row.header + ": " + sections.error().to_string());
    const std::string name = row.path.substr(row.path.find('/') + 1);
    for (const LineSection& section : *sections)
        if (section.name == name || (section.name.empty() && first))
            add_lines(page, section.lines);
    return {};
}

Result<Page> debugfs_page() {
    Page page{"faultline-debugfs", 5, "files of the kernel module of faultline(1)", {}};
    page.heading("Description");
    page.paragraph(
        "The module faultline has these files below `/sys/kernel/debug/faultline`. All have "
        "the mode 0600. In the forms of lines, words in capitals stand for values.");
    page.heading("Files that are read");
    for (const ModuleFileRow& row : module_files())
        if (!row.commands)
            page.entry(row.path, row.about);
    page.heading("Files that take commands");
    page.paragraph(
        "Each open of such a file has a state of its own. A write is one command; a read "
        "gives the answer. In a shell:");
    page.example("exec 3<>/sys/kernel/debug/faultline/depth; echo $$ >&3; cat <&3\n");
    std::string last;
    for (const ModuleFileRow& row : module_files()) {
        if (!row.commands)
            continue;
        page.subheading(row.path);
        page.paragraph(row.about);
        if (!row.header.empty())
            if (const Result<void> added = add_lines_of(page, row, row.header != last); !added)
                return added.error();
        last = row.header;
    }
    page.heading("Parameters of the module");
    page.entry("i_know=1", "load the module outside of a virtual machine, too");
    page.heading("See also");
    page.paragraph("faultline(1), faultline-scenario(5)");
    return page;
}

} // namespace

const std::vector<std::string>& page_names() {
    static const std::vector<std::string> names{"faultline", "faultline-scenario",
                                                "faultline-debugfs"};
    return names;
}

Result<Page> manual_page(const CLI::App& app, const std::string& name) {
    if (name == "faultline")
        return driver_page(app);
    if (name == "faultline-scenario")
        return scenario_page();
    if (name == "faultline-debugfs")
        return debugfs_page();
    return Error::make(0, fmt::format("no page is called \"{}\" (there are: {})", name,
                                      fmt::join(page_names(), ", ")));
}

namespace {

// DIR/man1/faultline.1, ...
Result<void> write_pages(const CLI::App& app, const std::string& folder) {
    for (const std::string& name : page_names()) {
        const Result<Page> page = manual_page(app, name);
        if (!page)
            return page.error();
        const std::filesystem::path path = std::filesystem::path(folder) /
                                           fmt::format("man{}", page->section) /
                                           fmt::format("{}.{}", name, page->section);
        std::error_code error;
        std::filesystem::create_directories(path.parent_path(), error);
        if (error)
            return Error::make(error.value(), "create", path.parent_path().string());
        const Result<Fd> file = Fd::open(path.string(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
        if (!file)
            return file.error();
        const Result<void> written =
            write_all(file->get(), roff(*page, FAULTLINE_VERSION, release_date()), path.string());
        if (!written)
            return written;
    }
    return {};
}

} // namespace

int man_command(const CLI::App& app, const Arguments& arguments) {
    if (!arguments.into.empty()) {
        const Result<void> written = write_pages(app, arguments.into);
        return written ? status_good : cannot(written.error().to_string());
    }
    const Result<Page> page =
        manual_page(app, arguments.names.empty() ? "faultline" : arguments.names.front());
    if (!page)
        return cannot(page.error().to_string());
    fmt::print("{}", roff(*page, FAULTLINE_VERSION, release_date()));
    return status_good;
}

int completion_command(const CLI::App& app, const Arguments& arguments) {
    const std::string script = completion(app, arguments.names.front());
    if (script.empty())
        return cannot("completion is for bash and zsh");
    fmt::print("{}", script);
    return status_good;
}

namespace {

// The topics of `help` beside commands, operations and scenarios, and the page of each.
struct Topic {
    std::string_view name;
    std::string_view page;
};
constexpr Topic topics[] = {{"scenario-files", "faultline-scenario"},
                            {"debugfs", "faultline-debugfs"}};

int help_all(const CLI::App& app) {
    fmt::print("{}\nTopics of faultline help TOPIC: a command, an operation (faultline ops), a "
               "scenario (faultline list)",
               app.help());
    for (const Topic& topic : topics)
        fmt::print(", {}", topic.name);
    fmt::print("\n");
    return status_good;
}

std::vector<std::string> topics_of(const CLI::App& app) {
    std::vector<std::string> all;
    for (const CLI::App* one : commands_of(app))
        all.push_back(one->get_name());
    for (const Topic& topic : topics)
        all.emplace_back(topic.name);
    for (const Operation& one : all_operations())
        all.emplace_back(one.name);
    for (const Scenario* one : known_scenarios())
        all.emplace_back(one->name);
    return all;
}

} // namespace

int help_command(const CLI::App& app, const Arguments& arguments) {
    if (arguments.names.empty())
        return help_all(app);
    const std::string& name = arguments.names.front();
    for (const CLI::App* one : commands_of(app))
        if (one->get_name() == name) {
            fmt::print("{}", one->help());
            return status_good;
        }
    for (const Topic& topic : topics)
        if (topic.name == name || topic.page == name) {
            const Result<Page> page = manual_page(app, std::string(topic.page));
            if (!page)
                return cannot(page.error().to_string());
            fmt::print("{}", plain(*page));
            return status_good;
        }
    if (find_operation(name) != nullptr)
        return ops_command(arguments);
    if (find_scenario(name) != nullptr) {
        Arguments wanted = arguments;
        wanted.verbose = true;
        return list_command(wanted);
    }
    const std::string near = nearest(name, topics_of(app));
    return cannot(fmt::format("no topic is called \"{}\"{}: see faultline help", name,
                              near.empty() ? "" : fmt::format(" (is it \"{}\"?)", near)));
}

void add_manual_commands(CLI::App& app, Arguments& arguments) {
    CLI::App* man = app.add_subcommand("man", "a page of the manual, for man -l -");
    man->add_option("PAGE", arguments.names,
                    fmt::format("{} (default: faultline)", fmt::join(page_names(), ", ")))
        ->expected(0, 1);
    man->add_option("--into", arguments.into, "write all pages below this folder: man1/faultline.1")
        ->type_name("PATH");
    CLI::App* complete = app.add_subcommand("completion", "a completion script for a shell");
    complete->add_option("SHELL", arguments.names, "bash or zsh")->expected(1)->required();
    CLI::App* help = app.add_subcommand("help", "explains a command, an operation or a scenario");
    help->add_option("TOPIC", arguments.names, "its name (default: lists the topics)")
        ->expected(0, 1);
}

} // namespace faultline
