# SPDX-License-Identifier: GPL-2.0
"""The user space of an architecture: what the driver is linked to, and busybox.

For the host's own architecture that is the host itself.
"""

import hashlib
import re
import subprocess
from pathlib import Path

from . import cache
from .packages import Apt, unpack
from .tables import HOST_SUITE, SYSROOT_HEADERS, SYSROOT_PACKAGES, Arch


def folder(arch: Arch) -> Path:
    """The root of its files: /, or an unpacked folder in the cache."""
    if arch.native:
        return Path("/")
    # Named by its contents: a new package needs a new folder.
    packages = hashlib.sha256(" ".join([*SYSROOT_PACKAGES, *SYSROOT_HEADERS]).encode()).hexdigest()[:8]
    target = cache.root() / "sysroots" / f"{HOST_SUITE}-{arch.debian}-{packages}"
    with cache.locked():
        if not target.exists():
            apt = Apt((HOST_SUITE,), (arch.debian,))
            apt.update()
            with cache.new_folder(target) as new:
                wanted = [f"{package}:{arch.debian}" for package in SYSROOT_PACKAGES]
                apt.download([*wanted, *SYSROOT_HEADERS], new)
                for package in sorted(new.glob("*.deb")):
                    unpack(package, new)
                    package.unlink()
    return target


def tool(arch: Arch, name: str) -> str:
    return name if arch.native else f"{arch.triplet}-{name}"


def resolve(root: Path, path: str) -> Path:
    """A file of the root folder; its absolute symbolic links are relative to that folder."""
    for _ in range(16):
        file = root / path.lstrip("/")
        if not file.is_symlink():
            return file
        target = file.readlink()
        path = str(target) if target.is_absolute() else str(Path(path).parent / target)
    return root / path.lstrip("/")


def needed(program: Path) -> tuple[str | None, list[str]]:
    """A program's loader, and the names of the libraries that it is linked to."""
    done = subprocess.run(["readelf", "-ld", str(program)], capture_output=True, text=True, check=False)
    loader = re.search(r"program interpreter: ([^]]+)", done.stdout)
    return loader.group(1) if loader else None, re.findall(r"\(NEEDED\).*\[(.+)\]", done.stdout)


def libraries(program: Path, arch: Arch) -> dict[str, Path]:
    """The libraries that a program loads: the name in the guest, and the file."""
    root = folder(arch)
    places = [f"/lib/{arch.triplet}", f"/usr/lib/{arch.triplet}", "/lib", "/usr/lib", "/lib64"]
    found: dict[str, Path] = {}
    queue = [program]
    while queue:
        loader, names = needed(queue.pop())
        if loader:
            found[loader] = resolve(root, loader)
        for name in names:
            for place in places:
                path = f"{place}/{name}"
                file = resolve(root, path)
                if file.exists() and path not in found:
                    found[path] = file
                    queue.append(file)
                if file.exists():
                    break
    return found
