# SPDX-License-Identifier: GPL-2.0
"""The judge of kernel logs, on recorded ones: clean, broken, cut, interleaved."""

import re
import unittest
from pathlib import Path

from vm.console import STAMP, complaint_kind, judge, panicked, parse_table
from vm.kernels import has_bug
from vm.tables import ARCHES, KERNELS, KNOWN_LOGS, KnownLog

LOGS = Path(__file__).parent / "logs"


def kinds(name: str) -> list[str]:
    return [finding.kind for finding in judge((LOGS / name).read_text())]


OOPS = "[2.0] BUG: unable to handle page fault for address: ffee0c97c01467b4\n"
REPORT = "[2.0] #PF: error_code(0x0003) - permissions violation\n[2.0] RIP: 0010:filemap_get_entry+0x96/0x160\n"
KNOWN = (r"[1.1] faultline: known BUG: unable to handle page fault // error_code\(0x0003\).*RIP: 0010:filemap_get_entry\+"
         " // no fix is known\n")
BAD_PAGE = "[5.0] BUG: Bad page state in process faultline  pfn:0081b\n"


def begin(name: str) -> str:
    return f"[1.0] faultline: begin {name}\n"


def end(name: str) -> str:
    return f"[3.0] faultline: end {name}\n"


def fixes(log: str) -> list[str]:
    return [finding.fix for finding in judge(log)]


class KnownTest(unittest.TestCase):
    """A known bug explains what it makes the kernel say between the marks of its own variant, and nothing else."""

    def test_between_its_marks(self) -> None:
        found = judge(begin("hvo-stale/pread") + KNOWN + OOPS + REPORT + end("hvo-stale/pread"))
        self.assertEqual([(f.fix, f.where) for f in found], [("no fix is known", "hvo-stale/pread")])

    def test_not_outside_of_them(self) -> None:
        whole = begin("a/b") + KNOWN + end("a/b")
        self.assertEqual(fixes(OOPS + REPORT + whole), [""])
        self.assertEqual(fixes(whole + OOPS + REPORT), [""])
        self.assertEqual(fixes(whole + begin("a/c") + OOPS + REPORT + end("a/c")), [""], "of another variant")
        self.assertEqual(fixes(KNOWN + begin("a/b") + OOPS + REPORT + end("a/b")), [""], "before the mark")

    def test_not_without_its_trace(self) -> None:
        other = REPORT.replace("filemap_get_entry", "gup_fast")
        self.assertEqual(fixes(begin("a/b") + KNOWN + OOPS + other + end("a/b")), [""])
        code = REPORT.replace("0x0003", "0x0000")
        self.assertEqual(fixes(begin("a/b") + KNOWN + OOPS + code + end("a/b")), [""])
        self.assertEqual(fixes(begin("a/b") + KNOWN + OOPS + end("a/b") + REPORT), [""], "a report behind the end")

    def test_not_when_the_driver_did_not_come_to_the_end(self) -> None:
        found = judge(begin("a/b") + KNOWN + OOPS + REPORT)
        self.assertEqual([(f.fix, f.where) for f in found], [("", "a/b")])
        self.assertEqual(fixes(begin("a/b") + KNOWN + OOPS + REPORT + begin("a/c") + end("a/c")), [""])
        self.assertEqual(fixes(begin("a/b") + KNOWN + OOPS + REPORT + end("a/c")), [""])
        self.assertEqual(fixes(begin("a/b") + KNOWN + OOPS + REPORT + "[3.0] faultline: end a/"), [""], "cut")

    def test_a_panic_is_never_explained(self) -> None:
        known = "[1.1] faultline: known Kernel panic //  // the fix\n"
        self.assertEqual(fixes(begin("a/b") + known + "[2.0] Kernel panic - not syncing: x\n" + end("a/b")), [""])

    def test_rows_without_a_trace_and_broken_rows(self) -> None:
        for known, fix in (("Bad page map //  // the fix", "the fix"), ("Bad page map // // the fix", "the fix"),
                           ("Bad page (map //  // the fix", ""), ("Bad page map // the fix", ""), ("", "")):
            log = begin("a/b") + f"[1.1] faultline: known {known}\n[2.0] BUG: Bad page map in process a\n" + end("a/b")
            self.assertEqual(fixes(log), [fix], known)

    def test_a_mark_is_no_finding_itself(self) -> None:
        self.assertEqual(judge(begin("a/b") + KNOWN + end("a/b")), [])

    def test_what_comes_at_the_drivers_exit(self) -> None:
        rows = (KnownLog("ppc64le-64k", "6.12", r"pgtable-", r"BUG: Bad page state in process faultline\b",
                         r"\(active\|.*\bfrag_destroy\+", "the fix"),)
        report = "[5.0] flags: 0x3ff(active|node=0)\n[5.0] frag_destroy+0x1/0x2\n"
        ran = begin("pgtable-a/b") + end("pgtable-a/b")
        self.assertEqual(judge(ran + BAD_PAGE + report, rows)[0].fix, "the fix")
        for other in (BAD_PAGE + report, begin("mthp-a/b") + end("mthp-a/b") + BAD_PAGE + report,
                      ran + BAD_PAGE, ran + BAD_PAGE + report.replace("active", "locked"),
                      ran + begin("mthp-a/b") + BAD_PAGE + report + end("mthp-a/b")):
            self.assertEqual(judge(other, rows)[0].fix, "", other)

    def test_the_rows_of_the_tables_name_a_scenario_and_compile(self) -> None:
        for row in KNOWN_LOGS:
            self.assertTrue(row.after and re.compile(row.after) and re.compile(row.line) and re.compile(row.trace))
            self.assertIn(row.arch, ARCHES)
            self.assertTrue(any(has_bug(f"{series}.1", row.releases) for series in KERNELS), row.releases)
        frag = next(row for row in KNOWN_LOGS if row.arch == "ppc64le-64k")
        recorded = (begin("pgtable-lifetime/a") + end("pgtable-lifetime/a") + BAD_PAGE
                    + "[5.0] flags: 0x3ffff800000100(active|node=0|zone=0|lastcpupid=0x7ffff)\n"
                    "[5.0] page dumped because: PAGE_FLAGS_CHECK_AT_FREE flag(s) set\n[5.0] pte_frag_destroy+0x10/0x20\n")
        self.assertIn("v7.1", judge(recorded, (frag,))[0].fix)


class TableTest(unittest.TestCase):
    """One table of complaints for the scripts and the driver. kernel_log_test.cpp tries the same logs."""

    def test_all_complaints_of_the_recorded_logs_and_no_others(self) -> None:
        found = [f"{file.name} {number} {kind}" for file in sorted(LOGS.glob("*.log"))
                 for number, line in enumerate(file.read_text().splitlines(), 1)
                 if (kind := complaint_kind(STAMP.sub("", line)))]
        wanted = [line for line in (LOGS / "complaints").read_text().splitlines() if not line.startswith("#")]
        self.assertEqual(found, wanted)

    def test_a_pattern_may_have_what_looks_like_an_end(self) -> None:
        rows = parse_table("# a = b\n\nkind of = x = y\nharmless = z\n")
        self.assertEqual([(kind, pattern.pattern) for kind, pattern in rows], [("harmless", "z"), ("kind of", "x = y")])

    def test_what_poison_finds(self) -> None:
        self.assertEqual(complaint_kind("BUG kmalloc-64 (Tainted: G           OE     ): Poison overwritten"), "poison")
        self.assertEqual(complaint_kind("pagealloc: memory corruption"), "poison")


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
        self.assertTrue(panicked("[85.4] Kernel panic - not syncing: Oops - BUG: Fatal exception\n"), "arm64 names the oops")

    def test_a_line_cut_in_the_middle_still_counts(self) -> None:
        self.assertEqual(kinds("cut.log"), ["WARN"])

    def test_interleaved_printk_and_caller_ids(self) -> None:
        self.assertEqual(kinds("interleaved.log"), ["Bad page state", "Bad rss-counter"])

    def test_stalls_lockups_and_lockdep_are_told_apart(self) -> None:
        self.assertEqual(kinds("stalls.log"), ["RCU stall", "soft lockup", "hung task", "lockdep"])

    def test_what_a_control_planted_does_not_count(self) -> None:
        begin_mark = "[1.0] faultline: complaints planted by a/b+c begin\n"
        end_mark = "[3.0] faultline: complaints planted by a/b+c end\n"
        self.assertEqual(judge(begin_mark + OOPS + end_mark), [])
        self.assertEqual([f.number for f in judge(begin_mark + OOPS + end_mark + OOPS)], [4])
        self.assertEqual([f.number for f in judge(OOPS + begin_mark + end_mark)], [1])
        self.assertEqual(len(judge(begin_mark + OOPS)), 1, "the driver did not come to the end")
        self.assertEqual(len(judge(end_mark + OOPS + end_mark)), 1)
        self.assertEqual(len(judge(begin_mark + OOPS + end_mark.replace("+c", "+d"))), 1, "the end of another")
        self.assertEqual(len(judge(begin_mark + OOPS + end_mark[:-6])), 1, "cut")
        self.assertEqual([f.kind for f in judge(begin_mark + "[2.5] Kernel panic - not syncing: x\n" + end_mark)], ["panic"])

    def test_a_planted_warning_is_caught(self) -> None:
        log = (LOGS / "clean.log").read_text()
        planted = log + "[    9.9] WARNING: CPU: 0 PID: 1 at mm/shmem.c:1300 shmem_evict_inode+0x1/0x2\n"
        self.assertEqual([f.kind for f in judge(planted)], ["WARN"])

    def test_the_boots_own_words_about_bugs_are_harmless(self) -> None:
        self.assertEqual(judge('[ 0.7] PCI: Using host bridge windows; if necessary, use "pci=nocrs" and report a bug'), [])
        self.assertEqual(judge("[ 0.9] AMD-Vi: functionality not available on this system - This is not a bug."), [])


if __name__ == "__main__":
    unittest.main()
