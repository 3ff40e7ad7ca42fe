// SPDX-License-Identifier: GPL-2.0
// Functions in a text of kernel source, found by what the text is: no compiler, no configuration.
// So each of several definitions under #if counts.
#ifndef FAULTLINE_EMIT_SOURCE_TEXT_HPP
#define FAULTLINE_EMIT_SOURCE_TEXT_HPP

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace faultline {

class SourceText {
  public:
    explicit SourceText(std::string text);
    [[nodiscard]] const std::string& text() const { return text_; }

    // Places where a statement can stand: in front of the first statement of the function, behind
    // its declarations. One for each definition. A name of a system call, "__x64_sys_mremap", means
    // SYSCALL_DEFINEn(mremap).
    [[nodiscard]] std::vector<std::size_t> entries(std::string_view function) const;
    // In front of each statement of `caller` that calls the function, but where a statement cannot
    // be put in front (behind "else" or a label).
    [[nodiscard]] std::vector<std::size_t> calls(std::string_view function,
                                                 std::string_view caller) const;
    // Where an #include can stand. Nothing is needed if it is there: npos.
    [[nodiscard]] std::size_t include_place(std::string_view header) const;

  private:
    [[nodiscard]] std::vector<std::size_t> bodies(std::string_view function) const;
    [[nodiscard]] std::size_t matching(std::size_t open) const;
    [[nodiscard]] std::size_t body_behind(std::size_t open_parenthesis) const;
    [[nodiscard]] std::size_t behind_declarations(std::size_t at) const;
    [[nodiscard]] bool declaration_at(std::size_t at) const;
    [[nodiscard]] std::size_t end_of_declaration(std::size_t at) const;
    [[nodiscard]] std::size_t statement_before(std::size_t at, std::size_t body) const;
    [[nodiscard]] std::string_view word_at(std::size_t at) const;
    [[nodiscard]] std::size_t skip_spaces(std::size_t at) const;
    [[nodiscard]] std::size_t line_start(std::size_t at) const;
    [[nodiscard]] std::size_t outside_conditions(std::size_t place, std::size_t body) const;

    std::string text_;
    std::string code_;                 // without comments, texts and directives: the same length
    std::vector<unsigned> conditions_; // at the beginning of each line: how many #if are open
    std::vector<std::size_t> lines_;   // where each begins
};

} // namespace faultline

#endif // FAULTLINE_EMIT_SOURCE_TEXT_HPP
