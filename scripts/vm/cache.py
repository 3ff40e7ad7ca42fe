# SPDX-License-Identifier: GPL-2.0
"""Where downloads and unpacked packages live. Shared by clones, so changed under a lock and
whole folders at a time."""

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path


def root() -> Path:
    """$FAULTLINE_CACHE, else faultline/ in the user's cache folder."""
    chosen = os.environ.get("FAULTLINE_CACHE")
    if chosen:
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "faultline"


@contextlib.contextmanager
def locked() -> Iterator[Path]:
    """The cache, while no other command changes it."""
    root().mkdir(parents=True, exist_ok=True)
    with open(root() / "lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield root()


@contextlib.contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """A folder to fill. It becomes `target` if the block ends well, and vanishes if not."""
    target.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=".new-", dir=target.parent))
    try:
        yield folder
        folder.chmod(0o755)
        if target.exists():
            shutil.rmtree(target)
        folder.rename(target)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def listing() -> list[tuple[str, int]]:
    """The folders of the cache and their sizes in bytes."""
    rows = []
    for folder in sorted(p for p in root().glob("*/*") if p.is_dir()):
        size = sum(f.lstat().st_size for f in folder.rglob("*") if not f.is_dir())
        rows.append((str(folder.relative_to(root())), size))
    return rows


def remove() -> None:
    shutil.rmtree(root(), ignore_errors=True)
