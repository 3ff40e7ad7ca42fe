# SPDX-License-Identifier: GPL-2.0
"""META agrees with the table of kernels, and with the files that are generated from it."""

import re
import unittest

from vm import build, meta
from vm.tables import Trouble

GOOD = ("# a comment\nName: faultline\nVersion: 0.1\nDate: 2026-11-28\nLinux-Minimum: 6.1\nLinux-Maximum: 7.3\n")


class Meta(unittest.TestCase):
    def test_it_names_the_oldest_and_the_newest_series_of_the_table(self) -> None:
        here = meta.load()
        self.assertEqual((here.minimum, here.maximum), meta.table_range())

    def test_the_changelog_of_the_package_has_its_version(self) -> None:
        first = (build.TOP / "debian/changelog").read_text().splitlines()[0]
        self.assertTrue(first.startswith(f"{meta.load().name} ({meta.load().version})"), first)

    def test_what_is_missing_twice_or_no_series_is_refused(self) -> None:
        self.assertEqual(meta.read(GOOD).maximum, (7, 3))
        for bad in ("", "Name: faultline\n", GOOD + "Name: other\n", GOOD + "Colour: red\n", GOOD.replace("7.3", "new"),
                    GOOD.replace("7.3", ""), GOOD.replace("7.3", "5.10"), GOOD.replace("Version: 0.1\n", "")):
            with self.assertRaises(Trouble, msg=bad):
                meta.read(bad)


class Pattern(unittest.TestCase):
    def matches(self, minimum: meta.Series, maximum: meta.Series, release: str) -> bool:
        return re.search(meta.pattern(minimum, maximum), release) is not None

    def test_the_series_from_the_oldest_to_the_newest_and_no_others(self) -> None:
        for release in ("6.1.0-57-amd64", "6.12.95+deb12-amd64", "6.9.1", "6.19.2", "7.0.0", "7.2.13+deb14-amd64", "7.3-rc7", "7.3.1"):
            self.assertTrue(self.matches((6, 1), (7, 3), release), release)
        for release in ("5.10.0-30-amd64", "6.0.0", "7.4.0", "7.30.1", "7.10.1", "8.1.0", "16.1.0"):
            self.assertFalse(self.matches((6, 1), (7, 3), release), release)

    def test_an_oldest_series_of_two_digits(self) -> None:
        self.assertTrue(self.matches((6, 12), (7, 3), "6.12.1"))
        self.assertTrue(self.matches((6, 12), (7, 3), "6.19.1"))
        self.assertFalse(self.matches((6, 12), (7, 3), "6.9.1"))
        self.assertFalse(self.matches((6, 12), (6, 18), "6.19.1"))


class DkmsConf(unittest.TestCase):
    def test_every_word_of_the_template_is_known(self) -> None:
        template = (build.TOP / "packaging/dkms.conf.in").read_text()
        text = meta.dkms_conf(meta.load(), template)
        self.assertIn(f'BUILD_EXCLUSIVE_KERNEL="{meta.pattern(*meta.table_range())}"', text)
        with self.assertRaises(Trouble):
            meta.dkms_conf(meta.load(), template + "@NOBODY@")


if __name__ == "__main__":
    unittest.main()
