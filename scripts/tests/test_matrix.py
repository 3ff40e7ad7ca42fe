# SPDX-License-Identifier: GPL-2.0
"""The matrix: its cells, its shards, and their reports, without a machine."""

import json
import tempfile
import unittest
import xml.etree.ElementTree as xml
from dataclasses import asdict
from pathlib import Path
from unittest import mock

from tests import browser, kunit
from vm import matrix, qemu, reports
from vm.console import Finding
from vm.matrix import CellResult
from vm.page import page
from vm.outcome import Report, Task, assess
from vm.results import STANDINGS, Counts, TapResults, counts_of, parse_driver, parse_tap
from vm.tables import ARCHES, KERNELS, Ending, Trouble

STANDING = {"PASS": "passed", "FAIL": "failed", "SKIP": "skipped", "MISS": "missed", "ERROR": "error"}


def scenario(name: str, verdict: str, **more: object) -> dict[str, object]:
    """With one variant, and one control that was caught."""
    standing = str(more.get("standing", STANDING[verdict]))
    return {"kind": "scenario", "scenario": name, "verdict": verdict, "standing": standing, "known_bug": None,
            "why": "", "runs": 10, "overlaps": 9, "excluded": 1, "seconds": 2.5, "rate": 4.0,
            "histogram": {"seen=hole": 10}, "forbidden": [], "no_hazard_control": None,
            "power": {"overlaps": 9, "bound": None}, "variants": {STANDINGS[standing]: 1},
            "controls": {"caught": 1, "not_caught": 0, "skipped": 0, "errors": 0}, **more}


def driver_text(*records: dict[str, object]) -> str:
    """Those of scenarios are planned and counted; one that is a variant's belongs to none of them."""
    scenarios = [record for record in records if record["kind"] == "scenario"]
    counts = counts_of(record["standing"] for record in scenarios)
    begin = {"kind": "begin", "plan": len(scenarios), "names": [record["scenario"] for record in scenarios]}
    end = {"kind": "end", **asdict(counts + Counts(passed=len(scenarios))), "scenarios": asdict(counts),
           "variants": asdict(counts), "controls": {"caught": len(scenarios), "not_caught": 0, "skipped": 0, "errors": 0}}
    return "".join(json.dumps(record) + "\n" for record in (begin, *records, end))


class MatrixTest(unittest.TestCase):
    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))

    def result(self, arch: str, series: str, ending: Ending, *records: dict[str, object], text: str = "",
               findings: tuple[Finding, ...] = (), tap: TapResults | None = None) -> CellResult:
        driver = parse_driver(text or driver_text(*records))
        report = Report(ending, driver.counts, list(driver.problems), self.folder, driver,
                        {"engine_test": tap} if tap else {}, list(findings))
        facts = {"kernel": "6.12.95-x", "packages": {"linux-image-6.12.95-x": "6.12.95-1"},
                 "qemu": "QEMU 7.2", "accelerator": "tcg", "host": "h"}
        return CellResult(matrix.Cell(ARCHES[arch], KERNELS[series]), report, "", ending, 12.0, 1.7e9, facts)

    def sample(self) -> list[CellResult]:
        (self.folder / "console.log").write_text("[1.0] fine\n[2.0] WARNING: CPU: 0 <b>\n")
        known = scenario("collapse-a", "FAIL", standing="known", known_bug='fixed by "skip <shmem>" (v6.4)', forbidden=["seen=hole"], why="lost")
        return [
            self.result("x86_64", "6.12", Ending.GOOD, scenario("collapse-a", "PASS"), tap=parse_tap("1..1\nok 1 a\n")),
            self.result("x86_64", "6.1", Ending.GOOD, known),
            self.result("arm64", "6.12", Ending.FAILED, scenario("collapse-a", "MISS", why="never opened"),
                        scenario("collapse-b", "SKIP", why="no EDAT-1"), tap=parse_tap("ok 1 a\n"),
                        findings=(Finding("WARN", "WARNING: CPU: 0 <b>\x1b", 2),)),
            self.result("s390x", "6.12", Ending.PANIC, text=driver_text(scenario("collapse-a", "PASS"))[:40]),
            CellResult(matrix.Cell(ARCHES["ppc64le"], KERNELS["6.1"]), None, "64K pages only", None),
            CellResult(matrix.Cell(ARCHES["ppc64le"], KERNELS["6.12"]), None, "the module does not build", Ending.BUILD),
        ]

    def test_cells(self) -> None:
        everything = matrix.cells()
        self.assertEqual(len(everything), len(ARCHES) * len(KERNELS))
        self.assertEqual([cell.name for cell in matrix.cells("arm64,s390x", "6.12 7.2")],
                         ["arm64/6.12", "s390x/6.12", "arm64/7.2", "s390x/7.2"])
        with self.assertRaises(Trouble) as caught:
            matrix.cells("vax")
        self.assertIn("no architecture vax", str(caught.exception))
        with self.assertRaises(Trouble):
            matrix.cells("", "5.10")

    def test_cells_of_debug_kernels_are_built_and_named(self) -> None:
        cells = matrix.cells("x86_64 arm64-16k", "6.1", "stock poison", "none vm")
        self.assertEqual([cell.name for cell in cells],
                         ["x86_64/6.1", "arm64-16k/6.1", "x86_64/6.1/poison", "arm64-16k/6.1/poison",
                          "x86_64/6.1/vm", "arm64-16k/6.1/vm", "x86_64/6.1/poison/vm", "arm64-16k/6.1/poison/vm"])
        self.assertEqual([bool(cell.lacking) for cell in cells], [False, True] * 2 + [False] * 4)
        plan = matrix.Plan(None, (), qemu.Bounds(1, 1))
        with mock.patch.object(matrix.source_tree, "kernel", return_value="built") as build, \
                mock.patch.object(matrix.kernels, "stock", return_value="stock"):
            self.assertEqual([matrix._kernel(cell, plan) for cell in (cells[0], cells[4])], ["stock", "built"])
        build.assert_called_once_with("debian:6.1", ARCHES["x86_64"], debug=("vm",), update=False)
        with self.assertRaises(Trouble):
            matrix.cells(debugs="vmm")
        result = CellResult(cells[-1], None, "", Ending.BUILD)
        self.assertIn("poison<br>vm", page([result]))
        self.assertIn("6.1 poison vm", reports.table([result]))

    def test_shards_are_the_whole_and_do_not_overlap(self) -> None:
        everything = matrix.cells()
        shards = [matrix.shard(everything, {"SHARD_NUMBER": "4", "SHARD_INDEX": str(i)}) for i in range(1, 5)]
        names = [cell.name for part in shards for cell in part]
        self.assertCountEqual(names, [cell.name for cell in everything])
        self.assertEqual(matrix.shard(everything, {}), everything)
        for bad in ({"SHARD_NUMBER": "2", "SHARD_INDEX": "3"}, {"SHARD_INDEX": "0"}, {"SHARD_NUMBER": "two"}):
            with self.assertRaises(Trouble):
                matrix.shard(everything, bad)

    def test_two_at_once_only_if_cores_allow(self) -> None:
        self.assertEqual([matrix.at_once(cores) for cores in (1, 2, 3, 4, 64)], [1, 1, 1, 2, 2])

    def test_the_table_has_a_word_for_every_field(self) -> None:
        results = self.sample()
        self.assertEqual(reports.row_names(results), ["collapse-a", "engine_test", "collapse-b", "kernel log", "machine"])
        words = {(r.cell.name, row): reports.word(r, row) for r in results for row in reports.row_names(results)}
        self.assertEqual(words["x86_64/6.12", "collapse-a"], "PASS")
        self.assertEqual(words["x86_64/6.1", "collapse-a"], "KNOWN")
        self.assertEqual(words["arm64/6.12", "collapse-a"], "MISS")
        self.assertEqual(words["arm64/6.12", "kernel log"], "FAIL")
        self.assertEqual(words["arm64/6.12", "engine_test"], "FAIL")  # no plan
        self.assertEqual(words["arm64/6.12", "machine"], "PASS")
        self.assertEqual(words["s390x/6.12", "machine"], "PANIC")
        self.assertEqual(words["s390x/6.12", "collapse-a"], ".")
        self.assertEqual(words["ppc64le/6.1", "collapse-a"], "-")
        self.assertEqual(words["ppc64le/6.12", "machine"], "BUILD")
        text = reports.table(results)
        self.assertIn("- ppc64le/6.1: 64K pages only", text)
        self.assertLess(max(map(len, text.splitlines())), 120)

    def test_measures_stand_together_by_variant(self) -> None:
        def variant(value: float, control: str | None = None) -> dict[str, object]:
            return {"kind": "variant", "scenario": "a", "variant": "stack", "control": control, "standing": "passed",
                    "measures": [{"value": 7.25, "what": "folios", "note": None},
                                 {"value": value, "what": "bytes", "note": "in <f>"}]}

        results = [self.result("x86_64", "6.12", Ending.GOOD, variant(1600), variant(1, "blind")),
                   self.result("arm64", "7.2", Ending.GOOD, variant(2207.7))]
        self.assertEqual(
            reports.measures_text(results),
            "measured\n"
            "a/stack  x86_64/6.12  7.2 folios\na/stack  arm64/7.2  7.2 folios\n"
            "a/stack  x86_64/6.12  1600 bytes (in <f>)\na/stack  arm64/7.2  2208 bytes (in <f>)\n")
        self.assertIn("<td>2208</td><td>bytes</td><td>in &lt;f&gt;</td>", page(results))
        self.assertEqual(reports.measures_text(self.sample()), "")
        self.assertNotIn("Measured", page(self.sample()))

    def test_an_incomplete_driver_is_seen_in_the_table(self) -> None:
        cut = self.result("x86_64", "6.12", Ending.FAILED, text=driver_text(scenario("a", "PASS"))[:-20])
        self.assertEqual(reports.word(cut, "machine"), "ERROR")

    def test_a_selftest_that_is_not_there_is_no_pass(self) -> None:
        programs = [Path("abi_test"), Path("engine_test")]
        self.assertEqual(matrix._named(programs, ("engine_test",)), [Path("engine_test")])
        with self.assertRaises(Trouble):
            matrix._named(programs, ("engin_test",))

    def test_a_selftest_that_ended_badly_is_seen_in_the_table(self) -> None:
        (self.folder / "selftests").write_text("== engine_test\n1..1\nok 1 a\n")
        (self.folder / "status").write_text("engine_test 139\nend\n")
        result = self.result("x86_64", "6.12", Ending.FAILED)
        result.report = assess(self.folder, Ending.GOOD, Task(None, ("engine_test",)))
        self.assertEqual(result.report.ending, Ending.FAILED)
        self.assertEqual(reports.word(result, "engine_test"), "FAIL")

    def test_an_unexpected_pass_is_no_pass(self) -> None:
        record = scenario("a", "PASS", known_bug="fix", standing="xpass")
        self.assertEqual(reports.word(self.result("x86_64", "6.1", Ending.FAILED, record), "a"), "XPASS")

    def test_the_worst_ending_is_the_matrix_ending(self) -> None:
        self.assertEqual(matrix.ending_of(self.sample()), Ending.PANIC)
        self.assertEqual(matrix.ending_of(self.sample()[:2]), Ending.GOOD)
        self.assertEqual(matrix.ending_of([]), Ending.USAGE)

    def test_ktap_nests_and_meets_its_plans(self) -> None:
        text = reports.ktap(self.sample())
        top = parse_tap(text)
        self.assertEqual(top.problems, [])
        self.assertEqual((top.counts.passed, top.counts.failed, top.counts.skipped), (2, 3, 1))
        self.assertIn('  ok 1 collapse-a # XFAIL lost; fixed by "skip <shmem>" (v6.4)', text)
        self.assertIn("  ok 2 collapse-b # SKIP no EDAT-1", text)

    def test_kunit_reads_the_ktap(self) -> None:
        for results, wanted in ((self.sample(), (1, {"passed": 9, "failed": 5, "skipped": 2})),
                                (self.sample()[:2], (0, {"passed": 7}))):
            file = self.folder / "all.ktap"
            file.write_text(reports.ktap(results))
            self.assertEqual(kunit.parse(self, file), wanted)

    def test_junit_parses_and_counts(self) -> None:
        suites = {s.get("name"): s for s in xml.fromstring(reports.junit(self.sample()))}
        arm = suites["arm64/6.12"]
        self.assertEqual([arm.get(k) for k in ("tests", "failures", "errors", "skipped")], ["5", "2", "1", "1"])
        self.assertEqual(suites["s390x/6.12"].get("errors"), "1")
        self.assertEqual(suites["ppc64le/6.1"].get("skipped"), "1")

    def test_kcidb_is_valid_and_a_broken_one_is_not(self) -> None:
        data = reports.kcidb(self.sample(), "20260101-matrix")
        reports.validate(data)
        statuses = {t["id"].split("-matrix-")[1]: t["status"] for t in data["tests"]}  # type: ignore[union-attr,index]
        numbers = {t["path"]: t["number"] for t in data["tests"] if "number" in t}  # type: ignore[union-attr]
        self.assertEqual(numbers["faultline.collapse-a.overlaps"], {"value": 9, "unit": "overlaps"})
        self.assertEqual(numbers["faultline.collapse-a.rate"], {"value": 4.0, "unit": "runs/s"})
        self.assertNotIn("faultline.collapse-a.bound", numbers)  # null: no bound is known
        self.assertEqual(statuses["arm64/6.12-collapse-a-overlaps"], "DONE")
        bounded = self.result("x86_64", "6.12", Ending.GOOD, scenario("b", "PASS", power={"overlaps": 100, "bound": 0.0295}))
        [bound] = [t["number"] for t in reports.kcidb([bounded], "s")["tests"] if t["path"] == "faultline.b.bound"]  # type: ignore[union-attr,index,call-overload]
        self.assertEqual((round(bound["value"], 6), bound["unit"]), (2.95, "%"))
        self.assertEqual(statuses["arm64/6.12-collapse-a"], "MISS")
        self.assertEqual(statuses["x86_64/6.1-collapse-a"], "FAIL")
        self.assertEqual(statuses["ppc64le/6.12-machine"], "MISS")
        self.assertEqual(len(data["issues"]), 1)  # type: ignore[arg-type]
        self.assertEqual(len({t["id"] for t in data["tests"]}), len(data["tests"]))  # type: ignore[union-attr,index,arg-type]
        data["tests"][0]["status"] = "KNOWN"  # type: ignore[index]
        with self.assertRaises(Trouble) as caught:
            reports.validate(data)
        self.assertIn("tests/0/status", str(caught.exception))
        with self.assertRaises(Trouble):
            reports.validate({"version": {"major": 4}})

    def test_a_browser_opens_it(self) -> None:
        file = self.folder / "matrix.html"
        file.write_text(page(self.sample()))
        self.assertIn("<h1>Faultline matrix</h1>", browser.dom(self, file))

    def test_a_field_leads_to_its_evidence(self) -> None:
        results = self.sample()
        self.assertIn('<a href="#x86_64-6.12">PASS</a>', page(results))  # no page of the run: the part of this one
        (self.folder / "index.html").write_text("")
        text = page(results)
        self.assertIn('<a href="x86_64-6.12/index.html#collapse-a">PASS</a>', text)
        self.assertIn('<a href="arm64-6.12/index.html#collapse-b">SKIP</a>', text)
        self.assertIn('<a href="#arm64-6.12">FAIL</a>', text)  # the kernel's log

    def test_the_page_has_the_evidence_and_escapes_it(self) -> None:
        text = page(self.sample())
        self.assertIn('<span class="bad">[2.0] WARNING: CPU: 0 &lt;b&gt;</span>', text)
        self.assertNotIn("skip <shmem>", text)
        for result in self.sample():
            self.assertIn(f'id="{result.cell.name.replace("/", "-")}"', text)
