// SPDX-License-Identifier: GPL-2.0
#include "cli/common.hpp"

#include "engine/stop.hpp"
#include "kernel/cpu.hpp"
#include "kernel/guardian.hpp"
#include "kernel/own_memory.hpp"
#include "language/load.hpp"
#include "operations/operation.hpp"
#include "report/human.hpp"
#include "scenarios/list.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <malloc.h>
#include <sys/utsname.h>
#include <tuple>

namespace faultline {

namespace {

// A name with ".flt" in it is that of a file: FILE.flt, FILE.flt/variant, FILE.flt+control.
constexpr std::string_view file_suffix = ".flt";

template <typename T> std::string names_of(const std::vector<T>& items) {
    std::string text;
    for (const T& item : items)
        text += (text.empty() ? "" : ", ") + std::string(item.name);
    return text;
}

// ": is it \"collapse-fill\"?", or an end of the sentence.
std::string like(const std::string& name) {
    std::vector<std::string> names;
    for (const Scenario* scenario : known_scenarios())
        for (const std::string_view one : {scenario->name, scenario->family})
            if (!one.empty())
                names.emplace_back(one);
    const std::string near = nearest(name, names);
    return near.empty() ? "." : fmt::format(": is it \"{}\"?", near);
}

// The variant that tells most in a short time: a control shows that it could fail, its order is
// forced, and its runs are cheap.
std::string cheapest_variant(const Scenario& scenario) {
    const auto cost = [&scenario](const Variant& variant) {
        const bool controlled = std::any_of(
            scenario.controls.begin(), scenario.controls.end(), [&variant](const Control& one) {
                return one.kind == Control::Kind::hazard && one.tried_with_others() &&
                       one.variant == variant.name;
            });
        return std::tuple(variant.by_name_only, !controlled, variant.chance.has_value(),
                          !variant.forced, variant.runs_divisor);
    };
    const auto least =
        std::min_element(scenario.variants.begin(), scenario.variants.end(),
                         [&cost](const Variant& a, const Variant& b) { return cost(a) < cost(b); });
    return std::string(least->name);
}

Result<Chosen> choose_one(const std::string& name, const Arguments& arguments) {
    const std::size_t plus = name.find('+');
    const std::string plain = name.substr(0, plus);
    const std::size_t slash = plain.find('/');
    Chosen chosen;
    chosen.scenario = find_scenario(plain.substr(0, slash));
    if (chosen.scenario == nullptr)
        return Error::make(0, fmt::format("no scenario is called \"{}\"{} See faultline list",
                                          plain.substr(0, slash), like(plain.substr(0, slash))));
    chosen.selection.variant =
        slash == std::string::npos ? arguments.variant : plain.substr(slash + 1);
    chosen.selection.control =
        plus == std::string::npos ? arguments.control : name.substr(plus + 1);
    chosen.selection.controls = !arguments.no_controls;
    if (arguments.fastest && chosen.selection.variant.empty() && chosen.selection.control.empty())
        chosen.selection.variant = cheapest_variant(*chosen.scenario);
    const std::string& variant = chosen.selection.variant;
    if (!variant.empty() && find_variant_of(*chosen.scenario, variant) == nullptr)
        return Error::make(0, fmt::format("{} has no variant \"{}\" (there are: {})",
                                          chosen.scenario->name, variant,
                                          names_of(chosen.scenario->variants)));
    return chosen;
}

} // namespace

int cannot(std::string_view why) {
    fmt::print(stderr, "faultline: {}\n", why);
    return status_usage;
}

Colour colour_of_stdout(std::string_view when) {
    if (when != "auto")
        return when == "always" ? Colour::terminal : Colour::none;
    const auto variable = [](const char* name) {
        const char* value = ::getenv(name);
        return std::string_view(value == nullptr ? "" : value);
    };
    const bool plain = !variable("NO_COLOR").empty() || variable("TERM") == "dumb";
    return !plain && ::isatty(STDOUT_FILENO) != 0 ? Colour::terminal : Colour::none;
}

namespace {

// A thread gets no arena of its own: its first malloc() would put it at the place of a removed
// mapping. And free() returns no memory to the kernel: under a control that flushes no TLB, another
// CPU would still write to it.
void keep_heap() {
    ::mallopt(M_ARENA_MAX, 1);
    ::mallopt(M_TRIM_THRESHOLD, -1); // never
    ::mallopt(M_MMAP_MAX, 0);
}

} // namespace

Result<void> prepare_process() {
    if (::geteuid() != 0)
        return Error::make(0, "needs root: it loads a module and holds kernel tasks. Use a VM that "
                              "may crash.");
    keep_heap();
    // Code that runs for the first time in a later run would bring a page table then: seen as a
    // difference of VmPTE, where the addresses of the program happen to be so.
    (void)populate_own_memory(0);
    online_cpus(); // as we were started
    install_stop_signals();
    return start_guardian();
}

Result<Module> prepare_machine(const Arguments& arguments) {
    const Result<void> prepared = prepare_process();
    if (!prepared)
        return prepared.error();
    return Module::load(arguments.module);
}

Result<Sink> Sink::open(const std::string& path) {
    Sink sink;
    sink.path_ = path;
    if (path.empty())
        return sink;
    Result<Fd> file = Fd::open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (!file)
        return file.error();
    sink.file_ = std::move(*file);
    return sink;
}

void Sink::put(std::string_view text) {
    if (!file_ || failed_)
        return;
    const Result<void> written = write_all(file_.get(), text, path_);
    if (written)
        return;
    failed_ = true; // the reader is gone: one message is enough, the runs go on
    fmt::print(stderr, "faultline: {}\n", written.error().to_string());
}

ProgressLine::ProgressLine(Sink file)
    : file_(std::move(file)), terminal_(::isatty(STDERR_FILENO) != 0) {}

Result<ProgressLine> ProgressLine::open(const std::string& path) {
    Result<Sink> file = Sink::open(path);
    if (!file)
        return file.error();
    return ProgressLine(std::move(*file));
}

void ProgressLine::show(const Progress& progress) { show(human_progress(progress)); }

void ProgressLine::show(const std::string& text) {
    const auto now = std::chrono::steady_clock::now();
    if (now - written_at_ >= std::chrono::seconds(1)) {
        written_at_ = now;
        file_.put(text + "\n");
    }
    if (!terminal_ || now - shown_at_ < std::chrono::milliseconds(200))
        return;
    shown_at_ = now;
    shown_ = true;
    fmt::print(stderr, "\r\033[K{}", text);
    std::fflush(stderr);
}

void ProgressLine::clear() {
    if (!shown_)
        return;
    shown_ = false;
    fmt::print(stderr, "\r\033[K");
    std::fflush(stderr);
}

namespace {

std::vector<std::string> members_of_family(std::string_view family) {
    std::vector<std::string> members;
    for (const Scenario* scenario : known_scenarios())
        if (!family.empty() && scenario->family == family)
            members.emplace_back(scenario->name);
    return members;
}

} // namespace

Result<std::vector<Chosen>> choose(const Arguments& arguments) {
    std::vector<std::string> names;
    // A shipped file that does not load must not be missed.
    std::string complaints;
    (void)shipped_scenarios(&complaints);
    if (!complaints.empty())
        return Error::make(0, "a shipped file is no scenario:\n" + complaints);
    for (const std::string& file : arguments.files) {
        if (!file.ends_with(file_suffix))
            return Error::make(0, "\"" + file + "\" is no FILE.flt");
        if (const Result<std::string> loaded = load_named_file(file); !loaded)
            return loaded.error();
    }
    for (const std::string& given : arguments.names) {
        const Result<std::string> loaded = load_named_file(given);
        if (!loaded)
            return loaded.error();
        const std::string& name = *loaded;
        const std::vector<std::string> members = members_of_family(name);
        if (members.empty())
            names.push_back(name);
        names.insert(names.end(), members.begin(), members.end());
    }
    if (names.empty())
        for (const Scenario* scenario : known_scenarios())
            if ((arguments.control.empty() ||
                 find_control_of(*scenario, arguments.control) != nullptr) &&
                (arguments.variant.empty() ||
                 find_variant_of(*scenario, arguments.variant) != nullptr))
                names.emplace_back(scenario->name);
    if (names.empty())
        return Error::make(0, "no scenario has such a variant or control: see faultline list");
    std::vector<Chosen> all;
    for (const std::string& name : names) {
        Result<Chosen> chosen = choose_one(name, arguments);
        if (!chosen)
            return chosen.error();
        const std::string& wanted = chosen->selection.control;
        if (!wanted.empty() && find_control_of(*chosen->scenario, wanted) == nullptr)
            return Error::make(0, fmt::format("{} has no control \"{}\" (there are: {})",
                                              chosen->scenario->name, wanted,
                                              names_of(chosen->scenario->controls)));
        all.push_back(std::move(*chosen));
    }
    return all;
}

std::string Chosen::name() const {
    std::string text(scenario->name);
    if (!selection.variant.empty())
        text += "/" + selection.variant;
    if (!selection.control.empty())
        text += "+" + selection.control;
    return text;
}

const std::vector<const Scenario*>& known_scenarios() {
    static const std::vector<const Scenario*> all = [] {
        std::vector<const Scenario*> list = all_scenarios();
        const std::vector<const Scenario*>& shipped = shipped_scenarios();
        list.insert(list.end(), shipped.begin(), shipped.end());
        std::stable_sort(list.begin(), list.end(), [](const Scenario* a, const Scenario* b) {
            return a->family < b->family;
        });
        return list;
    }();
    return all;
}

bool has_hazard_control(const Scenario& scenario) {
    return std::any_of(scenario.controls.begin(), scenario.controls.end(),
                       [](const Control& one) { return one.kind == Control::Kind::hazard; });
}

Result<std::string> load_named_file(const std::string& name) {
    const std::size_t suffix = name.rfind(file_suffix);
    if (suffix == std::string::npos)
        return name;
    const std::string path = name.substr(0, suffix + file_suffix.size());
    const LoadedFile loaded = load_scenario_file(path);
    if (loaded.scenario == nullptr)
        return Error::make(0, path + " is no scenario:\n" + to_string(path, loaded.complaints));
    named_files().push_back(loaded.scenario);
    return std::string(loaded.scenario->name) + name.substr(suffix + file_suffix.size());
}

std::vector<const Scenario*>& named_files() {
    static std::vector<const Scenario*> files;
    return files;
}

// A named file replaces a scenario of the same name.
const Scenario* find_scenario(std::string_view name) {
    for (const Scenario* scenario : named_files())
        if (scenario->name == name)
            return scenario;
    for (const Scenario* scenario : known_scenarios())
        if (scenario->name == name)
            return scenario;
    return nullptr;
}

const Variant* find_variant_of(const Scenario& scenario, std::string_view name) {
    for (const Variant& variant : scenario.variants)
        if (variant.name == name)
            return &variant;
    return nullptr;
}

const Control* find_control_of(const Scenario& scenario, std::string_view name) {
    for (const Control& control : scenario.controls)
        if (control.name == name)
            return &control;
    return nullptr;
}

System this_system() {
    System system{.version = FAULTLINE_VERSION};
    utsname names{};
    if (::uname(&names) == 0) {
        system.release = names.release;
        system.machine = names.machine;
    }
    if (const char* emulator = ::getenv("FAULTLINE_EMULATOR"))
        system.emulator = emulator;
    return system;
}

} // namespace faultline
