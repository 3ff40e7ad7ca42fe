# SPDX-License-Identifier: GPL-2.0
"""The sentences of a file that a person reads: text of a page, comments, claims of a scenario file, lines of help."""

import ast
import io
import re
import tokenize
import tomllib
from collections.abc import Iterator
from typing import NamedTuple

# Keys of a scenario file whose values are sentences.
SENTENCES = ("about", "bad", "claim", "or_overlap", "races", "why")
# ...whose tables have sentences for values.
TABLES_OF_SENTENCES = ("forbid", "no_hazard_control", "measures")


class Passage(NamedTuple):
    """Adjacent lines of prose, joined. Code and quotations are left out."""

    line: int  # of the file, from 1
    text: str


def _plain(text: str) -> str:
    """Code and quotations become one word each: another person wrote those."""
    text = re.sub(r"``.*?``|`[^`]*`", "CODE", text)
    text = re.sub(r'"[^"]*"|“[^”]*”', "QUOTE", text)
    text = re.sub(r"\]\([^)]*\)", "]", text)
    return re.sub(r"\s+", " ", text).strip()


def _join(lines: list[tuple[int, str]]) -> Iterator[Passage]:
    """One passage for each group of lines that follow one another and are not empty."""
    group: list[tuple[int, str]] = []
    for number, text in [*lines, (0, "")]:
        text = "" if "SPDX-License-Identifier" in text else text
        if group and (not text.strip() or number != group[-1][0] + 1):
            yield Passage(group[0][0], _plain(" ".join(words for _, words in group)))
            group = []
        if text.strip():
            group.append((number, text.strip()))


def markdown(text: str) -> Iterator[Passage]:
    """Without headings, code and quoted mail. A list item and a field of a table are passages of their own."""
    lines: list[tuple[int, str]] = []
    fenced = False
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("```"):
            fenced = not fenced
        elif fenced or line.startswith(("    ", "#", ">", "<!--")):
            pass
        elif line.startswith("|"):
            yield from _join(lines)
            lines = []
            yield from (Passage(number, _plain(field)) for field in re.split(r"(?<!\\)\|", line) if field.strip(" -"))
        else:
            item = re.match(r"\s*(?:[-*]|\d+\.) ", line)
            if item:
                yield from _join(lines)
                lines = []
            lines.append((number, line[item.end():] if item else line))
    yield from _join(lines)


def c_comments(text: str) -> Iterator[Passage]:
    """Comments of C, C++ and assembler."""
    tokens = re.finditer(r"""//(?P<line>[^\n]*)|/\*(?P<block>.*?)\*/|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'""", text, re.S)
    lines: list[tuple[int, str]] = []
    for token in tokens:
        number = text.count("\n", 0, token.start()) + 1
        if token["line"] is not None:
            # A comment beside code belongs to no comment above it.
            alone = not text[text.rfind("\n", 0, token.start()) + 1:token.start()].strip()
            if not alone:
                yield from _join(lines)
                lines = []
            lines.append((number, token["line"].lstrip("/")))
        elif token["block"] is not None:
            body = [line.strip().removeprefix("*") for line in token["block"].splitlines()]
            yield from _join([(number + i, line) for i, line in enumerate(body)])
    yield from _join(lines)


def hash_comments(text: str) -> Iterator[Passage]:
    """Comments of shell and make that are whole lines, and the help of a target."""
    lines = []
    for number, line in enumerate(text.splitlines(), 1):
        found = re.match(r"\s*#+ (.*)", line) or re.search(r" ## (.*)", line)
        if found:
            lines.append((number, found[1]))
    yield from _join(lines)


def python(text: str) -> Iterator[Passage]:
    """Comments and docstrings."""
    lines = [(token.start[0], token.string.lstrip("#")) for token in tokenize.generate_tokens(io.StringIO(text).readline)
             if token.type == tokenize.COMMENT]
    yield from _join(lines)
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node):
            first = node.body[0]
            for part in _join([(first.lineno + i, line) for i, line in enumerate((ast.get_docstring(node) or "").splitlines())]):
                yield part


def _texts(value: object, name: str = "", table: str = "") -> Iterator[str]:
    """The sentences in the value of the key `name` of the table `table`."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _texts(inner, key, name)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner, name, table)
    elif isinstance(value, str) and value and (name in SENTENCES or name in TABLES_OF_SENTENCES or table in TABLES_OF_SENTENCES):
        yield value


def scenario(text: str) -> Iterator[Passage]:
    """Comments, claims and reasons of a scenario file or of explore.toml."""
    lines = []
    for number, line in enumerate(text.splitlines(), 1):
        found = re.search(r"(?:^|\s)# (.*)", line)
        if found and line.count('"', 0, found.start()) % 2 == 0:
            lines.append((number, found[1]))
    yield from _join(lines)
    for value in _texts(tomllib.loads(text)):
        first = value.splitlines()[0]
        at = text.find(first)
        yield Passage(text.count("\n", 0, max(at, 0)) + 1, _plain(value))


# In C++: the texts of tables, and of options and commands.
LITERALS = r'((?:"(?:\\.|[^"\\\n])*"\s*)+)'
TEXT = re.compile(rf"""\.(?:about|bad|claim)\s*=\s*{LITERALS}|\badd_(?:flag|option|subcommand)\(\s*"[^"]*",[^";]*?{LITERALS}\)""")


def cpp(text: str) -> Iterator[Passage]:
    """Comments, and the texts that the driver prints of its tables and options."""
    yield from c_comments(text)
    for found in TEXT.finditer(text):
        words = "".join(re.findall(r'"((?:\\.|[^"\\\n])*)"', found[1] or found[2]))
        yield Passage(text.count("\n", 0, found.start()) + 1, _plain(words.replace('\\"', '"')))


READERS = {".md": markdown, ".c": c_comments, ".h": c_comments, ".S": c_comments, ".cpp": cpp, ".hpp": cpp,
           ".def": c_comments, ".py": python, ".sh": hash_comments, ".flt": scenario, ".toml": scenario}
READERS_BY_NAME = {"Makefile": hash_comments, "Kbuild": hash_comments, "run": hash_comments}


def passages(name: str, text: str) -> list[Passage]:
    """The passages of a file by its name; none for data."""
    base = name.rsplit("/", 1)[-1]
    reader = READERS_BY_NAME.get(base) or READERS.get("." + base.rsplit(".", 1)[-1])
    return [one for one in reader(text) if one.text] if reader else []
