// SPDX-License-Identifier: GPL-2.0
#include "kernel/kernel_log.hpp"

#include "complaint_table.hpp"

#include <algorithm>
#include <array>
#include <regex>
#include <vector>

namespace faultline {

namespace {

constexpr const char* kmsg = "/dev/kmsg";
struct Row {
    std::string_view kind;
    std::regex pattern;

    [[nodiscard]] bool matches(std::string_view line) const {
        return std::regex_search(line.begin(), line.end(), pattern);
    }
};

std::vector<Row> compiled() {
    std::vector<Row> rows;
    for (const ComplaintPattern& one : complaint_patterns())
        rows.push_back({one.kind, std::regex(one.expression.begin(), one.expression.end())});
    return rows;
}

} // namespace

// "KIND = REGULAR EXPRESSION", the harmless ones first.
std::vector<ComplaintPattern> complaint_patterns() {
    constexpr std::string_view equals = " = ";
    std::string_view table = complaint_table;
    std::vector<ComplaintPattern> rows;
    while (!table.empty()) {
        const std::string_view line = table.substr(0, table.find('\n'));
        table.remove_prefix(std::min(line.size() + 1, table.size()));
        const std::size_t at = line.find(equals);
        if (!line.starts_with('#') && at != std::string_view::npos)
            rows.push_back({line.substr(0, at), line.substr(at + equals.size())});
    }
    std::stable_partition(rows.begin(), rows.end(),
                          [](const ComplaintPattern& row) { return row.kind == harmless_kind; });
    return rows;
}

std::string_view complaint_kind(std::string_view line) {
    static const std::vector<Row> rows = compiled();
    const auto row = std::find_if(rows.begin(), rows.end(),
                                  [line](const Row& one) { return one.matches(line); });
    return row == rows.end() || row->kind == harmless_kind ? std::string_view() : row->kind;
}

std::optional<std::string> complaint_of(std::string_view record) {
    const std::size_t semicolon = record.find(';');
    if (semicolon == std::string_view::npos)
        return std::nullopt;
    std::string_view text = record.substr(semicolon + 1);
    text = text.substr(0, text.find('\n'));
    return complaint_kind(text).empty() ? std::nullopt : std::optional<std::string>(text);
}

void note_in_kernel_log(std::string_view text) {
    const Result<Fd> file = Fd::open(kmsg, O_WRONLY);
    if (file)
        (void)write_all(file->get(), "faultline: " + std::string(text) + "\n", kmsg).ok();
}

Result<KernelLog> KernelLog::open() {
    Result<Fd> file = Fd::open(kmsg, O_RDONLY | O_NONBLOCK);
    if (!file)
        return file.error();
    if (::lseek(file->get(), 0, SEEK_END) < 0)
        return Error::last("lseek", kmsg);
    return KernelLog(std::move(*file));
}

Result<std::string> KernelLog::complaint() const {
    std::string first;
    std::array<char, 8192> record{};
    for (;;) {
        const ssize_t got = ::read(file_.get(), record.data(), record.size());
        if (got < 0 && errno == EPIPE)
            continue; // overwritten before we read it: the rest begins later
        if (got < 0 && errno != EAGAIN)
            return Error::last("read", kmsg);
        if (got <= 0)
            return first;
        const std::optional<std::string> text =
            complaint_of({record.data(), static_cast<std::size_t>(got)});
        complaints_ += text ? 1 : 0;
        if (text && first.empty())
            first = *text;
    }
}

Result<std::uint64_t> KernelLog::complaints() const {
    const Result<std::string> read = complaint();
    return read ? Result<std::uint64_t>(complaints_) : read.error();
}

} // namespace faultline
