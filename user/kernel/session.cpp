// SPDX-License-Identifier: GPL-2.0
#include "kernel/session.hpp"

#include "kernel/debugfs.hpp"

#include <cstring>
#include <sys/ioctl.h>

namespace faultline {

Result<std::unique_ptr<Session>> DebugfsSession::open() {
    Result<std::string> path = faultline_file("session");
    if (!path)
        return path.error();
    Result<Fd> file = Fd::open(*path, O_RDWR);
    if (!file)
        return file.error();
    return std::unique_ptr<Session>(new DebugfsSession(std::move(*file), std::move(*path)));
}

Result<void> DebugfsSession::request(std::string_view what, unsigned long number, void* argument) {
    if (::ioctl(file_.get(), number, argument) != 0)
        return Error::last(what, path_);
    return {};
}

// An error has the module's own words.
Result<void> DebugfsSession::send(std::string_view what, unsigned long number,
                                  fl_program& program) {
    program.size = sizeof(program);
    program.version = FL_ABI_VERSION;
    Result<void> taken = request(what, number, &program);
    if (taken || program.why[0] == '\0')
        return taken;
    return Error::make(taken.error().number,
                       std::string(program.why, strnlen(program.why, sizeof(program.why))));
}

Result<void> DebugfsSession::arm(fl_program& program) {
    return send("FL_IOC_ARM", FL_IOC_ARM, program);
}

Result<void> DebugfsSession::schedule(fl_program& program) {
    return send("FL_IOC_SCHEDULE", FL_IOC_SCHEDULE, program);
}

Result<std::vector<std::string>> DebugfsSession::patch(const std::vector<std::string>& functions) {
    std::vector<fl_function> list(functions.size());
    for (std::size_t i = 0; i < functions.size(); ++i) {
        if (functions[i].size() >= FL_NAME_LEN)
            return Error::make(ENAMETOOLONG, "patch: name too long", functions[i]);
        std::memcpy(list[i].name, functions[i].data(), functions[i].size());
    }
    fl_patch patch{.nr = static_cast<__u32>(list.size()),
                   .reserved = 0,
                   .functions = reinterpret_cast<std::uintptr_t>(list.data())};
    const Result<void> done = request("FL_IOC_PATCH", FL_IOC_PATCH, &patch);
    if (!done)
        return done.error();
    std::vector<std::string> patched;
    for (std::size_t i = 0; i < functions.size(); ++i)
        if (list[i].err == 0)
            patched.push_back(functions[i]);
    return patched;
}

Result<void> DebugfsSession::disarm() { return request("FL_IOC_DISARM", FL_IOC_DISARM); }

Result<void> DebugfsSession::bind(unsigned actor, pid_t tid) {
    fl_bind bind{.actor = actor, .tid = tid};
    return request("FL_IOC_BIND", FL_IOC_BIND, &bind);
}

Result<void> DebugfsSession::aim(std::uint64_t pfn) {
    fl_aim aim{.pfn = pfn};
    return request("FL_IOC_AIM", FL_IOC_AIM, &aim);
}

Result<void> DebugfsSession::begin_run() { return request("FL_IOC_RUN", FL_IOC_RUN); }

Result<fl_end> DebugfsSession::arrive(unsigned site) {
    fl_arrive arrive{.site = site, .end = 0};
    const Result<void> done = request("FL_IOC_ARRIVE", FL_IOC_ARRIVE, &arrive);
    if (!done)
        return done.error();
    return static_cast<fl_end>(arrive.end);
}

Result<fl_arrive_reading> DebugfsSession::arrive_reading(unsigned site, int tables,
                                                         unsigned table) {
    fl_arrive_reading arrive{.site = site, .tables = tables, .table = table, .end = 0, .broken = 0};
    const Result<void> done = request("FL_IOC_ARRIVE_READING", FL_IOC_ARRIVE_READING, &arrive);
    if (!done)
        return done.error();
    return arrive;
}

Result<fl_result> DebugfsSession::result() {
    fl_result result{};
    const Result<void> done = request("FL_IOC_RESULT", FL_IOC_RESULT, &result);
    if (!done)
        return done.error();
    return result;
}

Result<void> DebugfsSession::stop() { return request("FL_IOC_STOP", FL_IOC_STOP); }

} // namespace faultline
