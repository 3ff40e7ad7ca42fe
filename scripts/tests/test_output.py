# SPDX-License-Identifier: GPL-2.0
"""The driver's output, read by others: the kernel's kunit.py, the schema, and a browser."""

import copy
import json
import os
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from tests import browser, kunit
from vm import __main__ as commands
from vm import build, run_page, schema
from vm.command_line import coloured, driver_of, replay_line, replay_of
from vm.outcome import Report, Task, assess, json_lines
from vm.results import Counts, Record, parse_driver, parse_tap
from vm.tables import ENDING_TEXT, STATUSES, Ending, Trouble, parse_statuses

DRIVER_TESTS = build.user_folder() / "faultline_tests"


class NextTest(unittest.TestCase):
    """The end of the output of `make run`."""

    def lines(self, records: list[Record], options: list[str]) -> str:
        report = Report(Ending.GOOD, Counts(), [], build.TOP / "runs/x")
        report.driver.records = records
        return commands._what_next(report, commands.parser().parse_args(["run", *options]))

    def variant(self, name: str, standing: str, control: str | None = None) -> Record:
        return {"kind": "variant", "variant": name, "standing": standing, "control": control, "replay": None,
                "examples": [{"replay": f"a/{name} seed=1: x -> y"}]}

    def test_a_bad_run_is_replayed_first_with_the_same_kernel(self) -> None:
        records = [self.variant("fine", "passed"), self.variant("c", "failed", "blind"), self.variant("known", "known"), self.variant("bad", "failed")]
        self.assertEqual(self.lines(records, ["--kernel", "6.1", "--arch", "arm64"]),
                         "  page: runs/x/index.html   (make report)\n"
                         "  replay: make replay LINE='a/bad seed=1: x -> y' KERNEL=6.1 ARCH=arm64")
        self.assertIn("LINE='a/known ", self.lines(records[:3], []))
        self.assertIn("LINE='a/fine ", self.lines(records[:1], []))
        self.assertNotIn("KERNEL", self.lines(records, []))
        self.assertNotIn("replay", self.lines([], []))
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "x.flt"
            file.write_text('name = "a"\n')
            self.assertIn(f"' FILE={file}", self.lines(records, ["--run", f"{file}/bad b"]))
            file.write_text('name = "b"\n')
            self.assertNotIn("FILE=", self.lines(records, ["--run", str(file)]))


class SampleTest(unittest.TestCase):
    """With what the driver's own code wrote: good.* has a known bug and skips, bad.* failures, too."""

    folder: Path

    @classmethod
    def setUpClass(cls) -> None:
        if not DRIVER_TESTS.exists():
            raise unittest.SkipTest("the driver's unit tests are not built: make check builds them")
        cls.folder = Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        subprocess.run([DRIVER_TESTS, "--gtest_filter=Samples.*"], check=True, capture_output=True,
                       env={**os.environ, "FAULTLINE_SAMPLES": str(cls.folder)})

    def read(self, name: str) -> str:
        return (self.folder / name).read_text()

    def records(self, name: str) -> list[Record]:
        return [json.loads(line) for line in self.read(name).splitlines()]


class KunitTest(SampleTest):
    def parse(self, name: str) -> tuple[int, dict[str, int]]:
        return kunit.parse(self, self.folder / name)

    def test_a_known_bug_is_no_failure(self) -> None:
        for how in ("xfail", "ok"):
            status, counts = self.parse(f"good.{how}.ktap")
            self.assertEqual((status, counts), (0, {"passed": 3, "skipped": 3}), how)

    def test_a_failure_is_one(self) -> None:
        for how in ("xfail", "ok"):
            status, counts = self.parse(f"bad.{how}.ktap")
            self.assertEqual((status, counts), (1, {"passed": 3, "failed": 3, "skipped": 3}), how)

    def test_our_own_reader_counts_scenarios(self) -> None:
        good, bad = parse_tap(self.read("good.xfail.ktap")), parse_tap(self.read("bad.xfail.ktap"))
        self.assertEqual((good.problems, good.counts), ([], Counts(passed=1, known=1, skipped=1)))
        self.assertEqual((bad.problems, bad.counts), ([], Counts(passed=1, known=1, skipped=1, failed=3)))


class SchemaTest(SampleTest):
    def test_each_line_is_valid(self) -> None:
        for name in ("good.json", "bad.json", "marks.json"):
            self.assertGreater(schema.check_lines(self.read(name), name), 1)

    def test_a_broken_line_is_not(self) -> None:
        def refused(record: Record) -> str:
            with self.assertRaises(Trouble) as caught:
                schema.check_lines(json.dumps(record), "x")
            return str(caught.exception)

        records = self.records("bad.json")
        variant = next(record for record in records if record["kind"] == "variant")
        scenario = next(record for record in records if record["kind"] == "scenario")
        for record in (records[0], variant, scenario, records[-1]):
            for name in record:
                if name in ("kind", "produces", "caught", "control_hits"):
                    continue
                less = {key: value for key, value in record.items() if key != name}
                self.assertIn(name, refused(less))
            self.assertIn("news", refused({**record, "news": 1}))
        self.assertIn("verdict", refused({**variant, "verdict": "GOOD"}))
        odd = copy.deepcopy(variant)
        odd["examples"][0]["sites"][0]["end"] = "tired"  # type: ignore[index]
        self.assertIn("tired", refused(odd))
        refused({"kind": "novelty"})
        refused({"scenario": "x"})

    def test_what_the_scripts_write_of_a_machine_that_died_is_valid(self) -> None:
        begin = {**self.records("good.json")[0], "plan": 2, "names": ["a", "b"]}
        start = {"kind": "start", "scenario": "a", "variant": "v", "control": None, "schedule": "a/v: x -> y", "runs": 3}
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "json").write_text(json.dumps(begin) + "\n")
            (folder / "mark").write_text(json.dumps(start) + "\n" + json.dumps({"kind": "run", "run": 1, "seed": 7}) + "\n")
            report = assess(folder, Ending.PANIC, Task(driver_of(3, "a b"), ()))
            self.assertEqual(len(report.crashes), 1)
            self.assertEqual(schema.check_lines(json_lines(report), "json"), 3)


class StatusTest(unittest.TestCase):
    def test_driver_and_scripts_have_one_table(self) -> None:
        self.assertEqual([status.number for status in STATUSES], list(range(len(STATUSES))))
        self.assertEqual((Ending.GOOD, Ending.FAILED, Ending.USAGE), (0, 1, 2))
        driver = build.user_folder() / "faultline"
        if not driver.exists():
            self.skipTest("the driver is not built: make user builds it")
        said = subprocess.run([driver, "--help"], capture_output=True, text=True, check=True).stdout
        for status in STATUSES:
            self.assertEqual(f"  {status.number}  {status.text}" in said, status.whose != "scripts", status.name)
        self.assertEqual(subprocess.run([driver, "nonsense"], capture_output=True, check=False).returncode, Ending.USAGE)

    def test_the_page_of_the_docs_has_that_table(self) -> None:
        text = (build.TOP / "docs/results.md").read_text()
        rows = re.findall(r"^\| (\d+) \| (\w+) \| (.*) \| (\w+) \|$", text, re.MULTILINE)
        self.assertEqual(rows, [(str(s.number), s.name, s.text, s.whose) for s in STATUSES])

    def test_a_row_that_is_none_is_left_out(self) -> None:
        self.assertEqual(parse_statuses('// FL_STATUS(name, number, whose, text)\nFL_STATUS(x, y, both, "z")\n'), [])
        self.assertEqual(set(ENDING_TEXT), set(Ending))


class ReplayTest(unittest.TestCase):
    LINE = "a/b seed=3: x@enter:f#2 -> y@user:g; y@user:h -> x@enter:f#2"

    def test_the_schedule_or_the_whole_line(self) -> None:
        alone = replay_of(self.LINE, "", None).command
        self.assertTrue(alone.startswith(f"faultline replay '{self.LINE}' --json "))
        self.assertEqual(replay_of(f"faultline replay '{self.LINE}'", "", None).command, alone)
        whole = replay_of(f"faultline replay '{self.LINE}' --control c", "", 5).command
        self.assertIn("' --control c --runs 5 ", whole)
        self.assertIn(" --control c ", replay_of(self.LINE, "c", None).command)
        self.assertIn(" --file /files/x.flt ", replay_of(self.LINE, "", None, (Path("y/x.flt"),)).command)

    def test_a_schedule_may_have_no_edges(self) -> None:
        self.assertIn("'a/b seed=1:' --json", replay_of("a/b seed=1:", "", None).command)

    def test_what_is_none_is_refused_before_a_machine_boots(self) -> None:
        for bad in ("", "a/b", "faultline replay 'a/b seed=3: x", "rm -rf /", "a: x -> y"):
            with self.assertRaises(Trouble):
                replay_of(bad, "", None)

    def test_nothing_of_a_line_reaches_the_shell_of_the_machine(self) -> None:
        command = replay_of("a/b: x -> $(reboot)'; reboot", "", None).command
        self.assertIn("""'a/b: x -> $(reboot)'"'"'; reboot'""", command)

    def test_the_line_of_a_record(self) -> None:
        example = {"replay": "second"}
        self.assertEqual(replay_line({"replay": "first", "examples": [example], "control": None}), ("first", ""))
        self.assertEqual(replay_line({"replay": None, "examples": [example], "control": "c"}), ("second", "c"))
        self.assertIsNone(replay_line({"replay": None, "examples": []}))

    def test_colour_is_asked_for_where_somebody_looks(self) -> None:
        self.assertNotIn("--color", driver_of(1, "a").options)
        self.assertIn("--color always", driver_of(1, "a", color=True).options)
        script = "import sys; sys.path.insert(0, 'scripts'); from vm.command_line import coloured; print(coloured())"
        for variables, wanted in (({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False), ({"NO_COLOR": ""}, True)):
            with self.subTest(variables):
                self.assertEqual(on_a_terminal([sys.executable, "-c", script], {"TERM": "xterm", **variables}), f"{wanted}\r\n")
        self.assertFalse(coloured() and not sys.stdout.isatty())

    def test_the_driver_itself_asks_the_same(self) -> None:
        driver = build.user_folder() / "faultline"
        if not driver.exists():
            self.skipTest("the driver is not built: make user builds it")
        bad = subprocess.run([driver, "run", "--color", "blue", "x"], capture_output=True, text=True, check=False)
        self.assertEqual(bad.returncode, Ending.USAGE)


def on_a_terminal(command: list[str], variables: dict[str, str]) -> str:
    import pty

    environment = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "TERM")}
    master, slave = pty.openpty()
    with subprocess.Popen(command, stdout=slave, cwd=build.TOP, env={**environment, **variables}) as process:
        os.close(slave)
        text = b""
        try:
            while data := os.read(master, 4096):
                text += data
        except OSError:
            pass  # the other end is closed
        process.wait()
    os.close(master)
    return text.decode()


LOG = """\
[    1.0] Linux version
[    2.0] faultline: begin known-one/inside
[    2.1] something <b>ordinary</b>
[    2.2] WARNING: CPU: 0 PID: 1 at mm/x.c:1
[    2.3] faultline: end known-one/inside
[    3.0] BUG: Bad page state in process x
"""


class PageTest(SampleTest):
    """The page, as a browser draws it."""

    def setUp(self) -> None:
        self.place = Path(self.enterContext(tempfile.TemporaryDirectory()))

    def host_page(self) -> Path:
        """As a run leaves it."""
        (self.place / "console.log").write_text(LOG)
        (self.place / "versions.json").write_text(json.dumps({"kernel": "6.12.95-x", "qemu": "QEMU <10>", "selftests": []}))
        report = Report(Ending.FAILED, Counts(), ["a problem"], self.place, parse_driver(self.read("bad.json")))
        return run_page.write(report)

    def test_the_driver_and_the_scripts_fill_it_alike(self) -> None:
        self.assertEqual(run_page.fill(run_page.TEMPLATE.read_text(), self.records("bad.json")).replace(", ", ",").replace(": ", ":"),
                         self.read("bad.html").replace(", ", ",").replace(": ", ":"))

    def test_it_loads_nothing(self) -> None:
        text = run_page.TEMPLATE.read_text()
        without = text.replace("http://www.w3.org/2000/svg", "")  # a name, no address
        self.assertNotRegex(without, r"https?:|src=|@import|url\((?!#)|fetch\(|XMLHttpRequest|<link")
        self.assertIn("prefers-color-scheme: dark", text)
        self.assertIn('name="viewport"', text)

    def test_log_lines_stand_beside_the_runs_that_made_them(self) -> None:
        records = run_page.log_records(LOG)
        self.assertEqual([(r["name"], r["first"], len(r["lines"])) for r in records], [("known-one/inside", 3, 2), ("", 6, 1)])  # type: ignore[arg-type]
        self.assertEqual([one["line"] for one in records[0]["findings"]], [4])  # type: ignore[attr-defined]
        long = "".join(f"[ 1.0] line {number}\n" for number in range(1000))
        [cut] = run_page.log_records(f"[ 1.0] faultline: begin a/b\n{long}[ 1.0] faultline: end a/b\n")
        self.assertEqual(len(cut["lines"]) + int(str(cut["left_out"])), 1000)  # type: ignore[arg-type]
        self.assertLess(len(cut["lines"]), 1000)  # type: ignore[arg-type]
        self.assertEqual(run_page.log_records(""), [])

    def dom(self, page: Path, script: str = "", fragment: str = "") -> str:
        return browser.dom(self, page, script, fragment)

    def test_a_browser_opens_it(self) -> None:
        text = self.dom(self.host_page())
        self.assertIn("<h1>Faultline on 6.12.95 s390x</h1>", text)
        self.assertIn("QEMU &lt;10&gt;", text)
        self.assertIn("a problem", text)
        for name in ("collapse-register", "known-one", "skipped-one", "failed-one", "missed-one", "erred-one"):
            self.assertIn(f'id="{name}"', text)
        # Open at once: what failed, with its drawing; the others are drawn when they are opened.
        self.assertEqual(text.count("<svg"), 1)
        self.assertIn("excluded: sleeps in", text)
        self.assertIn('class="hold bad"', text)
        self.assertIn("Never reached: b@enter:g", text)
        self.assertIn("Bad page state", text)

    def test_a_name_in_the_address_opens_its_scenario(self) -> None:
        text = self.dom(self.host_page(), fragment="#known-one/inside")
        self.assertIn('<section id="known-one/inside">', text)
        self.assertIn("&lt;/script&gt;&lt;b&gt;bad&lt;/b&gt;", text)
        self.assertIn("something &lt;b&gt;ordinary&lt;/b&gt;", text)
        self.assertRegex(text, r'class="finding"[^>]*>\[ +2\.2\] WARNING')

    def test_a_machine_that_died_has_a_page(self) -> None:
        begin = {**self.records("good.json")[0], "plan": 2, "names": ["a", "b"]}
        start = {"kind": "start", "scenario": "a", "variant": "v", "control": None, "schedule": "a/v: x -> y", "runs": 3}
        (self.place / "json").write_text(json.dumps(begin) + "\n")
        (self.place / "mark").write_text(json.dumps(start) + "\n" + json.dumps({"kind": "run", "run": 1, "seed": 7}) + "\n")
        (self.place / "console.log").write_text("[ 1.0] faultline: begin a/v\n[ 1.1] Kernel panic - not syncing: x\n")
        report = assess(self.place, Ending.PANIC, Task(driver_of(3, "a b"), ()))
        text = self.dom(run_page.write(report))
        self.assertRegex(text, r'class="verdict failed">PANIC</span><b>a</b>')
        self.assertIn("faultline replay 'a/v seed=7: x -&gt; y'", text)
        self.assertIn("Kernel panic", text)
        empty = self.place / "empty"
        empty.mkdir()
        text = self.dom(run_page.write(assess(empty, Ending.LOST, Task(driver_of(3, "a b"), ()))))
        self.assertIn("QEMU ended without a result", text)

    def test_clicks(self) -> None:
        text = self.dom(self.host_page(), """
            const button = text => [...document.querySelectorAll("button")].find(one => one.textContent === text);
            button("open all").click();
            setTimeout(() => {
                const row = [...document.querySelectorAll("#failed-one tr[data-example]")].at(-1);
                row.click();
                button("not passed").click();
                document.title = [document.querySelectorAll("svg").length, row.classList.contains("chosen"),
                    document.querySelector("#failed-one section > div p").textContent.includes("EBUSY"),
                    document.getElementById("collapse-register").hidden, document.getElementById("failed-one").hidden].join();
            }, 500);""")
        self.assertIn("<title>4,true,true,true,false</title>", text[:4000])

    def test_a_cut_record_is_named_and_the_rest_is_drawn(self) -> None:
        page = self.place / "cut.html"
        page.write_text(self.read("bad.html").replace('"kind":"end"', '"kind":"end', 1))
        text = self.dom(page)
        self.assertIn("of the records is cut", text)
        self.assertIn("The driver did not finish", text)
        self.assertIn('id="failed-one"', text)


if __name__ == "__main__":
    unittest.main()
