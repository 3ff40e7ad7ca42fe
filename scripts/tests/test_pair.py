# SPDX-License-Identifier: GPL-2.0
"""Two runs compared, and the two kernels of a pair."""

import json
import os
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from tests.reports import report, scenario, variant
from vm import compare, kernels, pair
from vm.compare import DIFFERS, FIXED, NO_CLAIM, REGRESSED, SAME, STILL, chance
from vm.outcome import Driver, Report, Task, assess
from vm.tables import ARCHES, KNOWN_LOGS, KNOWN_PAIRS, Ending, KnownPair, Trouble

RECORDS = Path(__file__).parent / "logs"
BAD = "moved=lost stray=found"
GOOD = "moved=kept stray=none"
PAGE = "BUG: Bad page state in process faultline  pfn:11ffff"


def failing(runs: int = 10, of: int = 10) -> Report:
    return report(variant("a/v", {BAD: runs, GOOD: of - runs} if of > runs else {BAD: runs}, (BAD,)), scenario("a", "failed"))


def passing(runs: int = 10, *more: dict[str, object]) -> Report:
    return report(variant("a/v", {GOOD: runs}), *more, scenario("a"))


def words(old: Report, new: Report) -> dict[str, str]:
    return {row.name: row.word for row in compare.compare(old, new)}


class WordTest(unittest.TestCase):
    def word(self, old: Report, new: Report) -> str:
        return words(old, new)["a/v"]

    def test_each_word(self) -> None:
        self.assertEqual(self.word(failing(), passing()), FIXED)
        self.assertEqual(self.word(passing(), failing()), REGRESSED)
        self.assertEqual(self.word(failing(), failing(3)), STILL)
        self.assertEqual(self.word(passing(), passing(1000)), SAME)

    def test_a_known_bug_is_a_failure_and_its_absence_a_pass(self) -> None:
        known = report(variant("a/v", {BAD: 9}, (BAD,), standing="known"), scenario("a", "known"))
        xpass = report(variant("a/v", {GOOD: 9}, standing="xpass"), scenario("a", "xpass"))
        self.assertEqual(self.word(known, xpass), FIXED)

    def test_another_failure_is_a_regression(self) -> None:
        other = report(variant("a/v", {"moved=twice": 10}, ("moved=twice",)), scenario("a", "failed"))
        self.assertEqual(self.word(failing(), other), REGRESSED)

    def test_no_claim_without_a_run_that_could_have_shown_it(self) -> None:
        for verdict in ("MISS", "SKIP", "ERROR"):
            empty = report(variant("a/v", {}, verdict=verdict, why="no site"), scenario("a", "missed"))
            for old, new in ((failing(), empty), (empty, failing()), (passing(), empty), (empty, empty)):
                # The old kernel showed it; but nothing is known of the other kernel.
                self.assertEqual(self.word(old, new), NO_CLAIM, verdict)
            [row] = compare.compare(failing(), empty)
            self.assertEqual(row.new.text(), f"{verdict}: no site")
        self.assertEqual(self.word(failing(), report(scenario("b"))), NO_CLAIM)
        self.assertEqual(self.word(failing(), report(variant("a/v", {GOOD: 9}, overlaps=0), scenario("a"))), NO_CLAIM)
        self.assertEqual(self.word(failing(), report(variant("a/v", {GOOD: 9}), scenario("a", "uncontrolled"))), NO_CLAIM)

    def test_a_pass_whose_control_was_not_caught_is_none(self) -> None:
        blind = passing(10, variant("a/v+blind", {GOOD: 10}, verdict="PASS"))
        caught = passing(10, variant("a/v+blind", {BAD: 1}, (BAD,)))
        self.assertEqual(self.word(failing(), blind), NO_CLAIM)
        self.assertEqual(self.word(failing(), caught), FIXED)

    def test_luck_is_no_fix(self) -> None:
        self.assertEqual(self.word(failing(1, 10), passing(10)), NO_CLAIM)
        self.assertEqual(self.word(failing(1, 10), passing(1000)), FIXED)
        self.assertEqual(self.word(passing(2), failing(1, 2)), NO_CLAIM)
        self.assertAlmostEqual(chance((0, 10), (10, 10)), 1 / 184756)
        self.assertAlmostEqual(chance((0, 5), (1, 5)), 0.5)
        self.assertEqual(chance((0, 0), (0, 0)), 1.0)

    def test_allowed_outcomes_in_other_shares(self) -> None:
        old = report(variant("a/v", {"x=ok": 50}), scenario("a"))
        new = report(variant("a/v", {"x=EAGAIN": 50}), scenario("a"))
        self.assertEqual(self.word(old, new), DIFFERS)
        self.assertEqual(self.word(old, report(variant("a/v", {"x=ok": 48, "x=EAGAIN": 2}), scenario("a"))), SAME)

    def test_a_complaint_of_the_kernel_in_a_run_is_a_regression(self) -> None:
        loud = report(variant("a/v", {GOOD: 10}), scenario("a"), ending=Ending.FAILED,
                      findings=(("Bad page state", PAGE, "a/v"), ("Bad page state", PAGE.replace("11ffff", "120000"), "a/v")))
        [row] = compare.compare(passing(), loud)
        self.assertEqual(row.word, REGRESSED)
        self.assertIn("Bad page state", row.new.text())
        self.assertIn("2 lines", row.new.text())
        self.assertEqual(self.word(loud, passing()), FIXED)
        self.assertEqual(self.word(loud, loud), STILL)

    def test_complaints_outside_of_variants_and_under_controls_have_rows(self) -> None:
        loud = report(variant("a/v", {GOOD: 10}), variant("a/v+c", {BAD: 1}, (BAD,)), scenario("a"),
                      findings=(("Bad page state", PAGE, ""), ("Bad page state", PAGE, "a/v+c")))
        quiet = passing(10, variant("a/v+c", {BAD: 1}, (BAD,)))
        self.assertEqual(words(quiet, loud), {"a/v": SAME, "a/v+c": REGRESSED, compare.AFTER: REGRESSED})
        self.assertEqual([row.name for row in compare.shown(compare.compare(quiet, quiet))], ["a/v"])

    def test_a_crash_is_a_sign(self) -> None:
        dead = report(scenario("a", "failed"), ending=Ending.PANIC, crash="a/v")
        self.assertEqual(self.word(passing(), dead), REGRESSED)


class EndingTest(unittest.TestCase):
    def pair(self, old: Report, new: Report) -> pair.Pair:
        return pair.Pair(ARCHES["x86_64"], ("6.12.95", "6.12.117"), (old, new), compare.compare(old, new))

    def test_the_status(self) -> None:
        skip = report(variant("a/v", {}, verdict="SKIP", why="no HVO"), scenario("a", "skipped"))
        miss = report(variant("a/v", {GOOD: 4}, verdict="MISS", overlaps=0), scenario("a", "missed"))
        both = report(variant("a/v", {GOOD: 9}), variant("a/w", {}, verdict="SKIP"), scenario("a"))
        for old, new, ending in ((failing(), passing(), Ending.GOOD), (failing(), failing(), Ending.GOOD),
                                 (passing(), failing(), Ending.FAILED), (passing(), miss, Ending.UNDECIDED),
                                 (skip, skip, Ending.UNDECIDED), (both, both, Ending.GOOD)):
            self.assertEqual(self.pair(old, new).ending, ending)

    def test_the_text_has_both_histograms_and_the_bound(self) -> None:
        text = pair.text(self.pair(failing(), passing(59)))
        self.assertIn("fixed", text)
        self.assertRegex(text, rf"(?m)^ +10 +\.  !{BAD}$")
        self.assertRegex(text, rf"(?m)^ +\. +59   {GOOD}$")
        self.assertIn("not seen: < 5 % in 59 overlaps (100 %)", text)
        self.assertTrue(text.endswith("6.12.95 -> 6.12.117 x86_64: 1 fixed\n"))

    def test_the_files(self) -> None:
        done = self.pair(failing(), passing())
        facts = json.loads(json.dumps(pair.facts(done)))
        self.assertEqual((facts["ending"], facts["rows"][0]["says"], facts["rows"][0]["old"]["wrong"]), ("GOOD", "fixed", {BAD: 10}))
        page = pair.page(self.pair(passing(), report(variant("a/<v>", {GOOD: 1}), scenario("a"))))
        self.assertIn("a/&lt;v&gt;", page)
        self.assertNotIn("<v>", page)


class RecordedTest(unittest.TestCase):
    """The driver's records of both kernels, whole and cut."""

    def report(self, version: str, keep: int | None = None, log: str = "") -> Report:
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        lines = (RECORDS / f"hugetlb-mremap-{version}.json").read_text().splitlines(keepends=True)
        (folder / "json").write_text("".join(lines[:keep]))
        (folder / "status").write_text("faultline 0\nend\n")
        (folder / "console.log").write_text(log)
        return assess(folder, Ending.GOOD, Task(Driver("faultline run --json /dev/faultline/json"), ()))

    def test_the_fix_of_mremap(self) -> None:
        self.assertEqual(words(self.report("6.12.95"), self.report("6.12.117")),
                         {"hugetlb-mremap/private": FIXED, "hugetlb-mremap/half": SAME, "hugetlb-mremap/half+corrupted": SAME,
                          "hugetlb-mremap/private+moved-by-mask": NO_CLAIM, "hugetlb-mremap/private+not-moved": SAME})
        shown = {row.name for row in compare.shown(compare.compare(self.report("6.12.95"), self.report("6.12.117")))}
        self.assertEqual(shown, {"hugetlb-mremap/private", "hugetlb-mremap/half"})

    def test_the_same_kernel_twice_differs_by_nothing(self) -> None:
        for version, word in (("6.12.95", STILL), ("6.12.117", SAME)):
            said = words(self.report(version), self.report(version))
            self.assertEqual((said["hugetlb-mremap/private"], said["hugetlb-mremap/half"]), (word, SAME))

    def test_a_result_that_is_cut_claims_nothing_of_what_is_missing(self) -> None:
        for keep in range(2):
            said = words(self.report("6.12.95"), self.report("6.12.117", keep))
            self.assertEqual(said["hugetlb-mremap/private"], NO_CLAIM)
            self.assertNotIn(FIXED, said.values())

    def test_lines_of_the_log_belong_to_their_variant(self) -> None:
        log = (f"[1.0] faultline: begin hugetlb-mremap/half\n[1.1] {PAGE}\n[1.2] faultline: end hugetlb-mremap/half\n"
               f"[1.3] {PAGE}\n")
        said = words(self.report("6.12.95"), self.report("6.12.117", log=log))
        self.assertEqual((said["hugetlb-mremap/private"], said["hugetlb-mremap/half"], said[compare.AFTER]), (FIXED, REGRESSED, REGRESSED))


class KnownPairTest(unittest.TestCase):
    def test_a_known_difference_that_is_not_shown_is_said(self) -> None:
        known = [KnownPair("a", "6.12.95", "6.12.117", FIXED, "a commit"), KnownPair("a/v", "6.12.95", "6.12.117", FIXED, "a commit")]
        names = ("6.12.95", "6.12.117")
        arch = ARCHES["x86_64"]
        self.assertEqual(pair.unlike(pair.Pair(arch, names, (failing(), passing()), compare.compare(failing(), passing())), known), [])
        for old, new, word in ((failing(), failing(), STILL), (report(), report(), "no result")):
            lines = pair.unlike(pair.Pair(arch, names, (old, new), compare.compare(old, new)), known)
            self.assertEqual(len(lines), 2)
            self.assertIn(f"now {word}", lines[0])

    def test_the_table_has_words_of_pairs_and_exact_versions(self) -> None:
        for one in KNOWN_PAIRS:
            self.assertIn(one.says, pair.WORDS)
            self.assertTrue(kernels.EXACT.fullmatch(one.old) and kernels.EXACT.fullmatch(one.new) and one.commit)
            self.assertTrue(kernels.rows_of(one.old) and kernels.rows_of(one.new))


class ExactKernelTest(unittest.TestCase):
    """Kernels by their exact version, without a mirror."""

    def setUp(self) -> None:
        self.cache = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.enterContext(mock.patch.dict(os.environ, {"FAULTLINE_CACHE": str(self.cache)}))
        self.arch = ARCHES["x86_64"]

    def unpack(self, series: str, release: str, version: str, old: bool = False) -> None:
        folder = self.cache / "kernels" / f"{series}_x86_64_{release}"
        (folder / "lib/modules" / release).mkdir(parents=True)
        (folder / "lib/modules" / release / "modules.dep").touch()
        (folder / "kernel.json").write_text(json.dumps({"release": release, "packages": {"image": version}, "old": old}))

    def test_a_word_names_its_rows(self) -> None:
        self.assertEqual([row.series for row in kernels.rows_of("6.12.117")], ["6.12", "6.12-security"])
        self.assertEqual([row.series for row in kernels.rows_of("6.1.192")], ["6.1"])
        self.assertEqual([row.series for row in kernels.rows_of("7.3-rc7")], ["7.3-rc"])
        self.assertEqual([row.series for row in kernels.rows_of("6.12")], ["6.12"])
        for word in ("6.13.1", "6.12.x", "6.12.117+deb12", "", "6.1.0-57-amd64"):
            with self.assertRaises(Trouble):
                kernels.rows_of(word)

    def test_one_of_the_cache_needs_no_mirror(self) -> None:
        self.unpack("6.12", "6.12.95+deb12-amd64", "6.12.95-1~bpo12+1")
        self.unpack("6.12-security", "6.12.113+deb12-amd64", "6.12.113-1~deb12u1", old=True)
        self.unpack("6.1", "6.1.0-57-amd64", "6.1.192-3")
        with mock.patch.object(kernels, "_fetch", side_effect=AssertionError("asked the mirror")):
            self.assertEqual(kernels.stock("6.12.113", self.arch).release, "6.12.113+deb12-amd64")
            self.assertEqual(kernels.stock("6.12.95", self.arch).release, "6.12.95+deb12-amd64")
            self.assertEqual(kernels.stock("6.1.192", self.arch).release, "6.1.0-57-amd64")
            self.assertEqual(kernels.stock("6.12", self.arch).release, "6.12.95+deb12-amd64")

    def test_an_old_one_does_not_stand_for_its_series(self) -> None:
        self.unpack("6.12-security", "6.12.113+deb12-amd64", "6.12.113-1~deb12u1", old=True)

        def fetch(row: kernels.Kernel, arch: kernels.Arch, version: str = "") -> None:
            self.assertEqual(version, "")
            self.unpack(row.series, "6.12.117+deb12-amd64", "6.12.117-1~deb12u1")

        with mock.patch.object(kernels, "_fetch", side_effect=fetch):
            self.assertEqual(kernels.stock("6.12-security", self.arch).release, "6.12.117+deb12-amd64")

    def test_every_row_is_asked_and_each_says_why_not(self) -> None:
        asked = []

        def fetch(row: kernels.Kernel, arch: kernels.Arch, version: str = "") -> None:
            asked.append(row.series)
            raise Trouble(Ending.USAGE, f"{row.series} has it not")

        with mock.patch.object(kernels, "_fetch", side_effect=fetch), self.assertRaises(Trouble) as caught:
            kernels.stock("6.12.99", self.arch)
        self.assertEqual(asked, ["6.12", "6.12-security"])
        self.assertIn("6.12-security has it not", str(caught.exception))

    def test_versions_of_packages(self) -> None:
        for debian, version in (("6.1.192-3", "6.1.192"), ("7.3~rc7-1~exp1", "7.3-rc7"), ("6.12.95-1~bpo12+1", "6.12.95"), ("", "")):
            self.assertEqual(kernels.upstream_version(debian), version)

    def test_which_releases_have_a_bug(self) -> None:
        self.assertTrue(kernels.has_bug("6.12.95", "6.1, 6.12 < 6.12.114"))
        self.assertTrue(kernels.has_bug("6.1.192", "6.1, 6.12 < 6.12.114"))
        self.assertFalse(kernels.has_bug("6.12.114", "6.1, 6.12 < 6.12.114"))
        self.assertFalse(kernels.has_bug("6.12.95", "6.1"))
        self.assertFalse(kernels.has_bug("", "6.1"))
        rows = [row for row in KNOWN_LOGS if kernels.has_bug("6.12.117", row.releases)]
        self.assertEqual(rows, [])
