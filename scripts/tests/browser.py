# SPDX-License-Identifier: GPL-2.0
"""A page as a browser draws it, where there is one."""

import re
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

CHROMIUM = next((found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), "")
# Loads nothing, and asks nobody for anything.
QUIET = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--disable-quic", "--enable-logging=stderr", "--virtual-time-budget=5000")
SECONDS = 300  # a bound, on a machine that has much else to do


def dom(test: unittest.TestCase, page: Path, script: str = "", fragment: str = "") -> str:
    """After a script of the test. It fails for each line that the console got."""
    if not CHROMIUM:
        test.skipTest("no chromium here: apt-get install chromium")
    text = page.read_text()
    if script:
        page.write_text(text.replace("</body>", f"<script>{script}</script></body>"))
    with tempfile.TemporaryDirectory() as profile:
        done = subprocess.run([CHROMIUM, *QUIET, f"--user-data-dir={profile}", "--dump-dom", f"file://{page}{fragment}"],
                              capture_output=True, text=True, check=False, timeout=SECONDS)
    test.assertEqual([line for line in done.stderr.splitlines() if "CONSOLE" in line], [])
    test.assertIn("<h1>", done.stdout, done.stderr[-2000:])
    return re.sub(r'(?s)<script type="text/plain".*?</script>', "", done.stdout)
