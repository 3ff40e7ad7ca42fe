# SPDX-License-Identifier: GPL-2.0
"""What a matrix found: a table for people, KTAP, JUnit XML and KCIDB for machines."""

import datetime
import json
import re
import xml.etree.ElementTree as xml
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .matrix import CellResult
from .tables import ENDING_TEXT, Ending, Trouble

KERNEL_LOG = "kernel log"
MACHINE = "machine"
SCHEMA = Path(__file__).with_name("kcidb.schema.json")
EXCERPT = 16384  # characters that KCIDB takes


@dataclass(frozen=True)
class Entry:
    """One row of one cell."""

    name: str
    verdict: str  # PASS FAIL MISS SKIP ERROR, KNOWN, XPASS, or an Ending's name
    why: str = ""
    seconds: float = 0
    record: dict[str, object] | None = None  # the driver's, of a scenario

    @property
    def good(self) -> bool:
        return self.verdict in ("PASS", "SKIP", "KNOWN")


def _scenario(record: dict[str, object]) -> Entry:
    verdict, known = str(record["verdict"]), record.get("known_bug")
    why = str(record.get("why") or "")
    if known and verdict == "FAIL":
        verdict, why = "KNOWN", f"{why}; {known}"
    elif known and verdict == "PASS" and not record.get("expected"):
        verdict, why = "XPASS", f"passes although the bug is known: {known}"
    seconds = record.get("seconds")
    return Entry(str(record["scenario"]), verdict, why, float(seconds) if isinstance(seconds, (int, float)) else 0, record)


def entries(result: CellResult) -> list[Entry]:
    """What one cell found, in the order of the table's rows. Empty where there is no kernel."""
    if result.ending is None:
        return []
    if not result.report:
        return [Entry(MACHINE, result.ending.name, result.trouble, result.seconds)]
    report = result.report
    rows = [_scenario(r) for r in report.driver.records if r.get("kind") == "scenario"]
    for name, tap in report.selftests.items():
        broken = [*tap.problems, *tap.failures]
        verdict = "FAIL" if broken else "PASS" if tap.counts.passed else "SKIP"
        rows.append(Entry(name, verdict, "; ".join(broken)))
    bad = [f for f in report.findings if not f.fix]
    log = "; ".join(f"{f.kind}, line {f.number}: {f.line}" for f in (bad or report.findings)[:3])
    fixes = "; ".join(dict.fromkeys(f.fix for f in report.findings if f.fix))
    rows.append(Entry(KERNEL_LOG, "FAIL" if bad else "KNOWN" if log else "PASS", "; ".join(filter(None, [log, fixes]))))
    # A failed scenario is its own row's matter: the machine did what it should.
    fate = Ending.GOOD if report.ending == Ending.FAILED else report.ending
    fine = fate == Ending.GOOD
    if fine and report.driver.problems:
        rows.append(Entry(MACHINE, "ERROR", "; ".join(report.driver.problems), result.seconds))
    else:
        rows.append(Entry(MACHINE, "PASS" if fine else fate.name, "" if fine else ENDING_TEXT[fate], result.seconds))
    return rows


def row_names(results: list[CellResult]) -> list[str]:
    """The rows of all cells, each once; kernel log and machine last."""
    names: dict[str, None] = {}
    for result in results:
        for entry in entries(result):
            names.setdefault(entry.name)
    last = [name for name in (KERNEL_LOG, MACHINE) if name in names]
    return [name for name in names if name not in last] + last


def word(result: CellResult, row: str) -> str:
    """For a field of the table: "-" no such kernel, "." this cell has no such row."""
    if result.ending is None:
        return "-"
    return next((entry.verdict for entry in entries(result) if entry.name == row), ".")


def table(results: list[CellResult]) -> str:
    """Rows are scenarios, columns cells; a block for each kernel, so that it fits a terminal."""
    rows = row_names(results)
    first = max((len(row) for row in rows), default=0)
    blocks = []
    for series in dict.fromkeys(result.cell.kernel.series for result in results):
        group = [result for result in results if result.cell.kernel.series == series]
        widths = [max(len(r.cell.arch.name), *(len(word(r, row)) for row in rows), 1) for r in group]
        lines = [f"{series:<{first}}  " + "  ".join(f"{r.cell.arch.name:<{w}}" for r, w in zip(group, widths))]
        lines += [
            f"{row:<{first}}  " + "  ".join(f"{word(r, row):<{w}}" for r, w in zip(group, widths)) for row in rows
        ]
        lines += [f"  - {r.cell.name}: {r.trouble}" for r in group if r.ending is None]
        blocks.append("\n".join(line.rstrip() for line in lines))
    return "\n\n".join(blocks) + "\n"


@dataclass(frozen=True)
class Measure:
    """A number that a variant found out in one cell."""

    cell: str
    variant: str  # with its scenario
    value: float
    what: str
    note: str

    @property
    def number(self) -> str:
        """As the driver prints it."""
        return f"{self.value:.0f}" if self.value >= 100 or self.value.is_integer() else f"{self.value:.1f}"

    def __str__(self) -> str:
        return f"{self.number} {self.what}" + (f" ({self.note})" if self.note else "")


def measures(results: list[CellResult]) -> list[Measure]:
    """Of all cells, cell by cell for each variant, so that they can be compared. Not of controls."""
    found = [
        Measure(result.cell.name, f"{record['scenario']}/{record['variant']}", float(one["value"]), str(one["what"]),
                str(one.get("note") or ""))
        for result in results if result.report
        for record in result.report.driver.records if record.get("kind") == "variant" and not record.get("control")
        for one in record.get("measures") or ()  # type: ignore[attr-defined]
    ]
    order = list(dict.fromkeys((one.variant, one.what) for one in found))
    return sorted(found, key=lambda one: order.index((one.variant, one.what)))


def measures_text(results: list[CellResult]) -> str:
    """A line each; "" if nothing was measured."""
    lines = [f"{one.variant}  {one.cell}  {one}" for one in measures(results)]
    return "".join(f"{line}\n" for line in ["measured", *lines]) if lines else ""


def _plain(text: str) -> str:
    return text.replace("\n", " ").replace("#", "")


def ktap(results: list[CellResult]) -> str:
    """One subtest a cell."""
    lines = ["KTAP version 1", f"1..{len(results)}"]
    for number, result in enumerate(results, 1):
        rows = entries(result)
        if not rows:
            lines.append(f"ok {number} {result.cell.name} # SKIP {_plain(result.trouble)}")
            continue
        lines += ["  KTAP version 1", f"  1..{len(rows)}"]
        for sub, entry in enumerate(rows, 1):
            why = _plain(entry.why)
            head = f"{sub} {entry.name.replace(' ', '-')}"
            if entry.verdict == "SKIP":
                lines.append(f"  ok {head} # SKIP {why}")
            elif entry.verdict == "KNOWN":
                lines.append(f"  not ok {head} # XFAIL {why}")
            elif entry.good:
                lines.append(f"  ok {head}")
            else:
                lines.append(f"  not ok {head} # {entry.verdict} {why}")
        lines.append(("ok" if result.ending == Ending.GOOD else "not ok") + f" {number} {result.cell.name}")
    return "\n".join(lines) + "\n"


# What XML 1.0 has no way to say.
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(results: list[CellResult]) -> str:
    """One testsuite a cell. MISS and the ends of machines are errors, not failures."""
    top = xml.Element("testsuites", name="faultline")
    for result in results:
        rows = entries(result)
        suite = xml.SubElement(top, "testsuite", name=result.cell.name, time=f"{result.seconds:.1f}")
        kinds = {"failures": 0, "errors": 0, "skipped": 0}
        for entry in rows or [Entry(MACHINE, "SKIP", result.trouble)]:
            case = xml.SubElement(suite, "testcase", classname=f"faultline.{result.cell.name}",
                                  name=entry.name, time=f"{entry.seconds:.1f}")
            if entry.verdict == "PASS":
                continue
            tag, kind = {"FAIL": ("failure", "failures"), "XPASS": ("failure", "failures"),
                         "SKIP": ("skipped", "skipped"), "KNOWN": ("skipped", "skipped")}.get(
                             entry.verdict, ("error", "errors"))
            kinds[kind] += 1
            note = xml.SubElement(case, tag, message=_NO_XML.sub("?", f"{entry.verdict}: {entry.why}"))
            if entry.record:
                note.text = _NO_XML.sub("?", json.dumps(entry.record, indent=1))
        suite.set("tests", str(len(suite)))
        for kind, count in kinds.items():
            suite.set(kind, str(count))
    xml.indent(top)
    return xml.tostring(top, encoding="unicode", xml_declaration=True) + "\n"


ORIGIN = "faultline"
_STATUS = {"KNOWN": "FAIL", "XPASS": "FAIL", "PANIC": "FAIL", "HANG": "FAIL", "TIMEOUT": "ERROR", "LOST": "MISS",
           "BUILD": "MISS", "USAGE": "MISS"}


def _time(seconds: float) -> str:
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).isoformat()


def _path(name: str) -> str:
    return "faultline." + re.sub(r"[^A-Za-z0-9_-]", "_", name)


def _tests(result: CellResult, build_id: str, stamp: str) -> Iterator[dict[str, object]]:
    for entry in entries(result):
        test: dict[str, object] = {
            "build_id": build_id, "origin": ORIGIN, "path": _path(entry.name),
            "id": f"{ORIGIN}:{stamp}-{result.cell.name}-{entry.name.replace(' ', '_')}",
            "status": _STATUS.get(entry.verdict, entry.verdict),
            "start_time": _time(result.started), "duration": round(entry.seconds, 3),
            "environment": {
                "comment": f"{result.facts.get('qemu', 'no machine')}, {result.facts.get('accelerator', '-')}",
                "misc": {"host": result.facts.get("host", "")},
            },
            "misc": {"verdict": entry.verdict, **({"record": entry.record} if entry.record else {})},
        }
        if entry.why:
            test["comment"] = entry.why.replace("\0", "")[:EXCERPT]
        if entry.name == KERNEL_LOG and result.report and result.report.findings:
            quoted = "\n".join(finding.line for finding in result.report.findings)
            test["log_excerpt"] = quoted.replace("\0", "")[:EXCERPT]
        yield test


def kcidb(results: list[CellResult], stamp: str) -> dict[str, object]:
    """KCIDB v5 (kernelci's kcidb-io): what Debian built is a checkout and a build each, every row of
    a cell a test, and each known bug an issue with its incidents. `stamp` makes the ids unique."""
    checkouts: dict[str, dict[str, object]] = {}
    builds: dict[str, dict[str, object]] = {}
    issues: dict[str, dict[str, object]] = {}
    tests: list[dict[str, object]] = []
    incidents: list[dict[str, object]] = []
    for result in results:
        if result.ending is None:
            continue
        release = str(result.facts.get("kernel", result.cell.kernel.series))
        found = result.facts.get("packages")
        version = next(iter(found.values()), release) if isinstance(found, dict) else release
        checkout = f"{ORIGIN}:debian-{version}"
        checkouts[checkout] = {"id": checkout, "origin": ORIGIN, "tree_name": "debian", "valid": True,
                               "comment": f"Debian's linux {version}"}
        build = f"{ORIGIN}:{release}-{result.cell.arch.name}"
        builds[build] = {"id": build, "checkout_id": checkout, "origin": ORIGIN, "status": "PASS",
                         "architecture": result.cell.arch.kbuild, "config_name": release,
                         "comment": "as Debian built it"}
        for test in _tests(result, build, stamp):
            tests.append(test)
            record = test["misc"]["record"] if "record" in test["misc"] else {}  # type: ignore[index,operator]
            bug = record.get("known_bug")
            if bug and record.get("verdict") == "FAIL":
                issue = f"{ORIGIN}:" + re.sub(r"[^A-Za-z0-9_.-]+", "-", bug)
                issues[issue] = {"id": issue, "version": 1, "origin": ORIGIN, "comment": bug,
                                 "culprit": {"code": True, "tool": False, "harness": False}}
                incidents.append({"id": f"{test['id']}-known", "origin": ORIGIN, "issue_id": issue,
                                  "issue_version": 1, "test_id": test["id"], "present": True})
    return {
        "version": {"major": 5, "minor": 3},
        "checkouts": list(checkouts.values()), "builds": list(builds.values()), "tests": tests,
        "issues": list(issues.values()), "incidents": incidents,
    }


def validate(data: dict[str, object]) -> None:
    """Against the schema; Trouble names the place."""
    import jsonschema  # a Debian package that only this needs

    try:
        jsonschema.Draft7Validator(json.loads(SCHEMA.read_text())).validate(data)
    except jsonschema.ValidationError as error:
        where = "/".join(str(part) for part in error.absolute_path)
        raise Trouble(Ending.USAGE, f"the KCIDB report is not valid at {where}: {error.message}") from error


def write_all(results: list[CellResult], folder: Path) -> None:
    from .page import page

    (folder / "table.txt").write_text("\n".join(filter(None, [table(results), measures_text(results)])))
    (folder / "ktap").write_text(ktap(results))
    (folder / "junit.xml").write_text(junit(results))
    data = kcidb(results, folder.name)
    validate(data)
    (folder / "kcidb.json").write_text(json.dumps(data, indent=1) + "\n")
    (folder / "index.html").write_text(page(results))
