// SPDX-License-Identifier: GPL-2.0
#include "kernel/settings.hpp"

#include "kernel/fd.hpp"
#include "kernel/guardian.hpp"

#include <cstdio>
#include <utility>

namespace faultline {

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
    const Result<void> told = promise({Undo::Kind::write, path, *old});
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
    return release_promise({Undo::Kind::write, path});
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

} // namespace faultline
