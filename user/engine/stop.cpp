// SPDX-License-Identifier: GPL-2.0
#include "engine/stop.hpp"

#include <array>
#include <csignal>
#include <pthread.h>

namespace faultline {

namespace {

constexpr std::array<int, 4> stop_signals = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};

volatile std::sig_atomic_t asked = 0;

void on_signal(int number) {
    if (asked != 0) {
        std::signal(number, SIG_DFL);
        std::raise(number); // delivered when this handler returns
    }
    asked = number;
}

} // namespace

void install_stop_signals() {
    struct sigaction action {};
    action.sa_handler = on_signal; // no SA_RESTART: waits end at once
    for (const int number : stop_signals)
        ::sigaction(number, &action, nullptr);
    std::signal(SIGPIPE, SIG_IGN); // a reader that went away is an error of write()
}

int stop_signal() { return asked; }

void block_stop_signals() {
    sigset_t set;
    sigemptyset(&set);
    for (const int number : stop_signals)
        sigaddset(&set, number);
    ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

} // namespace faultline
