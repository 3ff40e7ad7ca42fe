// SPDX-License-Identifier: GPL-2.0
// A session of the module: what the engine does to the kernel. An interface, so that the engine's
// rules can be tested on a host that has no module.
#ifndef FAULTLINE_KERNEL_SESSION_HPP
#define FAULTLINE_KERNEL_SESSION_HPP

#include "faultline_abi.h"
#include "kernel/fd.hpp"
#include "kernel/result.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <sys/types.h>
#include <vector>

namespace faultline {

class Session {
  public:
    Session() = default;
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;
    virtual ~Session() = default; // undoes everything

    // On failure the error's message holds the module's own words, as program.why does.
    virtual Result<void> arm(fl_program& program) = 0;
    // Functions to patch beside those of the next arm(); the answer leaves out those that this
    // kernel does not have or cannot trace.
    virtual Result<std::vector<std::string>> patch(const std::vector<std::string>& functions) = 0;
    // Other sites, edges and bounds, on the patched functions; the controls stay. As arm()
    // otherwise.
    virtual Result<void> schedule(fl_program& program) = 0;
    virtual Result<void> disarm() = 0;
    virtual Result<void> bind(unsigned actor, pid_t tid) = 0; // tid 0: the caller
    // What sites FUNCTION/page-ref are about; 0: no page.
    virtual Result<void> aim(std::uint64_t pfn) = 0;
    virtual Result<void> begin_run() = 0;
    virtual Result<fl_end> arrive(unsigned site) = 0; // by the actor itself
    // The same inside an RCU section at a table of a PageTables file.
    virtual Result<fl_arrive_reading> arrive_reading(unsigned site, int tables, unsigned table) = 0;
    virtual Result<fl_result> result() = 0;
    virtual Result<void> stop() = 0;
};

// Over <debugfs>/faultline/session. The file is inherited by child processes: a process actor uses
// the session of its parent.
class DebugfsSession final : public Session {
  public:
    static Result<std::unique_ptr<Session>> open();

    Result<void> arm(fl_program& program) override;
    Result<std::vector<std::string>> patch(const std::vector<std::string>& functions) override;
    Result<void> schedule(fl_program& program) override;
    Result<void> disarm() override;
    Result<void> bind(unsigned actor, pid_t tid) override;
    Result<void> aim(std::uint64_t pfn) override;
    Result<void> begin_run() override;
    Result<fl_end> arrive(unsigned site) override;
    Result<fl_arrive_reading> arrive_reading(unsigned site, int tables, unsigned table) override;
    Result<fl_result> result() override;
    Result<void> stop() override;

  private:
    DebugfsSession(Fd file, std::string path) : file_(std::move(file)), path_(std::move(path)) {}

    Result<void> send(std::string_view what, unsigned long number, fl_program& program);
    Result<void> request(std::string_view what, unsigned long number, void* argument = nullptr);

    Fd file_;
    std::string path_;
};

} // namespace faultline

#endif // FAULTLINE_KERNEL_SESSION_HPP
