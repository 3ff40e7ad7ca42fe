# SPDX-License-Identifier: GPL-2.0
"""A root folder with the compiler that newer kernels were built with, and commands in it.

The kernel's own build tools come as binaries for a newer libc than the host's, so a compiler alone
would not do.
"""

import os
from pathlib import Path

from . import cache
from .packages import KEYRING, STALE_IS_FINE, host_mirrors, retry, say
from .tables import ARCHES, Kernel, Trouble

# Runs in a mount namespace of its own, so that nothing stays mounted when it ends or is killed.
ENTER = """\
root=$1; shift
while [ "$1" != -- ]; do
	mkdir -p "$root$1"
	mount --rbind "$1" "$root$1"
	shift
done
shift
exec chroot "$root" "$@"
"""


def packages(kernel: Kernel) -> list[str]:
    triplets = sorted({arch.triplet for arch in ARCHES.values() if not arch.native})
    return ["make", "libelf1t64", f"gcc-{kernel.gcc}", *(f"gcc-{kernel.gcc}-{triplet}" for triplet in triplets)]


def _place(kernel: Kernel, suite: str) -> Path:
    return cache.root() / "toolchains" / f"{suite}-gcc-{kernel.gcc}"


def _make(kernel: Kernel, suite: str) -> Path:
    target = _place(kernel, suite)
    say(f"making a root folder of {suite} with gcc-{kernel.gcc}: 1 GB, a few minutes")
    with cache.new_folder(target) as folder:
        source = f"deb [signed-by={KEYRING}] {host_mirrors()['main']} {suite} main"
        # A failed attempt leaves a part: each begins anew.
        retry(["mmdebstrap", "--variant=apt", "--skip=check/empty", f"--aptopt={STALE_IS_FINE} \"false\"",
               f"--include={','.join(packages(kernel))}", suite, str(folder / "root"), source],
              "mmdebstrap", clean=folder / "root")
        for archive in (folder / "root/var/cache/apt/archives").glob("*.deb"):
            archive.unlink()
    return target


def root(kernel: Kernel) -> Path:
    """The root folder, made once. A suite that is half synchronised on the mirror is left for the next."""
    with cache.locked():
        for suite in kernel.toolchain:
            if _place(kernel, suite).exists():
                return _place(kernel, suite)
        for suite in kernel.toolchain[:-1]:
            try:
                return _make(kernel, suite)
            except Trouble as trouble:
                say(f"{suite} cannot be used now: {str(trouble).splitlines()[-1]}")
        return _make(kernel, kernel.toolchain[-1])


def command(kernel: Kernel, folders: list[Path], inside: list[str]) -> list[str]:
    """`inside` in the root folder, which sees the host's `folders` under their own names."""
    unshare = ["unshare", "--mount"] + ([] if os.geteuid() == 0 else ["--map-root-user"])
    seen = [str(folder) for folder in (Path("/dev"), Path("/proc"), *folders)]
    return [*unshare, "sh", "-euc", ENTER, "enter", str(root(kernel) / "root"), *seen, "--", *inside]
