// SPDX-License-Identifier: GPL-2.0
// One run of each variant as a trace for Perfetto (https://ui.perfetto.dev): TrackEvents, a track
// for each actor and each CPU; a hold is a slice, any other hit of a site an instant, an edge a
// flow. Where the functions of the kernel were traced (Options::calls), each call is an instant on
// its actor's track.
//
// Messages are encoded here: of protobuf it takes two kinds of field. The numbers are those of
// protos/perfetto/trace/trace_packet.proto and of track_event/ beside it.
#ifndef FAULTLINE_REPORT_PERFETTO_HPP
#define FAULTLINE_REPORT_PERFETTO_HPP

#include "engine/runner.hpp"
#include "kernel/running_symbols.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace faultline {

// A message of protobuf that grows by fields.
class Message {
  public:
    Message& number(unsigned field, std::uint64_t value);
    Message& fixed64(unsigned field, std::uint64_t value);
    Message& text(unsigned field, std::string_view value);
    Message& message(unsigned field, const Message& value) { return text(field, value.bytes_); }
    [[nodiscard]] const std::string& bytes() const { return bytes_; }

  private:
    void varint(std::uint64_t value);
    std::string bytes_;
};

// A trace has only the first call of a function that an actor calls more often in a run, with the
// number of all its calls.
inline constexpr unsigned most_calls_of_function = 64;

// Traces of several variants may follow each other in a file. `number`: of the variant in this
// file. `symbols`: of the functions that were traced; null if none were.
std::string perfetto_variant(const VariantReport& report, unsigned number,
                             const RunningSymbols* symbols = nullptr);

} // namespace faultline

#endif // FAULTLINE_REPORT_PERFETTO_HPP
