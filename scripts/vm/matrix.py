# SPDX-License-Identifier: GPL-2.0
"""Every machine times every kernel: which cells there are, and running them."""

import concurrent.futures
import contextlib
import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from . import build, kernels, packages, qemu, runs, source_tree
from .outcome import Driver, Report
from .tables import (
    ARCHES,
    BOOTS,
    DEBUG_WORDS,
    DEFAULT_BOOT,
    DEFAULT_KERNEL,
    HOST_PACKAGES,
    KERNELS,
    NO_DEBUG,
    Arch,
    Ending,
    Kernel,
    Trouble,
    arch_packages,
)

CORES_A_CELL = 2  # each machine has two virtual CPUs
CELLS_AT_ONCE = 2  # at most: the mirror and the disk are shared


@dataclass(frozen=True)
class Cell:
    arch: Arch
    kernel: Kernel
    boot: str = DEFAULT_BOOT
    debug: str = NO_DEBUG  # else the kernel is built from its series' source with this DEBUG=

    @property
    def ways(self) -> list[str]:
        """In what it differs from a stock kernel that is booted as it is."""
        return [word for word, usual in ((self.boot, DEFAULT_BOOT), (self.debug, NO_DEBUG)) if word != usual]

    @property
    def name(self) -> str:
        return "/".join([self.arch.name, self.kernel.series, *self.ways])

    @property
    def lacking(self) -> str:
        """Why there is no such kernel; "" if there is one. One that is built needs no package."""
        return "" if self.debug != NO_DEBUG else self.kernel.lacks.get(self.arch.name, "")


@dataclass
class CellResult:
    cell: Cell
    report: Report | None = None  # None: it did not come to a machine
    trouble: str = ""  # why not
    ending: Ending | None = None  # None: Debian has no such kernel
    seconds: float = 0
    started: float = 0
    facts: dict[str, object] = field(default_factory=dict)  # versions.json


def _chosen(wanted: str, table: dict[str, object], what: str) -> list[str]:
    names = wanted.replace(",", " ").split() or list(table)
    for name in names:
        if name not in table:
            raise Trouble(Ending.USAGE, f"no {what} {name}; there are {', '.join(table)}")
    return names


def cells(arches: str = "", series: str = "", boots: str = "", debugs: str = "") -> list[Cell]:
    """All cells, or those of some architectures and kernels; those without a kernel, too. Booted as they
    are, or in each of some ways; stock kernels, or built with each of some DEBUG=."""
    return [
        Cell(ARCHES[arch], KERNELS[kernel], boot, debug)
        for debug in _chosen(debugs or NO_DEBUG, {NO_DEBUG: "", **DEBUG_WORDS}, "DEBUG=")
        for boot in _chosen(boots or DEFAULT_BOOT, dict(BOOTS), "way to boot")
        for kernel in _chosen(series, dict(KERNELS), "kernel")
        for arch in _chosen(arches, dict(ARCHES), "architecture")
    ]


def shard(all_cells: list[Cell], environment: dict[str, str]) -> list[Cell]:
    """This machine's part: SHARD_INDEX, from 1, of SHARD_NUMBER. Cells without a kernel cost
    nothing and stay with the first."""
    try:
        number, index = int(environment.get("SHARD_NUMBER") or 1), int(environment.get("SHARD_INDEX") or 1)
    except ValueError as error:
        raise Trouble(Ending.USAGE, "SHARD_NUMBER and SHARD_INDEX are numbers") from error
    if not 1 <= index <= number:
        raise Trouble(Ending.USAGE, f"SHARD_INDEX={index} is not in 1..SHARD_NUMBER={number}")
    real = [cell for cell in all_cells if not cell.lacking]
    mine = real[index - 1 :: number]
    return [cell for cell in all_cells if cell in mine or (cell.lacking and index == 1)]


def at_once(cores: int) -> int:
    return max(1, min(CELLS_AT_ONCE, cores // CORES_A_CELL))


class Progress:
    """One line that is rewritten, where there is a terminal; and a line for each cell that ended."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._done = 0
        self._lock = threading.Lock()
        self._running: dict[str, str] = {}

    def _erase(self) -> None:
        if sys.stdout.isatty():
            print("\r\033[K", end="")

    def _draw(self) -> None:
        if sys.stdout.isatty():
            line = f"[{self._done}/{self._total}] " + "; ".join(f"{k}: {v}" for k, v in self._running.items())
            print(line[: max(20, os.get_terminal_size().columns - 1)], end="", flush=True)

    def tick(self, cell: Cell, text: str) -> None:
        with self._lock:
            if self._running.get(cell.name) != text:
                self._running[cell.name] = text
                self._erase()
                self._draw()

    def end(self, result: CellResult) -> None:
        with self._lock:
            self._running.pop(result.cell.name, None)
            self._done += 1
            self._erase()
            print(f"[{self._done}/{self._total}] {summary_line(result)}", flush=True)
            self._draw()


def summary_line(result: CellResult) -> str:
    name = f"{result.cell.name:<20}"
    if result.ending is None:
        return f"{name} no kernel: {result.trouble}"
    head = f"{name} {result.ending.name:<8} {result.seconds:5.0f} s  "
    if not result.report:
        return head + result.trouble.splitlines()[0]
    problem = f"  ! {result.report.problems[0]}" if result.report.problems else ""
    skipped = f"; {result.report.driver.totals()}" if result.report.driver.variants.all else ""
    return head + result.report.counts.lines().replace("\n", "; ") + skipped + problem


def _ticker(cell: Cell, folder: Path, progress: Progress) -> Iterator[None]:
    start = time.monotonic()
    while True:
        so_far = runs.progress(folder)
        state = f"{so_far[0]}/{so_far[1]} scenarios" if so_far else "boots"
        progress.tick(cell, f"{state}, {(time.monotonic() - start) // 5 * 5:.0f} s")
        yield


@dataclass(frozen=True)
class Plan:
    """The work in each cell."""

    driver: Driver | None  # the guest's command
    selftests: tuple[str, ...]  # names of programs; all if empty
    bounds: qemu.Bounds
    update: bool = False


def _named(programs: list[Path], names: tuple[str, ...]) -> list[Path]:
    """Some of the programs. A name that is none of theirs is no selftest that passed."""
    by_name = {program.name: program for program in programs}
    for name in names:
        if name not in by_name:
            raise Trouble(Ending.USAGE, f"no selftest {name}; there are {', '.join(by_name)}")
    return [by_name[name] for name in names]


_building = threading.Lock()  # cells of one architecture share build folders


def _kernel(cell: Cell, plan: Plan) -> kernels.UnpackedKernel:
    if cell.debug == NO_DEBUG:
        return kernels.stock(cell.kernel.series, cell.arch, update=plan.update)
    return source_tree.kernel(f"debian:{cell.kernel.series}", cell.arch, debug=(cell.debug,), update=plan.update)


def run_cell(cell: Cell, plan: Plan, folder: Path, progress: Progress) -> CellResult:
    result = CellResult(cell, started=time.time())
    if cell.lacking:
        result.trouble = cell.lacking
        return result
    packages.label.set(f"{cell.name}: ")
    try:
        with _building:
            kernel = _kernel(cell, plan)
            programs = build.selftests(kernels.source_parts(DEFAULT_KERNEL) / "tools/testing/selftests", cell.arch)
            if plan.selftests:
                programs = _named(programs, plan.selftests)
            prepared = runs.prepare(cell.arch, kernel, plan.driver, programs, folder, cell.boot)
        ticks = _ticker(cell, folder, progress)
        result.report = runs.boot(prepared, plan.bounds, show=False, tick=lambda: next(ticks))
        result.ending = result.report.ending
    except Trouble as trouble:
        result.ending, result.trouble = trouble.ending, str(trouble)
    except OSError as error:
        result.ending, result.trouble = Ending.USAGE, str(error)
    with contextlib.suppress(OSError, ValueError):
        result.facts = json.loads((folder / "versions.json").read_text())
    result.seconds = time.time() - result.started
    return result


def run(chosen: list[Cell], plan: Plan, folder: Path) -> list[CellResult]:
    """All cells, in the given order; a few at once if there are cores for them."""
    real = [cell for cell in chosen if not cell.lacking]
    needed = dict(HOST_PACKAGES)
    for cell in real:
        needed |= arch_packages(cell.arch, cell.kernel)
    packages.ensure_host(needed)
    progress = Progress(len(chosen))

    def one(cell: Cell) -> CellResult:
        place = folder / cell.name.replace("/", "-")
        if not cell.lacking:
            place.mkdir(parents=True)
        result = run_cell(cell, plan, place, progress)
        progress.end(result)
        return result

    with concurrent.futures.ThreadPoolExecutor(at_once(os.cpu_count() or 1)) as pool:
        return list(pool.map(one, chosen))


def ending_of(results: list[CellResult]) -> Ending:
    """The ending of the whole matrix: the worst one; the end of a machine is worse than a failure."""
    return max((result.ending for result in results if result.ending is not None), default=Ending.USAGE)
