# SPDX-License-Identifier: GPL-2.0
"""The files of a matrix in its folder, beside the folders of its cells."""

import json
from pathlib import Path

from .matrix import CellResult
from .page import page
from .reports import junit, kcidb, ktap, measures_text, table, validate


def write_all(results: list[CellResult], folder: Path) -> None:
    (folder / "table.txt").write_text("\n".join(filter(None, [table(results), measures_text(results)])))
    (folder / "ktap").write_text(ktap(results))
    (folder / "junit.xml").write_text(junit(results))
    data = kcidb(results, folder.name)
    validate(data)
    (folder / "kcidb.json").write_text(json.dumps(data, indent=1) + "\n")
    (folder / "index.html").write_text(page(results))
