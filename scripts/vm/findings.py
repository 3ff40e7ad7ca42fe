# SPDX-License-Identifier: GPL-2.0
"""The table of docs/findings/README.md: each finding, and what the newest run of each kernel showed of it."""

import json
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path

from . import kernels
from .results import Record, parse_driver, percent
from .tables import DEFAULT_ARCH, Ending, Trouble

HEAD = """\
<!-- SPDX-License-Identifier: GPL-2.0 -->
# Findings

Printed by `make findings` from the newest run of each kernel in `runs/`; its rows are those of
[findings.toml](findings.toml). *happens 8 of 10, 9 overlaps*: 8 of 10 runs had a forbidden
outcome, and 9 had their order. *not seen* has the bound of 95 %. The differences that explore found are in [explore.md](explore.md).

| finding | how bad | seen | command |
|---|---|---|---|
"""

# How a machine ended (Ending), in words.
ENDED = {"PANIC": "panics", "HANG": "hangs", "LOST": "is lost", "TIMEOUT": "does not end"}


@dataclass(frozen=True)
class Finding:
    page: str
    finding: str
    harm: str
    variants: tuple[str, ...] = ()
    file: str = ""
    arch: str = DEFAULT_ARCH
    command: str = ""

    @property
    def words(self) -> str:
        """For the table."""
        if self.command:
            return self.command
        name = self.file or self.variants[0]
        return f"`make run RUN={name}" + (f" ARCH={self.arch}`" if self.arch != DEFAULT_ARCH else "`")


def read(text: str) -> list[Finding]:
    try:
        rows = tomllib.loads(text).get("finding", [])
    except tomllib.TOMLDecodeError as error:
        raise Trouble(Ending.USAGE, f"findings.toml: {error}") from error
    known = {one.name for one in fields(Finding)}
    found = []
    for number, row in enumerate(rows, 1):
        where = f"findings.toml, row {number}"
        if unknown := sorted(set(row) - known):
            raise Trouble(Ending.USAGE, f"{where}: it has no key {unknown[0]}; there are {', '.join(sorted(known))}")
        if missing := [name for name in ("page", "finding", "harm") if not row.get(name)]:
            raise Trouble(Ending.USAGE, f"{where}: it has no {missing[0]}")
        if bool(row.get("variants")) == bool(row.get("command")):
            raise Trouble(Ending.USAGE, f"{where}: it has either variants or a command")
        found.append(Finding(**{**row, "variants": tuple(row.get("variants", ()))}))
    return found


def _share(record: Record) -> str:
    """The words for a variant: how often a forbidden outcome was seen, or the bound if it was not."""
    histogram, forbidden, power = record.get("histogram"), record.get("forbidden"), record.get("power")
    if record.get("verdict") == "SKIP":
        return ""
    if isinstance(histogram, dict) and isinstance(forbidden, list) and forbidden:
        bad = sum(int(histogram.get(words, 0)) for words in forbidden)
        runs, overlaps = record.get("runs"), record.get("overlaps")
        return f"**happens** {bad} of {runs}" + (f", {overlaps} overlaps" if overlaps != runs else "")
    if record.get("verdict") != "PASS" or not isinstance(power, dict):
        return f"no claim ({record.get('verdict')})"
    bound = power.get("bound")
    how = "excluded" if not record.get("overlaps") and record.get("excluded") else "not seen"
    return f"{how}: < {percent(bound)} %" if isinstance(bound, float) else how


def _crash(record: Record) -> tuple[str, str]:
    """For a scenario: the variant under which the machine ended, and how; two empty words if it did not."""
    if not record.get("cut") or record.get("control") or not record.get("variant"):
        return "", ""
    return f"{record.get('scenario')}/{record.get('variant')}", ENDED.get(str(record.get("verdict")), "")


def _kernel(folder: Path) -> str:
    """Its version and, if it is not the usual machine, that: "6.12.95 s390x". "" of a kernel that is the user's own."""
    file = next((place / "versions.json" for place in (folder, folder.parent) if (place / "versions.json").exists()), None)
    if not file:
        return ""
    facts = json.loads(file.read_text())
    packages = {str(name): str(version) for name, version in facts.get("packages", {}).items()}
    boot = facts.get("boot", {}).get("name", "stock")
    if not packages or {"own kernel", "source tree"} & set(packages) or boot != "stock":
        return ""
    arch = str(facts.get("arch", ""))
    version = kernels.upstream_version(next(iter(packages.values()))) or str(facts.get("kernel", ""))
    return version + ("" if arch == DEFAULT_ARCH else f" {arch}")


def seen_in(top: Path) -> dict[str, dict[str, str]]:
    """For each variant: kernel and verdict of the newest run. Unreadable runs are skipped."""
    seen: dict[str, dict[str, str]] = {}
    for file in sorted(top.rglob("json")):
        folder = file.parent
        try:
            kernel = _kernel(folder)
        except (ValueError, AttributeError):
            continue
        if not kernel:
            continue
        results = parse_driver(file.read_text(errors="replace"), cut=True)
        for record in results.of("variant"):
            if not record.get("control") and (words := _share(record)):
                seen.setdefault(f"{record.get('scenario')}/{record.get('variant')}", {})[kernel] = words
        for record in results.of("scenario"):
            name, how = _crash(record)
            if how:
                seen.setdefault(name, {})[kernel] = f"**the machine {how}**"
    return seen


def _seen(finding: Finding, seen: dict[str, dict[str, str]]) -> str:
    lines = []
    for variant in finding.variants:
        name = f"`{variant}` " if len(finding.variants) > 1 else ""
        verdicts = seen.get(variant, {})
        lines += [f"{name}{kernel}: {verdicts[kernel]}" for kernel in sorted(verdicts, key=kernels.version_key)]
    return "<br>".join(lines) or "-"


def table(findings: Iterable[Finding], seen: dict[str, dict[str, str]]) -> str:
    return HEAD + "".join(f"| [{one.finding}]({one.page}) | {one.harm} | {_seen(one, seen)} | {one.words} |\n"
                          for one in findings)


def runs_of(findings: Iterable[Finding], arch: str) -> str:
    """The words of `RUN=` for all findings that this machine can have. Those that end the machine come last."""
    mine = [one for one in findings if one.arch == arch and one.variants]
    return " ".join(name for one in reversed(mine) for name in ([one.file] if one.file else one.variants))
