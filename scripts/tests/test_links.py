# SPDX-License-Identifier: GPL-2.0
"""Links between pages: one that leads nowhere is found."""

import tempfile
import unittest
from pathlib import Path

from vm import links


class LinksTest(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.top = Path(folder.name)
        (self.top / "docs").mkdir()
        self.write("docs/other.md", "# A page\n\n## What it `costs`, once\n\n```\n# no heading\n```\n")

    def write(self, name: str, text: str) -> None:
        (self.top / name).write_text(text)

    def broken(self, text: str) -> list[str]:
        self.write("README.md", text)
        return list(links.broken(self.top, "README.md"))

    def test_good_links(self) -> None:
        self.assertEqual(self.broken("# Here\n[a](docs/other.md) [b](docs/other.md#what-it-costs-once) [c](#here) [d](docs/)\n"
                                     "![e](docs/other.md) [f](https://example.org/none)\n"), [])

    def test_a_missing_file(self) -> None:
        self.assertEqual(self.broken("one\n[a](docs/none.md)\n"), ["README.md:2: docs/none.md: no such file"])

    def test_a_missing_heading(self) -> None:
        self.assertEqual(self.broken("[a](docs/other.md#none) [b](#none)\n"),
                         ["README.md:1: docs/other.md#none: no such heading", "README.md:1: #none: no such heading"])
        self.assertEqual(self.broken("[a](docs/other.md#no-heading)\n"), ["README.md:1: docs/other.md#no-heading: no such heading"])

    def test_code_has_no_links(self) -> None:
        self.assertEqual(self.broken("    [a](none)\n\n`[b](none)`\n\n```\n[c](none)\n```\n"), [])

    def test_links_are_relative_to_their_page(self) -> None:
        self.write("docs/page.md", "[a](other.md) [b](docs/other.md) [c](../README.md)\n")
        self.write("README.md", "")
        self.assertEqual(list(links.broken(self.top, "docs/page.md")), ["docs/page.md:1: docs/other.md: no such file"])

    def test_pages_that_a_source_names(self) -> None:
        self.write("a.flt", 'fix = "no fix is known: docs/other.md"\nfix = "docs/findings/none.md."\n')
        self.assertEqual(list(links.missing_pages(self.top, "a.flt")), ["a.flt:2: docs/findings/none.md: no such file"])


if __name__ == "__main__":
    unittest.main()
