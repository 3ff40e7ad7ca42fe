# SPDX-License-Identifier: GPL-2.0
"""`faultline explore` in virtual machines: one journal of all orders, and a fresh machine after each that dies."""

import json
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

from . import build, explore_page, kernels, qemu, runs
from .outcome import Driver, Report, read_channel
from .packages import say
from .results import Record, parse_marks, parse_status
from .tables import CRASHES, DEFAULT_BOOT, ENDING_TEXT, MACHINES, Arch, Ending

CHANNELS = "--journal /dev/faultline/json --progress /dev/faultline/progress --mark /dev/faultline/mark"
GUEST_JOURNAL = "/files/journal.json"
STATUS_STUCK = 3  # user/cli/commands.hpp


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

    def write_found(self) -> list[Path]:
        """A scenario file for each difference. Its name comes from a machine: no more than a name is taken."""
        written: list[Path] = []
        for record in self.records:
            for one in record.get("differences") or []:
                name = Path(str(one.get("file_name") or "")).name
                if name and isinstance(one.get("file"), str):
                    place = self.path.with_suffix("") / name
                    place.parent.mkdir(parents=True, exist_ok=True)
                    place.write_text(one["file"])
                    written.append(place)
        return list(dict.fromkeys(written))

    def orders(self) -> list[Record]:
        return [record for record in self.records if record["kind"] == "order"]


def journal_of(kernel: kernels.UnpackedKernel, arch: Arch, what: str = "explore") -> Path:
    return build.TOP / "runs" / f"{what}-{kernel.release}-{arch.name}.json"


CONTROLS_HEAD = """\
| scenario / variant + control | must produce | seen | orders | seconds |
|---|---|---|---|---|
"""


def controls_table(records: list[Record]) -> str:
    """Which hazards were found without their schedules: of `faultline explore --controls`."""
    rows = []
    for record in records:
        if record.get("kind") != "explored" or not record.get("produces"):
            continue
        seen = record.get("seen")
        word = "yes" if seen else f"not tried: {record['refusal']}" if record.get("refusal") else "no"
        orders = seen["order"] if seen else record.get("orders", 0)
        seconds = seen["seconds"] if seen else record.get("seconds", 0.0)
        wanted = str(record["produces"]).replace("|", "\\|")
        rows.append(f"| {record['topic']} | `{wanted}` | {word} | {orders} | {seconds:.0f} |\n")
    return CONTROLS_HEAD + "".join(rows)


def run(arch: Arch, kernel: kernels.UnpackedKernel, command: str, files: tuple[Path, ...], budget: float,
        bounds: qemu.Bounds, label: str, fresh: bool, boot: str = DEFAULT_BOOT, controls: bool = False) -> Ending:
    """`command` is `faultline explore` with options and names; `controls`: with --controls."""
    path = journal_of(kernel, arch, "explore-controls" if controls else "explore")
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
            if parse_status(read_channel(place, "status")).codes.get("faultline") != STATUS_STUCK:
                break
            say("a task is stuck for good; the rest goes on in a fresh machine")
            continue
        crash = journal.add_crash(report.ending, read_channel(place, "mark"))
        journal.write()
        if not crash:
            break  # it had not begun: a fresh machine would do the same
        say(f"{ENDING_TEXT[report.ending]}; that order is a finding, the others go on in a fresh machine")
        print(f"    replay: faultline replay '{crash['replay']}'")
    for problem in journal.problems:
        print(f"! {problem}")
    if controls:
        print(controls_table(journal.records))
    drawn = path.with_suffix(".html")
    drawn.write_text(explore_page.page(journal.records, f"explore, {kernel.release} {arch.name}"))
    print(f"  {len(journal.orders())} orders so far: {path.relative_to(build.TOP)}, {drawn.name}")
    for found in journal.write_found():
        print(f"  make run RUN={found.relative_to(build.TOP)} KERNEL={label.partition('-')[0]}")
    return worst
