# SPDX-License-Identifier: GPL-2.0
"""The driver's command in a machine, of what a user asked for."""

import re
import tomllib
from pathlib import Path

from .outcome import Driver
from .tables import Ending, Trouble

CHANNELS = " ".join(f"--{name} /dev/faultline/{name}" for name in ("json", "ktap", "progress", "mark"))


def name_in_file(file: Path) -> str:
    """Of the scenario in it. The driver says all else that is wrong."""
    try:
        name = tomllib.loads(file.read_text()).get("name")
    except (OSError, ValueError) as error:
        raise Trouble(Ending.USAGE, f"{file}: {error}") from error
    if not isinstance(name, str) or not name:
        raise Trouble(Ending.USAGE, f"{file}: no name = \"...\"")
    return name


def seconds_of(text: str) -> int:
    """90, 90s, 5m, 2h"""
    found = re.fullmatch(r"(\d+)([smh]?)", text)
    if not found or not int(found.group(1)):
        raise Trouble(Ending.USAGE, f"BUDGET={text}: 90s, 5m or 2h")
    return int(found.group(1)) * {"": 1, "s": 1, "m": 60, "h": 3600}[found.group(2)]


def driver_of(runs_of_each: int | None, names: str, budget: int | None = None) -> Driver:
    """`names` may have files, path/FILE.flt/variant+control: the machine gets them, and knows them by their names."""
    options = ["faultline run", *([f"--runs {runs_of_each}"] if runs_of_each else []),
               *([f"--budget {budget}"] if budget else []), CHANNELS]
    words, files = [], []
    for word in names.split():
        path, suffix, rest = word.partition(".flt")
        if suffix:
            file = Path(path + suffix)
            if file not in files:
                files.append(file)
                options.append(f"--file /files/{file.name}")
            word = name_in_file(file) + rest
        words.append(word)
    if len({file.name for file in files}) != len(files):
        raise Trouble(Ending.USAGE, "two files of one name")
    return Driver(" ".join(options), " ".join(words), tuple(files))
