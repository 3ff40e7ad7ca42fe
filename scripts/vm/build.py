# SPDX-License-Identifier: GPL-2.0
"""Module, driver and selftests for one kernel. Outputs go to build/ in the checkout."""

import os
import shutil
import subprocess
from pathlib import Path

from .packages import say
from .tables import Ending, Trouble

TOP = Path(__file__).resolve().parents[2]
BUILD = TOP / "build"
JOBS = f"-j{os.cpu_count() or 1}"


def _make(command: list[str], what: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=1800)
    if done.returncode != 0:
        raise Trouble(Ending.BUILD, f"{what} does not build:\n{(done.stdout + done.stderr)[-6000:]}")


def _copy_changed(sources: list[Path], target: Path) -> None:
    """Copy what changed, and drop what is gone, so that make sees nothing else as new."""
    target.mkdir(parents=True, exist_ok=True)
    for file in sources:
        copy = target / file.name
        if not copy.exists() or copy.read_bytes() != file.read_bytes():
            shutil.copy(file, copy)
    names = {file.name for file in sources}
    for old in target.iterdir():
        if old.suffix in {".c", ".h", ".S"} and old.name not in names and not old.name.endswith(".mod.c"):
            old.unlink()


def module_command(headers: Path, folder: Path, *arguments: str) -> list[str]:
    # BTF of the module would need pahole, and nobody reads it.
    return ["make", JOBS, "-C", str(headers), f"M={folder}", "CONFIG_DEBUG_INFO_BTF_MODULES=",
            *arguments, "modules"]


def module(headers: Path, release: str) -> Path:
    """faultline.ko. Kbuild builds in the source folder, so each kernel gets a copy of its own."""
    say(f"building the module for {release}")
    folder = BUILD / release / "kmod"
    sources = [f for f in (TOP / "kmod").iterdir() if f.suffix in {".c", ".h", ".S"} or f.name == "Kbuild"]
    _copy_changed([f for f in sources if not f.name.endswith(".mod.c")], folder)
    _make(module_command(headers, folder), "the module")
    return folder / "faultline.ko"


def user_folder() -> Path:
    return BUILD / "user"


def user() -> Path:
    """The driver and its unit tests."""
    say("building the driver")
    folder = user_folder()
    if not (folder / "Makefile").exists():
        _make(["cmake", "-S", str(TOP / "user"), "-B", str(folder), "-DCMAKE_BUILD_TYPE=Release"],
              "the driver")
    _make(["cmake", "--build", str(folder), JOBS], "the driver")
    return folder / "faultline"


def selftests(kselftest: Path) -> list[Path]:
    say("building the selftests")
    _make(["make", JOBS, "-C", str(TOP / "selftests"), f"KSELFTEST={kselftest}"], "selftests")
    return sorted(f for f in (TOP / "selftests").glob("*_test") if os.access(f, os.X_OK))


def commit() -> str:
    """The commit that is built, with a plus sign if the tree differs from it."""
    def git(*arguments: str) -> str:
        done = subprocess.run(["git", "-C", str(TOP), *arguments], capture_output=True, text=True, check=False)
        return done.stdout.strip()

    return (git("rev-parse", "--short=12", "HEAD") or "unknown") + ("+" if git("status", "--porcelain") else "")
