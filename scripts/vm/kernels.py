# SPDX-License-Identifier: GPL-2.0
"""A stock kernel with headers, unpacked in the cache, found by series or by its exact version."""

import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from . import cache
from .packages import Apt, say, unpack
from .tables import ARCHES, KERNELS, Arch, Ending, Kernel, Trouble


@dataclass(frozen=True)
class UnpackedKernel:
    release: str  # as uname -r says it
    image: Path
    headers: Path  # KDIR
    modules: Path | None  # lib/modules/RELEASE; None: all that is needed is built in
    packages: dict[str, str]  # name: version
    series: Kernel | None = None  # None: a user's own kernel


EXACT = re.compile(r"\d+\.\d+(\.\d+|-rc\d+)")


def rows_of(word: str) -> list[Kernel]:
    """The rows of the table where a kernel may be: KERNEL= is a series, or an exact version of one."""
    if word in KERNELS:
        return [KERNELS[word]]
    rows = [row for row in KERNELS.values() if f"linux-headers-{word}".startswith(row.headers_prefix)]
    if not rows or not EXACT.fullmatch(word):
        raise Trouble(Ending.USAGE, f"no kernel {word}; there are {', '.join(KERNELS)}, and exact versions of them, as 6.12.117")
    return rows


def version_key(name: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", name))


def flavour(kernel: Kernel, arch: Arch) -> str:
    return kernel.flavours.get(arch.name, arch.flavour)


def candidates(names: list[str], kernel: Kernel, arch: Arch) -> list[str]:
    """Releases of the series whose headers the mirror lists, newest first."""
    found = []
    for name in names:
        release = name.removeprefix("linux-headers-")
        if (
            name.startswith(kernel.headers_prefix)
            and release.endswith("-" + flavour(kernel, arch))
            and not re.search(r"-(rt|cloud)-", release)
        ):
            found.append(release)
    return sorted(found, key=version_key, reverse=True)


def wanted_packages(apt: Apt, release: str, arch: Arch) -> list[str] | None:
    """All packages of a release, or None if the mirror lacks one of them."""
    headers = f"linux-headers-{release}"
    parts = [p for p in apt.dependencies(f"{headers}:{arch.debian}") if p.startswith("linux-")]
    common = [p for p in parts if p.startswith("linux-headers-")]
    kbuild = [p for p in parts if p.startswith("linux-kbuild-")]
    images = [
        f"{name}:{arch.debian}"
        # From 7.x on the image has a package of its own.
        for name in (f"linux-binary-{release}", f"linux-image-{release}-unsigned", f"linux-image-{release}")
        if apt.version(f"{name}:{arch.debian}")
    ]
    if not (common and kbuild and images):
        return None
    chosen = [images[0], f"{headers}:{arch.debian}", common[0], f"{kbuild[0]}:amd64"]
    if images[0].startswith("linux-binary-"):
        chosen.append(f"linux-modules-{release}:{arch.debian}")  # and so have its modules: the disk to swap to is one
    return chosen if all(apt.version(package) for package in chosen) else None


def _relocate(folder: Path, target: Path) -> None:
    """The Makefiles of headers packages name /usr/src: make them name the place they end up in."""
    for makefile in folder.glob("usr/src/linux-headers-*/Makefile"):
        text = makefile.read_text()
        makefile.write_text(re.sub(r"^(include |KBUILD_OUTPUT=)/usr/src/", rf"\g<1>{target}/usr/src/", text, flags=re.M))


def _image(folder: Path, release: str, arch: Arch) -> Path:
    new = folder / "usr/lib/modules" / release / "vmlinuz"
    return new if new.exists() else folder / "boot" / f"{arch.image}-{release}"


def modules_of(folder: Path, release: str) -> Path | None:
    """Where its modules are; None without what depmod says of them."""
    places = (folder / "lib/modules" / release, folder / "usr/lib/modules" / release)
    return next((place for place in places if (place / "modules.dep").exists()), None)


def _unpacked(record: Path, series: Kernel, arch: Arch) -> UnpackedKernel:
    facts = json.loads(record.read_text())
    folder, release = record.parent, facts["release"]
    return UnpackedKernel(
        release=release,
        image=_image(folder, release, arch),
        headers=folder / "usr/src" / f"linux-headers-{release}",
        modules=modules_of(folder, release),
        packages=facts["packages"],
        series=series,
    )


def _records(series: Kernel, arch: Arch) -> list[Path]:
    """All unpacked kernels of the series, newest first."""
    found = cache.root().glob(f"kernels/{series.series}_{arch.name}_*/kernel.json")
    return sorted(found, key=lambda path: version_key(path.parent.name), reverse=True)


def _find(series: str, arch: Arch) -> UnpackedKernel | None:
    """The newest unpacked kernel of the series. One that was old already when its exact version was asked
    for does not stand for the series."""
    for record in _records(KERNELS[series], arch):
        if not json.loads(record.read_text()).get("old"):
            return _unpacked(record, KERNELS[series], arch)
    return None


def _find_exact(version: str, arch: Arch) -> UnpackedKernel | None:
    found = [_unpacked(record, row, arch) for row in rows_of(version) for record in _records(row, arch)]
    return next((kernel for kernel in found if version_of(kernel) == version and kernel.modules), None)


def upstream_version(debian: str) -> str:
    """The kernel's version in a package's: "6.1.192" in "6.1.192-3", "7.3-rc7" in "7.3~rc7-1~exp1"."""
    found = re.match(r"[0-9.]*[0-9](~rc[0-9]+)?", debian)
    return found.group().replace("~", "-") if found else ""


def version_of(kernel: UnpackedKernel) -> str:
    """As the distribution numbers it, "6.1.192" or "7.3-rc7", not as uname -r says it."""
    return upstream_version(next(iter(kernel.packages.values()))) or kernel.release


def has_bug(version: str, releases: str) -> bool:
    """Whether a version is among "6.1, 6.12 < 6.12.114": branches, and where their fix came."""
    for item in releases.split(","):
        branch, less, fixed = (part.strip() for part in item.partition("<"))
        of_branch = re.match(rf"{re.escape(branch)}(?![0-9])", version)
        if of_branch and (not less or version_key(version) < version_key(fixed)):
            return True
    return False


def unpacked() -> list[tuple[str, UnpackedKernel]]:
    """The newest of each series and architecture that the cache has, by name: "6.12.95/arm64"."""
    found = [(arch, _find(series, arch)) for series in KERNELS for arch in ARCHES.values()]
    return [(f"{version_of(kernel)}/{arch.name}", kernel) for arch, kernel in found if kernel]


def _fetch(kernel: Kernel, arch: Arch, version: str = "") -> None:
    """The newest of a series, or the one of a version."""
    apt = Apt(kernel.suites, (arch.debian,))
    apt.update()
    releases = candidates(apt.names("linux-headers-"), kernel, arch)
    versions = {release: upstream_version(apt.version(f"linux-headers-{release}:{arch.debian}") or "") for release in releases}
    chosen = [release for release in releases if version in ("", versions[release])]
    for release in chosen:
        wanted = wanted_packages(apt, release, arch)
        if wanted:
            break
        say(f"{release}: the mirror lacks a package of it" + ("" if version else ", trying an older one"))
    else:
        raise Trouble(Ending.USAGE, f"no complete kernel {version or kernel.series} for {arch.name} on the mirror; in "
                      f"{', '.join(kernel.suites)} it has {', '.join(sorted({*versions.values()} - {''}, key=version_key)) or 'none'}")
    target = cache.root() / "kernels" / f"{kernel.series}_{arch.name}_{release}"
    if modules_of(target, release) and (version or _find(kernel.series, arch)):
        return
    with cache.new_folder(target) as folder:
        apt.download(wanted, folder)
        for package in sorted(folder.glob("*.deb")):
            unpack(package, folder)
            package.unlink()
        # depmod makes what the packages' own scripts would make on installation.
        base = folder / "usr" if (folder / "usr/lib/modules" / release / "kernel").exists() else folder
        subprocess.run(["/sbin/depmod", "-b", str(base), release], check=False, capture_output=True)
        (folder / "kernel.json").write_text(json.dumps({
            "release": release, "packages": {package: apt.version(package) for package in wanted},
            "old": bool(version) and release != releases[0]}))
        _relocate(folder, target)


def _lacking(row: Kernel, arch: Arch) -> str:
    why = row.lacks.get(arch.name)
    return f"no kernel {row.series} for {arch.name}: {why}" if why else ""


def exact(version: str, arch: Arch) -> UnpackedKernel:
    """The kernel of an exact version: from the cache, which keeps a version that the mirror has dropped, else from the first
    suites that have it."""
    troubles = []
    with cache.locked():
        for row in rows_of(version):
            if found := _find_exact(version, arch):
                return found
            if why := _lacking(row, arch):
                troubles.append(why)
                continue
            try:
                _fetch(row, arch, version)
            except Trouble as trouble:
                troubles.append(str(trouble))
        if found := _find_exact(version, arch):
            return found
    raise Trouble(Ending.USAGE, "\n".join(troubles))


def stock(word: str, arch: Arch, update: bool = False) -> UnpackedKernel:
    """By series or exact version. From the cache, else from the mirror. If the mirror fails, an older one of the
    series from the cache."""
    [row, *_] = rows_of(word)
    if word not in KERNELS:
        return exact(word, arch)
    if why := _lacking(row, arch):
        raise Trouble(Ending.USAGE, why)
    with cache.locked():
        found = _find(word, arch)
        if found and found.modules and not update:  # without any: unpacked by an older version of this
            return found
        try:
            _fetch(row, arch)
        except Trouble as trouble:
            if not found:
                raise
            say(f"falling back to the cached {found.release}: {trouble}")
            return found
        found = _find(word, arch)
    if not found:
        raise Trouble(Ending.USAGE, f"kernel {word} was unpacked but cannot be found")
    return found


# Taken from the kernel's source package: the kselftest framework, kunit.py and checkpatch.
SOURCE_PARTS = (
    "*/tools/testing/selftests/kselftest.h",
    "*/tools/testing/selftests/kselftest_harness.h",
    "*/tools/testing/selftests/kselftest.mk",
    "*/tools/testing/selftests/kselftest/*",
    "*/tools/testing/selftests/lib.mk",
    "*/tools/testing/kunit/*.py",
    "*/scripts/checkpatch.pl",
    "*/scripts/spelling.txt",
    "*/scripts/const_structs.checkpatch",
)


SOURCE_WITNESSES = ("tools/testing/selftests/kselftest_harness.h", "tools/testing/kunit/kunit.py")


def cached_source_parts(series: str) -> Path | None:
    """None: not fetched yet, or by an older version of this, which took less."""
    folder = cache.root() / "sources" / KERNELS[series].source
    return folder if all((folder / file).exists() for file in SOURCE_WITNESSES) else None


def source_parts(series: str) -> Path:
    """A folder with tools/testing and scripts of a kernel's source."""
    kernel = KERNELS[series]
    target = cache.root() / "sources" / kernel.source
    with cache.locked():
        if cached_source_parts(series):
            return target
        apt = Apt(kernel.suites, ("amd64",))
        apt.update()
        with cache.new_folder(target) as folder:
            apt.download([kernel.source], folder)
            [package] = folder.glob("*.deb")
            unpack(package, folder)
            package.unlink()
            [archive] = folder.glob("usr/src/linux-source-*.tar.xz")
            say(f"unpacking the kselftest framework and kunit.py from {kernel.source}")
            subprocess.run(
                ["tar", "-xJf", str(archive), "-C", str(folder), "--strip-components=1",
                 "--wildcards", *SOURCE_PARTS],
                check=False, capture_output=True,
            )
            archive.unlink()
            for file in SOURCE_WITNESSES:
                if not (folder / file).exists():
                    raise Trouble(Ending.USAGE, f"{kernel.source} has no {file}")
    return target
