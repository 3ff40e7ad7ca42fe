# SPDX-License-Identifier: GPL-2.0
"""Read the data of the side channels: JSON lines and marks of the driver, KTAP of the
selftests, and the status lines of the guest's script. A cut or missing part is named, never guessed."""

import json
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Self, TypeVar

Record = dict[str, object]  # a line of JSON
T = TypeVar("T")

END = "end"  # last status line: the script ended


@dataclass
class Sum:
    """Numbers that are added field by field."""

    def __add__(self, other: Self) -> Self:
        return type(self)(*(getattr(self, n) + getattr(other, n) for n in self.__dataclass_fields__))

    @property
    def all(self) -> int:
        return sum(getattr(self, name) for name in self.__dataclass_fields__)


@dataclass
class Counts(Sum):
    """Counts of tests: variants, scenarios, programs."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    known: int = 0
    missed: int = 0
    errors: int = 0
    uncontrolled: int = 0  # no control shows that they can fail

    @property
    def good(self) -> bool:
        return not (self.failed or self.missed or self.errors)

    def lines(self) -> str:
        return (
            f"{self.known} known, {self.missed} missed, {self.errors} errors"
            f"{f', {self.uncontrolled} without a control' if self.uncontrolled else ''}\n"
            f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"
        )


@dataclass
class ControlCounts(Sum):
    caught: int = 0
    not_caught: int = 0
    skipped: int = 0
    errors: int = 0


# A standing of the driver's, and the field of Counts that it counts in.
STANDINGS = {"passed": "passed", "failed": "failed", "skipped": "skipped", "known": "known", "xpass": "failed",
             "missed": "missed", "error": "errors", "uncontrolled": "uncontrolled"}


def counts_of(standings: Iterable[object]) -> Counts:
    """One that is not known is an error."""
    counts = Counts()
    for standing in standings:
        name = STANDINGS.get(str(standing), "errors")
        setattr(counts, name, getattr(counts, name) + 1)
    return counts


def power_text(record: Record) -> str:
    """The bound of a pass: "0 in 3000: < 0.1 %"; "" if the record has none."""
    power = record.get("power")
    if not isinstance(power, dict) or not power.get("overlaps"):
        return ""
    bound = power.get("bound")
    return f"0 in {power['overlaps']}" + (f": < {percent(bound)} %" if isinstance(bound, (int, float)) else "")


def percent(bound: float) -> str:
    """An upper bound in percent, rounded up: to one digit, or to a whole number from 10 on."""
    value = bound * 100
    if value <= 0 or value >= 10:
        return str(math.ceil(value - 1e-9))
    unit = 10.0 ** -math.floor(math.log10(value))
    return f"{math.ceil(value * unit - 1e-9) / unit:.12f}".rstrip("0").rstrip(".")


@dataclass
class DriverResults:
    records: list[Record] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    scenarios: Counts = field(default_factory=Counts)
    variants: Counts = field(default_factory=Counts)
    controls: ControlCounts = field(default_factory=ControlCounts)
    names: list[str] = field(default_factory=list)  # the plan: each can be asked for by itself
    whole: bool = False  # an end record came

    def __add__(self, other: "DriverResults") -> "DriverResults":
        return DriverResults(
            self.records + other.records, self.problems + other.problems, self.scenarios + other.scenarios,
            self.variants + other.variants, self.controls + other.controls, self.names, other.whole)

    def drop_again(self, running: str) -> None:
        """Behind the last reported scenario, keep the variants of the one that was running, by its name in
        the plan. Others lost their scenario's record: it runs again, and would count twice."""
        last = max((n for n, record in enumerate(self.records, 1) if record["kind"] == "scenario"), default=0)
        self.records[last:] = [record for record in self.records[last:]
                               if record["kind"] != "variant" or Selector.of(running).has(record)]
        self.variants, self.controls = _partial(self.records)

    def drop_unfinished(self) -> None:
        """The variants behind the last reported scenario: theirs begins again."""
        last = max((n for n, record in enumerate(self.records, 1) if record["kind"] == "scenario"), default=0)
        self.records[last:] = [record for record in self.records[last:] if record["kind"] != "variant"]
        self.variants, self.controls = _partial(self.records)

    def of(self, kind: str) -> list[Record]:
        return [record for record in self.records if record["kind"] == kind]

    @property
    def counts(self) -> Counts:
        """Variants and controls, as the driver adds them up: a control that is caught passes."""
        return total_of(self.variants, self.controls)

    def totals(self) -> str:
        """The totals of variants and controls, with the skipped ones."""
        return totals(self.variants, self.controls)


def total_of(variants: Counts, controls: ControlCounts) -> Counts:
    return variants + Counts(passed=controls.caught, failed=controls.not_caught, skipped=controls.skipped,
                             errors=controls.errors)


def totals(variants: Counts, controls: ControlCounts) -> str:
    text = f"{variants.skipped} of {variants.all} variants skipped"
    if controls.all:
        text += f", {controls.caught} of {controls.all} controls caught, {controls.skipped} skipped"
    return text


def _records(text: str, problems: list[str], what: str) -> list[Record]:
    """Lines of JSON objects with a kind. Each other one is a problem."""
    records = []
    for number, line in enumerate(text.splitlines(), 1):
        try:
            record = json.loads(line)
        except ValueError:
            problems.append(f"line {number} of the {what} is cut: {line[:60]!r}")
            continue
        if not isinstance(record, dict) or "kind" not in record:
            problems.append(f"line {number} of the {what} has no kind: {line[:60]!r}")
            continue
        records.append(record)
    return records


def _fields(record: Record, name: str, kind: type[T]) -> T:
    """A record's object of numbers."""
    numbers = record.get(name)
    numbers = numbers if isinstance(numbers, dict) else {}
    return kind(**{field: int(numbers.get(field, 0)) for field in kind.__dataclass_fields__})  # type: ignore[attr-defined]


def _control(record: Record) -> ControlCounts:
    """One control, counted as the driver does."""
    if record.get("verdict") == "SKIP":
        return ControlCounts(skipped=1)
    if record.get("verdict") == "ERROR":
        return ControlCounts(errors=1)
    return ControlCounts(caught=1) if record.get("caught") else ControlCounts(not_caught=1)


def _partial(records: list[Record]) -> tuple[Counts, ControlCounts]:
    """Variants and controls of a driver that did not end: of its scenarios, and of the
    variants behind the last of them."""
    variants, controls = Counts(), ControlCounts()
    last = 0
    for number, record in enumerate(records, 1):
        if record["kind"] == "scenario":
            variants += _fields(record, "variants", Counts)
            controls += _fields(record, "controls", ControlCounts)
            last = number
    rest = [record for record in records[last:] if record["kind"] == "variant"]
    variants += counts_of(record.get("standing") for record in rest if not record.get("control"))
    for record in rest:
        if record.get("control"):
            controls += _control(record)
    return variants, controls


def parse_driver(text: str, cut: bool = False) -> DriverResults:
    """The driver's JSON lines. Without begin and end records the results are incomplete; `cut`: it is
    known that the driver did not end."""
    results = DriverResults()
    results.records = _records(text, results.problems, "JSON results")
    begins, ends, scenarios = results.of("begin"), results.of("end"), results.of("scenario")
    if len(begins) != 1:
        results.problems.append("the JSON results have no begin record")
    else:
        results.names = [str(name) for name in begins[0].get("names") or ()]  # type: ignore[attr-defined]
        if begins[0].get("plan") != len(results.names):
            results.problems.append("the plan of the JSON results does not name its scenarios")
    for record in results.of("scenario") + results.of("variant"):
        if record.get("standing") not in STANDINGS:
            results.problems.append(f"a record of {record.get('scenario')} has no standing")
    for record, name in zip(scenarios, results.names):
        if Selector.of(name).scenario != record.get("scenario"):
            results.problems.append(f"{name} was planned, {record.get('scenario')} was reported")
    results.scenarios = counts_of(record.get("standing") for record in scenarios)
    if len(ends) != 1:
        results.variants, results.controls = _partial(results.records)
        if not cut:
            results.problems.append("the JSON results have no end record: the driver did not finish")
        return results
    results.whole = True
    results.variants, results.controls = _fields(ends[0], "variants", Counts), _fields(ends[0], "controls", ControlCounts)
    if (results.scenarios, results.counts) != (_fields(ends[0], "scenarios", Counts), _fields({"end": ends[0]}, "end", Counts)):
        results.problems.append("the end record does not count what was reported")
    if begins and results.names and len(results.names) != len(scenarios):
        results.problems.append(f"{len(results.names)} scenarios were planned, {len(scenarios)} were reported")
    return results


def progress_of(texts: Iterable[str]) -> tuple[int, int] | None:
    """How many scenarios were reported, and planned by the first driver, while drivers still write."""
    parts = [parse_driver(text[: text.rfind("\n") + 1], cut=True) for text in texts]
    if not parts or not parts[0].names:
        return None
    return sum(len(part.of("scenario")) for part in parts), len(parts[0].names)


@dataclass(frozen=True)
class Selector:
    """A name of the plan: SCENARIO[/VARIANT][+CONTROL]."""

    scenario: str
    variant: str = ""
    control: str = ""

    @staticmethod
    def of(name: str) -> "Selector":
        rest, _, control = name.partition("+")
        scenario, _, variant = rest.partition("/")
        return Selector(scenario, variant, control)

    def has(self, start: Record) -> bool:
        """Whether a start mark can be one of its variants. A scenario tries its controls, too."""
        return (self.scenario == start.get("scenario") and self.variant in ("", start.get("variant"))
                and self.control in ("", start.get("control")))


@dataclass
class Marks:
    """The last that the driver said before it went to work."""

    start: Record | None = None
    run: Record | None = None  # of that start
    cut: bool = False  # behind these came a mark of which only a part arrived
    problems: list[str] = field(default_factory=list)


def parse_marks(text: str) -> Marks:
    """A line that is no mark is named and left out. The last one, if it has no end, may say that the
    next run or variant had begun."""
    marks = Marks()
    whole, _, rest = text.rpartition("\n")
    marks.cut = bool(rest)
    for record in _records(whole, marks.problems, "marks"):
        if record["kind"] == "start":
            marks.start, marks.run = record, None
        elif record["kind"] == "run" and marks.start:
            marks.run = record
        else:
            marks.problems.append(f"a mark belongs to no variant: {json.dumps(record)[:60]}")
    return marks


@dataclass(frozen=True)
class UnderWay:
    """Where a machine was when it ended."""

    index: int  # in the plan
    scenario: str
    variant: str = ""  # "": between two variants, or before the first
    control: str = ""
    schedule: str = ""
    run: int | None = None  # None: the variant had begun, and no run
    seed: int | None = None
    doubt: str = ""  # its unknown part
    caught_by: str = ""  # regular expression: the line by which the kernel catches the control by itself

    @property
    def name(self) -> str:
        return self.scenario + (f"/{self.variant}" if self.variant else "") + (f"+{self.control}" if self.control else "")

    @property
    def schedule_with_seed(self) -> str:
        """The replay line of the run; "" if none had begun."""
        if self.seed is None or not self.schedule:
            return ""
        name, colon, edges = self.schedule.partition(":")
        return f"{name} seed={self.seed}{colon}{edges}"

    @property
    def replay(self) -> str:
        """The line that replays the run; "" if no run had begun."""
        if not self.schedule_with_seed:
            return ""
        return f"faultline replay '{self.schedule_with_seed}'" + (f" --control {self.control}" if self.control else "")

    def __str__(self) -> str:
        text = self.name
        if self.variant:
            text += f", run {self.run} (seed {self.seed})" if self.run is not None else ", before its first run"
        return text + (f" ({self.doubt})" if self.doubt else "")


def _number(record: Record | None, name: str) -> int | None:
    value = record.get(name) if record else None
    return value if isinstance(value, int) else None


def under_way(driver: DriverResults, marks: Marks) -> UnderWay | None:
    """None: the driver had reported all that it planned, or had not begun."""
    reported, start = len(driver.of("scenario")), marks.start
    variants = driver.of("variant")
    if start and variants and all(variants[-1].get(k) == start.get(k) for k in ("scenario", "variant", "control")):
        start = None  # it has ended: its record is there
    # Scenarios planned between the reported ones and the marked one lost their records: run them again.
    for index in range(reported, len(driver.names)):
        if start and Selector.of(driver.names[index]).has(start):
            schedule = start.get("schedule")
            return UnderWay(
                index, str(start["scenario"]), str(start.get("variant") or ""), str(start.get("control") or ""),
                schedule if isinstance(schedule, str) else "", _number(marks.run, "run"), _number(marks.run, "seed"),
                "or the next one: the last mark is cut" if marks.cut else "", str(start.get("caught_by") or ""))
    if reported == len(driver.names):
        return None
    selector = Selector.of(driver.names[reported])
    doubt = "the last mark is cut" if marks.cut else "no variant of it was running"
    return UnderWay(reported, selector.scenario, control=selector.control, doubt=doubt)


@dataclass
class TapResults:
    counts: Counts = field(default_factory=Counts)
    failures: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    crash: str = ""  # how the machine ended under it


def parse_tap(text: str) -> TapResults:
    """(K)TAP of one program: its top-level results. The plan must be there and must be met."""
    results = TapResults()
    plan: int | None = None
    seen = 0
    for line in text.splitlines():
        found = re.match(r"1\.\.(\d+)(?:\s*#\s*SKIP\b.*)?$", line, re.IGNORECASE)
        if found:
            plan = int(found.group(1))
            if plan == 0:
                results.counts.skipped += 1
            continue
        found = re.match(r"(not )?ok (\d+)\b\s*-?\s*([^#]*)(?:#\s*(\w+)?.*)?$", line)
        if not found:
            continue
        seen += 1
        directive = (found.group(4) or "").upper()
        if directive == "SKIP":
            results.counts.skipped += 1
        elif directive == "XFAIL":  # "ok" in kselftest.h and in ours, "not ok" in others
            results.counts.known += 1
        elif found.group(1):
            results.counts.failed += 1
            results.failures.append(line.strip())
        else:
            results.counts.passed += 1
    if plan is None:
        results.problems.append("no plan")
    elif plan != seen:
        results.problems.append(f"{plan} results were planned, {seen} were reported")
    return results


@dataclass
class Status:
    codes: dict[str, int] = field(default_factory=dict)  # exit status of each step
    ended: bool = False


def parse_status(text: str) -> Status:
    """Lines "STEP CODE", and a last line "end"."""
    status = Status()
    for line in text.splitlines():
        words = line.split()
        if words == [END]:
            status.ended = True
        elif len(words) == 2 and words[1].isdigit():
            status.codes[words[0]] = int(words[1])
    return status
