# SPDX-License-Identifier: GPL-2.0
"""The functions of a kernel image, from its own table of symbols (kallsyms). Debian ships no other: its
System.map is a note that says where the real one is."""

import lzma
import re
import struct
import subprocess
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .tables import Ending, Trouble

TOKENS = 256
MARKED = 256  # each symbol of that number has its offset in kallsyms_markers
FUNCTION_TYPES = "tTwW"
# Digits are part of names, so each has a token of its own: kallsyms_token_table has them in a row.
DIGITS = b"".join(b"%d\0" % digit for digit in range(10))
SYMBOLS = range(10_000, 1 << 20)  # how many a kernel can have


def _aligned(offset: int, to: int = 4) -> int:
    return -(-offset // to) * to


@dataclass(frozen=True)
class Tokens:
    start: int  # in the image
    texts: list[bytes]
    order: str  # of bytes: "<" or ">"


def _tokens_at(image: bytes, zero: int) -> Tokens | None:
    """The table whose token "0" begins at `zero`, if its index follows."""
    start = zero
    for _ in range(ord("0")):
        start = image.rfind(b"\0", 0, start - 1) + 1
        if start == 0:
            return None
    texts = image[start : start + TOKENS * 64].split(b"\0", TOKENS)[:TOKENS]
    offsets = [0]
    for text in texts:
        offsets.append(offsets[-1] + len(text) + 1)
    after = start + offsets.pop()
    for order in "<>":
        index = struct.pack(f"{order}{TOKENS}H", *offsets) if offsets[-1] < 1 << 16 else b"?"
        if image.startswith(index, _aligned(after)) or image.startswith(index, _aligned(after, 8)):
            return Tokens(start, texts, order)
    return None


def _find_tokens(image: bytes) -> Tokens | None:
    zero = image.find(DIGITS)
    while zero >= 0:
        if image[zero - 1 : zero] == b"\0" and (found := _tokens_at(image, zero)):
            return found
        zero = image.find(DIGITS, zero + 1)
    return None


def _entries(image: bytes, at: int, count: int, end: int) -> Iterator[tuple[int, int]]:
    """Where each compressed name begins, and how long it is: one byte, or two from 128 on."""
    for _ in range(count):
        if at >= end:
            return
        length = image[at]
        at += 1
        if length & 0x80:
            length = length & 0x7F | image[at] << 7
            at += 1
        yield at, length
        at += length


def _names_at(image: bytes, at: int, count: int, tokens: Tokens) -> list[tuple[int, int]] | None:
    """All names, if so many begin here, and kallsyms_markers follows them."""
    names = []
    for start, length in _entries(image, at, count, tokens.start):
        if length == 0:
            return None
        names.append((start, length))
    if len(names) != count:
        return None
    end = names[-1][0] + names[-1][1]
    second = names[MARKED][0] - (1 if names[MARKED][1] < 128 else 2) - at
    markers = struct.pack(f"{tokens.order}2I", 0, second)
    return names if any(image.startswith(markers, _aligned(end, by)) for by in (4, 8)) else None


def _find_names(image: bytes, tokens: Tokens) -> list[tuple[int, int]] | None:
    """They are before the tokens, behind the number of symbols."""
    lowest = max(0, tokens.start - (SYMBOLS.stop << 5))
    words = struct.iter_unpack(f"{tokens.order}I", image[_aligned(lowest) : tokens.start // 4 * 4])
    for number, (count,) in enumerate(words):
        if count in SYMBOLS:
            behind = _aligned(lowest) + 4 * number + 4
            for at in {_aligned(behind), _aligned(behind, 8)}:
                if names := _names_at(image, at, count, tokens):
                    return names
    return None


def functions_in(image: bytes) -> list[tuple[str, str]] | None:
    """(type, name) of each function; None if these bytes have no such table."""
    tokens = _find_tokens(image)
    names = _find_names(image, tokens) if tokens else None
    if tokens is None or names is None:
        return None
    texts = [b"".join(tokens.texts[byte] for byte in image[start : start + length]).decode("ascii", "replace")
             for start, length in names]
    return [(text[0], text[1:]) for text in texts if text[:1] and text[0] in FUNCTION_TYPES]


def _piped(command: str, data: bytes) -> bytes:
    # Bytes after the kernel are no part of it, and make the command fail at its end.
    return subprocess.run([command, "-dc"], input=data, capture_output=True, check=False).stdout


DECOMPRESSORS = {
    b"\x1f\x8b\x08": lambda data: zlib.decompressobj(31).decompress(data),
    b"\xfd7zXZ\0": lambda data: lzma.LZMADecompressor().decompress(data),
    b"\x28\xb5\x2f\xfd": lambda data: _piped("zstd", data),
    b"\x02\x21\x4c\x18": lambda data: _piped("lz4", data),
}


def _unpacked(image: bytes) -> Iterator[bytes]:
    """The image itself, and the data compressed in it."""
    yield image
    for found in re.finditer(b"|".join(re.escape(magic) for magic in DECOMPRESSORS), image):
        try:
            data = DECOMPRESSORS[found.group()](image[found.start() :])
        except (zlib.error, lzma.LZMAError):
            continue  # the bytes of something else
        if len(data) > len(image):
            yield data


def functions_of(image: Path) -> list[tuple[str, str]]:
    for data in _unpacked(image.read_bytes()):
        if functions := functions_in(data):
            return functions
    raise Trouble(Ending.USAGE, f"{image}: no table of symbols found in it")


def symbols_file(image: Path) -> Path:
    """A file like System.map, functions alone and without addresses, beside the image: made once."""
    made = image.parent / f"functions-{image.name}"
    if not made.exists():
        lines = "".join(f"{0:016x} {kind} {name}\n" for kind, name in functions_of(image))
        new = made.with_suffix(".new")
        new.write_text(lines)
        new.rename(made)
    return made
