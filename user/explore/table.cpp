// SPDX-License-Identifier: GPL-2.0
#include "explore/table.hpp"

#include "explore/orders.hpp"
#include "language/table_reader.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <iterator>
#include <set>

namespace faultline {

namespace {

constexpr std::string_view me = "{me}";

std::vector<std::string> plain(const std::vector<Text>& texts) {
    std::vector<std::string> all;
    all.reserve(texts.size());
    for (const Text& text : texts)
        all.push_back(text.text);
    return all;
}

template <typename Rows> auto* row_named(Rows& rows, std::string_view name) {
    const auto found = std::find_if(rows.begin(), rows.end(),
                                    [name](const auto& row) { return row.name == name; });
    return found == rows.end() ? nullptr : &*found;
}

template <typename Rows> std::vector<std::string> names_of(const Rows& rows) {
    std::vector<std::string> all;
    all.reserve(rows.size());
    for (const auto& row : rows)
        all.push_back(row.name);
    return all;
}

Error unknown(std::string_view what, const std::string& name, const std::vector<std::string>& all) {
    const std::string near = nearest(name, all);
    return Error::make(ENOENT, near.empty() ? fmt::format("there is no {} \"{}\" (there are: {})",
                                                          what, name, fmt::join(all, ", "))
                                            : fmt::format("there is no {} \"{}\": is it \"{}\"?",
                                                          what, name, near));
}

SetupRow read_setup(const Text& name, TableReader& table) {
    SetupRow row{.name = name.text,
                 .about = table.text("about", true).text,
                 .prepare = table.text("prepare").text,
                 .steps = table.text("steps", true).text,
                 .judge = table.text("judge").text,
                 .outcome = table.text("outcome").text,
                 .needs = plain(table.texts("needs"))};
    if (row.judge.empty() != row.outcome.empty())
        table.complain(table.at(), "judge and outcome go together: outcome names its results");
    table.finish();
    return row;
}

Relaxation read_relaxation(TableReader& table) {
    Relaxation one{.when = table.text("when").text,
                   .absent = table.flag("absent", false),
                   .each_page = table.flag("each_page", false),
                   .result = table.flag("result", false),
                   .setups = plain(table.texts("setups")),
                   .may_differ = table.text("may_differ").text,
                   .why = table.text("why", true).text};
    if (!one.absent && !one.each_page && !one.result && one.may_differ.empty())
        table.complain(table.at(), "it relaxes nothing: absent, each_page, result or may_differ");
    if ((one.absent || one.result) && one.when.empty())
        table.complain(table.at(),
                       "an operation may have done nothing, or have another result, only with "
                       "some result: when");
    table.finish();
    return one;
}

OperationRow read_operation(const Text& name, TableReader& table,
                            const std::vector<SetupRow>& setups) {
    const std::vector<Text> goes_with = table.texts("setups");
    if (goes_with.empty())
        table.complain(table.at(), "it is for no setup: setups = [\"...\"]");
    for (const Text& setup : goes_with)
        if (row_named(setups, setup.text) == nullptr)
            table.complain(setup.at, unknown("setup", setup.text, names_of(setups)).message);
    OperationRow row{.name = name.text,
                     .about = table.text("about", true).text,
                     .setup = table.text("setup").text,
                     .steps = table.text("steps", true).text,
                     .setups = plain(goes_with),
                     .needs = plain(table.texts("needs"))};
    if (table.has("relax"))
        for (TableReader& one : table.tables("relax"))
            row.relaxations.push_back(read_relaxation(one));
    else
        table.allow("relax");
    for (const Relaxation& one : row.relaxations)
        for (const std::string& setup : one.setups)
            if (row_named(setups, setup) == nullptr)
                table.complain(table.at(), unknown("setup", setup, names_of(setups)).message);
    table.finish();
    return row;
}

std::string filled(std::string text, std::string_view name) {
    for (std::size_t at = text.find(me); at != std::string::npos;
         at = text.find(me, at + name.size()))
        text.replace(at, me.size(), name);
    return text;
}

bool goes_with(const OperationRow& operation, const std::string& setup) {
    return std::find(operation.setups.begin(), operation.setups.end(), setup) !=
           operation.setups.end();
}

std::string list_of(const std::set<std::string>& texts) {
    std::string all;
    for (const std::string& text : texts)
        all += fmt::format("{}\"{}\"", all.empty() ? "" : ", ", text);
    return "[" + all + "]";
}

} // namespace

const SetupRow* ExploreTable::setup(std::string_view name) const { return row_named(setups, name); }
const OperationRow* ExploreTable::operation(std::string_view name) const {
    return row_named(operations, name);
}

ReadTable read_table(const std::string& text) {
    ReadTable read;
    ExploreTable& table = read.table;
    read_tables(text, read.complaints, [&table](TableReader& top) {
        each_table(top, "setups", [&table](const Text& name, TableReader& one) {
            table.setups.push_back(read_setup(name, one));
        });
        each_table(top, "operations", [&table](const Text& name, TableReader& one) {
            table.operations.push_back(read_operation(name, one, table.setups));
        });
        if (top.has("relax"))
            for (TableReader& one : top.tables("relax"))
                table.relaxations.push_back(read_relaxation(one));
        else
            top.allow("relax");
        if (table.setups.empty())
            top.complain(top.at(), "the file has no setup: [setups.NAME]");
        if (table.operations.empty())
            top.complain(top.at(), "the file has no operation: [operations.NAME]");
    });
    return read;
}

std::string Topic::name() const { return fmt::format("{}: {}", setup, fmt::join(operations, " ")); }

std::vector<Topic> all_topics(const ExploreTable& table) {
    std::vector<std::vector<Topic>> of_setups;
    for (const SetupRow& setup : table.setups) {
        std::vector<Topic>& topics = of_setups.emplace_back();
        std::vector<Topic> with_itself;
        for (std::size_t k = 0; k < table.operations.size(); ++k)
            for (std::size_t i = 0; i <= k; ++i) {
                const OperationRow& a = table.operations[i];
                const OperationRow& b = table.operations[k];
                if (goes_with(a, setup.name) && goes_with(b, setup.name))
                    (i == k ? with_itself : topics).push_back({setup.name, {a.name, b.name}});
            }
        topics.insert(topics.end(), with_itself.begin(), with_itself.end());
    }
    std::vector<Topic> all;
    for (std::size_t at = 0, more = 1; more != 0; ++at) {
        more = 0;
        for (std::vector<Topic>& topics : of_setups)
            if (at < topics.size()) {
                all.push_back(std::move(topics[at]));
                ++more;
            }
    }
    return all;
}

std::optional<Topic> topic_named(const ExploreTable& table, std::string_view name) {
    for (const SetupRow& setup : table.setups) {
        if (!name.starts_with(setup.name + "-"))
            continue;
        Topic topic{setup.name, {}};
        std::vector<std::string> actors;
        for (std::string_view rest = name.substr(setup.name.size()); !rest.empty();) {
            rest.remove_prefix(1); // the minus
            actors.emplace_back(rest.substr(0, rest.find('-')));
            rest.remove_prefix(actors.back().size());
            // "collapse_2" is the second one that does "collapse".
            const OperationRow* operation = table.operation(actors.back());
            if (operation == nullptr)
                operation = table.operation(actors.back().substr(0, actors.back().rfind('_')));
            topic.operations.push_back(operation == nullptr ? "" : operation->name);
        }
        if (actors == actors_of(topic) && scenario_text(table, topic).ok())
            return topic;
    }
    return std::nullopt;
}

std::vector<std::string> actors_of(const Topic& topic) {
    std::vector<std::string> actors;
    for (const std::string& operation : topic.operations) {
        std::string name = operation;
        for (unsigned number = 2; std::find(actors.begin(), actors.end(), name) != actors.end();
             ++number)
            name = fmt::format("{}_{}", operation, number);
        actors.push_back(std::move(name));
    }
    return actors;
}

Result<std::string> scenario_text(const ExploreTable& table, const Topic& topic) {
    const SetupRow* setup = table.setup(topic.setup);
    if (setup == nullptr)
        return unknown("setup", topic.setup, names_of(table.setups));
    const std::vector<std::string> actors = actors_of(topic);
    std::set<std::string> needs(setup->needs.begin(), setup->needs.end());
    std::string setup_steps = setup->steps;
    std::string let;
    std::string parts;
    std::string outcome = setup->outcome;
    std::string variants = "[variants.all]\nabout = \"all of them\"\n";
    for (std::size_t i = 0; i < actors.size(); ++i) {
        const OperationRow* operation = table.operation(topic.operations[i]);
        if (operation == nullptr)
            return unknown("operation", topic.operations[i], names_of(table.operations));
        if (!goes_with(*operation, setup->name))
            return Error::make(
                EINVAL,
                fmt::format("the setup \"{}\" has nothing for \"{}\", which is for: {}",
                            setup->name, operation->name, fmt::join(operation->setups, ", ")));
        needs.insert(operation->needs.begin(), operation->needs.end());
        if (!operation->setup.empty())
            setup_steps += "\n" + filled(operation->setup, actors[i]);
        let += fmt::format("do-{} = '''\n{}'''\n", actors[i], filled(operation->steps, actors[i]));
        parts += fmt::format("[actors.{}]\ncpu = {}\nsteps = '''\nat {}\n{{do-{}}}\nat {}'''\n",
                             actors[i], i, first_site, actors[i], last_site);
        outcome += (outcome.empty() ? "" : " ") + actors[i];
        variants +=
            fmt::format("[variants.without-{}]\nabout = \"the others alone\"\ndo-{} = \"\"\n",
                        actors[i], actors[i]);
    }
    return fmt::format("faultline = 1\n"
                       "name = \"{}-{}\"\n"
                       "claim = \"each run ends as one after the other would\"\n"
                       "source = \"faultline explore --setup {} {}\"\n"
                       "races = \"{}\"\n"
                       "bad = \"a result or a State that no serial order gives\"\n"
                       "needs = {}\n"
                       "prepare = '''\n{}'''\n"
                       "setup = '''\n{}'''\n"
                       "judge = '''\n{}'''\n"
                       "outcome = \"{}\"\n"
                       "forced = false\n"
                       "[let]\n{}{}{}",
                       topic.setup, fmt::join(actors, "-"), topic.setup,
                       fmt::join(topic.operations, " "), fmt::join(actors, " against "),
                       list_of(needs), setup->prepare, setup_steps, setup->judge, outcome, let,
                       parts, variants);
}

std::vector<Relaxation> relaxations_of(const ExploreTable& table, const Topic& topic) {
    std::vector<Relaxation> all;
    const auto is_here = [&topic](const Relaxation& one) {
        return one.setups.empty() ||
               std::find(one.setups.begin(), one.setups.end(), topic.setup) != one.setups.end();
    };
    const std::vector<std::string> actors = actors_of(topic);
    const auto add_for = [&all](Relaxation one, const std::string& actor) {
        one.actor = actor;
        one.when = filled(one.when, actor);
        one.may_differ = filled(one.may_differ, actor);
        all.push_back(std::move(one));
    };
    for (const Relaxation& one : table.relaxations) {
        if (!is_here(one))
            continue;
        if (one.when.find(me) == std::string::npos)
            all.push_back(one);
        else
            for (const std::string& actor : actors)
                add_for(one, actor);
    }
    for (std::size_t i = 0; i < actors.size(); ++i)
        if (const OperationRow* operation = table.operation(topic.operations[i]))
            for (const Relaxation& one : operation->relaxations)
                if (is_here(one))
                    add_for(one, actors[i]);
    return all;
}

} // namespace faultline
