# SPDX-License-Identifier: GPL-2.0
"""Finding packages and making archives, without a network and without a machine."""

import ast
import graphlib
import os
import stat
import subprocess
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from vm import cache, emulator, qemu, results, rows, sysroot, toolchain
from vm.initramfs import Archive, loading_order
from vm.kernels import candidates, flavour, modules_of, stock, wanted_packages
from vm.packages import host_mirrors
from vm.tables import ARCHES, KERNELS, QEMU_BUILDS, Ending, Trouble

# Put together here, so that no file names a mirror.
HOST = "http://" + "mirror.example"


class KernelTest(unittest.TestCase):
    NAMES = [
        "linux-headers-6.1.0-9-amd64", "linux-headers-6.1.0-50-amd64", "linux-headers-6.1.0-50-common",
        "linux-headers-6.1.0-50-rt-amd64", "linux-headers-6.1.0-50-cloud-amd64",
        "linux-headers-6.12.95+deb12-amd64", "linux-headers-6.12.9+deb12-amd64", "linux-headers-6.12.95+deb12-arm64",
    ]

    def test_the_newest_of_a_series_comes_first(self) -> None:
        arch = ARCHES["x86_64"]
        self.assertEqual(candidates(self.NAMES, KERNELS["6.1"], arch), ["6.1.0-50-amd64", "6.1.0-9-amd64"])
        self.assertEqual(candidates(self.NAMES, KERNELS["6.12"], arch),
                         ["6.12.95+deb12-amd64", "6.12.9+deb12-amd64"])


    def test_flavours_do_not_mix(self) -> None:
        names = ["linux-headers-6.12.95+deb12-powerpc64le", "linux-headers-6.12.95+deb12-powerpc64le-64k"]
        self.assertEqual(candidates(names, KERNELS["6.12"], ARCHES["ppc64le"]), ["6.12.95+deb12-powerpc64le"])
        self.assertEqual(candidates(names, KERNELS["6.12"], ARCHES["ppc64le-64k"]), ["6.12.95+deb12-powerpc64le-64k"])
        # Before 6.12 the one flavour has 64K pages and no suffix that says so.
        self.assertEqual(flavour(KERNELS["6.1"], ARCHES["ppc64le-64k"]), "powerpc64le")

    def test_what_debian_does_not_build_is_said(self) -> None:
        with self.assertRaises(Trouble) as caught:
            stock("6.1", ARCHES["arm64-16k"])
        self.assertIn("16K", str(caught.exception))


    def test_an_image_without_modules_brings_their_package(self) -> None:
        class Mirror:
            def __init__(self, *names: str) -> None:
                self.names = names

            def dependencies(self, package: str) -> list[str]:
                return ["linux-headers-7.2.13-common", "linux-kbuild-7.2.13", "gcc-16"]

            def version(self, package: str) -> str | None:
                return "7.2.13-1" if package.partition(":")[0] in self.names else None

        parts = ("linux-headers-7.2.13-amd64", "linux-headers-7.2.13-common", "linux-kbuild-7.2.13")
        new = ("linux-binary-7.2.13-amd64", *parts)
        modules = "linux-modules-7.2.13-amd64"

        def wanted(*names: str) -> list[str] | None:
            return wanted_packages(Mirror(*names), "7.2.13-amd64", ARCHES["x86_64"])  # type: ignore[arg-type]

        self.assertIn(f"{modules}:amd64", wanted(*new, modules) or ())
        self.assertIsNone(wanted(*new))
        self.assertNotIn(f"{modules}:amd64", wanted("linux-image-7.2.13-amd64", *parts, modules) or (modules,))

    def test_a_cached_kernel_without_its_modules_is_seen(self) -> None:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "usr/lib/modules/7.2").mkdir(parents=True)
            self.assertIsNone(modules_of(folder, "7.2"))
            (folder / "usr/lib/modules/7.2/modules.dep").touch()
            self.assertEqual(modules_of(folder, "7.2"), folder / "usr/lib/modules/7.2")


class SysrootTest(unittest.TestCase):
    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))

    def test_links_stay_inside_the_root(self) -> None:
        (self.folder / "lib").mkdir()
        (self.folder / "lib/libc.so.6").write_text("library")
        (self.folder / "lib/libc.so").symlink_to("/lib/libc.so.6")
        (self.folder / "lib/loader").symlink_to("libc.so")
        self.assertEqual(sysroot.resolve(self.folder, "/lib/loader"), self.folder / "lib/libc.so.6")
        (self.folder / "lib/ring").symlink_to("ring")
        self.assertTrue(str(sysroot.resolve(self.folder, "/lib/ring")).startswith(str(self.folder)))

    def test_what_a_program_loads(self) -> None:
        loader, names = sysroot.needed(Path("/bin/ls"))
        self.assertIn("ld-linux", str(loader))
        self.assertIn("libc.so.6", names)
        found = sysroot.libraries(Path("/bin/ls"), ARCHES["x86_64"])
        self.assertTrue(all(file.exists() for file in found.values()))
        self.assertTrue(any(name.endswith("libc.so.6") for name in found))


class ToolchainTest(unittest.TestCase):
    def setUp(self) -> None:
        os.environ["FAULTLINE_CACHE"] = self.enterContext(tempfile.TemporaryDirectory())
        self.addCleanup(os.environ.pop, "FAULTLINE_CACHE")

    def made_of(self, *working: str) -> str:
        def make(command: list[str], what: str, clean: Path) -> None:
            if not any(suite in command for suite in working):
                raise Trouble(Ending.USAGE, f"{what}: half synchronised")
            clean.mkdir()

        with mock.patch.object(toolchain, "retry", make), mock.patch.object(toolchain, "say"), \
                mock.patch.object(toolchain, "host_mirrors", lambda: {"main": HOST}):
            return toolchain.root(KERNELS["7.2"]).name

    def test_the_next_suite_is_tried_and_kept(self) -> None:
        self.assertEqual(self.made_of("forky"), "forky-gcc-16")
        self.assertEqual(self.made_of("sid", "forky"), "forky-gcc-16")  # made once

    def test_the_best_suite_comes_first(self) -> None:
        self.assertEqual(self.made_of("sid", "forky"), "sid-gcc-16")

    def test_none_is_said(self) -> None:
        with self.assertRaises(Trouble):
            self.made_of()


class EmulatorTest(unittest.TestCase):
    def test_a_line_is_added_in_its_place_or_not_at_all(self) -> None:
        build = QEMU_BUILDS["s390x"]
        text = "static uint16_t qemu_V6_2[] = {\n};\nstatic uint16_t qemu_MAX[] = {\n    A,\n};\n"
        self.assertIn("qemu_MAX[] = {\n    S390_FEAT_EDAT,\n    A,", emulator.add_line(text, build))
        for bad in ("", text + text):
            with self.assertRaises(Trouble) as caught:
                emulator.add_line(bad, build)
            self.assertEqual(caught.exception.ending, Ending.BUILD)

    def test_one_that_does_not_start_is_said(self) -> None:
        with self.assertRaises(Trouble) as caught:
            _ = emulator.Emulator("/bin/false", ()).version
        self.assertIn("does not start", str(caught.exception))


class MirrorTest(unittest.TestCase):
    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        (self.folder / "sources.list.d").mkdir()

    def test_deb822(self) -> None:
        (self.folder / "sources.list.d/debian.sources").write_text(
            f"Types: deb\n# {HOST}/old/debian\nURIs: {HOST}/debian\nSuites: bookworm\nComponents: main\n\n"
            f"Types: deb\nURIs: {HOST}/debian-security\nSuites: bookworm-security\nComponents: main\n"
        )
        self.assertEqual(host_mirrors(self.folder), {"main": f"{HOST}/debian", "security": f"{HOST}/debian-security"})

    def test_one_line_format(self) -> None:
        (self.folder / "sources.list").write_text(
            f"deb [arch=amd64] {HOST}/debian/ bookworm main contrib\n# deb {HOST}/other sid main\n"
        )
        self.assertEqual(host_mirrors(self.folder), {"main": f"{HOST}/debian/"})

    def test_no_mirror_is_said(self) -> None:
        with self.assertRaises(Trouble) as caught:
            host_mirrors(self.folder)
        self.assertEqual(caught.exception.ending, Ending.USAGE)


class CacheTest(unittest.TestCase):
    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))

    def test_a_folder_appears_whole_or_not_at_all(self) -> None:
        target = self.folder / "x" / "kernel"
        with self.assertRaises(RuntimeError), cache.new_folder(target) as half:
            (half / "file").write_text("half")
            raise RuntimeError
        self.assertFalse(target.exists())
        self.assertEqual(list(target.parent.iterdir()), [])
        with cache.new_folder(target) as whole:
            (whole / "file").write_text("whole")
        self.assertEqual((target / "file").read_text(), "whole")

    def test_the_environment_chooses_the_place(self) -> None:
        os.environ["FAULTLINE_CACHE"] = str(self.folder)
        self.addCleanup(os.environ.pop, "FAULTLINE_CACHE")
        self.assertEqual(cache.root(), self.folder)


class ArchiveTest(unittest.TestCase):
    def test_another_program_can_read_it(self) -> None:
        archive = Archive()
        archive.add("lib/a/b.txt", b"hello")
        archive.add("init", b"#!/bin/sh\n", executable=True)
        self.assertEqual(archive.files["lib"][0], stat.S_IFDIR | 0o755)
        if not (Path("/bin/busybox").exists()):
            self.skipTest("busybox-static is not installed")
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run(["/bin/busybox", "cpio", "-id"], input=archive.bytes(), cwd=folder,
                           check=True, capture_output=True)
            self.assertEqual((Path(folder) / "lib/a/b.txt").read_text(), "hello")
            self.assertTrue(os.access(Path(folder) / "init", os.X_OK))

    def test_modules_come_after_what_they_need(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "modules.dep").write_text(
                "kernel/c.ko.xz: kernel/b.ko.xz kernel/a.ko.xz\nkernel/b.ko.xz: kernel/a.ko.xz\nkernel/a.ko.xz:\n"
            )
            files = loading_order(Path(folder), ("c", "built_in"))
            self.assertEqual([f.name for f in files], ["a.ko.xz", "b.ko.xz", "c.ko.xz"])


class MachineTest(unittest.TestCase):
    """The endings, with a program in QEMU's place."""

    def boot(self, shell: str, total: float = 20, quiet: float = 20) -> Ending:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            command = ["sh", "-c", shell.replace("DIR", name)]
            return qemu.boot(command, folder, qemu.Bounds(total, quiet), show=False)

    def test_good(self) -> None:
        self.assertEqual(self.boot("echo end > DIR/status"), Ending.GOOD)

    def test_good_when_the_guest_waits_to_be_ended(self) -> None:
        self.assertEqual(self.boot("echo end > DIR/status; exec sleep 60"), Ending.GOOD)

    def test_lost(self) -> None:
        self.assertEqual(self.boot("echo faultline 0 > DIR/status; kill -9 $$"), Ending.LOST)

    def test_panic(self) -> None:
        self.assertEqual(self.boot("echo '[ 1.0] Kernel panic - not syncing: x' > DIR/console.log"), Ending.PANIC)

    def test_hang(self) -> None:
        self.assertEqual(self.boot("exec sleep 60", quiet=0.5), Ending.HANG)

    def test_progress_is_a_sign_of_life(self) -> None:
        loop = "for i in 1 2 3 4 5 6 7 8 9 10; do echo $i/10 runs >> DIR/progress; sleep 0.2; done; echo end > DIR/status"
        self.assertEqual(self.boot(loop, quiet=1), Ending.GOOD)

    def test_the_last_whole_line_says_how_far_it_is(self) -> None:
        with tempfile.TemporaryDirectory() as name:
            file = Path(name) / "progress"
            self.assertEqual(qemu.last_line(file), "")
            for text, line in (("", ""), ("1/9 ru", ""), ("1/9 runs\n", "1/9 runs"), ("1/9 runs\r\n2/9", "1/9 runs"),
                               ("x\n" * 5000 + "3/9 runs\n", "3/9 runs")):
                file.write_text(text)
                self.assertEqual(qemu.last_line(file), line)

    def test_timeout(self) -> None:
        self.assertEqual(self.boot("while :; do echo alive; sleep 0.1; done", total=1), Ending.TIMEOUT)


class LayerTest(unittest.TestCase):
    def test_no_two_modules_import_each_other(self) -> None:
        folder = Path(qemu.__file__).parent
        names = {file.stem for file in folder.glob("*.py")}
        imports: dict[str, set[str]] = {}
        for name in names:
            found = imports[name] = set()
            for node in ast.walk(ast.parse((folder / f"{name}.py").read_text())):
                if isinstance(node, ast.ImportFrom) and node.level == 1:
                    found.update([node.module] if node.module else [alias.name for alias in node.names])
        self.assertGreater(len(imports["runs"]), 3)  # or the names are not read as they are written
        # TopologicalSorter names the ring.
        self.assertCountEqual(graphlib.TopologicalSorter(imports).static_order(), names)

    def test_each_standing_of_the_driver_has_a_word(self) -> None:
        self.assertEqual(rows.WORDS.keys(), results.STANDINGS.keys())


if __name__ == "__main__":
    unittest.main()
