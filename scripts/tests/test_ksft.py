# SPDX-License-Identifier: GPL-2.0
"""selftests/ksft_faultline.sh: its exit status and its KTAP, with a stand-in for the driver."""

import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

from vm import build

SCRIPT = build.TOP / "selftests/ksft_faultline.sh"
DRIVER = """#!/bin/sh
for word; do [ "$before" = --ktap ] && ktap=$word; before=$word; done
echo "for people: $*"
printf '%s\\n' "KTAP version 1" "1..1" "{line}" > "$ktap"
{then}
exit {status}
"""


class Ksft(unittest.TestCase):
    def setUp(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)
        # As root, which the script asks `id` for.
        self.program("id", "#!/bin/sh\necho 0\n")
        (self.folder / "selftests").mkdir()
        self.script = self.folder / "selftests/ksft_faultline.sh"
        shutil.copy(SCRIPT, self.script)
        self.module = self.folder / "selftests/faultline.ko"
        self.module.write_bytes(b"\0\0vermagic=" + os.uname().release.encode() + b" SMP\0")

    def program(self, name: str, text: str) -> Path:
        file = self.folder / name
        file.write_text(text)
        file.chmod(0o755)
        return file

    def driver(self, line: str, status: int, then: str = "") -> Path:
        return self.program("driver", DRIVER.format(line=line, status=status, then=then))

    def run_it(self, driver: Path | None, bound: int = 60) -> tuple[int, str]:
        environment = {"FAULTLINE_BOUND": str(bound), "PATH": f"{self.folder}:/usr/sbin:/usr/bin:/sbin:/bin", "FAULTLINE": str(driver or "")}
        done = subprocess.run([self.script], capture_output=True, text=True, env=environment, check=False, timeout=60,
                              cwd=self.folder)
        return done.returncode, done.stdout

    def test_a_pass_and_a_failure(self) -> None:
        status, text = self.run_it(self.driver("ok 1 collapse-contract", 0))
        self.assertEqual(status, 0, text)
        self.assertIn("\nok 1 collapse-contract\n", text)
        self.assertIn("# for people: run --module " + str(self.module), text)
        self.assertEqual(self.run_it(self.driver("not ok 1 collapse-contract", 1))[0], 1)

    def test_a_run_in_which_all_was_skipped_is_a_skip(self) -> None:
        self.assertEqual(self.run_it(self.driver("ok 1 hvo-stale # SKIP no HVO", 0))[0], 4)

    def test_a_driver_that_is_killed_or_tries_nothing_is_a_failure(self) -> None:
        status, text = self.run_it(self.driver("ok 1 half", 0, "kill -9 $$"))
        self.assertEqual(status, 1)
        self.assertIn("\nok 1 half\nBail out! the driver's status: 137\n", text)
        self.assertEqual(self.run_it(self.driver("", 2))[0], 1)

    def test_a_driver_that_does_not_end_is_not_waited_for(self) -> None:
        # Its child keeps its output open, like a task that the kernel holds.
        status, text = self.run_it(self.driver("ok 1 half", 0, "setsid sleep 50 & sleep 50"), bound=5)
        self.assertEqual(status, 1)
        self.assertIn("Bail out! the driver's status: none within 5 seconds", text)

    def test_a_machine_that_is_not_virtual_is_a_skip(self) -> None:
        status, text = self.run_it(self.driver("", 2, "echo 'load (this is no virtual machine: see the kernel log)'"))
        self.assertEqual(status, 4)
        self.assertIn("1..0 # SKIP this is no virtual machine", text)

    def test_what_is_missing_is_named(self) -> None:
        status, text = self.run_it(None)
        self.assertEqual(status, 4)
        self.assertIn("# SKIP no driver", text)
        self.program("id", "#!/bin/sh\necho 1000\n")
        self.assertEqual(self.run_it(self.driver("ok 1 a", 0)), (4, "TAP version 13\n1..0 # SKIP needs root\n"))

    def test_a_module_of_another_kernel_is_not_taken(self) -> None:
        self.module.write_bytes(b"vermagic=0.0.1 SMP")
        status, text = self.run_it(self.driver("ok 1 a", 0))
        self.assertEqual(status, 4)
        self.assertIn("and no source of it", text)

    def tree(self, makefile: str) -> None:
        """A kernel's tree in the current folder, that `make` finds nothing but this in, and the module's source."""
        self.module.unlink()
        (self.folder / "kmod").mkdir()
        (self.folder / "include/config").mkdir(parents=True)
        (self.folder / "include/config/kernel.release").write_text(os.uname().release + "\n")
        (self.folder / "Makefile").write_text(makefile)

    def test_a_module_is_built_against_the_tree_in_the_current_folder(self) -> None:
        self.tree("modules:\n\ttouch $(M)/faultline.ko\n")
        status, text = self.run_it(self.driver("ok 1 a", 0))
        self.assertEqual(status, 0, text)
        self.assertIn("kmod/faultline.ko", text)

    def test_a_build_that_fails_is_a_failure_and_a_kernel_that_lacks_something_a_skip(self) -> None:
        self.tree("modules:\n\t@echo broken; false\n")
        status, text = self.run_it(self.driver("ok 1 a", 0))
        self.assertEqual(status, 1)
        self.assertIn("# broken", text)
        (self.folder / "Makefile").write_text('modules:\n\t@echo \'error: "faultline needs CONFIG_KPROBES\'; false\n')
        status, text = self.run_it(self.driver("ok 1 a", 0))
        self.assertEqual(status, 4)
        self.assertIn("# SKIP faultline needs CONFIG_KPROBES", text)


class Config(unittest.TestCase):
    def test_each_option_is_one_that_a_tree_of_ours_has(self) -> None:
        def options(*files: Path) -> set[str]:
            return {line.split("=")[0] for file in files for line in file.read_text().splitlines() if line.startswith("CONFIG_")}

        asked = options(build.TOP / "selftests/config")
        self.assertTrue(asked)
        self.assertEqual(asked - options(*(build.TOP / "scripts/config").glob("base*.config")), set())


if __name__ == "__main__":
    unittest.main()
