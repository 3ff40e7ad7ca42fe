// SPDX-License-Identifier: GPL-2.0
// faultline check, faultline new, faultline ops.
#include "cli/common.hpp"
#include "language/kernels.hpp"
#include "language/load.hpp"
#include "operations/operation.hpp"

#include <fmt/format.h>

namespace faultline {

namespace {

void print_operation(const Operation& operation) {
    fmt::print("  {}\n", signature(operation));
    if (!operation.about.empty())
        fmt::print("      {}\n", operation.about);
    std::string rest;
    const auto add = [&rest](std::string_view what, std::string_view text) {
        if (!text.empty())
            rest += fmt::format("{}{}{}", rest.empty() ? "" : "; ", what, text);
    };
    add("", operation.man);
    add("may give ", operation.errnos);
    add("needs ", operation.needs);
    if (operation.of_process)
        add("only in ", "the steps of an actor that is a process");
    else if (operation.where != anywhere)
        add("only in ", (operation.where & in_actor) == 0 && (operation.where & in_judge) == 0
                            ? "prepare and setup"
                        : operation.where == in_actor ? "an actor's steps"
                        : operation.where == in_judge ? "judge"
                        : operation.where == acting   ? "setup, steps and judge"
                                                      : "prepare, setup and steps");
    if (!rest.empty())
        fmt::print("      {}\n", rest);
}

} // namespace

int check_command(const Arguments& arguments) {
    bool good = true;
    std::vector<KernelSymbols> kernels;
    for (const std::string& named : arguments.symbols) {
        Result<KernelSymbols> kernel = read_symbols(named);
        if (!kernel)
            return cannot(kernel.error().to_string());
        kernels.push_back(std::move(*kernel));
    }
    for (const std::string& path : arguments.names) {
        const LoadedFile loaded = load_scenario_file(path);
        fmt::print("{}", to_string(path, loaded.complaints));
        good = good && loaded.scenario != nullptr;
        if (loaded.scenario == nullptr)
            continue;
        fmt::print("{}: {}: {} variants, {} controls here\n", path, loaded.scenario->name,
                   loaded.scenario->variants.size(), loaded.scenario->controls.size());
        if (!kernels.empty())
            fmt::print("{}", kernel_table(loaded, kernels));
        else if (!loaded.kernel_sites.empty())
            fmt::print("  sites in the kernel: {}\n", fmt::join(loaded.kernel_sites, ", "));
        if (loaded.scenario->no_hazard_control.empty() && !has_hazard_control(*loaded.scenario))
            fmt::print("  no control brings the hazard back: its verdict will be no PASS\n");
    }
    return good ? status_good : status_failed;
}

int new_command(const Arguments& arguments) {
    fmt::print("{}",
               new_scenario(arguments.names.empty() ? "my-scenario" : arguments.names.front()));
    return status_good;
}

int ops_command(const Arguments& arguments) {
    for (const std::string& name : arguments.names) {
        const Operation* operation = find_operation(name);
        if (operation == nullptr)
            return cannot("no operation is called \"" + name + "\"");
        print_operation(*operation);
    }
    if (!arguments.names.empty())
        return status_good;
    for (const Operation& operation : all_operations())
        print_operation(operation);
    fmt::print("numbers that have a name:\n");
    for (const NamedNumber& number : named_numbers())
        fmt::print("  {}: {}\n", number.name, number.about);
    fmt::print("needs: {}, machine NAME..., capability NAME, release LIST\n",
               fmt::join(need_names(), ", "));
    return status_good;
}

} // namespace faultline
