// SPDX-License-Identifier: GPL-2.0
#include "language/load.hpp"

#include "engine/schedule.hpp"
#include "kernel/fd.hpp"
#include "kernel/series.hpp"
#include "language/interpreter.hpp"
#include "language/plan.hpp"

#include <algorithm>
#include <cctype>
#include <deque>
#include <filesystem>
#include <fmt/format.h>
#include <memory>
#include <regex>
#include <set>

namespace faultline {

namespace {

// The texts of a scenario, its plans, and itself.
struct Loaded {
    ScenarioFile file;
    std::deque<Plan> plans; // by variant
    std::deque<std::string> texts;
    Scenario scenario;
};

class Builder {
  public:
    Builder(ScenarioFile file, Complaints& complaints) : complaints_(complaints) {
        loaded_->file = std::move(file);
    }

    std::unique_ptr<Loaded> build() {
        const ScenarioFile& file = loaded_->file;
        if (file.actors.empty())
            complain({1, 1}, "there is no actor: [actors.NAME]");
        if (file.variants.empty())
            complain({1, 1}, "there is no variant: [variants.NAME]");
        check_names();
        for (const FileVariant& variant : file.variants)
            loaded_->plans.push_back(make_plan(file, variant, complaints_));
        check_outcome();
        check_measures();
        check_controls();
        if (!complaints_.empty())
            return nullptr;
        Scenario& scenario = loaded_->scenario;
        scenario.name = keep(file.name.text);
        scenario.family = keep(file.family.text);
        scenario.claim = keep(file.claim.text);
        scenario.source = keep(file.source.text);
        scenario.races = keep(file.races.text);
        scenario.bad = keep(file.bad.text);
        scenario.draws = static_cast<std::uint64_t>(file.draws);
        scenario.needs = needs_of(file.needs);
        for (std::size_t i = 0; i < file.variants.size(); ++i)
            scenario.variants.push_back(variant_of(file.variants[i], loaded_->plans[i]));
        for (const FileControl& control : file.controls)
            if (in_releases(running_version(), control.releases.text))
                scenario.controls.push_back(control_of(control));
        for (const FileExpected& why : file.no_hazard_control)
            if (in_releases(running_version(), why.releases.text))
                scenario.no_hazard_control = keep(why.words.text);
        const Loaded* all = loaded_.get();
        scenario.make = [all](const Variant& variant) -> std::unique_ptr<Experiment> {
            for (std::size_t i = 0; i < all->file.variants.size(); ++i)
                if (all->file.variants[i].name.text == variant.name)
                    return interpret(all->plans[i], all->file.variants[i].forced);
            return nullptr;
        };
        return std::move(loaded_);
    }

  private:
    void complain(Position at, std::string text) { complaints_.push_back({at, std::move(text)}); }

    std::string_view keep(const std::string& text) {
        return text.empty() ? std::string_view()
                            : std::string_view(loaded_->texts.emplace_back(text));
    }

    void check_name(const Text& name, std::size_t most, std::string_view what) {
        const bool good = !name.text.empty() && name.text.size() <= most &&
                          std::all_of(name.text.begin(), name.text.end(), [](unsigned char c) {
                              return std::isalnum(c) != 0 || c == '_' || c == '-';
                          });
        if (!good)
            complain(name.at,
                     fmt::format("\"{}\": the name of {} has letters, digits, _ and -, and "
                                 "at most {} of them",
                                 name.text, what, most));
    }

    void check_names() {
        constexpr std::size_t long_name = 40;
        const ScenarioFile& file = loaded_->file;
        check_name(file.name, long_name, "a scenario");
        for (const FileActor& actor : file.actors)
            check_name(actor.name, FL_NAME_LEN < 16 ? FL_NAME_LEN - 1 : 15, "an actor");
        for (const FileVariant& variant : file.variants) {
            check_name(variant.name, long_name, "a variant");
            if (variant.chance && variant.forced)
                complain(variant.name.at,
                         "overlaps are left to chance only where nothing is forced: "
                         "forced = false");
            for (const Text& known : variant.known)
                check_reference(known, file.bugs, "[bugs]");
            for (const Text& need : variant.needs)
                check_need(need);
        }
        for (const Text& need : file.needs)
            check_need(need);
        for (const FileControl& control : file.controls) {
            check_name(control.name, long_name, "a control");
            for (const Text& need : control.needs)
                check_need(need);
        }
    }

    template <typename Items>
    void check_reference(const Text& name, const Items& items, std::string_view where) {
        std::vector<std::string> all;
        all.reserve(items.size());
        for (const auto& item : items)
            all.push_back(item.name.text);
        if (std::find(all.begin(), all.end(), name.text) != all.end())
            return;
        const std::string near = nearest(name.text, all);
        complain(name.at, fmt::format("{} has no \"{}\"{}", where, name.text,
                                      near.empty() ? "" : ": is it \"" + near + "\"?"));
    }

    void check_need(const Text& need) {
        if (find_need(need.text))
            return;
        std::vector<std::string> all;
        for (const std::string_view name : need_names())
            all.emplace_back(name);
        const std::string near = nearest(need.text, all);
        complain(need.at, fmt::format("no need is called \"{}\"{} (there are: {}, machine NAME..., "
                                      "capability NAME, release LIST)",
                                      need.text, near.empty() ? "" : ": is it \"" + near + "\"?",
                                      fmt::join(all, ", ")));
    }

    // The names for all variants.
    std::vector<std::string> result_names() const {
        std::vector<std::string> results;
        for (const Plan& plan : loaded_->plans)
            for (const ActorResult& result : plan.results)
                results.push_back(result.name);
        return results;
    }

    void complain_of_result(Position at, const std::string& name) {
        const std::string near = nearest(name, result_names());
        complain(at, fmt::format("no step has a result \"{}\"{}", name,
                                 near.empty() ? "" : ": is it \"" + near + "\"?"));
    }

    // A name that no variant has.
    void check_outcome() {
        const Text& outcome = loaded_->file.outcome;
        std::set<std::string> known;
        for (const Plan& plan : loaded_->plans)
            known.insert(plan.outcome.begin(), plan.outcome.end());
        for (std::size_t from = 0; from < outcome.text.size();) {
            const std::size_t begin = outcome.text.find_first_not_of(" \n", from);
            if (begin == std::string::npos)
                break;
            const std::size_t end =
                std::min(outcome.text.find_first_of(" \n", begin), outcome.text.size());
            const std::string name = outcome.text.substr(begin, end - begin);
            from = end;
            if (known.count(name) == 0)
                complain_of_result(
                    {outcome.at.line, outcome.at.column + static_cast<unsigned>(begin)}, name);
        }
    }

    void check_measures() {
        for (const FileMeasure& measure : loaded_->file.measures) {
            const auto has = [&measure](const Plan& plan) {
                return std::any_of(
                    plan.measures.begin(), plan.measures.end(),
                    [&measure](const FileMeasure& one) { return one.name == measure.name; });
            };
            if (std::none_of(loaded_->plans.begin(), loaded_->plans.end(), has))
                complain_of_result(measure.name.at, measure.name.text);
        }
    }

    void check_controls() {
        const ScenarioFile& file = loaded_->file;
        for (const FileControl& control : file.controls) {
            check_reference(control.variant, file.variants, "[variants]");
            for (const FileAction& action : control.actions) {
                if (!action.actor.text.empty())
                    check_reference(action.actor, file.actors, "[actors]");
                if (action.kind == FL_CONTROL_CORRUPT && file.corrupts.text.empty())
                    complain(action.at, "a control that flips a byte needs its place: corrupts = "
                                        "\"MEMORY[N]\" at the top of the file");
            }
        }
    }

    std::vector<Need> needs_of(const std::vector<Text>& names) {
        std::vector<Need> all;
        for (const Text& name : names)
            if (std::optional<Need> need = find_need(name.text)) {
                need->name = keep(std::string(need->name));
                all.push_back(std::move(*need));
            }
        return all;
    }

    Variant variant_of(const FileVariant& from, const Plan& plan) {
        Variant variant{.name = keep(from.name.text),
                        .about = keep(plan.about),
                        .schedule = keep(canonical(plan.schedule))};
        for (const FileExpected& expected : plan.expected)
            variant.expected.push_back({keep(expected.words.text), keep(expected.releases.text)});
        for (const std::string& place : plan.excluded_by)
            if (!place.empty())
                variant.exclusion.places.push_back(keep(place));
        variant.exclusion.releases = keep(from.excluded_in.text);
        variant.exclusion.or_overlap = keep(from.or_overlap.text);
        for (const Text& name : from.known)
            for (const FileBug& bug : loaded_->file.bugs)
                if (bug.name.text == name.text)
                    variant.known.push_back({.words = keep(bug.words.text),
                                             .releases = keep(bug.releases.text),
                                             .fix = keep(bug.fix.text),
                                             .machines = keep(bug.machines.text),
                                             .rare = bug.rare,
                                             .log_line = keep(bug.log_line.text),
                                             .log_trace = keep(bug.log_trace.text)});
        variant.forced = from.forced;
        variant.chance = from.chance;
        variant.runs_divisor = from.divisor;
        variant.by_name_only = from.by_name_only;
        variant.needs = needs_of(from.needs);
        std::vector<Text> of_operations;
        for (const std::string& need : plan.needs)
            of_operations.push_back({need, {}});
        for (Need& need : needs_of(of_operations))
            variant.needs.push_back(std::move(need));
        return variant;
    }

    // As the engine prints it: a file may break the line.
    static std::string canonical(const std::string& schedule) {
        const Result<std::vector<Edge>> edges = parse_edges(schedule);
        return edges ? to_string(*edges) : schedule;
    }

    Control control_of(const FileControl& from) {
        Control control{.name = keep(from.name.text),
                        .about = keep(from.about.text),
                        .variant = keep(from.variant.text),
                        .produces = keep(from.produces.text),
                        .kind = from.kind,
                        .needs = needs_of(from.needs),
                        .complains = from.complains,
                        .caught_by = keep(from.caught_by.text),
                        .by_name_only = from.by_name_only};
        for (const FileAction& action : from.actions)
            control.actions.push_back({.kind = action.kind,
                                       .actor = keep(action.actor.text),
                                       .function = keep(action.function.text),
                                       .caller = keep(action.caller.text),
                                       .value = static_cast<std::uint64_t>(action.value),
                                       .replacement = keep(action.replacement.text),
                                       .every = action.every,
                                       .value_is_address = action.kind == FL_CONTROL_CORRUPT,
                                       .optional = action.optional});
        return control;
    }

    Complaints& complaints_;
    std::unique_ptr<Loaded> loaded_ = std::make_unique<Loaded>();
};

std::vector<std::string> sites_of(const Scenario& scenario) {
    std::set<std::string> sites;
    for (const Variant& variant : scenario.variants) {
        const Result<std::vector<Edge>> edges = parse_edges(variant.schedule);
        for (std::size_t i = 0; edges && i < edges->size(); ++i)
            for (const SiteRef* site : {&(*edges)[i].before, &(*edges)[i].after})
                if (site->kind != FL_SITE_USER)
                    sites.insert(site->name);
    }
    return {sites.begin(), sites.end()};
}

// One for each variant would be many times the same.
void sort_once(Complaints& complaints) {
    const auto key = [](const Complaint& one) {
        return std::tuple(one.at.line, one.at.column, one.text);
    };
    std::sort(complaints.begin(), complaints.end(),
              [&key](const Complaint& a, const Complaint& b) { return key(a) < key(b); });
    complaints.erase(
        std::unique(complaints.begin(), complaints.end(),
                    [&key](const Complaint& a, const Complaint& b) { return key(a) == key(b); }),
        complaints.end());
}

} // namespace

namespace {

// The engine's texts must live as long as the program; so must these.
std::deque<std::unique_ptr<Loaded>>& kept() {
    static std::deque<std::unique_ptr<Loaded>> all;
    return all;
}

} // namespace

const ScenarioFile* file_of(const Scenario& scenario) {
    for (const std::unique_ptr<Loaded>& one : kept())
        if (&one->scenario == &scenario)
            return &one->file;
    return nullptr;
}

namespace {

// The description of the argument at a place of a call; null: there is none.
const Argument* described(const Call& call, std::size_t place) {
    const Operation* operation = find_operation(call.operation);
    if (operation == nullptr)
        return nullptr;
    const std::string& name = call.arguments[place].name;
    for (std::size_t i = 0; i < operation->arguments.size(); ++i)
        if (name.empty() ? i == place : operation->arguments[i].name == name)
            return &operation->arguments[i];
    return nullptr;
}

bool waits(const Call& call) {
    if (call.operation == "wait_for" || call.operation == "wait_gone" || call.operation == "meet")
        return true;
    for (std::size_t i = 0; i < call.arguments.size(); ++i)
        if (const Argument* argument = described(call, i);
            argument != nullptr && argument->name == "until")
            return true;
    return false;
}

// The user site at which the step is; "": at none.
std::string site_of(const Step& step) {
    if (step.kind == Step::Kind::at)
        return step.name;
    for (std::size_t i = 0; i < step.call.arguments.size(); ++i)
        if (const Argument* argument = described(step.call, i);
            argument != nullptr && argument->type == Type::site)
            return step.call.arguments[i].value.text;
    return "";
}

bool any_waits(const std::vector<Step>& steps) {
    return std::any_of(steps.begin(), steps.end(), [](const Step& step) {
        return step.kind == Step::Kind::until ||
               (step.kind == Step::Kind::call && waits(step.call)) || any_waits(step.steps) ||
               any_waits(step.otherwise);
    });
}

void add_asked_about(const std::vector<Step>& steps, std::vector<std::string>& functions) {
    static const std::regex site(R"([\w-]+@(?:enter|return):([\w.]+))");
    for (const Step& step : steps) {
        for (const GivenArgument& argument : step.call.arguments) {
            std::smatch match;
            if (argument.value.kind == Expression::Kind::text &&
                std::regex_match(argument.value.text, match, site) &&
                std::find(functions.begin(), functions.end(), match[1]) == functions.end())
                functions.push_back(match[1]);
        }
        add_asked_about(step.steps, functions);
        add_asked_about(step.otherwise, functions);
    }
}

Roles roles_of(const Plan& plan) {
    Roles roles;
    for (std::size_t i = 0; i < plan.actors.size(); ++i) {
        const std::string& name = plan.actors[i].name.text;
        if (plan.actors[i].kind == Actor::Kind::kernel_thread)
            continue;
        const std::vector<Step>& steps = plan.steps.at(i);
        const bool idle = std::all_of(steps.begin(), steps.end(), [](const Step& step) {
            return step.kind == Step::Kind::comment;
        });
        if (idle || any_waits(steps))
            roles.helpers.insert(name);
        for (const Step& step : steps)
            if (const std::string site = site_of(step); !site.empty())
                roles.sites[name].push_back(site);
    }
    add_asked_about(plan.judge, roles.asked_about);
    return roles;
}

} // namespace

Roles roles_of(const ScenarioFile& file, std::string_view variant) {
    for (const std::unique_ptr<Loaded>& one : kept())
        for (std::size_t i = 0; &one->file == &file && i < file.variants.size(); ++i)
            if (file.variants[i].name.text == variant)
                return roles_of(one->plans.at(i));
    return {};
}

LoadedFile load_scenario(const std::string& text, const std::string& path) {
    LoadedFile made;
    ReadFile read = read_scenario(text, path);
    made.complaints = std::move(read.complaints);
    if (made.complaints.empty())
        if (std::unique_ptr<Loaded> loaded =
                Builder(std::move(read.file), made.complaints).build()) {
            made.scenario = &loaded->scenario;
            made.file = &loaded->file;
            made.kernel_sites = sites_of(loaded->scenario);
            kept().push_back(std::move(loaded));
        }
    sort_once(made.complaints);
    return made;
}

LoadedFile load_scenario_file(const std::string& path) {
    const Result<std::string> text = read_text(path);
    if (!text) {
        LoadedFile none;
        none.complaints.push_back({{1, 1}, text.error().to_string()});
        return none;
    }
    return load_scenario(*text, path);
}

std::string shipped_folder() {
    namespace fs = std::filesystem;
    if (const char* named = std::getenv("FAULTLINE_SCENARIOS"))
        return named;
    std::error_code error;
    const fs::path driver = fs::read_symlink("/proc/self/exe", error).parent_path();
    for (const fs::path& folder : {driver / "scenarios", driver / "../../scenarios",
                                   driver / "../share/faultline/scenarios"})
        if (fs::is_directory(folder, error))
            return fs::canonical(folder, error).string();
    return "";
}

std::vector<std::string> shipped_files(const std::string& folder) {
    namespace fs = std::filesystem;
    std::vector<std::string> files;
    std::error_code error;
    if (!folder.empty())
        for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folder, error))
            if (entry.path().extension() == ".flt")
                files.push_back(entry.path().string());
    std::sort(files.begin(), files.end());
    return files;
}

const std::vector<const Scenario*>& shipped_scenarios(std::string* complaints) {
    static std::string said;
    static const std::vector<const Scenario*> all = [] {
        std::vector<const Scenario*> list;
        for (const std::string& path : shipped_files(shipped_folder())) {
            const LoadedFile loaded = load_scenario_file(path);
            if (loaded.scenario != nullptr)
                list.push_back(loaded.scenario);
            said += to_string(path, loaded.complaints);
        }
        return list;
    }();
    if (complaints != nullptr)
        *complaints = said;
    return all;
}

} // namespace faultline
