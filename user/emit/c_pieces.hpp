// SPDX-License-Identifier: GPL-2.0
// A text of C in pieces, of which a program gets those that it uses: each must compile without a
// warning about what is not used.
#ifndef FAULTLINE_EMIT_C_PIECES_HPP
#define FAULTLINE_EMIT_C_PIECES_HPP

#include <string>
#include <string_view>
#include <vector>

namespace faultline {

// The same length, with spaces for comments, texts and characters in quotation marks.
std::string without_comments(std::string_view c);

// What `program` uses of `text`, and what that uses, in the order of `text`. A blank line ends a
// piece. Members of structures (a.b, a->b) are no uses.
std::string pieces_for(std::string_view text, std::string_view program);

} // namespace faultline

#endif // FAULTLINE_EMIT_C_PIECES_HPP
