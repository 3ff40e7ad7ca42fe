# SPDX-License-Identifier: GPL-2.0
"""A download, a build or a boot that fails says what happened, by which command, and where its log is."""

import os
import re
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from tests.reports import report
from vm import build, kernels, packages, runs
from vm.tables import ARCHES, KERNELS, Ending, Trouble


class MessageTest(unittest.TestCase):
    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.enterContext(mock.patch.dict(os.environ, {"FAULTLINE_CACHE": str(self.folder / "cache")}))
        self.enterContext(mock.patch.object(packages, "PAUSE_SECONDS", 0))
        self.enterContext(mock.patch.object(packages, "say"))

    def log_of(self, text: str) -> str:
        found = re.search(r"all of them: (.*)$", text, re.MULTILINE)
        assert found, text
        return Path(found.group(1)).read_text()

    def test_a_download_that_fails(self) -> None:
        with self.assertRaises(Trouble) as caught:
            packages.retry(["sh", "-c", "echo 404 not found >&2; exit 100"], "download")
        text = str(caught.exception)
        for words in ("download: failed 4 times", "sh -c 'echo 404 not found >&2; exit 100'", "    404 not found", "next: "):
            self.assertIn(words, text)
        self.assertEqual(self.log_of(text).count("404 not found"), packages.ATTEMPTS)
        self.assertEqual(caught.exception.ending, Ending.USAGE)

    def test_one_that_works_the_second_time_leaves_no_log(self) -> None:
        flag = self.folder / "flag"
        packages.retry(["sh", "-c", f"test -e {flag} || {{ touch {flag}; exit 1; }}"], "download")
        self.assertFalse((self.folder / "cache/logs").exists())

    def test_a_kernel_whose_download_fails_is_not_half_in_the_cache(self) -> None:
        class Mirror:
            def __init__(self, *_: object) -> None:
                pass

            def update(self) -> None:
                pass

            def names(self, prefix: str) -> list[str]:
                return ["linux-headers-6.12.117+deb12-amd64", "linux-headers-6.12.113+deb12-amd64"]

            def version(self, package: str) -> str:
                found = re.search(r"6\.12\.\d+", package)
                return f"{found.group() if found else '6.12.117'}-1~deb12u1"

            def dependencies(self, package: str) -> list[str]:
                return ["linux-headers-6.12.113+deb12-common", "linux-kbuild-6.12.113+deb12"]

            def download(self, wanted: list[str], into: Path) -> None:
                (into / "part.deb").touch()
                raise Trouble(Ending.USAGE, "download: failed 4 times")

        row, arch = KERNELS["6.12-security"], ARCHES["x86_64"]
        with mock.patch.object(kernels, "Apt", Mirror):
            with self.assertRaises(Trouble) as caught:
                kernels._fetch(row, arch, "6.12.113")
            self.assertIn("failed 4 times", str(caught.exception))
            self.assertEqual(list((self.folder / "cache/kernels").iterdir()), [])
            with self.assertRaises(Trouble) as caught:
                kernels._fetch(row, arch, "6.12.99")
        self.assertIn("no complete kernel 6.12.99 for x86_64", str(caught.exception))
        self.assertIn("6.12.113, 6.12.117", str(caught.exception))

    def test_a_build_that_fails(self) -> None:
        with mock.patch.object(build, "BUILD", self.folder), self.assertRaises(Trouble) as caught:
            build._make(["sh", "-c", "echo 'holds.c:7: error: no such member'; exit 2"], "the module for 6.12.117")
        text = str(caught.exception)
        self.assertEqual(caught.exception.ending, Ending.BUILD)
        self.assertIn("the module for 6.12.117 does not build", text)
        self.assertIn("    holds.c:7: error: no such member", text)
        self.assertIn("command: sh -c", text)
        self.assertIn("error: no such member", self.log_of(text))

    def test_a_boot_that_fails(self) -> None:
        dead = report(ending=Ending.PANIC)
        dead.folder = self.folder
        (self.folder / "console.log").write_text("[1.0] VFS: no root\n[1.1] Kernel panic - not syncing: VFS\n")
        text = runs.boot_failure(dead)
        self.assertIn("the guest kernel panicked", text)
        self.assertIn("Kernel panic - not syncing: VFS", text)
        self.assertIn(f"all of them: {self.folder / 'console.log'}", text)
        self.assertIn("QEMU's last words: none", text)
        self.assertIn(f"sh {self.folder / 'qemu-command'}", text)
