// SPDX-License-Identifier: GPL-2.0
#include "kernel/stack_depth.hpp"

#include "depth_lines.h"

#include <cerrno>
#include <cstdio>
#include <fmt/format.h>

namespace faultline {

Result<Depth> parse_depth(std::string_view text) {
    Depth depth;
    int length = 0;
    const std::string line(text.substr(0, text.find('\n')));
    const int fields = std::sscanf(line.c_str(), FL_DEPTH_DEEPEST("%d", "%zu", "%zu", "%n"),
                                   &depth.pid, &depth.bytes, &depth.of, &length);
    // A name may have two words, so it is found by the words between the two.
    constexpr std::string_view between = FL_DEPTH_AT("", "");
    const std::size_t in = static_cast<std::size_t>(length);
    const std::size_t from = line.find(between);
    if (fields != 3 || length == 0 || from == std::string::npos || from <= in ||
        text.size() != line.size() + 1)
        return Error::make(EPROTO, "no line \"" FL_DEPTH_DEEPEST("PID", "N", "N",
                                                                 FL_DEPTH_AT("NAME", "NAME")) "\"");
    depth.function = line.substr(in, from - in);
    depth.caller = line.substr(from + between.size());
    return depth;
}

Result<StackDepth> StackDepth::of(pid_t pid) {
    Result<ModuleFile> file = ModuleFile::open("depth");
    if (!file)
        return file.error();
    if (Result<void> begun = file->send(fmt::format(FL_DEPTH_ASK("{}"), pid)); !begun)
        return begun.error();
    return StackDepth(std::move(*file));
}

Result<Depth> StackDepth::deepest() const {
    const Result<std::string> text = file_.text();
    return text ? parse_depth(*text) : text.error();
}

} // namespace faultline
