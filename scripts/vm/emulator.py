# SPDX-License-Identifier: GPL-2.0
"""Which QEMU runs a machine: the host's, a newer one unpacked in the cache, or one built with a
missing line added. Every result names it."""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from . import cache
from .packages import Apt, ensure_host, say, unpack
from .tables import HOST_SUITE, QEMU_BUILD_PACKAGES, QEMU_BUILDS, QEMU_FIRMWARE, Arch, Ending, QemuBuild, Trouble


@dataclass(frozen=True)
class Emulator:
    program: str
    options: tuple[str, ...]  # the machine, and the folder of its firmware
    note: str = ""  # its changes

    @property
    def version(self) -> str:
        """As it says it itself."""
        done = subprocess.run([self.program, "--version"], capture_output=True, text=True, check=False)
        if done.returncode != 0 or not done.stdout:
            raise Trouble(Ending.USAGE, f"{self.program} does not start: {done.stderr.strip()[-500:]}")
        return done.stdout.splitlines()[0] + (f", {self.note}" if self.note else "")


def find(arch: Arch) -> Emulator:
    """The emulator for an architecture; downloads a newer one if the table asks for it."""
    build = QEMU_BUILDS.get(arch.name)
    if build and (found := _newest_built(build)):
        return Emulator(str(found / arch.qemu), ("-L", QEMU_FIRMWARE, *build.machine), build.note)
    if not arch.qemu_suite:
        return Emulator(arch.qemu, arch.machine)
    folder = _unpacked(arch)
    firmware = ("-L", f"{folder}/usr/share/qemu", "-L", QEMU_FIRMWARE)
    return Emulator(f"{folder}/usr/bin/{arch.qemu}", (*firmware, *arch.machine))


def _unpacked(arch: Arch) -> Path:
    """Beside the host's own, which stays as it is and brings the libraries."""
    target = cache.root() / "qemu" / f"{arch.qemu_suite}-{arch.qemu}"
    with cache.locked():
        if not target.exists():
            apt = Apt((arch.qemu_suite,), ())
            apt.update()
            with cache.new_folder(target) as folder:
                apt.download([arch.qemu_package, "qemu-system-data"], folder)
                for package in folder.glob("*.deb"):
                    unpack(package, folder)
                    package.unlink()
    return target


def _built_folders(build: QemuBuild) -> list[Path]:
    return sorted((cache.root() / "qemu").glob(f"built-{build.target}-*"))


def _newest_built(build: QemuBuild) -> Path | None:
    folders = _built_folders(build)
    return folders[-1] if folders else None


def add_line(text: str, build: QemuBuild) -> str:
    """The source file with the line in its place; Trouble if that place is not there exactly once."""
    if len(re.findall(build.after, text, re.MULTILINE)) != 1:
        raise Trouble(Ending.BUILD, f"{build.file} of QEMU's source has no single line {build.after!r}")
    return re.sub(build.after, lambda found: f"{found.group(0)}\n{build.line}", text, flags=re.MULTILINE)


def _run(command: list[str], folder: Path, what: str) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=3000)
    if done.returncode != 0:
        raise Trouble(Ending.BUILD, f"{what}:\n{(done.stdout + done.stderr)[-4000:]}")


def build(arch: Arch) -> Emulator:
    """From Debian's source, once for each version of it."""
    plan = QEMU_BUILDS[arch.name]
    ensure_host({**QEMU_BUILD_PACKAGES, arch.qemu_package: "firmware, and the emulator as Debian builds it"})
    apt = Apt((HOST_SUITE,), (), sources=True)
    apt.update()
    version = apt.source_version("qemu")
    target = cache.root() / "qemu" / f"built-{plan.target}-{version.replace(':', '_')}"
    with cache.locked():
        if not target.exists():
            with cache.new_folder(target) as folder:
                apt.source("qemu", folder)
                [description] = folder.glob("*.dsc")
                _run(["dpkg-source", "--no-check", "-x", description.name, "source"], folder, "dpkg-source")
                source = folder / "source"
                file = source / plan.file
                file.write_text(add_line(file.read_text(), plan))
                say(f"building {arch.qemu} {version} with {plan.note}: a few minutes")
                _run(["./configure", f"--target-list={plan.target}", *plan.configure], source, "QEMU's configure")
                _run(["ninja", "-C", "build", f"-j{os.cpu_count() or 1}", arch.qemu], source, "building QEMU")
                shutil.copy(source / "build" / arch.qemu, folder / arch.qemu)
                for name in folder.iterdir():
                    if name.is_dir():
                        shutil.rmtree(name)
                    elif name.name != arch.qemu:
                        name.unlink()
            for old in _built_folders(plan):
                if old != target:
                    shutil.rmtree(old)
    return find(arch)
