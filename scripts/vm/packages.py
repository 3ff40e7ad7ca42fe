# SPDX-License-Identifier: GPL-2.0
"""Debian packages: those the host needs, and those of kernels.

Kernel packages come through a private apt state in the cache: own sources list, own lists, own
cache. The host's apt configuration is read for its mirrors and its archive keys, never changed.
"""

import contextvars
import os
import re
import shlex
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from . import cache
from .tables import Ending, Trouble

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
# A mirror that lags behind is better than none. Signatures are still checked.
STALE_IS_FINE = "Acquire::Check-Valid-Until"
ATTEMPTS = 4
PAUSE_SECONDS = 10  # between attempts; doubles
LAST_LINES = 12  # of a log, quoted
DOWNLOAD_STEP = ("the same command again: what was half done is removed. A mirror that is being synchronised is whole again after some "
                 "minutes; without UPDATE=1, kernels of the cache need no mirror (make cache-list)")


# Whom the next lines are about, where several are at work.
label: contextvars.ContextVar[str] = contextvars.ContextVar("label", default="")


def say(text: str) -> None:
    print(f"  {label.get()}{text}", flush=True)


def _run(command: list[str], **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload, no-any-return]


def failure(what: str, command: list[str], log: Path, next_step: str) -> str:
    """The message of a failed command: the failure, the command, its last words, its log, and advice."""
    words = "\n".join(f"    {line}" for line in log.read_text(errors="replace").strip().splitlines()[-LAST_LINES:])
    return f"{what}\n  command: {shlex.join(command)}\n  its last words:\n{words}\n  all of them: {log}\n  next: {next_step}"


def new_log(what: str) -> Path:
    """The log of a command that works on the cache."""
    folder = cache.root() / "logs"
    folder.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(suffix=".log", prefix=re.sub(r"\W+", "-", what) + "-", dir=folder)
    os.close(handle)
    return Path(name)


def retry(command: list[str], what: str, cwd: Path | None = None, clean: Path | None = None) -> None:
    """Mirrors are now and then half synchronised: try again before giving up. The folder `clean` is removed before each attempt. A log stays only of a failure."""
    pause, said = PAUSE_SECONDS, ""
    for attempt in range(1, ATTEMPTS + 1):
        if clean:
            shutil.rmtree(clean, ignore_errors=True)
        done = _run(command, cwd=cwd, timeout=1800, env={**os.environ, "LC_ALL": "C"})
        if done.returncode == 0:
            return
        said += f"attempt {attempt}: status {done.returncode}\n{done.stdout}{done.stderr}"
        if attempt < ATTEMPTS:
            say(f"{what}: failed, attempt {attempt} of {ATTEMPTS}; again in {pause} s")
            time.sleep(pause)
            pause *= 2
    log = new_log(what)
    log.write_text(said)
    raise Trouble(Ending.USAGE, failure(f"{what}: failed {ATTEMPTS} times", command, log, DOWNLOAD_STEP))


def missing(wanted: dict[str, str]) -> list[str]:
    done = _run(["dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n", *wanted])
    installed = {
        line.split()[0] for line in done.stdout.splitlines() if line.endswith(" installed")
    }
    return [package for package in wanted if package not in installed]


def ensure_host(wanted: dict[str, str]) -> None:
    """Install what the host lacks; without root, say what to type."""
    lacking = missing(wanted)
    if not lacking:
        return
    command = ["apt-get", "install", "-y", "--no-install-recommends", *lacking]
    if os.geteuid() != 0:
        rows = "\n".join(f"  {package}: {wanted[package]}" for package in lacking)
        raise Trouble(
            Ending.USAGE,
            f"missing Debian packages:\n{rows}\ninstall them with:\n  sudo {' '.join(command)}",
        )
    say("installing " + " ".join(lacking))
    os.environ["DEBIAN_FRONTEND"] = "noninteractive"
    retry(["apt-get", "update"], "apt-get update")
    retry(command, "apt-get install")


def host_mirrors(folder: Path = Path("/etc/apt")) -> dict[str, str]:
    """Mirrors of the host: "main" and, where it has one, "security"."""
    uris: list[str] = []
    for file in sorted(folder.glob("sources.list.d/*.sources")):
        text = "\n".join(
            line for line in file.read_text().splitlines() if not line.startswith("#")
        )
        if "debian-archive" in text or "debian" in file.name:
            uris += re.findall(r"^URIs:\s*(\S+)", text, re.MULTILINE)
    for file in [folder / "sources.list", *sorted(folder.glob("sources.list.d/*.list"))]:
        if file.exists():
            uris += re.findall(r"^deb\s+(?:\[[^]]*\]\s+)?(\S+)\s+\S+.*\bmain\b", file.read_text(), re.MULTILINE)
    mirrors: dict[str, str] = {}
    for uri in uris:
        last = uri.rstrip("/").rsplit("/", 1)[-1]
        if last == "debian":
            mirrors.setdefault("main", uri)
        elif last == "debian-security":
            mirrors.setdefault("security", uri)
    if "main" not in mirrors:
        raise Trouble(Ending.USAGE, f"no Debian mirror in the apt sources of {folder}")
    return mirrors


@dataclass
class Apt:
    """A private apt state for some suites and architectures."""

    suites: tuple[str, ...]
    architectures: tuple[str, ...]
    sources: bool = False  # source packages, and nothing else

    @property
    def folder(self) -> Path:
        return cache.root() / "apt" / "-".join([*self.suites, *self.architectures, *["source"] * self.sources])

    def _options(self) -> list[str]:
        options = {
            "Dir::Etc::SourceList": self.folder / "sources.list",
            "Dir::Etc::SourceParts": "/dev/null",
            "Dir::Etc::PreferencesParts": "/dev/null",
            "Dir::State::Lists": self.folder / "lists",
            "Dir::State::Status": self.folder / "status",
            "Dir::Cache": self.folder / "cache",
            "APT::Architecture": "amd64",
            "APT::Sandbox::User": "root",
            STALE_IS_FINE: "false",
        }
        listed = [f"-oAPT::Architectures::={name}" for name in {"amd64", *self.architectures}]
        return [f"-o{key}={value}" for key, value in options.items()] + listed

    def update(self) -> None:
        for part in ("lists/partial", "cache/archives/partial"):
            (self.folder / part).mkdir(parents=True, exist_ok=True)
        (self.folder / "status").touch()
        mirrors = host_mirrors()
        names = ",".join(sorted({"amd64", *self.architectures}))
        lines = []
        for suite in self.suites:
            kind = "security" if suite.endswith("-security") else "main"
            if kind in mirrors:
                entry = "deb-src [" if self.sources else f"deb [arch={names} "
                lines.append(f"{entry}signed-by={KEYRING}] {mirrors[kind]} {suite} main\n")
        (self.folder / "sources.list").write_text("".join(lines))
        try:
            retry(["apt-get", *self._options(), "update", "-q"], "package lists")
        except Trouble as trouble:
            # One index that the mirror is just replacing: the others, and old ones, are there.
            if not any((self.folder / "lists").glob("*_Packages*")) and not any((self.folder / "lists").glob("*_Sources*")):
                raise
            say(f"package lists: going on with those that are there; {str(trouble).splitlines()[0]}")

    def names(self, prefix: str) -> list[str]:
        done = _run(["apt-cache", *self._options(), "pkgnames", prefix])
        return sorted(done.stdout.split())

    def version(self, package: str) -> str | None:
        """The newest version on offer; None if the mirror has none."""
        done = _run(["apt-cache", *self._options(), "policy", package])
        found = re.search(r"Candidate: (\S+)", done.stdout)
        return found.group(1) if found and found.group(1) != "(none)" else None

    def versions(self, package: str) -> list[str]:
        """All that the suites have, the newest first."""
        done = _run(["apt-cache", *self._options(), "madison", package])
        return list(dict.fromkeys(re.findall(rf"^\s*{re.escape(package)} \|\s*(\S+) \|", done.stdout, re.MULTILINE)))

    def dependencies(self, package: str) -> list[str]:
        done = _run(["apt-cache", *self._options(), "depends", "--no-recommends", package])
        return re.findall(r"^\s*\|?Depends: <?([^<>\s:]+)", done.stdout, re.MULTILINE)

    def download(self, packages: list[str], into: Path) -> None:
        say("downloading " + " ".join(packages))
        retry(["apt-get", *self._options(), "download", *packages], "download", cwd=into)

    def source_version(self, package: str) -> str:
        done = _run(["apt-cache", *self._options(), "showsrc", "--only-source", package])
        versions = re.findall(r"^Version: (\S+)", done.stdout, re.MULTILINE)
        if not versions:
            raise Trouble(Ending.USAGE, f"the mirror has no source of {package}")
        return str(versions[0])

    def source(self, package: str, into: Path) -> None:
        say(f"downloading the source of {package}")
        retry(["apt-get", *self._options(), "source", "--download-only", "--only-source", package], "download", cwd=into)


def unpack(package: Path, into: Path) -> None:
    done = _run(["dpkg-deb", "-x", str(package), str(into)], timeout=600)
    if done.returncode != 0:
        raise Trouble(Ending.USAGE, f"dpkg-deb -x {package}: {done.stderr.strip()}")
