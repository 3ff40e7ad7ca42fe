# SPDX-License-Identifier: GPL-2.0
"""Reports of runs, as the driver's records make them."""

from pathlib import Path

from vm.console import Finding
from vm.outcome import Crash, Report
from vm.results import Counts, DriverResults, Record, UnderWay
from vm.tables import Ending


def variant(name: str, histogram: dict[str, int] | None = None, forbidden: tuple[str, ...] = (), verdict: str = "",
            standing: str = "", why: str = "", overlaps: int | None = None) -> Record:
    scenario, _, rest = name.partition("/")
    word, _, control = rest.partition("+")
    runs = sum((histogram or {}).values())
    verdict = verdict or ("FAIL" if forbidden else "PASS")
    record: Record = {
        "kind": "variant", "scenario": scenario, "variant": word, "control": control or None, "verdict": verdict,
        "standing": standing or {"PASS": "passed", "FAIL": "failed", "SKIP": "skipped", "MISS": "missed"}.get(verdict, "error"),
        "runs": runs, "power": {"overlaps": runs if overlaps is None else overlaps}, "histogram": histogram or {},
        "forbidden": list(forbidden), "why": why}
    if control:
        record["caught"] = bool(forbidden)
    return record


def scenario(name: str, standing: str = "passed") -> Record:
    return {"kind": "scenario", "scenario": name, "verdict": standing.upper(), "standing": standing, "why": ""}


def report(*records: Record, ending: Ending = Ending.GOOD, findings: tuple[tuple[str, str, str], ...] = (),
           crash: str = "", problems: tuple[str, ...] = ()) -> Report:
    """`findings`: kind, line, and the variant where it stands. `crash`: the variant under which the machine ended."""
    crashes = []
    if crash:
        name, _, word = crash.partition("/")
        crashes = [Crash(ending, UnderWay(0, name, word))]
    driver = DriverResults(list(records), list(problems))
    return Report(ending, Counts(), list(problems), Path("nowhere"), driver, crashes=crashes,
                  findings=[Finding(kind, line, number, "", where) for number, (kind, line, where) in enumerate(findings, 1)])
