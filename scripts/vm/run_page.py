# SPDX-License-Identifier: GPL-2.0
"""The page of one run: user/report/page.html with the driver's records in it, and with what only the host knows."""

import json
from collections.abc import Iterable
from pathlib import Path

from . import build
from .console import STAMP, judge, sections
from .outcome import Report, read_channel
from .results import Record
from .rows import KERNEL_LOG, MACHINE, rows_of
from .tables import ENDING_TEXT, KnownLog

TEMPLATE = build.TOP / "user/report/page.html"
MARKER = "RECORDS\n"  # a line of the page: the records stand there
NAME = "index.html"  # in a run folder
LOG_LINES = 200  # of one variant; the whole log is beside the page
FACTS = ("kernel", "arch", "qemu", "accelerator", "commit", "host", "command")


def fill(template: str, records: Iterable[Record]) -> str:
    """As user/report/html.cpp does it: a "<" would end the script that the records stand in."""
    lines = "".join(json.dumps(record).replace("<", "\\u003c") + "\n" for record in records)
    head, marker, tail = template.partition(MARKER)
    assert marker, "page.html has no place for the records"
    return head + lines + tail


def log_records(log: str, explained: Iterable[KnownLog] = ()) -> list[Record]:
    """The lines that each variant and control had for itself in a kernel log, and those of complaints outside of
    all of them, which have no name. A long part keeps its beginning, and each line that is a complaint."""
    lines = log.splitlines()
    findings = judge(log, explained)
    records: list[Record] = []
    parts = [(part.name, part.begin + 1, part.end or len(lines) + 1) for part in sections(_plain(lines))]
    for name, begin, end in parts:
        mine = [{"line": one.number, "kind": one.kind, "fix": one.fix} for one in findings if begin <= one.number < end]
        last = max([begin + LOG_LINES, *(int(str(one["line"])) + LOG_LINES // 4 for one in mine)])
        shown = lines[begin - 1 : min(end - 1, last)]
        records.append({"kind": "log", "name": name, "first": begin, "lines": shown, "findings": mine,
                        "left_out": end - begin - len(shown)})
    for one in findings:
        if not any(begin <= one.number < end for _, begin, end in parts):
            records.append({"kind": "log", "name": "", "first": one.number, "lines": lines[one.number - 1 : one.number + 20],
                            "findings": [{"line": one.number, "kind": one.kind, "fix": one.fix}], "left_out": 0})
    return records


def _plain(lines: list[str]) -> list[str]:
    return [STAMP.sub("", line.rstrip("\r")) for line in lines]


def host_record(report: Report, facts: dict[str, object]) -> Record:
    """The part of the machine: its end, its versions, the selftests, and the files beside the page."""
    names = {*report.selftests, KERNEL_LOG, MACHINE}
    rows = [{"name": row.name, "verdict": row.verdict, "why": row.why} for row in rows_of(report) if row.name in names]
    files = sorted(file.name for file in report.folder.iterdir() if file.name not in ("initramfs", NAME))
    return {"kind": "host", "ending": report.ending.name, "text": ENDING_TEXT[report.ending],
            "facts": {name: facts[name] for name in FACTS if facts.get(name)}, "rows": rows,
            "problems": report.problems, "files": files}


def write(report: Report, explained: Iterable[KnownLog] = ()) -> Path:
    """Into the run folder."""
    explained = tuple(explained)
    versions = report.folder / "versions.json"
    facts = json.loads(versions.read_text()) if versions.exists() else {}
    logs = [record for machine in report.machines or [report]
            for record in log_records(read_channel(machine.folder, "console.log"), explained)]
    page = report.folder / NAME
    page.write_text(fill(TEMPLATE.read_text(), [host_record(report, facts), *logs, *report.driver.records]))
    return page
