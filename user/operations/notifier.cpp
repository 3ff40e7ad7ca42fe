// SPDX-License-Identifier: GPL-2.0
// A secondary MMU: its invalidations, and their times.
#include "kernel/page_tables.hpp"
#include "operations/objects.hpp"

#include <algorithm>
#include <cerrno>

namespace faultline {

namespace {

struct NotifierObject final : Object {
    explicit NotifierObject(MmuListener opened) : listener(std::move(opened)) {}
    MmuListener listener;
};

Result<Value> make_notifier(Doing& /*doing*/, const Given& /*given*/) {
    Result<MmuListener> listener = MmuListener::open();
    if (!listener)
        return listener.error();
    return Value::of_object(Type::notifier, std::make_shared<NotifierObject>(std::move(*listener)));
}

Result<Value> do_listen(Doing& /*doing*/, const Given& given) {
    const Range range = range_of(given.at(1));
    const Result<void> done =
        given.object<NotifierObject>(0).listener.listen(range.start, range.bytes);
    return Value::of_error(done ? 0 : done.error().number);
}

// Those of all that it listens to: the module notes no others.
Result<std::vector<Invalidation>> notes_of(const Given& given) {
    return given.object<NotifierObject>(0).listener.invalidations();
}

enum Call : std::int64_t { call_start, call_end };

Result<Value> do_told(Doing& /*doing*/, const Given& given) {
    const Result<std::vector<Invalidation>> notes = notes_of(given);
    if (!notes)
        return notes.error();
    const bool end = given.number(1) == call_end;
    return Value::of_word(std::any_of(notes->begin(), notes->end(),
                                      [end](const Invalidation& note) { return note.end == end; })
                              ? "yes"
                              : "no");
}

Result<Told> told_around(const Doing& doing, const Given& given) {
    const fl_site_result* site = doing.run->site(given.text(1));
    if (site == nullptr || site->reached_ns == 0)
        return Error::make(EINVAL, given.text(1) + " was not reached");
    const Result<std::vector<Invalidation>> notes = notes_of(given);
    if (!notes)
        return notes.error();
    return told_around(*notes, site->reached_ns);
}

Result<Value> do_told_before(Doing& doing, const Given& given) {
    const Result<Told> told = told_around(doing, given);
    if (!told)
        return told.error();
    return Value::of_word(!told->start ? "never" : told->before ? "before" : "late");
}

Result<Value> do_told_end(Doing& doing, const Given& given) {
    const Result<Told> told = told_around(doing, given);
    if (!told)
        return told.error();
    return Value::of_word(told->end ? "yes" : "no");
}

} // namespace

void add_notifier_operations(std::vector<Operation>& rows) {
    const Argument notifier{"notifier", Type::notifier};
    const Argument site{"site", Type::text};
    rows.insert(rows.end(),
                {{.name = "mmu_notifier",
                  .result = Type::notifier,
                  .about = "an MMU notifier, like that of a secondary MMU; it listens nowhere yet",
                  .needs = "mmu-notifier",
                  .act = make_notifier},
                 {.name = "mmu_listen",
                  .arguments = {notifier, {"memory", Type::memory}},
                  .result = Type::error,
                  .about = "notes this process' invalidations of all of the memory, from now on; "
                           "drops earlier notes",
                  .errnos = "EOPNOTSUPP EPERM",
                  .needs = "mmu-notifier",
                  .act = do_listen},
                 {.name = "mmu_told",
                  .arguments = {notifier,
                                {.name = "call",
                                 .type = Type::word,
                                 .constants = {{"START", call_start}, {"END", call_end}},
                                 .otherwise = "START"}},
                  .result = Type::word,
                  .words = {"yes", "no"},
                  .about = "has an invalidation started, or ended?",
                  .act = do_told},
                 {.name = "mmu_told_before",
                  .arguments = {notifier, site},
                  .result = Type::word,
                  .words = {"before", "late", "never"},
                  .about = "had an invalidation started when the site was reached?",
                  .where = in_judge,
                  .act = do_told_before},
                 {.name = "mmu_told_end",
                  .arguments = {notifier, site},
                  .result = Type::word,
                  .words = {"yes", "no"},
                  .about = "did one that had started end after the site was reached?",
                  .where = in_judge,
                  .act = do_told_end}});
}

} // namespace faultline
