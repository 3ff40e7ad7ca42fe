# SPDX-License-Identifier: GPL-2.0
"""Judge a kernel log. It is no result channel: it can only add a reason to distrust a result."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from .tables import KnownLog

# What a clean log has none of, and what each is called.
BAD_LINES = {
    "oops": r"\bOops\b|BUG: unable to handle|Unable to handle kernel|general protection fault|"
    r"Internal error:|illegal operation:|kernel BUG at",
    "panic": r"Kernel panic - not syncing",
    "WARN": r"WARNING: (CPU|.* at )",
    "BUG": r"\bBUG: (?!unable to handle|soft lockup|Bad )",
    "lockdep": r"possible (circular|recursive) locking|inconsistent lock state|"
    r"suspicious RCU usage",
    "RCU stall": r"rcu.*(self-detected stall|detected stalls|detected expedited stalls)",
    "soft lockup": r"soft lockup - CPU|watchdog: BUG: soft lockup",
    "hung task": r"INFO: task .* blocked for more than",
    "Bad page state": r"BUG: Bad page (state|map|cache)",
    "Bad rss-counter": r"BUG: Bad rss-counter|non-zero pgtables_bytes",
    "list corruption": r"list_(add|del) corruption",
    "KFENCE": r"BUG: KFENCE",
}

# printk's time stamp, and the caller's id where CONFIG_PRINTK_CALLER is on.
STAMP = re.compile(r"^(?:<\d+>)?\[\s*\d+\.\d+\](?:\[\s*[TC]\d+\])?\s?")
# What a control makes the kernel complain of stands between these two.
PLANTED_BEGIN = "faultline: complaints planted by a control begin"
PLANTED_END = "faultline: complaints planted by a control end"
# Lines of a stock boot that have the words but mean no harm.
HARMLESS = re.compile(r"report a bug|not a bug|BUGS? to |systemd")


@dataclass(frozen=True)
class Finding:
    kind: str
    line: str  # quoted as it stands in the log
    number: int  # line number in the log, from 1
    fix: str = ""  # of the bug that is known to say so in this kernel


REPORT_LINES = 60  # of an oops or a bad page, with registers and call trace


def _known(line: str, report: list[str], explained: Iterable[KnownLog]) -> str:
    """The fix of the bug that explains a line, whose `report` follows it."""
    for known in explained:
        if re.search(known.line, line) and any(re.search(known.trace, text) for text in report):
            return known.fix
    return ""


def _planted(lines: list[str]) -> set[int]:
    """The numbers of the lines that a control planted. A beginning without an end plants nothing:
    whatever ended the driver was not meant to."""
    planted: set[int] = set()
    begin = 0
    for number, line in enumerate(lines, 1):
        if PLANTED_BEGIN in line:
            begin = number
        elif PLANTED_END in line and begin:
            planted.update(range(begin, number))
            begin = 0
    return planted


def judge(log: str, explained: Iterable[KnownLog] = ()) -> list[Finding]:
    """All lines of a log that a clean one has not, and for those that are `explained` the fix. A
    line cut by the end of the log counts too; what a control planted does not, but for a panic."""
    findings = []
    lines = log.splitlines()
    planted = _planted(lines)
    for number, raw in enumerate(lines, 1):
        line = STAMP.sub("", raw.rstrip("\r"))
        if HARMLESS.search(line):
            continue
        for kind, pattern in BAD_LINES.items():
            if re.search(pattern, line) and (number not in planted or kind == "panic"):
                findings.append(Finding(kind, line, number, _known(line, lines[number - 1 : number + REPORT_LINES], explained)))
                break
    return findings


def panicked(log: str) -> bool:
    return any(finding.kind == "panic" for finding in judge(log))
