# SPDX-License-Identifier: GPL-2.0
"""The results of a run by variant, and two runs of the same variants compared."""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from .console import Finding
from .outcome import Report
from .results import Record, percent
from .rows import variant_name
from .tables import Ending

FIXED, STILL, REGRESSED, SAME, DIFFERS, NO_CLAIM = (
    "fixed", "still there", "regressed", "no difference seen", "differs", "no claim")
CHANCE = 0.05  # what chance explains more often than this is no claim
ALLOWED_CHANCE = 0.001  # of allowed outcomes: a table has many of them, and some depend on time
LOG = "kernel log: "
AFTER = "kernel log"  # the row for complaints outside of all variants


def sign_of(finding: Finding) -> str:
    """The same for two complaints that differ by a number, an address or a task alone."""
    line = re.sub(r"process \S+", "process *", finding.line)
    return LOG + re.sub(r"\b(0x)?[0-9a-f]*\d[0-9a-f]*\b", "N", line)


@dataclass
class Seen:
    """One variant, or one control, on one kernel."""

    name: str
    record: Record | None = None  # None: it has no result
    controls: list[Record] = field(default_factory=list)  # records of the scenario's controls
    scenario: Record | None = None
    signs: dict[str, int] = field(default_factory=dict)  # the failures of the kernel, each with its number of runs or log lines

    @property
    def overlaps(self) -> int:
        power = self.record.get("power") if self.record else None
        count = power.get("overlaps") if isinstance(power, dict) else 0
        return count if isinstance(count, int) else 0

    @property
    def overlapped(self) -> str:
        """The share of runs that had the window open, or were excluded as the row expects."""
        record = self.record or {}
        runs, had = record.get("runs"), record.get("overlaps")
        # A kernel may not exclude an order that the row expects it to exclude: these runs had the window open, too.
        count = max(self.overlaps, had if isinstance(had, int) else 0)
        return f"{count} overlaps ({100 * count // runs} %)" if isinstance(runs, int) and runs else ""

    @property
    def histogram(self) -> dict[str, int]:
        histogram = self.record.get("histogram") if self.record else None
        return histogram if isinstance(histogram, dict) else {}

    @property
    def forbidden(self) -> dict[str, int]:
        """Forbidden outcomes, and in how many runs."""
        return {sign: count for sign, count in self.signs.items() if sign in self.histogram}

    @property
    def caught(self) -> int:
        return sum(bool(control.get("caught")) for control in self.controls)

    @property
    def not_caught(self) -> list[str]:
        return [str(control["control"]) for control in self.controls
                if not control.get("caught") and control.get("verdict") not in ("SKIP", "ERROR")]

    @property
    def no_claim(self) -> str:
        """Why it says nothing of the kernel; "" if it does."""
        if self.signs:
            return ""
        if not self.record:
            return "no result"
        verdict, why = str(self.record.get("verdict")), str(self.record.get("why") or "").partition("\n")[0]
        if self.record.get("control"):
            return "" if self.record.get("caught") else f"control not caught: {verdict}"
        if verdict != "PASS":
            return f"{verdict}: {why}" if why else verdict
        if self.record.get("standing") == "uncontrolled" or (self.scenario or {}).get("standing") == "uncontrolled":
            return "NO CONTROL"
        if self.not_caught:
            return f"control not caught: {', '.join(self.not_caught)}"
        return "" if self.overlaps else "no overlap"

    @property
    def bound(self) -> str:
        """The bound of an outcome that was not seen."""
        if not self.overlaps:
            return ""
        return f"< {percent(1 - 0.05 ** (1 / self.overlaps))} % in {self.overlapped}"

    def text(self) -> str:
        if self.signs:
            bad = sum(self.forbidden.values())
            shown = [f"{bad} runs forbidden in {self.overlapped}"] if bad else []
            shown += [f"{sign} ({count} lines)" if sign.startswith(LOG) else sign
                      for sign, count in self.signs.items() if sign not in self.histogram]
            return "; ".join(shown)
        return self.no_claim or f"not seen: {self.bound}"


def seen_of(report: Report) -> dict[str, Seen]:
    """By the names of the rows, in the order of the run."""
    all_seen: dict[str, Seen] = {}

    def of(name: str) -> Seen:
        return all_seen.setdefault(name, Seen(name))

    variants, scenarios = report.driver.of("variant"), report.driver.of("scenario")
    for record in variants:
        seen = of(variant_name(record))
        seen.record = record
        seen.scenario = next((one for one in scenarios if one["scenario"] == record["scenario"]), None)
        if record.get("control"):
            continue
        seen.controls = [one for one in variants if one.get("control") and one["scenario"] == record["scenario"]]
        forbidden = record.get("forbidden") if record.get("verdict") == "FAIL" else None
        for words in forbidden if isinstance(forbidden, list) else []:
            seen.signs[str(words)] = seen.histogram.get(str(words), 0)
        if record.get("verdict") == "FAIL" and not seen.signs:
            seen.signs[f"FAIL: {record.get('why')}"] = seen.overlaps
    for record in scenarios:
        if not any(one["scenario"] == record["scenario"] for one in variants):
            of(str(record["scenario"])).record = record  # no machine came to it, or it skipped as a whole
    for crash in report.crashes:
        of(crash.scenario.name if crash.scenario else crash.program).signs[f"machine: {crash.ending.name}"] = 1
    if report.ending in (Ending.PANIC, Ending.HANG) and not report.crashes:
        of(AFTER).signs[f"machine: {report.ending.name}"] = 1
    for finding in report.findings:
        signs = of(finding.where or AFTER).signs
        signs[sign_of(finding)] = signs.get(sign_of(finding), 0) + 1
    return all_seen


def chance(fewer: tuple[int, int], more: tuple[int, int]) -> float:
    """How often two samples of one population, (seen, runs) each, differ at least so much: Fisher's exact test, one-sided."""
    (few, of_few), (many, of_many) = fewer, more
    seen, runs = few + many, of_few + of_many
    ways = sum(math.comb(of_few, k) * math.comb(of_many, seen - k)
               for k in range(max(0, seen - of_many), min(few, seen) + 1))
    return ways / math.comb(runs, seen) if runs else 1.0


@dataclass(frozen=True)
class Row:
    name: str
    word: str
    why: str
    old: Seen
    new: Seen


def _by_chance(without: Seen, having: Seen) -> float:
    """The probability that the one without forbidden outcomes had none by luck. A complaint or a crash is not counted in runs: 0."""
    if set(having.signs) - set(having.forbidden):
        return 0
    count = sum(having.forbidden.values())
    return chance((0, without.overlaps), (count, max(having.overlaps, count)))


def _changed(having: Seen, without: Seen, word: str) -> tuple[str, str]:
    if (risk := _by_chance(without, having)) >= CHANCE:
        return NO_CLAIM, f"{word} or chance (p = {risk:.2g}): more RUNS="
    return word, ""


def _allowed(old: Seen, new: Seen) -> tuple[str, str]:
    """The outcome of two passes whose share differs most."""
    totals = [sum(one.histogram.values()) for one in (old, new)]
    least, words = 1.0, ""
    for outcome in {**old.histogram, **new.histogram}:
        pairs = sorted(zip((old.histogram.get(outcome, 0), new.histogram.get(outcome, 0)), totals),
                       key=lambda pair: pair[0] / max(pair[1], 1))
        if (risk := chance(pairs[0], pairs[1])) < least:
            least, words = risk, outcome
    return (DIFFERS, f"all allowed, in other shares: {words}") if least < ALLOWED_CHANCE else (SAME, "")


def judge(old: Seen, new: Seen) -> tuple[str, str]:
    """A word, and why it is not more."""
    if old.signs and new.signs:
        if set(old.signs) & set(new.signs):
            return STILL, ""
        return REGRESSED, "in another way than the old kernel"
    if old.no_claim or new.no_claim:
        return NO_CLAIM, ""  # each says why
    if old.signs:
        return _changed(old, new, FIXED)
    if new.signs:
        return _changed(new, old, REGRESSED)
    if old.record and old.record.get("control"):
        return SAME, ""  # a caught control ends at its outcome, whichever that is
    return _allowed(old, new)


def compare(old: Report, new: Report) -> list[Row]:
    before, after = seen_of(old), seen_of(new)
    rows = []
    for name in {**before, **after}:
        one, two = before.get(name, Seen(name)), after.get(name, Seen(name))
        word, why = _log_row(one, two) if name == AFTER else judge(one, two)
        rows.append(Row(name, word, why, one, two))
    return rows


def _log_row(old: Seen, new: Seen) -> tuple[str, str]:
    """Complaints outside of all variants: no run of one is without an overlap."""
    if old.signs and new.signs:
        return (STILL, "") if set(old.signs) & set(new.signs) else (REGRESSED, "in another way than the old kernel")
    return (FIXED, "") if old.signs else (REGRESSED, "")


def is_control(row: Row) -> bool:
    return any(seen.record and seen.record.get("control") for seen in (row.old, row.new)) or "+" in row.name


def shown(rows: Iterable[Row]) -> list[Row]:
    """Controls only where something is wrong with the kernel under them."""
    return [row for row in rows if not is_control(row) or row.old.signs or row.new.signs]
