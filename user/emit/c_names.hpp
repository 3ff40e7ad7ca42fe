// SPDX-License-Identifier: GPL-2.0
// The names of a scenario in C: members of one structure.
#ifndef FAULTLINE_EMIT_C_NAMES_HPP
#define FAULTLINE_EMIT_C_NAMES_HPP

#include "language/plan.hpp"

#include <map>
#include <set>
#include <string>

namespace faultline {

class CNames {
  public:
    enum class Kind { object, number, word, none };

    explicit CNames(const Plan& plan);
    // The kind of a name as an actor's steps see it; nothing: it is none of these. `actor` "" = no
    // actor's.
    [[nodiscard]] std::optional<Kind> kind(const std::string& actor, const std::string& name) const;
    [[nodiscard]] std::string member(const std::string& actor, const std::string& name) const;
    // "struct names { ... };" and the values from which a run starts.
    [[nodiscard]] std::string declaration() const;
    // Operations that the program does without.
    [[nodiscard]] const std::set<std::string>& left_out_operations() const { return left_out_; }

  private:
    void collect(const std::vector<Step>& steps, const std::string& actor);
    void add(const Step& step, const std::string& actor);

    std::map<std::string, Kind> members_;
    std::set<std::string> left_out_;
};

// The name of an actor or a site, as part of a name in C.
std::string c_identifier(std::string_view text);

} // namespace faultline

#endif // FAULTLINE_EMIT_C_NAMES_HPP
