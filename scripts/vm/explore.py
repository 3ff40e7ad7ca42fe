# SPDX-License-Identifier: GPL-2.0
"""`faultline explore` in virtual machines: one journal of all orders, and a fresh machine after each that dies."""

import json
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

from . import build, explore_page, kernels, qemu, runs
from .outcome import Driver, Report, read_channel
from .packages import say
from .results import Record, parse_marks
from .tables import CRASHES, DEFAULT_BOOT, ENDING_TEXT, MACHINES, Arch, Ending

CHANNELS = "--journal /dev/faultline/json --progress /dev/faultline/progress --mark /dev/faultline/mark"
GUEST_JOURNAL = "/files/journal.json"


@dataclass
class Journal:
    """What was tried so far on one kernel: a line for each order. It stays when the run is over."""

    path: Path
    records: list[Record] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @classmethod
    def open(cls, path: Path) -> "Journal":
        journal = cls(path)
        if path.exists():
            journal.take(path.read_text(errors="replace"))
        return journal

    def take(self, text: str) -> None:
        """The lines of a channel. The last one may be cut by the end of its machine."""
        whole, _, _ = text.rpartition("\n")
        for line in whole.splitlines():
            try:
                record = json.loads(line)
            except ValueError:
                record = None
            if isinstance(record, dict) and isinstance(record.get("kind"), str):
                self.records.append(record)
            else:
                self.problems.append(f"{self.path.name}: no record: {line[:60]}")

    def add_crash(self, ending: Ending, marks: str) -> Record | None:
        """The order that was under way when a machine died is done, too: it is a finding."""
        found = parse_marks(marks)
        if not found.start:
            return None
        name, _, edges = found.start["schedule"].partition(": ")
        record = {"kind": "order", "topic": found.start["scenario"], "schedule": edges, "preemptions": None,
                  "ending": ending.name.lower(), "difference": ENDING_TEXT[ending],
                  "replay": f"{name}: {edges}"}
        self.records.append(record)
        return record

    def write(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        text = "".join(json.dumps(record) + "\n" for record in self.records)
        fresh = self.path.with_suffix(".new")
        fresh.write_text(text)
        fresh.replace(self.path)

    def orders(self) -> list[Record]:
        return [record for record in self.records if record["kind"] == "order"]


def journal_of(kernel: kernels.UnpackedKernel, arch: Arch) -> Path:
    return build.TOP / "runs" / f"explore-{kernel.release}-{arch.name}.json"


def run(arch: Arch, kernel: kernels.UnpackedKernel, command: str, files: tuple[Path, ...], budget: float,
        bounds: qemu.Bounds, label: str, fresh: bool, boot: str = DEFAULT_BOOT) -> Ending:
    """`command` is `faultline explore` with options and names."""
    path = journal_of(kernel, arch)
    if fresh:
        path.unlink(missing_ok=True)
    journal = Journal.open(path)
    folder = runs.new_folder(f"{label}-explore")
    end = time.monotonic() + budget
    worst = Ending.GOOD
    for number in range(1, MACHINES + 1):
        seconds = end - time.monotonic()
        if seconds <= 1:
            break
        place = folder if number == 1 else folder / f"machine-{number}"
        place.mkdir(exist_ok=True)
        known = place / "journal.json"
        known.write_text("".join(json.dumps(record) + "\n" for record in journal.records))
        line = f"{command} {CHANNELS} --budget {int(seconds)} --resume {GUEST_JOURNAL}"
        prepared = runs.prepare(arch, kernel, Driver(line, files=(*files, known)), [], place, boot)
        report: Report = runs.boot(prepared, replace(bounds, total=seconds + bounds.quiet))
        journal.take(read_channel(place, "json"))
        worst = max(worst, report.ending)
        runs.show_report(report)
        if report.ending not in CRASHES:
            journal.write()
            break
        crash = journal.add_crash(report.ending, read_channel(place, "mark"))
        journal.write()
        if not crash:
            break  # it had not begun: a fresh machine would do the same
        say(f"{ENDING_TEXT[report.ending]}; that order is a finding, the others go on in a fresh machine")
        print(f"    replay: faultline replay '{crash['replay']}'")
    for problem in journal.problems:
        print(f"! {problem}")
    drawn = path.with_suffix(".html")
    drawn.write_text(explore_page.page(journal.records, f"explore, {kernel.release} {arch.name}"))
    print(f"  {len(journal.orders())} orders so far: {path.relative_to(build.TOP)}, {drawn.name}")
    return worst
