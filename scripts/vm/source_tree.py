# SPDX-License-Identifier: GPL-2.0
"""A kernel built from a source tree: KSRC=, with the config that our machine and the scenarios need.

The config begins with nothing (allnoconfig). Fragments of scripts/config/ are put on top of each other, then the
user's own. `base` is always there; DEBUG= and PREEMPT= are names of others. A fragment NAME.config can have parts for
an architecture, NAME.KBUILD.config and NAME.ARCH.config.

Each tree, architecture and set of words has a build folder in the cache. It is built again only if the tree, the
config or the compiler changed, and then make builds what these changed.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from . import build, cache
from .kernels import UnpackedKernel, rows_of, upstream_version, version_key
from .packages import Apt, ensure_host, say, unpack
from .tables import DEBUG_WORDS, KERNELS, PREEMPT_WORDS, SOURCE_PACKAGES, Arch, Ending, Kernel, Trouble

FRAGMENTS = Path(__file__).resolve().parents[1] / "config"
BUILD_SECONDS = 4 * 3600  # bound of one build
MACHINE = "machine"  # how the reason begins of a line without which our machine does not work
ASSIGNED = re.compile(r"(CONFIG_\w+)=(\"[^\"]*\"|\S+)(?:\s+#\s*(.*))?$")
NOT_SET = re.compile(r"# (CONFIG_\w+) is not set(?:\s+#\s*(.*))?$")


@dataclass(frozen=True)
class Line:
    """One line of a fragment."""

    symbol: str
    value: str  # "n": not set
    reason: str
    fragment: str

    @property
    def text(self) -> str:
        return f"# {self.symbol} is not set" if self.value == "n" else f"{self.symbol}={self.value}"


def parse(text: str, fragment: str) -> list[Line]:
    """The lines of a fragment, or of a .config. `CONFIG_X=n` is one way to say that it is not set."""
    lines = []
    for number, raw in enumerate(text.splitlines(), 1):
        raw = raw.strip()
        if found := ASSIGNED.fullmatch(raw):
            lines.append(Line(found[1], found[2], found[3] or "", fragment))
        elif found := NOT_SET.fullmatch(raw):
            lines.append(Line(found[1], "n", found[2] or "", fragment))
        elif raw and (not raw.startswith("#") or re.match(r"#\s*CONFIG_\w+ is\b", raw)):
            raise Trouble(Ending.USAGE, f"{fragment}, line {number}: {raw}: neither CONFIG_X=value nor # CONFIG_X is not set")
    return lines


def lacking(wanted: list[Line], config: str) -> list[Line]:
    """Lines that do not hold in a final .config. A symbol that it does not name is not set."""
    values = {line.symbol: line.value for line in parse(config, ".config")}
    return [line for line in wanted if values.get(line.symbol, "n") != line.value]


def _fragment(name: str, arch: Arch) -> list[Line]:
    files = dict.fromkeys([f"{name}.config", f"{name}.{arch.kbuild}.config", f"{name}.{arch.name}.config"])
    return [line for file in files if (FRAGMENTS / file).exists() for line in parse((FRAGMENTS / file).read_text(), file)]


def fragments(arch: Arch, config: str = "", debug: tuple[str, ...] = (), preempt: str = "") -> list[Line]:
    """All lines that are wanted, in their order: of two about one symbol make gets the later one."""
    for word in debug:
        if word not in DEBUG_WORDS:
            raise Trouble(Ending.USAGE, f"DEBUG={word}: there are {', '.join(DEBUG_WORDS)}")
    if preempt and preempt not in PREEMPT_WORDS:
        raise Trouble(Ending.USAGE, f"PREEMPT={preempt}: there are {', '.join(PREEMPT_WORDS)}")
    names = ["base", f"preempt-{preempt}" if preempt else "preempt"]
    names += dict.fromkeys(f"debug-{part}" for word in debug for part in DEBUG_WORDS[word])
    lines = [line for name in names for line in _fragment(name, arch)]
    if config:
        try:
            lines += parse(Path(config).expanduser().read_text(), config)
        except OSError as error:
            raise Trouble(Ending.USAGE, f"CONFIG={config}: {error.strerror}") from error
    return lines


@dataclass(frozen=True)
class Tree:
    folder: Path
    version: str  # a commit, or the version of a package
    identity: str  # changes if a file does


def _hash(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode(errors="surrogateescape")).hexdigest()


def _stamps(folder: Path, files: list[str]) -> str:
    """Names, sizes and times of files."""
    rows = []
    for name in sorted(files):
        facts = (folder / name).lstat()
        rows.append(f"{name} {facts.st_size} {facts.st_mtime_ns}")
    return "\n".join(rows)


def _of_git(folder: Path) -> Tree | None:
    """None if the folder is not the top of a git tree."""
    def git(*arguments: str) -> str:
        done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True,
                              errors="surrogateescape", check=False)
        return done.stdout if done.returncode == 0 else ""

    top, commit = git("rev-parse", "--show-toplevel").strip(), git("rev-parse", "HEAD").strip()
    if not commit or Path(top).resolve() != folder:
        return None
    new = [name for name in git("ls-files", "--others", "--exclude-standard", "-z").split("\0") if name]
    changes = git("diff", "HEAD", "--binary") + _stamps(folder, new)
    return Tree(folder, commit[:12] + ("+" if changes else ""), _hash(commit, changes))


def _of_folder(folder: Path) -> Tree:
    if not ((folder / "Kconfig").exists() and (folder / "Makefile").exists()):
        raise Trouble(Ending.USAGE, f"KSRC={folder} is not a kernel's source tree")
    if tree := _of_git(folder):
        return tree
    files = [os.path.join(place, name) for place, _, names in os.walk(folder) for name in names]
    identity = _hash(_stamps(folder, files))
    return Tree(folder, f"files {identity[:12]}", identity)


def _unpack_archive(archive: Path, target: Path, version: str) -> Tree:
    """A source archive, or a package with one, unpacked into the cache as a whole."""
    if not target.exists():
        say(f"unpacking {archive.name}")
        with cache.new_folder(target) as folder:
            inside = folder / "package"
            if archive.suffix == ".deb":
                unpack(archive, inside)
                found = sorted(inside.glob("usr/src/linux-source-*.tar.*"))
                if not found:
                    raise Trouble(Ending.USAGE, f"{archive} has no linux-source archive")
                archive = found[0]
            done = subprocess.run(["tar", "-xf", str(archive), "-C", str(folder), "--strip-components=1"],
                                  capture_output=True, text=True, check=False)
            if done.returncode != 0 or not (folder / "Kconfig").exists():
                raise Trouble(Ending.USAGE, f"{archive} has no source tree of a kernel: {done.stderr.strip()[-500:]}")
            shutil.rmtree(inside, ignore_errors=True)
    return Tree(target, version, _hash(target.name))


def _debian_rows(word: str) -> list[Kernel]:
    try:
        return rows_of(word)
    except Trouble as trouble:
        raise Trouble(trouble.ending, f"KSRC=debian:{word}: {trouble}") from trouble


def _source_package(row: Kernel) -> str:
    return row.source or f"linux-source-{row.series.partition('-')[0]}"


def _cached_sources(word: str) -> list[Path]:
    """Unpacked linux-source packages of a series or of an exact version, the newest last."""
    packages = {_source_package(row) for row in _debian_rows(word)}
    found = [place for package in packages for place in (cache.root() / "sources").glob(f"{package}_*")]
    return sorted((place for place in found if word in KERNELS or upstream_version(place.name.partition("_")[2]) == word),
                  key=lambda place: version_key(place.name))


def _fetch_source(row: Kernel, wanted: str) -> Path:
    """linux-source of a row from the mirror: the newest, or the one of an exact version."""
    package, sources = _source_package(row), cache.root() / "sources"
    apt = Apt(row.suites, ("amd64",))
    apt.update()
    versions = apt.versions(package)
    version = next((version for version in versions if wanted in ("", upstream_version(version))), None)
    if not version:
        raise Trouble(Ending.USAGE, f"the mirror has no {package}{f' {wanted}' if wanted else ''}; in {', '.join(row.suites)} it has "
                      f"{', '.join(versions) or 'none'}")
    target = sources / f"{package}_{version}"
    if not target.exists():
        sources.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".new-", dir=sources) as folder:
            apt.download([f"{package}={version}"], Path(folder))
            _unpack_archive(next(Path(folder).glob("*.deb")), target, version)
    return target


def _of_debian(word: str, update: bool) -> Tree:
    """linux-source of a series, the newest that is in the cache, else on the mirror; or of an exact version, from the cache,
    else from the first suites that have it."""
    series = word in KERNELS
    with cache.locked():
        have = _cached_sources(word)
        if not have or (update and series):
            troubles = []
            for row in _debian_rows(word):
                try:
                    have.append(_fetch_source(row, "" if series else word))
                    break
                except Trouble as trouble:
                    troubles.append(str(trouble))
            if not have:
                raise Trouble(Ending.USAGE, "\n".join(troubles))
            if troubles and series:
                say(f"falling back to the cached {have[-1].name}: {troubles[0]}")
        return Tree(have[-1], have[-1].name.partition("_")[2], _hash(have[-1].name))


def tree_of(source: str, update: bool = False) -> Tree:
    """KSRC=: a git tree, an unpacked one, an archive or a package of one, or debian: and a series or an exact version."""
    if source.startswith("debian:"):
        return _of_debian(source.removeprefix("debian:"), update)
    path = Path(source).expanduser().resolve()
    if path.is_file():
        facts = path.stat()
        mark = _hash(str(path), str(facts.st_size), str(facts.st_mtime_ns))[:8]
        with cache.locked():
            return _unpack_archive(path, cache.root() / "sources" / f"{path.name.partition('.tar')[0]}_{mark}", path.name)
    if not path.exists():
        raise Trouble(Ending.USAGE, f"KSRC={source}: there is no {path}")
    return _of_folder(path)


@dataclass(frozen=True)
class Plan:
    """The plan of a build, and its folder."""

    tree: Tree
    arch: Arch
    wanted: list[Line]
    words: str  # of the user: "vm-rt"
    compiler: str  # what it says of itself

    @property
    def key(self) -> str:
        return _hash(self.tree.identity, self.arch.name, *(line.text for line in self.wanted), self.compiler)

    @property
    def folder(self) -> Path:
        place = f"{self.tree.folder.name}-{_hash(str(self.tree.folder))[:6]}"
        return cache.root() / "trees" / "_".join(filter(None, [place, self.arch.name, self.words]))

    @property
    def facts(self) -> Path:
        """Written when all is built, and gone while it is not."""
        return self.folder / "faultline.json"

    def release(self) -> str | None:
        """The record of the kernel in the folder, if it is the one of this plan."""
        try:
            facts = json.loads(self.facts.read_text())
        except (OSError, ValueError):
            return None
        return str(facts["release"]) if facts.get("key") == self.key else None


def _plan(source: str, arch: Arch, config: str, debug: tuple[str, ...], preempt: str, update: bool = False) -> Plan:
    wanted = fragments(arch, config, debug, preempt)
    done = subprocess.run([build.compiler(arch), "--version"], capture_output=True, text=True, check=False)
    words = "-".join([*debug, *filter(None, [preempt, Path(config).stem])])
    return Plan(tree_of(source, update), arch, wanted, words, done.stdout.partition("\n")[0])


# The locks of the folders that this process uses: no other process builds in them before it ends.
_locks: dict[Path, TextIO] = {}


def _lock(folder: Path, kind: int) -> bool:
    if folder not in _locks:
        folder.parent.mkdir(parents=True, exist_ok=True)
        _locks[folder] = open(folder.parent / f"{folder.name}.lock", "w", encoding="ascii")
    try:
        fcntl.flock(_locks[folder], kind)
    except BlockingIOError:
        return False
    return True


def _stop(process: subprocess.Popen[bytes]) -> None:
    """With all its children. make removes half-written files when it gets a signal to end."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)


# ccache in its depend mode does not see that piggy.S includes the kernel by .incbin: it gave an older kernel back, of
# the same size. The name keeps what that mode has stored out of use.
COMPILER_CACHE = {"CCACHE_NAMESPACE": "faultline", "CCACHE_NODEPEND": "1"}


def _make(plan: Plan, *words: str) -> None:
    compiler = build.compiler(plan.arch)
    if shutil.which("ccache"):
        compiler = f"ccache {compiler}"
    command = ["nice", "make", build.JOBS, "-C", str(plan.tree.folder), f"O={plan.folder}",
               *build.kernel_words(plan.arch, compiler),
               f"LOCALVERSION={'-' * bool(plan.words)}{plan.words}-{plan.key[:8]}", *words]
    log = plan.folder / "build.log"
    with open(log, "ab") as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                                   env=build.environment() | COMPILER_CACHE, start_new_session=True)
        try:
            status = process.wait(BUILD_SECONDS)
        except subprocess.TimeoutExpired:
            status = -1
        finally:
            _stop(process)
    if status != 0:
        why = f"took longer than {BUILD_SECONDS} s" if status == -1 else "does not build"
        lines = [line for line in log.read_text(errors="replace").splitlines()
                 if re.search(r"\berror\b|\*\*\*|undefined reference", line, re.I)]
        raise Trouble(Ending.BUILD, "\n".join([f"the kernel {plan.tree.folder} {why}:", *lines[:20], f"all of it: {log}"]))


def _say_lacking(plan: Plan) -> None:
    lines = lacking(plan.wanted, (plan.folder / ".config").read_text())
    rows = [f"    {line.text}  {line.fragment}: {line.reason or 'no reason given'}" for line in lines]
    if rows:
        say("\n".join([f"{len(rows)} lines of the config do not hold in this kernel:", *rows]))
    if any(line.reason.startswith(MACHINE) for line in lines):
        raise Trouble(Ending.BUILD, "our machine does not work without those that say so; see docs/your-kernel.md")


def _build(plan: Plan) -> None:
    plan.folder.mkdir(parents=True, exist_ok=True)
    plan.facts.unlink(missing_ok=True)
    (plan.folder / "build.log").unlink(missing_ok=True)
    last = {line.symbol: line.text for line in plan.wanted}
    fragment = plan.folder / "faultline.config"
    fragment.write_text("".join(f"{text}\n" for text in last.values()))
    _make(plan, f"KCONFIG_ALLCONFIG={fragment}", "allnoconfig")
    _say_lacking(plan)  # before a build that takes minutes
    say(f"building the kernel {plan.tree.folder} ({plan.tree.version}); log in {plan.folder}/build.log")
    _make(plan, "all")
    release = (plan.folder / "include/config/kernel.release").read_text().strip()
    new = plan.facts.with_suffix(".new")
    new.write_text(json.dumps({"key": plan.key, "release": release}))
    new.rename(plan.facts)


def _built(plan: Plan, release: str) -> UnpackedKernel:
    return UnpackedKernel(release, plan.folder / plan.arch.built, plan.folder, None,
                          {"source tree": f"{plan.tree.folder.name} {plan.tree.version}"})


def cached(source: str, arch: Arch, config: str = "", debug: tuple[str, ...] = (), preempt: str = "") -> UnpackedKernel | None:
    """The result of kernel(), if that takes no download and no build."""
    if source.startswith("debian:") and not _cached_sources(source.removeprefix("debian:")):
        return None
    plan = _plan(source, arch, config, debug, preempt)
    free = _lock(plan.folder, fcntl.LOCK_SH | fcntl.LOCK_NB)
    release = plan.release() if free else None
    return _built(plan, release) if release else None


def kernel(source: str, arch: Arch, config: str = "", debug: tuple[str, ...] = (), preempt: str = "",
           update: bool = False) -> UnpackedKernel:
    """The kernel of a source tree, built if needed. A message names the missing lines of its config at once."""
    ensure_host(SOURCE_PACKAGES)
    plan = _plan(source, arch, config, debug, preempt, update)
    _lock(plan.folder, fcntl.LOCK_SH)
    if plan.release():
        _say_lacking(plan)
    else:
        _lock(plan.folder, fcntl.LOCK_EX)
        if not plan.release():  # another one may have built it meanwhile
            _build(plan)
        _lock(plan.folder, fcntl.LOCK_SH)
    release = plan.release()
    if not release or not (plan.folder / arch.built).exists():
        raise Trouble(Ending.BUILD, f"the build left no {plan.folder / arch.built}")
    return _built(plan, release)
