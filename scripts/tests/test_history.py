# SPDX-License-Identifier: GPL-2.0
"""A history for bisect, of small trees."""

import subprocess
import tempfile
import unittest
from pathlib import Path

from vm import history
from vm.tables import Trouble

ONE = """\
From: someone
Subject: [PATCH v2 1/2] mm: say three

--- a/mm/a.c
+++ b/mm/a.c
@@ -1,2 +1,2 @@
-two
+three
 end
"""
FOUR = "--- a/fs/f.c\n+++ b/fs/f.c\n@@ -1 +1 @@\n-f2\n+f3\n"


def tree(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


class HistoryTest(unittest.TestCase):
    def setUp(self) -> None:
        place = tempfile.TemporaryDirectory()
        self.addCleanup(place.cleanup)
        self.top = Path(place.name)
        self.old = tree(self.top / "old", mm__a_c="one\nend\n", mm__b_c="b\n", mm__b_h="b\n", mm__gone_c="x\n", mm__same_c="s\n", fs__f_c="f\n")
        self.new = tree(self.top / "new", mm__a_c="three\nend\n", mm__b_c="b2\n", mm__b_h="b2\n", mm__fresh_c="y\n", mm__same_c="s\n", fs__f_c="f2\n")
        self.patch = self.top / "one.patch"
        self.patch.write_text(ONE)

    def make(self, *arguments: object) -> list[str]:
        return [line.partition(" ")[2] for line in history.make(self.top / "into", *arguments)]  # type: ignore[arg-type]

    def show(self, commit: str, name: str) -> str:
        return subprocess.run(["git", "-C", self.top / "into", "show", f"{commit}:{name}"], capture_output=True, text=True, check=True).stdout

    def test_files_patches_and_the_rest(self) -> None:
        four = self.top / "four.diff"
        four.write_text(FOUR)
        self.assertEqual(self.make(self.old, self.new, ["mm/a", "mm/b", "mm/g"], [self.patch], [four]),
                         ["old, as it is", "all but mm/a mm/b mm/g: as in new", "mm/a: as in new", "mm/b: as in new", "mm/gone: as in new",
                          "mm: say three", "four.diff"])
        self.assertEqual(self.show("HEAD~5", "fs/f.c") + self.show("HEAD~5", "mm/fresh.c"), "f2\ny\n")
        self.assertEqual(self.show("HEAD~4", "mm/a.c") + self.show("HEAD~4", "mm/b.c"), "two\nend\nb\n")
        self.assertEqual(self.show("HEAD~3", "mm/b.h") + self.show("HEAD~3", "mm/b.c"), "b2\nb2\n")
        self.assertEqual(self.show("HEAD~1", "mm/a.c"), "three\nend\n")
        self.assertEqual(self.show("HEAD", "fs/f.c"), "f3\n")
        self.assertFalse((self.top / "into/mm/gone.c").exists())

    def test_patches_alone(self) -> None:
        self.assertEqual(self.make(self.new, None, ["mm/"], [], [self.top / "f.diff"]) if (self.top / "f.diff").write_text(FOUR) else [],
                         ["new, as it is", "f.diff"])

    def test_what_does_not_apply_leaves_nothing(self) -> None:
        with self.assertRaises(Trouble):
            self.make(self.old, None, ["mm/"], [], [self.patch])
        self.assertEqual(sorted(path.name for path in self.top.iterdir()), ["new", "old", "one.patch"])

    def test_a_folder_that_is_there_is_left_alone(self) -> None:
        (self.top / "into").mkdir()
        with self.assertRaises(Trouble):
            self.make(self.old, self.new, ["mm/"], [], [])


if __name__ == "__main__":
    unittest.main()
