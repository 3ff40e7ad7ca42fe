# SPDX-License-Identifier: GPL-2.0
"""Kernels of a source tree: fragments, what a config lacks, and when a tree counts as changed. No kernel is built."""

import fcntl
import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from vm import cache, packages, source_tree
from vm.source_tree import FRAGMENTS, Line, fragments, lacking, parse, tree_of
from vm.tables import ARCHES, DEBUG_WORDS, PREEMPT_WORDS, Ending, Trouble

X86 = ARCHES["x86_64"]
# As kconfig writes it.
CONFIG = """\
#
# Automatically generated file; DO NOT EDIT.
# Linux/x86 6.12.117 Kernel Configuration
#
CONFIG_CC_VERSION_TEXT="gcc (Debian 12.2.0-14+deb12u1) 12.2.0"
CONFIG_CC_IS_GCC=y

#
# Memory Management options
#
CONFIG_SWAP=y
# CONFIG_ZSWAP is not set
CONFIG_BLK_DEV_RAM=m
CONFIG_NR_CPUS=64
# DRBD disabled because PROC_FS or INET not selected
"""


def texts(lines: list[Line]) -> list[str]:
    return [line.text for line in lines]


class FragmentTest(unittest.TestCase):
    def test_a_line_has_a_value_and_a_reason(self) -> None:
        lines = parse("# a comment\n\nCONFIG_A=y  # scenarios\n# CONFIG_B is not set  # time\nCONFIG_C=n\n"
                      "CONFIG_D=\"two words\"\nCONFIG_E=0x10\n", "f")
        self.assertEqual([(line.symbol, line.value, line.reason) for line in lines],
                         [("CONFIG_A", "y", "scenarios"), ("CONFIG_B", "n", "time"), ("CONFIG_C", "n", ""),
                          ("CONFIG_D", '"two words"', ""), ("CONFIG_E", "0x10", "")])

    def test_what_is_no_line_is_named(self) -> None:
        for bad in ("CONFIG_A", "CONFIG_A=", "A=y", "CONFIG_A=y CONFIG_B=y", "# CONFIG_A is not sett", "#CONFIG_A is unset",
                    "CONFIG_A = y", "\0\xff", "<<<<<<< HEAD"):
            with self.assertRaises(Trouble, msg=bad) as caught:
                parse(f"CONFIG_OK=y\n{bad}\n", "mine.config")
            self.assertEqual(caught.exception.ending, Ending.USAGE)
            self.assertIn("mine.config, line 2", str(caught.exception))

    def test_our_fragments_have_a_reason_for_each_line(self) -> None:
        files = sorted(FRAGMENTS.glob("*.config"))
        self.assertTrue(files)
        for file in files:
            for line in parse(file.read_text(), file.name):
                self.assertTrue(line.reason, f"{file.name}: {line.text}")

    def test_each_fragment_is_used(self) -> None:
        used = {line.fragment for arch in ARCHES.values() for preempt in ("", *PREEMPT_WORDS)
                for line in fragments(arch, debug=tuple(DEBUG_WORDS), preempt=preempt)}
        self.assertEqual(used, {file.name for file in FRAGMENTS.iterdir()})

    def test_words_and_architectures_choose_fragments(self) -> None:
        plain = texts(fragments(X86))
        self.assertIn("CONFIG_SERIAL_8250=y", plain)
        self.assertNotIn("CONFIG_DEBUG_VM=y", plain)
        self.assertIn("CONFIG_PREEMPT_VOLUNTARY=y", plain)
        vm = texts(fragments(X86, debug=("vm",), preempt="full"))
        self.assertIn("CONFIG_DEBUG_VM=y", vm)
        self.assertNotIn("CONFIG_PREEMPT_VOLUNTARY=y", vm)
        self.assertIn("CONFIG_ARM64_16K_PAGES=y", texts(fragments(ARCHES["arm64-16k"])))
        self.assertNotIn("CONFIG_ARM64_16K_PAGES=y", texts(fragments(ARCHES["arm64"])))
        together = fragments(X86, debug=("vm", "all"))
        self.assertEqual(len(together), len(fragments(X86, debug=("all",))))  # no fragment twice
        for words in ({"debug": ("vn",)}, {"preempt": "none"}, {"config": "/nowhere/at-all"}):
            with self.assertRaises(Trouble) as caught:
                fragments(X86, **words)  # type: ignore[arg-type]
            self.assertEqual(caught.exception.ending, Ending.USAGE)


class LackingTest(unittest.TestCase):
    def lacks(self, fragment: str) -> list[str]:
        return texts(lacking(parse(fragment, "f"), CONFIG))

    def test_lines_that_hold(self) -> None:
        self.assertEqual(self.lacks("CONFIG_SWAP=y\n# CONFIG_ZSWAP is not set\nCONFIG_NR_CPUS=64\nCONFIG_ZSWAP=n\n"
                                    "# CONFIG_NOT_THERE_AT_ALL is not set\n"), [])

    def test_lines_that_do_not(self) -> None:
        wanted = ["CONFIG_ZSWAP=y", "CONFIG_BLK_DEV_RAM=y", "CONFIG_NR_CPUS=2", "# CONFIG_SWAP is not set", "CONFIG_SWA=y",
                  "CONFIG_NOT_THERE_AT_ALL=y"]
        self.assertEqual(self.lacks("\n".join(wanted)), wanted)

    def test_of_two_lines_the_one_that_was_overruled_is_named(self) -> None:
        self.assertEqual(self.lacks("# CONFIG_SWAP is not set\nCONFIG_SWAP=y\n"), ["# CONFIG_SWAP is not set"])

    def test_an_empty_config_lacks_all_that_is_wanted(self) -> None:
        wanted = [line for line in fragments(X86) if line.value != "n"]
        self.assertEqual(lacking(wanted, ""), wanted)


class TreeTest(unittest.TestCase):
    """A tree is the same until a file of it changes."""

    def setUp(self) -> None:
        self.top = Path(self.enterContext(tempfile.TemporaryDirectory())).resolve()
        self.enterContext(mock.patch.dict(os.environ, {"FAULTLINE_CACHE": str(self.top / "cache")}))
        self.enterContext(mock.patch.object(source_tree, "say"))
        self.tree = self.top / "linux"
        (self.tree / "mm").mkdir(parents=True)
        for name in ("Makefile", "Kconfig", "mm/memory.c"):
            (self.tree / name).write_text(f"{name}\n")

    def git(self, *arguments: str) -> str:
        return subprocess.run(["git", "-C", str(self.tree), "-c", "user.name=n", "-c", "user.email=e", *arguments],
                              check=True, capture_output=True, text=True).stdout

    def test_what_is_no_tree(self) -> None:
        (self.tree / "Kconfig").unlink()
        for source in (str(self.tree), str(self.top / "nowhere"), "debian:5.4"):
            with self.assertRaises(Trouble) as caught:
                tree_of(source)
            self.assertEqual(caught.exception.ending, Ending.USAGE)

    def test_without_git_each_file_counts(self) -> None:
        first = tree_of(str(self.tree)).identity
        self.assertEqual(tree_of(str(self.tree)).identity, first)
        os.utime(self.tree / "mm/memory.c", ns=(1, 1))
        second = tree_of(str(self.tree)).identity
        (self.tree / "mm/new.c").touch()
        self.assertEqual(len({first, second, tree_of(str(self.tree)).identity}), 3)

    def test_with_git_the_commit_and_what_differs_from_it_count(self) -> None:
        (self.tree / ".gitignore").write_text("*.o\n")
        self.git("init", "-q")
        self.git("add", ".")
        self.git("commit", "-qm", "first")
        clean = tree_of(str(self.tree))
        self.assertEqual(clean.version, self.git("rev-parse", "HEAD")[:12])
        (self.tree / "mm/memory.o").touch()  # ignored
        os.utime(self.tree / "mm/memory.c", ns=(1, 1))
        self.assertEqual(tree_of(str(self.tree)), clean)
        (self.tree / "mm/memory.c").write_text("patched\n")
        patched = tree_of(str(self.tree))
        (self.tree / "mm/new.c").touch()
        new = tree_of(str(self.tree))
        self.git("add", ".")
        self.git("commit", "-qm", "second")
        self.assertEqual(len({clean.identity, patched.identity, new.identity, tree_of(str(self.tree)).identity}), 4)
        self.assertTrue(patched.version.endswith("+"))
        self.git("checkout", "-q", "HEAD~1")
        self.assertEqual(tree_of(str(self.tree)), clean)

    def test_a_tree_below_another_git_tree_is_not_that_one(self) -> None:
        subprocess.run(["git", "init", "-q", str(self.top)], check=True)
        self.assertTrue(tree_of(str(self.tree)).version.startswith("files "))

    def test_an_archive_is_unpacked_once_and_a_broken_one_not_at_all(self) -> None:
        archive = self.top / "linux-6.tar.xz"
        subprocess.run(["tar", "-cJf", str(archive), "-C", str(self.top), "linux"], check=True)
        tree = tree_of(str(archive))
        self.assertEqual((tree.folder / "mm/memory.c").read_text(), "mm/memory.c\n")
        self.assertEqual(tree_of(str(archive)), tree)
        for data in (archive.read_bytes()[:-40], b"no archive"):
            archive.write_bytes(data)
            with self.assertRaises(Trouble):
                tree_of(str(archive))
        self.assertEqual([place.name for place in (cache.root() / "sources").iterdir()], [tree.folder.name])

    def test_the_key_has_tree_config_architecture_and_compiler(self) -> None:
        def key(arch: str = "x86_64", debug: tuple[str, ...] = (), compiler: str = "gcc 12") -> str:
            done = subprocess.CompletedProcess([], 0, f"{compiler}\nmore\n")
            tree = tree_of(str(self.tree))
            with mock.patch.object(source_tree.subprocess, "run", return_value=done), \
                    mock.patch.object(source_tree, "tree_of", return_value=tree):
                return source_tree._plan("linux", ARCHES[arch], "", debug, "").key

        same = key()
        self.assertEqual(key(), same)
        os.utime(self.tree / "mm/memory.c", ns=(1, 1))
        self.assertEqual(len({same, key(), key("arm64"), key(debug=("vm",)), key(compiler="gcc 13")}), 5)


MADISON = """\
linux-source-6.12 | 6.12.117-1~deb12u1 | MIRROR bookworm-security/main amd64 Packages
linux-source-6.12 | 6.12.115-1~deb12u1 | MIRROR bookworm-security/main amd64 Packages
linux-source-6.12 | 6.12.113-1~deb12u1 | MIRROR bookworm-security/main amd64 Packages
linux-source-6.12 | 6.12.113-1~deb12u1 | MIRROR bookworm-security/main arm64 Packages
linux-source-7.2 |   7.2.13-1 | MIRROR sid/main amd64 Packages
linux-source-7.2 |   7.2.12-1 | MIRROR forky/main amd64 Packages
"""


class DebianTest(unittest.TestCase):
    """debian:SERIES and debian:VERSION, by recorded package lists. Nothing is downloaded."""

    def setUp(self) -> None:
        self.top = Path(self.enterContext(tempfile.TemporaryDirectory())).resolve()
        self.enterContext(mock.patch.dict(os.environ, {"FAULTLINE_CACHE": str(self.top)}))
        self.say = self.enterContext(mock.patch.object(source_tree, "say"))
        (self.top / "sources").mkdir(parents=True)
        self.asked: list[str] = []
        # The versions that each suite has.
        self.offered = {("bookworm-backports",): ["6.12.95-1~bpo12+1"], ("forky", "sid"): ["7.2.13-1"],
                        ("bookworm-security",): ["6.12.117-1~deb12u1", "6.12.113-1~deb12u1"]}
        test = self

        class Mirror:
            def __init__(self, suites: tuple[str, ...], _: tuple[str, ...]) -> None:
                self.suites = suites

            def update(self) -> None:
                if not test.offered:
                    raise Trouble(Ending.USAGE, "package lists: failed 3 times")

            def versions(self, package: str) -> list[str]:
                test.asked.append(package)
                return test.offered.get(self.suites, [])

            def download(self, names: list[str], into: Path) -> None:
                test.asked += names
                (into / "package.deb").touch()

        self.enterContext(mock.patch.object(source_tree, "Apt", Mirror))
        self.enterContext(mock.patch.object(source_tree, "_unpack_archive", lambda archive, target, version: target.mkdir()))

    def have(self, *names: str) -> None:
        for name in names:
            (self.top / "sources" / name).mkdir()

    def test_all_versions_that_the_mirror_has(self) -> None:
        done = subprocess.CompletedProcess([], 0, MADISON)
        with mock.patch.object(packages, "_run", return_value=done):
            apt = packages.Apt(("bookworm-security",), ("amd64",))
            self.assertEqual(apt.versions("linux-source-6.12"), [f"6.12.{n}-1~deb12u1" for n in (117, 115, 113)])
            self.assertEqual(apt.versions("linux-source-7.2"), ["7.2.13-1", "7.2.12-1"])
            self.assertEqual(apt.versions("linux-source-6.1"), [])
            for broken in ("", "N: Unable to locate package\n", "linux-source-6.12 | \n"):
                done.stdout = broken
                self.assertEqual(apt.versions("linux-source-6.12"), [])

    def test_a_series_is_the_newest_of_the_cache_else_the_mirrors(self) -> None:
        self.assertEqual(tree_of("debian:7.2").folder.name, "linux-source-7.2_7.2.13-1")
        self.assertEqual(tree_of("debian:6.12").version, "6.12.95-1~bpo12+1")
        self.have("linux-source-6.12_6.12.117-1~deb12u1", "linux-source-6.12_6.12.113-1~deb12u1")
        self.asked.clear()
        self.assertEqual(tree_of("debian:6.12").version, "6.12.117-1~deb12u1")
        self.assertEqual(self.asked, [])

    def test_a_version_is_that_of_the_cache_else_of_the_first_suites_that_have_it(self) -> None:
        self.have("linux-source-6.12_6.12.117-1~deb12u1")
        tree = tree_of("debian:6.12.113")
        self.assertEqual(tree.folder.name, "linux-source-6.12_6.12.113-1~deb12u1")
        self.assertEqual(self.asked[-1], "linux-source-6.12=6.12.113-1~deb12u1")
        self.asked.clear()
        self.assertEqual(tree_of("debian:6.12.113", update=True), tree)  # no other can be it
        self.assertEqual(tree_of("debian:6.12.117").version, "6.12.117-1~deb12u1")
        self.assertEqual(self.asked, [])

    def test_a_version_that_nobody_has_is_refused_with_those_that_there_are(self) -> None:
        self.have("linux-source-6.12_6.12.117-1~deb12u1")
        with self.assertRaises(Trouble) as caught:
            tree_of("debian:6.12.11")  # no part of 6.12.113
        self.assertIn("no linux-source-6.12 6.12.11; in bookworm-backports it has 6.12.95-1~bpo12+1", str(caught.exception))
        self.assertIn("bookworm-security it has 6.12.117-1~deb12u1, 6.12.113-1~deb12u1", str(caught.exception))
        for word in ("5.4", "5.4.1", "6.12.", "6.12.x", ""):
            with self.assertRaisesRegex(Trouble, f"^KSRC=debian:{word}: no kernel"):
                tree_of(f"debian:{word}")

    def test_without_a_mirror_the_cache_is_what_there_is(self) -> None:
        self.offered.clear()
        with self.assertRaises(Trouble):
            tree_of("debian:6.12.113")
        self.have("linux-source-6.12_6.12.113-1~deb12u1")
        self.assertEqual(tree_of("debian:6.12.113").version, "6.12.113-1~deb12u1")
        self.assertEqual(tree_of("debian:6.12", update=True).version, "6.12.113-1~deb12u1")
        self.assertIn("falling back", self.say.call_args.args[0])

    def test_what_is_cached_of_another_series_is_no_reason_to_ask_the_mirror(self) -> None:
        self.have("linux-source-7.2_7.2.13-1")
        self.assertIsNone(source_tree.cached("debian:6.12", X86))
        self.assertEqual(self.asked, [])


class CompilerCacheTest(unittest.TestCase):
    @unittest.skipUnless(shutil.which("ccache") and shutil.which("gcc"), "no ccache")
    def test_an_object_that_includes_another_file_by_incbin_is_never_an_older_one(self) -> None:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "piggy.S").write_text('.incbin "payload"\n')
            environment = os.environ | {"CCACHE_DIR": f"{folder}/cache"} | source_tree.COMPILER_CACHE
            for payload in ("an old kernel", "a newer one  "):
                (folder / "payload").write_text(payload)
                subprocess.run(["ccache", "gcc", "-Wp,-MMD,piggy.d", "-c", "-o", "piggy.o", "piggy.S"], cwd=folder, env=environment, check=True)
                self.assertIn(payload.encode(), (folder / "piggy.o").read_bytes())


class BuildTest(unittest.TestCase):
    """A make of the test's own in the place of the kernel's."""

    MAKEFILE = """\
allnoconfig:
	echo $(ARCH) >> $(O)/calls
	cp $(KCONFIG_ALLCONFIG) $(O)/.config; {config}
all:
	mkdir -p $(O)/include/config $(O)/arch/x86/boot
	echo 6.12.0$(LOCALVERSION) > $(O)/include/config/kernel.release
	{build}
"""

    def setUp(self) -> None:
        self.top = Path(self.enterContext(tempfile.TemporaryDirectory())).resolve()
        self.enterContext(mock.patch.dict(os.environ, {"FAULTLINE_CACHE": str(self.top / "cache"), "ARCH": "x86_64",
                                                       "MAKEFLAGS": "-- ARCH=x86_64 DEBUG=vm"}))
        self.say = self.enterContext(mock.patch.object(source_tree, "say"))
        self.enterContext(mock.patch.object(source_tree, "ensure_host"))
        self.enterContext(mock.patch.object(source_tree, "_locks", {}))
        self.tree = self.top / "linux"
        self.tree.mkdir()
        (self.tree / "Kconfig").touch()

    def tearDown(self) -> None:
        for file in source_tree._locks.values():
            file.close()

    def write(self, config: str = ":", build: str = "touch $(O)/arch/x86/boot/bzImage") -> None:
        (self.tree / "Makefile").write_text(self.MAKEFILE.format(config=config, build=build))

    def calls(self) -> list[str]:
        return [line for file in (self.top / "cache/trees").glob("*/calls") for line in file.read_text().split()]

    def test_it_is_built_once_and_again_when_it_changes(self) -> None:
        self.write()
        self.assertIsNone(source_tree.cached(str(self.tree), X86))
        first = source_tree.kernel(str(self.tree), X86)
        self.assertRegex(first.release, r"^6\.12\.0-[0-9a-f]{8}$")
        self.assertTrue(first.image.exists())
        self.assertEqual(source_tree.kernel(str(self.tree), X86), first)
        self.assertEqual(source_tree.cached(str(self.tree), X86), first)
        self.assertEqual(self.calls(), ["x86"])  # the kernel's word, not the user's
        (self.tree / "new.c").touch()
        self.assertIsNone(source_tree.cached(str(self.tree), X86))
        self.assertNotEqual(source_tree.kernel(str(self.tree), X86).release, first.release)
        self.assertRegex(source_tree.kernel(str(self.tree), X86, debug=("vm",), preempt="rt").release, r"^6\.12\.0-vm-rt-")

    def test_a_failed_build_is_said_with_its_log_and_not_kept(self) -> None:
        self.write(build="@echo 'mm/memory.c:1:1: error: x'; touch $(O)/arch/x86/boot/bzImage; false")
        for _ in range(2):
            with self.assertRaises(Trouble) as caught:
                source_tree.kernel(str(self.tree), X86)
            self.assertEqual(caught.exception.ending, Ending.BUILD)
            self.assertRegex(str(caught.exception), r"(?s)error: x.*all of it: .*build\.log")
        self.assertIsNone(source_tree.cached(str(self.tree), X86))

    def test_a_build_without_an_image_is_no_kernel(self) -> None:
        self.write(build=":")
        with self.assertRaises(Trouble) as caught:
            source_tree.kernel(str(self.tree), X86)
        self.assertEqual(caught.exception.ending, Ending.BUILD)

    def test_what_it_lacks_is_said_each_time_and_without_what_the_machine_needs_nothing_is_built(self) -> None:
        self.write(config="sed -i '/_KSM=/d' $(O)/.config")
        for _ in range(2):
            source_tree.kernel(str(self.tree), X86)
            said = [str(call.args[0]) for call in self.say.call_args_list if "do not hold" in str(call.args[0])]
            self.assertEqual(len(said), 1)
            self.assertRegex(said[0], r"^1 lines .*\n +CONFIG_KSM=y  base\.config: \S")
            self.say.reset_mock()
        self.write(config="sed -i '/_KPROBES=/d' $(O)/.config", build="touch $(O)/built")
        with self.assertRaises(Trouble) as caught:
            source_tree.kernel(str(self.tree), X86)
        self.assertEqual(caught.exception.ending, Ending.BUILD)
        self.assertEqual(list((self.top / "cache/trees").glob("*/built")), [])

    def test_a_build_that_takes_too_long_is_ended_with_its_children(self) -> None:
        self.write(build="touch $(O)/begun; sleep 1000")
        with mock.patch.object(source_tree, "BUILD_SECONDS", 2), self.assertRaises(Trouble) as caught:
            source_tree.kernel(str(self.tree), X86)
        self.assertIn("longer than 2 s", str(caught.exception))
        self.assertEqual(len(list((self.top / "cache/trees").glob("*/begun"))), 1)

    def test_a_kernel_in_use_is_not_built_over(self) -> None:
        self.write()
        kernel = source_tree.kernel(str(self.tree), X86)
        with open(self.top / "cache/trees" / f"{kernel.headers.name}.lock", encoding="ascii") as other:
            fcntl.flock(other, fcntl.LOCK_SH | fcntl.LOCK_NB)  # another run of the same kernel
            with self.assertRaises(BlockingIOError):
                fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)


if __name__ == "__main__":
    unittest.main()
