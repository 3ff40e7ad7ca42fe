# SPDX-License-Identifier: GPL-2.0
"""META, and the dkms.conf that is made of it."""

import re
from dataclasses import dataclass
from pathlib import Path

from .tables import KERNELS, Ending, Trouble

TOP = Path(__file__).resolve().parents[2]
FIELDS = ("Name", "Version", "Date", "Linux-Minimum", "Linux-Maximum")
Series = tuple[int, int]


@dataclass(frozen=True)
class Meta:
    name: str
    version: str
    date: str
    minimum: Series
    maximum: Series


def series_of(text: str) -> Series:
    """6.12, 6.12-security, 7.3-rc"""
    found = re.fullmatch(r"(\d+)\.(\d+)(-rc|-security)?", text)
    if not found:
        raise Trouble(Ending.USAGE, f"\"{text}\" is no series of kernels, such as 6.12")
    return int(found.group(1)), int(found.group(2))


def read(text: str) -> Meta:
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    pairs = [line.partition(": ")[::2] for line in lines]
    fields = dict(pairs)
    if sorted(name for name, _ in pairs) != sorted(FIELDS) or not all(fields.values()):
        raise Trouble(Ending.USAGE, f"META has each of these once: {', '.join(FIELDS)}")
    meta = Meta(fields["Name"], fields["Version"], fields["Date"],
                series_of(fields["Linux-Minimum"]), series_of(fields["Linux-Maximum"]))
    if meta.minimum > meta.maximum:
        raise Trouble(Ending.USAGE, "META: Linux-Minimum is newer than Linux-Maximum")
    return meta


def load() -> Meta:
    return read((TOP / "META").read_text())


def table_range() -> tuple[Series, Series]:
    """The oldest and newest series of the table of kernels."""
    all_series = [series_of(name) for name in KERNELS]
    return min(all_series), max(all_series)


def _numbers(least: int, most: int | None) -> str:
    """A regular expression of the numbers from `least` to `most`; None: to the end of two digits."""
    if most is not None or least > 9:
        most = most if most is not None else 99
        return "|".join(str(number) for number in range(least, most + 1))
    return f"[{least}-9]|[1-9][0-9]"


def pattern(minimum: Series, maximum: Series) -> str:
    """A regular expression of the releases of these series, for BUILD_EXCLUSIVE_KERNEL."""
    parts = []
    for major in range(minimum[0], maximum[0] + 1):
        least = minimum[1] if major == minimum[0] else 0
        most = maximum[1] if major == maximum[0] else None
        parts.append(rf"{major}\.({_numbers(least, most)})")
    return "^(" + "|".join(parts) + r")([^0-9]|$)"


def dkms_conf(meta: Meta, template: str) -> str:
    values = {"NAME": meta.name, "VERSION": meta.version, "PATTERN": pattern(meta.minimum, meta.maximum),
              "MINIMUM": ".".join(map(str, meta.minimum)), "MAXIMUM": ".".join(map(str, meta.maximum))}
    for name, value in values.items():
        template = template.replace(f"@{name}@", value)
    if left := re.search(r"@[A-Z]+@", template):
        raise Trouble(Ending.USAGE, f"packaging/dkms.conf.in: nothing is called {left.group()}")
    return template
