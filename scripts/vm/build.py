# SPDX-License-Identifier: GPL-2.0
"""Module, driver and selftests for one kernel. Outputs go to build/ in the checkout."""

import os
import re
import shutil
import subprocess
from pathlib import Path

from . import cache, sysroot, toolchain
from .packages import failure, say
from .tables import ARCHES, DEFAULT_ARCH, Arch, Ending, Kernel, Trouble

TOP = Path(__file__).resolve().parents[2]
BUILD = TOP / "build"
JOBS = f"-j{os.cpu_count() or 1}"


# Variables that the user's make passes to its children: the kernel's make would take ARCH=, DEBUG= and C= for its own.
TOLD = ("MAKEFLAGS", "MFLAGS", "MAKEOVERRIDES", "MAKELEVEL", "ARCH", "CONFIG", "DEBUG", "PREEMPT", "KSRC", "C", "O", "V")


def environment() -> dict[str, str]:
    """For the kernel's make."""
    return {name: value for name, value in os.environ.items() if name not in TOLD}


def compiler(arch: Arch) -> str:
    """The compiler of own kernels and their modules; a stock kernel names its own."""
    return "gcc" if arch.native else f"{arch.triplet}-gcc-12"


def kernel_words(arch: Arch, cc: str) -> list[str]:
    """For the kernel's make, which does not keep them in its build folder."""
    return [f"ARCH={arch.kbuild}", f"CC={cc}", *([] if arch.native else [f"CROSS_COMPILE={arch.triplet}-"])]


def _make(command: list[str], what: str, environment: dict[str, str] | None = None) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=1800, env=environment)
    if done.returncode != 0:
        log = BUILD / "logs" / (re.sub(r"\W+", "-", what) + ".log")
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text(done.stdout + done.stderr)
        raise Trouble(Ending.BUILD, failure(f"{what} does not build", command, log, f"mend the first error: grep -m 1 error: {log}"))


def _copy_changed(sources: list[Path], target: Path) -> None:
    """Copy changed files, and drop removed ones, so that make sees nothing else as new."""
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


def module(headers: Path, release: str, kernel: Kernel | None = None, arch: Arch = ARCHES[DEFAULT_ARCH]) -> Path:
    """faultline.ko. Kbuild builds in the source folder, so each kernel gets a copy of its own.
    `kernel`: built in the root folder of its toolchain, if it has one."""
    say(f"building the module for {release}")
    folder = BUILD / release / "kmod"
    sources = [f for f in (TOP / "kmod").iterdir() if f.suffix in {".c", ".h", ".S"} or f.name == "Kbuild"]
    _copy_changed([f for f in sources if not f.name.endswith(".mod.c")], folder)
    # Some headers packages know their cross compiler themselves, older ones do not. A user's own build folder knows nothing.
    stock = [] if arch.native else [f"CROSS_COMPILE={arch.triplet}-"]
    command = module_command(headers, folder, *(stock if kernel else kernel_words(arch, compiler(arch))))
    if kernel and kernel.toolchain:
        command = toolchain.command(kernel, [cache.root(), BUILD], command)
    _make(command, f"the module for {release}", environment())
    return folder / "faultline.ko"


def user_folder(arch: Arch = ARCHES[DEFAULT_ARCH]) -> Path:
    return BUILD / ("user" if arch.native else f"user-{arch.debian}")


def _cross_options(arch: Arch) -> list[str]:
    """For CMake: the compiler, and libraries from the architecture's own packages."""
    root = sysroot.folder(arch)
    return [
        "-DCMAKE_SYSTEM_NAME=Linux", f"-DCMAKE_SYSTEM_PROCESSOR={arch.triplet.split('-')[0]}",
        f"-DCMAKE_CXX_COMPILER={arch.triplet}-g++-12", f"-DCMAKE_LIBRARY_ARCHITECTURE={arch.triplet}",
        f"-DCMAKE_PREFIX_PATH={root}/usr", f"-DCMAKE_FIND_ROOT_PATH={root};/usr/{arch.triplet}",
        "-DCMAKE_FIND_ROOT_PATH_MODE_PACKAGE=ONLY", "-DCMAKE_FIND_ROOT_PATH_MODE_LIBRARY=ONLY",
        "-DCMAKE_FIND_ROOT_PATH_MODE_INCLUDE=ONLY", "-DBUILD_TESTING=OFF",
        # Libraries of libraries, and those with a different place than in the cross compiler's root.
        f"-DCMAKE_EXE_LINKER_FLAGS=-Wl,-rpath-link,{root}/lib/{arch.triplet}:{root}/usr/lib/{arch.triplet}",
    ]


def user(arch: Arch = ARCHES[DEFAULT_ARCH], tests: bool = False) -> Path:
    """The driver. `tests`: also its unit tests, which take longer to build than the driver."""
    say("building the driver" + ("" if arch.native else f" for {arch.debian}"))
    folder = user_folder(arch)
    environment = dict(os.environ)
    if not arch.native:
        root = sysroot.folder(arch)
        environment["PKG_CONFIG_LIBDIR"] = f"{root}/usr/lib/{arch.triplet}/pkgconfig:{root}/usr/share/pkgconfig"
        environment["PKG_CONFIG_SYSROOT_DIR"] = str(root)
    if not (folder / "Makefile").exists():
        options = [] if arch.native else _cross_options(arch)
        _make(["cmake", "-S", str(TOP / "user"), "-B", str(folder), "-DCMAKE_BUILD_TYPE=Release", *options],
              "the driver", environment)
    target = [] if tests else ["--target", "faultline"]
    _make(["cmake", "--build", str(folder), JOBS, *target], "the driver", environment)
    return folder / "faultline"


def selftests(kselftest: Path, arch: Arch = ARCHES[DEFAULT_ARCH]) -> list[Path]:
    say("building the selftests" + ("" if arch.native else f" for {arch.debian}"))
    folder = BUILD / f"selftests-{arch.debian}"
    folder.mkdir(parents=True, exist_ok=True)
    compiler = [] if arch.native else [f"CC={arch.triplet}-gcc-12"]
    _make(["make", JOBS, "-C", str(TOP / "selftests"), f"KSELFTEST={kselftest}", f"OUTPUT={folder}", *compiler],
          "selftests")
    return sorted(f for f in folder.glob("*_test") if os.access(f, os.X_OK))


def warn_planter(arch: Arch) -> Path:
    """The control of the kernel log's judge; built with the selftests."""
    return BUILD / f"selftests-{arch.debian}" / "warn_planter"


def commit() -> str:
    """The commit that is built, with a plus sign if the tree differs from it."""
    def git(*arguments: str) -> str:
        done = subprocess.run(["git", "-C", str(TOP), *arguments], capture_output=True, text=True, check=False)
        return done.stdout.strip()

    return (git("rev-parse", "--short=12", "HEAD") or "unknown") + ("+" if git("status", "--porcelain") else "")
