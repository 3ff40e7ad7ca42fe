// SPDX-License-Identifier: GPL-2.0
#include "emit/c_program.hpp"

#include "emit/c_pieces.hpp"
#include "emit/c_steps.hpp"
#include "emit/texts.hpp"
#include "kernel/kernel_log.hpp"

#include <algorithm>
#include <cerrno>
#include <fmt/format.h>
#include <fmt/ranges.h>

namespace faultline {

namespace {

constexpr std::string_view includes = R"(#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/falloc.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <regex.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

)";

constexpr unsigned wait_ms = 10000; // of an actor for another, beside the delays

// A comment of C, wrapped.
std::string comment(const std::string& text) {
    constexpr std::size_t width = 90;
    std::string made = "/*\n";
    for (std::size_t from = 0; from < text.size();) {
        std::size_t end = std::min(text.find('\n', from), text.size());
        if (end - from > width) {
            const std::size_t space = text.rfind(' ', from + width);
            if (space != std::string::npos && space > from)
                end = space;
        }
        std::string line = text.substr(from, end - from);
        for (std::size_t at = line.find("*/"); at != std::string::npos; at = line.find("*/"))
            line.replace(at, 2, "* /");
        made += line.empty() ? " *\n" : " * " + line + "\n";
        from = end + 1;
    }
    return made + " */\n";
}

class Writer {
  public:
    Writer(const Finding& finding, const Plan& plan, const Timing& timing)
        : finding_(finding), plan_(plan), timing_(timing), names_(plan) {}

    Result<CProgram> write() {
        if (const Result<void> good = check(); !good)
            return good.error();
        const Result<std::string> prepared =
            function(watches_log() ? "static struct object log_;\n\nstatic void prepare(void)"
                                   : "static void prepare(void)",
                     plan_.prepare, "", watches_log() ? "\tlog_ = kernel_log();\n" : "");
        const Result<std::string> setup = function("static void setup(void)", plan_.setup);
        const Result<std::string> acts = actors();
        const Result<std::string> judged = judge();
        for (const Result<std::string>* one : {&prepared, &setup, &acts, &judged})
            if (!*one)
                return one->error();
        const std::size_t main_begins = main_text.find("\n\n") + 2; // behind its head
        const std::string own =
            *prepared + *setup + *acts + *judged + std::string(main_text.substr(main_begins));
        const std::string names = names_.declaration();
        CProgram program;
        program.windows = timing_.windows();
        program.left_out = names_.left_out_operations();
        program.text = "// SPDX-License-Identifier: GPL-2.0\n" + comment(about()) +
                       std::string(includes) + constants() + pieces_for(c_runtime(), own + names) +
                       names + own;
        return program;
    }

  private:
    Result<void> check() const {
        for (const FileActor& actor : plan_.actors)
            if (actor.kind == Actor::Kind::kernel_thread && !plan_.absent.contains(actor.name.text))
                return Error::make(EOPNOTSUPP, actor.name.text +
                                                   " is a thread of the kernel, not of a program");
        for (const Part& part : timing_.parts)
            if (!part.opens.empty() && !has_site(part))
                return Error::make(EOPNOTSUPP, fmt::format("{}@user:{}: no step \"at {}\"",
                                                           part.actor, part.opens, part.opens));
        return {};
    }

    [[nodiscard]] bool has_site(const Part& part) const {
        for (std::size_t i = 0; i < plan_.actors.size(); ++i)
            if (plan_.actors[i].name.text == part.actor)
                return has_site(plan_.steps.at(i), part.opens);
        return false;
    }
    static bool has_site(const std::vector<Step>& steps, const std::string& name) {
        return std::any_of(steps.begin(), steps.end(), [&name](const Step& step) {
            return (step.kind == Step::Kind::at && step.name == name) ||
                   has_site(step.steps, name) || has_site(step.otherwise, name);
        });
    }

    Result<std::string> function(const std::string& head, const std::vector<Step>& steps,
                                 const std::string& actor = "", const std::string& first = "") {
        const Result<std::string> made = CSteps(plan_, names_, timing_, actor).statements(steps);
        if (!made)
            return made.error();
        return fmt::format("{}\n{{\n{}{}}}\n\n", head, first, *made);
    }

    // A spinning delay keeps a CPU, which nobody else may then need.
    [[nodiscard]] bool may_pin(const FileActor& actor) const {
        const std::vector<Window> windows = timing_.windows();
        return std::none_of(plan_.actors.begin(), plan_.actors.end(), [&](const FileActor& other) {
            const auto slow = [&windows](const FileActor& one) {
                return std::any_of(windows.begin(), windows.end(), [&one](const Window& window) {
                    return window.actor == one.name.text;
                });
            };
            return other.name.text != actor.name.text && other.cpu == actor.cpu &&
                   (slow(other) || slow(actor));
        });
    }

    Result<std::string> actors() {
        std::string made;
        std::string table;
        for (std::size_t i = 0; i < plan_.actors.size(); ++i) {
            const FileActor& actor = plan_.actors[i];
            if (actor.kind == Actor::Kind::kernel_thread)
                continue;
            const std::string id = c_identifier(actor.name.text);
            const Result<std::string> own = function(
                fmt::format("static void act_{}(void)", id), plan_.steps.at(i), actor.name.text,
                may_pin(actor) ? fmt::format("\tpin({});\n", actor.cpu) : "");
            if (!own)
                return own;
            made += *own;
            table += fmt::format("\t{{ act_{}, {} }},\n", id, actor.kind == Actor::Kind::process);
        }
        return made +
               fmt::format("static const struct {{\n\tvoid (*act)(void);\n\tbool process;\n}} "
                           "actors[NR_ACTORS] = {{\n{}}};\n\n",
                           table);
    }

    // A file that forbids nothing, as of an order in which the machine died.
    [[nodiscard]] bool watches_log() const { return plan_.forbid.empty(); }

    Result<std::string> judge() {
        CSteps steps(plan_, names_, timing_, "");
        const Result<std::string> made = steps.statements(plan_.judge);
        if (!made)
            return made.error();
        std::string words;
        std::string values;
        for (const std::string& name : plan_.outcome) {
            const std::optional<CNames::Kind> kind = names_.kind("", name);
            if (!kind || *kind == CNames::Kind::none)
                continue;
            words += fmt::format(" {}=%s", name);
            values += ", " + steps.word(name);
        }
        std::string rows;
        for (std::size_t i = 0; i < plan_.forbid.size(); ++i) {
            const Result<std::optional<std::string>> when = steps.condition(plan_.forbid[i]);
            if (!when)
                return when.error();
            if (*when)
                rows += fmt::format("\tif ({})\n\t\tforbidden({});\n", **when,
                                    c_string(plan_.forbid_why[i]));
        }
        if (watches_log())
            rows = "\tif (is(complaints(log_), \"complaint\"))\n"
                   "\t\tforbidden(\"the kernel complained\");\n";
        if (rows.empty())
            return Error::make(
                EOPNOTSUPP,
                fmt::format("no forbidden outcome can be told in C: what [forbid] looks at "
                            "comes from {}",
                            fmt::join(names_.left_out_operations(), "(), ")) +
                    "()");
        return fmt::format(
            "static int nr_forbidden;\n\nstatic void forbidden(const char *why)\n{{\n"
            "\tprintf(\"  forbidden: %s\\n\", why);\n\tnr_forbidden++;\n}}\n\n"
            "static int judge(void)\n{{\n{}\tprintf(\" {}\\n\"{});\n{}"
            "\treturn nr_forbidden;\n}}\n\n",
            *made, words, values, rows);
    }

    [[nodiscard]] std::string constants() const {
        unsigned delays = 0;
        std::string sites;
        std::string actor_names;
        for (const Part& part : timing_.parts) {
            delays += part.ms();
            if (!part.opens.empty())
                sites +=
                    fmt::format("\tSITE_{},\n", c_identifier(part.actor + "@user:" + part.opens));
        }
        std::size_t count = 0;
        for (const FileActor& actor : plan_.actors)
            if (actor.kind != Actor::Kind::kernel_thread) {
                actor_names += fmt::format("\tACTOR_{},\n", c_identifier(actor.name.text));
                ++count;
            }
        return fmt::format(
            "#define WAIT_MS {}\n#define RUN_MS {}\n#define MAX_SITES {}\n#define MAX_ACTORS {}\n"
            "#define NR_ACTORS {}\n#define NO_NUMBER LONG_MIN\n\n"
            "enum {{\n{}}};\n\n{}",
            delays + wait_ms, 2 * (delays + wait_ms) + wait_ms,
            std::max<std::size_t>(timing_.parts.size(), 1), count, count, actor_names,
            sites.empty() ? "" : fmt::format("enum {{\n{}}};\n\n", sites));
    }

    [[nodiscard]] std::string about() const {
        std::string text =
            fmt::format("{}/{}: {}\n{}\n\n{}\n", finding_.file->name.text,
                        finding_.variant->name.text, plan_.about, finding_.file->races.text,
                        finding_.edges.empty() ? "" : to_string(finding_.edges));
        std::set<std::string> sites;
        for (const Window& window : timing_.windows())
            sites.insert(window.site + "()");
        if (sites.empty())
            text += "\nNo window needs to be widened: it shows on a kernel as it is.\n";
        else
            text += fmt::format(
                "\nNeeds a kernel with {}.patch, which delays a task named {} in {}. On any "
                "other it says \"window not widened\".\n",
                finding_.name(), timing_.windows().front().task, fmt::join(sites, ", "));
        if (!names_.left_out_operations().empty())
            text += fmt::format("\nNot looked at here: what {}() compare.\n",
                                fmt::join(names_.left_out_operations(), "(), "));
        return text +
               fmt::format(
                   "\ncc -O2 -pthread {0}.c -o {0} && ./{0} [RUNS]\n"
                   "Exit status: 0 the forbidden outcome was seen, 1 it was not, 2 window not "
                   "widened, 3 broken.\n\n"
                   "Made by faultline --emit c. Run it as root, on a test machine.\n",
                   finding_.name());
    }

    const Finding& finding_;
    const Plan& plan_;
    const Timing& timing_;
    CNames names_;
};

} // namespace

std::string c_runtime() {
    constexpr std::string_view mark =
        "\t\t/* The rows of kernel/complaints.txt: see emit/c_program.cpp. */\n";
    std::string rows;
    for (const ComplaintPattern& one : complaint_patterns())
        rows += fmt::format("\t\t{{ {}, {} }},\n", c_string(one.kind), c_string(one.expression));
    std::string text(runtime_text);
    text.replace(text.find(mark), mark.size(), rows);
    return text;
}

std::string Finding::name() const { return file->name.text + "-" + variant->name.text; }

Result<CProgram> c_program(const Finding& finding) {
    Complaints complaints;
    const Plan plan = make_plan(*finding.file, *finding.variant, complaints);
    if (!complaints.empty())
        return Error::make(EINVAL, to_string(finding.file->path, complaints));
    const Result<Timing> timing = timing_of(finding.edges);
    if (!timing)
        return timing.error();
    return Writer(finding, plan, *timing).write();
}

} // namespace faultline
