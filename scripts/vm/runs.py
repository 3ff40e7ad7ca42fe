# SPDX-License-Identifier: GPL-2.0
"""One run: a script in a virtual machine, its run folder, its verdict."""

import json
import os
import platform
import re
import shlex
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from . import build, emulator, initramfs, kernels, qemu, run_page
from .console import STAMP
from .outcome import Driver, Report, Task, assess, json_lines, merge, read_channel
from .packages import say
from .results import progress_of
from .rows import ktap_rows, rows_of
from .tables import (
    BOOTS,
    CRASHES,
    DEFAULT_BOOT,
    ENDING_TEXT,
    KNOWN_LOGS,
    MACHINES,
    Arch,
    Boot,
    Ending,
    KnownLog,
    Trouble,
)

def new_folder(label: str) -> Path:
    """runs/DATE-LABEL, and runs/latest that points there."""
    runs = build.TOP / "runs"
    runs.mkdir(exist_ok=True)
    stem = time.strftime("%Y%m%d-%H%M%S") + "-" + label
    for number in range(1, 1000):
        folder = runs / (stem if number == 1 else f"{stem}-{number}")
        try:
            folder.mkdir()
        except FileExistsError:
            continue
        latest = runs / "latest"
        latest.unlink(missing_ok=True)
        latest.symlink_to(folder.name)
        return folder
    raise AssertionError("a thousand runs in one second")


def script(driver: str | None, programs: list[str], words: dict[str, str] | None = None) -> str:
    """The guest's work: the driver's command, then each selftest, each with its status. `words`: what the selftests find
    in their environment."""
    lines = ["D=/dev/faultline", *(f"export {name}={shlex.quote(value)}" for name, value in (words or {}).items())]
    if driver:
        lines += [driver, 'echo "faultline $?" > $D/status']
    for name in programs:
        lines += [
            f'echo "== {name}" > $D/selftests',
            f"echo 'selftest {name}'",
            f"insmod $FAULTLINE_MODULE; {name} > /tmp/out 2>&1; code=$?",
            "cat /tmp/out > $D/selftests; grep -E '^not ok' /tmp/out",
            f'echo "{name} $code" > $D/status; rmmod faultline 2> /dev/null',
        ]
    return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class Prepared:
    """A machine that only has to be switched on, again and again if need be."""

    folder: Path
    archive: initramfs.Archive  # without the script
    command: Callable[[Path, Path], list[str]]  # of an initramfs and a run folder
    task: Task
    explained: tuple[KnownLog, ...]  # what this kernel is known to say
    boot: Boot
    about: str
    words: dict[str, str] = field(default_factory=dict)  # the environment of the selftests


def known_logs(arch: Arch, kernel: kernels.UnpackedKernel) -> tuple[KnownLog, ...]:
    """The known lines of a stock kernel: the user's own kernel may have any fix."""
    version = kernels.version_of(kernel) if kernel.series else ""
    return tuple(k for k in KNOWN_LOGS if k.arch == arch.name and kernels.has_bug(version, k.releases))


def check_names(faultline: Path, driver: Driver) -> None:
    """A typo costs no boot. The driver on the host has the same scenarios as the one in the machine."""
    if not driver.names:
        return
    files = [word for file in driver.files for word in ("--file", str(file))]
    done = subprocess.run([faultline, "list", *files, *driver.names.split()], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Trouble(Ending.USAGE, done.stderr.strip().removeprefix("faultline: "))


def prepare(arch: Arch, kernel: kernels.UnpackedKernel, driver: Driver | None, programs: list[Path],
            folder: Path, boot_name: str = DEFAULT_BOOT, words: dict[str, str] | None = None) -> Prepared:
    """Build and pack. `driver` is the guest's command; None runs the selftests alone."""
    module = build.module(kernel.headers, kernel.release, kernel.series, arch)
    faultline = build.user(arch)
    if driver and arch.native:
        check_names(faultline, driver)
    names = tuple(program.name for program in programs)
    machine = emulator.find(arch)
    accel = qemu.accelerator(arch, machine, kernel.image)
    way = BOOTS[boot_name]
    archive = initramfs.build(arch, module, [faultline, *programs], kernel.modules, qemu.PORTS,
                              f"{machine.version}, {accel}", build.TOP / "scenarios", driver.files if driver else ())
    (folder / "versions.json").write_text(json.dumps({
        "kernel": kernel.release, "packages": kernel.packages, "arch": arch.name,
        "qemu": machine.version, "accelerator": accel, "commit": build.commit(),
        "host": f"{platform.node()} {platform.release()} {os.cpu_count()} cpus",
        "command": driver.command if driver else None, "selftests": names,
        "boot": {"name": way.name, "append": way.append},
    }, indent=2) + "\n")
    return Prepared(
        folder, archive,
        lambda file, place: qemu.command(arch, machine, accel, kernel.image, file, place, way.append),
        Task(driver, names), known_logs(arch, kernel), way, f"{kernel.release} ({machine.version}, {accel})", words or {})


def judge_boot(way: Boot, log: str) -> tuple[dict[str, str], list[str]]:
    """The lines by which the kernel says how it was booted, and what it did not take."""
    lines = [STAMP.sub("", line) for line in log.splitlines()]
    took = {text: next((line for line in lines if re.search(pattern, line)), "") for pattern, text in way.took.items()}
    problems = [f"the kernel was not booted with {way.name}: no line says that {text}" for text, line in took.items() if not line]
    if way.refused:
        problems += [f"the kernel was not booted with {way.name}: {line}" for line in lines if re.search(way.refused, line)]
    return took, problems


def _note_boot(folder: Path, took: dict[str, str]) -> None:
    file = folder / "versions.json"
    facts = json.loads(file.read_text())
    facts["boot"]["took"] = took
    file.write_text(json.dumps(facts, indent=2) + "\n")


def _boot_one(prepared: Prepared, task: Task, folder: Path, bounds: qemu.Bounds, show: bool,
              tick: Callable[[], None]) -> Report:
    names = list(task.programs)
    prepared.archive.add("script", script(task.driver.command if task.driver else None, names, prepared.words).encode())
    file = folder / "initramfs"
    file.write_bytes(prepared.archive.bytes())
    ending = qemu.boot(prepared.command(file, folder), folder, bounds, show, tick)
    report = assess(folder, ending, task, prepared.explained)
    took, problems = judge_boot(prepared.boot, read_channel(folder, "console.log"))
    _note_boot(prepared.folder, took)
    if ending in CRASHES and not read_channel(folder, "output.txt") and not any(read_channel(folder, name) for name in qemu.CHANNELS):
        report.problems.append(boot_failure(report))
    report.problems += problems  # of one that ended badly, too: it crashed without poison
    if problems and ending == Ending.GOOD:
        report.ending = Ending.USAGE
    return report


def boot_failure(report: Report) -> str:
    """The report of a machine that ended before its script began: its end, the last words of the kernel and of QEMU, and the command."""
    folder = report.folder
    lines = [f"the kernel did not come to the tests: {ENDING_TEXT[report.ending]}"]
    for what, name in (("the kernel's", "console.log"), ("QEMU's", "qemu.log")):
        said = read_channel(folder, name).rstrip().splitlines()
        lines.append(f"  {what} last words: {said[-1].strip() if said else 'none'}\n  all of them: {folder / name}")
    return "\n".join([*lines, f"  next: boot it again by hand: sh {folder / 'qemu-command'}"])


def boot(prepared: Prepared, bounds: qemu.Bounds, show: bool = True,
         tick: Callable[[], None] = lambda: None) -> Report:
    """In fresh machines, each in a folder of its own, until nothing is left, there were MACHINES, or the
    time of the whole run is over. A fresh one has the rest of the budget, too: it is the time for all of them."""
    way = "" if prepared.boot.name == DEFAULT_BOOT else f" with {prepared.boot.append}"
    say(f"booting {prepared.about}{way}; run folder {prepared.folder.relative_to(build.TOP)}")
    begin = time.monotonic()
    end = begin + bounds.total
    machines = [_boot_one(prepared, prepared.task, prepared.folder, bounds, show, tick)]
    while (rest := machines[-1].rest) and len(machines) < MACHINES:
        seconds = end - time.monotonic()
        if seconds <= 0:
            machines[-1].why_rest = f"the run's {bounds.total:.0f} seconds were over"
            break
        folder = prepared.folder / f"machine-{len(machines) + 1}"
        folder.mkdir()
        left, within = 0, ""
        if rest.driver and prepared.task.driver:
            whole = replace(rest.driver, budget=prepared.task.driver.budget)
            rest = replace(rest, driver=whole.after(time.monotonic() - begin))
            left = len(whole.names.split())
            within = f", in the {rest.driver.budget} s that are left of {whole.budget}" if whole.budget else ""
        why = f"the kernel caught {machines[-1].caught}" if machines[-1].caught else ENDING_TEXT[machines[-1].ending]
        say(f"{why}; {left} scenarios and {len(rest.programs)} selftests go on in a fresh "
            f"machine, number {len(machines) + 1} of {MACHINES} at most{within}")
        machines.append(_boot_one(prepared, rest, folder, replace(bounds, total=seconds), show, tick))
    report = merge(machines)
    if report.machines or report.crashes:
        _write_merged(report)
    run_page.write(report, prepared.explained)
    return report


def _write_merged(report: Report) -> None:
    """The driver's files end with the first machine: they step aside for those of the whole run."""
    for name in ("json", "ktap"):
        file = report.folder / name
        if file.exists():
            file.rename(report.folder / f"machine-1.{name}")
    (report.folder / "json").write_text(json_lines(report))
    rows = rows_of(report)
    head = ["KTAP version 1", f"1..{len(rows)}"]
    (report.folder / "ktap").write_text("\n".join([*head, *ktap_rows(rows)]) + "\n")


def progress(folder: Path) -> tuple[int, int] | None:
    """Scenarios reported and planned so far, by all machines; None before the first begins."""
    files = [folder / "json", *sorted(folder.glob("machine-*/json"))]
    return progress_of(file.read_text(errors="replace") for file in files if file.exists())


def show_report(report: Report) -> None:
    for crash in report.crashes:
        print(f"  {crash.scenario.name if crash.scenario else crash.program}  {crash.ending.name}  {crash.text}")
        if crash.replay:
            print(f"    replay: {crash.replay}")
    for problem in report.problems:
        print(f"! {problem}")
    for fix in dict.fromkeys(finding.fix for finding in report.findings if finding.fix):
        first = next(finding for finding in report.findings if finding.fix == fix)
        print(f"  known in the kernel log, line {first.number}: {first.line}\n    {fix}")


def run(arch: Arch, kernel: kernels.UnpackedKernel, driver: Driver | None, bounds: qemu.Bounds,
        programs: list[Path], label: str, way: str = DEFAULT_BOOT, words: dict[str, str] | None = None) -> Report:
    """Build, boot, judge; everything is shown as it comes."""
    label = f"{label}-{arch.name}" + ("" if way == DEFAULT_BOOT else f"-{way}")
    report = boot(prepare(arch, kernel, driver, programs, new_folder(label), way, words), bounds)
    show_report(report)
    return report
