# SPDX-License-Identifier: GPL-2.0
"""tools/testing/kunit/kunit.py of the kernel's source, as others read KTAP."""

import re
import subprocess
import sys
import unittest
from pathlib import Path

from vm import kernels
from vm.tables import DEFAULT_KERNEL


def parse(test: unittest.TestCase, file: Path) -> tuple[int, dict[str, int]]:
    """Its exit status, and its counts of cases: it has found no error in the form."""
    source = kernels.cached_source_parts(DEFAULT_KERNEL)
    if not source:
        test.skipTest(f"kunit.py of {DEFAULT_KERNEL} is not in the cache: make kselftest fetches it")
    done = subprocess.run([sys.executable, "-B", source / "tools/testing/kunit/kunit.py", "parse", file],
                          capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    summary = re.search(r"Testing complete\. Ran \d+ tests: (.*)", said)
    test.assertIsNotNone(summary, said)
    test.assertNotIn("[ERROR]", said)
    assert summary
    return done.returncode, {word: int(count) for word, count in re.findall(r"(\w+): (\d+)", summary[1])}
