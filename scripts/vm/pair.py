# SPDX-License-Identifier: GPL-2.0
"""The same scenarios on two kernels: what one fixed, what one broke."""

import html
import json
from dataclasses import dataclass
from pathlib import Path

from . import compare, kernels, qemu, runs
from .compare import FIXED, NO_CLAIM, REGRESSED, Row, Seen
from .outcome import Driver, Report
from .page import STYLE
from .results import Record
from .tables import DEFAULT_BOOT, Arch, Ending, KnownPair, Trouble

WORDS = (FIXED, compare.STILL, REGRESSED, compare.DIFFERS, compare.SAME, NO_CLAIM)
COLOURS = {FIXED: "PASS", compare.STILL: "KNOWN", REGRESSED: "FAIL", compare.DIFFERS: "MISS", compare.SAME: "none", NO_CLAIM: "ERROR"}


@dataclass
class Pair:
    """Two runs of one driver's command."""

    arch: Arch
    names: tuple[str, str]  # of the kernels, as they are shown
    reports: tuple[Report, Report]
    rows: list[Row]

    @property
    def counts(self) -> dict[str, int]:
        shown = compare.shown(self.rows)
        return {word: sum(row.word == word for row in shown) for word in WORDS}

    @property
    def ending(self) -> Ending:
        """A bug that is still there fails nothing: that is what one asked."""
        counts = self.counts
        if counts[REGRESSED]:
            return Ending.FAILED
        compared = sum(counts.values()) - counts[NO_CLAIM]
        undecided = any(row.word == NO_CLAIM and not skipped(row) for row in compare.shown(self.rows))
        return Ending.UNDECIDED if undecided or not compared else Ending.GOOD


def skipped(row: Row) -> bool:
    """One of the kernels cannot have it: that is named, and no run of it would tell more."""
    return any(seen.record and seen.record.get("verdict") == "SKIP" for seen in (row.old, row.new))


def _boot_one(arch: Arch, kernel: kernels.UnpackedKernel, driver: Driver, bounds: qemu.Bounds, folder: Path, boot: str) -> Report:
    folder.mkdir()
    report = runs.boot(runs.prepare(arch, kernel, driver, [], folder, boot), bounds)
    if not report.driver.records:
        raise Trouble(max(report.ending, Ending.FAILED), "\n".join(report.problems))
    return report


def run(arch: Arch, old: kernels.UnpackedKernel, new: kernels.UnpackedKernel, driver: Driver, bounds: qemu.Bounds,
        folder: Path, boot: str = DEFAULT_BOOT) -> Pair:
    names = (kernels.version_of(old), kernels.version_of(new))
    reports = [_boot_one(arch, kernel, driver, bounds, folder / side, boot) for side, kernel in (("old", old), ("new", new))]
    pair = Pair(arch, names, (reports[0], reports[1]), compare.compare(*reports))
    (folder / "pair.txt").write_text(text(pair))
    (folder / "pair.json").write_text(json.dumps(facts(pair), indent=1) + "\n")
    (folder / "index.html").write_text(page(pair))
    return pair


def unlike(pair: Pair, known: list[KnownPair]) -> list[str]:
    """Which of the known differences it did not show."""
    lines = []
    for one in known:
        said = {row.word for row in compare.shown(pair.rows) if one.run in (row.name, row.name.partition("/")[0])}
        if one.says not in said:
            lines.append(f"{one.run} {one.old} -> {one.new}: known as {one.says} ({one.commit}), now {', '.join(sorted(said)) or 'no result'}")
    return lines


def histograms(row: Row) -> list[tuple[int, int, bool, str]]:
    """Each outcome: how often on the old and on the new kernel, and whether one of them forbids it."""
    old, new = row.old.histogram, row.new.histogram
    found = [(old.get(words, 0), new.get(words, 0), words in row.old.signs or words in row.new.signs, words)
             for words in {**old, **new}]
    return sorted(found, key=lambda one: (not one[2], -max(one[:2])))


def _row_text(row: Row, names: tuple[str, str]) -> list[str]:
    lines = [f"{row.name:<36} {row.word}" + (f": {row.why}" if row.why else "")]
    lines += [f"    {name:<10} {seen.text()}" for name, seen in zip(names, (row.old, row.new))]
    if counts := histograms(row):
        lines.append(f"    {names[0]:>10} {names[1]:>10}")
        lines += [f"    {old or '.':>10} {new or '.':>10}  {'!' if bad else ' '}{words}" for old, new, bad, words in counts]
    return lines


def totals(pair: Pair) -> str:
    return f"{' -> '.join(pair.names)} {pair.arch.name}: " + ", ".join(f"{count} {word}" for word, count in pair.counts.items() if count)


def text(pair: Pair) -> str:
    lines = [line for row in compare.shown(pair.rows) for line in _row_text(row, pair.names)]
    return "\n".join([*lines, totals(pair)]) + "\n"


def _seen_facts(seen: Seen) -> Record:
    record = seen.record or {}
    return {"verdict": record.get("verdict"), "runs": record.get("runs", 0), "overlaps": seen.overlaps, "histogram": seen.histogram,
            "wrong": seen.signs, "says": seen.text(), "no_claim": seen.no_claim or None, "replay": record.get("replay")}


def facts(pair: Pair) -> Record:
    return {
        "old": pair.names[0], "new": pair.names[1], "arch": pair.arch.name, "ending": pair.ending.name, "counts": pair.counts,
        "rows": [{"name": row.name, "says": row.word, "why": row.why or None, "old": _seen_facts(row.old), "new": _seen_facts(row.new)}
                 for row in compare.shown(pair.rows)],
    }


def _page_row(row: Row) -> str:
    counts = "".join(f'<tr class="{"bad" if bad else ""}"><td>{old or "."}</td><td>{new or "."}</td><td>{html.escape(words)}</td></tr>'
                     for old, new, bad, words in histograms(row))
    table = f"<details><summary>outcomes</summary><table>{counts}</table></details>" if counts else ""
    return (f'<tr><th>{html.escape(row.name)}</th><td class="{COLOURS[row.word]}">{row.word}</td><td>{html.escape(row.old.text())}</td>'
            f"<td>{html.escape(row.new.text())}</td><td>{html.escape(row.why)}{table}</td></tr>\n")


def page(pair: Pair) -> str:
    old, new = (html.escape(name) for name in pair.names)
    links = "".join(f'<p>{side}: <a href="{side}/console.log">kernel log</a>, <a href="{side}/json">results</a>, '
                    f'<a href="{side}/versions.json">versions</a></p>\n' for side in ("old", "new"))
    rows = "".join(_page_row(row) for row in compare.shown(pair.rows))
    return (f"<!doctype html><html lang=en><meta charset=utf-8><title>{old} and {new}</title><style>{STYLE}</style>\n"
            f"<h1>{html.escape(totals(pair))}</h1>\n<table><thead><tr><th></th><th></th><th>{old}</th><th>{new}</th><th></th></tr></thead>\n"
            f"{rows}</table>\n{links}</html>\n")
