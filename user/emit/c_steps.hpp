// SPDX-License-Identifier: GPL-2.0
// Steps of a scenario as statements of C.
#ifndef FAULTLINE_EMIT_C_STEPS_HPP
#define FAULTLINE_EMIT_C_STEPS_HPP

#include "emit/c_names.hpp"
#include "emit/timing.hpp"

#include <string>
#include <vector>

namespace faultline {

// A text of C, in quotation marks.
std::string c_string(std::string_view text);

class CSteps {
  public:
    // `actor`: "" = of prepare, setup or judge.
    CSteps(const Plan& plan, const CNames& names, const Timing& timing, std::string actor)
        : plan_(plan), names_(names), timing_(timing), actor_(std::move(actor)) {}

    Result<std::string> statements(const std::vector<Step>& steps);
    // All of them hold: an expression of C. Nothing: of a name that was left out.
    [[nodiscard]] Result<std::optional<std::string>>
    condition(const std::vector<Term>& terms) const;
    // For a result: an expression that is a word.
    [[nodiscard]] std::string word(const std::string& name) const;

  private:
    struct Place {
        std::string object = {}; // "r->near"
        std::string first = {};
        std::string count = {};
    };
    Result<void> block(const std::vector<Step>& steps);
    Result<void> step(const Step& step);
    Result<void> loop(const Step& step);
    Result<void> when(const Step& step);
    Result<void> call(const Step& step);
    Result<void> at(const Step& step);
    void assign(const Step& step, const Operation& operation, const std::string& expression);
    Result<void> open_part(const std::string& opens);
    void close_part();
    Result<std::string> expression(const Call& call, const Operation& operation) const;
    [[nodiscard]] std::string argument(const Argument& argument, const Expression* given,
                                       std::string_view field, std::string& trouble) const;
    [[nodiscard]] Place place(const Expression& expression, std::string& trouble) const;
    [[nodiscard]] std::string number(const Expression& expression, std::string& trouble) const;
    [[nodiscard]] Error no(Position at, const std::string& what) const;
    void line(const std::string& text);

    const Plan& plan_;
    const CNames& names_;
    const Timing& timing_;
    std::string actor_;
    std::string made_;
    unsigned depth_ = 1;
    unsigned loops_ = 0;
    const Part* part_ = nullptr;
    std::vector<std::string> variables_; // of loops around
};

} // namespace faultline

#endif // FAULTLINE_EMIT_C_STEPS_HPP
