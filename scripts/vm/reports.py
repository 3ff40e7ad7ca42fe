# SPDX-License-Identifier: GPL-2.0
"""The reports of a matrix: a table for people, KTAP, JUnit XML and KCIDB for machines."""

import datetime
import json
import re
import xml.etree.ElementTree as xml
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from . import schema
from .matrix import CellResult
from .results import Record
from .rows import KERNEL_LOG, MACHINE, Entry, ktap_rows, plain, rows_of, variant_name
from .tables import Ending

LEGEND = "PASS <P%: what was not seen has a probability below P, with 95 % confidence; -N: N variants or controls were skipped"
SCHEMA = Path(__file__).with_name("kcidb.schema.json")
EXCERPT = 16384  # characters that KCIDB takes


def entries(result: CellResult) -> list[Entry]:
    """The words of one cell, in the order of the table's rows. Empty where there is no kernel."""
    if result.ending is None:
        return []
    if not result.report:
        return [Entry(MACHINE, result.ending.name, result.trouble, result.seconds)]
    return rows_of(result.report, result.seconds)


def totals_of(result: CellResult) -> str:
    """ "114 passed, 7 skipped (7 of 121 variants skipped)": selftests are among those that passed."""
    if not result.report:
        return result.trouble.partition("\n")[0]
    counts, driver = result.report.counts, result.report.driver
    words = [f"{count} {name}" for name, count in asdict(counts).items() if count or name == "passed"]
    return ", ".join(words) + (f" ({driver.totals()})" if driver.variants.all else "")


def row_names(results: list[CellResult]) -> list[str]:
    """The rows of all cells, each once; kernel log and machine last."""
    names: dict[str, None] = {}
    for result in results:
        for entry in entries(result):
            names.setdefault(entry.name)
    last = [name for name in (KERNEL_LOG, MACHINE) if name in names]
    return [name for name in names if name not in last] + last


def word(result: CellResult, row: str) -> str:
    """For a field of the table: "-" no such kernel, "." this cell has no such row. A pass has its bound,
    and variants that were skipped have their number: "PASS <0.1% -2"."""
    if result.ending is None:
        return "-"
    return next((entry.word for entry in entries(result) if entry.name == row), ".")


def table(results: list[CellResult]) -> str:
    """Rows are scenarios, columns cells; a block for each kernel, so that it fits a terminal."""
    rows = row_names(results)
    first = max((len(row) for row in rows), default=0)
    blocks = []
    for head in dict.fromkeys(_block(result) for result in results):
        group = [result for result in results if _block(result) == head]
        widths = [max(len(r.cell.arch.name), *(len(word(r, row)) for row in rows), 1) for r in group]
        lines = [f"{head:<{first}}  " + "  ".join(f"{r.cell.arch.name:<{w}}" for r, w in zip(group, widths))]
        lines += [
            f"{row:<{first}}  " + "  ".join(f"{word(r, row):<{w}}" for r, w in zip(group, widths)) for row in rows
        ]
        lines += [f"  {'-' if r.ending is None else '='} {r.cell.name}: {r.trouble or totals_of(r)}" for r in group]
        blocks.append("\n".join(line.rstrip() for line in lines))
    return "\n\n".join(blocks) + f"\n\n{LEGEND}\n"


def _block(result: CellResult) -> str:
    return " ".join([result.cell.kernel.series, *result.cell.ways])


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
    """The measures of all cells, cell by cell for each variant, for comparison. Controls are left out."""
    found = [
        Measure(result.cell.name, f"{record['scenario']}/{record['variant']}", float(one["value"]), str(one["what"]),
                str(one.get("note") or ""))
        for result in results if result.report
        for record in result.report.driver.records if record.get("kind") == "variant" and not record.get("control")
        for one in record.get("measures") or ()  # type: ignore[attr-defined]
    ]
    first_met = list(dict.fromkeys((one.variant, one.what) for one in found))
    return sorted(found, key=lambda one: first_met.index((one.variant, one.what)))


def measures_text(results: list[CellResult]) -> str:
    """A line each; "" if nothing was measured."""
    lines = [f"{one.variant}  {one.cell}  {one}" for one in measures(results)]
    return "".join(f"{line}\n" for line in ["measured", *lines]) if lines else ""


def ktap(results: list[CellResult]) -> str:
    """One subtest a cell."""
    lines = ["KTAP version 1", f"1..{len(results)}"]
    for number, result in enumerate(results, 1):
        rows = entries(result)
        if not rows:
            lines.append(f"ok {number} {result.cell.name} # SKIP {plain(result.trouble)}")
            continue
        lines += ["  KTAP version 1", f"  # Subtest: {result.cell.name}", f"  1..{len(rows)}", *ktap_rows(rows, "  ")]
        lines.append(f"# {result.cell.name}: {plain(totals_of(result))}")
        lines.append(("ok" if result.ending == Ending.GOOD else "not ok") + f" {number} {result.cell.name}")
    return "\n".join(lines) + "\n"


# Characters that XML 1.0 cannot represent.
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


_TAGS = {"FAIL": "failure", "XPASS": "failure", "SKIP": "skipped", "KNOWN": "skipped"}
_SUMS = {"failure": "failures", "error": "errors", "skipped": "skipped"}


def junit(results: list[CellResult]) -> str:
    """One testsuite a cell, with each skipped variant as a case. MISS and the ends of machines are errors,
    not failures."""
    top = xml.Element("testsuites", name="faultline")
    for result in results:
        rows = [*(entries(result) or [Entry(MACHINE, "SKIP", result.trouble)]), *_skipped(result)]
        suite = xml.SubElement(top, "testsuite", name=result.cell.name, time=f"{result.seconds:.1f}", tests=str(len(rows)))
        sums = dict.fromkeys(_SUMS.values(), 0)
        if result.report:
            properties = xml.SubElement(suite, "properties")
            for name, value in _totals(result).items():
                xml.SubElement(properties, "property", name=name, value=str(value))
        for entry in rows:
            case = xml.SubElement(suite, "testcase", classname=f"faultline.{result.cell.name}",
                                  name=entry.name, time=f"{entry.seconds:.1f}")
            if entry.verdict == "PASS":
                if entry.note:
                    xml.SubElement(case, "system-out").text = _NO_XML.sub("?", entry.note)
                continue
            tag = _TAGS.get(entry.verdict, "error")
            sums[_SUMS[tag]] += 1
            note = xml.SubElement(case, tag, message=_NO_XML.sub("?", f"{entry.verdict}: {entry.why}"))
            if entry.record:
                note.text = _NO_XML.sub("?", json.dumps(entry.record, indent=1))
        for name, count in sums.items():
            suite.set(name, str(count))
    xml.indent(top)
    return xml.tostring(top, encoding="unicode", xml_declaration=True) + "\n"


def _skipped(result: CellResult) -> list[Entry]:
    """Each skipped variant and control, as a row of its own for tools that count rows."""
    if not result.report:
        return []
    return [Entry(variant_name(r), "SKIP", str(r.get("why") or "")) for r in result.report.driver.of("variant")
            if r.get("standing") == "skipped"]


def _totals(result: CellResult) -> dict[str, object]:
    """Variants and controls, and how the kernel was booted."""
    assert result.report
    driver = result.report.driver
    sums: dict[str, object] = {"boot": result.cell.boot}
    sums |= {f"variants_{name}": count for name, count in asdict(driver.variants).items()}
    return sums | {f"controls_{name}": count for name, count in asdict(driver.controls).items()}


ORIGIN = "faultline"
_STATUS = {"KNOWN": "FAIL", "XPASS": "FAIL", "PANIC": "FAIL", "HANG": "FAIL", "TIMEOUT": "ERROR", "LOST": "MISS",
           "BUILD": "MISS", "USAGE": "MISS"}


def _time(seconds: float) -> str:
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).isoformat()


def _path(name: str) -> str:
    return "faultline." + re.sub(r"[^A-Za-z0-9_-]", "_", name)


def _tests(result: CellResult, build_id: str, stamp: str) -> Iterator[dict[str, object]]:
    rows = entries(result)
    names: dict[str, int] = {}
    for number, entry in enumerate([*rows, *_skipped(result)]):
        # A scenario can have several rows: one for each name that was asked for.
        again = names[entry.name] = names.get(entry.name, 0) + 1
        test: dict[str, object] = {
            "build_id": build_id, "origin": ORIGIN, "path": _path(entry.name),
            "id": f"{ORIGIN}:{stamp}-{result.cell.name}-{entry.name.replace(' ', '_')}"
            + (f"-{again}" if again > 1 else ""),
            "status": _STATUS.get(entry.verdict, entry.verdict),
            "start_time": _time(result.started), "duration": round(entry.seconds, 3),
            "environment": {
                "comment": f"{result.facts.get('qemu', 'no machine')}, {result.facts.get('accelerator', '-')}",
                "misc": {"host": result.facts.get("host", ""), "boot": result.facts.get("boot", result.cell.boot)},
            },
            "misc": {"verdict": entry.verdict, **({"record": entry.record} if entry.record else {}),
                     **(_totals(result) if entry.name == MACHINE and number < len(rows) and result.report else {})},
        }
        if text := "; ".join(filter(None, [entry.why, entry.note])):
            test["comment"] = text.replace("\0", "")[:EXCERPT]
        if entry.name == KERNEL_LOG and result.report and result.report.findings:
            quoted = "\n".join(finding.line for finding in result.report.findings)
            test["log_excerpt"] = quoted.replace("\0", "")[:EXCERPT]
        yield test


# A number of the driver's record of a scenario, its unit, and the name of its test.
_NUMBERS = (("overlaps", "overlaps"), ("rate", "runs/s"), ("bound", "%"))


def _numbers(test: dict[str, object], record: Record) -> Iterator[dict[str, object]]:
    """KCIDB takes one number a test: each is a test of its own, without a verdict, beside the scenario's."""
    power = record.get("power")
    bound = power.get("bound") if isinstance(power, dict) else None
    values = {**record, "bound": bound * 100 if isinstance(bound, (int, float)) else None}
    for name, unit in _NUMBERS:
        value = values.get(name)
        if isinstance(value, (int, float)):
            yield {**{key: test[key] for key in ("build_id", "origin", "start_time", "environment")},
                   "id": f"{test['id']}-{name}", "path": f"{test['path']}.{name}", "status": "DONE",
                   "number": {"value": value, "unit": unit}}


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
            tests += _numbers(test, record)
            bug = record.get("known_bug")
            if bug and record.get("standing") == "known":
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
    schema.check(data, SCHEMA, "the KCIDB report")
