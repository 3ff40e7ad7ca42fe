// SPDX-License-Identifier: GPL-2.0
// The designs for pte_free_defer() of the thread of 2023, and those of two arguments about locks,
// each in every interleaving. Needs no root and no module.
#include "cli/commands.hpp"
#include "model/cases.hpp"
#include "model/lock_models.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace faultline {

namespace {

using model::Case;
using model::Counterexample;
using model::Exploration;
using model::LockDesign;
using model::LockModel;
using model::ModelledDesign;

constexpr int tables_of_ppc64_64k = 256; // of 256 bytes, in a page of 64K

struct Found {
    std::uint64_t interleavings = 0;
    std::uint64_t states = 0;
    std::size_t grace_periods = 0;
    bool complete = true;
    std::string_view refuted_by = {}; // the case
    std::optional<Counterexample> shortest = {};
};

void add(Found& found, const Exploration& one, std::string_view which) {
    found.interleavings += one.interleavings;
    found.states += one.states;
    found.grace_periods = std::max(found.grace_periods, one.most_grace_periods);
    found.complete = found.complete && one.complete;
    if (one.shortest &&
        (!found.shortest || one.shortest->steps.size() < found.shortest->steps.size())) {
        found.shortest = one.shortest;
        found.refuted_by = which;
    }
}

Found explore(const ModelledDesign& design) {
    Found found;
    for (const Case& which : model::cases())
        add(found, design.explore(which), which.name);
    return found;
}

Found explore(const LockModel& model, const LockDesign& design) {
    Found found;
    for (std::size_t which = 0; which < model.cases.size(); ++which)
        add(found, design.explore(which, model::most_interleavings), model.cases[which]);
    return found;
}

std::string verdict(const Found& found) {
    if (found.shortest)
        return "refuted";
    return found.complete ? "holds" : "not exhausted";
}

void print_counterexample(const Found& found) {
    fmt::print("    {}; {}:\n", found.shortest->violation, found.refuted_by);
    for (const std::string& step : found.shortest->steps)
        fmt::print("      {}\n", step);
}

void print_row(const ModelledDesign& design, const Found& found) {
    const std::size_t bytes = design.extra_bytes(tables_of_ppc64_64k);
    fmt::print("{:<34} {:>6.2f} {:>3} {:>10} {:>8}  {}\n", design.name,
               static_cast<double>(bytes) / tables_of_ppc64_64k, found.grace_periods,
               found.interleavings, found.states, verdict(found));
}

// Is each as the table says?
bool print_lock_model(const LockModel& model, bool verbose) {
    fmt::print("\n{}; {} cases\n\n{:<66} {:>10} {:>8}  {}\n", model.about, model.cases.size(),
               "design", "interleav.", "states", "verdict");
    bool as_expected = true;
    for (const LockDesign& design : model.designs) {
        const Found found = explore(model, design);
        fmt::print("{:<66} {:>10} {:>8}  {}\n", design.name, found.interleavings, found.states,
                   verdict(found));
        if (!design.slip.empty())
            fmt::print("    slip: {}\n", design.slip);
        if (found.shortest && (design.slip.empty() || verbose))
            print_counterexample(found);
        as_expected = as_expected && (verdict(found) == "holds") == design.sound;
    }
    return as_expected;
}

} // namespace

int models_command(const Arguments& arguments) {
    fmt::print("{} cases of up to 3 concurrent acts; bytes: more memory per table, {} tables to a "
               "page; GPs: most that a case needed\n\n"
               "{:<34} {:>6} {:>3} {:>10} {:>8}  {}\n",
               model::cases().size(), tables_of_ppc64_64k, "design", "bytes", "GPs", "interleav.",
               "states", "verdict");
    bool as_expected = true;
    for (const ModelledDesign& design : model::designs()) {
        const Found found = explore(design);
        print_row(design, found);
        if (!design.slip.empty())
            fmt::print("    slip: {}\n", design.slip);
        if (found.shortest && (design.slip.empty() || arguments.verbose))
            print_counterexample(found);
        as_expected =
            as_expected && (design.sound ? verdict(found) == "holds" : found.shortest.has_value());
    }
    for (const LockModel& model : model::lock_models())
        as_expected = print_lock_model(model, arguments.verbose) && as_expected;
    if (!as_expected)
        fmt::print("\nNOT as expected: a sound design was refuted, or an unsound one was not\n");
    return as_expected ? status_good : status_failed;
}

} // namespace faultline
