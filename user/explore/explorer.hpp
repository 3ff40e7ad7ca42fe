// SPDX-License-Identifier: GPL-2.0
// Tries the orders of some actors, one run each, and asks of each whether some serial order would
// have ended so. Needs no author: the places come from a trace, the right results from serial runs.
//
// With a control and an outcome that it must produce, it looks for a run that ends so under the
// control, while the same order without the control does not: see Wanted.
#ifndef FAULTLINE_EXPLORE_EXPLORER_HPP
#define FAULTLINE_EXPLORE_EXPLORER_HPP

#include "engine/rig.hpp"
#include "explore/balance.hpp"
#include "explore/oracle.hpp"
#include "explore/orders.hpp"
#include "explore/profile.hpp"
#include "kernel/function_trace.hpp"

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace faultline {

// How an order ended.
enum class Ending {
    realised,    // the actors were in that order
    excluded,    // one slept on a lock that the other held
    not_reached, // an actor never came to its stop
    timed_out,   // a hold came to its bound: a lock that is waited for without sleeping, mostly
};
std::string_view to_string(Ending ending);

struct ExploreOptions {
    std::chrono::seconds budget{300};
    std::uint64_t seed = 1;
    unsigned seeds = 4;                   // how many setups there are, in turn
    std::size_t most_stops = 80;          // of each actor
    unsigned depth = 4;                   // of PCT, when all orders with two preemptions are done
    unsigned replays = 200;               // of each difference
    bool stop_at_first = false;           // difference
    bool first_alone = false;             // the orders with one preemption: see OrderList
    std::vector<std::string> forbid = {}; // patterns of results that no order may have
    std::string wanted = {}; // of a control, a pattern of results: stop when it is seen
    ProfileOptions profile;
    // Gives the places of each actor where they are known: then nothing is traced.
    std::function<std::vector<Profile>(const std::vector<std::string>& actors)> profiles = {};
    std::function<Result<Balance>()> balance = Balance::take;
    RigOptions rig;
    std::set<std::string> done; // schedules of an earlier session: not run again
};

// How the outcome that a control must produce was seen: in a run under the control that had the
// situation. It counts if it comes again, and if the same order without the control never ends so.
struct Wanted {
    std::uint64_t order = 0; // its number; 0: no order was asked for
    double seconds = 0;      // until it was seen
    unsigned again = 0;      // of `tries` more runs, so many had it
    unsigned tries = 0;
    std::string lock = {};     // that excludes the order without the control; "" = none
    std::string schedule = {}; // of the first, with its seed
};

// How a run ended: its results, and the values of the State that a Deviation names.
struct RunEnd {
    std::vector<std::string> actors; // of a serial run: in this order
    std::vector<std::pair<std::string, std::string>> results;
    std::vector<std::string> values;
};

// A result or a State that no serial order gives.
struct Deviation {
    std::string signature;
    std::string text;                    // of the first
    std::string words;                   // all results of the first
    std::string schedule;                // of the first, with its seed
    std::vector<std::string> names = {}; // of the State's values that differ
    RunEnd end = {};                     // of the first
    std::vector<RunEnd> serial = {};     // of the same setup
    std::vector<Edge> edges;
    std::uint64_t seed = 0;
    std::uint64_t count = 0; // of orders that had it
    std::uint64_t order = 0; // number of the first
    double seconds = 0;      // until it was seen
    unsigned again = 0;      // of `tries`, the same schedule gave it again
    unsigned tries = 0;
    std::vector<Edge> shrunk = {}; // each of these edges is needed
    unsigned replayed = 0;         // of `replays` of these, so many gave it again
    unsigned replays = 0;
    std::map<std::string, unsigned> otherwise = {}; // how the rest ended
    bool fatal = false;                             // the run did not end
};

// Where the time of the runs of all orders goes, in seconds: parts that add up to `all`, except for
// the explorer's work between them.
struct OrderTimes {
    RunTimes run;
    double before = 0;  // of run.lay_out: to take the State before
    double after = 0;   // of run.judge: ...after
    double compare = 0; // with the serial runs
    double all = 0;
    std::uint64_t runs = 0;
};

struct ExploreReport {
    std::string name;
    std::vector<Profile> profiles;
    std::vector<std::vector<Stop>> stops;
    std::vector<std::string> not_serial; // serial orders that the actors cannot have
    bool calls_lost = false;             // there were too many: the last places are missing
    std::vector<std::string> unpatched;  // places that this kernel's ftrace refused
    std::vector<Reference> references;   // of the first seed
    std::vector<std::string> unstable;   // values that differ between equal serial runs
    std::size_t all_orders = 0;          // with one and two preemptions
    std::uint64_t orders = 0;
    std::uint64_t random_orders = 0; // of those, drawn by PCT
    std::size_t implied = 0; // not tried: a lock that excluded an earlier stop excludes these, too
    std::map<Ending, std::uint64_t> endings;
    std::map<std::string, std::uint64_t> locks;   // where the excluded slept
    std::map<std::string, std::uint64_t> relaxed; // runs that fit by this relaxation alone
    std::vector<Deviation> deviations;
    std::vector<std::string> losses; // of all runs together: see explore/balance.hpp
    double seconds = 0;
    double traced = 0;    // seconds for the places
    double reference = 0; // ...for the serial runs
    std::optional<Wanted> seen_wanted;
    unsigned free_runs = 0;      // under the control, without an order
    bool wanted_without = false; // ...which it has without the control, too: a bug of the kernel
    OrderTimes times;
    double operation = 0; // seconds: the longest operation of a serial run
    double bound = 1;     // the bound of an unseen outcome, in a realised order
    unsigned pct_depth = 0;
    double pct_bound = 0;           // of one random order, for a bug of that depth
    std::optional<Refusal> refusal; // why it ended early, or never began
};

// The result of one order, for the journal and the progress line.
struct OrderRecord {
    const ExploreReport& report;
    const Order* order; // null: a random one, by PCT
    std::string schedule;
    Ending ending;
    std::string lock;      // of an exclusion
    std::string deviation; // its signature; "" = none
};

// The subject: a variant of a scenario, without its schedule and rows.
struct Subject {
    Scenario scenario;
    const Variant* all = nullptr;
    // Variants in which an actor does nothing.
    std::vector<std::pair<const Variant*, std::string>> without = {};
    std::vector<Relaxation> relaxations = {};
    const Control* control = nullptr; // of the runs that are judged, and of no serial run
    // Actors that wait for others, such as the handler of a userfaultfd: they run beside the rest,
    // which could not run one after the other without them. Also those without steps.
    std::set<std::string> helpers = {};
    // By actor: its own sites, besides the first and the last.
    std::map<std::string, std::vector<std::string>> user_sites = {};
    std::vector<std::string> functions_first = {}; // places that come before others
};
// For a topic's scenario: its variants "all" and "without-NAME".
Subject subject_of(const Scenario& scenario, std::vector<Relaxation> relaxations);
// For any scenario: its actors get the sites user:begin and user:end around their steps.
Subject subject_of(const Scenario& scenario, const Variant& variant, const Control* control);

class Explorer {
  public:
    Explorer(Subject subject, ExploreOptions options);

    std::function<void(const OrderRecord&)> on_order = [](const OrderRecord&) {};
    std::function<void(const std::string& schedule, std::uint64_t seed)> on_run =
        [](const std::string&, std::uint64_t) {};

    ExploreReport run();

  private:
    using Clock = std::chrono::steady_clock;
    struct Ran {
        fl_result result{};
        std::vector<std::string> sites;
        Observation seen;
        bool arose = true; // the situation that the scenario is about
    };

    bool refused(const std::optional<Refusal>& refusal);
    struct TracedRun {
        std::vector<FunctionCall> calls;
        std::uint64_t from_ns;
        std::uint64_t to_ns;
        // The actor's own sites, and the time at which it came to each; 0: it did not.
        std::vector<std::pair<std::string, std::uint64_t>> user_sites;
    };
    bool take_actors(const Rig& rig);
    [[nodiscard]] std::vector<std::string> all_actors() const;
    [[nodiscard]] std::vector<Edge> traced_edges(const std::vector<std::string>& order) const;
    static std::vector<UserPlace> user_places_of(const std::vector<TracedRun>& runs,
                                                 const RunningSymbols& symbols,
                                                 const SourceRanges& ranges);
    [[nodiscard]] std::size_t index_of(const std::string& actor) const;
    bool trace();
    bool take_trace(const Ran& ran, FunctionTrace* trace,
                    std::vector<std::vector<TracedRun>>& traced);
    void take_stops(std::vector<Profile> profiles);
    bool take_references();
    void note_longest(const Ran& ran);
    void note_unstable(const std::string& name);
    bool take_references_of(const Variant& variant, const std::vector<std::string>& absent);
    std::optional<Ran> run_once(Rig& rig, std::uint64_t seed);
    bool run_freely();
    void run_orders();
    void run_all();
    bool run_order(const std::vector<Edge>& edges, const Order* order);
    [[nodiscard]] Judgement judged(const Observation& seen, std::uint64_t seed);
    void count(const Ran& ran, const std::vector<Edge>& edges, const Order* order,
               std::uint64_t seed);
    void note_excluded(const Order& order, const Ran& ran);
    void note_one(const Order& order, Ending ending, const std::string& lock,
                  const Observation& seen);
    void deviates(const Judgement& judged, const Observation& seen, const std::vector<Edge>& edges,
                  std::uint64_t seed);
    bool confirm(Deviation& deviation);
    bool shrink(Deviation& deviation);
    bool shrink_hits(Deviation& deviation);
    bool shrink_places(Deviation& deviation);
    [[nodiscard]] std::vector<SiteRef> telling_places(const SiteRef& site) const;
    std::optional<bool> still_shows(const std::vector<Edge>& edges, const Deviation& deviation);
    bool replay(Deviation& deviation);
    [[nodiscard]] RunEnd end_of(const Observation& seen, const Deviation& deviation) const;
    [[nodiscard]] bool is_wanted(const Ran& ran) const;
    bool check_wanted(const Ran& ran, const std::vector<Edge>& edges, std::uint64_t seed);
    std::optional<Ran> run_again(const std::vector<Edge>& edges, std::uint64_t seed,
                                 Rig::Controls controls);
    [[nodiscard]] bool tells_nothing(const Ran& without) const;
    std::optional<bool> shows(const std::vector<Edge>& edges, std::uint64_t seed,
                              const std::string& signature);
    [[nodiscard]] bool over() const;
    [[nodiscard]] double seconds() const;
    [[nodiscard]] std::string text_of(const std::vector<Edge>& edges, std::uint64_t seed) const;
    [[nodiscard]] std::uint64_t seed_of(unsigned number) const;

    Subject subject_;
    ExploreOptions options_;
    ExploreReport report_;
    Clock::time_point start_;
    std::vector<std::string> actors_;              // that can go alone: without helpers
    std::vector<std::string> threads_;             // of the kernel
    std::vector<std::size_t> tasks_;               // places of both among all of the Rig
    std::vector<std::vector<std::string>> serial_; // orders that can run
    std::unique_ptr<Rig> rig_;
    unsigned runs_ = 0;
    double longest_ms_ = 0;                                      // of the serial runs
    std::map<std::uint64_t, std::vector<Reference>> references_; // by seed
    Rules rules_;
    std::map<std::string, unsigned> unstable_pages_; // by kind
    std::unique_ptr<OrderList> orders_;
};

} // namespace faultline

#endif // FAULTLINE_EXPLORE_EXPLORER_HPP
