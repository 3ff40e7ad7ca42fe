// SPDX-License-Identifier: GPL-2.0
#include "report/perfetto.hpp"

#include "report/timeline.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <map>
#include <set>

namespace faultline {

namespace {

// Fields of Trace, TracePacket, TrackDescriptor, TrackEvent, DebugAnnotation.
enum Field : unsigned {
    trace_packet = 1,
    packet_timestamp = 8,
    packet_sequence = 10,
    packet_track_event = 11,
    packet_sequence_flags = 13,
    packet_track_descriptor = 60,
    track_uuid = 1,
    track_name = 2,
    track_parent = 5,
    event_annotation = 4,
    event_type = 9,
    event_track = 11,
    event_name = 23,
    event_flow = 47,
    event_flow_ends = 48,
    annotation_text = 6,
    annotation_name = 10,
};
enum Type : unsigned { slice_begins = 1, slice_ends = 2, instant = 3 };
constexpr unsigned sequence = 1;
constexpr unsigned cleared = 1; // SEQ_INCREMENTAL_STATE_CLEARED
constexpr std::uint64_t tracks_of_variant = 1000;
constexpr std::uint64_t first_cpu = 100; // behind the actors
constexpr std::string_view our_module = "faultline";

const Example* example_of(const VariantReport& report) {
    if (const Tally* forbidden = report.forbidden())
        return &forbidden->example;
    return report.histogram.empty() ? nullptr : &report.histogram.begin()->second.example;
}

class Writer {
  public:
    Writer(const VariantReport& report, const Example& example, unsigned number,
           const RunningSymbols* symbols)
        : report_(report), result_(example.result), base_(number * tracks_of_variant) {
        track(base_, 0, report.name() + (report.control ? "+" + *report.control : ""));
        for (std::size_t i = 0; i < report.actors.size(); ++i)
            track(base_ + 1 + i, base_, report.actors[i]);
        std::set<std::uint32_t> cpus;
        for (std::size_t i = 0; i < report.sites.size(); ++i)
            if (result_.sites[i].reached_ns != 0)
                cpus.insert(result_.sites[i].cpu);
        for (const std::uint32_t cpu : cpus)
            track(base_ + first_cpu + cpu, base_, fmt::format("CPU {}", cpu));
        for (std::size_t i = 0; i < report.sites.size(); ++i)
            if (result_.sites[i].reached_ns != 0)
                site(i);
        for (std::size_t i = 0; symbols != nullptr && i < example.calls.size(); ++i)
            functions(base_ + 1 + i, example.calls[i], *symbols);
    }

    // In the order of time, as slices of a track must be.
    [[nodiscard]] std::string bytes() {
        std::stable_sort(events_.begin(), events_.end(),
                         [](const auto& a, const auto& b) { return a.first < b.first; });
        for (const auto& [ns, event] : events_)
            packet(Message()
                       .number(packet_timestamp, ns)
                       .number(packet_sequence, sequence)
                       .message(packet_track_event, event));
        return trace_.bytes();
    }

  private:
    void packet(const Message& packet) { trace_.message(trace_packet, packet); }

    void track(std::uint64_t uuid, std::uint64_t parent, std::string_view name) {
        Message descriptor;
        descriptor.number(track_uuid, uuid + 1).text(track_name, name); // 0 is the trace's own
        if (uuid != base_)
            descriptor.number(track_parent, parent + 1);
        packet(Message()
                   .number(packet_sequence, sequence)
                   .number(packet_sequence_flags, cleared)
                   .message(packet_track_descriptor, descriptor));
    }

    static Message event(Type type, std::uint64_t track, std::string_view name) {
        Message made;
        made.number(event_type, type).number(event_track, track + 1);
        if (!name.empty())
            made.text(event_name, name);
        return made;
    }

    [[nodiscard]] bool held(std::size_t i) const {
        return result_.sites[i].end != FL_END_PASSED &&
               result_.sites[i].left_ns > result_.sites[i].reached_ns;
    }

    // Edges that come from this site, or end there, are flows.
    void flows(Message& event, std::size_t i, bool from) const {
        for (std::size_t edge = 0; edge < report_.edges.size(); ++edge) {
            const Edge& one = report_.edges[edge];
            if (to_string(from ? one.before : one.after) == report_.sites[i])
                event.fixed64(from ? event_flow : event_flow_ends, base_ + edge + 1);
        }
    }

    void site(std::size_t i) {
        const fl_site_result& seen = result_.sites[i];
        const std::string& text = report_.sites[i];
        const std::size_t at = text.find('@');
        const auto actor = static_cast<std::uint64_t>(
            std::find(report_.actors.begin(), report_.actors.end(), text.substr(0, at)) -
            report_.actors.begin());
        const std::string name = text.substr(at + 1);
        for (const std::uint64_t on : {base_ + 1 + actor, base_ + first_cpu + seen.cpu}) {
            const bool of_actor = on == base_ + 1 + actor;
            Message reached = event(held(i) ? slice_begins : instant, on, of_actor ? name : text);
            reached.message(event_annotation, annotation("end", end_word(seen.end)));
            if (of_actor)
                flows(reached, i, true);
            if (of_actor && !held(i))
                flows(reached, i, false);
            events_.emplace_back(seen.reached_ns, std::move(reached));
            if (!held(i))
                continue;
            events_.emplace_back(seen.left_ns, event(slice_ends, on, ""));
            if (!of_actor)
                continue;
            Message on_again = event(instant, on, std::string(end_word(seen.end)));
            flows(on_again, i, false);
            events_.emplace_back(seen.left_ns, std::move(on_again));
        }
    }

    static Message annotation(std::string_view name, std::string_view text) {
        return Message().text(annotation_name, name).text(annotation_text, text);
    }

    // Interrupts that came to the task are none of its calls, and what the module calls while it
    // holds the task is none of the kernel's.
    void functions(std::uint64_t track, const std::vector<FunctionCall>& calls,
                   const RunningSymbols& symbols) {
        std::map<const RunningSymbol*, unsigned> counts;
        for (const FunctionCall& call : calls)
            ++counts[call.interrupt ? nullptr : symbols.at(call.function)];
        std::set<const RunningSymbol*> shown;
        for (const FunctionCall& call : calls) {
            const RunningSymbol* function = call.interrupt ? nullptr : symbols.at(call.function);
            const RunningSymbol* caller = symbols.at(call.caller);
            if (function == nullptr || (caller != nullptr && caller->module == our_module))
                continue;
            const unsigned count = counts[function];
            const bool first = shown.insert(function).second;
            if (count > most_calls_of_function && !first)
                continue;
            Message called = event(instant, track, function->name + "()");
            if (caller != nullptr)
                called.message(event_annotation, annotation("caller", caller->name + "()"));
            if (count > most_calls_of_function)
                called.message(event_annotation,
                               annotation("calls in this run", std::to_string(count)));
            events_.emplace_back(call.time_ns, std::move(called));
        }
    }

    const VariantReport& report_;
    const fl_result& result_;
    std::uint64_t base_;
    Message trace_;
    std::vector<std::pair<std::uint64_t, Message>> events_;
};

} // namespace

void Message::varint(std::uint64_t value) {
    constexpr unsigned bits = 7;
    constexpr std::uint64_t more = 0x80;
    for (; value >= more; value >>= bits)
        bytes_ += static_cast<char>((value & (more - 1)) | more);
    bytes_ += static_cast<char>(value);
}

Message& Message::number(unsigned field, std::uint64_t value) {
    varint(std::uint64_t{field} << 3); // wire type 0
    varint(value);
    return *this;
}

Message& Message::fixed64(unsigned field, std::uint64_t value) {
    constexpr unsigned bytes = 8;
    varint(std::uint64_t{field} << 3 | 1);
    for (unsigned i = 0; i < bytes; ++i)
        bytes_ += static_cast<char>(value >> (bytes * i) & 0xff);
    return *this;
}

Message& Message::text(unsigned field, std::string_view value) {
    varint(std::uint64_t{field} << 3 | 2);
    varint(value.size());
    bytes_ += value;
    return *this;
}

std::string perfetto_variant(const VariantReport& report, unsigned number,
                             const RunningSymbols* symbols) {
    const Example* example = example_of(report);
    return example == nullptr ? std::string() : Writer(report, *example, number, symbols).bytes();
}

} // namespace faultline
