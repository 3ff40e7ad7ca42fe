// SPDX-License-Identifier: GPL-2.0
#include "kernel/stack_depth.hpp"

#include <cerrno>
#include <cstdio>
#include <cstring>

namespace faultline {

Result<Depth> parse_depth(std::string_view text) {
    Depth depth;
    int length = 0;
    const std::string line(text.substr(0, text.find('\n')));
    const int fields = std::sscanf(line.c_str(), "depth pid %d bytes %zu of %zu in %n", &depth.pid,
                                   &depth.bytes, &depth.of, &length);
    // Of a module a name has two words: "fl_hit [faultline]".
    const std::size_t in = static_cast<std::size_t>(length);
    const std::size_t from = line.find(" from ");
    if (fields != 3 || length == 0 || from == std::string::npos || from <= in ||
        text.size() != line.size() + 1)
        return Error::make(EPROTO, "no line \"depth pid PID bytes N of N in NAME from NAME\"");
    depth.function = line.substr(in, from - in);
    depth.caller = line.substr(from + std::strlen(" from "));
    return depth;
}

Result<StackDepth> StackDepth::of(pid_t pid) {
    Result<ModuleFile> file = ModuleFile::open("depth");
    if (!file)
        return file.error();
    if (Result<void> begun = file->send(std::to_string(pid)); !begun)
        return begun.error();
    return StackDepth(std::move(*file));
}

Result<Depth> StackDepth::deepest() const {
    const Result<std::string> text = file_.text();
    return text ? parse_depth(*text) : text.error();
}

} // namespace faultline
