# SPDX-License-Identifier: GPL-2.0
"""The mark channel, and what a machine that died leaves of its run."""

import json
import tempfile
import unittest
from pathlib import Path

from vm.outcome import Driver, Report, Task, assess
from vm.results import parse_driver, parse_marks, under_way
from vm.tables import BOOTS, CRASHES, Ending
from vm import runs

SCHEDULE = "b/v: x@enter:f -> y@user:go"
START = {"kind": "start", "scenario": "b", "variant": "v", "control": None, "schedule": SCHEDULE, "runs": 9}
BEGIN = {"kind": "begin", "kernel": "6.12.95", "machine": "x86_64", "plan": 3, "names": ["a", "b", "c+panics"]}
ENDED = {"kind": "scenario", "scenario": "a", "verdict": "PASS", "standing": "passed", "known_bug": None, "why": "",
         "variants": {"passed": 1, "failed": 0, "skipped": 0, "known": 0, "missed": 0, "errors": 0},
         "controls": {"caught": 0, "not_caught": 0, "skipped": 0, "errors": 0}}


def lines(*records: dict[str, object]) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)


def run(number: int) -> dict[str, object]:
    return {"kind": "run", "run": number, "seed": 100 + number}


class MarkTest(unittest.TestCase):
    def place(self, marks: str, *driver: dict[str, object]) -> object:
        return under_way(parse_driver(lines(*driver), cut=True), parse_marks(marks))

    def test_the_last_mark_names_the_run_and_its_replay_line(self) -> None:
        point = self.place(lines(START, run(1), run(2)), BEGIN, ENDED)
        self.assertEqual(point.name, "b/v")
        self.assertEqual((point.index, point.run, point.seed, point.doubt), (1, 2, 102, ""))
        self.assertEqual(point.replay, "faultline replay 'b/v seed=102: x@enter:f -> y@user:go'")

    def test_a_control_is_part_of_the_replay_line(self) -> None:
        start = {**START, "scenario": "c", "control": "panics", "schedule": "c/v:"}
        point = self.place(lines(start, run(1)), BEGIN, ENDED, {**ENDED, "scenario": "b"})
        self.assertEqual(point.name, "c/v+panics")
        self.assertEqual(point.replay, "faultline replay 'c/v seed=101:' --control panics")

    def test_a_cut_mark_leaves_a_doubt(self) -> None:
        point = self.place(lines(START, run(1)) + '{"kind":"run","ru', BEGIN, ENDED)
        self.assertEqual((point.run, point.doubt != ""), (1, True))

    def test_no_mark_names_the_scenario_alone(self) -> None:
        point = self.place("", BEGIN, ENDED)
        self.assertEqual((point.scenario, point.variant, point.replay), ("b", "", ""))

    def test_a_variant_whose_record_came_is_not_under_way(self) -> None:
        variant = {"kind": "variant", "scenario": "b", "variant": "v", "control": None, "standing": "passed"}
        self.assertEqual(self.place(lines(START, run(1)), BEGIN, ENDED, variant).variant, "")

    def test_lines_that_are_no_marks_are_named(self) -> None:
        marks = parse_marks(lines(run(1)) + "noise\n[]\n" + lines(START, run(2)))
        self.assertEqual(len(marks.problems), 3)
        self.assertEqual(marks.run, run(2))


class CrashTest(unittest.TestCase):
    def assess(self, ending: Ending, marks: str, *driver: dict[str, object]) -> Report:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "mark").write_text(marks)
            (folder / "json").write_text(lines(*driver))
            (folder / "console.log").write_text("")
            return assess(folder, ending, Task(Driver("faultline run --json j", "all"), ("engine_test",)))

    def test_each_bad_end_is_a_failure_that_names_the_run_and_leaves_the_rest(self) -> None:
        self.assertEqual(set(CRASHES), {Ending.PANIC, Ending.HANG, Ending.LOST, Ending.TIMEOUT})
        for ending in CRASHES:
            report = self.assess(ending, lines(START, run(7)), BEGIN, ENDED)
            self.assertEqual(report.ending, ending)
            self.assertIn("b/v, run 7 (seed 107)", report.crashes[0].text)
            self.assertIn("seed=107", report.crashes[0].replay)
            self.assertEqual(report.crashes[0].record()["verdict"], ending.name)
            self.assertEqual((report.counts.passed, report.counts.failed), (1, 1))
            assert report.rest.driver
            self.assertEqual((report.rest.driver.names, report.rest.programs), ("c+panics", ("engine_test",)))

    def test_a_machine_that_had_not_begun_is_not_tried_again(self) -> None:
        report = self.assess(Ending.LOST, "")
        self.assertFalse(report.rest)
        self.assertEqual(report.crashes, [])
        self.assertEqual(report.ending, Ending.LOST)


class BootTest(unittest.TestCase):
    TOOK = ("[    0.1] Kernel command line: console=x init_on_alloc=0 page_poison=1 slub_debug=FZPU\n"
            "[    0.2] mem auto-init: stack:all(zero), heap alloc:off, heap free:off\n"
            "[    3.1] faultline: slab kmalloc-64 sanity_checks=1 red_zone=1 poison=1 store_user=1\n")

    def test_poison_must_have_been_taken(self) -> None:
        way = BOOTS["poison"]
        self.assertEqual(runs.judge_boot(way, self.TOOK)[1], [])
        for line in self.TOOK.splitlines(True):
            self.assertEqual(len(runs.judge_boot(way, self.TOOK.replace(line, ""))[1]), 1, line)
        refused = self.TOOK + '[    0.1] Unknown kernel command line parameters "page_poison=1"\n'
        self.assertEqual(len(runs.judge_boot(way, refused)[1]), 1)

    def test_a_stock_boot_asks_for_nothing(self) -> None:
        self.assertEqual(runs.judge_boot(BOOTS["stock"], ""), ({}, []))


if __name__ == "__main__":
    unittest.main()
