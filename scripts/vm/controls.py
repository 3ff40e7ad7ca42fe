# SPDX-License-Identifier: GPL-2.0
"""The table of docs/controls.md: each control of a run, and the forbidden outcome that it produced."""

from collections.abc import Iterable

from .results import Record

HEAD = """\
<!-- SPDX-License-Identifier: GPL-2.0 -->
# Controls, and the outcome that each produced

Printed by `make controls` from the last run, which was on {kernel} ({machine}). A control that this kernel
cannot have is in the table with its reason.

| scenario / variant | control | must produce | produced | in run |
|---|---|---|---|---|
"""


def _row(record: Record) -> str:
    forbidden = record.get("forbidden")
    produced = [f"`{words}`" for words in forbidden] if isinstance(forbidden, list) else []
    caught = bool(record.get("caught"))
    said = "<br>".join(produced) if caught else str(record.get("why", "")).replace("|", "\\|").partition("\n")[0]
    wanted = str(record.get("produces", "")).replace("|", "\\|")
    return (f"| {record['scenario']} / {record['variant']} | {record['control']} | `{wanted}` | "
            f"{said} | {record.get('runs') if caught else '-'} |")


def table(records: Iterable[Record]) -> str:
    """The table of the driver's records; a run without its begin record has none."""
    rows = list(records)
    begin = next(record for record in rows if record["kind"] == "begin")
    found = [_row(record) for record in rows if record["kind"] == "variant" and record.get("control")]
    return HEAD.format(kernel=begin["kernel"], machine=begin["machine"]) + "".join(f"{row}\n" for row in found)
