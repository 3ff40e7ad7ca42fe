# SPDX-License-Identifier: GPL-2.0
"""A git history for `make bisect` where there is none: of two source trees, and of patches.

The first commit is the older tree. The second one takes all from the newer tree except the files that are asked for
(`under`). Each of these has a commit, a header together with its .c file. A patch of the newer tree can have a commit
instead of its file: it is undone first (`apart`), and comes behind the files. So the last of these commits is the newer
tree. Each other patch is a commit on top."""

import os
import shutil
import subprocess
from pathlib import Path

from .tables import Ending, Trouble

AUTHOR = {f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER")
          for what, value in (("NAME", "faultline history"), ("EMAIL", "history@localhost"))}


def git(tree: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(tree), "-c", "gc.auto=0", *arguments], capture_output=True, text=True,
                          errors="surrogateescape", env=os.environ | AUTHOR, check=False)
    if done.returncode != 0:
        raise Trouble(Ending.USAGE, f"git -C {tree} {' '.join(arguments[:4])}: {done.stderr.strip()[-500:]}")
    return done.stdout


def _commit(tree: Path, subject: str) -> None:
    git(tree, "add", "--all", "--force", ".")
    if git(tree, "status", "--porcelain", "--untracked-files=no"):
        git(tree, "commit", "--quiet", "-m", subject)


def _differing(tree: Path, new: Path) -> list[str]:
    """Files that one of the trees has and the other has not, or has otherwise."""
    def names(top: Path) -> set[str]:
        return {os.path.relpath(os.path.join(place, name), top) for place, folders, files in os.walk(top)
                for name in files if ".git" not in Path(os.path.relpath(place, top)).parts}

    def text(path: Path) -> bytes:
        return os.readlink(path).encode() if path.is_symlink() else path.read_bytes() if path.exists() else b""

    return sorted(name for name in names(tree) | names(new)
                  if text(tree / name) != text(new / name) or (tree / name).exists() != (new / name).exists())


def _take(tree: Path, new: Path, name: str) -> None:
    (tree / name).unlink(missing_ok=True)
    if (new / name).is_symlink() or (new / name).exists():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(new / name, tree / name, follow_symlinks=False)


def subject_of(patch: Path) -> str:
    """The subject of a mailed patch without its [PATCH ...], else the name of the file."""
    for line in patch.read_text(errors="replace").splitlines():
        if line.startswith("Subject:"):
            words = line.removeprefix("Subject:").strip()
            return words.rpartition("]")[2].strip() if words.startswith("[") else words
        if line.startswith(("diff ", "--- ")):
            break
    return patch.name


def make(into: Path, old: Path, new: Path | None, under: list[str], apart: list[Path], patches: list[Path]) -> list[str]:
    """Subjects of the commits, the oldest first."""
    if into.exists():
        raise Trouble(Ending.USAGE, f"{into} is there already")
    fresh = into.with_name(f".new-{into.name}")
    shutil.rmtree(fresh, ignore_errors=True)
    try:
        shutil.copytree(old, fresh, symlinks=True, ignore=shutil.ignore_patterns(".git"))
        git(fresh, "init", "--quiet")
        _commit(fresh, f"{old.name}, as it is")
        if new:
            _towards(fresh, new, under, apart)
        for patch in patches:
            git(fresh, "apply", "--index", str(patch.resolve()))
            _commit(fresh, subject_of(patch))
        fresh.rename(into)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return git(into, "log", "--reverse", "--format=%h %s").splitlines()


def _towards(tree: Path, new: Path, under: list[str], apart: list[Path]) -> None:
    def stem(name: str) -> str:
        return os.path.splitext(name)[0]

    differing = _differing(tree, new)
    inside = [name for name in differing if name.startswith(tuple(under))]
    for name in set(differing) - set(inside):
        _take(tree, new, name)
    _commit(tree, f"all but {' '.join(under)}: as in {new.name}")
    for one in dict.fromkeys(map(stem, inside)):
        for name in (name for name in inside if stem(name) == one):
            _take(tree, new, name)
        for patch in reversed(apart):
            if one in map(stem, touched(patch)):
                git(tree, "apply", "--reverse", str(patch.resolve()))
        _commit(tree, f"{one}: as in {new.name}")
    for patch in apart:
        git(tree, "apply", str(patch.resolve()))
        _commit(tree, subject_of(patch))
    if left := _differing(tree, new):
        raise Trouble(Ending.USAGE, f"with the patches of APART= {left[0]} is not as in {new.name}")


def touched(patch: Path) -> list[str]:
    """Files of a patch, except those that it deletes."""
    return [line.removeprefix("+++ b/").split("\t")[0] for line in patch.read_text(errors="replace").splitlines()
            if line.startswith("+++ b/")]
