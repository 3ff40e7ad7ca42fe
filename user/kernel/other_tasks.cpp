// SPDX-License-Identifier: GPL-2.0
#include "kernel/other_tasks.hpp"

#include "kernel/counters.hpp"
#include "kernel/debugfs.hpp"
#include "kernel/fd.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <map>
#include <optional>
#include <set>
#include <unistd.h>

namespace faultline {

namespace {

constexpr std::string_view file_name = "tasks";

const pid_t process_at_start = ::getpid();

// Takes "WORD NUMBER " off a line.
template <typename Number>
bool take_number(std::string_view& line, std::string_view word, Number& number) {
    if (!line.starts_with(word) || line.substr(word.size()).substr(0, 1) != " ")
        return false;
    line.remove_prefix(word.size() + 1);
    const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), number);
    if (error != std::errc() || end == line.data() + line.size() || *end != ' ')
        return false;
    line.remove_prefix(static_cast<std::size_t>(end - line.data()) + 1);
    return true;
}

std::optional<TaskRow> parse_task(std::string_view line) {
    TaskRow task;
    if (!take_number(line, "task", task.task) || !take_number(line, "process", task.process) ||
        !take_number(line, "parent", task.parent) || !take_number(line, "switches", task.switches))
        return std::nullopt;
    const TextLine rest = split_line(line, ' '); // the name may have blanks
    if ((rest.name != "running" && rest.name != "off") || rest.value.data() == nullptr)
        return std::nullopt;
    task.running = rest.name == "running";
    task.name = rest.value.empty() ? "?" : rest.value;
    return task;
}

// `own` and what descends from it.
std::set<pid_t> processes_of(const TaskRows& tasks, pid_t own) {
    std::set<pid_t> processes = {own};
    for (std::size_t known = 0; known != processes.size();) {
        known = processes.size();
        for (const TaskRow& one : tasks)
            if (processes.count(one.parent) != 0)
                processes.insert(one.process);
    }
    return processes;
}

std::map<pid_t, const TaskRow*> others(const TaskRows& tasks, pid_t own) {
    const std::set<pid_t> ours = processes_of(tasks, own);
    std::map<pid_t, const TaskRow*> found;
    for (const TaskRow& one : tasks)
        if (ours.count(one.process) == 0)
            found[one.task] = &one;
    return found;
}

} // namespace

Result<TaskRows> parse_tasks(std::string_view text) {
    TaskRows tasks;
    while (const std::optional<std::string_view> line = next_line(text)) {
        std::optional<TaskRow> task = parse_task(*line);
        if (!task)
            return Error::make(EPROTO, "not understood: " + std::string(*line), file_name);
        tasks.push_back(std::move(*task));
    }
    if (!text.empty())
        return Error::make(EPROTO, "a line is cut: " + std::string(text), file_name);
    if (tasks.empty())
        return Error::make(EPROTO, "no task", file_name);
    return tasks;
}

Result<TaskRows> read_tasks() {
    const Result<std::string> path = faultline_file(file_name);
    const Result<std::string> text = path ? read_text(*path) : path;
    return text ? parse_tasks(*text) : Result<TaskRows>(text.error());
}

pid_t first_process() { return process_at_start; }

std::vector<std::string> ran_between(const TaskRows& before, const TaskRows& after, pid_t own) {
    const std::map<pid_t, const TaskRow*> then = others(before, own);
    const std::map<pid_t, const TaskRow*> now = others(after, own);
    std::set<std::string> names;
    for (const auto& [number, task] : now) {
        const auto was = then.find(number);
        if (was == then.end() || was->second->running || task->running ||
            was->second->switches != task->switches)
            names.insert(task->name);
    }
    for (const auto& [number, task] : then)
        if (now.count(number) == 0)
            names.insert(task->name);
    return {names.begin(), names.end()};
}

} // namespace faultline
