# SPDX-License-Identifier: GPL-2.0
"""The judge of kernel logs, on recorded ones: clean, broken, cut, interleaved."""

import unittest
from pathlib import Path

from vm.console import judge, panicked
from vm.tables import KnownLog

LOGS = Path(__file__).parent / "logs"


def kinds(name: str) -> list[str]:
    return [finding.kind for finding in judge((LOGS / name).read_text())]


class KnownTest(unittest.TestCase):
    KNOWN = (KnownLog("s390x", "6.1", r"BUG: Bad page map", "the fix"),
             KnownLog("s390x", "6.1", r"BUG: Bad page state", "the other fix", r"\bfrag_destroy\+"))

    def test_explains_its_own_lines_and_no_others(self) -> None:
        found = judge("[1.0] BUG: Bad page map in process a\n[2.0] WARNING: CPU: 0 PID: 1 at mm/x.c:1\n", self.KNOWN)
        self.assertEqual([finding.fix for finding in found], ["the fix", ""])

    def test_a_common_line_is_explained_by_its_trace(self) -> None:
        line = "[1.0] BUG: Bad page state in process a\n"
        self.assertEqual(judge(f"{line}[1.0] frag_destroy+0x1/0x2\n", self.KNOWN)[0].fix, "the other fix")
        self.assertEqual(judge(f"{line}[1.0] free_frag+0x1/0x2\n", self.KNOWN)[0].fix, "")


class JudgeTest(unittest.TestCase):
    def test_a_clean_boot_has_no_finding(self) -> None:
        self.assertEqual(kinds("clean.log"), [])
        self.assertFalse(panicked((LOGS / "clean.log").read_text()))

    def test_an_oops_is_found_and_quoted(self) -> None:
        findings = judge((LOGS / "oops.log").read_text())
        self.assertEqual([f.kind for f in findings], ["oops", "oops", "panic"])
        self.assertEqual(findings[0].line, "BUG: unable to handle page fault for address: ffffea0000104b34")
        self.assertEqual(findings[0].number, 2)
        self.assertTrue(panicked((LOGS / "oops.log").read_text()))

    def test_a_line_cut_in_the_middle_still_counts(self) -> None:
        self.assertEqual(kinds("cut.log"), ["WARN"])

    def test_interleaved_printk_and_caller_ids(self) -> None:
        self.assertEqual(kinds("interleaved.log"), ["Bad page state", "Bad rss-counter"])

    def test_stalls_lockups_and_lockdep_are_told_apart(self) -> None:
        self.assertEqual(kinds("stalls.log"), ["RCU stall", "soft lockup", "hung task", "lockdep"])

    def test_what_a_control_planted_does_not_count(self) -> None:
        oops = "[2.0] BUG: unable to handle page fault for address: ffee0c97c01467b4\n"
        begin = "[1.0] faultline: complaints planted by a control begin\n"
        end = "[3.0] faultline: complaints planted by a control end\n"
        self.assertEqual(judge(begin + oops + end), [])
        self.assertEqual([f.number for f in judge(begin + oops + end + oops)], [4])
        self.assertEqual([f.number for f in judge(oops + begin + end)], [1])
        self.assertEqual(len(judge(begin + oops)), 1, "the driver did not come to the end")
        self.assertEqual(len(judge(end + oops + end)), 1)
        self.assertEqual([f.kind for f in judge(begin + "[2.5] Kernel panic - not syncing: x\n" + end)], ["panic"])

    def test_a_planted_warning_is_caught(self) -> None:
        log = (LOGS / "clean.log").read_text()
        planted = log + "[    9.9] WARNING: CPU: 0 PID: 1 at mm/shmem.c:1300 shmem_evict_inode+0x1/0x2\n"
        self.assertEqual([f.kind for f in judge(planted)], ["WARN"])

    def test_the_boots_own_words_about_bugs_are_harmless(self) -> None:
        self.assertEqual(judge('[ 0.7] PCI: Using host bridge windows; if necessary, use "pci=nocrs" and report a bug'), [])
        self.assertEqual(judge("[ 0.9] AMD-Vi: functionality not available on this system - This is not a bug."), [])


if __name__ == "__main__":
    unittest.main()
