# SPDX-License-Identifier: GPL-2.0
"""Judge a kernel log. It is no result channel: it can only add a reason to distrust a result."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from .tables import KnownLog

# The one definition of a complaint, which is built into the driver, too.
TABLE = Path(__file__).resolve().parents[2] / "user/kernel/complaints.txt"
HARMLESS = "harmless"


def parse_table(text: str) -> list[tuple[str, re.Pattern[str]]]:
    """Kinds and patterns, the harmless ones first."""
    rows = [line.split(" = ", 1) for line in text.splitlines() if " = " in line and not line.startswith("#")]
    return sorted(((kind, re.compile(pattern)) for kind, pattern in rows), key=lambda row: row[0] != HARMLESS)


ROWS = parse_table(TABLE.read_text())


def complaint_kind(line: str) -> str:
    """The kind of a line without its time stamp; "" if it is no complaint."""
    kind = next((kind for kind, pattern in ROWS if pattern.search(line)), HARMLESS)
    return "" if kind == HARMLESS else kind


# printk's time stamp, and the caller's id where CONFIG_PRINTK_CALLER is on.
STAMP = re.compile(r"^(?:<\d+>)?\[\s*\d+\.\d+\](?:\[\s*[TC]\d+\])?\s?")
# The driver's lines in the log. NAME is SCENARIO/VARIANT, with +CONTROL under a control.
SECTION = re.compile(r"^faultline: (begin|end) (\S+)$")
PLANTED = re.compile(r"^faultline: complaints planted by (\S+) (begin|end)$")
KNOWN = re.compile(r"^faultline: known (.*?) // (.*?) ?// (.*)$")


@dataclass(frozen=True)
class Finding:
    kind: str
    line: str  # quoted as it stands in the log
    number: int  # line number in the log, from 1
    fix: str = ""  # of the bug that is known to say so in this kernel
    where: str = ""  # SCENARIO/VARIANT[+CONTROL] between whose marks it stands


REPORT_LINES = 60  # of an oops or a bad page, with registers and call trace


@dataclass(frozen=True)
class Explanation:
    """The kernel's lines of a known bug: the first line, and the words of its report, in this order."""

    line: str  # regular expression
    trace: str  # regular expression over the whole report; "" asks for none
    fix: str

    def covers(self, line: str, report: list[str]) -> bool:
        try:
            return bool(re.search(self.line, line) and re.search(self.trace, "\n".join(report), re.DOTALL))
        except re.error:
            return False  # a broken pattern explains nothing


@dataclass
class Section:
    """The lines that one variant or control had for itself."""

    name: str
    begin: int  # line numbers of the two marks
    end: int = 0  # 0: there is no such mark, so whatever stands here ended the driver
    known: list[Explanation] = field(default_factory=list)

    def has(self, number: int) -> bool:
        return self.begin < number < self.end


def sections(lines: list[str]) -> list[Section]:
    """A section that another one begins in, or whose end has another name, has no end."""
    found: list[Section] = []
    now: Section | None = None
    for number, line in enumerate(lines, 1):
        if mark := SECTION.match(line):
            if mark.group(1) == "begin":
                now = Section(mark.group(2), number)
                found.append(now)
                continue
            if now and now.name == mark.group(2):
                now.end = number
            now = None
        elif now and (known := KNOWN.match(line)):
            now.known.append(Explanation(*known.groups()))
    return found


def said_in(log: str, name: str, pattern: str) -> str:
    """The match of a pattern in the section that the log ends in, if it has that name; "" if nothing does."""
    lines = [STAMP.sub("", raw.rstrip("\r")) for raw in log.splitlines()]
    parts = sections(lines)
    if not parts or parts[-1].end or parts[-1].name != name:
        return ""
    try:
        found = re.search(pattern, "\n".join(lines[parts[-1].begin:]))
    except re.error:
        return ""  # a broken pattern finds nothing
    return found.group() if found else ""


def _planted(lines: list[str]) -> set[int]:
    """The numbers of the lines that a control planted. A beginning without its own end plants nothing:
    what ended the driver was not planned."""
    planted: set[int] = set()
    begin, name = 0, ""
    for number, line in enumerate(lines, 1):
        if not (mark := PLANTED.match(line)):
            continue
        if mark.group(2) == "begin":
            begin, name = number, mark.group(1)
        else:
            if begin and name == mark.group(1):
                planted.update(range(begin, number))
            begin = 0
    return planted


def _fix(number: int, lines: list[str], section: Section | None, past: list[Section],
         explained: Iterable[KnownLog]) -> str:
    """The fix of the bug that explains the finding in a line; "" if none does. A row of the tables is
    for a complaint that comes when the driver exits: outside of all sections, behind one of its own."""
    line, report = lines[number - 1], lines[number - 1 : number + REPORT_LINES]
    if section:
        rows = section.known if section.end else []
        inside = lines[number - 1 : min(number + REPORT_LINES, section.end - 1)] if section.end else []
        return next((row.fix for row in rows if row.covers(line, inside)), "")
    for known in explained:
        if any(re.match(known.after, other.name) for other in past) and \
                Explanation(known.line, known.trace, known.fix).covers(line, report):
            return known.fix
    return ""


def judge(log: str, explained: Iterable[KnownLog] = ()) -> list[Finding]:
    """All lines of a log that a clean one has not, each with its section, and those of known bugs with
    the fix. A line cut by the end of the log counts too; the complaint of a control does not, except a
    panic, which nothing explains either."""
    findings = []
    explained = tuple(explained)
    lines = [STAMP.sub("", raw.rstrip("\r")) for raw in log.splitlines()]
    planted, parts = _planted(lines), sections(lines)
    for number, line in enumerate(lines, 1):
        kind = complaint_kind(line)
        if not kind or (number in planted and kind != "panic"):
            continue
        section = next((part for part in parts if part.has(number)), None)
        last = parts[-1] if parts else None
        if not section and last and not last.end and number > last.begin:
            section = last  # the driver ended in it
        past = [part for part in parts if part.end and part.end < number]
        fix = "" if kind == "panic" else _fix(number, lines, section, past, explained)
        findings.append(Finding(kind, line, number, fix, section.name if section else ""))
    return findings


def panicked(log: str) -> bool:
    return any(finding.kind == "panic" for finding in judge(log))
