// SPDX-License-Identifier: GPL-2.0
// A C text in pieces. A program gets the pieces that it uses: it must compile without a warning
// about unused code.
#ifndef FAULTLINE_EMIT_C_PIECES_HPP
#define FAULTLINE_EMIT_C_PIECES_HPP

#include <string>
#include <string_view>
#include <vector>

namespace faultline {

// The same length, with spaces for comments, texts and characters in quotation marks.
std::string without_comments(std::string_view c);

// The pieces of `text` that `program` uses, and the pieces that those use, in the order of `text`.
// A blank line ends a piece. Members of structures (a.b, a->b) are no uses.
std::string pieces_for(std::string_view text, std::string_view program);

} // namespace faultline

#endif // FAULTLINE_EMIT_C_PIECES_HPP
