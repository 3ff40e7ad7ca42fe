# SPDX-License-Identifier: GPL-2.0
"""The table of findings: its rows, and what runs say of them."""

import json
import tempfile
import unittest
from pathlib import Path

from vm import build, findings
from vm.tables import ARCHES, Trouble

ROWS = """
[[finding]]
page = "a.md"
finding = "it is lost"
harm = "bad"
variants = ["a/v", "a/w"]

[[finding]]
page = "b.md"
finding = "it dies"
harm = "worse"
variants = ["d/v"]
arch = "s390x"

[[finding]]
page = "c.md"
finding = "no scenario"
harm = "worse"
command = "see there"
"""


def variant(name: str, **fields: object) -> dict[str, object]:
    scenario, _, word = name.partition("/")
    return {"kind": "variant", "scenario": scenario, "variant": word, "control": None, "verdict": "FAIL", "standing": "known",
            "runs": 10, "overlaps": 10, "excluded": 0, "power": {"overlaps": 10, "bound": 0.2589},
            "histogram": {"x=bad": 8, "x=good": 2}, "forbidden": ["x=bad"], **fields}


def passed(name: str, **fields: object) -> dict[str, object]:
    return variant(name, verdict="PASS", standing="passed", forbidden=[], histogram={"x=good": 10}, **fields)


class FindingsTest(unittest.TestCase):
    def setUp(self) -> None:
        self.top = Path(self.enterContext(tempfile.TemporaryDirectory()))

    def run_folder(self, name: str, records: list[dict[str, object]], version: str = "6.12.95-1~bpo12+1", arch: str = "x86_64",
                   **facts: object) -> Path:
        folder = self.top / name
        folder.mkdir(parents=True)
        begin = {"kind": "begin", "plan": 1, "names": ["a"]}
        (folder / "json").write_text("".join(json.dumps(record) + "\n" for record in [begin, *records]))
        (folder / "versions.json").write_text(json.dumps(
            {"kernel": "6.12.95+deb12-amd64", "packages": {"linux-image": version}, "arch": arch, "boot": {"name": "stock"}, **facts}))
        return folder

    def seen(self) -> dict[str, dict[str, str]]:
        return findings.seen_in(self.top)

    def test_a_forbidden_outcome_happens_and_a_pass_has_its_bound(self) -> None:
        self.run_folder("1", [variant("a/v"), passed("a/w"), passed("a/x", overlaps=0, excluded=10)])
        self.run_folder("0", [variant("a/y", overlaps=9)])
        self.assertEqual(self.seen(), {"a/v": {"6.12.95": "**happens** 8 of 10"}, "a/w": {"6.12.95": "not seen: < 26 %"},
                                       "a/x": {"6.12.95": "excluded: < 26 %"},
                                       "a/y": {"6.12.95": "**happens** 8 of 10, 9 overlaps"}})

    def test_the_newest_run_counts_and_a_skip_takes_nothing_away(self) -> None:
        self.run_folder("1", [variant("a/v")])
        self.run_folder("2", [passed("a/v")])
        self.run_folder("3", [variant("a/v", verdict="SKIP", standing="skipped", forbidden=[], histogram={})])
        self.assertEqual(self.seen()["a/v"], {"6.12.95": "not seen: < 26 %"})

    def test_a_miss_is_no_claim_and_a_control_is_no_finding(self) -> None:
        self.run_folder("1", [variant("a/v", verdict="MISS", standing="missed", forbidden=[]), variant("a/w", control="c")])
        self.assertEqual(self.seen(), {"a/v": {"6.12.95": "no claim (MISS)"}})

    def test_other_machines_are_named_and_own_kernels_and_other_boots_are_left_out(self) -> None:
        self.run_folder("1", [variant("a/v")], version="6.1.192-3", arch="s390x")
        self.run_folder("matrix/cell", [variant("a/v")], version="7.3~rc7-1~exp1")
        self.run_folder("2", [passed("a/v")], packages={"own kernel": "bzImage"})
        self.run_folder("2b", [passed("a/v")], packages={"source tree": "linux 6.12.117-1"})
        self.run_folder("3", [passed("a/v")], boot={"name": "poison"})
        (self.run_folder("4", [passed("a/v")]) / "versions.json").write_text("{")
        self.assertEqual(self.seen(), {"a/v": {"6.1.192 s390x": "**happens** 8 of 10", "7.3-rc7": "**happens** 8 of 10"}})

    def test_a_machine_that_died_is_a_verdict_of_the_run_that_was_under_way(self) -> None:
        died = {"kind": "scenario", "scenario": "a", "verdict": "PANIC", "cut": True, "standing": "failed", "variant": "v", "control": None}
        self.run_folder("1", [died])
        self.run_folder("2", [{**died, "verdict": "HANG"}], version="7.2.13-1")
        self.run_folder("3", [{**died, "control": "c"}, {**died, "variant": None}, {**died, "cut": False}], version="6.1.1-1")
        self.assertEqual(self.seen(), {"a/v": {"6.12.95": "**the machine panics**", "7.2.13": "**the machine hangs**"}})

    def test_the_table_has_each_row_with_its_command(self) -> None:
        rows = findings.read(ROWS)
        text = findings.table(rows, {"a/v": {"7.2.13": "q", "6.12.95": "p"}})
        self.assertIn("| [it is lost](a.md) | bad | `a/v` 6.12.95: p<br>`a/v` 7.2.13: q | `make run RUN=a/v` |\n", text)
        self.assertIn("| [it dies](b.md) | worse | - | `make run RUN=d/v ARCH=s390x` |\n", text)
        self.assertTrue(text.endswith("| [no scenario](c.md) | worse | - | see there |\n"), text)
        self.assertEqual(findings.runs_of(rows, "x86_64"), "a/v a/w")
        self.assertEqual(findings.runs_of(rows, "s390x"), "d/v")

    def test_broken_rows_are_refused_by_number(self) -> None:
        for bad, said in ((ROWS.replace('harm = "bad"\n', "", 1), "row 1: it has no harm"), (ROWS + 'colour = "red"\n', "row 3: it has no key colour"),
                          (ROWS + 'variants = ["a/v"]\n', "row 3: it has either"), (ROWS.replace('command = "see there"', ""), "row 3: it has either"),
                          (ROWS[:-5], "findings.toml: ")):
            with self.assertRaisesRegex(Trouble, said):
                findings.read(bad)

    def test_the_rows_of_the_tree_name_pages_machines_and_files_that_are_there(self) -> None:
        folder = build.TOP / "docs/findings"
        for row in findings.read((folder / "findings.toml").read_text()):
            self.assertTrue((folder / row.page).exists(), row)
            self.assertIn(row.arch, ARCHES)
            self.assertTrue(not row.file or (build.TOP / row.file).exists(), row)
            for name in row.variants:
                scenario, _, word = name.partition("/")
                files = [build.TOP / row.file] if row.file else list((build.TOP / "scenarios").glob(f"*/{scenario}.flt"))
                texts = [file.read_text() for file in files] or [file.read_text() for file in (build.TOP / "user/scenarios").glob("*.cpp")]
                self.assertTrue(any(word in text and scenario in text for text in texts), name)


if __name__ == "__main__":
    unittest.main()
