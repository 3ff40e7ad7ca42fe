# SPDX-License-Identifier: GPL-2.0
"""One run: a script in a virtual machine, its run folder, its verdict."""

import json
import os
import platform
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from . import build, emulator, initramfs, kernels, qemu
from .console import Finding, judge
from .packages import say
from .results import Counts, DriverResults, TapResults, parse_driver, parse_status, parse_tap
from .tables import ENDING_TEXT, KNOWN_LOGS, Arch, Ending, Kernel, KnownLog

QUOTED_FINDINGS = 12


@dataclass
class Report:
    ending: Ending
    counts: Counts
    problems: list[str]
    folder: Path
    driver: DriverResults = field(default_factory=DriverResults)
    selftests: dict[str, TapResults] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)  # of the kernel log


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


def _read(folder: Path, name: str) -> str:
    file = folder / name
    return file.read_text(errors="replace").replace("\r\n", "\n") if file.exists() else ""


def split_selftests(text: str) -> dict[str, str]:
    """The selftests channel: each program's output after a line "== NAME"."""
    parts: dict[str, str] = {}
    name = None
    for line in text.splitlines():
        if line.startswith("== "):
            name = line[3:].strip()
            parts[name] = ""
        elif name:
            parts[name] += line + "\n"
    return parts


def assess(folder: Path, ending: Ending, driver: bool, programs: list[str],
           explained: Iterable[KnownLog] = ()) -> Report:
    """Judge what a machine left in its run folder."""
    report = Report(ending, Counts(), [], folder)
    if ending != Ending.GOOD:
        report.problems.append(ENDING_TEXT[ending])
    status = parse_status(_read(folder, "status"))
    if driver:
        report.driver = parse_driver(_read(folder, "json"))
        report.counts += report.driver.counts
        if status.codes.get("faultline") not in (0, 1, None):
            report.driver.problems.append(f"the driver ended with status {status.codes['faultline']}")
        report.problems += report.driver.problems
    outputs = split_selftests(_read(folder, "selftests"))
    for name in programs:
        tap = parse_tap(outputs.get(name, ""))
        report.selftests[name] = tap
        report.counts += tap.counts
        if status.codes.get(name) not in (0, 1, 4):
            tap.problems.append(f"ended with status {status.codes.get(name, 'unknown')}")
        report.problems += [f"{name}: {text}" for text in [*tap.problems, *tap.failures]]
    report.findings = judge(_read(folder, "console.log"), explained)
    report.counts.known += any(finding.fix for finding in report.findings)
    for finding in [f for f in report.findings if not f.fix][:QUOTED_FINDINGS]:
        report.problems.append(f"kernel log, {finding.kind}, line {finding.number}: {finding.line}")
    if report.ending == Ending.GOOD and (report.problems or not report.counts.good):
        report.ending = Ending.FAILED
    return report


def script(driver: str | None, programs: list[str]) -> str:
    """What the guest does: the driver's command, then each selftest, each with its status."""
    lines = ["D=/dev/faultline"]
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
    """A machine that only has to be switched on."""

    folder: Path
    command: list[str]
    driver: bool
    programs: list[str]
    explained: tuple[KnownLog, ...]  # what this kernel is known to say
    about: str


def known_logs(arch: Arch, kernel: Kernel | None) -> tuple[KnownLog, ...]:
    return tuple(k for k in KNOWN_LOGS if kernel and (k.arch, k.series) == (arch.name, kernel.series))


def prepare(arch: Arch, kernel: kernels.UnpackedKernel, driver: str | None, programs: list[Path],
            folder: Path, append: str = "") -> Prepared:
    """Build and pack. `driver` is the guest's command line; None runs the selftests alone."""
    module = build.module(kernel.headers, kernel.release, kernel.series, arch)
    faultline = build.user(arch)
    names = [program.name for program in programs]
    machine = emulator.find(arch)
    accel = qemu.accelerator(arch, machine, kernel.image)
    archive = folder / "initramfs"
    archive.write_bytes(
        initramfs.build(arch, module, [faultline, *programs], script(driver, names), kernel.modules, qemu.PORTS,
                        f"{machine.version}, {accel}")
    )
    (folder / "versions.json").write_text(json.dumps({
        "kernel": kernel.release, "packages": kernel.packages, "arch": arch.name,
        "qemu": machine.version, "accelerator": accel, "commit": build.commit(),
        "host": f"{platform.node()} {platform.release()} {os.cpu_count()} cpus",
        "command": driver, "selftests": names,
    }, indent=2) + "\n")
    return Prepared(folder, qemu.command(arch, machine, accel, kernel.image, archive, folder, append),
                    driver is not None and "--json" in driver, names,
                    known_logs(arch, kernel.series), f"{kernel.release} ({machine.version}, {accel})")


def boot(prepared: Prepared, bounds: qemu.Bounds, show: bool = True,
         tick: Callable[[], None] = lambda: None) -> Report:
    say(f"booting {prepared.about}; run folder {prepared.folder.relative_to(build.TOP)}")
    ending = qemu.boot(prepared.command, prepared.folder, bounds, show, tick)
    return assess(prepared.folder, ending, prepared.driver, prepared.programs, prepared.explained)


def run(arch: Arch, kernel: kernels.UnpackedKernel, driver: str | None, bounds: qemu.Bounds,
        programs: list[Path], label: str) -> Report:
    """Build, boot, judge; everything is shown as it comes."""
    report = boot(prepare(arch, kernel, driver, programs, new_folder(f"{label}-{arch.name}")), bounds)
    for problem in report.problems:
        print(f"! {problem}")
    for fix in dict.fromkeys(finding.fix for finding in report.findings if finding.fix):
        first = next(finding for finding in report.findings if finding.fix == fix)
        print(f"  known in the kernel log, line {first.number}: {first.line}\n    {fix}")
    return report
