# SPDX-License-Identifier: GPL-2.0
"""The files of a machine in its run folder, judged; and the machines of one run, put together."""

import json
import shlex
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from .console import Finding, judge, said_in
from .results import (
    ControlCounts,
    Counts,
    DriverResults,
    Record,
    Selector,
    Status,
    TapResults,
    UnderWay,
    counts_of,
    parse_driver,
    parse_marks,
    parse_status,
    parse_tap,
    under_way,
)
from .tables import CRASHES, ENDING_TEXT, MACHINES, Ending, KnownLog

QUOTED_FINDINGS = 12


@dataclass(frozen=True)
class Driver:
    """A command of the guest's: `faultline run` with options and names, or another one as it is."""

    options: str
    names: str = ""  # scenarios; the plan in the results says which these are
    files: tuple[Path, ...] = ()  # scenario files of the host's that the options name as /files/NAME
    budget: int | None = None  # seconds, for all scenarios together

    @property
    def command(self) -> str:
        return " ".join(filter(None, [self.options, f"--budget {self.budget}" if self.budget else "", self.names]))

    def after(self, seconds: float) -> "Driver":
        """The driver with the rest of its budget after so many seconds. With no rest each part has its least number of runs."""
        return replace(self, budget=max(1, int(self.budget - seconds))) if self.budget else self

    @property
    def reports(self) -> bool:
        return "--json" in self.options


@dataclass(frozen=True)
class Task:
    """The work of one machine."""

    driver: Driver | None  # None: the selftests alone
    programs: tuple[str, ...]  # selftests

    def __bool__(self) -> bool:
        return bool(self.driver or self.programs)


@dataclass(frozen=True)
class Crash:
    """The run under way when a machine ended badly. It counts as a failure."""

    ending: Ending
    scenario: UnderWay | None  # None: a selftest
    program: str = ""
    caught: str = ""  # what the kernel said that caught the control by itself: then this is no failure

    @property
    def text(self) -> str:
        return f"{ENDING_TEXT[self.ending]}; under way: {self.scenario or self.program}"

    @property
    def replay(self) -> str:
        return self.scenario.replay if self.scenario else ""

    def record(self) -> Record:
        """As the driver would have reported the scenario."""
        assert self.scenario
        return {"kind": "scenario", "scenario": self.scenario.scenario, "verdict": self.ending.name,
                "cut": True, "standing": "failed", "known_bug": None, "why": self.text,
                "variant": self.scenario.variant or None, "control": self.scenario.control or None,
                "run": self.scenario.run, "seed": self.scenario.seed, "schedule": self.scenario.schedule or None,
                "replay": self.replay or None}


@dataclass
class Report:
    """The outcome of one machine, or of all machines of a run."""

    ending: Ending
    counts: Counts
    problems: list[str]
    folder: Path
    driver: DriverResults = field(default_factory=DriverResults)
    selftests: dict[str, TapResults] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)  # of the kernel log
    crashes: list[Crash] = field(default_factory=list)
    caught: str = ""  # the control that the kernel caught by itself, whereby the machine ended, and what it said
    rest: Task = Task(None, ())  # what a bad end left undone
    why_rest: str = f"{MACHINES} machines ended badly before it"  # should nobody do it
    machines: list["Report"] = field(default_factory=list)  # if there were several


def read_channel(folder: Path, name: str) -> str:
    file = folder / name
    return file.read_text(errors="replace").replace("\r\n", "\n") if file.exists() else ""


def split_selftests(text: str) -> dict[str, str]:
    """The selftests channel: each program's output after a line "== NAME"."""
    parts: dict[str, str] = {}
    name = None
    for line in text.splitlines():
        if line.startswith("== "):
            name = line[3:].strip()
            parts[name] = ""
        elif name:
            parts[name] += line + "\n"
    return parts


def _caught_by_kernel(folder: Path, point: UnderWay | None, ending: Ending) -> str:
    """The line with which a kernel with debugging ended the machine, if the control under way names it."""
    if not (point and point.control and point.caught_by and ending == Ending.PANIC):
        return ""
    return said_in(read_channel(folder, "console.log"), point.name, point.caught_by)


def _again_without(driver: Driver, caught: Crash, results: DriverResults) -> Driver:
    """The scenario begins again in a fresh machine, whose driver gets the name of the caught control."""
    results.drop_unfinished()
    names = results.names[len(results.of("scenario")):]
    told = shlex.quote(f"{caught.scenario.name}={caught.caught}") if caught.scenario else ""
    return replace(driver, options=f"{driver.options} --caught {told}", names=" ".join(names))


def _crash(folder: Path, task: Task, status: Status, driver: DriverResults, outputs: dict[str, str],
           ending: Ending) -> tuple[Crash | None, Task, list[str]]:
    """The run under way when a machine ended badly, the remaining work, and errors in the marks."""
    left = tuple(name for name in task.programs if name not in status.codes)
    if task.driver and "faultline" not in status.codes:
        if not task.driver.reports or not driver.names:
            return None, Task(None, ()), []  # it had not begun: a fresh machine would do the same
        marks = parse_marks(read_channel(folder, "mark"))
        point = under_way(driver, marks)
        reported = len(driver.of("scenario"))
        names = [name for index, name in enumerate(driver.names) if index >= reported and index != (point and point.index)]
        rest = Task(replace(task.driver, names=" ".join(names)) if names else None, left)
        if caught := _caught_by_kernel(folder, point, ending):
            crash = Crash(ending, point, caught=caught)
            return crash, Task(_again_without(task.driver, crash, driver), left), marks.problems
        if point:
            driver.drop_again(driver.names[point.index])
        return (Crash(ending, point) if point else None), rest, marks.problems
    begun = [name for name in left if name in outputs]
    if not begun and len(left) == len(task.programs) and not task.driver:
        return None, Task(None, ()), []  # as above
    return (Crash(ending, None, begun[-1]) if begun else None), Task(None, tuple(n for n in left if n not in begun)), []


def _driver_results(report: Report, status: Status) -> None:
    if report.crashes and report.crashes[0].scenario:
        crash = report.crashes[0]
        report.driver.records.append(crash.record())
        if crash.scenario and crash.scenario.control:
            report.driver.controls += ControlCounts(not_caught=1)  # it counts as a failure
        else:
            report.driver.variants += Counts(failed=1)
        report.driver.scenarios += Counts(failed=1)
    if status.codes.get("faultline") not in (0, 1, None):
        report.driver.problems.append(f"the driver ended with status {status.codes['faultline']}")
    report.counts += report.driver.counts
    report.problems += report.driver.problems


def assess(folder: Path, ending: Ending, task: Task, explained: Iterable[KnownLog] = ()) -> Report:
    """Judge what a machine left in its run folder."""
    report = Report(ending, Counts(), [], folder)
    status, outputs = parse_status(read_channel(folder, "status")), split_selftests(read_channel(folder, "selftests"))
    reports = bool(task.driver and task.driver.reports)
    if reports:
        report.driver = parse_driver(read_channel(folder, "json"), cut=ending in CRASHES)
    if ending in CRASHES:
        crash, report.rest, problems = _crash(folder, task, status, report.driver, outputs, ending)
        report.problems += problems
        if crash and crash.caught:
            report.caught, report.ending = f"{crash.scenario.name if crash.scenario else ''}: {crash.caught}", Ending.GOOD
        elif crash:
            report.crashes.append(crash)
    if report.ending != Ending.GOOD:
        report.problems.insert(0, ENDING_TEXT[ending])
    if reports:
        _driver_results(report, status)
    crashed = next((crash.program for crash in report.crashes), "")
    for name in [name for name in task.programs if name not in report.rest.programs]:
        tap = parse_tap(outputs.get(name, ""))
        report.selftests[name] = tap
        report.counts += tap.counts
        if name == crashed:
            tap.crash = ending.name
            report.counts.failed += 1
        elif status.codes.get(name) not in (0, 1, 4):
            tap.problems.append(f"ended with status {status.codes.get(name, 'unknown')}")
        report.problems += [f"{name}: {text}" for text in [*tap.problems, *tap.failures]]
    report.findings = [finding for finding in judge(read_channel(folder, "console.log"), explained)
                       if not report.caught or finding.where != report.caught.partition(":")[0]]
    report.counts.known += any(finding.fix for finding in report.findings)
    for finding in [f for f in report.findings if not f.fix][:QUOTED_FINDINGS]:
        where = f" (in {finding.where})" if finding.where else ""
        report.problems.append(f"kernel log, {finding.kind}, line {finding.number}{where}: {finding.line}")
    # A scenario can be no pass although none of its parts is bad.
    good = report.counts.good and report.driver.scenarios.good
    if report.ending == Ending.GOOD and (report.problems or not good):
        report.ending = Ending.FAILED
    return report


def _not_run(task: Task, why: str) -> DriverResults:
    """Records for the scenarios that no machine was left for."""
    names = task.driver.names.split() if task.driver else []
    why = f"not run: {why}"
    records: list[Record] = [
        {"kind": "scenario", "scenario": Selector.of(name).scenario, "verdict": "ERROR", "standing": "error",
         "cut": True, "known_bug": None, "why": why} for name in names
    ]
    problems = [f"{name} was {why}" for name in [*names, *task.programs]]
    return DriverResults(records, problems, Counts(errors=len(names)), Counts(errors=len(names)))


def merge(machines: list[Report]) -> Report:
    """One report of all machines of a run: its ending is the worst, in the order of the exit statuses."""
    if len(machines) == 1 and not machines[0].rest:
        return machines[0]
    total = Report(max(machine.ending for machine in machines), Counts(), [], machines[0].folder, machines=machines)
    total.driver = machines[0].driver
    for machine in machines[1:]:
        total.driver += machine.driver
    total.driver.names = machines[0].driver.names
    for number, machine in enumerate(machines, 1):
        total.counts += machine.counts
        total.problems += [f"machine {number}: {problem}" for problem in machine.problems]
        total.selftests |= machine.selftests
        total.findings += machine.findings
        total.crashes += machine.crashes
    left = machines[-1].rest
    if left:
        undone = _not_run(left, machines[-1].why_rest)
        total.driver += undone
        total.counts += undone.counts + Counts(errors=len(left.programs))
        total.problems += undone.problems
    return total


def json_lines(report: Report) -> str:
    """All records, with one begin and one end."""
    records = [record for number, record in enumerate(report.driver.records)
               if record["kind"] not in ("begin", "end") or number == 0]
    scenarios = counts_of(record.get("standing") for record in records if record["kind"] == "scenario")
    records.append({"kind": "end", **asdict(report.driver.counts), "scenarios": asdict(scenarios), "variants": asdict(report.driver.variants),
                    "controls": asdict(report.driver.controls)})
    return "".join(json.dumps(record) + "\n" for record in records)
