// SPDX-License-Identifier: GPL-2.0
#include "manual/page.hpp"

#include <algorithm>
#include <cctype>
#include <fmt/format.h>
#include <utility>

namespace faultline {

void Page::heading(std::string_view text) {
    blocks.push_back({Block::Kind::heading, std::string(text)});
}
void Page::subheading(std::string_view text) {
    blocks.push_back({Block::Kind::subheading, std::string(text)});
}
void Page::paragraph(std::string_view text) {
    blocks.push_back({Block::Kind::paragraph, std::string(text)});
}
void Page::entry(std::string_view tag, std::string_view text) {
    blocks.push_back({Block::Kind::entry, std::string(text), std::string(tag)});
}
void Page::example(std::string_view text) {
    blocks.push_back({Block::Kind::example, std::string(text)});
}
void Page::add(const std::vector<Block>& more) {
    blocks.insert(blocks.end(), more.begin(), more.end());
}

namespace {

constexpr std::size_t columns = 80;

std::vector<std::string> words_of(std::string_view text) {
    std::vector<std::string> words;
    std::string word;
    for (const char c : text)
        if (c == ' ' || c == '\n' || c == '\t') {
            if (!word.empty())
                words.push_back(std::exchange(word, {}));
        } else
            word += c;
    if (!word.empty())
        words.push_back(word);
    return words;
}

// Each line has `indent` spaces before it. Bytes are counted, not columns.
std::string filled(std::string_view text, std::size_t indent, std::size_t width) {
    const std::string before(indent, ' ');
    std::string all;
    std::string line;
    for (const std::string& word : words_of(text)) {
        if (!line.empty() && indent + line.size() + 1 + word.size() > width) {
            all += before + line + "\n";
            line.clear();
        }
        line += (line.empty() ? "" : " ") + word;
    }
    return line.empty() ? all : all + before + line + "\n";
}

std::string indented(std::string_view text, std::size_t indent) {
    std::string all;
    for (std::size_t from = 0; from < text.size();) {
        const std::size_t end = std::min(text.find('\n', from), text.size());
        const std::string_view line = text.substr(from, end - from);
        all += (line.empty() ? "" : std::string(indent, ' ')) + std::string(line) + "\n";
        from = end + 1;
    }
    return all;
}

std::string without_backticks(std::string_view text) {
    std::string bare(text);
    std::erase(bare, '`');
    return bare;
}

std::string upper(std::string_view text) {
    std::string all(text);
    std::transform(all.begin(), all.end(), all.begin(),
                   [](unsigned char c) { return std::toupper(c); });
    return all;
}

// --- roff ---------------------------------------------------------------------

std::string escaped(std::string_view text) {
    std::string all;
    for (const char c : text)
        switch (c) {
        case '\\':
            all += "\\e";
            break;
        case '-':
            all += "\\-";
            break;
        case '\'':
            all += "\\(aq";
            break;
        case '`':
            all += "\\(ga";
            break;
        case '^':
            all += "\\(ha";
            break;
        case '~':
            all += "\\(ti";
            break;
        default:
            all += c;
        }
    return all;
}

// `code` is bold. An odd backtick is one that is meant.
std::string with_fonts(std::string_view text) {
    const bool paired = std::count(text.begin(), text.end(), '`') % 2 == 0;
    if (!paired)
        return escaped(text);
    std::string all;
    bool code = false;
    for (std::size_t from = 0; from <= text.size();) {
        const std::size_t end = std::min(text.find('`', from), text.size());
        const std::string part = escaped(text.substr(from, end - from));
        all += code ? "\\fB" + part + "\\fR" : part;
        code = !code;
        from = end + 1;
    }
    return all;
}

// No line may begin with what roff takes for a request.
std::string guarded(const std::string& lines) {
    std::string all;
    for (std::size_t from = 0; from < lines.size();) {
        const std::size_t end = std::min(lines.find('\n', from), lines.size());
        const std::string line = lines.substr(from, end - from);
        if (line.starts_with("."))
            all += "\\&";
        all += line + "\n";
        from = end + 1;
    }
    return all;
}

std::string roff_text(std::string_view text) {
    constexpr std::size_t width = 78;
    return guarded(filled(with_fonts(text), 0, width));
}

std::string roff_example(std::string_view text) {
    std::string all = ".PP\n.RS 4\n.nf\n";
    std::string lines;
    for (std::size_t from = 0; from < text.size();) {
        const std::size_t end = std::min(text.find('\n', from), text.size());
        const std::string_view line = text.substr(from, end - from);
        // An empty line would be a request for a space of its own.
        lines += (line.empty() ? "\\&" : escaped(line)) + "\n";
        from = end + 1;
    }
    return all + guarded(lines) + ".fi\n.RE\n";
}

std::string roff_block(const Block& block) {
    switch (block.kind) {
    case Block::Kind::heading:
        return fmt::format(".SH {}\n", with_fonts(upper(block.text)));
    case Block::Kind::subheading:
        return fmt::format(".SS {}\n", with_fonts(block.text));
    case Block::Kind::paragraph:
        return ".PP\n" + roff_text(block.text);
    case Block::Kind::entry:
        return fmt::format(".TP\n{}{}",
                           guarded("\\fB" + escaped(without_backticks(block.tag)) + "\\fR\n"),
                           block.text.empty() ? std::string("\\&\n") : roff_text(block.text));
    case Block::Kind::bullet:
        return ".IP \\(bu 2\n" + roff_text(block.text);
    case Block::Kind::example:
        break;
    }
    return roff_example(block.text);
}

// A paragraph right below a heading needs no request of its own.
bool opens(const Block& block) {
    return block.kind == Block::Kind::heading || block.kind == Block::Kind::subheading;
}

} // namespace

std::string roff(const Page& page, std::string_view version, std::string_view date) {
    std::string text = fmt::format(".\\\" SPDX-License-Identifier: GPL-2.0\n"
                                   ".\\\" Made by `faultline man {}`.\n"
                                   ".TH {} {} {} \"faultline {}\" \"Faultline\"\n"
                                   ".ad l\n" // words that cannot be broken would stretch a line
                                   ".SH NAME\n{} \\- {}\n",
                                   page.name, upper(page.name), page.section, date, version,
                                   escaped(page.name), escaped(page.about));
    bool opened = false;
    for (const Block& block : page.blocks) {
        std::string one = roff_block(block);
        if (opened && one.starts_with(".PP\n"))
            one = one.substr(4);
        text += one;
        opened = opens(block);
    }
    return text;
}

std::string plain(const Page& page) {
    constexpr std::size_t margin = 4;
    std::string text = fmt::format("{}({}) - {}\n", page.name, page.section, page.about);
    for (const Block& block : page.blocks)
        switch (block.kind) {
        case Block::Kind::heading:
            text += fmt::format("\n{}\n", upper(without_backticks(block.text)));
            break;
        case Block::Kind::subheading:
            text += fmt::format("\n  {}\n", without_backticks(block.text));
            break;
        case Block::Kind::paragraph:
            text += "\n" + filled(block.text, margin, columns);
            break;
        case Block::Kind::entry:
            text += fmt::format("\n{:>{}}{}\n{}", "", margin, without_backticks(block.tag),
                                filled(block.text, 2 * margin, columns));
            break;
        case Block::Kind::bullet:
            text += filled("- " + block.text, margin, columns);
            break;
        case Block::Kind::example:
            text += "\n" + indented(block.text, 2 * margin);
            break;
        }
    return text;
}

// --- Markdown -----------------------------------------------------------------

namespace {

// [text](address) -> text
std::string without_links(const std::string& text) {
    std::string all;
    for (std::size_t from = 0; from < text.size();) {
        const std::size_t open = text.find('[', from);
        const std::size_t middle = open == std::string::npos ? open : text.find("](", open);
        const std::size_t close = middle == std::string::npos ? middle : text.find(')', middle);
        if (close == std::string::npos || text.find('[', open + 1) < middle)
            return all + text.substr(from);
        all += text.substr(from, open - from) + text.substr(open + 1, middle - open - 1);
        from = close + 1;
    }
    return all;
}

// "| a | b |" -> a, b. `a|b` and "\|" are no borders.
std::vector<std::string> cells_of(std::string_view row) {
    std::vector<std::string> cells;
    std::string cell;
    bool code = false;
    for (std::size_t i = 1; i < row.size(); ++i) {
        code ^= row[i] == '`';
        if (row[i] == '|' && !code && row[i - 1] != '\\') {
            const std::size_t begin = cell.find_first_not_of(' ');
            const std::size_t end = cell.find_last_not_of(' ');
            cells.push_back(begin == std::string::npos ? "" : cell.substr(begin, end - begin + 1));
            cell.clear();
        } else
            cell += row[i];
    }
    return cells;
}

class Markdown {
  public:
    std::vector<Block> read(std::string_view text) {
        for (std::size_t from = 0; from < text.size();) {
            const std::size_t end = std::min(text.find('\n', from), text.size());
            line(std::string(text.substr(from, end - from)));
            from = end + 1;
        }
        flush();
        return std::move(blocks_);
    }

  private:
    void line(const std::string& text) {
        if (text.starts_with("<!--"))
            return;
        if (text.empty())
            return empty();
        if (text.starts_with("    ") && (!open_ || example_))
            return code(text.substr(4));
        if (example_)
            flush();
        if (text.starts_with("#"))
            return heading(text);
        if (text.starts_with("|"))
            return row(text);
        if (text.starts_with("- ")) {
            flush();
            begin({Block::Kind::bullet, text.substr(2)});
            return;
        }
        if (open_)
            current_.text += " " + text.substr(std::min(text.find_first_not_of(' '), text.size()));
        else
            begin({Block::Kind::paragraph, text});
    }

    void begin(Block block) {
        current_ = std::move(block);
        open_ = true;
    }
    void empty() {
        if (example_)
            current_.text += "\n"; // one more, if code follows
        else
            flush();
    }
    void code(const std::string& text) {
        if (!open_)
            begin({Block::Kind::example});
        example_ = true;
        current_.text += text + "\n";
    }
    void heading(const std::string& text) {
        flush();
        const std::size_t depth = text.find_first_not_of('#');
        const std::size_t words = text.find_first_not_of("# ");
        if (depth == 1 || words == std::string::npos)
            return; // the title, or nothing
        blocks_.push_back(
            {depth == 2 ? Block::Kind::heading : Block::Kind::subheading, text.substr(words)});
    }
    void row(const std::string& text) {
        flush();
        const std::vector<std::string> cells = cells_of(text);
        if (cells.size() < 2 || cells[0].starts_with("---")) {
            if (!blocks_.empty() && blocks_.back().kind == Block::Kind::entry && cells.size() >= 2)
                blocks_.pop_back(); // the row of titles
            return;
        }
        std::string rest = cells[1];
        for (std::size_t i = 2; i < cells.size(); ++i)
            rest += "; " + cells[i];
        blocks_.push_back({Block::Kind::entry, without_links(rest), cells[0]});
    }
    void flush() {
        if (!open_)
            return;
        if (example_)
            current_.text.erase(current_.text.find_last_not_of('\n') + 2);
        else
            current_.text = without_links(current_.text);
        blocks_.push_back(std::move(current_));
        current_ = {};
        open_ = example_ = false;
    }

    std::vector<Block> blocks_;
    Block current_;
    bool open_ = false;
    bool example_ = false;
};

} // namespace

std::vector<Block> blocks_of_markdown(std::string_view text) { return Markdown().read(text); }

} // namespace faultline
