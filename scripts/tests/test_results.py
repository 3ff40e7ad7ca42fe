# SPDX-License-Identifier: GPL-2.0
"""Parsers of the side channels, broken input too; and how a run folder is judged."""

import json
import tempfile
import unittest
from pathlib import Path

from vm.outcome import Driver, Report, Task, assess, split_selftests
from vm.results import ControlCounts, Counts, parse_driver, parse_status, parse_tap
from vm.runs import script
from vm.tables import Ending

BEGIN = json.dumps({"kind": "begin", "version": "0.1", "kernel": "6.12", "machine": "x86_64", "plan": 1, "names": ["a"]})
PARTS = {
    "variants": {"passed": 2, "failed": 0, "skipped": 1, "known": 0, "missed": 0, "errors": 0},
    "controls": {"caught": 1, "not_caught": 0, "skipped": 1, "errors": 0},
}
SCENARIO = json.dumps({"kind": "scenario", "scenario": "a", "verdict": "PASS", "standing": "passed", **PARTS})
TOTAL = {"passed": 3, "failed": 0, "skipped": 2, "known": 0, "missed": 0, "errors": 0}
ONE = {"passed": 1, "failed": 0, "skipped": 0, "known": 0, "missed": 0, "errors": 0}
END = json.dumps({"kind": "end", **TOTAL, "scenarios": ONE, **PARTS})


class DriverTest(unittest.TestCase):
    def test_complete(self) -> None:
        results = parse_driver(f"{BEGIN}\n{SCENARIO}\n{END}\n")
        self.assertEqual(results.problems, [])
        self.assertEqual(results.scenarios, Counts(passed=1))
        self.assertEqual(results.variants, Counts(passed=2, skipped=1))
        self.assertEqual(results.controls, ControlCounts(caught=1, skipped=1))
        self.assertEqual(results.counts, Counts(passed=3, skipped=2))
        self.assertEqual(results.totals(), "1 of 3 variants skipped, 1 of 2 controls caught, 1 skipped")

    def test_no_end_record_is_named(self) -> None:
        results = parse_driver(f"{BEGIN}\n{SCENARIO}\n")
        self.assertIn("the driver did not finish", results.problems[0])

    def test_a_cut_line_is_named(self) -> None:
        results = parse_driver(f"{BEGIN}\n{SCENARIO[:20]}")
        self.assertIn("line 2 of the JSON results is cut", results.problems[0])

    def test_a_line_that_is_no_record_is_named(self) -> None:
        self.assertIn("has no kind", parse_driver(f"{BEGIN}\n[1]\n{END}\n").problems[0])

    def test_nothing_at_all(self) -> None:
        self.assertEqual(len(parse_driver("").problems), 2)

    def test_fewer_scenarios_than_planned(self) -> None:
        self.assertIn("1 scenarios were planned, 0 were reported", parse_driver(f"{BEGIN}\n{END}\n").problems)


class TapTest(unittest.TestCase):
    def test_counts(self) -> None:
        tap = parse_tap(
            "TAP version 13\n1..5\n# text\nok 1 a\nnot ok 2 b\nok 3 c # SKIP no such thing\n"
            "  not ok 1 nested\nnot ok 4 d # XFAIL known\nok 5 global.e\n"
        )
        self.assertEqual(tap.counts, Counts(passed=2, failed=1, skipped=1, known=1))
        self.assertEqual(tap.failures, ["not ok 2 b"])
        self.assertEqual(tap.problems, [])

    def test_missing_plan(self) -> None:
        self.assertEqual(parse_tap("ok 1 a\n").problems, ["no plan"])

    def test_results_cut_off(self) -> None:
        self.assertEqual(parse_tap("1..3\nok 1 a\nok 2").problems, ["3 results were planned, 2 were reported"])

    def test_everything_skipped(self) -> None:
        tap = parse_tap("1..0 # SKIP not root\n")
        self.assertEqual((tap.counts, tap.problems), (Counts(skipped=1), []))


class StatusTest(unittest.TestCase):
    def test_end_and_codes(self) -> None:
        status = parse_status("faultline 1\nabi_test 0\nend\n")
        self.assertEqual(status.codes, {"faultline": 1, "abi_test": 0})
        self.assertTrue(status.ended)

    def test_cut(self) -> None:
        self.assertFalse(parse_status("faultline 0\nen").ended)


class AssessTest(unittest.TestCase):
    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.put("json", f"{BEGIN}\n{SCENARIO}\n{END}\n")
        self.put("selftests", "== abi_test\n1..1\nok 1 a\n")
        self.put("status", "faultline 0\nabi_test 0\nend\n")
        self.put("console.log", "[ 1.0] Linux version\n")

    def put(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)

    def assess(self, ending: Ending = Ending.GOOD) -> Ending:
        return self.report(ending).ending

    def report(self, ending: Ending = Ending.GOOD) -> Report:
        return assess(self.folder, ending, Task(Driver("faultline run --json x"), ("abi_test",)))

    def test_good(self) -> None:
        report = self.report()
        self.assertEqual((report.ending, report.counts, report.problems), (Ending.GOOD, Counts(passed=4, skipped=2), []))

    def test_a_warning_in_the_log_fails_a_run_whose_tests_passed(self) -> None:
        self.put("console.log", "[ 1.0] WARNING: CPU: 0 PID: 1 at mm/x.c:1\n")
        self.assertEqual(self.assess(), Ending.FAILED)

    def test_a_failed_selftest_fails_the_run(self) -> None:
        self.put("selftests", "== abi_test\n1..1\nnot ok 1 a\n")
        self.assertEqual(self.assess(), Ending.FAILED)

    def test_a_selftest_that_said_nothing_fails_the_run(self) -> None:
        self.put("selftests", "")
        self.assertEqual(self.assess(), Ending.FAILED)

    def test_a_killed_selftest_fails_the_run(self) -> None:
        self.put("status", "faultline 0\nabi_test 137\nend\n")
        self.assertEqual(self.assess(), Ending.FAILED)

    def test_a_driver_that_did_not_finish_fails_the_run(self) -> None:
        self.put("json", BEGIN)
        self.assertEqual(self.assess(), Ending.FAILED)

    def test_the_other_endings_stay_what_they_are(self) -> None:
        for ending in (Ending.LOST, Ending.PANIC, Ending.HANG, Ending.TIMEOUT):
            self.assertEqual(self.assess(ending), ending)

    def test_outputs_of_selftests_are_told_apart(self) -> None:
        self.assertEqual(split_selftests("noise\n== a\n1\n== b\n2\n"), {"a": "1\n", "b": "2\n"})

    def test_the_guests_script_reports_each_step(self) -> None:
        text = script("faultline run", ["abi_test"])
        self.assertIn('echo "faultline $?"', text)
        self.assertIn('echo "abi_test $code"', text)


if __name__ == "__main__":
    unittest.main()
