# SPDX-License-Identifier: GPL-2.0
"""The matrix as one HTML page: the table, and behind each field its evidence and its log."""

import html
from pathlib import Path

from . import run_page
from .matrix import CellResult
from .outcome import Report
from .reports import LEGEND, entries, measures, row_names, totals_of, word
from .results import power_text
from .rows import Entry, variant_name
from .tables import ENDING_TEXT

LOG_LINES = 4000  # of a kernel log; the whole one is in the run folder

STYLE = """\
:root{color-scheme:light dark}
body{font:14px/1.4 system-ui,sans-serif;margin:1em;max-width:100em}
.wide{overflow-x:auto}table{border-collapse:collapse}th,td{border:1px solid #8886;padding:.25em .6em;text-align:left}
thead th{vertical-align:bottom}td a{color:inherit;text-decoration:none;display:block}
.PASS{background:#3a33}.SKIP,.none{background:#8882}.KNOWN{background:#fa05}
.partly{border-right:.5em solid #888}
.MISS{background:#83c4}.FAIL,.XPASS,.PANIC,.HANG,.LOST,.TIMEOUT,.BUILD,.bad{background:#e436}
.ERROR,.USAGE{background:#e815}pre{background:#8882;padding:.6em;overflow:auto;max-height:36em;font-size:12px}
details{margin:.3em 0}summary{cursor:pointer}
"""


def _id(result: CellResult) -> str:
    return result.cell.name.replace("/", "-")


def _text(value: object) -> str:
    return html.escape(str(value))


def _ways(result: CellResult) -> str:
    return "".join(f"<br>{_text(way)}" for way in result.cell.ways)


def _head(results: list[CellResult]) -> str:
    names = "".join(
        f'<th><a href="#{_id(r)}">{_text(r.cell.arch.name)}<br>{_text(r.cell.kernel.series)}{_ways(r)}</a></th>' for r in results
    )
    return f"<thead><tr><th></th>{names}</tr></thead>"


def _field(result: CellResult, row: str) -> str:
    shown = word(result, row)
    entry = next((entry for entry in entries(result) if entry.name == row), None)
    if not entry:
        return f'<td class="none" title="{_text(result.trouble)}">{shown}</td>'
    partly = " partly" if entry.skipped[0] and entry.verdict == "PASS" else ""
    title = "; ".join(filter(None, [entry.why, entry.note]))
    return f'<td class="{entry.verdict}{partly}" title="{_text(title)}"><a href="{_evidence(result, entry)}">{_text(shown)}</a></td>'


def _evidence(result: CellResult, entry: Entry) -> str:
    """The scenario in the page of the cell's run; for other rows, and where no machine ran, the cell's part of this page."""
    if entry.record and result.report and (result.report.folder / run_page.NAME).exists():
        return f"{_id(result)}/{run_page.NAME}#{_text(entry.name)}"
    return f"#{_id(result)}"


def _table(results: list[CellResult]) -> str:
    rows = "".join(
        f"<tr><th>{_text(row)}</th>{''.join(_field(result, row) for result in results)}</tr>\n"
        for row in row_names(results)
    )
    return f'<div class="wide"><table>{_head(results)}<tbody>\n{rows}</tbody></table></div>'


def _measures(results: list[CellResult]) -> str:
    rows = "".join(
        f"<tr><td>{_text(one.variant)}</td><td>{_text(one.cell)}</td><td>{one.number}</td><td>{_text(one.what)}</td>"
        f"<td>{_text(one.note)}</td></tr>\n"
        for one in measures(results)
    )
    return f"<h2>Measured</h2>\n<table>{rows}</table>" if rows else ""


def _numbers(entry: Entry) -> str:
    record = entry.record
    replay = f"<pre>{_text(entry.replay)}</pre>" if entry.replay else ""
    if not record or "histogram" not in record:
        return replay
    histogram, forbidden = record.get("histogram") or {}, record.get("forbidden") or []
    lines = "".join(
        f'<tr class="{"bad" if words in forbidden else ""}"><td>{count}</td><td>{_text(words)}</td></tr>'
        for words, count in sorted(histogram.items(), key=lambda item: -item[1])
    )
    counts = record.get("controls")
    counts = counts if isinstance(counts, dict) else {}
    power = power_text(record)
    return (
        f"<br>{record.get('runs')} runs, {record.get('overlaps')} overlaps, {record.get('excluded')} excluded, "
        f"{record.get('rate')} runs/s{f' (seen {_text(power)})' if power else ''}; {counts.get('caught', 0)} of "
        f"{sum(counts.values())} controls caught{replay}"
        f"<details><summary>outcomes</summary><table>{lines}</table></details>"
    )


def _skipped(report: Report) -> str:
    """The skipped variants of scenarios that were tried."""
    rows = "".join(f"<tr><td>{_text(variant_name(r))}</td><td>{_text(r.get('why') or '')}</td></tr>"
                   for r in report.driver.of("variant") if r.get("standing") == "skipped")
    return f"<details><summary>skipped variants and controls</summary><table>{rows}</table></details>" if rows else ""


def _log(report: Report, file: Path) -> str:
    if not file.exists():
        return ""
    findings = {finding.number for finding in report.findings}
    lines = file.read_text(errors="replace").splitlines()
    shown = "\n".join(
        f'<span class="bad">{_text(line)}</span>' if number in findings else _text(line)
        for number, line in enumerate(lines[:LOG_LINES], 1)
    )
    of = f" of {file.parent.name}" if file.parent.name.startswith("machine-") else ""
    cut = f" (the first {LOG_LINES})" if len(lines) > LOG_LINES else ""
    return f"<details><summary>kernel log{of}, {len(lines)} lines{cut}</summary><pre>{shown}</pre></details>"


def _cell(result: CellResult) -> str:
    title = f'<h2 id="{_id(result)}">{_text(result.cell.name)}</h2>'
    if result.ending is None:
        return f"{title}<p>No such kernel: {_text(result.trouble)}.</p>"
    facts = ", ".join(f"{key} {_text(result.facts[key])}" for key in ("kernel", "qemu", "accelerator", "commit", "host")
                      if key in result.facts)
    parts = [title, f"<p>{result.ending.name}: {_text(ENDING_TEXT[result.ending])}; {result.seconds:.0f} s. {facts}</p>",
             f"<p>{_text(totals_of(result))}</p>"]
    if result.trouble:
        parts.append(f"<pre>{_text(result.trouble)}</pre>")
    rows = "".join(
        f'<tr><th>{_text(e.name)}</th><td class="{e.verdict}">{e.verdict}</td><td>{_text(e.why)}{_numbers(e)}</td></tr>'
        for e in entries(result)
    )
    parts.append(f'<div class="wide"><table>{rows}</table></div>')
    if result.report:
        folder = result.report.folder
        problems = "\n".join(result.report.problems)
        if problems:
            parts.append(f"<pre>{_text(problems)}</pre>")
        command = folder / "qemu-command"
        if command.exists():
            parts.append(f"<details><summary>QEMU command</summary><pre>{_text(command.read_text())}</pre></details>")
        parts.append(_skipped(result.report))
        parts += [_log(machine, machine.folder / "console.log") for machine in result.report.machines or [result.report]]
        links = ", ".join(f'<a href="{_id(result)}/{f.name}">{f.name}</a>' for f in sorted(folder.iterdir()))
        parts.append(f"<p>{links}</p>")
    return "\n".join(parts)


def page(results: list[CellResult]) -> str:
    cells = "\n".join(_cell(result) for result in results)
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content=width=device-width><title>Faultline matrix</title><style>{STYLE}</style>\n"
        f"<h1>Faultline matrix</h1>\n<p>A field leads to its evidence in the page of that run. - means that there is no such kernel, "
        f". that the cell did not run this row. {_text(LEGEND)}.</p>\n{_table(results)}\n{_measures(results)}\n{cells}\n</html>\n"
    )
