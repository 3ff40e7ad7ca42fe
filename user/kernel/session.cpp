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

Result<void> DebugfsSession::arm(fl_program& program) {
    program.size = sizeof(program);
    program.version = FL_ABI_VERSION;
    Result<void> armed = request("FL_IOC_ARM", FL_IOC_ARM, &program);
    if (armed || program.why[0] == '\0')
        return armed;
    return Error::make(armed.error().number,
                       std::string(program.why, strnlen(program.why, sizeof(program.why))));
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
