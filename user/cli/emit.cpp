// SPDX-License-Identifier: GPL-2.0
#include "cli/emit.hpp"

#include "emit/c_program.hpp"
#include "emit/columns.hpp"
#include "emit/repro.hpp"
#include "emit/window_patch.hpp"
#include "language/load.hpp"

#include <algorithm>
#include <filesystem>
#include <fmt/format.h>
#include <fmt/ranges.h>

namespace faultline {

namespace {

namespace fs = std::filesystem;

const FileVariant* variant_in(const ScenarioFile& file, std::string_view name) {
    const auto found =
        std::find_if(file.variants.begin(), file.variants.end(),
                     [name](const FileVariant& one) { return one.name.text == name; });
    return found == file.variants.end() ? nullptr : &*found;
}

Result<Finding> finding_of(const Chosen& chosen, const std::vector<Edge>* edges) {
    Finding finding{.file = file_of(*chosen.scenario)};
    if (finding.file == nullptr)
        return Error::make(EOPNOTSUPP, std::string(chosen.scenario->name) +
                                           " has no scenario file: its actors are C++");
    finding.variant = variant_in(*finding.file, chosen.selection.variant);
    if (finding.variant == nullptr)
        return Error::make(EINVAL, "which variant? SCENARIO/VARIANT");
    if (!chosen.selection.control.empty())
        return Error::make(EOPNOTSUPP, "a control is the module's");
    if (edges != nullptr) {
        finding.edges = *edges;
        return finding;
    }
    Result<std::vector<Edge>> own =
        parse_edges(find_variant_of(*chosen.scenario, chosen.selection.variant)->schedule);
    if (!own)
        return own.error();
    finding.edges = std::move(*own);
    return finding;
}

bool write_file(const fs::path& path, std::string_view text) {
    Result<Sink> file = Sink::open(path.string());
    if (!file) {
        (void)cannot(file.error().to_string());
        return false;
    }
    file->put(text);
    fmt::print("{}\n", path.string());
    return true;
}

int emit_c(const Finding& finding, const fs::path& folder, const std::string& source) {
    const Result<CProgram> program = c_program(finding);
    if (!program)
        return cannot(program.error().to_string());
    std::string patch;
    if (!source.empty() && !program->windows.empty()) {
        Result<std::string> made = window_patch(program->windows, source);
        if (!made)
            return cannot(made.error().to_string());
        patch = std::move(*made);
    }
    if (!write_file(folder / (finding.name() + ".c"), program->text) ||
        (!patch.empty() && !write_file(folder / (finding.name() + ".patch"), patch)))
        return status_usage;
    if (program->windows.empty())
        fmt::print("no window needs to be widened: it shows on a kernel as it is\n");
    else if (patch.empty())
        fmt::print("no patch was made: --source DIR, the folder of a kernel's source\n");
    if (!program->left_out.empty())
        fmt::print("left out: {}()\n", fmt::join(program->left_out, "(), "));
    return status_good;
}

int emit_repro(const Finding& finding, const fs::path& folder) {
    const fs::path path = folder / "repro.sh";
    if (!write_file(path, repro_script(finding)))
        return status_usage;
    std::error_code error;
    fs::permissions(path, fs::perms::owner_exec, fs::perm_options::add, error);
    return error ? cannot(path.string() + ": " + error.message()) : status_good;
}

} // namespace

bool emits_files(const Arguments& arguments) {
    return arguments.emit == "c" || arguments.emit == "repro";
}

int emit_files(const Arguments& arguments, const std::vector<Chosen>& all,
               const std::vector<Edge>* edges) {
    if (all.size() != 1)
        return cannot("--emit " + arguments.emit + " is of one SCENARIO/VARIANT");
    const Result<Finding> finding = finding_of(all.front(), edges);
    if (!finding)
        return cannot(finding.error().to_string());
    const fs::path folder = arguments.out.empty() ? "." : arguments.out;
    return arguments.emit == "c" ? emit_c(*finding, folder, arguments.source)
                                 : emit_repro(*finding, folder);
}

std::string columns_of(const VariantReport& report) {
    const Scenario* scenario = find_scenario(report.scenario);
    const ScenarioFile* file = scenario == nullptr ? nullptr : file_of(*scenario);
    const FileVariant* variant = file == nullptr ? nullptr : variant_in(*file, report.variant);
    if (variant == nullptr)
        return columns(report, nullptr);
    Complaints complaints;
    const Plan plan = make_plan(*file, *variant, complaints);
    return columns(report, complaints.empty() ? &plan : nullptr);
}

} // namespace faultline
