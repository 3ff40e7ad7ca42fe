# SPDX-License-Identifier: GPL-2.0
"""The driver's command in a machine, of what a user asked for."""

import os
import re
import shlex
import sys
import tomllib
from pathlib import Path

from .outcome import Driver
from .results import Record
from .tables import Ending, Trouble

CHANNELS = " ".join(f"--{name} /dev/faultline/{name}" for name in ("json", "ktap", "progress", "mark", "trace"))


def name_in_file(file: Path) -> str:
    """The name of the scenario in the file. The driver reports every other error."""
    try:
        name = tomllib.loads(file.read_text()).get("name")
    except (OSError, ValueError) as error:
        raise Trouble(Ending.USAGE, f"{file}: {error}") from error
    if not isinstance(name, str) or not name:
        raise Trouble(Ending.USAGE, f"{file}: no name = \"...\"")
    return name


def absolute(names: str) -> str:
    """The same names, for a command that runs in another folder."""
    words = []
    for word in names.split():
        path, suffix, rest = word.partition(".flt")
        words.append(str(Path(path + suffix).resolve()) + rest if suffix else word)
    return " ".join(words)


def seconds_of(text: str) -> int:
    """90, 90s, 5m, 2h"""
    found = re.fullmatch(r"(\d+)([smh]?)", text)
    if not found or not int(found.group(1)):
        raise Trouble(Ending.USAGE, f"BUDGET={text}: 90s, 5m or 2h")
    return int(found.group(1)) * {"": 1, "s": 1, "m": 60, "h": 3600}[found.group(2)]


def coloured() -> bool:
    """Whether a person looks at stdout who has not asked for plain text (no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


# The driver's stdout is a port of its machine: only here is it known who looks.
COLOR = "--color always"


def driver_of(runs_of_each: int | None, names: str, budget: int | None = None, color: bool = False) -> Driver:
    """`names` may have files, path/FILE.flt/variant+control: the machine gets them, and knows them by their names."""
    options = ["faultline run", *([f"--runs {runs_of_each}"] if runs_of_each else []),
               *([COLOR] if color else []), CHANNELS]
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
    return Driver(" ".join(options), " ".join(words), tuple(files), budget)


def replay_line(record: Record) -> tuple[str, str] | None:
    """The schedule of a run that a record of a variant has, and its control; a forbidden one first."""
    examples = record.get("examples")
    schedule = record.get("replay") or (examples[0].get("replay") if isinstance(examples, list) and examples else None)
    return (str(schedule), str(record.get("control") or "")) if schedule else None


def replay_of(line: str, control: str, runs: int | None, files: tuple[Path, ...] = (), color: bool = False) -> Driver:
    """`line`: a schedule as a run prints it, or the whole command `faultline replay '...' [options]`."""
    options: list[str] = []
    if re.match(r"\s*(\S*/)?faultline\s+replay\s", line):
        try:
            line, *options = shlex.split(line)[2:]
        except ValueError as error:
            raise Trouble(Ending.USAGE, f"LINE={line}: {error}: is a part of it missing?") from error
    if not re.match(r"[^:]+/[^:]+:", line.strip()):
        raise Trouble(Ending.USAGE, f"LINE={line}: no schedule: 'scenario/variant seed=N: site -> site; ...'")
    words = ["faultline replay", shlex.quote(line.strip()), *(shlex.quote(option) for option in options),
             *([f"--control {shlex.quote(control)}"] if control else []), *([f"--runs {runs}"] if runs else []),
             *(f"--file /files/{file.name}" for file in files), *([COLOR] if color else []), CHANNELS]
    return Driver(" ".join(words), files=files)
