# SPDX-License-Identifier: GPL-2.0
"""Which commit broke a scenario, or fixed it: git bisect over a kernel tree.

The tree is cloned (its objects are shared), so that the user's own stays as it is. First BAD must fail and GOOD must
pass: what fails on BAD, and how often, is what each step looks for."""

import json
import re
import subprocess
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from enum import Enum
from pathlib import Path

from . import build, compare, qemu, runs, source_tree
from .command_line import driver_of
from .compare import AFTER, CHANCE, Seen
from .outcome import Report
from .packages import say
from .tables import ARCHES, CRASHES, ENDING_TEXT, Ending, Trouble

SCRIPT = build.TOP / "scripts/bisect-step"


class Step(Enum):
    """The state of a commit."""

    GOOD = "good"
    BAD = "bad"
    SKIP = "skip"  # it cannot be tested
    ABORT = "abort"  # our own fault: nothing is known of it


# Statuses of `faultline-vm bisect-step`, which scripts/bisect-step translates for git. No fault of the scripts ends with one.
LIKE_OLDER, LIKE_NEWER, UNTESTED, STOP = 10, 11, 12, 13


# A variant's name: its failure on BAD, and the share of runs; None: the kernel's log or its end, not counted.
Signs = dict[str, dict[str, float | None]]


def signs_of(report: Report) -> Signs:
    return {name: {sign: count / max(seen.overlaps, count) if sign in seen.histogram else None for sign, count in seen.signs.items()}
            for name, seen in compare.seen_of(report).items() if seen.signs}


def _variants(all_seen: dict[str, Seen], wanted: Signs) -> list[Seen]:
    """That must pass on a good commit: those that fail on BAD. A complaint under a control, or behind all variants, asks for
    the whole scenario, or for all."""
    variants = [seen for name, seen in all_seen.items() if name != AFTER and not (seen.record or {}).get("control")]
    if any(name == AFTER or "/" not in name for name in wanted):
        return variants
    parts = {name if "+" not in name else name.partition("/")[0] for name in wanted}
    return [seen for seen in variants if {seen.name, seen.name.partition("/")[0]} & parts]


def _unproven(seen: Seen, wanted: Signs) -> str:
    """Why a variant without a failure does not show that a commit is good; "" if it does."""
    if seen.no_claim:
        return f"{seen.name}: {seen.no_claim}"
    if not seen.caught:
        return f"{seen.name}: no control was caught"
    for share in wanted.get(seen.name, {}).values():
        if share and (risk := (1 - share) ** seen.overlaps) >= CHANCE:
            return f"{seen.name}: not seen in {seen.overlaps} overlaps, which is chance with p = {risk:.2g}: more RUNS="
    return ""


def decide(report: Report, wanted: Signs | None) -> tuple[Step, str]:
    """`wanted`: what BAD showed; None: this is BAD, and any failure will do."""
    all_seen = compare.seen_of(report)
    if report.ending == Ending.LOST:
        return Step.ABORT, ENDING_TEXT[report.ending]
    if report.ending == Ending.USAGE:
        return Step.ABORT, "; ".join(report.problems)
    if not report.driver.records:
        return Step.SKIP, f"did not come to the tests: {ENDING_TEXT[report.ending]}"
    if report.driver.problems and report.ending not in CRASHES:
        return Step.ABORT, "; ".join(report.driver.problems)
    found = signs_of(report)
    same = [f"{name}: {sign}" for name, signs in found.items() for sign in signs if wanted is None or sign in wanted.get(name, {})]
    if same:
        return Step.BAD, "; ".join(same)
    errors = [seen.name for seen in all_seen.values() if (seen.record or {}).get("verdict") == "ERROR"]
    if errors:
        return Step.ABORT, f"ERROR, Faultline's own fault: {', '.join(errors)}"
    if found:
        return Step.SKIP, "fails in another way than BAD: " + "; ".join(f"{name}: {', '.join(signs)}" for name, signs in found.items())
    if report.ending in CRASHES:
        return Step.SKIP, ENDING_TEXT[report.ending]
    variants = _variants(all_seen, wanted or {})
    missing = sorted(name for name in wanted or {} if "/" in name and "+" not in name and name not in all_seen)
    unproven = [why for seen in variants if (why := _unproven(seen, wanted or {}))] + [f"{name}: no result" for name in missing]
    if unproven or not variants:
        return Step.SKIP, "; ".join(unproven) or "no variant has a result"
    return Step.GOOD, "; ".join(f"{seen.name}: {seen.text()}" for seen in variants)


@dataclass
class Session:
    """The data that all steps share; a file in the folder, as git starts each of them."""

    tree: str  # our clone
    arch: str
    names: str
    runs: int | None = None
    budget: int | None = None
    config: str = ""
    debug: tuple[str, ...] = ()
    preempt: str = ""
    timeout: float = 3600
    quiet: float = 300
    mends: bool = False  # BAD is older than GOOD: which commit fixed it?
    wanted: Signs | None = None
    steps: list[dict[str, str]] = field(default_factory=list)

    @staticmethod
    def load(folder: Path) -> "Session":
        facts = json.loads((folder / "session.json").read_text())
        return Session(**{**facts, "debug": tuple(facts["debug"])})

    def save(self, folder: Path) -> None:
        file = folder / "session.json"
        fresh = file.with_suffix(".new")
        fresh.write_text(json.dumps(asdict(self), indent=1) + "\n")
        fresh.rename(file)


def git(tree: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(tree), *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Trouble(Ending.USAGE, f"git -C {tree} {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout.strip()


def commit_of(tree: Path, name: str) -> str:
    return git(tree, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}") if name else ""


def clone(source: Path, tree: Path) -> None:
    """Shares the objects of the user's tree and has refs of its own. One that is there is used again: what it
    built stays, and the next step builds only what differs."""
    if not (tree / ".git").exists():
        tree.parent.mkdir(parents=True, exist_ok=True)
        git(source, "clone", "--quiet", "--shared", "--no-checkout", str(source), str(tree))


Tester = Callable[[Session, Path], Report]  # builds the checked-out tree and runs the scenarios on it


def boot_tester(session: Session, place: Path) -> Report:
    """The real one. A driver that does not build is our own fault, not the commit's."""
    arch = ARCHES[session.arch]
    try:
        build.user(arch)
    except Trouble as trouble:
        raise Trouble(Ending.USAGE, str(trouble)) from trouble
    kernel = source_tree.kernel(session.tree, arch, session.config, session.debug, session.preempt)
    prepared = runs.prepare(arch, kernel, driver_of(session.runs, session.names, session.budget), [], place)
    return runs.boot(prepared, qemu.Bounds(session.timeout, session.quiet))


def status(answer: Step, mends: bool) -> int:
    if answer in (Step.SKIP, Step.ABORT):
        return UNTESTED if answer == Step.SKIP else STOP
    return LIKE_NEWER if (answer == Step.BAD) != mends else LIKE_OLDER


def step(folder: Path, test: Tester) -> Step:
    """Test the checked-out tree. The result is one of four answers in any case."""
    session = Session.load(folder)
    tree = Path(session.tree)
    head, subject = git(tree, "rev-parse", "HEAD"), git(tree, "log", "-1", "--format=%s")
    place = folder / f"{len(session.steps) + 1:02}-{head[:12]}"
    place.mkdir()
    say(f"step {len(session.steps) + 1}: {head[:12]} {subject}")
    report = None
    try:
        report = test(session, place)
        answer, why = decide(report, session.wanted)
    except Trouble as trouble:
        answer = Step.SKIP if trouble.ending == Ending.BUILD else Step.ABORT
        why = str(trouble)
    if session.wanted is None and answer == Step.BAD and report:
        session.wanted = signs_of(report)
    session.steps.append({"commit": head, "subject": subject, "answer": answer.name, "why": why, "folder": place.name})
    session.save(folder)
    say(f"{answer.name}: {why}")
    return answer


def _end(folder: Path, name: str, commit: str, expected: Step, script: Path) -> None:
    """BAD and GOOD are what they are called, or no answer of git's would mean anything. Each step is a process of its own:
    while it lives, nobody else builds in its tree's folder."""
    session = Session.load(folder)
    git(Path(session.tree), "checkout", "--quiet", "--detach", "--force", commit)
    subprocess.run([script, folder], check=False)
    steps = Session.load(folder).steps
    if len(steps) == len(session.steps):
        raise Trouble(Ending.USAGE, f"{name}={commit[:12]} was not tested: {script} did not end")
    last = steps[-1]
    if last["answer"] != expected.name:
        raise Trouble(Ending.USAGE, f"{name}={commit[:12]} is {last['answer']}, not {expected.name}: {last['why']}\n"
                      f"  its run: {folder / last['folder']}")


@dataclass(frozen=True)
class Found:
    first: str  # commit; "" if those that cannot be tested stand before it
    candidates: tuple[str, ...]  # then, any of these
    log: str


def _result(tree: Path, output: str) -> Found:
    log = git(tree, "bisect", "log")
    if found := re.search(r"^([0-9a-f]{40}) is the first (?:bad|mended) commit", output, re.MULTILINE):
        return Found(found.group(1), (), log)
    left = re.search(r"The first (?:bad|mended) commit could be any of:\n((?:[0-9a-f]{40}\n)+)", output)
    return Found("", tuple(left.group(1).split()) if left else (), log)


def _older(tree: Path, one: str, other: str) -> bool:
    done = subprocess.run(["git", "-C", str(tree), "merge-base", "--is-ancestor", one, other], check=False, capture_output=True)
    return done.returncode == 0


def search(folder: Path, good: str, bad: str, script: Path = SCRIPT) -> Found:
    """Both ends, then `git bisect run`."""
    session = Session.load(folder)
    tree = Path(session.tree)
    session.mends = _older(tree, bad, good)
    session.save(folder)
    _end(folder, "BAD", bad, Step.BAD, script)
    _end(folder, "GOOD", good, Step.GOOD, script)
    try:
        terms = ["--term-old=broken", "--term-new=mended", good, bad] if session.mends else [bad, good]
        git(tree, "bisect", "start", *terms)
        with open(folder / "bisect.log", "w+", encoding="utf-8") as log:
            with subprocess.Popen(["git", "-C", str(tree), "bisect", "run", str(script), str(folder)],
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as running:
                assert running.stdout
                for line in running.stdout:
                    print(line, end="" if line.endswith("\n") else "\n", flush=True)
                    log.write(line)
            log.seek(0)
            found = _result(tree, log.read())
        if not found.first and not found.candidates:
            last = Session.load(folder).steps[-1]
            raise Trouble(Ending.USAGE, f"the bisection stopped at {last['commit'][:12]}: {last['answer']}: {last['why']}\n"
                          f"  its log: {folder / 'bisect.log'}; the command begins anew, and what is built stays")
        return found
    finally:
        subprocess.run(["git", "-C", str(tree), "bisect", "reset", "--quiet"], check=False, capture_output=True)


def table(session: Session) -> str:
    return "\n".join(f"  {one['answer']:<6} {one['commit'][:12]} {one['subject'][:60]:<60}  {one['why'].splitlines()[0][:100]}"
                     for one in session.steps)


def text(folder: Path, found: Found) -> str:
    session = Session.load(folder)
    tree = Path(session.tree)
    lines = [table(session)]
    what = "mended" if session.mends else "bad"
    if found.first:
        lines.append(f"first {what} commit: {git(tree, 'log', '-1', '--format=%H%n  %an, %as: %s', found.first)}")
    else:
        lines.append(f"the first {what} commit is one of these, which cannot all be tested:")
        lines += [f"  {git(tree, 'log', '-1', '--format=%h %s', commit)}" for commit in found.candidates]
    return "\n".join(lines)
