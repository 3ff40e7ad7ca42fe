// SPDX-License-Identifier: GPL-2.0
#include "explore/profile.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <fmt/format.h>
#include <map>
#include <optional>
#include <tuple>

namespace faultline {

namespace {

constexpr std::string_view own_module = "faultline";
constexpr std::string_view own_way_in = "full_proxy_unlocked_ioctl"; // debugfs calls the module

constexpr std::string_view rcu_section = "rcu_read_";

// The effects of a function, by its name. The first match counts.
struct Theme {
    std::string_view why;
    std::vector<std::string_view> parts; // of a name
};
const std::vector<Theme>& themes() {
    static const std::vector<Theme> all = {
        {"takes or drops a lock",
         {"_lock", "lock_", "unlock", "down_read", "down_write", "up_read", "up_write", "mutex",
          "vma_start_write", "xas_lock", "trylock"}},
        {"changes page tables",
         {"pte", "pmd", "pud", "tlb", "zap", "unmap", "page_range", "mmu_notifier", "protection"}},
        {"changes the page cache",
         {"xas_", "xa_", "filemap", "page_cache", "pagecache", "truncate", "shmem_", "swap_cache",
          "hugetlb_add"}},
        {"changes reverse mappings", {"rmap", "anon_vma", "interval_tree", "i_mmap"}},
        {"changes counters or references",
         {"_ref", "ref_", "_get", "_put", "folio_put", "put_page", "mod_", "charge", "stat",
          "account", "resv", "reserve", "subpool"}},
        {"changes a folio or a VMA",
         {"folio", "page", "vma", "lru", "isolate", "migrate", "split", "huge"}},
        // Last: it keeps nobody out, and there are more of these than of all others.
        {"begins or ends an RCU section", {rcu_section}},
    };
    return all;
}

// The place in themes(), or how many there are.
std::size_t theme_of(std::string_view function) {
    if (function.find(rcu_section) != std::string_view::npos)
        return themes().size() - 1;
    for (std::size_t i = 0; i < themes().size(); ++i)
        for (const std::string_view part : themes()[i].parts)
            if (function.find(part) != std::string_view::npos)
                return i;
    return themes().size();
}

bool is_in(const std::vector<std::string>& list, std::string_view name) {
    return std::find(list.begin(), list.end(), name) != list.end();
}

std::string_view symbol_name(const RunningSymbol* symbol) {
    return symbol == nullptr ? std::string_view() : std::string_view(symbol->name);
}

// A call that has not returned, as far as the calls after it tell.
struct Frame {
    const RunningSymbol* function;
    const RunningSymbol* caller;
    bool own; // of our module, or for it
};

// The place of a function in a list of names, or how many these are.
std::size_t place_in(const std::vector<std::string>& names, std::string_view symbol) {
    return static_cast<std::size_t>(
        std::find_if(names.begin(), names.end(),
                     [symbol](const std::string& name) { return is_function(symbol, name); }) -
        names.begin());
}

bool is_own(const RunningSymbol* function) {
    return function != nullptr && function->module == own_module;
}

} // namespace

bool is_function(std::string_view symbol, std::string_view name) {
    return symbol == name || symbol.substr(0, symbol.find('.')) == name;
}

std::vector<Visit> visits_of(const std::vector<FunctionCall>& calls, const RunningSymbols& symbols,
                             const SourceRanges& ranges, std::uint64_t from_ns,
                             std::uint64_t to_ns) {
    std::vector<Visit> visits;
    std::vector<Frame> stack;
    for (const FunctionCall& call : calls) {
        if (call.interrupt || call.time_ns < from_ns || call.time_ns > to_ns)
            continue;
        const RunningSymbol* function = symbols.at(call.function);
        const RunningSymbol* caller = symbols.at(call.caller);
        if (function == nullptr)
            continue;
        bool own = is_own(function) || is_own(caller);
        const auto known = std::find_if(stack.rbegin(), stack.rend(), [caller](const Frame& one) {
            return caller != nullptr && (one.function == caller || one.caller == caller);
        });
        if (known != stack.rend() && known->function == caller) {
            own = own || known->own;
            stack.erase(known.base(), stack.end());
        } else if (known != stack.rend()) {
            stack.erase(std::prev(known.base()), stack.end());
        }
        stack.push_back({function, caller, own});
        if (own)
            continue;
        visits.push_back({.function = function->name,
                          .module = function->module,
                          .caller = symbol_name(caller),
                          .part = ranges.part_of(call.function),
                          .caller_part = ranges.part_of(call.caller),
                          .depth = static_cast<unsigned>(stack.size()),
                          .atomic = call.atomic});
    }
    // The way to our own module, by which the actor reports its end.
    const auto last_call = std::find_if(visits.rbegin(), visits.rend(), [](const Visit& one) {
        return one.function.ends_with("sys_ioctl");
    });
    if (last_call != visits.rend() && std::any_of(visits.rbegin(), last_call, [](const Visit& one) {
            return one.function == own_way_in;
        }))
        visits.erase(std::prev(last_call.base()), visits.end());
    return visits;
}

Profile profile_of(std::string actor, const std::vector<std::vector<Visit>>& runs,
                   const ProfileOptions& options) {
    std::map<std::string, std::vector<unsigned>> hits;       // by function, in each run
    std::map<std::string, std::vector<unsigned>> positions;  // in the first run
    std::map<std::string, std::vector<std::string>> callers; // ...
    std::map<std::string, Place> places;
    for (std::size_t run = 0; run < runs.size(); ++run)
        for (std::size_t at = 0; at < runs[run].size(); ++at) {
            const Visit& visit = runs[run][at];
            const std::string function(visit.function);
            std::vector<unsigned>& counts = hits[function];
            counts.resize(runs.size());
            ++counts[run];
            if (run == 0) {
                positions[function].push_back(static_cast<unsigned>(at));
                callers[function].emplace_back(visit.caller);
            }
            const bool wanted = is_in(options.parts, visit.part) ||
                                is_in(options.parts, visit.caller_part) ||
                                place_in(options.first, visit.function) < options.first.size();
            if (!wanted || (options.depth != 0 && visit.depth > options.depth))
                continue;
            const auto [known, fresh] = places.try_emplace(function);
            Place& place = known->second;
            if (fresh) {
                place.function = function;
                place.part = std::string(visit.part);
                place.depth = visit.depth;
                place.atomic = visit.atomic;
            }
            place.depth = std::min(place.depth, visit.depth);
        }
    Profile profile{std::move(actor), {}};
    for (auto& [function, place] : places) {
        const std::vector<unsigned>& counts = hits[function];
        place.hits = *std::min_element(counts.begin(), counts.end());
        if (place.hits == 0)
            continue;
        place.positions = std::move(positions[function]);
        place.callers = std::move(callers[function]);
        profile.places.push_back(std::move(place));
    }
    return profile;
}

void rank(std::vector<Profile>& profiles, const ProfileOptions& options) {
    std::map<std::string, unsigned> actors;
    for (const Profile& profile : profiles)
        for (const Place& place : profile.places)
            ++actors[place.function];
    const auto listed = static_cast<unsigned>(options.first.size());
    const auto kinds = static_cast<unsigned>(themes().size());
    for (Profile& profile : profiles) {
        for (Place& place : profile.places) {
            const std::size_t first = place_in(options.first, place.function);
            const std::size_t theme = theme_of(place.function);
            const std::string what =
                theme == themes().size() ? "" : std::string(themes()[theme].why);
            if (first < options.first.size()) {
                place.rank = static_cast<unsigned>(first);
                place.why = "listed";
            } else if (actors[place.function] > 1) {
                place.rank = listed + static_cast<unsigned>(theme);
                place.why = fmt::format("{} actors pass it{}{}", actors[place.function],
                                        what.empty() ? "" : ", ", what);
            } else {
                place.rank = listed + kinds + 1 + static_cast<unsigned>(theme);
                place.why = what.empty() ? "the rest" : what;
            }
        }
        std::stable_sort(profile.places.begin(), profile.places.end(),
                         [](const Place& a, const Place& b) {
                             return std::tie(a.rank, a.depth) < std::tie(b.rank, b.depth);
                         });
    }
}

namespace {

bool is_name(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

// The word in front of the first '(' of a line that defines a function, "SYSCALL_DEFINE3(madvise,"
// as it is; "" of any other line.
std::string_view defined_in(std::string_view line) {
    const std::size_t open = line.find('(');
    if (open == line.npos || line.empty() || !is_name(line.front()) || line.ends_with(';'))
        return {};
    std::size_t start = open;
    while (start > 0 && is_name(line[start - 1]))
        --start;
    return line.substr(start, open - start);
}

class PatchFunctions {
  public:
    // "" adds nothing.
    void add(std::string_view line) {
        const std::string_view name = defined_in(line);
        if (!name.starts_with("SYSCALL_DEFINE"))
            return put(name);
        const std::size_t from = line.find('(') + 1;
        const std::string_view call = line.substr(from, line.find_first_of(",)", from) - from);
        for (const char* prefix :
             {"__do_sys_", "__x64_sys_", "__arm64_sys_", "__s390x_sys_", "sys_"})
            put(prefix + std::string(call));
    }
    void put(std::string_view name) {
        if (!name.empty() && !is_in(found_, name))
            found_.emplace_back(name);
    }
    std::vector<std::string> take() { return std::move(found_); }

  private:
    std::vector<std::string> found_;
};

} // namespace

std::vector<std::string> functions_of_patch(std::string_view text) {
    PatchFunctions found;
    const bool diff = text.find("\n@@ ") != std::string_view::npos || text.starts_with("@@ ");
    std::string_view begun; // the line of the function that the hunk is in by now
    for (std::size_t from = 0; from < text.size();) {
        const std::size_t end = std::min(text.find('\n', from), text.size());
        std::string_view line = text.substr(from, end - from);
        from = end + 1;
        if (!diff) {
            line = line.substr(0, line.find('#'));
            const auto start = std::find_if(line.begin(), line.end(), is_name);
            found.put(std::string_view(start, std::find_if_not(start, line.end(), is_name)));
        } else if (line.starts_with("@@ ")) {
            const std::size_t behind = line.find(" @@ ", 2);
            begun = {};
            if (behind != line.npos)
                found.add(line.substr(behind + 4));
        } else if (!line.empty() && !line.starts_with("+++") && !line.starts_with("---")) {
            if (!defined_in(line.substr(1)).empty() && line.front() != '-')
                begun = line.substr(1);
            if (line.front() == '+' || line.front() == '-')
                found.add(begun);
        }
    }
    return found.take();
}

} // namespace faultline
