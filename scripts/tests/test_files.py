# SPDX-License-Identifier: GPL-2.0
"""Scenario files among the names of a run."""

import tempfile
import unittest
from pathlib import Path

from vm.command_line import driver_of
from vm.tables import Trouble


class Files(unittest.TestCase):
    def setUp(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.file = Path(self.folder.name) / "a.flt"
        self.file.write_text('faultline = 1\nname = "race"\n')

    def test_names_stay(self) -> None:
        driver = driver_of(7, "collapse-fill hugetlb/x+y")
        self.assertEqual(driver.names, "collapse-fill hugetlb/x+y")
        self.assertIn("--runs 7", driver.options)
        self.assertNotIn("--file", driver.options)
        self.assertEqual(driver.files, ())

    def test_a_file_is_carried_once_and_called_by_its_name(self) -> None:
        driver = driver_of(None, f"{self.file}/one {self.file}+blind other")
        self.assertEqual(driver.names, "race/one race+blind other")
        self.assertEqual(driver.options.count("--file /files/a.flt"), 1)
        self.assertEqual(driver.files, (self.file,))

    def test_a_file_without_a_name_is_refused(self) -> None:
        self.file.write_text("faultline = 1\n")
        with self.assertRaisesRegex(Trouble, "no name"):
            driver_of(None, str(self.file))
        with self.assertRaisesRegex(Trouble, "No such file"):
            driver_of(None, str(self.file.with_name("b.flt")))

    def test_two_files_of_one_name_are_refused(self) -> None:
        other = Path(self.folder.name) / "x"
        other.mkdir()
        (other / "a.flt").write_text('faultline = 1\nname = "other"\n')
        with self.assertRaisesRegex(Trouble, "two files"):
            driver_of(None, f"{self.file} {other / 'a.flt'}")


if __name__ == "__main__":
    unittest.main()
