# SPDX-License-Identifier: GPL-2.0
"""Bisection: the answers of a step, and git's answer over a small history. A file of each commit has its behaviour."""

import os
import shutil
import subprocess
import sys
import tempfile
import unittest
import unittest.mock
from pathlib import Path

from tests.reports import report, scenario, variant
from vm import bisect
from vm.bisect import Session, Step, decide, signs_of
from vm.outcome import Report
from vm.tables import Ending, Trouble

BAD = "moved=lost"
CAUGHT = variant("a/v+blind", {BAD: 1}, (BAD,))
PAGE = "BUG: Bad page state in process faultline  pfn:11ffff"

FAILS = report(variant("a/v", {BAD: 20}, (BAD,)), scenario("a", "failed"), ending=Ending.FAILED)
PASSES = report(variant("a/v", {"moved=kept": 20}), CAUGHT, scenario("a"))
RARE = report(variant("a/v", {BAD: 1, "moved=kept": 19}, (BAD,)), scenario("a", "failed"), ending=Ending.FAILED)
LOUD = report(variant("a/v", {"moved=kept": 20}), CAUGHT, scenario("a"), ending=Ending.FAILED, findings=(("BUG", PAGE, "a/v"),))
LOUD_LATE = report(variant("a/v", {"moved=kept": 20}), CAUGHT, scenario("a"), ending=Ending.FAILED, findings=(("BUG", PAGE, ""),))
MISSES = report(variant("a/v", {"moved=kept": 20}, verdict="MISS", overlaps=0), scenario("a", "missed"), ending=Ending.FAILED)
SKIPS = report(variant("a/v", {}, verdict="SKIP", why="no site"), scenario("a", "skipped"))
ERRS = report(variant("a/v", {}, verdict="ERROR", why="no memory"), scenario("a", "error"), ending=Ending.FAILED)
NO_BOOT = report(ending=Ending.PANIC)
PANICS = report(scenario("a", "failed"), ending=Ending.PANIC, crash="a/v")
LOST = report(scenario("a", "failed"), ending=Ending.LOST, crash="a/v")
OTHER = report(variant("a/v", {"moved=twice": 20}, ("moved=twice",)), scenario("a", "failed"), ending=Ending.FAILED)


class DecideTest(unittest.TestCase):
    def step(self, found: Report, bad: Report = FAILS) -> Step:
        return decide(found, signs_of(bad))[0]

    def test_the_table(self) -> None:
        for found, answer in ((FAILS, Step.BAD), (RARE, Step.BAD), (PASSES, Step.GOOD), (MISSES, Step.SKIP), (SKIPS, Step.SKIP),
                              (NO_BOOT, Step.SKIP), (OTHER, Step.SKIP), (PANICS, Step.SKIP), (LOUD, Step.SKIP), (ERRS, Step.ABORT),
                              (LOST, Step.ABORT)):
            self.assertEqual(self.step(found), answer, found)

    def test_never_good_without_an_overlap_and_a_caught_control(self) -> None:
        kept = {"moved=kept": 20}
        not_caught = variant("a/v+blind", {"moved=kept": 20}, verdict="PASS")
        skipped = variant("a/v+blind", {}, verdict="SKIP")
        for records in ((variant("a/v", kept), scenario("a")),
                        (variant("a/v", kept), skipped, scenario("a")),
                        (variant("a/v", kept), CAUGHT, not_caught, scenario("a")),
                        (variant("a/v", kept, overlaps=0), CAUGHT, scenario("a")),
                        (variant("a/v", kept), CAUGHT, scenario("a", "uncontrolled")),
                        (variant("a/other", kept), CAUGHT, scenario("a"))):
            self.assertEqual(self.step(report(*records)), Step.SKIP, records)

    def test_a_rare_failure_that_is_not_seen_may_be_luck(self) -> None:
        self.assertEqual(self.step(PASSES, RARE), Step.SKIP)
        many = report(variant("a/v", {"moved=kept": 200}), CAUGHT, scenario("a"))
        self.assertEqual(self.step(many, RARE), Step.GOOD)

    def test_a_result_that_is_cut_is_our_fault(self) -> None:
        cut = report(variant("a/v", {"moved=kept": 20}), CAUGHT, scenario("a"), ending=Ending.FAILED, problems=("no end record",))
        self.assertEqual(self.step(cut), Step.ABORT)

    def test_a_crash_or_a_complaint_that_bad_has_is_bad(self) -> None:
        self.assertEqual(self.step(PANICS, PANICS), Step.BAD)
        self.assertEqual(self.step(PASSES, PANICS), Step.GOOD)
        self.assertEqual(self.step(LOUD, LOUD), Step.BAD)
        self.assertEqual(self.step(PASSES, LOUD), Step.GOOD)
        self.assertEqual(self.step(LOUD_LATE, LOUD_LATE), Step.BAD)
        self.assertEqual(self.step(PASSES, LOUD_LATE), Step.GOOD)
        self.assertEqual(self.step(MISSES, LOUD_LATE), Step.SKIP)

    def test_of_bad_itself_any_failure_will_do(self) -> None:
        for found, answer in ((OTHER, Step.BAD), (LOUD, Step.BAD), (PANICS, Step.BAD), (NO_BOOT, Step.SKIP), (ERRS, Step.ABORT)):
            self.assertEqual(decide(found, None)[0], answer)

    def test_no_status_of_a_step_is_one_of_a_fault(self) -> None:
        ours = {bisect.status(answer, mends) for answer in Step for mends in (False, True)}
        self.assertFalse(ours & {0, 1, 2, *(int(ending) for ending in Ending)})
        self.assertEqual(bisect.status(Step.GOOD, False), bisect.status(Step.BAD, True))


REPORTS = {"passes": PASSES, "fails": FAILS, "misses": MISSES, "skips": SKIPS, "panics at boot": NO_BOOT, "errs": ERRS, "other": OTHER}


def fake_test(session: Session, place: Path) -> Report:
    """The kernel builder and the machine: the tree says what they come to."""
    what = (Path(session.tree) / "state").read_text().strip()
    if what == "does not build":
        raise Trouble(Ending.BUILD, "the kernel does not build")
    if what == "breaks the script":
        sys.exit(1)  # as Python does when it cannot import a module
    return REPORTS[what]


FAKE_VM = """\
#!/bin/sh
PYTHONPATH={scripts} exec {python} -B -c '
import sys
from pathlib import Path
from tests.test_bisect import fake_test
from vm import bisect
folder = Path(sys.argv[2])
sys.exit(bisect.status(bisect.step(folder, fake_test), bisect.Session.load(folder).mends))
' "$@" > /dev/null 2>&1
"""


class HistoryTest(unittest.TestCase):
    def setUp(self) -> None:
        self.top = Path(self.enterContext(tempfile.TemporaryDirectory()))
        scripts = Path(__file__).resolve().parents[1]
        (self.top / "bin").mkdir()
        shutil.copy(scripts / "bisect-step", self.top / "bin")
        fake = self.top / "bin/faultline-vm"
        fake.write_text(FAKE_VM.format(scripts=scripts, python=sys.executable))
        fake.chmod(0o755)
        self.source = self.top / "linux"
        self.source.mkdir()

    def git(self, *words: str) -> str:
        identity = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@b"}
        return subprocess.run(["git", "-C", str(self.source), *words], check=True, capture_output=True, text=True,
                              env={**os.environ, **identity}).stdout.strip()

    def history(self, *states: str) -> list[str]:
        self.git("init", "--quiet")
        commits = []
        for number, state in enumerate(states):
            (self.source / "state").write_text(state + "\n")
            (self.source / "number").write_text(f"{number}\n")
            self.git("add", "-A")
            self.git("commit", "--quiet", "-m", f"{number}: {state}")
            commits.append(self.git("rev-parse", "HEAD"))
        return commits

    def search(self, good: str, bad: str) -> tuple[bisect.Found, Path]:
        tree, folder = self.top / "tree", self.top / "session"
        folder.mkdir()
        bisect.clone(self.source, tree)
        Session(str(tree), "x86_64", "a").save(folder)
        with open(os.devnull, "w", encoding="ascii") as nowhere, unittest.mock.patch("sys.stdout", nowhere):
            return bisect.search(folder, good, bad, self.top / "bin/bisect-step"), folder

    def test_the_first_bad_commit(self) -> None:
        commits = self.history("passes", "passes", "passes", "misses", "passes", "fails", "fails", "fails", "does not build", "fails")
        (self.source / "state").write_text("a change that is not committed\n")
        found, folder = self.search(commits[0], commits[-1])
        self.assertEqual(found.first, commits[5])
        self.assertIn("first bad commit: " + commits[5], bisect.text(folder, found))
        self.assertEqual((self.source / "state").read_text(), "a change that is not committed\n")
        self.assertEqual(self.git("status", "--porcelain"), "M state")

    def test_what_cannot_be_tested_is_never_the_answer(self) -> None:
        commits = self.history("passes", "passes", "misses", "does not build", "skips", "panics at boot", "other", "fails", "fails")
        found, folder = self.search(commits[0], commits[-1])
        self.assertEqual((found.first, set(found.candidates)), ("", set(commits[2:8])))
        answers = {one["subject"].partition(": ")[2]: one["answer"] for one in Session.load(folder).steps}
        for state in ("misses", "does not build", "skips", "panics at boot", "other"):
            self.assertEqual(answers.get(state, "SKIP"), "SKIP")
        self.assertIn("one of these", bisect.text(folder, found))

    def test_the_commit_that_mended_it(self) -> None:
        commits = self.history("fails", "fails", "misses", "fails", "passes", "passes", "passes")
        found, folder = self.search(commits[-1], commits[0])
        self.assertEqual(found.first, commits[4])
        self.assertIn("first mended commit", bisect.text(folder, found))

    def test_ends_that_are_not_what_they_are_called(self) -> None:
        commits = self.history("passes", "fails", "misses", "does not build")
        for good, bad, word in ((0, 2, "BAD="), (2, 1, "GOOD="), (1, 1, "GOOD="), (0, 0, "BAD="), (0, 3, "does not build")):
            with self.assertRaises(Trouble) as caught:
                self.search(commits[good], commits[bad])
            self.assertIn(word, str(caught.exception))
            shutil.rmtree(self.top / "session")

    def test_our_own_fault_ends_it(self) -> None:
        commits = self.history("breaks the script", "fails")
        with self.assertRaises(Trouble) as caught:
            self.search(commits[0], commits[1])
        self.assertIn("GOOD=" + commits[0][:12] + " was not tested", str(caught.exception))
        for folder in ("session", "tree", "linux/.git"):
            shutil.rmtree(self.top / folder)
        for state in ("errs", "breaks the script"):
            commits = self.history("passes", state, "fails")
            with self.assertRaises(Trouble) as caught:
                self.search(commits[0], commits[2])
            self.assertIn("the bisection stopped", str(caught.exception))
            for folder in ("session", "tree", "linux/.git"):
                shutil.rmtree(self.top / folder)

    def test_a_script_that_does_not_start_ends_it(self) -> None:
        commits = self.history("passes", "passes", "fails", "fails")
        (self.top / "bin/faultline-vm").unlink()
        with self.assertRaises(Trouble):
            self.search(commits[0], commits[-1])

    def test_no_tree_and_no_commit(self) -> None:
        with self.assertRaises(Trouble):
            bisect.commit_of(self.source, "v6.12")
        [commit] = self.history("passes")
        self.assertEqual(bisect.commit_of(self.source, "HEAD"), commit)
        for name in ("v6.12", "--all"):
            with self.assertRaises(Trouble):
                bisect.commit_of(self.source, name)
