// SPDX-License-Identifier: GPL-2.0
#include "kernel/guardian.hpp"

#include "kernel/fd.hpp"

#include <array>
#include <climits>
#include <csignal>
#include <cstdio>
#include <mutex>
#include <poll.h>
#include <string_view>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <vector>

namespace faultline {

namespace {

// The guardian's two descriptors, moved here so that everything else can be closed in one go: an
// inherited session file, for instance, would keep the session open.
constexpr int guardian_socket = 3;
constexpr int guardian_pidfd = 4;

// A packet is one undo step and its state: '+' (about to be changed) or '-' (undone), the
// kind, the path, NUL, the value.
std::string packet_of(char sign, const Undo& undo) {
    return std::string{sign, static_cast<char>(undo.kind)} + undo.path + '\0' + undo.value;
}

void apply_packet(std::vector<Undo>& promised, std::string_view packet) {
    const std::size_t nul = packet.find('\0', 2);
    if (nul == std::string_view::npos)
        return;
    const Undo undo{static_cast<Undo::Kind>(packet[1]), std::string(packet.substr(2, nul - 2)),
                    std::string(packet.substr(nul + 1))};
    if (packet.front() == '+') {
        promised.push_back(undo);
        return;
    }
    for (std::size_t i = promised.size(); i-- > 0;)
        if (promised[i].kind == undo.kind && promised[i].path == undo.path) {
            promised.erase(promised.begin() + static_cast<std::ptrdiff_t>(i));
            return;
        }
}

Result<void> keep(const Undo& undo) {
    if (undo.kind == Undo::Kind::write)
        return write_text(undo.path, undo.value);
    // EINVAL: it is not swapped to.
    if (::swapoff(undo.path.c_str()) != 0 && errno != EINVAL)
        return Error::last("swapoff", undo.path);
    return {};
}

void drain(std::vector<Undo>& promised) {
    std::array<char, PATH_MAX + 4096> packet{};
    for (;;) {
        const ssize_t got = ::recv(guardian_socket, packet.data(), packet.size(), MSG_DONTWAIT);
        if (got <= 0)
            return; // nothing more now; the end is learnt from the pidfd
        apply_packet(promised, {packet.data(), static_cast<std::size_t>(got)});
    }
}

[[noreturn]] void guard() {
    std::vector<Undo> promised;
    std::array<pollfd, 2> wait = {pollfd{guardian_socket, POLLIN, 0},
                                  pollfd{guardian_pidfd, POLLIN, 0}};
    for (;;) {
        // For as long as the driver lives, and no longer: its end is an event too.
        if (::poll(wait.data(), wait.size(), -1) < 0 && errno != EINTR)
            ::_exit(1);
        drain(promised);
        if ((wait[1].revents & POLLIN) != 0)
            break;
        if ((wait[0].revents & POLLHUP) != 0)
            wait[0].fd = -1; // the driver closed its end while exiting; poll() skips it now
    }
    int status = 0;
    for (std::size_t i = promised.size(); i-- > 0;) {
        const Result<void> kept = keep(promised[i]);
        if (!kept) {
            std::fprintf(stderr, "faultline: restore: %s\n", kept.error().to_string().c_str());
            status = 1;
        }
    }
    ::_exit(status);
}

[[noreturn]] void become_guardian(int socket, int pidfd) {
    ::setsid();
    for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE})
        ::signal(number, SIG_IGN);
    ::prctl(PR_SET_NAME, "faultline-guard");
    // Through high numbers first: the two may lie at each other's place. Standard error stays.
    const int high_socket = ::fcntl(socket, F_DUPFD, 64);
    const int high_pidfd = ::fcntl(pidfd, F_DUPFD, 64);
    if (high_socket < 0 || high_pidfd < 0 || ::dup2(high_socket, guardian_socket) < 0 ||
        ::dup2(high_pidfd, guardian_pidfd) < 0)
        ::_exit(1);
    ::close_range(guardian_pidfd + 1, ~0U, 0);
    const int null = ::open("/dev/null", O_RDWR);
    if (null >= 0) {
        ::dup2(null, STDIN_FILENO);
        ::dup2(null, STDOUT_FILENO);
        ::close(null);
    }
    guard();
}

class Guardian {
  public:
    Result<void> start() {
        const std::lock_guard<std::mutex> lock(mutex_);
        return start_locked();
    }

    Result<void> tell(char sign, const Undo& undo) {
        const std::lock_guard<std::mutex> lock(mutex_);
        const Result<void> started = start_locked();
        if (!started)
            return started;
        const std::string packet = packet_of(sign, undo);
        // Queued when this returns: the guardian reads it even if we die at once.
        if (::send(socket_.get(), packet.data(), packet.size(), MSG_NOSIGNAL) < 0)
            return Error::last("tell the guardian about", undo.path);
        return {};
    }

  private:
    Result<void> start_locked() {
        if (socket_ && owner_ == ::getpid())
            return {};
        std::array<int, 2> ends{};
        if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0)
            return Error::last("socketpair");
        Fd ours(ends[0]);
        const Fd theirs(ends[1]);
        // Before fork: the guardian cannot miss the driver's death.
        const Fd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, ::getpid(), 0)));
        if (!pidfd)
            return Error::last("pidfd_open");
        const pid_t child = ::fork();
        if (child < 0)
            return Error::last("fork");
        if (child == 0)
            become_guardian(theirs.get(), pidfd.get());
        socket_ = std::move(ours);
        owner_ = ::getpid();
        return {};
    }

    std::mutex mutex_;
    Fd socket_;
    pid_t owner_ = 0; // a forked child that changes anything needs a guardian of its own
};

Guardian& guardian() {
    static Guardian one;
    return one;
}

} // namespace

Result<void> start_guardian() { return guardian().start(); }

Result<void> promise(const Undo& undo) { return guardian().tell('+', undo); }

Result<void> release_promise(const Undo& undo) { return guardian().tell('-', undo); }

} // namespace faultline
