# SPDX-License-Identifier: GPL-2.0
"""Read what came over the side channels: JSON lines of the driver, KTAP of the selftests, and the
status lines of the guest's script. A cut or missing part is named, never guessed."""

import json
import re
from dataclasses import dataclass, field

END = "end"  # last status line: the script came to its end


@dataclass
class Counts:
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    known: int = 0
    missed: int = 0
    errors: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(*(getattr(self, n) + getattr(other, n) for n in self.__dataclass_fields__))

    @property
    def good(self) -> bool:
        return not (self.failed or self.missed or self.errors)

    def lines(self) -> str:
        return (
            f"{self.known} known, {self.missed} missed, {self.errors} errors\n"
            f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"
        )


@dataclass
class DriverResults:
    records: list[dict[str, object]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    counts: Counts = field(default_factory=Counts)


def parse_driver(text: str) -> DriverResults:
    """The driver's JSON lines. Without begin and end records the results are incomplete."""
    results = DriverResults()
    for number, line in enumerate(text.splitlines(), 1):
        try:
            record = json.loads(line)
        except ValueError:
            results.problems.append(f"line {number} of the JSON results is cut: {line[:60]!r}")
            continue
        if not isinstance(record, dict) or "kind" not in record:
            results.problems.append(f"line {number} of the JSON results has no kind: {line[:60]!r}")
            continue
        results.records.append(record)
    kinds = [record["kind"] for record in results.records]
    if kinds.count("begin") != 1:
        results.problems.append("the JSON results have no begin record")
    ends = [record for record in results.records if record["kind"] == "end"]
    if len(ends) != 1:
        results.problems.append("the JSON results have no end record: the driver did not finish")
        return results
    results.counts = Counts(
        **{name: int(ends[0].get(name, 0)) for name in Counts.__dataclass_fields__}  # type: ignore[call-overload]
    )
    planned = next((r.get("plan") for r in results.records if r["kind"] == "begin"), None)
    seen = kinds.count("scenario")
    if planned is not None and planned != seen:
        results.problems.append(f"{planned} scenarios were planned, {seen} were reported")
    return results


@dataclass
class TapResults:
    counts: Counts = field(default_factory=Counts)
    failures: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


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
        elif found.group(1) and directive == "XFAIL":
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
