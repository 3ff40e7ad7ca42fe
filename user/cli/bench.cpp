// SPDX-License-Identifier: GPL-2.0
// faultline bench: what a schedule buys over hammering, and what the loaded module costs.
#include "cli/common.hpp"
#include "cli/fuzzy_sync.hpp"
#include "engine/stop.hpp"
#include "explore/explorer.hpp"
#include "kernel/state.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <fmt/format.h>
#include <functional>
#include <nlohmann/json.hpp>
#include <sys/mman.h>

namespace faultline {

namespace {

using Clock = std::chrono::steady_clock;
using Json = nlohmann::ordered_json;

constexpr unsigned repeats = 3;          // of each search, with other seeds; the median counts
constexpr unsigned search_bound = 1000;  // runs of a search, if --runs does not say
constexpr unsigned rate_runs = 100;      // to measure runs/s without a control
constexpr unsigned free_jitter_us = 500; // free-running actors start up to this much apart
constexpr unsigned cost_rounds = 7;      // pairs of unloaded and loaded
constexpr std::size_t fault_pages = 4096;
constexpr unsigned collapses = 8;
constexpr std::size_t state_pages = 512;           // of a mapping and of its file
constexpr std::chrono::seconds explore_budget{60}; // of a search without a schedule

// The result of a search: the run that showed the hazard, or none.
struct Search {
    unsigned runs = 0;
    double seconds = 0;
    bool seen = false;
    bool valid = true;
    std::string why;
};

Search search(const Scenario& scenario, const Variant& variant, const Control& control,
              Options options) {
    options.stop_at_forbidden = true;
    options.give_up = false;
    const auto start = Clock::now();
    const VariantReport report = run_variant(scenario, variant, &control, options);
    Search found;
    found.seconds = std::chrono::duration<double>(Clock::now() - start).count();
    found.runs = static_cast<unsigned>(report.counts.runs);
    found.seen = report.caught();
    found.valid = report.verdict != Verdict::error && report.verdict != Verdict::skip;
    found.why = report.why;
    return found;
}

// The median of several; a search that saw nothing counts as longer than any that did.
Search median_search(const Scenario& scenario, const Variant& variant, const Control& control,
                     const Options& options) {
    std::vector<Search> all;
    for (unsigned i = 0; i < repeats; ++i) {
        Options now = options;
        now.seed = mix(options.seed + i);
        all.push_back(search(scenario, variant, control, now));
        if (!all.back().valid)
            return all.back();
    }
    std::sort(all.begin(), all.end(), [](const Search& a, const Search& b) {
        return a.seen != b.seen ? a.seen : a.runs < b.runs;
    });
    return all[repeats / 2];
}

// Without the schedule: the explorer finds the places and the orders. Its time has all of that.
Search explored(const Scenario& scenario, const Variant& variant, const Control& control,
                const Options& base) {
    ExploreOptions options;
    options.budget = explore_budget;
    options.seed = base.seed;
    options.wanted = control.produces;
    const ExploreReport report =
        Explorer(subject_without_schedule(scenario, variant, &control), options).run();
    Search found;
    found.seen = report.seen_wanted.has_value();
    found.runs = static_cast<unsigned>(report.free_runs +
                                       (found.seen ? report.seen_wanted->order : report.orders));
    found.seconds = found.seen ? report.seen_wanted->seconds : report.seconds;
    found.valid = !report.refusal;
    found.why = report.refusal ? report.refusal->why : "";
    return found;
}

// A line of the table of controls.
void print_row(const std::array<std::string, 8>& cells) {
    fmt::print("{:<52} {:>11} {:>12} {:>7} {:>12} {:>7} {:>12} {:>7}\n", cells[0], cells[1],
               cells[2], cells[3], cells[4], cells[5], cells[6], cells[7]);
}

std::string runs_text(const Search& search) {
    if (!search.valid)
        return "-";
    return fmt::format("{}{} {:.1f}s", search.seen ? "" : ">", search.runs, search.seconds);
}

std::string ratio_text(const Search& scheduled, const Search& running) {
    if (!scheduled.valid || !running.valid || !scheduled.seen || scheduled.runs == 0)
        return "-";
    return fmt::format("{}{:.0f}x", running.seen ? "" : ">",
                       static_cast<double>(running.runs) / scheduled.runs);
}

Json runs_json(const Search& search) {
    if (!search.valid)
        return nullptr;
    return Json{{"runs", search.runs}, {"seconds", search.seconds}, {"seen", search.seen}};
}

bool bench_control(const Scenario& scenario, const Control& control, const Options& base,
                   Sink& json) {
    const Variant* declared = find_variant_of(scenario, control.variant);
    if (declared == nullptr)
        return false;
    Variant variant = *declared;
    variant.runs_divisor = 1;
    const Search scheduled = median_search(scenario, variant, control, base);

    Options options = base;
    options.edges.emplace(); // no edges: no actor waits
    options.rig.jitter_us = free_jitter_us;
    const Search running = median_search(scenario, variant, control, options);

    options.rig.jitter_us = 0;
    const Search fuzzy = median_search(with_fuzzy_sync(scenario), variant, control, options);

    const Search without = explored(scenario, *declared, control, base);

    options = base;
    options.runs = rate_runs;
    const VariantReport plain = run_variant(scenario, variant, nullptr, options);

    const std::string name = fmt::format("{}/{} {}", scenario.name, control.variant, control.name);
    print_row({name, runs_text(scheduled), runs_text(running), ratio_text(scheduled, running),
               runs_text(fuzzy), ratio_text(scheduled, fuzzy), runs_text(without),
               fmt::format("{:.0f}", plain.rate())});
    for (const Search* one : {&scheduled, &running, &fuzzy, &without})
        if (!one->valid)
            fmt::print("    {}\n", one->why);
    Json line{{"kind", "bench"},
              {"scenario", scenario.name},
              {"variant", control.variant},
              {"control", control.name},
              {"bound", base.runs},
              {"scheduled", runs_json(scheduled)},
              {"free", runs_json(running)},
              {"fuzzy", runs_json(fuzzy)},
              {"explored", runs_json(without)},
              {"rate", plain.rate()}};
    json.put(line.dump() + "\n");
    return scheduled.valid && running.valid && fuzzy.valid;
}

// A private mapping, unmapped at the end.
class Mapping {
  public:
    explicit Mapping(std::size_t size, int fd = -1)
        : size_(size), memory_(::mmap(nullptr, size, PROT_READ | PROT_WRITE,
                                      fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED, fd, 0)) {}
    Mapping(const Mapping&) = delete;
    Mapping& operator=(const Mapping&) = delete;
    ~Mapping() {
        if (valid())
            ::munmap(memory_, size_);
    }
    [[nodiscard]] bool valid() const { return memory_ != MAP_FAILED; }
    [[nodiscard]] char* at(std::size_t offset) const {
        return static_cast<char*>(memory_) + offset;
    }

  private:
    std::size_t size_;
    void* memory_;
};

double nanoseconds_since(Clock::time_point start) {
    return std::chrono::duration<double, std::nano>(Clock::now() - start).count();
}

// Nanoseconds for one first touch of an anonymous page.
std::optional<double> time_fault() {
    const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    const Mapping memory(fault_pages * page);
    if (!memory.valid() || ::madvise(memory.at(0), fault_pages * page, MADV_NOHUGEPAGE) != 0)
        return std::nullopt;
    const auto start = Clock::now();
    for (std::size_t i = 0; i < fault_pages; ++i)
        *static_cast<volatile char*>(memory.at(i * page)) = 1;
    return nanoseconds_since(start) / fault_pages;
}

// Nanoseconds for one MADV_COLLAPSE of a full block of shared memory.
std::optional<double> time_collapse() {
    constexpr int madv_collapse = 25;
    const Result<std::string> size =
        read_text("/sys/kernel/mm/transparent_hugepage/hpage_pmd_size");
    if (!size)
        return std::nullopt;
    const std::size_t block = std::stoul(*size);
    double total = 0;
    for (unsigned i = 0; i < collapses; ++i) {
        const Fd file(::memfd_create("faultline-bench", MFD_CLOEXEC));
        if (!file || ::ftruncate(file.get(), static_cast<off_t>(block)) != 0)
            return std::nullopt;
        const Mapping anywhere(2 * block);
        if (!anywhere.valid())
            return std::nullopt;
        const auto start = reinterpret_cast<std::uintptr_t>(anywhere.at(0));
        void* aligned = anywhere.at((block - start % block) % block);
        if (::mmap(aligned, block, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file.get(), 0) ==
            MAP_FAILED)
            return std::nullopt;
        std::memset(aligned, 1, block);
        const auto begin = Clock::now();
        if (::madvise(aligned, block, madv_collapse) != 0)
            return std::nullopt;
        total += nanoseconds_since(begin);
    }
    return total / collapses;
}

double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
}

struct Cost {
    std::string_view name;
    std::function<std::optional<double>()> measure;
    std::vector<double> unloaded;
    std::vector<double> loaded;
};

Result<void> measure_cost(const Arguments& arguments, std::vector<Cost>& costs) {
    if (Module::loaded())
        return Error::make(EBUSY, "the module is loaded already: unload it to measure its cost");
    const auto measure = [&](std::vector<double> Cost::*into) {
        for (Cost& cost : costs)
            if (const std::optional<double> value = cost.measure())
                (cost.*into).push_back(*value);
    };
    // Interleaved, so that a machine that becomes slower does not look like a cost.
    for (unsigned round = 0; round < cost_rounds && stop_signal() == 0; ++round) {
        measure(&Cost::unloaded);
        Result<Module> module = Module::load(arguments.module);
        if (!module)
            return module.error();
        measure(&Cost::loaded);
        const Result<void> unloaded = module->unload();
        if (!unloaded)
            return unloaded;
    }
    return {};
}

bool bench_cost(const Arguments& arguments, Sink& json) {
    std::vector<Cost> costs = {{"anonymous fault", time_fault, {}, {}},
                               {"MADV_COLLAPSE of shmem", time_collapse, {}, {}}};
    const Result<void> measured = measure_cost(arguments, costs);
    if (!measured) {
        fmt::print("cost: {}\n", measured.error().to_string());
        return false;
    }
    fmt::print("\n{:<56} {:>10} {:>10} {:>8}\n", "loaded but disarmed: median time (ns)", "without",
               "with", "ratio");
    for (const Cost& cost : costs) {
        if (cost.unloaded.empty() || cost.loaded.empty()) {
            fmt::print("{:<56} not possible on this kernel\n", cost.name);
            continue;
        }
        const double without = median(cost.unloaded);
        const double with = median(cost.loaded);
        fmt::print("{:<56} {:>10.0f} {:>10.0f} {:>8.3f}\n", cost.name, without, with,
                   with / without);
        Json line{{"kind", "cost"},
                  {"name", cost.name},
                  {"without_ns", without},
                  {"with_ns", with},
                  {"ratio", with / without}};
        json.put(line.dump() + "\n");
    }
    return true;
}

// Microseconds to take the State of a file and its mapping, and to only read the same bytes.
struct StateCost {
    double take_us = 0;
    double read_us = 0;
    std::size_t pages = 0;
    double memory_stat_us = 0; // of take_us
    std::string no_memory_stat;
};

std::optional<StateCost> time_state() {
    const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    const std::size_t bytes = state_pages * page;
    const Fd file(::memfd_create("faultline-bench", MFD_CLOEXEC));
    if (!file || ::ftruncate(file.get(), static_cast<off_t>(bytes)) != 0)
        return std::nullopt;
    const Mapping memory(bytes, file.get());
    if (!memory.valid())
        return std::nullopt;
    std::memset(memory.at(0), 1, bytes);
    const StateScope scope{.mappings = {{"m", memory.at(0), bytes}}, .files = {{"f", file.get()}}};
    std::vector<char> buffer(bytes);
    std::vector<double> takes;
    std::vector<double> reads;
    std::vector<double> stats;
    const StateScope only_cgroup{.process = false, .machine = false};
    StateCost cost;
    for (unsigned round = 0; round < cost_rounds; ++round) {
        auto start = Clock::now();
        const Result<State> state = State::take(scope);
        takes.push_back(nanoseconds_since(start) / 1000);
        if (!state)
            return std::nullopt;
        cost.pages = state->pages();
        start = Clock::now();
        const Result<State> of_cgroup = State::take(only_cgroup);
        stats.push_back(nanoseconds_since(start) / 1000);
        if (!of_cgroup)
            return std::nullopt;
        if (!of_cgroup->absent().empty())
            cost.no_memory_stat = of_cgroup->absent().front();
        start = Clock::now();
        // As State: the file's bytes and the mapping's.
        for (unsigned i = 0; i < 2; ++i)
            if (::pread(file.get(), buffer.data(), bytes, 0) != static_cast<ssize_t>(bytes))
                return std::nullopt;
        reads.push_back(nanoseconds_since(start) / 1000);
    }
    cost.take_us = median(takes);
    cost.read_us = median(reads);
    cost.memory_stat_us = median(stats);
    return cost;
}

bool bench_state(Sink& json) {
    const std::optional<StateCost> cost = time_state();
    if (!cost) {
        fmt::print("State: it cannot be taken here\n");
        return false;
    }
    fmt::print("\nState: {:.0f} us for {} pages, x {:.1f} of reading them ({:.0f} us)\n",
               cost->take_us, cost->pages, cost->take_us / cost->read_us, cost->read_us);
    if (cost->no_memory_stat.empty())
        fmt::print("of it {:.0f} us for memory.stat, which the kernel is made to add up\n",
                   cost->memory_stat_us);
    else
        fmt::print("without {}\n", cost->no_memory_stat);
    Json line{{"kind", "state"},
              {"pages", cost->pages},
              {"take_us", cost->take_us},
              {"read_us", cost->read_us},
              {"ratio", cost->take_us / cost->read_us}};
    if (cost->no_memory_stat.empty())
        line["memory_stat_us"] = cost->memory_stat_us;
    json.put(line.dump() + "\n");
    return true;
}

} // namespace

int bench_command(const Arguments& arguments) {
    const Result<std::vector<Chosen>> all = choose(arguments);
    if (!all)
        return cannot(all.error().to_string());
    const Result<void> prepared = prepare_process();
    if (!prepared)
        return cannot(prepared.error().to_string());
    Result<Sink> json = Sink::open(arguments.json);
    if (!json)
        return cannot(json.error().to_string());

    bool good = bench_cost(arguments, *json);
    good = bench_state(*json) && good;
    const Result<Module> module = Module::load(arguments.module);
    if (!module)
        return cannot(module.error().to_string());
    Options options;
    options.runs = arguments.runs.value_or(search_bound);
    options.seed = arguments.seed;
    options.rig.timeout = std::chrono::milliseconds(static_cast<long>(arguments.timeout * 1000));
    good = bench_explore(arguments, *json) && good;
    fmt::print("\n");
    print_row({"runs and time until the hazard is seen (median of 3)", "scheduled", "free", "ratio",
               "fuzzy", "ratio", "explored", "runs/s"});
    for (const Chosen& chosen : *all)
        for (const Control& control : chosen.scenario->controls) {
            if (stop_signal() != 0)
                return status_failed;
            if (arguments.control.empty() ? control.tried_with_others()
                                          : control.name == arguments.control)
                good = bench_control(*chosen.scenario, control, options, *json) && good;
        }
    return good ? status_good : status_failed;
}

} // namespace faultline
