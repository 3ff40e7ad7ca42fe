// SPDX-License-Identifier: GPL-2.0
// A page of the manual: blocks of text, printed as roff for man(1) or as plain text.
#ifndef FAULTLINE_MANUAL_PAGE_HPP
#define FAULTLINE_MANUAL_PAGE_HPP

#include <string>
#include <string_view>
#include <vector>

namespace faultline {

struct Block {
    enum class Kind {
        heading,
        subheading,
        paragraph,
        entry,   // `tag`, and what it means
        bullet,  // of a list
        example, // printed as it is
    };
    Kind kind = Kind::paragraph;
    std::string text = {}; // `code` between backticks
    std::string tag = {};
};

struct Page {
    std::string name; // "faultline-scenario"
    unsigned section = 1;
    std::string about; // after the name, in one line
    std::vector<Block> blocks;

    void heading(std::string_view text);
    void subheading(std::string_view text);
    void paragraph(std::string_view text);
    void entry(std::string_view tag, std::string_view text);
    void example(std::string_view text);
    void add(const std::vector<Block>& more);
};

// For man(1). `date` is YYYY-MM-DD.
std::string roff(const Page& page, std::string_view version, std::string_view date);
// For a terminal, 80 columns; headings at the margin.
std::string plain(const Page& page);

// The blocks of a text in the Markdown that docs/ is written in: headings, paragraphs, lists,
// tables and code that is indented by four spaces. The first heading, the title, is left out.
std::vector<Block> blocks_of_markdown(std::string_view text);

} // namespace faultline

#endif // FAULTLINE_MANUAL_PAGE_HPP
