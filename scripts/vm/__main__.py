# SPDX-License-Identifier: GPL-2.0
"""The commands that the Makefile calls: PYTHONPATH=scripts python3 -m vm COMMAND."""

import argparse
import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
import unittest
from collections.abc import Callable
from pathlib import Path

from . import bisect, build, cache, controls, deb, emulator, explore, findings, history, kallsyms, kernels, lint, matrix, meta, packages, pair, qemu, run_page, runs, schema, source_tree
from .command_line import absolute, coloured, driver_of, name_in_file, replay_line, replay_of, seconds_of
from .folder import write_all
from .outcome import Driver, Report, read_channel
from .results import Counts, DriverResults, Record, parse_driver
from .tables import (
    ARCHES,
    BOOTS,
    DEBUG_RUN,
    DEBUG_TEST,
    DEBUG_WORDS,
    DEFAULT_BOOT,
    Arch,
    DEFAULT_ARCH,
    DEFAULT_BUDGET,
    DEFAULT_KERNEL,
    HOST_PACKAGES,
    KERNELS,
    KNOWN_PAIRS,
    LINT_PACKAGES,
    NO_DEBUG,
    PREEMPT_WORDS,
    SHORT_PARTS,
    SHORT_RUNS,
    STATUSES,
    TORTURE_PROGRAMS,
    Ending,
    Trouble,
    arch_packages,
)


def _words_of(arguments: argparse.Namespace) -> tuple[str, tuple[str, ...], str]:
    """CONFIG=, DEBUG= and PREEMPT="""
    return arguments.config, tuple(arguments.debug.replace(",", " ").split()), arguments.preempt


def _name_of(arguments: argparse.Namespace) -> str:
    """The kernel's part of the names of run folders."""
    return "own" if arguments.kimage or arguments.ksrc else str(arguments.kernel)


def _kernel(arguments: argparse.Namespace) -> kernels.UnpackedKernel:
    """The kernel that was asked for, and on the host what it takes to build for it and to boot it."""
    arch = ARCHES[arguments.arch]
    [series, *_] = kernels.rows_of(arguments.kernel)
    packages.ensure_host({**HOST_PACKAGES, **arch_packages(arch, series)})
    words = _words_of(arguments)
    if arguments.ksrc:
        return source_tree.kernel(arguments.ksrc, arch, *words, update=arguments.update)
    if any(words):
        raise Trouble(Ending.USAGE, "CONFIG=, DEBUG= and PREEMPT= are for a kernel that is built: KSRC=path or KSRC=debian:6.12")
    if arguments.kimage:
        if not arguments.kdir:
            raise Trouble(Ending.USAGE, "KIMAGE= needs KDIR=, the kernel's build folder")
        done = subprocess.run(["make", "-s", "-C", arguments.kdir, "kernelrelease"],
                              capture_output=True, text=True, check=False)
        release = done.stdout.strip().splitlines()[-1] if done.stdout.strip() else "own"
        modules = Path(arguments.kmodules).resolve() if arguments.kmodules else None
        for path in (arguments.kimage, arguments.kdir, arguments.kmodules):
            if path and not Path(path).exists():
                raise Trouble(Ending.USAGE, f"there is no {path}")
        return kernels.UnpackedKernel(release, Path(arguments.kimage).resolve(),
                                      Path(arguments.kdir).resolve(), modules, {"own kernel": arguments.kimage})
    return kernels.stock(arguments.kernel, arch, update=arguments.update)


def command_run(arguments: argparse.Namespace) -> Ending:
    kernel = _kernel(arguments)
    # Neither RUNS= nor BUDGET=: what one waits for.
    text = arguments.budget or ("" if arguments.runs else DEFAULT_BUDGET)
    budget = seconds_of(text) if text else None
    driver = Driver(arguments.command) if arguments.command else driver_of(arguments.runs, arguments.run, budget, coloured())
    report = runs.run(ARCHES[arguments.arch], kernel, driver,
                      qemu.Bounds(max(arguments.timeout, 2 * (budget or 0)), arguments.quiet), [],
                      _name_of(arguments), arguments.boot)
    # In a good run the driver's own last lines say the same, and are the last ones if the log said nothing.
    if not arguments.command and (report.ending != Ending.GOOD or report.findings):
        print(_lines_of(report.ending, report.counts, [report]))
    print(_what_next(report, arguments))
    return report.ending


def _where(arguments: argparse.Namespace) -> str:
    """The words of `make` that mean the same kernel and machine."""
    usual = {"kernel": DEFAULT_KERNEL, "arch": DEFAULT_ARCH, "boot": DEFAULT_BOOT}
    names = ("kernel", "arch", "boot", "ksrc", "config", "debug", "preempt", "kimage", "kdir", "kmodules")
    given = {name: getattr(arguments, name) for name in names}
    return "".join(f" {name.upper()}={shlex.quote(value)}" for name, value in given.items() if value != usual.get(name, ""))


_REPLAYED_FIRST = ("failed", "xpass", "error", "missed", "known")


def _what_next(report: Report, arguments: argparse.Namespace) -> str:
    """The page of the run, and the line that replays one run of it: a bad one if there is one."""
    lines = [f"  page: {(report.folder / run_page.NAME).relative_to(build.TOP)}   (make report)"]
    variants = [record for record in report.driver.of("variant") if replay_line(record) and not record.get("control")]
    order = [*_REPLAYED_FIRST, *(str(record.get("standing")) for record in variants)]
    chosen = min(variants, key=lambda record: order.index(str(record.get("standing"))), default=None)
    crash = next((crash.scenario for crash in report.crashes if crash.scenario and crash.replay), None)
    line = (crash.schedule_with_seed, crash.control) if crash else replay_line(chosen) if chosen else None
    if line:
        schedule, control = line
        file = next((path for path in (Path(word.partition(".flt")[0] + ".flt") for word in arguments.run.split() if ".flt" in word)
                     if schedule.startswith(f"{name_in_file(path)}/")), None)
        lines.append(f"  replay: make replay LINE={shlex.quote(schedule)}" + (f" CONTROL={control}" if control else "")
                     + (f" FILE={file}" if file else "") + _where(arguments))
    return "\n".join(lines)


def command_replay(arguments: argparse.Namespace) -> Ending:
    """One schedule, as a run printed it, in a fresh machine."""
    files = tuple(Path(name) for name in arguments.file)
    for file in files:
        if not file.exists():
            raise Trouble(Ending.USAGE, f"there is no {file}")
    driver = replay_of(arguments.line, arguments.control, arguments.runs, files, coloured())
    kernel = _kernel(arguments)
    report = runs.run(ARCHES[arguments.arch], kernel, driver, qemu.Bounds(arguments.timeout, arguments.quiet), [],
                      f"{_name_of(arguments)}-replay", arguments.boot)
    if report.ending != Ending.GOOD:
        print(_lines_of(report.ending, report.counts, [report]))
    print(f"  page: {(report.folder / run_page.NAME).relative_to(build.TOP)}   (make report)")
    return report.ending


def command_report(arguments: argparse.Namespace) -> Ending:
    """The path of the page; where there is a screen, it is opened, too."""
    folder = (build.TOP / "runs/latest").resolve()
    page = folder / run_page.NAME
    if not page.exists():
        raise Trouble(Ending.USAGE, "no run has left a page yet: make run")
    print(page)
    opener = shutil.which("xdg-open")
    if opener and (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        subprocess.Popen([opener, page], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    return Ending.GOOD


def _pair(arguments: argparse.Namespace, old: str, new: str, names: str) -> pair.Pair:
    arch = ARCHES[arguments.arch]
    for word in (old, new):
        packages.ensure_host({**HOST_PACKAGES, **arch_packages(arch, kernels.rows_of(word)[0])})
    text = arguments.budget or ("" if arguments.runs else DEFAULT_BUDGET)
    budget = seconds_of(text) if text else None
    driver = driver_of(arguments.runs, names, budget)
    both = [kernels.stock(word, arch, update=arguments.update) for word in (old, new)]
    folder = runs.new_folder(f"pair-{old}-{new}-{arch.name}")
    bounds = qemu.Bounds(max(arguments.timeout, 2 * (budget or 0)), arguments.quiet)
    done = pair.run(arch, both[0], both[1], driver, bounds, folder, arguments.boot)
    print(f"\n{pair.text(done)}  {folder.relative_to(build.TOP)}: pair.txt, pair.json, index.html; old/ and new/ have each run")
    return done


def _known_pairs(arguments: argparse.Namespace) -> Ending:
    """All that are known: each must show what it is known for."""
    unlike = []
    for old, new in dict.fromkeys((one.old, one.new) for one in KNOWN_PAIRS):
        known = [one for one in KNOWN_PAIRS if (one.old, one.new) == (old, new)]
        unlike += pair.unlike(_pair(arguments, old, new, " ".join(one.run for one in known)), known)
    print("\n".join(f"! {line}" for line in unlike) or f"all {len(KNOWN_PAIRS)} known pairs have their known difference")
    return Ending.FAILED if unlike else Ending.GOOD


def command_pair(arguments: argparse.Namespace) -> Ending:
    if not (arguments.old or arguments.new or arguments.run):
        return _known_pairs(arguments)
    if not (arguments.old and arguments.new):
        raise Trouble(Ending.USAGE, "OLD= and NEW= are kernels: a series, or an exact version as 6.12.117")
    return _pair(arguments, arguments.old, arguments.new, arguments.run).ending


def command_bisect(arguments: argparse.Namespace) -> Ending:
    """All that can be wrong with the words is found before the first build."""
    source = Path(arguments.ksrc).expanduser().resolve()
    if not (arguments.ksrc and arguments.good and arguments.bad and arguments.run):
        raise Trouble(Ending.USAGE, "KSRC= is a git tree of the kernel, GOOD= and BAD= are commits of it, RUN= what fails on BAD")
    arch = ARCHES[arguments.arch]
    good, bad = (bisect.commit_of(source, name) for name in (arguments.good, arguments.bad))
    packages.ensure_host({**HOST_PACKAGES, **arch_packages(arch, KERNELS[DEFAULT_KERNEL])})
    text = arguments.budget or ("" if arguments.runs else DEFAULT_BUDGET)
    budget = seconds_of(text) if text else None
    runs.check_names(build.user(), driver_of(arguments.runs, arguments.run, budget))
    tree = build.BUILD / "bisect" / hashlib.sha256(str(source).encode()).hexdigest()[:8]
    bisect.clone(source, tree)
    folder = runs.new_folder(f"bisect-{arch.name}")
    bisect.Session(str(tree), arch.name, absolute(arguments.run), arguments.runs, budget, *_words_of(arguments),
                   timeout=arguments.timeout, quiet=arguments.quiet).save(folder)
    found = bisect.search(folder, good, bad)
    print(f"{bisect.text(folder, found)}\n  {folder.relative_to(build.TOP)}: each step's run; session.json, bisect.log")
    return Ending.GOOD if found.first else Ending.UNDECIDED


def command_history(arguments: argparse.Namespace) -> Ending:
    if not (arguments.ksrc and arguments.into):
        raise Trouble(Ending.USAGE, "KSRC= is the older tree, INTO= the folder that the history goes to")
    old = source_tree.tree_of(arguments.ksrc).folder
    new = source_tree.tree_of(arguments.new).folder if arguments.new else None
    patches = [[Path(word).expanduser() for word in words.split()] for words in (arguments.apart, arguments.patches)]
    for patch in sum(patches, []):
        if not patch.is_file():
            raise Trouble(Ending.USAGE, f"there is no patch {patch}")
    print("\n".join(history.make(Path(arguments.into).expanduser().resolve(), old, new, arguments.under.split(), *patches)))
    return Ending.GOOD


def command_bisect_step(arguments: argparse.Namespace) -> int:
    """For scripts/bisect-step: the status is none of Ending's."""
    folder = Path(arguments.folder)
    return bisect.status(bisect.step(folder, bisect.boot_tester), bisect.Session.load(folder).mends)


def _other_cell(arguments: argparse.Namespace) -> explore.Cell | None:
    """Where what explore finds is tried, too: by default the stock kernel if it is found in one of the user's own,
    else another series."""
    if arguments.other == "none":
        return None
    series, _, arch = arguments.other.partition("/")
    if not series:
        series = arguments.kernel if arguments.kimage or arguments.ksrc else "7.2" if arguments.kernel == DEFAULT_KERNEL else DEFAULT_KERNEL
    arch = arch or arguments.arch
    if arch not in ARCHES:
        raise Trouble(Ending.USAGE, f"OTHER={arguments.other}: none, or a kernel, or KERNEL/ARCH with one of {', '.join(ARCHES)}")
    kernels.rows_of(series)
    return explore.Cell(series, ARCHES[arch])


def command_explore(arguments: argparse.Namespace) -> Ending:
    budget = seconds_of(arguments.budget)
    names, files = explore.names_and_files(arguments.ops)
    patch = Path(arguments.patch) if arguments.patch else None
    for file in filter(None, [*files, patch]):
        if not file.exists():
            raise Trouble(Ending.USAGE, f"there is no {file}")

    def words(place: Callable[[Path], str]) -> list[str]:
        return ["explore", *(word for file in files for word in ("--file", place(file))),
                *(["--patch", place(patch)] if patch else []), *(["--setup", arguments.setup] if arguments.setup else []),
                *(["--forbid", arguments.forbid] if arguments.forbid else []), *(["--controls"] if arguments.controls else []),
                *arguments.options.split(), *names]

    if ARCHES[arguments.arch].native:
        packages.ensure_host(HOST_PACKAGES)
        explore.check_words(build.user(), words(str))  # a typo costs no kernel and no boot
    kernel = _kernel(arguments)
    command = shlex.join(["faultline", *words(lambda file: f"/files/{file.name}")])
    return explore.run(explore.Session(
        ARCHES[arguments.arch], kernel, arguments.kernel, command, budget, qemu.Bounds(budget, arguments.quiet),
        (*files, *([patch] if patch else [])), arguments.boot, arguments.fresh, arguments.controls, _other_cell(arguments)))


def _lines_of(ending: Ending, counts: Counts, reports_of: list[Report]) -> str:
    """Totals: of variants and controls first, as they are part of the scenarios."""
    driver = sum((report.driver for report in reports_of), start=DriverResults())
    if driver.variants.all:
        print(f"{driver.variants.passed} variants passed, {driver.totals()}")
    if ending != Ending.GOOD and counts.good:
        counts.failed += 1  # the kernel log, or a machine that did not end well
    return counts.lines()


def _host_tests() -> tuple[Counts, bool]:
    """The driver's unit tests under CTest, then the scripts' own."""
    build.user(tests=True)
    done = subprocess.run(["ctest", "--output-on-failure", "--timeout", "300"],
                          cwd=build.user_folder(), capture_output=True, text=True, check=False)
    print(done.stdout if done.returncode else "".join(done.stdout.splitlines(True)[-4:]), end="")
    found = re.search(r"(\d+) tests failed out of (\d+)", done.stdout)
    total, failed = (int(found.group(2)), int(found.group(1))) if found else (0, 1)
    suite = unittest.defaultTestLoader.discover(str(build.TOP / "scripts/tests"), top_level_dir=str(build.TOP / "scripts"))
    result = unittest.TextTestRunner(verbosity=1).run(suite)
    bad = len(result.failures) + len(result.errors)
    counts = Counts(
        passed=total - failed + result.testsRun - bad - len(result.skipped),
        failed=failed + bad,
        skipped=len(result.skipped),
    )
    return counts, done.returncode == 0 and result.wasSuccessful() and total > 0


def command_check(arguments: argparse.Namespace) -> Ending:
    packages.ensure_host(HOST_PACKAGES)
    counts, good = _host_tests()
    print(counts.lines())
    return Ending.GOOD if good else Ending.FAILED


def command_check_file(arguments: argparse.Namespace) -> Ending:
    """`faultline check` with the symbols of all kernels of the cache."""
    build.user()
    symbols = []
    with cache.locked():
        for name, kernel in kernels.unpacked():
            symbols += ["--symbols", f"{name}={kallsyms.symbols_file(kernel.image)}"]
    if not symbols:
        print("faultline: the cache has no kernel yet: make run fetches one")
    done = subprocess.run([str(build.user_folder() / "faultline"), "check", *arguments.files, *symbols], check=False)
    return Ending.GOOD if done.returncode == 0 else Ending.FAILED


def _judge_is_awake(arch: Arch, kernel: kernels.UnpackedKernel, label: str) -> Counts:
    """The judge's control, in a VM of its own: a real WARN, which must turn a passing run into FAILED."""
    report = runs.run(arch, kernel, None, qemu.Bounds(300, 120), [build.warn_planter(arch)], f"{label}-planted")
    caught = report.ending == Ending.FAILED and any(finding.kind == "WARN" for finding in report.findings)
    planted = report.counts.passed == 1 and report.counts.good
    print("  the planted WARN was " + ("caught" if caught and planted else "NOT caught"))
    return Counts(passed=int(caught and planted), failed=int(not (caught and planted)))


def _debug_part(arch: Arch, bounds: qemu.Bounds) -> list[Report]:
    """A few scenarios on a kernel with debugging, if it is there: to build it takes longer than all of `make test`."""
    source = f"debian:{DEFAULT_KERNEL}"
    kernel = source_tree.cached(source, arch, debug=(DEBUG_TEST,))
    if not kernel:
        packages.say(f"! no kernel with DEBUG={DEBUG_TEST} in the cache: make run ARCH={arch.name} KSRC={source} "
                     f"DEBUG={DEBUG_TEST} builds it")
        return []
    return [runs.run(arch, kernel, driver_of(SHORT_RUNS, DEBUG_RUN), bounds, [], f"{DEBUG_TEST}-test")]


def command_test(arguments: argparse.Namespace) -> Ending:
    """Host unit tests, then one VM: every scenario, shortly, and all selftests; then the log judge's control."""
    kernel = _kernel(arguments)
    arch = ARCHES[arguments.arch]
    started = time.monotonic()
    counts, good = _host_tests()
    programs = build.selftests(kernels.source_parts(DEFAULT_KERNEL) / "tools/testing/selftests", arch)
    bounds = qemu.Bounds(arguments.timeout, arguments.quiet)
    report = runs.run(arch, kernel, driver_of(arguments.runs, arguments.run, color=coloured()), bounds, programs,
                      f"{arguments.kernel}-test", arguments.boot)
    parts = [report]
    schema.check_run(report.folder)
    if arguments.boot == DEFAULT_BOOT and not arguments.run:
        parts += [runs.run(arch, kernel, driver_of(SHORT_RUNS, names), bounds, [], f"{arguments.kernel}-test", way)
                  for way, names in SHORT_PARTS.items()]
        parts += _debug_part(arch, bounds)
    judge = _judge_is_awake(arch, kernel, arguments.kernel)
    print(f"  host tests and VMs took {time.monotonic() - started:.0f} s")
    for part in parts:
        counts += part.counts
    counts += judge
    worst = max(part.ending for part in parts)
    ending = worst if worst != Ending.GOOD or (good and judge.good) else Ending.FAILED
    print(_lines_of(ending, counts, parts))
    return ending


# Numbers of the selftests that one wants to see of a run that passed, too.
_TORTURE_SAID = re.compile(r"^# \S+?:\d+:\w+:(FUZZ_SEED=.*|.* in \d+ ms.*)$", re.MULTILINE)


def command_torture(arguments: argparse.Namespace) -> Ending:
    """Malformed calls, and loads and unloads under load: two of the selftests, for longer than `make test` has time."""
    kernel, arch = _kernel(arguments), ARCHES[arguments.arch]
    programs = build.selftests(kernels.source_parts(DEFAULT_KERNEL) / "tools/testing/selftests", arch)
    words = {"CALLS": str(arguments.calls), "CYCLES": str(arguments.cycles), "PROGRESS": "/dev/faultline/progress"}
    if arguments.seed:
        words["FUZZ_SEED"] = str(arguments.seed)
    report = runs.run(arch, kernel, None, qemu.Bounds(arguments.timeout, arguments.quiet),
                      [program for program in programs if program.name in TORTURE_PROGRAMS], f"{_name_of(arguments)}-torture",
                      arguments.boot, words)
    for machine in report.machines or [report]:
        print("".join(f"  {said}\n" for said in _TORTURE_SAID.findall(read_channel(machine.folder, "selftests"))), end="")
    print(_lines_of(report.ending, report.counts, [report]))
    return report.ending


def command_lint(arguments: argparse.Namespace) -> Ending:
    packages.ensure_host({**HOST_PACKAGES, **LINT_PACKAGES})
    kernel = kernels.stock(DEFAULT_KERNEL, ARCHES[DEFAULT_ARCH])
    return lint.run(kernel, kernels.source_parts(DEFAULT_KERNEL))


def command_kselftest(arguments: argparse.Namespace) -> Ending:
    packages.ensure_host(HOST_PACKAGES)
    print(kernels.source_parts(DEFAULT_KERNEL) / "tools/testing/selftests")
    return Ending.GOOD


def command_matrix(arguments: argparse.Namespace) -> Ending:
    """Every chosen cell; a folder with a page and the reports."""
    chosen = matrix.shard(matrix.cells(arguments.archs, arguments.kernels, arguments.boots, arguments.debugs), dict(os.environ))
    plan = matrix.Plan(driver_of(arguments.runs, arguments.run),
                       tuple(arguments.selftests.split()), qemu.Bounds(arguments.timeout, arguments.quiet),
                       arguments.update)
    folder = runs.new_folder("matrix")
    results = matrix.run(chosen, plan, folder)
    write_all(results, folder)
    print("\n" + (folder / "table.txt").read_text())
    found = [result.report for result in results if result.report]
    total = sum((report.counts for report in found), start=Counts())
    print(f"  {folder.relative_to(build.TOP)}: index.html, ktap, junit.xml, kcidb.json")
    ending = matrix.ending_of(results)
    print(_lines_of(ending, total, found))
    return ending


def command_matrix_list(arguments: argparse.Namespace) -> Ending:
    mine = matrix.shard(matrix.cells(arguments.archs, arguments.kernels, arguments.boots, arguments.debugs), dict(os.environ))
    for cell in mine:
        print(" ".join([f"{cell.arch.name:<12} {cell.kernel.series:<13}", *cell.ways]) + (f" no kernel: {cell.lacking}" if cell.lacking else ""))
    return Ending.GOOD


def command_qemu(arguments: argparse.Namespace) -> Ending:
    print(emulator.build(ARCHES["s390x"]).version)
    return Ending.GOOD


def command_controls(arguments: argparse.Namespace) -> Ending:
    """From the run that tried most of them, of equals the newest."""
    best: list[Record] = []
    most = 0
    for file in sorted((build.TOP / "runs").glob("*/json"), reverse=True):
        records = parse_driver(file.read_text(errors="replace")).records
        tried = sum(bool(record.get("control")) for record in records if record["kind"] == "variant")
        if tried > most:
            best, most = records, tried
    if not best:
        raise Trouble(Ending.USAGE, "no run in runs/ tried a control: make test")
    print(controls.table(best), end="")
    return Ending.GOOD


def command_prepare(arguments: argparse.Namespace) -> Ending:
    packages.ensure_host({**HOST_PACKAGES, **arch_packages(ARCHES[DEFAULT_ARCH], KERNELS[DEFAULT_KERNEL])})
    build.user()
    return Ending.GOOD


def command_deb(arguments: argparse.Namespace) -> Ending:
    for package in deb.build():
        print(package.relative_to(build.TOP))
    return Ending.GOOD


def command_dkms_conf(arguments: argparse.Namespace) -> Ending:
    print(meta.dkms_conf(meta.load(), (build.TOP / "packaging/dkms.conf.in").read_text()), end="")
    return Ending.GOOD


def command_findings(arguments: argparse.Namespace) -> Ending:
    """With --kernels each of these runs what shows the findings first."""
    rows = findings.read((build.TOP / "docs/findings/findings.toml").read_text())
    for row in rows:
        if not (build.TOP / "docs/findings" / row.page).exists():
            raise Trouble(Ending.USAGE, f"findings.toml: there is no {row.page}")
    arch = ARCHES[arguments.arch]
    for name in arguments.kernels.split():
        packages.ensure_host({**HOST_PACKAGES, **arch_packages(arch, kernels.rows_of(name)[0])})
        driver = driver_of(arguments.runs, findings.runs_of(rows, arguments.arch))
        runs.run(arch, kernels.stock(name, arch), driver, qemu.Bounds(arguments.timeout, arguments.quiet), [], f"{name}-findings")
    print(findings.table(rows, findings.seen_in(build.TOP / "runs")), end="")
    return Ending.GOOD


def command_cache_list(arguments: argparse.Namespace) -> Ending:
    print(cache.root())
    for name, size in cache.listing():
        print(f"{size / 1e6:8.0f} MB  {name}")
    return Ending.GOOD


def command_cache_remove(arguments: argparse.Namespace) -> Ending:
    cache.remove()
    return Ending.GOOD


COMMANDS = {
    "run": (command_run, "run scenarios in a virtual machine"),
    "replay": (command_replay, "run one schedule again, as a run printed it"),
    "report": (command_report, "the page of the last run"),
    "pair": (command_pair, "the same scenarios on two kernels: fixed, still there, regressed"),
    "bisect": (command_bisect, "which commit broke a scenario, or fixed it: git bisect over KSRC="),
    "history": (command_history, "a git tree for bisect, of two source trees and of patches"),
    "bisect-step": (command_bisect_step, "one commit, for scripts/bisect-step"),
    "explore": (command_explore, "every order of two operations, in virtual machines"),
    "check": (command_check, "host unit tests alone"),
    "check-file": (command_check_file, "is a scenario file right, and which kernel of the cache has its sites?"),
    "test": (command_test, "host unit tests, and a short run with all selftests in a VM"),
    "torture": (command_torture, "a million malformed calls, and a thousand loads and unloads under load, in a VM"),
    "lint": (command_lint, "plain words, links of pages, sparse, checkpatch, clang-format, clang-tidy, SPDX lines"),
    "kselftest": (command_kselftest, "fetch the kselftest framework; prints its folder"),
    "matrix": (command_matrix, "every machine times every kernel"),
    "matrix-list": (command_matrix_list, "the cells of the matrix, and which have no kernel"),
    "qemu-s390x": (command_qemu, "build the emulator that has huge pages on s390x"),
    "controls": (command_controls, "the table of docs/controls.md, from the newest run that tried controls"),
    "prepare": (command_prepare, "all that a run needs but its kernel: packages, as root, and the driver"),
    "deb": (command_deb, "Debian packages of the driver and of the module"),
    "dkms-conf": (command_dkms_conf, "dkms.conf, of META and packaging/dkms.conf.in"),
    "findings": (command_findings, "the table of docs/findings, from the newest run of each kernel"),
    "cache-list": (command_cache_list, "what the cache holds"),
    "cache-remove": (command_cache_remove, "remove the cache"),
}


def _positive(text: str) -> int:
    if int(text) < 1:
        raise argparse.ArgumentTypeError("at least one")
    return int(text)


def parser() -> argparse.ArgumentParser:
    endings = "\n".join(f"  {status.number}  {status.text}" for status in STATUSES if status.whose != "driver")
    top = argparse.ArgumentParser(prog="scripts/faultline-vm", description=__doc__, epilog=f"exit status:\n{endings}",
                                  formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = top.add_subparsers(dest="name", required=True)
    for name, (_, text) in COMMANDS.items():
        command = commands.add_parser(name, help=text)
        if name.startswith("matrix"):
            command.add_argument("--archs", default="", help="architectures; all if empty")
            command.add_argument("--kernels", default="", help="series; all if empty")
            command.add_argument("--boots", default="", help=f"ways to boot, of {', '.join(BOOTS)}; {DEFAULT_BOOT} if empty")
            command.add_argument("--debugs", default="", help=f"kernels built with DEBUG=, of {', '.join(DEBUG_WORDS)}, or {NO_DEBUG}: stock kernels; {NO_DEBUG} if empty")
        if name == "check-file":
            command.add_argument("files", nargs="+", metavar="FILE", help="scenario files")
        if name == "findings":
            command.add_argument("--kernels", default="", help="run the scenarios of the findings on these first")
            command.add_argument("--arch", default=DEFAULT_ARCH, choices=ARCHES)
        if name == "matrix":
            command.add_argument("--selftests", default="", help="programs; all if empty")
        if name == "explore":
            command.add_argument("--ops", default="", help="two or three operations of scenarios/explore.toml, or a scenario/variant[+control]; all pairs if empty")
            command.add_argument("--setup", default="", help="the setup of the operations")
            command.add_argument("--budget", default="5m", help="90s, 5m, 2h")
            command.add_argument("--patch", default="", help="a diff, or a list of functions: places that come first")
            command.add_argument("--options", default="", help="other options of `faultline explore`")
            command.add_argument("--controls", action="store_true", help="the controls of scenarios, each until it produces its outcome")
            command.add_argument("--forbid", default="", help="results that are wrong in any order")
            command.add_argument("--other", default="", help="the other kernel for each difference: KERNEL or KERNEL/ARCH; none")
            command.add_argument("--fresh", action="store_true", help="forget the journal of this kernel")
            command.add_argument("--quiet", type=float, default=300, help="bound of silence in one machine, seconds")
            command.add_argument("--update", action="store_true", help="ask the mirror for a newer kernel")
        if name == "history":
            command.add_argument("--ksrc", default="", help="the older tree, as in run")
            command.add_argument("--new", default="", help="the newer tree, as in run")
            command.add_argument("--under", default="mm/", help="beginnings of the names of files that get a commit each")
            command.add_argument("--apart", default="", help="patches of the newer tree that get a commit of their own, in their order")
            command.add_argument("--patches", default="", help="patches on top")
            command.add_argument("--into", default="", help="a new folder")
        if name == "bisect-step":
            command.add_argument("folder", help="the folder of the session")
        if name == "bisect":
            command.add_argument("--ksrc", default="", help="a git tree of the kernel; it stays as it is")
            command.add_argument("--good", default="", help="a commit where the scenario passes")
            command.add_argument("--bad", default="", help="a commit where it fails")
            command.add_argument("--arch", default=DEFAULT_ARCH, choices=ARCHES)
            command.add_argument("--config", default="", help="your own fragment")
            command.add_argument("--debug", default="", help="as in run")
            command.add_argument("--preempt", default="", help="as in run")
        if name == "pair":
            command.add_argument("--old", default="", help="the kernel to compare with: a series or an exact version")
            command.add_argument("--new", default="", help="the kernel to compare")
            command.add_argument("--arch", default=DEFAULT_ARCH, choices=ARCHES)
            command.add_argument("--boot", default=DEFAULT_BOOT, choices=BOOTS, help="how both kernels are booted")
        if name == "replay":
            command.add_argument("--line", required=True, help="'scenario/variant seed=N: site -> site; ...', or the whole line that a run printed")
            command.add_argument("--control", default="", help="run under this control")
            command.add_argument("--file", action="append", default=[], help="the scenario file that has it")
        if name == "torture":
            command.add_argument("--calls", type=_positive, default=1000000, help="of fuzz_test")
            command.add_argument("--cycles", type=_positive, default=1000, help="of load_test")
            command.add_argument("--seed", type=int, default=None, help="of fuzz_test, as it printed it")
            command.add_argument("--timeout", type=float, default=4 * 3600, help="bound of it all, seconds")
            command.add_argument("--quiet", type=float, default=300, help="bound of silence, seconds")
            command.add_argument("--update", action="store_true", help="ask the mirror for a newer kernel")
        if name in ("run", "replay", "test", "torture", "explore"):
            command.add_argument("--kernel", default=DEFAULT_KERNEL, help=f"{', '.join(KERNELS)}, or an exact version of one")
            command.add_argument("--arch", default=DEFAULT_ARCH, choices=ARCHES)
            command.add_argument("--boot", default=DEFAULT_BOOT, choices=BOOTS, help="how the kernel is booted")
            if name in ("run", "test"):
                command.add_argument("--command", default="", help="a command in the guest instead of `faultline run`")
            command.add_argument("--ksrc", default="", help="a kernel's source tree, which is built: a folder, an archive, a linux-source package, debian:6.12 or debian:6.12.113")
            command.add_argument("--config", default="", help="lines for its config, on top of ours")
            command.add_argument("--debug", default="", help=f"fragments of its config: {', '.join(DEBUG_WORDS)}")
            command.add_argument("--preempt", default="", help=f"its preemption: {', '.join(PREEMPT_WORDS)}; by default as Debian has it")
            command.add_argument("--kimage", default="", help="your own kernel image")
            command.add_argument("--kdir", default="", help="its build folder")
            command.add_argument("--kmodules", default="", help="its lib/modules/RELEASE, if virtio is modular")
        if name in ("run", "test", "matrix", "pair", "bisect"):
            command.add_argument("--run", default="", help="scenarios, variants, families or files (path/FILE.flt); all if empty")
        if name in ("run", "replay", "test", "matrix", "pair", "bisect", "findings"):
            if name in ("run", "pair", "bisect"):
                command.add_argument("--budget", default="", help=f"time for all scenarios together, 90s, 5m or 1h; {DEFAULT_BUDGET} without --runs")
            command.add_argument("--runs", type=_positive, default=None, help="runs of each variant; else the driver's default")
            command.add_argument("--timeout", type=float, default=3600, help="bound of a whole run, with the fresh machines that follow a crash, seconds")
            command.add_argument("--quiet", type=float, default=300, help="bound of silence in one machine, seconds")
            command.add_argument("--update", action="store_true", help="ask the mirror for a newer kernel")
    return top


def main() -> int:
    arguments = parser().parse_args()
    os.environ["LC_ALL"] = "C.UTF-8"
    try:
        return int(COMMANDS[arguments.name][0](arguments))
    except Trouble as trouble:
        print(f"faultline: {trouble}", file=sys.stderr)
        return int(trouble.ending)
    except KeyboardInterrupt:
        return int(Ending.USAGE)


if __name__ == "__main__":
    sys.exit(main())
