// SPDX-License-Identifier: GPL-2.0
#include "kernel/settings.hpp"

#include "kernel/fd.hpp"

#include <array>
#include <climits>
#include <csignal>
#include <cstdio>
#include <mutex>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <vector>

namespace faultline {

namespace {

// The guardian's two descriptors, moved here so that everything else can be closed in one go: an
// inherited session file, for instance, would keep the session open.
constexpr int guardian_socket = 3;
constexpr int guardian_pidfd = 4;

struct Saved {
    std::string path;
    std::string value;
};

// A packet is '+' path NUL value (about to be changed) or '-' path NUL (restored).
void apply_packet(std::vector<Saved>& saved, std::string_view packet) {
    const std::size_t nul = packet.find('\0');
    if (packet.empty() || nul == std::string_view::npos)
        return;
    const std::string path(packet.substr(1, nul - 1));
    if (packet.front() == '+') {
        saved.push_back({path, std::string(packet.substr(nul + 1))});
        return;
    }
    for (std::size_t i = saved.size(); i-- > 0;)
        if (saved[i].path == path) {
            saved.erase(saved.begin() + static_cast<std::ptrdiff_t>(i));
            return;
        }
}

void drain(std::vector<Saved>& saved) {
    std::array<char, PATH_MAX + 4096> packet{};
    for (;;) {
        const ssize_t got = ::recv(guardian_socket, packet.data(), packet.size(), MSG_DONTWAIT);
        if (got <= 0)
            return; // nothing more now; the end is learnt from the pidfd
        apply_packet(saved, {packet.data(), static_cast<std::size_t>(got)});
    }
}

[[noreturn]] void guard() {
    std::vector<Saved> saved;
    std::array<pollfd, 2> wait = {pollfd{guardian_socket, POLLIN, 0},
                                  pollfd{guardian_pidfd, POLLIN, 0}};
    for (;;) {
        // For as long as the driver lives, and no longer: its end is an event too.
        if (::poll(wait.data(), wait.size(), -1) < 0 && errno != EINTR)
            ::_exit(1);
        drain(saved);
        if ((wait[1].revents & POLLIN) != 0)
            break;
        if ((wait[0].revents & POLLHUP) != 0)
            wait[0].fd = -1; // the driver closed its end while exiting; poll() skips it now
    }
    int status = 0;
    for (std::size_t i = saved.size(); i-- > 0;) {
        const Result<void> written = write_text(saved[i].path, saved[i].value);
        if (!written) {
            std::fprintf(stderr, "faultline: restore: %s\n", written.error().to_string().c_str());
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

    Result<void> saved(const std::string& path, const std::string& value) {
        return send('+', path, value);
    }
    Result<void> restored(const std::string& path) { return send('-', path, {}); }

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

    Result<void> send(char kind, const std::string& path, const std::string& value) {
        const std::lock_guard<std::mutex> lock(mutex_);
        const Result<void> started = start_locked();
        if (!started)
            return started;
        const std::string packet = kind + path + '\0' + value;
        // Queued when this returns: the guardian reads it even if we die at once.
        if (::send(socket_.get(), packet.data(), packet.size(), MSG_NOSIGNAL) < 0)
            return Error::last("tell the settings guardian about", path);
        return {};
    }

    std::mutex mutex_;
    Fd socket_;
    pid_t owner_ = 0; // a forked child that sets anything needs a guardian of its own
};

Guardian& guardian() {
    static Guardian one;
    return one;
}

} // namespace

Setting::Setting(Setting&& other) noexcept
    : path_(std::exchange(other.path_, {})), old_(std::exchange(other.old_, {})) {}

Setting& Setting::operator=(Setting&& other) noexcept {
    std::swap(path_, other.path_);
    std::swap(old_, other.old_);
    return *this;
}

Setting::~Setting() {
    const Result<void> restored = restore();
    if (!restored)
        std::fprintf(stderr, "faultline: restore: %s\n", restored.error().to_string().c_str());
}

Result<Setting> Setting::set(const std::string& path, std::string_view value) {
    const Result<std::string> old = read_setting(path);
    if (!old)
        return old.error();
    const Result<void> told = guardian().saved(path, *old);
    if (!told)
        return told.error();
    Setting setting(path, *old);
    const Result<void> written = write_text(path, value);
    if (!written)
        return written.error(); // the destructor restores, which also tells the guardian
    return setting;
}

Result<void> Setting::restore() {
    if (path_.empty())
        return {};
    const std::string path = std::exchange(path_, {});
    const Result<void> written = write_text(path, old_);
    if (!written)
        return written; // the guardian still knows it and tries again at the end
    return guardian().restored(path);
}

Result<std::string> read_setting(const std::string& path) {
    const Result<std::string> read = read_text(path);
    if (!read)
        return read.error();
    const std::string& text = *read;
    const std::size_t open = text.find('[');
    const std::size_t close = text.find(']', open == std::string::npos ? 0 : open);
    if (open != std::string::npos && close != std::string::npos)
        return text.substr(open + 1, close - open - 1);
    return text.substr(0, text.find_last_not_of(" \t\n") + 1);
}

Result<void> start_settings_guardian() { return guardian().start(); }

} // namespace faultline
