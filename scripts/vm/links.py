# SPDX-License-Identifier: GPL-2.0
"""Links between the pages of this tree, and names of pages in other texts: does each lead to something?"""

import re
from collections.abc import Iterator
from pathlib import Path

LINK = re.compile(r"\]\(([^)\s]+)\)")
PAGE = re.compile(r"\b(?:docs|scenarios)/[\w./-]*\.(?:md|flt|svg|toml)\b")


def anchors(text: str) -> set[str]:
    """The names that a page's headings get: lower case, no punctuation, hyphens for spaces."""
    text = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def _prose(text: str) -> Iterator[tuple[int, str]]:
    fenced = False
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("```"):
            fenced = not fenced
        elif not fenced and not line.startswith("    "):
            yield number, re.sub(r"`[^`]*`", "", line)


def broken(top: Path, name: str) -> Iterator[str]:
    """A line for each link of the page that leads nowhere. Addresses of other machines are not tried."""
    page = top / name
    for number, line in _prose(page.read_text(errors="replace")):
        for target in LINK.findall(line):
            if re.match(r"[a-z]+:", target):
                continue
            path, _, anchor = target.partition("#")
            file = (page.parent / path).resolve() if path else page
            if not file.exists():
                yield f"{name}:{number}: {target}: no such file"
            elif anchor and (file.suffix != ".md" or anchor not in anchors(file.read_text(errors="replace"))):
                yield f"{name}:{number}: {target}: no such heading"


def missing_pages(top: Path, name: str) -> Iterator[str]:
    """A line for each page that the text names by its path from the top of the tree, and that is not there."""
    for number, line in enumerate((top / name).read_text(errors="replace").splitlines(), 1):
        for found in PAGE.findall(line):
            if not (top / found).exists():
                yield f"{name}:{number}: {found}: no such file"
