# SPDX-License-Identifier: GPL-2.0
"""The Debian packages, built from what git knows of this tree."""

import os
import shutil
import subprocess
from pathlib import Path

from . import meta
from .build import TOP
from .packages import ensure_host, say
from .tables import HOST_PACKAGES, Ending, Trouble

FOLDER = TOP / "build/deb"
# Packages that `make deb` needs beyond HOST_PACKAGES.
DEB_PACKAGES = {
    "debhelper": "building packages",
    "dh-dkms": "building the package of the module",
    "dpkg-dev": "building packages",
}


def _tracked() -> list[str]:
    done = subprocess.run(["git", "-C", str(TOP), "ls-files", "-z"], capture_output=True, text=True, check=True)
    return [name for name in done.stdout.split("\0") if name and (TOP / name).is_file()]


def copy_tree(names: list[str], target: Path) -> None:
    """Copies only changed files, so that a second build does little, and drops removed ones."""
    wanted = {target / name for name in names}
    for old in [path for path in target.rglob("*") if path.is_file() and path not in wanted]:
        if "build" != old.relative_to(target).parts[0]:
            old.unlink()
    for name in names:
        copy = target / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        if not copy.exists() or copy.read_bytes() != (TOP / name).read_bytes():
            shutil.copy(TOP / name, copy)


def changelog_version() -> str:
    done = subprocess.run(["dpkg-parsechangelog", "-l", str(TOP / "debian/changelog"), "-S", "Version"],
                          capture_output=True, text=True, check=False)
    return done.stdout.strip()


def build() -> list[Path]:
    ensure_host({**HOST_PACKAGES, **DEB_PACKAGES})
    version = meta.load().version
    if changelog_version() != version:
        raise Trouble(Ending.USAGE, f"META has version {version}, and debian/changelog {changelog_version()}")
    tree = FOLDER / f"faultline-{version}"
    copy_tree(_tracked(), tree)
    for old in FOLDER.glob("*.deb"):
        old.unlink()
    say("building the packages")
    log = FOLDER / "build.log"
    # Kernel build's ARCH and such are not the packages'. The build folder stays: a second build does what changed.
    environment = {**os.environ, "DEB_BUILD_OPTIONS": f"noautodbgsym parallel={os.cpu_count() or 1}"}
    with open(log, "wb") as output:
        done = subprocess.run(["dpkg-buildpackage", "-us", "-uc", "-b", "-nc"], cwd=tree, env=environment,
                              stdout=output, stderr=subprocess.STDOUT, check=False, timeout=7200)
    if done.returncode != 0:
        raise Trouble(Ending.BUILD, f"the packages do not build: {log}\n" + log.read_text(errors="replace")[-3000:])
    return sorted(FOLDER.glob("*.deb"))
