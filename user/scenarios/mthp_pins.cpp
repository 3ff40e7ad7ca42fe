// SPDX-License-Identifier: GPL-2.0
// mthp-pins: a page that somebody else has a reference to is not replaced.
//
// Claim (mm/khugepaged.c, __collapse_huge_page_isolate()): a page with references that its mappings
// do not explain may be written to or read by others (GUP): it stays where it is.
//
// Actor: the collapser alone. A page of the range is in a pipe (vmsplice(2)); it has the range
// collapsed, writes to the page, and reads it from the pipe.
//     __collapse_huge_page_isolate()  against  references of GUP
//
// A bad outcome: pipe=old: the pipe has the old page, the range a copy.
#include "kernel/page_pattern.hpp"
#include "scenarios/list.hpp"
#include "scenarios/mthp_experiment.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

namespace faultline {

namespace {

constexpr std::uint64_t new_word = 0x70696e6e6564;

enum Slot : unsigned {
    slot_pinned, // errno of the collapse while the page is in the pipe
    slot_pipe,   // what the pipe had
    slot_after,  // errno of the collapse afterwards
};

class MthpPins final : public MthpExperiment {
  public:
    std::vector<Actor> actors() override {
        return {{.name = "collapser",
                 .kind = Actor::Kind::thread,
                 .cpu = 0,
                 .body = [this](ActorContext& me) { me.check(collapse(me)); }}};
    }

    Result<void> begin(Run& run) override {
        page_ = run.rng().below(pages());
        std::array<int, 2> ends{};
        if (::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK) != 0)
            return Error::last("pipe2");
        out_ = Fd(ends[0]);
        in_ = Fd(ends[1]);
        return lay_out({model::PresentPtes(pages(), true)});
    }

    Outcome judge(Run& run) override {
        Outcome outcome;
        const auto name = [&run](Slot slot) {
            const std::int64_t number = run.slot("collapser", slot);
            return number == unreported ? "not-reported"
                   : number == 0        ? "ok"
                                        : ::strerrorname_np(static_cast<int>(number));
        };
        const bool coherent =
            run.slot("collapser", slot_pipe) == static_cast<std::int64_t>(new_word);
        outcome.add("pinned", name(slot_pinned));
        outcome.add("pipe", coherent ? "new" : "old");
        outcome.add("after", name(slot_after));
        return outcome;
    }

    std::optional<bool> overlapped(const Run& run) override {
        return run.slot("collapser", slot_pipe) != unreported;
    }

  private:
    Result<void> collapse(ActorContext& me) {
        iovec piece{address(0, page_), page_bytes()};
        if (::vmsplice(in_.get(), &piece, 1, 0) != static_cast<ssize_t>(page_bytes()))
            return Error::last("vmsplice");
        me.report(slot_pinned, madvise_collapse(address(0), huge_bytes()));
        std::vector<std::uint64_t> page(page_bytes() / sizeof(std::uint64_t));
        write_pattern({reinterpret_cast<std::uint64_t*>(address(0, page_)), page.size()}, new_word);
        if (::read(out_.get(), page.data(), page_bytes()) != static_cast<ssize_t>(page_bytes()))
            return Error::last("read", "the pipe");
        me.report(slot_pipe, static_cast<std::int64_t>(page_word(page)));
        me.report(slot_after, madvise_collapse(address(0), huge_bytes()));
        return {};
    }

    std::size_t page_ = 0;
    Fd out_;
    Fd in_;
};

} // namespace

const Scenario& mthp_pins() {
    static const Scenario scenario = {
        .name = "mthp-pins",
        .family = "mthp",
        .claim = "a page that somebody else has a reference to is not replaced",
        .source = "mm/khugepaged.c, __collapse_huge_page_isolate()",
        .races = "__collapse_huge_page_isolate() against references of GUP",
        .bad = "pipe=old",
        .variants = {{.name = "pipe",
                      .about = "vmsplice(2) has put the page into a pipe",
                      .expected = {{"pinned=EAGAIN pipe=new after=ok"}},
                      .forced = false,
                      .runs_divisor = 5}},
        .controls = {{.name = "any-reference",
                      .about = "references are not counted",
                      .variant = "pipe",
                      .produces = "pipe=old",
                      .actions = {{.kind = FL_CONTROL_SKIP,
                                   .actor = "collapser",
                                   .function = "is_refcount_suitable",
                                   .value = 1}}}},
        .needs = mthp_needs(),
        .make = [](const Variant& /*variant*/) -> std::unique_ptr<Experiment> {
            return std::make_unique<MthpPins>();
        },
    };
    return scenario;
}

} // namespace faultline
