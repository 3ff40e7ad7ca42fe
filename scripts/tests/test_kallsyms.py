# SPDX-License-Identifier: GPL-2.0
"""The symbols of kernel images that are made here, in both orders of bytes, packed, cut and broken."""

import gzip
import lzma
import struct
import tempfile
import unittest
from pathlib import Path

from vm import kallsyms
from vm.kernels import UnpackedKernel, version_of
from vm.tables import Trouble

COUNT = 10_400  # one more than a kernel has at least would do
LONG = "t" + "a_long_name_" * 15  # two bytes say how long it is: no token but letters shortens it


def symbols() -> list[str]:
    names = [f"{'tTDwb'[i % 5]}function_{i}" for i in range(COUNT)]
    names[7] = LONG
    return names


def image(order: str, names: list[str] | None = None) -> bytes:
    """As scripts/kallsyms.c writes its tables: number, names, markers, tokens, their index."""
    tokens = [bytes([code]) if 32 < code < 127 else b"x%d" % code for code in range(256)]
    tokens[1] = b"function_"
    packed, markers = b"", []
    names = symbols() if names is None else names
    for number, name in enumerate(names):
        if number % 256 == 0:
            markers.append(len(packed))
        coded = name.encode().replace(b"function_", b"\1")
        length = bytes([len(coded)]) if len(coded) < 128 else bytes([len(coded) & 0x7F | 0x80, len(coded) >> 7])
        packed += length + coded

    def aligned(data: bytes) -> bytes:
        return data + b"\0" * (-len(data) % 8)

    offsets, table = [], b""
    for token in tokens:
        offsets.append(len(table))
        table += token + b"\0"
    before = b"\x7fELF" + bytes(range(256)) * 16 + kallsyms.DIGITS  # digits in a row that are no table
    return b"".join((
        aligned(before),
        aligned(struct.pack(f"{order}I", len(names))),
        aligned(packed),
        aligned(struct.pack(f"{order}{len(markers)}I", *markers)),
        aligned(table),
        aligned(struct.pack(f"{order}256H", *offsets)),
        b"what follows",
    ))


class Kallsyms(unittest.TestCase):
    def expected(self) -> list[tuple[str, str]]:
        return [(name[0], name[1:]) for name in symbols() if name[0] in "tTw"]

    def test_functions_are_found_in_both_orders_of_bytes(self) -> None:
        for order in "<>":
            self.assertEqual(kallsyms.functions_in(image(order)), self.expected())

    def test_broken_tables_give_nothing(self) -> None:
        whole = image("<")
        index = whole.rfind(b"what follows")
        tokens = whole.rfind(kallsyms.DIGITS)
        for broken in (
            b"",
            whole[: len(whole) // 2],
            whole[: index - 300],  # the index of the tokens is cut
            whole[:tokens] + b"9" + whole[tokens + 1 :],  # no digits in a row
            whole[:4600] + b"\0" * 40 + whole[4640:],  # a name without a letter
            image("<", symbols()[:9000]),  # too few for a kernel
        ):
            self.assertIsNone(kallsyms.functions_in(broken))

    def test_an_image_may_be_packed(self) -> None:
        with tempfile.TemporaryDirectory() as name:
            file = Path(name) / "vmlinuz"
            for packed in (gzip.compress(image("<")), lzma.compress(image("<"))):
                # A magic number that begins nothing, and what a loader puts behind the kernel.
                file.write_bytes(b"stub \x1f\x8b\x08 stub" + packed + b"trailer")
                self.assertEqual(kallsyms.functions_of(file), self.expected())
            file.write_bytes(b"no kernel")
            with self.assertRaisesRegex(Trouble, "no table of symbols"):
                kallsyms.functions_of(file)

    def test_the_list_is_made_once(self) -> None:
        with tempfile.TemporaryDirectory() as name:
            file = Path(name) / "vmlinuz"
            file.write_bytes(image("<"))
            made = kallsyms.symbols_file(file)
            self.assertIn("0000000000000000 t function_0\n", made.read_text())
            self.assertNotIn(" D ", made.read_text())
            file.unlink()
            self.assertEqual(kallsyms.symbols_file(file), made)


class Versions(unittest.TestCase):
    def test_are_those_of_the_distribution(self) -> None:
        for package, version in (("6.1.192-3", "6.1.192"), ("6.12.95-1~bpo12+1", "6.12.95"),
                                 ("7.3~rc7-1~exp1", "7.3-rc7"), ("own", "6.12.0-own")):
            kernel = UnpackedKernel("6.12.0-own", Path(), Path(), None, {"linux-image": package})
            self.assertEqual(version_of(kernel), version)


if __name__ == "__main__":
    unittest.main()
