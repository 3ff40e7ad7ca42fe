# SPDX-License-Identifier: GPL-2.0
"""The mark channel, and what a machine that died leaves of its run."""

import json
import shlex
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from vm.outcome import Driver, Report, Task, assess
from vm.results import ControlCounts, Counts, parse_driver, parse_marks, under_way
from vm.tables import BOOTS, CRASHES, Ending
from vm import initramfs, qemu, runs

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
    def assess(self, ending: Ending, marks: str, *driver: dict[str, object], log: str = "") -> Report:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "mark").write_text(marks)
            (folder / "json").write_text(lines(*driver))
            (folder / "console.log").write_text(log)
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

    def test_under_a_control_it_is_one_that_was_not_caught(self) -> None:
        start = {**START, "scenario": "c", "control": "panics", "schedule": "c/v:"}
        report = self.assess(Ending.PANIC, lines(start, run(1)), BEGIN, ENDED, {**ENDED, "scenario": "b"})
        self.assertEqual(report.driver.controls, ControlCounts(not_caught=1))
        self.assertEqual((report.counts.passed, report.counts.failed, report.counts.errors), (2, 1, 0))

    def test_a_scenario_that_lost_its_record_runs_again_and_counts_once(self) -> None:
        lost = {"kind": "variant", "scenario": "b", "variant": "v", "control": None, "standing": "passed"}
        caught = {**lost, "control": "k", "verdict": "FAIL", "caught": True}
        other = {**lost, "scenario": "c", "variant": "u", "control": "panics", "verdict": "FAIL", "caught": True}
        start = {**START, "scenario": "c", "control": "panics", "schedule": "c/v:"}
        report = self.assess(Ending.PANIC, lines(start, run(1)), BEGIN, ENDED, lost, caught, other)
        assert report.rest.driver
        self.assertEqual(report.rest.driver.names, "b")
        self.assertEqual([r.get("variant") for r in report.driver.of("variant")], ["u"])
        self.assertEqual(report.driver.variants, Counts(passed=1))  # of a
        self.assertEqual(report.driver.controls, ControlCounts(caught=1, not_caught=1))  # of c

    CONTROLLED = {**START, "control": "k", "caught_by": r"VM_BUG_ON\(x.?\)", "schedule": "b/v:"}
    LOG = ("[ 1.0] faultline: begin b/v+k\n[ 1.1] page dumped because: VM_BUG_ON(x')\n[ 1.1] kernel BUG at mm/filemap.c:155!\n"
           "[ 1.2] Kernel panic - not syncing: Fatal exception\n")

    def test_what_the_kernel_caught_by_itself_is_caught_and_the_scenario_goes_on_without(self) -> None:
        plain = {"kind": "variant", "scenario": "b", "variant": "v", "control": None, "standing": "passed"}
        report = self.assess(Ending.PANIC, lines(self.CONTROLLED, run(1)), BEGIN, ENDED, plain, log=self.LOG)
        self.assertEqual((report.ending, report.problems, report.findings, report.crashes), (Ending.GOOD, [], [], []))
        self.assertEqual(report.caught, "b/v+k: VM_BUG_ON(x')")
        assert report.rest.driver
        self.assertEqual(report.rest.driver.names, "b c+panics")
        words = shlex.split(report.rest.driver.options)
        self.assertEqual(words[words.index("--caught") + 1], "b/v+k=VM_BUG_ON(x')")
        self.assertEqual(report.driver.of("variant"), [])  # it runs again, and counts once
        self.assertEqual(report.driver.variants, Counts(passed=1))

    def test_nothing_else_is_such_a_catch(self) -> None:
        plain = {**self.CONTROLLED, "control": None}
        elsewhere = self.LOG.replace("b/v+k", "b/v")
        ended = self.LOG.replace("[ 1.1] page", "[ 1.1] faultline: end b/v+k\n[ 1.1] page")
        for start, log, ending in (
                (self.CONTROLLED, self.LOG.replace("VM_BUG_ON", "VM_WARN_ON"), Ending.PANIC),  # another line
                (self.CONTROLLED, elsewhere, Ending.PANIC), (self.CONTROLLED, ended, Ending.PANIC),
                (self.CONTROLLED, self.LOG, Ending.HANG), (plain, self.LOG, Ending.PANIC),
                ({**self.CONTROLLED, "caught_by": "VM_BUG_ON("}, self.LOG, Ending.PANIC),  # no regular expression
                ({**self.CONTROLLED, "caught_by": None}, self.LOG, Ending.PANIC)):
            report = self.assess(ending, lines(start, run(1)), BEGIN, ENDED, log=log)
            self.assertEqual((report.ending, report.counts.failed, len(report.crashes)), (ending, 1, 1))

    def test_a_machine_that_had_not_begun_is_not_tried_again(self) -> None:
        report = self.assess(Ending.LOST, "")
        self.assertFalse(report.rest)
        self.assertEqual(report.crashes, [])
        self.assertEqual(report.ending, Ending.LOST)


class ResumeTest(unittest.TestCase):
    """Machine after machine, with a program in QEMU's place."""

    def setUp(self) -> None:
        top = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.enterContext(mock.patch.object(runs.build, "TOP", top))
        self.enterContext(mock.patch.object(runs, "say"))
        self.folder = top / "run"
        self.folder.mkdir()
        (self.folder / "versions.json").write_text('{"boot": {}}')

    def boot(self, *machines: str, total: float = 20, way: str = "stock", budget: int | None = None) -> Report:
        """Each is a shell script in the run folder of its machine."""
        left = iter(machines)
        prepared = runs.Prepared(
            self.folder, initramfs.Archive(), lambda _, place: ["sh", "-c", f"cd '{place}'; {next(left)}"],
            Task(Driver("faultline run --json j", "all", budget=budget), ()), (), BOOTS[way], "a test")
        return runs.boot(prepared, qemu.Bounds(total, 20), show=False)

    @staticmethod
    def says(name: str, *records: dict[str, object]) -> str:
        return f"cat >> {name} <<'E'\n{lines(*records)}E\n"

    def dies(self, how: str) -> str:
        return self.says("json", BEGIN, ENDED) + self.says("mark", START, run(1), run(2)) + how

    PANIC = "echo '[ 1.0] Kernel panic - not syncing: x' > console.log"
    REST = {**BEGIN, "plan": 1, "names": ["c+panics"]}
    END = {"kind": "end", "passed": 1, "scenarios": {"passed": 1}, "variants": {"passed": 1}, "controls": {}}

    def test_the_rest_runs_in_a_fresh_machine(self) -> None:
        well = self.says("json", self.REST, {**ENDED, "scenario": "c"}, self.END) \
            + "echo faultline 0 > status; echo end >> status"
        report = self.boot(self.dies(self.PANIC), well)
        self.assertEqual((report.ending, len(report.machines)), (Ending.PANIC, 2))
        self.assertEqual([(r["scenario"], r["verdict"]) for r in report.driver.of("scenario")],
                         [("a", "PASS"), ("b", "PANIC"), ("c", "PASS")])
        self.assertEqual((report.counts.passed, report.counts.failed, report.counts.errors), (2, 1, 0))
        self.assertIn("# replay: faultline replay 'b/v seed=102: x@enter:f -> y@user:go'\nnot ok 2 b # PANIC",
                      (self.folder / "ktap").read_text())
        written = [json.loads(line) for line in (self.folder / "json").read_text().splitlines()]
        self.assertEqual([record["kind"] for record in written], ["begin", "scenario", "scenario", "scenario", "end"])

    def test_a_control_that_the_kernel_caught_leaves_a_good_run(self) -> None:
        log = CrashTest.LOG.replace("'", "")
        dies = self.says("json", BEGIN, ENDED) + self.says("mark", CrashTest.CONTROLLED, run(1)) + \
            f"cat > console.log <<'E'\n{log}E\n"
        begin = {**BEGIN, "plan": 2, "names": ["b", "c+panics"]}
        counted = {"kind": "end", "passed": 3, "scenarios": {"passed": 2}, "variants": {"passed": 2}, "controls": {"caught": 1}}
        well = self.says("json", begin, {**ENDED, "scenario": "b", "controls": {"caught": 1}}, {**ENDED, "scenario": "c"}, counted) \
            + "echo faultline 0 > status; echo end >> status"
        report = self.boot(dies, well)
        self.assertEqual((report.ending, report.problems, len(report.machines)), (Ending.GOOD, [], 2))
        self.assertEqual([(r["scenario"], r["verdict"]) for r in report.driver.of("scenario")],
                         [("a", "PASS"), ("b", "PASS"), ("c", "PASS")])
        self.assertEqual(report.driver.controls, ControlCounts(caught=1))

    def test_the_time_bound_is_of_all_machines_together(self) -> None:
        report = self.boot(self.dies("exec sleep 60"), "the second machine never runs", total=1)
        self.assertEqual((report.ending, len(report.machines)), (Ending.TIMEOUT, 1))
        self.assertEqual(report.driver.of("scenario")[-1]["why"], "not run: the run's 1 seconds were over")
        self.assertEqual((report.counts.failed, report.counts.errors), (1, 1))

    def test_a_fresh_machine_has_what_is_left_of_the_time(self) -> None:
        shorter = self.boot(self.dies(f"sleep 2; {self.PANIC}"), "exec sleep 60", total=5)
        self.assertEqual([machine.ending for machine in shorter.machines], [Ending.PANIC, Ending.TIMEOUT])

    def commands(self, *machines: str, budget: int | None) -> list[str]:
        """The driver's command in each machine."""
        with mock.patch.object(runs, "script", wraps=runs.script) as script:
            self.boot(*machines, budget=budget)
        return [call.args[0] for call in script.call_args_list]

    def test_a_fresh_machine_has_what_is_left_of_the_budget(self) -> None:
        dies = self.dies(f"sleep 2; {self.PANIC}")
        again = self.says("json", {**self.REST, "plan": 2, "names": ["c+panics", "d"]}) + f"sleep 1; {self.PANIC}"
        first, second, third = self.commands(dies, again, "true", budget=100)
        self.assertEqual(first, "faultline run --json j --budget 100 all")
        self.assertRegex(second, r"^faultline run --json j --budget 9[0-8] c\+panics$")
        self.assertRegex(third, r"^faultline run --json j --budget (8\d|9[0-7]) d$")

    def test_a_budget_that_is_gone_leaves_no_scenario_out(self) -> None:
        _, second = self.commands(self.dies(f"sleep 2; {self.PANIC}"), "true", budget=1)
        self.assertEqual(second, "faultline run --json j --budget 1 c+panics")

    def test_without_a_budget_there_is_none_in_the_next_machine(self) -> None:
        self.assertEqual(self.commands(self.dies(self.PANIC), "true", budget=None)[1], "faultline run --json j c+panics")

    def test_a_machine_that_crashed_says_that_it_was_not_poisoned(self) -> None:
        report = self.boot(self.dies(self.PANIC), *["kill -9 $$"] * 4, way="poison")
        self.assertEqual(report.ending, Ending.PANIC)
        self.assertIn("machine 1: the kernel was not booted with poison: no line says that pages that nobody cleared have the pattern",
                      report.problems)


class BootTest(unittest.TestCase):
    TOOK = ("[    0.1] Kernel command line: console=x init_on_alloc=0 page_poison=1 slub_debug=FZPU\n"
            "[    0.2] mem auto-init: stack:all(zero), heap alloc:off, heap free:off\n"
            "[    3.1] faultline: slab kmalloc-64 sanity_checks=1 red_zone=1 poison=1 store_user=1\n"
            "[    3.2] faultline: poisoned-pages yes 4096 of 4096 bytes that nobody cleared are 0xaa\n"
            "[    3.2] faultline: poisoned-objects yes 63 of 63 bytes that nobody cleared are 0x6b\n")

    def test_poison_must_have_been_taken(self) -> None:
        way = BOOTS["poison"]
        self.assertEqual(runs.judge_boot(way, self.TOOK)[1], [])
        for line in self.TOOK.splitlines(True):
            self.assertEqual(len(runs.judge_boot(way, self.TOOK.replace(line, ""))[1]), 1, line)
        cleared = self.TOOK.replace("pages yes 4096 of", "pages no 0 of")
        self.assertEqual(runs.judge_boot(way, cleared)[1],
                         ["the kernel was not booted with poison: no line says that pages that nobody cleared have the pattern"])
        refused = self.TOOK + '[    0.1] Unknown kernel command line parameters "page_poison=1"\n'
        self.assertEqual(len(runs.judge_boot(way, refused)[1]), 1)

    def test_a_stock_boot_asks_for_nothing(self) -> None:
        self.assertEqual(runs.judge_boot(BOOTS["stock"], ""), ({}, []))


if __name__ == "__main__":
    unittest.main()
