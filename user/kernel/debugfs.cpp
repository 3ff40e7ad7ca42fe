// SPDX-License-Identifier: GPL-2.0
#include "kernel/debugfs.hpp"

#include <array>
#include <sstream>
#include <sys/mount.h>

namespace faultline {

namespace {

Result<std::string> mounted(const std::string& type) {
    const Result<std::string> mounts = read_text("/proc/self/mounts");
    if (!mounts)
        return mounts.error();
    std::istringstream lines(*mounts);
    std::string device;
    std::string where;
    std::string kind;
    std::string rest;
    while (lines >> device >> where >> kind && std::getline(lines, rest))
        if (kind == type)
            return where;
    return Error::make(ENOENT, type + " is not mounted");
}

Result<std::string> find_or_mount(const std::string& type, const std::string& where) {
    const Result<std::string> found = mounted(type);
    if (found)
        return found;
    if (::mount(type.c_str(), where.c_str(), type.c_str(), 0, nullptr) != 0)
        return Error::last("mount " + type + " on", where);
    return where;
}

} // namespace

Result<std::string> debugfs_root() {
    static const Result<std::string> root = find_or_mount("debugfs", "/sys/kernel/debug");
    return root;
}

Result<std::string> tracefs_root() {
    static const Result<std::string> root = find_or_mount("tracefs", "/sys/kernel/tracing");
    return root;
}

Result<std::string> faultline_file(std::string_view name) {
    const Result<std::string> root = debugfs_root();
    if (!root)
        return root.error();
    return *root + "/faultline/" + std::string(name);
}

Result<ModuleFile> ModuleFile::open(std::string_view name) {
    Result<std::string> path = faultline_file(name);
    if (!path)
        return path.error();
    Result<Fd> file = Fd::open(*path, O_RDWR);
    if (!file)
        return file.error();
    return ModuleFile(std::move(*file), std::move(*path));
}

Result<void> ModuleFile::send(const std::string& command) const {
    if (::write(file_.get(), command.data(), command.size()) !=
        static_cast<ssize_t>(command.size()))
        return Error::last("\"" + command + "\" to", path_);
    return {};
}

Result<std::string> ModuleFile::text() const {
    std::string text;
    std::array<char, 4096> part{};
    for (;;) {
        const ssize_t got =
            ::pread(file_.get(), part.data(), part.size(), static_cast<off_t>(text.size()));
        if (got < 0)
            return Error::last("read", path_);
        if (got == 0)
            return text;
        text.append(part.data(), static_cast<std::size_t>(got));
    }
}

Result<std::string> ask_module(std::string_view name, const std::string& command) {
    const Result<ModuleFile> file = ModuleFile::open(name);
    if (!file)
        return file.error();
    const Result<void> sent = file->send(command);
    return sent ? file->text() : sent.error();
}

std::optional<std::string> missing_capability(std::string_view name) {
    const Result<std::string> path = faultline_file("capabilities");
    const Result<std::string> text = path ? read_text(*path) : path.error();
    if (!text)
        return text.error().to_string();
    std::istringstream lines(*text);
    const std::string can = std::string(name) + " yes ";
    const std::string cannot = std::string(name) + " no ";
    for (std::string line; std::getline(lines, line);) {
        if (line.starts_with(can))
            return std::nullopt;
        if (line.starts_with(cannot))
            return line.substr(cannot.size());
    }
    return "the module knows of no capability " + std::string(name);
}

} // namespace faultline
