// SPDX-License-Identifier: GPL-2.0
#include "kernel/cpu.hpp"

#include <chrono>
#include <sched.h>
#include <thread>

namespace faultline {

const std::vector<int>& online_cpus() {
    static const std::vector<int> cpus = [] {
        std::vector<int> found;
        cpu_set_t set;
        CPU_ZERO(&set);
        if (::sched_getaffinity(0, sizeof(set), &set) == 0)
            for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu)
                if (CPU_ISSET(cpu, &set))
                    found.push_back(cpu);
        if (found.empty())
            found.push_back(0);
        return found;
    }();
    return cpus;
}

Result<void> pin_to_cpu(unsigned index) {
    const std::vector<int>& cpus = online_cpus();
    const int cpu = cpus[index % cpus.size()];
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    if (::sched_setaffinity(0, sizeof(set), &set) != 0)
        return Error::last("pin to CPU " + std::to_string(cpu));
    return {};
}

void visit_cpus() {
    // Not the caller, which may go on where it was.
    std::thread([] {
        for (unsigned index = 0; index < online_cpus().size(); ++index)
            if (pin_to_cpu(index))
                std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }).join();
}

} // namespace faultline
