// SPDX-License-Identifier: GPL-2.0
// A session without a kernel: it answers each run with what a test wants.
#ifndef FAULTLINE_TESTS_FAKE_SESSION_HPP
#define FAULTLINE_TESTS_FAKE_SESSION_HPP

#include "kernel/session.hpp"

#include <atomic>
#include <functional>
#include <memory>
#include <vector>

namespace faultline {

inline fl_result overlapping() {
    fl_result result{};
    result.overlapped = 1;
    return result;
}

inline fl_result missed() { return {}; }

inline fl_result excluded() {
    fl_result result{};
    result.excluded = 1;
    result.blocked_actor = 1;
    std::snprintf(result.blocked, sizeof(result.blocked), "%s", "rwsem_down_write_slowpath");
    return result;
}

// The wishes and the observations of a test; shared by its sessions.
struct FakeKernel {
    std::function<fl_result(unsigned run)> answer = [](unsigned) { return overlapping(); };
    bool applies = true; // each control, once in a run
    Error arm_error;     // number 0: arming works
    fl_program armed{};
    std::function<bool(const std::string& function)> traceable = [](const std::string&) {
        return true;
    };
    std::vector<std::string> patched;
    unsigned schedules = 0;
    std::vector<unsigned> bound;
    std::vector<std::uint64_t> aims; // one a run
    unsigned runs = 0;
    unsigned disarmed = 0;
    std::atomic<unsigned> arrivals{0};
    std::atomic<bool> stopped{false};
};

class FakeSession final : public Session {
  public:
    explicit FakeSession(std::shared_ptr<FakeKernel> kernel) : kernel_(std::move(kernel)) {}

    Result<void> arm(fl_program& program) override {
        if (kernel_->arm_error.number != 0)
            return kernel_->arm_error;
        kernel_->armed = program;
        return {};
    }
    Result<std::vector<std::string>> patch(const std::vector<std::string>& functions) override {
        kernel_->patched.clear();
        for (const std::string& one : functions)
            if (kernel_->traceable(one))
                kernel_->patched.push_back(one);
        return kernel_->patched;
    }
    Result<void> schedule(fl_program& program) override {
        kernel_->armed = program;
        ++kernel_->schedules;
        return {};
    }
    Result<void> disarm() override {
        ++kernel_->disarmed;
        return {};
    }
    Result<void> bind(unsigned actor, pid_t /*tid*/) override {
        kernel_->bound.push_back(actor);
        return {};
    }
    Result<void> aim(std::uint64_t pfn) override {
        kernel_->aims.push_back(pfn);
        return {};
    }
    Result<void> begin_run() override {
        ++kernel_->runs;
        return {};
    }
    Result<fl_end> arrive(unsigned /*site*/) override {
        ++kernel_->arrivals;
        return FL_END_PASSED;
    }
    Result<fl_arrive_reading> arrive_reading(unsigned site, int tables, unsigned table) override {
        ++kernel_->arrivals;
        return fl_arrive_reading{
            .site = site, .tables = tables, .table = table, .end = FL_END_PASSED, .broken = 0};
    }
    Result<fl_result> result() override {
        fl_result result = kernel_->answer(kernel_->runs);
        result.run = kernel_->runs;
        for (unsigned i = 0; kernel_->applies && i < kernel_->armed.nr_controls; ++i)
            result.control_hits[i] = 1;
        return result;
    }
    Result<void> stop() override {
        kernel_->stopped = true;
        return {};
    }

  private:
    std::shared_ptr<FakeKernel> kernel_;
};

} // namespace faultline

#endif // FAULTLINE_TESTS_FAKE_SESSION_HPP
