# SPDX-License-Identifier: GPL-2.0
"""The rows of a report: one for each scenario, each selftest, the kernel's log and the machine."""

from dataclasses import dataclass

from .outcome import Report
from .results import Record, percent, power_text
from .tables import ENDING_TEXT, Ending

KERNEL_LOG = "kernel log"
MACHINE = "machine"

# The names of the driver's standings.
WORDS = {"passed": "PASS", "failed": "FAIL", "skipped": "SKIP", "known": "KNOWN", "xpass": "XPASS", "missed": "MISS",
         "error": "ERROR", "uncontrolled": "NO CONTROL"}


@dataclass(frozen=True)
class Entry:
    """One row."""

    name: str
    verdict: str  # one of WORDS, or an Ending's name
    why: str = ""
    seconds: float = 0
    record: Record | None = None  # the driver's, of a scenario
    replay: str = ""  # of the run under which the machine ended

    @property
    def good(self) -> bool:
        return self.verdict in ("PASS", "SKIP", "KNOWN", "NO CONTROL")

    def _number(self, of: str, name: str) -> int:
        numbers = self.record.get(of) if self.record else None
        value = numbers.get(name) if isinstance(numbers, dict) else None
        return value if isinstance(value, int) else 0

    @property
    def skipped(self) -> tuple[int, int]:
        """Variants and controls: skipped, and all."""
        names = {"variants": ("passed", "failed", "skipped", "known", "missed", "errors", "uncontrolled"),
                 "controls": ("caught", "not_caught", "skipped", "errors")}
        return (sum(self._number(of, "skipped") for of in names),
                sum(self._number(of, name) for of, each in names.items() for name in each))

    @property
    def note(self) -> str:
        """Beside the verdict: the bound of a pass, and the skipped variants."""
        power = power_text(self.record) if self.record and self.verdict == "PASS" else ""
        skipped, everything = self.skipped
        return "; ".join(filter(None, [
            power, f"{skipped} of {everything} variants and controls skipped" if skipped else ""]))

    @property
    def word(self) -> str:
        """For a field of the table."""
        power = self.record.get("power") if self.record and self.verdict == "PASS" else None
        bound = power.get("bound") if isinstance(power, dict) else None
        skipped, _ = self.skipped
        return " ".join(filter(None, [
            self.verdict, f"<{percent(bound)}%" if isinstance(bound, (int, float)) else "",
            f"-{skipped}" if skipped and self.verdict != "SKIP" else ""]))


def variant_name(record: Record) -> str:
    control = record.get("control")
    return f"{record['scenario']}/{record['variant']}" + (f"+{control}" if control else "")


def _scenario(record: Record) -> Entry:
    standing = str(record.get("standing"))
    # The row of a machine's bad end has its name as verdict.
    verdict = str(record["verdict"]) if record["verdict"] in Ending.__members__ else WORDS.get(standing, "ERROR")
    why, known = str(record.get("why") or ""), record.get("known_bug")
    if standing == "known":
        why = f"{why}; {known}"
    elif standing == "xpass":
        why = f"passes although the bug is known: {known}"
    seconds, replay = record.get("seconds"), record.get("replay")
    return Entry(str(record["scenario"]), verdict, why, float(seconds) if isinstance(seconds, (int, float)) else 0,
                 record, replay if isinstance(replay, str) else "")


def rows_of(report: Report, seconds: float = 0) -> list[Entry]:
    rows = [_scenario(record) for record in report.driver.of("scenario")]
    for name, tap in report.selftests.items():
        broken = [*tap.problems, *tap.failures]
        verdict = tap.crash or ("FAIL" if broken else "PASS" if tap.counts.passed else "SKIP")
        why = [ENDING_TEXT[Ending[tap.crash]]] if tap.crash else []
        rows.append(Entry(name, verdict, "; ".join([*why, *broken])))
    bad = [f for f in report.findings if not f.fix]
    log = "; ".join(
        f"{f.kind}, line {f.number}{f' (in {f.where})' if f.where else ''}: {f.line}" for f in (bad or report.findings)[:3])
    fixes = "; ".join(dict.fromkeys(f.fix for f in report.findings if f.fix))
    rows.append(Entry(KERNEL_LOG, "FAIL" if bad else "KNOWN" if log else "PASS", "; ".join(filter(None, [log, fixes]))))
    # A failed scenario is its own row's matter: the machine did what it should.
    fate = Ending.GOOD if report.ending == Ending.FAILED else report.ending
    fine = fate == Ending.GOOD
    if fine and report.driver.problems:
        rows.append(Entry(MACHINE, "ERROR", "; ".join(report.driver.problems), seconds))
    else:
        machines = f"; {len(report.machines)} machines" if report.machines else ""
        rows.append(Entry(MACHINE, "PASS" if fine else fate.name, "" if fine else ENDING_TEXT[fate] + machines, seconds))
    return rows


def plain(text: str) -> str:
    return text.replace("\n", " ").replace("#", "")


def ktap_rows(rows: list[Entry], indent: str = "") -> list[str]:
    lines = []
    for number, entry in enumerate(rows, 1):
        why, head = plain(entry.why), f"{number} {entry.name.replace(' ', '-')}"
        if entry.replay:
            lines.append(f"{indent}# replay: {entry.replay}")
        if entry.verdict == "SKIP":
            lines.append(f"{indent}ok {head} # SKIP {why}")
        elif entry.verdict == "KNOWN":
            lines.append(f"{indent}ok {head} # XFAIL {why}")  # as the driver and kselftest.h say it
        elif entry.good:
            lines.append(f"{indent}ok {head}" + (f" # {plain(entry.note)}" if entry.note else ""))
        else:
            lines.append(f"{indent}not ok {head} # {entry.verdict} {why}")
    return lines
