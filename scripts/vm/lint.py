# SPDX-License-Identifier: GPL-2.0
"""Checks that need no machine: each prints what it found; one bad is enough."""

import os
import re
import subprocess
from pathlib import Path

from . import build, links, wording
from .kernels import UnpackedKernel
from .packages import say
from .tables import Ending

# Out-of-tree files have no MAINTAINERS entry, and compat.h is the place for versions.
# Rows of file_table.h are a list, and no includer needs each of their fields.
CHECKPATCH_IGNORED = ("FILE_PATH_CHANGES", "LINUX_VERSION_CODE", "SPDX_LICENSE_TAG", "COMPLEX_MACRO", "MACRO_ARG_UNUSED")


def _tracked(*patterns: str) -> list[str]:
    done = subprocess.run(["git", "-C", str(build.TOP), "ls-files", "--", *patterns],
                          capture_output=True, text=True, check=True)
    return [name for name in done.stdout.splitlines() if (build.TOP / name).exists()]


def _show(command: list[str], cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, timeout=3000)
    return (done.stdout + done.stderr).strip() if done.returncode else ""


# Their formats have no comments.
NO_COMMENTS = ("LICENSE", "debian/changelog", "debian/source/format")


def spdx(_: UnpackedKernel, __: Path) -> str:
    """Every file says its licence in its first or second line."""
    bad = []
    for name in _tracked():
        if name in NO_COMMENTS or name.startswith("scripts/tests/logs/"):
            continue
        head = (build.TOP / name).read_text(errors="replace").splitlines()[:2]
        if not any("SPDX-License-Identifier: GPL-2.0" in line for line in head):
            bad.append(f"{name}: no SPDX line")
    return "\n".join(bad)


def sparse(kernel: UnpackedKernel, _: Path) -> str:
    folder = build.module(kernel.headers, kernel.release).parent
    command = build.module_command(kernel.headers, folder, "C=2", "CF=-Wsparse-error")
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=900)
    # Lines about our files; errors in the kernel's own headers are not ours.
    ours = [line for line in (done.stdout + done.stderr).splitlines() if re.search(rf"^{re.escape(str(folder))}/\S+: (warning|error)", line)]
    return "\n".join(ours) or ("" if done.returncode == 0 else (done.stdout + done.stderr)[-3000:])


def checkpatch(_: UnpackedKernel, source: Path) -> str:
    files = _tracked("kmod/*.c", "kmod/*.h", "kmod/*.S")
    return _show(["perl", str(source / "scripts/checkpatch.pl"), "--no-tree", "--no-summary", "--terse",
                  "--ignore", ",".join(CHECKPATCH_IGNORED), "-f", *files], build.TOP)


def clang_format(_: UnpackedKernel, __: Path) -> str:
    files = _tracked("user/*.cpp", "user/*.hpp")
    return _show(["clang-format", "--dry-run", "-Werror", *files], build.TOP)


def clang_tidy(_: UnpackedKernel, __: Path) -> str:
    build.user()
    # Tests and the fuzz target, which has no entry in compile_commands.json, are left out.
    files = [name for name in _tracked("user/*.cpp") if not name.startswith(("user/tests/", "user/fuzz/"))]
    jobs = os.cpu_count() or 1
    command = ["xargs", "-P", str(jobs), "-n", "2", "clang-tidy", "--quiet", "-p", str(build.user_folder())]
    done = subprocess.run(command, input="\n".join(files), cwd=build.TOP, capture_output=True, text=True,
                          check=False, timeout=3000)
    return done.stdout.strip()[-8000:] or done.stderr.strip()[-2000:] if done.returncode else ""


def machine_names(_: UnpackedKernel, __: Path) -> str:
    """No host name of a mirror, no path of one machine."""
    pattern = r"https?://[a-z0-9.-]*(debian|snapshot|npmjs|registry|mirror)|/(work|farm|root)/[a-z]"
    # The format of debian/copyright is named by its address.
    others = (".", ":!scripts/vm/lint.py", ":!debian/copyright")
    done = subprocess.run(["git", "-C", str(build.TOP), "grep", "-nIE", pattern, "--", *others],
                          capture_output=True, text=True, check=False)
    return done.stdout.strip()


def _text(name: str) -> str:
    return (build.TOP / name).read_text(errors="replace")


# Recorded output; and the table of phrases itself, whose tests have them too.
NO_PROSE = ("scripts/tests/logs/", "scripts/tests/test_wording.py", "scripts/vm/wording.py", "debian/", "LICENSE")


def plain_words(_: UnpackedKernel, __: Path) -> str:
    """No phrase of wording.py in pages, scenario texts and comments."""
    names = [name for name in _tracked() if not name.startswith(NO_PROSE)]
    return "\n".join(line for name in names for line in wording.refused(name, _text(name)))


def page_links(_: UnpackedKernel, __: Path) -> str:
    """Each link between pages, and each name of a page in a source, leads to a file."""
    pages = [line for name in _tracked("*.md") for line in links.broken(build.TOP, name)]
    sources = _tracked("*.md", "*.flt", "*.toml", "*.c", "*.h", "*.cpp", "*.hpp", "Makefile", "scripts/vm/*.py")
    return "\n".join([*pages, *(line for name in sources for line in links.missing_pages(build.TOP, name))])


CHECKS = (spdx, machine_names, plain_words, page_links, checkpatch, sparse, clang_format, clang_tidy)


def run(kernel: UnpackedKernel, source: Path) -> Ending:
    bad = 0
    for check in CHECKS:
        found = check(kernel, source)
        say(f"{check.__name__.replace('_', '-')}: {'bad' if found else 'clean'}")
        if found:
            print(found)
            bad += 1
    return Ending.FAILED if bad else Ending.GOOD
