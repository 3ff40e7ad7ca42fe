# SPDX-License-Identifier: GPL-2.0
"""Differences by architecture and kernel series, and the endings of a run. Data alone."""

import re
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path


@dataclass(frozen=True)
class Arch:
    name: str  # as in make run ARCH=
    debian: str  # Debian's name of the architecture
    flavour: str  # suffix of Debian's kernel packages
    kbuild: str  # the kernel's ARCH=
    triplet: str  # prefix of the tools and name of the library folders
    image: str  # file name under /boot, before the release
    built: str  # the image in a build folder
    qemu: str  # the emulator
    qemu_package: str  # Debian package of the emulator
    machine: tuple[str, ...]  # emulator options that make the machine
    console: str  # console= of the kernel command line
    serial: tuple[str, ...]  # emulator options that make the console; {} is the chardev's id
    virtio_serial: str  # the device that carries the side channels
    memory: str = "2G"
    qemu_suite: str = ""  # Debian suite of a newer emulator, unpacked beside the host's; "" = the host's

    @property
    def native(self) -> bool:
        return self.debian == HOST_DEBIAN


HOST_DEBIAN = "amd64"  # the architecture of the machine that the scripts run on
HOST_SUITE = "bookworm"  # its Debian release: the guest's user space comes from there, too

_SERIAL = ("-serial", "chardev:{}")
_ARM64 = {
    "debian": "arm64", "kbuild": "arm64", "triplet": "aarch64-linux-gnu", "image": "vmlinuz", "built": "arch/arm64/boot/Image",
    "qemu": "qemu-system-aarch64", "qemu_package": "qemu-system-arm",
    # The architected PAC algorithm takes half of the emulator's time.
    "machine": ("-M", "virt", "-cpu", "max,pauth-impdef=on"),
    "console": "ttyAMA0", "serial": _SERIAL, "virtio_serial": "virtio-serial-pci",
}
_PPC64LE = {
    "debian": "ppc64el", "kbuild": "powerpc", "triplet": "powerpc64le-linux-gnu", "image": "vmlinux", "built": "vmlinux",
    "qemu": "qemu-system-ppc64", "qemu_package": "qemu-system-ppc",
    "machine": ("-M", "pseries", "-cpu", "power9", "-vga", "none"),
    "console": "hvc0", "serial": _SERIAL, "virtio_serial": "virtio-serial-pci",
    # In 7.2 a tlbie does not wait for the other CPUs: a finding about TLBs could be QEMU's own.
    "qemu_suite": "bookworm-backports",
}

ARCHES = {
    arch.name: arch
    for arch in (
        Arch(
            name="x86_64", debian="amd64", flavour="amd64", kbuild="x86", triplet="x86_64-linux-gnu",
            image="vmlinuz", built="arch/x86/boot/bzImage", qemu="qemu-system-x86_64", qemu_package="qemu-system-x86",
            # Without the offer of fast string instructions the kernel clears and copies pages 8 bytes at a time: TCG
            # emulates `rep movsb` byte by byte.
            machine=("-cpu", "max,-erms,-fsrm,-fzrm,-fsrs"),
            memory="4G",  # enough for a huge page of 1 GiB, demoted again and again
            # In 7.2 a CPU can run into the int3 of a static key that another one is just switching.
            qemu_suite="bookworm-backports",
            console="ttyS0", serial=_SERIAL, virtio_serial="virtio-serial-pci",
        ),
        Arch(name="arm64", flavour="arm64", **_ARM64),
        Arch(name="arm64-16k", flavour="arm64-16k", **_ARM64),
        Arch(name="ppc64le", flavour="powerpc64le", **_PPC64LE),
        Arch(name="ppc64le-64k", flavour="powerpc64le-64k", **_PPC64LE),
        Arch(
            name="s390x", debian="s390x", flavour="s390x", kbuild="s390", triplet="s390x-linux-gnu",
            image="vmlinuz", built="arch/s390/boot/bzImage", qemu="qemu-system-s390x", qemu_package="qemu-system-misc",
            machine=("-cpu", "max"), console="ttysclp0", serial=("-device", "sclpconsole,chardev={}"),
            virtio_serial="virtio-serial-ccw",
        ),
    )
}


@dataclass(frozen=True)
class Kernel:
    series: str  # as in make run KERNEL=; what follows a dash says from which suites
    suites: tuple[str, ...]  # Debian suites that have it, best first
    headers_prefix: str  # of linux-headers-*: how a version of the series begins
    source: str  # package with the kernel's source (kselftest, checkpatch); "" if not used
    gcc: str  # version of the compiler it was built with
    toolchain: tuple[str, ...]  # suites for the root folder that modules are built in, best first; () = the host
    flavours: dict[str, str] = field(default_factory=dict)  # where not the arch table's: by arch
    lacks: dict[str, str] = field(default_factory=dict)  # arch: why there is no such kernel


KERNELS = {
    kernel.series: kernel
    for kernel in (
        Kernel(
            "6.1", ("bookworm", "bookworm-security"), "linux-headers-6.1.", "linux-source-6.1", "12", (),
            flavours={"ppc64le-64k": "powerpc64le"},
            lacks={"arm64-16k": "bookworm has no arm64 kernel with 16K pages",
                   "ppc64le": "bookworm's ppc64el kernel has 64K pages: see ppc64le-64k"},
        ),
        Kernel("6.12", ("bookworm-backports",), "linux-headers-6.12.", "linux-source-6.12", "12", ()),
        # The same branch with more fixes: see docs/pairs.md.
        Kernel("6.12-security", ("bookworm-security",), "linux-headers-6.12.", "", "12", ()),
        Kernel("7.2", ("forky", "sid"), "linux-headers-7.2.", "", "16", ("sid", "forky")),
        Kernel("7.3-rc", ("experimental", "sid"), "linux-headers-7.3", "", "16", ("sid", "forky")),
    )
}


@dataclass(frozen=True)
class QemuBuild:
    """An emulator built from Debian's source with one line added, for what the packaged one lacks."""

    target: str  # of configure
    configure: tuple[str, ...]  # its other options
    file: str  # that gets a line
    after: str  # regular expression: the line it goes behind
    line: str
    machine: tuple[str, ...]  # instead of the arch table's
    note: str  # what it is, in each result


QEMU_BUILDS = {
    "s390x": QemuBuild(
        target="s390x-softmmu",
        configure=("--without-default-features", "--enable-tcg", "--enable-plugins",
                   "--disable-install-blobs", "--meson=/usr/bin/meson"),
        # TCG implements EDAT-1 (huge pages), and no CPU model offers it. With EDAT-2, which TCG
        # does not implement, kernels hang at boot.
        file="target/s390x/gen-features.c", after=r"^static uint16_t qemu_MAX\[\] = \{$",
        line="    S390_FEAT_EDAT,", machine=("-cpu", "max,edat2=off"), note="EDAT-1 added",
    ),
}
QEMU_FIRMWARE = "/usr/share/qemu"  # of the host's packages


@dataclass(frozen=True)
class KnownLog:
    """The lines of a known bug that the kernel logs when the driver exits, after all variants. Lines during a variant are in
    that variant's own row in the driver, and come with its mark."""

    arch: str
    releases: str  # that have it: "6.1", "6.12 < 6.12.115"
    after: str  # regular expression: SCENARIO/VARIANT that must have run before in the same machine
    line: str  # regular expression: the lines it explains, and no others
    trace: str  # regular expression: what the report must have, error code and call trace in this order
    fix: str  # "fixed by ...", or where to read of it


KNOWN_LOGS = (
    # The actors of these variants are threads of the driver: its mm has the pages that were never mapped.
    # This complaint is a line without a report: the negative count is its error code.
    KnownLog("s390x", "6.1", r"collapse-readers/storm-",
             r"BUG: Bad rss-counter state mm:\S+ type:MM_FILEPAGES val:-\d+$", "",
             'fixed by "mm/khugepaged: collapse_pte_mapped_thp() with mmap_read_lock()" (v6.6); '
             "docs/findings/s390x-recycled-page-table.md"),
    KnownLog("ppc64le-64k", "6.12 < 6.12.114", r"pgtable-", r"BUG: Bad page state in process faultline\b",
             r"flags: 0x[0-9a-f]+\(active\|.*PAGE_FLAGS_CHECK_AT_FREE.*\bpte_frag_destroy\+",
             'fixed by "powerpc/pgtable-frag: Fix bad page state in pte_frag_destroy" (v7.1, 6.12.114)'),
)


@dataclass(frozen=True)
class KnownPair:
    """Known differences of two kernels: `make pair` without OLD= and NEW= runs all of these."""

    run: str  # a scenario, or a variant of one
    old: str
    new: str
    says: str  # the word of pair.py, of one of its rows at least
    commit: str


KNOWN_PAIRS = (
    KnownPair("hvo-cycle", "6.12.113", "6.12.115", "regressed",
              "mm/hugetlb_vmemmap: fix incorrect vmemmap restore in rollback (by make bisect)"),
    KnownPair("hugetlb-mremap/private", "6.12.95", "6.12.117", "fixed", "mm/hugetlb: preserve mremap address delta when skipping page tables"),
    KnownPair("shmem-huge-dirty", "6.12.95", "6.12.117", "fixed", "mm/huge_memory: transfer the pmd dirty bit to the folio on zap"),
    KnownPair("shmem-collapse-forced", "6.12.95", "6.12.117", "fixed", "mm: shmem: ignore sysfs configs for shmem forced collapse"),
    KnownPair("hugetlb-new-folio/private-noreserve", "6.12.95", "6.12.117", "fixed", "mm/hugetlb: fix use-after-free of a new anon folio"),
    KnownPair("shmem-split-eviction/beyond-end", "6.12.95", "6.12.117", "fixed",
              "mm/huge_memory: unlock i_mmap_rwsem before releasing after-split folios"),
    KnownPair("pgtable-again", "6.12.95", "6.12.117", "fixed", "mm/pagewalk: fix stale walk->action escaping walk_pmd_range()"),
    KnownPair("mremap-locked", "6.12.95", "6.12.117", "fixed", "mm/mremap: fix locked_vm leak by splitting VMA for MREMAP_DONTUNMAP"),
)


@dataclass(frozen=True)
class Boot:
    """A way to boot a kernel."""

    name: str  # as in make run BOOT=
    append: str  # to the kernel command line
    took: dict[str, str]  # regular expressions that the kernel's log must have if it did, and what each says
    refused: str = ""  # regular expression: a line by which the kernel says that it did not


BOOTS = {
    boot.name: boot
    for boot in (
        Boot("stock", "", {}),
        # Memory that nobody cleared has a pattern in it. slub_debug is slab_debug since 6.9, and still known: seen on
        # 6.1, 6.12 and 7.2. The module proves the pattern: it reads a page and an object that nobody cleared.
        Boot("poison", "init_on_alloc=0 page_poison=1 slub_debug=FZPU",
             {r"ommand line: .*\binit_on_alloc=0 page_poison=1 slub_debug=FZPU": "the words are on the command line",
              r"mem auto-init: .*heap alloc:off": "allocated memory is not cleared",
              r"^faultline: slab kmalloc-64 sanity_checks=1 red_zone=1 poison=1 store_user=1$": "slab objects are checked",
              r"^faultline: poisoned-pages yes (\d+) of \1 bytes that nobody cleared": "pages that nobody cleared have the pattern",
              r"^faultline: poisoned-objects yes (\d+) of \1 bytes that nobody cleared":
                  "slab objects that nobody cleared have the pattern"},
             r"Unknown kernel command line parameters.*\b(init_on_alloc|page_poison|sl[au]b_debug)\b"),
        # The driver has a memory cgroup, whose memory.stat is compared. Not so in each machine: on 7.2.13 a collapse
        # then finds a page locked (EAGAIN) in 12 of 4500 runs of collapse-errno/anon-full, and without it in 0 of 1500.
        Boot("cgroup", "faultline.cgroup", {r"^faultline: the driver has a cgroup$": "the driver has a cgroup"}),
    )
}
DEFAULT_BOOT = "stock"
# The short part of `make test` under poison: scenarios that read memory which somebody else may have freed, and a control
# under which one reads memory that nobody cleared.
POISON_RUN = "collapse-contract collapse-readers pgtable-lifetime hugetlb-truncate hugetlb-insert/into-hole mthp-pins"
# The same in a cgroup: of each kind of memory something.
CGROUP_RUN = "collapse-fill mthp-pins shmem-eviction"
SHORT_PARTS = {"poison": POISON_RUN, "cgroup": CGROUP_RUN}
SHORT_RUNS = 5

# A run goes on in a fresh machine when one ended badly, in so many at most.
MACHINES = 5
DEFAULT_BUDGET = "5m"  # of `make run`

DEFAULT_ARCH = "x86_64"
DEFAULT_KERNEL = "6.12"

# Debian packages that the host needs, and what for.
HOST_PACKAGES = {
    "build-essential": "compilers and make",
    "bc": "kernel build",
    "libelf-dev": "kernel build (objtool)",
    "cmake": "building the driver",
    "pkg-config": "building the driver",
    "libcli11-dev": "driver: command line",
    "libfmt-dev": "driver: formatting",
    "nlohmann-json3-dev": "driver: JSON",
    "libtomlplusplus-dev": "driver: scenario files",
    "libkmod-dev": "driver: loading the module",
    "libgtest-dev": "driver: unit tests",
    "libgmock-dev": "driver: unit tests",
    "liburcu-dev": "driver: unit tests of the models",
    "kmod": "dependencies of kernel modules",
    "busybox-static": "user space of the virtual machine",
    "xz-utils": "unpacking packages",
    "debian-archive-keyring": "verifying packages",
    "zstd": "reading the symbols of kernel images",
    "lz4": "reading the symbols of kernel images",
    "python3-jsonschema": "checking the JSON results and the KCIDB report",
}


def arch_packages(arch: Arch, kernel: Kernel) -> dict[str, str]:
    """Packages that the host needs beyond that for one architecture and one kernel."""
    wanted = {arch.qemu_package: "the virtual machine"}
    if not arch.native:
        # gcc-12 of bookworm builds the driver and the selftests, and modules of its own kernels.
        wanted[f"g++-12-{arch.triplet}"] = "cross compiler"
    if kernel.toolchain:
        wanted["mmdebstrap"] = f"the root folder with gcc-{kernel.gcc}"
    return wanted


# The driver's libraries, its headers, and the guest's user space; from its architecture.
SYSROOT_PACKAGES = (
    "busybox-static", "libkmod-dev", "libkmod2", "libfmt-dev", "libfmt9", "libzstd1", "liblzma5", "libssl3",
    "libtomlplusplus-dev", "libc6", "libstdc++6", "libgcc-s1",
)
SYSROOT_HEADERS = ("nlohmann-json3-dev", "libcli11-dev")  # the same for all architectures

# Packages that `make qemu-s390x` needs beyond that.
QEMU_BUILD_PACKAGES = {
    "build-essential": "compilers and dpkg-source",
    "meson": "building QEMU",
    "ninja-build": "building QEMU",
    "pkg-config": "building QEMU",
    "python3-venv": "building QEMU",
    "libglib2.0-dev": "building QEMU",
    "libpixman-1-dev": "building QEMU",
    "zlib1g-dev": "building QEMU",
}

# Packages that a kernel of a source tree (KSRC=) needs beyond that.
SOURCE_PACKAGES = {
    "flex": "the kernel's config",
    "bison": "the kernel's config",
}
# DEBUG= and the fragments of scripts/config/ that each is; all: those that go together.
DEBUG_WORDS = {
    "vm": ("vm",), "lockdep": ("lockdep",), "kasan": ("kasan",), "kcsan": ("kcsan",), "all": ("vm", "lockdep", "kasan"),
}
NO_DEBUG = "none"  # of a matrix: a stock kernel
PREEMPT_WORDS = ("full", "rt")
# The short part of `make test` with DEBUG=vm, if that kernel is in the cache: of each family something, and the control
# that DEBUG_VM catches by itself. Not hvo: 6.12.115 and .117 corrupt its pages by themselves.
DEBUG_TEST = "vm"
DEBUG_RUN = "collapse-contract collapse-readers pgtable-notifier hugetlb-truncate hugetlb-notifier mthp-pins shmem-eviction"

# The selftests of `make torture`.
TORTURE_PROGRAMS = ("fuzz_test", "load_test")

# Packages that `make lint` needs beyond that.
LINT_PACKAGES = {
    "sparse": "checks of the module",
    "clang-format": "format of the driver",
    "clang-tidy": "checks of the driver",
    "perl-base": "checkpatch",
}


# The one table of exit statuses, which is built into the driver, too.
_STATUS_FILE = Path(__file__).resolve().parents[2] / "user/cli/exit_statuses.def"


@dataclass(frozen=True)
class Status:
    name: str
    number: int
    whose: str  # "driver", "scripts" or "both"
    text: str


def parse_statuses(text: str) -> list[Status]:
    rows = re.findall(r'^FL_STATUS\((\w+), (\d+), (\w+), "(.*)"\)$', text, re.MULTILINE)
    return [Status(name.upper(), int(number), whose, about) for name, number, whose, about in rows]


STATUSES = parse_statuses(_STATUS_FILE.read_text())
# How a command ends; the worse, the greater. A run in a virtual machine has all but STUCK.
Ending = IntEnum("Ending", {status.name: status.number for status in STATUSES})  # type: ignore[misc]
ENDING_TEXT = {Ending(status.number): status.text for status in STATUSES}


# After such an end the run under way is a result, and another machine does the rest.
CRASHES = (Ending.LOST, Ending.PANIC, Ending.HANG, Ending.TIMEOUT)


class Trouble(Exception):
    """Something that ends a command, with the status it ends with."""

    def __init__(self, ending: Ending, text: str) -> None:
        super().__init__(text)
        self.ending = ending
