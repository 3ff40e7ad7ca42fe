// SPDX-License-Identifier: GPL-2.0
#include "manual/module_files.hpp"

#include "embedded.hpp"
#include "file_table.h"

#include <algorithm>
#include <cctype>
#include <fmt/format.h>
#include <utility>

namespace faultline {

std::vector<ModuleFileRow> module_files() {
    std::vector<ModuleFileRow> rows;
    const auto add = [&rows](std::string_view folder, std::string_view name,
                             std::string_view header, std::string_view about, bool commands) {
        rows.push_back({fmt::format("{}{}{}", folder, folder.empty() ? "" : "/", name),
                        std::string(header), std::string(about), commands});
    };
#define FL_ROW(show, name, about) add("", name, "", about, false);
    FL_SHOWN_FILES(FL_ROW)
#undef FL_ROW
    add("", FL_SESSION_FILE, "", FL_SESSION_ABOUT, false);
#define FL_ROW(instrument, folder, name, header, about) add(folder, name, header, about, true);
    FL_INSTRUMENT_FILES(FL_ROW)
#undef FL_ROW
    return rows;
}

std::string_view header_text(std::string_view name) {
    for (const EmbeddedText& one : embedded_headers)
        if (one.name == name)
            return one.text;
    return {};
}

std::string_view language_text() { return embedded_language; }
std::string_view release_date() { return FAULTLINE_DATE; }

namespace {

std::string upper(std::string_view text) {
    std::string all(text);
    std::transform(all.begin(), all.end(), all.begin(),
                   [](unsigned char c) { return std::toupper(c); });
    return all;
}

bool of_name(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

// "@pid" -> "PID"; FL_NAME() stays.
std::string with_arguments(std::string_view text) {
    std::string all;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '@') {
            all += text[i];
            continue;
        }
        std::size_t end = i + 1;
        while (end < text.size() && of_name(text[end]))
            ++end;
        all += upper(text.substr(i + 1, end - i - 1));
        i = end - 1;
    }
    return all;
}

class LinesReader {
  public:
    explicit LinesReader(std::string_view text) : text_(text) {}

    Result<std::vector<LineSection>> read() {
        sections_.emplace_back();
        while (at_ < text_.size() && why_.empty()) {
            if (text_.substr(at_).starts_with("/*"))
                comment();
            else if (text_.substr(at_).starts_with("#define"))
                definition();
            else
                at_ = std::min(text_.find('\n', at_), text_.size() - 1) + 1;
        }
        if (why_.empty() && lines_ == 0)
            why_ = "it defines no line";
        if (!why_.empty()) {
            const auto line =
                1 +
                std::count(text_.begin(),
                           text_.begin() + static_cast<std::ptrdiff_t>(std::min(at_, text_.size())),
                           '\n');
            return Error::make(EINVAL, fmt::format("line {}: {}", line, why_));
        }
        std::erase_if(sections_, [](const LineSection& one) { return one.lines.empty(); });
        return std::move(sections_);
    }

  private:
    void comment() {
        const std::size_t end = text_.find("*/", at_);
        if (end == std::string_view::npos) {
            why_ = "a comment has no end";
            return;
        }
        std::string said;
        for (std::size_t from = at_ + 2; from < end;) {
            const std::size_t stop = std::min(text_.find('\n', from), end);
            std::string_view line = text_.substr(from, stop - from);
            line.remove_prefix(std::min(line.find_first_not_of(" *\t"), line.size()));
            said += std::string(line) + " ";
            from = stop + 1;
        }
        at_ = end + 2;
        said.erase(said.find_last_not_of(' ') + 1);
        said.erase(0, std::min(said.find_first_not_of(' '), said.size()));
        if (said.starts_with("--- ")) {
            sections_.push_back({said.substr(4, said.find(' ', 4) - 4), {}});
            about_.clear();
            return;
        }
        about_ = with_arguments(said);
        fresh_ = true;
    }

    // The lines of a definition, joined.
    std::string joined() {
        std::string all;
        for (;;) {
            const std::size_t end = std::min(text_.find('\n', at_), text_.size());
            std::string_view line = text_.substr(at_, end - at_);
            at_ = std::min(end + 1, text_.size());
            const bool more = line.ends_with("\\");
            if (more)
                line.remove_suffix(1);
            all += std::string(line) + " ";
            if (!more || at_ == text_.size())
                return all;
        }
    }

    void definition() {
        const std::size_t begun = at_;
        const std::string all = joined();
        constexpr std::size_t word = sizeof("#define ") - 1;
        std::size_t end = word;
        while (end < all.size() && of_name(all[end]))
            ++end;
        std::vector<std::string> arguments;
        if (end < all.size() && all[end] == '(') {
            const std::size_t close = all.find(')', end);
            if (close == std::string::npos) {
                at_ = begun;
                why_ = "the arguments of a definition have no end";
                return;
            }
            arguments = names_of(all.substr(end + 1, close - end - 1));
            end = close + 1;
        }
        const std::string body = all.substr(end);
        if (body.find_first_not_of(' ') == std::string::npos) {
            about_.clear(); // the guard: the text before it is about the header
            return;
        }
        const std::string form = form_of(body, arguments);
        if (!why_.empty()) {
            at_ = begun;
            return;
        }
        add(form);
    }

    void add(const std::string& form) {
        std::vector<LineForms>& lines = sections_.back().lines;
        if (fresh_ || lines.empty())
            lines.push_back({about_, {}});
        fresh_ = false;
        about_.clear();
        lines.back().forms.push_back(form);
        ++lines_;
    }

    static std::vector<std::string> names_of(const std::string& list) {
        std::vector<std::string> names;
        std::string name;
        for (const char c : list + ",")
            if (of_name(c))
                name += c;
            else if (c == ',' && !name.empty())
                names.push_back(std::exchange(name, {}));
        return names;
    }

    // Strings as they are, arguments in capitals.
    std::string form_of(const std::string& body, const std::vector<std::string>& arguments) {
        std::string form;
        for (std::size_t i = 0; i < body.size();) {
            if (body[i] == ' ' || body[i] == '\t') {
                ++i;
                continue;
            }
            if (body[i] == '"') {
                const std::size_t close = body.find('"', i + 1);
                if (close == std::string::npos) {
                    why_ = "a string has no end";
                    return {};
                }
                form += body.substr(i + 1, close - i - 1);
                i = close + 1;
                continue;
            }
            std::size_t end = i;
            while (end < body.size() && of_name(body[end]))
                ++end;
            const std::string name = body.substr(i, std::max<std::size_t>(end - i, 1));
            if (std::find(arguments.begin(), arguments.end(), name) == arguments.end()) {
                why_ = fmt::format("\"{}\" is neither a string nor an argument", name);
                return {};
            }
            form += upper(name);
            i = end;
        }
        return form;
    }

    std::string_view text_;
    std::size_t at_ = 0;
    std::size_t lines_ = 0;
    std::string why_;
    std::string about_;
    bool fresh_ = false; // the comment has no line yet
    std::vector<LineSection> sections_;
};

} // namespace

Result<std::vector<LineSection>> read_lines_header(std::string_view text) {
    return LinesReader(text).read();
}

} // namespace faultline
