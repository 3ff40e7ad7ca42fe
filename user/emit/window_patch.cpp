// SPDX-License-Identifier: GPL-2.0
#include "emit/window_patch.hpp"

#include "emit/source_text.hpp"
#include "kernel/fd.hpp"
#include "kernel/symbols.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <fmt/format.h>
#include <fmt/ranges.h>

namespace faultline {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view header = "linux/delay.h";
constexpr std::size_t context = 3; // lines

// Where functions of memory management are first. The first folder that has the function is taken.
constexpr std::array folders = {"mm",       "fs",         "kernel",       "lib",       "ipc",
                                "security", "block",      "net",          "virt",      "include",
                                "arch/x86", "arch/arm64", "arch/powerpc", "arch/s390", "drivers"};

struct Change {
    std::size_t line = 0;                 // before this one, from 0
    std::vector<std::string> before = {}; // added lines
    bool replaces = false;                // that line itself goes
};

std::vector<std::string_view> lines_of(std::string_view text) {
    std::vector<std::string_view> lines;
    for (std::size_t from = 0; from < text.size();) {
        const std::size_t end = std::min(text.find('\n', from), text.size());
        lines.push_back(text.substr(from, end - from));
        from = end + 1;
    }
    return lines;
}

std::vector<std::string> split(const std::string& text) {
    std::vector<std::string> lines;
    for (const std::string_view line : lines_of(text))
        lines.emplace_back(line);
    return lines;
}

std::vector<Change> changes_of(std::string_view text, const Insertions& insertions) {
    std::vector<Change> changes;
    for (const auto& [at, added] : insertions) {
        const std::string_view head = text.substr(0, at);
        const std::size_t start =
            head.rfind('\n') == std::string_view::npos ? 0 : head.rfind('\n') + 1;
        Change change{.line = static_cast<std::size_t>(std::count(head.begin(), head.end(), '\n'))};
        change.before = split(added);
        if (start != at) { // in the middle of a line
            const std::size_t end = std::min(text.find('\n', at), text.size());
            change.before.insert(change.before.begin(),
                                 std::string(text.substr(start, at - start)));
            change.before.emplace_back("\t" + std::string(text.substr(at, end - at)));
            change.replaces = true;
        }
        changes.push_back(std::move(change));
    }
    return changes;
}

// Lines first..last of the old text, with the changes among them. `shift`: lines that were added
// above.
std::string hunk(const std::vector<std::string_view>& lines, const std::vector<Change>& changes,
                 std::size_t first, std::size_t last, bool cut_end, long& shift) {
    std::string body;
    std::size_t olds = 0;
    std::size_t news = 0;
    for (std::size_t i = first; i <= last; ++i) {
        bool gone = false;
        for (const Change& change : changes) {
            if (change.line != i)
                continue;
            if (change.replaces)
                body += fmt::format("-{}\n", lines[i]);
            for (const std::string& added : change.before)
                body += "+" + added + "\n";
            news += change.before.size();
            gone = gone || change.replaces;
        }
        if (i == lines.size())
            break;
        ++olds;
        if (gone)
            continue;
        ++news;
        body += fmt::format(" {}\n", lines[i]);
        if (cut_end && i + 1 == lines.size())
            body += "\\ No newline at end of file\n";
    }
    const auto new_first = static_cast<std::size_t>(static_cast<long>(first) + 1 + shift);
    shift += static_cast<long>(news) - static_cast<long>(olds);
    return fmt::format("@@ -{},{} +{},{} @@\n{}", first + 1, olds, new_first, news, body);
}

struct Located {
    std::string path; // in the tree
    SourceText text;
    std::vector<std::size_t> places;
};

std::vector<std::size_t> places_in(const SourceText& text, const SiteCandidate& candidate) {
    return candidate.caller.empty() ? text.entries(candidate.function)
                                    : text.calls(candidate.function, candidate.caller);
}

// The files below a folder with the function; no .h if a .c has it.
std::vector<Located> locate_below(const fs::path& root, const fs::path& folder,
                                  const SiteCandidate& candidate) {
    std::vector<Located> in_code;
    std::vector<Located> in_headers;
    std::vector<fs::path> files;
    std::error_code error;
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(root / folder, error))
        if (entry.is_regular_file(error) &&
            (entry.path().extension() == ".c" || entry.path().extension() == ".h"))
            files.push_back(entry.path());
    std::sort(files.begin(), files.end());
    const std::string& wanted = candidate.function;
    for (const fs::path& file : files) {
        const Result<std::string> text = read_text(file.string());
        const std::size_t sys = wanted.find("sys_"); // SYSCALL_DEFINE has no more than what follows
        if (!text || text->find(sys == std::string::npos ? wanted : wanted.substr(sys + 4)) ==
                         std::string::npos)
            continue;
        SourceText source(*text);
        std::vector<std::size_t> places = places_in(source, candidate);
        if (places.empty())
            continue;
        std::vector<Located>& all = file.extension() == ".c" ? in_code : in_headers;
        all.push_back(
            {fs::relative(file, root, error).string(), std::move(source), std::move(places)});
    }
    return in_code.empty() ? std::move(in_headers) : std::move(in_code);
}

Result<std::vector<Located>> locate(const std::string& site, const std::string& source,
                                    const std::string& release) {
    std::vector<std::string> tried;
    for (const SiteCandidate& candidate : candidates_of_site(site, release)) {
        for (const char* folder : folders)
            if (std::vector<Located> found = locate_below(source, folder, candidate);
                !found.empty())
                return found;
        tried.push_back(candidate.caller.empty()
                            ? candidate.function + "()"
                            : candidate.function + "() called by " + candidate.caller + "()");
    }
    return Error::make(
        ENOENT, fmt::format("{}: no definition of {}", site, fmt::join(tried, " or ")), source);
}

// "6.12" of the Makefile; "" if there is none.
std::string release_of(const std::string& source) {
    const Result<std::string> text = read_text(source + "/Makefile");
    std::string version;
    for (const std::string_view key : {"\nVERSION = ", "\nPATCHLEVEL = "}) {
        const std::size_t at = text ? text->find(key) : std::string::npos;
        if (at == std::string::npos)
            return "";
        const std::size_t begin = at + key.size();
        version +=
            (version.empty() ? "" : ".") + text->substr(begin, text->find('\n', begin) - begin);
    }
    return version;
}

} // namespace

std::string unified_diff(std::string_view path, std::string_view text,
                         const Insertions& insertions) {
    const std::vector<std::string_view> lines = lines_of(text);
    const std::vector<Change> changes = changes_of(text, insertions);
    const bool cut_end = !text.empty() && text.back() != '\n';
    std::string diff = fmt::format("--- a/{0}\n+++ b/{0}\n", path);
    long shift = 0;
    for (std::size_t i = 0; i < changes.size();) {
        std::size_t end = i; // hunks whose lines meet are one
        while (end + 1 < changes.size() && changes[end + 1].line <= changes[end].line + 2 * context)
            ++end;
        const std::size_t first = changes[i].line - std::min(changes[i].line, context);
        const std::size_t last =
            std::min(changes[end].line + context - (changes[end].replaces ? 0 : 1),
                     std::max<std::size_t>(lines.size(), 1) - 1);
        diff += hunk(
            lines,
            {changes.begin() + static_cast<long>(i), changes.begin() + static_cast<long>(end) + 1},
            first, std::max(last, changes[end].line), cut_end, shift);
        i = end + 1;
    }
    return diff;
}

Result<std::string> window_patch(const std::vector<Window>& windows, const std::string& source) {
    const std::string release = release_of(source);
    std::map<std::string, std::pair<std::string, Insertions>> files; // text and the inserted lines
    std::string about;
    std::vector<Window> done;
    for (const Window& window : windows) {
        const auto same = [&window](const Window& one) {
            return one.site == window.site && one.task == window.task;
        };
        if (std::any_of(done.begin(), done.end(), same))
            continue;
        done.push_back(window);
        Result<std::vector<Located>> found = locate(window.site, source, release);
        if (!found)
            return found.error();
        about += fmt::format("A task named {} is delayed by {} ms in {}.\n", window.task, delay_ms,
                             window.site);
        for (const Located& one : *found) {
            auto& [text, insertions] = files[one.path];
            text = one.text.text();
            for (const std::size_t place : one.places)
                insertions[place] +=
                    fmt::format("\tif (!strcmp(current->comm, \"{}\"))\n\t\tmdelay({});\n",
                                window.task, delay_ms);
            if (const std::size_t place = one.text.include_place(header);
                place != std::string::npos)
                insertions[place] = fmt::format("#include <{}>\n", header);
        }
    }
    std::string patch = about + "\n";
    for (const auto& [path, change] : files)
        patch += unified_diff(path, change.first, change.second);
    return patch;
}

} // namespace faultline
