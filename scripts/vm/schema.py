# SPDX-License-Identifier: GPL-2.0
"""Whether JSON is as its schema says. Trouble names the place."""

import json
from pathlib import Path

from . import build
from .tables import Ending, Trouble

RESULTS = build.TOP / "user/report/results.schema.json"


def check(data: object, schema: Path, what: str) -> None:
    import jsonschema  # a Debian package that only this needs

    try:
        jsonschema.Draft7Validator(json.loads(schema.read_text())).validate(data)
    except jsonschema.ValidationError as error:
        deepest = jsonschema.exceptions.best_match([error])
        where = "/".join(str(part) for part in deepest.absolute_path)
        raise Trouble(Ending.USAGE, f"{what} is not valid at {where}: {deepest.message}") from error


def check_lines(text: str, what: str) -> int:
    """Each line of the results; how many there were."""
    lines = text.splitlines()
    for number, line in enumerate(lines, 1):
        check(json.loads(line), RESULTS, f"line {number} of {what}")
    return len(lines)


def check_run(folder: Path) -> None:
    """The results of a run, of one machine or put together of several."""
    file = folder / "json"
    if file.exists():
        check_lines(file.read_text(errors="replace"), str(file.relative_to(build.TOP)))
