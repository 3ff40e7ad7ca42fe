// SPDX-License-Identifier: GPL-2.0
// Errors as values: Result<T> is a T, or the errno, the path and the words that say what failed.
//
//     Result<Fd> file = Fd::open(path, O_RDONLY);
//     if (!file)
//         return file.error();          // converts to any Result<U>
//     use(*file);
//
//     return Error::last("open", path); // takes errno
#ifndef FAULTLINE_KERNEL_RESULT_HPP
#define FAULTLINE_KERNEL_RESULT_HPP

#include <cerrno>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace faultline {

struct Error {
    int number = 0;      // an errno; 0 if none fits
    std::string path;    // the file or object it happened to; may be empty
    std::string message; // the operation

    // The current errno, for doing `action` to `path`.
    static Error last(std::string_view action, std::string_view path = {}) {
        const int number = errno; // before anything below may change it
        return {number, std::string(path), std::string(action)};
    }

    static Error make(int number, std::string_view message, std::string_view path = {}) {
        return {number, std::string(path), std::string(message)};
    }

    // "open /proc/x: No such file or directory (ENOENT)"
    [[nodiscard]] std::string to_string() const {
        std::string text = message;
        if (!path.empty())
            text += (text.empty() ? "" : " ") + path;
        if (number != 0)
            text += ": " + name_of(number);
        return text;
    }

  private:
    static std::string name_of(int number) {
        const char* name = strerrorname_np(number);
        return std::string(std::strerror(number)) + " (" +
               (name != nullptr ? std::string(name) : std::to_string(number)) + ")";
    }
};

template <typename T> class [[nodiscard]] Result {
  public:
    // Implicit, so that `return value;` and `return error;` both read as they should.
    // NOLINTNEXTLINE(google-explicit-constructor)
    Result(T value) : value_(std::in_place_index<0>, std::move(value)) {}
    // NOLINTNEXTLINE(google-explicit-constructor)
    Result(Error error) : value_(std::in_place_index<1>, std::move(error)) {}

    [[nodiscard]] bool ok() const { return value_.index() == 0; }
    explicit operator bool() const { return ok(); }

    T& operator*() & { return std::get<0>(value_); }
    const T& operator*() const& { return std::get<0>(value_); }
    T&& operator*() && { return std::get<0>(std::move(value_)); }
    T* operator->() { return &std::get<0>(value_); }
    const T* operator->() const { return &std::get<0>(value_); }

    [[nodiscard]] T value_or(T other) const { return ok() ? std::get<0>(value_) : other; }
    [[nodiscard]] const Error& error() const { return std::get<1>(value_); }

  private:
    std::variant<T, Error> value_;
};

template <> class [[nodiscard]] Result<void> {
  public:
    Result() = default;
    // NOLINTNEXTLINE(google-explicit-constructor)
    Result(Error error) : error_(std::move(error)) {}

    [[nodiscard]] bool ok() const { return !error_; }
    explicit operator bool() const { return ok(); }
    [[nodiscard]] const Error& error() const { return *error_; }

  private:
    std::optional<Error> error_;
};

// For who answers as system calls do: true, or false and errno.
inline bool as_errno(const Result<void>& result) {
    if (!result)
        errno = result.error().number;
    return result.ok();
}

} // namespace faultline

#endif // FAULTLINE_KERNEL_RESULT_HPP
