# SPDX-License-Identifier: GPL-2.0
"""The journal of explore, and its page."""

import json
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from tests import browser
from vm import __main__ as main
from vm import explore_page
from vm.explore import Journal, Session, controls_table, forbidden_words, journal_of, killed_by, shown_in, write_died
from vm.kernels import UnpackedKernel
from vm.qemu import Bounds
from vm.tables import ARCHES, KERNELS, Ending, Trouble

ONE = "collapse@enter:f#2 -> truncate@user:begin; truncate@user:end -> collapse@enter:f#2; collapse@user:end -> truncate@user:end"
TWO = "collapse@enter:f -> truncate@user:begin; truncate@enter:g -> collapse@enter:f; collapse@user:end -> truncate@enter:g"


def order(schedule: str, ending: str, preemptions: int | None = 1, **more: str) -> dict[str, object]:
    return {"kind": "order", "topic": "shmem: collapse truncate", "schedule": schedule, "preemptions": preemptions,
            "ending": ending, **more}


class WordsTest(unittest.TestCase):
    """A wrong word in OPS= or SETUP= is found before a kernel is fetched or built."""

    def setUp(self) -> None:
        self.top = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.driver = self.top / "faultline"
        self.enterContext(mock.patch.object(main.packages, "ensure_host"))
        self.enterContext(mock.patch.object(main.build, "user", return_value=self.driver))
        self.kernel = self.enterContext(mock.patch.object(main, "_kernel", return_value="the kernel"))
        self.run = self.enterContext(mock.patch.object(main.explore, "run", return_value=Ending.GOOD))

    def explore(self, script: str, *words: str) -> Ending:
        self.driver.write_text(f'#!/bin/sh\nfor word; do echo "$word"; done > {self.top}/told\n{script}\n')
        self.driver.chmod(0o755)
        return main.command_explore(main.parser().parse_args(["explore", *words]))

    def test_a_typo_is_said_by_the_driver_on_the_host(self) -> None:
        says = "echo 'faultline: there is no operation \"collaps\": is it \"collapse\"?' >&2; exit 2"
        with self.assertRaises(Trouble) as caught:
            self.explore(says, "--ops", "collaps truncate", "--setup", "shmem")
        self.assertEqual((caught.exception.ending, str(caught.exception)),
                         (Ending.USAGE, 'there is no operation "collaps": is it "collapse"?'))
        self.kernel.assert_not_called()

    def test_the_machine_gets_the_same_words_and_its_own_paths(self) -> None:
        patch, file = self.top / "a.diff", self.top / "mine.flt"
        patch.touch()
        file.write_text('name = "my-race"\n')
        self.explore("true", "--ops", f"{file}/inside", "--patch", str(patch), "--forbid", "a=x b=y")
        told = (self.top / "told").read_text().splitlines()
        self.assertEqual(told, ["explore", "--file", str(file), "--patch", str(patch), "--forbid", "a=x b=y", "my-race/inside", "--list"])
        session = self.run.call_args.args[0]
        self.assertEqual(session.command,
                         "faultline explore --file /files/mine.flt --patch /files/a.diff --forbid 'a=x b=y' my-race/inside")
        self.assertEqual(session.files, (file, patch))

    def test_a_file_that_is_not_there(self) -> None:
        for words in (("--ops", "no.flt/x"), ("--ops", "a b", "--patch", "no.diff")):
            with self.assertRaises(Trouble):
                self.explore("true", *words)
        self.kernel.assert_not_called()


class JournalTest(unittest.TestCase):
    def setUp(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "runs" / "journal.json"

    def tearDown(self) -> None:
        self.folder.cleanup()

    def test_stays(self) -> None:
        journal = Journal.open(self.path)
        journal.take(json.dumps(order(ONE, "realised")) + "\n")
        journal.write()
        self.assertEqual(Journal.open(self.path).records, journal.records)
        self.assertFalse(self.path.with_suffix(".new").exists())

    def test_leaves_out_a_line_that_was_cut_and_names_one_that_is_broken(self) -> None:
        journal = Journal(self.path)
        journal.take(json.dumps(order(ONE, "realised")) + "\n[1, 2]\nnonsense\n" + json.dumps(order(TWO, "realised"))[:20])
        self.assertEqual(len(journal.records), 1)
        self.assertEqual(len(journal.problems), 2)
        self.assertIn("nonsense", journal.problems[1])

    def test_an_order_that_killed_its_machine_is_done(self) -> None:
        start = {"kind": "start", "scenario": "shmem: collapse truncate", "variant": "all", "control": None,
                 "schedule": f"shmem-collapse-truncate/all seed=7: {ONE}", "runs": 1}
        marks = json.dumps(start) + "\n" + json.dumps({"kind": "run", "run": 1, "seed": 7}) + "\n"
        journal = Journal(self.path)
        crash = journal.add_crash("panic", "the guest kernel panicked", marks)
        assert crash
        self.assertEqual((crash["topic"], crash["schedule"], crash["ending"]), ("shmem: collapse truncate", ONE, "panic"))
        self.assertEqual(crash["replay"], f"shmem-collapse-truncate/all seed=7: {ONE}")
        self.assertIsNone(Journal(self.path).add_crash("hang", "the guest hung", ""))

    def test_a_run_without_an_order_may_kill_its_machine_too(self) -> None:
        marks = json.dumps({"kind": "start", "scenario": "s/v+c", "variant": "all", "control": "c", "runs": 1,
                            "schedule": "s/v seed=7:"}) + "\n"
        crash = Journal(self.path).add_crash("panic", "the guest kernel panicked", marks)
        self.assertEqual((crash["schedule"], crash["replay"]), ("", "s/v seed=7:"))

    def test_a_driver_may_be_killed(self) -> None:
        self.assertIn("SIGABRT", killed_by(134))
        for status in (0, 1, 8, 128, 255):
            self.assertEqual(killed_by(status), "")


class ControlsTest(unittest.TestCase):
    """The table of the hazards that were found without their schedules."""

    @staticmethod
    def explored(name: str, **more: object) -> dict[str, object]:
        return {"kind": "explored", "topic": name, "produces": "a=lost|gone", "orders": 7, "seconds": 12.4, "seen": None,
                "refusal": None, **more}

    @staticmethod
    def seen(**more: object) -> dict[str, object]:
        return {"order": 3, "seconds": 1.6, "again": 4, "tries": 5, "lock": "", **more}

    def test_says_how_each_was_seen_or_why_not(self) -> None:
        records = [
            self.explored("s/free+c", seen=self.seen(order=0)),
            self.explored("s/plain+c", seen=self.seen()),
            self.explored("s/opened+c", seen=self.seen(lock="down_write < unmap")),
            self.explored("s/no+c"),
            self.explored("s/bug+c", orders=0, without_control=True),
            self.explored("s/skip+c", orders=0, refusal="this kernel has no function f()"),
            self.explored("s/dead+c"),
            {"kind": "order", "topic": "s/dead+c", "ending": "panic", "difference": "the guest kernel panicked"},
            {"kind": "explored", "topic": "shmem: collapse truncate"},  # no control
        ]
        rows = controls_table(records).splitlines()
        self.assertEqual([row.split(" | ", 2)[2] for row in rows[2:-2]], [
            "yes, in a run without an order | 4 of 5 | 0 | 2 |",
            "yes | 4 of 5 | 3 | 2 |",
            "yes, in an order that `down_write < unmap` excludes without the control | 4 of 5 | 3 | 2 |",
            "no | - | 7 | 12 |",
            "no: this kernel ends so without the control, too | - | 0 | 12 |",
            "not tried: this kernel has no function f() | - | 0 | 12 |",
            "no, but the guest kernel panicked | - | 7 | 12 |"])
        self.assertIn("`a=lost\\|gone`", rows[2])
        self.assertEqual(rows[-1], "3 of 7 found")


class DiedTest(unittest.TestCase):
    """The file of an order that ended its machine."""

    def setUp(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.place = Path(self.folder.name) / "found"
        arch = ARCHES["x86_64"]
        kernel = UnpackedKernel("6.12", Path("image"), Path("build"), None, {})
        self.session = Session(arch, kernel, "6.12", "faultline explore", 60, Bounds(60, 60), (Path("a.flt"), Path("b.diff")))

    def write(self, topic: str, status: int = 0) -> tuple[list[str], Path | None]:
        crash = {"topic": topic, "replay": "x/all seed=1: " + ONE}
        with mock.patch("vm.explore.build.user", return_value=Path("driver")), \
                mock.patch("vm.explore.subprocess.run") as run, mock.patch("vm.explore.say"):
            run.return_value = mock.Mock(returncode=status, stdout="faultline = 1\n", stderr="no such row")
            place = write_died(self.session, crash, self.place)
        return [str(word) for word in run.call_args.args[0]], place

    def test_is_that_of_its_operations(self) -> None:
        command, place = self.write("hugetlb-cow: punch fault")
        self.assertEqual(command[-3:], ["hugetlb-cow", "punch", "fault"])
        self.assertEqual(command[command.index("--file-of") + 1], "x/all seed=1: " + ONE)
        self.assertEqual(command[command.index("--file") + 1], "a.flt")
        assert place
        self.assertEqual((place.name, place.read_text()), ("hugetlb-cow-punch-fault-died-1.flt", "faultline = 1\n"))
        self.assertEqual(self.write("hugetlb-cow: punch fault")[1], self.place / "hugetlb-cow-punch-fault-died-2.flt")

    def test_of_a_scenario_is_that_of_its_name(self) -> None:
        self.assertEqual(self.write("collapse-fill/inside+blind")[0][-1], "collapse-fill/inside+blind")

    def test_may_be_missing(self) -> None:
        self.assertIsNone(self.write("gone: a b", status=2)[1])
        self.assertFalse(self.place.exists())


class ElsewhereTest(unittest.TestCase):
    """The result of a found file in another machine."""

    VARIANT = {"kind": "variant", "scenario": "shmem-a-b-1", "variant": "found", "control": None, "verdict": "FAIL",
               "runs": 20, "overlaps": 18, "histogram": {"a=ok b=no": 5, "a=ok b=yes": 13, "a=- b=-": 2},
               "forbidden": ["a=ok b=no", "a=- b=-"]}
    WORDS = forbidden_words('[forbid]\n"a=ok b=no" = "no serial order ends so"\n')

    def test_counts_the_runs_that_no_serial_order_explains(self) -> None:
        other = {**self.VARIANT, "variant": "serial-1", "forbidden": []}
        seen = shown_in([other, self.VARIANT], "shmem-a-b-1", self.WORDS)
        self.assertEqual(seen, {"runs": 20, "order_had": 18, "shown": 5, "otherwise": 2, "skipped": ""})
        self.assertEqual(explore_page.elsewhere_text({"cell": "7.2 arm64", **(seen or {})}),
                         "on 7.2 arm64: 5 of 20 runs end so, 2 end in another way; 18 had the order")

    def test_without_words_nothing_is_shown(self) -> None:
        self.assertEqual(forbidden_words("faultline = 1\n"), set())
        self.assertEqual((shown_in([self.VARIANT], "shmem-a-b-1", set()) or {})["shown"], 0)

    def test_says_why_it_cannot_be_tried(self) -> None:
        skipped = {**self.VARIANT, "verdict": "SKIP", "why": "no userfaultfd", "runs": 0}
        seen = shown_in([skipped], "shmem-a-b-1", self.WORDS)
        assert seen
        self.assertEqual(explore_page.elsewhere_text({"cell": "6.1 x", **seen}), "cannot be tried on 6.1 x: no userfaultfd")

    def test_a_machine_that_died_has_none(self) -> None:
        self.assertIsNone(shown_in([{"kind": "begin"}], "shmem-a-b-1", self.WORDS))
        self.assertIsNone(shown_in([{**self.VARIANT, "control": "blind"}], "shmem-a-b-1", self.WORDS))


class JournalOfTest(unittest.TestCase):
    def test_each_kernel_of_a_release_has_its_own(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            names = []
            for text in ("one", "two"):
                image = Path(folder) / text
                image.write_text(text)
                names.append(journal_of(UnpackedKernel("6.12.95", image, Path("build"), None, {}), ARCHES["arm64"]).name)
        self.assertRegex(names[0], r"^explore-6\.12\.95-[0-9a-f]{8}-arm64\.json$")
        self.assertNotEqual(*names)
        stock = UnpackedKernel("6.12.95", Path("nowhere"), Path("build"), None, {}, KERNELS["6.12"])
        self.assertEqual(journal_of(stock, ARCHES["arm64"]).name, "explore-6.12.95-arm64.json")

    def test_the_command_for_a_found_file_names_kernel_and_machine(self) -> None:
        own = UnpackedKernel("6.12.95", Path("image"), Path("build"), None, {})
        stock = UnpackedKernel("6.12.95", Path("image"), Path("build"), None, {}, KERNELS["6.12"])
        bounds = Bounds(60, 60)
        self.assertEqual(Session(ARCHES["x86_64"], stock, "6.12", "explore", 60, bounds).where, "KERNEL=6.12")
        self.assertEqual(Session(ARCHES["arm64"], own, "6.12", "explore", 60, bounds).where, "KIMAGE=image KDIR=build ARCH=arm64")


class PageTest(unittest.TestCase):
    def test_finds_the_field_of_an_order(self) -> None:
        self.assertEqual(explore_page.place_of(order(ONE, "realised")), explore_page.Place("collapse@enter:f#2", explore_page.ALONE))
        self.assertEqual(explore_page.place_of(order(TWO, "realised", 2)), explore_page.Place("collapse@enter:f", "truncate@enter:g"))
        self.assertIsNone(explore_page.place_of(order(TWO, "realised", None)))  # by PCT
        self.assertIsNone(explore_page.place_of(order("no edge", "realised")))

    def test_says_what_each_field_was(self) -> None:
        records = [order(ONE, "excluded", lock="down_write < f"), order(TWO, "realised", 2, difference="cut=<EIO>"),
                   order(TWO.replace(":g", ":h"), "panic", 2, difference="the guest kernel panicked"),
                   {"kind": "explored", "topic": "shmem: collapse truncate",
                    "differences": [{"signature": "cut=<EIO>", "text": "t", "schedule": "s", "again": 5, "tries": 5, "shrunk": ""}]}]
        page = explore_page.page(records, "title")
        self.assertIn('class="f excluded"', page)
        self.assertIn('class="f differing"', page)
        self.assertIn('class="f panic"', page)
        self.assertIn("down_write &lt; f", page)
        self.assertIn("cut=&lt;EIO&gt;", page)
        self.assertNotIn("<EIO>", page)
        self.assertIn("3 orders: 1 excluded, 1 differing, 1 panic", page)
        self.assertIn("5 of 5 again; needed: no edge", page)

    def test_a_browser_opens_it(self) -> None:
        with tempfile.TemporaryDirectory() as name:
            file = Path(name) / "explore.html"
            file.write_text(explore_page.page([order(ONE, "realised"), order(TWO, "excluded", 2, lock="down_write <x>")], "title"))
            text = browser.dom(self, file, fragment="#shmem-collapse-truncate")
        self.assertRegex(text, r'<details id="shmem-collapse-truncate" open')  # by the address: nothing differs there
        self.assertIn("down_write &lt;x&gt;", text)

    def test_a_field_with_several_orders_shows_the_most_telling(self) -> None:
        page = explore_page.page([order(ONE, "realised"), order(ONE, "realised", difference="x"), order(ONE, "timed out")], "t")
        self.assertIn('class="f differing"', page)
        self.assertNotIn('class="f realised"', page)

    def test_begins_with_a_line_for_each_topic_those_that_differ_first(self) -> None:
        other = {**order(TWO, "panic", 2, difference="died"), "topic": "small: cut read"}
        records = [order(ONE, "realised"), order(TWO, "excluded", 2), other,
                   {"kind": "explored", "topic": "shmem: collapse truncate", "all_orders": 10, "implied": 3, "differences": []}]
        page = explore_page.page(records, "title")
        table = page[:page.index("<details")]
        self.assertLess(table.index('href="#small-cut-read"'), table.index('href="#shmem-collapse-truncate"'))
        self.assertIn('<td class="n">50.0%</td>', table)  # 2 tried, and 3 that a lock excludes, of 10
        self.assertIn('<details id="shmem-collapse-truncate">', page)


if __name__ == "__main__":
    unittest.main()
