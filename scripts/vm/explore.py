# SPDX-License-Identifier: GPL-2.0
"""`faultline explore` in virtual machines: one journal of all orders, and a fresh machine after each that dies."""

import hashlib
import json
import re
import signal
import subprocess
import time
import tomllib
from dataclasses import dataclass, field, replace
from pathlib import Path

from . import build, explore_page, kernels, packages, qemu, runs
from .command_line import driver_of, name_in_file
from .outcome import Driver, Report, read_channel
from .packages import say
from .results import Record, parse_marks, parse_status
from .tables import CRASHES, DEFAULT_ARCH, DEFAULT_BOOT, ENDING_TEXT, MACHINES, Arch, Ending, Trouble, arch_packages

CHANNELS = "--journal /dev/faultline/json --progress /dev/faultline/progress --mark /dev/faultline/mark"
GUEST_JOURNAL = "/files/journal.json"
# A CPU that spins for ever ends its machine in half a minute, with the stack, and not by the bound of silence.
PANIC_IF_LOCKED_UP = "[ ! -w /proc/sys/kernel/softlockup_panic ] || echo 1 > /proc/sys/kernel/softlockup_panic"
ELSEWHERE_RUNS = 20
ELSEWHERE_SECONDS = 120.0  # for a boot, and for each file
# A topic in words of the driver: "hugetlb-cow: punch fault", "collapse-fill/inside+blind".
TOPIC = re.compile(r"^(?P<setup>[\w-]+): (?P<operations>.+)$")
KILLED = "killed"  # the driver: the kernel may have broken its memory
DEATHS = (*(ending.name.lower() for ending in CRASHES), KILLED)
NO_END = "a run that does not end"  # user/explore/explorer.cpp


@dataclass
class Journal:
    """The journal of one kernel: a line for each tried order. It stays after the run."""

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

    def add_crash(self, death: str, text: str, marks: str) -> Record | None:
        """The order that was under way when a machine or the driver died is done, too: it is a finding."""
        found = parse_marks(marks)
        if not found.start:
            return None
        name, _, edges = (part.strip() for part in found.start["schedule"].partition(":"))
        record = {"kind": "order", "topic": found.start["scenario"], "schedule": edges, "preemptions": None,
                  "ending": death, "difference": text,
                  "replay": f"{name}: {edges}".strip()}
        self.records.append(record)
        return record

    def write(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        text = "".join(json.dumps(record) + "\n" for record in self.records)
        fresh = self.path.with_suffix(".new")
        fresh.write_text(text)
        fresh.replace(self.path)

    def differences(self) -> list[Record]:
        return [one for record in self.records for one in record.get("differences") or []]

    def write_found(self) -> dict[Path, Record]:
        """A scenario file for each difference. Its name comes from a machine: no more than a name is taken."""
        written: dict[Path, Record] = {}
        for one in self.differences():
            name = Path(str(one.get("file_name") or "")).name
            if name and isinstance(one.get("file"), str):
                place = self.path.with_suffix("") / name
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_text(one["file"])
                written[place] = one
        return written

    def orders(self) -> list[Record]:
        return [record for record in self.records if record["kind"] == "order"]


def names_and_files(operations: str) -> tuple[list[str], tuple[Path, ...]]:
    """The words of OPS=. The driver knows path/FILE.flt/variant by the name in the file."""
    names, files = [], []
    for word in operations.split():
        path, suffix, rest = word.partition(".flt")
        if suffix:
            files.append(Path(path + suffix))
            word = name_in_file(files[-1]) + rest
        names.append(word)
    return names, tuple(dict.fromkeys(files))


def check_words(faultline: Path, words: list[str]) -> None:
    """The driver on the host knows the same operations, setups and scenarios as the one in the machine."""
    done = subprocess.run([faultline, *words, "--list"], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Trouble(Ending.USAGE, done.stderr.strip().removeprefix("faultline: "))


def journal_of(kernel: kernels.UnpackedKernel, arch: Arch, what: str = "explore") -> Path:
    """Kernels of a user's own may have one release and be different: each has a journal."""
    own = "" if kernel.series else f"-{hashlib.sha256(kernel.image.read_bytes()).hexdigest()[:8]}"
    return build.TOP / "runs" / f"{what}-{kernel.release}{own}-{arch.name}.json"


CONTROLS_HEAD = """\
| scenario / variant + control | must produce | seen | again | orders | seconds |
|---|---|---|---|---|---|
"""


def _seen_text(seen: Record) -> str:
    """How an outcome was seen without the schedule."""
    if seen["order"] == 0:
        return "yes, in a run without an order"
    return f"yes, in an order that `{seen['lock']}` excludes without the control" if seen.get("lock") else "yes"


def controls_table(records: list[Record]) -> str:
    """Which hazards were found without their schedules: of `faultline explore --controls`."""
    rows, found = [], 0
    for record in records:
        if record.get("kind") != "explored" or not record.get("produces"):
            continue
        seen = record.get("seen")
        orders = [one for one in records if (one.get("kind"), one.get("topic")) == ("order", record["topic"])]
        dead = [one["difference"] for one in orders if one.get("ending") in DEATHS or one.get("difference") == NO_END]
        word = (_seen_text(seen) if seen else f"no, but {', '.join(sorted(set(dead)))}" if dead
                else f"not tried: {record['refusal']}" if record.get("refusal")
                else "no: this kernel ends so without the control, too" if record.get("without_control") else "no")
        count = seen["order"] if seen else max(record.get("orders", 0), len(orders))
        again = f"{seen['again']} of {seen['tries']}" if seen else "-"
        seconds = seen["seconds"] if seen else record.get("seconds", 0.0)
        wanted = str(record["produces"]).replace("|", "\\|")
        found += 1 if seen else 0
        rows.append(f"| {record['topic']} | `{wanted}` | {word} | {again} | {count} | {seconds:.0f} |\n")
    return f"{CONTROLS_HEAD}{''.join(rows)}\n{found} of {len(rows)} found\n"


@dataclass(frozen=True)
class Cell:
    """A machine with a kernel, for which the name of a series is looked up when it is needed."""

    series: str
    arch: Arch


@dataclass(frozen=True)
class Session:
    arch: Arch
    kernel: kernels.UnpackedKernel
    label: str  # of its folder
    command: str  # `faultline explore` with options and names
    budget: float  # seconds
    bounds: qemu.Bounds
    files: tuple[Path, ...] = ()
    boot: str = DEFAULT_BOOT
    fresh: bool = False  # forget the journal
    controls: bool = False  # the command has --controls
    other: Cell | None = None  # where differences are tried, too

    @property
    def where(self) -> str:
        """The words of `make run` for the same kernel and machine."""
        kernel = f"KERNEL={self.label}" if self.kernel.series else f"KIMAGE={self.kernel.image} KDIR={self.kernel.headers}"
        return kernel if self.arch.name == DEFAULT_ARCH else f"{kernel} ARCH={self.arch.name}"


def killed_by(status: int) -> str:
    """The signal in an exit status of a shell, in words; "" if there is none."""
    try:
        return f"the driver was killed by {signal.Signals(status - 128).name}: its memory may be broken" if status > 128 else ""
    except ValueError:
        return ""


def forbidden_words(text: str) -> set[str]:
    """How the difference ended: of a found file, "a=ok b=no"."""
    return set(" ".join(tomllib.loads(text).get("forbid", {})).split())


def shown_in(records: list[Record], name: str, words: set[str]) -> Record | None:
    """Counts in a run of found files: how often the one of that name ended so, and how often neither so nor as a serial order."""
    for record in records:
        if (record.get("kind"), record.get("scenario"), record.get("variant"), record.get("control")) == \
                ("variant", name, "found", None):
            histogram, unexpected = record.get("histogram") or {}, record.get("forbidden") or []
            shown = {outcome for outcome in histogram if words and words <= set(outcome.split())}
            return {"runs": record.get("runs", 0), "order_had": record.get("overlaps", 0),
                    "shown": sum(histogram[outcome] for outcome in shown),
                    "otherwise": sum(histogram.get(outcome, 0) for outcome in unexpected if outcome not in shown),
                    "skipped": record.get("why", "") if record.get("verdict") == "SKIP" else ""}
    return None


def try_elsewhere(session: Session, other: Cell, found: dict[Path, Record]) -> None:
    """Each difference of this session on another cell, in one machine."""
    packages.ensure_host(arch_packages(other.arch, kernels.rows_of(other.series)[0]))
    kernel = kernels.stock(other.series, other.arch)
    say(f"differences of this session, tried on {kernel.release} {other.arch.name}, too: {len(found)}")
    driver = driver_of(ELSEWHERE_RUNS, " ".join(str(path) for path in found))
    bounds = replace(session.bounds, total=ELSEWHERE_SECONDS * (1 + len(found)))
    place = runs.new_folder(f"{session.label}-explore-elsewhere")
    report = runs.boot(runs.prepare(other.arch, kernel, driver, [], place), bounds, show=False)
    for path, one in found.items():
        seen = shown_in(report.driver.records, path.stem, forbidden_words(one["file"]))
        cell = f"{kernel.release} {other.arch.name}"
        one["elsewhere"] = {"cell": cell, **(seen or {"skipped": ENDING_TEXT[report.ending]})}


def write_died(session: Session, crash: Record, folder: Path) -> Path | None:
    """The scenario file of the order that ended a machine; it is written on the host."""
    topic = TOPIC.match(crash["topic"])
    what = ["--setup", topic["setup"], *topic["operations"].split()] if topic else [crash["topic"]]
    files = [word for file in session.files if file.suffix == ".flt" for word in ("--file", str(file))]
    done = subprocess.run([build.user(), "explore", *files, "--file-of", crash["replay"], *what],
                          capture_output=True, text=True, check=False)
    if done.returncode != 0:
        say(f"no file of it: {done.stderr.strip()}")
        return None
    folder.mkdir(parents=True, exist_ok=True)
    stem = re.sub(r"[^\w]+", "-", crash["topic"])
    place = next(place for number in range(1, 1000) if not (place := folder / f"{stem}-died-{number}.flt").exists())
    place.write_text(done.stdout)
    return place


def run(session: Session) -> Ending:
    arch, kernel, label = session.arch, session.kernel, session.label
    path = journal_of(kernel, arch, "explore-controls" if session.controls else "explore")
    if session.fresh:
        path.unlink(missing_ok=True)
    journal = Journal.open(path)
    earlier = len(journal.differences())
    folder = runs.new_folder(f"{label}-explore")
    end = time.monotonic() + session.budget
    worst = Ending.GOOD
    for number in range(1, MACHINES + 1):
        seconds = end - time.monotonic()
        if seconds <= 1:
            break
        place = folder if number == 1 else folder / f"machine-{number}"
        place.mkdir(exist_ok=True)
        known = place / "journal.json"
        known.write_text("".join(json.dumps(record) + "\n" for record in journal.records))
        line = f"{PANIC_IF_LOCKED_UP}; {session.command} {CHANNELS} --budget {int(seconds)} --resume {GUEST_JOURNAL}"
        prepared = runs.prepare(arch, kernel, Driver(line, files=(*session.files, known)), [], place, session.boot)
        report: Report = runs.boot(prepared, replace(session.bounds, total=seconds + session.bounds.quiet))
        journal.take(read_channel(place, "json"))
        worst = max(worst, report.ending)
        runs.show_report(report)
        status = parse_status(read_channel(place, "status")).codes.get("faultline", 0)
        if report.ending not in CRASHES and status == Ending.STUCK:
            journal.write()
            say("a task is stuck for good; the rest goes on in a fresh machine")
            continue
        death, text = report.ending.name.lower(), ENDING_TEXT[report.ending]
        if report.ending not in CRASHES:
            text = killed_by(status)
            if not text:
                journal.write()
                break
            death = KILLED
        crash = journal.add_crash(death, text, read_channel(place, "mark"))
        journal.write()
        if not crash:
            break  # it had not begun: a fresh machine would do the same
        say(f"{text}; that order is a finding, the others go on in a fresh machine")
        print(f"    replay: faultline replay '{crash['replay']}'")
        if died := write_died(session, crash, path.with_suffix("")):
            print(f"    make run RUN={died.relative_to(build.TOP)} {session.where}")
    for problem in journal.problems:
        print(f"! {problem}")
    if session.controls:
        print(controls_table(journal.records))
    found = journal.write_found()
    fresh = {place: one for place, one in found.items() if any(one is late for late in journal.differences()[earlier:])}
    if fresh and session.other and not session.controls:
        try_elsewhere(session, session.other, fresh)
        journal.write()
    drawn = path.with_suffix(".html")
    drawn.write_text(explore_page.page(journal.records, f"explore, {kernel.release} {arch.name}"))
    print(f"  {len(journal.orders())} orders so far: {path.relative_to(build.TOP)}, {drawn.name}")
    for place, one in found.items():
        print(f"  make run RUN={place.relative_to(build.TOP)} {session.where}")
        if one.get("elsewhere"):
            print(f"    {explore_page.elsewhere_text(one['elsewhere'])}")
    return worst
