// SPDX-License-Identifier: GPL-2.0
#include "model/cases.hpp"

#include "model/designs.hpp"
#include "model/explored_ops.hpp"

#include <fmt/format.h>
#include <memory>
#include <numeric>

namespace faultline::model {

namespace {

using Kind = Act::Kind;

template <class Design> struct World {
    World(Explorer::Run& run, int tables) : ops(run), design(ops, tables) {}

    void act(const Act& what) {
        switch (what.kind) {
        case Kind::defer:
            ops.unlink(what.number);
            return design.defer(what.number);
        case Kind::free:
            return design.free(what.number);
        case Kind::destroy:
            return design.destroy(what.number);
        case Kind::read:
            return ops.read(what.number, 1);
        }
    }

    ExploredOps ops;
    Design design;
};

std::string name_of(const Act& act) {
    switch (act.kind) {
    case Kind::defer:
        return fmt::format("defer({})", act.number);
    case Kind::free:
        return fmt::format("free({})", act.number);
    case Kind::destroy:
        return fmt::format("destroy({} unused)", act.number);
    case Kind::read:
        break;
    }
    return fmt::format("reader of {}", act.number);
}

// How many tables the acts give back, all in all.
int given_back(const Case& which) {
    return std::accumulate(which.acts.begin(), which.acts.end(), 0, [](int sum, const Act& act) {
        const bool one = act.kind == Kind::defer || act.kind == Kind::free;
        return sum + (one ? 1 : act.kind == Kind::destroy ? act.number : 0);
    });
}

template <class Design> Exploration explore_design(const Case& which, std::uint64_t bound) {
    const int expected = given_back(which) == which.tables ? 1 : 0;
    return Explorer::explore(
        [&](Explorer::Run& run) {
            auto world = std::make_shared<World<Design>>(run, which.tables);
            for (const Act& act : which.acts)
                run.add_fiber(name_of(act), [world = world.get(), act] { world->act(act); });
            run.shared_state = [world = world.get()] { return world->ops.state(); };
            run.at_end = [world = world.get(), expected]() -> std::string {
                if (world->ops.freed() == expected)
                    return "";
                return expected == 1 ? "the page was never freed: a table is lost"
                                     : "the page was freed with a table in use";
            };
            run.owner = std::move(world);
        },
        bound);
}

template <class Design> ModelledDesign modelled(bool sound, std::string_view slip = "") {
    return {Design::name, Design::origin,       slip,
            sound,        &Design::extra_bytes, explore_design<Design>};
}

template <Slip slip> using Raised = RaisedCount<ExploredOps, slip>;
template <Slip slip> using Bits = PendingBits<ExploredOps, slip>;
template <Slip slip> using Heads = HeadPerTable<ExploredOps, slip>;
template <Slip slip> using Active = PageActive<ExploredOps, slip>;
template <AtExit at_exit> using Merged = PageActive<ExploredOps, Slip::none, at_exit>;

} // namespace

const std::vector<Case>& cases() {
    static const std::vector<Case> all = {
        {"two tables deferred", 2, {{Kind::defer, 0}, {Kind::defer, 1}}},
        {"three tables deferred", 3, {{Kind::defer, 0}, {Kind::defer, 1}, {Kind::defer, 2}}},
        {"two of three deferred, one in use", 3, {{Kind::defer, 0}, {Kind::defer, 1}}},
        {"one deferred, one freed", 2, {{Kind::defer, 0}, {Kind::free, 1}}},
        {"two deferred, one freed", 3, {{Kind::defer, 0}, {Kind::defer, 1}, {Kind::free, 2}}},
        {"one deferred, one freed, a reader",
         2,
         {{Kind::defer, 0}, {Kind::free, 1}, {Kind::read, 0}}},
        {"two deferred, a reader", 2, {{Kind::defer, 0}, {Kind::defer, 1}, {Kind::read, 0}}},
        {"one deferred, the mm exits", 2, {{Kind::defer, 0}, {Kind::destroy, 1}}},
        {"one deferred, the mm exits, a reader",
         2,
         {{Kind::defer, 0}, {Kind::destroy, 1}, {Kind::read, 0}}},
    };
    return all;
}

const std::vector<ModelledDesign>& designs() {
    static const std::vector<ModelledDesign> all = {
        modelled<Naive<ExploredOps>>(false),
        modelled<Raised<Slip::none>>(true),
        modelled<Bits<Slip::none>>(true),
        modelled<Heads<Slip::none>>(true),
        modelled<Merged<AtExit::at_once_marked>>(false),
        modelled<Merged<AtExit::at_once>>(false),
        modelled<Merged<AtExit::like_the_others>>(true),
        modelled<Raised<Slip::no_second_grace_period>>(
            false, "frees although more deferrals came in during the grace period"),
        modelled<Raised<Slip::off_by_one>>(false, "takes the second deferral for a first one"),
        modelled<Bits<Slip::condition_as_written>>(
            false, "the e-mail's sketch: call_rcu() if a bit was set before"),
        modelled<Bits<Slip::one_stage>>(
            false, "the sketch with that put right: frees all that is pending at the end"),
        modelled<Heads<Slip::count_at_once>>(false, "drops the count at once"),
        modelled<Active<Slip::active_too_late>>(false, "marks after dropping the reference"),
        modelled<Active<Slip::active_not_cleared>>(false, "leaves the mark"),
    };
    return all;
}

} // namespace faultline::model
